package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// prompt asks a user by push, as change leaves it.
func (h *house) prompt(userID string, change ...func(*verification.Params)) verification.Activation {
	h.t.Helper()
	a := h.activation(append([]func(*verification.Params){func(p *verification.Params) {
		p.Channel, p.Challenge, p.UserID, p.DeviceID = verification.Push, verification.ApprovalChallenge, userID, uuid.NewString()
	}}, change...)...)
	a.To, a.Platform = "token-"+a.Verification.ID, "fcm"
	return a
}

func prompts(n int) func(*store.Config) {
	return func(c *store.Config) {
		c.Prompts = store.PromptLimits{MaxUnanswered: n, UnansweredFor: time.Hour}
		c.Limits.SendQuota, c.Limits.SendWindow = 1000, 10*time.Minute
	}
}

// roomy lets one user have many messages, so that only prompts are limited.
func roomy(t *testing.T, h *house) {
	t.Helper()
	require.NoError(t, stream.Ensure(t.Context(), h.js(), stream.Topology{SendQuota: 1000}))
}

func (h *house) status(s *store.Verifications, id string) (verification.Status, verification.Reason) {
	h.t.Helper()
	v, err := s.Get(h.t.Context(), id)
	require.NoError(h.t, err)
	return v.Status, v.Reason
}

// stand asserts where verifications stand; what is canceled was replaced.
func (h *house) stand(s *store.Verifications, want verification.Status, ids ...string) {
	h.t.Helper()
	for _, id := range ids {
		status, reason := h.status(s, id)
		require.Equal(h.t, want, status, "it is %s", reason)
		require.Equal(h.t, want == verification.Canceled, reason == verification.Overtaken)
	}
}

// answer applies a decision as the verifier does, after a process of the api that did so itself.
func (h *house) answer(s *store.Verifications, id string, d verification.Decision) {
	h.t.Helper()
	v, err := s.Resolve(h.t.Context(), id, verification.Answered{Decision: d})
	require.NoError(h.t, err)
	for range 2 { // its event may come again
		require.NoError(h.t, s.Answered(h.t.Context(), v))
	}
}

func limit(t *testing.T, s *store.Verifications, a verification.Activation) *verification.LimitError {
	t.Helper()
	_, _, err := s.Create(t.Context(), a)
	var l *verification.LimitError
	require.ErrorAs(t, err, &l)
	return l
}

func TestANewPromptReplacesTheOneBeforeAndItsPollerLearnsAtOnce(t *testing.T) {
	h := build(t)
	one, two := h.store(prompts(5)), h.store(prompts(5))
	ana := uuid.NewString()
	first := create(t, one, h.prompt(ana))
	others := []verification.Verification{
		create(t, one, h.prompt(uuid.NewString())),
		create(t, one, h.prompt(ana, func(p *verification.Params) { p.Credential = "bank" })),
		create(t, one, h.prompt(ana, func(p *verification.Params) { p.Challenge = verification.CodeChallenge })),
		create(t, one, h.activation(func(p *verification.Params) { p.UserID, p.Challenge = ana, verification.ApprovalChallenge })),
	}
	polled := make(chan verification.Verification, 1)
	go func() {
		v, err := one.Await(t.Context(), first.ID, first.Revision)
		if err != nil {
			t.Error(err)
			return
		}
		polled <- *v
	}()
	second := create(t, two, h.prompt(ana))
	select {
	case v := <-polled:
		require.Equal(t, verification.Canceled, v.Status)
		require.Equal(t, verification.Overtaken, v.Reason)
	case <-time.After(waitLong):
		require.FailNow(t, "the poller waits in vain")
	}
	for _, v := range append(others, second) {
		status, _ := h.status(one, v.ID)
		require.Equal(t, verification.Pending, status, "%s %s of %s", v.Channel, v.Challenge, v.Credential)
	}
}

func TestARepeatedOrRefusedCreateReplacesNothing(t *testing.T) {
	h := build(t)
	list := h.list()
	s := h.store(prompts(2), func(c *store.Config) { c.Suppressions = list })
	ana := uuid.NewString()
	under := h.prompt(ana)
	under.IdempotencyKey, under.Body = "k", []byte("body")
	under.Verification.ID = s.IDFor("shop", "k")
	create(t, s, under)
	newest := create(t, s, h.prompt(ana))

	_, replayed, err := s.Create(t.Context(), under)
	require.NoError(t, err)
	require.True(t, replayed)
	stays := func() {
		t.Helper()
		status, _ := h.status(s, newest.ID)
		require.Equal(t, verification.Pending, status)
	}
	stays()

	require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy)
	stays()

	h.answer(s, newest.ID, verification.Approve)
	last := h.prompt(ana)
	newest = create(t, s, last)
	keep := h.suppressions()
	for range stream.DefaultSendQuota - 3 { // the user has had three
		create(t, s, h.activation(func(p *verification.Params) { p.UserID = ana }))
	}
	require.Equal(t, events.WindowUser, limit(t, s, h.prompt(ana)).Policy, "the limit of sends")
	stays()
	require.Equal(t, events.WindowUser, limit(t, s, h.prompt(ana)).Policy, "what was refused counts as no prompt")

	gone := h.prompt(ana)
	e := byHand(gone.To)
	e.Channel = "push"
	_, _, err = keep.AddSuppression(t.Context(), e)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	_, _, err = s.Create(t.Context(), gone)
	require.ErrorContains(t, err, "gets no messages")
	stays()
}

func TestTwoPromptsAtOnceLeaveOneOpen(t *testing.T) {
	h := build(t)
	roomy(t, h)
	stores := []*store.Verifications{h.store(prompts(100)), h.store(prompts(100)), h.store(prompts(0))}
	for range 20 {
		ana := uuid.NewString()
		var wg sync.WaitGroup
		ids := make([]string, 6)
		for i := range ids {
			a := h.prompt(ana)
			ids[i] = a.Verification.ID
			wg.Go(func() {
				if _, _, err := stores[i%len(stores)].Create(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var open int
		for _, id := range ids {
			switch status, reason := h.status(stores[0], id); status {
			case verification.Pending:
				open++
			default:
				require.Equal(t, verification.Canceled, status)
				require.Equal(t, verification.Overtaken, reason)
			}
		}
		require.Equal(t, 1, open)
	}
}

func TestAUserWhoAnswersNothingGetsNoMorePrompts(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s := h.store(prompts(3))
	ana, began := uuid.NewString(), h.clock.now()
	for range 3 {
		create(t, s, h.prompt(ana))
		h.clock.forward(time.Minute)
	}
	l := limit(t, s, h.prompt(ana))
	require.Equal(t, verification.PolicyPrompts, l.Policy)
	require.Equal(t, 3, l.Quota)
	require.Equal(t, time.Hour, l.Window)
	require.InDelta(t, began.Add(time.Hour).Sub(h.clock.now()), l.RetryAfter, float64(5*time.Second), "until the first leaves")
	create(t, s, h.prompt(uuid.NewString()))
	create(t, s, h.prompt(ana, func(p *verification.Params) { p.Challenge = verification.CodeChallenge }))
	create(t, s, h.activation(func(p *verification.Params) { p.UserID = ana }))

	h.clock.forward(l.RetryAfter)
	create(t, s, h.prompt(ana))
	require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy, "the next leaves a minute later")
}

func TestTheGreatestLimitOfPromptsIsOne(t *testing.T) {
	h := build(t)
	roomy(t, h)
	greatest := store.PromptLimits{MaxUnanswered: 100, UnansweredFor: time.Hour}
	require.Empty(t, greatest.Validate())
	greatest.MaxUnanswered++
	require.Len(t, greatest.Validate(), 1)
	s := h.store(prompts(100))
	ana := uuid.NewString()
	for range 100 {
		create(t, s, h.prompt(ana))
	}
	require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy)
	h.clock.forward(time.Hour)
	create(t, s, h.prompt(ana))
}

// forget drops a verification from the broker, as its time to live does.
func (h *house) forget(v verification.Verification) {
	h.t.Helper()
	activations, err := h.js().Stream(h.t.Context(), stream.Activations)
	require.NoError(h.t, err)
	require.NoError(h.t, activations.Purge(h.t.Context(), jetstream.WithPurgeSubject(events.ActivationSubject(events.Push, v.ID))))
}

func TestAPromptOfTheNextLifeOfItsKeyIsTheNewest(t *testing.T) {
	h := build(t)
	s := h.store(prompts(5))
	ana := uuid.NewString()
	under := func() verification.Activation {
		a := h.prompt(ana, func(p *verification.Params) { p.ID = s.IDFor("shop", "login-of-ana") })
		a.IdempotencyKey, a.Body = "login-of-ana", []byte("body")
		return a
	}
	first := create(t, s, under())
	h.clock.forward(18 * time.Minute)
	between := create(t, s, h.prompt(ana))
	h.clock.forward(verification.DefaultLife + events.Grace - 17*time.Minute)
	h.forget(first)

	newest := create(t, s, under())
	require.Equal(t, first.ID, newest.ID)
	h.stand(s, verification.Pending, newest.ID)
	h.stand(s, verification.Canceled, between.ID)
	late := first
	late.Status = verification.Approved
	require.NoError(t, s.Answered(t.Context(), late), "an event of the first life, which comes late")
	last := create(t, s, h.prompt(ana))
	h.stand(s, verification.Canceled, newest.ID)
	h.stand(s, verification.Pending, last.ID)
}

func TestAnAnswerCountsAndNotMeDoesNot(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s := h.store(prompts(3))
	for name, c := range map[string]struct {
		answer verification.Decision
		room   int
	}{
		"an approval makes room for as many again": {verification.Approve, 3},
		"a denial answers its own prompt":          {verification.Deny, 1},
		"what was not theirs counts on":            {verification.DecisionNotMe, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ana := uuid.NewString()
			var last verification.Verification
			for range 3 {
				last = create(t, s, h.prompt(ana))
				h.clock.forward(time.Second)
			}
			h.answer(s, last.ID, c.answer)
			for range c.room {
				create(t, s, h.prompt(ana))
				h.clock.forward(time.Second)
			}
			require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy)
			again, err := s.Get(t.Context(), last.ID)
			require.NoError(t, err)
			require.NoError(t, s.Answered(t.Context(), again), "an event that comes late")
			require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy, "and resets nothing that came after it")
		})
	}
}

func TestAPromptThatNeverArrivedWasLeftByNobody(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s := h.store(prompts(2))
	ana := uuid.NewString()
	for range 5 {
		v := create(t, s, h.prompt(ana))
		move, err := s.Undelivered(t.Context(), events.DeliverySettled{
			ID: v.ID, Channel: events.Push, Send: 1, Status: events.DeliveryFailed, Reason: events.ReasonDeviceGone, At: h.clock.now(),
		})
		require.NoError(t, err)
		require.True(t, move.Close)
		h.stand(s, verification.Failed, v.ID)
	}
	create(t, s, h.prompt(ana))
	create(t, s, h.prompt(ana))
	require.Equal(t, 2, limit(t, s, h.prompt(ana)).Quota)
}

func TestWhatIsNoPromptCostsNoRecord(t *testing.T) {
	h := build(t)
	s := h.store(prompts(3))
	ana := uuid.NewString()
	for _, change := range []func(*verification.Params){
		func(*verification.Params) {},
		func(p *verification.Params) { p.Challenge = verification.LinkChallenge },
		func(p *verification.Params) { p.Challenge = verification.ApprovalChallenge },
		func(p *verification.Params) { p.Channel = verification.Push },
	} {
		v := create(t, s, h.activation(func(p *verification.Params) { p.UserID = ana; change(p) }))
		require.NoError(t, s.Answered(t.Context(), v))
	}
	v := create(t, s, h.prompt(""))
	require.NoError(t, s.Answered(t.Context(), v), "an app without a user")
	st, err := h.js().Stream(t.Context(), stream.Prompts)
	require.NoError(t, err)
	require.Equal(t, uint64(1), st.CachedInfo().State.LastSeq, "that of the one push approval")
}

func TestPromptLimitsNameAllTheirFaults(t *testing.T) {
	require.Empty(t, store.DefaultPromptLimits().Validate())
	require.Empty(t, store.PromptLimits{UnansweredFor: time.Minute}.Validate(), "none")
	require.Len(t, store.PromptLimits{MaxUnanswered: -1, UnansweredFor: 25 * time.Hour}.Validate(), 2)
	require.Len(t, store.PromptLimits{MaxUnanswered: 101}.Validate(), 2)
}

func TestTwoPeopleWithOneBrowserDoNotUseUpEachOthersSends(t *testing.T) {
	t.Parallel()
	h := build(t)
	s := h.store()
	ask := func(dev string) error {
		a := h.prompt(uuid.NewString(), func(p *verification.Params) { p.DeviceID = dev })
		a.To = "the token of one browser"
		_, _, err := s.Create(t.Context(), a)
		return err
	}
	ana, ben := uuid.NewString(), uuid.NewString()
	for range stream.DefaultSendQuota {
		require.NoError(t, ask(ana))
	}
	var limit *verification.LimitError
	require.ErrorAs(t, ask(ana), &limit, "one device has its sends")
	require.Equal(t, events.WindowDestination, limit.Policy)
	require.NoError(t, ask(ben), "and the other its own")
}

func TestATrialLeavesOpenQuestionsAlone(t *testing.T) {
	t.Parallel()
	h := build(t)
	s := h.store(prompts(5))
	ana := uuid.NewString()
	question, _, err := s.Create(t.Context(), h.prompt(ana))
	require.NoError(t, err)
	trial, _, err := s.Create(t.Context(), h.prompt(ana, func(p *verification.Params) { p.Trial = true }))
	require.NoError(t, err)
	require.True(t, trial.Trial)
	h.stand(s, verification.Pending, question.ID, trial.ID)
}
