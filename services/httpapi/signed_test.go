package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi"
)

func TestTheSecureAuthDoorGetsItsRequestsAsTheyCame(t *testing.T) {
	t.Parallel()
	var seen []string
	b := setup(t, func(c *httpapi.Config) {
		c.ServesSecureAuth = func(path string) bool { return strings.Contains(path, "/api/v1/") }
		c.SecureAuth = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			seen = append(seen, r.Method+" "+r.RequestURI+" "+string(body))
			if strings.HasSuffix(r.URL.Path, "/known") {
				r.Pattern = "POST /known"
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"status":"not_found"}`)
		})
	})
	server := httptest.NewServer(b.server)
	t.Cleanup(server.Close)
	for _, path := range []string{
		"/secureauth1//api/v1//users//status?username=x", "/api/v1/j%20smith/a%2Fb/", "//secureauth1/api/v1/./known", "/api/v1/../known",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("{ }"))
		require.NoError(t, err)
		r.URL.Opaque = path // as it is
		response, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusNotFound, response.StatusCode)
		require.JSONEq(t, `{"status":"not_found"}`, string(body), "its own answer stands")
		require.True(t, strings.HasSuffix(seen[len(seen)-1], path+" { }"), seen)
	}
	require.Contains(t, b.log.String(), `"route":"POST /known"`)
	require.NotContains(t, b.log.String(), "smith", "paths hold the names of people")

	// The other doors have theirs mended as before.
	require.Equal(t, http.StatusOK, b.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "//openapi.json", http.NoBody)).StatusCode)
	require.Len(t, seen, 4)
}
