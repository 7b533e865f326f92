package stream

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
)

// answers takes the answers that consist of several messages, for all who wait: one subscription serves
// them, where one for each would cost the broker more than the read itself. It ends with its connection.
type answers struct {
	mu      sync.Mutex
	prefix  string // empty: not subscribed yet
	next    uint64
	waiting map[string]chan *nats.Msg
}

// expect is where the messages of one answer arrive, at most maxBatch and its end; done forgets them.
func (a *answers) expect(nc *nats.Conn) (inbox string, replies <-chan *nats.Msg, done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prefix == "" {
		prefix := nc.NewInbox() + "."
		if _, err := nc.Subscribe(prefix+"*", a.take); err != nil {
			return "", nil, nil, fmt.Errorf("subscribe to answers: %w", err)
		}
		a.prefix, a.waiting = prefix, map[string]chan *nats.Msg{}
	}
	a.next++
	inbox = a.prefix + strconv.FormatUint(a.next, 36)
	mine := make(chan *nats.Msg, maxBatch+1)
	a.waiting[inbox] = mine
	return inbox, mine, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, inbox)
	}, nil
}

// take hands a message to whoever waits for it. What nobody waits for any more is dropped.
func (a *answers) take(m *nats.Msg) {
	a.mu.Lock()
	mine := a.waiting[m.Subject]
	a.mu.Unlock()
	if mine == nil {
		return
	}
	select {
	case mine <- m:
	default: // more than was asked for
	}
}
