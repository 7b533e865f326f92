package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

func (b *bench) change(p phone, body, at string) answer {
	b.t.Helper()
	return b.do(call{
		method: http.MethodPut, path: "/v1/phones/" + p.id, anonymous: true, body: body,
		header: map[string]string{"Authorization": p.signs(b.t, device.Change, at, body)},
	})
}

func TestAPhoneChangesItsPushToken(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	got := b.change(p, `{"push_token":"another-token"}`, lookedAt)
	require.Equal(t, http.StatusNoContent, got.StatusCode, "%s", got.body)
	require.Equal(t, "another-token", a.joined[0].Address)
	require.Equal(t, lookedAt, a.joined[0].TokenAt.Format(time.RFC3339))

	require.Equal(t, api.ProblemCodeBadSignature, b.change(p, `{"push_token":"the-one-before"}`, "2026-11-21T10:04:31Z").problem(t).Code, "played again")
	require.Equal(t, "another-token", a.joined[0].Address)
	for body, pointer := range map[string]string{
		`{}`:                      "#/push_token",
		`{"push_token":""}`:       "#/push_token",
		`{"push_token":"to ken"}`: "#/push_token",
		`{"push_token":"` + strings.Repeat("t", 4097) + `"}`: "#/push_token",
		`{"push_token":"token","platform":"apns"}`:           "#/platform",
	} {
		fault := b.change(p, body, "2026-11-21T10:04:40Z").problem(t)
		require.Equal(t, api.ProblemCodeInvalidRequest, fault.Code)
		require.Equal(t, pointer, fault.Errors[0].Pointer)
	}
	require.Equal(t, api.ProblemCodeMalformedJSON, b.change(p, `{`, "2026-11-21T10:04:40Z").problem(t).Code)
	a.fail(verification.ErrUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, b.change(p, `{"push_token":"x"}`, "2026-11-21T10:04:40Z").problem(t).Status)
	require.NotContains(t, b.log.String(), "another-token")
}

func TestAChangeThatIsNotThePhonesOwnIsRefusedInOneWay(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	stranger := p
	stranger.key, _ = newKey(t)
	elsewhere := p
	elsewhere.id = uuid.NewString()
	const body = `{"push_token":"another"}`
	refuse := func(path, body, authorization string) api.Problem {
		c := call{method: http.MethodPut, path: path, anonymous: true, body: body, header: map[string]string{"Authorization": authorization}}
		got := b.do(c).problem(t)
		require.Equal(t, api.ProblemCodeBadSignature, got.Code)
		got.RequestID = ""
		return got
	}
	path := "/v1/phones/" + p.id
	want := refuse(path, body, "")
	for name, header := range map[string]string{
		"of another key":            stranger.signs(t, device.Change, lookedAt, body),
		"for another device":        elsewhere.signs(t, device.Change, lookedAt, body),
		"of another body":           p.signs(t, device.Change, lookedAt, `{"push_token":"theirs"}`),
		"of a look":                 p.authorization(t, lookedAt),
		"too old":                   p.signs(t, device.Change, "2026-11-21T09:59:30Z", body),
		"of the future":             p.signs(t, device.Change, "2026-11-21T10:09:33Z", body),
		"of a client":               "Basic " + base64.StdEncoding.EncodeToString([]byte(shop+":"+shopSecret)),
		"with nothing in it":        `Phone at="", signature=""`,
		"with a signature too long": `Phone at="` + lookedAt + `", signature="` + strings.Repeat("A", 300) + `"`,
	} {
		require.Equal(t, want, refuse(path, body, header), name)
		require.Equal(t, want, refuse(path, `{"push_token":7}`, header), name)
	}
	require.Equal(t, want, refuse("/v1/phones/"+elsewhere.id, body, elsewhere.signs(t, device.Change, lookedAt, body)), "unknown")
	require.Equal(t, "token-of-ana", a.joined[0].Address)
	look := call{method: http.MethodGet, path: path + "/prompts", anonymous: true, header: map[string]string{"Authorization": p.signs(t, device.Change, lookedAt, "")}}
	require.Equal(t, api.ProblemCodeBadSignature, b.do(look).problem(t).Code, "nor is a change a look")
	a.forget()
	require.Equal(t, want, refuse(path, body, p.signs(t, device.Change, lookedAt, body)), "removed")
}

func TestADeviceMayJoinAgain(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	path := "/v1/devices/" + p.id + "/activation"
	got := b.post(path, "")
	require.Equal(t, http.StatusCreated, got.StatusCode, "%s", got.body)
	require.JSONEq(t, `{"device_id":"`+p.id+`","code":"`+activationCode+`","uri":"otpauth://totp/ana?secret=`+activationCode+`","expires_at":"2026-11-21T10:09:31Z"}`, string(got.body))
	require.Len(t, b.store.audit, 1)
	require.Equal(t, audit.DeviceReactivated, b.store.audit[0].Action)
	require.Equal(t, []string{p.id, shop}, []string{b.store.audit[0].Subject, b.store.audit[0].Actor})
	require.NotContains(t, b.log.String(), activationCode)

	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodPost, path: path, client: other}).problem(t).Status)
	require.Equal(t, http.StatusNotFound, b.post("/v1/devices/"+uuid.NewString()+"/activation", "").problem(t).Status)
	u := b.register(`{}`)
	var d api.Device
	b.post("/v1/users/"+u.ID+"/devices", `{"kind":"phone","address":"+14155550123"}`).json(t, &d)
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/v1/devices/"+d.ID+"/activation", "").problem(t).Status)
	a.fail(enrolment.ErrLocked)
	require.Contains(t, b.post(path, "").problem(t).Errors[0].Detail, "locked")
	a.fail(enrolment.ErrSameKey)
	_, public := newKey(t)
	fault := b.do(call{method: http.MethodPost, path: "/v1/phones", anonymous: true, body: `{"code":"` + activationCode +
		`","platform":"fcm","push_token":"token","public_key":"` + public + `"}`}).problem(t)
	require.Equal(t, "#/public_key", fault.Errors[0].Pointer)
}

func TestADeviceTellsOfItsUseAndWhetherItIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t, withApps(&apps{}), func(c *httpapi.Config) {
		c.Listed = stops{"push:token-of-ana": "device_gone", "push:stopped": "manual"}
	})
	p := b.joinPhone()
	read := func(id string) api.Device {
		var d api.Device
		b.get("/v1/devices/"+id).json(t, &d)
		return d
	}
	d := read(p.id)
	require.Nil(t, d.LastUsedAt)
	require.Equal(t, "device_gone", d.Unreachable)
	at := time.Date(2026, 11, 21, 10, 5, 2, 0, time.UTC)
	b.store.used = map[string]time.Time{p.id: at}
	require.Equal(t, &at, read(p.id).LastUsedAt)

	well := b.registerPhone("fcm", "stopped")
	require.Empty(t, read(well.id).Unreachable, "kept back for another cause")
	var list api.DeviceList
	b.get("/v1/users/"+read(well.id).UserID+"/devices").json(t, &list)
	require.Len(t, list.Data, 1)
	b.store.used[well.id] = at
	b.get("/v1/users/"+read(well.id).UserID+"/devices").json(t, &list)
	require.Equal(t, &at, list.Data[0].LastUsedAt)
}

func TestABrowserChangesItsSubscription(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	a.joined[0].Platform = device.WebPush
	got := b.change(p, `{"push_token":`+quoted(`{ "expirationTime": null, `+subscription[1:])+`}`, lookedAt)
	require.Equal(t, http.StatusNoContent, got.StatusCode, "%s", got.body)
	require.Equal(t, subscription, a.joined[0].Address, "as it is kept, whatever the browser puts around it")

	fault := b.change(p, `{"push_token":"of another kind"}`, "2026-11-21T10:04:40Z").problem(t)
	require.Equal(t, "#/push_token", fault.Errors[0].Pointer)
	require.Contains(t, fault.Errors[0].Detail, "subscription")
	require.Len(t, fault.Errors, 1)
	require.Equal(t, subscription, a.joined[0].Address)
}
