package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

// ask is one create of the load.
type ask struct {
	to      string
	offered time.Time // when it was its turn, whatever stood in its way
	// began and accepted are those of the try that was answered; zero where none was.
	began, accepted time.Time
	id              string
	expires         time.Time
}

// load offers creates at a steady rate, whatever the answers, each to a number of its own. A create
// whose answer was lost is repeated under the same idempotency key until it is answered, so that what
// counts as accepted is exact.
type load struct {
	client *client.Client
	rate   int
	life   time.Duration

	tries   sync.WaitGroup
	mu      sync.Mutex
	asks    []*ask
	refused []string // answers that no load should get
}

const (
	patience   = time.Minute // for the answer of one create
	tryTimeout = 5 * time.Second
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// offer begins the creates of a time, and returns when it is over.
func (l *load) offer(ctx context.Context, d time.Duration) {
	began := time.Now()
	for i := 0; ; i++ {
		turn := time.Duration(i) * time.Second / time.Duration(l.rate)
		if turn >= d || !wait(ctx, time.Until(began.Add(turn))) {
			return
		}
		l.mu.Lock()
		a := &ask{to: fmt.Sprintf("+1415%07d", 3_000_000+len(l.asks)), offered: began.Add(turn)}
		l.asks = append(l.asks, a)
		l.mu.Unlock()
		l.tries.Go(func() { l.create(ctx, a) })
	}
}

func (l *load) create(ctx context.Context, a *ask) {
	ctx, cancel := context.WithDeadline(ctx, a.offered.Add(patience))
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		began := time.Now()
		v, err := l.try(ctx, a)
		if err == nil {
			l.mu.Lock()
			a.began, a.accepted, a.id, a.expires = began, time.Now(), v.ID, v.ExpiresAt
			l.mu.Unlock()
			return
		}
		var p *api.Problem
		if errors.As(err, &p) && p.Status < 500 && p.Status != http.StatusConflict && p.Status != http.StatusTooManyRequests {
			l.mu.Lock()
			l.refused = append(l.refused, err.Error())
			l.mu.Unlock()
			return
		}
		if !wait(ctx, pause) {
			return
		}
	}
}

func (l *load) try(ctx context.Context, a *ask) (*api.Verification, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return l.client.CreateWithKey(ctx, "chaos-"+a.to, textTo(a.to, l.life))
}

// textTo asks for a code by text; a life of zero is the default one.
func textTo(to string, life time.Duration) api.CreateVerification {
	v := api.CreateVerification{To: to, Channel: api.ChannelSMS}
	if life > 0 {
		seconds := int(life / time.Second)
		v.ExpiresIn = &seconds
	}
	return v
}

// all is a copy of what was asked so far.
func (l *load) all() []ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]ask, len(l.asks))
	for i, a := range l.asks {
		all[i] = *a
	}
	return all
}

// The carriers are given time after the last call. What a killed worker held comes back when its call
// would have ended at the latest, eight seconds after it began. What waits longer is a text that was
// refused again and again, and under the policy hold one whose receipt is waited for.
const (
	quietWhenAll = 15 * time.Second
	quietAtLeast = 45 * time.Second
	settleWithin = 3 * time.Minute
	settlePause  = 250 * time.Millisecond
)

// settle waits until every create is answered and everything that will come has come: until the carriers
// were quiet for a while, which is short where nothing is missing and nothing can be held.
func (l *load) settle(ctx context.Context, b *book, policy string) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	l.tries.Wait() // bounded by their patience
	since := time.Now()
	for wait(ctx, settlePause) {
		quiet := min(time.Since(b.quietSince()), time.Since(since))
		if quiet > quietAtLeast || quiet > quietWhenAll && policy != "hold" && !l.waiting(b) {
			return
		}
	}
}

// waiting tells whether something that was accepted and is still alive was not taken.
func (l *load) waiting(b *book) bool {
	taken := b.all()
	return slices.ContainsFunc(l.all(), func(a ask) bool {
		return !a.accepted.IsZero() && len(taken[a.to]) == 0 && time.Now().Before(a.expires)
	})
}
