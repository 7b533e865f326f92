package httpapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

const (
	activationCode = "K7QX-2M4P-WZ3N-A5RT"
	appSecret      = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// apps knows phones, and one activation code that works once.
type apps struct {
	store *memory

	mu     sync.Mutex
	joined []device.Device
	// repeats is what the last call said of itself.
	repeats bool
	err     error
	looks   int
	gone    []device.Gone
	tried   []string
	counter device.Counter
	tryErr  error
}

// withApps gives a server its phones. What joins is a device of the store too.
func withApps(a *apps) func(*httpapi.Config) {
	return func(c *httpapi.Config) {
		c.Phones = a
		store, ok := c.Verifications.(*memory)
		if !ok {
			panic("the bench keeps its records in memory")
		}
		a.store = store
	}
}

// Watch tells nothing: the pause between looks is what tests see.
func (*apps) Watch(string) (next func(context.Context), done func()) {
	return func(ctx context.Context) { <-ctx.Done() }, func() {}
}

func (a *apps) Join(ctx context.Context, code string, p enrolment.Phone) (enrolment.Joined, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repeats = p.MayRepeat
	if a.err != nil {
		return enrolment.Joined{}, a.err
	}
	if code != activationCode || len(a.joined) > 0 {
		return enrolment.Joined{}, verification.ErrNotFound
	}
	d := device.Device{
		ID: "019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d", UserID: "019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3e", Credential: shop,
		Kind: device.Push, Factor: device.AppPush, Name: p.Name, Address: p.PushToken, Platform: p.Platform, PublicKey: p.PublicKey,
		CreatedAt: time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC),
	}
	if _, err := a.store.CreateDevice(ctx, d); err != nil {
		return enrolment.Joined{}, err
	}
	a.joined = append(a.joined, d)
	return enrolment.Joined{Device: d, User: "ana", Brand: "Example Bank", Secret: appSecret}, nil
}

func (a *apps) Phone(_ context.Context, id string) (device.Device, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.joined, func(d device.Device) bool { return d.ID == id })
	if i < 0 || a.err != nil {
		return device.Device{}, firstErr(a.err, verification.ErrNotFound)
	}
	return a.joined[i], nil
}

func (a *apps) Gone(_ context.Context, _ string) ([]device.Gone, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone, a.err
}

func (a *apps) Try(_ context.Context, d device.Device, at time.Time, locale string) (verification.Verification, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tryErr == nil {
		a.tried = append(a.tried, d.ID+" "+at.UTC().Format(time.RFC3339)+" "+locale)
	}
	return verification.Verification{ID: "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90", Status: verification.Pending}, a.tryErr
}

func (a *apps) Count(_ context.Context, _ device.Device, next device.Counter) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	if !a.counter.Follows(next) {
		if next.At.Before(a.counter.At) {
			return enrolment.ErrStale
		}
		return enrolment.ErrCopied
	}
	a.counter = next
	return nil
}

func (a *apps) ChangeToken(_ context.Context, d device.Device, token string, at time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.joined, func(known device.Device) bool { return known.ID == d.ID })
	switch {
	case a.err != nil || i < 0:
		return firstErr(a.err, verification.ErrNotFound)
	case !at.After(a.joined[i].TokenAt):
		return enrolment.ErrStale
	}
	a.joined[i].Address, a.joined[i].TokenAt = token, at
	return nil
}

func (a *apps) Renew(_ context.Context, _, id string) (enrolment.Enrolment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return enrolment.Enrolment{}, a.err
	}
	return enrolment.Enrolment{
		Device: device.Device{ID: id}, JoinCode: activationCode, URI: "otpauth://totp/ana?secret=" + activationCode,
		ExpiresAt: time.Date(2026, 11, 21, 10, 9, 31, 0, time.UTC),
	}, nil
}

func (a *apps) Prompts(_ context.Context, d device.Device) ([]verification.Verification, error) {
	a.mu.Lock()
	a.looks++
	a.mu.Unlock()
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	var open []verification.Verification
	for _, r := range a.store.records {
		if v := r.v.At(a.store.now()); v.DeviceID == d.ID && !v.Status.Closed() {
			open = append(open, v)
		}
	}
	slices.SortFunc(open, func(x, y verification.Verification) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return open, a.store.err
}

func (a *apps) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *apps) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined = nil
}

func newKey(t *testing.T) (key *ecdsa.PrivateKey, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	return key, base64.StdEncoding.EncodeToString(der)
}

// joinPhone makes a phone by the activation code.
func (b *bench) joinPhone() phone {
	b.t.Helper()
	key, public := newKey(b.t)
	a := b.do(call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: `{"code":"` + activationCode +
		`","platform":"fcm","push_token":"token-of-ana","name":"Ana's phone","public_key":"` + public + `"}`})
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var joined api.JoinedPhone
	a.json(b.t, &joined)
	return phone{id: joined.DeviceID, key: key}
}

// authorization is the header of a look at a time.
func (p phone) authorization(t *testing.T, at string) string {
	t.Helper()
	return p.signs(t, device.Look, at, "")
}

// signs is the header of a request of the phone's own.
func (p phone) signs(t *testing.T, purpose device.Purpose, at, body string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(device.Request{Purpose: purpose, DeviceID: p.id, At: at, Body: body}.SignedText()))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	require.NoError(t, err)
	return `Phone at="` + at + `", signature="` + base64.RawURLEncoding.EncodeToString(signature) + `"`
}

const lookedAt = "2026-11-21T10:04:32Z"

func (b *bench) look(p phone, query string) answer {
	b.t.Helper()
	return b.do(call{
		method: http.MethodGet, path: "/v1/phones/" + p.id + "/prompts" + query, anonymous: true,
		header: map[string]string{"Authorization": p.authorization(b.t, lookedAt)},
	})
}

func (a answer) prompts(t *testing.T) []api.Prompt {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	var list api.PromptList
	a.json(t, &list)
	require.NotNil(t, list.Data)
	return list.Data
}

func TestAPhoneJoinsOnceWithItsActivationCode(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	_, public := newKey(t)
	c := call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: `{"code":"` + activationCode +
		`","platform":"apns","push_token":"` + apnsToken + `","public_key":"` + public + `","name":"Ana's phone"}`}
	got := b.do(c)
	require.Equal(t, http.StatusCreated, got.StatusCode, "%s", got.body)
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
	require.JSONEq(t, `{"device_id":"019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d","name":"Ana's phone","brand":"Example Bank","user":"ana",
		"secret":"`+appSecret+`","created_at":"2026-11-21T10:04:31Z"}`, string(got.body))
	der, err := base64.StdEncoding.DecodeString(public)
	require.NoError(t, err)
	require.Equal(t, []string{device.APNs, apnsToken, "Ana's phone"}, []string{a.joined[0].Platform, a.joined[0].Address, a.joined[0].Name})
	require.Equal(t, der, a.joined[0].PublicKey)

	again := b.do(c).problem(t)
	require.Equal(t, api.ProblemCodeNotFound, again.Code)
	require.Contains(t, again.Detail, "code")
	require.False(t, a.repeats, "nothing says that it is a repetition")
	c.header = map[string]string{"Idempotency-Key": "one-of-the-phones"}
	b.do(c)
	require.True(t, a.repeats)
	for _, ended := range []error{&enrolment.EndedError{Used: true}, &enrolment.EndedError{ExpiredAt: time.Now()}, verification.ErrUnavailable} {
		a.fail(ended)
		b.do(c)
	}
	require.NoError(t, testutil.GatherAndCompare(b.metrics, strings.NewReader(`
# HELP assent_phone_joins_total Activation codes that phones brought, by platform and result: joined, used, expired, unknown, or failed. A repeated request counts again.
# TYPE assent_phone_joins_total counter
assent_phone_joins_total{platform="apns",result="expired"} 1
assent_phone_joins_total{platform="apns",result="failed"} 1
assent_phone_joins_total{platform="apns",result="joined"} 1
assent_phone_joins_total{platform="apns",result="unknown"} 2
assent_phone_joins_total{platform="apns",result="used"} 1
`), "assent_phone_joins_total"))
	require.NotContains(t, b.log.String(), activationCode)
	require.NotContains(t, b.log.String(), appSecret)
	require.NotContains(t, b.log.String(), apnsToken)
}

func TestAJoinIsRefusedWithEveryFaultNamed(t *testing.T) {
	t.Parallel()
	_, public := newKey(t)
	good := map[string]string{"code": activationCode, "platform": "fcm", "push_token": "token", "public_key": public, "name": "Ana's phone"}
	for name, test := range map[string]struct {
		field, value string // an empty value leaves the field out
	}{
		"no code":                        {"code", ""},
		"a code that is too long":        {"code", strings.Repeat("K", 65)},
		"no platform":                    {"platform", ""},
		"a platform that is none":        {"platform", "fax"},
		"no push token":                  {"push_token", ""},
		"a push token with a space":      {"push_token", "to ken"},
		"no key":                         {"public_key", ""},
		"a key that is none":             {"public_key", "AAAA"},
		"a name that is too long":        {"name", strings.Repeat("n", 101)},
		"a name that moves the cursor":   {"name", `\u001b[2J`},
		"a field that nobody asked for":  {"secret", "x"},
		"a key that is too long":         {"public_key", strings.Repeat("A", 300)},
		"a push token that is too long":  {"push_token", strings.Repeat("t", 4097)},
		"an APNs token that is not hex":  {"push_token", "apns"},
		"a push token that is not ASCII": {"push_token", "tökén"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &apps{}
			b := setup(t, withApps(a))
			var fields []string
			for field, value := range good {
				if field == "platform" && test.value == "apns" {
					value = "apns"
				}
				if field != test.field {
					fields = append(fields, `"`+field+`":"`+value+`"`)
				}
			}
			if test.value != "" {
				fields = append(fields, `"`+test.field+`":"`+test.value+`"`)
			}
			got := b.do(call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: "{" + strings.Join(fields, ",") + "}"}).problem(t)
			require.Equal(t, api.ProblemCodeInvalidRequest, got.Code)
			require.Len(t, got.Errors, 1, "%v", got.Errors)
			require.Equal(t, "#/"+test.field, got.Errors[0].Pointer)
			require.Empty(t, a.joined)
		})
	}
	b := setup(t, withApps(&apps{}))
	require.Len(t, b.do(call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: "{}"}).problem(t).Errors, 4)
	require.Equal(t, api.ProblemCodeMalformedJSON, b.do(call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: "{"}).problem(t).Code)
	require.Equal(t, api.ProblemCodeUnsupportedMediaType, b.do(call{
		method: http.MethodPost, path: "/v1/phones", anonymous: true, body: "{}", header: map[string]string{"Content-Type": "text/plain"},
	}).problem(t).Code)
}

func TestAJoinThatCannotBeKeptIsUnavailable(t *testing.T) {
	t.Parallel()
	a := &apps{err: verification.ErrUnavailable}
	b := setup(t, withApps(a))
	_, public := newKey(t)
	got := b.do(call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: `{"code":"` + activationCode +
		`","platform":"fcm","push_token":"token","public_key":"` + public + `"}`}).problem(t)
	require.Equal(t, http.StatusServiceUnavailable, got.Status)
}

func TestAPhoneSeesItsQuestionsAndAnswersThem(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}))
	p := b.joinPhone()
	require.Empty(t, b.look(p, "").prompts(t))

	first, _ := b.create(`{"device_id":"` + p.id + `","brand":"Example Bank","context":{"action":"Pay 20 & more","ip":"203.0.113.7"}}`)
	b.clock.pass(time.Second)
	second, _ := b.create(`{"device_id":"` + p.id + `"}`)
	got := b.look(p, "?wait=0").prompts(t)
	require.Equal(t, []api.Prompt{
		{VerificationID: second.ID, Context: `{}`, NumberLength: 2, NumberSalt: saltFor(second.ID), ChecksLeft: new(2), CreatedAt: second.CreatedAt, ExpiresAt: second.ExpiresAt},
		{VerificationID: first.ID, Brand: "Example Bank", Context: shownContext, NumberLength: 2, NumberSalt: saltFor(first.ID), ChecksLeft: new(2), CreatedAt: first.CreatedAt, ExpiresAt: first.ExpiresAt},
	}, got)

	// What it answers is signed over the context as it stands in the prompt.
	p.number = "47"
	a := b.do(call{
		method: http.MethodPost, path: "/v1/verifications/" + first.ID + "/responses", anonymous: true,
		body: p.sign(t, first, got[1].Context, "approve", answeredAt, true),
	})
	require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
	require.Len(t, b.store.responses, 1)
	require.Equal(t, p.id, b.store.responses[0].Evidence)

	b.resolve(second.ID, verification.Cancel{})
	require.Len(t, b.look(p, "").prompts(t), 1)
}

func TestAPhoneLearnsTheNumbersToChooseFrom(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}))
	p := b.joinPhone()
	symbol, _ := b.create(`{"device_id":"` + p.id + `"}`)
	b.askForNumber(symbol.ID, 1, "3", "7", "9", "1")
	b.clock.pass(time.Second)
	typed, _ := b.create(`{"device_id":"` + p.id + `"}`)
	b.askForNumber(typed.ID, 2)
	b.clock.pass(time.Second)
	b.create(`{"device_id":"` + p.id + `"}`)
	got := b.look(p, "").prompts(t)
	require.Len(t, got, 3)
	require.Nil(t, got[0].Choices)
	require.Nil(t, got[1].Choices)
	require.Equal(t, []string{"3", "7", "9", "1"}, got[2].Choices)
	require.Equal(t, symbol.ID, got[2].VerificationID)
}

func TestALookThatIsNotThePhonesOwnIsRefusedInOneWay(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	stranger := p
	stranger.key, _ = newKey(t)
	elsewhere := p
	elsewhere.id = uuid.NewString()
	good := p.authorization(t, lookedAt)
	path := "/v1/phones/" + p.id + "/prompts"
	refuse := func(path, authorization string) api.Problem {
		c := call{method: http.MethodGet, path: path, anonymous: true, header: map[string]string{"Authorization": authorization}}
		got := b.do(c).problem(t)
		require.Equal(t, api.ProblemCodeBadSignature, got.Code)
		got.RequestID = ""
		return got
	}
	want := refuse(path, "")
	for name, header := range map[string]string{
		"of another key":       stranger.authorization(t, lookedAt),
		"for another device":   elsewhere.authorization(t, lookedAt),
		"too old":              p.authorization(t, "2026-11-21T09:59:30Z"),
		"of the future":        p.authorization(t, "2026-11-21T10:09:33Z"),
		"without a time":       p.authorization(t, ""),
		"with another time":    strings.Replace(good, lookedAt, "2026-11-21T10:04:33Z", 1),
		"with two times":       good + `, at="` + lookedAt + `"`,
		"without a signature":  `Phone at="` + lookedAt + `"`,
		"with a long one":      `Phone at="` + lookedAt + `", signature="` + strings.Repeat("A", 300) + `"`,
		"that is no base64":    `Phone at="` + lookedAt + `", signature="!"`,
		"of another scheme":    "Bearer token",
		"of a client":          "Basic " + base64.StdEncoding.EncodeToString([]byte(shop+":"+shopSecret)),
		"of the scheme alone":  "Phone",
		"with nothing in them": `Phone at="", signature=""`,
	} {
		require.Equal(t, want, refuse(path, header), name)
		require.Equal(t, want, refuse(path+"?wait=soon", header), name)
		require.Equal(t, want, refuse(path+"?wait=61", header), name)
	}
	require.Equal(t, want, refuse("/v1/phones/"+elsewhere.id+"/prompts", elsewhere.authorization(t, lookedAt)), "unknown")
	odd := "x' y"
	elsewhere.id = odd
	require.Equal(t, want, refuse("/v1/phones/"+url.PathEscape(odd)+"/prompts", elsewhere.authorization(t, lookedAt)), "not an id")
	a.forget()
	require.Equal(t, want, refuse(path, good), "removed")
	require.Zero(t, a.looks)
}

func TestALookMayBeWrittenInOtherWays(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}))
	p := b.joinPhone()
	at := "2026-11-21T11:04:32+01:00"
	header := p.authorization(t, at)
	signature := header[strings.Index(header, `signature="`)+len(`signature="`) : len(header)-1]
	padded := strings.NewReplacer("-", "+", "_", "/").Replace(signature) + strings.Repeat("=", (4-len(signature)%4)%4)
	for _, h := range []string{
		header, `phone signature="` + signature + `",at="` + at + `"`, `PHONE  AT="` + at + `" , Signature="` + padded + `"`,
		`Phone at=` + at + `, signature=` + signature,
	} {
		c := call{method: http.MethodGet, path: "/v1/phones/" + p.id + "/prompts", anonymous: true, header: map[string]string{"Authorization": h}}
		require.Empty(t, b.do(c).prompts(t), h)
	}
}

func TestAWaitForPromptsThatIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}))
	p := b.joinPhone()
	for _, query := range []string{"?wait=61", "?wait=-1", "?wait=soon", "?wait=1&wait=2"} {
		got := b.look(p, query).problem(t)
		require.Equal(t, api.ProblemCodeInvalidRequest, got.Code, query)
		require.Equal(t, "wait", got.Errors[0].Parameter, query)
	}
}

func TestALookThatCannotBeMadeIsUnavailable(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	a.fail(verification.ErrUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, b.look(p, "").problem(t).Status)
	a.fail(nil)
	b.store.fail(verification.ErrUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, b.look(p, "?wait=9").problem(t).Status)
}

func TestAPhoneThatIsOpenWaitsForItsQuestion(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, b *bench, p phone, look func() <-chan answer){
		"and gets it though nobody told it": func(t *testing.T, b *bench, p phone, look func() <-chan answer) {
			answers := look()
			require.Equal(t, 1.0, b.parked("wait"))
			asked := time.Now()
			time.AfterFunc(2500*time.Millisecond, func() { b.create(`{"device_id":"` + p.id + `"}`) })
			require.Len(t, (<-answers).prompts(t), 1)
			require.Equal(t, 5*time.Second, time.Since(asked))
			require.Zero(t, b.parked("wait"))
		},
		"until its wait is over": func(t *testing.T, _ *bench, _ phone, look func() <-chan answer) {
			asked := time.Now()
			require.Empty(t, (<-look()).prompts(t))
			require.Equal(t, 25*time.Second, time.Since(asked))
		},
		"until the process ends": func(t *testing.T, b *bench, _ phone, look func() <-chan answer) {
			asked := time.Now()
			answers := look()
			b.shutDown()
			require.Empty(t, (<-answers).prompts(t))
			require.Less(t, time.Since(asked), time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bench) {
				p := b.joinPhone()
				c := b.longLook(p)
				test(t, b, p, func() <-chan answer {
					answers := make(chan answer, 1)
					go func() { answers <- b.do(c) }()
					synctest.Wait()
					return answers
				})
			}, withApps(&apps{}))
		})
	}
}

// longLook waits for a prompt, on the clock of a bubble.
func (b *bench) longLook(p phone) call {
	b.t.Helper()
	return call{
		method: http.MethodGet, path: "/v1/phones/" + p.id + "/prompts?wait=25", anonymous: true,
		header: map[string]string{"Authorization": p.authorization(b.t, time.Now().UTC().Format(time.RFC3339))},
	}
}

func TestAPhoneThatLeavesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	a := &apps{}
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.longLook(b.joinPhone())
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			b.server.ServeHTTP(httptest.NewRecorder(), r.request(ctx))
		}()
		synctest.Wait()
		cancel()
		<-left
		require.Contains(t, b.log.String(), `"status":499`)
		require.Equal(t, 1, a.looks)
	}, withApps(a))
}
