package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

// server is a transport that answers from a script, one step for each request.
type server struct {
	mu    sync.Mutex
	steps []step
	seen  []*http.Request
	body  []string
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.seen, s.body = append(s.seen, r), append(s.body, string(body))
	if len(s.steps) == 0 {
		return nil, errors.New("more requests than expected")
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	w := httptest.NewRecorder()
	if err := next(w, r); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// step answers one request, or breaks its connection.
type step func(w http.ResponseWriter, r *http.Request) error

func answer(status int, body string, header ...string) step {
	return func(w http.ResponseWriter, _ *http.Request) error {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if body == "" {
			return nil
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

func breaks(http.ResponseWriter, *http.Request) error {
	return &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
}

func scripted(t *testing.T, steps ...step) (*client.Client, *server) {
	t.Helper()
	s := &server{steps: steps}
	c, err := client.New("https://assent.example.com/", "shop", "secret", client.WithHTTPClient(&http.Client{Transport: s}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if len(s.steps) > 0 {
			t.Errorf("%d answers were not asked for", len(s.steps))
		}
	})
	return c, s
}

const (
	pending  = `{"id":"v1","status":"pending","checks_left":5}`
	approved = `{"id":"v1","status":"approved","checks_left":0}`
)

func TestABaseThatIsNone(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "assent.example.com", "ftp://x", "http://", "https://id:secret@assent.example.com", ":"} {
		if _, err := client.New(base, "", ""); err == nil {
			t.Errorf("%q was taken", base)
		} else if strings.Contains(err.Error(), "secret") {
			t.Error("the error holds the secret")
		}
	}
}

func TestCreateRepeatsUnderTheSameKeyWhenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, breaks, answer(http.StatusCreated, pending))
	v, err := c.Create(t.Context(), api.CreateVerification{To: "+14155550123", Channel: api.ChannelSMS})
	if err != nil || v.ID != "v1" {
		t.Fatal(v, err)
	}
	key := s.seen[0].Header.Get("Idempotency-Key")
	if len(key) < 20 || key != s.seen[1].Header.Get("Idempotency-Key") {
		t.Errorf("keys %q and %q", key, s.seen[1].Header.Get("Idempotency-Key"))
	}
	if s.body[0] != `{"to":"+14155550123","channel":"sms"}` || s.body[0] != s.body[1] {
		t.Errorf("bodies %q", s.body)
	}
	if id, secret, ok := s.seen[0].BasicAuth(); !ok || id != "shop" || secret != "secret" {
		t.Error("no credential was sent")
	}
	if got := s.seen[0].URL.String(); got != "https://assent.example.com/v1/verifications" {
		t.Error(got)
	}
}

func TestCreateRepeatsOnceOnly(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, breaks, breaks)
	if _, err := c.Create(t.Context(), api.CreateVerification{}); err == nil {
		t.Error("no error")
	}
}

func TestAProblemIsATypedErrorAndNotRepeated(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, answer(http.StatusTooManyRequests,
		`{"type":"t","title":"A limit is used up","status":429,"detail":"Come back.","code":"limit_exceeded","violated-policies":["destination"]}`, "Retry-After", "412"))
	_, err := c.Create(t.Context(), api.CreateVerification{})
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.ProblemCodeLimitExceeded || p.RetryAfter != 412 || p.ViolatedPolicies[0] != "destination" {
		t.Errorf("%v %+v", err, p)
	}
}

func TestAPageOfAProxyIsAProblemToo(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, answer(http.StatusBadGateway, "<html>"), answer(http.StatusOK, "<html>"))
	_, err := c.Get(t.Context(), "v1")
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != http.StatusBadGateway || p.Code != "" {
		t.Error(err)
	}
	if _, err = c.Get(t.Context(), "v1"); err == nil {
		t.Error("a page was taken for a verification")
	}
}

func TestCheckTellsWhetherTheCodeWasRight(t *testing.T) {
	t.Parallel()
	c, s := scripted(t,
		answer(http.StatusOK, `{"valid":false,"id":"v1","status":"pending","checks_left":4}`),
		answer(http.StatusOK, `{"valid":true,"id":"v1","status":"approved","checks_left":0}`), breaks)
	first, err := c.Check(t.Context(), "v1", "000000")
	if err != nil || first.Valid || first.Verification.ChecksLeft != 4 {
		t.Error(first, err)
	}
	second, err := c.Check(t.Context(), "v1", "123456")
	if err != nil || !second.Valid || !second.Verification.Closed() {
		t.Error(second, err)
	}
	if s.body[1] != `{"code":"123456"}` {
		t.Error(s.body)
	}
	if _, err := c.Check(t.Context(), "v1", "123456"); err == nil || strings.Contains(err.Error(), "123456") {
		t.Errorf("a check must not be repeated, and its error not name the code: %v", err)
	}
}

func TestAnIdCannotLeaveItsPath(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, answer(http.StatusOK, pending))
	if _, err := c.Get(t.Context(), "../users?x="); err != nil {
		t.Fatal(err)
	}
	if got := s.seen[0].URL.EscapedPath(); got != "/v1/verifications/..%2Fusers%3Fx=" {
		t.Error(got)
	}
}

func TestWaitAsksUntilTheVerificationIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unavailable := `{"status":503,"code":"unavailable","detail":"d","title":"t","type":"t"}`
		c, s := scripted(t,
			answer(http.StatusOK, pending, "ETag", `"0.1.pending"`),
			answer(http.StatusNotModified, "", "ETag", `"0.1.pending"`),
			answer(http.StatusServiceUnavailable, unavailable, "Retry-After", "7"),
			breaks,
			answer(http.StatusTooManyRequests, ""),
			answer(http.StatusOK, approved, "ETag", `"1.1.approved"`))
		started := time.Now()
		v, err := c.Wait(t.Context(), "v1")
		if err != nil || v.Status != api.StatusApproved {
			t.Fatal(v, err)
		}
		// 7 seconds as told, then the pauses of its own: 1 second and 2.
		if took := time.Since(started); took != 10*time.Second {
			t.Errorf("it paused %s", took)
		}
		if got := s.seen[0].URL.RawQuery; got != "wait=25" {
			t.Error(got)
		}
		if s.seen[0].Header.Get("If-None-Match") != "" || s.seen[1].Header.Get("If-None-Match") != `"0.1.pending"` {
			t.Error("the tag of the first answer was not brought to the second request")
		}
	})
}

func TestWaitDoesNotHurryAServerThatDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		steps := make([]step, 0, 13)
		for range 12 {
			steps = append(steps, answer(http.StatusOK, pending))
		}
		c, _ := scripted(t, append(steps, answer(http.StatusOK, approved))...)
		started := time.Now()
		if _, err := c.Wait(t.Context(), "v1"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(started); took != 5*time.Second {
			t.Errorf("12 answers at once in %s", took)
		}
	})
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	t.Run("with the caller's context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, _ := scripted(t, answer(http.StatusServiceUnavailable, "", "Retry-After", "3600"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := c.Wait(ctx, "v1"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	})
	t.Run("with the caller's context during a request", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		c, _ := scripted(t, func(_ http.ResponseWriter, r *http.Request) error {
			cancel()
			<-r.Context().Done()
			return r.Context().Err()
		})
		if _, err := c.Wait(ctx, "v1"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("at a problem that waiting does not mend", func(t *testing.T) {
		t.Parallel()
		c, _ := scripted(t, answer(http.StatusNotFound, `{"status":404,"code":"not_found"}`))
		var p *api.Problem
		if _, err := c.Wait(t.Context(), "v1"); !errors.As(err, &p) || p.Code != api.ProblemCodeNotFound {
			t.Error(err)
		}
	})
}

func TestWithWaitIsBounded(t *testing.T) {
	t.Parallel()
	for given, want := range map[time.Duration]string{0: "wait=1", 90 * time.Second: "wait=60", 5500 * time.Millisecond: "wait=5"} {
		s := &server{steps: []step{answer(http.StatusOK, approved)}}
		c, err := client.New("http://localhost", "a", "b", client.WithWait(given), client.WithHTTPClient(&http.Client{Transport: s}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(t.Context(), "v1"); err != nil || s.seen[0].URL.RawQuery != want {
			t.Error(err, s.seen[0].URL)
		}
	}
}
