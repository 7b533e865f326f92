package scenario_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commandLine is one run of the program that ends by itself, and what it says.
type commandLine struct {
	name   string
	args   []string
	env    []string
	code   int
	says   []string // on standard output where code is 0, else on standard error
	hushes []string // what must be said nowhere
}

func TestTheCommandLineSaysWhatIsWrongAndHowToMendIt(t *testing.T) {
	t.Parallel()
	s := Together(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "assent.yaml")
	require.NoError(t, os.WriteFile(file, []byte("listen: nowhere\ntwillio:\n  auth_token: hunter2hunter2\nlimits:\n  sends: many\n"), 0o600))
	notYAML := filepath.Join(dir, "not.yaml")
	require.NoError(t, os.WriteFile(notYAML, []byte("a: [b\n"), 0o600))
	taken := strings.TrimPrefix(s.base, "http://")
	for _, c := range []commandLine{
		{name: "help", args: []string{"--help"}, says: []string{"up", "run", "roles", "config"}},
		{name: "help about a command", args: []string{"up", "--help"}, says: []string{"--listen", "--data", "--config"}},
		{name: "the version", args: []string{"version"}, says: []string{"assent "}},
		{name: "the roles", args: []string{"roles"}, says: []string{"api", "verifier", "sms", "voice", "email", "push", "sandbox"}},
		{name: "a configuration without faults", args: []string{"config", "check"}, says: []string{"complete"}},
		{name: "no command", code: 2, says: []string{"assent: ", "--help"}},
		{name: "a command that does not exist", args: []string{"upp"}, code: 2, says: []string{"upp", "--help"}},
		{name: "a flag that does not exist", args: []string{"up", "--port", "1"}, code: 2, says: []string{"--port"}},
		{name: "a role that does not exist", args: []string{"run", "fax"}, code: 2, says: []string{"fax", "sms"}},
		{name: "run without a role", args: []string{"run"}, code: 2, says: []string{"role"}},
		{
			name: "all faults of a configuration at once", args: []string{"config", "check", "--config", file}, env: []string{"ASSENT_TWILIO__ACOUNT_SID=AC1", "ASSENT_PUBLIC_URL=ftp://x"}, code: 1,
			says:   []string{"twillio.auth_token", "did you mean twilio.auth_token?", "listen", "limits.sends", "twilio.acount_sid", "did you mean twilio.account_sid?", "ASSENT_TWILIO__ACOUNT_SID", "public_url"},
			hushes: []string{"hunter2"},
		},
		{
			name: "the same faults stop the start", args: []string{"up", "--data", filepath.Join(dir, "a"), "--config", file}, code: 1,
			says: []string{"did you mean twilio.auth_token?", "limits.sends"}, hushes: []string{"hunter2"},
		},
		{
			name: "a provider without its secrets", args: []string{"up", "--data", filepath.Join(dir, "b")}, code: 1,
			env:  []string{"ASSENT_TWILIO__ACCOUNT_SID=AC" + strings.Repeat("0", 32), "ASSENT_SENDGRID__BASE_URL=http://127.0.0.1:1"},
			says: []string{"twilio.auth_token", "twilio.from", "sendgrid.api_key", "email.from"},
		},
		{name: "a worker without a provider", args: []string{"run", "sms"}, code: 1, says: []string{"twilio"}},
		{
			name: "a secret that is both a value and a file", args: []string{"config", "check"}, code: 1,
			env:  []string{"ASSENT_TWILIO__AUTH_TOKEN=hunter2hunter2", "ASSENT_TWILIO__AUTH_TOKEN_FILE=" + file},
			says: []string{"twilio.auth_token", "file"}, hushes: []string{"hunter2"},
		},
		{name: "a secret's file that is not there", args: []string{"config", "check"}, env: []string{"ASSENT_SENDGRID__API_KEY_FILE=" + dir + "/none"}, code: 1, says: []string{"sendgrid.api_key_file"}},
		{name: "a configuration file that is not there", args: []string{"config", "check", "--config", dir + "/none.yaml"}, code: 1, says: []string{"none.yaml"}},
		{name: "a configuration file that is no YAML", args: []string{"config", "check", "--config", notYAML}, code: 1, says: []string{"not YAML"}},
		{name: "a port that is taken", args: []string{"up", "--listen", taken, "--data", filepath.Join(dir, "c")}, code: 1, says: []string{taken, "--listen"}},
		{name: "a data directory that is in use", args: []string{"up", "--listen", "127.0.0.1:0", "--data", s.data}, code: 1, says: []string{"another assent", "--data"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := assent("assent "+strings.Join(c.args, " "), c.args, c.env)
			require.NoError(t, err)
			code, stdout, stderr, err := p.exit()
			require.NoError(t, err)
			require.Equal(t, c.code, code, "%s%s", stdout, stderr)
			said := stdout
			if c.code != 0 {
				said = stderr
				require.True(t, strings.HasPrefix(stderr, "assent: "), "%s", stderr)
			}
			for _, words := range c.says {
				require.Contains(t, said, words)
			}
			for _, words := range c.hushes {
				require.NotContains(t, stdout+stderr, words)
			}
		})
	}
}

func TestARestartContinuesWhereTheFirstEnded(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, err := startUpAt("127.0.0.1:0", data)
	require.NoError(t, err)
	s, ana := &story{first, t}, somebody()
	v := s.Create(mail(ana).Link())
	phone := s.Phone("apns")
	client, err := s.ask(t.Context(), http.MethodGet, s.base+"/v1/devices/"+phone.Device.ID, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, client.status)
	require.NoError(t, s.stop())

	second, err := startUpAt(strings.TrimPrefix(first.base, "http://"), data)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.stop()) })
	require.Equal(t, first.id, second.id)
	require.Equal(t, first.secret, second.secret, "the credential is kept")
	s = &story{second, t}
	s.Want(v, "pending", "")
	asked := s.Create(push(phone))
	require.Equal(t, http.StatusAccepted, s.Decides(s.Message(phone.Token), "approve", asked.MatchNumber).Status, "the phone is still known")
	s.Becomes(asked, "approved", "")
	for _, path := range []string{"keyring.json", "bootstrap.json"} {
		about, err := os.Stat(filepath.Join(data, path))
		require.NoError(t, err)
		require.Zero(t, about.Mode().Perm()&0o077, "%s is for its owner's eyes only", path)
	}
}

func TestEveryProcessTellsItsHealth(t *testing.T) {
	t.Parallel()
	for name, house := range map[string]func(*testing.T) *story{"in one process": Together, "in a process for each role": Apart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := house(t)
			for _, base := range s.metrics {
				for _, path := range []string{"/healthz", "/livez", "/readyz", "/metrics"} {
					a, err := s.ask(t.Context(), http.MethodGet, base+path, nil, header("Authorization", ""))
					require.NoError(t, err)
					require.Equal(t, http.StatusOK, a.status, "%s%s: %s", base, path, a.body)
				}
			}
		})
	}
}
