// Package client calls the Assent API from Go. It creates verifications, waits for
// their answers, checks codes, sends again and withdraws; it depends on the standard
// library only. Faults that the server reports are *api.Problem errors.
//
// A Client retries by itself only what is safe: a create after a broken connection,
// under the same idempotency key, and a wait.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
)

const (
	// maxAnswer bounds what is read of an answer; the largest, a page of users, is far below.
	maxAnswer = 4 << 20
	// callTimeout is how long a call may take beyond what it waits for on purpose.
	callTimeout = 15 * time.Second
)

// Client calls one deployment as one client. It is safe for concurrent use.
type Client struct {
	base       string
	id, secret string
	http       *http.Client
	wait       time.Duration
}

// Option changes a Client.
type Option func(*Client)

// WithHTTPClient uses this HTTP client, for its proxies, certificates or traces. Its Timeout must
// be longer than a wait (25 seconds).
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithWait sets how long one request of Wait stays open: whole seconds, 1 to 60; the default is 25.
// Longer waits make fewer requests; proxies often cut them at 60.
func WithWait(d time.Duration) Option {
	return func(c *Client) { c.wait = min(max(d.Truncate(time.Second), time.Second), time.Minute) }
}

// New makes a Client for the deployment at base, such as https://assent.example.com, with a client
// id and secret. It fails where base is not an absolute http or https URL; nothing is called yet.
func New(base, id, secret string, options ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, errors.New("base of an assent client must be an absolute http or https URL without a credential")
	}
	c := &Client{
		base: strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), id: id, secret: secret,
		http: &http.Client{}, wait: 25 * time.Second,
	}
	for _, o := range options {
		o(c)
	}
	return c, nil
}

// Create asks a person. The answer comes before anything is sent. Every call has an idempotency key
// of its own, under which it is repeated once when the connection breaks, so that the person gets
// one message. To repeat it across restarts of the caller, use CreateWithKey.
func (c *Client) Create(ctx context.Context, request api.CreateVerification) (*api.Verification, error) {
	return c.CreateWithKey(ctx, rand.Text(), request)
}

// CreateWithKey is Create under the caller's own idempotency key (1 to 255 visible ASCII characters):
// the same key and request give the same verification, however often and from wherever it is called.
func (c *Client) CreateWithKey(ctx context.Context, key string, request api.CreateVerification) (*api.Verification, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("create verification: %w", err)
	}
	header := http.Header{"Idempotency-Key": {strconv.Quote(key)}}
	var v api.Verification
	_, err = c.call(ctx, http.MethodPost, "/v1/verifications", header, body, &v)
	if broken(err) && ctx.Err() == nil {
		_, err = c.call(ctx, http.MethodPost, "/v1/verifications", header, body, &v)
	}
	if err != nil {
		return nil, fmt.Errorf("create verification: %w", err)
	}
	return &v, nil
}

// broken tells whether no answer came, so that nobody knows what the server did.
func broken(err error) bool {
	var transport *url.Error
	return errors.As(err, &transport) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Get reads a verification as it is now.
func (c *Client) Get(ctx context.Context, id string) (*api.Verification, error) {
	var v api.Verification
	if _, err := c.call(ctx, http.MethodGet, path(id, ""), nil, nil, &v); err != nil {
		return nil, fmt.Errorf("get verification: %w", err)
	}
	return &v, nil
}

// Checked is the answer to a code.
type Checked struct {
	// Valid tells whether this was the code.
	Valid        bool
	Verification api.Verification
}

// Check compares a code that the person typed. A wrong code is no error: Valid is false, and one
// less is in ChecksLeft. Check is not repeated by itself, because every check counts.
func (c *Client) Check(ctx context.Context, id, code string) (Checked, error) {
	body, err := json.Marshal(api.CheckCode{Code: code})
	if err != nil {
		return Checked{}, errors.New("check code: the code is not text")
	}
	var raw json.RawMessage
	if _, err := c.call(ctx, http.MethodPost, path(id, "/check"), nil, body, &raw); err != nil {
		return Checked{}, fmt.Errorf("check code: %w", err)
	}
	var valid struct {
		Valid bool `json:"valid"`
	}
	checked := Checked{}
	if err := errors.Join(json.Unmarshal(raw, &valid), json.Unmarshal(raw, &checked.Verification)); err != nil {
		return Checked{}, fmt.Errorf("check code: %w", errAnswer)
	}
	checked.Valid = valid.Valid
	return checked, nil
}

// Resend queues the same message again. It counts towards the limits.
func (c *Client) Resend(ctx context.Context, id string) (*api.Verification, error) {
	var v api.Verification
	if _, err := c.call(ctx, http.MethodPost, path(id, "/resend"), nil, nil, &v); err != nil {
		return nil, fmt.Errorf("resend verification: %w", err)
	}
	return &v, nil
}

// Cancel withdraws the question.
func (c *Client) Cancel(ctx context.Context, id string) (*api.Verification, error) {
	var v api.Verification
	if _, err := c.call(ctx, http.MethodPost, path(id, "/cancel"), nil, nil, &v); err != nil {
		return nil, fmt.Errorf("cancel verification: %w", err)
	}
	return &v, nil
}

// Deliveries lists what became of the messages, oldest first.
func (c *Client) Deliveries(ctx context.Context, id string) ([]api.Delivery, error) {
	var list api.DeliveryList
	if _, err := c.call(ctx, http.MethodGet, path(id, "/deliveries"), nil, nil, &list); err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return list.Data, nil
}

func path(id, action string) string { return "/v1/verifications/" + url.PathEscape(id) + action }

// errAnswer says that what answered does not speak this API: a proxy's page, perhaps.
var errAnswer = errors.New("the answer is not one of the Assent API")

// call makes one request and reads its answer into what into points to. A 304 leaves that alone.
func (c *Client) call(ctx context.Context, method, target string, header http.Header, body []byte, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+waitOf(target))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.base+target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.SetBasicAuth(c.id, c.secret)
	r.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	switch {
	case response.StatusCode == http.StatusNotModified:
		return response.Header, nil
	case response.StatusCode >= 300:
		return response.Header, problemOf(response, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return response.Header, errAnswer
	}
	return response.Header, nil
}

// waitOf is how long a request stays open on purpose.
func waitOf(target string) time.Duration {
	_, seconds, _ := strings.Cut(target, "?wait=")
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// problemOf reads a problem document. What is none (a proxy's page) becomes one with the status only.
func problemOf(response *http.Response, data []byte) *api.Problem {
	p := &api.Problem{}
	if json.Unmarshal(data, p) != nil || p.Code == "" {
		*p = api.Problem{Type: "about:blank", Title: http.StatusText(response.StatusCode), Detail: "The answer is not one of the Assent API."}
	}
	p.Status = response.StatusCode
	if p.RetryAfter == 0 {
		if n, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			p.RetryAfter = n
		}
	}
	return p
}
