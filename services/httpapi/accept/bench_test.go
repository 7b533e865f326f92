package accept_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/accept"
	"github.com/assent-io/assent/services/verification"
)

const id = "0193c0de-0000-7000-8000-000000000001"

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// records stands in for store and verifier: it applies an answer when it is published, unless the
// verifier is away.
type records struct {
	mu           sync.Mutex
	now          func() time.Time
	token        verification.Token
	v            verification.Verification
	changed      chan struct{}
	answered     []events.ResponseReceived
	verifierAway bool
	readErr      error
	redirect     string
	redirectErr  error
	writeErr     error
}

func (s *records) ByLink(_ context.Context, t verification.Token) (verification.Verification, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return verification.Verification{}, s.readErr
	}
	if t != s.token {
		return verification.Verification{}, verification.ErrNotFound
	}
	return s.v, nil
}

func (s *records) Await(ctx context.Context, _ string, seen uint64) (*verification.Verification, error) {
	for {
		s.mu.Lock()
		v, changed := s.v.At(s.now()), s.changed
		s.mu.Unlock()
		if v.Revision != seen || v.Status.Closed() {
			return &v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &v, nil
		}
	}
}

func (s *records) Redirect(_ context.Context, of string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of != s.v.ID {
		return "", verification.ErrNotFound
	}
	return s.redirect, s.redirectErr
}

func (s *records) Respond(_ context.Context, r events.ResponseReceived) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeErr != nil {
		return s.writeErr
	}
	for _, before := range s.answered { // as the broker drops what it has
		if before.EventID == r.EventID {
			return nil
		}
	}
	s.answered = append(s.answered, r)
	if !s.verifierAway {
		s.apply(verification.Answered{Decision: verification.Decision(r.Decision), EventID: r.EventID, Number: r.Number})
	}
	return nil
}

// NumberHash stands in for a keyed hash.
func (s *records) NumberHash(_ context.Context, of, digits string) ([]byte, error) {
	sum := sha256.Sum256([]byte("number " + of + " " + digits))
	return sum[:], nil
}

func (s *records) apply(f verification.Fact) {
	v, err := verification.Apply(s.v, f, s.now())
	if err != nil {
		return
	}
	v.Revision++
	s.v = v
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *records) change(f func(*records)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *records) published() []events.ResponseReceived {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]events.ResponseReceived(nil), s.answered...)
}

type bench struct {
	records *records
	clock   *clock
	server  *httptest.Server
	metrics *prometheus.Registry
	log     *strings.Builder
	link    string
}

type failer interface {
	require.TestingT
	Helper()
}

func setup(t failer, stop func(func()), change ...func(*accept.Config)) *bench {
	t.Helper()
	return serve(t, stop, httptest.NewServer, change...)
}

// serve is a bench whose address speaks as the given server does.
func serve(t failer, stop func(func()), server func(http.Handler) *httptest.Server, change ...func(*accept.Config)) *bench {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 21, 14, 27, 3, 0, time.UTC)}
	v, secrets, err := verification.New(verification.Params{
		ID: id, Channel: verification.SMS, Challenge: verification.LinkChallenge, Brand: "Example Bank",
		Context: verification.Context{IP: "203.0.113.7", Action: "Sign in", Place: "Lyon, France", Device: "Firefox on Windows"},
	}, c.now, rand.Reader)
	require.NoError(t, err)
	b := &bench{
		records: &records{now: c.Now, token: secrets.Token, v: v, changed: make(chan struct{})},
		clock:   c, metrics: prometheus.NewRegistry(), log: &strings.Builder{},
	}
	cfg := accept.Config{
		Verifications: b.records, Responses: b.records,
		PageKey: func(parts ...string) []byte {
			mac := hmac.New(sha256.New, []byte("page key"))
			mac.Write([]byte(strings.Join(parts, "\x00")))
			return mac.Sum(nil)
		},
		PublicURL: func() string { return b.server.URL },
		Now:       c.Now, Registerer: b.metrics, Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	b.server = server(accept.New(cfg))
	stop(b.server.Close)
	b.link = b.server.URL + "/l/" + secrets.Token.Reveal()
	return b
}

func start(t *testing.T, change ...func(*accept.Config)) *bench {
	t.Helper()
	return setup(t, func(f func()) { t.Cleanup(f) }, change...)
}

// asksForANumber makes the page ask for 47.
func (b *bench) asksForANumber() {
	b.records.change(func(s *records) {
		s.v.NumberLength, s.v.MaxChecks = verification.MatchedDigits, verification.MaxNumbers
		s.v.NumberHash, _ = s.NumberHash(context.Background(), id, "47") // never fails
	})
}

// browser is a person's browser without JavaScript: it keeps cookies and follows redirects.
type browser struct {
	t      failer
	ctx    context.Context
	client *http.Client
	bench  *bench
}

func (b *bench) browser(ctx context.Context, t failer) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, ctx, &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: b.server.Client().Transport}, b}
}

type answer struct {
	status int
	body   string
	header http.Header
	url    string
}

// text is what a person reads, without mark-up.
func (a answer) text() string {
	_, body, _ := strings.Cut(a.body, "<main>")
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, "")
	return strings.Join(strings.Fields(text), " ")
}

func (a answer) form() string {
	m := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return m[1]
}

func (p *browser) do(method, link string, form url.Values, header ...string) answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.ctx, method, link, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := p.client.Do(r)
	require.NoError(p.t, err)
	defer func() { _ = res.Body.Close() }()
	var body strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := res.Body.Read(buf)
		body.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return answer{res.StatusCode, body.String(), res.Header, res.Request.URL.String()}
}

func (p *browser) open() answer {
	p.t.Helper()
	return p.do(http.MethodGet, p.bench.link, nil)
}

func (p *browser) press(form, decision string, header ...string) answer {
	return p.do(http.MethodPost, p.bench.link, url.Values{"form": {form}, "decision": {decision}}, header...)
}

// types answers with a number.
func (p *browser) types(form, number, decision string, header ...string) answer {
	return p.do(http.MethodPost, p.bench.link, url.Values{"form": {form}, "number": {number}, "decision": {decision}}, header...)
}
