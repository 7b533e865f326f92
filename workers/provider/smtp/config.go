package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// How a connection is protected.
const (
	tlsStart    = "starttls" // upgraded before anything is said, or given up
	tlsImplicit = "tls"      // from the first byte
	tlsNone     = "none"     // in clear, to a relay beside us
)

// How we sign in.
const (
	authAuto        = "auto"
	authScramSHA256 = "scram-sha-256"
	authScramSHA1   = "scram-sha-1"
	authPlain       = "plain"
	authLogin       = "login"
)

// defaultMaxConnections is half of the 20 that Exim accepts in all, and a fifth of the 50 that
// Postfix accepts of one client: a few workers fit under either. At 100 ms a mail ten
// connections carry 100 mails a second.
const defaultMaxConnections = 10

// maxConnections is more than any server lets one client have.
const maxConnections = 256

// Config is the server that takes our mail and the account there.
type Config struct {
	// Host is a name or an IP address. The server's certificate must be good for it.
	Host string `koanf:"host"`
	// Port is by default 587 with starttls, 465 with tls and 25 with none.
	Port int `koanf:"port"`
	// TLS is starttls (the default: without the upgrade nothing is sent), tls (from the first
	// byte), or none, which only loopback and private addresses are spoken to with.
	TLS string `koanf:"tls"`
	// CAFile is the path of PEM certificates to trust in place of the system's.
	CAFile string `koanf:"ca_file"`
	// Username and Password are for servers that want them; without TLS only on loopback.
	Username string `koanf:"username"`
	Password string `koanf:"password"`
	// Auth is how to sign in: auto (the default: the best that the server offers), scram-sha-256,
	// scram-sha-1, plain or login. Some servers offer SCRAM to accounts that cannot use it.
	Auth string `koanf:"auth"`
	// Helo is the name we introduce ourselves with; by default our end's address, as
	// [192.0.2.1]. Servers that check it want a name that resolves to us.
	Helo string `koanf:"helo"`
	// MaxConnections is how many connections one process keeps at most.
	MaxConnections int `koanf:"max_connections"`
}

// Validate names every fault of the configuration by its key. It opens no file and asks no
// resolver: that a name leads to a private address where tls is none is seen when dialling.
func (c Config) Validate() []error {
	var faults []error
	fault := func(found bool, text string) {
		if found {
			faults = append(faults, errors.New(text))
		}
	}
	fault(c.Host == "", "host: missing")
	fault(c.Host != "" && !hostForm(c.Host), "host: want a name or an IP address, without port and brackets")
	fault(c.Port < 0 || c.Port > 65535, "port: want 1 to 65535")
	fault(!slices.Contains([]string{"", tlsStart, tlsImplicit, tlsNone}, c.TLS), "tls: want starttls, tls or none")
	fault(!slices.Contains([]string{"", authAuto, authScramSHA256, authScramSHA1, authPlain, authLogin}, c.Auth),
		"auth: want auto, scram-sha-256, scram-sha-1, plain or login")
	fault(c.Username == "" && c.Password != "", "username: missing, and there is a password")
	fault(c.Username != "" && c.Password == "", "password: missing, and there is a username")
	fault(strings.ContainsFunc(c.Username, unicode.IsControl), "username: holds a line break or another control character")
	fault(strings.ContainsFunc(c.Password, unicode.IsControl), "password: holds a line break or another control character")
	fault(!heloForm(c.Helo), "helo: want a host name, or an address in brackets")
	fault(c.MaxConnections < 0 || c.MaxConnections > maxConnections, fmt.Sprintf("max_connections: want 1 to %d", maxConnections))
	if c.TLS == tlsNone {
		fault(c.CAFile != "", "ca_file: has no use where tls is none")
		fault(c.Username != "" && !loopbackHost(c.Host), "tls: none would send the password in clear to another machine")
		ip, err := netip.ParseAddr(c.Host)
		fault(err == nil && !private(ip), "tls: none is for loopback and private addresses only")
	}
	return faults
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.TLS == "" {
		c.TLS = tlsStart
	}
	if c.Auth == "" {
		c.Auth = authAuto
	}
	if c.Port == 0 {
		c.Port = map[string]int{tlsStart: 587, tlsImplicit: 465, tlsNone: 25}[c.TLS]
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultMaxConnections
	}
	return c
}

func (c Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// tlsConfig trusts the system's certificates, or those of the file alone.
func (c Config) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Host}
	if c.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("read ca_file: it holds no PEM certificate")
	}
	return config, nil
}

// mayDial tells whether this configuration may speak to an address that its host resolved to.
func (c Config) mayDial(ip netip.Addr) error {
	switch {
	case c.TLS != tlsNone:
		return nil
	case c.Username != "" && !ip.Unmap().IsLoopback():
		return errors.New("tls: none would send the password in clear to another machine")
	case !private(ip):
		return errors.New("tls: none, and the host is not at a private address")
	default:
		return nil
	}
}

func private(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// hostForm lets underscores pass: container platforms name their hosts so.
func hostForm(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

func heloForm(name string) bool {
	literal, open := strings.CutPrefix(name, "[")
	literal, closed := strings.CutSuffix(literal, "]")
	if !open && !closed {
		return hostForm(name)
	}
	_, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
	return open && closed && err == nil
}
