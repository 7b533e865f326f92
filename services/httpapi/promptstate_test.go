package httpapi_test

import (
	"crypto/x509"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

// ask is a phone's look at one question, with the tag that it knows.
func (p phone) ask(b *bench, id, query, tag string) call {
	b.t.Helper()
	header := map[string]string{"Authorization": p.authorization(b.t, b.store.now().UTC().Format(time.RFC3339))}
	if tag != "" {
		header["If-None-Match"] = tag
	}
	return call{method: http.MethodGet, path: "/v1/phones/" + p.id + "/prompts/" + id + query, anonymous: true, header: header}
}

func (a answer) state(t *testing.T) api.PromptState {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	require.NotEmpty(t, a.Header.Get("ETag"))
	var s api.PromptState
	a.json(t, &s)
	return s
}

func TestAPhoneLearnsHowItsQuestionStands(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}))
	p := b.joinPhone()
	v, _ := b.create(`{"device_id":"` + p.id + `"}`)
	open := b.do(p.ask(b, v.ID, "", ""))
	require.Equal(t, api.PromptState{VerificationID: v.ID, Status: api.StatusPending, ChecksLeft: new(2)}, open.state(t))
	tag := open.Header.Get("ETag")
	require.Equal(t, http.StatusNotModified, b.do(p.ask(b, v.ID, "", tag)).StatusCode)

	b.resolve(v.ID, verification.Answered{Decision: verification.Approve, Number: []byte("wrong"), EventID: "1"})
	wrong := b.do(p.ask(b, v.ID, "?wait=9", tag))
	require.Equal(t, api.PromptState{VerificationID: v.ID, Status: api.StatusPending, ChecksLeft: new(1)}, wrong.state(t), "it changed since")
	b.resolve(v.ID, verification.Answered{
		Decision: verification.DecisionNotMe, Proof: &verification.Proof{DeviceID: p.id, Decision: verification.DecisionNotMe},
	})
	closed := b.do(p.ask(b, v.ID, "?wait=9", wrong.Header.Get("ETag"))).state(t)
	require.Equal(t, []any{api.StatusDenied, "not_me", true, 0}, []any{closed.Status, closed.Reason, closed.AnsweredHere, *closed.ChecksLeft})
	require.NotNil(t, closed.ClosedAt)
	require.Equal(t, closed, b.do(p.ask(b, v.ID, "?wait=9", "")).state(t), "a closed one is told at once")

	v, _ = b.create(`{"device_id":"` + p.id + `"}`)
	b.resolve(v.ID, verification.Answered{Decision: verification.Deny, Proof: &verification.Proof{DeviceID: uuid.NewString()}})
	require.False(t, b.do(p.ask(b, v.ID, "", "")).state(t).AnsweredHere, "another device was it")
}

func TestAPhoneThatShowsAQuestionIsToldWhatBecomesOfIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.joinPhone()
		v, _ := b.create(`{"device_id":"` + p.id + `"}`)
		tag := b.do(p.ask(b, v.ID, "", "")).Header.Get("ETag")
		c := p.ask(b, v.ID, "?wait=25", tag)
		answers := make(chan answer, 1)
		go func() { answers <- b.do(c) }()
		synctest.Wait()
		require.Equal(t, 1.0, b.parked("wait"))
		b.resolve(v.ID, verification.Cancel{})
		require.Equal(t, api.StatusCanceled, (<-answers).state(t).Status)

		v, _ = b.create(`{"device_id":"` + p.id + `"}`)
		asked := time.Now()
		c = p.ask(b, v.ID, "?wait=25", b.do(p.ask(b, v.ID, "", "")).Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, b.do(c).StatusCode)
		require.Equal(t, 25*time.Second, time.Since(asked))
	}, withApps(&apps{}))
}

func TestAQuestionThatWasNotAskedOfThisPhoneIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}))
	p := b.joinPhone()
	text, _ := b.create(`{"to":"+14155550100","channel":"sms"}`)
	theirs, _ := b.create(`{"to":"+14155550101","channel":"sms","challenge":"approval"}`)
	for _, id := range []string{text.ID, theirs.ID, uuid.NewString(), "x"} {
		require.Equal(t, api.ProblemCodeNotFound, b.do(p.ask(b, id, "", "")).problem(t).Code)
	}
	v, _ := b.create(`{"device_id":"` + p.id + `"}`)
	for _, query := range []string{"?wait=61", "?wait=-1", "?wait=soon"} {
		require.Equal(t, "wait", b.do(p.ask(b, v.ID, query, "")).problem(t).Errors[0].Parameter)
	}
	stranger := p
	stranger.key, _ = newKey(t)
	for _, id := range []string{v.ID, text.ID, uuid.NewString()} {
		require.Equal(t, api.ProblemCodeBadSignature, b.do(stranger.ask(b, id, "", "")).problem(t).Code)
	}
}

func TestAPhoneWhoseDeviceIsGoneIsToldSoAndNobodyElse(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	public, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	require.NoError(t, err)
	a.forget()
	stranger := p
	stranger.key, _ = newKey(t)
	for cause, words := range map[string]string{device.CauseRemoved: "was removed", device.CauseReplaced: "took the place"} {
		a.mu.Lock()
		a.gone = []device.Gone{{PublicKey: []byte("another"), Cause: device.CauseReplaced, At: at}, {PublicKey: public, Cause: cause, At: at}}
		a.mu.Unlock()
		body := `{"push_token":"another-token"}`
		for name, got := range map[string]api.Problem{
			"a look": b.look(p, "").problem(t), "a question": b.do(p.ask(b, uuid.NewString(), "", "")).problem(t),
			"a change": b.change(p, body, lookedAt).problem(t),
		} {
			require.Equal(t, []any{api.ProblemCodeDeviceRemoved, http.StatusGone, cause, at}, []any{got.Code, got.Status, got.Cause, *got.RemovedAt}, name)
			require.Contains(t, got.Detail, words)
		}
		require.Equal(t, api.ProblemCodeBadSignature, b.look(stranger, "").problem(t).Code)
	}
	a.fail(verification.ErrUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, b.look(p, "").problem(t).Status)
}

func TestACodeThatHasEndedSaysHow(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	_, public := newKey(t)
	c := call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: `{"code":"` + activationCode + `","platform":"webpush","public_key":"` + public + `"}`}
	a.fail(&enrolment.EndedError{Used: true, Brand: "Example Bank"})
	got := b.do(c).problem(t)
	require.Equal(t, []any{api.ProblemCodeJoinCodeUsed, http.StatusGone, "Example Bank"}, []any{got.Code, got.Status, got.Brand})
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	a.fail(&enrolment.EndedError{ExpiredAt: at})
	got = b.do(c).problem(t)
	require.Equal(t, []any{api.ProblemCodeJoinCodeExpired, http.StatusGone, "", at}, []any{got.Code, got.Status, got.Brand, *got.ExpiredAt})
	a.fail(nil)
	require.Equal(t, http.StatusCreated, b.do(c).StatusCode)
	require.Empty(t, a.joined[0].Address, "a page that nothing reaches")
}

func TestAPageMayHaveNothingThatReachesIt(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	u := b.register(`{}`)
	_, public := newKey(t)
	got := b.do(call{method: http.MethodPost, path: "/v1/users/" + u.ID + "/devices", body: `{"kind":"push","platform":"webpush","public_key":"` + public + `"}`})
	require.Equal(t, http.StatusCreated, got.StatusCode, "%s", got.body)
	var d api.Device
	got.json(t, &d)
	stored, err := b.store.Device(t.Context(), shop, d.ID)
	require.NoError(t, err)
	require.Equal(t, "page:"+d.ID, stored.Address)

	p := b.joinPhone()
	a.mu.Lock()
	a.joined[0].Platform = device.WebPush
	a.mu.Unlock()
	got = b.change(p, `{"push_token":""}`, lookedAt)
	require.Equal(t, http.StatusNoContent, got.StatusCode, "%s", got.body)
	require.Empty(t, a.joined[0].Address)
}

func TestAPageLearnsWhatItNeedsToKnow(t *testing.T) {
	t.Parallel()
	facts := api.Authenticator{PublicURL: "https://auth.example.com"}
	b := setup(t, func(c *httpapi.Config) { c.Authenticator = func() api.Authenticator { return facts } })
	c := call{method: http.MethodGet, path: "/v1/authenticator", anonymous: true}
	require.JSONEq(t, `{"public_url":"https://auth.example.com"}`, string(b.do(c).body))
	facts.WebPush = &api.WebPush{Service: api.WebPushServiceSandbox, PublicKey: "BPc"}
	require.JSONEq(t, `{"public_url":"https://auth.example.com","web_push":{"service":"sandbox","public_key":"BPc"}}`, string(b.do(c).body))
}
