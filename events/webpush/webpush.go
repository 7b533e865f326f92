// Package webpush reads the subscription that a browser gives to whoever may push to it
// (W3C Push API; RFC 8291, section 3.1). It is the push token of a device whose platform is
// webpush, and stands in records as Token writes it, so that the same subscription is the
// same text.
package webpush

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
)

// Subscription is where messages for one browser go, and what they are encrypted with.
type Subscription struct {
	// Endpoint is a URL at the browser's push service. Who knows it can reach the person: it is a secret.
	Endpoint string `json:"endpoint"`
	Keys     Keys   `json:"keys"`
}

// Keys are what only the browser can decrypt with, in base64url without padding.
type Keys struct {
	// P256dh is the browser's public key: an uncompressed point on P-256.
	P256dh string `json:"p256dh"`
	// Auth is a secret of 16 bytes that the browser drew.
	Auth string `json:"auth"`
}

// What is wrong with a subscription. None quotes it.
var (
	ErrForm     = errors.New("must be a subscription as JSON: {\"endpoint\":\"https://…\",\"keys\":{\"p256dh\":\"…\",\"auth\":\"…\"}}")
	ErrEndpoint = errors.New("must have an endpoint that is an https URL")
	ErrP256dh   = errors.New("must have a key p256dh: a point on P-256, 65 bytes in base64url")
	ErrAuth     = errors.New("must have a key auth: 16 bytes in base64url")
)

const authBytes = 16

// Parse reads what PushSubscription.toJSON gives, and refuses what cannot be pushed to. An
// endpoint in plain http is taken on the loopback only. Members that are not needed are left out.
func Parse(text string) (Subscription, error) {
	var s Subscription
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Subscription{}, ErrForm
	}
	if !wellFormed(s.Endpoint) {
		return Subscription{}, ErrEndpoint
	}
	point, err := decode(s.Keys.P256dh)
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(point)
	}
	if err != nil {
		return Subscription{}, ErrP256dh
	}
	auth, err := decode(s.Keys.Auth)
	if err != nil || len(auth) != authBytes {
		return Subscription{}, ErrAuth
	}
	s.Keys = Keys{P256dh: base64.RawURLEncoding.EncodeToString(point), Auth: base64.RawURLEncoding.EncodeToString(auth)}
	return s, nil
}

// decode takes base64 in both alphabets, padded or not: browsers differ.
func decode(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "="))
}

func wellFormed(endpoint string) bool {
	for i := range len(endpoint) {
		if endpoint[i] <= ' ' || endpoint[i] > '~' {
			return false
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Token is the subscription as a push token: one line of visible ASCII.
func (s Subscription) Token() string {
	type plain Subscription // without the methods that hide it
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(plain(s)) // texts always encode
	return strings.TrimSuffix(b.String(), "\n")
}

// String hides the subscription from every formatter.
func (Subscription) String() string { return "REDACTED" }

// GoString hides it from %#v.
func (Subscription) GoString() string { return "REDACTED" }

// LogValue hides it from slog.
func (Subscription) LogValue() slog.Value { return slog.StringValue("REDACTED") }
