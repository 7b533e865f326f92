package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/assent-io/assent/api"
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
	var err error
	if cfg.PrivateKey, err = p.pushKey(cfg); err != nil {
		return nil, err
	}
	return webpush.New(cfg, webpush.NewHTTPClient(cfg))
}

// pushKey is the key that push services know us by: the configured one, or else the keyring's.
func (p *process) pushKey(cfg webpush.Config) (string, error) {
	if cfg.PrivateKey != "" {
		return cfg.PrivateKey, nil
	}
	keys, err := p.keys()
	if err != nil {
		return "", err
	}
	raw, err := keys.PushKey()
	if err != nil {
		return "", errors.New("webpush.private_key is needed: this process's keyring cannot derive it; assent keyring init, run again, adds what it lacks")
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// authenticator is what pages that are phones are told. Its key is that of the push role, so both need one configuration.
func (p *process) authenticator() (func() api.Authenticator, error) {
	var subscribe *api.WebPush
	if p.cfg.usesWebPush() || p.cfg.Sandbox.URL != "" {
		cfg := p.cfg.webPush(p.publicURL())
		private, err := p.pushKey(cfg)
		if err != nil {
			return nil, err
		}
		public, err := webpush.PublicKey(private)
		if err != nil {
			return nil, fmt.Errorf("webpush.%w", err)
		}
		subscribe = &api.WebPush{Service: api.WebPushServiceBrowser, PublicKey: public}
		if cfg.StandIn.Alone {
			subscribe.Service = api.WebPushServiceSandbox
		}
	}
	return func() api.Authenticator {
		return api.Authenticator{PublicURL: strings.TrimRight(p.publicURL(), "/"), WebPush: subscribe}
	}, nil
}
