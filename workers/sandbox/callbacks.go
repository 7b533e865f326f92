package sandbox

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	callbackWorkers  = 16
	callbackBacklog  = 65_536 // messages with callbacks to post; beyond it callbacks are dropped and say so
	callbackAttempts = 3
	callbackPause    = 300 * time.Millisecond // before the second attempt; three times that before the third
)

// callback is one signed request to post.
type callback struct {
	name    string // as the page lists it: sent, delivered, processed
	url     string
	header  http.Header
	body    []byte
	attempt int // made so far
}

// lane keeps the callbacks of one message in order: one is posted at a time.
type lane struct {
	m       *message
	mu      sync.Mutex
	pending []callback
	busy    bool // it is with a worker, in the backlog, or waiting for its next attempt
}

// callbacks is a bounded pool that posts lanes in turn.
type callbacks struct {
	s       *Sandbox
	backlog chan *lane
}

func startCallbacks(s *Sandbox) *callbacks {
	c := &callbacks{s: s, backlog: make(chan *lane, callbackBacklog)}
	for range callbackWorkers {
		s.work.Go(c.run)
	}
	return c
}

func (c *callbacks) run() {
	for {
		select {
		case <-c.s.ctx.Done():
			return
		case l := <-c.backlog:
			c.postNext(l)
		}
	}
}

// add queues callbacks behind those the message already has. It never blocks.
func (c *callbacks) add(m *message, cbs ...callback) {
	l := &m.lane
	l.mu.Lock()
	l.pending = append(l.pending, cbs...)
	idle := !l.busy && len(l.pending) > 0
	l.busy = l.busy || idle
	l.mu.Unlock()
	if idle {
		c.push(l)
	}
}

func (c *callbacks) push(l *lane) {
	if c.s.ctx.Err() != nil {
		return
	}
	select {
	case c.backlog <- l:
	default:
		l.mu.Lock()
		lost := l.pending
		l.pending, l.busy = nil, false
		l.mu.Unlock()
		for _, cb := range lost {
			c.record(l.m, cb, reply{}, "dropped: too many callbacks are waiting")
		}
	}
}

func (c *callbacks) postNext(l *lane) {
	l.mu.Lock()
	cb := l.pending[0]
	l.mu.Unlock()
	cb.attempt++
	got, err := c.s.post(c.s.ctx, cb.url, cb.header, cb.body)
	if c.s.ctx.Err() != nil {
		return
	}
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	c.record(l.m, cb, got, fault)

	again := (err != nil || got.status >= 500 || got.status == http.StatusTooManyRequests) && cb.attempt < callbackAttempts
	l.mu.Lock()
	if again {
		l.pending[0] = cb
	} else {
		l.pending = l.pending[1:]
	}
	l.busy = len(l.pending) > 0
	more := l.busy
	l.mu.Unlock()
	switch {
	case again:
		pause := callbackPause
		for range cb.attempt - 1 {
			pause *= 3
		}
		time.AfterFunc(pause, func() { c.push(l) })
	case more:
		c.push(l)
	}
}

// record shows a callback with its answer; a later attempt takes the place of an earlier one.
func (c *callbacks) record(m *message, cb callback, got reply, fault string) {
	path := cb.url
	if u, err := url.Parse(cb.url); err == nil {
		path = u.Path
	}
	rec := callbackRecord{
		Name: cb.name, URL: path, Status: got.status, Error: fault, Attempt: cb.attempt,
		TookMS: got.took.Milliseconds(), At: c.s.now().UTC(),
	}
	c.s.inbox.change(m, func() {
		for i := range m.callbacks {
			if old := &m.callbacks[i]; cb.attempt > 1 && old.Name == cb.name && old.Attempt == cb.attempt-1 {
				*old = rec
				return
			}
		}
		m.callbacks = append(m.callbacks, rec)
	})
}

// settle waits until the context ends, the sandbox closes, or d has passed; true for the last.
func (s *Sandbox) settle(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}
