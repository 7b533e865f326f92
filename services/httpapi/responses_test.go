package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// phone is an app install with its key.
type phone struct {
	id     string
	key    *ecdsa.PrivateKey
	number string // typed by the person
}

func (b *bench) registerPhone(platform, token string) phone {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b.t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(b.t, err)
	var u api.User
	b.post("/v1/users", `{"name":"Ana"}`).json(b.t, &u)
	a := b.post("/v1/users/"+u.ID+"/devices", `{"kind":"push","platform":"`+platform+`","push_token":"`+token+`","public_key":"`+
		base64.StdEncoding.EncodeToString(der)+`"}`)
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var d api.Device
	a.json(b.t, &d)
	return phone{id: d.ID, key: key}
}

var apnsToken = strings.Repeat("0f", 32)

// sign makes the body of an answer as an app would.
func (p phone) sign(t *testing.T, v api.Verification, shown, decision, at string, der bool) string {
	t.Helper()
	digest := sha256.Sum256([]byte(device.Answer{
		VerificationID: v.ID, DeviceID: p.id, Decision: decision, NumberDigest: device.NumberDigest(saltFor(v.ID), p.number), AnsweredAt: at, Context: shown,
	}.SignedText()))
	var signature []byte
	var err error
	if der {
		signature, err = ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	} else {
		r, s, signErr := ecdsa.Sign(rand.Reader, p.key, digest[:])
		signature, err = make([]byte, 64), signErr
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
	}
	require.NoError(t, err)
	body, err := json.Marshal(api.PushAnswer{
		DeviceID: p.id, Decision: api.Decision(decision), Number: p.number, AnsweredAt: at, Signature: base64.RawURLEncoding.EncodeToString(signature),
	})
	require.NoError(t, err)
	return string(body)
}

// signature is that of an answer's body.
func (phone) signature(t *testing.T, body string) []byte {
	t.Helper()
	var sent api.PushAnswer
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	b, err := base64.RawURLEncoding.DecodeString(sent.Signature)
	require.NoError(t, err)
	return b
}

const (
	shownContext = `{"ip":"203.0.113.7","action":"Pay 20 \u0026 more"}`
	answeredAt   = "2026-11-21T11:04:40+01:00"
)

func (b *bench) askPhone() (phone, api.Verification) {
	b.t.Helper()
	p := b.registerPhone("apns", apnsToken)
	v, _ := b.create(`{"device_id":"` + p.id + `","context":{"action":"Pay 20 & more","ip":"203.0.113.7"}}`)
	b.askForNumber(v.ID, 0)
	return p, v
}

func TestAPushIsAnsweredByTheDevicesSignature(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"approve", "deny", "not_me"} {
		for name, der := range map[string]bool{"DER": true, "raw": false} {
			t.Run(decision+" signed in "+name+" form", func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				p, v := b.askPhone()
				if der {
					p.number = "47" // an app may send one though none was asked for
				}
				require.Equal(t, api.ChallengeApproval, v.Challenge)
				require.Equal(t, api.ChannelPush, v.Channel)
				require.Equal(t, p.id, v.DeviceID)
				require.NotEmpty(t, v.UserID)
				c := call{
					method: http.MethodPost, path: "/v1/verifications/" + v.ID + "/responses", anonymous: true,
					body: p.sign(t, v, shownContext, decision, answeredAt, der),
				}
				for range 2 { // an app may repeat its answer
					a := b.do(c)
					require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
					require.Equal(t, "/v1/verifications/"+v.ID, a.Header.Get("Location"))
					require.JSONEq(t, `{"id":"`+v.ID+`","status":"pending"}`, string(a.body))
				}
				require.Len(t, b.store.responses, 2)
				got := b.store.responses[0]
				require.Equal(t, got, b.store.responses[1], "a repetition is the same event")
				require.NotEmpty(t, got.EventID)
				require.Equal(t, events.ResponseReceived{
					Version: events.Version, EventID: got.EventID, ID: v.ID, Kind: events.ResponsePush,
					Decision: events.Decision(decision), Evidence: p.id, ReceivedAt: b.clock.now(),
					Proof: &events.Proof{
						DeviceID: p.id, Decision: events.Decision(decision), NumberDigest: device.NumberDigest(saltFor(v.ID), p.number),
						AnsweredAt: answeredAt, Signature: p.signature(t, c.body),
					},
				}, got)
				event, err := events.Encode(got)
				require.NoError(t, err)
				require.NotContains(t, string(event), `"47"`, "no number in clear")
			})
		}
	}
}

func TestAPushAnswerIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body func(t *testing.T, b *bench, p phone, v api.Verification) string
		code api.ProblemCode
		at   string
	}{
		"signed by another key": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(t, err)
			p.key = key
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"with the decision changed": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return strings.Replace(p.sign(t, v, shownContext, "deny", answeredAt, true), `"deny"`, `"approve"`, 1)
		}, api.ProblemCodeBadSignature, ""},
		"with the number changed": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			p.number = "47"
			return strings.Replace(p.sign(t, v, shownContext, "approve", answeredAt, true), `"47"`, `"48"`, 1)
		}, api.ProblemCodeBadSignature, ""},
		"with a number that is none": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			p.number = "4x"
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeInvalidRequest, "#/number"},
		"with a number under no salt": {func(t *testing.T, b *bench, p phone, v api.Verification) string {
			b.askForNumber(v.ID, 2)
			return p.signText(t, "approve", "47", device.Answer{
				VerificationID: v.ID, DeviceID: p.id, Decision: "approve", NumberDigest: device.NumberDigest("", "47"), AnsweredAt: answeredAt, Context: shownContext,
			}.SignedText())
		}, api.ProblemCodeBadSignature, ""},
		"with the text of the version before": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return p.signText(t, "approve", "", strings.Replace(device.Answer{
				VerificationID: v.ID, DeviceID: p.id, Decision: "approve", AnsweredAt: answeredAt, Context: shownContext,
			}.SignedText(), "-v2", "-v1", 1))
		}, api.ProblemCodeBadSignature, ""},
		"with a cut signature": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			var a api.PushAnswer
			require.NoError(t, json.Unmarshal([]byte(p.sign(t, v, shownContext, "approve", answeredAt, true)), &a))
			a.Signature = a.Signature[:40]
			body, err := json.Marshal(a)
			require.NoError(t, err)
			return string(body)
		}, api.ProblemCodeBadSignature, ""},
		"by a device that got another key since": {func(t *testing.T, b *bench, p phone, v api.Verification) string {
			key, _ := newKey(t)
			b.store.rekey(t, p.id, &key.PublicKey)
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"by the key that a device got since the question": {func(t *testing.T, b *bench, p phone, v api.Verification) string {
			p.key, _ = newKey(t)
			b.store.rekey(t, p.id, &p.key.PublicKey)
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"with a number after the end": {func(t *testing.T, b *bench, p phone, v api.Verification) string {
			b.askForNumber(v.ID, 2)
			b.clock.pass(5 * time.Minute)
			p.number = "47"
			return p.sign(t, v, shownContext, "approve", b.clock.now().Format(time.RFC3339), true)
		}, api.ProblemCodeVerificationClosed, ""},
		"to another context": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return p.sign(t, v, `{}`, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"to another verification": {func(t *testing.T, b *bench, p phone, _ api.Verification) string {
			v, _ := b.create(`{"device_id":"` + p.id + `"}`)
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"by another device": {func(t *testing.T, b *bench, _ phone, v api.Verification) string {
			return b.registerPhone("fcm", "token").sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"by a device that was removed since": {func(t *testing.T, b *bench, p phone, v api.Verification) string {
			require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: "/v1/devices/" + p.id}).StatusCode)
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeBadSignature, ""},
		"with an old date": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return p.sign(t, v, shownContext, "approve", "2026-11-21T09:00:00Z", true)
		}, api.ProblemCodeInvalidRequest, "#/answered_at"},
		"dated before the question": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return p.sign(t, v, shownContext, "approve", "2026-11-21T10:03:31Z", true)
		}, api.ProblemCodeInvalidRequest, "#/answered_at"},
		"dated in the future": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return p.sign(t, v, shownContext, "approve", "2026-11-21T10:09:40Z", true)
		}, api.ProblemCodeInvalidRequest, "#/answered_at"},
		"after the end": {func(t *testing.T, b *bench, p phone, v api.Verification) string {
			b.resolve(v.ID, verification.Cancel{})
			return p.sign(t, v, shownContext, "approve", answeredAt, true)
		}, api.ProblemCodeVerificationClosed, ""},
		"without a date": {func(*testing.T, *bench, phone, api.Verification) string {
			return `{"device_id":"d","decision":"approve","signature":"AA"}`
		}, api.ProblemCodeInvalidRequest, "#/answered_at"},
		"with a date that is none": {func(*testing.T, *bench, phone, api.Verification) string {
			return `{"device_id":"d","decision":"approve","signature":"AA","answered_at":"yesterday at noon, sir"}`
		}, api.ProblemCodeInvalidRequest, "#/answered_at"},
		"with a date of more than 35 characters": {func(t *testing.T, _ *bench, p phone, v api.Verification) string {
			return p.sign(t, v, shownContext, "approve", "2026-11-21T11:04:40."+strings.Repeat("0", 33_000)+"+01:00", true)
		}, api.ProblemCodeInvalidRequest, "#/answered_at"},
		"with a decision that is none": {func(*testing.T, *bench, phone, api.Verification) string {
			return `{"device_id":"d","decision":"maybe","signature":"AA","answered_at":"` + answeredAt + `"}`
		}, api.ProblemCodeInvalidRequest, "#/decision"},
		"with a signature that is none": {func(*testing.T, *bench, phone, api.Verification) string {
			return `{"device_id":"d","decision":"deny","signature":"!","answered_at":"` + answeredAt + `"}`
		}, api.ProblemCodeInvalidRequest, "#/signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p, v := b.askPhone()
			body := test.body(t, b, p, v)
			got := b.do(call{method: http.MethodPost, path: "/v1/verifications/" + v.ID + "/responses", anonymous: true, body: body}).problem(t)
			require.Equal(t, test.code, got.Code, "%v", got)
			if test.at != "" {
				require.Equal(t, test.at, got.Errors[0].Pointer)
			}
			require.Empty(t, b.store.responses)
			for _, secret := range []string{`"47"`, "signature\":\"", apnsToken, saltFor(v.ID)} {
				require.NotContains(t, b.log.String(), secret)
			}
		})
	}
}

// signText makes the body of an answer with a signature of any text.
func (p phone) signText(t *testing.T, decision, number, text string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	require.NoError(t, err)
	body, err := json.Marshal(api.PushAnswer{
		DeviceID: p.id, Decision: api.Decision(decision), Number: number, AnsweredAt: answeredAt, Signature: base64.RawURLEncoding.EncodeToString(signature),
	})
	require.NoError(t, err)
	return string(body)
}

// rekey gives a device another key.
func (m *memory) rekey(t *testing.T, id string, public *ecdsa.PublicKey) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.devices {
		if m.devices[i].ID == id {
			m.devices[i].PublicKey = der
		}
	}
}

// askForNumber makes a stored question ask for a number of this length; zero: for none.
func (b *bench) askForNumber(id string, length int, choices ...string) {
	b.t.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	r, ok := b.store.records[id]
	require.True(b.t, ok)
	r.v.NumberLength, r.v.MaxChecks, r.a.Choices = length, 1, choices
	b.store.store(id, r)
}

func TestANumberTravelsAsItsHashAndWithAnApprovalOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, v := b.askPhone()
	b.askForNumber(v.ID, 1, "3", "7", "9", "1")
	respond := func(decision, number, at string) answer {
		p.number = number
		return b.do(call{
			method: http.MethodPost, path: "/v1/verifications/" + v.ID + "/responses", anonymous: true,
			body: p.sign(t, v, shownContext, decision, at, true),
		})
	}
	for _, number := range []string{"", "47", "0007"} {
		got := respond("approve", number, answeredAt).problem(t)
		require.Equal(t, api.ProblemCodeInvalidRequest, got.Code)
		require.Len(t, got.Errors, 1)
		require.Equal(t, "#/number", got.Errors[0].Pointer)
		require.Contains(t, got.Errors[0].Detail, "one digit")
	}
	require.Empty(t, b.store.responses, "nothing is tried by a slip")

	for _, number := range []string{"7", "7", "4"} { // the second is a repetition; nobody says here what is wrong
		require.Equal(t, http.StatusAccepted, respond("approve", number, answeredAt).StatusCode)
	}
	require.Equal(t, http.StatusAccepted, respond("approve", "7", lookedAt).StatusCode)
	require.Equal(t, http.StatusAccepted, respond("deny", "", answeredAt).StatusCode)
	require.Equal(t, http.StatusAccepted, respond("not_me", "7", answeredAt).StatusCode)
	got := b.store.responses
	require.Len(t, got, 6)
	require.Equal(t, events.ResponseReceived{
		Version: events.Version, EventID: got[0].EventID, ID: v.ID, Kind: events.ResponsePush, Decision: events.Approve,
		Number: []byte("hash of 7"), Evidence: p.id, ReceivedAt: b.clock.now(), Proof: got[0].Proof,
	}, got[0])
	require.Equal(t, device.NumberDigest(saltFor(v.ID), "7"), got[0].Proof.NumberDigest)
	require.Equal(t, got[0].EventID, got[1].EventID, "a repetition is the same event")
	require.Equal(t, []byte("hash of 4"), got[2].Number)
	require.Nil(t, got[4].Number)
	require.Nil(t, got[5].Number, "a refusal needs none")
	ids := map[string]bool{}
	for _, e := range got {
		ids[e.EventID] = true
	}
	require.Len(t, ids, 5, "another number, time or decision is another event")
	require.NotContains(t, b.log.String(), "hash of")
}

func TestAnAnswerToAPushedCodeIsNoAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.registerPhone("fcm", "token-of-ana")
	v, code := b.create(`{"device_id":"` + p.id + `","challenge":"code","code_length":8}`)
	require.Equal(t, api.ChannelPush, v.Channel)
	require.Equal(t, api.ChallengeCode, v.Challenge)
	require.Len(t, code, 8)
	require.NotNil(t, v.ChecksLeft)
	asked := b.store.activation(v.ID)
	require.Equal(t, []string{"token-of-ana", device.FCM}, []string{asked.To, asked.Platform})

	c := call{
		method: http.MethodPost, path: "/v1/verifications/" + v.ID + "/responses", anonymous: true,
		body: p.sign(t, v, `{}`, "approve", answeredAt, true),
	}
	got := b.do(c).problem(t)
	require.Equal(t, api.ProblemCodeWrongChallenge, got.Code)
	require.Equal(t, http.StatusConflict, got.Status)
	require.Empty(t, b.store.responses)

	stranger := p
	stranger.key, _ = newKey(t)
	c.body = stranger.sign(t, v, `{}`, "approve", answeredAt, true)
	require.Equal(t, api.ProblemCodeBadSignature, b.do(c).problem(t).Code, "nothing is told to others")

	checked := b.post("/v1/verifications/"+v.ID+"/check", `{"code":"`+code+`"}`)
	require.Equal(t, http.StatusOK, checked.StatusCode)
	require.Contains(t, string(checked.body), `"valid":true`)
}

func TestAnAnswerToNoPushIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.registerPhone("apns", apnsToken)
	v, _ := b.create(smsCode)
	body := p.sign(t, v, `{}`, "approve", answeredAt, true)
	path := "/v1/verifications/" + v.ID + "/responses"
	require.Equal(t, api.ProblemCodeBadSignature, b.do(call{method: http.MethodPost, path: path, body: body, anonymous: true}).problem(t).Code)
	unknown := "/v1/verifications/019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90/responses"
	require.Equal(t, api.ProblemCodeNotFound, b.do(call{method: http.MethodPost, path: unknown, body: body, anonymous: true}).problem(t).Code)
}

func TestAnAnswerThatCannotBeKeptIsNotAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, v := b.askPhone()
	body := p.sign(t, v, shownContext, "approve", answeredAt, true)
	b.store.fail(verification.ErrUnavailable)
	got := b.do(call{method: http.MethodPost, path: "/v1/verifications/" + v.ID + "/responses", anonymous: true, body: body}).problem(t)
	require.Equal(t, http.StatusServiceUnavailable, got.Status)
	require.Equal(t, 5*time.Minute, v.ExpiresAt.Sub(v.CreatedAt))
}
