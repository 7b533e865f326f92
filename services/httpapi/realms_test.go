package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// keyedRealm is a realm of the store in memory, with its key in clear and its last overlap.
type keyedRealm struct {
	realm.Realm
	key     []byte
	overlap time.Duration
}

func (m *memory) CreateRealm(_ context.Context, r realm.Realm, key []byte) (realm.Realm, []byte, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for _, k := range m.realms {
		if strings.EqualFold(k.Name, r.Name) || strings.EqualFold(k.AppID, r.AppID) {
			return realm.Realm{}, nil, firstErr(err, realm.ErrExists)
		}
	}
	if r.AppID == "" {
		r.AppID = fmt.Sprintf("%032x", len(m.realms)+1)
	}
	if key == nil {
		key = bytes.Repeat([]byte{0xab}, 32)
	}
	r.Settings = r.Settings.Complete()
	if err == nil {
		m.realms = append(m.realms, keyedRealm{Realm: r, key: key})
	}
	return r, key, err
}

func (m *memory) Realms(_ context.Context, account string) ([]realm.Realm, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var own []realm.Realm
	for _, k := range m.realms {
		if k.Account == account {
			own = append(own, k.Realm)
		}
	}
	slices.SortFunc(own, func(a, b realm.Realm) int { return strings.Compare(a.Name, b.Name) })
	return own, err
}

// realm shows a realm of an account to change.
func (m *memory) realm(account, name string, change func(*keyedRealm)) (keyedRealm, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for i := range m.realms {
		if k := &m.realms[i]; err == nil && k.Account == account && strings.EqualFold(k.Name, name) {
			change(k)
			return *k, nil
		}
	}
	return keyedRealm{}, firstErr(err, verification.ErrNotFound)
}

func (m *memory) RealmByName(_ context.Context, account, name string) (realm.Realm, error) {
	k, err := m.realm(account, name, func(*keyedRealm) {})
	return k.Realm, err
}

func (m *memory) UpdateRealm(_ context.Context, account, name string, change func(*realm.Settings)) (realm.Realm, error) {
	k, err := m.realm(account, name, func(k *keyedRealm) { change(&k.Settings) })
	return k.Realm, err
}

func (m *memory) RotateRealm(_ context.Context, account, name string, overlap time.Duration) (realm.Realm, []byte, error) {
	k, err := m.realm(account, name, func(k *keyedRealm) {
		k.key, k.overlap, k.RotatedAt = bytes.Repeat([]byte{0xcd}, 32), overlap, m.now()
	})
	return k.Realm, k.key, err
}

func (m *memory) DeleteRealm(ctx context.Context, account, name string) error {
	gone, err := m.RealmByName(ctx, account, name)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.realms = slices.DeleteFunc(m.realms, func(k keyedRealm) bool { return k.AppID == gone.AppID })
	return nil
}

const (
	plainSettings = `{"brand":"","methods":[],"echo_otp":false,"states_as_found":false,"life":300,
		"attempts":{"count":10,"window":600},"validations":{"count":10,"window":600},"block":{}}`
	allSettings = `{"brand":"Example Bank","methods":["sms","push_accept"],"echo_otp":true,"states_as_found":true,"life":30,
		"attempts":{"count":3,"window":60},"validations":{"count":100,"window":86400},
		"block":{"countries":["RU","KP"],"network_types":["virtual"],"carriers":["Example Mobile"]}}`
)

func (b *bench) patchRealm(settings string) answer {
	b.t.Helper()
	return b.do(call{method: http.MethodPatch, path: "/v1/realms/secureauth1", body: `{"settings":` + settings + `}`})
}

func requireSettings(t *testing.T, want string, a answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	var got struct {
		Settings json.RawMessage `json:"settings"`
	}
	a.json(t, &got)
	require.JSONEq(t, want, string(got.Settings))
}

func TestARealmIsMadeReadChangedRotatedAndRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.post("/v1/realms", `{"name":"secureauth1"}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	require.Equal(t, "/v1/realms/secureauth1", a.Header.Get("Location"))
	const id = "00000000000000000000000000000001"
	public := `"name":"secureauth1","app_id":"` + id + `","created_at":"2026-11-21T10:04:31.123Z"`
	require.JSONEq(t, `{`+public+`,"settings":`+plainSettings+`,"app_key":"`+strings.Repeat("ab", 32)+`"}`, string(a.body))
	require.JSONEq(t, `{`+public+`,"settings":`+plainSettings+`}`, string(b.get("/v1/realms/secureauth1").body))
	require.JSONEq(t, `{`+public+`,"settings":`+plainSettings+`}`, string(b.get("/v1/realms/SecureAuth1").body))

	require.JSONEq(t, `{`+public+`,"settings":`+allSettings+`}`, string(b.patchRealm(allSettings).body))
	b.clock.pass(time.Hour)
	a = b.post("/v1/realms/secureauth1/rotate", `{"overlap":86400}`)
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	var rotated api.CreatedRealm
	a.json(t, &rotated)
	require.Equal(t, strings.Repeat("cd", 32), rotated.AppKey)
	require.Equal(t, time.Hour, rotated.RotatedAt.Sub(rotated.CreatedAt).Truncate(time.Second))
	require.Equal(t, 24*time.Hour, b.store.realms[0].overlap)
	require.Equal(t, http.StatusOK, b.post("/v1/realms/secureauth1/rotate", `{}`).StatusCode)
	require.Zero(t, b.store.realms[0].overlap)

	require.Equal(t, http.StatusCreated, b.post("/v1/realms", `{"name":"a-first","settings":{}}`).StatusCode)
	var list api.RealmList
	a = b.get("/v1/realms")
	a.json(t, &list)
	require.Len(t, list.Data, 2)
	require.Equal(t, "a-first", list.Data[0].Name)
	require.NotContains(t, string(a.body), "cdcd")

	remove := call{method: http.MethodDelete, path: "/v1/realms/secureauth1"}
	require.Equal(t, http.StatusNoContent, b.do(remove).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(remove).problem(t).Status)
	// Eight bytes of a key: a request's id, which is random, has four of these digits now and then.
	require.NotContains(t, b.log.String(), strings.Repeat("ab", 8))
	require.NotContains(t, b.log.String(), strings.Repeat("cd", 8))
}

func TestARealmMayBringItsApplicationIDAndKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id, key = "8F14E45FCEEA167A5A36DEDD4BEA2543", "1FF7C1E4D0B1A2938475665748392A1B0C9D8E7F6A5B4C3D2E1F001122334455"
	a := b.post("/v1/realms", `{"name":"secureauth1","app_id":"`+id+`","app_key":"`+key+`","settings":`+allSettings+`}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var made api.CreatedRealm
	a.json(t, &made)
	require.Equal(t, id, made.AppID)
	require.Equal(t, strings.ToLower(key), made.AppKey)
	requireSettings(t, allSettings, b.get("/v1/realms/secureauth1"))
	require.Equal(t, byte(0x1f), b.store.realms[0].key[0])

	for _, body := range []string{`{"name":"SECUREAUTH1"}`, `{"name":"other","app_id":"` + strings.ToLower(id) + `"}`} {
		p := b.do(call{method: http.MethodPost, path: "/v1/realms", body: body, client: other}).problem(t)
		require.Equal(t, http.StatusConflict, p.Status)
		require.Equal(t, api.ProblemCodeRealmExists, p.Code)
	}
}

func TestSettingsThatAreNotSentStay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusCreated, b.post("/v1/realms", `{"name":"secureauth1","settings":`+allSettings+`}`).StatusCode)
	requireSettings(t, allSettings, b.patchRealm(`{}`))
	for _, change := range []struct{ sent, from, to string }{
		{`{"brand":""}`, `"brand":"Example Bank"`, `"brand":""`},
		{`{"methods":["kba","oath","kba"]}`, `"methods":["sms","push_accept"]`, `"methods":["kba","oath"]`},
		{`{"methods":[]}`, `"methods":["sms","push_accept"]`, `"methods":[]`},
		{`{"echo_otp":false}`, `"echo_otp":true`, `"echo_otp":false`},
		{`{"states_as_found":false}`, `"states_as_found":true`, `"states_as_found":false`},
		{`{"life":600}`, `"life":30`, `"life":600`},
		{`{"attempts":{"count":0,"window":60}}`, `"attempts":{"count":3,"window":60}`, `"attempts":{"count":0,"window":60}`},
		// Without a window it would read as a limit that is not set, which is the default one.
		{`{"validations":{"count":0,"window":0}}`, `"validations":{"count":100,"window":86400}`, `"validations":{"count":0,"window":86400}`},
		{`{"block":{"countries":[]}}`, `"countries":["RU","KP"],`, ``},
		{`{"block":{"network_types":["pager","premium","pager"]}}`, `["virtual"]`, `["pager","premium"]`},
		{`{"block":{"carriers":[]}}`, `,"carriers":["Example Mobile"]`, ``},
		{`{"block":{}}`, ``, ``},
	} {
		requireSettings(t, strings.Replace(allSettings, change.from, change.to, 1), b.patchRealm(change.sent))
		requireSettings(t, allSettings, b.patchRealm(allSettings))
	}
}

func TestRealmsOfAnotherAccountAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusCreated, b.post("/v1/realms", `{"name":"secureauth1"}`).StatusCode)
	for _, c := range []call{
		{method: http.MethodGet, path: "/v1/realms/secureauth1"},
		{method: http.MethodPatch, path: "/v1/realms/secureauth1", body: `{"settings":{"echo_otp":true}}`},
		{method: http.MethodDelete, path: "/v1/realms/secureauth1"},
		{method: http.MethodPost, path: "/v1/realms/secureauth1/rotate", body: `{}`},
	} {
		c.client = other
		require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, c.method)
		c.client, c.path = "", strings.Replace(c.path, "secureauth1", "secure%20auth", 1)
		require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, c.method)
	}
	var list api.RealmList
	b.do(call{method: http.MethodGet, path: "/v1/realms", client: other}).json(t, &list)
	require.Empty(t, list.Data)
	requireSettings(t, plainSettings, b.get("/v1/realms/secureauth1"))
}

// listOf is a JSON list of n times the same text.
func listOf(n int, text string) string {
	return `["` + strings.Join(slices.Repeat([]string{text}, n), `","`) + `"]`
}

func TestBadSettingsAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusCreated, b.post("/v1/realms", `{"name":"secureauth1"}`).StatusCode)
	for settings, pointer := range map[string]string{
		`null`:                                "#/settings",
		`[]`:                                  "#/settings",
		`{"name":"x"}`:                        "#/settings/name",
		`{"brand":"a\u0007"}`:                 "#/settings/brand",
		`{"brand":"see https://evil.test/x"}`: "#/settings/brand",
		`{"brand":"` + strings.Repeat("ü", 41) + `"}`: "#/settings/brand",
		`{"brand":null}`:                                              "#/settings/brand",
		`{"methods":"sms"}`:                                           "#/settings/methods",
		`{"methods":null}`:                                            "#/settings/methods",
		`{"methods":["sms","fax"]}`:                                   "#/settings/methods/1",
		`{"methods":["SMS"]}`:                                         "#/settings/methods/0",
		`{"methods":["sms",["sms"]]}`:                                 "#/settings/methods/1",
		`{"methods":["sms","email","",7]}`:                            "#/settings/methods/2",
		`{"methods":` + listOf(21, "sms") + `}`:                       "#/settings/methods",
		`{"echo_otp":"true"}`:                                         "#/settings/echo_otp",
		`{"states_as_found":1}`:                                       "#/settings/states_as_found",
		`{"life":29}`:                                                 "#/settings/life",
		`{"life":601}`:                                                "#/settings/life",
		`{"life":"5m"}`:                                               "#/settings/life",
		`{"life":99.5}`:                                               "#/settings/life",
		`{"attempts":10}`:                                             "#/settings/attempts",
		`{"attempts":{"count":10}}`:                                   "#/settings/attempts/window",
		`{"attempts":{"window":10}}`:                                  "#/settings/attempts/count",
		`{"attempts":{"count":-1,"window":10}}`:                       "#/settings/attempts/count",
		`{"attempts":{"count":101,"window":10}}`:                      "#/settings/attempts/count",
		`{"attempts":{"count":1,"window":86401}}`:                     "#/settings/attempts/window",
		`{"validations":{"count":1,"window":-1}}`:                     "#/settings/validations/window",
		`{"validations":{"count":1,"window":1,"per":"user"}}`:         "#/settings/validations/per",
		`{"block":{"countries":["RU","ru"]}}`:                         "#/settings/block/countries/1",
		`{"block":{"countries":["RUS"]}}`:                             "#/settings/block/countries/0",
		`{"block":{"countries":` + listOf(251, "RU") + `}}`:           "#/settings/block/countries",
		`{"block":{"network_types":["satellite"]}}`:                   "#/settings/block/network_types/0",
		`{"block":{"network_types":` + listOf(7, "mobile") + `}}`:     "#/settings/block/network_types",
		`{"block":{"carriers":["ok","a\nb"]}}`:                        "#/settings/block/carriers/1",
		`{"block":{"carriers":` + listOf(101, "x") + `}}`:             "#/settings/block/carriers",
		`{"block":{"carriers":["` + strings.Repeat("x", 101) + `"]}}`: "#/settings/block/carriers/0",
		`{"block":{"numbers":[]}}`:                                    "#/settings/block/numbers",
	} {
		for _, a := range []answer{b.patchRealm(settings), b.post("/v1/realms", `{"name":"other","settings":`+settings+`}`)} {
			p := a.problem(t)
			require.Equal(t, http.StatusUnprocessableEntity, p.Status, settings)
			require.Equal(t, pointer, p.Errors[0].Pointer, settings)
		}
	}
	requireSettings(t, plainSettings, b.get("/v1/realms/secureauth1"))
	// A limit that lets something through needs a window to count in.
	p := b.do(call{method: http.MethodPatch, path: "/v1/realms/secureauth1", body: `{"settings":{"attempts":{"count":-1,"window":-1}}}`}).problem(t)
	require.Len(t, p.Errors, 2)
	require.Contains(t, b.patchRealm(`{"methods":["fax"]}`).problem(t).Detail, "user_id, password, kba, oath, pin, yubikey, call, sms")
	require.Equal(t, http.StatusBadRequest, b.patchRealm(`{"life":60,"life":61}`).problem(t).Status)
	require.Equal(t, http.StatusUnprocessableEntity, b.patchRealm(`{"methods":[`+strings.Repeat("[", 5_000)+strings.Repeat("]", 5_000)+`]}`).problem(t).Status)
}

func TestBadRealmsAndRotationsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, pointer := range map[string]string{
		`{}`:                "#/name",
		`{"name":""}`:       "#/name",
		`{"name":"a b"}`:    "#/name",
		`{"name":"-a"}`:     "#/name",
		`{"name":"a/b"}`:    "#/name",
		`{"name":"ünïted"}`: "#/name",
		`{"name":"` + strings.Repeat("a", 65) + `"}`:               "#/name",
		`{"name":"x","app_id":"8f14"}`:                             "#/app_id",
		`{"name":"x","app_id":""}`:                                 "#/app_id",
		`{"name":"x","app_id":"` + strings.Repeat("g", 32) + `"}`:  "#/app_id",
		`{"name":"x","app_key":"` + strings.Repeat("a", 63) + `"}`: "#/app_key",
		`{"name":"x","app_key":null}`:                              "#/app_key",
		`{"name":"x","account":"other"}`:                           "#/account",
	} {
		p := b.post("/v1/realms", body).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, body)
		require.Equal(t, pointer, p.Errors[0].Pointer, body)
	}
	for _, reserved := range []string{"api", "auth", "v1", "docs"} {
		// The document does not list what names are taken by other paths.
		require.Equal(t, "#/name", b.post("/v1/realms", `{"name":"`+reserved+`"}`).problem(t).Errors[0].Pointer)
	}
	require.Empty(t, b.store.realms)
	require.Equal(t, http.StatusCreated, b.post("/v1/realms", `{"name":"secureauth1"}`).StatusCode)
	for _, overlap := range []string{"-1", "604801", `"1h"`, "null", "1.5"} {
		p := b.post("/v1/realms/secureauth1/rotate", `{"overlap":`+overlap+`}`).problem(t)
		require.Equal(t, "#/overlap", p.Errors[0].Pointer, overlap)
	}
	require.True(t, b.store.realms[0].RotatedAt.IsZero())
}

func TestRealmsThatCannotBeReadAreNotUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.fail(verification.ErrUnavailable)
	for _, c := range []call{
		{method: http.MethodPost, path: "/v1/realms", body: `{"name":"x"}`},
		{method: http.MethodGet, path: "/v1/realms"},
		{method: http.MethodGet, path: "/v1/realms/x"},
		{method: http.MethodPatch, path: "/v1/realms/x", body: `{"settings":{}}`},
		{method: http.MethodDelete, path: "/v1/realms/x"},
		{method: http.MethodPost, path: "/v1/realms/x/rotate", body: `{}`},
	} {
		c.header = map[string]string{"Authorization": "Bearer " + shopToken}
		require.Equal(t, http.StatusServiceUnavailable, b.do(c).problem(t).Status, c.method+" "+c.path)
	}
}
