package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

func TestAnAnswerBecomesTheStatus(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	for decision, want := range map[events.Decision]struct {
		status verification.Status
		reason verification.Reason
	}{
		events.Approve: {verification.Approved, ""},
		events.Deny:    {verification.Denied, ""},
		events.NotMe:   {verification.Denied, verification.NotMe},
	} {
		for _, challenge := range []verification.Challenge{verification.ApprovalChallenge, verification.LinkChallenge} {
			v := h.ask(challenge)
			h.answer(v.ID, decision)
			require.Equal(t, "sms "+string(want.status), next(t, h.counted))
			require.Equal(t, "+ACK", next(t, h.settled))
			after := h.get(v.ID)
			require.Equal(t, want.status, after.Status)
			require.Equal(t, want.reason, after.Reason)
			require.False(t, after.ClosedAt.IsZero())
		}
	}
}

func TestWhoWaitsElsewhereIsWokenByAnAnswer(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.ApprovalChallenge)
	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	woken := make(chan verification.Verification, 1)
	go func() {
		after, err := h.store.Await(ctx, v.ID, v.Revision)
		if err != nil {
			t.Error(err)
			return
		}
		woken <- *after
	}()
	h.answer(v.ID, events.Approve)
	require.Equal(t, verification.Approved, next(t, woken).Status)
}

func TestWhatChangesNothingIsSettledAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		challenge verification.Challenge
		do        func(*house, string)
		counted   string
		status    verification.Status
	}{
		"an answer after the end": {
			verification.ApprovalChallenge, func(h *house, id string) {
				h.clock.forward(verification.DefaultLife)
				h.answer(id, events.Approve)
			}, "sms late", verification.Expired,
		},
		"an answer to a canceled question": {
			verification.ApprovalChallenge, func(h *house, id string) {
				_, err := h.store.Resolve(h.t.Context(), id, verification.Cancel{})
				require.NoError(h.t, err)
				h.answer(id, events.Approve)
			}, "sms late", verification.Canceled,
		},
		"an answer to an id nobody knows": {
			verification.ApprovalChallenge, func(h *house, _ string) { h.answer(uuid.NewString(), events.Approve) },
			"sms ignored", verification.Pending,
		},
		"an answer to an id that is none": {
			verification.ApprovalChallenge, func(h *house, id string) {
				h.put(events.ResponseSubject(events.ResponseSMS, id), `{"version":1,"id":"*","kind":"sms","decision":"approve"}`)
			}, "sms ignored", verification.Pending,
		},
		"an approval where a code was asked": {
			verification.CodeChallenge, func(h *house, id string) { h.answer(id, events.Approve) },
			"sms ignored", verification.Pending,
		},
		"a decision nobody knows": {
			verification.ApprovalChallenge, func(h *house, id string) { h.answer(id, "perhaps") },
			"sms ignored", verification.Pending,
		},
		"no decision": {
			verification.ApprovalChallenge, func(h *house, id string) { h.answer(id, "") },
			"sms ignored", verification.Pending,
		},
		"a failed delivery of an id nobody knows": {
			verification.ApprovalChallenge, func(h *house, _ string) {
				h.report(uuid.NewString(), 1, events.DeliveryFailed, events.ReasonUndeliverable)
			}, "delivery ignored", verification.Pending,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.verify()
			v := h.ask(c.challenge)
			c.do(h, v.ID)
			require.Equal(t, c.counted, next(t, h.counted))
			require.Equal(t, "+ACK", next(t, h.settled))
			require.LessOrEqual(t, h.drained(stream.Responses, verifier.ResponsesConsumer), uint64(1))
			require.LessOrEqual(t, h.drained(stream.Deliveries, verifier.DeliveriesConsumer), uint64(1))
			require.Equal(t, c.status, h.get(v.ID).Status)
		})
	}
}

func TestARepeatedAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.ApprovalChallenge)
	again := events.ResponseReceived{
		EventID: "SM1", ID: v.ID, Kind: events.ResponseSMS, Decision: events.Approve, ReceivedAt: h.clock.now(),
	}
	for range 3 { // the same event: the broker keeps one
		require.NoError(t, h.pub.Respond(t.Context(), again))
	}
	require.Equal(t, "sms approved", next(t, h.counted))
	first := h.get(v.ID)
	for _, d := range []events.Decision{events.Approve, events.Deny, events.NotMe} { // new events that say it again, or otherwise
		h.answer(v.ID, d)
		require.Equal(t, "sms late", next(t, h.counted))
	}
	h.report(v.ID, 1, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery late", next(t, h.counted))
	require.Equal(t, first, h.get(v.ID))
	require.EqualValues(t, 4, h.drained(stream.Responses, verifier.ResponsesConsumer))
	require.EqualValues(t, 1, h.writes())
}

func TestWhatTheBrokerCouldNotAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]error{
		"unavailable": fmt.Errorf("%w: no reply", verification.ErrUnavailable),
		"unexpected":  errors.New("something else"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			var tries tally
			h.verify(func(r verifier.Resolver) verifier.Resolver {
				return watched{r, func(id string) error {
					if tries.add(id); tries.of(id) <= 2 {
						return trouble
					}
					return nil
				}}
			})
			answered, undelivered := h.ask(verification.ApprovalChallenge), h.ask(verification.CodeChallenge)
			h.answer(answered.ID, events.Deny)
			h.report(undelivered.ID, 1, events.DeliveryFailed, events.ReasonUndeliverable)
			require.ElementsMatch(t, []string{"sms denied", "delivery failed"}, []string{next(t, h.counted), next(t, h.counted)})
			words := map[string]int{}
			for range 6 {
				words[next(t, h.settled)]++
			}
			require.Equal(t, map[string]int{"-NAK": 4, "+ACK": 2}, words)
			require.EqualValues(t, 3, h.drained(stream.Responses, verifier.ResponsesConsumer))
			require.EqualValues(t, 3, h.drained(stream.Deliveries, verifier.DeliveriesConsumer))
			require.Equal(t, verification.Denied, h.get(answered.ID).Status)
			require.Equal(t, verification.Failed, h.get(undelivered.ID).Status)
			require.Empty(t, h.counted, "what was not applied is not counted")
		})
	}
}

func TestAnAnswerToABrokerThatIsAwayIsAppliedWhenItIsBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	away := h.connect() // the connection of a store whose broker is gone
	var tries tally
	lost := make(chan error, 1)
	broken := h.storeOn(away)
	away.Conn().Close()
	h.verify(func(r verifier.Resolver) verifier.Resolver {
		return resolving{r, func(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
			if tries.add(id); tries.of(id) > 1 {
				return r.Resolve(ctx, id, f)
			}
			v, err := broken.Resolve(ctx, id, f)
			lost <- err
			return v, err
		}, nil}
	})
	v := h.ask(verification.ApprovalChallenge)
	h.answer(v.ID, events.Approve)
	require.ErrorIs(t, next(t, lost), verification.ErrUnavailable)
	require.Equal(t, "-NAK", next(t, h.settled))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, verification.Approved, h.get(v.ID).Status)
}

func TestGarbageIsBuriedAndStopsNobody(t *testing.T) {
	t.Parallel()
	h := build(t)
	v, w := h.ask(verification.ApprovalChallenge), h.ask(verification.CodeChallenge)
	h.put(events.ResponseSubject(events.ResponseSMS, v.ID), "not JSON")
	h.put(events.ResponseSubject(events.ResponsePush, v.ID), `{"version":99,"id":"`+v.ID+`","decision":"approve"}`)
	h.put(events.ResponseSubject(events.ResponseLink, v.ID), `{"version":1,"id":7,"decision":"approve"}`)
	h.put(events.DeliverySubject(w.ID, events.DeliveryFailed), "[]")
	h.answer(v.ID, events.Deny)
	h.report(w.ID, 1, events.DeliveryFailed, events.ReasonRegionBlocked)
	h.verify()
	words := map[string]int{}
	for range 6 {
		words[next(t, h.settled)]++
	}
	require.Equal(t, map[string]int{"+TERM": 4, "+ACK": 2}, words)
	require.Equal(t, verification.Denied, h.get(v.ID).Status)
	require.Equal(t, verification.Failed, h.get(w.ID).Status)

	s, err := h.js.Stream(t.Context(), stream.DeadLetters)
	require.NoError(t, err)
	require.EqualValues(t, 4, s.CachedInfo().State.Msgs)
	raw, err := s.GetLastMsgForSubject(t.Context(), events.DeadLetterSubject(verifier.DeliveriesConsumer))
	require.NoError(t, err)
	letter, err := events.Decode[events.DeadLetter](raw.Data)
	require.NoError(t, err)
	require.EqualValues(t, 2, letter.Size)
	require.Equal(t, events.DeliverySubject(w.ID, events.DeliveryFailed), letter.Subject)
}

func TestAFailedDeliveryClosesWithItsReason(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	for _, challenge := range []verification.Challenge{verification.CodeChallenge, verification.LinkChallenge, verification.ApprovalChallenge} {
		v := h.ask(challenge)
		h.report(v.ID, 1, events.DeliveryFailed, events.ReasonUnsubscribed)
		require.Equal(t, "delivery failed", next(t, h.counted))
		require.Equal(t, "+ACK", next(t, h.settled))
		after := h.get(v.ID)
		require.Equal(t, verification.Failed, after.Status)
		require.EqualValues(t, events.ReasonUnsubscribed, after.Reason)
	}
}

func TestOtherStepsOfADeliveryCloseNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.CodeChallenge)
	for _, status := range []string{events.DeliverySent, events.DeliveryUnanswered, events.DeliveryDelivered, events.DeliveryExpired} {
		h.report(v.ID, 1, status, events.ReasonUndeliverable)
	}
	// One that says something else than its subject does is not taken by its subject.
	h.put(events.DeliverySubject(v.ID, events.DeliveryFailed), `{"version":1,"id":"`+v.ID+`","send":1,"status":"sent"}`)
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.EqualValues(t, 2, h.drained(stream.Deliveries, verifier.DeliveriesConsumer))
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
	require.Equal(t, "delivery nothing", next(t, h.counted), "that nobody took the call, and no fallback is left")
	require.Empty(t, h.counted)
	require.Zero(t, h.writes())
}

func TestAFailureOfAnEarlierSendLeavesTheResendItsChance(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.CodeChallenge)
	_, err := h.store.Resend(t.Context(), v.ID)
	require.NoError(t, err)
	h.report(v.ID, 1, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery nothing", next(t, h.counted))
	require.Equal(t, verification.Pending, h.get(v.ID).Status)
	h.report(v.ID, 2, events.DeliveryFailed, events.ReasonUndeliverable)
	require.Equal(t, "delivery failed", next(t, h.counted))
	require.Equal(t, verification.Failed, h.get(v.ID).Status)
}

func TestTwoVerifiersSideBySideCloseEachVerificationExactlyOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	const verifications, published = 40, 200
	ids := make([]string, verifications)
	for i := range ids {
		ids[i] = h.ask(verification.ApprovalChallenge).ID
	}
	var closed tally
	var mu sync.Mutex
	statuses := map[string]verification.Status{}
	// Nobody resolves before both have something: what one may hold at once is less than there is.
	var both sync.WaitGroup
	both.Add(2)
	counting := func(by string) func(verifier.Resolver) verifier.Resolver {
		arrive := sync.OnceFunc(both.Done)
		return func(r verifier.Resolver) verifier.Resolver {
			note := func(id string, s verification.Status) {
				closed.add(id)
				mu.Lock()
				defer mu.Unlock()
				statuses[id] = s
			}
			return watched{resolving{r, func(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
				v, err := r.Resolve(ctx, id, f)
				if err == nil {
					note(id, v.Status)
				}
				return v, err
			}, func(id string) { note(id, verification.Failed) }}, func(string) error {
				arrive()
				both.Wait()
				closed.add(by)
				return nil
			}}
		}
	}
	h.verify(counting("first"))
	h.verify(counting("second"))

	var wg sync.WaitGroup
	for _, id := range ids {
		for _, d := range []events.Decision{events.Approve, events.Deny, events.NotMe, events.Approve} {
			wg.Go(func() {
				if err := h.pub.Respond(t.Context(), events.ResponseReceived{
					EventID: uuid.NewString(), ID: id, Kind: events.ResponseSMS, Decision: d, ReceivedAt: time.Now(),
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := h.pub.Settle(t.Context(), events.DeliverySettled{
				ID: id, Channel: events.SMS, Send: 1, Status: events.DeliveryFailed, Reason: events.ReasonUndeliverable, At: time.Now(),
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range published {
		require.Equal(t, "+ACK", next(t, h.settled))
	}
	h.drained(stream.Responses, verifier.ResponsesConsumer)
	h.drained(stream.Deliveries, verifier.DeliveriesConsumer)
	require.Len(t, h.counted, published)
	for _, id := range ids {
		require.Equal(t, 1, closed.of(id), "one fact closes")
		require.Equal(t, statuses[id], h.get(id).Status)
		require.True(t, h.get(id).Status.Closed())
	}
	require.EqualValues(t, verifications, h.writes(), "each closed by one write")
	require.Equal(t, published, closed.of("first")+closed.of("second"))
}

func TestWithoutACounterEverythingIsAppliedAllTheSame(t *testing.T) {
	t.Parallel()
	h := build(t)
	v := h.ask(verification.ApprovalChallenge)
	h.verifyWith(func(v *verifier.Verifier) { v.Resolved = nil })
	h.answer(v.ID, events.Approve)
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, verification.Approved, h.get(v.ID).Status)
}

func TestAnAnswerToAnEarlierQuestionOfTheSameIDAnswersNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	id := uuid.NewString()
	h.askAs(id, verification.LinkChallenge)
	h.answer(id, events.Approve) // no verifier runs
	h.clock.forward(verification.DefaultLife + events.Grace + time.Second)
	s, err := h.js.Stream(t.Context(), stream.Activations)
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context())) // its time to live is over
	h.store = h.newStore()
	h.askAs(id, verification.LinkChallenge)
	log := &lines{}
	h.verifyWith(func(v *verifier.Verifier) { v.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	require.Equal(t, "sms ignored", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, verification.Pending, h.get(id).Status)
	require.Contains(t, log.String(), "the answer was to another that had its id")

	h.answer(id, events.Approve)
	require.Equal(t, "sms approved", next(t, h.counted), "the answer to this one counts")
}

func TestAnAnswerCountsThoughTheClockOfWhoTookItIsSlow(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	v := h.ask(verification.LinkChallenge)
	require.NoError(t, h.pub.Respond(t.Context(), events.ResponseReceived{
		EventID: uuid.NewString(), ID: v.ID, Kind: events.ResponseSMS, Decision: events.Approve, ReceivedAt: v.CreatedAt.Add(-5 * time.Minute),
	}))
	require.Equal(t, "sms approved", next(t, h.counted))
}
