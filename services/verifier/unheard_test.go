package verifier_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// askWith creates a verification with a fallback.
func (h *house) askWith(steps ...verification.Step) verification.Verification {
	h.t.Helper()
	id := uuid.NewString()
	v, secrets, err := verification.New(verification.Params{
		ID: id, Credential: "shop", Channel: verification.SMS, Challenge: verification.CodeChallenge, Fallback: steps,
	}, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	to := "+1415" + id[len(id)-7:]
	a := verification.Activation{Verification: v, Secrets: secrets, To: to}
	for range steps {
		a.Roads = append(a.Roads, verification.Road{To: to})
	}
	v, _, err = h.store.Create(h.t.Context(), a)
	require.NoError(h.t, err)
	return v
}

// says stores a report of a message on the first road.
func (h *house) says(id string, send int, status, reason, provider string) {
	h.t.Helper()
	require.NoError(h.t, h.pub.Settle(h.t.Context(), events.DeliverySettled{
		ID: id, Channel: events.SMS, Send: send, Status: status, Reason: reason, Provider: provider, Route: "+1", Attempt: 1, At: h.clock.now(),
	}))
}

// due lets a receipt's time have come.
func (h *house) due(t events.TimerDue) {
	h.t.Helper()
	t.Kind = events.TimerReceipt
	require.NoError(h.t, h.pub.Schedule(h.t.Context(), time.Now(), t))
}

// at is the activation that stands under a subject, and whether there is one.
func (h *house) at(subject string) (events.VerificationActivated, bool) {
	h.t.Helper()
	r, err := stream.NewReader(h.t.Context(), h.js, stream.Activations)
	require.NoError(h.t, err)
	rec, err := r.Last(h.t.Context(), subject)
	if err != nil {
		require.ErrorIs(h.t, err, stream.ErrAbsent)
		return events.VerificationActivated{}, false
	}
	a, err := events.Decode[events.VerificationActivated](rec.Data)
	require.NoError(h.t, err)
	return a, true
}

var spoken = verification.Step{Channel: verification.Voice, After: 4 * time.Minute, ToMasked: "+1••"}

func TestAMessageOfWhichNothingIsHeardIsAskedForAgainFromAnotherProvider(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.askWith(spoken)
	h.says(v.ID, 1, events.DeliverySent, "", "twilio")
	for range 2 { // timers may come twice
		h.due(events.TimerDue{ID: v.ID, Send: 1, Provider: "twilio", Other: true})
	}
	require.Equal(t, "receipt again", next(t, h.counted))
	a, _ := h.at(events.ActivationByID(v.ID))
	require.Equal(t, 2, a.Send)
	require.Equal(t, []string{"twilio"}, a.Avoid)
	require.NotEmpty(t, a.Content.Box, "whoever delivers it can open it")
	require.Len(t, a.Fallback, 1, "it is the record still")
	reports, err := h.store.Deliveries(t.Context(), v.ID)
	require.NoError(t, err)
	last := reports[len(reports)-1]
	require.Equal(t, []any{events.DeliveryRequested, events.ReasonNoReceipt, "twilio", "+1", 2}, []any{last.Status, last.Reason, last.Provider, last.Route, last.Send})

	h.says(v.ID, 2, events.DeliverySent, "", "backup")
	h.due(events.TimerDue{ID: v.ID, Send: 2, Provider: "backup"})
	for {
		if got := next(t, h.counted); got != "receipt nothing" { // the second of the timers
			require.Equal(t, "receipt fallback", got)
			break
		}
	}
	called, ok := h.at(events.FallbackSubject(events.Voice, v.ID, 1))
	require.True(t, ok, "without a third provider the next road is taken")
	require.Equal(t, []any{1, 1, events.Voice}, []any{called.Step, called.Send, called.Channel})
	require.Empty(t, called.Avoid)
}

func TestAMessageThatWasHeardOfIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(*house, string){
		"it arrived":            func(h *house, id string) { h.says(id, 1, events.DeliveryDelivered, "", "twilio") },
		"it did not":            func(h *house, id string) { h.says(id, 1, events.DeliveryFailed, events.ReasonUndeliverable, "twilio") },
		"nobody took the call":  func(h *house, id string) { h.says(id, 1, events.DeliveryUnanswered, "", "twilio") },
		"it was asked for anew": func(h *house, id string) { _, _ = h.store.Resend(h.t.Context(), id) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			v := h.askWith()
			h.says(v.ID, 1, events.DeliverySent, "", "twilio")
			tell(h, v.ID)
			before, _ := h.at(events.ActivationByID(v.ID))
			h.verify()
			h.due(events.TimerDue{ID: v.ID, Send: 1, Provider: "twilio", Other: true})
			for got := next(t, h.counted); got != "receipt nothing" && got != "receipt late"; got = next(t, h.counted) {
				require.Contains(t, got, "delivery")
			}
			after, _ := h.at(events.ActivationByID(v.ID))
			require.Equal(t, before, after)
		})
	}
}

func TestAFallbackWhoseAddressHasHadEnoughIsSkippedForTheNext(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	other := verification.Step{Channel: verification.Email, After: 30 * time.Second, ToMasked: "a•••"}
	v := h.askWith(spoken, other)
	for range stream.DefaultSendQuota - 1 {
		_, err := h.store.Resend(t.Context(), v.ID)
		require.NoError(t, err)
	}
	h.says(v.ID, stream.DefaultSendQuota, events.DeliveryFailed, events.ReasonProviderUnavailable, "twilio")
	require.Equal(t, "delivery fallback", next(t, h.counted), "the call would be next")
	require.Equal(t, "delivery fallback", next(t, h.counted), "but the number has had enough")
	_, called := h.at(events.FallbackSubject(events.Voice, v.ID, 1))
	require.False(t, called)
	reports, err := h.store.Deliveries(t.Context(), v.ID)
	require.NoError(t, err)
	var limited []events.DeliverySettled
	for _, r := range reports {
		if r.Reason == events.ReasonLimited {
			limited = append(limited, r)
		}
	}
	require.NotEmpty(t, limited)
	require.Equal(t, 1, limited[0].Step)
}

func TestOneMessageThatFailsLeavesTheOthersTheirChance(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.askWith(spoken)
	h.says(v.ID, 1, events.DeliverySent, "", "twilio")
	h.says(v.ID, 1, events.DeliveryUnanswered, "", "twilio")
	require.Equal(t, "delivery fallback", next(t, h.counted))
	require.NoError(t, h.pub.Settle(t.Context(), events.DeliverySettled{
		ID: v.ID, Channel: events.Voice, Step: 1, Send: 1, Status: events.DeliveryFailed, Reason: events.ReasonUndeliverable, Attempt: 1, At: h.clock.now(),
	}))
	require.Equal(t, "delivery nothing", next(t, h.counted), "the first message may have arrived")
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
	h.says(v.ID, 1, events.DeliveryFailed, events.ReasonUndeliverable, "twilio")
	require.Equal(t, "delivery failed", next(t, h.counted))
	require.EqualValues(t, events.ReasonUndeliverable, h.get(v.ID).Reason)
}

func TestAFailureAfterTheArrivalChangesNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.askWith(spoken)
	h.says(v.ID, 1, events.DeliveryDelivered, "", "twilio")
	h.says(v.ID, 1, events.DeliveryFailed, events.ReasonUndeliverable, "twilio")
	require.Equal(t, "delivery nothing", next(t, h.counted))
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
	_, called := h.at(events.FallbackSubject(events.Voice, v.ID, 1))
	require.False(t, called)
}

// tells stores a report of one call.
func (h *house) tells(id string, send, attempt int, status, reason string) {
	h.t.Helper()
	require.NoError(h.t, h.pub.Settle(h.t.Context(), events.DeliverySettled{
		ID: id, Channel: events.SMS, Send: send, Status: status, Reason: reason, Provider: "twilio", Attempt: attempt, At: h.clock.now(),
	}))
}

func TestACallThatFailsLateLeavesTheOneAfterItAlone(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.askWith(spoken)
	h.tells(v.ID, 1, 1, events.DeliveryUnknown, "")
	h.tells(v.ID, 1, 2, events.DeliverySent, "")
	h.tells(v.ID, 1, 1, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery nothing", next(t, h.counted))
	_, called := h.at(events.FallbackSubject(events.Voice, v.ID, 1))
	require.False(t, called)
	h.tells(v.ID, 1, 2, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery fallback", next(t, h.counted))
}

func TestACodeThatArrivedIsNotTakenBackByTheFailureOfTheNextMessage(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.askWith()
	h.tells(v.ID, 1, 1, events.DeliveryDelivered, "")
	_, err := h.store.Resend(t.Context(), v.ID)
	require.NoError(t, err)
	h.tells(v.ID, 2, 1, events.DeliveryFailed, events.ReasonUnsubscribed)
	require.Equal(t, "delivery nothing", next(t, h.counted))
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
}

func TestATimerThatComesBeforeItsRecordIsNotLost(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	id := uuid.NewString()
	require.NoError(t, h.pub.Schedule(t.Context(), time.Now(), events.TimerDue{Kind: events.TimerFallback, ID: id, Step: 1}))
	require.Equal(t, "-NAK", next(t, h.settled))
	v, secrets, err := verification.New(verification.Params{
		ID: id, Credential: "shop", Channel: verification.SMS, Fallback: []verification.Step{spoken},
	}, h.clock.now(), rand.Reader)
	require.NoError(t, err)
	_, _, err = h.store.Create(t.Context(), verification.Activation{
		Verification: v, Secrets: secrets, To: "+14155550123", Roads: []verification.Road{{To: "+14155550123"}},
	})
	require.NoError(t, err)
	require.Equal(t, "fallback fallback", next(t, h.counted))
}
