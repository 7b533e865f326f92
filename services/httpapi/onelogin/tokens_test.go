package onelogin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/verification"
)

const (
	tokenPath = "/auth/oauth2/v2/token"
	formMedia = "application/x-www-form-urlencoded"
	clientSet = `{"grant_type":"client_credentials"}`
)

func basicHeader(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// ask posts to /auth, with a header and a body of the given media type.
func (h *house) ask(path, authorization, media, body string) answer {
	h.t.Helper()
	var sent io.Reader = http.NoBody
	if body != "" {
		sent = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(h.t.Context(), http.MethodPost, path, sent)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	a := h.send(r)
	if path == tokenPath {
		described(h.t, r, body, a)
	}
	return a
}

// documentedPaths reads the API document once for all tests.
var documentedPaths = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

// described holds an exchange with the token endpoint against the API document.
func described(t *testing.T, r *http.Request, sent string, a answer) {
	t.Helper()
	router, err := documentedPaths()
	require.NoError(t, err)
	route, params, err := router.FindRoute(r)
	require.NoError(t, err)
	r.Body = io.NopCloser(strings.NewReader(sent))
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.status, Header: a.header, Options: in.Options}
	out.SetBodyBytes(a.body)
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), out), "%d %s", a.status, a.body)
}

type tokenAnswer struct {
	AccessToken  string    `json:"access_token"`
	CreatedAt    time.Time `json:"created_at"`
	ExpiresIn    int       `json:"expires_in"`
	RefreshToken string    `json:"refresh_token"`
	TokenType    string    `json:"token_type"`
	AccountID    int64     `json:"account_id"`
}

func TestTheTokenEndpointTakesCredentialsInEveryForm(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(scope(credential.ReadUsers))
	odd := h.client()
	odd.ClientID, odd.secret = "old-client", "s:e c+r%et"
	require.NoError(t, h.credentials.Ensure(t.Context(), odd.ClientID, odd.secret))
	pair := func(grant string) string {
		return url.Values{"grant_type": {grant}, "client_id": {c.ClientID}, "client_secret": {c.secret}}.Encode()
	}
	inJSON := `{"grant_type":"client_credentials","client_id":"` + c.ClientID + `","client_secret":"` + c.secret + `"}`
	for name, test := range map[string]struct{ authorization, media, body string }{
		"OneLogin's header":                 {"client_id:" + c.ClientID + ", client_secret:" + c.secret, "application/json", clientSet},
		"OneLogin's header without a space": {"client_id:" + c.ClientID + ",client_secret:" + c.secret, "application/json", clientSet},
		"OneLogin's header with more":       {"  Client_ID : " + c.ClientID + " , CLIENT_SECRET : " + c.secret + " ", "application/json", clientSet},
		"OneLogin's header and a form":      {"client_id:" + c.ClientID + ", client_secret:" + c.secret, formMedia, "grant_type=client_credentials"},
		"Basic and JSON":                    {basicHeader(c.ClientID, c.secret), "application/json", clientSet},
		"Basic and JSON with a charset":     {basicHeader(c.ClientID, c.secret), "application/json; charset=utf-8", clientSet},
		"Basic and a form":                  {basicHeader(c.ClientID, c.secret), formMedia, "grant_type=client_credentials&scope=everything"},
		"a form":                            {"", formMedia + "; charset=utf-8", pair("client_credentials")},
		"JSON":                              {"", "application/json", inJSON},
		"the same client twice":             {basicHeader(c.ClientID, c.secret), "application/json", inJSON},
		"a header of no use and a form":     {"Bearer x", formMedia, pair("client_credentials")},
	} {
		for _, path := range []string{tokenPath, tokenPath + "/", "/auth/oauth2/token", "/auth/oauth2/token/"} {
			a := h.ask(path, test.authorization, test.media, test.body).is(http.StatusOK)
			require.Contains(t, string(a.body), `"access_token":"`+c.token+`"`, "%s: the same token for the same pair", name)
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			require.Equal(t, "no-cache", a.header.Get("Pragma"))
		}
	}
	for name, header := range map[string]string{
		"Basic as it is":                  basicHeader(odd.ClientID, odd.secret),
		"Basic, encoded as RFC 6749 asks": basicHeader(url.QueryEscape(odd.ClientID), url.QueryEscape(odd.secret)),
		"OneLogin's header":               "client_id:" + odd.ClientID + ", client_secret:" + odd.secret,
	} {
		a := h.ask(tokenPath, header, formMedia, "grant_type=client_credentials")
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
	}
}

// TestTheBodyOfATokenIsTheDocumentedOne compares whole bodies, in the order of the pages.
func TestTheBodyOfATokenIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 4, 31, 714_000_000, time.UTC)
	stub := &fixedToken{
		client: credential.Credential{ClientID: "page", Account: "shop"},
		token: credential.Token{
			Access: "cGFnZQ.1795292671714.AAAA.4TzQ", Refresh: "cGFnZQ.1795328671714.AAAA.9mYx", CreatedAt: at, ExpiresAt: at.Add(credential.TokenLife),
		},
	}
	now := at
	h := setup(t, func(c *onelogin.Config) { c.Credentials, c.Now = stub, func() time.Time { return now } })
	const data = `{"access_token":"cGFnZQ.1795292671714.AAAA.4TzQ","created_at":"2026-11-21T10:04:31.714Z","expires_in":36000,` +
		`"refresh_token":"cGFnZQ.1795328671714.AAAA.9mYx","token_type":"bearer","account_id":`
	a := h.ask(tokenPath, basicHeader("page", "secret"), "application/json", clientSet).is(http.StatusOK)
	require.Equal(t, data+"1187512553}", string(a.body))
	a = h.ask("/auth/oauth2/token", basicHeader("page", "secret"), "application/json", clientSet).is(http.StatusOK)
	require.Equal(t, `{"status":{"error":false,"code":200,"type":"success","message":"Success"},"data":[`+data+`1187512553}]}`, string(a.body))

	for compat, want := range map[credential.Compat]int{credential.CompatDefault: 27000, credential.CompatPython: 27000, credential.CompatJava: 36000} {
		stub.client.Compat = compat
		now = at.Add(2*time.Hour + 30*time.Minute + 10*time.Millisecond)
		var got tokenAnswer
		h.ask(tokenPath, basicHeader("page", "secret"), "application/json", clientSet).json(&got)
		require.Equal(t, want, got.ExpiresIn, "%s: what is left, rounded up; for java as at first", compat)
		require.Equal(t, at.Add(credential.TokenLife), got.CreatedAt.Add(time.Duration(got.ExpiresIn)*time.Second), "whoever adds them is right")
	}
}

// fixedToken is one client with one token.
type fixedToken struct {
	client credential.Credential
	token  credential.Token
	err    error
}

func (f *fixedToken) Authenticate(context.Context, string, string) (credential.Credential, error) {
	return f.client, f.err
}

func (f *fixedToken) Bearer(context.Context, string) (credential.Credential, error) {
	return f.client, f.err
}

func (f *fixedToken) Issue(context.Context, credential.Credential) (credential.Token, error) {
	return f.token, nil
}

func (f *fixedToken) Refresh(context.Context, credential.Credential, string, string) (credential.Token, error) {
	return f.token, nil
}

func (f *fixedToken) RevokeToken(context.Context, credential.Credential, string) error { return nil }

func TestTheAccountHasOneNumber(t *testing.T) {
	t.Parallel()
	h := setup(t)
	number := func(c *client) int64 {
		var got tokenAnswer
		h.ask(tokenPath, basicHeader(c.ClientID, c.secret), "application/json", clientSet).is(http.StatusOK).json(&got)
		require.Positive(t, got.AccountID)
		require.Less(t, got.AccountID, int64(1)<<31)
		return got.AccountID
	}
	require.Equal(t, number(h.client()), number(h.client()))
	require.NotEqual(t, number(h.client()), number(h.client(account("bank"))))
}

func TestTheTokenEndpointRefusesInBothFormsAtOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	good := basicHeader(c.ClientID, c.secret)
	const missing, wrong, grant = "The authorization information is missing", "Authentication Failure", "grant_type is incorrect/absent"
	for name, test := range map[string]struct {
		authorization, media, body string
		status                     int
		oauth, message             string
	}{
		"wrong secret":           {"", formMedia, "grant_type=client_credentials&client_id=" + c.ClientID + "&client_secret=x", 401, "invalid_client", wrong},
		"wrong secret by Basic":  {basicHeader(c.ClientID, "x"), "application/json", clientSet, 401, "invalid_client", wrong},
		"unknown client":         {"client_id:nobody, client_secret:" + c.secret, "application/json", clientSet, 401, "invalid_client", wrong},
		"Basic that is no form":  {basicHeader("a%zz", "b"), formMedia, "grant_type=client_credentials", 401, "invalid_client", wrong},
		"no client id":           {basicHeader("", "b"), formMedia, "grant_type=client_credentials", 401, "invalid_client", wrong},
		"a long client id":       {basicHeader(strings.Repeat("x", 256), "b"), formMedia, "grant_type=client_credentials", 401, "invalid_client", wrong},
		"another scheme":         {"Digest x", formMedia, "grant_type=client_credentials", 401, "invalid_client", wrong},
		"half of the header":     {"client_id:" + c.ClientID, "application/json", clientSet, 401, "invalid_client", wrong},
		"a secret alone":         {"", formMedia, "grant_type=client_credentials&client_secret=x", 401, "invalid_client", wrong},
		"no credential":          {"", formMedia, "grant_type=client_credentials", 400, "invalid_client", missing},
		"no grant":               {good, formMedia, "client_id=" + c.ClientID, 400, "invalid_request", grant},
		"another grant":          {good, "application/json", `{"grant_type":"password"}`, 400, "unsupported_grant_type", grant},
		"no body":                {good, "", "", 400, "invalid_request", grant},
		"no JSON in the body":    {good, "application/json", "", 400, "invalid_request", grant},
		"two grants":             {good, formMedia, "grant_type=a&grant_type=b", 400, "invalid_request", "repeated"},
		"two clients":            {good, formMedia, "grant_type=client_credentials&client_id=other", 400, "invalid_request", "different clients"},
		"broken JSON":            {good, "application/json", "{", 400, "invalid_request", "JSON"},
		"JSON and more":          {good, "application/json", clientSet + "x", 400, "invalid_request", "JSON"},
		"JSON of another type":   {good, "application/json", `{"grant_type":["client_credentials"]}`, 400, "invalid_request", "JSON"},
		"a broken form":          {good, formMedia, "grant_type=%zz", 400, "invalid_request", "form"},
		"neither form nor JSON":  {good, "text/plain", clientSet, 400, "invalid_request", "Content-Type header must be set"},
		"no declared type":       {good, "", clientSet, 400, "invalid_request", "Content-Type header must be set"},
		"far too much":           {good, formMedia, "grant_type=" + strings.Repeat("x", 70<<10), 413, "invalid_request", "64 KiB"},
		"a refresh of nothing":   {good, "application/json", `{"grant_type":"refresh_token"}`, 400, "invalid_request", "refresh_token"},
		"a refresh of a made-up": {good, "application/json", `{"grant_type":"refresh_token","access_token":"a.b","refresh_token":"c"}`, 400, "invalid_grant", "no pair"},
	} {
		for _, path := range []string{tokenPath, "/auth/oauth2/token"} {
			a := h.ask(path, test.authorization, test.media, test.body)
			require.Equal(t, test.status, a.status, "%s: %s", name, a.body)
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			require.Equal(t, "no-cache", a.header.Get("Pragma"))
			want := ""
			if test.status == http.StatusUnauthorized {
				want = `Basic realm="assent", charset="UTF-8"`
			}
			require.Equal(t, want, a.header.Get("WWW-Authenticate"), name)
			var fault api.TokenError
			require.NoError(t, json.Unmarshal(a.body, &fault))
			require.Equal(t, test.oauth, fault.Error, name)
			require.Contains(t, fault.Status.Message, test.message, name)
			require.Equal(t, test.status, fault.Status.Code)
			require.True(t, fault.Status.Error)
			require.Equal(t, fault.ErrorDescription, fault.Status.Message)
			require.NotContains(t, string(a.body), c.secret)
		}
	}
}

func TestATokenEndpointWithoutItsStoreIsNotWrongAboutTheClient(t *testing.T) {
	t.Parallel()
	stub := &fixedToken{}
	h := setup(t, func(c *onelogin.Config) { c.Credentials = stub })
	for _, test := range []struct {
		err    error
		status int
		oauth  string
	}{
		{verification.ErrUnavailable, 503, "temporarily_unavailable"},
		{errors.New("secret detail"), 500, "server_error"},
	} {
		stub.err = test.err
		a := h.ask(tokenPath, basicHeader("page", "x"), "application/json", clientSet).is(test.status)
		var fault api.TokenError
		a.json(&fault)
		require.Equal(t, test.oauth, fault.Error)
		require.NotContains(t, string(a.body), "secret detail")
		require.Equal(t, test.status == 503, a.header.Get("Retry-After") != "")
	}
}

func TestWrongMethodsOfAuthAreNoRoutes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for path, method := range map[string]string{
		tokenPath: http.MethodGet, "/auth/oauth2/token": http.MethodPut, "/auth/oauth2/revoke": http.MethodDelete,
		"/auth/rate_limit": http.MethodPost, "/auth/oauth2/v3/token": http.MethodPost, "/auth": http.MethodGet,
	} {
		require.Equal(t, "No Route Exists", h.send(jsonRequest(t, method, path, nil)).refusedV1(http.StatusNotFound))
	}
}

func TestARefreshGivesAnotherToken(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	header := "client_id:" + c.ClientID + ",client_secret:" + c.secret
	var first, second tokenAnswer
	h.ask(tokenPath, header, "application/json", clientSet).is(http.StatusOK).json(&first)
	body := `{"grant_type":"refresh_token","access_token":"` + first.AccessToken + `","refresh_token":"` + first.RefreshToken + `"}`
	h.ask(tokenPath, header, "application/json", body).is(http.StatusOK).json(&second)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	c.token = first.AccessToken
	c.get("/auth/rate_limit").is(http.StatusUnauthorized)
	c.token = second.AccessToken
	c.get("/auth/rate_limit").is(http.StatusOK)
	h.ask(tokenPath, header, "application/json", body).is(http.StatusBadRequest)
}

func TestARevokedTokenIsRefusedAndTheNextIsAnother(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, path := range []string{"/auth/oauth2/revoke", "/auth/oauth2/revoke/", "/auth/oauth2/v2/revoke"} {
		c := h.client()
		c.get("/auth/rate_limit").is(http.StatusOK)
		header := "client_id:" + c.ClientID + ", client_secret:" + c.secret
		a := h.ask(path, header, "application/json", `{"access_token":"`+c.token+`"}`).is(http.StatusOK)
		require.Equal(t, `{"status":{"error":false,"code":200,"type":"success","message":"Success"},`+
			`"error":false,"code":200,"type":"success","message":"Success"}`, string(a.body))
		require.Equal(t, "Authentication Failure", c.get("/auth/rate_limit").refusedV1(http.StatusUnauthorized))
		h.ask(path, header, "application/json", `{"access_token":"`+c.token+`"}`).is(http.StatusOK)

		var next tokenAnswer
		h.ask(tokenPath, header, "application/json", clientSet).is(http.StatusOK).json(&next)
		require.NotEqual(t, c.token, next.AccessToken)
	}
}

func TestWhatCannotBeRevoked(t *testing.T) {
	t.Parallel()
	h := setup(t)
	mine, theirs := h.client(), h.client(account("bank"))
	header := basicHeader(mine.ClientID, mine.secret)
	const path = "/auth/oauth2/revoke"
	require.Equal(t, "Access Token Missing", h.ask(path, header, "application/json", `{}`).refusedV1(http.StatusBadRequest))
	require.Equal(t, "Access Token Missing", h.ask(path, header, "", "").refusedV1(http.StatusBadRequest))
	require.Contains(t, h.ask(path, header, "text/plain", "x").refusedV1(http.StatusBadRequest), "Content-Type")
	require.Contains(t, h.ask(path, header, "application/json", `{"access_token":7}`).refusedV1(http.StatusBadRequest), "JSON")
	token := `{"access_token":"` + mine.token + `"}`
	require.Equal(t, "The authorization information is missing", h.ask(path, "", "application/json", token).refusedV1(http.StatusBadRequest))
	for _, wrong := range []string{basicHeader(mine.ClientID, "x"), "bearer " + mine.token} {
		a := h.ask(path, wrong, "application/json", token)
		require.Equal(t, "Authentication Failure", a.refusedV1(http.StatusUnauthorized))
		require.NotEmpty(t, a.header.Get("WWW-Authenticate"))
	}
	h.ask(path, basicHeader(theirs.ClientID, theirs.secret), "application/json", token).is(http.StatusOK)
	mine.get("/auth/rate_limit").is(http.StatusOK)
}

func TestTheRateLimitSaysWhereTheAccountStandsAndDoesNotCount(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 46, 8, 0, time.UTC)
	stub := &fixedToken{client: credential.Credential{ClientID: "page", Account: "shop", Scope: credential.AuthenticationOnly}}
	limited := func(limit int) func(*onelogin.Config) {
		return func(c *onelogin.Config) {
			c.Credentials, c.Now, c.Settings.RateLimit = stub, func() time.Time { return now }, limit
		}
	}
	look := func(h *house, authorization string) answer {
		r := jsonRequest(t, http.MethodGet, "/auth/rate_limit", nil)
		r.Header.Set("Authorization", authorization)
		return h.send(r)
	}
	const success = `{"status":{"error":false,"code":200,"type":"success","message":"Success"},"data":`
	h := setup(t, limited(0))
	require.JSONEq(t, success+`{"X-RateLimit-Limit":5000,"X-RateLimit-Remaining":5000,"X-RateLimit-Reset":832}}`,
		string(look(h, "bearer: x").is(http.StatusOK).body))
	h = setup(t, limited(12))
	for range 20 {
		require.JSONEq(t, success+`{"X-RateLimit-Limit":12,"X-RateLimit-Remaining":12,"X-RateLimit-Reset":832}}`,
			string(look(h, "Bearer x").is(http.StatusOK).body))
	}
	for _, header := range []string{"", "bearer", "bearerx", "Basic eDp5"} {
		require.Equal(t, "Authorization Information is incorrect", look(h, header).refusedV1(http.StatusBadRequest), header)
	}
	stub.err = credential.ErrToken
	a := look(h, "bearer: x")
	require.Equal(t, "Authentication Failure", a.refusedV1(http.StatusUnauthorized))
	require.Contains(t, a.header.Get("WWW-Authenticate"), "invalid_token")
}
