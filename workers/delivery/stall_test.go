package delivery_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/governor"
	"github.com/assent-io/assent/workers/routing"
)

// beginning is a journal whose send records go through a function.
type beginning struct {
	delivery.Journal
	begin func(context.Context, events.DeliverySettled) error
}

func (b beginning) Begin(ctx context.Context, d events.DeliverySettled) error { return b.begin(ctx, d) }

// slowly lets the clock go on by d while the first send record is written.
func (h *house) slowly(d time.Duration) func(*delivery.Handler) {
	var first sync.Once
	return func(n *delivery.Handler) {
		store := n.Journal.Begin
		n.Journal = beginning{n.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			first.Do(func() { h.clock.set(h.clock.now().Add(d)) })
			return store(ctx, r)
		}}
	}
}

func TestAfterAStallOfTheStreamTheRateStillHolds(t *testing.T) {
	t.Parallel()
	const rate, messages = 100, 150
	h := build(t)
	_, js := h.connect()
	client, err := governor.Start(t.Context(), js, governor.Config{
		Process: "p1", Shares: governor.DefaultShares(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)

	var mu sync.Mutex
	var calls []time.Time
	carrier := delivery.SenderFunc(func(context.Context, delivery.Message) (delivery.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, time.Now())
		return delivery.Receipt{ID: "SM"}, nil
	})
	rules, faults := routing.ParseRules(nil, []string{"twilio"}, true)
	require.Empty(t, faults)
	table := routing.New(routing.Config{
		Channel: events.SMS, Rules: rules, Now: time.Now, Patience: routing.NewPatience(events.SMS, time.Now),
		Providers: []routing.Provider{{
			Name: "twilio", Sender: carrier, Gate: client.Gate(events.ProviderKey{Channel: events.SMS, Provider: "twilio"}, governor.Quota{Rate: rate}),
		}},
	})

	release, stalled := make(chan struct{}), atomic.Int64{}
	var handler *delivery.Handler
	h.work(carrier, func(d *delivery.Handler) {
		d.Routes, d.Now, handler = table, time.Now, d
		store := d.Journal.Begin
		d.Journal = beginning{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			stalled.Add(1)
			<-release
			return store(ctx, r)
		}}
	})
	var workers sync.WaitGroup
	for range messages {
		data, err := events.Encode(h.activation())
		require.NoError(t, err)
		workers.Go(func() {
			for {
				m := message.NewMessage("1", data)
				m.SetContext(t.Context())
				if err := handler.Handle(m); err == nil || t.Context().Err() != nil {
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return stalled.Load() == messages }, waitLong, time.Millisecond)
	ended := time.Now()
	close(release)
	workers.Wait()

	require.Len(t, calls, messages, "everything is sent, once")
	slices.SortFunc(calls, time.Time.Compare)
	for i, at := range calls {
		// What may be granted at once, and what was granted just before the end of the stall; a machine that is slow
		// makes calls late, never more of them.
		const once, before = 7, 400 * time.Millisecond
		require.LessOrEqual(t, float64(i+1), 1.1*rate*(at.Sub(ended)+before).Seconds()+once, "%s after the stall", at.Sub(ended))
	}
}

func TestNothingIsSentAfterTheEndThatCameWhileItsRecordWasWritten(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	h.work(took(sent), h.slowly(life))
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, []string{"begun twilio 1", "expired  1"}, h.words(a.ID))
	h.settledAll()
	require.Empty(t, sent)
}

func TestACallIsNotMadeLongAfterItsRecord(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	var told []error
	h.work(nil, h.slowly(3*time.Second), providers(delivery.Candidate{
		Provider: "twilio", Sender: took(sent), Admit: func(context.Context, time.Duration) (func(error), delivery.Refusal) {
			return func(err error) { told = append(told, err) }, delivery.Refusal{}
		},
	}))
	a := h.activation()
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Empty(t, sent)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, []string{"begun twilio 1", "retrying twilio 1", "begun twilio 2", "sent twilio 2"}, h.words(a.ID))
	require.Equal(t, string(delivery.ClassRetryAfter), h.told(a.ID)[1].Class, "it uses up no attempt")
	require.ErrorIs(t, told[0], delivery.ErrNotAsked)
	require.NoError(t, told[1])
}

func TestACallEndsWithItsRecord(t *testing.T) {
	t.Parallel()
	h := build(t)
	left := make(chan time.Duration, 8)
	h.work(func(ctx context.Context, _ delivery.Message) (delivery.Receipt, error) {
		end, _ := ctx.Deadline()
		left <- time.Until(end)
		return delivery.Receipt{ID: "SM"}, nil
	}, h.slowly(1500*time.Millisecond))
	h.publish(h.activation())
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.LessOrEqual(t, next(t, left), delivery.DefaultSendTimeout-1500*time.Millisecond)
}

func TestWhatWasAllowedLongAgoIsAskedForAgain(t *testing.T) {
	t.Parallel()
	never, always := func() bool { return false }, func() bool { return true }
	for name, x := range map[string]struct {
		paced func() bool
		ago   time.Duration
		again bool
	}{
		"just now":                {always, 250 * time.Millisecond, false},
		"long ago":                {always, 251 * time.Millisecond, true},
		"long ago without a rate": {never, time.Hour, false},
		"of no quota at all":      {nil, time.Hour, false},
	} {
		var told []error
		var patience time.Duration
		c := delivery.Candidate{Paced: x.paced, Admit: func(_ context.Context, d time.Duration) (func(error), delivery.Refusal) {
			patience = d
			return nil, delivery.Refusal{Reason: events.WaitThrottled}
		}}
		done, no := c.Renew(t.Context(), func(err error) { told = append(told, err) }, x.ago, time.Second)
		if !x.again {
			require.NotNil(t, done, name)
			require.Empty(t, told, name)
			continue
		}
		require.Nil(t, done, name)
		require.Equal(t, events.WaitThrottled, no.Reason)
		require.Equal(t, []error{delivery.ErrStale}, told)
		require.True(t, errors.Is(told[0], delivery.ErrNotAsked), "nobody learns anything of the provider by it")
		require.Equal(t, 500*time.Millisecond, patience, "half of what is left is for the call")
	}
}
