package scenario_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin"
	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	olutil "github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/utilities"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

const memberPassword = "four words that rhyme"

// Member makes a user with a password.
func (c *customer) Member() *holder {
	c.t.Helper()
	u := c.Somebody()
	u.Password, u.PasswordConfirmation = memberPassword, memberPassword
	h := &holder{customer: c, User: u, id: c.Makes(u), factors: map[string]int{}}
	for _, f := range c.List(c.sdk.GetAvailableMFAFactors(h.id)) {
		h.factors[f.text(c.t, "name")] = f.number(c.t, "factor_id")
	}
	return h
}

func everyLogin(c *customer) {
	for name, play := range map[string]func(*holder){
		"with a password alone":  passwordLogin,
		"with a text message":    textLogin,
		"with a push":            pushLogin,
		"with the wrong answers": wrongLogin,
	} {
		c.t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(c.in(t).Member())
		})
	}
}

func (h *holder) login() models.CreateSessionLoginRequest {
	return models.CreateSessionLoginRequest{UsernameOrEmail: h.Email, Password: memberPassword, Subdomain: sdkTenant}
}

// LogsIn sends the password, and is what comes next.
func (h *holder) LogsIn() values {
	h.t.Helper()
	answer := h.Object(http.StatusOK)(h.sdk.CreateSessionLoginToken(h.login()))
	h.Asked(http.MethodPost, "/api/1/login/auth")
	data := answer.list(h.t, "data")
	require.Len(h.t, data, 1)
	require.Equal(h.t, h.id, data[0].object(h.t, "user").number(h.t, "id"))
	want := "Success"
	if _, more := data[0]["state_token"]; more {
		want = "MFA is required for this user"
	}
	require.Equal(h.t, values{"type": "success", "message": want, "code": 200.0, "error": false}, answer.object(h.t, "status"))
	return data[0]
}

// LoggedIn expects a login to be complete, and takes its token to the browser's door.
func (h *holder) LoggedIn(data values) {
	h.t.Helper()
	require.Equal(h.t, "Authenticated", data["status"])
	require.Equal(h.t, h.Email, data.object(h.t, "user").text(h.t, "email"))
	end, err := time.Parse("2006/01/02 15:04:05 -0700", data.text(h.t, "expires_at"))
	require.NoError(h.t, err)
	require.WithinRange(h.t, end, time.Now(), time.Now().Add(2*time.Minute+time.Second))
	form := url.Values{"session_token": {data.text(h.t, "session_token")}}.Encode()
	urlencoded := header("Content-Type", "application/x-www-form-urlencoded")
	first := h.Call(http.MethodPost, "/session_via_api_token", form, urlencoded)
	require.Less(h.t, first.status, http.StatusBadRequest, "answer: %s", first.body)
	require.NotEmpty(h.t, first.header.Values("Set-Cookie"))
	second := h.Call(http.MethodPost, "/session_via_api_token", form, urlencoded)
	require.GreaterOrEqual(h.t, second.status, http.StatusBadRequest, "a token opens one session")
	require.Empty(h.t, second.header.Values("Set-Cookie"))
}

// Verifies sends an answer to a factor: how the login stands then, and what it got once it is complete.
func (h *holder) Verifies(r models.VerifyFactorRequest) (status values, data []values) {
	h.t.Helper()
	answer := h.Object(http.StatusOK)(h.sdk.VerifyFactor(r))
	h.Asked(http.MethodPost, "/api/1/login/verify_factor")
	status = answer.object(h.t, "status")
	if status["type"] == "success" {
		data = answer.list(h.t, "data")
		require.Len(h.t, data, 1)
	} else {
		require.Equal(h.t, "pending", status["type"])
		require.Contains(h.t, strings.ToLower(status.text(h.t, "message")), "pending")
		require.Empty(h.t, answer["data"])
	}
	require.InDelta(h.t, 200, status["code"], 0)
	return status, data
}

// MustProve expects a login to ask for the only factor there is.
func (h *holder) MustProve(data values, deviceType string) models.VerifyFactorRequest {
	h.t.Helper()
	require.NotContains(h.t, data, "session_token")
	callback, err := url.Parse(data.text(h.t, "callback_url"))
	require.NoError(h.t, err)
	require.Equal(h.t, "/api/1/login/verify_factor", callback.Path)
	devices := data.list(h.t, "devices")
	require.Len(h.t, devices, 1)
	require.Equal(h.t, deviceType, devices[0].text(h.t, "device_type"))
	return models.VerifyFactorRequest{DeviceID: strconv.Itoa(devices[0].number(h.t, "device_id")), StateToken: data.text(h.t, "state_token")}
}

func passwordLogin(h *holder) {
	h.LoggedIn(h.LogsIn())
	c, other := h.customer, memberPassword+" no longer"
	set := c.Object(http.StatusOK)(h.sdk.UpdatePasswordInsecure(h.id, map[string]string{"password": other, "password_confirmation": other}))
	c.Asked(http.MethodPut, "/api/1/users/set_password_clear_text/"+strconv.Itoa(h.id))
	require.Equal(h.t, values{"type": "success", "message": "Success", "code": 200.0, "error": false}, set.object(h.t, "status"))
	login := h.login()
	login.Password = other
	c.Object(http.StatusOK)(h.sdk.CreateSessionLoginToken(login))
	// Hashes that were made elsewhere are not taken.
	c.Fails(http.StatusBadRequest)(h.sdk.UpdatePasswordSecure(h.id, map[string]string{
		"password": "5e884898da28047151d0e56f8dc62927", "password_confirmation": "5e884898da28047151d0e56f8dc62927", "password_algorithm": "salt+sha256", "password_salt": "salt",
	}))
	require.NotNil(h.t, h.Object(http.StatusOK)(h.sdk.GetUserByID(h.id, nil))["last_login"])
}

func textLogin(h *holder) {
	t := h.t
	h.Enrols(textName, models.EnrollFactorRequest{Verified: true})
	next := h.MustProve(h.LogsIn(), textDeviceType)
	require.Empty(t, h.Messages(h.Phone), "nothing is sent before it is asked for")
	h.Verifies(next)
	next.OtpToken = h.Message(h.Phone).Code
	status, data := h.Verifies(next)
	require.Equal(t, "Success", status["message"])
	require.NotEmpty(t, data)
	h.LoggedIn(data[0])
}

func pushLogin(h *holder) {
	t := h.t
	r := h.Enrols(protectName, models.EnrollFactorRequest{})
	token, _ := h.Joins(r.object(t, "factor_data").text(t, "verification_token"))
	h.Enrolled(r, "accepted")
	next := h.MustProve(h.LogsIn(), protectName)
	h.Verifies(next)
	asked := h.Message(token)
	next.DoNotNotify = true
	for range 3 {
		_, data := h.Verifies(next)
		require.Empty(t, data)
	}
	require.Len(t, h.Messages(token), 1, "polls notify nobody")
	require.Equal(t, http.StatusAccepted, h.Decides(asked, api.DecisionApprove).Status)
	var data []values
	eventually(t, "the login is complete", func() bool {
		_, data = h.Verifies(next)
		return len(data) == 1
	})
	h.LoggedIn(data[0])
}

// wrongLogin meets the 401 of version 1's login. The SDK takes it for the end of its token: it fetches
// one, and sends the request again with its body gone. So its caller gets the error of its own HTTP
// client; what matters here is that nobody is logged in, and that the next call is heard.
func wrongLogin(h *holder) {
	t := h.t
	before, err := h.sdk.GetToken()
	require.NoError(t, err)
	wrongly := h.login()
	wrongly.Password = "not " + memberPassword
	for _, r := range []models.CreateSessionLoginRequest{wrongly, {UsernameOrEmail: "nobody@example.com", Password: memberPassword, Subdomain: sdkTenant}} {
		from := len(h.Heard())
		_, err = h.sdk.CreateSessionLoginToken(r)
		require.Error(t, err)
		refused := h.Heard()[from]
		refused.isRefusal(t, http.StatusUnauthorized)
		require.Contains(t, string(refused.got), "Authentication Failure")
	}
	h.Enrols(textName, models.EnrollFactorRequest{Verified: true})
	next := h.MustProve(h.LogsIn(), textDeviceType)
	h.Verifies(next)
	code := h.Message(h.Phone).Code
	next.OtpToken = wrong(code)
	from := len(h.Heard())
	_, err = h.sdk.VerifyFactor(next)
	require.Error(t, err)
	refused := h.Heard()[from]
	refused.isRefusal(t, http.StatusUnauthorized)
	require.Contains(t, string(refused.got), "Failed authentication with this factor")
	next.OtpToken = code
	_, data := h.Verifies(next)
	require.NotEmpty(t, data)
	h.LoggedIn(data[0])
	after, err := h.sdk.GetToken()
	require.NoError(t, err)
	require.Equal(t, before, after, "a token that was asked for in vain is the same")
}

// everyLegacyCall drives version 1 of the factors. The SDK knows its paths and has no methods for them,
// so a customer builds the paths with it and sends them with its client.
func everyLegacyCall(c *customer) {
	t := c.t
	h := &holder{customer: c, User: c.Somebody()}
	h.id = c.Makes(h.User)
	users := "/" + onelogin.UserPathV1
	res, err := c.sdk.Client.Get(&users, &models.UserQuery{Email: &h.Email})
	require.NoError(t, err)
	found := c.Object(http.StatusOK)(olutil.CheckHTTPResponse(res)).list(t, "data")
	require.Len(t, found, 1)
	require.Equal(t, h.id, found[0].number(t, "id"))

	available := h.legacy(http.MethodGet, nil, "auth_factor").object(t, "data").list(t, "auth_factors")
	factor := 0
	for _, f := range available {
		if f.text(t, "name") == textName {
			factor = f.number(t, "factor_id")
		}
	}
	require.NotZero(t, factor, "factors: %v", available)

	enrolled := h.legacy(http.MethodPost, values{"factor_id": factor, "display_name": "Ana's phone", "number": h.Phone}, "otp_devices").list(t, "data")
	require.Len(t, enrolled, 1)
	require.Equal(t, false, enrolled[0]["active"])
	require.Equal(t, true, enrolled[0]["needs_trigger"])
	require.Equal(t, textName, enrolled[0]["auth_factor_name"])
	device := enrolled[0].number(t, "id")

	triggered := h.legacy(http.MethodPost, values{"numeric_sms_otp": true, "state_token_expires_in": 300, "sms_message": "Example Bank: {{otp_code}}"}, "otp_devices", device, "trigger")
	require.Contains(t, triggered.object(t, "status").text(t, "message"), "Authentication pending")
	asked := triggered.list(t, "data")
	require.Len(t, asked, 1)
	require.Equal(t, h.id, asked[0].number(t, "id"))
	require.Equal(t, device, asked[0].number(t, "device_id"))
	var m message
	eventually(t, "the code is sent in the words asked for", func() bool {
		m = h.Message(h.Phone)
		return strings.HasPrefix(m.Text, "Example Bank: ")
	})
	require.Regexp(t, `^[0-9]{6}$`, m.Code)
	verified := h.legacy(http.MethodPost, values{"otp_token": m.Code, "state_token": asked[0].text(t, "state_token")}, "otp_devices", device, "verify")
	require.Equal(t, "success", verified.object(t, "status")["type"])

	devices := h.legacy(http.MethodGet, nil, "otp_devices").object(t, "data").list(t, "otp_devices")
	require.Len(t, devices, 1)
	require.Equal(t, true, devices[0]["active"])
	require.Equal(t, device, devices[0].number(t, "id"))
	listed := h.List(h.sdk.GetEnrolledFactor(h.id))
	require.Len(t, listed, 1, "version 2 has it too")
	require.Equal(t, device, listed[0].number(t, "device_id"))

	token := h.legacy(http.MethodPost, values{"expires_in": 300, "reusable": false}, "mfa_token")
	redeem := values{"otp_token": token.text(t, "mfa_token")}
	require.Equal(t, "success", h.legacy(http.MethodPost, redeem, "otp_devices", 0, "verify").object(t, "status")["type"])
	_, err = h.legacyCall(http.MethodPost, redeem, "otp_devices", 0, "verify")
	require.Error(t, err, "a code that is not reusable counts once")

	require.Empty(t, h.legacy(http.MethodDelete, nil, "otp_devices", device))
	require.Empty(t, h.List(h.sdk.GetEnrolledFactor(h.id)))
	_, err = h.legacyCall(http.MethodGet, nil, "otp_devices", device)
	require.Error(t, err)
}

// legacy calls version 1 about the holder, and expects success.
func (h *holder) legacy(method string, body values, rest ...any) values {
	h.t.Helper()
	return h.Object(http.StatusOK)(h.legacyCall(method, body, rest...))
}

func (h *holder) legacyCall(method string, body values, rest ...any) (any, error) {
	h.t.Helper()
	path, err := olutil.BuildAPIPath(append([]any{onelogin.UserPathV1, h.id}, rest...)...)
	require.NoError(h.t, err)
	var res *http.Response
	switch method {
	case http.MethodGet:
		res, err = h.sdk.Client.Get(&path, nil)
	case http.MethodDelete:
		res, err = h.sdk.Client.Delete(&path)
	default:
		res, err = h.sdk.Client.Post(&path, body)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	return olutil.CheckHTTPResponse(res)
}
