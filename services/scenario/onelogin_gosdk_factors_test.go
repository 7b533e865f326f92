package scenario_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func everyFactor(c *customer) {
	for name, play := range map[string]func(*holder){
		"a text message":          textFactor,
		"a call":                  callFactor,
		"a mail with a code":      mailFactor,
		"a mail with a link":      linkFactor,
		"an authenticator app":    authenticatorFactor,
		"OneLogin Protect":        protectFactor,
		"a temporary code":        temporaryCode,
		"factors that are proven": provenFactors,
	} {
		c.t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(c.in(t).Holder())
		})
	}
}

func textFactor(h *holder) {
	t := h.t
	r := h.Enrols(textName, models.EnrollFactorRequest{ExpiresIn: "300", CustomMessage: "{{otp_code}} joins Example Bank, for {{otp_expiry}} min"})
	require.Equal(t, "pending", r["status"])
	require.Equal(t, "SMS", r["auth_factor_name"])
	inSeconds(t, r, 300)
	first := h.Message(h.Phone)
	require.Equal(t, first.Code+" joins Example Bank, for 5 min", first.Text)
	require.Empty(t, h.List(h.sdk.GetEnrolledFactor(h.id)), "a device counts when it is proven")
	require.Equal(t, "pending", h.Proves(r, wrong(first.Code))["status"])
	require.Equal(t, "pending", h.Enrolled(r, "pending")["status"])
	accepted := h.Proves(r, first.Code)
	require.Equal(t, "accepted", accepted["status"])
	require.Equal(t, accepted.number(t, "device_id"), h.Enrolled(r, "accepted").number(t, "device_id"))
	device := h.Has(accepted, textName)

	v := h.Activates(device, models.ActivateFactorRequest{ExpiresIn: 120, CustomMessage: "Example Bank: {{otp_code}}"})
	require.Equal(t, "SMS", v["auth_factor_name"])
	inSeconds(t, v, 120)
	code := h.following(h.Phone, first).Code
	require.Equal(t, "pending", h.Answers(v, wrong(code), device)["status"])
	h.succeeds(h.Answers(v, code, 0)) // the SDK's word for a device that its caller does not name
	h.Stands(v, "accepted")
	h.Fails(http.StatusNotFound)(h.sdk.VerifyAuthFactorGet(h.id, v.number(t, "id")-1))
	require.NotContains(t, string(h.Last().got), code)

	second := h.Activates(device, models.ActivateFactorRequest{})
	inSeconds(t, second, 120)
	again := h.Messages(h.Phone)
	eventually(t, "a third message arrives", func() bool { again = h.Messages(h.Phone); return len(again) == 3 })
	h.succeeds(h.RepliesAtOnce(device, again[0].Code))
	h.Stands(second, "accepted")
	h.Loses(device)
}

func callFactor(h *holder) {
	t := h.t
	r := h.Enrols(callName, models.EnrollFactorRequest{})
	require.Equal(t, "pending", r["status"])
	require.Equal(t, "OneLogin Voice", r["auth_factor_name"])
	inSeconds(t, r, 120)
	first := h.Message(h.Phone)
	require.Equal(t, http.StatusOK, h.Presses(first, r.object(t, "factor_data").text(t, "verification_token")).Status)
	device := h.Has(h.Enrolled(r, "accepted"), callName)

	v := h.Activates(device, models.ActivateFactorRequest{ExpiresIn: 300})
	shown := v.object(t, "factor_data").text(t, "verification_token")
	require.Regexp(t, `^[0-9]{6}$`, shown)
	second := h.following(h.Phone, first)
	require.NotContains(t, second.Text, shown, "a call must not tell what it asks for")
	require.Equal(t, http.StatusOK, h.Presses(second, wrong(shown)).Status)
	h.Ends(v, "rejected")

	v = h.Activates(device, models.ActivateFactorRequest{})
	shown = v.object(t, "factor_data").text(t, "verification_token")
	require.Equal(t, http.StatusOK, h.Presses(h.following(h.Phone, second), shown).Status)
	h.Ends(v, "accepted")
	h.Loses(device)
}

func mailFactor(h *holder) {
	t := h.t
	r := h.Enrols(mailName, models.EnrollFactorRequest{})
	require.Equal(t, "OneLogin Email", r["auth_factor_name"])
	first := h.Message(h.Email)
	require.Empty(t, first.Link)
	accepted := h.Proves(r, first.Code)
	require.Equal(t, "accepted", accepted["status"])
	device := h.Has(accepted, mailName)
	v := h.Activates(device, models.ActivateFactorRequest{})
	code := h.following(h.Email, first).Code
	h.succeeds(h.Answers(v, code, device))
	require.NotEqual(t, "accepted", h.Answers(v, code, device)["status"], "a verification counts once")
	h.Stands(v, "accepted")
	h.Loses(device)
}

func linkFactor(h *holder) {
	t := h.t
	r := h.Enrols(linkName, models.EnrollFactorRequest{})
	require.Equal(t, "OneLogin Email", r["auth_factor_name"])
	first := h.Message(h.Email)
	require.Empty(t, first.Code)
	h.Enrolled(r, "pending")
	Opens(t, first.Link).Presses("Approve")
	device := h.Has(h.Enrolled(r, "accepted"), linkName)

	v := h.Activates(device, models.ActivateFactorRequest{RedirectTo: "https://shop.example.com/welcome"})
	second := h.following(h.Email, first)
	require.Contains(t, Opens(t, second.Link).Presses("Approve").text, "shop.example.com")
	h.Ends(v, "accepted")

	v = h.Activates(device, models.ActivateFactorRequest{})
	Opens(t, h.following(h.Email, second).Link).Presses("Deny")
	h.Ends(v, "rejected")
	h.Loses(device)
}

func authenticatorFactor(h *holder) {
	t := h.t
	r := h.Enrols(authenticatorName, models.EnrollFactorRequest{ExpiresIn: "900"})
	require.Equal(t, "Google Authenticator", r["auth_factor_name"])
	data := r.object(t, "factor_data")
	uri, err := url.Parse(data.text(t, "totp_url"))
	require.NoError(t, err)
	require.Equal(t, "otpauth", uri.Scheme)
	require.Equal(t, "totp", uri.Host)
	secret := uri.Query().Get("secret")
	require.Equal(t, data.text(t, "verification_token"), secret)
	code := oneTimeCode(t, secret, time.Now())
	require.Equal(t, "pending", h.Proves(r, wrong(code))["status"])
	// The zeros that a code begins with are lost in an integer.
	for tries := 0; code[0] != '0'; tries++ {
		require.Less(t, tries, 200, "one code of ten begins so")
		r = h.Enrols(authenticatorName, models.EnrollFactorRequest{})
		secret = r.object(t, "factor_data").text(t, "verification_token")
		code = oneTimeCode(t, secret, time.Now())
	}
	accepted := h.Proves(r, code)
	require.Equal(t, "accepted", accepted["status"])
	device := h.Has(accepted, authenticatorName)

	v := h.Activates(device, models.ActivateFactorRequest{})
	require.NotEqual(t, "accepted", h.Answers(v, code, device)["status"], "each code counts once")
	h.succeeds(h.Answers(v, oneTimeCode(t, secret, time.Now().Add(30*time.Second)), device))
	h.Stands(v, "accepted")
	require.Empty(t, h.Messages(h.Phone))
	require.Empty(t, h.Messages(h.Email))
	h.Loses(device)
}

func protectFactor(h *holder) {
	t := h.t
	r := h.Enrols(protectName, models.EnrollFactorRequest{})
	require.Equal(t, "OneLogin", r["auth_factor_name"])
	require.NotContains(t, r, "expires_at")
	data := r.object(t, "factor_data")
	require.Contains(t, data.text(t, "totp_url"), "otpauth://totp/")
	h.Enrolled(r, "pending")
	token, joined := h.Joins(data.text(t, "verification_token"))
	device := h.Has(h.Enrolled(r, "accepted"), protectName)

	v := h.Activates(device, models.ActivateFactorRequest{})
	require.NotContains(t, v, "expires_at")
	first := h.Message(token)
	require.Equal(t, http.StatusAccepted, h.Decides(first, api.DecisionApprove).Status)
	h.Ends(v, "accepted")
	v = h.Activates(device, models.ActivateFactorRequest{})
	require.Equal(t, http.StatusAccepted, h.Decides(h.following(token, first), api.DecisionDeny).Status)
	h.Ends(v, "rejected")

	h.succeeds(h.RepliesAtOnce(device, oneTimeCode(t, joined.Secret, time.Now())))
	h.Loses(device)
}

func temporaryCode(h *holder) {
	t := h.t
	token := h.Object(http.StatusOK)(h.sdk.GenerateMFAToken(h.id, models.GenerateMFATokenRequest{ExpiresIn: 300, Reusable: true}))
	require.JSONEq(t, `{"expires_in":300,"reusable":true}`, h.Asked(http.MethodPost, h.path("mfa_token")).sent)
	require.Regexp(t, `^[0-9]{8}$`, token.text(t, "mfa_token"))
	require.Equal(t, true, token["reusable"])
	require.Equal(t, fmt.Sprintf("user_temp_otp_%d", h.id), token["device_id"])
	inSeconds(t, token, 300)
	inSeconds(t, h.Object(http.StatusOK)(h.sdk.GenerateMFAToken(h.id, models.GenerateMFATokenRequest{})), 259200)
}

func provenFactors(h *holder) {
	t := h.t
	devices := map[string]int{}
	for _, name := range []string{textName, callName, mailName, linkName} {
		r := h.Enrols(name, models.EnrollFactorRequest{Verified: true})
		require.Equal(t, "accepted", r["status"])
		devices[name] = r.number(t, "device_id")
	}
	require.Len(t, h.List(h.sdk.GetEnrolledFactor(h.id)), len(devices))
	require.Len(t, h.List(h.sdk.GetAvailableMFAFactors(h.id)), 2, "the two apps are left")
	require.Empty(t, h.Messages(h.Phone), "what is proven is not asked")
	require.Empty(t, h.Messages(h.Email))
	v := h.Activates(devices[mailName], models.ActivateFactorRequest{})
	h.succeeds(h.Answers(v, h.Message(h.Email).Code, devices[mailName]))
}
