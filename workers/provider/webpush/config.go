package webpush

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
)

// Config is who we are to the push services, and which of them are called.
type Config struct {
	// Subject is where a push service's operator reaches ours: mailto: or https:.
	Subject string `koanf:"subject"`
	// PrivateKey is the VAPID key, a scalar on P-256 in base64url. Subscriptions are bound to it.
	PrivateKey string `koanf:"private_key"`
	// Hosts are the push services that are called: names, *.example.com, or * for any. Empty: those
	// of the browsers, at port 443.
	Hosts []string `koanf:"hosts"`
	// AllowPrivate lets push services be in private networks and on this machine.
	AllowPrivate bool `koanf:"allow_private"`
	// StandIn is the sandbox, where there is one.
	StandIn StandIn `koanf:"-"`
}

// StandIn is the sandbox's push service: endpoints under PublicURL are called at URL, which need
// not be public.
type StandIn struct {
	PublicURL, URL string
	// Alone tells that no other push service is called.
	Alone bool
}

// path is where the sandbox has its push service.
const path = "/sandbox/webpush/"

// has tells whether an endpoint is the sandbox's.
func (s StandIn) has(endpoint string) bool {
	rest, ok := strings.CutPrefix(endpoint, s.PublicURL+path)
	return s.URL != "" && ok && rest != "" && !strings.ContainsAny(rest, "/?%\\")
}

// httpsPort is that of an endpoint that names none.
const httpsPort = "443"

// browsers are the push services of Chrome and its kin, Firefox, Safari, and Edge on Windows. At another port
// nobody answers, and a call that nobody answers would count against all.
var browsers = hosts{
	names: []string{"fcm.googleapis.com", "*.push.services.mozilla.com", "*.push.apple.com", "*.notify.windows.com"},
	port:  httpsPort,
}

// hosts are who is called: patterns of names, and the port; empty: any.
type hosts struct {
	names []string
	port  string
}

func (c Config) hosts() hosts {
	switch {
	case c.StandIn.Alone:
		return hosts{}
	case len(c.Hosts) == 0:
		return browsers
	default:
		return hosts{names: c.Hosts}
	}
}

// take tells whether the push service of an endpoint is called.
func (h hosts) take(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	if h.port != "" && cmp.Or(u.Port(), httpsPort) != h.port {
		return false
	}
	name := strings.ToLower(u.Hostname())
	for _, pattern := range h.names {
		pattern = strings.ToLower(pattern)
		suffix, wild := strings.CutPrefix(pattern, "*")
		if pattern == name || wild && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// Set tells whether anything is configured.
func (c Config) Set() bool {
	return c.Subject != "" || c.PrivateKey != "" || len(c.Hosts) > 0 || c.AllowPrivate
}

var hostPattern = regexp.MustCompile(`^(\*|(\*\.)?[A-Za-z0-9:_-]+(\.[A-Za-z0-9_-]+)*)$`)

// Validate names every fault of the configuration by its key. A missing private key is none: it may
// follow from elsewhere.
func (c Config) Validate() []error {
	var faults []error
	switch {
	case c.Subject == "":
		faults = append(faults, errors.New("subject: missing"))
	case !contact(c.Subject):
		faults = append(faults, errors.New("subject: want mailto: with an address, or an https URL"))
	}
	if c.PrivateKey != "" {
		if _, err := PublicKey(c.PrivateKey); err != nil {
			faults = append(faults, err)
		}
	}
	for _, pattern := range c.Hosts {
		if !hostPattern.MatchString(pattern) {
			faults = append(faults, fmt.Errorf("hosts: %q is no host name, no *.example.com and no *", pattern))
		}
	}
	return faults
}

func contact(subject string) bool {
	if to, ok := strings.CutPrefix(subject, "mailto:"); ok {
		a, err := mail.ParseAddress(to)
		return err == nil && a.Address == to
	}
	u, err := url.Parse(subject)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// PublicKey is the half of a VAPID key that pages subscribe with and push services know us by, in
// base64url. Its error quotes nothing of the key.
func PublicKey(private string) (string, error) {
	fault := errors.New("private_key: want a VAPID key: 32 bytes on P-256 in base64url")
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(private, "="))
	if err != nil {
		return "", fault
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return "", fault
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", fault
	}
	return base64.RawURLEncoding.EncodeToString(point), nil
}
