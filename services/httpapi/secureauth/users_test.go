package secureauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

// object is a JSON object of a request.
type object = map[string]any

// member is the user as the store has them.
func (h *house) member(login string) device.User {
	h.t.Helper()
	u, err := h.users.UserByLogin(h.t.Context(), shop, login)
	require.NoError(h.t, err)
	return u
}

// property is what a profile shows of one property.
func (a answer) property(name string) map[string]any {
	a.t.Helper()
	p, _ := a.object()["properties"].(map[string]any)[name].(map[string]any)
	return p
}

func TestAUserIsMadeReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	c.post("/api/v1/users/", object{
		"userId": "jdoe", "password": "correct horse battery",
		"properties": object{
			"firstName": "John", "lastName": "Doe", "phone1": "+1 415-555-0100", "phone2": "123-456-7890", "email1": "jdoe@Example.com",
			"auxId1": "4711", "helpDesk1": "desk@example.com", "pinHash": "2468",
			"ExtProperty1": object{"displayName": "New Property", "value": "x", "isWritable": "true"},
		},
		"knowledgeBase": object{"kbq1": object{"question": "What city were you born in?", "answer": "Lisboa"}},
	}).golden("users", "create").says(http.StatusOK, "success", "")
	c.post("/api/v1/users/jdoe/groups/CN=Admins", nil).is(http.StatusOK)
	c.post("/api/v1/accesshistory", object{"user_id": "jdoe", "ip_address": "192.168.1.2", "user_agent": "Mozilla/5.0"}).is(http.StatusOK)
	c.get("/api/v1/users/jdoe").golden("users", "profile")
	require.Equal(t, "x", c.get("/api/v1/users/jdoe").property("ExtProperty1")["value"])

	u := h.member("JDOE")
	require.Equal(t, []string{"John", "Doe", "John Doe", "jdoe@example.com", "+14155550100"},
		[]string{u.GivenName, u.FamilyName, u.Name, u.Email, u.Phone}, "the other doors have the same person")
	require.True(t, strings.HasPrefix(u.Password, "$argon2id$"))
	for _, secret := range []string{"2468", "Lisboa", "lisboa", "correct horse"} {
		require.NotContains(t, u.Attributes["secureauth"], secret)
		require.NotContains(t, string(c.get("/api/v1/users/jdoe").body), secret)
	}

	c.put("/api/v1/users/jdoe", object{"properties": object{"phone2": "", "auxId2": "4712", "firstName": nil}}).
		golden("users", "update").says(http.StatusOK, "success", "")
	changed := c.get("/api/v1/users?username=jdoe").is(http.StatusOK)
	require.Equal(t, "", changed.property("phone2")["value"], "an empty text clears")
	require.Equal(t, "4712", changed.property("auxId2")["value"])
	require.Equal(t, "4711", changed.property("auxId1")["value"], "what is not sent stays")
	require.Equal(t, "John", changed.property("firstName")["value"], "null is not sent")

	c.delete("/api/v1/users/", object{"user_id": "jdoe", "domain": "DOM", "deleteAllRelatedData": false}).
		golden("users", "delete").says(http.StatusOK, "success", "User delete complete")
	c.delete("/api/v1/users/", object{"user_id": "jdoe"}).golden("users", "delete_unknown").
		says(http.StatusNotFound, "failed", "user_id does not exist")
	c.get("/api/v1/users/jdoe").golden("users", "profile_unknown").says(http.StatusNotFound, "not_found", "User Id was not found.")
}

func TestADeletedUsersDevicesGoToo(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	d := h.app(u)
	h.client().delete("/api/v1/users", object{"user_id": u.Username, "domain": nil, "deleteAllRelatedData": "true"}).is(http.StatusOK)
	_, err := h.users.Device(t.Context(), shop, d.ID)
	require.Error(t, err)
}

func TestUsersAreNamedInEveryStyleOfPath(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, name := range []string{"ana", "j smith", "José Ñandú", "a+b@c", "50% off", "山田"} {
		escaped := url.PathEscape(name)
		query := url.QueryEscape(name)
		c.post("/api/v1/users", object{"userId": name}).is(http.StatusOK)
		for _, path := range []string{
			"/api/v1/users/" + escaped, "/api/v2/users/DOM/" + escaped, "/api/v1/users?username=" + query,
			"/api/v1/users/?username=" + query + "&domain=DOM",
		} {
			require.Equal(t, name, c.get(path).is(http.StatusOK).text("userId"), path)
		}
		for _, path := range []string{
			"/api/v1/users/" + escaped + "/status", "/api/v2/users/DOM/" + escaped + "/status",
			"/api/v1/users/status?username=" + query, "/api/v1/users//status?username=" + query,
		} {
			a := c.get(path).says(http.StatusOK, "valid", "")
			require.Equal(t, name, a.text("user_id"), path)
		}
		unescapes := c
		unescapes.spell = unescaped
		unescapes.put("/api/v1/users/"+escaped, object{"properties": object{"auxId1": "x"}}).is(http.StatusOK)
	}
}

func TestADomainMakesAUserNameOfItsOwn(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	c.post("/api/v1/users", object{"userId": "ana", "domain": "ONE", "properties": object{"auxId1": "first"}}).is(http.StatusOK)
	c.post("/api/v1/users", object{"userId": "ana", "properties": object{"auxId1": "second"}}).is(http.StatusOK)
	require.Equal(t, "first", c.get("/api/v1/users/one/ana").property("auxId1")["value"])
	require.Equal(t, "first", c.get("/api/v1/users?username=ana&domain=ONE").property("auxId1")["value"])
	require.Equal(t, "second", c.get("/api/v1/users/TWO/ana").property("auxId1")["value"])
	require.Equal(t, `ONE\ana`, h.member(`one\ANA`).Username)
	c.delete("/api/v1/users", object{"user_id": "ana", "domain": "ONE"}).is(http.StatusOK)
	require.Equal(t, "second", c.get("/api/v1/users/ONE/ana").property("auxId1")["value"])
}

func TestAUserOfAnotherAccountIsUnknown(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(account("other"))
	u := h.user()
	for _, a := range []answer{
		c.get("/api/v1/users/" + u.Username),
		c.put("/api/v1/users/"+u.Username, object{"properties": object{"auxId1": "x"}}),
		c.get("/api/v1/users/" + u.Username + "/status"),
		c.post("/api/v1/users/"+u.Username+"/status", object{"status": "lock"}),
		c.post("/api/v2/users/"+u.Username+"/resetpwd", object{"password": "correct horse"}),
		c.post("/api/v1/users/"+u.Username+"/groups/staff", nil),
		c.post("/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": "+14155550100"}),
		c.post("/api/v2/authenticated", object{"user_id": u.Username, "authenticated": "success"}),
	} {
		a.says(http.StatusNotFound, "not_found", "User Id was not found.")
	}
	c.delete("/api/v1/users", object{"user_id": u.Username}).says(http.StatusNotFound, "failed", "user_id does not exist")
	require.Equal(t, u.Revision, h.member(u.Username).Revision)
}

func TestTakenNamesAreRefused(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	c.post("/api/v1/users", object{"userId": strings.ToUpper(u.Username)}).golden("users", "create_taken").
		says(http.StatusBadRequest, "failed", "userId exists already: another user has it.")
	c.post("/api/v1/users", object{"userId": "new", "properties": object{"email1": u.Email}}).
		says(http.StatusBadRequest, "failed", "email1 exists already: another user has it.")
	other := h.user()
	c.put("/api/v1/users/"+other.Username, object{"properties": object{"email1": u.Email}}).
		says(http.StatusBadRequest, "failed", "email1 exists already: another user has it.")
	require.Equal(t, other.Email, h.member(other.Username).Email)
	c.get("/api/v1/users/new").is(http.StatusNotFound)
}

func TestChangesAtTheSameTimeAllCount(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	var group sync.WaitGroup
	for n := 1; n <= 3; n++ {
		group.Go(func() {
			a := c.put("/api/v1/users/"+u.Username, object{"properties": object{fmt.Sprint("auxId", n): "changed"}})
			if a.status != http.StatusOK {
				t.Errorf("%d: %d %s", n, a.status, a.body)
			}
		})
	}
	group.Wait()
	a := c.get("/api/v1/users/" + u.Username)
	for n := 1; n <= 3; n++ {
		require.Equal(t, "changed", a.property(fmt.Sprint("auxId", n))["value"])
	}
}

func TestAProfileThatIsReadAndSentBackChangesNothing(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	path := "/api/v1/users/" + u.Username
	c.put(path, object{
		"properties":    object{"pin": "2468", "phone2": "(949) 123-4567"},
		"knowledgeBase": object{"kbq1": object{"question": "q", "answer": "a"}, "helpDeskKb": object{"question": "h", "answer": "b"}},
	}).is(http.StatusOK)
	before := h.member(u.Username)
	read := c.get(path).object()
	c.put(path, object{"properties": read["properties"], "knowledgeBase": read["knowledgeBase"]}).is(http.StatusOK)
	// One SDK sends an empty pinHash with every profile.
	c.post(path, object{"properties": object{"pinHash": "", "phone1": nil}}).is(http.StatusOK)
	after := h.member(u.Username)
	require.JSONEq(t, before.Attributes["secureauth"], after.Attributes["secureauth"])
	require.Equal(t, before.Phone, after.Phone)
	require.Equal(t, before.Email, after.Email)
}

func TestFactorsComeAndGoWithTheProfile(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	c.post("/api/v1/users", object{"userId": "ana"}).is(http.StatusOK)
	factors := func() []string {
		var body struct {
			Factors []struct{ Type, ID string }
		}
		c.get("/api/v1/users/ana/factors").is(http.StatusOK).json(&body)
		ids := []string{}
		for _, f := range body.Factors {
			ids = append(ids, f.Type+f.ID)
		}
		return ids
	}
	require.Empty(t, factors())
	c.put("/api/v1/users/ana", object{
		"properties":    object{"PHONE1": "9491234567", "phone4": "+14155550100", "Email2": "ana@example.com", "helpdesk2": "+14155550101", "PIN": "2468"},
		"knowledgeBase": object{"KBQ6": object{"question": "q", "answer": "a"}, "helpDeskKb": object{"question": "h", "answer": "b"}},
	}).is(http.StatusOK)
	require.Equal(t, []string{"phonePhone1", "phonePhone4", "emailEmail2", "kbqKBQ6", "help_deskHelpDesk2", "pin"}, factors())
	c.put("/api/v1/users/ana", object{
		"properties":    object{"phone1": "", "phone4": "", "email2": "", "helpDesk2": "", "pin": ""},
		"knowledgeBase": object{"kbq6": object{"question": "", "answer": ""}},
	}).is(http.StatusOK)
	require.Empty(t, factors())
}

func TestANewQuestionNeedsItsAnswer(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	path := "/api/v1/users/" + u.Username
	kbq := func(q object) answer { return c.put(path, object{"knowledgeBase": object{"kbq1": q}}) }
	kbq(object{"question": "q"}).is(http.StatusBadRequest)
	require.Contains(t, kbq(object{"answer": "a"}).is(http.StatusBadRequest).text("message"), "knowledgeBase.kbq1.question is required")
	kbq(object{"question": "q", "answer": "a"}).is(http.StatusOK)
	kbq(object{"answer": "b"}).is(http.StatusOK)
	require.Contains(t, kbq(object{"question": "another", "answer": ""}).is(http.StatusBadRequest).text("message"), "knowledgeBase.kbq1.answer is required")
	auth := func(answer string) string {
		return c.post("/api/v1/auth", object{"user_id": u.Username, "type": "kba", "token": answer, "factor_id": "KBQ1"}).text("status")
	}
	require.Equal(t, "invalid", auth("a"))
	require.Equal(t, "valid", auth("B"))
}

func TestBadProfilesAreNamedAndChangeNothing(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	long := strings.Repeat("x", 1025)
	for body, says := range map[string]string{
		``:                                                     "The body is missing",
		`[]`:                                                   "The body is not a JSON object",
		`{}`:                                                   "properties or knowledgeBase is required",
		`{"properties":[]}`:                                    "properties must be an object",
		`{"properties":{"phone1":true}}`:                       "properties.phone1 must be a string",
		`{"properties":{"phone1":[]}}`:                         "properties.phone1 must be a string",
		`{"properties":{"phone1":{"value":{}}}}`:               "properties.phone1 must be a string, or an object with value",
		`{"properties":{"phone1":"call me"}}`:                  "properties.phone1 must be a phone number",
		`{"properties":{"phone2":"+1 415"}}`:                   "properties.phone2 is too short",
		`{"properties":{"email1":"nothing"}}`:                  "properties.email1 must be an email address",
		`{"properties":{"helpDesk1":"a@b"}}`:                   "properties.helpDesk1 must have a domain",
		`{"properties":{"pin":"12"}}`:                          "properties.pin must be a PIN of 4 to 10 digits",
		`{"properties":{"pinHash":"$argon2id$"}}`:              "properties.pinHash must be a PIN of 4 to 10 digits",
		`{"properties":{"password":"x"}}`:                      "properties.password cannot be set as a property",
		`{"properties":{"kbq1":"x"}}`:                          "properties.kbq1 cannot be set as a property",
		`{"properties":{"":"x"}}`:                              "properties must have names of 1 to 64",
		`{"properties":{"a\u202eb":"x"}}`:                      "properties must have names of 1 to 64",
		`{"properties":{"auxId1":"a\u0007"}}`:                  "properties.auxId1 must not hold control characters",
		`{"properties":{"auxId1":"` + long[:256] + `"}}`:       "properties.auxId1 must be at most 255 characters",
		`{"properties":{"Ext":"` + long + `"}}`:                "properties.Ext must be at most 1024 characters",
		`{"properties":{"phone1":"x","email1":"y"}}`:           "properties.email1 must be an email address such as ana@example.com; properties.phone1",
		`{"knowledgeBase":{"kbq7":{}}}`:                        "kbq1 to kbq6",
		`{"knowledgeBase":{"kbq1":"x"}}`:                       "knowledgeBase.kbq1 must be an object",
		`{"knowledgeBase":{"kbq1":{"question":5}}}`:            "knowledgeBase.kbq1 must be an object",
		`{"properties":{},"password":"correct horse"}`:         "password is set by resetpwd",
		`{"properties":{"auxId1":"x"},"knowledgeBase":"no"}`:   "knowledgeBase must be an object",
		`{"properties":{"auxId1":"` + "\xff" + `"}}`:           "The body is not UTF-8",
		`{"properties":{"auxId1":"x"}} trailing`:               "The body is not a JSON object",
		`{"properties":` + properties(101) + `}`:               "properties must be at most 100",
		`{"properties":` + largeProperties(40, long[1:]) + `}`: "over 32 KiB together",
	} {
		a := c.put("/api/v1/users/"+u.Username, body)
		require.Equal(t, http.StatusBadRequest, a.status, "%.80s: %s", body, a.body)
		require.Contains(t, a.text("message"), says)
		require.Equal(t, "invalid", a.text("status"))
		if body != "" {
			c.post("/api/v1/users/"+u.Username, body).is(http.StatusBadRequest)
		}
	}
	require.Equal(t, u.Revision, h.member(u.Username).Revision)
}

// properties are so many properties with names of their own.
func properties(n int) string { return largeProperties(n, "x") }

func largeProperties(n int, value string) string {
	all := object{}
	for i := range n {
		all[fmt.Sprint("Ext", i, "x")] = value
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings
	}
	return string(data)
}

func TestBadNewUsersAreNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for says, body := range map[string]object{
		"userId is required":                             {"userId": "  "},
		"userId must be at most 255 characters":          {"userId": strings.Repeat("x", 256)},
		"userId must not hold control characters":        {"userId": "a\u202eb"},
		"userId must not be given together with user_id": {"userId": "a", "user_id": "b"},
		"userId must be a string":                        {"userId": []string{"a"}},
		"password must have 8 to 256 characters":         {"userId": "a", "password": "short"},
		"password must not be the user id":               {"userId": "anabanana", "password": "AnaBanana"},
		"password must not be the user id or the email":  {"userId": "a", "password": "ana@example.com", "properties": object{"email1": "ANA@example.com"}},
		"properties.email1 must be an email address":     {"userId": "a", "properties": object{"email1": "x"}},
	} {
		a := c.post("/api/v1/users/", body).is(http.StatusBadRequest)
		require.Contains(t, a.text("message"), says)
	}
	require.Contains(t, c.get("/api/v1/users").is(http.StatusBadRequest).text("message"), "username is required")
	require.Contains(t, c.get("/api/v1/users/status").is(http.StatusBadRequest).text("message"), "username is required")
	require.Contains(t, c.delete("/api/v1/users", object{}).is(http.StatusBadRequest).text("message"), "user_id is required")
}

func TestAPhoneIsShownAsItWasWrittenUntilAnotherDoorChangesIt(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	path := "/api/v1/users/" + u.Username
	c.put(path, object{"properties": object{"phone1": "(949) 555-0123"}}).is(http.StatusOK)
	require.Equal(t, "+19495550123", h.member(u.Username).Phone)
	require.Equal(t, "(949) 555-0123", c.get(path).property("phone1")["value"])
	now := h.member(u.Username)
	now.Phone = "+14155550199"
	_, err := h.users.UpdateUser(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, "+14155550199", c.get(path).property("phone1")["value"])
	c.put(path, object{"properties": object{"auxId1": "x"}}).is(http.StatusOK)
	require.Equal(t, "+14155550199", h.member(u.Username).Phone)
}

func TestAProfileThatIsFullStillLetsItsUserBeClosed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	path := "/api/v1/users/" + u.Username
	fill := func(name string, size int) answer {
		return c.put(path, map[string]any{"properties": map[string]string{name: strings.Repeat("x", size)}})
	}
	for i, size := 0, 1024; size > 0; i++ {
		for size > 0 && fill(fmt.Sprintf("free%d", i), size).status != http.StatusOK {
			size /= 2
		}
	}
	require.Equal(t, http.StatusBadRequest, fill("one", 1).status, "it is full")
	for range 21 {
		c.post("/api/v1/accesshistory", map[string]any{"user_id": u.Username, "ip_address": "192.0.2.1", "user_agent": strings.Repeat("<", 255)}).is(http.StatusOK)
	}
	for _, x := range []struct{ word, state string }{
		{"password_expired", "password_expired"}, {"lock", "lock_out"}, {"disable", "disabled"}, {"account_expired", "account_expired"},
	} {
		c.post(path+"/status", map[string]any{"status": x.word}).is(http.StatusOK)
		c.get(path+"/status").says(http.StatusOK, x.state, c.get(path+"/status").text("message"))
	}
}

func TestSpacesAroundAUserIDDoNotMatter(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	c.post("/api/v1/users", object{"userId": " spaced out "}).says(http.StatusOK, "success", "")
	c.post("/api/v1/users", object{"userId": " spaced", "domain": "DOM"}).says(http.StatusOK, "success", "")
	for _, path := range []string{"%20spaced%20out%20", "spaced%20out", "DOM/%20spaced", "DOM/spaced", "DOM/spaced%20out%20"} {
		c.get("/api/v1/users/" + path + "/factors").is(http.StatusOK)
	}
	for _, path := range []string{"%20", "DOM/%20", "spaced"} {
		c.get("/api/v1/users/" + path + "/factors").is(http.StatusNotFound)
	}
}
