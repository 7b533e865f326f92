package phone_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/phone"
)

const (
	deviceID = "019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d"
	asked    = "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"
	salt     = "pXk2Jq0cT1m5l8S3vRwZbA"
	shown    = `{"ip":"203.0.113.7","action":"Pay 20 \u0026 more","place":"Lisbon"}`
)

var secret = []byte("12345678901234567890")

// service is a deployment with one activation code. It checks what phones send.
type service struct {
	*httptest.Server

	mu       sync.Mutex
	joined   api.JoinPhone
	public   []byte
	prompts  []api.Prompt
	waits    []string
	answers  []api.PushAnswer
	refusing *api.Problem
}

func serve(t *testing.T, start func(http.Handler) *httptest.Server) *service {
	t.Helper()
	s := &service{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/phones", s.join)
	mux.HandleFunc("GET /v1/phones/{id}/prompts", s.list)
	mux.HandleFunc("POST /v1/verifications/{id}/responses", s.answer)
	mux.HandleFunc("PUT /v1/phones/{id}", s.change)
	s.Server = start(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *service) join(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if json.NewDecoder(r.Body).Decode(&s.joined) != nil || r.Header.Get("Content-Type") != "application/json" {
		problem(w, api.Problem{Status: http.StatusBadRequest, Code: api.ProblemCodeMalformedJSON, Detail: "The body is not valid JSON."})
		return
	}
	var err error
	s.public, err = base64.StdEncoding.DecodeString(s.joined.PublicKey)
	if err != nil || device.CheckPublicKey(s.public) != nil || s.joined.Code != "K7QX-2M4P-WZ3N-A5RT" {
		problem(w, api.Problem{Status: http.StatusNotFound, Code: api.ProblemCodeNotFound, Detail: "No phone is waited for with this code."})
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(api.JoinedPhone{
		DeviceID: deviceID, Name: s.joined.Name, Brand: "Example Bank", User: "ana",
		Secret: device.SecretText(secret), CreatedAt: time.Now().UTC().Truncate(time.Second),
	})
}

var authorization = regexp.MustCompile(`^Phone at="([^"]+)", signature="([A-Za-z0-9_-]+)"$`)

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil || r.PathValue("id") != deviceID || s.refusing != nil {
		problem(w, s.refusal())
		return
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || (device.Request{Purpose: device.Look, DeviceID: deviceID, At: parts[1]}).Verify(s.public, signature) != nil {
		problem(w, s.refusal())
		return
	}
	s.waits = append(s.waits, r.URL.Query().Get("wait"))
	_ = json.NewEncoder(w).Encode(api.PromptList{Data: s.prompts})
}

// change takes the signed change of a push token.
func (s *service) change(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	body, err := io.ReadAll(r.Body)
	if err != nil || parts == nil || s.refusing != nil {
		problem(w, s.refusal())
		return
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	signed := device.Request{Purpose: device.Change, DeviceID: r.PathValue("id"), At: parts[1], Body: string(body)}
	var change api.ChangePhone
	if err != nil || signed.Verify(s.public, signature) != nil || json.Unmarshal(body, &change) != nil {
		problem(w, s.refusal())
		return
	}
	s.joined.PushToken = change.PushToken
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) refusal() api.Problem {
	if s.refusing != nil {
		return *s.refusing
	}
	return api.Problem{Status: http.StatusForbidden, Code: api.ProblemCodeBadSignature, Detail: "It is not signed by this device."}
}

func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a api.PushAnswer
	_ = json.NewDecoder(r.Body).Decode(&a)
	signature, err := base64.RawURLEncoding.DecodeString(a.Signature)
	signed := device.Answer{
		VerificationID: r.PathValue("id"), DeviceID: a.DeviceID, Decision: string(a.Decision), NumberDigest: device.NumberDigest(salt, a.Number),
		AnsweredAt: a.AnsweredAt, Context: shown,
	}
	if err != nil || signed.Verify(s.public, signature) != nil || s.refusing != nil {
		problem(w, s.refusal())
		return
	}
	s.answers = append(s.answers, a)
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(api.ReceivedAnswer{ID: r.PathValue("id"), Status: api.StatusPending})
}

func problem(w http.ResponseWriter, p api.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func (s *service) ask(choices ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompts = append([]api.Prompt{{VerificationID: asked, Brand: "Example Bank", Context: shown, Choices: choices, NumberSalt: salt}}, s.prompts...)
}

func (s *service) refuse(p *api.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = p
}

func (s *service) invitation() phone.Invitation {
	return phone.Invitation{Base: s.URL + "/", Code: "K7QX-2M4P-WZ3N-A5RT", Name: "Ana's phone"}
}

// kept is a phone that has joined, and was read again from its file.
func (s *service) kept(t *testing.T) *phone.Phone {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ana.json")
	place, err := phone.Reserve(path, false)
	require.NoError(t, err)
	defer place.Release()
	p, err := phone.Join(t.Context(), s.invitation())
	require.NoError(t, err)
	require.NoError(t, place.Keep(p))
	read, err := phone.Load(path)
	require.NoError(t, err)
	return read
}

func TestAPhoneThatWasKeptAnswersAsTheOneThatJoined(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	p := s.kept(t)
	require.Equal(t, deviceID, p.DeviceID)
	require.Equal(t, []string{"Ana's phone", "Example Bank", "ana"}, []string{p.Name, p.Brand, p.User})
	require.Equal(t, api.Platform("fcm"), s.joined.Platform)
	require.Equal(t, *s.joined.PushToken, p.PushToken)

	s.ask()
	prompt, err := p.Await(t.Context(), 3*time.Second)
	require.NoError(t, err)
	require.Equal(t, [][2]string{
		{"brand", "Example Bank"}, {"action", "Pay 20 & more"}, {"ip", "203.0.113.7"}, {"place", "Lisbon"},
	}, phone.Question(prompt))
	require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionApprove, "47"))
	require.Equal(t, []string{"3"}, s.waits)
	require.Len(t, s.answers, 1)
	require.Equal(t, api.DecisionApprove, s.answers[0].Decision)
	require.Equal(t, "47", s.answers[0].Number)
}

func TestAPhoneChangesItsPushToken(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	p := s.kept(t)
	first := p.PushToken
	require.NoError(t, p.ChangeToken(t.Context(), ""))
	require.NotEqual(t, first, p.PushToken)
	require.Equal(t, *s.joined.PushToken, p.PushToken)
	require.NoError(t, p.ChangeToken(t.Context(), "own"))
	require.Equal(t, "own", *s.joined.PushToken)
	s.refuse(&api.Problem{Status: http.StatusForbidden, Code: api.ProblemCodeBadSignature, Detail: "It is not signed by this device."})
	require.ErrorContains(t, p.ChangeToken(t.Context(), "other"), "It is not signed by this device.")
	require.Equal(t, "own", p.PushToken, "what was refused is not kept")
}

func TestANumberIsPickedFromThoseOfTheQuestion(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	p := s.kept(t)
	s.ask("3", "7", "9", "1")
	prompt, err := p.Await(t.Context(), 0)
	require.NoError(t, err)
	lines := phone.Question(prompt)
	require.Equal(t, [2]string{"choices", "3 7 9 1"}, lines[len(lines)-1])

	err = p.Answer(t.Context(), prompt, api.DecisionApprove, "")
	var asksFor *phone.NumberError
	require.ErrorAs(t, err, &asksFor)
	require.Equal(t, []string{"3", "7", "9", "1"}, asksFor.Choices)
	require.EqualError(t, err, "the question asks for the number on the other screen: 3, 7, 9 or 1")
	require.Empty(t, s.answers, "nothing is sent")
	require.EqualError(t, &phone.NumberError{Length: 2}, "the question asks for the 2 digits on the other screen")
	require.EqualError(t, &phone.NumberError{Length: 1}, "the question asks for the digit on the other screen")
	require.EqualError(t, &phone.NumberError{Choices: []string{"3\u001b"}}, "the question asks for the number on the other screen: 3")

	require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionApprove, "7"))
	require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionApprove, "8"), "whether it is right is told by the server")
	require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionDeny, ""), "a refusal needs none")
	require.Len(t, s.answers, 3)
	require.Equal(t, []string{"7", "8", ""}, []string{s.answers[0].Number, s.answers[1].Number, s.answers[2].Number})
}

func TestANumberThatIsTypedIsAskedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	p := s.kept(t)
	s.ask()
	s.prompts[0].NumberLength = 2
	prompt, err := p.Await(t.Context(), 0)
	require.NoError(t, err)
	require.EqualError(t, p.Answer(t.Context(), prompt, api.DecisionApprove, ""), "the question asks for the 2 digits on the other screen")
	require.Empty(t, s.answers, "nothing is sent")
	require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionNotMe, ""))
	require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionApprove, "47"))
	require.Len(t, s.answers, 2)
}

func TestAPhoneShowsWhatIsAgreedTo(t *testing.T) {
	t.Parallel()
	require.Equal(t, [][2]string{{"action", "Pay"}, {"Amount", "20 EUR"}, {"To", "Ana"}, {"ip", "203.0.113.7"}}, phone.Question(api.Prompt{
		Context: `{"ip":"203.0.113.7","action":"Pay","fields":[{"label":"Amount","value":"20 EUR"},{"label":"To\u001b","value":"Ana"}]}`,
	}))
}

func TestWhatAPhoneShowsMovesNoCursor(t *testing.T) {
	t.Parallel()
	lines := phone.Question(api.Prompt{Brand: "Bank\u202e", Context: `{"action":"Pay\u001b[2J","device":"a phone"}`})
	require.Equal(t, [][2]string{{"brand", "Bank"}, {"action", "Pay[2J"}, {"device", "a phone"}}, lines)
	require.Empty(t, phone.Question(api.Prompt{Context: "not JSON"}))
}

func TestAPhoneMakesTheCodesOfItsSecret(t *testing.T) {
	t.Parallel()
	p := serve(t, httptest.NewServer).kept(t)
	at := time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC)
	code, err := p.Code(at)
	require.NoError(t, err)
	require.Equal(t, device.OneTimeCode(secret, at), code)
}

func TestAPhoneWithoutAQuestionSaysSo(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	p := s.kept(t)
	_, err := p.Await(t.Context(), 0)
	require.ErrorIs(t, err, phone.ErrNoPrompt)
	_, err = p.Await(t.Context(), time.Second) // the service answers too early, and is asked again
	require.ErrorIs(t, err, phone.ErrNoPrompt)
	require.Equal(t, []string{"0", "1"}, s.waits[:2])
	require.Less(t, len(s.waits), 6, "no storm of requests")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Await(ctx, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRefusalsAreTheServicesOwnWords(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	var refused *api.Problem

	i := s.invitation()
	i.Code = "WRONG"
	_, err := phone.Join(t.Context(), i)
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "No phone is waited for with this code.")
	require.NotContains(t, err.Error(), "WRONG")

	p := s.kept(t)
	s.ask()
	prompt, err := p.Await(t.Context(), 0)
	require.NoError(t, err)
	prompt.Context = `{}` // not what was asked
	require.ErrorAs(t, p.Answer(t.Context(), prompt, api.DecisionDeny, ""), &refused)
	require.Equal(t, api.ProblemCodeBadSignature, refused.Code)
	require.Empty(t, s.answers)

	s.refuse(&api.Problem{Status: http.StatusServiceUnavailable, Code: api.ProblemCodeUnavailable, Detail: "The event broker is out of reach."})
	_, err = p.Await(t.Context(), time.Minute)
	require.ErrorContains(t, err, "The event broker is out of reach.")
}

func TestWhatIsNotAssentIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a page":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "not Assent's"},
		"an error":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "status 502"},
		"a redirect": {http.RedirectHandler("/v1/phones", http.StatusTemporaryRedirect).ServeHTTP, "status 307"},
		"no secret":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"device_id":"d"}`) }, "not Base32"},
		"no device": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"secret":"JBSWY3DPEHPK3PXP"}`)
		}, "no device id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			defer server.Close()
			_, err := phone.Join(t.Context(), phone.Invitation{Base: server.URL, Code: "x"})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestTheCertificatesOfAPrivateAuthorityAreKeptWithThePhone(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewTLSServer)
	_, err := phone.Join(t.Context(), s.invitation())
	require.ErrorContains(t, err, "unknown authority")

	i := s.invitation()
	i.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	path := filepath.Join(t.TempDir(), "ana.json")
	place, err := phone.Reserve(path, false)
	require.NoError(t, err)
	p, err := phone.Join(t.Context(), i)
	require.NoError(t, err)
	require.NoError(t, place.Keep(p))
	p, err = phone.Load(path)
	require.NoError(t, err)
	s.ask()
	_, err = p.Await(t.Context(), 0)
	require.NoError(t, err)
}

func TestBadInvitationsCallNobody(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "assent.example.com", "ftp://a", "https://user@a", "https://a?x=1", "https://"} {
		_, err := phone.Join(t.Context(), phone.Invitation{Base: base, Code: "x"})
		require.ErrorContains(t, err, "absolute http or https URL", base)
	}
	_, err := phone.Join(t.Context(), phone.Invitation{Base: "https://a", CA: "-----"})
	require.ErrorContains(t, err, "PEM")
}

func TestPushTokensThatNobodyWasGiven(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	for platform, form := range map[string]string{"apns": `^0[0-9a-f]{63}$`, "fcm": `^phone-[A-Za-z0-9_-]{43}$`} {
		i := s.invitation()
		i.Platform = platform
		first, err := phone.Join(t.Context(), i)
		require.NoError(t, err)
		second, err := phone.Join(t.Context(), i)
		require.NoError(t, err)
		require.Regexp(t, form, first.PushToken)
		require.NotEqual(t, first.PushToken, second.PushToken)
		require.NotEqual(t, first.PrivateKey, second.PrivateKey)
		i.PushToken = strings.Repeat("ab", 32)
		given, err := phone.Join(t.Context(), i)
		require.NoError(t, err)
		require.Equal(t, i.PushToken, given.PushToken)
	}
}

func TestAStateFileIsCompleteOrAbsentAndItsOwnersOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	dir := t.TempDir()
	path := filepath.Join(dir, "ana.json")
	p := s.kept(t)

	place, err := phone.Reserve(path, false)
	require.NoError(t, err)
	require.NoFileExists(t, path, "before the phone has joined")
	require.NoError(t, place.Keep(p))
	place.Release()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	_, err = phone.Reserve(path, false)
	require.ErrorIs(t, err, fs.ErrExist)

	replacing, err := phone.Reserve(path, true)
	require.NoError(t, err)
	other := s.kept(t)
	require.NoError(t, replacing.Keep(other))
	replacing.Release()
	read, err := phone.Load(path)
	require.NoError(t, err)
	require.Equal(t, other.PrivateKey, read.PrivateKey)

	unused, err := phone.Reserve(filepath.Join(dir, "bob.json"), false)
	require.NoError(t, err)
	unused.Release()
	late, err := phone.Reserve(filepath.Join(dir, "eve.json"), false)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "eve.json"), nil, 0o600))
	require.ErrorIs(t, late.Keep(p), fs.ErrExist, "a file that appeared meanwhile")
	late.Release()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing is left behind")

	_, err = phone.Reserve(filepath.Join(dir, "no", "such", "directory"), false)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestAFileThatIsNoPhoneIsNamedAndNotQuoted(t *testing.T) {
	t.Parallel()
	s := serve(t, httptest.NewServer)
	good, err := json.Marshal(s.kept(t)) //nolint:gosec // a phone's file is made to be spoilt
	require.NoError(t, err)
	for name, content := range map[string]string{
		"not JSON":     "hunter2",
		"no device":    strings.Replace(string(good), deviceID, "", 1),
		"no secret":    strings.Replace(string(good), device.SecretText(secret), "", 1),
		"no key":       regexp.MustCompile(`"private_key":"[^"]+"`).ReplaceAllString(string(good), `"private_key":"aHVudGVyMg=="`),
		"no base":      regexp.MustCompile(`"base":"[^"]+"`).ReplaceAllString(string(good), `"base":"hunter2"`),
		"a bad secret": strings.Replace(string(good), device.SecretText(secret), "hunter2!", 1),
	} {
		path := filepath.Join(t.TempDir(), "x.json")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := phone.Load(path)
		require.ErrorContains(t, err, path, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err = phone.Load(filepath.Join(t.TempDir(), "none"))
	require.True(t, errors.Is(err, fs.ErrNotExist))
}
