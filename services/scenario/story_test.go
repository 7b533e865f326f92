package scenario_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// story is one test's view of a system.
type story struct {
	*system
	t *testing.T
}

// Together tells a story on the shared `assent up`.
func Together(t *testing.T) *story {
	t.Helper()
	s, err := house.together()
	require.NoError(t, err)
	return &story{s, t}
}

// Apart tells a story on the shared system of one process for each role.
func Apart(t *testing.T) *story {
	t.Helper()
	s, err := house.apart()
	require.NoError(t, err)
	return &story{s, t}
}

// Alone tells a story on an `assent up` of its own, which ends with the test.
func Alone(t *testing.T, env ...string) *story {
	t.Helper()
	s, err := startUp(t.TempDir(), env...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return &story{s, t}
}

// in is the same system in the words of a subtest.
func (s *story) in(t *testing.T) *story { return &story{s.system, t} }

// person is somebody who can be asked. Nobody else has these addresses, so stories stay apart.
type person struct{ number, mailbox string }

func somebody() person {
	n := house.people.Add(1)
	return person{fmt.Sprintf("+1415%07d", 3_000_000+n), fmt.Sprintf("person%d@example.com", n)}
}

// question is what a client asks.
type question struct{ api.CreateVerification }

func ask(to string, channel api.Channel) question {
	return question{api.CreateVerification{To: to, Channel: channel}}
}

func text(p person) question { return ask(p.number, api.ChannelSMS) }
func call(p person) question { return ask(p.number, api.ChannelVoice) }
func mail(p person) question { return ask(p.mailbox, api.ChannelEmail) }

// with is the same question with some of it changed.
func (q question) with(change func(*api.CreateVerification)) question {
	change(&q.CreateVerification)
	return q
}

func (q question) Link() question {
	return q.with(func(c *api.CreateVerification) { c.Challenge = api.ChallengeLink })
}

func (q question) Approval() question {
	return q.with(func(c *api.CreateVerification) { c.Challenge = api.ChallengeApproval })
}

func (q question) For(seconds int) question {
	return q.with(func(c *api.CreateVerification) { c.ExpiresIn = &seconds })
}

func (q question) Digits(n int) question {
	return q.with(func(c *api.CreateVerification) { c.CodeLength = &n })
}

func (q question) Brand(name string) question {
	return q.with(func(c *api.CreateVerification) { c.Brand = name })
}

func (q question) About(what api.Context) question {
	return q.with(func(c *api.CreateVerification) { c.Context = &what })
}

// answer is what an HTTP call came to.
type answer struct {
	status int
	header http.Header
	body   []byte
}

const callWithin = 75 * time.Second

type option func(*http.Request)

func header(name, value string) option { return func(r *http.Request) { r.Header.Set(name, value) } }

// ask makes one call with the client's credential; body is JSON unless it is text already.
func (s *system) ask(ctx context.Context, method, url string, body any, options ...option) (answer, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewReader([]byte(b))
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		reader = bytes.NewReader(encoded)
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return answer{}, err
	}
	r.SetBasicAuth(s.id, s.secret)
	if reader != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(r)
	}
	res, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	return answer{res.StatusCode, res.Header, read}, err
}

// Call is ask for stories that go on only when there was an answer.
func (s *story) Call(method, path string, body any, options ...option) answer {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), method, s.base+path, body, options...)
	require.NoError(s.t, err, "%s %s", method, path)
	return a
}

// read decodes an answer that has this status.
func read[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	var v T
	require.Equal(t, status, a.status, "answer: %s", a.body)
	require.NoError(t, json.Unmarshal(a.body, &v), "answer: %s", a.body)
	return v
}

// Create asks, and expects to be taken.
func (s *story) Create(q question, options ...option) api.Verification {
	s.t.Helper()
	a := s.Call(http.MethodPost, "/v1/verifications", q, options...)
	v := read[api.Verification](s.t, a, http.StatusCreated)
	require.Equal(s.t, "/v1/verifications/"+v.ID, a.header.Get("Location"))
	return v
}

// Get is a verification as it reads now.
func (s *story) Get(v api.Verification) api.Verification {
	s.t.Helper()
	return read[api.Verification](s.t, s.Call(http.MethodGet, "/v1/verifications/"+v.ID, nil), http.StatusOK)
}

// Check compares a code.
func (s *story) Check(v api.Verification, code string) api.CheckedVerification {
	s.t.Helper()
	a := s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/check", api.CheckCode{Code: code})
	return read[api.CheckedVerification](s.t, a, http.StatusOK)
}

// Refused is the problem of a call that must not succeed.
func (s *story) Refused(a answer, status int, code api.ProblemCode) api.Problem {
	s.t.Helper()
	require.Equal(s.t, "application/problem+json", a.header.Get("Content-Type"), "answer: %d %s", a.status, a.body)
	p := read[api.Problem](s.t, a, status)
	require.Equal(s.t, code, p.Code, "problem: %s", a.body)
	return p
}

// Want expects a verification to read so now.
func (s *story) Want(v api.Verification, status api.Status, reason string) api.Verification {
	s.t.Helper()
	now := s.Get(v)
	require.Equal(s.t, status, now.Status, "reason %q", now.Reason)
	require.Equal(s.t, reason, now.Reason)
	return now
}

// Becomes waits until a verification has ended, and expects this end.
func (s *story) Becomes(v api.Verification, status api.Status, reason string) api.Verification {
	s.t.Helper()
	return s.Waiting(v).Sees(status, reason)
}

// waiter is a client that waits for the end of a verification.
type waiter struct {
	t    *testing.T
	seen chan seen
}

type seen struct {
	v     api.Verification
	polls int
	err   error
}

// Waiting starts a client that polls with ?wait=, and returns when its first request is parked.
func (s *story) Waiting(v api.Verification) *waiter {
	s.t.Helper()
	w := &waiter{s.t, make(chan seen, 1)}
	sent := make(chan struct{}, 8)
	ctx := httptrace.WithClientTrace(s.t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		select {
		case sent <- struct{}{}:
		default:
		}
	}})
	base := s.base
	if len(s.others) > 0 {
		base = s.others[0] // no client is bound to one process
	}
	go func() { w.seen <- s.system.await(ctx, base, v.ID) }()
	select {
	case <-sent:
	case <-time.After(callWithin):
		require.Fail(s.t, "the waiting client never got its request out")
	}
	// The answer to a later request shows that the earlier one is inside.
	_, err := s.ask(s.t.Context(), http.MethodGet, base+"/v1/verifications/"+v.ID, nil)
	require.NoError(s.t, err)
	return w
}

// await polls until the verification is closed.
func (s *system) await(ctx context.Context, base, id string) seen {
	deadline := time.Now().Add(callWithin)
	for polls := 1; ; polls++ {
		a, err := s.ask(ctx, http.MethodGet, base+"/v1/verifications/"+id+"?wait=50", nil)
		if err != nil {
			return seen{err: err}
		}
		var v api.Verification
		if err := json.Unmarshal(a.body, &v); err != nil || a.status != http.StatusOK {
			return seen{err: fmt.Errorf("poll answered %d: %s", a.status, a.body)}
		}
		if v.Status != api.StatusPending {
			return seen{v: v, polls: polls}
		}
		if time.Now().After(deadline) {
			return seen{err: fmt.Errorf("verification %s is still pending", id)}
		}
	}
}

// Sees expects what the waiting client is told, in the answer to the request that it had parked.
func (w *waiter) Sees(status api.Status, reason string) api.Verification {
	w.t.Helper()
	select {
	case got := <-w.seen:
		require.NoError(w.t, got.err)
		require.Equal(w.t, status, got.v.Status, "reason %q", got.v.Reason)
		require.Equal(w.t, reason, got.v.Reason)
		require.NotNil(w.t, got.v.ClosedAt)
		require.Equal(w.t, 1, got.polls, "the first poll must end with the change")
		return got.v
	case <-time.After(2 * callWithin):
		require.Fail(w.t, "the waiting client was never answered")
		return api.Verification{}
	}
}

// eventually asks again and again until yes, or fails the story.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	const within = time.Minute
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline:
			require.Failf(t, "it never came to this", "%s (within %s)", what, within)
		}
	}
}
