package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// invoke runs a command line and returns what it printed.
func invoke(t *testing.T, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = run(t.Context(), args, env, &out, &errs)
	return out.String(), errs.String(), err
}

// TestCredentialsAreManagedFromTheCommandLine goes the whole way: a deployment, its kept bootstrap
// credential, and a new one that works until it is revoked.
func TestCredentialsAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	listen, data := freeAddress(t), filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--listen", listen, "--data", data}, []string{"ASSENT_LOG__LEVEL=error"}, io.Discard, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	base := "http://" + listen
	require.Eventually(t, func() bool { return status(t, base+"/readyz") == http.StatusOK }, time.Minute, 20*time.Millisecond)

	out, note, err := invoke(t, nil, "credentials", "create", "login-page", "--name", "Login page", "--scope", "authentication_only",
		"--base", base, "--data", data)
	require.NoError(t, err)
	require.Regexp(t, `^client_id:     login-page\nclient_secret: [A-Z2-7]{26}\n$`, out)
	require.Contains(t, note, "cannot be shown again")

	out, _, err = invoke(t, nil, "credentials", "create", "--scope", "manage_all", "--compat", "go", "--no-numeric-ids", "--json", "--base", base, "--data", data)
	require.NoError(t, err)
	var made api.CreatedCredential
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Equal(t, api.CompatGo, made.Compat)
	require.False(t, made.NumericIds)

	// The new one manages the rest by itself.
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(made.ClientSecret+"\n"), 0o600))
	access := []string{"--base", base, "--client-id", made.ClientID, "--client-secret-file", secret}
	out, _, err = invoke(t, nil, append([]string{"credentials", "list"}, access...)...)
	require.NoError(t, err)
	require.Regexp(t, `^CLIENT ID +NAME +SCOPE +COMPAT +NUMERIC IDS +MATCHES NUMBERS +CREATED\n`, out)
	require.Regexp(t, `\nlogin-page +Login page +authentication_only +default +no +yes +20\d\d-`, out)
	require.Regexp(t, `\nassent-dev +manage_all +default +no +yes +20`, out)
	require.NotContains(t, out, made.ClientSecret)

	_, _, err = invoke(t, nil, append([]string{"credentials", "policy", "login-page", "--no-number-matching"}, access...)...)
	require.ErrorContains(t, err, "--no-number-matching needs a --reason: it stands in the audit log")
	out, _, err = invoke(t, nil, append([]string{"credentials", "policy", "login-page", "--no-number-matching", "--reason", "A kiosk"}, access...)...)
	require.NoError(t, err)
	require.Equal(t, "Links and approvals of login-page need no number.\n", out)
	out, _, err = invoke(t, nil, append([]string{"audit", "--subject", "login-page"}, access...)...)
	require.NoError(t, err)
	require.Regexp(t, `^AT +ACTION +BY +SUBJECT +USER +DETAILS +REASON\n`+
		`20\d\d-\S+ \S+ +credential.updated +c-\S+ +login-page +- +number_matching=off +A kiosk\n`+
		`20\d\d-\S+ \S+ +credential.created +assent-dev +login-page +- +number_matching=on scope=authentication_only +-\n$`, out)

	out, _, err = invoke(t, nil, append([]string{"credentials", "revoke", "login-page"}, access...)...)
	require.NoError(t, err)
	require.Equal(t, "Revoked login-page.\n", out)
	_, _, err = invoke(t, nil, append([]string{"credentials", "revoke", "login-page"}, access...)...)
	require.EqualError(t, err, "revoke credential login-page: 404 not_found: There is nothing with this id.")
	out, _, err = invoke(t, nil, append([]string{"credentials", "list", "--json"}, access...)...)
	require.NoError(t, err)
	var list api.CredentialList
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.Len(t, list.Data, 2)
}

// clerk answers like the API, and notes who called with what.
type clerk struct {
	*httptest.Server
	id, secret string
	sent       api.CreateCredential
}

func startClerk(t *testing.T, start func(*httptest.Server)) *clerk {
	t.Helper()
	c := &clerk{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.id, c.secret, _ = r.BasicAuth()
		w.Header().Set("Content-Type", "application/problem+json")
		switch {
		case c.secret == "narrow":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"status":403,"code":"forbidden","detail":"This call needs another scope."}`)
		case c.secret == "moved":
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case c.secret == "other":
			_, _ = io.WriteString(w, "<html>")
		case r.Method == http.MethodPost:
			_ = json.NewDecoder(r.Body).Decode(&c.sent)
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"client_id":"x","client_secret":"y"}`)
		default:
			_, _ = io.WriteString(w, `{"data":[]}`)
		}
	}))
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(c.Server)
	t.Cleanup(c.Close)
	return c
}

func TestACommandCallsAsWhomItIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("kept/bootstrap.json", `{"client_id":"kept","client_secret":"kept-secret"}`)
	kept := []string{"--data", filepath.Join(dir, "kept")}
	file := write("secret", "file-secret\n")
	env := []string{"ASSENT_BOOTSTRAP_CLIENT_ID=configured", "ASSENT_BOOTSTRAP_CLIENT_SECRET=env-secret"}
	c := startClerk(t, (*httptest.Server).Start)
	for name, test := range map[string]struct {
		env        []string
		args       []string
		id, secret string
	}{
		"the data directory":                 {nil, kept, "kept", "kept-secret"},
		"the environment":                    {env, kept, "configured", "env-secret"},
		"the environment by a file":          {[]string{env[0], "ASSENT_BOOTSTRAP_CLIENT_SECRET_FILE=" + file}, kept, "configured", "file-secret"},
		"the environment without an id":      {env[1:], kept, "assent-dev", "env-secret"},
		"the command line":                   {env, append([]string{"--client-id", "named", "--client-secret-file", file}, kept...), "named", "file-secret"},
		"a secret of the configured client":  {env, append([]string{"--client-secret-file", file}, kept...), "configured", "file-secret"},
		"the configured client by name":      {env, append([]string{"--client-id", "configured"}, kept...), "configured", "env-secret"},
		"another than the configured client": {env, append([]string{"--client-id", "kept"}, kept...), "kept", "kept-secret"},
	} {
		_, _, err := invoke(t, test.env, append([]string{"credentials", "list", "--base", c.URL + "/"}, test.args...)...)
		require.NoError(t, err, name)
		require.Equal(t, []string{test.id, test.secret}, []string{c.id, c.secret}, name)
	}
	c.id = ""
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"nothing anywhere":      {[]string{"--data", dir}, "--client-secret-file"},
		"nothing for this one":  {append([]string{"--client-id", "named"}, kept...), "no secret for named"},
		"no such file":          {[]string{"--client-id", "named", "--client-secret-file", filepath.Join(dir, "none")}, "no such file"},
		"an empty file":         {[]string{"--client-id", "named", "--client-secret-file", write("empty", "\n")}, "is empty"},
		"a kept file of no use": {[]string{"--data", filepath.Dir(write("broken/bootstrap.json", `{"client_id":"x"}`))}, "not a credential"},
		"a base that is none":   {append([]string{"--base", "localhost:8080"}, kept...), "--base"},
		"no authorities":        {append([]string{"--ca", file}, kept...), "holds none in PEM form"},
	} {
		_, _, err := invoke(t, nil, append([]string{"credentials", "list", "--base", c.URL}, test.args...)...)
		require.ErrorContains(t, err, test.says, name)
	}
	require.Empty(t, c.id, "nobody was asked")
}

func TestWhatTheAPISaysIsOneLineAndNoSecretIsInIt(t *testing.T) {
	t.Parallel()
	c := startClerk(t, (*httptest.Server).Start)
	for secret, says := range map[string]string{
		"narrow": "list credentials: 403 forbidden: This call needs another scope.",
		"moved":  "list credentials: " + c.Listener.Addr().String() + " answers with status 307, which is not Assent's",
		"other":  "list credentials: the answer of " + c.Listener.Addr().String() + " is not Assent's",
	} {
		_, _, err := invoke(t, []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=" + secret}, "credentials", "list", "--base", c.URL)
		require.EqualError(t, err, says)
	}
	c.Close()
	_, _, err := invoke(t, []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=recognisable"}, "credentials", "list", "--base", c.URL)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "recognisable")
}

func TestWhatIsNotGivenIsNotSent(t *testing.T) {
	t.Parallel()
	c := startClerk(t, (*httptest.Server).Start)
	yes, no := true, false
	for _, test := range []struct {
		args []string
		want api.CreateCredential
	}{
		{nil, api.CreateCredential{Scope: "read_all", Compat: "default"}},
		{[]string{"page", "--name", "Page", "--compat", "python"}, api.CreateCredential{ClientID: "page", Name: "Page", Scope: "read_all", Compat: "python"}},
		{[]string{"--numeric-ids"}, api.CreateCredential{Scope: "read_all", Compat: "default", NumericIds: &yes}},
		{[]string{"--no-numeric-ids"}, api.CreateCredential{Scope: "read_all", Compat: "default", NumericIds: &no}},
	} {
		c.sent = api.CreateCredential{}
		_, _, err := invoke(t, []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=x"},
			append([]string{"credentials", "create", "--base", c.URL, "--scope", "read_all"}, test.args...)...)
		require.NoError(t, err)
		require.Equal(t, test.want, c.sent)
	}
	for _, args := range [][]string{
		{"create"},
		{"create", "--scope", "all"},
		{"create", "--scope", "read_all", "--compat", "php"},
		{"create", "a.b", "--scope", "read_all"},
		{"revoke"},
		{"revoke", "a/b"},
		{"rotate"},
	} {
		_, _, err := invoke(t, []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=x"}, append([]string{"credentials"}, args...)...)
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%v", args)
	}
}

func TestAPrivateCertificateIsTrustedWhereItIsNamed(t *testing.T) {
	t.Parallel()
	c := startClerk(t, (*httptest.Server).StartTLS)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}), 0o600))
	env := []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=x"}
	_, _, err := invoke(t, env, "credentials", "list", "--base", c.URL, "--ca", ca)
	require.NoError(t, err)
	_, _, err = invoke(t, env, "credentials", "list", "--base", c.URL)
	require.ErrorContains(t, err, "--ca FILE")
}
