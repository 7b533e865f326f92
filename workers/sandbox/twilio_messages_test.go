package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	twilio "github.com/twilio/twilio-go/client"
)

func (b *bundle) text(t *testing.T, change map[string]string) answered {
	t.Helper()
	form := url.Values{"To": {ana}, "From": {b.account.TwilioFrom}, "Body": {"482913 is your Example Bank code. Don't share it."}}
	for k, v := range change {
		form.Set(k, v)
		if v == "" {
			form.Del(k)
		}
	}
	return b.twilio(t, "Messages.json", form)
}

func (b *bundle) twilio(t *testing.T, resource string, form url.Values) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x", nil)
	require.NoError(t, err)
	req.SetBasicAuth(b.account.TwilioAccountSID, b.account.TwilioAuthToken)
	return b.do(t, http.MethodPost, "/sandbox/twilio/2010-04-01/Accounts/"+b.account.TwilioAccountSID+"/"+resource, map[string]string{
		"Authorization": req.Header.Get("Authorization"), "Content-Type": "application/x-www-form-urlencoded",
	}, form.Encode())
}

func TestATextArrivesWithItsCode(t *testing.T) {
	b := setup(t)
	res := b.text(t, map[string]string{
		"ValidityPeriod": "300", "ContentRetention": "discard", "AddressRetention": "obfuscate", "StatusCallback": b.assent.url + "/callbacks/twilio/sms/v1/1",
	})
	require.Equal(t, http.StatusCreated, res.status, "%s", res.body)
	v := res.json(t)
	require.Equal(t, "queued", v["status"])
	require.Regexp(t, `^SM[0-9a-f]{32}$`, v["sid"])

	m := b.one(t, "?to=%2B14155550100&channel=sms")
	require.Equal(t, "twilio", m.Provider)
	require.Equal(t, "482913", m.Code)
	require.Empty(t, m.Link)
	require.Equal(t, b.account.TwilioFrom, m.From)
	require.NotNil(t, m.Data)
	require.Len(t, b.messages(t, "?to=+14155550100"), 1, "a plus that was not escaped")
}

func TestAStatusCallbackIsSignedAsTwilioSignsIt(t *testing.T) {
	b := setup(t)
	target := b.assent.url + "/callbacks/twilio/sms/v1/1?x=1"
	sid := b.text(t, map[string]string{"StatusCallback": target}).json(t)["sid"]
	validator := twilio.NewRequestValidator(b.account.TwilioAuthToken)
	for _, status := range []string{"sent", "delivered"} {
		got := b.assent.next(t)
		require.True(t, validator.ValidateBody(target, got.body, got.header.Get("X-Twilio-Signature")), "signature of %s", status)
		require.False(t, validator.ValidateBody(target, append(got.body, "&Body=x"...), got.header.Get("X-Twilio-Signature")))
		form := got.form(t)
		require.Equal(t, status, form.Get("MessageStatus"))
		require.Equal(t, sid, form.Get("MessageSid"))
		require.Equal(t, ana, form.Get("To"))
		require.Equal(t, b.account.TwilioAccountSID, form.Get("AccountSid"))
	}
	m := b.one(t, "")
	eventually(t, func() bool {
		d := b.do(t, http.MethodGet, "/sandbox/messages/"+m.ID, nil, "").json(t)
		cbs, _ := d["callbacks"].([]any)
		return len(cbs) == 2 && cbs[1].(map[string]any)["status"] == 204.0
	})
}

func TestACallbackIsTriedAgainButNotForEver(t *testing.T) {
	b := setup(t)
	b.assent.on("/cb", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	require.Equal(t, http.StatusCreated, b.text(t, map[string]string{"StatusCallback": b.assent.url + "/cb"}).status)
	for range 6 { // three attempts at each of two callbacks
		b.assent.next(t)
	}
	m := b.one(t, "")
	eventually(t, func() bool {
		cbs, _ := b.do(t, http.MethodGet, "/sandbox/messages/"+m.ID, nil, "").json(t)["callbacks"].([]any)
		return len(cbs) == 2 && cbs[1].(map[string]any)["attempt"] == 3.0
	})
	require.Empty(t, b.assent.got)
}

func TestTwilioRefusesATextThatTwilioWouldRefuse(t *testing.T) {
	b := setup(t)
	for _, c := range []struct {
		name   string
		change map[string]string
		code   int
	}{
		{"no To", map[string]string{"To": ""}, 21604},
		{"To is not a number", map[string]string{"To": "+1234"}, 21211},
		{"To without a plus", map[string]string{"To": "14155550100"}, 21211},
		{"no sender", map[string]string{"From": ""}, 21603},
		{"somebody else's sender", map[string]string{"From": "+14155550111"}, 21606},
		{"a sender that is no number", map[string]string{"From": "+1"}, 21212},
		{"To is From", map[string]string{"To": b.account.TwilioFrom}, 21266},
		{"a service that is none", map[string]string{"From": "", "MessagingServiceSid": "MG1"}, 21701},
		{"no body", map[string]string{"Body": ""}, 21602},
		{"a long body", map[string]string{"Body": strings.Repeat("é", 1601)}, 21617},
		{"a callback that is no URL", map[string]string{"StatusCallback": "/relative"}, 21609},
		{"a callback host with an underscore", map[string]string{"StatusCallback": "http://a_b/c"}, 21609},
		{"no life left", map[string]string{"ValidityPeriod": "0"}, 20422},
		{"too long a life", map[string]string{"ValidityPeriod": "36001"}, 20422},
		{"an unknown retention", map[string]string{"ContentRetention": "forget"}, 20422},
		{"an unknown parameter", map[string]string{"Colour": "blue"}, 20001},
		{"reserved: not a number", map[string]string{"To": "+14155550190"}, 21211},
		{"reserved: opted out", map[string]string{"To": "+14155550191"}, 21610},
		{"reserved: country", map[string]string{"To": "+14155550192"}, 21408},
		{"reserved: landline", map[string]string{"To": "+14155550193"}, 21614},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := b.text(t, c.change)
			require.Equal(t, http.StatusBadRequest, res.status)
			v := res.json(t)
			require.EqualValues(t, c.code, v["code"], "%v", v["message"])
			require.EqualValues(t, 400, v["status"])
			require.NotEmpty(t, v["message"])
			require.Contains(t, v["more_info"], "twilio.com/docs/errors")
		})
	}
	require.Empty(t, b.messages(t, ""), "a refused text arrives nowhere")
}

func TestTwilioKnowsItsAccount(t *testing.T) {
	b := setup(t)
	path := "/sandbox/twilio/2010-04-01/Accounts/" + b.account.TwilioAccountSID + "/Messages.json"
	res := b.do(t, http.MethodPost, path, map[string]string{"Authorization": "Basic QUM6eA=="}, "")
	require.Equal(t, http.StatusUnauthorized, res.status)
	require.EqualValues(t, 20003, res.json(t)["code"])
	require.NotEmpty(t, res.header.Get("WWW-Authenticate"))

	res = b.twilio(t, "Faxes.json", nil)
	require.Equal(t, http.StatusNotFound, res.status)
	require.EqualValues(t, 20404, res.json(t)["code"])
}

func TestAServiceMayStandInForTheSender(t *testing.T) {
	b := setup(t)
	res := b.text(t, map[string]string{"From": "", "MessagingServiceSid": "MG0123456789abcdef0123456789abcdef"})
	require.Equal(t, http.StatusCreated, res.status, "%s", res.body)
	require.Equal(t, b.account.TwilioFrom, b.one(t, "").From)
}

func TestReservedNumbersHaveTheirOutcomes(t *testing.T) {
	b := setup(t)
	t.Run("undelivered by callback", func(t *testing.T) {
		require.Equal(t, http.StatusCreated, b.text(t, map[string]string{"To": "+14155550194", "StatusCallback": b.assent.url + "/cb"}).status)
		require.Equal(t, "sent", b.assent.next(t).form(t).Get("MessageStatus"))
		last := b.assent.next(t).form(t)
		require.Equal(t, "undelivered", last.Get("MessageStatus"))
		require.Equal(t, "30003", last.Get("ErrorCode"))
	})
	t.Run("never reported as delivered", func(t *testing.T) {
		require.Equal(t, http.StatusCreated, b.text(t, map[string]string{"To": "+14155550195", "StatusCallback": b.assent.url + "/cb"}).status)
		require.Equal(t, "sent", b.assent.next(t).form(t).Get("MessageStatus"))
		require.Equal(t, "sent", b.one(t, "?to=%2B14155550195").Status)
	})
	t.Run("throttled once", func(t *testing.T) {
		first := b.text(t, map[string]string{"To": "+14155550196"})
		require.Equal(t, http.StatusTooManyRequests, first.status)
		require.Equal(t, "1", first.header.Get("Retry-After"))
		require.EqualValues(t, 20429, first.json(t)["code"])
		require.Equal(t, http.StatusCreated, b.text(t, map[string]string{"To": "+14155550196"}).status)
	})
	t.Run("throttled always", func(t *testing.T) {
		for range 2 {
			res := b.text(t, map[string]string{"To": "+14155550197"})
			require.Equal(t, http.StatusTooManyRequests, res.status)
			require.Empty(t, res.header.Get("Retry-After"))
		}
	})
	t.Run("unavailable", func(t *testing.T) {
		res := b.text(t, map[string]string{"To": "+14155550198"})
		require.Equal(t, http.StatusServiceUnavailable, res.status)
		require.Contains(t, res.header.Get("Content-Type"), "text/html")
	})
}

func TestAMessageCanBeFetchedByItsSID(t *testing.T) {
	b := setup(t)
	sid := b.text(t, nil).json(t)["sid"].(string)
	auth := map[string]string{"Authorization": basic(b.account.TwilioAccountSID, b.account.TwilioAuthToken)}
	base := "/sandbox/twilio/2010-04-01/Accounts/" + b.account.TwilioAccountSID
	eventually(t, func() bool {
		return b.do(t, http.MethodGet, base+"/Messages/"+sid+".json", auth, "").json(t)["status"] == "delivered"
	})
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, base+"/Calls/"+sid+".json", auth, "").status)
	var list struct {
		Messages []map[string]any `json:"messages"`
	}
	require.NoError(t, json.Unmarshal(b.do(t, http.MethodGet, base+"/Messages.json?To=%2B14155550100", auth, "").body, &list))
	require.Len(t, list.Messages, 1)
}

func TestCallbacksGoThroughTheDoorBehindThePublicName(t *testing.T) {
	var behind string
	b := setup(t)
	behind = strings.TrimPrefix(b.assent.url, "http://")
	inner := setupWith(t, b, "https://assent.example", behind)
	target := "https://assent.example/callbacks/twilio/sms/v1/1"
	require.Equal(t, http.StatusCreated, inner.text(t, map[string]string{"StatusCallback": target}).status)
	got := b.assent.next(t)
	require.Equal(t, "assent.example", got.host)
	validator := twilio.NewRequestValidator(b.account.TwilioAuthToken)
	require.True(t, validator.ValidateBody(target, got.body, got.header.Get("X-Twilio-Signature")))
}

func TestADeliveryIsLoggedWithoutItsAddressOrCode(t *testing.T) {
	b := setup(t)
	b.text(t, nil)
	m := b.one(t, "")
	require.Contains(t, b.logs.String(), "/sandbox#m="+m.ID)
	require.NotContains(t, b.logs.String(), "482913")
	require.NotContains(t, b.logs.String(), ana)
	require.Contains(t, b.logs.String(), "+1•••0100")
}

func validTwilio(b *bundle, got received) bool {
	validator := twilio.NewRequestValidator(b.account.TwilioAuthToken)
	return validator.ValidateBody(got.url, got.body, got.header.Get("X-Twilio-Signature"))
}
