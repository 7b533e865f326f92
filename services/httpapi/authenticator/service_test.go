package authenticator_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/authenticator"
)

// service stands for a deployment: it serves the page, and speaks the phones API with it. What is signed
// it checks as the real one does; how long it parks, what its clock says and whether it is there, tests decide.
type service struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	wake     chan struct{} // closed at every change
	away     bool
	skew     time.Duration
	codes    map[string]*ticket // by their plain text
	devices  map[string]*joined
	prompts  []*prompt // oldest first
	answers  []api.PushAnswer
	webPush  map[string]string
	losing   bool // the answers to joins are lost on the way
	handler  http.Handler
	between  func(http.ResponseWriter, *http.Request, http.Handler) // nil; or what stands in front of the page
	public   string
	joinings []string // idempotency keys
	changing func()   // nil; or what a change of a phone waits for
}

type ticket struct {
	brand, user string
	problem     string // the code of a problem instead
	device      string
	renews      string // the device that gets another key
}

type joined struct {
	id, brand, user, name string
	public, former        []byte // keys
	secret                []byte
	token                 string
	gone                  string // the cause
}

type prompt struct {
	api.Prompt
	device, number string
	status         api.Status
	reason         string
	here           bool
	left, revision int
	closed         time.Time
}

func serve(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, wake: make(chan struct{}), codes: map[string]*ticket{}, devices: map[string]*joined{}}
	s.reload("")
	mux := http.NewServeMux()
	mux.HandleFunc("/authenticator/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		page, between := s.handler, s.between
		s.mu.Unlock()
		if between != nil {
			between(w, r, page)
			return
		}
		page.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /v1/authenticator", s.settings)
	mux.HandleFunc("POST /v1/phones", s.join)
	mux.HandleFunc("PUT /v1/phones/{id}", s.change)
	mux.HandleFunc("PUT /v1/phones/{id}/counter", s.count)
	mux.HandleFunc("GET /v1/phones/{id}/prompts", s.list)
	mux.HandleFunc("GET /v1/phones/{id}/prompts/{prompt}", s.state)
	mux.HandleFunc("POST /v1/verifications/{prompt}/responses", s.respond)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		away, skew := s.away, s.skew
		s.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		mux.ServeHTTP(w, r)
	}))
	// A page may use a screen lock only where its host has a name.
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	s.public = s.URL
	t.Cleanup(func() {
		s.alter(func() { s.away = true })
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// reload serves the page with another public URL, which makes it another version.
func (s *service) reload(public string) {
	h, err := authenticator.New(authenticator.Config{PublicURL: func() string {
		if public != "" {
			return public
		}
		return s.public
	}})
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// alter changes what the service knows, and wakes who is parked.
func (s *service) alter(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.wake)
	s.wake = make(chan struct{})
}

// parks runs f, again at every change, until it is done or the wait is over.
func (s *service) parks(r *http.Request, f func() bool) {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	for {
		s.mu.Lock()
		done, wake := f(), s.wake
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-wake:
		case <-timer.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// invites gives out an activation code.
func (s *service) invites(brand, user string) string {
	code := strings.NewReplacer("A", "0", "I", "1", "L", "2", "O", "3", "U", "4").Replace(rand.Text()[:16])
	s.alter(func() { s.codes[code] = &ticket{brand: brand, user: user} })
	return code[:4] + "-" + code[4:8] + "-" + code[8:12] + "-" + code[12:]
}

// renews gives out an activation code for the device of a user, as for a phone in the place of one.
func (s *service) renews(user string) string {
	s.t.Helper()
	code, id := s.invites("Example Bank", user), s.of(user).id
	s.alter(func() { s.codes[strings.ReplaceAll(code, "-", "")].renews = id })
	return code
}

// asks puts a question to the device of a user.
func (s *service) asks(user string, options ...func(*prompt)) *prompt {
	s.t.Helper()
	id := "0199" + regexp.MustCompile(`[^0-9a-f]`).ReplaceAllString(strings.ToLower(rand.Text()+rand.Text()), "")
	p := &prompt{status: api.StatusPending, number: "47", left: 2, Prompt: api.Prompt{
		VerificationID: id, Context: `{"ip":"203.0.113.7","action":"Sign in \u0026 more","place":"Near Lyon","device":"Firefox on Windows"}`,
		NumberLength: 2, NumberSalt: rand.Text(), CreatedAt: time.Now().UTC(), ExpiresAt: time.Now().Add(5 * time.Minute).UTC(),
	}}
	s.alter(func() {
		for _, d := range s.devices {
			if d.user == user && d.gone == "" {
				p.device, p.Brand = d.id, d.brand
			}
		}
		for _, o := range options {
			o(p)
		}
		s.prompts = append(s.prompts, p)
	})
	require.NotEmpty(s.t, p.device, "nobody has joined as %s", user)
	return p
}

// ends closes a question from outside.
func (s *service) ends(p *prompt, status api.Status, reason string) {
	s.alter(func() { p.end(status, reason, false) })
}

func (p *prompt) end(status api.Status, reason string, here bool) {
	p.status, p.reason, p.here, p.closed = status, reason, here, time.Now().UTC()
	p.revision++
}

func (s *service) status(p *prompt) api.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.status
}

func (s *service) answered() []api.PushAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}

func (s *service) of(user string) joined {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.user == user {
			return *d
		}
	}
	require.Fail(s.t, "nobody has joined as "+user)
	return joined{}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code string, members ...any) {
	body := map[string]any{"code": code, "status": status}
	for i := 0; i < len(members); i += 2 {
		body[members[i].(string)] = members[i+1]
	}
	write(w, status, body)
}

func (s *service) settings(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := map[string]any{"public_url": s.public}
	if s.webPush != nil {
		body["web_push"] = s.webPush
	}
	write(w, http.StatusOK, body)
}

func (s *service) join(w http.ResponseWriter, r *http.Request) {
	var in api.JoinPhone
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Platform != api.PlatformWebPush {
		refuse(w, http.StatusUnprocessableEntity, "invalid_request")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joinings = append(s.joinings, r.Header.Get("Idempotency-Key"))
	one := s.codes[strings.ReplaceAll(in.Code, "-", "")]
	switch {
	case one == nil:
		refuse(w, http.StatusNotFound, "not_found")
		return
	case one.problem == "join_code_expired":
		refuse(w, http.StatusGone, one.problem, "brand", one.brand, "expired_at", "2026-11-21T14:20:00Z")
		return
	case one.problem != "":
		refuse(w, http.StatusGone, one.problem, "brand", one.brand)
		return
	}
	public, err := base64.StdEncoding.DecodeString(in.PublicKey)
	if err != nil || one.device != "" && string(s.devices[one.device].public) != string(public) {
		refuse(w, http.StatusGone, "join_code_used", "brand", one.brand)
		return
	}
	if one.device == "" {
		secret, _ := device.NewSecret(rand.Reader)
		d := &joined{
			id: "0199d" + rand.Text(), brand: one.brand, user: one.user, name: in.Name, public: public, secret: secret,
		}
		if in.PushToken != nil {
			d.token = *in.PushToken
		}
		if one.renews != "" {
			d.id, d.former = one.renews, s.devices[one.renews].public
		}
		s.devices[d.id], one.device = d, d.id
	}
	if s.losing {
		panic(http.ErrAbortHandler)
	}
	d := s.devices[one.device]
	write(w, http.StatusCreated, api.JoinedPhone{
		DeviceID: d.id, Name: d.name, Brand: d.brand, User: d.user, Secret: device.SecretText(d.secret), CreatedAt: time.Now().UTC(),
	})
}

var authorization = regexp.MustCompile(`^Phone at="([^"]+)", signature="([^"]+)"$`)

// signed finds the device that made a request, or refuses.
func (s *service) signed(w http.ResponseWriter, r *http.Request, purpose device.Purpose, body []byte) *joined {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	d := s.devices[r.PathValue("id")]
	if given == nil || d == nil {
		refuse(w, http.StatusForbidden, "bad_signature")
		return nil
	}
	signature, _ := base64.RawURLEncoding.DecodeString(given[2])
	at, err := time.Parse(time.RFC3339, given[1])
	asks := device.Request{Purpose: purpose, DeviceID: d.id, At: given[1], Body: string(body)}
	if err != nil || time.Now().Add(s.skew).Sub(at).Abs() > 5*time.Minute {
		refuse(w, http.StatusForbidden, "bad_signature")
		return nil
	}
	if d.former != nil && asks.Verify(d.former, signature) == nil {
		refuse(w, http.StatusGone, "device_removed", "removed_at", "2026-11-20T09:00:00Z", "cause", "replaced")
		return nil
	}
	if asks.Verify(d.public, signature) != nil {
		refuse(w, http.StatusForbidden, "bad_signature")
		return nil
	}
	if d.gone != "" {
		refuse(w, http.StatusGone, "device_removed", "removed_at", "2026-11-20T09:00:00Z", "cause", d.gone)
		return nil
	}
	return d
}

func (s *service) looks(w http.ResponseWriter, r *http.Request) *joined {
	return s.signed(w, r, device.Look, nil)
}

func (s *service) change(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d := s.signed(w, r, device.Change, body)
	if d == nil {
		return
	}
	s.mu.Lock()
	changing := s.changing
	s.mu.Unlock()
	if changing != nil {
		changing()
	}
	var in api.ChangePhone
	_ = json.Unmarshal(body, &in)
	s.alter(func() { d.token = *in.PushToken })
	w.WriteHeader(http.StatusNoContent)
}

// count takes every count; what two browsers with one key are told is for the whole system to show.
func (s *service) count(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if s.signed(w, r, device.Count, body) != nil {
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	d := s.looks(w, r)
	if d == nil {
		return
	}
	found := []api.Prompt{}
	gone := ""
	s.parks(r, func() bool {
		for _, p := range s.prompts {
			if p.device == d.id && p.status == api.StatusPending {
				one := p.Prompt
				if one.NumberLength > 0 || len(one.Choices) > 0 {
					one.ChecksLeft = &p.left
				}
				found = slices.Insert(found, 0, one)
			}
		}
		gone = d.gone
		return len(found) > 0 || gone != ""
	})
	if gone != "" {
		refuse(w, http.StatusGone, "device_removed", "removed_at", "2026-11-20T09:00:00Z", "cause", gone)
		return
	}
	write(w, http.StatusOK, map[string]any{"data": found})
}

func (s *service) state(w http.ResponseWriter, r *http.Request) {
	d := s.looks(w, r)
	if d == nil {
		return
	}
	var out api.PromptState
	tag := ""
	s.parks(r, func() bool {
		for _, p := range s.prompts {
			if p.VerificationID != r.PathValue("prompt") || p.device != d.id {
				continue
			}
			out = api.PromptState{VerificationID: p.VerificationID, Status: p.status, Reason: p.reason, AnsweredHere: p.here}
			if p.NumberLength > 0 || len(p.Choices) > 0 {
				left := p.left
				out.ChecksLeft = &left
			}
			if !p.closed.IsZero() {
				out.ClosedAt = &p.closed
			}
			tag = `"` + strconv.Itoa(p.revision) + `"`
		}
		return tag == "" || tag != r.Header.Get("If-None-Match")
	})
	switch tag {
	case "":
		refuse(w, http.StatusNotFound, "not_found")
	case r.Header.Get("If-None-Match"):
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", tag)
		write(w, http.StatusOK, out)
	}
}

func (s *service) respond(w http.ResponseWriter, r *http.Request) {
	var in api.PushAnswer
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	i := slices.IndexFunc(s.prompts, func(p *prompt) bool { return p.VerificationID == r.PathValue("prompt") && p.device == in.DeviceID })
	s.mu.Unlock()
	if i < 0 {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	s.alter(func() { s.decide(w, s.prompts[i], in) })
}

func (s *service) decide(w http.ResponseWriter, p *prompt, in api.PushAnswer) {
	answer := device.Answer{
		VerificationID: p.VerificationID, DeviceID: in.DeviceID, Decision: string(in.Decision),
		NumberDigest: device.NumberDigest(p.NumberSalt, in.Number), AnsweredAt: in.AnsweredAt, Context: p.Context,
	}
	signature, _ := base64.RawURLEncoding.DecodeString(in.Signature)
	at, err := time.Parse(time.RFC3339, in.AnsweredAt)
	switch {
	case answer.Verify(s.devices[p.device].public, signature) != nil:
		refuse(w, http.StatusForbidden, "bad_signature")
		return
	case err != nil || time.Now().Add(s.skew).Sub(at).Abs() > 5*time.Minute:
		refuse(w, http.StatusUnprocessableEntity, "invalid_request", "errors", []map[string]string{{"pointer": "#/answered_at", "detail": "is off"}})
		return
	case p.status != api.StatusPending:
		refuse(w, http.StatusConflict, "verification_closed")
		return
	}
	s.answers = append(s.answers, in)
	asked := p.NumberLength > 0 || len(p.Choices) > 0
	switch {
	case in.Decision == api.DecisionDeny:
		p.end(api.StatusDenied, "", true)
	case in.Decision == api.DecisionNotMe:
		p.end(api.StatusDenied, "not_me", true)
	case asked && in.Number != p.number:
		p.left--
		p.revision++
		if p.left == 0 {
			p.end(api.StatusDenied, "wrong_number", true)
		}
	default:
		p.end(api.StatusApproved, "", true)
	}
	write(w, http.StatusAccepted, map[string]any{"id": p.VerificationID, "status": "pending"})
}

func (s *service) page(fragment string) string {
	u, err := url.Parse(s.URL + "/authenticator/")
	require.NoError(s.t, err)
	u.Fragment = fragment
	return u.String()
}
