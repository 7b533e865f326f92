// Package providertest is the suite that every provider adapter passes: it plays a
// provider's answers from an HTTP stub and checks what the adapter makes of them. The
// misfortunes that all providers share (a refused connection, a reset, a hang, a throttle,
// a proxy's error page) are built in; what is peculiar to one provider comes as cases. The
// tests of the adapters call it, nothing else does.
package providertest

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
)

// Send makes the adapter send one message, always the same.
type Send func(ctx context.Context) (delivery.Receipt, error)

// Case is one answer of the provider and what the adapter must make of it.
type Case struct {
	// Name is a sentence: "410 Unregistered means the device is gone".
	Name   string
	Status int
	Header map[string]string
	Body   string
	// Class is the class of the error that must come back; empty means accepted.
	Class delivery.Class
	// Reason is that of a permanent error, After that of a RetryAfter.
	Reason string
	After  time.Duration
	// Receipt is what must come back where Class is empty.
	Receipt delivery.Receipt
}

// Suite describes one adapter.
type Suite struct {
	// Adapter builds the adapter against a stub whose base URL has a path prefix and no
	// trailing slash. It is called once for each case.
	Adapter func(t *testing.T, base string) Send
	// HTTP2 makes the stub speak HTTP/2 in clear text with prior knowledge, and nothing else.
	HTTP2 bool
	// OK is the answer that accepts the message.
	OK    Case
	Cases []Case
	// Override replaces the expected class of a built-in case, by its name. An empty class
	// means accepted. A name that no built-in case has fails the suite.
	Override map[string]delivery.Class
	// Secrets are texts of the message and the account that no error may quote: code, link
	// token, address, key. At least one is required.
	Secrets []string
}

// The names of the built-in cases, for Override.
const (
	HTMLUnavailable      = "a proxy's HTML page with 503 is transient"
	ThrottledWithDelay   = "429 with Retry-After is retried when the provider says"
	ThrottledWithout     = "429 without Retry-After is retried after a pause"
	HalfBody             = "half a JSON body after an accepting status leaves the fate unknown"
	EndlessBody          = "an endless error body is cut off and transient"
	ConnectionRefused    = "a refused connection is transient"
	ResetAfterRequest    = "a reset after the request was written leaves the fate unknown"
	HangUntilDeadline    = "a hang until the deadline leaves the fate unknown"
	CanceledBeforeCall   = "a context canceled before the call sends nothing"
	CanceledWhileWaiting = "a context canceled while waiting leaves the fate unknown"
	QuotingRefusal       = "a refusal that quotes the message is not repeated in the error"
)

// throttleDelay is what the stub asks for in ThrottledWithDelay.
const throttleDelay = 7 * time.Second

// patience bounds a call whose end the suite does not bring about itself, so that a broken
// adapter fails the test and does not hang it.
const patience = 20 * time.Second

// Run plays all cases. Each is a parallel subtest with its own stub and its own adapter.
func Run(t *testing.T, s Suite) {
	t.Helper()
	require.NotNil(t, s.Adapter, "the suite needs an adapter")
	require.NotEmpty(t, s.Secrets, "the suite needs secrets to look for")
	builtin := s.builtin()
	for name := range s.Override {
		require.Contains(t, builtin, name, "no built-in case has this name")
	}

	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		s.play(t, s.OK)
	})
	for _, c := range s.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s.play(t, c)
		})
	}
	for name, run := range builtin {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}

// Body reads a provider's answer from testdata.
func Body(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", filepath.Base(name)))
	require.NoError(t, err)
	return string(b)
}

// play answers one call as the case says and checks what came of it.
func (s Suite) play(t *testing.T, c Case) {
	t.Helper()
	stub := newStub(t, s.HTTP2, func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range c.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(c.Status)
		_, _ = w.Write([]byte(c.Body)) // the adapter may have hung up already
	})
	receipt, err := s.send(t.Context(), t, stub.base)
	s.check(t, c, receipt, err)
	require.Equal(t, 1, stub.calls(), "an adapter calls its provider exactly once")
}

// send builds the adapter and sends once, within patience.
func (s Suite) send(ctx context.Context, t *testing.T, base string) (delivery.Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Adapter(t, base)(ctx)
}

func (s Suite) check(t *testing.T, c Case, receipt delivery.Receipt, err error) {
	t.Helper()
	if c.Class == "" {
		require.NoError(t, err)
		if c.Receipt != (delivery.Receipt{}) {
			require.Equal(t, c.Receipt, receipt)
		}
		return
	}
	require.Error(t, err)
	LeaksNothing(t, err, s.Secrets...)
	assert.Empty(t, receipt.ID)
	assert.Equal(t, c.Class, delivery.ClassOf(err), "class of: %v", err)
	assert.Equal(t, c.Reason, delivery.ReasonOf(err), "reason of: %v", err)
	assert.Equal(t, c.After, delivery.AfterOf(err), "delay of: %v", err)
}
