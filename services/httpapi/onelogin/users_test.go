package onelogin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
)

// fields checks the body of a 422 of users and returns the fields that it names.
func (a answer) fields() []string {
	a.t.Helper()
	var body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Errors  []struct {
			Field   string   `json:"field"`
			Message []string `json:"message"`
		} `json:"errors"`
	}
	a.is(http.StatusUnprocessableEntity).json(&body)
	require.Equal(a.t, http.StatusUnprocessableEntity, body.Code)
	require.Equal(a.t, "Validation Failed", body.Message)
	var fields []string
	for _, e := range body.Errors {
		require.Len(a.t, e.Message, 1)
		require.NotEmpty(a.t, e.Message[0])
		fields = append(fields, e.Field)
	}
	return fields
}

func userPath(id any) string { return fmt.Sprintf("/api/2/users/%.0f", id) }

// usernames are those of a list, in its order.
func TestAUserIsMadeReadChangedAndRemoved(t *testing.T) {
	t.Parallel()
	c := setup(t).client()
	made := c.post("/api/2/users?mappings=sync&validate_policy=true", map[string]any{
		"username": "ana", "email": "Ana@Example.COM", "firstname": "Ana", "lastname": "Lima", "phone": "+1 (415) 555-0100",
		"title": "Engineer", "department": "Doors", "company": "Example", "comment": "two\nlines", "group_id": 7, "role_ids": []int{1, 2},
		"directory_id": "12", "external_id": "e-1", "samaccountname": "alima", "userprincipalname": "alima@corp", "distinguished_name": "CN=Ana",
		"member_of": "CN=Staff", "manager_ad_id": 3, "manager_user_id": 4, "trusted_idp_id": 5, "preferred_locale_code": "pt",
		"openid_name": "ana", "custom_attributes": map[string]any{"shoe": "42", "size": 1.50, "vip": true}, "unknown": map[string]any{"a": 1},
		"state": 1, "created_at": "0001-01-01T00:00:00Z", "last_login": "0001-01-01T00:00:00Z",
		"password": "correct horse", "password_confirmation": "correct horse",
	}).is(http.StatusCreated)
	require.NotContains(t, string(made.body), "correct horse")
	require.NotContains(t, string(made.body), "argon2")
	u := made.object()
	id := u["id"].(float64)
	require.Positive(t, id)
	require.Equal(t, userPath(id), made.header.Get("Location"))

	read := c.get(userPath(id)).is(http.StatusOK).object()
	require.Equal(t, u, read)
	for name, want := range map[string]any{
		"username": "ana", "email": "Ana@example.com", "firstname": "Ana", "lastname": "Lima", "phone": "+14155550100",
		"title": "Engineer", "department": "Doors", "company": "Example", "comment": "two\nlines", "group_id": 7.0,
		"role_ids": []any{1.0, 2.0}, "directory_id": 12.0, "external_id": "e-1", "samaccountname": "alima",
		"userprincipalname": "alima@corp", "distinguished_name": "CN=Ana", "member_of": "CN=Staff", "manager_ad_id": 3.0,
		"manager_user_id": 4.0, "trusted_idp_id": 5.0, "preferred_locale_code": "pt", "status": 1.0, "state": 1.0,
		"custom_attributes": map[string]any{"shoe": "42", "size": 1.5, "vip": true}, "invalid_login_attempts": 0.0,
		"last_login": nil, "locked_until": nil, "invitation_sent_at": nil,
	} {
		require.Equal(t, want, read[name], name)
	}
	for _, name := range []string{"created_at", "updated_at", "activated_at", "password_changed_at"} {
		at, err := time.Parse("2006-01-02T15:04:05.000Z", read[name].(string))
		require.NoError(t, err, name)
		require.WithinDuration(t, time.Now(), at, time.Minute)
	}
	require.NotContains(t, read, "openid_name", "version 1 has it")

	changed := c.put(userPath(id), map[string]any{
		"firstname": "Anna", "title": nil, "company": "", "custom_attributes": map[string]any{"shoe": "43", "vip": nil},
	}).is(http.StatusOK).object()
	require.Equal(t, "Anna", changed["firstname"])
	require.Equal(t, "Lima", changed["lastname"], "what is not named stays")
	require.Nil(t, changed["title"])
	require.Nil(t, changed["company"])
	require.Equal(t, map[string]any{"shoe": "43", "size": 1.5}, changed["custom_attributes"])
	require.Equal(t, changed, c.get(userPath(id)).object())

	// Go's SDK writes and reads numbers here, those of Python and Node texts.
	changed = c.put(userPath(id), map[string]any{"manager_ad_id": "12", "manager_user_id": ""}).is(http.StatusOK).object()
	require.Equal(t, "12", changed["manager_ad_id"])
	require.Nil(t, changed["manager_user_id"])

	gone := c.delete(userPath(id)).is(http.StatusNoContent)
	require.Empty(t, gone.body)
	c.get(userPath(id)).refused(http.StatusNotFound)
	c.put(userPath(id), map[string]any{"firstname": "A"}).refused(http.StatusNotFound)
	c.delete(userPath(id)).refused(http.StatusNotFound)
}

func TestTheStatusOfAUserFollowsPasswordAndLock(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := c.post("/api/2/users", map[string]any{"email": "ana@example.com", "status": 1}).is(http.StatusCreated).object()
	require.InDelta(t, 7, u["status"], 0, "without a password")
	require.Nil(t, u["username"])
	require.Nil(t, u["activated_at"])
	require.Nil(t, u["password_changed_at"])
	path := userPath(u["id"])

	status := func(body map[string]any) float64 {
		return c.put(path, body).is(http.StatusOK).object()["status"].(float64)
	}
	require.InDelta(t, 1, status(map[string]any{"password": "12345678", "password_confirmation": "12345678"}), 0)
	for _, n := range []int{0, 1, 2, 3, 4, 5, 8} {
		require.InDelta(t, n, status(map[string]any{"status": n}), 0)
		stored, err := h.users.UserByNumber(t.Context(), shop, int64(u["id"].(float64)))
		require.NoError(t, err)
		require.Equal(t, n == 2, stored.Disabled, "status %d", n)
		require.Equal(t, n == 3, stored.Locked, "status %d", n)
	}
	require.InDelta(t, 4, status(map[string]any{"status": 4}), 0)
	require.InDelta(t, 1, status(map[string]any{"password": "87654321", "password_confirmation": "87654321"}), 0, "no longer expired")
	require.Equal(t, []string{"status"}, c.put(path, map[string]any{"status": 6}).fields())
	require.Equal(t, []string{"status", "state"}, c.put(path, map[string]any{"status": 9, "state": 4}).fields())

	// A lock that another door set shows, and so does its end.
	stored, err := h.users.UserByNumber(t.Context(), shop, int64(u["id"].(float64)))
	require.NoError(t, err)
	stored.Locked = true
	stored, err = h.users.UpdateUser(t.Context(), stored)
	require.NoError(t, err)
	require.InDelta(t, 3, c.get(path).object()["status"], 0)
	stored.Locked = false
	_, err = h.users.UpdateUser(t.Context(), stored)
	require.NoError(t, err)
	require.InDelta(t, 1, c.get(path).object()["status"], 0)
}

func TestEveryWrongPropertyOfAUserIsNamed(t *testing.T) {
	t.Parallel()
	c := setup(t).client()
	c.post("/api/2/users", map[string]any{"username": "Taken", "email": "taken@example.com", "external_id": "t"}).is(http.StatusCreated)
	long := strings.Repeat("x", 256)
	pair := func(password, confirmation any) map[string]any {
		return map[string]any{"username": "bo", "password": password, "password_confirmation": confirmation}
	}
	for name, x := range map[string]struct {
		body any
		want []string
	}{
		"nothing":                       {nil, []string{"username"}},
		"no login name":                 {map[string]any{"firstname": "Bo"}, []string{"username"}},
		"empty names":                   {map[string]any{"username": " ", "email": ""}, []string{"username"}},
		"a taken username":              {map[string]any{"username": "tAKEN"}, []string{"username"}},
		"a taken mailbox":               {map[string]any{"email": "TAKEN@example.com"}, []string{"email"}},
		"a taken external id":           {map[string]any{"username": "bo", "external_id": "t"}, []string{"external_id"}},
		"no mailbox, no number":         {map[string]any{"email": "bo", "phone": "call me"}, []string{"email", "phone"}},
		"a number of no country":        {map[string]any{"username": "bo", "phone": "4155550100"}, []string{"phone"}},
		"long names":                    {map[string]any{"username": long, "firstname": long, "title": long}, []string{"username", "firstname", "title"}},
		"control characters":            {map[string]any{"username": "b\x00o", "lastname": "\u202eob"}, []string{"username", "lastname"}},
		"a name that is a list":         {map[string]any{"username": []string{"bo"}}, []string{"username"}},
		"words for numbers":             {map[string]any{"username": "bo", "group_id": "seven", "role_ids": 7, "status": "on"}, []string{"status", "group_id", "role_ids"}},
		"a manager that is a list":      {map[string]any{"username": "bo", "manager_ad_id": []int{3}, "manager_user_id": true}, []string{"manager_ad_id", "manager_user_id"}},
		"roles that are no numbers":     {map[string]any{"username": "bo", "role_ids": []any{1, "x"}}, []string{"role_ids"}},
		"custom attributes as a list":   {map[string]any{"username": "bo", "custom_attributes": []any{}}, []string{"custom_attributes"}},
		"a custom attribute in depth":   {map[string]any{"username": "bo", "custom_attributes": map[string]any{"a": []any{}}}, []string{"custom_attributes.a"}},
		"a password alone":              {pair("12345678", nil), []string{"password_confirmation"}},
		"a confirmation alone":          {pair(nil, "12345678"), []string{"password"}},
		"two passwords":                 {pair("12345678", "12345679"), []string{"password_confirmation"}},
		"a short password":              {pair("1234567", "1234567"), []string{"password"}},
		"a long password":               {pair(long+"x", long+"x"), []string{"password"}},
		"a number as password":          {pair(12345678, "12345678"), []string{"password"}},
		"the mailbox as password":       {map[string]any{"email": "bo@example.com", "password": "BO@example.com", "password_confirmation": "BO@example.com"}, []string{"password"}},
		"a password that is hashed":     {map[string]any{"username": "bo", "password": "abcdefgh", "password_confirmation": "abcdefgh", "password_algorithm": "salt+sha256"}, []string{"password_algorithm"}},
		"more than is kept for a user":  {map[string]any{"username": "bo", "custom_attributes": many(201)}, []string{"custom_attributes"}},
		"a custom attribute with no id": {map[string]any{"username": "bo", "custom_attributes": map[string]any{"": 1}}, []string{"custom_attributes"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, x.want, c.post("/api/2/users", x.body).fields())
		})
	}
	require.Equal(t, []string{"Taken"}, usernames(c.get("/api/2/users")), "nothing was stored")
}

func many(n int) map[string]any {
	pairs := map[string]any{}
	for i := range n {
		pairs["k"+strconv.Itoa(i)] = i
	}
	return pairs
}

func TestBadUserRequestsGetTheEnvelopeOfTheirVersion(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, id := range []string{"abc", "0", "-1", "1.5", "99999999", "99999999999999999999"} {
		c.get("/api/2/users/" + id).refused(http.StatusNotFound)
		require.Equal(t, "User for id "+id+" was not found", c.get("/api/1/users/"+id).refusedV1(http.StatusNotFound))
	}
	for _, body := range []string{"[]", `{"username":`, "7", `{"username":"a"} x`} {
		c.post("/api/2/users", body).refused(http.StatusBadRequest)
		c.post("/api/1/users", body).refusedV1(http.StatusBadRequest)
	}
	c.post("/api/2/users", `{"comment":"`+strings.Repeat("x", 70_000)+`"}`).refused(http.StatusRequestEntityTooLarge)
	require.Equal(t, []string{"user_ids"}, c.get("/api/2/users?user_ids=1,x").fields())

	other := h.client(account("bank"))
	ours := h.user()
	other.get(fmt.Sprintf("/api/2/users/%d", ours.Number)).refused(http.StatusNotFound)
	other.delete(fmt.Sprintf("/api/2/users/%d", ours.Number)).refused(http.StatusNotFound)
	require.Empty(t, other.get("/api/2/users").is(http.StatusOK).list())

	var body map[string]any
	bad := &client{h: h, token: "made-up"}
	bad.get("/api/2/users").is(http.StatusUnauthorized).json(&body)
	require.Equal(t, map[string]any{"message": "Unauthorized", "statusCode": 401.0, "name": "UnauthorizedError"}, body)
	require.Equal(t, "Authentication Failure", bad.get("/api/1/users").refusedV1(http.StatusUnauthorized))
}

// noted is a response whose error is kept as the log gets it.
type noted struct {
	http.ResponseWriter
	err error
}

func (n *noted) Note(_, _ string, err error) {
	if err != nil {
		n.err = err
	}
}

func TestTheLogOfARefusalQuotesNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	w := &noted{ResponseWriter: httptest.NewRecorder()}
	h.door.ServeHTTP(w, c.request(http.MethodPost, "/api/2/users",
		`{"username":"ana","custom_attributes":{"ana@example.com":[]},"password":"one secret word","password_confirmation":""}`))
	require.Error(t, w.err)
	h.door.ServeHTTP(w, c.request(http.MethodPost, "/api/2/users", `{"username":"ana","custom_attributes":{"ana@example.com":[]}}`))
	require.ErrorContains(t, w.err, "custom_attributes")
	require.NotContains(t, w.err.Error(), "ana")
}

func TestScopesDecideWhoReadsAndManagesUsers(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	for _, s := range credential.Scopes() {
		c := h.client(scope(s))
		for _, version := range []string{"/api/2/users", "/api/1/users"} {
			read, manage := http.StatusForbidden, http.StatusForbidden
			if s.Allows(credential.ReadPeople) {
				read = http.StatusOK
			}
			if s.Allows(credential.ManagePeople) {
				manage = http.StatusOK
			}
			c.get(version).is(read)
			c.get(fmt.Sprintf("%s/%d", version, u.Number)).is(read)
			c.put(fmt.Sprintf("%s/%d", version, u.Number), map[string]any{"title": string(s)}).is(manage)
			if manage == http.StatusForbidden {
				c.post(version, map[string]any{"username": "x"}).is(manage)
				c.delete(fmt.Sprintf("%s/%d", version, u.Number)).is(manage)
			}
		}
	}
}

func TestChangesAtTheSameTimeAllCount(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	path := fmt.Sprintf("/api/2/users/%d", u.Number)
	var group sync.WaitGroup
	for _, name := range []string{"title", "company", "department"} {
		group.Go(func() {
			a := c.put(path, map[string]any{name: "changed"})
			if a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		})
	}
	group.Wait()
	read := c.get(path).object()
	require.Equal(t, []any{"changed", "changed", "changed"}, []any{read["title"], read["company"], read["department"]})
}

func TestUsersOfTheNativeAPIAreListedAndCanBeChanged(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user(func(u *device.User) { u.Username, u.Email, u.Phone, u.ExternalID = "", "", "", "native-1" })
	path := fmt.Sprintf("/api/2/users/%d", u.Number)
	require.Nil(t, c.get(path).is(http.StatusOK).object()["username"])
	require.Equal(t, "+14155550100", c.put(path, map[string]any{"phone": "001 415 555 0100"}).is(http.StatusOK).object()["phone"])
	ids := []float64{}
	for _, x := range c.get("/api/2/users?external_id=native-1").list() {
		ids = append(ids, x["id"].(float64))
	}
	require.True(t, slices.Equal([]float64{float64(u.Number)}, ids))
}
