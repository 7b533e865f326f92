package scenario_test

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestSecureAuthUsersAreTheSameInEveryDoor(t *testing.T) {
	t.Parallel()
	s := Apart(t)
	p := somebody()
	d := s.Tenant()
	there := d.Has(p, fields{"password": password, "password_confirmation": password})
	here := member{s.Realm(javaSDK(), nil), p, p.mailbox}

	// Made by OneLogin's API, known to SecureAuth's.
	profile := here.Finds(here.path(""))
	require.Equal(t, "Ana", profile.Properties["firstName"].Value)
	require.Equal(t, "true", profile.Properties["firstName"].Writable)
	require.Equal(t, p.number, profile.Properties["phone1"].Value)
	require.Equal(t, p.mailbox, profile.Properties["email1"].Value)
	require.Equal(t, "valid", here.Auth("password", fields{"token": password}).Status)

	// Changed by SecureAuth's, seen by OneLogin's.
	other := somebody().number
	done := here.Says(http.MethodPut, here.path(""), fields{"properties": fields{"lastName": "Souza", "phone1": other, "phone2": p.number}})
	require.Equal(t, "success", done.Status, done.Message)
	seen := read[struct {
		LastName string
		Phone    string
	}](t, d.Call(http.MethodGet, "/api/2/users/"+number(there.id), nil), http.StatusOK)
	require.Equal(t, "Souza", seen.LastName)
	require.Equal(t, other, seen.Phone)
	reset := here.Says(http.MethodPost, here.path("/resetpwd"), fields{"password": "Another-horse-8-battery"})
	require.Equal(t, "Password was reset", reset.Message)
	require.Equal(t, http.StatusUnauthorized, there.LogsIn(password).status)
	require.Equal(t, http.StatusOK, there.LogsIn("Another-horse-8-battery").status)

	// Locked by SecureAuth's, shut out of OneLogin's.
	require.Equal(t, "success", here.Says(http.MethodPost, here.path("/status"), fields{"status": "lock"}).Status)
	require.Equal(t, http.StatusUnauthorized, there.LogsIn("Another-horse-8-battery").status)
	require.Equal(t, "success", here.Says(http.MethodPost, here.path("/status"), fields{"status": "unlock"}).Status)
	require.Equal(t, http.StatusOK, there.LogsIn("Another-horse-8-battery").status)

	here.Sent("sms", fields{"factor_id": "Phone2"})
	require.Equal(t, "valid", here.Types(here.Message(p.number).Code).Status)
}

func TestSecureAuthNumbersThatAreBlockedGetNothing(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana := s.Realm(csharpSDK(), fields{"block": fields{"countries": []string{"US"}}}).Has(somebody(), nil)
	for kind, yes := range map[string]any{"sms": "True", "call": true, "sms_link": "true"} {
		refused := read[said](t, ana.Call(http.MethodPost, "/auth", ana.asks(kind, fields{"factor_id": "Phone1", "evaluate_number": yes})), http.StatusOK)
		require.Equal(t, "invalid", refused.Status, kind)
		require.NotContains(t, refused.Message, ana.number)
		require.NotEmpty(t, refused.Message)
	}
	noMessages(t, s, ana.number)
	known := read[struct {
		Status string
		Result struct {
			Country string `json:"countryCode"`
			Current struct {
				Status struct{ Status string } `json:"carrierStatus"`
			} `json:"currentCarrier"`
		} `json:"numberProfileResult"`
	}](t, ana.Call(http.MethodPost, "/numberprofile", fields{"user_id": ana.user, "phone_number": ana.number}), http.StatusOK)
	require.Equal(t, "verified", known.Status)
	require.Equal(t, "US", known.Result.Country)
	require.Equal(t, "blocked", known.Result.Current.Status.Status)
	ana.Sent("sms", fields{"factor_id": "Phone1", "evaluate_number": false})
	require.Equal(t, api.ChannelSMS, ana.Message(ana.number).Channel)
}

func TestSecureAuthAKillLosesNoQuestion(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("0f1e2d3c", 8)
	env := append(credential(), "ASSENT_SECUREAUTH__APP_ID=8f14e45fceea167a5a36dedd4bea2543", "ASSENT_SECUREAUTH__APP_KEY="+key, "ASSENT_SECUREAUTH__REALM=secureauth1")
	listen, err := freeAddress()
	require.NoError(t, err)
	data := t.TempDir()
	first, err := startUpAt(listen, data, env...)
	require.NoError(t, err)
	raw, err := hex.DecodeString(key)
	require.NoError(t, err)
	before := &application{story: &story{first, t}, sdk: javaSDK(), realm: "secureauth1", id: "8f14e45fceea167a5a36dedd4bea2543", key: raw, made: map[string]bool{}}
	ana := before.Has(somebody(), nil)

	target, err := url.Parse(first.base + "/secureauth1/api/v1/auth")
	require.NoError(t, err)
	body := ana.encode(t, ana.asks("email_link", fields{"factor_id": "Email1"}))
	signed := ana.headers(http.MethodPost, target, body)
	a, err := first.ask(t.Context(), http.MethodPost, target.String(), body, signed...)
	require.NoError(t, err)
	asked := read[said](t, a, http.StatusOK)
	link := ana.Message(ana.mailbox).Link
	ana.Sent("sms", fields{"factor_id": "Phone1"})
	code := ana.Message(ana.number).Code
	first.processes[0].kill()

	second, err := startUpAt(listen, data, env...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.stop()) })
	ana.application = (&story{second, t}).with(before)
	require.Equal(t, "PENDING", ana.Reads(ofLink, asked))
	Opens(t, link).Presses("Approve")
	ana.Polls(ofLink, asked, "ACCEPTED")
	require.Equal(t, "valid", ana.Types(code).Status)
	a, err = second.ask(t.Context(), http.MethodPost, target.String(), body, signed...)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, a.status, "what was signed before the kill is used up")
}
