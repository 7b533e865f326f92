package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/sandbox"
)

const (
	ana    = "+14155550100"
	anasAt = "ana@example.com"
	// patience bounds every wait of these tests; none of them comes near it when all is well.
	patience = time.Minute
)

// bundle is a sandbox with a server in front of it, and a stand-in for Assent behind it.
type bundle struct {
	*sandbox.Sandbox
	account sandbox.Account
	url     string // of the sandbox
	assent  *assent
	client  *http.Client
	logs    *logBuffer
}

// assent records what the sandbox sends back, and answers as told.
type assent struct {
	url  string
	got  chan received
	mu   sync.Mutex
	plan map[string]http.HandlerFunc // by path
}

type received struct {
	url    string // as the sender must have signed it
	path   string
	host   string
	header http.Header
	body   []byte
}

func (a *assent) on(path string, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.plan[path] = h
}

func (a *assent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.got <- received{"http://" + r.Host + r.URL.RequestURI(), r.URL.Path, r.Host, r.Header.Clone(), body}
	a.mu.Lock()
	h := a.plan[r.URL.Path]
	a.mu.Unlock()
	if h == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	h(w, r)
}

// next is the next request the sandbox made to Assent.
func (a *assent) next(t *testing.T) received {
	t.Helper()
	select {
	case got := <-a.got:
		return got
	case <-time.After(patience):
		require.FailNow(t, "the sandbox called nobody")
		return received{}
	}
}

func (r received) form(t *testing.T) url.Values {
	t.Helper()
	v, err := url.ParseQuery(string(r.body))
	require.NoError(t, err)
	return v
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func setup(t *testing.T, with ...func(*sandbox.Config)) *bundle {
	t.Helper()
	account, err := sandbox.AccountFrom([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(t, err)
	b := &bundle{account: account, assent: &assent{got: make(chan received, 1000), plan: map[string]http.HandlerFunc{}}, logs: &logBuffer{}}
	behind := httptest.NewServer(b.assent)
	t.Cleanup(behind.Close)
	b.assent.url = behind.URL
	cfg := sandbox.Config{
		Account: account, PublicURL: func() string { return behind.URL }, ClientID: "assent-dev",
		Log: slog.New(slog.NewJSONHandler(b.logs, nil)),
	}
	for _, f := range with {
		f(&cfg)
	}
	b.Sandbox = sandbox.New(cfg)
	server := httptest.NewUnstartedServer(b.Handler())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(b.Close)
	b.url = server.URL
	b.client = server.Client()
	return b
}

type answered struct {
	status int
	header http.Header
	body   []byte
}

func (a answered) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(a.body, &v), "%s", a.body)
	return v
}

func (b *bundle) do(t *testing.T, method, path string, header map[string]string, body string) answered {
	t.Helper()
	return b.doWith(t.Context(), t, b.client, method, path, header, body)
}

func (b *bundle) doWith(ctx context.Context, t *testing.T, c *http.Client, method, path string, header map[string]string, body string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := c.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answered{res.StatusCode, res.Header, got}
}

// inboxMessage is what a test of Assent reads.
type inboxMessage struct {
	ID         string            `json:"id"`
	Channel    string            `json:"channel"`
	Provider   string            `json:"provider"`
	To         string            `json:"to"`
	From       string            `json:"from"`
	Subject    string            `json:"subject"`
	Text       string            `json:"text"`
	HTML       string            `json:"html"`
	Data       map[string]string `json:"data"`
	Code       string            `json:"code"`
	Link       string            `json:"link"`
	ReceivedAt time.Time         `json:"received_at"`
	Status     string            `json:"status"`
}

func (b *bundle) messages(t *testing.T, query string) []inboxMessage {
	t.Helper()
	res := b.do(t, http.MethodGet, "/sandbox/messages"+query, nil, "")
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	var v struct {
		Messages []inboxMessage `json:"messages"`
	}
	require.NoError(t, json.Unmarshal(res.body, &v))
	return v.Messages
}

// one waits for a message and is sure that it is the only one.
func (b *bundle) one(t *testing.T, query string) inboxMessage {
	t.Helper()
	sep := "?"
	if query != "" {
		sep = "&"
	}
	all := b.messages(t, query+sep+"wait=10")
	require.Len(t, all, 1)
	return all[0]
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, patience, 5*time.Millisecond)
}

func TestAnAccountFollowsFromItsSecretAlone(t *testing.T) {
	one, err := sandbox.AccountFrom([]byte("a secret of some length"))
	require.NoError(t, err)
	same, err := sandbox.AccountFrom([]byte("a secret of some length"))
	require.NoError(t, err)
	other, err := sandbox.AccountFrom([]byte("a secret of other length"))
	require.NoError(t, err)

	require.True(t, one.SendGridWebhookKey.Equal(same.SendGridWebhookKey))
	require.Equal(t, string(one.APNsKey), string(same.APNsKey))
	require.Equal(t, one.FCMToken, same.FCMToken)
	require.NotEqual(t, one.TwilioAuthToken, other.TwilioAuthToken)
	require.False(t, one.SendGridWebhookKey.Equal(other.SendGridWebhookKey))
	require.Regexp(t, `^AC[0-9a-f]{32}$`, one.TwilioAccountSID)
	require.Regexp(t, `^[0-9a-f]{32}$`, one.TwilioAuthToken)
	require.Regexp(t, `^SG\.[\w-]{22}\.[\w-]{43}$`, one.SendGridAPIKey)
	require.Regexp(t, `^[A-Z2-7]{10}$`, one.APNsKeyID)

	_, err = sandbox.AccountFrom([]byte("short"))
	require.Error(t, err)
}

func TestAnAccountDoesNotPrintItsSecrets(t *testing.T) {
	a, err := sandbox.AccountFrom([]byte("a secret of some length"))
	require.NoError(t, err)
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("account", "account", a)
	require.NotContains(t, out.String(), a.TwilioAuthToken)
	require.Contains(t, out.String(), "REDACTED")
}

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// setupWith is a sandbox whose public name leads to another bundle's Assent by another door.
func setupWith(t *testing.T, to *bundle, public, dial string) *bundle {
	t.Helper()
	b := setup(t, func(c *sandbox.Config) {
		c.PublicURL = func() string { return public }
		c.CallbackDial = dial
	})
	b.assent = to.assent
	return b
}
