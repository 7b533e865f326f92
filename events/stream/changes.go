package stream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
)

// Changes tells whoever waits under a key what was just stored: the outcomes of a verification, or the
// questions to a device. One subscription serves all waiters of a process; a waiter costs a map entry.
//
// It is a hint at most once: what it misses while the connection is down is made up by waking
// everybody, so that they read again.
type Changes struct {
	sub *nats.Subscription
	// key is what the waiters of a message wait under; empty: nobody does.
	key func(*nats.Msg) string
	end context.CancelFunc

	mu      sync.Mutex
	waiters map[string]map[chan Record]struct{}
	dropped int
}

// NewChanges subscribes to stored outcomes, under the ids of their verifications; Close ends it.
func NewChanges(nc *nats.Conn) (*Changes, error) {
	prefix := strings.TrimSuffix(events.ChangedSubjects, ">")
	return newChanges(nc, prefix+"*", func(m *nats.Msg) string { return strings.TrimPrefix(m.Subject, prefix) })
}

// NewAsked subscribes to stored questions to app installs, under the ids of the devices; Close ends it.
func NewAsked(nc *nats.Conn) (*Changes, error) {
	return newChanges(nc, events.AskedSubjects, func(m *nats.Msg) string {
		a, err := events.Decode[events.VerificationActivated](m.Data)
		if err != nil {
			return ""
		}
		return a.DeviceID
	})
}

func newChanges(nc *nats.Conn, subject string, key func(*nats.Msg) string) (*Changes, error) {
	c := &Changes{key: key, waiters: map[string]map[chan Record]struct{}{}}
	var err error
	c.mu.Lock() // the first change may come before the subscription is noted
	defer c.mu.Unlock()
	if c.sub, err = nc.Subscribe(subject, c.changed); err != nil {
		return nil, fmt.Errorf("subscribe to changes: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	c.end = end
	back := nc.StatusChanged(nats.CONNECTED)
	go func() {
		defer nc.RemoveStatusListener(back)
		for {
			select {
			case _, open := <-back:
				if !open {
					return
				}
				c.wakeAll()
			case <-ctx.Done():
				return
			}
		}
	}()
	return c, nil
}

// Close ends the subscription. Waiters are not woken: their own contexts end them.
func (c *Changes) Close() {
	c.end()
	_ = c.sub.Unsubscribe()
}

// Wait registers under one key until cancel is called. A record without a sequence means that something
// may have been missed: read again.
func (c *Changes) Wait(id string) (changed <-chan Record, cancel func()) {
	ch := make(chan Record, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiters[id] == nil {
		c.waiters[id] = map[chan Record]struct{}{}
	}
	c.waiters[id][ch] = struct{}{}
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiters[id], ch)
		if len(c.waiters[id]) == 0 {
			delete(c.waiters, id)
		}
	}
}

func (c *Changes) changed(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dropped, err := c.sub.Dropped(); err == nil && dropped > c.dropped {
		c.dropped = dropped // this process was too slow: nobody knows whose changes were lost
		c.wakeAllLocked()
	}
	if len(c.waiters) == 0 {
		return // and nothing is decoded for nobody
	}
	waiting := c.waiters[c.key(m)]
	if len(waiting) == 0 {
		return
	}
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		seq = 0
	}
	for ch := range waiting {
		offer(ch, Record{Subject: m.Subject, Sequence: seq, Data: m.Data})
	}
}

func (c *Changes) wakeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeAllLocked()
}

func (c *Changes) wakeAllLocked() {
	for _, waiting := range c.waiters {
		for ch := range waiting {
			offer(ch, Record{})
		}
	}
}

// offer leaves the newest record in a channel of one; the waiter may not have taken the one before.
func offer(ch chan Record, r Record) {
	select {
	case ch <- r:
	default:
		select {
		case <-ch:
		default:
		}
		ch <- r // only this goroutine sends, under the lock, so there is room now
	}
}
