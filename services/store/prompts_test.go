package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
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
