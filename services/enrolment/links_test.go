package enrolment_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// linked are links on the stores of a desk.
func linked(d *desk) *enrolment.Links {
	return &enrolment.Links{Tickets: d.Tickets.(enrolment.LinkTickets), Devices: d.users, Now: d.Now}
}

func TestATokenFindsItsLinkUntilItEnds(t *testing.T) {
	t.Parallel()
	d := open(t)
	links, u := linked(d), d.user()
	l := links.Draw(enrolment.Link{Account: "shop", Client: "app", UserID: u.ID, Kinds: []device.Kind{device.TOTP}, Brand: "Shop"}, time.Minute)
	_, err := links.Open(t.Context(), "shop", l.ID)
	require.ErrorIs(t, err, verification.ErrNotFound, "it was only drawn")
	token, err := links.Make(t.Context(), l)
	require.NoError(t, err)
	require.Equal(t, "REDACTED", token.String())
	found, err := links.Find(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, l, found)
	_, err = links.Open(t.Context(), "other", l.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)

	d.pass(time.Minute)
	found, err = links.Find(t.Context(), token)
	require.ErrorIs(t, err, enrolment.ErrExpired)
	require.Equal(t, "Shop", found.Brand)
	_, err = links.Open(t.Context(), "shop", l.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	d.pass(24 * time.Hour)
	_, err = links.Find(t.Context(), token)
	require.ErrorIs(t, err, verification.ErrNotFound)
	for _, none := range []string{"", "x", strings.Repeat("A", 43)} {
		_, err := links.Find(t.Context(), verification.Token(none))
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}

func TestAWithdrawnLinkTakesWhatIsUnfinishedWithIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	links, u := linked(d), d.user()
	l := links.Draw(enrolment.Link{Account: "shop", UserID: u.ID}, time.Hour)
	token, err := links.Make(t.Context(), l)
	require.NoError(t, err)
	begin := func(f device.Factor, link string) enrolment.Enrolment {
		e, err := d.Begin(t.Context(), enrolment.Request{User: u, Factor: f, Link: link, Life: 5 * time.Minute})
		require.NoError(t, err)
		require.Equal(t, link, e.Device.Pending.Link)
		return e
	}
	done, push, others := begin(device.AppCode, l.ID), begin(device.AppPush, l.ID), begin(device.AppCode, "")
	proved, err := d.Prove(t.Context(), "shop", done.Device.ID, verification.Code(device.OneTimeCode(done.Device.Secret, d.Now())))
	require.NoError(t, err)
	require.Equal(t, enrolment.Accepted, proved.State)

	require.NoError(t, links.Withdraw(t.Context(), l))
	_, err = links.Find(t.Context(), token)
	require.ErrorIs(t, err, enrolment.ErrWithdrawn)
	_, err = d.Join(t.Context(), push.JoinCode, app("key"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	for _, e := range []enrolment.Enrolment{done, others} {
		_, err := d.users.Device(t.Context(), "shop", e.Device.ID)
		require.NoError(t, err, "what counts stays, and so does what a client enrols")
	}
	gone := links.Draw(enrolment.Link{Account: "shop", UserID: uuid.NewString()}, time.Hour)
	require.NoError(t, links.Withdraw(t.Context(), gone), "its user is gone")
}

func TestNothingIsAddedThatTheLogCannotTake(t *testing.T) {
	t.Parallel()
	d := open(t)
	u := d.user()
	var told []string
	full := errors.New("full")
	d.Adding = func(_ context.Context, added device.Device) error {
		told = append(told, added.Pending.Link)
		return full
	}
	e, err := d.Begin(t.Context(), enrolment.Request{User: u, Factor: device.AppCode, Link: "link", Life: time.Minute})
	require.NoError(t, err)
	code := verification.Code(device.OneTimeCode(e.Device.Secret, d.Now()))
	_, err = d.Prove(t.Context(), "shop", e.Device.ID, code)
	require.ErrorIs(t, err, full)
	stored, err := d.users.Device(t.Context(), "shop", e.Device.ID)
	require.NoError(t, err)
	require.False(t, stored.Active())

	byClient, err := d.Begin(t.Context(), enrolment.Request{User: u, Factor: device.AppCode, Life: time.Minute})
	require.NoError(t, err)
	_, err = d.Prove(t.Context(), "shop", byClient.Device.ID, verification.Code(device.OneTimeCode(byClient.Device.Secret, d.Now())))
	require.NoError(t, err)
	require.Equal(t, []string{"link"}, told, "who enrols through a client is not the person")
}

func TestOneDeviceAtMostCountsWithoutAProofAndNoneOnceItsLinkHasEnded(t *testing.T) {
	t.Parallel()
	d := open(t)
	links := linked(d)
	d.Admit = links.Admit
	begin := func(u device.User, l enrolment.Link, by string) enrolment.Enrolment {
		e, err := d.Begin(t.Context(), enrolment.Request{User: u, Factor: device.AppPush, Link: l.ID, ProvedBy: by, Life: 5 * time.Minute})
		require.NoError(t, err)
		return e
	}
	invite := func() (device.User, enrolment.Link) {
		u := d.user()
		l := links.Draw(enrolment.Link{Account: "shop", UserID: u.ID}, time.Minute)
		_, err := links.Make(t.Context(), l)
		require.NoError(t, err)
		return u, l
	}
	u, l := invite()
	var several []enrolment.Enrolment
	for range 5 {
		several = append(several, begin(u, l, ""))
	}
	proved := begin(u, l, enrolment.ByCode)
	errs := make([]error, len(several))
	var all sync.WaitGroup
	for i, e := range several {
		all.Go(func() { _, errs[i] = d.Join(t.Context(), e.JoinCode, app("key"+e.Device.ID)) })
	}
	all.Wait()
	joined := 0
	for _, err := range errs {
		if err == nil {
			joined++
			continue
		}
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
	require.Equal(t, 1, joined)
	_, err := d.Join(t.Context(), proved.JoinCode, app("proved"))
	require.NoError(t, err)

	u, l = invite()
	late := begin(u, l, enrolment.ByCode)
	d.pass(time.Minute)
	_, err = d.Join(t.Context(), late.JoinCode, app("late"))
	require.ErrorIs(t, err, verification.ErrNotFound)

	// Who removed their last device adds one in its place, and what proved somebody must count still.
	u, l = invite()
	first := begin(u, l, "")
	_, err = d.Join(t.Context(), first.JoinCode, app("first"))
	require.NoError(t, err)
	proved = begin(u, l, first.Device.ID)
	require.NoError(t, d.users.DeleteDevice(t.Context(), "shop", first.Device.ID))
	_, err = d.Join(t.Context(), proved.JoinCode, app("proved by what is gone"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = d.Join(t.Context(), begin(u, l, "").JoinCode, app("without a proof"))
	require.ErrorIs(t, err, verification.ErrNotFound, "the link is guarded for good")
	one, two := begin(u, l, enrolment.ByLast), begin(u, l, enrolment.ByLast)
	_, err = d.Join(t.Context(), one.JoinCode, app("one"))
	require.NoError(t, err)
	_, err = d.Join(t.Context(), two.JoinCode, app("two"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = d.Join(t.Context(), begin(u, l, one.Device.ID).JoinCode, app("three"))
	require.NoError(t, err)

	done, err := d.users.Device(t.Context(), "shop", one.Device.ID)
	require.NoError(t, err)
	require.ErrorIs(t, d.Drop(t.Context(), done), enrolment.ErrActive, "what counts is not dropped")
	_, err = d.users.Device(t.Context(), "shop", one.Device.ID)
	require.NoError(t, err)
}
