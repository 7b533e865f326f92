package verifier_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

// guarded is a verifier that freezes and keeps the audit log, as change leaves it. told holds the channels of its
// warnings.
func (h *house) guarded(change ...func(*verifier.Verifier)) (told chan string) {
	h.t.Helper()
	told = make(chan string, 64)
	h.verifyWith(func(v *verifier.Verifier) {
		resolver, err := store.NewResolver(h.t.Context(), h.connect(), store.Limits{}, h.clock.now)
		require.NoError(h.t, err)
		v.Verifications, v.Guard, v.Audit, v.NotMe = resolver, resolver, h.log(), verifier.DefaultNotMe()
		v.Warned = func(channel string) { told <- channel }
		for _, c := range change {
			c(v)
		}
	})
	return told
}

func (h *house) log() *store.Audit {
	h.t.Helper()
	log, err := store.NewAudit(h.t.Context(), h.connect())
	require.NoError(h.t, err)
	return log
}

// warnings are the entries of the audit log, and frozen what of the list is of this cause, newest first.
func (h *house) warnings() []audit.Entry {
	h.t.Helper()
	page, _, err := h.log().Entries(h.t.Context(), "shop", audit.Filter{Action: audit.NotMe, Limit: 100})
	require.NoError(h.t, err)
	return page
}

func (h *house) frozen() []suppression.Entry {
	h.t.Helper()
	list, err := store.NewSuppressions(h.t.Context(), h.connect(), store.SuppressionsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(h.t, err)
	page, _, err := list.Suppressions(h.t.Context(), "shop", suppression.Filter{Cause: suppression.NotMe, Limit: 100})
	require.NoError(h.t, err)
	return page
}

// asked creates a verification to an address of its own, as change leaves it. A push goes to a phone of its own.
func (h *house) asked(change func(*verification.Params)) (verification.Verification, phone) {
	h.t.Helper()
	p := verification.Params{
		ID: uuid.NewString(), Credential: "shop", Channel: verification.SMS, Challenge: verification.ApprovalChallenge, ToMasked: "masked",
	}
	change(&p)
	v, secrets, err := verification.New(p, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	a := verification.Activation{Verification: v, Secrets: secrets, To: "to-" + p.ID}
	app := phone{h: h, id: p.DeviceID}
	app.key, app.public = newKey(h.t)
	if p.Channel == verification.Push {
		a.Platform, a.PublicKey = device.FCM, app.public
	}
	v, _, err = h.store.Create(h.t.Context(), a)
	require.NoError(h.t, err)
	app.v = v
	return v, app
}

// tells is an answer that comes back on a road.
func (h *house) tells(v verification.Verification, app phone, kind string, d events.Decision) {
	h.t.Helper()
	r := events.ResponseReceived{EventID: uuid.NewString(), ID: v.ID, Kind: kind, Decision: d, ReceivedAt: h.clock.now()}
	if kind == events.ResponsePush {
		r = app.answer(d, "")
	}
	require.NoError(h.t, h.pub.Respond(h.t.Context(), r))
}

func TestNotMeIsAuditedAndFreezesOnEveryRoad(t *testing.T) {
	t.Parallel()
	h := build(t)
	told := h.guarded(func(v *verifier.Verifier) { v.NotMe.Freeze = verifier.FreezeDevice })
	for kind, change := range map[string]func(*verification.Params){
		events.ResponseSMS:   func(*verification.Params) {},
		events.ResponseVoice: func(p *verification.Params) { p.Channel = verification.Voice },
		events.ResponsePush: func(p *verification.Params) {
			p.Channel, p.UserID, p.DeviceID = verification.Push, "ana", uuid.NewString()
		},
		events.ResponseLink: func(p *verification.Params) { p.Channel, p.Challenge = verification.Email, verification.LinkChallenge },
	} {
		v, app := h.asked(change)
		h.tells(v, app, kind, events.NotMe)
		require.Equal(t, string(v.Channel), next(t, told), kind)
		require.Equal(t, kind+" denied", next(t, h.counted))
		require.Equal(t, "+ACK", next(t, h.settled))
		after := h.get(v.ID)

		e := h.warnings()[0]
		require.Equal(t, audit.Person, e.Actor)
		require.Equal(t, v.ID, e.Subject)
		require.Equal(t, v.UserID, e.UserID)
		require.WithinDuration(t, after.ClosedAt, e.At, 0)
		until := after.ClosedAt.Add(20 * time.Minute)
		want := map[string]string{
			"channel": string(v.Channel), "answer": kind, "freeze": "device", "until": until.UTC().Format(time.RFC3339),
		}
		if v.DeviceID != "" {
			want["device_id"] = v.DeviceID
		}
		require.Equal(t, want, e.Details)

		f := h.frozen()[0]
		require.WithinDuration(t, until, f.Until, 0)
		require.Equal(t, "masked", f.ToMasked)
		require.Empty(t, f.UserID)
	}
	require.Len(t, h.warnings(), 4)
	require.Len(t, h.frozen(), 4)

	denied, app := h.asked(func(*verification.Params) {})
	h.tells(denied, app, events.ResponseSMS, events.Deny)
	require.Equal(t, "sms denied", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	h.tells(denied, app, events.ResponseSMS, events.NotMe)
	require.Equal(t, "sms late", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Len(t, h.warnings(), 4, "a plain denial warns nobody, and nobody can change it into one that does")

	trial, app := h.asked(func(p *verification.Params) {
		p.Channel, p.UserID, p.DeviceID, p.Trial = verification.Push, "ana", uuid.NewString(), true
	})
	h.tells(trial, app, events.ResponsePush, events.NotMe)
	require.Equal(t, "push denied", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Len(t, h.warnings(), 4, "whoever tries the third button of a trial warns nobody")
	require.Len(t, h.frozen(), 4, "and silences no phone")
	require.Empty(t, told)
}

func TestWhoSaysNotMeByTextStillGetsCodesUnlessTheOperatorSaysOtherwise(t *testing.T) {
	t.Parallel()
	h := build(t)
	told := h.guarded()
	v, app := h.asked(func(*verification.Params) {})
	h.tells(v, app, events.ResponseSMS, events.NotMe)
	require.Equal(t, "sms", next(t, told))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, map[string]string{"channel": "sms", "answer": "sms", "freeze": "off"}, h.warnings()[0].Details)
	require.Empty(t, h.frozen())

	v, app = h.asked(func(p *verification.Params) {
		p.Channel, p.UserID, p.DeviceID = verification.Push, "ana", uuid.NewString()
	})
	h.tells(v, app, events.ResponsePush, events.NotMe)
	require.Equal(t, "push", next(t, told))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, "push", h.warnings()[0].Details["freeze"])
	require.Len(t, h.frozen(), 1, "a phone gets no prompts for a time")
}

func TestWhatIsFrozenIsTheOperatorsToSay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		freeze string
		user   string
		users  []string // of the entries; that of an address has none
	}{
		"the app":                       {verifier.FreezePush, "ana", []string{""}},
		"the device":                    {verifier.FreezeDevice, "ana", []string{""}},
		"the channel and the address":   {verifier.FreezeChannel, "ana", []string{"", "ana"}},
		"the channel without a user":    {verifier.FreezeChannel, "", []string{""}},
		"nothing, but the log knows it": {verifier.FreezeOff, "ana", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			told := h.guarded(func(v *verifier.Verifier) { v.NotMe = verifier.NotMe{Freeze: c.freeze, For: time.Hour} })
			v, app := h.asked(func(p *verification.Params) {
				p.Channel, p.UserID, p.DeviceID = verification.Push, c.user, uuid.NewString()
			})
			h.tells(v, app, events.ResponsePush, events.NotMe)
			require.Equal(t, "push", next(t, told))
			require.Equal(t, "+ACK", next(t, h.settled))
			require.Len(t, h.warnings(), 1)
			require.Equal(t, c.freeze, h.warnings()[0].Details["freeze"])
			require.Equal(t, c.freeze == verifier.FreezeOff, h.warnings()[0].Details["until"] == "")
			var users []string
			for _, e := range h.frozen() {
				users = append(users, e.UserID)
			}
			require.ElementsMatch(t, c.users, users)
		})
	}
}

// broken is a guard and a log that fail as often as a test says, each after what came before it was stored.
type broken struct {
	verifier.Guard
	verifier.Audit
	fails func(what string) error
}

func (b broken) Answered(ctx context.Context, v verification.Verification) error {
	if err := b.fails("answered"); err != nil {
		return err
	}
	return b.Guard.Answered(ctx, v)
}

func (b broken) RecordOnce(ctx context.Context, e audit.Entry) (bool, error) {
	if err := b.fails("audit"); err != nil {
		return false, err
	}
	return b.Audit.RecordOnce(ctx, e)
}

func (b broken) Freeze(ctx context.Context, v verification.Verification, road events.FallbackStep, whole bool, until time.Time) error {
	if err := b.fails("freeze"); err != nil {
		return err
	}
	return b.Guard.Freeze(ctx, v, road, whole, until)
}

func TestWhatAKilledVerifierLeftUndoneIsDoneByTheNext(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"answered", "audit", "freeze", ""} { // "": after all, before the acknowledgement
		t.Run("killed before "+at, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			var failed tally
			told := h.guarded(func(v *verifier.Verifier) {
				b := broken{v.Guard, v.Audit, func(what string) error {
					if failed.add(what); what == at && failed.of(what) == 1 {
						return errors.New("the process ends here")
					}
					return nil
				}}
				v.Guard, v.Audit = b, b
			})
			v, app := h.asked(func(p *verification.Params) {
				p.Channel, p.UserID, p.DeviceID = verification.Push, "ana", uuid.NewString()
			})
			h.tells(v, app, events.ResponsePush, events.NotMe)
			require.Equal(t, "push", next(t, told))
			if at != "" {
				require.Equal(t, "-NAK", next(t, h.settled))
			}
			require.Equal(t, "+ACK", next(t, h.settled))
			until := h.frozen()[0].Until

			// The same answer once more, much later: its acknowledgement was lost.
			h.clock.forward(3 * time.Minute)
			h.tells(v, app, events.ResponsePush, events.NotMe)
			require.Equal(t, "+ACK", next(t, h.settled))
			require.Len(t, h.warnings(), 1, "one entry for one event")
			require.Len(t, h.frozen(), 1)
			require.Equal(t, until, h.frozen()[0].Until, "a repetition prolongs nothing")
			require.Empty(t, told, "it is counted once")
		})
	}
}

func TestNothingThatFailsHoldsAFreezeBack(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"answered", "audit", "archive"} {
		t.Run(broken+" fails", func(t *testing.T) {
			t.Parallel()
			h := build(t)
			var tries tally
			fails := func(what string) error {
				if tries.add(what); what == broken && tries.of(what) <= 2 {
					return verification.ErrUnavailable
				}
				return nil
			}
			frozenAt := make(chan int, 16)
			told := h.guarded(func(v *verifier.Verifier) {
				b := brokenFreezing{guarded(v, fails), func() { frozenAt <- tries.of(broken) }}
				v.Guard, v.Audit = b, b
				v.Verifications = archiving{v.Verifications, func(string) error { return fails("archive") }}
			})
			v, app := h.asked(func(p *verification.Params) {
				p.Channel, p.UserID, p.DeviceID = verification.Push, "ana", uuid.NewString()
			})
			h.tells(v, app, events.ResponsePush, events.NotMe)
			require.LessOrEqual(t, next(t, frozenAt), 1, "it is frozen at the first try")
			require.Equal(t, "-NAK", next(t, h.settled))
			require.Equal(t, "-NAK", next(t, h.settled))
			require.Equal(t, "+ACK", next(t, h.settled))
			require.Equal(t, "push", next(t, told))
			require.Len(t, h.warnings(), 1)
			require.Len(t, h.frozen(), 1)
		})
	}
}

// guarded is what a verifier tells of answers, with calls that may fail.
func guarded(v *verifier.Verifier, fails func(what string) error) broken {
	return broken{v.Guard, v.Audit, fails}
}

// brokenFreezing tells of each freeze.
type brokenFreezing struct {
	broken
	froze func()
}

func (b brokenFreezing) Freeze(ctx context.Context, v verification.Verification, road events.FallbackStep, whole bool, until time.Time) error {
	b.froze()
	return b.broken.Freeze(ctx, v, road, whole, until)
}

func TestNotMeNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	require.Empty(t, verifier.DefaultNotMe().Validate())
	require.Len(t, verifier.NotMe{Freeze: "all", For: time.Second}.Validate(), 2)
	require.Len(t, verifier.NotMe{Freeze: verifier.FreezeOff, For: 25 * time.Hour}.Validate(), 1)
}
