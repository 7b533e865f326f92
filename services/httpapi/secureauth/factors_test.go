package secureauth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/realm"
)

func TestFactorsHaveTheFormOfTheirVersion(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	h.app(p.User, func(d *device.Device) {
		d.Kind, d.Factor, d.Name, d.Platform, d.PublicKey, d.Address = device.TOTP, device.AppCode, "", "", nil, ""
	})
	for _, version := range []string{"v1", "v2", "v3"} {
		c.get("/api/"+version+"/users/"+p.Username+"/factors").is(http.StatusOK).golden("factors", version)
		c.get("/api/"+version+"/users/nobody/factors").is(http.StatusNotFound).golden("factors", "unknown")
	}
	c.get("/api/v1/users/"+h.user().Username+"/factors").golden("factors", "few")
	c.get("/api/v3/users/"+h.user().Username+"/factors").golden("factors", "few_v3")
	nothing := h.user(func(u *device.User) { u.Phone, u.Email = "", "" })
	c.get("/api/v3/users/"+nothing.Username+"/factors").golden("factors", "none_v3")
}

func TestFactorsAreReadByEveryStyleOfPath(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	h.user(username("j smith"))
	h.user(username("josé"))
	h.user(username(`ACME\jsmith`))
	local := h.user(username("jsmith"))
	for path, name := range map[string]string{
		"/users/j%20smith/factors":                           "j smith",
		"/users/J%20SMITH/factors":                           "J SMITH",
		"/users/jos%C3%A9/factors":                           "josé",
		"/users/factors?username=jos%C3%A9":                  "josé",
		"/users/factors?username=j+smith":                    "j smith",
		"/users/acme/jsmith/factors":                         "jsmith",
		"/users/ACME%5Cjsmith/factors":                       `ACME\jsmith`,
		"/users/factors?username=jsmith&domain=acme":         "jsmith",
		"/users/factors?username=acme%5cjsmith":              `acme\jsmith`,
		"/users/elsewhere/jsmith/factors":                    "jsmith",
		"/users/" + url.PathEscape(local.Email) + "/factors": local.Email,
	} {
		for _, version := range []string{"v1", "v2", "v3"} {
			a := c.get("/api/"+version+path).says(http.StatusOK, "found", "")
			require.Equal(t, name, a.text("user_id"), path)
		}
	}
	c.get("/api/v1/users/acme/nobody/factors").says(http.StatusNotFound, "not_found", "User Id was not found.")
	c.get("/api/v1/users/factors").says(http.StatusBadRequest, "invalid", "Request validation failed with: username is required.")
	c.do(http.MethodPatch, "/api/v1/users/jsmith/factors", given{}).says(http.StatusMethodNotAllowed, "invalid", "This path does not take the method PATCH.")
}

func TestADomainNamesItsOwnUserBeforeTheOneWithoutADomain(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	h.user(username("jsmith"), func(u *device.User) { u.Phone, u.Email = "+14155550191", "" })
	h.user(username(`ACME\jsmith`), func(u *device.User) { u.Phone, u.Email = "+14155550192", "" })
	for path, number := range map[string]string{
		"jsmith/factors": "+14155550191", "acme/jsmith/factors": "+14155550192", "other/jsmith/factors": "+14155550191",
		"factors?username=jsmith&domain=Acme": "+14155550192", "factors?username=jsmith&domain=": "+14155550191",
	} {
		require.Equal(t, []any{number}, values(c.get("/api/v2/users/"+path), "phone"), path)
	}
	c.post("/api/v1/auth", given{"user_id": "jsmith", "domain": "ACME", "type": "sms", "factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	require.Equal(t, "+14155550192", h.verifications.Last().To)
	c.post("/api/v1/otp/validate", given{"user_id": "jsmith", "otp": h.sentCode()}).says(http.StatusOK, "invalid", "OTP is invalid.")
	c.post("/api/v1/otp/validate", given{"user_id": "jsmith", "domain": "acme", "otp": h.sentCode()}).says(http.StatusOK, "valid", "")
}

// values are the values of the factors of a type.
func values(a answer, kind string) []any {
	a.t.Helper()
	var found []any
	for _, f := range a.object()["factors"].([]any) {
		if f := f.(map[string]any); f["type"] == kind {
			found = append(found, f["value"])
		}
	}
	return found
}

func TestUsersWhoMayNotAuthenticateShowTheirStateAsTheVersionDoes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, lenient := h.client(), h.client(settings(func(s *realm.Settings) { s.StatesAsFound = true }))
	for state, word := range barring {
		path := "/users/" + h.barred(c, word).Username + "/factors"
		c.get("/api/v1"+path).is(http.StatusOK).golden("factors", "state_"+state+"_v1")
		for _, version := range []string{"/api/v2", "/api/v3"} {
			a := c.get(version + path).is(http.StatusOK)
			require.Equal(t, state, a.text("status"))
			require.Len(t, a.object()["factors"], 2)
			a = lenient.get(version+path).says(http.StatusOK, "found", "")
			require.Len(t, a.object()["factors"], 2)
		}
		a := lenient.get("/api/v1" + path).is(http.StatusOK)
		require.Equal(t, state, a.text("status"), "version 1 is not changed by the setting")
		require.Equal(t, []any{}, a.object()["factors"])
	}
}

func TestOnlyWhatTheRealmMayUseIsListed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	p := h.person(h.client())
	list := func(methods ...string) string {
		c := h.client(settings(func(s *realm.Settings) { s.Methods = methods }))
		factors, err := json.Marshal(c.get("/api/v1/users/" + p.Username + "/factors").is(http.StatusOK).object()["factors"])
		require.NoError(t, err)
		return string(factors)
	}
	require.Equal(t, "[]", list("password", "user_id"))
	require.JSONEq(t, `[{"type":"pin","value":"Private PIN"}]`, list("pin"))
	require.JSONEq(t, `[{"type":"push","id":"`+factorID(p.phone)+`","value":"HTC One","capabilities":["push_accept_symbol"]}]`, list("push_accept_symbol"))
	require.JSONEq(t, `[{"type":"oath","id":"`+factorID(p.phone)+`","value":"HTC One"}]`, list("oath"))
	require.JSONEq(t, `[{"type":"email","id":"Email1","value":"`+p.Email+`"},{"type":"email","id":"Email2","value":"`+p.workMail()+`"}]`, list("email"))
	require.JSONEq(t, `[{"type":"phone","id":"Phone1","value":"`+p.Phone+`","capabilities":["sms_link"]},`+
		`{"type":"phone","id":"Phone2","value":"(212) 555-`+p.last()+`","capabilities":["sms_link"]}]`, list("sms_link"))
}

func TestLinksAreOfferedOnlyWhereTheyLeadSomewhere(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *secureauth.Config) { c.PublicURL = func() string { return "" } })
	c := h.client()
	u := h.user()
	c.get("/api/v1/users/"+u.Username+"/factors").golden("factors", "no_links")
	c.auth(u.Username, "sms_link", given{"factor_id": "Phone1"}).says(http.StatusBadRequest, "invalid",
		"Request validation failed with: type sms_link needs the public URL of this server, and none is set.")
	require.Zero(t, h.verifications.Count())
}

func TestDevicesThatAreNotTheUsersOrNotProvedAreNoFactors(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, other := h.user(), h.user()
	theirs := h.app(other)
	pending := h.app(u, func(d *device.Device) { d.Pending = &device.Pending{ExpiresAt: h.clock.Now().Add(time.Minute)} })
	require.Empty(t, values(c.get("/api/v1/users/"+u.Username+"/factors"), "push"))
	for _, d := range []device.Device{theirs, pending} {
		c.auth(u.Username, "push_accept", given{"factor_id": factorID(d)}).says(http.StatusBadRequest, "invalid",
			"Request validation failed with: Unknown factor id '"+factorID(d)+"'.")
	}
	foreign := h.client(account("bank"))
	foreign.get("/api/v1/users/"+u.Username+"/factors").says(http.StatusNotFound, "not_found", "User Id was not found.")
}
