package scenario_test

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin"
	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	"github.com/stretchr/testify/require"
)

// What the SDK cannot do, may not do, or finds nothing for.

// theDefaultForm is a credential without numbers. The SDK takes registrations by any name, and devices
// by their numbers; verifications it can only address by integers, so it answers them all at once.
func theDefaultForm(c *customer) {
	t := c.t
	h := &holder{customer: c, User: c.Somebody(), factors: map[string]int{}}
	h.id = c.Makes(h.User)
	for _, f := range c.List(c.sdk.GetAvailableMFAFactors(h.id)) {
		h.factors[f.text(t, "name")] = f.number(t, "factor_id")
	}
	uuid := `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
	r := c.Object(http.StatusCreated)(c.sdk.EnrollMFAFactor(models.EnrollFactorRequest{FactorID: h.factors[textName], DisplayName: "Ana's " + textName}, h.id))
	require.Regexp(t, uuid, r["id"])
	accepted := h.Proves(r, h.Message(h.Phone).Code)
	require.Equal(t, "accepted", accepted["status"])
	require.IsType(t, "", accepted["device_id"])
	h.Enrolled(r, "accepted")
	device := h.Has(accepted, textName)

	v := c.Object(http.StatusCreated)(c.sdk.ActivateMFAFactor(h.id, models.ActivateFactorRequest{DeviceID: device}))
	require.Regexp(t, uuid, v["id"])
	_, err := strconv.Atoi(v.text(t, "id"))
	require.Error(t, err, "nothing that the SDK's methods take")
	c.Fails(http.StatusNotFound)(c.sdk.VerifyAuthFactorGet(h.id, device))
	c.Fails(http.StatusNotFound)(c.sdk.VerifyAuthFactor(h.id, device, models.VerificationFactorRequest{OTP: "123456", DeviceID: device}))
	eventually(t, "a second message arrives", func() bool { return len(h.Messages(h.Phone)) == 2 })
	h.succeeds(h.RepliesAtOnce(device, h.Messages(h.Phone)[0].Code))
	require.Regexp(t, `^user_temp_otp_[0-9]+$`, c.Object(http.StatusOK)(c.sdk.GenerateMFAToken(h.id, models.GenerateMFATokenRequest{}))["device_id"])
	h.Loses(device)
}

// onlyAuthentication logs people in, and may neither see nor change them. That is not the end of its
// token: the SDK must not be made to fetch another.
func onlyAuthentication(c *customer) {
	u := c.Somebody()
	c.Fails(http.StatusForbidden)(c.sdk.GetUsers(&models.UserQuery{}))
	c.Fails(http.StatusForbidden)(c.sdk.GetUsersWithPagination(&models.UserQuery{}))
	c.Fails(http.StatusForbidden)(c.sdk.GetUserByID(1, nil))
	c.Fails(http.StatusForbidden)(c.sdk.CreateUser(u))
	c.Fails(http.StatusForbidden)(c.sdk.UpdateUser(1, u))
	c.Fails(http.StatusForbidden)(c.sdk.DeleteUser(1))
	c.Fails(http.StatusForbidden)(c.sdk.GetAvailableMFAFactors(1))
	c.Fails(http.StatusForbidden)(c.sdk.EnrollMFAFactor(models.EnrollFactorRequest{}, 1))
	c.Fails(http.StatusForbidden)(c.sdk.VerifyMFAEnrollment(1, "1", models.VerifyEnrollmentFactorRequest{}))
	c.Fails(http.StatusForbidden)(c.sdk.VerifyMFAEnrollmentGet(1, "1"))
	c.Fails(http.StatusForbidden)(c.sdk.GetEnrolledFactor(1))
	c.Fails(http.StatusForbidden)(c.sdk.RemoveMFAFactor(1, 1))
	c.Fails(http.StatusForbidden)(c.sdk.ActivateMFAFactor(1, models.ActivateFactorRequest{}))
	c.Fails(http.StatusForbidden)(c.sdk.VerifyAuthFactor(1, 1, models.VerificationFactorRequest{}))
	c.Fails(http.StatusForbidden)(c.sdk.VerifyAuthFactorGet(1, 1))
	c.Fails(http.StatusForbidden)(c.sdk.GenerateMFAToken(1, models.GenerateMFATokenRequest{}))
	c.Object(http.StatusOK)(c.sdk.GetRateLimit())
	c.Fails(http.StatusBadRequest)(c.sdk.CreateSessionLoginToken(models.CreateSessionLoginRequest{}))
}

// driven are the SDK's methods that belong to the contract. The other scenes call each of them.
func driven() []string {
	return []string{
		"GetToken", "GetRateLimit",
		"GetUsers", "GetUsersWithContext", "GetUsersWithPagination", "GetUsersWithPaginationWithContext", "GetUsersModels",
		"GetUserByID", "GetUserByIDWithContext", "CreateUser", "CreateUserWithContext",
		"UpdateUser", "UpdateUserWithContext", "DeleteUser", "DeleteUserWithContext",
		"GetAvailableMFAFactors", "EnrollMFAFactor", "VerifyMFAEnrollment", "VerifyMFAEnrollmentGet", "GetEnrolledFactor", "RemoveMFAFactor",
		"ActivateMFAFactor", "VerifyAuthFactor", "VerifyAuthFactorGet", "GenerateMFAToken",
		"UpdatePasswordInsecure", "UpdatePasswordSecure", "CreateSessionLoginToken", "VerifyFactor",
	}
}

// theRest calls every other method that the SDK has: apps, roles, brands, and more that is no part of
// this house. Each is sent, and answered with a 404 in the envelope of its version.
func theRest(c *customer) {
	sdk := reflect.TypeFor[*onelogin.OneloginSDK]()
	known := map[string]bool{}
	for _, name := range driven() {
		_, ok := sdk.MethodByName(name)
		require.True(c.t, ok, "the SDK has no %s", name)
		known[name] = true
	}
	for i := range sdk.NumMethod() {
		if name := sdk.Method(i).Name; !known[name] {
			notFound(c, name)
		}
	}
}

func notFound(c *customer, method string) {
	t := c.t
	call := reflect.ValueOf(c.sdk).MethodByName(method)
	arguments := make([]reflect.Value, 0, call.Type().NumIn())
	for i := range call.Type().NumIn() {
		arguments = append(arguments, something(t, call.Type().In(i)))
	}
	before := len(c.Heard())
	results := call.Call(arguments)
	heard := c.Heard()[before:]
	require.NotNil(t, results[len(results)-1].Interface(), "%s is content with %v", method, heard)
	require.Len(t, heard, 1, "%s: one request is enough", method)
	want := http.StatusNotFound
	if strings.HasPrefix(method, "CreateCustomAttribute") { // to a path that reads as a user's
		want = http.StatusMethodNotAllowed
	}
	require.Equal(t, want, heard[0].status, "%s: %s", method, heard[0].got)
	heard[0].isRefusal(t, want)
}

// something is a value of a type, for a method whose answer does not depend on it.
func something(t *testing.T, of reflect.Type) reflect.Value {
	t.Helper()
	switch of {
	case reflect.TypeFor[context.Context]():
		return reflect.ValueOf(t.Context())
	case reflect.TypeFor[models.Queryable]():
		return reflect.ValueOf(&models.UserQuery{})
	case reflect.TypeFor[any]():
		return reflect.ValueOf(1) // some methods take anything where a number is meant
	case reflect.TypeFor[*models.BrandTemplate]():
		return reflect.ValueOf(&models.BrandTemplate{Template: "{}"}) // it must be JSON
	}
	switch of.Kind() {
	case reflect.Pointer:
		return reflect.New(of.Elem())
	case reflect.Int, reflect.Int32:
		return reflect.ValueOf(1).Convert(of)
	case reflect.String:
		return reflect.ValueOf("one")
	default:
		return reflect.Zero(of)
	}
}
