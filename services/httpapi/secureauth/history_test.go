package secureauth_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (a answer) accesses() []map[string]any {
	a.t.Helper()
	var body struct {
		AccessHistories []map[string]any
	}
	a.json(&body)
	return body.AccessHistories
}

func TestASuccessResetsTheThrottlesAndStandsInTheHistory(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	throttle := func() any { return c.get("/api/v1/users/" + u.Username + "/throttle").object()["count"] }
	for _, kind := range []string{"sa_attempts", "sa_validations"} {
		_, err := h.counts.Add(t.Context(), kind, shop+"/"+u.ID, 5, time.Minute)
		require.NoError(t, err)
	}
	for _, word := range []string{"aborted", "cancelled", "wrong"} {
		c.post("/api/v2/authenticated", object{"user_id": u.Username, "authenticated": word}).says(http.StatusOK, "valid", "Request has been processed.")
	}
	require.InDelta(t, 1, throttle(), 0, "only a success counts")
	c.post("/api/v2/authenticated", object{"user_id": u.Username, "authenticated": "success", "authregmethod": "EMAIL"}).
		golden("users", "authenticated").says(http.StatusOK, "valid", "Request has been processed.")
	require.InDelta(t, 0, throttle(), 0)
	require.InDelta(t, 0, c.get("/api/v1/users/" + u.Username + "/otpvalidatethrottle").object()["count"], 0)
	states := []any{}
	for _, a := range c.get("/api/v1/users/" + u.Username).accesses() {
		require.Len(t, a, 4)
		states = append(states, a["authState"])
	}
	require.Equal(t, []any{"Success", "Wrong", "Cancelled", "Aborted"}, states, "the newest first")
}

func TestTheHistoryForgetsTheOldest(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for n := range 22 {
		c.post("/api/v1/accesshistory", object{"user_id": u.Username, "ip_address": fmt.Sprint("192.0.2.", n)}).
			golden("users", "accesshistory").says(http.StatusOK, "valid", "Access History request has been processed.")
	}
	list := c.get("/api/v1/users/" + u.Username).accesses()
	require.Len(t, list, 20)
	require.Equal(t, "192.0.2.21", list[0]["ipAddress"])
	require.Equal(t, "192.0.2.2", list[19]["ipAddress"])
}

func TestBadHistoryIsNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for _, x := range []struct {
		path, says string
		body       object
	}{
		{"/api/v1/accesshistory", "user_id is required", object{"ip_address": "192.0.2.1"}},
		{"/api/v1/accesshistory", "ip_address is required", object{"user_id": u.Username}},
		{"/api/v1/accesshistory", "ip_address must be an IP address", object{"user_id": u.Username, "ip_address": "here"}},
		{"/api/v1/accesshistory", "ip_address must be an IP address", object{"user_id": u.Username, "ip_address": "fe80::1%<b>"}},
		{"/api/v2/authenticated", "user_id is required", object{"authenticated": "success"}},
		{"/api/v2/authenticated", "authenticated must be success, aborted, cancelled or wrong", object{"user_id": u.Username}},
		{"/api/v2/authenticated", "authenticated must be success, aborted, cancelled or wrong", object{"user_id": u.Username, "authenticated": "yes"}},
	} {
		require.Contains(t, c.post(x.path, x.body).is(http.StatusBadRequest).text("message"), x.says)
	}
	c.post("/api/v1/accesshistory", object{"user_id": "nobody", "ip_address": "192.0.2.1"}).
		says(http.StatusNotFound, "not_found", "User Id was not found.")
	require.Equal(t, u.Revision, h.member(u.Username).Revision)
}
