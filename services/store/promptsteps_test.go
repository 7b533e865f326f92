package store_test

import (
	"errors"
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

// stepping is what takes steps, as the verifier does: it has no keys.
func (h *house) stepping(unanswered int) *store.Resolver {
	h.t.Helper()
	r, err := store.NewResolver(h.t.Context(), h.js(), store.Limits{SendQuota: 1000, SendWindow: 10 * time.Minute}, h.clock.now)
	require.NoError(h.t, err)
	r.LimitPrompts(store.PromptLimits{MaxUnanswered: unanswered, UnansweredFor: time.Hour})
	return r
}

// laddered asks a user for an approval on one channel after the other.
func (h *house) laddered(userID string, channels ...verification.Channel) verification.Activation {
	h.t.Helper()
	a := h.activation(func(p *verification.Params) {
		p.Channel, p.Challenge, p.UserID, p.DeviceID = channels[0], verification.ApprovalChallenge, userID, uuid.NewString()
		for _, c := range channels[1:] {
			p.Fallback = append(p.Fallback, verification.Step{Channel: c, After: time.Second, DeviceID: uuid.NewString()})
		}
	})
	platform := func(c verification.Channel) string {
		if c == verification.Push {
			return "fcm"
		}
		return ""
	}
	a.Platform = platform(channels[0])
	for i, c := range channels[1:] {
		a.Roads = append(a.Roads, verification.Road{To: a.To + string(rune('0'+i)), Platform: platform(c)})
	}
	return a
}

// taken tells whether a step's message was queued.
func (h *house) taken(c events.Channel, id string, step int) bool {
	h.t.Helper()
	r, err := stream.NewReader(h.t.Context(), h.js(), stream.Activations)
	require.NoError(h.t, err)
	_, err = r.Latest(h.t.Context(), events.FallbackSubject(c, id, step))
	if err != nil {
		require.ErrorIs(h.t, err, stream.ErrAbsent)
	}
	return err == nil
}

// counted are the ids of the prompts that a user of the shop left unanswered.
func (h *house) counted(userID string) (ids []string) {
	h.t.Helper()
	r, err := stream.NewReader(h.t.Context(), h.js(), stream.Prompts)
	require.NoError(h.t, err)
	rec, err := r.Latest(h.t.Context(), events.PromptSubject("shop", userID))
	require.NoError(h.t, err)
	asked, err := events.Decode[events.PromptsAsked](rec.Data)
	require.NoError(h.t, err)
	for _, p := range asked.Prompts {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestAPushOfAFallbackIsAPromptOnceItIsSent(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s, r := h.store(prompts(2)), h.stepping(2)
	ana := uuid.NewString()
	before := create(t, s, h.prompt(ana))
	v := create(t, s, h.laddered(ana, verification.SMS, verification.Push, verification.Push))
	h.stand(s, verification.Pending, before.ID, v.ID)
	require.Equal(t, []string{before.ID}, h.counted(ana))

	for step := range 2 {
		_, err := r.Timed(t.Context(), v.ID, step+1)
		require.NoError(t, err)
		require.True(t, h.taken(events.Push, v.ID, step+1))
		h.stand(s, verification.Canceled, before.ID)
		h.stand(s, verification.Pending, v.ID)
		require.Equal(t, []string{before.ID, v.ID}, h.counted(ana), "another phone is asked the same")
	}
	require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy)

	h.answer(s, v.ID, verification.Approve)
	require.Empty(t, h.counted(ana))
	next := create(t, s, h.prompt(ana))
	h.stand(s, verification.Pending, next.ID)
}

func TestAPushToAUserCountsWhereTheVerificationIsForAnAddress(t *testing.T) {
	h := build(t)
	roomy(t, h)
	list := h.list()
	s, r := h.store(prompts(2), func(c *store.Config) { c.Suppressions = list }), h.stepping(2)
	ana, ben := uuid.NewString(), uuid.NewString()
	toBoth := func() verification.Activation {
		a := h.laddered("", verification.SMS, verification.Push, verification.Push)
		a.Verification.Fallback[0].UserID, a.Verification.Fallback[1].UserID = ana, ben
		return a
	}
	before := create(t, s, h.prompt(ana))
	v := create(t, s, toBoth())
	_, err := r.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	h.stand(s, verification.Canceled, before.ID)
	require.Equal(t, []string{before.ID, v.ID}, h.counted(ana))
	require.Equal(t, verification.PolicyPrompts, limit(t, s, h.prompt(ana)).Policy)
	_, err = r.Timed(t.Context(), v.ID, 2)
	require.NoError(t, err)
	require.Equal(t, []string{v.ID}, h.counted(ben))
	h.answer(s, v.ID, verification.Approve)
	require.Empty(t, h.counted(ana))
	require.Empty(t, h.counted(ben))

	v = create(t, s, toBoth())
	_, err = r.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	h.notMe(r, v, events.ResponsePush, true)
	require.Eventually(t, func() bool { return list.Len() == 2 }, waitLong, tick, "her phone, and all that she has")
	require.Equal(t, ana, h.refusal(s, toBoth()).UserID, "another app of hers")
	create(t, s, h.prompt(ben))
}

func TestAPromptReplacesOneThatCameAsAStepAndNoFurtherStepIsTaken(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s, r := h.store(prompts(5)), h.stepping(5)
	for name, ladder := range map[string][]verification.Channel{
		"asked by push, then called":      {verification.Push, verification.Voice},
		"asked by push and on two phones": {verification.Push, verification.Push},
		"pushed as a step, then called":   {verification.SMS, verification.Push, verification.Voice},
	} {
		t.Run(name, func(t *testing.T) {
			ana := uuid.NewString()
			v := create(t, s, h.laddered(ana, ladder...))
			last := len(ladder) - 1
			for step := 1; step < last; step++ {
				_, err := r.Timed(t.Context(), v.ID, step)
				require.NoError(t, err)
			}
			newest := create(t, s, h.prompt(ana))
			h.stand(s, verification.Canceled, v.ID)
			_, err := r.Timed(t.Context(), v.ID, last)
			require.ErrorIs(t, err, verification.ErrClosed)
			_, err = r.Undelivered(t.Context(), events.DeliverySettled{
				EventID: uuid.NewString(), ID: v.ID, Channel: events.Channel(ladder[last-1]), Step: last - 1, Send: 1, Status: events.DeliveryFailed,
				Reason: events.ReasonUndeliverable, At: h.clock.now(),
			})
			require.ErrorIs(t, err, verification.ErrClosed)
			require.False(t, h.taken(events.Channel(ladder[last]), v.ID, last))
			h.stand(s, verification.Pending, newest.ID)
		})
	}
}

func TestAPushOfAFallbackBeyondTheLimitOfPromptsIsSkipped(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s, r := h.store(prompts(1)), h.stepping(1)
	ana := uuid.NewString()
	open := create(t, s, h.prompt(ana))
	v := create(t, s, h.laddered(ana, verification.SMS, verification.Push, verification.Voice))
	_, err := r.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	require.False(t, h.taken(events.Push, v.ID, 1))
	reports, err := s.Deliveries(t.Context(), v.ID)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	require.Equal(t, events.ReasonLimited, reports[0].Reason)
	require.Equal(t, 1, reports[0].Step)
	h.stand(s, verification.Pending, open.ID, v.ID)

	_, err = r.Undelivered(t.Context(), reports[0])
	require.NoError(t, err)
	require.True(t, h.taken(events.Voice, v.ID, 2), "the next step follows at once")
	h.answer(s, v.ID, verification.Approve)
	require.Equal(t, []string{open.ID}, h.counted(ana), "who was called has answered no push")
}

func TestAPushOfAFallbackThatMayNotBeSentCountsAsNone(t *testing.T) {
	h := build(t)
	s, r := h.store(prompts(5)), h.stepping(5)
	ana := uuid.NewString()
	open := create(t, s, h.prompt(ana))
	v := create(t, s, h.laddered(ana, verification.SMS, verification.Push))
	for range stream.DefaultSendQuota - 2 {
		create(t, s, h.activation(func(p *verification.Params) { p.UserID = ana }))
	}
	_, err := r.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	require.False(t, h.taken(events.Push, v.ID, 1), "the user has had as many messages as they may get")
	h.stand(s, verification.Pending, open.ID, v.ID)
	require.Equal(t, []string{open.ID}, h.counted(ana))
}

func TestAResendIsTheSamePrompt(t *testing.T) {
	h := build(t)
	roomy(t, h)
	s := h.store(prompts(1))
	ana := uuid.NewString()
	v := create(t, s, h.prompt(ana))
	for range 2 {
		_, err := s.Resend(t.Context(), v.ID)
		require.NoError(t, err)
	}
	h.stand(s, verification.Pending, v.ID)
	require.Equal(t, []string{v.ID}, h.counted(ana))
}

func TestStepsAndPromptsAtOnceLeaveOneOpen(t *testing.T) {
	h := build(t)
	roomy(t, h)
	stores := []*store.Verifications{h.store(prompts(100)), h.store(prompts(100))}
	verifiers := []*store.Resolver{h.stepping(100), h.stepping(100)}
	for range 20 {
		ana := uuid.NewString()
		var ids []string
		var wg sync.WaitGroup
		for i := range 4 {
			v := create(t, stores[i%2], h.laddered(ana, verification.SMS, verification.Push))
			ids = append(ids, v.ID)
			for _, r := range verifiers { // the broker may hand one timer to both
				wg.Go(func() {
					if _, err := r.Timed(t.Context(), v.ID, 1); err != nil && !errors.Is(err, verification.ErrClosed) {
						t.Error(err)
					}
				})
			}
		}
		for i := range 3 {
			a := h.prompt(ana)
			ids = append(ids, a.Verification.ID)
			wg.Go(func() {
				if _, _, err := stores[i%2].Create(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var open []string
		for _, id := range ids {
			if status, _ := h.status(stores[0], id); status == verification.Pending {
				open = append(open, id)
			} else {
				h.stand(stores[0], verification.Canceled, id)
			}
		}
		require.Len(t, open, 1)
	}
}
