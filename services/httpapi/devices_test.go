package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// exampleKey is the P-256 key of the API document's example.
const exampleKey = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUKRmozUU7/B0fPhihFvhkOZ5o6XVqLPG1gqiw8e3NR6uN7kNuyJvoK5w6haxqEqfue2Pxn5HrA+WJWHWChKMfA=="

func TestDevicesOfEveryKind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	path := "/v1/users/" + u.ID + "/devices"
	for _, test := range []struct {
		body string
		want api.Device
		full string
	}{
		{`{"kind":"phone","address":"+49 151 23456789","name":"Private"}`, api.Device{Kind: "phone", Name: "Private", Address: "+4••••••••6789", Channels: []api.Channel{"sms", "voice"}}, "+4915123456789"},
		{`{"kind":"mailbox","address":"ana@Example.com"}`, api.Device{Kind: "mailbox", Address: "a•••@example.com", Channels: []api.Channel{"email"}}, "ana@example.com"},
		{`{"kind":"push","platform":"apns","push_token":"` + apnsToken + `","public_key":"` + exampleKey + `"}`, api.Device{Kind: "push", Platform: "apns", Channels: []api.Channel{"push"}}, apnsToken},
		{`{"kind":"push","platform":"fcm","push_token":"abc:DEF_-1","public_key":"` + strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(exampleKey) + `"}`, api.Device{Kind: "push", Platform: "fcm", Channels: []api.Channel{"push"}}, "abc:DEF_-1"},
		{
			`{"kind":"push","platform":"webpush","push_token":` + quoted(`{ "expirationTime": null, `+subscription[1:]) + `,"public_key":"` + exampleKey + `"}`,
			api.Device{Kind: "push", Platform: "webpush", Channels: []api.Channel{"push"}},
			subscription,
		},
	} {
		a := b.post(path, test.body)
		require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
		require.NotContains(t, string(a.body), test.full)
		var d api.Device
		a.json(t, &d)
		require.Equal(t, "/v1/devices/"+d.ID, a.Header.Get("Location"))
		test.want.ID, test.want.UserID, test.want.CreatedAt = d.ID, u.ID, d.CreatedAt
		require.Equal(t, test.want, d)
		require.Equal(t, test.full, b.store.devices[len(b.store.devices)-1].Address)
		var read api.Device
		b.get("/v1/devices/"+d.ID).json(t, &read)
		require.Equal(t, d, read)
	}
	var list api.DeviceList
	b.get(path).json(t, &list)
	require.Len(t, list.Data, 5)

	id := list.Data[0].ID
	remove := call{method: http.MethodDelete, path: "/v1/devices/" + id, client: other}
	require.Equal(t, http.StatusNotFound, b.do(remove).problem(t).Status)
	remove.client = ""
	require.Equal(t, http.StatusNoContent, b.do(remove).StatusCode)
	require.Equal(t, http.StatusNotFound, b.get("/v1/devices/"+id).problem(t).Status)
	require.Equal(t, http.StatusNotFound, b.do(remove).problem(t).Status)
	for _, c := range []call{{method: http.MethodGet, path: path}, {method: http.MethodPost, path: path, body: `{"kind":"mailbox","address":"eve@example.com"}`}} {
		c.client = other
		require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, "the user belongs to another client")
	}
	require.Len(t, b.store.devices, 4)
}

// subscription is what a browser gives: the keys are those of RFC 8291, appendix A.
const subscription = `{"endpoint":"https://push.example.net/ana?a=1&b=2","keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`

// quoted is a text as JSON has it, and quotedIn the same without the quotes around it.
func quoted(text string) string   { return `"` + quotedIn(text) + `"` }
func quotedIn(text string) string { return strings.ReplaceAll(text, `"`, `\"`) }

func TestBadDevicesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/users/" + b.register(`{}`).ID + "/devices"
	key384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der384, err := x509.MarshalPKIXPublicKey(&key384.PublicKey)
	require.NoError(t, err)
	app := func(platform, token, key string) string {
		return `{"kind":"push","platform":"` + platform + `","push_token":"` + token + `","public_key":"` + key + `"}`
	}
	for body, pointer := range map[string]string{
		`{}`:               "#/kind",
		`{"kind":"fax"}`:   "#/kind",
		`{"kind":"phone"}`: "#/address",
		`{"kind":"phone","address":"ana@example.com"}`:                                                                "#/address",
		`{"kind":"mailbox","address":"+14155550123"}`:                                                                 "#/address",
		`{"kind":"phone","address":"+14155550123","platform":"apns"}`:                                                 "#/platform",
		`{"kind":"phone","address":"+14155550123","push_token":"x"}`:                                                  "#/push_token",
		`{"kind":"mailbox","address":"ana@example.com","public_key":"x"}`:                                             "#/public_key",
		`{"kind":"phone","address":"+14155550123","name":"a\u202e"}`:                                                  "#/name",
		`{"kind":"push","push_token":"x","public_key":"` + exampleKey + `"}`:                                          "#/platform",
		`{"kind":"push","platform":"fcm","public_key":"` + exampleKey + `"}`:                                          "#/push_token",
		`{"kind":"push","platform":"fcm","push_token":"x"}`:                                                           "#/public_key",
		app("web", "x", exampleKey):                                                                                   "#/platform",
		app("apns", "not hex", exampleKey):                                                                            "#/push_token",
		app("apns", "0f0f", exampleKey):                                                                               "#/push_token",
		app("fcm", "two words", exampleKey):                                                                           "#/push_token",
		app("fcm", strings.Repeat("x", 4097), exampleKey):                                                             "#/push_token",
		app("webpush", "x", exampleKey):                                                                               "#/push_token",
		app("webpush", "", exampleKey):                                                                                "#/push_token",
		app("webpush", quotedIn(strings.Replace(subscription, "https:", "http:", 1)), exampleKey):                     "#/push_token",
		app("webpush", quotedIn(strings.Replace(subscription, "BCVx", "AAAA", 1)), exampleKey):                        "#/push_token",
		app("webpush", quotedIn(strings.Replace(subscription, "BTBZ", "", 1)), exampleKey):                            "#/push_token",
		app("webpush", quotedIn(strings.Replace(subscription, "/ana", "/"+strings.Repeat("x", 4096), 1)), exampleKey): "#/push_token",
		app("fcm", "x", "!"):                                                     "#/public_key",
		app("fcm", "x", "AAAA"):                                                  "#/public_key",
		app("fcm", "x", strings.Repeat("A", 300)):                                "#/public_key",
		app("fcm", "x", base64.StdEncoding.EncodeToString(der384)):               "#/public_key",
		strings.Replace(app("fcm", "x", exampleKey), "{", `{"address":"+1",`, 1): "#/address",
	} {
		p := b.post(path, body).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, body)
		require.Equal(t, pointer, p.Errors[0].Pointer, body)
	}
	require.Empty(t, b.store.devices)
	require.Equal(t, http.StatusNotFound, b.post("/v1/users/019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90/devices", `{"kind":"phone","address":"+14155550123"}`).problem(t).Status)
}

func TestAVerificationByDeviceTakesTheDevicesChannel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/users/" + b.register(`{}`).ID + "/devices"
	var d api.Device
	b.post(path, `{"kind":"phone","address":"+14155550123"}`).json(t, &d)

	v, _ := b.create(`{"device_id":"` + d.ID + `"}`)
	require.Equal(t, api.ChannelSMS, v.Channel)
	require.Equal(t, d.UserID, v.UserID)
	require.Equal(t, "+14155550123", b.store.activation(v.ID).To)
	v, _ = b.create(`{"device_id":"` + d.ID + `","channel":"voice"}`)
	require.Equal(t, api.ChannelVoice, v.Channel)

	p := b.post("/v1/verifications", `{"device_id":"`+d.ID+`","channel":"email"}`).problem(t)
	require.Equal(t, "#/channel", p.Errors[0].Pointer)
	require.Contains(t, p.Errors[0].Detail, "sms or voice")
	foreign := b.do(call{method: http.MethodPost, path: "/v1/verifications", body: `{"device_id":"` + d.ID + `"}`, client: other}).problem(t)
	require.Equal(t, "#/device_id", foreign.Errors[0].Pointer)
	push := b.registerPhone("fcm", "token")
	p = b.post("/v1/verifications", `{"device_id":"`+push.id+`","challenge":"link"}`).problem(t)
	require.Equal(t, "#/challenge", p.Errors[0].Pointer)
	require.Contains(t, p.Errors[0].Detail, "approval or code")
}

func TestADeviceThatIsNotProvedYetIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	pending := device.Device{
		ID: "019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d", UserID: u.ID, Credential: shop, Kind: device.Phone, Factor: device.SMSCode,
		Address: "+14155550123", Pending: &device.Pending{ExpiresAt: b.clock.now().Add(time.Minute)},
	}
	b.store.devices = append(b.store.devices, pending)
	var list api.DeviceList
	b.get("/v1/users/"+u.ID+"/devices").json(t, &list)
	require.Empty(t, list.Data)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		require.Equal(t, http.StatusNotFound, b.do(call{method: method, path: "/v1/devices/" + pending.ID}).problem(t).Status)
	}
	p := b.post("/v1/verifications", `{"device_id":"`+pending.ID+`"}`).problem(t)
	require.Equal(t, "#/device_id", p.Errors[0].Pointer)
	require.Len(t, b.store.devices, 1)
	require.Zero(t, b.store.count())
}

func TestALockedUsersDeviceIsNotAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/users/" + b.register(`{}`).ID + "/devices"
	var d api.Device
	b.post(path, `{"kind":"phone","address":"+14155550123"}`).json(t, &d)
	b.store.users[0].Locked = true
	p := b.post("/v1/verifications", `{"device_id":"`+d.ID+`"}`).problem(t)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	require.Equal(t, "#/device_id", p.Errors[0].Pointer)
	require.Contains(t, p.Errors[0].Detail, "locked")
	require.Zero(t, b.store.count())
	b.store.users[0].Locked = false
	b.create(`{"device_id":"` + d.ID + `"}`)
}

func TestAnAuthenticatorIsAskedForACodeAndShowsNoAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	id := "019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d"
	b.store.devices = append(b.store.devices, device.Device{
		ID: id, UserID: u.ID, Credential: shop, Kind: device.TOTP, Factor: device.AppCode, Name: "Authenticator", Secret: []byte("12345678901234567890"),
	})
	a := b.get("/v1/devices/" + id)
	require.JSONEq(t, `{"id":"`+id+`","user_id":"`+u.ID+`","kind":"totp","name":"Authenticator","channels":["totp"],"created_at":"0001-01-01T00:00:00Z"}`, string(a.body))

	for _, body := range []string{`{"device_id":"` + id + `"}`, `{"device_id":"` + id + `","channel":"totp","challenge":"code"}`} {
		v, code := b.create(body)
		require.Equal(t, api.ChannelTOTP, v.Channel)
		require.Equal(t, api.ChallengeCode, v.Challenge)
		require.Equal(t, "totp", v.To)
		require.Empty(t, code, "the app has it")
		require.Equal(t, 5, v.ChecksLeft)
	}
	b.store.failOnly(&verification.LimitError{Policy: "device", Quota: 5, Window: 10 * time.Minute, RetryAfter: 90 * time.Second})
	limited := b.post("/v1/verifications", `{"device_id":"`+id+`"}`)
	require.Equal(t, http.StatusTooManyRequests, limited.problem(t).Status)
	require.Equal(t, "90", limited.Header.Get("Retry-After"))
	require.Contains(t, limited.problem(t).Detail, "5 wrong codes for this device in 600 seconds")
	b.store.failOnly(nil)
	for body, pointer := range map[string]string{
		`{"device_id":"` + id + `","channel":"sms"}`:    "#/channel",
		`{"device_id":"` + id + `","challenge":"link"}`: "#/challenge",
		`{"channel":"totp"}`:                            "#/device_id",
		`{"channel":"totp","to":"+14155550123"}`:        "#/device_id",
	} {
		require.Equal(t, pointer, b.post("/v1/verifications", body).problem(t).Errors[0].Pointer, body)
	}
	require.Equal(t, "#/kind", b.post("/v1/users/"+u.ID+"/devices", `{"kind":"totp"}`).problem(t).Errors[0].Pointer)
}
