package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/verification"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestEveryOperationAsksForACredential(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, item := range b.document.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security != nil { // the document says otherwise
				continue
			}
			a := b.do(call{method: method, path: strings.ReplaceAll(path, "{id}", "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"), anonymous: true})
			p := a.problem(t)
			require.Equal(t, api.ProblemCodeUnauthorized, p.Code, op.OperationID)
			require.Equal(t, `Bearer realm="assent", Basic realm="assent", charset="UTF-8"`, a.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token := b.token()
	for name, test := range map[string]struct{ header, challenge string }{
		"wrong secret":         {basic(shop, "x"), ""},
		"unknown client":       {basic("nobody", shopSecret), ""},
		"no client":            {basic("", shopSecret), ""},
		"long client":          {basic(strings.Repeat("x", 256), shopSecret), ""},
		"not base64":           {"Basic !", ""},
		"no colon":             {"Basic " + base64.StdEncoding.EncodeToString([]byte("shop")), ""},
		"other scheme":         {"Digest x", ""},
		"scheme alone":         {"Bearer", "invalid_token"},
		"token of another key": {"Bearer " + token[:len(token)-2] + "xx", "invalid_token"},
		"token of another name": {
			"Bearer " + base64.RawURLEncoding.EncodeToString([]byte(other)) + token[strings.IndexByte(token, '.'):], "invalid_token",
		},
		"token with more life": {"Bearer " + strings.Replace(token, ".1", ".2", 1), "invalid_token"},
		"no token":             {"Bearer x.y", "invalid_token"},
		"long token":           {"Bearer " + strings.Repeat("x.", 600), "invalid_token"},
	} {
		// A parameter that is wrong too is not what the client is told first.
		for _, path := range []string{"/v1/users", "/v1/users?limit=x"} {
			a := b.do(call{method: http.MethodGet, path: path, header: map[string]string{"Authorization": test.header}})
			require.Equal(t, http.StatusUnauthorized, a.problem(t).Status, name)
			require.Contains(t, a.Header.Get("WWW-Authenticate"), `Basic realm="assent"`)
			require.Equal(t, test.challenge != "", strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`), name)
		}
	}
	require.NotContains(t, b.log.String(), shopSecret)
	require.NotContains(t, b.log.String(), token)
}

func TestTheSchemeIsCaseInsensitive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, header := range []string{"bearer " + b.token(), "BEARER  " + b.token(), strings.Replace(basic(shop, shopSecret), "Basic", "basic", 1)} {
		a := b.do(call{method: http.MethodGet, path: "/v1/users", header: map[string]string{"Authorization": header}})
		require.Equal(t, http.StatusOK, a.StatusCode, header)
	}
}

func TestATokenEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string]string{"Authorization": "Bearer " + b.token()}
	b.clock.pass(time.Hour - 2*time.Second)
	require.Equal(t, http.StatusOK, b.do(call{method: http.MethodGet, path: "/v1/users", header: header}).StatusCode)
	b.clock.pass(2 * time.Second)
	require.Equal(t, http.StatusUnauthorized, b.do(call{method: http.MethodGet, path: "/v1/users", header: header}).StatusCode)
}

func TestATokenNamesItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	a := b.do(call{method: http.MethodPost, path: "/auth/oauth2/v2/token", body: `{"grant_type":"client_credentials"}`, client: other})
	var token api.AccessToken
	a.json(t, &token)
	header := map[string]string{"Authorization": "Bearer " + token.AccessToken}
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID, header: header}).StatusCode)
}

const form = "application/x-www-form-urlencoded"

func TestTheTokenEndpointTakesCredentialsInEveryUsualForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]call{
		"Basic and a form": {body: "grant_type=client_credentials", header: map[string]string{"Content-Type": form}},
		"Basic and JSON":   {body: `{"grant_type":"client_credentials"}`},
		"a form": {
			body: "grant_type=client_credentials&client_id=shop&client_secret=" + shopSecret, anonymous: true,
			header: map[string]string{"Content-Type": form + "; charset=utf-8"},
		},
		"JSON": {body: `{"grant_type":"client_credentials","client_id":"shop","client_secret":"` + shopSecret + `"}`, anonymous: true},
		"Basic, encoded as RFC 6749 asks": {
			body:   "grant_type=client_credentials&scope=everything",
			header: map[string]string{"Content-Type": form, "Authorization": basic(url.QueryEscape(other), shopSecret)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.method, c.path = http.MethodPost, "/auth/oauth2/v2/token"
			a := b.do(c)
			require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			var token api.AccessToken
			a.json(t, &token)
			require.Equal(t, "bearer", token.TokenType)
			require.Equal(t, 3600, token.ExpiresIn)
			require.Equal(t, http.StatusOK, b.do(call{
				method: http.MethodGet, path: "/v1/users", header: map[string]string{"Authorization": "Bearer " + token.AccessToken},
			}).StatusCode)
		})
	}
}

func TestTheTokenEndpointRefusesInOAuthsForm(t *testing.T) {
	t.Parallel()
	formed := map[string]string{"Content-Type": form}
	for name, test := range map[string]struct {
		call   call
		store  error
		status int
		code   string
	}{
		"wrong secret":          {call{body: "grant_type=client_credentials&client_id=shop&client_secret=x", header: formed, anonymous: true}, nil, 401, "invalid_client"},
		"no credential":         {call{body: "grant_type=client_credentials", header: formed, anonymous: true}, nil, 401, "invalid_client"},
		"wrong Basic":           {call{body: "grant_type=client_credentials", header: map[string]string{"Content-Type": form, "Authorization": basic("a%zz", "b")}}, nil, 401, "invalid_client"},
		"no grant":              {call{body: "client_id=shop", header: formed}, nil, 400, "invalid_request"},
		"another grant":         {call{body: "grant_type=password", header: formed}, nil, 400, "unsupported_grant_type"},
		"two grants":            {call{body: "grant_type=a&grant_type=b", header: formed}, nil, 400, "invalid_request"},
		"two clients":           {call{body: "grant_type=client_credentials&client_id=other", header: formed}, nil, 400, "invalid_request"},
		"broken JSON":           {call{body: `{`}, nil, 400, "invalid_request"},
		"neither form nor JSON": {call{body: `x`, header: map[string]string{"Content-Type": "text/plain"}}, nil, 400, "invalid_request"},
		"nothing":               {call{}, nil, 400, "invalid_request"},
		"far too much":          {call{body: "grant_type=" + strings.Repeat("x", 70<<10), header: formed}, nil, 413, "invalid_request"},
		"store away":            {call{body: `{"grant_type":"client_credentials"}`}, verification.ErrUnavailable, 503, "temporarily_unavailable"},
		"store broken":          {call{body: `{"grant_type":"client_credentials"}`}, errors.New("secret detail"), 500, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.store.fail(test.store)
			test.call.method, test.call.path = http.MethodPost, "/auth/oauth2/v2/token"
			a := b.do(test.call)
			require.Equal(t, test.status, a.StatusCode, "%s", a.body)
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			require.Equal(t, "application/json", a.Header.Get("Content-Type"))
			require.Equal(t, test.status == 401, a.Header.Get("WWW-Authenticate") != "")
			var fault api.TokenError
			require.NoError(t, json.Unmarshal(a.body, &fault))
			require.Equal(t, test.code, fault.Error)
			require.Equal(t, test.status, fault.Status.Code)
			require.True(t, fault.Status.Error)
			require.Equal(t, fault.ErrorDescription, fault.Status.Message)
			require.NotContains(t, string(a.body), "secret detail")
		})
	}
}
