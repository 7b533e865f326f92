package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// The broker drops the records of one life to the second: for a moment the outcome may be left alone.
func TestAnOutcomeOfAnEarlierLifeAnswersNothingInTheNext(t *testing.T) {
	h := build(t)
	s := h.store()
	const key = "order-7"
	keyed := func() verification.Activation {
		a := h.activation(func(p *verification.Params) { p.ID = s.IDFor("shop", key) })
		a.IdempotencyKey, a.Body = key, []byte("{}")
		return a
	}
	first := keyed()
	create(t, s, first)
	_, valid, err := s.Check(t.Context(), first.Verification.ID, first.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)

	h.clock.forward(verification.DefaultLife + events.Grace + time.Second)
	js := h.js()
	r, err := stream.NewReader(t.Context(), js, stream.Activations)
	require.NoError(t, err)
	rec, err := r.Last(t.Context(), events.ActivationByID(first.Verification.ID))
	require.NoError(t, err)
	require.NoError(t, stream.Delete(t.Context(), js, stream.Activations, rec.Sequence))

	next := keyed()
	v := create(t, s, next)
	require.Equal(t, first.Verification.ID, v.ID)
	got, err := h.store().Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, got.Status, "nobody has answered this one")
	got, valid, err = s.Check(t.Context(), v.ID, "not it")
	require.NoError(t, err)
	require.False(t, valid)
	require.Equal(t, verification.MaxChecks-1, got.ChecksLeft())
	_, valid, err = s.Check(t.Context(), v.ID, next.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
}

func TestAnAnswerOfTheLastMomentThatWasNotToldIsReadAtTheEnd(t *testing.T) {
	h := build(t)
	other := h.store()
	var watched atomic.Bool
	looks := make(chan struct{}, 16)
	deaf, err := store.NewVerifications(t.Context(), h.js(), store.Config{
		Keys: h.keys, Limits: store.Limits{SendQuota: stream.DefaultSendQuota, SendWindow: stream.DefaultSendWindow}, Now: func() time.Time {
			if watched.Load() {
				select {
				case looks <- struct{}{}:
				default:
				}
			}
			return h.clock.now()
		},
	})
	require.NoError(t, err)
	deaf.Close() // it hears of no change any more
	a := h.activation()
	create(t, deaf, a)
	v, _, err := other.Check(t.Context(), a.Verification.ID, "wrong")
	require.NoError(t, err)
	h.clock.forward(v.ExpiresAt.Sub(h.clock.now()) - time.Second)
	answer := make(chan *verification.Verification, 1)
	watched.Store(true)
	go func() {
		got, err := deaf.Await(t.Context(), v.ID, v.Revision)
		if err != nil {
			t.Error(err)
		}
		answer <- got
	}()
	for range 4 { // the last look at the clock is for how long to park
		<-looks
	}
	_, valid, err := other.Check(t.Context(), v.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
	require.Equal(t, verification.Approved, (<-answer).Status)
}
