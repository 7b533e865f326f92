package apns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sideshow/apns2"
	"golang.org/x/net/http2"
)

// Config is the app and the key that sign in to APNs.
type Config struct {
	// BaseURL replaces Apple's production server, for example by
	// https://api.sandbox.push.apple.com. It may have a path prefix; where it begins with
	// http:// the gateway speaks HTTP/2 in clear text.
	BaseURL string `koanf:"base_url"`
	// KeyFile is the path of the signing key, the .p8 file that Apple hands out once.
	KeyFile string `koanf:"key_file"`
	// Key is the text of that file, where it does not come as a file.
	Key string `koanf:"key"`
	// KeyID and TeamID are ten characters each, shown where the key was made.
	KeyID  string `koanf:"key_id"`
	TeamID string `koanf:"team_id"`
	// Topic is the bundle id of the app.
	Topic string `koanf:"topic"`
}

// Validate names every fault of the configuration by its key. It opens no file.
func (c Config) Validate() []error {
	var faults []error
	if c.BaseURL != "" {
		if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, errors.New("base_url: want an absolute http or https URL"))
		}
	}
	switch {
	case c.Key == "" && c.KeyFile == "":
		faults = append(faults, errors.New("key_file: missing (or give the key itself as key)"))
	case c.Key != "" && c.KeyFile != "":
		faults = append(faults, errors.New("key_file: set together with key; one of them is enough"))
	}
	for _, f := range []struct{ key, value string }{{"key_id", c.KeyID}, {"team_id", c.TeamID}, {"topic", c.Topic}} {
		if f.value == "" {
			faults = append(faults, errors.New(f.key+": missing"))
		}
	}
	return faults
}

// signingKey is the .p8 file's text from wherever it is configured.
func (c Config) signingKey() ([]byte, error) {
	if c.Key != "" {
		return []byte(c.Key), nil
	}
	pem, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read key_file: %w", err)
	}
	return pem, nil
}

func (c Config) host() string {
	if c.BaseURL == "" {
		return apns2.HostProduction
	}
	return strings.TrimRight(c.BaseURL, "/")
}

// NewHTTPClient is a client of few long-lived HTTP/2 connections: APNs takes many short ones
// for an attack. A silent connection is pinged, so that one that died unseen costs seconds
// and not a notification's life.
//
//nolint:staticcheck // SA1019: net/http dials once for each call of a cold burst (500 calls, 500 connections), and with its limits set it stalls; this transport shares one dial.
func NewHTTPClient(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	transport := &http2.Transport{
		ReadIdleTimeout:  15 * time.Second,
		PingTimeout:      5 * time.Second,
		WriteByteTimeout: callTimeout,
	}
	if strings.HasPrefix(cfg.BaseURL, "http://") {
		transport.AllowHTTP = true
		transport.DialTLSContext = func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		}
	}
	return &http.Client{Transport: transport}
}
