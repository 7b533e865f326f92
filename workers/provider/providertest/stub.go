package providertest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// prefix is the path under which the stub stands, because a provider's base URL may have one.
const prefix = "/carrier"

// stub is a provider that answers every call in one way.
type stub struct {
	base  string
	count atomic.Int64
}

func (s *stub) calls() int { return int(s.count.Load()) }

type connKey struct{}

// newStub starts a provider that reads each request whole before it answers.
func newStub(t *testing.T, http2 bool, answer http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.count.Add(1)
		if !strings.HasPrefix(r.URL.Path, prefix+"/") {
			t.Errorf("the path %q lost the prefix of the base URL", r.URL.Path)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Errorf("read the request: %v", err)
		}
		answer(w, r)
	}))
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	if http2 {
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	srv.Start()
	t.Cleanup(srv.Close)
	s.base = srv.URL + prefix
	return s
}

// reset drops the connection of a request without a word, as a crashed peer does.
func reset(r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*net.TCPConn)
	if !ok {
		panic("providertest: the stub's connection is not TCP")
	}
	_ = c.SetLinger(0) // close sends RST and not FIN
	_ = c.Close()
}

// refusal is a refusing body in a shape that several providers use, with text in every
// place where they put words of their own.
func refusal(text string) []byte {
	b, err := json.Marshal(map[string]any{
		"code":    text,
		"message": text,
		"reason":  text,
		"errors":  []map[string]string{{"message": text, "field": text}},
		"error":   map[string]any{"code": http.StatusBadRequest, "message": text, "status": text},
	})
	if err != nil {
		panic(err) // strings always encode
	}
	return b
}

// triggered is a context that ends when told to: a deadline without a clock.
type triggered struct {
	context.Context
	done  chan struct{}
	once  sync.Once
	cause error
}

func newTriggered(parent context.Context, cause error) *triggered {
	return &triggered{Context: parent, done: make(chan struct{}), cause: cause}
}

func (c *triggered) end() { c.once.Do(func() { close(c.done) }) }

// Deadline is far away: only end ends the context.
func (c *triggered) Deadline() (time.Time, bool) { return time.Now().Add(patience), true }

// Done is closed by end.
func (c *triggered) Done() <-chan struct{} { return c.done }

// Err is the cause once the context has ended.
func (c *triggered) Err() error {
	select {
	case <-c.done:
		return c.cause
	default:
		return nil
	}
}
