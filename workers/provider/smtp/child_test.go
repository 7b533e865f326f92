package smtp_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/smtp"
)

const (
	user     = "assent@mail.example"
	password = "correct horse, battery \\ staple=42"
)

// child is a mail server in a process of its own.
type child struct {
	host   string
	port   int
	events <-chan event
	input  io.WriteCloser
}

// readOn lets a server that stalls read what it was sent.
func (c *child) readOn(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(c.input, "\n")
	require.NoError(t, err)
}

// start runs a server. It ends with the test.
func start(t *testing.T, s settings) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, serveArgument)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	events := make(chan event, 1<<14) // more than any test brings about: the server never waits for us
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(events)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var e event
			if json.Unmarshal(line, &e) == nil {
				events <- e
			}
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // the child ends with its input
		<-read
		_ = cmd.Wait() // it may have been killed with the test's context
	})
	require.NoError(t, json.NewEncoder(in).Encode(s)) //nolint:gosec // G117: who checks passwords is told them
	c := &child{events: events, input: in}
	host, port, err := net.SplitHostPort(c.next(t, "listening").Address)
	require.NoError(t, err)
	c.host = host
	c.port, err = strconv.Atoi(port)
	require.NoError(t, err)
	return c
}

// next waits for the next event of a kind and passes over the others.
func (c *child) next(t *testing.T, kind string) event {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		select {
		case e, ok := <-c.events:
			require.True(t, ok, "the server ended before it reported: "+kind)
			if e.Kind == kind {
				return e
			}
		case <-patience:
			require.Fail(t, "the server never reported: "+kind)
		}
	}
}

// end ends the server. What it reported and nobody waited for is all there is.
func (c *child) end(t *testing.T) []event {
	t.Helper()
	require.NoError(t, c.input.Close())
	var rest []event
	for e := range c.events {
		rest = append(rest, e)
	}
	return rest
}

// cancelHanging sends a mail and cancels the call where the server hangs.
func (c *child) cancelHanging(t *testing.T, g *smtp.Gateway, m delivery.Mail) (delivery.Receipt, error) {
	t.Helper()
	type result struct {
		receipt delivery.Receipt
		err     error
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan result, 1)
	go func() {
		receipt, err := g.SendMail(ctx, m)
		ended <- result{receipt, err}
	}()
	c.next(t, "hanging")
	cancel()
	r := <-ended
	return r.receipt, r.err
}

// inClear is the configuration for a server without TLS.
func (c *child) inClear() smtp.Config {
	return smtp.Config{Host: c.host, Port: c.port, TLS: "none"}
}

func gateway(t *testing.T, cfg smtp.Config) *smtp.Gateway {
	t.Helper()
	g, err := smtp.New(cfg)
	require.NoError(t, err)
	t.Cleanup(g.Close)
	return g
}

// authority is a certificate authority of the test's own.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return authority{file: file, cert: cert, key: key}
}

// issue makes a certificate for an IP address, valid until then.
func (a authority) issue(t *testing.T, ip string, until time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail.example"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
