package secureauth

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePathIsTakenAsItCame(t *testing.T) {
	t.Parallel()
	for target, path := range map[string]string{
		"/r//api/v1/j%20smith/?a=b?c": "/r//api/v1/j%20smith/",
		"//r/api/v1/x":                "//r/api/v1/x",
		"/api/v1/a%2fb":               "/api/v1/a%2fb", // its case too
		"http://assent.example/r//api/v1/a%2fb/?x=%20": "/r//api/v1/a%2fb/",
		"http://assent.example":                        "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		require.Equal(t, path, received(r), target)
	}
}

func TestAPathIsSignedInFewSpellings(t *testing.T) {
	t.Parallel()
	for path, spellings := range map[string][]string{
		"/r/api/v1/auth":              {"/r/api/v1/auth"},
		"/r/api/v1/users/j%20s/x":     {"/r/api/v1/users/j%20s/x", "/r/api/v1/users/j s/x"},
		"/r//api/v1/users/%41//x":     {"/r//api/v1/users/%41//x", "/r/api/v1/users/%41/x", "/r//api/v1/users/A//x", "/r/api/v1/users/A/x"},
		"/r/api/v1/users//status":     {"/r/api/v1/users//status", "/r/api/v1/users/status"},
		"/r/api/v1/users/status":      {"/r/api/v1/users/status", "/r/api/v1/users//status"},
		"/r/api/v1/users/jo/status":   {"/r/api/v1/users/jo/status"},
		"/r/api/v1/users/%zz/factors": {"/r/api/v1/users/%zz/factors"},
		// It would be signed as the path /r/api/v1/auth with the body {}.
		"/r/api/v1/auth%0A%7B%7D": {"/r/api/v1/auth%0A%7B%7D"},
		"/r/api/v1/users/a%00/x":  {"/r/api/v1/users/a%00/x"},
		"/r/api/v1/users/j%20s/groups/a%20b": {
			"/r/api/v1/users/j%20s/groups/a%20b", "/r/api/v1/users/j s/groups/a b", "/r/api/v1/users/j s/groups/a%20b",
		},
		"/r/api/v1/groups/a%20b/users/j%20s": {
			"/r/api/v1/groups/a%20b/users/j%20s", "/r/api/v1/groups/a b/users/j s", "/r/api/v1/groups/a%20b/users/j s",
		},
		"/r/api/v1/groups/a%20b/users/jo": {"/r/api/v1/groups/a%20b/users/jo", "/r/api/v1/groups/a b/users/jo"},
	} {
		require.ElementsMatch(t, spellings, signedPaths(path), path)
	}
}

func TestAPanicGetsAnAnswerOfThisAPI(t *testing.T) {
	t.Parallel()
	s := &Server{config: Config{}} // which has no clock
	w := httptest.NewRecorder()
	require.Panics(t, func() {
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/auth", http.NoBody))
	})
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.JSONEq(t, `{"status":"server_error","message":"The server has logged what happened."}`, w.Body.String())
}
