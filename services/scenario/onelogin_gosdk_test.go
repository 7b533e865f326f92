package scenario_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// OneLogin's Go SDK takes its credential from the environment, its host from a subdomain of
// onelogin.com, and fetches tokens through the transport of the whole process. So each scene plays
// in a process of its own, as it would at a customer: this test binary again, told by its
// environment where the house is. What the SDK believes to be OneLogin leads there.

// TestOneLoginsGoSDKWorksUnmodified drives v4.7.0 of the SDK through its own types, over TLS.
func TestOneLoginsGoSDKWorksUnmodified(t *testing.T) {
	taken, seated := takeSeat(t)
	if seated {
		for _, sc := range scenes() {
			t.Run(sc.name, func(t *testing.T) { sc.play(newCustomer(t, taken)) })
		}
		return
	}
	t.Parallel()
	s, certificate := Secure(t)
	for i, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			s.in(t).lets(sc, seat{Base: s.base, Certificate: certificate, People: int64(i+1) * 1000})
		})
	}
}

// scene is what one program does with the SDK, and the credential that it is given.
type scene struct {
	name   string
	client api.CreateCredential
	play   func(*customer)
}

func scenes() []scene {
	numbers := api.CreateCredential{Scope: api.ScopeManageAll, Compat: api.CompatGo}
	return []scene{
		{"a token is fetched, shared, revoked and fetched again", numbers, tokensLive},
		{"users are kept", numbers, usersAreKept},
		{"users are read page by page", numbers, usersArePaged},
		{"every factor is enrolled and verified by numbers", numbers, everyFactor},
		{"whatever is wrong is told without asking for a new token", numbers, everyRefusal},
		{"somebody logs in with a password and a factor", numbers, everyLogin},
		{"version 1 of the factors", numbers, everyLegacyCall},
		{"the default form serves all that the SDK can address", api.CreateCredential{Scope: api.ScopeManageAll}, theDefaultForm},
		{"a credential for authentication only is kept to it", api.CreateCredential{Scope: api.ScopeAuthenticationOnly, Compat: api.CompatGo}, onlyAuthentication},
		{"what is not in the contract is not found", numbers, theRest},
	}
}

// The SDK's own environment.
const (
	sdkSubdomain = "ONELOGIN_SUBDOMAIN"
	sdkClientID  = "ONELOGIN_CLIENT_ID"
	sdkSecret    = "ONELOGIN_CLIENT_SECRET"
	sdkTimeout   = "ONELOGIN_TIMEOUT"

	// sdkTenant is the subdomain that the SDK is told; hosts under onelogin.com lead to the house.
	sdkTenant = "example-bank"
)

const seatVariable = "STORIES_SEAT"

// seat is what the SDK's process is told about the house.
type seat struct {
	Base        string
	Certificate string // path of the PEM file that the house shows
	People      int64  // so that nobody there is somebody in another process
}

// takeSeat is the seat of this process, where it is one of the SDK's.
func takeSeat(t *testing.T) (seat, bool) {
	t.Helper()
	told, ok := os.LookupEnv(seatVariable)
	if !ok {
		return seat{}, false
	}
	var taken seat
	require.NoError(t, json.Unmarshal([]byte(told), &taken))
	house.people.Store(taken.People)
	redirect(t, taken)
	return taken, true
}

// redirect leads what goes to onelogin.com to the house. The SDK has no other place for it: its token
// is fetched with the transport of the process, and this process has no other purpose.
func redirect(t *testing.T, to seat) {
	t.Helper()
	certificate, err := os.ReadFile(to.Certificate)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certificate))
	transport, ok := http.DefaultTransport.(*http.Transport)
	require.True(t, ok)
	dialer, address := &net.Dialer{Timeout: 10 * time.Second}, strings.TrimPrefix(to.Base, "https://")
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	transport.DialContext = func(ctx context.Context, network, asked string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(asked); err == nil && strings.HasSuffix(host, ".onelogin.com") {
			asked = address
		}
		return dialer.DialContext(ctx, network, asked)
	}
}

const sceneWithin = 5 * time.Minute

// lets plays a scene in a process of its own, with a new credential of the house's account.
func (s *story) lets(sc scene, at seat) {
	s.t.Helper()
	made := s.Credential(sc.client)
	told, err := json.Marshal(at)
	require.NoError(s.t, err)
	self, err := os.Executable()
	require.NoError(s.t, err)
	parts := strings.Split(s.t.Name(), "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	p, err := launch("a program with OneLogin's SDK", self,
		[]string{"-test.v", "-test.timeout=" + sceneWithin.String(), "-test.run=" + strings.Join(parts, "/")},
		[]string{
			seatVariable + "=" + string(told), sdkSubdomain + "=" + sdkTenant, sdkTimeout + "=60",
			sdkClientID + "=" + made.ClientID, sdkSecret + "=" + made.ClientSecret,
		})
	require.NoError(s.t, err)
	code, faults := p.plays()
	require.Zero(s.t, code, "%s", faults)
	require.Contains(s.t, p.out.String(), "--- PASS: "+s.t.Name(), "the scene was not played")
}

// plays waits for the end of a scene. How it ended is for the story to judge.
func (p *process) plays() (code int, faults string) {
	select {
	case <-p.ended:
	case <-time.After(sceneWithin + time.Minute):
		p.kill()
	}
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	for line := range strings.Lines(p.out.String()) {
		if !uneventful.MatchString(line) {
			faults += line
		}
	}
	if log := p.log.String(); crash.MatchString(log) { // else it is the SDK's, of each call
		faults += log[crash.FindStringIndex(log)[0]:]
	}
	return p.cmd.ProcessState.ExitCode(), faults
}

// uneventful are the lines about tests that begin or pass.
var uneventful = regexp.MustCompile(`^ *(=== (RUN|PAUSE|CONT)|--- PASS)`)

// Credential makes a client of the account.
func (s *story) Credential(c api.CreateCredential) api.CreatedCredential {
	s.t.Helper()
	return read[api.CreatedCredential](s.t, s.Call(http.MethodPost, "/v1/credentials", c), http.StatusCreated)
}

var secureBanner = regexp.MustCompile(`API +(https://[0-9.:]+)/v1[\s\S]*Ctrl-C stops`)

// Secure tells a story on an `assent up` of its own that speaks TLS, and names its certificate.
func Secure(t *testing.T, env ...string) (s *story, certificate string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	p, err := assent("assent up",
		[]string{"up", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--tls-cert", certificate, "--tls-key", key},
		append(credential(), env...))
	require.NoError(t, err)
	told, err := p.says(p.out, secureBanner)
	require.NoError(t, err)
	pem, err := os.ReadFile(certificate)
	require.NoError(t, err)
	client := newClient()
	transport, ok := client.Transport.(*http.Transport)
	require.True(t, ok)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	s = &story{&system{
		base: told[1], inbox: told[1], metrics: []string{told[1]}, data: dir, id: clientID, secret: clientSecret,
		processes: []*process{p}, client: client,
	}, t}
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s, certificate
}

// selfSigned makes a certificate for the house and for what is redirected to it.
func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	shown := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a house of stories"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"*.onelogin.com", "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, shown, shown, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certificate, key
}

// customer is a program with the SDK in its hands. It also is a story, to see what people get.
type customer struct {
	*story
	*wire
	sdk *onelogin.OneloginSDK
}

// newCustomer makes an SDK as its documentation does, and listens to what it says.
func newCustomer(t *testing.T, at seat) *customer {
	t.Helper()
	client := newClient()
	client.Transport = http.DefaultTransport // which knows the house's certificate
	id, _ := os.LookupEnv(sdkClientID)
	secret, _ := os.LookupEnv(sdkSecret)
	house := &system{base: at.Base, inbox: at.Base, id: id, secret: secret, client: client}
	return (&customer{story: &story{house, t}}).again()
}

// again is another SDK, with the credential that the environment names now.
func (c *customer) again() *customer {
	c.t.Helper()
	sdk, err := onelogin.NewOneloginSDK()
	require.NoError(c.t, err)
	heard := &wire{test: c.t, next: sdk.Client.HttpClient}
	sdk.Client.HttpClient = heard
	return &customer{story: c.story, wire: heard, sdk: sdk}
}

// in is the same customer in the words of a subtest, with an SDK of its own: the SDK's token has no lock.
func (c *customer) in(t *testing.T) *customer {
	t.Helper()
	return (&customer{story: c.story.in(t)}).again()
}
