package verifier_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// says stores what is told of one call to Twilio for a message on the first road.
func (h *house) says(id string, send, attempt int, status, reason string) {
	h.t.Helper()
	h.tell(events.DeliverySettled{ID: id, Send: send, Attempt: attempt, Status: status, Reason: reason, Provider: "twilio", Route: "+1"})
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
	v := h.ask(verification.CodeChallenge, spoken)
	h.says(v.ID, 1, 1, events.DeliverySent, "")
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

	h.tell(events.DeliverySettled{ID: v.ID, Send: 2, Attempt: 1, Status: events.DeliverySent, Provider: "backup", Route: "+1"})
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
		"it arrived":            func(h *house, id string) { h.says(id, 1, 1, events.DeliveryDelivered, "") },
		"it did not":            func(h *house, id string) { h.says(id, 1, 1, events.DeliveryFailed, events.ReasonUndeliverable) },
		"nobody took the call":  func(h *house, id string) { h.says(id, 1, 1, events.DeliveryUnanswered, "") },
		"it was asked for anew": func(h *house, id string) { _, _ = h.store.Resend(h.t.Context(), id) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			v := h.ask(verification.CodeChallenge)
			h.says(v.ID, 1, 1, events.DeliverySent, "")
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
	v := h.ask(verification.CodeChallenge, spoken, other)
	for range stream.DefaultSendQuota - 1 {
		_, err := h.store.Resend(t.Context(), v.ID)
		require.NoError(t, err)
	}
	h.says(v.ID, stream.DefaultSendQuota, 1, events.DeliveryFailed, events.ReasonProviderUnavailable)
	// The call would be next, but the number has had enough; the last step's, the same. Each of the three
	// reports has a handler of its own, and the next one's may be done first.
	require.ElementsMatch(t, []string{"delivery fallback", "delivery fallback", "delivery nothing"},
		[]string{next(t, h.counted), next(t, h.counted), next(t, h.counted)})
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
	v := h.ask(verification.CodeChallenge, spoken)
	h.says(v.ID, 1, 1, events.DeliverySent, "")
	h.says(v.ID, 1, 1, events.DeliveryUnanswered, "")
	require.Equal(t, "delivery fallback", next(t, h.counted))
	h.tell(events.DeliverySettled{
		ID: v.ID, Channel: events.Voice, Step: 1, Send: 1, Attempt: 1, Status: events.DeliveryFailed, Reason: events.ReasonUndeliverable,
	})
	require.Equal(t, "delivery nothing", next(t, h.counted), "the first message may have arrived")
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
	h.says(v.ID, 1, 1, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery failed", next(t, h.counted))
	require.EqualValues(t, events.ReasonUndeliverable, h.get(v.ID).Reason)
}

func TestAFailureAfterTheArrivalChangesNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.CodeChallenge, spoken)
	h.says(v.ID, 1, 1, events.DeliveryDelivered, "")
	h.says(v.ID, 1, 1, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery nothing", next(t, h.counted))
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
	_, called := h.at(events.FallbackSubject(events.Voice, v.ID, 1))
	require.False(t, called)
}

func TestACallThatFailsLateLeavesTheOneAfterItAlone(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.CodeChallenge, spoken)
	h.says(v.ID, 1, 1, events.DeliveryUnknown, "")
	h.says(v.ID, 1, 2, events.DeliverySent, "")
	h.says(v.ID, 1, 1, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery nothing", next(t, h.counted))
	_, called := h.at(events.FallbackSubject(events.Voice, v.ID, 1))
	require.False(t, called)
	h.says(v.ID, 1, 2, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery fallback", next(t, h.counted))
}

func TestACodeThatArrivedIsNotTakenBackByTheFailureOfTheNextMessage(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.CodeChallenge)
	h.says(v.ID, 1, 1, events.DeliveryDelivered, "")
	_, err := h.store.Resend(t.Context(), v.ID)
	require.NoError(t, err)
	h.says(v.ID, 2, 1, events.DeliveryFailed, events.ReasonUnsubscribed)
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
	h.askAs(id, verification.CodeChallenge, spoken)
	require.Equal(t, "fallback fallback", next(t, h.counted))
}
