package scenario_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	"github.com/stretchr/testify/require"
)

func everyRefusal(c *customer) {
	for name, play := range map[string]func(*holder){
		"nobody":             refusalsOfNobody,
		"an enrolment":       refusalsOfEnrolments,
		"a verification":     refusalsOfVerifications,
		"somebody else":      refusalsOfStrangers,
		"too many wrong":     tooManyWrong,
		"a missing address":  missingAddresses,
		"of temporary codes": refusalsOfTemporaryCodes,
	} {
		c.t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(c.in(t).Holder())
		})
	}
}

// refusalsOfNobody asks every call about a user that there is not.
func refusalsOfNobody(h *holder) {
	const nobody, nothing = 1, 1
	c, sdk := h.customer, h.sdk
	c.Fails(http.StatusNotFound)(sdk.GetAvailableMFAFactors(nobody))
	c.Fails(http.StatusNotFound)(sdk.EnrollMFAFactor(models.EnrollFactorRequest{FactorID: h.factors[textName], DisplayName: "x"}, nobody))
	c.Fails(http.StatusNotFound)(sdk.GetEnrolledFactor(nobody))
	c.Fails(http.StatusNotFound)(sdk.RemoveMFAFactor(nobody, nothing))
	c.Fails(http.StatusNotFound)(sdk.ActivateMFAFactor(nobody, models.ActivateFactorRequest{DeviceID: nothing}))
	c.Fails(http.StatusNotFound)(sdk.GenerateMFAToken(nobody, models.GenerateMFATokenRequest{}))
	c.Fails(http.StatusNotFound)(sdk.VerifyMFAEnrollment(nobody, "1", models.VerifyEnrollmentFactorRequest{OTP: 123456}))
	c.Fails(http.StatusNotFound)(sdk.VerifyMFAEnrollmentGet(nobody, "1"))
	c.Fails(http.StatusNotFound)(sdk.VerifyAuthFactor(nobody, nothing, models.VerificationFactorRequest{OTP: "123456"}))
	c.Fails(http.StatusNotFound)(sdk.VerifyAuthFactorGet(nobody, nothing))
}

func refusalsOfEnrolments(h *holder) {
	t, c, sdk := h.t, h.customer, h.sdk
	enrol := func(change func(*models.EnrollFactorRequest)) models.EnrollFactorRequest {
		r := models.EnrollFactorRequest{FactorID: h.factors[textName], DisplayName: "Ana's phone"}
		change(&r)
		return r
	}
	for parameter, r := range map[string]models.EnrollFactorRequest{
		"factor_id":      enrol(func(r *models.EnrollFactorRequest) { r.FactorID = 999 }),
		"display_name":   enrol(func(r *models.EnrollFactorRequest) { r.DisplayName = "" }),
		"custom_message": enrol(func(r *models.EnrollFactorRequest) { r.CustomMessage = "{{otp_code}}" + strings.Repeat("x", 155) }),
		"expires_in":     enrol(func(r *models.EnrollFactorRequest) { r.ExpiresIn = "901" }),
		"verified": enrol(func(r *models.EnrollFactorRequest) {
			r.FactorID, r.Verified = h.factors[authenticatorName], true
		}),
		"redirect_to": enrol(func(r *models.EnrollFactorRequest) {
			r.FactorID, r.RedirectTo = h.factors[linkName], "javascript:alert(1)"
		}),
	} {
		c.Fails(http.StatusUnprocessableEntity)(sdk.EnrollMFAFactor(r, h.id)).Names(t, parameter)
	}
	for _, short := range []string{"0", "-1", "119"} {
		r := enrol(func(r *models.EnrollFactorRequest) { r.ExpiresIn = short })
		c.Fails(http.StatusUnprocessableEntity)(sdk.EnrollMFAFactor(r, h.id)).Names(t, "expires_in")
	}
	for _, id := range []string{"1", "no-such-registration", "9007199254740993", strings.Repeat("9", 30)} {
		c.Fails(http.StatusNotFound)(sdk.VerifyMFAEnrollmentGet(h.id, id))
		c.Fails(http.StatusNotFound)(sdk.VerifyMFAEnrollment(h.id, id, models.VerifyEnrollmentFactorRequest{OTP: 123456}))
	}
	require.Empty(t, h.Messages(h.Phone), "what is refused is not sent")
}

func refusalsOfVerifications(h *holder) {
	t, c, sdk := h.t, h.customer, h.sdk
	device := h.Enrols(textName, models.EnrollFactorRequest{Verified: true}).number(t, "device_id")
	for parameter, r := range map[string]models.ActivateFactorRequest{
		"device_id":      {DeviceID: device + 1_000_000},
		"expires_in":     {DeviceID: device, ExpiresIn: 901},
		"custom_message": {DeviceID: device, CustomMessage: strings.Repeat("ж", 80)},
	} {
		c.Fails(http.StatusUnprocessableEntity)(sdk.ActivateMFAFactor(h.id, r)).Names(t, parameter)
	}
	c.Fails(http.StatusUnprocessableEntity)(sdk.ActivateMFAFactor(h.id, models.ActivateFactorRequest{})).Names(t, "device_id")
	c.Fails(http.StatusUnprocessableEntity)(sdk.ActivateMFAFactor(h.id, models.ActivateFactorRequest{DeviceID: device, ExpiresIn: 5})).Names(t, "expires_in")
	require.Empty(t, h.Messages(h.Phone), "what is refused is not sent")
	for _, id := range []int{-1, 0, 1, 1 << 53, 1<<63 - 1} {
		c.Fails(http.StatusNotFound)(sdk.VerifyAuthFactorGet(h.id, id))
		c.Fails(http.StatusNotFound)(sdk.VerifyAuthFactor(h.id, id, models.VerificationFactorRequest{OTP: "123456", DeviceID: device}))
	}
	c.Fails(http.StatusNotFound)(sdk.RemoveMFAFactor(h.id, device+1_000_000))

	v := h.Activates(device, models.ActivateFactorRequest{})
	c.Fails(http.StatusUnprocessableEntity)(sdk.VerifyAuthFactor(h.id, v.number(t, "id"), models.VerificationFactorRequest{DeviceID: device})).Names(t, "otp")
	h.Stands(v, "pending")

	// The SDK's own check of paths refuses this; nobody is asked.
	before := len(h.Heard())
	_, err := sdk.VerifyMFAEnrollmentGet(h.id, "../devices")
	require.EqualError(t, err, "SDK error: Invalid path")
	require.Len(t, h.Heard(), before)
}

// refusalsOfStrangers mixes up what belongs to two people.
func refusalsOfStrangers(h *holder) {
	t, c := h.t, h.customer
	other := c.Holder()
	device := h.Enrols(textName, models.EnrollFactorRequest{Verified: true}).number(t, "device_id")
	pending := registration(t, h.Enrols(mailName, models.EnrollFactorRequest{}))
	v := h.Activates(device, models.ActivateFactorRequest{})
	code := h.Message(h.Phone).Code

	c.Fails(http.StatusUnprocessableEntity)(c.sdk.ActivateMFAFactor(other.id, models.ActivateFactorRequest{DeviceID: device})).Names(t, "device_id")
	c.Fails(http.StatusNotFound)(c.sdk.RemoveMFAFactor(other.id, device))
	c.Fails(http.StatusNotFound)(c.sdk.VerifyMFAEnrollmentGet(other.id, pending))
	digits, err := strconv.Atoi(h.Message(h.Email).Code)
	require.NoError(t, err)
	c.Fails(http.StatusNotFound)(c.sdk.VerifyMFAEnrollment(other.id, pending, models.VerifyEnrollmentFactorRequest{OTP: digits}))
	c.Fails(http.StatusNotFound)(c.sdk.VerifyAuthFactorGet(other.id, v.number(t, "id")))
	c.Fails(http.StatusNotFound)(c.sdk.VerifyAuthFactor(other.id, v.number(t, "id"), models.VerificationFactorRequest{OTP: code, DeviceID: device}))
	h.succeeds(h.Answers(v, code, device))
	h.Has(values{"device_id": float64(device)}, textName)
}

func tooManyWrong(h *holder) {
	t := h.t
	r := h.Enrols(textName, models.EnrollFactorRequest{})
	first := h.Message(h.Phone)
	require.Equal(t, "rejected", h.guesses(func() values { return h.Proves(r, wrong(first.Code)) }))
	require.NotEqual(t, "accepted", h.Proves(r, first.Code)["status"], "the right one is too late")
	require.Equal(t, "rejected", h.Enrolled(r, "rejected")["status"])
	require.Empty(t, h.List(h.sdk.GetEnrolledFactor(h.id)))

	device := h.Enrols(mailName, models.EnrollFactorRequest{Verified: true}).number(t, "device_id")
	v := h.Activates(device, models.ActivateFactorRequest{})
	code := h.Message(h.Email).Code
	require.Equal(t, "rejected", h.guesses(func() values { return h.Answers(v, wrong(code), device) }))
	require.NotEqual(t, "accepted", h.Answers(v, code, device)["status"], "the right one is too late")
	h.Stands(v, "rejected")
}

// guesses hands in wrong codes until that changes something, and is what it came to.
func (h *holder) guesses(guess func() values) any {
	h.t.Helper()
	const enough = 10
	for range enough {
		if now := guess(); now["status"] != "pending" {
			return now["status"]
		}
	}
	return "still pending"
}

// missingAddresses enrols what the user has no address for.
func missingAddresses(h *holder) {
	t, c := h.t, h.customer
	mailOnly := h.Somebody()
	mailOnly.Phone = ""
	id := h.Makes(mailOnly)
	for _, name := range []string{textName, callName} {
		c.Fails(http.StatusUnprocessableEntity)(h.sdk.EnrollMFAFactor(models.EnrollFactorRequest{FactorID: h.factors[name], DisplayName: "x"}, id)).Names(t, "phone")
	}
	phoneOnly := h.Somebody()
	phoneOnly.Email = ""
	id = h.Makes(phoneOnly)
	for _, name := range []string{mailName, linkName} {
		c.Fails(http.StatusUnprocessableEntity)(h.sdk.EnrollMFAFactor(models.EnrollFactorRequest{FactorID: h.factors[name], DisplayName: "x", Verified: true}, id)).Names(t, "email")
	}
}

func refusalsOfTemporaryCodes(h *holder) {
	for _, seconds := range []int{-1, 119, 259201} {
		h.Fails(http.StatusUnprocessableEntity)(h.sdk.GenerateMFAToken(h.id, models.GenerateMFATokenRequest{ExpiresIn: seconds})).Names(h.t, "expires_in")
	}
}
