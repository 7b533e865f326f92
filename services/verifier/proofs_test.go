package verifier_test

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

// phone is an app install that was asked a question.
type phone struct {
	h      *house
	v      verification.Verification
	id     string
	key    *ecdsa.PrivateKey
	public []byte
	number string // on the other screen; empty where none is asked for
	payee  string // what is agreed to; empty: <Müller>
}

func newKey(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	return key, public
}

// askPhone asks a phone of its own to approve a payment.
func (h *house) askPhone(digits int, change ...func(*phone)) phone {
	h.t.Helper()
	p := phone{h: h, id: uuid.NewString()}
	p.key, p.public = newKey(h.t)
	for _, c := range change {
		c(&p)
	}
	v, secrets, err := verification.New(verification.Params{
		ID: uuid.NewString(), Credential: "shop", Channel: verification.Push, UserID: uuid.NewString(), DeviceID: p.id, Brand: "Example Bank",
		Context: verification.Context{
			Action: "Pay 20 & more", IP: "203.0.113.7", Fields: []verification.Field{{Label: "To", Value: cmp.Or(p.payee, "<Müller>")}},
		},
		NumberLength: digits,
	}, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	p.number = secrets.Number.Reveal()
	p.v, _, err = h.store.Create(h.t.Context(), verification.Activation{
		Verification: v, Secrets: secrets, To: "token-of-" + p.id, Platform: device.FCM, PublicKey: p.public,
	})
	require.NoError(h.t, err)
	return p
}

// wrong is a number that is not on the other screen.
func (p phone) wrong() string {
	if p.number == "47" {
		return "48"
	}
	return "47"
}

// answer is the event of a signed answer; change is made before it is signed.
func (p phone) answer(d events.Decision, number string, change ...func(*device.Answer)) events.ResponseReceived {
	p.h.t.Helper()
	salt, err := p.h.store.NumberSalt(p.h.t.Context(), p.v.ID)
	require.NoError(p.h.t, err)
	shown, err := json.Marshal(events.Context(p.v.Context))
	require.NoError(p.h.t, err)
	a := device.Answer{
		VerificationID: p.v.ID, DeviceID: p.id, Decision: string(d), NumberDigest: device.NumberDigest(salt, number),
		AnsweredAt: p.h.clock.now().UTC().Format(time.RFC3339), Context: string(shown),
	}
	for _, c := range change {
		c(&a)
	}
	digest := sha256.Sum256([]byte(a.SignedText()))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	require.NoError(p.h.t, err)
	r := events.ResponseReceived{
		EventID: "push-" + hex.EncodeToString(digest[:]), ID: p.v.ID, Kind: events.ResponsePush, Decision: d, Evidence: p.id, ReceivedAt: p.h.clock.now(),
		Proof: &events.Proof{
			DeviceID: a.DeviceID, Decision: events.Decision(a.Decision), NumberDigest: a.NumberDigest, AnsweredAt: a.AnsweredAt, Signature: signature,
		},
	}
	if number != "" && p.v.NumberLength > 0 && d == events.Approve {
		r.Number, err = p.h.store.NumberHash(p.h.t.Context(), p.v.ID, number)
		require.NoError(p.h.t, err)
	}
	return r
}

func (h *house) respond(r events.ResponseReceived) {
	h.t.Helper()
	require.NoError(h.t, h.pub.Respond(h.t.Context(), r))
}

// proofs reads the archive.
func (h *house) proofs() *store.Proofs {
	h.t.Helper()
	p, err := store.NewProofs(h.t.Context(), h.js)
	require.NoError(h.t, err)
	return p
}

// archived is how many messages were ever archived.
func (h *house) archived() uint64 {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream.Proofs)
	require.NoError(h.t, err)
	return s.CachedInfo().State.LastSeq
}

// check re-does all checks of an archived proof.
func check(e events.ApprovalProved) device.Checks {
	outcome := device.Outcome(e.Status)
	if e.Reason == string(verification.WrongNumber) {
		outcome = device.WrongNumber
	}
	return device.Proof{
		Answer: device.Answer{
			VerificationID: e.ID, DeviceID: e.DeviceID, Decision: string(e.Decision), NumberDigest: e.NumberDigest, AnsweredAt: e.AnsweredAt, Context: e.Context,
		},
		SignedText: e.SignedText, PublicKey: e.PublicKey, Signature: e.Signature, ExpectedDigest: e.ExpectedNumberDigest, Outcome: outcome,
	}.Check()
}

func TestASignedAnswerIsKeptWithItsOutcomeAndInTheArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		digits   int
		decision events.Decision
		numbers  []string // right and wrong stand for one; all but the last are tries
		status   verification.Status
		reason   verification.Reason
	}{
		"an approval":                  {0, events.Approve, []string{""}, verification.Approved, ""},
		"an approval with its number":  {2, events.Approve, []string{"right"}, verification.Approved, ""},
		"one after a wrong number":     {2, events.Approve, []string{"wrong", "right"}, verification.Approved, ""},
		"the last wrong number":        {2, events.Approve, []string{"wrong", "wrong"}, verification.Denied, verification.WrongNumber},
		"a refusal":                    {2, events.Deny, []string{""}, verification.Denied, ""},
		"somebody else's":              {2, events.NotMe, []string{""}, verification.Denied, verification.NotMe},
		"a refusal that has a number":  {2, events.Deny, []string{"right"}, verification.Denied, ""},
		"an approval nobody asked for": {0, events.Approve, []string{"wrong"}, verification.Approved, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.verify()
			p := h.askPhone(c.digits)
			var last events.ResponseReceived
			for i, number := range c.numbers {
				number = map[string]string{"right": p.number, "wrong": p.wrong(), "": ""}[number]
				last = p.answer(c.decision, number, func(a *device.Answer) {
					a.AnsweredAt = h.clock.now().Add(time.Duration(i) * time.Second).UTC().Format(time.RFC3339)
				})
				h.respond(last)
				if i < len(c.numbers)-1 {
					require.Equal(t, "push pending", next(t, h.counted))
				} else {
					require.Equal(t, "push "+string(c.status), next(t, h.counted))
				}
				require.Equal(t, "+ACK", next(t, h.settled))
			}
			after := h.get(p.v.ID)
			require.Equal(t, c.reason, after.Reason)
			require.Equal(t, &verification.Proof{
				DeviceID: p.id, Decision: verification.Decision(c.decision), NumberDigest: last.Proof.NumberDigest,
				AnsweredAt: last.Proof.AnsweredAt, Signature: last.Proof.Signature,
			}, after.Proof)

			e, err := h.proofs().Proof(t.Context(), "shop", p.v.ID)
			require.NoError(t, err)
			require.True(t, check(e).Valid(), "%+v", check(e))
			require.Equal(t, `{"ip":"203.0.113.7","action":"Pay 20 \u0026 more","fields":[{"label":"To","value":"\u003cMüller\u003e"}]}`, e.Context)
			require.Equal(t, []string{p.v.UserID, p.id, device.FCM, "Example Bank", string(c.status), string(c.reason)},
				[]string{e.UserID, e.DeviceID, e.Platform, e.Brand, e.Status, e.Reason})
			require.Equal(t, p.public, e.PublicKey)
			require.True(t, e.ClosedAt.Equal(after.ClosedAt))
			require.Equal(t, c.digits > 0, e.ExpectedNumberDigest != "")

			used, err := h.proofs().LastUsed(t.Context(), p.id)
			require.NoError(t, err)
			require.True(t, used.Equal(after.ClosedAt))
			_, err = h.proofs().Proof(t.Context(), "another shop", p.v.ID)
			require.ErrorIs(t, err, verification.ErrNotFound)
		})
	}
}

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAnAnswerWithoutAValidProofIsNeverApplied(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(h *house, p phone) events.ResponseReceived{
		"without one": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Approve, p.number)
			r.Proof = nil
			return r
		},
		"as an answer on a road that was not taken": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Approve, p.number)
			r.Kind = events.ResponseLink
			return r
		},
		"of a key that nobody knows": func(h *house, p phone) events.ResponseReceived {
			p.key, _ = newKey(h.t)
			return p.answer(events.Approve, p.number)
		},
		"of a phone that was not asked": func(h *house, p phone) events.ResponseReceived {
			other := h.askPhone(2)
			p.id, p.key = other.id, other.key
			return p.answer(events.Approve, p.number)
		},
		"of another question": func(h *house, p phone) events.ResponseReceived {
			other := h.askPhone(2, func(o *phone) { o.id, o.key, o.public = p.id, p.key, p.public })
			r := other.answer(events.Approve, other.number)
			r.ID, r.Number = p.v.ID, p.answer(events.Approve, p.number).Number
			return r
		},
		"of another context": func(_ *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) { a.Context = `{"action":"Pay 10"}` })
		},
		"of another decision": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Deny, "")
			r.Decision, r.Number = events.Approve, p.answer(events.Approve, p.number).Number
			return r
		},
		"of another decision in the proof": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Deny, "")
			r.Decision, r.Proof.Decision, r.Number = events.Approve, events.Approve, p.answer(events.Approve, p.number).Number
			return r
		},
		"of a wrong number where the right one is compared": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Approve, p.wrong())
			r.Number = p.answer(events.Approve, p.number).Number
			return r
		},
		"of the right number where a wrong one is compared": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Approve, p.number)
			r.Number = p.answer(events.Approve, p.wrong()).Number
			return r
		},
		"of a number under no salt": func(_ *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) { a.NumberDigest = device.NumberDigest("", p.number) })
		},
		"of no number where one is compared": func(_ *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) { a.NumberDigest = "" })
		},
		"of a time to come": func(h *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) {
				a.AnsweredAt = h.clock.now().Add(6 * time.Minute).UTC().Format(time.RFC3339)
			})
		},
		"of a time before the question": func(_ *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) {
				a.AnsweredAt = p.v.CreatedAt.Add(-device.Earliest - time.Second).UTC().Format(time.RFC3339)
			})
		},
		"of a time with 33,000 decimals": func(h *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) {
				a.AnsweredAt = h.clock.now().UTC().Format("2006-01-02T15:04:05.") + strings.Repeat("0", 33_000) + "Z"
			})
		},
		"of a digest that is none": func(_ *house, p phone) events.ResponseReceived {
			return p.answer(events.Deny, "", func(a *device.Answer) { a.NumberDigest = strings.Repeat("0", 33_000) })
		},
		"of no time": func(_ *house, p phone) events.ResponseReceived {
			return p.answer(events.Approve, p.number, func(a *device.Answer) { a.AnsweredAt = "now" })
		},
		"with a signature that is cut": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.Approve, p.number)
			r.Proof.Signature = r.Proof.Signature[:30]
			return r
		},
		"of a refusal that nobody signed": func(_ *house, p phone) events.ResponseReceived {
			r := p.answer(events.NotMe, "")
			r.Proof.Signature[10] ^= 1
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			log := &lines{}
			h.verifyWith(func(v *verifier.Verifier) { v.Log = slog.New(slog.NewJSONHandler(log, nil)) })
			p := h.askPhone(2)
			r := make(h, p)
			h.respond(r)
			require.Equal(t, r.Kind+" unproved", next(t, h.counted))
			require.Equal(t, "+ACK", next(t, h.settled))
			require.Equal(t, verification.Pending, h.get(p.v.ID).Status)
			require.Zero(t, h.writes())
			require.Zero(t, h.archived())
			require.Contains(t, log.String(), "answer without a valid proof refused")
			require.Contains(t, log.String(), p.v.ID)
			if r.Proof != nil {
				require.NotContains(t, log.String(), base64.StdEncoding.EncodeToString(r.Proof.Signature))
				require.NotContains(t, log.String(), base64.RawURLEncoding.EncodeToString(r.Proof.Signature))
			}
			require.NotContains(t, log.String(), "token-of-")

			good := p.answer(events.Approve, p.number)
			good.EventID = uuid.NewString()
			h.respond(good)
			require.Equal(t, "push approved", next(t, h.counted), "the phone is still heard")
		})
	}
}

func TestAReplayedAnswerIsOneEventAndOneProof(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	p := h.askPhone(2)
	r := p.answer(events.Approve, p.number)
	for range 3 {
		h.respond(r) // the broker keeps one
	}
	require.Equal(t, "push approved", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	first, err := h.proofs().Proof(t.Context(), "shop", p.v.ID)
	require.NoError(t, err)
	late := p.answer(events.Deny, "", func(a *device.Answer) { a.AnsweredAt = h.clock.now().Add(time.Second).UTC().Format(time.RFC3339) })
	h.respond(late)
	require.Equal(t, "push late", next(t, h.counted))
	r.EventID = uuid.NewString() // as if the broker had forgotten it
	h.respond(r)
	require.Equal(t, "push late", next(t, h.counted))
	require.EqualValues(t, 3, h.drained(stream.Responses, verifier.ResponsesConsumer))
	again, err := h.proofs().Proof(t.Context(), "shop", p.v.ID)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.EqualValues(t, 2, h.archived(), "one proof, and one last use")
}

func TestALastUseIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	first := h.askPhone(0)
	again := func() time.Time {
		p := h.askPhone(0, func(o *phone) { o.id, o.key, o.public = first.id, first.key, first.public })
		h.respond(p.answer(events.Approve, ""))
		require.Equal(t, "push approved", next(t, h.counted))
		require.Equal(t, "+ACK", next(t, h.settled))
		at, err := h.proofs().LastUsed(t.Context(), first.id)
		require.NoError(t, err)
		return at
	}
	at := again()
	h.clock.forward(30 * time.Second)
	require.True(t, at.Equal(again()))
	h.clock.forward(time.Minute)
	require.True(t, again().After(at))
	none, err := h.proofs().LastUsed(t.Context(), uuid.NewString())
	require.NoError(t, err)
	require.True(t, none.IsZero())
}

func TestNobodyWhoReadsTheStreamsLearnsTheNumber(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	p := h.askPhone(2)
	salt, err := h.store.NumberSalt(t.Context(), p.v.ID)
	require.NoError(t, err)
	require.Len(t, salt, 22)
	again, err := h.newStore().NumberSalt(t.Context(), p.v.ID)
	require.NoError(t, err)
	require.Equal(t, salt, again, "every process makes the same")
	h.respond(p.answer(events.Approve, p.number))
	require.Equal(t, "push approved", next(t, h.counted))
	require.Equal(t, "+ACK", next(t, h.settled))
	seen := 0
	for _, name := range []string{stream.Activations, stream.Responses, stream.Outcomes, stream.Proofs} {
		s, err := h.js.Stream(t.Context(), name)
		require.NoError(t, err)
		info, err := s.Info(t.Context())
		require.NoError(t, err)
		for sequence := info.State.FirstSeq; sequence <= info.State.LastSeq; sequence++ {
			m, err := s.GetMsg(t.Context(), sequence)
			require.NoError(t, err)
			seen++
			require.NotContains(t, string(m.Data), salt, "%s", m.Subject)
			require.NotContains(t, string(m.Data), `"`+p.number+`"`, "%s", m.Subject)
		}
	}
	require.GreaterOrEqual(t, seen, 5)
}

// before makes the record of a question that of a program which knew of no digests of numbers.
func (p phone) before() {
	p.h.t.Helper()
	r, err := stream.NewReader(p.h.t.Context(), p.h.js, stream.Activations)
	require.NoError(p.h.t, err)
	rec, err := r.Last(p.h.t.Context(), events.ActivationByID(p.v.ID))
	require.NoError(p.h.t, err)
	a, err := events.Decode[events.VerificationActivated](rec.Data)
	require.NoError(p.h.t, err)
	require.NotEmpty(p.h.t, a.NumberDigest)
	a.NumberDigest = ""
	data, err := events.Encode(a)
	require.NoError(p.h.t, err)
	_, err = p.h.pub.Put(p.h.t.Context(), rec.Subject, data)
	require.NoError(p.h.t, err)
}

func TestANumberThatWasAskedForBeforeThereWereDigestsIsComparedByItsHash(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.verify()
	p := h.askPhone(2)
	p.before()
	h.respond(p.answer(events.Approve, p.wrong()))
	require.Equal(t, "push pending", next(t, h.counted))
	bare := p.answer(events.Approve, p.number, func(a *device.Answer) { a.NumberDigest = "" })
	h.respond(bare)
	require.Equal(t, "push unproved", next(t, h.counted), "a number that was not signed is none")
	h.respond(p.answer(events.Approve, p.number))
	require.Equal(t, "push approved", next(t, h.counted))
	require.Equal(t, verification.Approved, h.get(p.v.ID).Status)
}
