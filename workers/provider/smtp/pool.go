package smtp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// idleLife is how long a connection is kept without a mail. Postfix would keep it for five
// minutes, other servers for ten seconds; what they end sooner is noticed.
const idleLife = 30 * time.Second

// maxMails is how many mails one connection carries: servers count too, and a name with many
// addresses gets its turn at each.
const maxMails = 100

var errClosed = errors.New("the gateway is closed")

// pool bounds the connections and keeps the idle ones.
type pool struct {
	slots    chan struct{} // one for each call in flight; who waits is served in order of coming
	done     chan struct{}
	idleLife time.Duration

	mu     sync.Mutex
	idle   []*session // the last used is the next taken, so that the rest grow old and end
	closed bool
	ending sync.WaitGroup // calls in flight and connections that take their leave
}

func newPool(size int) *pool {
	return &pool{slots: make(chan struct{}, size), done: make(chan struct{}), idleLife: idleLife}
}

// enter waits for the right to one connection.
func (p *pool) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !p.begin() {
		return nil, errClosed
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; p.ending.Done() }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-p.done:
		err = errClosed
	}
	p.ending.Done()
	return nil, err
}

// begin counts what close waits for.
func (p *pool) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.ending.Add(1)
	return true
}

// take is an idle connection, or nil.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	last := len(p.idle) - 1
	s := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	s.timer.Stop() // where it struck already, retire finds s gone
	return s
}

// keep puts a connection back for the calls that follow; one that carried enough takes its leave.
func (p *pool) keep(s *session) {
	s.mails++
	p.mu.Lock()
	kept := !p.closed && s.mails < maxMails
	if kept {
		p.idle = append(p.idle, s)
		s.timer = time.AfterFunc(p.idleLife, func() { p.retire(s) })
	}
	p.mu.Unlock()
	if !kept {
		p.ending.Go(s.quit) // the call that carried s is still counted, so close waits for this too
	}
}

// retire ends a connection that nobody took in time.
func (p *pool) retire(s *session) {
	p.mu.Lock()
	at := slices.Index(p.idle, s)
	if at < 0 {
		p.mu.Unlock()
		return
	}
	p.idle = slices.Delete(p.idle, at, at+1)
	p.ending.Add(1) // s was idle, so the pool is not closed
	p.mu.Unlock()
	defer p.ending.Done()
	s.quit()
}

func (p *pool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.done)
	}
	for _, s := range p.idle {
		s.timer.Stop()
		p.ending.Go(s.quit)
	}
	p.idle = nil
	p.mu.Unlock()
	p.ending.Wait()
}
