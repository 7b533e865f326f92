package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long the test waits for an answer that must come.
const patience = time.Minute

func TestABodyThatTricklesIsLetGo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/unread", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(boundBodies(mux, 50*time.Millisecond))
	t.Cleanup(server.Close)
	for path, status := range map[string]string{"/read": "HTTP/1.1 400", "/unread": "HTTP/1.1 204"} {
		t.Run(path, func(t *testing.T) {
			var dialer net.Dialer
			conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: assent.test\r\nContent-Length: 100\r\n\r\nx", path)
			require.NoError(t, err)

			answer, err := io.ReadAll(conn)
			require.NoError(t, err, "the connection is kept open")
			require.True(t, strings.HasPrefix(string(answer), status), "%s", answer)
		})
	}
}

func TestARequestOutlivesTheTimeOfItsBody(t *testing.T) {
	const limit = 50 * time.Millisecond
	server := httptest.NewServer(boundBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		longer, cancel := context.WithTimeout(r.Context(), 4*limit)
		defer cancel()
		<-longer.Done()
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), limit))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("complete"))
	require.NoError(t, err)
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}
