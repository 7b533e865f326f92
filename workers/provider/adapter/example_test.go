package adapter_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/webhook"
	"github.com/assent-io/assent/workers/delivery"
)

// patience bounds what the example is waited for.
const patience = time.Minute

// example is the adapter of examples/adapter in a process of its own.
type example struct {
	t   *testing.T
	url string
	mu  sync.Mutex
	log strings.Builder
}

func startExample(t *testing.T) *example {
	t.Helper()
	node, err := exec.LookPath("node")
	require.NoError(t, err, "the example adapter runs on Node.js 20 (Debian: apt-get install nodejs)")
	cmd := exec.CommandContext(t.Context(), node, "../../../examples/adapter/adapter.mjs")
	cmd.Env = append(cmd.Environ(), "ADAPTER_SECRET="+secret, "PORT=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	e, up := &example{t: t}, make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(up)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				up <- url
			}
			e.mu.Lock()
			e.log.WriteString(lines.Text() + "\n")
			e.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		reading.Wait()
		_ = cmd.Wait() // it was killed with the test's context
	})
	select {
	case e.url = <-up:
	case <-time.After(patience):
	}
	require.NotEmpty(t, e.url, "the example did not start")
	return e
}

func (e *example) printed() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

type outgoing struct{ ID, Channel, To, Text string }

func (e *example) outbox() (all []outgoing) {
	e.t.Helper()
	status, body := e.ask(http.MethodGet, "/outbox", nil, nil)
	require.Equal(e.t, http.StatusOK, status)
	require.NoError(e.t, json.Unmarshal(body, &all))
	return all
}

func (e *example) ask(method, path string, header http.Header, body []byte) (int, []byte) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, bytes.NewReader(body))
	require.NoError(e.t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := (&http.Client{Timeout: patience}).Do(req)
	require.NoError(e.t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	return res.StatusCode, answer
}

// office takes receipts, as the api does.
func office(t *testing.T) (url string, receipts <-chan posted) {
	t.Helper()
	came := make(chan posted, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		came <- posted{r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL, came
}

func receipt(t *testing.T, came <-chan posted) posted {
	t.Helper()
	select {
	case r := <-came:
		return r
	case <-time.After(patience):
		require.FailNow(t, "no receipt came")
		return posted{}
	}
}

func TestTheExampleTakesAMessageOnceAndReportsIt(t *testing.T) {
	t.Parallel()
	e := startExample(t)
	back, receipts := office(t)
	g, m := gateway(t, config(e.url)), text()
	m.CallbackURL = back
	first, err := g.SendSMS(t.Context(), m)
	require.NoError(t, err)
	m.Attempt++
	again, err := g.SendSMS(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, first, again, "a repetition is told apart by its id")
	require.Equal(t, []outgoing{{first.ID, "sms", to, m.Body.Reveal()}}, e.outbox())

	r := receipt(t, receipts)
	key, err := webhook.ParseSecret(secret)
	require.NoError(t, err)
	require.NoError(t, key.Verify(r.header, r.body, time.Now()))
	require.JSONEq(t, `{"message_id":"`+m.Message()+`","id":"`+first.ID+`","status":"delivered"}`, string(r.body))
	require.NotContains(t, e.printed(), code)
	require.NotContains(t, e.printed(), to)
}

func TestTheExampleSpeaksAScript(t *testing.T) {
	t.Parallel()
	e := startExample(t)
	r, err := gateway(t, config(e.url)).StartCall(t.Context(), call())
	require.NoError(t, err)
	require.Equal(t, []outgoing{{r.ID, "voice", to, "Hallo.  4, 8, 2, 9, 1, 3."}}, e.outbox())
}

func TestTheExampleRefusesANumberForGood(t *testing.T) {
	t.Parallel()
	e, m := startExample(t), text()
	m.To = "+14155550000"
	_, err := gateway(t, config(e.url)).SendSMS(t.Context(), m)
	require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
	require.Equal(t, "undeliverable", delivery.ReasonOf(err))
	require.Empty(t, e.outbox())
}

func TestTheExampleBelievesOnlyWhatWeSigned(t *testing.T) {
	t.Parallel()
	e := startExample(t)
	key, err := webhook.ParseSecret(secret)
	require.NoError(t, err)
	body := []byte(`{"type":"message.v1","message_id":"m-0-1","attempt":1,"channel":"sms","to":"` + to + `","text":"Hello","expires_at":"2036-01-01T00:00:00Z","receipt_url":""}`)
	signed := func(at time.Time, body []byte) http.Header {
		h := http.Header{}
		require.NoError(t, key.Sign(h, "m-0-1", at, body))
		return h
	}
	without := signed(time.Now(), body)
	without.Del("webhook-signature")
	for name, c := range map[string]struct {
		header http.Header
		body   []byte
	}{
		"without a signature":         {without, body},
		"with another body":           {signed(time.Now(), body), bytes.Replace(body, []byte("Hello"), []byte("Hallo"), 1)},
		"signed six minutes ago":      {signed(time.Now().Add(-6*time.Minute), body), body},
		"signed in six minutes":       {signed(time.Now().Add(6*time.Minute), body), body},
		"with nothing but characters": {http.Header{"Webhook-Id": {"m"}, "Webhook-Timestamp": {"now"}, "Webhook-Signature": {"v1,ä"}}, body},
	} {
		status, _ := e.ask(http.MethodPost, "/", c.header, c.body)
		require.Equal(t, http.StatusUnauthorized, status, name)
	}
	other := config(e.url)
	other.Secret = "whsec_b3RoZXIgc2VjcmV0LCBhbHNvIDMyIGJ5dGVzIGxvbmc="
	_, err = gateway(t, other).SendSMS(t.Context(), text())
	require.Equal(t, delivery.ClassMisconfigured, delivery.ClassOf(err))
	require.Empty(t, e.outbox())

	// What was recorded and is played back within the five minutes is told apart by its id.
	recorded := signed(time.Now(), body)
	status, first := e.ask(http.MethodPost, "/", recorded, body)
	require.Equal(t, http.StatusCreated, status)
	status, again := e.ask(http.MethodPost, "/", recorded, body)
	require.Equal(t, http.StatusConflict, status)
	require.JSONEq(t, string(first), string(again))
	require.Len(t, e.outbox(), 1)

	// A receipt is signed with the same secret, and is no message.
	receipt := []byte(`{"message_id":"m-0-2","id":"x","status":"delivered"}`)
	status, _ = e.ask(http.MethodPost, "/", signed(time.Now(), receipt), receipt)
	require.Equal(t, http.StatusBadRequest, status)
}

// The page's commands are run one after the other, as somebody who reads it would.
func TestTheCommandsOfTheDocumentationWork(t *testing.T) {
	t.Parallel()
	e := startExample(t)
	back, receipts := office(t)
	page, err := os.ReadFile("../../../docs/adapters.md")
	require.NoError(t, err)
	var script strings.Builder
	blocks := strings.Split(string(page), "\n```sh\n")
	require.Greater(t, len(blocks), 3)
	for _, b := range blocks[1:] {
		commands, _, closed := strings.Cut(b, "\n```")
		require.True(t, closed)
		script.WriteString(commands + "\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	cmd.Env = append(cmd.Environ(), "secret="+secret, "adapter="+e.url, "receipts="+back)
	cmd.Stderr = os.Stderr
	printed, err := cmd.Output()
	require.NoError(t, err)

	out := e.outbox()
	require.Len(t, out, 1)
	taken := `{"id":"` + out[0].ID + `"}`
	require.Equal(t, taken+"\n201\n"+taken+"\n409\n{}\n401\n"+
		`[{"id":"`+out[0].ID+`","channel":"sms","to":"+14155550100","text":"482913 is your code."}]`+"\n204\n", string(printed))

	r := receipt(t, receipts)
	key, err := webhook.ParseSecret(secret)
	require.NoError(t, err)
	require.NoError(t, key.Verify(r.header, r.body, time.Now()))
}
