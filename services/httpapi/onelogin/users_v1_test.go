package onelogin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersion1WrapsUsersInItsEnvelope(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	made := c.post("/api/1/users", map[string]any{
		"username": "ana", "email": "ana@example.com", "firstname": "Ana", "openid_name": "ana.lima", "locale_code": "pt", "role_id": []int{5},
		"password": "correct horse", "password_confirmation": "correct horse",
	}).is(http.StatusOK)
	require.Equal(t, map[string]any{"error": false, "code": 200.0, "type": "success", "message": "Success"}, made.object()["status"])
	u := made.data()
	require.Equal(t, "ana.lima", u["openid_name"])
	require.Equal(t, "pt", u["locale_code"])
	require.Equal(t, []any{5.0}, u["role_id"])
	require.NotContains(t, u, "role_ids")
	path := fmt.Sprintf("/api/1/users/%.0f", u["id"])
	require.Equal(t, u, c.get(path).is(http.StatusOK).data())
	require.Equal(t, "Lima", c.put(path, map[string]any{"lastname": "Lima"}).is(http.StatusOK).data()["lastname"])

	require.Contains(t, c.post("/api/1/users", map[string]any{"username": "ANA"}).refusedV1(http.StatusBadRequest), "username")
	require.Contains(t, c.put(path, map[string]any{"phone": "x"}).refusedV1(http.StatusBadRequest), "phone")
	require.Contains(t, c.get("/api/1/users?since=never").refusedV1(http.StatusBadRequest), "since must be")
	require.NotContains(t, c.get("/api/1/users?until=never").refusedV1(http.StatusBadRequest), "created", "a name that the client did not send")

	setting := "/api/1/users/set_password_clear_text/"
	id := strings.TrimPrefix(path, "/api/1/users/")
	c.put(setting+id, map[string]any{"password": "battery staple", "password_confirmation": "battery staple", "validate_policy": true, "firstname": "No"}).is(http.StatusOK)
	require.Equal(t, "Ana", c.get(path).data()["firstname"], "the call changes passwords only")
	require.Contains(t, c.put(setting+id, map[string]any{}).refusedV1(http.StatusBadRequest), "password")
	require.Contains(t, c.put(setting+id, map[string]any{"password": "battery staple"}).refusedV1(http.StatusBadRequest), "password_confirmation")
	require.Equal(t, "User for id 7 was not found", c.put(setting+"7", map[string]any{"password": "battery staple", "password_confirmation": "battery staple"}).refusedV1(http.StatusNotFound))
	require.Contains(t, c.put("/api/1/users/set_password_using_salt/"+id, map[string]any{"password": "x"}).refusedV1(http.StatusBadRequest), "not supported")

	require.Equal(t, map[string]any{"status": made.object()["status"]}, c.delete(path).is(http.StatusOK).object())
	require.Equal(t, "User for id "+id+" was not found", c.get(path).refusedV1(http.StatusNotFound))
}

func TestVersion1ListsUsersWithLinksToTheNextPage(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	var want []string
	for range 5 {
		want = append(want, h.user().Username)
	}
	type list struct {
		Status     struct{ Type string }
		Pagination struct {
			BeforeCursor *string `json:"before_cursor"`
			AfterCursor  *string `json:"after_cursor"`
			PreviousLink *string `json:"previous_link"`
			NextLink     *string `json:"next_link"`
		}
		Data []map[string]any
	}
	page := func(path string) (list, []string) {
		var l list
		c.get(path).is(http.StatusOK).json(&l)
		require.Equal(t, "success", l.Status.Type)
		var names []string
		for _, u := range l.Data {
			names = append(names, u["username"].(string))
		}
		return l, names
	}
	l, names := page("/api/1/users?limit=2&firstname=")
	require.Equal(t, want[:2], names)
	require.Nil(t, l.Pagination.BeforeCursor)
	require.Nil(t, l.Pagination.PreviousLink)
	next, err := url.Parse(*l.Pagination.NextLink)
	require.NoError(t, err)
	require.Equal(t, "https://assent.example", next.Scheme+"://"+next.Host)
	require.Equal(t, *l.Pagination.AfterCursor, next.Query().Get("after_cursor"))
	l, names = page(next.RequestURI())
	require.Equal(t, want[2:4], names)
	require.Contains(t, *l.Pagination.PreviousLink, "before_cursor="+*l.Pagination.BeforeCursor)
	_, names = page("/api/1/users?before_cursor=" + *l.Pagination.BeforeCursor)
	require.Equal(t, want[:2], names)
	l, names = page("/api/1/users?after_cursor=" + *l.Pagination.AfterCursor)
	require.Equal(t, want[4:], names)
	require.Nil(t, l.Pagination.NextLink)

	_, names = page("/api/1/users?email=!" + want[0] + "@example.com")
	require.Equal(t, want[1:], names)
	_, names = page("/api/1/users?username=" + want[3])
	require.Equal(t, want[3:4], names)
	_, names = page("/api/1/users?since=2099-01-01T00:00:00Z")
	require.Empty(t, names)
	_, names = page("/api/1/users?until=2099-01-01T00:00:00Z&search=x")
	require.Equal(t, want, names)
	l, _ = page("/api/1/users?fields=username&limit=1")
	require.Len(t, l.Data[0], 2, "the id is always there")
	_, names = page(fmt.Sprintf("/api/1/users?id=%.0f", l.Data[0]["id"]))
	require.Equal(t, want[:1], names)
}
