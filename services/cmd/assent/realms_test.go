package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// TestRealmsAreManagedFromTheCommandLine goes the whole way: a deployment with a configured realm, and
// another that is made, rotated and removed.
func TestRealmsAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	listen, data := freeAddress(t), filepath.Join(t.TempDir(), "data")
	const ours, key = "8f14e45fceea167a5a36dedd4bea2543", "1ff7c1e4d0b1a2938475665748392a1b0c9d8e7f6a5b4c3d2e1f001122334455"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--listen", listen, "--data", data}, []string{
			"ASSENT_LOG__LEVEL=error", "ASSENT_SECUREAUTH__APP_ID=" + ours, "ASSENT_SECUREAUTH__APP_KEY=" + key, "ASSENT_SECUREAUTH__REALM=secureauth1",
		}, io.Discard, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	base := "http://" + listen
	require.Eventually(t, func() bool { return status(t, base+"/readyz") == http.StatusOK }, time.Minute, 20*time.Millisecond)
	realms := func(args ...string) (string, string, error) {
		return invoke(t, nil, append(append([]string{"realms"}, args...), "--base", base, "--data", data)...)
	}

	out, note, err := realms("create", "bank", "--brand", "Example Bank", "--method", "sms", "--method", "push_accept", "--echo-otp", "--life", "90s")
	require.NoError(t, err)
	require.Regexp(t, `^realm:   bank\napp_id:  [0-9a-f]{32}\napp_key: [0-9a-f]{64}\n$`, out)
	require.Contains(t, note, "cannot be shown again")
	made := strings.TrimSpace(out[strings.LastIndex(out, " "):])
	_, _, err = realms("create", "Bank")
	require.EqualError(t, err, "create realm: 409 realm_exists: Another realm has this name or app_id.")
	_, _, err = realms("create", "other", "--method", "fax")
	require.ErrorContains(t, err, "create realm: 422 invalid_request")

	out, _, err = realms("rotate", "bank", "--overlap", "24h", "--json")
	require.NoError(t, err)
	var rotated api.CreatedRealm
	require.NoError(t, json.Unmarshal([]byte(out), &rotated))
	require.Len(t, rotated.AppKey, 64)
	require.NotEqual(t, made, rotated.AppKey)
	require.Equal(t, 90, *rotated.Settings.Life)
	require.NotNil(t, rotated.RotatedAt)

	out, _, err = realms("list")
	require.NoError(t, err)
	require.Regexp(t, `^NAME +APP ID +BRAND +METHODS +ECHOES CODES +CREATED +ROTATED\n`, out)
	require.Regexp(t, `\nbank +`+rotated.AppID+` +Example Bank +sms,push_accept +yes +20\d\d-\d\d-\d\d +20\d\d-`, out)
	require.Regexp(t, `\nsecureauth1 +`+ours+` +all +no +20\d\d-\d\d-\d\d +never\n`, out)
	require.NotContains(t, out, made)
	require.NotContains(t, out, rotated.AppKey)

	out, _, err = realms("remove", "bank")
	require.NoError(t, err)
	require.Equal(t, "Removed bank.\n", out)
	_, _, err = realms("remove", "bank")
	require.EqualError(t, err, "remove realm bank: 404 not_found: There is nothing with this id.")
	out, _, err = realms("list", "--json")
	require.NoError(t, err)
	var list api.RealmList
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.Len(t, list.Data, 1)
}

func TestWhatIsNotGivenAboutARealmIsNotSent(t *testing.T) {
	t.Parallel()
	var sent, path string
	c := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent, path = string(b), r.Method+" "+r.URL.Path
		_, _ = io.WriteString(w, `{"name":"x","app_id":"y","app_key":"z"}`)
	}))
	t.Cleanup(c.Close)
	env := []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=x"}
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("aB", 32)+"\n"), 0o600))
	short := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, []byte("hunter2\n"), 0o600))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "x"}, `{"name":"x","settings":{}}`},
		{
			[]string{"create", "x", "--app-id", "8f14e45fceea167a5a36dedd4bea2543", "--app-key-file", file},
			`{"name":"x","app_id":"8f14e45fceea167a5a36dedd4bea2543","app_key":"` + strings.Repeat("aB", 32) + `","settings":{}}`,
		},
		{[]string{"create", "x", "--method", "sms,email", "--life", "1m"}, `{"name":"x","settings":{"methods":["sms","email"],"life":60}}`},
		{[]string{"rotate", "x"}, `{}`},
		{[]string{"rotate", "x", "--overlap", "90m"}, `{"overlap":5400}`},
	} {
		out, _, err := invoke(t, env, append(append([]string{"realms"}, test.args...), "--base", c.URL)...)
		require.NoError(t, err)
		require.JSONEq(t, test.want, sent, "%v", test.args)
		require.Equal(t, "realm:   x\napp_id:  y\napp_key: z\n", out)
	}
	out, _, err := invoke(t, env, "realms", "remove", "x", "--json", "--base", c.URL)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"x","removed":true}`, out)
	require.Equal(t, "DELETE /v1/realms/x", path)

	path = ""
	for _, args := range [][]string{
		{"create"},
		{"create", "a b"},
		{"create", "auth"},
		{"create", "x", "--app-id", "8f14"},
		{"create", "x", "--life", "29s"},
		{"create", "x", "--life", "11m"},
		{"rotate", "a/b"},
		{"rotate", "x", "--overlap", "169h"},
		{"rotate", "x", "--overlap", "-1s"},
		{"remove", "../x"},
		{"revoke", "x"},
	} {
		_, _, err := invoke(t, env, append(append([]string{"realms"}, args...), "--base", c.URL)...)
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%v", args)
	}
	for name, says := range map[string]string{short: "does not hold 64 hexadecimal digits", short + "er": "no such file"} {
		_, _, err := invoke(t, env, "realms", "create", "x", "--app-key-file", name, "--base", c.URL)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.Empty(t, path, "nobody was asked")
}
