package scenario_test

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecureAuthEachSDKSignsInItsOwnWay(t *testing.T) {
	t.Parallel()
	for _, speaks := range sdks() {
		t.Run(speaks.name, func(t *testing.T) {
			t.Parallel()
			s := Apart(t)
			for name, words := range map[string]string{"a user": "", "spaces": "Ana Lima ", "a domain": `SHOP\ana.`, "marks": "a'b+c&d;é "} {
				if speaks.name == "Node" && name == "marks" {
					words = "a'b+c&d; " // that SDK signs no more than ASCII
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					ana := s.in(t).Realm(speaks, nil).HasNamed(words+somebody().mailbox, somebody(), nil)
					lives(ana)
				})
			}
			t.Run("without a realm in the path", func(t *testing.T) {
				t.Parallel()
				a := s.in(t).Realm(speaks, nil)
				a.realm = ""
				lives(a.Has(somebody(), nil))
			})
		})
	}
}

// lives is what a login page does with a user, in the ways that the SDKs spell it.
func lives(ana member) {
	t := ana.t
	require.Len(t, ana.Factors(), 2)
	byName := ana.Finds("/users/factors?username=" + url.QueryEscape(ana.user))
	require.Equal(t, ana.Factors(), byName.Factors)
	if domain, user, in := strings.Cut(ana.user, `\`); in {
		require.Len(t, ana.Finds("/users/"+domain+"/"+url.PathEscape(user)+"/factors").Factors, 2)
		require.Len(t, ana.Finds("/users/factors?username="+url.QueryEscape(user)+"&domain="+domain).Factors, 2)
	}
	require.Equal(t, "valid", ana.Says(http.MethodGet, ana.path("/status"), nil).Status)
	require.Equal(t, "valid", ana.Says(http.MethodGet, "/users//status?username="+url.QueryEscape(ana.user), nil).Status)

	ana.Sent("sms", fields{"factor_id": "Phone1", "evaluate_number": ana.yes})
	throttle := "/api/v1" + ana.path("/throttle")
	require.Equal(t, 1, ana.Finds(throttle).Count)
	reset := ana.Says(http.MethodPut, throttle, nil)
	require.Equal(t, "found", reset.Status, reset.Message)
	require.Zero(t, ana.Finds(throttle).Count)
	require.Equal(t, "valid", ana.Types(ana.Message(ana.number).Code).Status)

	asked := ana.Sent("email_link", fields{"factor_id": "Email1", "push_accept_details": nil})
	require.Equal(t, "PENDING", ana.Reads(ofLink, asked))

	deleted := ana.Says(http.MethodDelete, "/api/v1/users/", fields{"user_id": ana.user, "domain": "", "deleteAllRelatedData": false})
	require.Equal(t, "success", deleted.Status, deleted.Message)
	gone := read[said](t, ana.Call(http.MethodGet, ana.path("/factors"), nil), http.StatusNotFound)
	require.Equal(t, "not_found", gone.Status)
	require.Equal(t, "User Id was not found.", gone.Message)
	require.Equal(t, ana.user, gone.UserID)
}

func TestSecureAuthAskingTooOftenIsThrottledInAllProcesses(t *testing.T) {
	t.Parallel()
	s := Apart(t)
	a := s.Realm(goSDK(), fields{"attempts": fields{"count": 3, "window": 600}})
	ana := a.Has(somebody(), nil)
	for i := range 3 {
		ana.Sent("email", fields{"factor_id": "Email1"})
		require.Equal(t, i+1, ana.Finds(ana.path("/throttle")).Count)
	}
	eventually(t, "three mails arrive", func() bool { return len(ana.Messages(ana.mailbox)) == 3 })
	for range 2 { // once on each process
		refused := ana.Auth("sms", fields{"factor_id": "Phone1"})
		require.Equal(t, "invalid", refused.Status)
		require.NotEmpty(t, refused.Message)
		require.Empty(t, refused.ReferenceID)
	}
	noMessages(t, s, ana.number)
	require.Equal(t, 3, ana.Finds(ana.path("/throttle")).Count)
	require.Equal(t, "valid", ana.Auth("password", fields{"token": password}).Status, "passwords do not count")

	// The realms of an account have one counter, and the other one's code resets it.
	other := member{s.Realm(nodeSDK(), nil), ana.person, ana.user}
	require.Equal(t, 3, other.Finds(other.path("/throttle")).Count)
	require.Zero(t, ana.Says(http.MethodPut, ana.path("/throttle"), nil).Count)
	ana.Sent("sms", fields{"factor_id": "Phone1"})
	require.Equal(t, 1, other.Finds(other.path("/throttle")).Count)
	require.Equal(t, "valid", ana.Types(ana.Message(ana.number).Code).Status)
	require.Zero(t, other.Finds(other.path("/throttle")).Count)
}

func TestSecureAuthValidatingTooOftenIsThrottled(t *testing.T) {
	t.Parallel()
	ana := Apart(t).Realm(goSDK(), fields{"validations": fields{"count": 2, "window": 600}}).Has(somebody(), nil)
	ana.Sent("sms", fields{"factor_id": "Phone1"})
	code := ana.Message(ana.number).Code
	for i := range 2 {
		require.Equal(t, "invalid", ana.Types(wrong(code)).Status)
		require.Equal(t, i+1, ana.Finds(ana.path("/otpvalidatethrottle")).Count)
	}
	throttled := ana.Types(code)
	require.Equal(t, "invalid", throttled.Status)
	require.NotEqual(t, "OTP is invalid.", throttled.Message, "the code was right: it says that it is too often")
	require.Zero(t, ana.Says(http.MethodPut, ana.path("/otpvalidatethrottle"), nil).Count)
	require.Equal(t, "valid", ana.Types(code).Status)
}

func TestSecureAuthWhoIsShutOutGetsNothing(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		for _, c := range []struct{ shut, state, open string }{{"lock", "lock_out", "unlock"}, {"disable", "disabled", "enable"}} {
			t.Run(c.state, func(t *testing.T) {
				t.Parallel()
				ana := s.in(t).Realm(goSDK(), nil).Has(somebody(), nil)
				token := ana.Carries()
				device := ana.Factor("push").ID
				becomes := func(status string) {
					done := ana.Says(http.MethodPost, ana.path("/status"), fields{"status": status})
					require.Equal(t, "success", done.Status)
					require.Equal(t, "User Status update complete", done.Message)
				}
				becomes(c.shut)
				require.Equal(t, c.state, ana.Says(http.MethodGet, ana.path("/status"), nil).Status)
				first := ana.Says(http.MethodGet, "/api/v1"+ana.path("/factors"), nil)
				require.Equal(t, c.state, first.Status)
				require.Empty(t, first.Factors)
				second := ana.Says(http.MethodGet, "/api/v2"+ana.path("/factors"), nil)
				require.Equal(t, c.state, second.Status)
				require.NotEmpty(t, second.Factors)
				for _, version := range []string{"/api/v1/auth", "/api/v2/auth"} {
					for kind, factor := range map[string]string{"sms": "Phone1", "call": "Phone1", "sms_link": "Phone1", "email": "Email1", "email_link": "Email1", "push_accept": device, "push": device} {
						got := ana.Says(http.MethodPost, version, ana.asks(kind, fields{"factor_id": factor}))
						require.Equal(t, c.state, got.Status, "%s %s", version, kind)
						require.Empty(t, got.ReferenceID)
						require.Nil(t, got.OTP)
					}
				}

				// The first message that anybody gets is the one after it is over.
				becomes(c.open)
				ana.Sent("sms", fields{"factor_id": "Phone1"})
				ana.Message(ana.number)
				require.Len(t, ana.Messages(ana.number), 1)
				noMessages(t, ana.story, ana.mailbox)
				noMessages(t, ana.story, token)
			})
		}
	})
}

func TestSecureAuthARealmDoesNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana := s.Realm(goSDK(), fields{"methods": []string{"sms"}}).Has(somebody(), nil)
	ana.Sent("sms", fields{"factor_id": "Phone1"})
	refused := read[said](t, ana.Call(http.MethodPost, "/auth", ana.asks("email", fields{"factor_id": "Email1"})), http.StatusBadRequest)
	require.Equal(t, "invalid", refused.Status)
	require.Contains(t, refused.Message, "email")
	noMessages(t, s, ana.mailbox)
}

func TestSecureAuthAKeyIsRotatedWithoutAGap(t *testing.T) {
	t.Parallel()
	s := Apart(t)
	ana := s.Realm(goSDK(), nil).Has(somebody(), nil)
	before := ana.key
	rotate := func(overlap int) []byte {
		made := read[struct {
			AppKey string `json:"app_key"`
		}](t, s.Call(http.MethodPost, "/v1/realms/"+ana.realm+"/rotate", fields{"overlap": overlap}), http.StatusOK)
		key, err := hex.DecodeString(made.AppKey)
		require.NoError(t, err)
		require.NotEqual(t, before, key)
		return key
	}
	accepted := func(key []byte) int { // by both processes, whatever the answer is signed with
		status := 0
		for _, base := range append([]string{s.base}, s.others...) {
			target, err := url.Parse(base + "/" + ana.realm + "/api/v1" + ana.path("/factors"))
			require.NoError(t, err)
			with := *ana.application
			with.key = key
			a, err := s.ask(t.Context(), http.MethodGet, target.String(), nil, with.headers(http.MethodGet, target, "")...)
			require.NoError(t, err)
			status = max(status, a.status)
		}
		return status
	}
	second := rotate(3600)
	eventually(t, "the new key is known to all", func() bool { return accepted(second) == http.StatusOK })
	require.Equal(t, http.StatusOK, accepted(before), "the key before is still good")
	third := rotate(0)
	eventually(t, "the third key is known to all", func() bool { return accepted(third) == http.StatusOK })
	require.Equal(t, http.StatusUnauthorized, accepted(before))
	require.Equal(t, http.StatusUnauthorized, accepted(second))

	require.Equal(t, http.StatusNoContent, s.Call(http.MethodDelete, "/v1/realms/"+ana.realm, nil).status)
	eventually(t, "a removed realm is known to nobody", func() bool { return accepted(third) == http.StatusUnauthorized })
}

func TestSecureAuthARealmOfTheConfigurationIsThereAtTheStart(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("0f1e2d3c", 8)
	s := Alone(t, "ASSENT_SECUREAUTH__APP_ID=8f14e45fceea167a5a36dedd4bea2543", "ASSENT_SECUREAUTH__APP_KEY="+key, "ASSENT_SECUREAUTH__REALM=secureauth1")
	raw, err := hex.DecodeString(key)
	require.NoError(t, err)
	a := &application{story: s, sdk: javaSDK(), realm: "secureauth1", id: "8f14e45fceea167a5a36dedd4bea2543", key: raw, made: map[string]bool{}}
	ana := a.Has(somebody(), nil)
	ana.Sent("sms", fields{"factor_id": "Phone1"})
	require.Equal(t, "valid", ana.Types(ana.Message(ana.number).Code).Status)
}

func TestSecureAuthAStolenRequestWorksOnce(t *testing.T) {
	t.Parallel()
	s := Apart(t)
	ana := s.Realm(goSDK(), nil).Has(somebody(), nil)
	target, err := url.Parse(s.base + "/" + ana.realm + "/api/v1/auth")
	require.NoError(t, err)
	body := ana.encode(t, ana.asks("sms", fields{"factor_id": "Phone1"}))
	signed := ana.headers(http.MethodPost, target, body)
	again := func(base string) said {
		a, err := s.ask(t.Context(), http.MethodPost, base+target.EscapedPath(), body, signed...)
		require.NoError(t, err)
		ana.knows(a)
		if a.status != http.StatusOK {
			require.Equal(t, http.StatusUnauthorized, a.status, "answer: %s", a.body)
		}
		return read[said](t, a, a.status)
	}
	require.Equal(t, "valid", again(s.base).Status)
	for _, base := range append(s.others, s.base) {
		require.Equal(t, "invalid", again(base).Status)
	}
	ana.Message(ana.number)
	require.Len(t, ana.Messages(ana.number), 1)

	// A question may be asked again.
	factors, err := url.Parse(s.base + "/" + ana.realm + "/api/v1" + ana.path("/factors"))
	require.NoError(t, err)
	signed = ana.headers(http.MethodGet, factors, "")
	for _, base := range []string{s.base, s.others[0], s.base} {
		a, err := s.ask(t.Context(), http.MethodGet, base+factors.EscapedPath(), nil, signed...)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status, "answer: %s", a.body)
	}
}

func TestSecureAuthBadRequestsGetJSONThatNamesTheFault(t *testing.T) {
	t.Parallel()
	ana := Together(t).Realm(goSDK(), nil).Has(somebody(), nil)
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		says         string
	}{
		"a body that is no JSON":       {http.MethodPost, "/auth", "{", http.StatusBadRequest, "JSON"},
		"a body that is a list":        {http.MethodPost, "/auth", "[]", http.StatusBadRequest, "object"},
		"no type":                      {http.MethodPost, "/auth", fields{"user_id": ana.user}, http.StatusBadRequest, "type"},
		"a type that nobody has":       {http.MethodPost, "/auth", ana.asks("telepathy", nil), http.StatusBadRequest, "type must be one of"},
		"no user":                      {http.MethodPost, "/auth", fields{"type": "sms"}, http.StatusBadRequest, "user_id"},
		"a factor that the user lacks": {http.MethodPost, "/auth", ana.asks("sms", fields{"factor_id": "Phone4"}), http.StatusBadRequest, "Unknown factor id 'Phone4'."},
		"a user that nobody is":        {http.MethodPost, "/auth", fields{"user_id": "nobody", "type": "user_id"}, http.StatusNotFound, "User Id was not found."},
		"a reference that is none":     {http.MethodGet, "/auth/8117b628-9773-4d71-b48e-cdcab19bd437", nil, http.StatusNotFound, ""},
		"a path that is none":          {http.MethodGet, "/nothing/here", nil, http.StatusNotFound, ""},
		"a method that does not fit":   {http.MethodGet, "/auth", nil, http.StatusMethodNotAllowed, "GET"},
		"a status that is none":        {http.MethodPost, ana.path("/status"), fields{"status": "asleep"}, http.StatusBadRequest, "status must be"},
		"what Assent does not have":    {http.MethodPost, "/ipeval", fields{"user_id": ana.user, "ip_address": "203.0.113.7"}, http.StatusNotImplemented, "not part of this server"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ana.in(t).with(ana.application)
			got := read[said](t, a.Call(c.method, c.path, c.body), c.status)
			require.NotEmpty(t, got.Status)
			require.Contains(t, got.Message, c.says)
		})
	}
	noMessages(t, ana.story, ana.number)
}

func TestSecureAuthWhoDoesNotSignIsNobody(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana := s.Realm(goSDK(), nil).Has(somebody(), nil)
	for name, c := range map[string]struct {
		change func(*application)
		says   string
	}{
		"another key":          {func(a *application) { a.key = []byte(strings.Repeat("k", 32)) }, "Invalid credentials."},
		"an unknown App ID":    {func(a *application) { a.id = strings.Repeat("ab", 16) }, "AppId is unknown."},
		"another realm's path": {func(a *application) { a.realm = s.Realm(goSDK(), nil).realm }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stranger := *ana.application
			c.change(&stranger)
			target, err := url.Parse(s.base + "/" + stranger.realm + "/api/v1/auth")
			require.NoError(t, err)
			body := ana.encode(t, ana.asks("sms", fields{"factor_id": "Phone1"}))
			a, err := s.ask(t.Context(), http.MethodPost, target.String(), body, stranger.headers(http.MethodPost, target, body)...)
			require.NoError(t, err)
			got := read[said](t, a, http.StatusUnauthorized)
			require.Equal(t, "invalid", got.Status)
			require.Contains(t, got.Message, c.says)
		})
	}
	noMessages(t, s, ana.number)
}
