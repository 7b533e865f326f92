package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoPathIsRedirected(t *testing.T) {
	t.Parallel()
	says := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.URL.EscapedPath()) })
	}
	p := &process{listeners: map[string]*listener{}}
	p.serve("here", "/", says("api"))
	p.serve("here", "/metrics", says("metrics"))
	p.serve("here", "/sandbox/", says("sandbox"))
	for path, want := range map[string]string{
		"/v1/users": "api /v1/users", "/v1/users/": "api /v1/users/", "/api/v1/users//status": "api /api/v1/users//status",
		"/api/v1/users/j%20s/./x": "api /api/v1/users/j%20s/./x", "/a/../metrics": "api /a/../metrics", "//metrics": "api //metrics",
		"/metrics": "metrics /metrics", "/sandbox/x": "sandbox /sandbox/x", "/sandbox/": "sandbox /sandbox/",
	} {
		w := httptest.NewRecorder()
		p.listeners["here"].ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://assent.example"+path, http.NoBody))
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, want, w.Body.String(), path)
	}
}
