package scenario_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// bad is a request that must be refused, and what the refusal must say.
type bad struct {
	name   string
	body   string // TO and MAIL stand for addresses that nobody else has
	status int
	code   api.ProblemCode
	fields []string // pointers that must be named
}

const (
	unprocessable = http.StatusUnprocessableEntity
	invalidCode   = api.ProblemCodeInvalidRequest
)

func badRequests() []bad {
	sms := func(more string) string { return `{"to":"TO","channel":"sms",` + more + `}` }
	to := func(number string) string { return `{"to":` + number + `,"channel":"sms"}` }
	mailTo := func(address string) string { return `{"to":"` + address + `","channel":"email"}` }
	rows := []bad{
		{"nothing", ``, http.StatusBadRequest, api.ProblemCodeMalformedJSON, nil},
		{"no JSON", `to=TO&channel=sms`, http.StatusBadRequest, api.ProblemCodeMalformedJSON, nil},
		{"half an object", `{"to":"TO","channel":"sms"`, http.StatusBadRequest, api.ProblemCodeMalformedJSON, nil},
		{"something after the object", `{"to":"TO","channel":"sms"} {}`, http.StatusBadRequest, api.ProblemCodeMalformedJSON, nil},
		{"broken UTF-8", sms("\"brand\":\"a\xff\xfeb\""), http.StatusBadRequest, api.ProblemCodeMalformedJSON, nil},
		{"64 KiB and more", sms(`"brand":"` + strings.Repeat("x", 66<<10) + `"`), http.StatusRequestEntityTooLarge, api.ProblemCodeBodyTooLarge, nil},
	}
	for _, r := range []struct {
		name, body string
		fields     []string
	}{
		{"an empty object", `{}`, []string{"#/to", "#/channel"}},
		{"an unknown field", sms(`"chanel":"sms"`), []string{"#/chanel"}},
		{"two unknown fields", sms(`"a":1,"b":2`), []string{"#/a", "#/b"}},
		{"an unknown field further in", sms(`"context":{"city":"Lisbon"}`), []string{"#/context/city"}},
		{"a number for a string", to(`14155550123`), []string{"#/to"}},
		{"a list for a string", to(`["TO"]`), []string{"#/to"}},
		{"a string for a number", sms(`"expires_in":"300"`), []string{"#/expires_in"}},
		{"a string for an object", sms(`"context":"Lisbon"`), []string{"#/context"}},
		{"a number in metadata", sms(`"metadata":{"order":7}`), []string{"#/metadata/order"}},
		{"a number without its country", to(`"4155550123"`), []string{"#/to"}},
		{"letters in a number", to(`"+1415FLOWERS"`), []string{"#/to"}},
		{"a number that is too short", to(`"+1415555"`), []string{"#/to"}},
		{"a number that is too long", to(`"+141555501234567"`), []string{"#/to"}},
		{"a country that does not exist", to(`"+99912345678"`), []string{"#/to"}},
		{"a number that nobody can have", to(`"+11115550123"`), []string{"#/to"}},
		{"a line break in a number", to(`"TO\n"`), []string{"#/to"}},
		{"a mailbox for a text", to(`"MAIL"`), []string{"#/to"}},
		{"a number for a mail", mailTo("TO"), []string{"#/to"}},
		{"a mailbox without a domain", mailTo("ana"), []string{"#/to"}},
		{"two mailboxes", mailTo("ana@example.com,ben@example.com"), []string{"#/to"}},
		{"a name with a mailbox", mailTo(`Ana <MAIL>`), []string{"#/to"}},
		{"a header in a mailbox", mailTo(`MAIL\r\nBcc: ben@example.com`), []string{"#/to"}},
		{"a channel that does not exist", `{"to":"TO","channel":"fax"}`, []string{"#/channel"}},
		{"a challenge that does not exist", sms(`"challenge":"riddle"`), []string{"#/challenge"}},
		{"a link in a call", `{"to":"TO","channel":"voice","challenge":"link"}`, []string{"#/challenge"}},
		{"an approval by mail", `{"to":"MAIL","channel":"email","challenge":"approval"}`, []string{"#/challenge"}},
		{"a push to a number", `{"to":"TO","channel":"push"}`, []string{"#/device_id"}},
		{"a device and a number", sms(`"device_id":"018f2f4e-0000-7000-8000-000000000000"`), []string{"#/device_id"}},
		{"a device that does not exist", `{"device_id":"018f2f4e-0000-7000-8000-000000000000"}`, []string{"#/device_id"}},
		{"29 seconds", sms(`"expires_in":29`), []string{"#/expires_in"}},
		{"601 seconds", sms(`"expires_in":601`), []string{"#/expires_in"}},
		{"no seconds", sms(`"expires_in":0`), []string{"#/expires_in"}},
		{"half a second", sms(`"expires_in":30.5`), []string{"#/expires_in"}},
		{"three digits", sms(`"code_length":3`), []string{"#/code_length"}},
		{"eleven digits", sms(`"code_length":11`), []string{"#/code_length"}},
		{"a brand that is too long", sms(`"brand":"` + strings.Repeat("b", 31) + `"`), []string{"#/brand"}},
		{"a line break in the brand", sms(`"brand":"Example\nBank"`), []string{"#/brand"}},
		{"a bell in the brand", sms(`"brand":"Example\u0007"`), []string{"#/brand"}},
		{"a brand that turns the text around", sms(`"brand":"knaB\u202e"`), []string{"#/brand"}},
		{"a web address in the brand", sms(`"brand":"https://evil.test"`), []string{"#/brand"}},
		{"a web address in the action", sms(`"context":{"action":"see www.evil.test"}`), []string{"#/context/action"}},
		{"an address that is none", sms(`"context":{"ip":"300.1.2.3"}`), []string{"#/context/ip"}},
		{"a locale that is none", sms(`"locale":"klingon!"`), []string{"#/locale"}},
		{"a metadata value that is too long", sms(`"metadata":{"note":"` + strings.Repeat("n", 257) + `"}`), []string{"#/metadata/note"}},
		{"several at once", sms(`"expires_in":1,"code_length":99,"brand":"a\tb","extra":true`), []string{"#/expires_in", "#/code_length", "#/brand", "#/extra"}},
	} {
		rows = append(rows, bad{r.name, r.body, unprocessable, invalidCode, r.fields})
	}
	return rows
}

func TestABadRequestIsToldWhatIsWrongAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := Together(t)
	for _, row := range badRequests() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, ana := s.in(t), somebody()
			// Under a key a request that was stored would be found again.
			key := header("Idempotency-Key", "bad-"+ana.number)
			body := strings.NewReplacer("TO", ana.number, "MAIL", ana.mailbox).Replace(row.body)
			p := s.Refused(s.Call(http.MethodPost, "/v1/verifications", body, key), row.status, row.code)
			var named []string
			for _, f := range p.Errors {
				named = append(named, f.Pointer)
				require.NotEmpty(t, f.Detail)
			}
			for _, field := range row.fields {
				require.Contains(t, named, field, "problem: %+v", p)
			}
			require.NotEmpty(t, p.Detail)
			sound := s.Call(http.MethodPost, "/v1/verifications", mail(ana), key)
			require.Empty(t, sound.header.Get("Idempotent-Replayed"), "the bad request was stored under its key")
			read[api.Verification](t, sound, http.StatusCreated)
			s.Message(ana.mailbox)
			noMessages(t, s, ana.number)
			require.Len(t, s.Messages(ana.mailbox), 1)
		})
	}
}

func TestWhoIsNobodyGetsNothing(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana))
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	for name, authorization := range map[string]string{
		"no credential":          "",
		"a wrong secret":         basic(clientID, "guess"),
		"an unknown client":      basic("somebody-else", clientSecret),
		"a token that is none":   "Bearer abc.def.ghi",
		"a scheme that is none":  "Digest x",
		"a credential in pieces": "Basic !!!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ben := s.in(t), somebody()
			for _, a := range []answer{
				s.Call(http.MethodPost, "/v1/verifications", text(ben), header("Authorization", authorization)),
				s.Call(http.MethodGet, "/v1/verifications/"+v.ID, nil, header("Authorization", authorization)),
			} {
				s.Refused(a, http.StatusUnauthorized, api.ProblemCodeUnauthorized)
				require.NotEmpty(t, a.header.Get("WWW-Authenticate"))
			}
			noMessages(t, s, ben.number)
		})
	}
}

func TestATokenOpensWhatItsClientMayDo(t *testing.T) {
	t.Parallel()
	s, ana := Apart(t), somebody()
	a := s.Call(http.MethodPost, "/auth/oauth2/v2/token", `{"grant_type":"client_credentials"}`)
	token := read[api.AccessToken](t, a, http.StatusOK)
	bearer := header("Authorization", "Bearer "+token.AccessToken)
	v := s.Create(text(ana), bearer)
	// The other process believes it too.
	a, err := s.ask(t.Context(), http.MethodGet, s.others[0]+"/v1/verifications/"+v.ID, nil, bearer)
	require.NoError(t, err)
	require.Equal(t, v.ID, read[api.Verification](t, a, http.StatusOK).ID)
}

func TestRoadsThatLeadNowhereSaySo(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana))
	for _, id := range []string{"018f2f4e-0000-7000-8000-000000000000", "nonsense", "*", "%3E", v.ID + ".x"} {
		s.Refused(s.Call(http.MethodGet, "/v1/verifications/"+id, nil), http.StatusNotFound, api.ProblemCodeNotFound)
	}
	s.Refused(s.Call(http.MethodGet, "/v1/nothing", nil), http.StatusNotFound, api.ProblemCodeNotFound)
	wrongWay := s.Call(http.MethodDelete, "/v1/verifications/"+v.ID, nil)
	s.Refused(wrongWay, http.StatusMethodNotAllowed, api.ProblemCodeMethodNotAllowed)
	require.Contains(t, wrongWay.header.Get("Allow"), http.MethodGet)
	wrongType := s.Call(http.MethodPost, "/v1/verifications", `{}`, header("Content-Type", "text/plain"))
	s.Refused(wrongType, http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
	for _, wait := range []string{"-1", "61", "soon"} {
		p := s.Refused(s.Call(http.MethodGet, "/v1/verifications/"+v.ID+"?wait="+wait, nil), unprocessable, invalidCode)
		require.Equal(t, "wait", p.Errors[0].Parameter)
	}
	for _, code := range []string{"", "123", "12345678901", "12a456", "１２３４５６"} {
		body, err := json.Marshal(api.CheckCode{Code: code})
		require.NoError(t, err)
		p := s.Refused(s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/check", string(body)), unprocessable, invalidCode)
		require.Equal(t, "#/code", p.Errors[0].Pointer)
	}
	require.Equal(t, 5, s.Get(v).ChecksLeft, "what cannot be a code costs no check")
}

func TestABadDeviceIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := Together(t)
	user, key := s.User(), s.Phone(api.PlatformAPNs).PublicKey
	token := strings.Repeat("ab", 32)
	for name, row := range map[string]struct {
		device map[string]any
		fields []string
	}{
		"nothing":                           {map[string]any{}, []string{"#/kind"}},
		"a kind that does not exist":        {map[string]any{"kind": "pager"}, []string{"#/kind"}},
		"a phone without a number":          {map[string]any{"kind": "phone"}, []string{"#/address"}},
		"a phone with a mailbox":            {map[string]any{"kind": "phone", "address": "ana@example.com"}, []string{"#/address"}},
		"a mailbox with a number":           {map[string]any{"kind": "mailbox", "address": "+14155550100"}, []string{"#/address"}},
		"an app without anything":           {map[string]any{"kind": "push"}, []string{"#/platform", "#/push_token", "#/public_key"}},
		"a platform that does not exist":    {map[string]any{"kind": "push", "platform": "palm", "push_token": token, "public_key": key}, []string{"#/platform"}},
		"a token that is none":              {map[string]any{"kind": "push", "platform": "apns", "push_token": "xyz", "public_key": key}, []string{"#/push_token"}},
		"a key that is none":                {map[string]any{"kind": "push", "platform": "apns", "push_token": token, "public_key": "AAAA"}, []string{"#/public_key"}},
		"a name that turns the text":        {map[string]any{"kind": "phone", "address": "+14155550100", "name": "a\u202eb"}, []string{"#/name"}},
		"a field that does not exist":       {map[string]any{"kind": "phone", "address": "+14155550100", "colour": "red"}, []string{"#/colour"}},
		"a number where words are expected": {map[string]any{"kind": "phone", "address": 1}, []string{"#/address"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			p := s.Refused(s.Call(http.MethodPost, "/v1/users/"+user.ID+"/devices", row.device), unprocessable, invalidCode)
			var named []string
			for _, f := range p.Errors {
				named = append(named, f.Pointer)
			}
			require.Subset(t, named, row.fields)
			require.Empty(t, read[api.DeviceList](t, s.Call(http.MethodGet, "/v1/users/"+user.ID+"/devices", nil), http.StatusOK).Data)
		})
	}
	s.Refused(s.Call(http.MethodPost, "/v1/users/018f2f4e-0000-7000-8000-000000000000/devices", api.CreateDevice{Kind: api.DeviceKindPhone, Address: "+14155550100"}), http.StatusNotFound, api.ProblemCodeNotFound)
}
