package secureauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/secureauth"
)

func TestWhatIsNotPartOfThisServerSaysSo(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, call := range []string{
		"POST ipeval", "POST adaptauth", "GET dfp/js", "POST dfp/validate", "POST dfp/confirm", "POST dfp/score", "POST dfp/save",
		"GET behavebio/js", "POST behavebio", "PUT behavebio", "POST oath",
		"POST fido/enrollment/begin", "POST fido/enrollment/complete", "POST fido/login", "PUT fido/tokens", "DELETE fido/tokens",
	} {
		method, path, _ := strings.Cut(call, " ")
		for _, version := range []string{"v1", "v2", "v3"} {
			var body any
			if method != http.MethodGet {
				body = map[string]string{"user_id": "jsmith"}
			}
			a := c.do(method, "/api/"+version+"/"+path, body).is(http.StatusNotImplemented).only("status", "message")
			require.Equal(t, "failed", a.text("status"))
			require.Regexp(t, `^[A-Z].* is not part of this server\.$`, a.text("message"))
		}
		refused := c.do(http.MethodPatch, "/api/v1/"+path, nil).is(http.StatusMethodNotAllowed)
		require.Equal(t, "This path does not take the method PATCH.", refused.text("message"))
		require.Contains(t, refused.header.Get("Allow"), method)
	}
	c.post("/api/v1/ipeval", "{}").golden("absent", "ipeval")
}

func TestWhatIsNowhereIsNotFoundInJSON(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, path := range []string{
		"/api/v1", "/api/v1/", "/api/v3//", "/api/v4/auth", "/api/v0/auth", "/api/v99/ipeval", "/api/v1/none", "/api/v1/fido",
		"/api/v1/fido/login/x", "/api/v1/../v1/ipeval", "/api/v1/%2e%2e/ipeval", "/api/v1/fido%2Flogin",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			c.do(method, path, nil).says(http.StatusNotFound, "not_found", "The requested resource cannot be found.").only("status", "message")
		}
	}
	c.get("/api/v1/none/%ff").says(http.StatusBadRequest, "invalid",
		"Request validation failed with: The path is not UTF-8, escaped as a URL is.")
}

func TestOnlyTheAPIsPathsAreServed(t *testing.T) {
	t.Parallel()
	for path, served := range map[string]bool{
		"/api/v1/auth": true, "/secureauth1/api/v2/users/x/factors": true, "//secureauth1//api//v3/users//status": true, "/api/v1": true,
		"/secureauth1/api/v1/": true, "/a%20b/api/v1/x": true, "/api/v7/x": true,
		"/api/1/events": false, "/api/2/mfa/users": false, "/v1/verifications": false, "/": false, "": false, "/api/vx/a": false,
		"/a/b/api/v1/auth": false, "/a%2Fapi%2Fv1/x": false, "/l/api": false, "api/v1/auth": false, "/api/v1x/auth": false,
	} {
		require.Equal(t, served, secureauth.Serves(path), path)
	}
}
