package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
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
			a := b.do(call{method: method, path: strings.NewReplacer("{id}", "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90", "{client_id}", "page").Replace(path), anonymous: true})
			p := a.problem(t)
			require.Equal(t, api.ProblemCodeUnauthorized, p.Code, op.OperationID)
			require.Equal(t, `Bearer realm="assent", Basic realm="assent", charset="UTF-8"`, a.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, test := range map[string]struct{ header, challenge string }{
		"wrong secret":                 {basic(shop, "x"), ""},
		"unknown client":               {basic("nobody", shopSecret), ""},
		"no client":                    {basic("", shopSecret), ""},
		"long client":                  {basic(strings.Repeat("x", 256), shopSecret), ""},
		"not base64":                   {"Basic !", ""},
		"no colon":                     {"Basic " + base64.StdEncoding.EncodeToString([]byte("shop")), ""},
		"other scheme":                 {"Digest x", ""},
		"scheme alone":                 {"Bearer", "invalid_token"},
		"wrong token":                  {"Bearer " + shopToken + "x", "invalid_token"},
		"wrong token, OneLogin's form": {"bearer:" + shopToken + "x", "invalid_token"},
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
	require.NotContains(t, b.log.String(), shopToken)
}

func TestTheSchemeIsTakenInEveryFormInUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, header := range []string{
		"Bearer " + shopToken, "bearer " + shopToken, "BEARER  " + shopToken, "bearer:" + shopToken, "Bearer: " + shopToken,
		strings.Replace(basic(shop, shopSecret), "Basic", "basic", 1),
	} {
		a := b.do(call{method: http.MethodGet, path: "/v1/users", header: map[string]string{"Authorization": header}})
		require.Equal(t, http.StatusOK, a.StatusCode, header)
	}
}

func TestATokenNamesItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	for token, status := range map[string]int{shopToken: 200, "token-of-the-colleague": 200, "token-of-the-other": 404} {
		header := map[string]string{"Authorization": "Bearer " + token}
		require.Equal(t, status, b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID, header: header}).StatusCode, token)
	}
	require.Contains(t, b.log.String(), `"client_id":"colleague"`)
}

// calls are all operations of clients, with the scopes that are let in.
func (b *bench) calls() map[string][]credential.Scope {
	verify := []credential.Scope{credential.AuthenticationOnly, credential.ManageUsers, credential.ManageAll}
	read := []credential.Scope{credential.ReadUsers, credential.ManageUsers, credential.ReadAll, credential.ManageAll}
	manage := []credential.Scope{credential.ManageUsers, credential.ManageAll}
	all := []credential.Scope{credential.ManageAll}
	readAll := []credential.Scope{credential.ReadAll, credential.ManageAll}
	const id = "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"
	return map[string][]credential.Scope{
		"POST /v1/verifications":                         verify,
		"GET /v1/verifications/" + id:                    credential.Scopes(),
		"GET /v1/verifications/" + id + "/events":        credential.Scopes(),
		"GET /v1/verifications/" + id + "/deliveries":    credential.Scopes(),
		"POST /v1/verifications/" + id + "/check":        verify,
		"POST /v1/verifications/" + id + "/resend":       verify,
		"POST /v1/verifications/" + id + "/cancel":       verify,
		"POST /v1/notifications":                         verify,
		"GET /v1/notifications/" + id:                    credential.Scopes(),
		"GET /v1/notifications/" + id + "/messages":      credential.Scopes(),
		"GET /v1/notifications/" + id + "/deliveries":    credential.Scopes(),
		"POST /v1/notifications/" + id + "/cancel":       verify,
		"POST /v1/users":                                 manage,
		"GET /v1/users":                                  read,
		"GET /v1/users/" + id:                            read,
		"DELETE /v1/users/" + id:                         manage,
		"POST /v1/users/" + id + "/devices":              manage,
		"GET /v1/users/" + id + "/devices":               read,
		"PUT /v1/users/" + id + "/device-order":          manage,
		"POST /v1/users/" + id + "/recovery-codes":       manage,
		"GET /v1/users/" + id + "/recovery-codes":        manage,
		"DELETE /v1/users/" + id + "/recovery-codes":     manage,
		"POST /v1/users/" + id + "/bypass-tokens":        manage,
		"GET /v1/users/" + id + "/bypass-tokens":         manage,
		"DELETE /v1/users/" + id + "/bypass-tokens/page": manage,
		"POST /v1/users/" + id + "/recover":              verify,
		"POST /v1/users/" + id + "/enrolments":           manage,
		"DELETE /v1/enrolments/" + id:                    manage,
		"GET /v1/devices/" + id:                          read,
		"DELETE /v1/devices/" + id:                       manage,
		"POST /v1/credentials":                           all,
		"GET /v1/credentials":                            all,
		"GET /v1/credentials/page":                       all,
		"PATCH /v1/credentials/page":                     all,
		"DELETE /v1/credentials/page":                    all,
		"POST /v1/realms":                                all,
		"GET /v1/realms":                                 all,
		"GET /v1/realms/page":                            all,
		"PATCH /v1/realms/page":                          all,
		"DELETE /v1/realms/page":                         all,
		"POST /v1/realms/page/rotate":                    all,
		"GET /v1/templates":                              readAll,
		"POST /v1/templates/preview":                     readAll,
		"GET /v1/templates/page":                         readAll,
		"PUT /v1/templates/page":                         all,
		"DELETE /v1/templates/page":                      all,
		"GET /v1/templates/page/versions":                readAll,
		"POST /v1/templates/page/preview":                readAll,
		"GET /v1/dead-letters":                           all,
		"GET /v1/dead-letters/page":                      all,
		"DELETE /v1/dead-letters/page":                   all,
		"POST /v1/dead-letters/page/replay":              all,
		"GET /v1/providers":                              all,
		"POST /v1/providers/page/pause":                  all,
		"POST /v1/providers/page/resume":                 all,
		"GET /v1/suppressions":                           all,
		"POST /v1/suppressions":                          all,
		"GET /v1/suppressions/page":                      all,
		"DELETE /v1/suppressions/page":                   all,
		"POST /v1/suppressions/import":                   all,
		"GET /v1/suppressions/export":                    all,
		"GET /v1/verifications/" + id + "/proof":         credential.Scopes(),
		"POST /v1/devices/" + id + "/activation":         manage,
		"GET /v1/audit":                                  readAll,
	}
}

func TestEveryCallIsOpenToItsScopesAndToNoOther(t *testing.T) {
	t.Parallel()
	_, withLinks := realLinks(t)
	b, _ := withList(t, withProviders(&carriers{governed: true, paused: map[string]string{}}), withLinks)
	for _, scope := range credential.Scopes() {
		b.store.clients = append(b.store.clients, client{
			credential.Credential{ClientID: string(scope), Account: shop, Scope: scope, Compat: credential.CompatDefault}, shopSecret, "token-of-" + string(scope),
		})
	}
	for operation, scopes := range b.calls() {
		method, path, _ := strings.Cut(operation, " ")
		for _, scope := range credential.Scopes() {
			a := b.do(call{method: method, path: path, body: `{`, client: string(scope)})
			if slices.Contains(scopes, scope) {
				require.NotEqual(t, http.StatusForbidden, a.StatusCode, "%s with %s: %s", operation, scope, a.body)
				require.NotEqual(t, http.StatusUnauthorized, a.StatusCode)
				continue
			}
			p := a.problem(t)
			require.Equal(t, http.StatusForbidden, p.Status, "%s with %s: %s", operation, scope, a.body)
			require.Equal(t, api.ProblemCodeForbidden, p.Code)
			require.Empty(t, a.Header.Get("WWW-Authenticate"), "another credential would not be asked for by a browser")
			require.Contains(t, p.Detail, string(scopes[len(scopes)-1]))
			require.Contains(t, p.Detail, "this one has "+string(scope))
		}
	}
	require.Zero(t, b.store.count())
}

func TestTheScopeMatrixHasEveryOperationOfClients(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listed := map[string]bool{}
	for operation := range b.calls() {
		method, path, _ := strings.Cut(operation, " ")
		for _, part := range []string{"019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90", "page"} {
			path = strings.ReplaceAll(path, part, "{}")
		}
		listed[method+" "+path] = true
	}
	parameter := regexp.MustCompile(`\{[a-z_]+\}`)
	for path, item := range b.document.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security == nil { // otherwise the document says that no client is asked for
				require.True(t, listed[method+" "+parameter.ReplaceAllString(path, "{}")], op.OperationID)
			}
		}
	}
}
