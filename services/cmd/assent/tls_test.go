package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writeCertificate makes a self-signed certificate for 127.0.0.1 and assent.test, and its key.
func writeCertificate(t *testing.T, files tlsConfig, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "assent.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"assent.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func newFiles(t *testing.T) tlsConfig {
	t.Helper()
	dir := t.TempDir()
	files := tlsConfig{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	writeCertificate(t, files, 1)
	return files
}

func TestFaultsOfTheCertificateAreToldWithTheOthers(t *testing.T) {
	t.Parallel()
	files, other := newFiles(t), newFiles(t)
	bad := filepath.Join(t.TempDir(), "bad.pem")
	require.NoError(t, os.WriteFile(bad, []byte("hunter2"), 0o600))
	const cert, key = "ASSENT_TLS__CERT=", "ASSENT_TLS__KEY="
	for name, test := range map[string]struct {
		env  []string
		want string // empty: nothing is wrong
	}{
		"a pair":                  {[]string{cert + files.Cert, key + files.Key}, ""},
		"a certificate alone":     {[]string{cert + files.Cert}, "tls.key (ASSENT_TLS__KEY): missing"},
		"a key alone":             {[]string{key + files.Key}, "tls.cert (ASSENT_TLS__CERT): missing"},
		"a key of another one":    {[]string{cert + files.Cert, key + other.Key}, "tls.cert (ASSENT_TLS__CERT): " + files.Cert + " and " + other.Key},
		"files that are not PEM":  {[]string{cert + bad, key + bad}, "no pair"},
		"a certificate elsewhere": {[]string{cert + bad + "x", key + files.Key}, "tls.cert (ASSENT_TLS__CERT): open " + bad + "x"},
		"a key elsewhere":         {[]string{cert + files.Cert, key + bad + "x"}, "tls.key (ASSENT_TLS__KEY): open " + bad + "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := up(t, "", append(test.env, "ASSENT_LOG__LEVEL=loud")...)
			if test.want == "" {
				require.Len(t, faults, 1)
				return
			}
			require.Len(t, faults, 2)
			require.Contains(t, strings.Join(faults, "\n"), test.want)
			require.NotContains(t, strings.Join(faults, "\n"), "hunter2")
		})
	}
	c, faults, err := load("", []string{cert + "/nowhere"})
	require.NoError(t, err)
	require.Empty(t, faults)
	workers, err := rolesNamed([]string{"verifier"})
	require.NoError(t, err)
	require.Empty(t, c.check(workers), "a role that serves no API does not read it")
}

func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	t.Parallel()
	files := newFiles(t)
	now := time.Now()
	var notes bytes.Buffer
	c, err := openCertificates(files, func() time.Time { return now }, slog.New(slog.NewTextHandler(&notes, nil)))
	require.NoError(t, err)
	serial := func() int64 {
		t.Helper()
		pair, err := c.get(nil)
		require.NoError(t, err)
		return pair.Leaf.SerialNumber.Int64()
	}
	changed := now
	change := func() { // files that are written within one tick of the file system's clock
		changed = changed.Add(time.Minute)
		require.NoError(t, os.Chtimes(files.Cert, changed, changed))
	}
	require.Equal(t, int64(1), serial())

	writeCertificate(t, files, 2)
	change()
	require.Equal(t, int64(1), serial(), "the files are not read at every handshake")
	now = now.Add(certificateCheck)
	require.Equal(t, int64(2), serial())

	require.NoError(t, os.WriteFile(files.Cert, []byte("half a cert"), 0o600))
	change()
	for range 5 {
		now = now.Add(certificateCheck)
		require.Equal(t, int64(2), serial(), "the last good one stays")
	}
	require.NoError(t, os.Remove(files.Cert))
	now = now.Add(certificateCheck)
	require.Equal(t, int64(2), serial())
	now = now.Add(certificateCheck)
	require.Equal(t, int64(2), serial())
	require.Equal(t, 2, strings.Count(notes.String(), "cannot be used"), "each change is told once")

	writeCertificate(t, files, 3)
	change()
	now = now.Add(certificateCheck)
	require.Equal(t, int64(3), serial())
}

// secured is an `assent up` with a certificate, and a client that trusts it.
type secured struct {
	t                *testing.T
	base, id, secret string
	files            tlsConfig
	client           *http.Client
}

// startSecured returns once everything serves.
func startSecured(t *testing.T, env ...string) *secured {
	t.Helper()
	s := &secured{t: t, files: newFiles(t), id: "assent-dev", secret: "secret-of-a-test"}
	ctx, cancel := context.WithCancel(t.Context())
	out, printed := io.Pipe()
	ended := make(chan error, 1)
	args := []string{"up", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"), "--tls-cert", s.files.Cert, "--tls-key", s.files.Key}
	env = append(env, "ASSENT_BOOTSTRAP_CLIENT_SECRET="+s.secret)
	go func() {
		err := run(ctx, args, env, printed, io.Discard)
		_ = printed.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	lines := bufio.NewScanner(out)
	var banner []string
	for lines.Scan() {
		if _, api, found := strings.Cut(lines.Text(), "  API      "); found {
			s.base = strings.TrimSuffix(api, "/v1")
		}
		if banner = append(banner, lines.Text()); strings.Contains(lines.Text(), "Ctrl-C stops") {
			break
		}
	}
	require.True(t, strings.HasPrefix(s.base, "https://127.0.0.1:"), banner)
	require.Contains(t, strings.Join(banner, "\n"), "curl --cacert "+s.files.Cert+" -u ")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	s.client = s.speaking("h2")
	return s
}

// speaking is a client that trusts the certificate, and speaks one protocol.
func (s *secured) speaking(protocol string) *http.Client {
	s.t.Helper()
	b, err := os.ReadFile(s.files.Cert)
	require.NoError(s.t, err)
	roots := x509.NewCertPool()
	require.True(s.t, roots.AppendCertsFromPEM(b))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "http/1.1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: protocols}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func (s *secured) call(client *http.Client, method, path, body string, into any) *http.Response {
	s.t.Helper()
	var sent io.Reader = http.NoBody
	if body != "" {
		sent = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, sent)
	require.NoError(s.t, err)
	req.SetBasicAuth(s.id, s.secret)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Less(s.t, resp.StatusCode, 300, "%s %s: %s", method, path, got)
	require.Equal(s.t, "max-age=31536000", resp.Header.Get("Strict-Transport-Security"))
	if into != nil {
		require.NoError(s.t, json.Unmarshal(got, into), "%s", got)
	}
	return resp
}

type told struct {
	ID, Status, Code, Link string
	MatchNumber            string `json:"match_number"`
}

// receive waits for a message in the inbox.
func (s *secured) receive(to string) told {
	s.t.Helper()
	var inbox struct{ Messages []told }
	s.call(s.client, http.MethodGet, "/sandbox/messages?wait=20&to="+url.QueryEscape(to), "", &inbox)
	require.NotEmpty(s.t, inbox.Messages)
	return inbox.Messages[0]
}

// want waits for a verification to have this status.
func (s *secured) want(id, status string) {
	s.t.Helper()
	var v told
	s.call(s.client, http.MethodGet, "/v1/verifications/"+id+"?wait=20", "", &v)
	require.Equal(s.t, status, v.Status)
}

func TestEverythingWorksWhereTheAddressSpeaksTLS(t *testing.T) {
	t.Parallel()
	s := startSecured(t)

	t.Run("a code, over HTTP/2 and HTTP/1.1", func(t *testing.T) {
		for protocol, number := range map[string]string{"h2": "+14155550100", "http/1.1": "+14155550101"} {
			client := s.speaking(protocol)
			var v, checked told
			resp := s.call(client, http.MethodPost, "/v1/verifications", `{"to":"`+number+`","channel":"sms"}`, &v)
			require.Equal(t, map[string]int{"h2": 2, "http/1.1": 1}[protocol], resp.ProtoMajor)
			require.Equal(t, http.StatusCreated, resp.StatusCode)
			s.call(client, http.MethodPost, "/v1/verifications/"+v.ID+"/check", `{"code":"`+s.receive(number).Code+`"}`, &checked)
			require.Equal(t, "approved", checked.Status)
		}
	})
	t.Run("a text is reported as delivered, which a callback says", func(t *testing.T) {
		var v told
		s.call(s.client, http.MethodPost, "/v1/verifications", `{"to":"+14155550102","channel":"sms"}`, &v)
		require.Eventually(t, func() bool {
			var steps struct{ Data []told }
			s.call(s.client, http.MethodGet, "/v1/verifications/"+v.ID+"/deliveries", "", &steps)
			return strings.Contains(tellAll(steps.Data), "delivered")
		}, 30*time.Second, 50*time.Millisecond)
	})
	t.Run("a link leads to the public address", func(t *testing.T) {
		s.call(s.client, http.MethodPost, "/v1/verifications", `{"to":"ana@example.com","channel":"email","challenge":"link"}`, &told{})
		link := s.receive("ana@example.com").Link
		require.True(t, strings.HasPrefix(link, s.base+"/l/"), link)
		s.call(s.client, http.MethodGet, strings.TrimPrefix(link, s.base), "", nil)
	})
	for _, platform := range []string{"apns", "fcm", "webpush"} {
		t.Run("a push over "+platform+" is answered", func(*testing.T) {
			var user, device, v told
			var phone struct {
				PushToken string `json:"push_token"`
				PublicKey string `json:"public_key"`
			}
			s.call(s.client, http.MethodPost, "/sandbox/phones", `{"platform":"`+platform+`"}`, &phone)
			s.call(s.client, http.MethodPost, "/v1/users", `{"name":"Ana"}`, &user)
			s.call(s.client, http.MethodPost, "/v1/users/"+user.ID+"/devices", `{"kind":"push","platform":"`+platform+`","push_token":`+
				strconv.Quote(phone.PushToken)+`,"public_key":"`+phone.PublicKey+`"}`, &device)
			s.call(s.client, http.MethodPost, "/v1/verifications", `{"device_id":"`+device.ID+`"}`, &v)
			s.call(s.client, http.MethodPost, "/sandbox/messages/"+s.receive(phone.PushToken).ID+"/answer", `{"decision":"approve","number":"`+v.MatchNumber+`"}`, nil)
			s.want(v.ID, "approved")
		})
	}
	t.Run("health is asked over TLS", func(t *testing.T) {
		_, err := command(t, "healthcheck", "--ops", s.base, "--tls-cert", s.files.Cert)
		require.NoError(t, err)
		_, err = command(t, "healthcheck", "--ops", s.base, "--tls-cert", newFiles(t).Cert)
		require.ErrorContains(t, err, "certificate")
		_, err = command(t, "healthcheck", "--ops", s.base)
		require.ErrorContains(t, err, "--tls-cert")
	})
	t.Run("plain HTTP and old TLS are turned away", func(t *testing.T) {
		require.Equal(t, http.StatusBadRequest, status(t, "http"+strings.TrimPrefix(s.base, "https")+"/healthz"))
		old := s.speaking("http/1.1")
		transport, ok := old.Transport.(*http.Transport)
		require.True(t, ok)
		transport.TLSClientConfig.MinVersion, transport.TLSClientConfig.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/healthz", http.NoBody)
		require.NoError(t, err)
		_, err = old.Do(req)
		require.ErrorContains(t, err, "protocol version")
	})
}

func tellAll(steps []told) string {
	var all strings.Builder
	for _, step := range steps {
		all.WriteString(step.Status + " ")
	}
	return all.String()
}

func TestCallbacksFindTheirWayPastTLSWhateverThePublicAddressIs(t *testing.T) {
	t.Parallel()
	s := startSecured(t, "ASSENT_PUBLIC_URL=https://assent.test")
	var v told
	s.call(s.client, http.MethodPost, "/v1/verifications", `{"to":"+14155550103","channel":"sms","challenge":"approval"}`, &v)
	s.call(s.client, http.MethodPost, "/sandbox/messages/"+s.receive("+14155550103").ID+"/answer", `{"text":"`+v.MatchNumber+`"}`, nil)
	s.want(v.ID, "approved")
}

func TestTheWayBackHasNothingButWhatTheSandboxNeeds(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.TLS = newFiles(t)
	p := newProcess(cfg, nil, newLogger(cfg.Log, io.Discard))
	var mu sync.Mutex
	var served []string
	p.serve(cfg.Listen, "/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		served = append(served, r.URL.Path)
	}))
	socket, err := bind(t.Context(), loopback, otherListen)
	require.NoError(t, err)
	p.bindBack(socket)
	require.NoError(t, p.listen(t.Context()))
	defer p.stop()
	base := "http://" + socket.Addr().String()
	require.Equal(t, base, p.cfg.Sandbox.URL)
	for _, path := range []string{"/v1/verifications", "/v1/users", "/auth/oauth2/v2/token", "/sandbox", "/l/x", "/metrics", "/healthz", "/"} {
		require.Equal(t, http.StatusNotFound, status(t, base+path), path)
	}
	require.Equal(t, http.StatusOK, status(t, base+"/callbacks/twilio/inbound"))
	require.Equal(t, http.StatusOK, status(t, base+"/sandbox/fcm/v1"))
	require.Equal(t, []string{"/callbacks/twilio/inbound", "/sandbox/fcm/v1"}, served)
}
