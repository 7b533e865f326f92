package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

// providers replaces the one provider of the house.
func providers(list ...delivery.Candidate) func(*delivery.Handler) {
	return func(h *delivery.Handler) { h.Routes = carried(list) }
}

// answering is a provider that answers each call with the next of these; nil takes the message. The last
// stands for all that follow.
func answering(name string, answers ...error) delivery.Candidate {
	var calls atomic.Int64
	return delivery.Candidate{Provider: name, Route: "+1", Sender: delivery.SenderFunc(func(context.Context, delivery.Message) (delivery.Receipt, error) {
		n := int(calls.Add(1))
		if err := answers[min(n, len(answers))-1]; err != nil {
			return delivery.Receipt{}, err
		}
		return delivery.Receipt{ID: name + "-id"}, nil
	})}
}

// acknowledged waits for the end of a message, however often it comes again before.
func (h *house) acknowledged() {
	h.t.Helper()
	for word := ""; word != "+ACK"; word = next(h.t, h.verdicts).word {
		require.NotEqual(h.t, "+TERM", word)
	}
}

var errBusy = errors.New("status 503")

func TestWhatOneProviderDoesNotTakeTheNextOneGetsAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first error
		words []string
	}{
		"it is down":                    {errBusy, []string{"begun a 1", "retrying a 1", "begun b 2", "sent b 2"}},
		"it throttles":                  {delivery.RetryAfter(time.Minute, errBusy), []string{"begun a 1", "retrying a 1", "begun b 2", "sent b 2"}},
		"its account is wrong":          {delivery.Misconfigured(errBusy), []string{"begun a 1", "retrying a 1", "begun b 2", "sent b 2"}},
		"it may not send there":         {delivery.Permanent(events.ReasonRegionBlocked, errBusy), []string{"begun a 1", "retrying a 1", "begun b 2", "sent b 2"}},
		"the number does not exist":     {delivery.Permanent(events.ReasonUndeliverable, errBusy), []string{"begun a 1", "failed a 1"}},
		"the person wants no messages":  {delivery.Permanent(events.ReasonUnsubscribed, errBusy), []string{"begun a 1", "failed a 1"}},
		"nobody knows whether it did":   {delivery.Unknown(errBusy), []string{"begun a 1", "unknown a 1", "begun b 2", "sent b 2"}},
		"it works, so nobody else does": {nil, []string{"begun a 1", "sent a 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.work(nil, providers(answering("a", c.first), answering("b", nil)))
			a := h.activation()
			h.publish(a)
			h.acknowledged()
			require.Equal(t, c.words, h.words(a.ID))
		})
	}
}

func TestNobodyIsCalledOnceTheCallBeforeHasTakenTheRestOfTheLife(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.activation()
	slow := answering("a", errBusy)
	slow.Sender = delivery.SenderFunc(func(context.Context, delivery.Message) (delivery.Receipt, error) {
		h.clock.set(a.ExpiresAt)
		return delivery.Receipt{}, errBusy
	})
	h.work(nil, providers(slow, answering("b", nil)))
	h.publish(a)
	h.acknowledged()
	require.Equal(t, []string{"begun a 1", "retrying a 1", "expired  1"}, h.words(a.ID))
}

func TestTheLastProvidersRefusalIsFinal(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.work(nil, providers(answering("a", errBusy), answering("b", delivery.Permanent(events.ReasonRegionBlocked, errBusy))))
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, []string{"begun a 1", "retrying a 1", "begun b 2", "failed b 2"}, h.words(a.ID))
	require.Equal(t, events.ReasonRegionBlocked, h.only(a.ID).Reason)
}

func TestAProviderThatIsLeftAloneIsNotAskedAndTheWaitIsVisible(t *testing.T) {
	t.Parallel()
	h := build(t)
	shut := answering("a", nil)
	wait := 40 * time.Second
	shut.Admit = func(context.Context, time.Duration) (func(error), delivery.Refusal) {
		return nil, delivery.Refusal{Wait: wait, Reason: events.WaitPaused}
	}
	alone := h.activation()
	h.work(nil, providers(shut))
	h.publish(alone)
	v := next(t, h.verdicts)
	require.Equal(t, "-NAK", v.word)
	require.GreaterOrEqual(t, v.delay, 40*time.Second)
	require.Less(t, v.delay, 41*time.Second)
	told := h.only(alone.ID)
	require.Equal(t, []any{events.DeliveryWaiting, events.WaitPaused, "a", 0}, []any{told.Status, told.Reason, told.Provider, told.Attempt})
	require.InDelta(t, 40, told.Until.Sub(told.At).Seconds(), 1)
}

func TestAReasonToWaitIsToldOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	shut := answering("a", nil)
	shut.Admit = func(context.Context, time.Duration) (func(error), delivery.Refusal) {
		return nil, delivery.Refusal{Wait: 10 * time.Millisecond, Reason: events.WaitThrottled}
	}
	h.work(nil, providers(shut))
	a := h.activation()
	h.publish(a)
	for range 3 {
		require.Equal(t, "-NAK", next(t, h.verdicts).word)
	}
	require.Equal(t, events.DeliveryWaiting, h.only(a.ID).Status)
}

func TestAnAddressThatNoRuleMatchesFailsByItsChannel(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.work(nil, providers())
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.ReasonRegionBlocked, h.only(a.ID).Reason)
}

func TestThrottlingBurnsNoAttemptAndOtherFailuresDo(t *testing.T) {
	t.Parallel()
	h := build(t)
	throttled := delivery.RetryAfter(time.Millisecond, errBusy)
	h.work(nil, providers(answering("a", throttled, throttled, throttled, errBusy, nil)), func(d *delivery.Handler) { d.Policy.MaxAttempts = 2 })
	a := h.activation()
	h.publish(a)
	h.acknowledged()
	require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
	require.Equal(t, 5, h.only(a.ID).Attempt)
}

func TestAMessageThatNobodyTakesIsGivenUpAndKept(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.work(nil, providers(answering("a", errBusy)), func(d *delivery.Handler) { d.Policy.MaxAttempts = 2 })
	a := h.activation()
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	r := h.only(a.ID)
	require.Equal(t, events.DeliveryFailed, r.Status)
	require.Equal(t, events.ReasonProviderUnavailable, r.Reason)
	letters := h.buried()
	require.Len(t, letters, 1)
	require.Equal(t, events.LetterUndelivered, letters[0].Kind)
	require.Equal(t, events.ReasonProviderUnavailable, letters[0].Reason)
	require.Equal(t, a.ID, letters[0].VerificationID)
	require.Equal(t, events.LetterUndelivered, next(t, h.letters), "it is counted")
}

// begun writes the send record that a process left behind that was killed during its call.
func (h *house) begun(a events.VerificationActivated, ago time.Duration, receipts bool) {
	h.t.Helper()
	at := h.clock.now().Add(-ago)
	until := at.Add(delivery.DefaultSendTimeout)
	require.NoError(h.t, h.pub.Begin(h.t.Context(), events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Send: a.Send, Status: events.DeliveryBegun, Provider: "a", Attempt: 1,
		Receipts: receipts, Until: &until, At: at,
	}))
}

func TestACallThatAnotherProcessMayStillMakeIsWaitedFor(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.activation()
	h.begun(a, 4*time.Second, false)
	h.work(nil, providers(answering("a", nil)))
	h.publish(a)
	v := next(t, h.verdicts)
	require.Equal(t, verdict{"-NAK", delivery.DefaultSendTimeout - 4*time.Second}, v, "the rest of the time that the call may take")
	require.Equal(t, []string{"begun a 1"}, h.words(a.ID))
}

func TestACallOfUnknownFateIsFollowedByThePolicysStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy   delivery.Fate
		receipts bool
		ago      time.Duration
		words    []string
		verdict  string
	}{
		"resend sends again": {
			delivery.Resend, true, 20 * time.Second,
			[]string{"begun a 1", "unknown a 1", "begun a 2", "sent a 2"},
			"+ACK",
		},
		"hold waits for the receipt": {
			delivery.Hold, true, 20 * time.Second, []string{"begun a 1", "unknown a 1"}, "-NAK",
		},
		"hold sends again what the provider never had": {
			delivery.Hold, true, 31 * time.Second,
			[]string{"begun a 1", "unknown a 1", "begun a 2", "sent a 2"},
			"+ACK",
		},
		"hold sends nothing again where no receipt comes": {
			delivery.Hold, false, 31 * time.Second, []string{"begun a 1", "unknown a 1"}, "-NAK",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			a := h.activation()
			h.begun(a, c.ago, c.receipts)
			h.work(nil, providers(answering("a", nil), answering("b", nil)), func(d *delivery.Handler) { d.Policy.Unknown = c.policy })
			h.publish(a)
			require.Equal(t, c.verdict, next(t, h.verdicts).word)
			require.Equal(t, c.words, h.words(a.ID))
		})
	}
}

func TestAReceiptThatComesEndsTheWait(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.activation()
	h.begun(a, 11*time.Second, true)
	h.work(nil, providers(answering("a", nil)), func(d *delivery.Handler) { d.Policy.Unknown = delivery.Hold })
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.NoError(t, h.pub.Settle(t.Context(), events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Send: 1, Status: events.DeliverySent, Provider: "a", ProviderID: "SM1", Attempt: 1, At: h.clock.now(),
	}))
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, []string{"begun a 1", "unknown a 1", "sent a 1"}, h.words(a.ID))
}

func TestOfTwoWorkersThatGetOneMessageOneCalls(t *testing.T) {
	t.Parallel()
	h := build(t)
	calling, release := make(chan delivery.Message, 8), make(chan struct{})
	slow := func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		calling <- m
		<-release
		return delivery.Receipt{ID: "SM1"}, nil
	}
	h.work(slow)
	a := h.activation()
	h.publish(a)
	next(t, calling)
	// A broker that was killed forgets whom it gave the message: another worker gets it too.
	require.NoError(t, h.js.DeleteConsumer(t.Context(), stream.Activations, consumer))
	h.work(slow)
	v := next(t, h.verdicts)
	require.Equal(t, "-NAK", v.word)
	require.Positive(t, v.delay)
	close(release)
	require.Empty(t, calling)
}

func TestWhatWasAnsweredMeanwhileIsNotSent(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	a := h.activation(func(a *events.VerificationActivated) { a.RequestedAt = a.RequestedAt.Add(-time.Minute) })
	closed := h.clock.now()
	outcome, err := events.Encode(events.VerificationChanged{Version: events.Version, ID: a.ID, Status: "canceled", ClosedAt: &closed, ChangedAt: closed})
	require.NoError(t, err)
	_, err = h.pub.Put(t.Context(), events.OutcomeSubject(a.ID), outcome)
	require.NoError(t, err)
	h.work(took(sent))
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.DeliveryExpired, h.only(a.ID).Status)
	require.Equal(t, events.ReasonClosed, h.only(a.ID).Reason)
	require.Empty(t, sent)
}

// scheduling is a journal that hands on which timers are made.
type scheduling struct {
	delivery.Journal
	made chan events.TimerDue
	at   chan time.Time
}

func (s scheduling) Schedule(_ context.Context, at time.Time, t events.TimerDue) error {
	s.made <- t
	s.at <- at
	return nil
}

func TestAReceiptIsMissedWhereSomethingCouldBeDoneWithoutIt(t *testing.T) {
	t.Parallel()
	with := func(patience time.Duration) delivery.Candidate {
		c := answering("a", nil)
		c.Receipts, c.Patience = true, patience
		return c
	}
	ladder := []events.FallbackStep{{Channel: events.Voice, After: 30}}
	for name, c := range map[string]struct {
		candidates []delivery.Candidate
		fallback   []events.FallbackStep
		want       *events.TimerDue
	}{
		"another provider":        {[]delivery.Candidate{with(7 * time.Second), answering("b", nil)}, nil, &events.TimerDue{Kind: "receipt", Send: 1, Provider: "a", Other: true}},
		"a fallback":              {[]delivery.Candidate{with(7 * time.Second)}, ladder, &events.TimerDue{Kind: "receipt", Send: 1, Provider: "a"}},
		"nothing could be done":   {[]delivery.Candidate{with(7 * time.Second)}, nil, nil},
		"nothing is learned yet":  {[]delivery.Candidate{with(0), answering("b", nil)}, ladder, nil},
		"it would come too late":  {[]delivery.Candidate{with(life), answering("b", nil)}, ladder, nil},
		"the provider gives none": {[]delivery.Candidate{answering("a", nil), answering("b", nil)}, ladder, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			s := scheduling{made: make(chan events.TimerDue, 4), at: make(chan time.Time, 4)}
			h.work(nil, providers(c.candidates...), func(d *delivery.Handler) { s.Journal = d.Journal; d.Journal = s })
			a := h.activation(func(a *events.VerificationActivated) { a.Fallback = c.fallback })
			h.publish(a)
			require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
			if c.want == nil {
				require.Empty(t, s.made)
				return
			}
			c.want.ID = a.ID
			require.Equal(t, *c.want, next(t, s.made))
			require.Equal(t, h.clock.now().Add(7*time.Second), next(t, s.at))
		})
	}
}

func TestARefusalIsNotFinalWhileAnotherProviderIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := build(t)
	shut := answering("a", nil)
	shut.Admit = func(context.Context, time.Duration) (func(error), delivery.Refusal) {
		return nil, delivery.Refusal{Wait: time.Second}
	}
	h.work(nil, providers(shut, answering("b", delivery.Permanent(events.ReasonRegionBlocked, errBusy))))
	a := h.activation()
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Equal(t, []string{"begun b 1", "retrying b 1"}, h.words(a.ID))
}

// An idempotency key that is used again after its grace gives the same id, and send records outlive the grace.
func TestASendRecordOfAnEarlierLifeTakesAPlaceAndStopsNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.activation()
	h.begun(a, life+events.Grace, false)
	h.work(nil, providers(answering("a", nil)))
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, []string{"begun a 1", "begun a 2", "sent a 2"}, h.words(a.ID))
}

func TestAProviderThatWasTriedInVainIsNoOther(t *testing.T) {
	t.Parallel()
	h := build(t)
	second := answering("b", nil)
	second.Receipts, second.Patience = true, 7*time.Second
	s := scheduling{made: make(chan events.TimerDue, 4), at: make(chan time.Time, 4)}
	h.work(nil, providers(answering("a", nil), second), func(d *delivery.Handler) { s.Journal = d.Journal; d.Journal = s })
	a := h.activation(func(a *events.VerificationActivated) {
		a.Send, a.Avoid, a.Fallback = 2, []string{"a"}, []events.FallbackStep{{Channel: events.Voice, After: 30}}
	})
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	due := next(t, s.made)
	require.Equal(t, "b", due.Provider)
	require.False(t, due.Other, "it is the fallback's turn, not the first provider's again")
}

func TestWhatMayHaveBeenAnsweredIsNotCalledExpired(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.activation()
	h.begun(a, 20*time.Second, false)
	closed := h.clock.now()
	outcome, err := events.Encode(events.VerificationChanged{Version: events.Version, ID: a.ID, Status: "approved", ClosedAt: &closed, ChangedAt: closed})
	require.NoError(t, err)
	_, err = h.pub.Put(t.Context(), events.OutcomeSubject(a.ID), outcome)
	require.NoError(t, err)
	h.work(nil, providers(answering("a", nil)))
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, []string{"begun a 1", "unknown a 1"}, h.words(a.ID))
}
