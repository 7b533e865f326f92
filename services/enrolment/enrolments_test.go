package enrolment_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

var errCut = errors.New("cut off")

// desk is enrolments on real stores, that can be cut off at either of their steps.
type desk struct {
	t *testing.T
	*enrolment.Enrolments
	users         *users
	verifications *verifications
	ahead         atomic.Int64
}

// users can be made to lose the step after a proof.
type users struct {
	*store.Users
	cut atomic.Bool
}

func (u *users) ActivateDevice(ctx context.Context, d device.Device) (device.Device, error) {
	if u.cut.Load() {
		return device.Device{}, errCut
	}
	return u.Users.ActivateDevice(ctx, d)
}

// verifications can be made to fail, and keep what is sent.
type verifications struct {
	*store.Verifications
	cut  atomic.Bool
	mu   sync.Mutex
	sent []verification.Activation
}

func (v *verifications) Create(ctx context.Context, a verification.Activation) (verification.Verification, bool, error) {
	if v.cut.Load() {
		return verification.Verification{}, false, errCut
	}
	v.mu.Lock()
	v.sent = append(v.sent, a)
	v.mu.Unlock()
	return v.Verifications.Create(ctx, a)
}

func (v *verifications) last() verification.Activation {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sent[len(v.sent)-1]
}

func open(t *testing.T) *desk {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)

	d := &desk{t: t, users: &users{}, verifications: &verifications{}}
	now := func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }
	guesses, err := store.NewGuesses(t.Context(), js, store.GuessesConfig{Keys: keys, Now: now})
	require.NoError(t, err)
	d.users.Users, err = store.NewUsers(t.Context(), js, store.UsersConfig{Keys: keys, Guesses: guesses, Now: now})
	require.NoError(t, err)
	tickets, err := store.NewTickets(t.Context(), js, store.TicketsConfig{Keys: keys, Now: now})
	require.NoError(t, err)
	d.verifications.Verifications, err = store.NewVerifications(t.Context(), js, store.Config{
		Keys: keys, Limits: store.Limits{SendQuota: stream.DefaultSendQuota, SendWindow: stream.DefaultSendWindow}, Now: now, Authenticators: d.users,
	})
	require.NoError(t, err)
	t.Cleanup(d.verifications.Close)
	d.Enrolments = &enrolment.Enrolments{Users: d.users, Verifications: d.verifications, Tickets: tickets, Now: now}
	return d
}

func (d *desk) pass(by time.Duration) { d.ahead.Add(int64(by)) }

func (d *desk) user() device.User {
	d.t.Helper()
	u, err := d.users.CreateUser(d.t.Context(), device.User{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: "shop", Username: "ana-" + uuid.NewString(),
		Email: uuid.NewString() + "@example.com", Phone: "+14155550100", CreatedAt: d.Now(),
	})
	require.NoError(d.t, err)
	return u
}

func (d *desk) begin(f device.Factor, change ...func(*enrolment.Request)) enrolment.Enrolment {
	d.t.Helper()
	r := enrolment.Request{User: d.user(), Factor: f, Name: "Work", Life: 2 * time.Minute, Brand: "Shop"}
	for _, c := range change {
		c(&r)
	}
	e, err := d.Begin(d.t.Context(), r)
	require.NoError(d.t, err)
	return e
}

func (d *desk) get(e enrolment.Enrolment) enrolment.Enrolment {
	d.t.Helper()
	got, err := d.Get(d.t.Context(), "shop", e.Device.ID)
	require.NoError(d.t, err)
	return got
}

func (d *desk) code() verification.Code { return d.verifications.last().Secrets.Code }

func TestAProofCountsThoughTheStepAfterItWasLost(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, finish := range map[string]func(enrolment.Enrolment) (enrolment.Enrolment, error){
		"the next look": func(e enrolment.Enrolment) (enrolment.Enrolment, error) {
			return d.Get(t.Context(), "shop", e.Device.ID)
		},
		"the same code again": func(e enrolment.Enrolment) (enrolment.Enrolment, error) {
			return d.Prove(t.Context(), "shop", e.Device.ID, d.code())
		},
	} {
		e := d.begin(device.SMSCode, func(r *enrolment.Request) { r.Address = "+1415555" + uuid.NewString()[:4] })
		d.users.cut.Store(true)
		_, err := d.Prove(t.Context(), "shop", e.Device.ID, d.code())
		require.ErrorIs(t, err, errCut)
		d.users.cut.Store(false)
		got, err := finish(e)
		require.NoError(t, err, name)
		require.Equal(t, enrolment.Accepted, got.State, name)
		stored, err := d.users.Device(t.Context(), "shop", e.Device.ID)
		require.NoError(t, err)
		require.True(t, stored.Active())
		_, err = d.Prove(t.Context(), "shop", e.Device.ID, d.code())
		require.ErrorIs(t, err, enrolment.ErrActive)
	}
}

func TestAMessageThatCannotBeSentLeavesNoDevice(t *testing.T) {
	t.Parallel()
	d := open(t)
	u := d.user()
	d.verifications.cut.Store(true)
	_, err := d.Begin(t.Context(), enrolment.Request{User: u, Factor: device.EmailCode, Life: time.Minute})
	require.ErrorIs(t, err, errCut)
	devices, err := d.users.Devices(t.Context(), "shop", u.ID)
	require.NoError(t, err)
	require.Empty(t, devices)
}

func TestADeviceWhoseMessageWasNeverStoredWaitsUntilItsEnd(t *testing.T) {
	t.Parallel()
	d := open(t)
	u := d.user()
	stored, err := d.users.CreateDevice(t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: "shop", Kind: device.Phone, Factor: device.SMSCode,
		Address: u.Phone, Pending: &device.Pending{VerificationID: uuid.NewString(), ExpiresAt: d.Now().Add(time.Minute)}, CreatedAt: d.Now(),
	})
	require.NoError(t, err)
	e := enrolment.Enrolment{Device: stored}
	require.Equal(t, enrolment.Pending, d.get(e).State)
	got, err := d.Prove(t.Context(), "shop", stored.ID, "123456")
	require.NoError(t, err)
	require.Equal(t, enrolment.Pending, got.State)
	d.pass(time.Minute)
	require.Equal(t, enrolment.Rejected, d.get(e).State)
}

func TestAskingAgainMakesTheEarlierMessageProveNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.SMSCode, func(r *enrolment.Request) { r.Quiet, r.Life = true, time.Hour })
	require.Empty(t, d.verifications.sent)
	require.Equal(t, enrolment.Pending, d.get(e).State)
	ask := func() enrolment.Enrolment {
		asked, err := d.Ask(t.Context(), "shop", e.Device.ID, enrolment.Message{Life: 2 * time.Minute, Alphanumeric: true})
		require.NoError(t, err)
		return asked
	}
	ask()
	first := d.code()
	ask()
	require.NotEqual(t, first.Reveal(), d.code().Reveal())
	got, err := d.Prove(t.Context(), "shop", e.Device.ID, first)
	require.NoError(t, err)
	require.Equal(t, enrolment.Pending, got.State)

	d.pass(2 * time.Minute)
	require.Equal(t, enrolment.Rejected, d.get(e).State, "the message has expired")
	ask() // but not the device
	got, err = d.Prove(t.Context(), "shop", e.Device.ID, d.code())
	require.NoError(t, err)
	require.Equal(t, enrolment.Accepted, got.State)
	_, err = d.Ask(t.Context(), "shop", e.Device.ID, enrolment.Message{})
	require.ErrorIs(t, err, enrolment.ErrActive)
}

func TestWhenAskingFailsTheMessageBeforeStillCounts(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.SMSCode)
	d.verifications.cut.Store(true)
	_, err := d.Ask(t.Context(), "shop", e.Device.ID, enrolment.Message{})
	require.ErrorIs(t, err, errCut)
	got, err := d.Prove(t.Context(), "shop", e.Device.ID, d.code())
	require.NoError(t, err)
	require.Equal(t, enrolment.Accepted, got.State)
}

func TestWhatTakesNoMessageIsNotAsked(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, f := range []device.Factor{device.AppPush, device.AppCode} {
		e := d.begin(f)
		_, err := d.Ask(t.Context(), "shop", e.Device.ID, enrolment.Message{})
		require.ErrorIs(t, err, enrolment.ErrFactor)
	}
	for _, f := range []device.Factor{device.VoiceMatch, device.EmailLink} {
		e := d.begin(f)
		_, err := d.Prove(t.Context(), "shop", e.Device.ID, "123456")
		require.ErrorIs(t, err, enrolment.ErrFactor)
	}
}

func TestWhatIsNoEnrolmentIsNotFound(t *testing.T) {
	t.Parallel()
	d := open(t)
	u := d.user()
	byAddress, err := d.users.CreateDevice(t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: "shop", Kind: device.Phone, Address: u.Phone, CreatedAt: d.Now(),
	})
	require.NoError(t, err)
	e := d.begin(device.SMSCode)
	for account, id := range map[string]string{"shop": byAddress.ID, "other": e.Device.ID, "": "", "none": "*"} {
		_, err := d.Get(t.Context(), account, id)
		require.ErrorIs(t, err, verification.ErrNotFound)
		_, err = d.Prove(t.Context(), account, id, "123456")
		require.ErrorIs(t, err, verification.ErrNotFound)
		_, err = d.Ask(t.Context(), account, id, enrolment.Message{})
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}

func TestARequestThatCannotBeMetSaysWhy(t *testing.T) {
	t.Parallel()
	d := open(t)
	u := d.user()
	locked, bare := u, u
	locked.Locked = true
	bare.Phone, bare.Email = "", ""
	var missing *enrolment.MissingError
	var wrong *verification.InvalidError
	for _, test := range []struct {
		request enrolment.Request
		is      error
		as      any
	}{
		{enrolment.Request{User: locked, Factor: device.SMSCode}, enrolment.ErrLocked, nil},
		{enrolment.Request{User: u, Factor: "smoke"}, enrolment.ErrFactor, nil},
		{enrolment.Request{User: u, Factor: device.AppCode, Proven: true}, enrolment.ErrFactor, nil},
		{enrolment.Request{User: u, Factor: device.AppPush, Proven: true}, enrolment.ErrFactor, nil},
		{enrolment.Request{User: bare, Factor: device.VoiceMatch}, nil, &missing},
		{enrolment.Request{User: bare, Factor: device.EmailLink, Proven: true}, nil, &missing},
		{enrolment.Request{User: u, Factor: device.SMSCode, Life: time.Hour}, nil, &wrong},
	} {
		_, err := d.Begin(t.Context(), test.request)
		if test.as != nil {
			require.ErrorAs(t, err, test.as)
			continue
		}
		require.ErrorIs(t, err, test.is)
	}
	require.Equal(t, "email", missing.Field)
	d.begin(device.EmailCode, func(r *enrolment.Request) { r.User, r.Proven = u, true })
	_, err := d.Begin(t.Context(), enrolment.Request{User: u, Factor: device.EmailCode, Address: strings.ToUpper(u.Email)})
	require.ErrorIs(t, err, enrolment.ErrEnrolled)
	d.begin(device.EmailLink, func(r *enrolment.Request) { r.User, r.Proven = u, true })
}

func app(key string) enrolment.Phone {
	return enrolment.Phone{Name: "Pixel", Platform: device.FCM, PushToken: "token", PublicKey: []byte(key)}
}

func TestAnActivationCodeIsReadHoweverItIsTyped(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.AppPush, func(r *enrolment.Request) { r.Name = "" })
	require.Len(t, strings.ReplaceAll(e.JoinCode, "-", ""), 16)
	typed := strings.NewReplacer("-", " ", "0", "o", "1", "l").Replace(strings.ToLower(e.JoinCode))
	j, err := d.Join(t.Context(), typed, app("key"))
	require.NoError(t, err)
	require.Equal(t, e.Device.ID, j.Device.ID)
	require.Equal(t, "Pixel", j.Device.Name)
	require.Equal(t, "Shop", j.Brand)
	require.True(t, strings.HasPrefix(j.User, "ana-"))
	require.Len(t, j.Secret, 32)
	stored, err := d.users.Device(t.Context(), "shop", e.Device.ID)
	require.NoError(t, err)
	require.True(t, stored.Active())
	require.Equal(t, "token", stored.Address)
	require.Equal(t, []byte("key"), stored.PublicKey)
	require.Equal(t, j.Secret, device.SecretText(stored.Secret))
	_, err = d.Join(t.Context(), e.JoinCode, app("another key"))
	require.ErrorIs(t, err, verification.ErrNotFound, "a code works for one phone")
}

func TestOfManyPhonesWithOneCodeOneJoins(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.AppPush)
	var joined atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := d.Join(t.Context(), e.JoinCode, app("key of phone "+string(rune('a'+i))))
			switch {
			case err == nil:
				joined.Add(1)
			case !errors.Is(err, verification.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, joined.Load())
}

func TestAWrongOrLateActivationCodeIsNotFound(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.AppPush)
	for _, code := range []string{"", "x", "0000-0000-0000-0000", e.JoinCode[1:], e.JoinCode + "0", strings.Repeat("*", 16)} {
		_, err := d.Join(t.Context(), code, app("key"))
		require.ErrorIs(t, err, verification.ErrNotFound, code)
	}
	d.pass(2 * time.Minute)
	_, err := d.Join(t.Context(), e.JoinCode, app("key"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.Equal(t, enrolment.Rejected, d.get(e).State)
}

func TestNoPhoneJoinsForWhoIsLocked(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.AppPush)
	owner, err := d.users.User(t.Context(), "shop", e.Device.UserID)
	require.NoError(t, err)
	owner.Disabled = true
	_, err = d.users.UpdateUser(t.Context(), owner)
	require.NoError(t, err)
	_, err = d.Join(t.Context(), e.JoinCode, app("key"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.Equal(t, enrolment.Pending, d.get(e).State)
}

func TestAPhoneWhoseAnswerWasLostJoinsAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.begin(device.AppPush)
	lost, err := d.Join(t.Context(), e.JoinCode, app("key"))
	require.NoError(t, err)
	repeated := func(key string) enrolment.Phone {
		p := app(key)
		p.MayRepeat = true
		return p
	}
	_, err = d.Join(t.Context(), e.JoinCode, repeated("another key"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = d.Join(t.Context(), e.JoinCode, app("key"))
	require.ErrorIs(t, err, verification.ErrNotFound, "a code works once for who does not say that it is a repetition")
	again, err := d.Join(t.Context(), e.JoinCode, repeated("key"))
	require.NoError(t, err)
	require.Equal(t, lost, again)
	require.NoError(t, d.users.DeleteDevice(t.Context(), "shop", e.Device.ID))
	_, err = d.Join(t.Context(), e.JoinCode, repeated("key"))
	require.ErrorIs(t, err, verification.ErrNotFound, "no code brings a removed phone back")
}

func TestEachFactorAsksInItsOwnWay(t *testing.T) {
	t.Parallel()
	d := open(t)
	m := enrolment.Message{
		Text: "own words {{otp_code}}", RedirectTo: "https://shop.example/", Life: time.Minute,
		Context: verification.Context{IP: "203.0.113.7"},
	}
	for factor, want := range map[device.Factor]struct {
		channel   verification.Channel
		challenge verification.Challenge
	}{
		device.SMSCode:    {verification.SMS, verification.CodeChallenge},
		device.VoiceMatch: {verification.Voice, verification.ApprovalChallenge},
		device.EmailCode:  {verification.Email, verification.CodeChallenge},
		device.EmailLink:  {verification.Email, verification.LinkChallenge},
		device.AppPush:    {verification.Push, verification.ApprovalChallenge},
		device.AppCode:    {verification.TOTP, verification.CodeChallenge},
	} {
		dev := device.Device{ID: "d", UserID: "u", Credential: "shop", Kind: factor.Kind(), Factor: factor, Address: "to", Platform: "", PublicKey: []byte("k")}
		a, err := enrolment.Question(dev, uuid.NewString(), m, d.Now(), zeros{})
		require.NoError(t, err)
		require.Equal(t, want.channel, a.Verification.Channel)
		require.Equal(t, want.challenge, a.Verification.Challenge)
		require.Equal(t, "203.0.113.7", a.Verification.Context.IP)
		require.Equal(t, factor == device.SMSCode, a.Text != "")
		require.Equal(t, factor == device.EmailLink, a.RedirectTo != "")
		require.Equal(t, factor == device.AppPush, a.PublicKey != nil)
		if factor == device.VoiceMatch {
			require.Equal(t, "000000", a.Secrets.Number.Reveal())
			require.Equal(t, 1, a.Verification.MaxChecks)
		}
	}
	_, err := enrolment.Question(device.Device{}, uuid.NewString(), m, d.Now(), zeros{})
	require.ErrorIs(t, err, enrolment.ErrFactor)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTheClientThatAsksIsKnown(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.begin(device.SMSCode, func(r *enrolment.Request) { r.Client = "web" })
	require.Equal(t, "web", d.verifications.last().Client)
	e := d.begin(device.EmailCode, func(r *enrolment.Request) { r.Quiet = true })
	_, err := d.Ask(t.Context(), "shop", e.Device.ID, enrolment.Message{Client: "app"})
	require.NoError(t, err)
	require.Equal(t, "app", d.verifications.last().Client)
}

func TestACodeTellsForADayHowItEnded(t *testing.T) {
	t.Parallel()
	d := open(t)
	used, unused := d.begin(device.AppPush), d.begin(device.AppPush)
	_, err := d.Join(t.Context(), used.JoinCode, app("key"))
	require.NoError(t, err)
	ended := func(code string, p enrolment.Phone) *enrolment.EndedError {
		t.Helper()
		_, err := d.Join(t.Context(), code, p)
		var e *enrolment.EndedError
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, verification.ErrNotFound)
		require.Equal(t, "Shop", e.Brand)
		return e
	}
	require.True(t, ended(used.JoinCode, other("another")).Used)
	d.pass(3 * time.Minute)
	again := app("key")
	again.MayRepeat = true
	require.True(t, ended(used.JoinCode, again).Used, "after its end nothing is repeated")
	require.Equal(t, unused.ExpiresAt.UTC(), ended(unused.JoinCode, app("key")).ExpiredAt.UTC())
	d.pass(time.Hour) // the device that waited for it has left
	require.False(t, ended(unused.JoinCode, app("key")).Used)
	d.pass(24 * time.Hour)
	for _, e := range []enrolment.Enrolment{used, unused} {
		_, err := d.Join(t.Context(), e.JoinCode, app("key"))
		require.ErrorIs(t, err, verification.ErrNotFound)
		require.NotErrorAs(t, err, new(*enrolment.EndedError))
	}
}

func TestAPageJoinsWithoutASubscriptionAndGetsOneLater(t *testing.T) {
	t.Parallel()
	d := open(t)
	page := enrolment.Phone{Name: "Firefox", Platform: device.WebPush, PublicKey: []byte("key"), MayRepeat: true}
	code := d.begin(device.AppPush).JoinCode
	j, err := d.Join(t.Context(), code, page)
	require.NoError(t, err)
	require.Equal(t, "page:"+j.Device.ID, j.Device.Address)
	again, err := d.Join(t.Context(), code, page)
	require.NoError(t, err)
	require.Equal(t, j, again)
	for _, step := range []struct{ token, want string }{{"subscription", "subscription"}, {"", "page:" + j.Device.ID}} {
		d.pass(time.Second)
		require.NoError(t, d.ChangeToken(t.Context(), j.Device, step.token, d.Now()))
		stored, err := d.users.DeviceByID(t.Context(), j.Device.ID)
		require.NoError(t, err)
		require.Equal(t, step.want, stored.Address)
	}
}
