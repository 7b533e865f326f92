package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

const (
	shop       = "shop"
	other      = "other shop"
	shopSecret = "s3cret-of-the-shop"
)

// bench is a fresh server with its stores, and a client that holds every exchange against the
// API document.
type bench struct {
	t        *testing.T
	store    *memory
	notices  *notices
	server   *httpapi.Server
	clock    *clock
	log      *lockedBuffer
	metrics  *prometheus.Registry
	document *document
	closing  chan struct{}
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func setup(t *testing.T, options ...func(*httpapi.Config)) *bench {
	t.Helper()
	c := &clock{at: time.Date(2026, 11, 21, 10, 4, 31, 123456789, time.UTC)}
	return setupAt(t, c, c.now, options...)
}

// setupAt uses another clock: that of a synctest bubble.
func setupAt(t *testing.T, c *clock, now func() time.Time, options ...func(*httpapi.Config)) *bench {
	t.Helper()
	b := &bench{
		t: t, clock: c, store: newMemory(now), notices: newNotices(), log: &lockedBuffer{}, metrics: prometheus.NewRegistry(),
		document: loadDocument(t), closing: make(chan struct{}),
	}
	config := httpapi.Config{
		Verifications: b.store, Users: b.store, Credentials: b.store, Realms: b.store, Letters: b.store, Responses: b.store,
		Templates: noTemplates{}, Notifications: b.notices, Audit: b.store, Proofs: b.store,
		Authenticator: func() api.Authenticator { return api.Authenticator{PublicURL: "https://auth.example.com"} },
		Operator:      shop, IDFor: idFor, Now: now, Closing: b.closing,
		Log: slog.New(slog.NewJSONHandler(b.log, nil)), Registerer: b.metrics,
	}
	for _, o := range options {
		o(&config)
	}
	var err error
	b.server, err = httpapi.New(config)
	require.NoError(t, err)
	t.Cleanup(b.shutDown)
	return b
}

// shutDown lets the server's waiters go, once.
func (b *bench) shutDown() {
	select {
	case <-b.closing:
	default:
		close(b.closing)
	}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) json(t *testing.T, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, into), "body: %s", a.body)
}

// problem reads the answer as a problem document and checks what every one must hold.
func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), "status %d, body: %s", a.StatusCode, a.body)
	var p api.Problem
	a.json(t, &p)
	require.Equal(t, a.StatusCode, p.Status)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	require.Equal(t, a.Header.Get("X-Request-Id"), p.RequestID)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	return p
}

func (a answer) verification(t *testing.T) api.Verification {
	t.Helper()
	var v api.Verification
	a.json(t, &v)
	return v
}

// call is one request. Its zero value besides method and path is authenticated JSON.
type call struct {
	method, path string
	body         string
	header       map[string]string
	anonymous    bool
	client       string // instead of shop
}

func (c call) request(ctx context.Context) *http.Request {
	var body io.Reader = http.NoBody
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	r := httptest.NewRequestWithContext(ctx, c.method, c.path, body)
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if !c.anonymous {
		client := c.client
		if client == "" {
			client = shop
		}
		r.SetBasicAuth(client, shopSecret)
	}
	for name, value := range c.header {
		if value == "" {
			r.Header.Del(name)
			continue
		}
		r.Header.Set(name, value)
	}
	return r
}

func (b *bench) do(c call) answer {
	b.t.Helper()
	return b.send(c.request(b.t.Context()))
}

// send runs one exchange and holds it against the API document.
func (b *bench) send(r *http.Request) answer {
	b.t.Helper()
	var sent []byte
	if r.Body != nil {
		var err error
		sent, err = io.ReadAll(r.Body)
		require.NoError(b.t, err)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	response := w.Result()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, response.Body.Close())
	b.document.check(b.t, r, sent, response, body)
	return answer{response, body}
}

func (b *bench) post(path, body string) answer {
	b.t.Helper()
	return b.do(call{method: http.MethodPost, path: path, body: body})
}

func (b *bench) get(path string) answer {
	b.t.Helper()
	return b.do(call{method: http.MethodGet, path: path})
}

// create makes a verification and returns it with its code.
func (b *bench) create(body string) (api.Verification, string) {
	b.t.Helper()
	a := b.post("/v1/verifications", body)
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "body: %s", a.body)
	v := a.verification(b.t)
	return v, b.store.activation(v.ID).Secrets.Code.Reveal()
}

func (b *bench) resolve(id string, f verification.Fact) {
	b.t.Helper()
	_, err := b.store.Resolve(b.t.Context(), id, f)
	require.NoError(b.t, err)
}

const smsCode = `{"to":"+14155550123","channel":"sms"}`

// document is the API document, and notes which of its operations were used.
type document struct {
	doc    *openapi3.T
	router routers.Router

	mu   sync.Mutex
	used map[string]bool
}

// parseDocument reads the API document once for all tests; it is only read afterwards.
var parseDocument = sync.OnceValues(func() (*document, error) {
	// Lists may have lines that are at fault, and a line that ends them: only their type is checked.
	for _, media := range []string{"text/csv", "application/x-ndjson"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	router, err := legacy.NewRouter(doc)
	return &document{doc: doc, router: router}, err
})

func loadDocument(t *testing.T) *document {
	t.Helper()
	d, err := parseDocument()
	require.NoError(t, err)
	return &document{doc: d.doc, router: d.router, used: map[string]bool{}}
}

// reload reads the document from its JSON form.
func (d *document) reload(t *testing.T, data []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(data)
	require.NoError(t, err)
	return doc
}

// check holds one exchange against the document: every answer must be described there, and a
// request that breaks the document must have been refused.
func (d *document) check(t *testing.T, r *http.Request, sent []byte, response *http.Response, body []byte) {
	t.Helper()
	route, params, err := d.router.FindRoute(r)
	if err != nil {
		return // not an operation of the document: a 404 or 405, or a mounted page
	}
	d.mu.Lock()
	d.used[route.Operation.OperationID] = true
	d.mu.Unlock()

	r.Body = io.NopCloser(bytes.NewReader(sent))
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true, MultiError: true,
		},
	}
	// Of a batch, each recipient who breaks the document is refused, and the others are sent.
	partly := route.Operation.OperationID == "createNotification" && bytes.Contains(body, []byte(`"refused":[{`))
	if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil && !partly {
		require.GreaterOrEqual(t, response.StatusCode, 400, "the document refuses this request, the server does not: %v", err)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: response.StatusCode, Header: response.Header, Options: in.Options,
	}
	switch media, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";"); media {
	case "text/event-stream", "text/html": // no schema to hold them against
		in.Options.ExcludeResponseBody = true
	}
	out.SetBodyBytes(body)
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), out), "%s %s: %d %s", r.Method, r.URL.Path, response.StatusCode, body)
}
