package onelogin_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func usernames(a answer) []string {
	a.t.Helper()
	names := []string{}
	for _, u := range a.is(http.StatusOK).list() {
		names = append(names, u["username"].(string))
	}
	return names
}

func TestFiltersFindUsersInEitherCaseAndByPattern(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	numbers := map[string]string{}
	for _, u := range []map[string]any{
		{"username": "ana", "email": "ana@one.example", "firstname": "Ana", "lastname": "Lima", "directory_id": 12, "group_id": 3, "role_ids": []int{1, 2}},
		{"username": "bo", "email": "bo@one.example", "firstname": "Bo", "lastname": "Lindt", "external_id": "x*y", "samaccountname": "BO", "custom_attributes": map[string]any{"shoe": "42", "n": 7}},
		{"username": "cy", "email": "cy@two.example", "firstname": "Cy", "lastname": "Ana", "custom_attributes": map[string]any{"shoe": "43"}, "state": 2},
	} {
		made := c.post("/api/2/users", u).is(http.StatusCreated).object()
		numbers[u["username"].(string)] = fmt.Sprintf("%.0f", made["id"])
	}
	for query, want := range map[string]string{
		"":                                    "ana bo cy",
		"username=ANA":                        "ana",
		"username=an":                         "",
		"username=bo@one.example":             "",
		"username=ana&email=bo@one.example":   "",
		"email=Bo@One.Example":                "bo",
		"email=*@one.example":                 "ana bo",
		"email=*one*":                         "ana bo",
		"email=*":                             "ana bo cy",
		"email=c*o.example":                   "cy",
		"email=c*two*two*":                    "",
		"firstname=ana":                       "ana",
		"lastname=Li*":                        "ana bo",
		"lastname=":                           "ana bo cy",
		"samaccountname=bo":                   "bo",
		"directory_id=12":                     "ana",
		"external_id=X*Y":                     "bo",
		"group_id=3":                          "ana",
		"role_ids=9,2":                        "ana",
		"role_id=2":                           "ana",
		"role_id=9":                           "",
		"state=2":                             "cy",
		"app_id=1":                            "",
		"custom_attributes.shoe=4*":           "bo cy",
		"custom_attributes.n=7":               "bo",
		"custom_attributes.none=7":            "",
		"user_ids=" + numbers["cy"] + ", 1":   "cy",
		"user_ids=" + numbers["cy"] + "&x=y":  "cy",
		"created_since=2020-01-01":            "ana bo cy",
		"created_until=2020-01-01T00:00:00Z":  "",
		"updated_since=2099-01-01T00:00:00Z":  "",
		"last_login_until=2099-01-01":         "",
		"last_login_since=2020-01-01T00:00":   "",
		"created_since=2020-01-01 00:00:00":   "ana bo cy",
		"unknown=1":                           "ana bo cy",
		"sort=-username":                      "cy bo ana",
		"sort=+lastname":                      "cy ana bo",
		"sort=external_id&lastname=li*":       "ana bo",
		"created_since=2020-01-01T00:00:00+0": "-",
		"sort=password":                       "-",
		"fields=password":                     "-",
		"limit=0":                             "-",
		"limit=x":                             "-",
		"page=-1":                             "-",
		"cursor=zzz":                          "-",
	} {
		t.Run(query, func(t *testing.T) {
			a := c.get("/api/2/users?" + strings.ReplaceAll(query, " ", "%20"))
			if want == "-" {
				name, _, _ := strings.Cut(query, "=")
				require.Equal(t, []string{name}, a.fields())
				return
			}
			require.Equal(t, strings.Fields(want), usernames(a))
		})
	}
	t.Run("a time with an unescaped plus", func(t *testing.T) {
		require.Len(t, c.get("/api/2/users?created_since=2020-01-01T00:00:00.5+00:00").is(http.StatusOK).list(), 3)
	})
	t.Run("a list shows some properties, or those that are named", func(t *testing.T) {
		one := c.get("/api/2/users?username=bo").list()[0]
		require.Len(t, one, 22)
		require.NotContains(t, one, "custom_attributes")
		require.Equal(t, []map[string]any{{"email": "bo@one.example", "custom_attributes": map[string]any{"shoe": "42", "n": 7.0}}},
			c.get("/api/2/users?username=bo&fields=email,custom_attributes").list())
	})
}

func TestPagesOfUsersAreLinkedByCursorsThatHoldTheirPlace(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	var want []string
	for range 7 {
		want = append(want, h.user().Username)
	}
	first := c.get("/api/2/users?limit=3")
	require.Equal(t, want[:3], usernames(first))
	head := func(a answer) string {
		return fmt.Sprint(a.header.Get("Current-Page"), a.header.Get("Page-Items"), a.header.Get("Total-Count"), a.header.Get("Total-Pages"))
	}
	require.Equal(t, "1373", head(first))
	require.Empty(t, first.header.Values("Before-Cursor"))
	next := first.header.Get("After-Cursor")
	require.Equal(t, next, first.header.Get("Cursor"))
	text, err := base64.RawURLEncoding.DecodeString(next)
	require.NoError(t, err)
	require.Contains(t, string(text), "limit=3&page=2")

	// A user of the first page goes: the second begins where it would have.
	gone := first.list()[0]["id"]
	second := c.get("/api/2/users?cursor=" + next)
	require.Equal(t, want[3:6], usernames(second))
	require.Equal(t, "2373", head(second))
	c.delete(userPath(gone)).is(http.StatusNoContent)
	require.Equal(t, want[3:6], usernames(c.get("/api/2/users?cursor="+next+"&limit=3")))
	c.delete(userPath(first.list()[2]["id"])).is(http.StatusNoContent)
	require.Equal(t, want[3:6], usernames(c.get("/api/2/users?cursor="+next)), "also without the user that it names")

	last := c.get("/api/2/users?cursor=" + second.header.Get("After-Cursor"))
	require.Equal(t, want[6:], usernames(last))
	require.Equal(t, "3152", head(last))
	require.Empty(t, last.header.Values("After-Cursor"))
	require.Equal(t, want[3:6], usernames(c.get("/api/2/users?cursor="+last.header.Get("Before-Cursor"))))

	require.Equal(t, want[6:], usernames(c.get("/api/2/users?limit=4&page=2")))
	past := c.get("/api/2/users?page=9")
	require.Empty(t, usernames(past))
	require.Equal(t, "9051", head(past))
	sorted := c.get("/api/2/users?limit=2&sort=-id")
	require.Equal(t, []string{want[6], want[5]}, usernames(sorted))
	require.Equal(t, []string{want[4], want[3]}, usernames(c.get("/api/2/users?sort=-id&cursor="+sorted.header.Get("After-Cursor"))))
}

func TestAPageHasFiftyUsersAtMost(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for range 51 {
		h.user()
	}
	for _, query := range []string{"", "?limit=50", "?limit=1000"} {
		a := c.get("/api/2/users" + query)
		require.Len(t, a.is(http.StatusOK).list(), 50)
		require.Equal(t, "51", a.header.Get("Total-Count"))
		require.Len(t, c.get("/api/2/users?cursor="+a.header.Get("After-Cursor")).list(), 1)
	}
}
