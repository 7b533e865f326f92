package httpapi_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// realLinks keeps enrolment links on a real broker.
func realLinks(t *testing.T) (*enrolment.Links, func(*httpapi.Config)) {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	links := &enrolment.Links{}
	return links, func(c *httpapi.Config) {
		tickets, err := store.NewTickets(t.Context(), js, store.TicketsConfig{Keys: keys, Now: c.Now})
		require.NoError(t, err)
		links.Tickets, links.Devices, links.Now = tickets, c.Users.(enrolment.LinkDevices), c.Now
		c.EnrolmentLinks = links
		c.EnrolKinds = []device.Kind{device.Phone, device.Mailbox, device.TOTP, device.Push}
	}
}

// enrolEverybody makes one good request of each operation of this file.
func (b *bench) enrolEverybody(u api.User, good func(answer) answer) {
	var e api.Enrolment
	good(b.post("/v1/users/"+u.ID+"/enrolments", `{"kinds":["phone"],"brand":"Example Bank","locale":"de","expires_in":60,"return_to":"https://example.com/settings?tab=2"}`)).json(b.t, &e)
	good(b.do(call{method: http.MethodDelete, path: "/v1/enrolments/" + e.ID}))
}

func TestALinkIsMadeToldOnceAndTakenBack(t *testing.T) {
	t.Parallel()
	links, with := realLinks(t)
	b := setup(t, with)
	u := b.register(`{}`)
	a := b.post("/v1/users/"+u.ID+"/enrolments", `{"brand":"Example Bank","locale":"de","return_to":"http://127.0.0.1:3000/settings"}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var e api.Enrolment
	a.json(t, &e)
	require.Equal(t, b.clock.now().UTC().Truncate(time.Millisecond).Add(15*time.Minute), e.ExpiresAt)
	token, ok := strings.CutPrefix(e.URL, "https://auth.example.com/enrol/")
	require.True(t, ok, e.URL)
	require.Len(t, token, 43)
	require.NotContains(t, token, e.ID)

	found, err := links.Find(t.Context(), verification.Token(token))
	require.NoError(t, err)
	require.Equal(t, enrolment.Link{
		ID: e.ID, Account: shop, Client: shop, UserID: u.ID, Kinds: []device.Kind{device.Phone, device.Mailbox, device.TOTP, device.Push},
		Brand: "Example Bank", Locale: "de", ReturnTo: "http://127.0.0.1:3000/settings",
		CreatedAt: b.clock.now().UTC().Truncate(time.Millisecond), ExpiresAt: e.ExpiresAt,
	}, found)
	require.NotContains(t, b.log.String(), token)

	_, err = b.store.CreateDevice(t.Context(), device.Device{
		ID: "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90", UserID: u.ID, Credential: shop, Pending: &device.Pending{Link: e.ID, ExpiresAt: e.ExpiresAt},
	})
	require.NoError(t, err)
	gone := call{method: http.MethodDelete, path: "/v1/enrolments/" + e.ID}
	elsewhere := gone
	elsewhere.client = other
	require.Equal(t, api.ProblemCodeNotFound, b.do(elsewhere).problem(t).Code, "links of others are not there")
	require.Equal(t, http.StatusNoContent, b.do(gone).StatusCode)
	_, err = links.Find(t.Context(), verification.Token(token))
	require.ErrorIs(t, err, enrolment.ErrWithdrawn)
	devices, err := b.store.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Empty(t, devices, "what was not proved yet is dropped")
	require.Equal(t, api.ProblemCodeNotFound, b.do(gone).problem(t).Code, "twice")

	var did []audit.Action
	for _, e := range b.store.audit {
		did = append(did, e.Action)
		require.Equal(t, []string{shop, u.ID}, []string{e.Actor, e.UserID})
	}
	require.Equal(t, []audit.Action{audit.EnrolmentCreated, audit.EnrolmentWithdrawn}, did)
	require.Equal(t, "phone mailbox totp push", b.store.audit[0].Details["kinds"])
}

func TestALinkEndsByItself(t *testing.T) {
	t.Parallel()
	links, with := realLinks(t)
	b := setup(t, with)
	u := b.register(`{}`)
	var e api.Enrolment
	b.post("/v1/users/"+u.ID+"/enrolments", `{"expires_in":60}`).json(t, &e)
	token := verification.Token(strings.TrimPrefix(e.URL, "https://auth.example.com/enrol/"))
	b.clock.pass(time.Minute)
	l, err := links.Find(t.Context(), token)
	require.ErrorIs(t, err, enrolment.ErrExpired)
	require.Equal(t, e.ID, l.ID, "so that the page can say whose it was")
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodDelete, path: "/v1/enrolments/" + e.ID}).StatusCode)
	for _, none := range []verification.Token{"", token[:42], token + "x", verification.Token(strings.Repeat("A", 43))} {
		_, err := links.Find(t.Context(), none)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}

func TestWhatIsWrongWithALinkIsNamed(t *testing.T) {
	t.Parallel()
	_, with := realLinks(t)
	b := setup(t, with, func(c *httpapi.Config) { c.EnrolKinds = []device.Kind{device.Phone, device.TOTP} })
	u := b.register(`{}`)
	path := "/v1/users/" + u.ID + "/enrolments"
	for body, pointer := range map[string]string{
		`{"kinds":[]}`:                                                "#/kinds",
		`{"kinds":["fax"]}`:                                           "#/kinds/0",
		`{"kinds":["totp","totp"]}`:                                   "#/kinds/1",
		`{"kinds":["totp","push"]}`:                                   "#/kinds/1",
		`{"brand":"` + strings.Repeat("x", 31) + `"}`:                 "#/brand",
		`{"brand":"http://x.io"}`:                                     "#/brand",
		`{"locale":"german"}`:                                         "#/locale",
		`{"expires_in":59}`:                                           "#/expires_in",
		`{"expires_in":86401}`:                                        "#/expires_in",
		`{"return_to":"http://example.com/"}`:                         "#/return_to",
		`{"return_to":"javascript:alert(1)"}`:                         "#/return_to",
		`{"return_to":"https://ana@example.com/"}`:                    "#/return_to",
		`{"return_to":"/settings"}`:                                   "#/return_to",
		`{"return_to":"https://exämple.com/"}`:                        "#/return_to",
		`{"return_to":"https://x/` + strings.Repeat("x", 2048) + `"}`: "#/return_to",
		`{"link":"x"}`:                                                "#/link",
	} {
		a := b.post(path, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, body)
		p := a.problem(t)
		require.Equal(t, api.ProblemCodeInvalidRequest, p.Code, body)
		require.Len(t, p.Errors, 1, body)
		require.Equal(t, pointer, p.Errors[0].Pointer, body)
	}
	require.Empty(t, b.store.audit)
	require.Equal(t, http.StatusNotFound, b.post("/v1/users/019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90/enrolments", `{}`).problem(t).Status)
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodDelete, path: "/v1/enrolments/x"}).problem(t).Status)

	b.store.users[0].Locked = true
	p := b.post(path, `{}`).problem(t)
	require.Equal(t, []any{api.ProblemCodeInvalidRequest, "id"}, []any{p.Code, p.Errors[0].Parameter})
}
