package scenario_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin"
	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/authentication"
	olerror "github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/error"
	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	"github.com/stretchr/testify/require"
)

func tokensLive(c *customer) {
	t := c.t
	token, err := c.sdk.GetToken()
	require.NoError(t, err)
	require.NotEmpty(t, token)
	other := c.again()
	same, err := other.sdk.GetToken()
	require.NoError(t, err)
	require.Equal(t, token, same, "one pair has one token")

	rate := c.Object(http.StatusOK)(c.sdk.GetRateLimit())
	require.Equal(t, "Bearer "+token, c.Asked(http.MethodGet, "/auth/rate_limit").token)
	require.Equal(t, values{"error": false, "code": 200.0, "type": "success", "message": "Success"}, rate.object(t, "status"))
	left := rate.object(t, "data")
	require.Positive(t, left.number(t, "X-RateLimit-Limit"))
	require.LessOrEqual(t, left.number(t, "X-RateLimit-Remaining"), left.number(t, "X-RateLimit-Limit"))
	require.LessOrEqual(t, left.number(t, "X-RateLimit-Reset"), 3600)

	// The SDK's own revocation leaves out the scheme of its URL, so it cannot reach anybody.
	err = c.sdk.Client.Auth.RevokeToken(&token)
	require.ErrorContains(t, err, "unsupported protocol scheme")
	c.Object(http.StatusOK)(c.sdk.GetRateLimit())

	// Given one where it expects a subdomain, it does what it should.
	require.NoError(t, authentication.NewAuthenticator("https://"+sdkTenant).RevokeToken(&token))
	theTokenHasEnded(c, token)

	// The other SDK still holds it. The body of its request is read when the request is sent again, so
	// this one fails on its own side.
	user := c.Somebody()
	_, err = other.sdk.CreateUser(user)
	require.Error(t, err)
	require.Equal(t, "Bearer "+token, other.Last().token)
	require.Empty(t, c.List(c.sdk.GetUsers(&models.UserQuery{Email: &user.Email})))
	other.Object(http.StatusCreated)(other.sdk.CreateUser(user))

	wrongSecrets(c)
}

// theTokenHasEnded expects the SDK to fetch another one. It puts it into its next request only: the one
// that was refused goes out once more as it was.
func theTokenHasEnded(c *customer, token string) {
	c.t.Helper()
	before := len(c.Heard())
	_, err := c.sdk.GetRateLimit()
	require.EqualError(c.t, err, "request failed with status: 401")
	refused := c.Heard()[before:]
	require.Len(c.t, refused, 2)
	for _, x := range refused {
		require.Equal(c.t, "Bearer "+token, x.token)
		x.isRefusal(c.t, http.StatusUnauthorized)
	}
	c.Object(http.StatusOK)(c.sdk.GetRateLimit())
	next, err := c.sdk.GetToken()
	require.NoError(c.t, err)
	require.NotEqual(c.t, token, next)
	require.Equal(c.t, "Bearer "+next, c.Last().token)
}

// wrongSecrets expects that nothing starts with a pair that is wrong.
func wrongSecrets(c *customer) {
	for name, value := range map[string]string{sdkSecret: "not " + c.secret, sdkClientID: strings.ToUpper(c.id) + "-nobody"} {
		c.t.Run("nothing starts with a wrong "+name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := onelogin.NewOneloginSDK()
			var refused *olerror.AuthenticationError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "Authentication failed", refused.Message)
		})
	}
}
