// Package sandbox is the stand-in for the carriers, and the inbox where a newcomer
// watches Assent work. It speaks the HTTP protocols of Twilio (messages and calls),
// SendGrid, APNs, FCM and Web Push, refuses what they would refuse, keeps what was sent,
// posts their signed callbacks, and lets a person or a test answer. It decides nothing about
// verifications and knows no event: it is the outside world, in one process. The
// composition root mounts it where no real provider is configured.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	defaultMaxMessages = 10_000
	outsideTimeout     = 10 * time.Second // one callback, one script fetched, one answer posted
	maxRequestBytes    = 4 << 20
	maxReplyBytes      = 64 << 10
)

// Config is what a Sandbox needs. Account and PublicURL are required.
type Config struct {
	Account Account
	// PublicURL is where callbacks go. It is asked for each time, because it may be known only after listening.
	PublicURL func() string
	// CallbackDial is the host:port that stands behind the public URL, spoken to in plain HTTP, for
	// deployments where the public name cannot be reached from here. URL, signature and Host header stay
	// those of the public URL. Empty dials the public URL itself.
	CallbackDial string
	// APIURL is the API's address in the page's examples. Empty means the page's own origin.
	APIURL string
	// ClientID stands in the page's examples; the secret is never shown.
	ClientID string
	Log      *slog.Logger
	Now      func() time.Time
	// MaxMessages bounds the inbox; the oldest message gives way. Zero means 10,000.
	MaxMessages int
}

// Sandbox is a running set of stand-in carriers with their inbox. Everything it keeps is in
// memory and gone with the process; phones are recognised again by their push tokens.
type Sandbox struct {
	account   Account
	publicURL func() string
	dial      string
	apiURL    string
	clientID  string
	log       *slog.Logger
	now       func() time.Time

	inbox     *inbox
	behaviour *behaviour
	phones    *phones
	callbacks *callbacks
	calls     *switchboard
	apnsAuth  apnsAuth
	throttled onceThrottled

	find patterns
	html *template.Template
	http *http.Client
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup
}

// New starts the sandbox's callback and call workers. Close ends them.
func New(cfg Config) *Sandbox {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxMessages <= 0 {
		cfg.MaxMessages = defaultMaxMessages
	}
	if cfg.PublicURL == nil {
		cfg.PublicURL = func() string { return "" }
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Sandbox{
		account: cfg.Account, dial: cfg.CallbackDial, apiURL: strings.TrimSuffix(cfg.APIURL, "/"), clientID: cfg.ClientID,
		publicURL: func() string { return strings.TrimSuffix(cfg.PublicURL(), "/") },
		log:       cfg.Log, now: cfg.Now, ctx: ctx, stop: stop,
		http: &http.Client{
			Timeout: outsideTimeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: callbackWorkers + callWorkers,
				IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 5 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	s.find = compilePatterns()
	s.html = parsePage()
	s.inbox = newInbox(cfg.MaxMessages)
	s.behaviour = &behaviour{}
	s.phones = newPhones(cfg.Account, s.publicURL)
	s.callbacks = startCallbacks(s)
	s.calls = startSwitchboard(s)
	return s
}

// Close ends every callback, call, waiting request and stream, and returns when they have
// ended. The handler answers on, but delivers no callbacks any more.
func (s *Sandbox) Close() {
	s.stop()
	s.work.Wait()
	s.http.CloseIdleConnections()
}

// Handler serves everything under /sandbox. APNs needs HTTP/2, so the server must allow it in
// cleartext where the stand-in is reached without TLS.
func (s *Sandbox) Handler() http.Handler {
	carriers := http.NewServeMux()
	carriers.HandleFunc("/sandbox/twilio/", s.serveTwilio)
	carriers.HandleFunc("/sandbox/sendgrid/", s.serveSendGrid)
	carriers.HandleFunc("/sandbox/apns/", s.serveAPNs)
	carriers.HandleFunc("/sandbox/fcm/", s.serveFCM)
	carriers.HandleFunc(webPushPath, s.serveWebPush)

	people := http.NewServeMux()
	people.HandleFunc("GET /sandbox", s.servePage)
	people.HandleFunc("GET /sandbox/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "../sandbox")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	people.HandleFunc("GET /sandbox/assets/{file}", s.serveAsset)
	people.HandleFunc("GET /sandbox/messages", s.listMessages)
	people.HandleFunc("DELETE /sandbox/messages", s.clearMessages)
	people.HandleFunc("GET /sandbox/messages/{id}", s.getMessage)
	people.HandleFunc("GET /sandbox/messages/{id}/html", s.getMailHTML)
	people.HandleFunc("POST /sandbox/messages/{id}/answer", s.answerMessage)
	people.HandleFunc("GET /sandbox/events", s.streamEvents)
	people.HandleFunc("GET /sandbox/phones", s.listPhones)
	people.HandleFunc("POST /sandbox/phones", s.addPhone)
	people.HandleFunc("GET /sandbox/behaviour", s.getBehaviour)
	people.HandleFunc("PUT /sandbox/behaviour", s.putBehaviour)
	guard := http.NewCrossOriginProtection()

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := carriers.Handler(r); pattern != "" {
			carriers.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", pageCSP)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Cache-Control", "no-store")
		// The inbox has no login, so a foreign page must not be able to press its buttons.
		if err := guard.Check(r); err != nil {
			writeProblem(w, problem{http.StatusForbidden, "foreign_origin", "A page of another origin may not change the sandbox.", nil})
			return
		}
		if _, pattern := people.Handler(r); pattern == "" {
			s.noRoute(w, r, people)
			return
		}
		people.ServeHTTP(w, r)
	})
}

// noRoute answers as a problem what the mux would answer in plain text.
func (s *Sandbox) noRoute(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := mux.Handler(other); pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		writeProblem(w, problem{http.StatusNotFound, "not_found", "The sandbox has nothing at this path.", nil})
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	writeProblem(w, problem{http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take " + r.Method + ".", nil})
}

// problem is an RFC 9457 answer of the JSON API.
type problem struct {
	status int
	code   string
	detail string
	errors []fieldError
}

// fieldError names a field of the body by its JSON pointer, or a parameter of the query with a
// question mark before it.
type fieldError struct {
	Pointer string
	Detail  string
}

// MarshalJSON tells the two apart as the API does.
func (e fieldError) MarshalJSON() ([]byte, error) {
	parameter, isParameter := strings.CutPrefix(e.Pointer, "?")
	if isParameter {
		e.Pointer = ""
	} else {
		parameter = ""
	}
	return json.Marshal(struct {
		Pointer   string `json:"pointer,omitempty"`
		Parameter string `json:"parameter,omitempty"`
		Detail    string `json:"detail"`
	}{e.Pointer, parameter, e.Detail})
}

func writeProblem(w http.ResponseWriter, p problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeBody(w, p.status, struct {
		Type   string       `json:"type"`
		Title  string       `json:"title"`
		Status int          `json:"status"`
		Code   string       `json:"code"`
		Detail string       `json:"detail"`
		Errors []fieldError `json:"errors,omitempty"`
	}{"about:blank", http.StatusText(p.status), p.status, p.code, p.detail, p.errors})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	writeBody(w, status, v)
}

func writeBody(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // none of this package's answers holds what JSON cannot
		status, b = http.StatusInternalServerError, []byte(`{}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client may be gone
}

// decodeJSON reads one JSON value of a person's or a test's request, strictly.
func decodeJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, extra := dec.Token(); !errors.Is(extra, io.EOF) {
			err = errors.New("more follows the JSON value")
		}
	}
	var large *http.MaxBytesError
	var field *json.UnmarshalTypeError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		writeProblem(w, problem{http.StatusRequestEntityTooLarge, "too_large", "The body is larger than 64 KiB.", nil})
	case errors.As(err, &field):
		pointer := "#/" + strings.ReplaceAll(field.Field, ".", "/")
		writeProblem(w, invalid(fieldError{pointer, fmt.Sprintf("is a JSON %s, want %s", field.Value, field.Type)}))
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		writeProblem(w, invalid(fieldError{"#/" + name, "is not a field of this request"}))
	default:
		writeProblem(w, problem{http.StatusBadRequest, "malformed_json", "The body is not one JSON object.", nil})
	}
	return false
}

func invalid(errs ...fieldError) problem {
	return problem{http.StatusUnprocessableEntity, "invalid_request", "The request has a field that cannot be used.", errs}
}

// reply is what Assent answered to a call from here.
type reply struct {
	status      int
	contentType string
	body        []byte
	took        time.Duration
}

// post calls Assent. A URL under the public URL's host is dialled at CallbackDial where that is set.
func (s *Sandbox) post(ctx context.Context, target string, header http.Header, body []byte) (reply, error) {
	return s.call(ctx, http.MethodPost, target, header, body)
}

func (s *Sandbox) call(ctx context.Context, method, target string, header http.Header, body []byte) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, outsideTimeout)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(string(body)))
	if err != nil {
		return reply{}, errors.New("build request: not a URL that can be called")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if public, err := url.Parse(s.publicURL()); err == nil && s.dial != "" && strings.EqualFold(public.Host, req.URL.Host) {
		req.Host = req.URL.Host
		req.URL.Scheme, req.URL.Host = "http", s.dial
	}
	began := time.Now()
	res, err := s.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // the URL may hold a token; the cause tells enough
			err = u.Err
		}
		return reply{took: time.Since(began)}, fmt.Errorf("call assent: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxReplyBytes))
	if err != nil {
		return reply{took: time.Since(began)}, fmt.Errorf("read assent's answer: %w", err)
	}
	return reply{res.StatusCode, res.Header.Get("Content-Type"), got, time.Since(began)}, nil
}
