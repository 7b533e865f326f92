package exchange_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// tripper is a transport made of a function.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// request is a call to nowhere in particular under ctx.
func request(ctx context.Context, t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://provider.example/device/token", strings.NewReader("x"))
	require.NoError(t, err)
	return req
}

// do makes one recorded call that base answers.
func do(t *testing.T, base http.RoundTripper) (*exchange.Record, *http.Response, error) {
	t.Helper()
	ctx, record, end := exchange.Begin(t.Context(), time.Minute)
	t.Cleanup(end)
	res, err := exchange.Client(&http.Client{Transport: base}).Do(request(ctx, t))
	if res != nil {
		t.Cleanup(func() { _ = res.Body.Close() })
	}
	return record, res, err
}

// answers is a transport that gives one answer.
func answers(status int, header http.Header, body string) tripper {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func TestARecordKeepsTheAnswerAndTheCallerGetsItToo(t *testing.T) {
	t.Parallel()
	record, res, err := do(t, answers(429, http.Header{"X-Name": {"value"}}, "body"))
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Equal(t, "body", string(body))
	assert.Equal(t, "body", string(record.Body()))
	assert.Equal(t, 429, record.Status())
	assert.Equal(t, "value", record.Get("x-name"))
	assert.NoError(t, record.Err())
}

func TestAnAnswerIsReadToAMebibyteAndClosed(t *testing.T) {
	t.Parallel()
	body := &endless{}
	record, _, err := do(t, tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: body}, nil
	}))
	require.NoError(t, err)
	assert.Len(t, record.Body(), 1<<20)
	assert.True(t, body.closed)
}

// endless is a body without an end.
type endless struct{ closed bool }

func (e *endless) Read(p []byte) (int, error) { return len(p), nil }
func (e *endless) Close() error               { e.closed = true; return nil }

func TestACallIsMadeOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	client := exchange.Client(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
		calls++
		return nil, io.ErrUnexpectedEOF
	})})
	ctx, record, end := exchange.Begin(t.Context(), time.Minute)
	defer end()
	for range 2 {
		res, err := client.Do(request(ctx, t))
		if res != nil {
			_ = res.Body.Close()
		}
		require.Error(t, err)
		require.Error(t, ctx.Err(), "an SDK that would wait and repeat finds its context ended")
	}
	assert.Equal(t, 1, calls)
	assert.ErrorIs(t, record.Err(), io.ErrUnexpectedEOF, "the record keeps why the call failed")
}

func TestWithoutARecordACallPassesUntouched(t *testing.T) {
	t.Parallel()
	client := exchange.Client(&http.Client{Transport: answers(200, nil, "body")})
	for range 2 {
		res, err := client.Do(request(t.Context(), t))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
}

func TestTheInjectedClientIsNotChanged(t *testing.T) {
	t.Parallel()
	theirs := &http.Client{}
	ours := exchange.Client(theirs)
	assert.NotSame(t, theirs, ours)
	assert.Nil(t, theirs.Transport)
	assert.Nil(t, theirs.CheckRedirect)
}

// What the transport reports of a request decides whether its fate is unknown.
func TestARequestOfUnknownFateIsOneWhoseHeadersWentOut(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for name, tc := range map[string]struct {
		report func(*httptrace.ClientTrace)
		class  delivery.Class
	}{
		"nothing was written":                  {func(*httptrace.ClientTrace) {}, delivery.ClassTransient},
		"it was written":                       {func(c *httptrace.ClientTrace) { c.WroteHeaders(); c.WroteRequest(httptrace.WroteRequestInfo{}) }, delivery.ClassUnknown},
		"headers went, the body's is not told": {func(c *httptrace.ClientTrace) { c.WroteHeaders() }, delivery.ClassUnknown},
		"the write broke off": {func(c *httptrace.ClientTrace) {
			c.WroteHeaders()
			c.WroteRequest(httptrace.WroteRequestInfo{Err: broken})
		}, delivery.ClassTransient},
		"a stale connection, then no new one": {func(c *httptrace.ClientTrace) {
			c.WroteHeaders()
			c.WroteRequest(httptrace.WroteRequestInfo{})
			c.GetConn("provider.example:443")
		}, delivery.ClassTransient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, _, err := do(t, tripper(func(r *http.Request) (*http.Response, error) {
				tc.report(httptrace.ContextClientTrace(r.Context()))
				return nil, broken
			}))
			require.Error(t, err)
			assert.Equal(t, tc.class, delivery.ClassOf(record.Lost(err)))
		})
	}
}

func TestADelayIsReadInSecondsOrUntilADate(t *testing.T) {
	t.Parallel()
	const now = "Sat, 21 Nov 2026 14:27:03 GMT"
	for name, tc := range map[string]struct {
		header http.Header
		after  time.Duration
	}{
		"seconds":               {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"a date":                {http.Header{"Retry-After": {"Sat, 21 Nov 2026 14:28:03 GMT"}, "Date": {now}}, time.Minute},
		"a date that is past":   {http.Header{"Retry-After": {"Sat, 21 Nov 2026 14:26:03 GMT"}, "Date": {now}}, 0},
		"zero":                  {http.Header{"Retry-After": {"0"}}, 0},
		"negative":              {http.Header{"Retry-After": {"-5"}}, 0},
		"more than a lifetime":  {http.Header{"Retry-After": {"99999999999999999999"}}, 0},
		"words":                 {http.Header{"Retry-After": {"soon"}}, 0},
		"none":                  {http.Header{}, 0},
		"a fraction, not legal": {http.Header{"Retry-After": {"1.5"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, _, err := do(t, answers(429, tc.header, ""))
			require.NoError(t, err)
			marked := record.Later(errors.New("throttled"))
			assert.Equal(t, tc.after, delivery.AfterOf(marked))
			want := delivery.ClassRetryAfter
			if tc.after == 0 {
				want = delivery.ClassTransient
			}
			assert.Equal(t, want, delivery.ClassOf(marked))

			marked = record.Throttled(errors.New("throttled"))
			assert.Equal(t, tc.after, delivery.AfterOf(marked))
			assert.Equal(t, delivery.ClassRetryAfter, delivery.ClassOf(marked), "whatever it names")
		})
	}
}

func TestBareLeavesTheURLOut(t *testing.T) {
	t.Parallel()
	inner := errors.New("connection refused")
	err := exchange.Bare(&url.Error{Op: "Post", URL: "https://provider.example/device/token", Err: inner})
	assert.Equal(t, inner, err)
	assert.Equal(t, inner, exchange.Bare(inner))
	assert.NoError(t, exchange.Bare(nil))
}

func TestAWordIsNoProse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"BadDeviceToken": "BadDeviceToken", "QUOTA_EXCEEDED": "QUOTA_EXCEEDED",
		"": "unnamed", "482913": "unnamed", "ana@example.org": "unnamed", "to ana": "unnamed",
		"a1b2": "unnamed", strings.Repeat("a", 49): "unnamed",
	} {
		assert.Equal(t, want, exchange.Word(in), "of %q", in)
	}
}

func TestARefusalIsToldByItsCodeElseByItsStatus(t *testing.T) {
	t.Parallel()
	named := exchange.Answered("apns", 410, "Unregistered")
	assert.EqualError(t, named, "apns answered 410 (Unregistered)")
	assert.Equal(t, "Unregistered", named.Detail())
	prose := exchange.Answered("fcm", 400, "no such token: 482913")
	assert.EqualError(t, prose, "fcm answered 400")
	assert.Equal(t, "400", prose.Detail())

	var coded interface{ Detail() string }
	require.ErrorAs(t, delivery.Permanent("device_gone", named), &coded, "the delivery loop finds it behind a mark")
	assert.Equal(t, "Unregistered", coded.Detail())
}

func TestIdleConnectionsCloseThroughTheTransport(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	base := &closing{RoundTripper: answers(200, nil, ""), closed: closed}
	exchange.Client(&http.Client{Transport: base}).CloseIdleConnections()
	<-closed
	exchange.Transport{Base: answers(200, nil, "")}.CloseIdleConnections()
}

// closing is a transport that tells when its idle connections are closed.
type closing struct {
	http.RoundTripper
	closed chan struct{}
}

func (c *closing) CloseIdleConnections() { close(c.closed) }
