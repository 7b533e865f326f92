// Package exchange records what one HTTP call to a provider came to: whether the request
// was written, and the status, headers and bounded body of the answer. The vendor SDKs
// lose some or all of these, and an adapter cannot classify an error without them. It
// knows no provider and no code of one; the adapters under provider call it.
package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/assent-io/assent/workers/delivery"
)

// bodyLimit is the most that is read of any answer. No provider needs a tenth of it.
const bodyLimit = 1 << 20

// Record is one call: what was written and what came back. It is safe for concurrent use,
// because the transport's goroutines write to it.
type Record struct {
	mu      sync.Mutex
	made    bool
	headers bool
	failed  bool
	status  int
	header  http.Header
	body    []byte
	err     error
	cancel  context.CancelFunc
}

type recordKey struct{}

// Begin opens a record for the one call that is made with the returned context within
// timeout. It rides on the context as httptrace does, because the context is the only thing
// of ours that every SDK passes on. The caller calls end when the SDK has returned.
func Begin(ctx context.Context, timeout time.Duration) (_ context.Context, r *Record, end context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	r = &Record{cancel: cancel}
	ctx = context.WithValue(ctx, recordKey{}, r)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The transport begins anew only with a request that the server did not process.
		GetConn:      func(string) { r.set(func() { r.headers, r.failed = false, false }) },
		WroteHeaders: func() { r.set(func() { r.headers = true }) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { r.set(func() { r.failed = info.Err != nil }) },
	})
	return ctx, r, cancel
}

func (r *Record) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// Written tells whether the provider may have the whole request. It errs to yes: headers
// count from the moment they go out, because over HTTP/2 a call can end before its
// transport has noted that the body went too.
func (r *Record) Written() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.headers && !r.failed
}

// Status is that of the answer, or 0 where none came.
func (r *Record) Status() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Body is what was read of the answer, at most 1 MiB. It may hold what the provider quotes
// of the message: it is read for codes and never logged.
func (r *Record) Body() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body
}

// Err is why no answer came, as the transport told it, or nil.
func (r *Record) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Get is one header of the answer, or empty.
func (r *Record) Get(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.header.Get(name)
}

// RetryAfter is the delay that the answer asks for, in seconds or until a date.
func (r *Record) RetryAfter() (time.Duration, bool) {
	value := r.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return r.Until(at)
	}
	return 0, false
}

// Until is the time left to an instant that the answer names, by the provider's own clock
// where the answer tells it, so that a skewed clock of ours neither hurries nor stalls.
func (r *Record) Until(at time.Time) (time.Duration, bool) {
	now := time.Now()
	if date, err := http.ParseTime(r.Get("Date")); err == nil {
		now = date
	}
	left := at.Sub(now)
	return left, left > 0
}

// Lost marks the error of a call that got no answer: unknown where the provider may have
// the request, transient where it cannot.
func (r *Record) Lost(err error) error {
	if r.Written() {
		return delivery.Unknown(err)
	}
	return err
}

// Later marks the error of an answer that another try may mend: with the delay where the
// answer named one, transient otherwise.
func (r *Record) Later(err error) error {
	if after, ok := r.RetryAfter(); ok {
		return delivery.RetryAfter(after, err)
	}
	return err
}

// Throttled marks the error of an answer that says that too much was sent. Where it names no delay, those who call
// know the least one.
func (r *Record) Throttled(err error) error {
	after, ok := r.RetryAfter()
	if !ok {
		after = 0
	}
	return delivery.RetryAfter(after, err)
}

// Transport writes each call into the record of its context and ends that context with the
// call: an SDK that would repeat by itself, as firebase does after a pause, returns at once
// and leaves the decision to the delivery loop. Calls without a record pass untouched.
type Transport struct {
	Base http.RoundTripper
}

// ErrRepeated ends a second call under one record.
var ErrRepeated = errors.New("the call was made already")

// RoundTrip makes the call and reads the answer, at most 1 MiB of it.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	r, ok := req.Context().Value(recordKey{}).(*Record)
	if !ok {
		return t.Base.RoundTrip(req)
	}
	if !r.begin() {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper always closes it
		}
		return nil, ErrRepeated
	}
	defer r.cancel()
	res, err := t.Base.RoundTrip(req)
	if err != nil {
		r.set(func() { r.err = err })
		return nil, err
	}
	body, err := read(res)
	r.set(func() { r.status, r.header, r.body = res.StatusCode, res.Header, body })
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// begin claims the record for the one call it stands for.
func (r *Record) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.made
	r.made = true
	return first
}

// CloseIdleConnections closes those of the base; apns2 panics on a transport without it.
func (t Transport) CloseIdleConnections() {
	if c, ok := t.Base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Client is a copy of c that records, follows no redirects (a provider's API has none, and
// a redirect would carry the message elsewhere) and otherwise behaves like c.
func Client(c *http.Client) *http.Client {
	own := *c
	base := c.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	own.Transport = Transport{Base: base}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Pool is a client whose connections outlive a burst: the standard transport keeps two of them idle and
// dials the rest anew.
func Pool(answerWithin time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: answerWithin,
	}}
}

// read reads and closes the body. What lies beyond the limit is dropped with the connection.
func read(res *http.Response) ([]byte, error) {
	defer func() { _ = res.Body.Close() }() // what was read counts
	return io.ReadAll(io.LimitReader(res.Body, bodyLimit))
}

// Bare is err without the URL that net/http puts around it: a URL may hold a push token.
func Bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// unnamed stands for a code that is no word.
const unnamed = "unnamed"

// Word is s where s looks like a provider's code word, letters and underscores, and
// "unnamed" where it is anything else: prose may quote the message, digits may be the code
// or a push token, and neither enters an error of ours.
func Word(s string) string {
	if s == "" || len(s) > 48 {
		return unnamed
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' {
			return unnamed
		}
	}
	return s
}
