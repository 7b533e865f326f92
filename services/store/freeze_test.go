package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

const shortFreeze = 20 * time.Minute

// frozen is a process that honours the list, with one without keys that freezes, as the verifier does.
func (h *house) frozen() (s *store.Verifications, r *store.Resolver, list *stream.SuppressionList) {
	h.t.Helper()
	list = h.list()
	s = h.store(func(c *store.Config) { c.Suppressions = list })
	r, err := store.NewResolver(h.t.Context(), h.js(), store.Limits{}, h.clock.now)
	require.NoError(h.t, err)
	return s, r, list
}

// notMe closes a verification as the person's who did not ask, and freezes what they answered on.
func (h *house) notMe(r *store.Resolver, v verification.Verification, kind string, whole bool) {
	h.t.Helper()
	after, err := r.Resolve(h.t.Context(), v.ID, verification.Answered{Decision: verification.DecisionNotMe})
	require.NoError(h.t, err)
	roads, err := r.Roads(h.t.Context(), v.ID, kind, "")
	require.NoError(h.t, err)
	for _, road := range roads {
		require.NoError(h.t, r.Freeze(h.t.Context(), after, road, whole, after.ClosedAt.Add(shortFreeze)))
	}
}

func (h *house) refusal(s *store.Verifications, a verification.Activation) suppression.Entry {
	h.t.Helper()
	_, _, err := s.Create(h.t.Context(), a)
	var refused *suppression.RefusedError
	require.ErrorAs(h.t, err, &refused)
	return refused.Places[0].Entry
}

// asks is an approval by text message to the one number.
func (h *house) asks(userID, deviceID string) verification.Activation {
	a := h.activation(func(p *verification.Params) {
		p.Challenge, p.UserID, p.DeviceID, p.ToMasked = verification.ApprovalChallenge, userID, deviceID, "+1••••••0100"
	})
	a.To = number
	return a
}

func TestNotMeFreezesTheAddressForTheAccountsVerificationsOnlyAndForATime(t *testing.T) {
	h := build(t)
	s, r, list := h.frozen()
	v := create(t, s, h.asks("", ""))
	h.notMe(r, v, events.ResponseSMS, false)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)

	code := h.asking(func(a *verification.Activation) { a.To = number })
	e := h.refusal(s, code)
	require.Equal(t, suppression.NotMe, e.Cause)
	require.Equal(t, suppression.Verifications, e.Covers)
	require.Equal(t, suppression.Account, e.Scope)
	require.WithinDuration(t, h.clock.now().Add(shortFreeze), e.Until, 10*time.Second)
	call := h.activation(func(p *verification.Params) { p.Channel = verification.Voice })
	call.To = number
	require.Equal(t, suppression.NotMe, h.refusal(s, call).Cause, "a number is one for texts and calls")

	create(t, s, h.activation())
	bank := h.activation(func(p *verification.Params) { p.Credential = "bank" })
	bank.To = number
	create(t, s, bank)
	for _, lane := range []events.Lane{events.LaneTransactional, events.LaneBulk} {
		_, suppressed, err := list.Suppressed(t.Context(), "shop", "", h.record(events.SMS, v.ID).Destination, lane)
		require.NoError(t, err)
		require.False(t, suppressed, "notifications go on")
	}

	keep := h.suppressions()
	shown, err := keep.Suppression(t.Context(), "shop", e.ID)
	require.NoError(t, err)
	require.Equal(t, e.Until, shown.Until)
	require.Equal(t, "+1••••••0100", shown.ToMasked)
	page, _, err := keep.Suppressions(t.Context(), "shop", suppression.Filter{Cause: suppression.NotMe, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page, 1)
	page, _, err = keep.Suppressions(t.Context(), "shop", suppression.Filter{To: number, Channel: suppression.SMS, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page, 1, "found by its address")
	_, err = keep.Suppression(t.Context(), "bank", e.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	for e, err := range keep.ExportSuppressions(t.Context(), "shop") {
		require.NoError(t, err)
		require.Fail(t, "what ends by itself is exported", e.ID)
	}

	h.clock.forward(shortFreeze)
	create(t, s, code)
	_, err = keep.Suppression(t.Context(), "shop", e.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	page, _, err = keep.Suppressions(t.Context(), "shop", suppression.Filter{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page)
}

func TestTheBrokerForgetsAFreezeAndTheListItsHint(t *testing.T) {
	h := build(t)
	s, r, list := h.frozen()
	v := create(t, s, h.asks("", ""))
	after, err := r.Resolve(t.Context(), v.ID, verification.Answered{Decision: verification.DecisionNotMe})
	require.NoError(t, err)
	roads, err := r.Roads(t.Context(), v.ID, events.ResponseSMS, "")
	require.NoError(t, err)
	require.NoError(t, r.Freeze(t.Context(), after, roads[0], false, h.clock.now()), "it would be over")
	require.NoError(t, r.Freeze(t.Context(), after, roads[0], false, h.clock.now().Add(time.Second)))
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	require.Eventually(t, func() bool {
		e, err := list.Entry(t.Context(), "shop", "", roads[0].Destination, events.LaneVerification)
		require.NoError(t, err)
		return e == nil
	}, waitLong, tick)
	require.Zero(t, list.Len())
	h.notMe(r, create(t, s, h.asks("", "")), events.ResponseSMS, false)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	h.refusal(s, h.asks("", ""))
}

func TestLiftingAFreezeCountsAtOnce(t *testing.T) {
	h := build(t)
	s, r, list := h.frozen()
	h.notMe(r, create(t, s, h.asks("", "")), events.ResponseSMS, false)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	e := h.refusal(s, h.asks("", ""))
	keep := h.suppressions()
	require.ErrorIs(t, keep.RemoveSuppression(t.Context(), "bank", e.ID), verification.ErrNotFound)
	require.NoError(t, keep.RemoveSuppression(t.Context(), "shop", e.ID))
	create(t, s, h.asks("", ""))
	require.ErrorIs(t, keep.RemoveSuppression(t.Context(), "shop", e.ID), verification.ErrNotFound)
}

func TestASecondNotMeProlongsAndShortensNothing(t *testing.T) {
	h := build(t)
	s, r, list := h.frozen()
	keep := h.suppressions()
	one, two := create(t, s, h.asks("", "")), create(t, s, h.asks("", ""))
	byHand := suppression.Entry{
		Channel: suppression.SMS, To: number, Scope: suppression.Account, Account: "shop", Covers: suppression.Notifications, Cause: suppression.Manual,
	}
	_, _, err := keep.AddSuppression(t.Context(), byHand)
	require.NoError(t, err)
	h.notMe(r, one, events.ResponseSMS, false)
	require.Eventually(t, func() bool { return list.Len() == 2 }, waitLong, tick)
	first := h.refusal(s, h.asks("", ""))
	require.Equal(t, suppression.NotMe, first.Cause, "beside an entry that lets verifications through")

	h.clock.forward(2 * time.Minute)
	h.notMe(r, two, events.ResponseSMS, false)
	longer := h.refusal(s, h.asks("", ""))
	require.Equal(t, first.ID, longer.ID)
	require.WithinDuration(t, first.Until.Add(2*time.Minute), longer.Until, 5*time.Second)
	roads, err := r.Roads(t.Context(), one.ID, events.ResponseSMS, "")
	require.NoError(t, err)
	require.NoError(t, r.Freeze(t.Context(), one, roads[0], false, first.Until), "the first event again")
	require.Equal(t, longer.Until, h.refusal(s, h.asks("", "")).Until)

	byHand.Covers, byHand.Cause = suppression.All, suppression.Stop
	_, added, err := keep.AddSuppression(t.Context(), byHand)
	require.NoError(t, err)
	require.True(t, added, "a freeze is in the way of no other entry")
	require.Equal(t, suppression.Stop, h.refusal(s, h.asks("", "")).Cause)
	h.clock.forward(time.Hour)
	require.Equal(t, suppression.Stop, h.refusal(s, h.asks("", "")).Cause, "which stays after it")
}

func TestAWholeChannelFreezesForTheUsersDevicesAndTheAddress(t *testing.T) {
	h := build(t)
	s, r, list := h.frozen()
	ana := uuid.NewString()
	asked := h.prompt(ana)
	h.notMe(r, create(t, s, asked), events.ResponsePush, true)
	require.Eventually(t, func() bool { return list.Len() == 2 }, waitLong, tick)

	e := h.refusal(s, h.prompt(ana)) // another device of hers
	require.Equal(t, ana, e.UserID)
	require.Equal(t, suppression.Push, e.Channel)
	h.refusal(s, h.prompt(ana, func(p *verification.Params) { p.Challenge = verification.CodeChallenge }))
	create(t, s, h.prompt(uuid.NewString()))
	create(t, s, h.prompt(ana, func(p *verification.Params) { p.Credential = "bank" }))
	create(t, s, h.asks(ana, uuid.NewString()))
	same := h.prompt("", func(p *verification.Params) { p.DeviceID = "" })
	same.To = asked.To
	address := h.refusal(s, same)
	require.Empty(t, address.UserID, "the address gets none for whoever asks")
	for _, id := range []string{e.ID, address.ID} {
		require.NoError(t, h.suppressions().RemoveSuppression(t.Context(), "shop", id))
	}
	create(t, s, h.prompt(ana))
	create(t, s, same)

	h.notMe(r, create(t, s, h.asks(ana, uuid.NewString())), events.ResponseSMS, true)
	require.Eventually(t, func() bool { return list.Len() == 2 }, waitLong, tick)
	call := h.activation(func(p *verification.Params) {
		p.Channel, p.UserID, p.DeviceID = verification.Voice, ana, uuid.NewString()
	})
	require.Equal(t, ana, h.refusal(s, call).UserID, "texts and calls are one")
}

func TestTheRoadsOfAnAnswerAreThoseItCanHaveComeBackOn(t *testing.T) {
	h := build(t)
	s, r, _ := h.frozen()
	a := h.activation(func(p *verification.Params) {
		p.Challenge, p.Fallback = verification.LinkChallenge, []verification.Step{
			{Channel: verification.Email, After: 10 * time.Second, DeviceID: "mail"}, {Channel: verification.Email, After: 10 * time.Second, DeviceID: "other"},
		}
	})
	a.Roads = []verification.Road{{To: "ana@example.com"}, {To: "ana@example.org"}}
	v := create(t, s, a)
	roads := func(kind string) (found []string) {
		all, err := r.Roads(t.Context(), v.ID, kind, "")
		require.NoError(t, err)
		for _, road := range all {
			found = append(found, string(road.Channel)+road.DeviceID)
		}
		return found
	}
	require.Equal(t, []string{"sms"}, roads(events.ResponseLink), "nothing else was sent")
	_, err := s.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"sms", "emailmail"}, roads(events.ResponseLink))
	require.Equal(t, []string{"sms"}, roads(events.ResponseVoice), "it is about the question all the same")
	_, err = r.Roads(t.Context(), uuid.NewString(), events.ResponseLink, "")
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestAStepToAFrozenAddressIsSkipped(t *testing.T) {
	h := build(t)
	s, r, list := h.frozen()
	a := h.activation(func(p *verification.Params) {
		p.Fallback = []verification.Step{{Channel: verification.SMS, After: 10 * time.Second}}
	})
	a.Roads = []verification.Road{{To: number}}
	v := create(t, s, a)
	h.notMe(r, create(t, s, h.asks("", "")), events.ResponseSMS, false)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	r.Honour(list, nil)
	_, err := r.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	steps, err := s.Deliveries(t.Context(), v.ID)
	require.NoError(t, err)
	require.Len(t, steps, 1)
	require.Equal(t, events.ReasonSuppressed, steps[0].Reason)
}

func TestAnotherKeyLeavesAFreezeWhereItIs(t *testing.T) {
	h := build(t)
	older, newer := rotated(t)
	h.keys = older
	s, r, list := h.frozen()
	h.notMe(r, create(t, s, h.asks("", "")), events.ResponseSMS, false)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	h.keys = newer
	moved, sealed, err := h.suppressions().Rehash(t.Context())
	require.NoError(t, err)
	require.Zero(t, moved)
	require.Zero(t, sealed, "it has no address to open")
}

func TestAnEntryThatCanComeTwiceIsKeptOnce(t *testing.T) {
	h := build(t)
	log, err := store.NewAudit(t.Context(), h.js())
	require.NoError(t, err)
	e := audit.Entry{
		EventID: uuid.NewString(), Account: "shop", Actor: audit.Person, Action: audit.NotMe, Subject: "v", UserID: "ana",
		Details: map[string]string{"answer": "push"}, At: h.clock.now(),
	}
	for i := range 3 {
		first, err := log.RecordOnce(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, i == 0, first)
	}
	e.Account = "bank"
	first, err := log.RecordOnce(t.Context(), e)
	require.NoError(t, err)
	require.True(t, first)
	page, _, err := log.Entries(t.Context(), "shop", audit.Filter{Action: audit.NotMe, Subject: "ana", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, map[string]string{"answer": "push"}, page[0].Details)
}
