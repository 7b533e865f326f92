package main

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/assent-io/assent/workers/provider/webpush"
)

// sandboxSubject is who sends to the sandbox's browsers where nothing is configured.
const sandboxSubject = "mailto:" + sandboxFrom

// webPush is the configuration with what follows from the rest: the subject from a public URL in https, and
// the sandbox, which is the only push service where none is configured.
func (c config) webPush(publicURL string) webpush.Config {
	cfg := c.WebPush
	if cfg.Subject == "" && strings.HasPrefix(publicURL, "https://") {
		cfg.Subject = publicURL
	}
	if c.Sandbox.URL != "" {
		cfg.StandIn = webpush.StandIn{PublicURL: publicURL, URL: c.Sandbox.URL, Alone: !c.usesWebPush()}
		if cfg.Subject == "" && cfg.StandIn.Alone {
			cfg.Subject = sandboxSubject
		}
	}
	return cfg
}

// webPush is the gateway to browsers.
func (p *process) webPush() (*webpush.Gateway, error) {
	cfg := p.cfg.webPush(p.publicURL())
	if cfg.PrivateKey == "" {
		keys, err := p.keys()
		if err != nil {
			return nil, err
		}
		raw, err := keys.PushKey()
		if err != nil {
			return nil, errors.New("webpush.private_key is needed: this process's keyring cannot derive it; assent keyring init, run again, adds what it lacks")
		}
		cfg.PrivateKey = base64.RawURLEncoding.EncodeToString(raw)
	}
	return webpush.New(cfg, webpush.NewHTTPClient(cfg))
}
