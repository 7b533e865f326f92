package secureauth_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/password"
)

func TestAPasswordIsResetAndChanged(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	path := "/api/v2/users/" + u.Username
	right := func(password string) string {
		return c.post("/api/v1/auth", object{"user_id": u.Username, "type": "password", "token": password}).text("status")
	}
	c.post(path+"/resetpwd", object{"password": "first password"}).golden("users", "resetpwd").says(http.StatusOK, "success", "Password was reset")
	require.Equal(t, "valid", right("first password"))
	first := h.member(u.Username).PasswordChangedAt
	require.False(t, first.IsZero())

	h.clock.Forward(time.Second)
	c.post(path+"/changepwd", object{"currentPassword": "wrong password", "newPassword": "second password"}).golden("users", "changepwd_wrong").
		says(http.StatusOK, "invalid", "User Id or password is invalid.")
	require.Equal(t, first, h.member(u.Username).PasswordChangedAt)
	c.post(path+"/changepwd", object{"currentPassword": "first password", "newPassword": "second password"}).golden("users", "changepwd").
		says(http.StatusOK, "success", "Password was changed")
	require.Equal(t, "valid", right("second password"))
	require.Equal(t, "invalid", right("first password"))
	require.True(t, h.member(u.Username).PasswordChangedAt.After(first), "which ends the sessions of the other doors")

	// One SDK leaves out the last segment.
	c.post("/api/v2/users/DOM/"+u.Username, object{"currentPassword": "second password", "newPassword": "third password"}).
		says(http.StatusOK, "success", "Password was changed")
	require.Equal(t, "valid", right("third password"))
}

func TestBadPasswordsAreNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user(username("ana banana"))
	reset, change := "/api/v1/users/resetpwd?username=ana+banana", "/api/v1/users/changepwd?username=ana+banana"
	for _, x := range []struct {
		path, says string
		body       object
	}{
		{reset, "password is required", object{}},
		{reset, "password must have 8 to 256 characters", object{"password": "seven77"}},
		{reset, "password must not be the user id", object{"password": "ANA BANANA"}},
		{reset, "password must be a string", object{"password": true}},
		{change, "currentPassword is required", object{"newPassword": "long enough"}},
		{change, "newPassword is required", object{"currentPassword": "long enough"}},
		{change, "newPassword must be another", object{"currentPassword": "long enough", "newPassword": "long enough"}},
		{change, "newPassword must have 8 to 256 characters", object{"currentPassword": "long enough", "newPassword": "short"}},
	} {
		require.Contains(t, c.post(x.path, x.body).is(http.StatusBadRequest).text("message"), x.says)
	}
	require.Equal(t, u.Revision, h.member(u.Username).Revision)
}

func TestGuessesAtAPasswordAreBoundedAcrossProcesses(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	c.post("/api/v1/users/"+u.Username+"/resetpwd", object{"password": "first password"}).is(http.StatusOK)
	processes := []client{c, c.of(h.process())}
	guess := object{"currentPassword": "wrong password", "newPassword": "second password"}
	var last answer
	for n := 0; n < 50; n++ {
		last = processes[n%2].post("/api/v1/users/"+u.Username+"/changepwd", guess).is(http.StatusOK)
		require.Equal(t, "invalid", last.text("status"))
		if last.text("message") != "User Id or password is invalid." {
			break
		}
	}
	require.Contains(t, last.text("message"), "Too many wrong passwords")
	right := object{"currentPassword": "first password", "newPassword": "second password"}
	require.Equal(t, "invalid", c.post("/api/v1/users/"+u.Username+"/changepwd", right).text("status"), "nor is the right one compared")
}

func TestOnlyAnExpiredPasswordCanBeChangedByWhoIsKeptOut(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	path := "/api/v1/users/" + u.Username
	c.post(path+"/resetpwd", object{"password": "first password"}).is(http.StatusOK)
	change := object{"currentPassword": "first password", "newPassword": "second password"}
	c.post(path+"/status", object{"status": "lock"}).is(http.StatusOK)
	c.post(path+"/changepwd", change).says(http.StatusOK, "lock_out", "The user is locked out.")
	c.post(path+"/status", object{"status": "unlock"}).is(http.StatusOK)
	c.post(path+"/status", object{"status": "password_expired"}).is(http.StatusOK)
	require.Equal(t, "password_expired", c.get(path+"/status").text("status"))
	c.post(path+"/changepwd", change).says(http.StatusOK, "success", "Password was changed")
	require.Equal(t, "valid", c.get(path+"/status").text("status"))

	c.post(path+"/status", object{"status": "password_expired"}).is(http.StatusOK)
	now := h.member(u.Username)
	now.PasswordChangedAt = h.clock.Now().Add(time.Second)
	_, err := h.users.UpdateUser(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, "valid", c.get(path+"/status").text("status"), "another door has set a new one")
}

func TestStatusIsReadAndSet(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	path := "/api/v2/users/" + u.Username + "/status"
	c.get(path).golden("users", "status").says(http.StatusOK, "valid", "")
	for _, step := range []struct {
		word, status string
		locked       bool
	}{
		{"lock", "lock_out", true},
		{"unlock", "valid", false},
		{"Disable", "disabled", true},
		{"unlock", "disabled", true},
		{"lock", "disabled", true},
		{"enable", "lock_out", true},
		{"enable", "lock_out", true},
		{"disable", "disabled", true},
		{"unlock", "disabled", true},
		{"enable", "valid", false},
		{"account_expired", "account_expired", true},
		{"invalid_group", "invalid_group", true},
		{"enable", "valid", false},
	} {
		c.post(path, object{"status": step.word}).golden("users", "status_set").
			says(http.StatusOK, "success", "User Status update complete")
		require.Equal(t, step.status, c.get(path).is(http.StatusOK).text("status"), step.word)
		require.Equal(t, step.locked, h.member(u.Username).Barred(), "what the other doors see after %s", step.word)
	}
	c.post(path, object{"status": "disable"}).is(http.StatusOK)
	c.get(path).golden("users", "status_disabled")
	now := h.member(u.Username)
	require.False(t, now.Locked, "a lock is another thing")
	now.Disabled = false
	_, err := h.users.UpdateUser(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, "valid", c.get(path).text("status"), "another door has let them in")

	c.get("/api/v1/users/nobody/status").golden("users", "status_unknown").says(http.StatusNotFound, "not_found", "User Id was not found.")
	for _, body := range []any{object{"status": "delete"}, object{}, object{"status": nil}} {
		require.Contains(t, c.post(path, body).is(http.StatusBadRequest).text("message"), "status must be lock, unlock, enable or disable")
	}
	require.Contains(t, c.post(path, nil).is(http.StatusBadRequest).text("message"), "The body is missing")
}

func TestALockFromAnotherDoorIsSeen(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user(func(u *device.User) { u.Locked = true })
	require.Equal(t, "lock_out", c.get("/api/v1/users/"+u.Username+"/status").text("status"))
	c.post("/api/v1/users/"+u.Username+"/status", object{"status": "unlock"}).is(http.StatusOK)
	require.False(t, h.member(u.Username).Locked)
}

// jammed compares nothing while it is jammed.
type jammed struct {
	secureauth.Passwords
	jam atomic.Bool
}

func (j *jammed) Check(ctx context.Context, hash, word string) (bool, error) {
	if j.jam.Load() {
		return false, password.ErrBusy
	}
	return j.Passwords.Check(ctx, hash, word) //nolint:wrapcheck // the door knows it
}

func TestAGuessThatWasNotComparedIsGivenBack(t *testing.T) {
	t.Parallel()
	passwords := &jammed{}
	h := setup(t, func(c *secureauth.Config) { passwords.Passwords, c.Passwords = c.Passwords, passwords })
	c, u := h.client(), h.user()
	path := "/api/v1/users/" + u.Username
	c.post(path+"/resetpwd", object{"password": "correct horse"}).is(http.StatusOK)
	passwords.jam.Store(true)
	for range stream.GuessQuota {
		c.auth(u.Username, "password", given{"token": "correct horse"}).is(http.StatusServiceUnavailable)
		c.post(path+"/changepwd", object{"currentPassword": "correct horse", "newPassword": "battery staple"}).is(http.StatusServiceUnavailable)
	}
	passwords.jam.Store(false)
	c.auth(u.Username, "password", given{"token": "correct horse"}).says(http.StatusOK, "valid", "")
}
