package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/accept"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verifier"
)

// up loads a configuration as `assent up` would and returns everything that is wrong with it.
func up(t *testing.T, file string, env ...string) (config, []string) {
	t.Helper()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "assent.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	}
	c, faults, err := load(path, env)
	require.NoError(t, err)
	c.Sandbox.URL = c.upSandbox()
	return c, append(faults, c.check(roles)...)
}

func TestNothingConfiguredIsComplete(t *testing.T) {
	c, faults := up(t, "", "HOME=/root", "ASSENT_NO_COLOR=1")
	require.Empty(t, faults)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	require.Equal(t, "assent-data/keyring.json", c.Keyring)
	require.Equal(t, 5, c.Limits.Sends)
}

func TestTheEnvironmentWinsOverTheFileAndReachesEveryKey(t *testing.T) {
	c, faults := up(t, `
listen: 127.0.0.1:1
limits: {sends: 7, window: 15m}
twilio: {account_sid: AC0123456789abcdef0123456789abcdef, from: "+15005550006"}
`, "ASSENT_LISTEN=127.0.0.1:2", "ASSENT_TWILIO__AUTH_TOKEN=token", "ASSENT_LIMITS__SENDS=9", "ASSENT_NATS__SYNC_ALWAYS=true",
		"ASSENT_SENDGRID__API_KEY=SG.x", "ASSENT_EMAIL__FROM=Shop <no-reply@shop.test>", "ASSENT_SENDGRID__BASE_URL=http://127.0.0.1:9/x")
	require.Empty(t, faults)
	require.Equal(t, "127.0.0.1:2", c.Listen)
	require.Equal(t, 9, c.Limits.Sends)
	require.Equal(t, 15*time.Minute, c.Limits.Window)
	require.Equal(t, "token", c.Twilio.AuthToken)
	require.True(t, c.NATS.SyncAlways)
	require.Equal(t, "http://127.0.0.1:9/x", c.SendGrid.BaseURL)
	require.Equal(t, "Twilio, SendGrid", c.realProviders())
}

func TestSlashesAtTheEndOfAddressesDoNotMatter(t *testing.T) {
	c, faults, err := load("", []string{"ASSENT_SANDBOX__URL=http://127.0.0.1:8081/", "ASSENT_PUBLIC_URL=https://assent.test/a/"})
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Equal(t, "http://127.0.0.1:8081", c.Sandbox.URL)
	require.Equal(t, "https://assent.test/a", c.PublicURL)
}

func TestAClientIDThatCannotBeStoredIsAFaultOfTheConfiguration(t *testing.T) {
	for _, id := range []string{"", "a b", "a:b", strings.Repeat("a", 65)} {
		_, faults := up(t, "", "ASSENT_BOOTSTRAP_CLIENT_ID="+id)
		require.Len(t, faults, 1)
		require.Contains(t, faults[0], "bootstrap_client_id (ASSENT_BOOTSTRAP_CLIENT_ID)")
	}
}

func TestTheHealthEndpointsOnlyRead(t *testing.T) {
	p := newProcess(defaults(), nil, newLogger(defaults().Log, io.Discard))
	p.operations("any")
	p.serve("any", "/", http.NotFoundHandler())
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/metrics"} {
		answer := httptest.NewRecorder()
		p.listeners["any"].mux.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil))
		require.Equal(t, http.StatusMethodNotAllowed, answer.Code, path)
		require.Equal(t, "GET, HEAD", answer.Header().Get("Allow"))
	}
	answer := httptest.NewRecorder()
	p.listeners["any"].mux.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/healthz", nil))
	require.Equal(t, http.StatusOK, answer.Code)
}

func TestAllFaultsAreToldAtOnceWithTheirKeysAndNoValues(t *testing.T) {
	_, faults := up(t, `
lisen: 127.0.0.1:1
limits: {sends: many, window: soon}
proofs: {keep: 0}
nats: {sync_always: perhaps}
log: {level: loud}
twilio: {from: "+15005550006"}
public_url: example.com
`, "ASSENT_SENDGRID__API_KEYS=hunter2", "ASSENT_WORKERS__GRACE=1s", "ASSENT_API_PORT_8080_TCP=tcp://10.0.0.1:8080")
	all := strings.Join(faults, "\n")
	for _, want := range []string{
		"lisen (ASSENT_LISEN): no such key; did you mean listen?",
		"limits.sends (ASSENT_LIMITS__SENDS): want a whole number",
		"limits.window (ASSENT_LIMITS__WINDOW): want a length of time such as 200ms, 10s or 5m",
		"nats.sync_always (ASSENT_NATS__SYNC_ALWAYS): want true or false",
		"proofs.keep (ASSENT_PROOFS__KEEP): want 1 to 3650 days",
		"log.level (ASSENT_LOG__LEVEL): want debug, info, warn or error",
		"twilio.account_sid (ASSENT_TWILIO__ACCOUNT_SID): missing",
		"twilio.auth_token (ASSENT_TWILIO__AUTH_TOKEN): missing",
		"public_url (ASSENT_PUBLIC_URL): want an absolute http or https URL",
		"did you mean sendgrid.api_key?",
		"workers.grace (ASSENT_WORKERS__GRACE): want at least workers.send_timeout",
		"enableServiceLinks: false",
	} {
		require.Contains(t, all, want)
	}
	require.NotContains(t, all, "hunter2")
	require.NotContains(t, all, "many")
	require.Len(t, faults, 12)
}

func TestApprovalsAreLimitedAndFrozenAsTheOperatorSays(t *testing.T) {
	c, faults := up(t, "")
	require.Empty(t, faults)
	require.Equal(t, approvalsConfig{
		store.PromptLimits{MaxUnanswered: 5, UnansweredFor: time.Hour}, verifier.NotMe{Freeze: "push", For: 20 * time.Minute},
	}, c.Approvals)
	c, faults = up(t, "approvals: {max_unanswered: 0, unanswered_for: 10m, not_me: {freeze: off, for: 1h}}",
		"ASSENT_APPROVALS__MAX_UNANSWERED=3", "ASSENT_APPROVALS__NOT_ME__FOR=2h")
	require.Empty(t, faults)
	require.Equal(t, approvalsConfig{
		store.PromptLimits{MaxUnanswered: 3, UnansweredFor: 10 * time.Minute}, verifier.NotMe{Freeze: "off", For: 2 * time.Hour},
	}, c.Approvals)
	_, faults = up(t, "approvals: {max_unanswered: 101, unanswered_for: 1s, not_me: {freeze: all, for: 25h}}")
	require.Len(t, faults, 4)
	for i, key := range []string{"approvals.max_unanswered", "approvals.not_me.for", "approvals.not_me.freeze", "approvals.unanswered_for"} {
		require.Contains(t, faults[i], key)
	}
}

func TestCodesHaveAPageAndAnApp(t *testing.T) {
	c, faults := up(t, "codes: {origin: example.com}", "ASSENT_CODES__APP_HASH=FA+9qCX9VSu")
	require.Empty(t, faults)
	require.Equal(t, codesConfig{Origin: "example.com", AppHash: "FA+9qCX9VSu"}, c.Codes)

	_, faults = up(t, "codes: {origin: 'https://example.com', app_hash: short}")
	require.Equal(t, []string{
		"codes.app_hash (ASSENT_CODES__APP_HASH): want the 11 characters of an app's hash",
		"codes.origin (ASSENT_CODES__ORIGIN): want a host name such as example.com",
	}, faults)
}

func TestScannersNetworksAreNamedOrKnown(t *testing.T) {
	for file, want := range map[string]int{
		"": len(accept.ScannerNetworks()), "links: {scanner_networks: [203.0.113.0/24, '2001:db8::/32']}": 2, "links: {scanner_networks: []}": 0,
	} {
		c, faults := up(t, file)
		require.Empty(t, faults)
		networks, faults := c.Links.networks()
		require.Empty(t, faults)
		require.Len(t, networks, want, file)
	}
	c, _ := up(t, "", "ASSENT_LINKS__SCANNER_NETWORKS=203.0.113.0/24, 198.51.100.0/24")
	require.Equal(t, []string{"203.0.113.0/24", "198.51.100.0/24"}, c.Links.ScannerNetworks)
	_, faults := up(t, "links: {scanner_networks: [203.0.113.0/24, 203.0.113.7]}")
	require.Equal(t, []string{
		"links.scanner_networks (ASSENT_LINKS__SCANNER_NETWORKS): entry 2: want a network such as 40.92.0.0/15 or 2a01:111:f400::/48",
	}, faults)
}

func TestWhatPeopleCanAddIsAllOrWhatIsNamed(t *testing.T) {
	c, faults := up(t, "")
	require.Empty(t, faults)
	require.Equal(t, []device.Kind{device.Phone, device.Mailbox, device.TOTP, device.Push}, c.Enrolment.kinds())
	c, faults = up(t, "", "ASSENT_ENROLMENT__KINDS=totp, push")
	require.Empty(t, faults)
	require.Equal(t, []device.Kind{device.TOTP, device.Push}, c.Enrolment.kinds())
	for file, want := range map[string]string{
		"enrolment: {kinds: [totp, email]}": "enrolment.kinds (ASSENT_ENROLMENT__KINDS): entry 2: want phone, mailbox, totp and push, each once at most",
		"enrolment: {kinds: [totp, totp]}":  "enrolment.kinds (ASSENT_ENROLMENT__KINDS): entry 2: want phone, mailbox, totp and push, each once at most",
		"enrolment: {kinds: []}":            "enrolment.kinds (ASSENT_ENROLMENT__KINDS): want at least one of phone, mailbox, totp and push",
	} {
		_, faults := up(t, file)
		require.Equal(t, []string{want}, faults)
	}
}

func TestASecretMayComeAsAFileButNotTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("from-the-file\n"), 0o600))
	c, faults := up(t, "", "ASSENT_BOOTSTRAP_CLIENT_SECRET_FILE="+path)
	require.Empty(t, faults)
	require.Equal(t, "from-the-file", c.BootstrapClientSecret)

	_, faults = up(t, "", "ASSENT_BOOTSTRAP_CLIENT_SECRET_FILE="+path, "ASSENT_BOOTSTRAP_CLIENT_SECRET=x")
	require.Equal(t, []string{"bootstrap_client_secret (ASSENT_BOOTSTRAP_CLIENT_SECRET): set both as a value and as a file"}, faults)

	_, faults = up(t, "", "ASSENT_NATS__PASSWORD_FILE=/nowhere/at/all")
	require.Len(t, faults, 1)
	require.Contains(t, faults[0], "nats.password_file")
}

func TestAWorkerWithoutAProviderOrASandboxDoesNotStart(t *testing.T) {
	for _, name := range []string{"sms", "voice", "email", "push"} {
		selected, err := rolesNamed([]string{name})
		require.NoError(t, err)
		c, faults, err := load("", nil)
		require.NoError(t, err)
		require.Empty(t, faults)
		faults = c.check(selected)
		require.Len(t, faults, 1, name)
		require.Contains(t, faults[0], "no provider is configured")
		c.Sandbox.URL = "http://127.0.0.1:8081"
		require.Empty(t, c.check(selected))
	}
}

func TestAnUnreadableFileIsAFaultOfItsOwn(t *testing.T) {
	_, _, err := load("/nowhere/assent.yaml", nil)
	require.ErrorContains(t, err, "/nowhere/assent.yaml")
	path := filepath.Join(t.TempDir(), "x.yaml")
	require.NoError(t, os.WriteFile(path, []byte("a: [b"), 0o600))
	_, _, err = load(path, nil)
	require.ErrorContains(t, err, "not YAML")
}

func TestCommandsThatOnlyTell(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"roles":                     {[]string{"roles"}, "verifier"},
		"version":                   {[]string{"version"}, "assent dev"},
		"help":                      {[]string{"--help"}, "assent up"},
		"help, as a word":           {[]string{"help"}, "assent up"},
		"help about one, as a word": {[]string{"help", "run"}, "--ops-listen"},
		"version, as a flag":        {[]string{"--version"}, "assent dev"},
		"help of one":               {[]string{"run", "--help"}, "--ops-listen"},
		"config check":              {[]string{"config", "check"}, "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), c.args, nil, &out, &out))
			require.Contains(t, out.String(), c.want)
		})
	}
}

func TestCommandLinesThatCannotBeUnderstood(t *testing.T) {
	for name, args := range map[string][]string{
		"no command": nil, "an unknown command": {"fly"}, "an unknown flag": {"up", "--speed", "9"},
		"an unknown role": {"run", "fax"}, "no role": {"run"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			var usage *usageError
			require.ErrorAs(t, run(t.Context(), args, nil, &out, &out), &usage)
		})
	}
}

func TestConfigCheckTellsWhatARoleLacks(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"config", "check", "--role", "sms"}, nil, &out, &out)
	var faults *faultsError
	require.ErrorAs(t, err, &faults)
	require.Contains(t, err.Error(), "twilio (ASSENT_TWILIO)")
}

func TestTheBootstrapSecretIsMadeOnceAndKept(t *testing.T) {
	c := defaults()
	c.Data = t.TempDir()
	require.NoError(t, c.bootstrap())
	first := c.BootstrapClientSecret
	require.Len(t, first, 26)
	again := defaults()
	again.Data = c.Data
	require.NoError(t, again.bootstrap())
	require.Equal(t, first, again.BootstrapClientSecret)
	info, err := os.Stat(filepath.Join(c.Data, "bootstrap.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.WriteFile(filepath.Join(c.Data, "bootstrap.json"), []byte("{"), 0o600))
	again.BootstrapClientSecret = ""
	require.ErrorContains(t, again.bootstrap(), "not a credential")
}

func TestOneProcessHoldsADataDirectory(t *testing.T) {
	dir := t.TempDir()
	release, err := lockData(dir)
	require.NoError(t, err)
	_, err = lockData(dir)
	require.ErrorContains(t, err, "another assent (pid")
	release()
	release, err = lockData(dir)
	require.NoError(t, err)
	release()
}

func TestKeyringInitMakesOneFileForEachWorker(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second run changes nothing
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), []string{"keyring", "init", "--dir", dir}, nil, &out, &out))
		require.Equal(t, 6, strings.Count(out.String(), "\n"))
	}
	files, err := filepath.Glob(dir + "/*/keyring.json")
	require.NoError(t, err)
	require.Len(t, files, 6)
	root, err := keyring.Load(filepath.Join(dir, "api", "keyring.json"))
	require.NoError(t, err)
	for _, path := range files {
		own, err := keyring.Load(path)
		require.NoError(t, err)
		letter, err := own.SealLetter("subject", "consumer", []byte("x"))
		require.NoError(t, err, path)
		_, err = root.OpenLetter("subject", "consumer", letter)
		require.NoError(t, err, path)
		if filepath.Base(filepath.Dir(path)) != "api" {
			_, err = own.OpenLetter("subject", "consumer", letter)
			require.ErrorIs(t, err, keyring.ErrNoKey, path)
		}
	}
	worker, err := keyring.Load(filepath.Join(dir, "push", "keyring.json"))
	require.NoError(t, err)
	key, err := worker.PushKey()
	require.NoError(t, err)
	of, err := root.PushKey()
	require.NoError(t, err)
	require.Equal(t, of, key, "the push worker signs with the key that pages subscribe with")
}

func TestKeyringInitCompletesTheFilesOfEarlierVersions(t *testing.T) {
	dir := t.TempDir()
	root, err := keyring.LoadOrCreate(filepath.Join(dir, "api", "keyring.json"))
	require.NoError(t, err)
	path := filepath.Join(dir, "sms", "keyring.json")
	require.NoError(t, root.Export(path, keyring.Channel(events.SMS)))
	require.NoError(t, run(t.Context(), []string{"keyring", "init", "--dir", dir}, nil, io.Discard, io.Discard))
	own, err := keyring.Load(path)
	require.NoError(t, err)
	require.NoError(t, own.SealsLetters())
	content, err := root.Seal(keyring.Channel(events.SMS), "id", []byte("x"))
	require.NoError(t, err)
	_, err = own.Open(keyring.Channel(events.SMS), "id", content)
	require.NoError(t, err)
}

func TestTheDoorsSettingsComeFromFileOrEnvironment(t *testing.T) {
	c, faults := up(t, `
onelogin: {brand: Example Bank, factors: [sms, email_link], min_expires_in: 5, rate_limit: 5000}
`)
	require.Empty(t, faults)
	require.Equal(t, []string{"sms", "email_link"}, c.OneLogin.Factors)
	require.Equal(t, "Example Bank", c.OneLogin.Brand)
	require.Equal(t, 5, c.OneLogin.MinExpiresIn)
	require.Equal(t, 5000, c.OneLogin.RateLimit)

	c, faults = up(t, "onelogin: {factors: [sms]}", "ASSENT_ONELOGIN__FACTORS=protect, voice,authenticator", "ASSENT_ONELOGIN__MAX_EXPIRES_IN=600")
	require.Empty(t, faults)
	require.Equal(t, []string{"protect", "voice", "authenticator"}, c.OneLogin.Factors)
	require.Equal(t, 600, c.OneLogin.MaxExpiresIn)

	c, faults = up(t, "", "ASSENT_ONELOGIN__FACTORS=")
	require.Empty(t, faults)
	require.Empty(t, c.OneLogin.Factors, "all of them")
}

func TestFaultsOfTheDoorsSettingsAreToldWithTheirKeys(t *testing.T) {
	_, faults := up(t, "onelogin: {factors: [fax], min_expires_in: 121, max_expires_in: 901, rate_limit: -1}")
	all := strings.Join(faults, "\n")
	for _, key := range []string{
		"onelogin.factors (ASSENT_ONELOGIN__FACTORS)", "onelogin.min_expires_in (ASSENT_ONELOGIN__MIN_EXPIRES_IN)",
		"onelogin.max_expires_in (ASSENT_ONELOGIN__MAX_EXPIRES_IN)", "onelogin.rate_limit (ASSENT_ONELOGIN__RATE_LIMIT)",
	} {
		require.Contains(t, all, key)
	}
	require.Len(t, faults, 4)

	_, faults = up(t, "onelogin: {factors: [[sms]], rate_limit: many, brands: x}")
	all = strings.Join(faults, "\n")
	require.Contains(t, all, "onelogin.factors (ASSENT_ONELOGIN__FACTORS): want a list of texts")
	require.Contains(t, all, "onelogin.rate_limit (ASSENT_ONELOGIN__RATE_LIMIT): want a whole number")
	require.Contains(t, all, "did you mean onelogin.brand?")

	c, faults, err := load("", []string{"ASSENT_ONELOGIN__FACTORS=fax"})
	require.NoError(t, err)
	require.Empty(t, faults)
	workers, err := rolesNamed([]string{"verifier"})
	require.NoError(t, err)
	require.Empty(t, c.check(workers), "a worker does not read the doors' settings")
}

const configuredRealm = "{app_id: 8f14e45fceea167a5a36dedd4bea2543, app_key: 1ff7c1e4d0b1a2938475665748392a1b0c9d8e7f6a5b4c3d2e1f001122334455, realm: secureauth1}"

func TestARealmIsConfiguredByFileOrEnvironment(t *testing.T) {
	c, faults := up(t, "")
	require.Empty(t, faults)
	require.False(t, c.SecureAuth.configured())
	require.Equal(t, 5*time.Minute, c.SecureAuth.ClockWindow)

	c, faults = up(t, "secureauth: "+configuredRealm)
	require.Empty(t, faults)
	require.True(t, c.SecureAuth.configured())
	require.Equal(t, "secureauth1", c.SecureAuth.Realm)

	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("aB", 32)+"\n"), 0o600))
	c, faults = up(t, "", "ASSENT_SECUREAUTH__APP_ID=8F14E45FCEEA167A5A36DEDD4BEA2543", "ASSENT_SECUREAUTH__APP_KEY_FILE="+path,
		"ASSENT_SECUREAUTH__REALM=bank", "ASSENT_SECUREAUTH__CLOCK_WINDOW=90s")
	require.Empty(t, faults)
	require.Equal(t, secureauthConfig{
		AppID: "8F14E45FCEEA167A5A36DEDD4BEA2543", AppKey: strings.Repeat("aB", 32), Realm: "bank", ClockWindow: 90 * time.Second,
	}, c.SecureAuth)
}

func TestARealmIsConfiguredAsAWholeOrNotAtAll(t *testing.T) {
	for name, test := range map[string]struct {
		yaml string
		keys []string
	}{
		"a name only":     {"{realm: bank}", []string{"app_id", "app_key"}},
		"no name":         {strings.Replace(configuredRealm, "realm: secureauth1", "clock_window: 5m", 1), []string{"realm"}},
		"an id only":      {"{app_id: 8f14e45fceea167a5a36dedd4bea2543}", []string{"app_key", "realm"}},
		"bad forms":       {"{app_id: 8f14, app_key: hunter2, realm: a b}", []string{"app_id", "app_key", "realm"}},
		"a reserved name": {strings.Replace(configuredRealm, "secureauth1", "auth", 1), []string{"realm"}},
		"a short window":  {"{clock_window: 9s}", []string{"clock_window"}},
		"a long window":   {"{clock_window: 61m}", []string{"clock_window"}},
		"no window":       {"{clock_window: 0}", []string{"clock_window"}},
	} {
		_, faults := up(t, "secureauth: "+test.yaml)
		require.Len(t, faults, len(test.keys), "%s: %v", name, faults)
		for i, key := range test.keys {
			require.True(t, strings.HasPrefix(faults[i], "secureauth."+key+" (ASSENT_SECUREAUTH__"+strings.ToUpper(key)+"): "), "%s: %s", name, faults[i])
			require.NotContains(t, faults[i], "hunter2")
		}
	}
	_, faults := up(t, "secureauth: {app_ids: x, clock_window: soon}")
	all := strings.Join(faults, "\n")
	require.Contains(t, all, "did you mean secureauth.app_id?")
	require.Contains(t, all, "secureauth.clock_window (ASSENT_SECUREAUTH__CLOCK_WINDOW): want a length of time")

	c, faults, err := load("", []string{"ASSENT_SECUREAUTH__REALM=bank"})
	require.NoError(t, err)
	require.Empty(t, faults)
	workers, err := rolesNamed([]string{"verifier"})
	require.NoError(t, err)
	require.Empty(t, c.check(workers), "a worker does not read the doors' settings")
}
