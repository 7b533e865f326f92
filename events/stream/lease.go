package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Leases is the bucket of leases. A broker that restarts knows them still, and whoever holds one renews it.
const Leases = "ASSENT_LEASES"

// LeaseConfig is what holding a lease takes. Renew, Fence and Expire are for tests to change; zero is the usual.
type LeaseConfig struct {
	// Name of the lease, and Holder, which is different for each process that wants it.
	Name, Holder string
	// Renew is between two renewals.
	Renew time.Duration
	// Fence is for how long the holder may act after its last renewal, and Expire after how long another takes
	// a lease that it saw unchanged. Fence is well below Expire, so that two never act at once.
	Fence, Expire time.Duration
	// Changed is told the term when the lease was taken, and zero when it was lost, from one goroutine.
	Changed func(term uint64)
	// Now is a clock that never goes back; nil: the machine's.
	Now func() time.Time
}

// The usual times of a lease.
const (
	leaseRenew  = 500 * time.Millisecond
	leaseFence  = time.Second
	leaseExpire = 2 * time.Second
)

// Lease is held by at most one process at a time. Nobody trusts another's clock: who waits counts the time in
// which it saw no renewal, who holds that since it began its last renewal.
type Lease struct {
	cfg     LeaseConfig
	pub     *Publisher
	reader  *Reader
	subject string

	mu      sync.Mutex
	term    uint64    // drawn when it was taken; zero: not held
	renewed time.Time // when the last renewal that was stored began

	revision uint64    // what was last seen or written; of Run only
	seen     time.Time // when that was seen first
}

// NewLease opens the bucket of leases, which must exist. Nothing is taken before Run.
func NewLease(ctx context.Context, js jetstream.JetStream, cfg LeaseConfig) (*Lease, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Renew == 0 {
		cfg.Renew, cfg.Fence, cfg.Expire = leaseRenew, leaseFence, leaseExpire
	}
	if cfg.Changed == nil {
		cfg.Changed = func(uint64) {}
	}
	reader, err := NewReader(ctx, js, "KV_"+Leases)
	if err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	return &Lease{cfg: cfg, pub: NewPublisher(js), reader: reader, subject: "$KV." + Leases + "." + cfg.Name}, nil
}

// Term is different for each time that the lease is taken, by whomever. Zero: this process does not hold it, or
// could not renew it for so long that it must not act.
func (l *Lease) Term() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term == 0 || l.cfg.Now().Sub(l.renewed) >= l.cfg.Fence {
		return 0
	}
	return l.term
}

// Run wants the lease until ctx ends, and then gives it back.
func (l *Lease) Run(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Renew)
	defer tick.Stop()
	for {
		l.step(ctx)
		select {
		case <-ctx.Done():
			l.release()
			return
		case <-tick.C:
		}
	}
}

// step renews the lease, or takes it where nobody does.
func (l *Lease) step(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Renew*4/5)
	defer cancel()
	l.mu.Lock()
	holds := l.term != 0
	l.mu.Unlock()
	if holds {
		l.renew(ctx)
		return
	}
	l.look(ctx)
}

func (l *Lease) renew(ctx context.Context) {
	began := l.cfg.Now()
	revision, err := l.write(ctx, l.revision)
	switch {
	case err == nil:
		l.revision = revision
		l.mu.Lock()
		l.renewed = began
		l.mu.Unlock()
	case errors.Is(err, ErrConflict):
		// It may be this process's own renewal, whose answer was lost.
		rec, err := l.reader.Latest(ctx, l.subject)
		if err == nil && string(rec.Data) == l.cfg.Holder {
			l.revision = rec.Sequence // the next renewal tells
			return
		}
		if err == nil || errors.Is(err, ErrAbsent) {
			l.lost()
		}
	default: // the broker does not answer: Term ends by itself, and whoever takes over makes a conflict
	}
}

func (l *Lease) look(ctx context.Context) {
	rec, err := l.reader.Latest(ctx, l.subject)
	now := l.cfg.Now()
	free := errors.Is(err, ErrAbsent)
	if err != nil && !free {
		return
	}
	if free {
		rec.Sequence = 0
	}
	if rec.Sequence != l.revision || l.seen.IsZero() {
		l.revision, l.seen = rec.Sequence, now
	}
	free = free || len(rec.Data) == 0 // given back
	if !free && now.Sub(l.seen) < l.cfg.Expire {
		return
	}
	revision, err := l.write(ctx, rec.Sequence)
	if err != nil {
		return // somebody was faster, or the next look tells
	}
	l.revision = revision
	term := rand.Uint64()>>11 + 1 //nolint:gosec // tells terms apart, guards nothing
	l.mu.Lock()
	l.term, l.renewed = term, now
	l.mu.Unlock()
	l.cfg.Changed(term)
}

func (l *Lease) write(ctx context.Context, revision uint64) (uint64, error) {
	return l.pub.Put(ctx, l.subject, []byte(l.cfg.Holder), Expecting(revision))
}

func (l *Lease) lost() {
	l.mu.Lock()
	held := l.term != 0
	l.term, l.seen = 0, time.Time{}
	l.mu.Unlock()
	if held {
		l.cfg.Changed(0)
	}
}

// release gives the lease back, so that another need not wait for its end.
func (l *Lease) release() {
	l.mu.Lock()
	held := l.term != 0
	l.mu.Unlock()
	if !held {
		return
	}
	l.lost() // first: nothing is done under a lease that is being given back
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Fence)
	defer cancel()
	_, _ = l.pub.Put(ctx, l.subject, nil, Expecting(l.revision)) // where it fails, the lease ends by itself
}
