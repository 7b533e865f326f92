package verifier_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

// askForNumber creates a call that asks for a number, and tells the number.
func (h *house) askForNumber(maxChecks int) (id, number string) {
	h.t.Helper()
	id = uuid.NewString()
	v, secrets, err := verification.New(verification.Params{
		ID: id, Credential: "shop", Channel: verification.Voice, Challenge: verification.ApprovalChallenge,
		NumberLength: 6, MaxChecks: maxChecks,
	}, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	_, _, err = h.store.Create(h.t.Context(), verification.Activation{Verification: v, Secrets: secrets, To: "+1415" + id[len(id)-7:]})
	require.NoError(h.t, err)
	return id, secrets.Number.Reveal()
}

// key answers with digits, or with none.
func (h *house) key(id string, d events.Decision, digits string) {
	h.t.Helper()
	r := events.ResponseReceived{EventID: uuid.NewString(), ID: id, Kind: events.ResponseVoice, Decision: d, ReceivedAt: h.clock.now()}
	if digits != "" {
		var err error
		r.Number, err = h.store.NumberHash(h.t.Context(), id, digits)
		require.NoError(h.t, err)
	}
	require.NoError(h.t, h.pub.Respond(h.t.Context(), r))
}

func TestANumberIsCompared(t *testing.T) {
	t.Parallel()
	type try struct {
		decision events.Decision
		digits   string // "right" stands for the number that was shown
		counted  string
	}
	for name, c := range map[string]struct {
		maxChecks int
		tries     []try
		reason    verification.Reason
	}{
		"the right one approves": {1, []try{{events.Approve, "right", "voice approved"}}, ""},
		"the only wrong one denies, and the right one comes too late": {
			1, []try{{events.Approve, "12345", "voice denied"}, {events.Approve, "right", "voice late"}}, verification.WrongNumber,
		},
		"one wrong one of two leaves it open": {
			2, []try{{events.Approve, "12345", "voice pending"}, {events.Approve, "right", "voice approved"}}, "",
		},
		"an approval without one changes nothing": {
			1, []try{{events.Approve, "", "voice pending"}, {events.Approve, "right", "voice approved"}}, "",
		},
		"a refusal needs none":       {1, []try{{events.Deny, "", "voice denied"}}, ""},
		"a warning needs none":       {1, []try{{events.NotMe, "", "voice denied"}}, verification.NotMe},
		"a refusal wins over number": {1, []try{{events.Deny, "right", "voice denied"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.verify()
			id, number := h.askForNumber(c.maxChecks)
			for _, try := range c.tries {
				digits := try.digits
				if digits == "right" {
					digits = number
				}
				h.key(id, try.decision, digits)
				require.Equal(t, try.counted, next(t, h.counted))
				require.Equal(t, "+ACK", next(t, h.settled))
			}
			require.Equal(t, c.reason, h.get(id).Reason)
		})
	}
}

// wrongly is an answer with a wrong number.
func (h *house) wrongly(id, eventID string) events.ResponseReceived {
	h.t.Helper()
	hash, err := h.store.NumberHash(h.t.Context(), id, "12345")
	require.NoError(h.t, err)
	return events.ResponseReceived{
		Version: events.Version, EventID: eventID, ID: id, Kind: events.ResponseVoice, Decision: events.Approve, Number: hash, ReceivedAt: h.clock.now(),
	}
}

func TestAWrongNumberThatComesAgainAfterItsVerifierWasKilledCountsOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	var kill sync.Once
	h.verify(func(r verifier.Resolver) verifier.Resolver {
		return resolving{Resolver: r, resolve: func(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
			v, err := r.Resolve(ctx, id, f)
			kill.Do(func() { err = verification.ErrUnavailable }) // the outcome is stored, and nobody acknowledges
			return v, err
		}}
	})
	id, number := h.askForNumber(2)
	h.respond(h.wrongly(id, "twilio:CA1:approve:1"))
	require.Equal(t, "-NAK", next(t, h.settled))
	require.Equal(t, "voice pending", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	require.Equal(t, 1, h.get(id).ChecksUsed)
	require.EqualValues(t, 1, h.writes())
	h.key(id, events.Approve, number)
	require.Equal(t, "voice approved", next(t, h.counted))
}

func TestACallbackThatIsPlayedAgainCountsOnceAndASecondTryOfTheSameNumberCounts(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	id, _ := h.askForNumber(2)
	// Without a message id the broker takes it as often as it comes, as it does two minutes later.
	again := func(eventID string) {
		data, err := events.Encode(h.wrongly(id, eventID))
		require.NoError(t, err)
		h.put(events.ResponseSubject(events.ResponseVoice, id), string(data))
	}
	for range 3 {
		again("twilio:CA1:approve:1")
		require.Equal(t, "voice pending", next(t, h.counted))
	}
	require.Equal(t, 1, h.get(id).ChecksUsed)
	again("twilio:CA1:approve:2:1")
	require.Equal(t, "voice denied", next(t, h.counted), "the call asked once more")
	require.Equal(t, verification.WrongNumber, h.get(id).Reason)
	require.EqualValues(t, 2, h.writes())
}
