package httpapi_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// realRecovery keeps recovery codes and bypass tokens on a real broker.
func realRecovery(t *testing.T) func(*httpapi.Config) {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	return func(c *httpapi.Config) {
		guesses, err := store.NewGuesses(t.Context(), js, store.GuessesConfig{Keys: keys, Now: c.Now})
		require.NoError(t, err)
		c.Recovery, err = store.NewUsers(t.Context(), js, store.UsersConfig{Keys: keys, Guesses: guesses, Now: c.Now})
		require.NoError(t, err)
	}
}

func (b *bench) codesFor(u api.User) api.RecoveryCodes {
	b.t.Helper()
	a := b.post("/v1/users/"+u.ID+"/recovery-codes", "")
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var codes api.RecoveryCodes
	a.json(b.t, &codes)
	return codes
}

func (b *bench) bypass(u api.User, body string) api.NewBypassToken {
	b.t.Helper()
	a := b.post("/v1/users/"+u.ID+"/bypass-tokens", body)
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var token api.NewBypassToken
	a.json(b.t, &token)
	return token
}

func (b *bench) recover(u api.User, code string) answer {
	b.t.Helper()
	return b.post("/v1/users/"+u.ID+"/recover", `{"code":"`+code+`"}`)
}

// said is the whole of a 200.
func (b *bench) said(a answer) string {
	b.t.Helper()
	require.Equal(b.t, http.StatusOK, a.StatusCode, "%s", a.body)
	return strings.TrimSpace(string(a.body))
}

// recoverEverything makes one good request of each operation of this file.
func (b *bench) recoverEverything(u api.User, d api.Device, good func(answer) answer) {
	path := "/v1/users/" + u.ID
	good(b.do(call{method: http.MethodPut, path: path + "/device-order", body: `{"device_ids":["` + d.ID + `"]}`}))
	good(b.recover(u, b.codesFor(u).Codes[0]))
	good(b.get(path + "/recovery-codes"))
	good(b.do(call{method: http.MethodDelete, path: path + "/recovery-codes"}))
	token := b.bypass(u, `{"reason":"phone stolen"}`)
	good(b.get(path + "/bypass-tokens"))
	good(b.do(call{method: http.MethodDelete, path: path + "/bypass-tokens/" + token.ID}))
}

const wrongCode = "2222-2222-2222"

const nothingElse = `{"valid":false}`

func TestARecoveryCodeIsToldOnceAndWorksOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, realRecovery(t))
	u := b.register(`{}`)
	path := "/v1/users/" + u.ID + "/recovery-codes"
	require.JSONEq(t, `{"left":0}`, b.said(b.get(path)))

	codes := b.codesFor(u)
	require.Len(t, codes.Codes, 10)
	require.Equal(t, b.clock.now().UTC().Truncate(time.Millisecond), codes.CreatedAt)
	stock := b.get(path)
	require.JSONEq(t, `{"left":10,"created_at":"`+codes.CreatedAt.Format(time.RFC3339Nano)+`"}`, b.said(stock))
	require.NotContains(t, string(stock.body), codes.Codes[0])

	require.JSONEq(t, `{"valid":true,"kind":"recovery_code","codes_left":9}`, b.said(b.recover(u, codes.Codes[3])))
	require.JSONEq(t, nothingElse, b.said(b.recover(u, codes.Codes[3])), "it was used")
	typed := strings.ToLower(strings.ReplaceAll(codes.Codes[0], "-", " "))
	require.JSONEq(t, `{"valid":true,"kind":"recovery_code","codes_left":8}`, b.said(b.recover(u, typed)))

	again := b.codesFor(u)
	require.JSONEq(t, nothingElse, b.said(b.recover(u, codes.Codes[1])), "the earlier ones work no more")
	require.JSONEq(t, `{"valid":true,"kind":"recovery_code","codes_left":9}`, b.said(b.recover(u, again.Codes[1])))
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: path}).StatusCode)
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: path}).StatusCode)
	require.JSONEq(t, nothingElse, b.said(b.recover(u, again.Codes[2])))
	require.JSONEq(t, `{"left":0}`, b.said(b.get(path)))

	for _, told := range append(codes.Codes, again.Codes...) {
		require.NotContains(t, b.log.String(), told)
		require.NotContains(t, b.log.String(), strings.ReplaceAll(told, "-", ""))
	}
	require.Equal(t, map[string]float64{"recovery_code": 3, "bypass_token": 0, "invalid": 3}, b.counted("assent_recoveries_total"))
}

// counted is a counter with one label, by its values.
func (b *bench) counted(name string) map[string]float64 {
	b.t.Helper()
	families, err := prometheus.Gatherer(b.metrics).Gather()
	require.NoError(b.t, err)
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			counts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return counts
}

func TestABypassTokenHasAReasonUsesAndAnEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, realRecovery(t))
	u := b.register(`{}`)
	path := "/v1/users/" + u.ID + "/bypass-tokens"
	require.JSONEq(t, `{"data":[]}`, b.said(b.get(path)))
	usual := b.bypass(u, `{"reason":"Phone stolen, passport seen"}`)
	now := b.clock.now().UTC().Truncate(time.Millisecond)
	require.Equal(t, api.NewBypassToken{
		ID: usual.ID, Token: usual.Token, Reason: "Phone stolen, passport seen", UsesLeft: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}, usual)
	twice := b.bypass(u, `{"reason":"Ticket 4711","expires_in":60,"uses":2}`)
	require.Equal(t, now.Add(time.Minute), twice.ExpiresAt)

	require.JSONEq(t, `{"valid":true,"kind":"bypass_token","uses_left":1}`, b.said(b.recover(u, strings.ToLower(twice.Token))))
	var open api.BypassTokenList
	listed := b.get(path)
	listed.json(t, &open)
	require.Equal(t, []api.BypassToken{
		{ID: usual.ID, Reason: usual.Reason, UsesLeft: 1, CreatedAt: now, ExpiresAt: usual.ExpiresAt},
		{ID: twice.ID, Reason: twice.Reason, UsesLeft: 1, CreatedAt: now, ExpiresAt: twice.ExpiresAt},
	}, open.Data)
	require.NotContains(t, string(listed.body), usual.Token)
	b.clock.pass(time.Minute)
	require.JSONEq(t, nothingElse, b.said(b.recover(u, twice.Token)), "its time is up")
	require.JSONEq(t, `{"valid":true,"kind":"bypass_token","uses_left":0}`, b.said(b.recover(u, usual.Token)))
	require.JSONEq(t, nothingElse, b.said(b.recover(u, usual.Token)))
	require.JSONEq(t, `{"data":[]}`, b.said(b.get(path)))

	third := b.bypass(u, `{"reason":"x","expires_in":86400,"uses":10}`)
	remove := call{method: http.MethodDelete, path: path + "/" + third.ID}
	require.Equal(t, http.StatusNoContent, b.do(remove).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(remove).problem(t).Status)
	remove.path = path + "/x"
	require.Equal(t, http.StatusNotFound, b.do(remove).problem(t).Status)
	require.JSONEq(t, nothingElse, b.said(b.recover(u, third.Token)))
	require.NotContains(t, b.log.String(), usual.Token)

	for i := range 5 {
		b.bypass(u, `{"reason":"number `+strconv.Itoa(i)+`"}`)
	}
	entries := len(b.store.audit)
	p := b.post(path, `{"reason":"one too many"}`).problem(t)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	require.Contains(t, p.Detail, "5 open bypass tokens")
	require.Len(t, b.store.audit, entries, "nothing was done")
}

func TestBadRecoveryRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, realRecovery(t))
	u := b.register(`{}`)
	d := b.phoneOf(u, "+14155550123")
	foreign := b.phoneOf(b.register(`{}`), "+14155550124")
	path := "/v1/users/" + u.ID
	for _, test := range []struct{ call, body, pointer string }{
		{"POST /bypass-tokens", `{}`, "#/reason"},
		{"POST /bypass-tokens", `{"reason":""}`, "#/reason"},
		{"POST /bypass-tokens", `{"reason":" \u00a0 "}`, "#/reason"},
		{"POST /bypass-tokens", `{"reason":7}`, "#/reason"},
		{"POST /bypass-tokens", `{"reason":"a\nb"}`, "#/reason"},
		{"POST /bypass-tokens", `{"reason":"` + strings.Repeat("ü", 201) + `"}`, "#/reason"},
		{"POST /bypass-tokens", `{"reason":"x","expires_in":59}`, "#/expires_in"},
		{"POST /bypass-tokens", `{"reason":"x","expires_in":0}`, "#/expires_in"},
		{"POST /bypass-tokens", `{"reason":"x","expires_in":86401}`, "#/expires_in"},
		{"POST /bypass-tokens", `{"reason":"x","expires_in":"60"}`, "#/expires_in"},
		{"POST /bypass-tokens", `{"reason":"x","uses":0}`, "#/uses"},
		{"POST /bypass-tokens", `{"reason":"x","uses":11}`, "#/uses"},
		{"POST /bypass-tokens", `{"reason":"x","token":"K7QF-2M9X-4T8B-W3HN"}`, "#/token"},
		{"POST /recover", `{}`, "#/code"},
		{"POST /recover", `{"code":""}`, "#/code"},
		{"POST /recover", `{"code":"123456"}`, "#/code"},
		{"POST /recover", `{"code":"K7QF-2M9X-4T8"}`, "#/code"},
		{"POST /recover", `{"code":"K7QF-2M9X-4T8B!"}`, "#/code"},
		{"POST /recover", `{"code":"` + strings.Repeat("-", 60) + `K7QF2M9X4T8B"}`, "#/code"},
		{"POST /recover", `{"code":["K7QF-2M9X-4T8B"]}`, "#/code"},
		{"POST /recover", `{"code":"` + wrongCode + `","user":"ana"}`, "#/user"},
		{"PUT /device-order", `{}`, "#/device_ids"},
		{"PUT /device-order", `{"device_ids":"` + d.ID + `"}`, "#/device_ids"},
		{"PUT /device-order", `{"device_ids":[""]}`, "#/device_ids/0"},
		{"PUT /device-order", `{"device_ids":["` + d.ID + `","*"]}`, "#/device_ids/1"},
		{"PUT /device-order", `{"device_ids":["` + foreign.ID + `","` + d.ID + `"]}`, "#/device_ids/0"},
		{"PUT /device-order", `{"device_ids":["` + d.ID + `","` + d.ID + `"]}`, "#/device_ids/1"},
		{"PUT /device-order", `{"device_ids":["x"` + strings.Repeat(`,"x"`, 100) + `]}`, "#/device_ids"},
	} {
		method, end, _ := strings.Cut(test.call, " ")
		p := b.do(call{method: method, path: path + end, body: test.body}).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, test.body)
		require.Equal(t, test.pointer, p.Errors[0].Pointer, test.body)
		require.Len(t, p.Errors, 1, test.body)
	}
	require.Empty(t, b.store.audit)
	for range 5 { // none of them was a guess
		require.JSONEq(t, nothingElse, b.said(b.recover(u, wrongCode)))
	}
	for _, test := range []struct{ call, body string }{
		{"POST /recovery-codes", ""},
		{"GET /recovery-codes", ""},
		{"DELETE /recovery-codes", ""},
		{"POST /bypass-tokens", `{"reason":"x"}`},
		{"GET /bypass-tokens", ""},
		{"DELETE /bypass-tokens/x", ""},
		{"POST /recover", `{"code":"` + wrongCode + `"}`},
		{"PUT /device-order", `{"device_ids":[]}`},
	} {
		method, end, _ := strings.Cut(test.call, " ")
		c := call{method: method, path: path + end, body: test.body, client: other}
		require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, "the user is another account's: "+test.call)
		c.client, c.path = "", "/v1/users/*"+end
		require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, test.call)
	}
	require.Empty(t, b.store.audit)
}

func TestGuessesAtRecoveryCodesRunOut(t *testing.T) {
	t.Parallel()
	b := setup(t, realRecovery(t))
	u, without := b.register(`{}`), b.register(`{}`)
	codes := b.codesFor(u)
	for _, who := range []api.User{u, without} { // nothing tells who has codes
		for range 5 {
			require.JSONEq(t, nothingElse, b.said(b.recover(who, wrongCode)))
		}
		a := b.recover(who, codes.Codes[0])
		p := a.problem(t)
		require.Equal(t, api.ProblemCodeLimitExceeded, p.Code)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
		require.Equal(t, []string{"recovery"}, p.ViolatedPolicies)
	}
	require.Equal(t, map[string]float64{"recovery": 2}, b.counted("assent_limits_exceeded_total"))
}

func TestWhoIsLockedOrDisabledRecoversNot(t *testing.T) {
	t.Parallel()
	b := setup(t, realRecovery(t))
	u := b.register(`{}`)
	codes := b.codesFor(u)
	for range 6 { // and it is no guess
		for _, bar := range []func(locked, disabled *bool){
			func(locked, _ *bool) { *locked = true }, func(_, disabled *bool) { *disabled = true },
		} {
			kept := &b.store.users[0]
			kept.Locked, kept.Disabled = false, false
			bar(&kept.Locked, &kept.Disabled)
			p := b.recover(u, codes.Codes[0]).problem(t)
			require.Equal(t, http.StatusUnprocessableEntity, p.Status)
			require.Equal(t, []api.Fault{{Parameter: "id", Detail: "is a user who is locked or disabled"}}, p.Errors)
		}
	}
	b.store.users[0].Disabled = false
	require.JSONEq(t, `{"valid":true,"kind":"recovery_code","codes_left":9}`, b.said(b.recover(u, codes.Codes[0])))
}

func TestRecoveriesAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	b := setup(t, realRecovery(t))
	u := b.register(`{}`)
	codes := b.codesFor(u)
	token := b.bypass(u, `{"reason":"Ticket 4711","uses":3}`)
	b.recover(u, codes.Codes[0])
	b.recover(u, codes.Codes[0])
	b.recover(u, token.Token)
	b.do(call{method: http.MethodDelete, path: "/v1/users/" + u.ID + "/bypass-tokens/" + token.ID})
	b.do(call{method: http.MethodDelete, path: "/v1/users/" + u.ID + "/recovery-codes"})
	want := []audit.Entry{
		{Action: audit.RecoveryCodesCreated, Subject: u.ID, Details: map[string]string{"codes": "10"}},
		{
			Action: audit.BypassTokenCreated, Subject: token.ID, Reason: "Ticket 4711",
			Details: map[string]string{"expires_at": token.ExpiresAt.Format(time.RFC3339), "uses": "3"},
		},
		{Action: audit.UserRecovered, Subject: u.ID, Details: map[string]string{"kind": "recovery_code", "codes_left": "9"}},
		{Action: audit.UserRecovered, Subject: u.ID, Details: map[string]string{"kind": "bypass_token", "token_id": token.ID, "uses_left": "2"}},
		{Action: audit.BypassTokenRemoved, Subject: token.ID},
		{Action: audit.RecoveryCodesRemoved, Subject: u.ID},
	}
	for i := range want {
		want[i].ID, want[i].Account, want[i].Actor, want[i].UserID, want[i].At = uint64(i+1), shop, shop, u.ID, b.clock.now().UTC()
	}
	require.Equal(t, want, b.store.audit)
	var list api.AuditList
	b.get("/v1/audit?action=user.recovered&subject="+u.ID).json(t, &list)
	require.Len(t, list.Data, 2)
}

func TestNobodyRecoversWhereTheLogCannotTakeIt(t *testing.T) {
	t.Parallel()
	full := false
	b := setup(t, realRecovery(t), func(c *httpapi.Config) { c.Audit = fillingAudit{c.Audit, &full} })
	u := b.register(`{}`)
	codes, token := b.codesFor(u), b.bypass(u, `{"reason":"x"}`)
	path := "/v1/users/" + u.ID
	full = true
	for _, c := range []call{
		{method: http.MethodPost, path: path + "/recovery-codes"},
		{method: http.MethodDelete, path: path + "/recovery-codes"},
		{method: http.MethodPost, path: path + "/bypass-tokens", body: `{"reason":"x"}`},
		{method: http.MethodDelete, path: path + "/bypass-tokens/" + token.ID},
		{method: http.MethodPut, path: path + "/device-order", body: `{"device_ids":[]}`},
	} {
		require.Equal(t, api.ProblemCodeUnavailable, b.do(c).problem(t).Code)
	}
	require.Contains(t, b.said(b.get(path+"/recovery-codes")), `"left":10`)
	require.Contains(t, b.said(b.get(path+"/bypass-tokens")), token.ID)

	require.Equal(t, api.ProblemCodeUnavailable, b.recover(u, codes.Codes[0]).problem(t).Code)
	full = false
	require.JSONEq(t, nothingElse, b.said(b.recover(u, codes.Codes[0])), "the code is used up")
	require.Equal(t, map[string]float64{"recovery_code": 0, "bypass_token": 0, "invalid": 1}, b.counted("assent_recoveries_total"))
}

// fillingAudit is a log that takes nothing once it is full.
type fillingAudit struct {
	httpapi.Audit
	full *bool
}

func (a fillingAudit) Record(ctx context.Context, e audit.Entry) error {
	if *a.full {
		return verification.ErrUnavailable
	}
	return a.Audit.Record(ctx, e)
}
