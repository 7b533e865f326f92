package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// tlsConfig is the certificate of the public listener. Both paths or none: without, it speaks plain
// HTTP, to whatever ends TLS before it.
type tlsConfig struct {
	// Cert is the path of the certificate with its chain, Key that of its private key; both PEM.
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
}

func (c tlsConfig) on() bool { return c.Cert != "" && c.Key != "" }

// check reports what is wrong with the pair. Nothing of the key is in it.
func (c tlsConfig) check() []string {
	switch {
	case c == (tlsConfig{}):
		return nil
	case c.Cert == "":
		return []string{fault("tls.cert", "missing, but tls.key is set")}
	case c.Key == "":
		return []string{fault("tls.key", "missing, but tls.cert is set")}
	}
	var faults []string
	for _, f := range []struct{ key, path string }{{"tls.cert", c.Cert}, {"tls.key", c.Key}} {
		if _, err := os.ReadFile(f.path); err != nil {
			faults = append(faults, fault(f.key, "%v", err))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
		return []string{fault("tls.cert", "%s and %s are no pair of a certificate and its key: %s",
			c.Cert, c.Key, strings.TrimPrefix(err.Error(), "tls: "))}
	}
	return nil
}

// tlsFlags are the certificate on the command line.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" help:"Certificate of the API's address, with its chain (PEM); with it, the address speaks https." placeholder:"FILE" type:"path"`
	TLSKey  string `name:"tls-key" help:"Private key of the certificate (PEM)." placeholder:"FILE" type:"path"`
}

func (f tlsFlags) set(c *config) {
	c.flag(&c.TLS.Cert, f.TLSCert)
	c.flag(&c.TLS.Key, f.TLSKey)
}

// scheme is what the public listener speaks.
func (c config) scheme() string {
	if c.TLS.on() {
		return "https"
	}
	return "http"
}

// certificateCheck is how often the files are looked at, at most: a renewed certificate counts a second
// later, and a storm of handshakes costs no storm of reads.
const certificateCheck = time.Second

// certificates hands out the pair of files as they are now, so that a renewal needs no restart. Files
// that cannot be used, half written ones too, leave the last good pair in place.
type certificates struct {
	files tlsConfig
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]fileState
	checked time.Time
}

// fileState is by what a changed file is known.
type fileState struct {
	modified time.Time
	size     int64
}

func openCertificates(files tlsConfig, now func() time.Time, log *slog.Logger) (*certificates, error) {
	c := &certificates{files: files, now: now, log: log, checked: now()}
	// The state is read first: a change between the two is seen again.
	seen, err := c.state()
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	c.current, c.seen = &pair, seen
	return c, nil
}

func (c *certificates) state() (seen [2]fileState, err error) {
	for i, path := range []string{c.files.Cert, c.files.Key} {
		info, err := os.Stat(path)
		if err != nil {
			return [2]fileState{}, err
		}
		seen[i] = fileState{info.ModTime(), info.Size()}
	}
	return seen, nil
}

// get is asked at every handshake.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		c.renew()
	}
	return c.current, nil
}

func (c *certificates) renew() {
	seen, err := c.state() // nothing, where a file is missing
	if seen == c.seen {
		return
	}
	c.seen = seen
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	}
	if err != nil {
		// The other half of the pair may be on its way; that is another change.
		c.log.Warn("changed certificate cannot be used, the last one stays", "err", err)
		return
	}
	c.current = &pair
	c.log.Info("certificate renewed", "not_after", pair.Leaf.NotAfter)
}

// strictTransport tells browsers to come by https only. It is said where TLS ends here: what ends it
// elsewhere has its own word.
func strictTransport(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// serverTLS is what the public listener accepts.
func serverTLS(c *certificates) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

// back is the way of the own sandbox past TLS: the workers' calls to the carriers, the carriers'
// callbacks, and the answers of the sandbox's phones, over a port of the loopback that the system
// chooses. None of their clients needs to trust a certificate which may name any host.
var back = []string{
	"/sandbox/twilio/", "/sandbox/sendgrid/", "/sandbox/apns/", "/sandbox/fcm/", "/sandbox/webpush/", "/callbacks/", "POST /v1/verifications/{id}/responses",
}

// loopback is a port of this machine that the system chooses.
const loopback = "127.0.0.1:0"

// bindBack serves the public listener's routes there as far as the sandbox needs
// them, and points the configuration to it.
func (p *process) bindBack(socket net.Listener) {
	address := socket.Addr().String()
	public := p.listeners[p.cfg.Listen].mux
	p.bindTo(address, socket)
	for _, pattern := range back {
		p.serve(address, pattern, public)
	}
	p.cfg.Sandbox.URL = "http://" + address
	if p.cfg.Sandbox.CallbackDial == "" {
		p.cfg.Sandbox.CallbackDial = address
	}
}

// pinned trusts one certificate and nothing else, whatever host it names and whether or not its time
// has passed: it asks whether a process of this machine is alive.
func pinned(path string) (*tls.Config, error) {
	if path == "" {
		return nil, errors.New("https needs --tls-cert, the certificate of the process")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("read certificate: %s holds none in PEM form", path)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %s: %w", path, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	name := ""
	switch {
	case len(leaf.DNSNames) > 0:
		name = strings.Replace(leaf.DNSNames[0], "*", "any", 1)
	case len(leaf.IPAddresses) > 0:
		name = leaf.IPAddresses[0].String()
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: name,
		Time: func() time.Time { return leaf.NotBefore },
	}, nil
}
