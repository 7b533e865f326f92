package httpapi

import (
	"context"
	"fmt"
	"runtime"
)

// longWork keeps what takes long to read, batches and lists, from standing in front of codes: a thousand numbers
// take the processor for some 15 ms, and a few such requests side by side would take all processors. Half of them
// read at once, the others wait; and who reads pauses after every few items, so that whoever became ready
// meanwhile goes first.
type longWork chan struct{}

func newLongWork() longWork { return make(longWork, max(1, runtime.GOMAXPROCS(0)/2)) }

const (
	// longBody is the size from which on a body takes its turn.
	longBody = 8 << 10
	// atOnce is how many items are read between two pauses: some 100 µs.
	atOnce = 8
)

// turn waits until it may begin, and returns what ends it.
func (l longWork) turn(ctx context.Context) (end func(), err error) {
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other large requests: %w", ctx.Err())
	}
}

// pause lets others go first after every few items.
func pause(item int) {
	if item%atOnce == atOnce-1 {
		runtime.Gosched()
	}
}
