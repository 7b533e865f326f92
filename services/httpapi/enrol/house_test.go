package enrol_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/enrol"
	"github.com/assent-io/assent/services/internal/storetest"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

const shop = "shop"

// house is the page in front of real stores on a broker of its own.
type house struct {
	t             *testing.T
	clock         *storetest.Clock
	users         *store.Users
	tickets       *store.Tickets
	audit         *store.Audit
	verifications *storetest.Recorder
	enrolments    *enrolment.Enrolments
	links         *enrolment.Links
	silence       *storetest.Silence
	away          atomic.Bool
	still         atomic.Bool // pages do not look again by themselves
	server        *httptest.Server
	metrics       *prometheus.Registry
	log           *logged
}

// Find is what the page asks for a link, unless the broker is away.
func (h *house) Find(ctx context.Context, t verification.Token) (enrolment.Link, error) {
	if h.away.Load() {
		return enrolment.Link{}, verification.ErrUnavailable
	}
	return h.links.Find(ctx, t)
}

// Change is what the page changes of a link.
func (h *house) Change(ctx context.Context, l enrolment.Link, change func(*enrolment.Link) error) (enrolment.Link, error) {
	return h.links.Change(ctx, l, change)
}

type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func open(t *testing.T) *house {
	t.Helper()
	b := storetest.NewBroker(t)
	s := b.Stores(t)
	h := &house{
		t: t, metrics: prometheus.NewRegistry(), log: &logged{}, clock: b.Clock, silence: s.Silence, users: s.Users, tickets: s.Tickets,
		verifications: s.Verifications,
	}
	var err error
	h.audit, err = store.NewAudit(t.Context(), b.JS)
	require.NoError(t, err)
	h.links = &enrolment.Links{Tickets: h.tickets, Devices: h.users, Now: h.clock.Now}
	h.enrolments = &enrolment.Enrolments{
		Users: h.users, Verifications: h.verifications, Tickets: h.tickets, Now: h.clock.Now, Adding: enrol.Adding(h.audit, h.clock.Now),
		Admit: h.links.Admit,
	}
	page := enrol.New(enrol.Config{
		Links: h, Users: h.users, Enrolments: h.enrolments, Verifications: h.verifications, Recovery: h.users,
		Audit: h.audit,
		PageKey: func(parts ...string) []byte {
			mac := hmac.New(sha256.New, []byte("page key"))
			mac.Write([]byte(strings.Join(parts, "\x00")))
			return mac.Sum(nil)
		},
		PublicURL: func() string { return h.server.URL }, Now: h.clock.Now, Registerer: h.metrics, Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.still.Load() {
			w = stillness{w}
		}
		page.ServeHTTP(w, r)
	}))
	t.Cleanup(h.server.Close)
	return h
}

// stillness takes from a page that it looks again by itself, and nothing else.
type stillness struct{ http.ResponseWriter }

func (s stillness) WriteHeader(status int) {
	if again := s.Header().Get("Refresh"); !strings.HasPrefix(again, "0;") {
		s.Header().Del("Refresh")
	}
	s.ResponseWriter.WriteHeader(status)
}

// user stores a person.
func (h *house) user() device.User {
	h.t.Helper()
	u := device.User{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: shop, CreatedAt: h.clock.Now(), Username: "ana-" + uuid.NewString()[:8],
		Email: uuid.NewString()[:8] + "@example.com",
	}
	u, err := h.users.CreateUser(h.t.Context(), u)
	require.NoError(h.t, err)
	return u
}

// phone registers a number as a client does.
func (h *house) phone(u device.User, number, name string) device.Device {
	h.t.Helper()
	d, err := h.users.CreateDevice(h.t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: shop, Kind: device.Phone, Address: number, Name: name,
		CreatedAt: h.clock.Now().UTC().Truncate(time.Millisecond),
	})
	require.NoError(h.t, err)
	return d
}

func everything() []device.Kind {
	return []device.Kind{device.Phone, device.Mailbox, device.TOTP, device.Push}
}

// invite makes a link for somebody.
func (h *house) invite(u device.User, change ...func(*enrolment.Link)) (string, enrolment.Link) {
	h.t.Helper()
	l := enrolment.Link{Account: shop, Client: shop, UserID: u.ID, Kinds: everything(), Brand: "Example Bank"}
	for _, c := range change {
		c(&l)
	}
	l = h.links.Draw(l, 15*time.Minute)
	token, err := h.links.Make(h.t.Context(), l)
	require.NoError(h.t, err)
	return h.server.URL + "/enrol/" + token.Reveal(), l
}

// browser is a person's browser without JavaScript: it keeps cookies and follows redirects.
type browser struct {
	h      *house
	client *http.Client
	link   string
}

func (h *house) browser(link string) *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(h.t, err)
	return &browser{h, &http.Client{Jar: jar, Timeout: 10 * time.Second}, link}
}

// screen is a page as it was answered.
type screen struct {
	t      *testing.T
	status int
	body   string
	header http.Header
	url    *url.URL
}

func (b *browser) do(method, link string, form url.Values, header ...string) screen {
	b.h.t.Helper()
	r, err := http.NewRequestWithContext(b.h.t.Context(), method, link, strings.NewReader(form.Encode()))
	require.NoError(b.h.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(r)
	require.NoError(b.h.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.h.t, err)
	return screen{b.h.t, res.StatusCode, string(body), res.Header, res.Request.URL}
}

// open looks at a page below the link.
func (b *browser) open(below string) screen {
	b.h.t.Helper()
	return b.do(http.MethodGet, b.link+below, nil)
}

// send fills in the first form of a page that is not a row of the list, and presses a button.
func (b *browser) send(s screen, fields ...string) screen {
	b.h.t.Helper()
	return b.submit(s.action(""), s, fields...)
}

// submit sends a form of a page to where one of them goes.
func (b *browser) submit(action string, s screen, fields ...string) screen {
	b.h.t.Helper()
	form := url.Values{"form": {s.form()}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, b.h.server.URL+action, form)
}

// text is what a person reads, without mark-up.
func (s screen) text() string {
	_, body, _ := strings.Cut(s.body, "<main>")
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, "")
	return strings.Join(strings.Fields(html.UnescapeString(text)), " ")
}

// is checks the status and what a person reads.
func (s screen) is(status int, words ...string) screen {
	s.t.Helper()
	require.Equal(s.t, status, s.status, s.text())
	for _, w := range words {
		require.Contains(s.t, s.text(), w)
	}
	return s
}

func (s screen) form() string {
	s.t.Helper()
	m := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(s.body)
	require.NotNil(s.t, m, s.text())
	return m[1]
}

// action is where the first form goes whose address ends so.
func (s screen) action(suffix string) string {
	s.t.Helper()
	for _, m := range regexp.MustCompile(`<form method="post" action="([^"]*)"`).FindAllStringSubmatch(s.body, -1) {
		if action := html.UnescapeString(m[1]); strings.HasSuffix(action, suffix) {
			return action
		}
	}
	require.Fail(s.t, "no form", "to %q: %s", suffix, s.text())
	return ""
}

// code is what was sent last.
func (h *house) code() string { return h.verifications.Last().Secrets.Code.Reveal() }

// has lists the devices that count.
func (h *house) has(u device.User) []device.Device {
	h.t.Helper()
	all, err := h.users.Devices(h.t.Context(), shop, u.ID)
	require.NoError(h.t, err)
	u, err = h.users.User(h.t.Context(), shop, u.ID)
	require.NoError(h.t, err)
	return device.InOrder(all, u.DeviceOrder)
}

// did lists what the audit log has of a user, newest first.
func (h *house) did(u device.User) []audit.Entry {
	h.t.Helper()
	entries, _, err := h.audit.Entries(h.t.Context(), shop, audit.Filter{Subject: u.ID, Limit: 50})
	require.NoError(h.t, err)
	return entries
}
