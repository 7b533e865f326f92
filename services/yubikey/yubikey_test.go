package yubikey_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the protocol's own
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/yubikey"
)

const (
	otp       = "vvccccfhcbijctltvbujfnbcrkdjbejdvgvrbcknkdih"
	secretKey = "mG5be6ZJU1qBGz24yPh/ESM3UdU="
)

// server answers with this status, signed with this key.
func server(t *testing.T, key, status string, change func(map[string]string)) *yubikey.Validator {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if h := sign(secretKey, "id="+q.Get("id")+"&nonce="+q.Get("nonce")+"&otp="+q.Get("otp")); q.Get("h") != h {
			status = "BAD_SIGNATURE"
		}
		a := map[string]string{"nonce": q.Get("nonce"), "otp": q.Get("otp"), "status": status}
		if change != nil {
			change(a)
		}
		text := "nonce=" + a["nonce"] + "&otp=" + a["otp"] + "&status=" + a["status"]
		fmt.Fprintf(w, "h=%s\r\nnonce=%s\r\notp=%s\r\nstatus=%s\r\n", sign(key, text), a["nonce"], a["otp"], a["status"])
	}))
	t.Cleanup(s.Close)
	v, err := yubikey.New(yubikey.Config{URL: s.URL, ClientID: "1", Key: secretKey}, s.Client())
	require.NoError(t, err)
	return v
}

func sign(key, text string) string {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha1.New, raw)
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestTheServersWordCounts(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{"OK": true, "BAD_OTP": false, "REPLAYED_OTP": false, "REPLAYED_REQUEST": false} {
		valid, err := server(t, secretKey, status, nil).Valid(t.Context(), strings.ToUpper(otp))
		require.NoError(t, err, status)
		require.Equal(t, want, valid, status)
	}
	for _, status := range []string{"BACKEND_ERROR", "NO_SUCH_CLIENT", "NOT_ENOUGH_ANSWERS", "", "ok"} {
		valid, err := server(t, secretKey, status, nil).Valid(t.Context(), otp)
		require.ErrorIs(t, err, yubikey.ErrServer, status)
		require.False(t, valid)
		require.NotContains(t, err.Error(), otp)
	}
}

func TestAnAnswerThatIsNotTheServersToThisQuestionIsNone(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*yubikey.Validator{
		"signed with another key": server(t, "AAAA", "OK", nil),
		"to another question":     server(t, secretKey, "OK", func(a map[string]string) { a["nonce"] = "other" }),
		"of another key's code":   server(t, secretKey, "OK", func(a map[string]string) { a["otp"] = "c" + otp[1:] }),
	} {
		valid, err := v.Valid(t.Context(), otp)
		require.ErrorIs(t, err, yubikey.ErrServer, name)
		require.False(t, valid, name)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	v, err := yubikey.New(yubikey.Config{URL: gone.URL, ClientID: "1"}, gone.Client())
	require.NoError(t, err)
	_, err = v.Valid(t.Context(), otp)
	require.ErrorContains(t, err, "404")
	gone.Close()
	_, err = v.Valid(t.Context(), otp)
	require.ErrorIs(t, err, yubikey.ErrServer)
	require.NotContains(t, err.Error(), otp)
}

func TestWhatIsNoOneTimePasswordAsksNobody(t *testing.T) {
	t.Parallel()
	v, err := yubikey.New(yubikey.Config{URL: "http://127.0.0.1:1", ClientID: "1"}, &http.Client{})
	require.NoError(t, err)
	for _, bad := range []string{"", "123456", otp + "x", otp[:31], strings.Repeat("c", 49), otp + "&status=OK"} {
		valid, err := v.Valid(t.Context(), bad)
		require.NoError(t, err, bad)
		require.False(t, valid, bad)
		_, ok := v.Identity(bad)
		require.False(t, ok, bad)
	}
	identity, ok := v.Identity(" " + strings.ToUpper(otp))
	require.True(t, ok)
	require.Equal(t, "vvccccfhcbij", identity)
}

func TestAConfigurationNamesItsFaults(t *testing.T) {
	t.Parallel()
	require.Empty(t, yubikey.Config{URL: "https://api.yubico.com/wsapi/2.0/verify", ClientID: "87", Key: secretKey}.Validate())
	require.Len(t, yubikey.Config{URL: "api.yubico.com", ClientID: "me", Key: "%"}.Validate(), 3)
}
