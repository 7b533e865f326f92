package scenario_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	olutil "github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/utilities"
	"github.com/onelogin/onelogin-go-sdk/v4/pkg/services/olhttp"
	olusers "github.com/onelogin/onelogin-go-sdk/v4/pkg/services/users"
	"github.com/stretchr/testify/require"
)

// Somebody is a new user in the SDK's words.
func (c *customer) Somebody() models.User {
	p := somebody()
	return models.User{Firstname: "Ana", Lastname: "Silva", Username: p.mailbox, Email: p.mailbox, Phone: p.number}
}

// Makes creates a user, and is their number.
func (c *customer) Makes(u models.User) int {
	c.t.Helper()
	return c.Object(http.StatusCreated)(c.sdk.CreateUser(u)).number(c.t, "id")
}

func usersAreKept(c *customer) {
	t := c.t
	asked := c.Somebody()
	asked.ExternalID, asked.Title, asked.Company, asked.Department = "ext-"+asked.Email, "Baker", "Silva & Daughters", "Bread"
	asked.MemberOf = []string{"CN=bakers"}
	began := time.Now().Add(-time.Second)
	made := c.Object(http.StatusCreated)(c.sdk.CreateUser(asked))
	id := made.number(t, "id")

	sent := c.Asked(http.MethodPost, "/api/2/users").sent
	require.Contains(t, sent, `"last_login":"0001-01-01T00:00:00Z"`, "the SDK sends times that nobody gave it")
	require.Nil(t, made["last_login"])
	require.Nil(t, made["locked_until"])
	created, err := time.Parse(time.RFC3339, made.text(t, "created_at"))
	require.NoError(t, err)
	require.WithinRange(t, created, began.Truncate(time.Second), time.Now().Add(time.Second))
	require.InDelta(t, 7, made["status"], 0, "without a password")

	for name, want := range map[string]string{
		"firstname": "Ana", "lastname": "Silva", "username": asked.Username, "email": asked.Email, "phone": asked.Phone,
		"external_id": asked.ExternalID, "title": "Baker", "company": "Silva & Daughters", "department": "Bread",
	} {
		require.Equal(t, want, made[name], name)
	}
	require.Equal(t, made, c.Object(http.StatusOK)(c.sdk.GetUserByID(id, nil)))
	require.Equal(t, made, c.Object(http.StatusOK)(c.sdk.GetUserByIDWithContext(t.Context(), id, nil)))

	changed := c.Object(http.StatusOK)(c.sdk.UpdateUser(id, models.User{Lastname: "Costa", Password: "a long password", PasswordConfirmation: "a long password"}))
	require.Equal(t, "Costa", changed["lastname"])
	require.Equal(t, "Ana", changed["firstname"])
	require.Equal(t, made["created_at"], changed["created_at"])
	require.InDelta(t, 1, changed["status"], 0, "with a password")
	require.NotContains(t, string(c.Asked(http.MethodPut, "/api/2/users/"+strconv.Itoa(id)).got), "a long password")
	changed = c.Object(http.StatusOK)(c.sdk.UpdateUserWithContext(t.Context(), id, models.User{Lastname: "Silva"}))
	require.Equal(t, "Silva", changed["lastname"])

	usersAreFound(c, asked, id)
	usersAreRefused(c, asked, id)

	require.Equal(t, values{"status": "success"}, c.Object(http.StatusNoContent)(c.sdk.DeleteUser(id)))
	c.Asked(http.MethodDelete, "/api/2/users/"+strconv.Itoa(id))
	c.Fails(http.StatusNotFound)(c.sdk.GetUserByID(id, nil))
	c.Fails(http.StatusNotFound)(c.sdk.UpdateUser(id, asked))
	c.Fails(http.StatusNotFound)(c.sdk.DeleteUserWithContext(t.Context(), id))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.sdk.CreateUserWithContext(ended, asked)
	require.ErrorIs(t, err, context.Canceled)
}

// usersAreFound asks for one user in all the ways that the SDK's query has.
func usersAreFound(c *customer, u models.User, id int) {
	t := c.t
	number, other, wild := strconv.Itoa(id), "nobody@example.com", "*"+u.Email[4:]
	before, after := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, query := range map[string]models.UserQuery{
		"email": {Email: &u.Email}, "username": {Username: &u.Username}, "wildcard": {Email: &wild},
		"external_id": {ExternalID: &u.ExternalID}, "user_ids": {UserIDs: &number},
		"names":         {Firstname: &u.Firstname, Lastname: &u.Lastname, Email: &u.Email},
		"created_since": {Email: &u.Email, CreatedSince: &before, UpdatedSince: &before},
		"created_until": {Email: &u.Email, CreatedUntil: &after, UpdatedUntil: &after},
	} {
		found := c.List(c.sdk.GetUsers(&query))
		require.Len(t, found, 1, name)
		require.Equal(t, id, found[0].number(t, "id"), name)
	}
	for name, query := range map[string]models.UserQuery{
		"email": {Email: &other}, "created_since": {Email: &u.Email, CreatedSince: &after},
		"created_until": {Email: &u.Email, CreatedUntil: &before}, "last_login_since": {Email: &u.Email, LastLoginSince: &before},
	} {
		require.Empty(t, c.List(c.sdk.GetUsersWithContext(t.Context(), &query)), name)
	}
	fields := "id,email"
	require.Equal(t, []values{{"id": float64(id), "email": u.Email}}, c.List(c.sdk.GetUsers(&models.UserQuery{Email: &u.Email, Fields: &fields})))

	typed, err := c.sdk.GetUsersModels(&models.UserQuery{Email: &u.Email})
	require.NoError(t, err, "answer: %s", c.Last().got)
	require.Len(t, typed, 1)
	got := typed[0]
	require.Equal(t, []any{int32(id), u.Email, u.Username, u.Firstname, u.Lastname, u.Phone, u.ExternalID, models.StatusActive, models.StateApproved},
		[]any{got.ID, got.Email, got.Username, got.Firstname, got.Lastname, got.Phone, got.ExternalID, got.Status, got.State})
	require.False(t, got.CreatedAt.IsZero())
	require.False(t, got.PasswordChangedAt.IsZero())
	require.True(t, got.LastLogin.IsZero())
	require.Empty(t, got.Password)
}

// usersAreRefused asks for what cannot be.
func usersAreRefused(c *customer, u models.User, id int) {
	t := c.t
	c.Fails(http.StatusUnprocessableEntity)(c.sdk.CreateUser(models.User{Firstname: "Ana"}))
	c.Fails(http.StatusUnprocessableEntity)(c.sdk.CreateUser(models.User{Email: u.Email})).Names(t, "email")
	c.Fails(http.StatusUnprocessableEntity)(c.sdk.CreateUser(models.User{Username: u.Username})).Names(t, "username")
	c.Fails(http.StatusUnprocessableEntity)(c.sdk.UpdateUser(id, models.User{Password: "a long password"})).Names(t, "password_confirmation")
	other := c.Makes(c.Somebody())
	c.Fails(http.StatusUnprocessableEntity)(c.sdk.UpdateUser(other, models.User{Email: u.Email})).Names(t, "email")
	c.Fails(http.StatusNotFound)(c.sdk.GetUserByID(1, nil))
	c.Fails(http.StatusNotFound)(c.sdk.DeleteUser(1))
}

// usersArePaged makes more users than fit a page, with a name that nobody else has.
func usersArePaged(c *customer) {
	const many = 52
	t, family := c.t, "Of "+c.id
	want := map[int]bool{}
	for i := range many {
		u := c.Somebody()
		u.Firstname, u.Lastname = fmt.Sprintf("Ana %d", i), family
		want[c.Makes(u)] = true
	}
	t.Run("with the headers that the SDK reads", func(t *testing.T) {
		c := c.in(t)
		var got []values
		query := &models.UserQuery{Lastname: &family, Limit: "20"}
		for page := 1; page <= 3; page++ {
			answer, err := c.sdk.GetUsersWithPaginationWithContext(t.Context(), query)
			require.NoError(t, err)
			got = append(got, c.List(answer.Data, err)...)
			at := answer.Pagination
			require.Equal(t, []int{page, 3, many}, []int{at.CurrentPage, at.TotalPages, at.TotalCount})
			require.Equal(t, page == 1, at.BeforeCursor == "", "before the first page is nothing")
			require.Equal(t, page == 3, at.AfterCursor == "", "after the last page is nothing")
			query.Cursor = at.AfterCursor
		}
		require.Equal(t, want, numbersOf(t, got))
		second, err := c.sdk.GetUsersWithPagination(&models.UserQuery{Lastname: &family, Limit: "20", Page: "2"})
		require.NoError(t, err)
		require.Equal(t, 2, second.Pagination.CurrentPage)
		require.Equal(t, got[20:40], c.List(second.Data, err))
	})
	t.Run("with the SDK's older half that follows the pages by itself", func(t *testing.T) {
		c := c.in(t)
		older := olhttp.New(olutil.HTTPServiceConfig{ClientID: c.id, ClientSecret: c.secret, BaseURL: c.sdk.Client.OLdomain, Client: c.wire})
		pages, err := older.Read(models.OLHTTPRequest{
			URL: c.sdk.Client.OLdomain + "/api/2/users", AuthMethod: "bearer", Headers: map[string]string{"Content-Type": "application/json"},
			Payload: olusers.UserQuery{Lastname: &family},
		})
		require.NoError(t, err)
		require.Len(t, pages, 2, "of fifty at most")
		got := map[int]bool{}
		for _, page := range pages {
			var users []olusers.User
			require.NoError(t, json.Unmarshal(page, &users))
			for _, u := range users {
				got[int(*u.ID)] = true
			}
		}
		require.Equal(t, want, got)
		olderHalfWrites(c, older)
	})
}

// olderHalfWrites makes, changes and removes a user through the SDK's older half.
func olderHalfWrites(c *customer, older *olhttp.OLHTTPService) {
	t, u := c.t, c.Somebody()
	request := models.OLHTTPRequest{
		URL: c.sdk.Client.OLdomain + "/api/2/users", AuthMethod: "bearer", Headers: map[string]string{"Content-Type": "application/json"},
		Payload: olusers.User{Email: &u.Email, Username: &u.Username, Phone: &u.Phone},
	}
	body, err := older.Create(request)
	require.NoError(t, err)
	var made olusers.User
	require.NoError(t, json.Unmarshal(body, &made))
	require.Equal(t, u.Email, *made.Email)
	title := "Baker"
	request.URL += "/" + strconv.Itoa(int(*made.ID))
	request.Payload = olusers.User{Title: &title}
	body, err = older.Update(request)
	require.NoError(t, err)
	var changed olusers.User
	require.NoError(t, json.Unmarshal(body, &changed))
	require.Equal(t, title, *changed.Title)
	require.Equal(t, u.Email, *changed.Email)
	request.Payload = nil
	_, err = older.Destroy(request)
	require.NoError(t, err)
	c.Asked(http.MethodDelete, "/api/2/users/"+strconv.Itoa(int(*made.ID)))
	_, err = older.Read(request)
	require.ErrorContains(t, err, `"statusCode":404`)
}

func numbersOf(t *testing.T, users []values) map[int]bool {
	t.Helper()
	got := map[int]bool{}
	for _, u := range users {
		got[u.number(t, "id")] = true
	}
	return got
}
