package twilio_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// request is one that the carrier got.
type request struct {
	*http.Request
	form url.Values
}

// carrier answers every request in one way and keeps what it got.
type carrier struct {
	*httptest.Server
	mu    sync.Mutex
	got   []request
	conns int
}

func newCarrier(t *testing.T, status int, body string) *carrier {
	t.Helper()
	return newCarrierFunc(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func newCarrierFunc(t *testing.T, answer http.HandlerFunc) *carrier {
	t.Helper()
	c := &carrier{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Errorf("parse form: %v", err)
		}
		c.mu.Lock()
		c.got = append(c.got, request{r, r.PostForm})
		c.mu.Unlock()
		answer(w, r)
	}))
	c.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.mu.Lock()
			c.conns++
			c.mu.Unlock()
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

func (c *carrier) requests() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got
}

func (c *carrier) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns
}
