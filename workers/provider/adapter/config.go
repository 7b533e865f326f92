package adapter

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/assent-io/assent/events/webhook"
)

// The channels that an adapter can carry.
const (
	channelSMS   = "sms"
	channelVoice = "voice"
)

// Config is one adapter.
type Config struct {
	// URL is where messages are posted. It is https, or http to a host of the operator's own network.
	URL string `koanf:"url"`
	// Secret signs messages and receipts: whsec_ and the base64 of 24 to 64 random bytes.
	Secret string `koanf:"secret"`
	// Channels are what the adapter carries: sms, voice or both.
	Channels []string `koanf:"channels"`
}

// Validate names every fault of the configuration by its key, and repeats no value.
func (c Config) Validate() []error {
	var faults []error
	fault := func(text string) { faults = append(faults, errors.New(text)) }
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		fault("url: missing")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		fault("url: want an absolute https URL")
	case u.User != nil || u.Fragment != "":
		fault("url: want no user or fragment")
	case u.Scheme == "http" && !nearby(u.Hostname()):
		fault("url: want https; http is for hosts of one's own network only, because messages hold codes and numbers")
	}
	if c.Secret == "" {
		fault("secret: missing")
	} else if _, err := webhook.ParseSecret(c.Secret); err != nil {
		fault("secret: " + err.Error())
	}
	if len(c.Channels) == 0 {
		fault("channels: missing (sms, voice or both)")
	}
	seen := map[string]bool{}
	for _, channel := range c.Channels {
		if channel != channelSMS && channel != channelVoice || seen[channel] {
			fault("channels: want sms, voice or both")
			break
		}
		seen[channel] = true
	}
	return faults
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// CheckName tells whether an adapter may have this name, which stands in paths, reports and metrics.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return errors.New("want 1 to 32 lower-case letters, digits, dashes and underscores, a letter first")
	}
	return nil
}

// nearby tells of a host, by its form alone, that what is sent to it stays in the operator's own network.
// The signature keeps a message from being changed and nobody from reading it, so anything else needs TLS;
// beside Assent, in one pod or one compose network, certificates would only be in the way.
func nearby(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true // localhost, or a service beside us: no public name is without a dot
	}
	for _, private := range []string{".localhost", ".local", ".internal", ".svc", ".home.arpa"} {
		if strings.HasSuffix(host, private) {
			return true
		}
	}
	return false
}
