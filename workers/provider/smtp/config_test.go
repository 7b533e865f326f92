package smtp_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/smtp"
)

func TestAConfigurationNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	const host = "mail.example.com"
	for name, tc := range map[string]struct {
		cfg    smtp.Config
		faults []string
	}{
		"nothing set":          {smtp.Config{}, []string{"host: missing"}},
		"a host with a port":   {smtp.Config{Host: "mail.example.com:25"}, []string{"host: want"}},
		"a host with a space":  {smtp.Config{Host: "mail example"}, []string{"host: want"}},
		"an impossible port":   {smtp.Config{Host: host, Port: 70000}, []string{"port: want"}},
		"a negative port":      {smtp.Config{Host: host, Port: -1}, []string{"port: want"}},
		"another TLS":          {smtp.Config{Host: host, TLS: "secret-tls"}, []string{"tls: want"}},
		"another way in":       {smtp.Config{Host: host, Auth: "secret-auth"}, []string{"auth: want"}},
		"a password alone":     {smtp.Config{Host: host, Password: "secret-1"}, []string{"username: missing"}},
		"a username alone":     {smtp.Config{Host: host, Username: "secret-1"}, []string{"password: missing"}},
		"line ends":            {smtp.Config{Host: host, Username: "a\r\n", Password: "secret-1\n"}, []string{"username: holds", "password: holds"}},
		"a NUL":                {smtp.Config{Host: host, Username: "a\x00b", Password: "secret-1"}, []string{"username: holds"}},
		"a name of two lines":  {smtp.Config{Host: host, Helo: "a\r\nMAIL"}, []string{"helo: want"}},
		"a name of two words":  {smtp.Config{Host: host, Helo: "a b"}, []string{"helo: want"}},
		"half a bracket":       {smtp.Config{Host: host, Helo: "[192.0.2.1"}, []string{"helo: want"}},
		"too many connections": {smtp.Config{Host: host, MaxConnections: 10000}, []string{"max_connections: want"}},
		"no connections":       {smtp.Config{Host: host, MaxConnections: -1}, []string{"max_connections: want"}},
		"in clear abroad":      {smtp.Config{Host: "192.0.2.1", TLS: "none"}, []string{"tls: none is for"}},
		"in clear abroad, six": {smtp.Config{Host: "2001:db8::1", TLS: "none"}, []string{"tls: none is for"}},
		"a password in clear":  {smtp.Config{Host: "10.0.0.1", TLS: "none", Username: "u", Password: "secret-1"}, []string{"tls: none would send"}},
		"a name in clear":      {smtp.Config{Host: "relay", TLS: "none", Username: "u", Password: "secret-1"}, []string{"tls: none would send"}},
		"an idle authority":    {smtp.Config{Host: "127.0.0.1", TLS: "none", CAFile: "/secret-file"}, []string{"ca_file:"}},
		"all at once":          {smtp.Config{Port: -1, TLS: "x", Auth: "x", MaxConnections: -1}, []string{"host:", "port:", "tls:", "auth:", "max_connections:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := tc.cfg.Validate()
			require.Len(t, faults, len(tc.faults), "%v", faults)
			_, err := smtp.New(tc.cfg)
			for i, fault := range tc.faults {
				assert.ErrorContains(t, faults[i], fault)
				assert.ErrorContains(t, err, fault)
			}
			assert.NotContains(t, err.Error(), "secret-")
		})
	}
	for name, cfg := range map[string]smtp.Config{
		"a host alone":          {Host: host},
		"signed in":             {Host: host, TLS: "tls", Username: "ü", Password: "pass word", Auth: "plain", Helo: "app.example.com", MaxConnections: 1},
		"an address":            {Host: "2001:db8::1", Helo: "[IPv6:2001:db8::2]"},
		"loopback with all":     {Host: "127.0.0.1", TLS: "none", Username: "u", Password: "p"},
		"localhost with all":    {Host: "localhost", TLS: "none", Username: "u", Password: "p"},
		"loopback six with all": {Host: "::1", TLS: "none", Username: "u", Password: "p"},
		"a private relay":       {Host: "10.1.2.3", TLS: "none"},
		"a container's relay":   {Host: "mail_relay", TLS: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cfg.Validate())
		})
	}
}

func TestTheCertificateFileIsReadAtTheStart(t *testing.T) {
	t.Parallel()
	_, err := smtp.New(smtp.Config{Host: "mail.example.com", CAFile: filepath.Join(t.TempDir(), "none.pem")})
	require.ErrorContains(t, err, "ca_file")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, []byte("nothing"), 0o600))
	_, err = smtp.New(smtp.Config{Host: "mail.example.com", CAFile: empty})
	require.ErrorContains(t, err, "ca_file: it holds no PEM certificate")
}

// A name may lead anywhere: what counts is the address that is dialled. The test's is the
// machine's own, under an address that is not private, so that nothing leaves it.
func TestNothingGoesInClearToAnAddressThatIsNotOurs(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{TLS: "none", Username: user, Password: password, Mechanisms: []string{"PLAIN"}})
	for name, c := range map[string]struct {
		cfg  smtp.Config
		text string
	}{
		"a mail":     {smtp.Config{Host: "relay", TLS: "none"}, "not at a private address"},
		"a password": {smtp.Config{Host: "localhost", TLS: "none", Username: user, Password: password}, "the password in clear"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Port = srv.port
			g := gateway(t, c.cfg)
			g.LeadTo("0.0.0.0")
			_, err := g.SendMail(t.Context(), message())
			require.Error(t, err)
			require.Equal(t, delivery.ClassMisconfigured, delivery.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, c.text)
			providertest.LeaksNothing(t, err, user, password)
		})
	}
	g := gateway(t, smtp.Config{Host: "localhost", Port: srv.port, TLS: "none", Username: user, Password: password})
	_, err := g.SendMail(t.Context(), message())
	require.NoError(t, err)
	got := srv.end(t)
	require.Equal(t, []string{"open", "mail"}, []string{got[0].Kind, got[1].Kind}, "the first that came")
	require.Equal(t, "PLAIN "+user, got[1].User, "nobody listens in on loopback")
}
