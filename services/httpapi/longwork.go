package httpapi

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/assent-io/assent/services/verification"
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
	// turnWait is how long a request waits for its turn. Then its client had better come back.
	turnWait = 5 * time.Second
)

// turn waits until it may begin. It fails with verification.ErrUnavailable where others take too long.
func (l longWork) turn(ctx context.Context) (*turn, error) {
	t := &turn{work: l}
	return t, t.take(ctx)
}

// turn is that of one request. Of a request too small to take turns it is nil.
type turn struct {
	work longWork
	mine bool
}

func (t *turn) take(ctx context.Context) error {
	if t == nil || t.mine {
		return nil
	}
	late := time.NewTimer(turnWait)
	defer late.Stop()
	select {
	case t.work <- struct{}{}:
		t.mine = true
		return nil
	case <-late.C:
		return fmt.Errorf("other large requests take too long: %w", verification.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("wait for other large requests: %w", ctx.Err())
	}
}

func (t *turn) end() {
	if t != nil && t.mine {
		<-t.work
		t.mine = false
	}
}

// without lets others have the turn while something is asked that is not of this process, and takes it again after.
func (t *turn) without(ctx context.Context, ask func() error) error {
	t.end()
	if err := ask(); err != nil {
		return err
	}
	return t.take(ctx)
}

// pause lets others go first after every few items.
func pause(item int) {
	if item%atOnce == atOnce-1 {
		runtime.Gosched()
	}
}
