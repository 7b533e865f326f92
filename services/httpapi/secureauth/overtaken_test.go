package secureauth_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/secureauth"
)

// overtaken lets somebody else change the user first, so many times.
type overtaken struct {
	secureauth.Users

	times  int
	change func(*device.User)
}

func (o *overtaken) UpdateUser(ctx context.Context, u device.User) (device.User, error) {
	if o.times > 0 {
		o.times--
		now, err := o.UserByLogin(ctx, u.Credential, u.Username)
		if err != nil {
			return u, err
		}
		o.change(&now)
		if _, err := o.Users.UpdateUser(ctx, now); err != nil {
			return u, err
		}
	}
	return o.Users.UpdateUser(ctx, u)
}

// overtakes is a process whose changes somebody else is faster than.
func (h *house) overtakes(times int, change func(*device.User)) *house {
	h.t.Helper()
	return h.process(func(c *secureauth.Config) { c.Users = &overtaken{c.Users, times, change} })
}

func TestAChangeThatWasOvertakenIsMadeAgain(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	c := h.client().of(h.overtakes(2, func(u *device.User) { u.GivenName += "!" }))
	c.put("/api/v1/users/"+u.Username, object{"properties": object{"auxId1": "x"}}).is(http.StatusOK)
	a := c.get("/api/v1/users/" + u.Username)
	require.Equal(t, "Ana!!", a.property("firstName")["value"])
	require.Equal(t, "x", a.property("auxId1")["value"])
}

func TestAChangeThatIsAlwaysOvertakenIsGivenUp(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	c := h.client().of(h.overtakes(100, func(u *device.User) { u.GivenName += "!" }))
	a := c.put("/api/v1/users/"+u.Username, object{"properties": object{"auxId1": "x"}}).is(http.StatusConflict)
	require.Equal(t, "failed", a.text("status"))
	require.Empty(t, c.get("/api/v1/users/" + u.Username).property("auxId1")["value"])
}

func TestAUserWhoseNameChangesHandsIsNotMistaken(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	c := h.client().of(h.overtakes(1, func(u *device.User) { u.Username = "renamed" }))
	c.put("/api/v1/users/"+u.Username, object{"properties": object{"auxId1": "x"}}).is(http.StatusNotFound)
	require.Empty(t, c.get("/api/v1/users/renamed").property("auxId1")["value"])
}

func TestAPasswordThatIsReplacedMeanwhileIsNotEnoughToChangeIt(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u, c := h.user(), h.client()
	path := "/api/v1/users/" + u.Username
	c.post(path+"/resetpwd", object{"password": "first password"}).is(http.StatusOK)
	hash, err := h.passwords.Hash(t.Context(), "another password")
	require.NoError(t, err)
	late := c.of(h.overtakes(1, func(u *device.User) { u.Password = hash }))
	late.post(path+"/changepwd", object{"currentPassword": "first password", "newPassword": "second password"}).
		says(http.StatusOK, "invalid", "User Id or password is invalid.")
	require.Equal(t, hash, h.member(u.Username).Password)
}
