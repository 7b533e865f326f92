package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

func TestEveryErrorButAPermanentOneIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	classes := map[string]error{}
	var as []events.VerificationActivated
	for _, err := range []error{
		errors.New("status 503"),
		delivery.Unknown(errors.New("connection reset")),
		delivery.Misconfigured(errors.New("status 401")),
		delivery.RetryAfter(300*time.Millisecond, errors.New("status 429")),
	} {
		a := h.activation()
		classes[a.ID] = err
		as = append(as, a)
	}
	calls := make(chan delivery.Message, 16)
	h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		calls <- m
		if m.Attempt == 1 {
			return delivery.Receipt{}, classes[m.ID]
		}
		return delivery.Receipt{ID: "SM"}, nil
	})
	h.publish(as...)
	attempts := map[string][]int{}
	for range 2 * len(as) {
		m := next(t, calls)
		attempts[m.ID] = append(attempts[m.ID], m.Attempt)
	}
	words := map[string]int{}
	for range 2 * len(as) {
		words[next(t, h.verdicts).word]++
	}
	require.Equal(t, map[string]int{"-NAK": len(as), "+ACK": len(as)}, words)
	h.settledAll()
	for _, a := range as {
		require.Equal(t, []int{1, 2}, attempts[a.ID])
		r := h.only(a.ID)
		require.Equal(t, events.DeliverySent, r.Status)
		require.Equal(t, 2, r.Attempt)
	}
	require.Empty(t, h.buried())
}

func TestATransientFailureIsTriedWithGrowingWaitsUntilTheEndAndNotAfterIt(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.activation()
	var tooLate atomic.Int64
	calls := make(chan int, 16)
	h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		if !h.clock.now().Before(m.ExpiresAt) {
			tooLate.Add(1)
		}
		switch m.Attempt {
		case 3:
			h.clock.set(m.ExpiresAt.Add(-5 * time.Millisecond))
		case 4:
			h.clock.set(m.ExpiresAt)
		}
		calls <- m.Attempt
		return delivery.Receipt{}, errors.New("status 503")
	})
	h.publish(a)
	for attempt := 1; attempt <= 4; attempt++ {
		require.Equal(t, attempt, next(t, calls))
	}
	first, second := next(t, h.verdicts), next(t, h.verdicts)
	require.GreaterOrEqual(t, first.delay, 250*time.Millisecond)
	require.Less(t, first.delay, 750*time.Millisecond)
	require.GreaterOrEqual(t, second.delay, 500*time.Millisecond)
	require.Less(t, second.delay, 1500*time.Millisecond)
	require.Equal(t, verdict{"-NAK", 6 * time.Millisecond}, next(t, h.verdicts), "the next look is just after the end")
	require.Equal(t, verdict{"-NAK", time.Millisecond}, next(t, h.verdicts))
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	h.settledAll()
	require.Empty(t, calls)
	require.Zero(t, tooLate.Load())
	r := h.only(a.ID)
	require.Equal(t, events.DeliveryExpired, r.Status)
	require.Equal(t, 4, r.Attempt)
	require.Empty(t, r.Provider)
}

func TestAProvidersWaitIsHeededWithinTheVerificationsLife(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ asked, told time.Duration }{
		"inside":                   {90 * time.Second, 90 * time.Second},
		"longer than what is left": {2 * time.Hour, life - 500*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.work(func(context.Context, delivery.Message) (delivery.Receipt, error) {
				return delivery.Receipt{}, delivery.RetryAfter(c.asked, errors.New("status 429"))
			})
			h.publish(h.activation())
			v := next(t, h.verdicts)
			require.Equal(t, "-NAK", v.word)
			require.GreaterOrEqual(t, v.delay, c.told)
			require.LessOrEqual(t, v.delay, min(c.told+500*time.Millisecond, life-500*time.Millisecond), "not all come back at once")
		})
	}
}

func TestACallMayTakeNoLongerThanTheTimeoutNorTheVerification(t *testing.T) {
	t.Parallel()
	h := build(t)
	const timeout = 20 * time.Second
	type limit struct {
		id   string
		left time.Duration
		set  bool
	}
	limits := make(chan limit, 8)
	h.work(func(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
		end, set := ctx.Deadline()
		limits <- limit{m.ID, time.Until(end), set}
		return delivery.Receipt{}, nil
	}, func(d *delivery.Handler) { d.Policy.SendTimeout = timeout })
	long := h.activation()
	short := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now().Add(3 * time.Second) })
	h.publish(long, short)
	for range 2 {
		l := next(t, limits)
		require.True(t, l.set)
		bound := timeout
		if l.id == short.ID {
			bound = 3 * time.Second
		}
		require.LessOrEqual(t, l.left, bound)
	}
}

func TestACarrierThatHangsIsCutAndTriedAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.work(func(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
		if m.Attempt == 1 {
			<-ctx.Done()
			return delivery.Receipt{}, ctx.Err()
		}
		return delivery.Receipt{ID: "SM"}, nil
	}, func(d *delivery.Handler) { d.Policy.SendTimeout = 10 * time.Millisecond })
	a := h.activation()
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, 2, h.only(a.ID).Attempt)
}

func TestASenderThatPanicsIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		if m.Attempt == 1 {
			panic("a fault in the channel")
		}
		return delivery.Receipt{ID: "SM"}, nil
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
}

func TestReportsThatCannotBeReadHoldAMessageBackAndBuryNothing(t *testing.T) {
	t.Parallel()
	for name, unreadable := range map[string]error{"broker away": errBroker, "a report of another version": events.ErrUndecodable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			calls := make(chan int, 8)
			var asked atomic.Int64
			h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
				calls <- m.Attempt
				if m.Attempt == 1 {
					return delivery.Receipt{}, delivery.RetryAfter(time.Millisecond, errors.New("status 429"))
				}
				return delivery.Receipt{ID: "SM"}, nil
			}, func(d *delivery.Handler) {
				read := d.Journal.Reports
				d.Journal = reporting{d.Journal, func(ctx context.Context, id string) ([]events.DeliverySettled, error) {
					if asked.Add(1) == 1 {
						return nil, unreadable
					}
					return read(ctx, id)
				}}
			})
			a := h.activation()
			h.publish(a)
			require.Equal(t, 1, next(t, calls))
			require.Equal(t, 2, next(t, calls), "without the reports nobody knows whether it was sent")
			require.Equal(t, "-NAK", next(t, h.verdicts).word)
			require.Equal(t, "-NAK", next(t, h.verdicts).word)
			require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
			require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
			require.Empty(t, h.buried())
		})
	}
}
