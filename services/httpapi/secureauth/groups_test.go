package secureauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsersJoinGroupsInAllFourWays(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, one, two := h.client(), h.user(), h.user()
	groups := func(name string) []any { return c.get("/api/v1/users/" + name).object()["groups"].([]any) }

	c.post("/api/v1/users/"+one.Username+"/groups/Sales%20Team", nil).golden("groups", "user_group").says(http.StatusOK, "success", "")
	c.post("/api/v1/users/"+one.Username+"/groups", object{"groupNames": []string{"CN=A,OU=B/C", "sales team"}}).
		golden("groups", "user_groups").only("status", "message")
	c.post("/api/v1/groups/staff/users", object{"userIds": []string{one.Username, two.Username, "nobody"}}).golden("groups", "group_users")
	c.post("/api/v1/groups/remote/users/"+two.Username, "{}").says(http.StatusOK, "success", "").only("status", "message")
	c.post("/api/v1/groups/far/users/DOM/"+two.Username, nil).is(http.StatusOK)
	c.post("/api/v1/users/DOM/"+two.Username+"/groups/near", nil).is(http.StatusOK)
	c.post("/api/v1/users/DOM/"+two.Username+"/groups", object{"groupNames": []string{"here"}}).is(http.StatusOK)
	require.Equal(t, []any{"Sales Team", "CN=A,OU=B/C", "staff"}, groups(one.Username), "nobody is in a group twice")
	require.Equal(t, []any{"staff", "remote", "far", "near", "here"}, groups(two.Username))
}

func TestAGroupMayHaveTheNameOfACall(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	names := []any{"status", "resetpwd", "changepwd", "groups"}
	for _, name := range names {
		c.post("/api/v1/users/"+u.Username+"/groups/"+name.(string), nil).says(http.StatusOK, "success", "")
	}
	require.Equal(t, names, c.get("/api/v1/users/" + u.Username).object()["groups"])
}

func TestWhatCannotJoinIsNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	path := "/api/v1/users/" + u.Username + "/groups"
	long := strings.Repeat("g", 256)
	a := c.post(path, object{"groupNames": []string{"", long, "a\u202eb", "good"}}).says(http.StatusOK, "success", "3 of 4 could not be added.")
	require.Len(t, a.object()["failures"], 3)
	require.Equal(t, []any{"The group's name must not be empty."}, a.object()["failures"].(map[string]any)[""])
	c.post(path, object{"groupNames": []string{long}}).says(http.StatusOK, "failed", "None could be added.")
	c.post("/api/v1/groups/good/users", object{"userIds": []string{"nobody"}}).golden("groups", "group_users_none")
	for body, says := range map[string]string{
		``:                   "The body is missing",
		`{}`:                 "groupNames must be a list of 1 to 100 names",
		`{"groupNames":"x"}`: "groupNames must be a list",
		`{"groupNames":[1]}`: "groupNames must be",
		`{"groupNames":` + "[" + strings.TrimSuffix(strings.Repeat(`"g",`, 101), ",") + "]}": "groupNames must be a list of 1 to 100 names",
	} {
		require.Contains(t, c.post(path, body).is(http.StatusBadRequest).text("message"), says, body)
	}
	require.Contains(t, c.post("/api/v1/groups/good/users", "{}").is(http.StatusBadRequest).text("message"), "userIds must be a list")
	require.Contains(t, c.post(path+"/"+long, nil).is(http.StatusBadRequest).text("message"), "the group's name must be at most 255 characters")
	c.post("/api/v1/users/nobody/groups/good", nil).says(http.StatusNotFound, "not_found", "User Id was not found.")
	c.post("/api/v1/groups/good/users/nobody", nil).says(http.StatusNotFound, "not_found", "User Id was not found.")
}

func TestAUserIsInAtMostTwoHundredGroups(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for start := range 2 {
		names := make([]string, 100)
		for n := range names {
			names[n] = fmt.Sprint("group ", start, n)
		}
		c.post("/api/v1/users/"+u.Username+"/groups", object{"groupNames": names}).says(http.StatusOK, "success", "")
	}
	c.post("/api/v1/users/"+u.Username+"/groups/more", nil).says(http.StatusBadRequest, "failed", "The user is in 200 groups already.")
	a := c.post("/api/v1/groups/more/users", object{"userIds": []string{u.Username}})
	require.Equal(t, []any{"The user is in 200 groups already."}, a.object()["failures"].(map[string]any)[u.Username])
}
