package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func (b *bench) register(body string) api.User {
	b.t.Helper()
	a := b.post("/v1/users", body)
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "%s", a.body)
	var u api.User
	a.json(b.t, &u)
	require.Equal(b.t, "/v1/users/"+u.ID, a.Header.Get("Location"))
	return u
}

func TestAUserIsRegisteredReadAndRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{"external_id":"customer-4711","name":"Ana Müller"}`)
	var read api.User
	b.get("/v1/users/"+u.ID).json(t, &read)
	require.Equal(t, u, read)

	p := b.post("/v1/users", `{"external_id":"customer-4711"}`).problem(t)
	require.Equal(t, api.ProblemCodeUserExists, p.Code)
	require.Equal(t, http.StatusConflict, p.Status)

	remove := call{method: http.MethodDelete, path: "/v1/users/" + u.ID}
	foreign := remove
	foreign.client = other
	require.Equal(t, http.StatusNotFound, b.do(foreign).problem(t).Status)
	foreign.method = http.MethodGet
	require.Equal(t, http.StatusNotFound, b.do(foreign).problem(t).Status)
	require.Equal(t, http.StatusNoContent, b.do(remove).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(remove).problem(t).Status)
	require.Equal(t, http.StatusNotFound, b.get("/v1/users/"+u.ID).problem(t).Status)
}

func TestBadUsersAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, pointer := range map[string]string{
		`{"name":""}`:        "#/name",
		`{"name":"a\u0001"}`: "#/name",
		`{"name":"` + strings.Repeat("ü", 101) + `"}`:        "#/name",
		`{"external_id":"` + strings.Repeat("x", 129) + `"}`: "#/external_id",
		`{"external_id":7}`:   "#/external_id",
		`{"id":"chosen"}`:     "#/id",
		`{"name":["a","b"]}`:  "#/name",
		`{"name":{"a":"}]"}}`: "#/name",
	} {
		require.Equal(t, pointer, b.post("/v1/users", body).problem(t).Errors[0].Pointer, body)
	}
	require.Empty(t, b.store.users)
	b.register(`{"name":"` + strings.Repeat("ü", 100) + `"}`)
	b.register(` {} `)
}

func TestUsersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := map[string]bool{}
	for i := range 5 {
		want[b.register(`{"external_id":"u`+strconv.Itoa(i)+`"}`).ID] = true
	}
	got := map[string]bool{}
	path, pages := "/v1/users?limit=2", 0
	for path != "" {
		a := b.get(path)
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
		var page api.UserList
		a.json(t, &page)
		require.LessOrEqual(t, len(page.Data), 2)
		for _, u := range page.Data {
			got[u.ID] = true
		}
		path = ""
		if page.Next != nil {
			path = "/v1/users?limit=2&after=" + *page.Next
		}
		pages++
	}
	require.Equal(t, want, got)
	require.Equal(t, 3, pages)

	var all api.UserList
	b.get("/v1/users?limit=1000").json(t, &all)
	require.Len(t, all.Data, 5)
	require.Nil(t, all.Next)
	b.get("/v1/users").json(t, &all)
	require.Len(t, all.Data, 5)
	empty := b.do(call{method: http.MethodGet, path: "/v1/users", client: other})
	require.JSONEq(t, `{"data":[],"next":null}`, string(empty.body))
}

func TestAPageThatIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, limit := range []string{"0", "-1", "x", "1.5", "", "1e2"} {
		p := b.get("/v1/users?limit=" + limit).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status)
		require.Equal(t, "limit", p.Errors[0].Parameter)
	}
	for _, after := range []string{"", "!", "AA", strings.Repeat("QUFB", 100)} {
		p := b.get("/v1/users?after=" + after).problem(t)
		require.Equal(t, api.ProblemCodeInvalidCursor, p.Code, after)
		require.Equal(t, http.StatusBadRequest, p.Status)
		require.Equal(t, "after", p.Errors[0].Parameter)
	}
}
