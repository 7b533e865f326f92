package store

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/verification"
)

// lookups bounds the reads of the credentials' bucket that anybody can cause by sending wrong
// credentials: so many at once, so many in a second, and none twice in a second for the same proof.
// What is over the bounds counts as wrong, and clients that are known never come here.
type lookups struct {
	now   func() time.Time
	slots chan struct{}

	mu     sync.Mutex
	began  time.Time
	count  int
	missed map[[sha256.Size]byte]bool
}

const (
	lookupsAtOnce   = 8
	lookupsInSecond = 100
	lookupTimeout   = 2 * time.Second
)

func newLookups(now func() time.Time) *lookups {
	return &lookups{now: now, slots: make(chan struct{}, lookupsAtOnce), missed: map[[sha256.Size]byte]bool{}}
}

// do looks once. It fails with credential.ErrWrong where look finds nothing that fits, and with
// verification.ErrUnavailable where it gets no turn in time.
func (l *lookups) do(ctx context.Context, proof [sha256.Size]byte, look func(context.Context) (fit bool, err error)) error {
	if !l.admit(proof) {
		return credential.ErrWrong
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return verification.ErrUnavailable
	}
	fit, err := look(ctx)
	if err != nil || fit {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed[proof] = true
	return credential.ErrWrong
}

func (l *lookups) admit(proof [sha256.Size]byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.began) >= time.Second {
		l.began, l.count = now, 0
		clear(l.missed)
	}
	if l.missed[proof] || l.count >= lookupsInSecond {
		return false
	}
	l.count++
	return true
}
