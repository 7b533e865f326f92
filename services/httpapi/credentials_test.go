package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/verification"
)

func TestACredentialIsMadeReadChangedAndRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.post("/v1/credentials", `{"client_id":"login-page","name":"Login page","scope":"authentication_only"}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	require.Equal(t, "/v1/credentials/login-page", a.Header.Get("Location"))
	require.JSONEq(t, `{"client_id":"login-page","name":"Login page","scope":"authentication_only","compat":"default","numeric_ids":false,"number_matching":true,
		"created_at":"2026-11-21T10:04:31.123Z","client_secret":"secret-of-login-page"}`, string(a.body))

	a = b.get("/v1/credentials/login-page")
	require.JSONEq(t, `{"client_id":"login-page","name":"Login page","scope":"authentication_only","compat":"default","numeric_ids":false,"number_matching":true,
		"created_at":"2026-11-21T10:04:31.123Z"}`, string(a.body))
	var list api.CredentialList
	b.get("/v1/credentials").json(t, &list)
	require.Len(t, list.Data, 3)
	require.Equal(t, []string{colleague, "login-page", shop}, []string{list.Data[0].ClientID, list.Data[1].ClientID, list.Data[2].ClientID})
	require.Equal(t, http.StatusNotFound, b.as("login-page", "secret-of-login-page", http.MethodGet, "/v1/verifications/x").StatusCode,
		"it may call")

	a = b.do(call{method: http.MethodPatch, path: "/v1/credentials/login-page", body: `{"name":"","scope":"read_all","compat":"python","numeric_ids":true}`})
	require.JSONEq(t, `{"client_id":"login-page","scope":"read_all","compat":"python","numeric_ids":true,"number_matching":true,"created_at":"2026-11-21T10:04:31.123Z"}`, string(a.body))
	a = b.do(call{method: http.MethodPatch, path: "/v1/credentials/login-page", body: `{"name":"Reports"}`})
	require.JSONEq(t, `{"client_id":"login-page","name":"Reports","scope":"read_all","compat":"python","numeric_ids":true,"number_matching":true,"created_at":"2026-11-21T10:04:31.123Z"}`, string(a.body))
	require.Equal(t, http.StatusForbidden, b.as("login-page", "secret-of-login-page", http.MethodPost, "/v1/verifications").StatusCode)

	revoke := call{method: http.MethodDelete, path: "/v1/credentials/login-page"}
	require.Equal(t, http.StatusNoContent, b.do(revoke).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(revoke).problem(t).Status)
	require.Equal(t, http.StatusUnauthorized, b.as("login-page", "secret-of-login-page", http.MethodGet, "/v1/users").StatusCode)
	require.NotContains(t, b.log.String(), "secret-of")
}

// as makes a call with a credential of the test's own.
func (b *bench) as(id, secret, method, path string) answer {
	b.t.Helper()
	return b.do(call{method: method, path: path, header: map[string]string{"Authorization": basic(id, secret)}})
}

func TestWhatIsNotSentAboutACredentialHasDefaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := map[string]bool{}
	for body, want := range map[string]api.CreatedCredential{
		`{"scope":"read_users"}`:                                         {Scope: "read_users", Compat: "default"},
		`{"scope":"manage_all","compat":"go"}`:                           {Scope: "manage_all", Compat: "go", NumericIds: true},
		`{"scope":"manage_all","compat":"go","numeric_ids":false}`:       {Scope: "manage_all", Compat: "go"},
		`{"scope":"manage_users","compat":"java","numeric_ids":true}`:    {Scope: "manage_users", Compat: "java", NumericIds: true},
		`{"scope":"manage_users","compat":"docs","name":"Ana's script"}`: {Scope: "manage_users", Compat: "docs", Name: "Ana's script"},
	} {
		a := b.post("/v1/credentials", body)
		require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
		var got api.CreatedCredential
		a.json(t, &got)
		require.Regexp(t, `^c-[a-z2-7]{20}$`, got.ClientID)
		require.NotEmpty(t, got.ClientSecret)
		made[got.ClientID] = true
		want.ClientID, want.ClientSecret, want.CreatedAt = got.ClientID, got.ClientSecret, got.CreatedAt
		want.NumberMatching = true
		require.Equal(t, want, got)
	}
	require.Len(t, made, 5)
}

func TestCredentialsOfAnotherAccountAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		require.Equal(t, http.StatusNotFound, b.do(call{method: method, path: "/v1/credentials/" + shop, body: `{"name":"mine"}`, client: other}).problem(t).Status)
	}
	var list api.CredentialList
	b.do(call{method: http.MethodGet, path: "/v1/credentials", client: other}).json(t, &list)
	require.Len(t, list.Data, 1)
	require.Equal(t, other, list.Data[0].ClientID)
	p := b.do(call{method: http.MethodPost, path: "/v1/credentials", body: `{"client_id":"shop","scope":"manage_all"}`, client: other}).problem(t)
	require.Equal(t, api.ProblemCodeCredentialExists, p.Code)
	require.Equal(t, http.StatusConflict, p.Status)
}

func TestTheLastCredentialThatManagesCredentialsStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []call{
		{method: http.MethodDelete, path: "/v1/credentials/shop"},
		{method: http.MethodPatch, path: "/v1/credentials/shop", body: `{"scope":"manage_users"}`},
	} {
		p := b.do(c).problem(t)
		require.Equal(t, http.StatusConflict, p.Status)
		require.Equal(t, api.ProblemCodeLastCredential, p.Code)
	}
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: "/v1/credentials/" + colleague}).StatusCode)
	require.Equal(t, http.StatusCreated, b.post("/v1/credentials", `{"client_id":"second","scope":"manage_all"}`).StatusCode)
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: "/v1/credentials/shop"}).StatusCode, "it may remove itself")
}

func TestBadCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, pointer := range map[string]string{
		`{}`:                                     "#/scope",
		`{"scope":"all"}`:                        "#/scope",
		`{"scope":""}`:                           "#/scope",
		`{"scope":null}`:                         "#/scope",
		`{"scope":"read_all","compat":"rust"}`:   "#/compat",
		`{"scope":"read_all","compat":7}`:        "#/compat",
		`{"scope":"read_all","client_id":"a.b"}`: "#/client_id",
		`{"scope":"read_all","client_id":""}`:    "#/client_id",
		`{"scope":"read_all","client_id":"` + strings.Repeat("x", 65) + `"}`: "#/client_id",
		`{"scope":"read_all","name":""}`:                                     "#/name",
		`{"scope":"read_all","name":"a\u0007"}`:                              "#/name",
		`{"scope":"read_all","name":"` + strings.Repeat("ü", 101) + `"}`:     "#/name",
		`{"scope":"read_all","numeric_ids":"true"}`:                          "#/numeric_ids",
		`{"scope":"read_all","numeric_ids":1}`:                               "#/numeric_ids",
		`{"scope":"read_all","numeric_ids":null}`:                            "#/numeric_ids",
		`{"scope":"read_all","account":"other"}`:                             "#/account",
		`{"scope":"read_all","client_secret":"chosen"}`:                      "#/client_secret",
	} {
		p := b.post("/v1/credentials", body).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, body)
		require.Equal(t, pointer, p.Errors[0].Pointer, body)
	}
	for body, pointer := range map[string]string{
		`{"scope":"everything"}`: "#/scope", `{"scope":""}`: "#/scope", `{"compat":""}`: "#/compat", `{"compat":"php"}`: "#/compat",
		`{"name":"a\nb"}`: "#/name", `{"name":null}`: "#/name", `{"numeric_ids":{}}`: "#/numeric_ids", `{"client_id":"x"}`: "#/client_id",
	} {
		p := b.do(call{method: http.MethodPatch, path: "/v1/credentials/" + colleague, body: body}).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, body)
		require.Equal(t, pointer, p.Errors[0].Pointer, body)
	}
	require.Contains(t, b.post("/v1/credentials", `{"scope":"x"}`).problem(t).Detail, "authentication_only, read_users, manage_users, read_all or manage_all")
	require.Len(t, b.store.clients, 3)
}

func TestCredentialsThatCannotBeReadAreNotUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.fail(verification.ErrUnavailable)
	for _, c := range []call{
		{method: http.MethodPost, path: "/v1/credentials", body: `{"scope":"read_all"}`},
		{method: http.MethodGet, path: "/v1/credentials"},
		{method: http.MethodGet, path: "/v1/credentials/shop"},
		{method: http.MethodPatch, path: "/v1/credentials/shop", body: `{}`},
		{method: http.MethodDelete, path: "/v1/credentials/shop"},
	} {
		c.header = map[string]string{"Authorization": "Bearer " + shopToken}
		require.Equal(t, http.StatusServiceUnavailable, b.do(c).problem(t).Status, c.method)
	}
}
