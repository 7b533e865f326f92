package routing

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// When a provider is left alone: after so many failures in a row, or where this share of so many calls
// failed within the interval. One call then looks whether it is back, every pause.
const (
	tripInARow    = 5
	tripOf        = 20
	tripShare     = 0.5
	tripInterval  = 10 * time.Second
	tripBuckets   = 10 // that the interval rolls by: a call may end in another than it began in
	circuitPause  = 5 * time.Second
	probeWait     = time.Second
	throttlePause = time.Second      // where a provider throttles without saying how long
	maxThrottle   = 15 * time.Minute // no message lives longer
)

// Gate keeps the calls of all processes within what a provider allows them together.
type Gate interface {
	// Admit allows one call of so many units in a lane, whose end must be told to done, or says for how long
	// to leave the provider alone. It waits at most for patience.
	Admit(ctx context.Context, lane events.Lane, units int, patience time.Duration) (done func(error), no delivery.Refusal)
	// Paced tells whether the provider allows so many units in a time.
	Paced() bool
}

// gate keeps calls off a provider that throttles this process, or does not work for it; behind it is the one
// that all processes share.
type gate struct {
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	shared  Gate // nil: there is none
	now     func() time.Time

	mu        sync.Mutex
	throttled time.Time // no call before
	opened    time.Time // when the circuit opened last
	failures  int       // in a row, of calls that were allowed since
}

func newGate(name string, shared Gate, now func() time.Time, changed func(open bool)) *gate {
	g := &gate{shared: shared, now: now}
	g.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: name, MaxRequests: 1, Interval: tripInterval, BucketPeriod: tripInterval / tripBuckets, Timeout: circuitPause,
		IsExcluded: func(err error) bool { return errors.Is(err, delivery.ErrNotAsked) },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			// The circuit's own count of failures in a row forgets those of calls that are older than its interval.
			return g.inARow() >= tripInARow ||
				c.Requests >= tripOf && float64(c.TotalFailures) >= tripShare*float64(c.Requests)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				g.mu.Lock()
				g.opened, g.failures = g.now(), 0
				g.mu.Unlock()
			}
			changed(to != gobreaker.StateClosed)
		},
	})
	return g
}

// admit allows a call, whose end must be told to done, or says how long to leave the provider alone.
func (g *gate) admit(ctx context.Context, lane events.Lane, units int, patience time.Duration) (done func(error), no delivery.Refusal) {
	g.mu.Lock()
	wait, opened := g.throttled.Sub(g.now()), g.opened
	g.mu.Unlock()
	if wait > 0 {
		return nil, delivery.Refusal{Wait: wait, Reason: events.WaitThrottled}
	}
	end, err := g.circuit.Allow()
	if err != nil {
		if errors.Is(err, gobreaker.ErrTooManyRequests) {
			return nil, delivery.Refusal{Wait: probeWait, Reason: events.WaitUnavailable} // one is looking just now
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		return nil, delivery.Refusal{Wait: max(g.opened.Add(circuitPause).Sub(g.now()), probeWait), Reason: events.WaitUnavailable}
	}
	if g.shared == nil {
		return func(err error) { end(g.ended(err, opened)) }, delivery.Refusal{}
	}
	told, no := g.shared.Admit(ctx, lane, units, patience)
	if told == nil {
		end(delivery.ErrNotAsked)
		return nil, no
	}
	return func(err error) {
		told(err)
		end(g.ended(err, opened))
	}, delivery.Refusal{}
}

// paced tells whether what is allowed is allowed for now only.
func (g *gate) paced() bool { return g.shared != nil && g.shared.Paced() }

// ended counts what a call came to that was allowed when the circuit had opened last at that time, and
// returns what the circuit is to know of it. What is wrong with a message is no failure of its provider, and
// a provider that throttles works.
func (g *gate) ended(err error, opened time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch class := delivery.ClassOf(err); {
	case errors.Is(err, delivery.ErrNotAsked):
		return err
	case err == nil, class == delivery.ClassPermanent:
	case class == delivery.ClassRetryAfter:
		pause := min(max(delivery.AfterOf(err), throttlePause), maxThrottle)
		if until := g.now().Add(pause); until.After(g.throttled) {
			g.throttled = until
		}
	default:
		if opened.Equal(g.opened) { // older calls told what they had to before
			g.failures++
		}
		return err
	}
	g.failures = 0
	return nil
}

func (g *gate) inARow() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failures
}
