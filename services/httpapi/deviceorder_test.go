package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// deviceOf registers a device of a user, a second after what was registered before.
func (b *bench) deviceOf(u api.User, body string) api.Device {
	b.t.Helper()
	b.clock.pass(time.Second)
	a := b.post("/v1/users/"+u.ID+"/devices", body)
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var d api.Device
	a.json(b.t, &d)
	return d
}

func (b *bench) phoneOf(u api.User, number string) api.Device {
	b.t.Helper()
	return b.deviceOf(u, `{"kind":"phone","address":"`+number+`"}`)
}

func (b *bench) mailboxOf(u api.User, address string) api.Device {
	b.t.Helper()
	return b.deviceOf(u, `{"kind":"mailbox","address":"`+address+`"}`)
}

func (b *bench) appOf(u api.User) api.Device {
	b.t.Helper()
	return b.deviceOf(u, `{"kind":"push","platform":"fcm","push_token":"abc","public_key":"`+exampleKey+`"}`)
}

// authenticatorOf is an authenticator app, which the OneLogin door enrols.
func (b *bench) authenticatorOf(u api.User) api.Device {
	b.t.Helper()
	b.clock.pass(time.Second)
	d, err := b.store.CreateDevice(b.t.Context(), device.Device{
		ID: idFor(u.ID, "totp"), UserID: u.ID, Credential: shop, Kind: device.TOTP, CreatedAt: b.clock.now(),
	})
	require.NoError(b.t, err)
	return api.Device{ID: d.ID}
}

// idList is the ids of devices, as JSON.
func idList(devices ...api.Device) string {
	list := make([]string, 0, len(devices))
	for _, d := range devices {
		list = append(list, `"`+d.ID+`"`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (b *bench) order(u api.User, devices ...api.Device) api.User {
	b.t.Helper()
	a := b.do(call{method: http.MethodPut, path: "/v1/users/" + u.ID + "/device-order", body: `{"device_ids":` + idList(devices...) + `}`})
	require.Equal(b.t, http.StatusOK, a.StatusCode, "%s", a.body)
	var ordered api.User
	a.json(b.t, &ordered)
	return ordered
}

// requireOrder holds what is read of a user and of their devices against an order.
func (b *bench) requireOrder(u api.User, devices ...api.Device) {
	b.t.Helper()
	var read api.User
	b.get("/v1/users/"+u.ID).json(b.t, &read)
	var list api.DeviceList
	b.get("/v1/users/"+u.ID+"/devices").json(b.t, &list)
	require.Len(b.t, read.DeviceOrder, len(devices))
	require.Len(b.t, list.Data, len(devices))
	for i, d := range devices {
		require.Equal(b.t, d.ID, read.DeviceOrder[i])
		require.Equal(b.t, d.ID, list.Data[i].ID)
		require.Equal(b.t, i == 0, list.Data[i].Default)
	}
	if len(devices) > 0 {
		require.Equal(b.t, devices[0].ID, read.DefaultDeviceID)
	} else {
		require.Empty(b.t, read.DefaultDeviceID)
	}
}

func TestTheDefaultDeviceIsTheFirstInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{"name":"Ana"}`)
	b.requireOrder(u)
	phone, mailbox, app := b.phoneOf(u, "+14155550123"), b.mailboxOf(u, "ana@example.com"), b.appOf(u)
	b.requireOrder(u, phone, mailbox, app)

	ordered := b.order(u, app)
	require.Equal(t, "Ana", ordered.Name)
	require.Equal(t, app.ID, ordered.DefaultDeviceID)
	require.Equal(t, []string{app.ID, phone.ID, mailbox.ID}, ordered.DeviceOrder)
	b.requireOrder(u, app, phone, mailbox)
	b.order(u, mailbox, app)
	b.requireOrder(u, mailbox, app, phone)
	second := b.phoneOf(u, "+14155550124")
	b.requireOrder(u, mailbox, app, phone, second)
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: "/v1/devices/" + mailbox.ID}).StatusCode)
	b.requireOrder(u, app, phone, second)
	b.order(u)
	b.requireOrder(u, phone, app, second)

	var users api.UserList
	b.get("/v1/users").json(t, &users)
	require.Empty(t, users.Data[0].DeviceOrder, "a list of users is told without their devices")
	require.Equal(t, audit.Entry{
		ID: 1, Account: shop, Actor: shop, Action: audit.DevicesOrdered, Subject: u.ID, UserID: u.ID,
		Details: map[string]string{"default_device_id": app.ID}, At: b.store.audit[0].At,
	}, b.store.audit[0])

	b.store.devices[1].Pending = &device.Pending{ExpiresAt: b.clock.now().Add(time.Hour)} // the app
	p := b.do(call{method: http.MethodPut, path: "/v1/users/" + u.ID + "/device-order", body: `{"device_ids":` + idList(app) + `}`}).problem(t)
	require.Equal(t, []api.Fault{{Pointer: "#/device_ids/0", Detail: "is not a registered device of this user"}}, p.Errors)
	b.requireOrder(u, phone, second)
}

func TestAUserIsAskedByTheFirstDeviceThatFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	phone, mailbox, app, authenticator := b.phoneOf(u, "+14155550123"), b.mailboxOf(u, "ana@example.com"), b.appOf(u), b.authenticatorOf(u)
	for _, test := range []struct {
		order   []api.Device
		fields  string
		device  api.Device
		channel api.Channel
	}{
		{nil, ``, phone, api.ChannelSMS},
		{nil, `,"channel":"voice"`, phone, api.ChannelVoice},
		{nil, `,"channel":"email"`, mailbox, api.ChannelEmail},
		{nil, `,"challenge":"approval"`, phone, api.ChannelSMS},
		{[]api.Device{app}, ``, app, api.ChannelPush},
		{[]api.Device{app}, `,"challenge":"link"`, phone, api.ChannelSMS},
		{[]api.Device{mailbox}, `,"challenge":"approval"`, phone, api.ChannelSMS},
		{[]api.Device{mailbox}, `,"challenge":"link"`, mailbox, api.ChannelEmail},
		{[]api.Device{app, mailbox}, `,"channel":"sms"`, phone, api.ChannelSMS},
		{[]api.Device{authenticator}, ``, authenticator, api.ChannelTOTP},
		{[]api.Device{authenticator}, `,"challenge":"link"`, phone, api.ChannelSMS},
		{[]api.Device{authenticator}, `,"channel":"push"`, app, api.ChannelPush},
	} {
		b.order(u, test.order...)
		v, _ := b.create(`{"user_id":"` + u.ID + `"` + test.fields + `}`)
		require.Equal(t, test.device.ID, v.DeviceID, test.fields)
		require.Equal(t, test.channel, v.Channel, test.fields)
		require.Equal(t, u.ID, v.UserID)
		require.Equal(t, b.store.devices[b.place(test.device)].Address, b.store.activation(v.ID).To)
	}
}

// place is where the store has a device.
func (b *bench) place(d api.Device) int {
	b.t.Helper()
	for i, known := range b.store.devices {
		if known.ID == d.ID {
			return i
		}
	}
	b.t.Fatal("no such device")
	return 0
}

func TestBackupsAreTheOtherDevicesInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	authenticator, mailbox, phone := b.authenticatorOf(u), b.mailboxOf(u, "ana@example.com"), b.phoneOf(u, "+14155550123")
	app, second, third := b.appOf(u), b.phoneOf(u, "+14155550124"), b.phoneOf(u, "+14155550125")
	type step struct {
		device  api.Device
		channel verification.Channel
	}
	for name, test := range map[string]struct {
		order  []api.Device
		fields string
		first  api.Device
		steps  []step
		after  time.Duration
	}{
		"a code": {
			[]api.Device{phone},
			`"backups":{"after":30}`, phone,
			[]step{{mailbox, verification.Email}, {app, verification.Push}, {second, verification.SMS}},
			30 * time.Second,
		},
		"an approval, which no mailbox carries": {
			[]api.Device{app},
			`"backups":{"after":20}`, app,
			[]step{{phone, verification.SMS}, {second, verification.SMS}, {third, verification.SMS}},
			20 * time.Second,
		},
		"a channel that is not of the first": {
			[]api.Device{phone, mailbox},
			`"channel":"email","challenge":"link","backups":{"after":30}`, mailbox,
			[]step{{phone, verification.SMS}, {second, verification.SMS}, {third, verification.SMS}},
			30 * time.Second,
		},
		"as many as have their time": {
			[]api.Device{phone},
			`"expires_in":60,"backups":{"after":25}`, phone,
			[]step{{mailbox, verification.Email}, {app, verification.Push}},
			25 * time.Second,
		},
	} {
		b.order(u, test.order...)
		v, _ := b.create(`{"user_id":"` + u.ID + `",` + test.fields + `}`)
		require.Equal(t, test.first.ID, v.DeviceID, name)
		a := b.store.activation(v.ID)
		require.Len(t, a.Verification.Fallback, len(test.steps), name)
		require.Len(t, a.Roads, len(test.steps), name)
		for i, want := range test.steps {
			got, kept := a.Verification.Fallback[i], b.store.devices[b.place(want.device)]
			require.Equal(t, verification.Step{
				Channel: want.channel, After: test.after, DeviceID: want.device.ID, ToMasked: device.Mask(kept.Kind, kept.Address),
			}, got, name)
			require.Equal(t, verification.Road{To: kept.Address, Platform: kept.Platform, PublicKey: kept.PublicKey}, a.Roads[i], name)
		}
	}
	alone := b.register(`{}`)
	b.mailboxOf(alone, "bob@example.com")
	v, _ := b.create(`{"user_id":"` + alone.ID + `","backups":{"after":30}}`)
	require.Empty(t, v.Fallback, "who has one device has no other")

	b.order(u, authenticator)
	p := b.post("/v1/verifications", `{"user_id":"`+u.ID+`","backups":{"after":30}}`).problem(t)
	require.Equal(t, "#/backups", p.Errors[0].Pointer)
	require.Contains(t, p.Detail, "authenticator app")
}

func TestAStepWithoutAnAddressGoesToTheFirstInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	b.phoneOf(u, "+14155550123")
	b.mailboxOf(u, "ana@example.com")
	second := b.mailboxOf(u, "ana@example.org")
	b.order(u, second)
	v, _ := b.create(`{"user_id":"` + u.ID + `","channel":"sms","fallback":[{"channel":"email","after":30}]}`)
	require.Equal(t, "ana@example.org", b.store.activation(v.ID).Roads[0].To)
}

func TestANotificationGoesToTheFirstInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{}`)
	b.phoneOf(u, "+14155550123")
	mailbox, second := b.mailboxOf(u, "ana@example.com"), b.phoneOf(u, "+14155550124")
	for _, test := range []struct {
		order         []api.Device
		fields, masks string
	}{
		{nil, ``, "+1••••••0123"},
		{[]api.Device{mailbox}, ``, "a•••@example.com"},
		{[]api.Device{second, mailbox}, ``, "+1••••••0124"},
		{[]api.Device{mailbox, second}, `,"channel":"sms"`, "+1••••••0124"},
	} {
		b.order(u, test.order...)
		require.Equal(t, test.masks, b.notify(`{"user_id":"`+u.ID+`","text":"x"`+test.fields+`}`).To)
	}
}

func TestUsersWhoCannotBeAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nobody, foreign := b.register(`{}`), "019aa5bf-11aa-7b6e-9d3c-2e4f60718293"
	u := b.register(`{}`)
	b.mailboxOf(u, "ana@example.com")
	locked := b.register(`{}`)
	b.phoneOf(locked, "+14155550123")
	b.store.users[2].Locked = true
	user := func(id, fields string) string { return `{"user_id":"` + id + `"` + fields + `}` }
	for name, test := range map[string]struct{ body, pointer, detail string }{
		"unknown":                {user(foreign, ``), "#/user_id", "is not a registered user"},
		"no id at all":           {user("*", ``), "#/user_id", "is not a registered user"},
		"locked":                 {user(locked.ID, ``), "#/user_id", "is a user who is locked or disabled"},
		"without devices":        {user(nobody.ID, ``), "#/user_id", "has no device"},
		"without the channel":    {user(u.ID, `,"channel":"push"`), "#/user_id", "has no device for push"},
		"without the challenge":  {user(u.ID, `,"challenge":"approval"`), "#/user_id", "has no device that carries the challenge approval"},
		"a challenge it has not": {user(u.ID, `,"channel":"email","challenge":"approval"`), "#/challenge", "for the channel email"},
		"no channel":             {user(u.ID, `,"channel":"fax"`), "#/channel", "must be"},
		"no challenge":           {user(u.ID, `,"challenge":"riddle"`), "#/challenge", "must be"},
		"with an address":        {user(u.ID, `,"to":"ana@example.com","channel":"email"`), "#/user_id", "together"},
		"with a device":          {user(u.ID, `,"device_id":"x"`), "#/user_id", "together"},
		"backups at once":        {user(u.ID, `,"backups":{"after":0}`), "#/backups/after", "at least 1"},
		"backups after the end":  {user(u.ID, `,"expires_in":60,"backups":{"after":60}`), "#/backups/after", "less than"},
		"backups of no time":     {user(u.ID, `,"backups":{}`), "#/backups/after", "required"},
		"backups and fallback":   {user(u.ID, `,"backups":{"after":30},"fallback":[{"channel":"email","after":30}]`), "#/backups", "together with fallback"},
		"backups of an address":  {`{"to":"ana@example.com","channel":"email","backups":{"after":30}}`, "#/backups", "user_id only"},
	} {
		p := b.post("/v1/verifications", test.body).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, name)
		require.Len(t, p.Errors, 1, "%s: %v", name, p.Errors)
		require.Equal(t, test.pointer, p.Errors[0].Pointer, name)
		require.Contains(t, p.Errors[0].Detail, test.detail, name)
	}
	require.Zero(t, b.store.count())
}
