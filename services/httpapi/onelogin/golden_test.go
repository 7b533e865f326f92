package onelogin_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

var update = flag.Bool("update", false, "write the golden bodies anew")

// exact is what differs from run to run, and what stands for it.
var exact = []struct {
	form *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){3}`), "ACTIVATION-CODE"},
	{regexp.MustCompile(`\b[A-Z2-7]{32}\b`), "SECRET"},
	{regexp.MustCompile(`\b[0-9a-f]{40}\b`), "STATE-TOKEN"},
	{regexp.MustCompile(`"(verification_token|mfa_token)": "\d+"`), `"$1": "DIGITS"`},
	{regexp.MustCompile(`otpauth://totp/Assent:ana\d+`), "otpauth://totp/Assent:USER"},
	{regexp.MustCompile(`("phone_number": "\+1415555)\d+`), "${1}0000"},
	// Numbers stay numbers, so that the type is seen: 1 is a user, 2 a device, 3 any other.
	{regexp.MustCompile(`("user_id": "?|user_temp_otp_|"user": )\d+`), "${1}1"},
	{regexp.MustCompile(`("device_id": "?)\d+`), "${1}2"},
	{regexp.MustCompile(`("id": )\d+`), "${1}3"},
}

// golden holds an answer against testdata/golden/<folder>/<call>.json.
func (a answer) golden(folder, call string) answer {
	a.t.Helper()
	var b bytes.Buffer
	require.NoError(a.t, json.Indent(&b, a.body, "", "  "), "body: %s", a.body)
	body := b.Bytes()
	for _, e := range exact {
		body = e.form.ReplaceAll(body, []byte(e.put))
	}
	got, err := json.MarshalIndent(map[string]any{"status": a.status, "body": json.RawMessage(body)}, "", "  ")
	require.NoError(a.t, err)
	got = append(got, '\n')
	path := filepath.Join("testdata", "golden", folder, call+".json")
	if *update {
		require.NoError(a.t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(a.t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(a.t, err)
	require.Equal(a.t, string(want), string(got), path)
	return a
}

func TestEveryAnswerOfVersion2HasItsFormForEveryCompat(t *testing.T) {
	t.Parallel()
	for _, form := range credential.Compats() {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			c := h.client(compat(form), func(cred *credential.Credential) { cred.NumericIDs = form.NumericIDs() })
			goldenRegistrations(h, c, string(form))
			goldenActivations(h, c, string(form))
			goldenAnswers(h, c, string(form))
		})
	}
}

// idText is an id as it goes into a path.
func idText(id any) string {
	if n, ok := id.(float64); ok {
		return strconv.FormatInt(int64(n), 10)
	}
	return id.(string)
}

func goldenRegistrations(h *house, c *client, form string) {
	u := h.user()
	c.get(mfa(u, "factors")).golden(form, "factors")
	for factorID, name := range map[int]string{
		protect: "protect", voice: "voice", email: "email", emailLink: "email_link", authenticator: "authenticator",
	} {
		c.enrol(u, factorID).golden(form, "registration_"+name)
	}
	c.enrol(h.user(), sms, fields{"verified": true}).golden(form, "registration_verified")
	r := c.enrol(u, sms).golden(form, "registration_sms").object()
	path := mfa(u, "registrations", idText(r["id"]))
	c.get(path).golden(form, "registration_get_pending")
	c.put(path, fields{"otp": h.wrong()}).golden(form, "registration_put_wrong")
	c.put(path, fields{"otp": h.sentCode()}).golden(form, "registration_put")
	c.get(path).golden(form, "registration_get")
	c.put(path, fields{"otp": h.sentCode()}).golden(form, "registration_put_again")
	c.get(mfa(u, "devices")).golden(form, "devices")
	c.enrol(u, 999).golden(form, "refused_factor")
	c.get(mfa(device.User{Number: 5}, "factors")).golden(form, "refused_user")
	c.post(mfa(u, "mfa_token"), nil).golden(form, "mfa_token")
	c.post(mfa(u, "mfa_token"), fields{"expires_in": 1}).golden(form, "refused_mfa_token")
}

func goldenActivations(h *house, c *client, form string) {
	for factorID, name := range map[int]string{sms: "sms", email: "email", emailLink: "email_link", voice: "voice"} {
		u := h.user()
		c.post(mfa(u, "verifications"), fields{"device_id": c.vouched(u, factorID)}).golden(form, "verification_"+name)
	}
	u := h.user()
	phone, secret := c.joined(u)
	v := c.post(mfa(u, "verifications"), fields{"device_id": phone}).golden(form, "verification_protect").object()
	path := mfa(u, "verifications", idText(v["id"]))
	c.get(path).golden(form, "verification_get_pending")
	h.answered(h.verifications.Last().Verification.ID, verification.Deny)
	c.get(path).golden(form, "verification_get_rejected")
	c.post(mfa(u, "verifications"), fields{"device_id": phone, "otp": h.oneTime(secret)}).golden(form, "verification_post")
	c.post(mfa(u, "verifications"), fields{"device_id": phone, "otp": "x"}).golden(form, "verification_post_wrong")
	c.delete(mfa(u, "devices", phone)).golden(form, "device_delete")
	c.delete(mfa(u, "devices", phone)).golden(form, "refused_device")

	u = h.user()
	r := c.enrol(u, authenticator).is(http.StatusCreated).object()
	secret = h.secret(r["factor_data"].(fields)["verification_token"].(string))
	d := c.put(mfa(u, "registrations", idText(r["id"])), fields{"otp": h.oneTime(secret)}).object()["device_id"]
	c.post(mfa(u, "verifications"), fields{"device_id": d}).golden(form, "verification_authenticator")
}

func goldenAnswers(h *house, c *client, form string) {
	u := h.user()
	v := c.post(mfa(u, "verifications"), fields{"device_id": c.vouched(u, sms)}).is(http.StatusCreated).object()
	path := mfa(u, "verifications", idText(v["id"]))
	c.put(path, fields{"otp": h.wrong()}).golden(form, "verification_put_wrong")
	c.put(path, fields{"otp": h.sentCode()}).golden(form, "verification_put")
	c.put(path, fields{"otp": h.sentCode()}).golden(form, "verification_put_again")
	c.get(path).golden(form, "verification_get")
}
