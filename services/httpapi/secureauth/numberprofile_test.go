package secureauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/realm"
)

func (a answer) number() map[string]any {
	a.t.Helper()
	n, ok := a.is(http.StatusOK).object()["numberProfileResult"].(map[string]any)
	require.True(a.t, ok, "body: %s", a.body)
	return n
}

func TestANumberIsProfiledFromOfflineData(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	profile := func(number string) answer {
		return c.post("/api/v2/numberprofile", object{"user_id": u.Username, "phone_number": number, "carrierInfo": object{}})
	}
	profile("(949) 555-0123").golden("numberprofile", "north_america").says(http.StatusOK, "verified", "")
	profile("+49 151 23456789").golden("numberprofile", "mobile")
	for number, want := range map[string][]any{
		"+442079460018":   {"GB", "GBR", "United Kingdom", "44", "landline", "GB-FIXED", "valid"},
		"+4915123456789":  {"DE", "DEU", "Germany", "49", "mobile", "DE-MOBILE", "valid"},
		"0018005550199":   {"US", "USA", "United States of America", "1", "toll_free", "US-TOLL_FREE", "valid"},
		"+1 123 456 7890": {"US", "USA", "United States of America", "1", "unknown", "US-UNKNOWN", "not_valid"},
		"+80012345678":    {"", "", "", "800", "toll_free", "TOLL_FREE", "valid"},
	} {
		n := profile(number).number()
		carrier := n["currentCarrier"].(map[string]any)
		require.Equal(t, want, []any{
			n["countryCode"], n["countryCodeISO3"], n["country"], n["countryPrefix"],
			carrier["networkType"], carrier["carrierCode"], n["validNumber"],
		}, number)
		require.Len(t, n, 15)
		require.Len(t, carrier, 5)
		require.Equal(t, carrier, n["originalCarrier"])
		require.Equal(t, "unknown", n["portedStatus"], "offline data cannot tell")
	}
}

func TestWhatAClientTellsOfANumberIsUsed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(settings(func(s *realm.Settings) { s.Block.Carriers = []string{"Example Mobile"} })), h.user()
	put := func(body object) answer {
		body["user_id"], body["phone_number"] = u.Username, "949-555-0123"
		return c.put("/api/v1/numberprofile", body)
	}
	told := object{"carrierCode": "US-EX", "carrier": "example mobile", "countryCode": "us", "networkType": "Mobile"}
	put(object{"ported_status": "Ported", "carrierInfo": told}).golden("numberprofile", "update").says(http.StatusOK, "valid", "")
	a := c.post("/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": "+19495550123"}).golden("numberprofile", "ported")
	require.Equal(t, "ported", a.number()["portedStatus"])
	put(object{"portedStatus": "not_ported", "carrierInfo": object{}}).is(http.StatusOK)
	n := c.post("/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": "+19495550123"}).number()
	require.Equal(t, "not_ported", n["portedStatus"])
	require.Equal(t, "US-EX", n["currentCarrier"].(map[string]any)["carrierCode"], "what is not told again stays")
	put(object{"carrierInfo": object{"networkType": "virtual", "unknown": true}}).is(http.StatusOK)
	n = c.post("/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": "+19495550123"}).number()
	carrier := n["currentCarrier"].(map[string]any)
	require.Equal(t, []any{"US-UNKNOWN", "US", "virtual"}, []any{carrier["carrierCode"], carrier["countryCode"], carrier["networkType"]})
	for says, body := range map[string]object{
		"portedStatus or carrierInfo is required": {},
		"portedStatus must be one of":             {"portedStatus": "lost"},
		"ported_status must be one of":            {"ported_status": "lost"},
		"carrierInfo.networkType must be one of":  {"carrierInfo": object{"networkType": "fast"}},
		"carrierInfo.carrier must be at most 100": {"carrierInfo": object{"carrier": strings.Repeat("x", 101)}},
		"carrierInfo must be an object":           {"carrierInfo": "x"},
	} {
		require.Contains(t, put(body).is(http.StatusBadRequest).text("message"), says)
	}
}

func TestWhatIsToldOfNumbersIsBounded(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	tell := func(n int) answer {
		return c.put("/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": fmt.Sprintf("+194955501%02d", n), "portedStatus": "ported"})
	}
	for n := range 20 {
		tell(n).is(http.StatusOK)
	}
	tell(0).is(http.StatusOK)
	require.Contains(t, tell(20).is(http.StatusBadRequest).text("message"), "phone_number is one more than the 20")
}

func TestBlockedNumbersSayWhy(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(settings(func(s *realm.Settings) {
		s.Block = realm.Block{Countries: []string{"de"}, NetworkTypes: []string{"landline", "mobile"}}
	}))
	u := h.user()
	for number, want := range map[string]object{
		"+4915123456789": {"status": "blocked", "reason": []any{"networkType", "country"}},
		"+442079460018":  {"status": "blocked", "reason": []any{"networkType"}},
		"+498000000000":  {"status": "blocked", "reason": []any{"country"}},
		"+19495550123":   {"status": "allowed", "reason": nil},
	} {
		n := c.post("/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": number}).number()
		require.Equal(t, want, n["currentCarrier"].(map[string]any)["carrierStatus"], number)
	}
}

func TestBadNumbersAreNamedAndNotRepeated(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for _, number := range []string{"call me", "1-800-FLOWERS", "+1 415", "+999 1234567", strings.Repeat("1", 40), "ana@example.com"} {
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			a := c.do(method, "/api/v1/numberprofile", object{"user_id": u.Username, "phone_number": number, "portedStatus": "ported"}).is(http.StatusBadRequest)
			require.Contains(t, a.text("message"), "phone_number must be a phone number")
			require.NotContains(t, a.text("message"), number)
		}
	}
	require.Contains(t, c.post("/api/v1/numberprofile", object{"user_id": u.Username}).is(http.StatusBadRequest).text("message"), "phone_number is required")
	require.Contains(t, c.post("/api/v1/numberprofile", object{"phone_number": "+19495550123"}).is(http.StatusBadRequest).text("message"), "user_id is required")
	c.post("/api/v1/numberprofile", object{"user_id": "nobody", "phone_number": "+19495550123"}).says(http.StatusNotFound, "not_found", "User Id was not found.")
}
