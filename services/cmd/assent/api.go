package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/httpapi/accept"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/httpapi/reference"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/workers/voice"
	"github.com/assent-io/assent/workers/wording"
)

func checkAPI(c config) []string {
	var faults []string
	if !store.ValidClientID(c.BootstrapClientID) {
		faults = append(faults, fault("bootstrap_client_id", "want 1 to 64 letters, digits, dashes or underscores"))
	}
	if key := c.SendGrid.WebhookPublicKey; key != "" {
		if _, err := callbacks.ParseSendGridKey(key); err != nil {
			faults = append(faults, fault("sendgrid.webhook_public_key", "want the base64 of an ECDSA public key, as SendGrid's console shows it"))
		}
	}
	return faults
}

func startAPI(ctx context.Context, p *process) error {
	keys, err := p.keys()
	if err != nil {
		return err
	}
	verifications, err := store.NewVerifications(ctx, p.js, store.Config{
		Keys: keys, SendQuota: p.cfg.Limits.Sends, SendWindow: p.cfg.Limits.Window, Now: p.now,
	})
	if err != nil {
		return err
	}
	p.onStop(stopLast, verifications.Close)
	users, err := store.NewUsers(ctx, p.js, keys, p.cfg.NATS.Replicas)
	if err != nil {
		return err
	}
	credentials, err := store.NewCredentials(ctx, p.js, p.cfg.NATS.Replicas)
	if err != nil {
		return err
	}
	p.onStop(stopLast, credentials.Close)
	if err := credentials.Ensure(ctx, p.cfg.BootstrapClientID, p.cfg.BootstrapClientSecret); err != nil {
		return fmt.Errorf("store bootstrap credential: %w", err)
	}
	pub, log := stream.NewPublisher(p.js), p.log.With("role", "api")
	answers, err := p.callbacks(verifications, pub)
	if err != nil {
		return err
	}
	docs, err := reference.New(api.Spec(), reference.Config{PublicURL: p.publicURL})
	if err != nil {
		return fmt.Errorf("render reference: %w", err)
	}
	server, err := httpapi.New(httpapi.Config{
		Verifications: verifications, Users: users, Credentials: clients{credentials}, Responses: pub,
		Sign: p.sum(keys, keyring.Tokens), IDFor: verifications.IDFor,
		Accept: accept.New(accept.Config{
			Verifications: verifications, Responses: pub, PageKey: p.sum(keys, keyring.Pages),
			PublicURL: p.publicURL, Now: p.now, Log: log, Registerer: p.registry,
		}),
		Callbacks: callbacks.New(answers), Reference: docs,
		Closing: p.closing, Now: p.now, Log: log, Registerer: p.registry,
	})
	if err != nil {
		return err
	}
	p.serve(p.cfg.Listen, "/", server)
	p.alsoHealth(p.cfg.Listen)
	return nil
}

// sum is a keyed hash with the current key of one use. The api holds the root key, from which
// every use can be derived, so it cannot fail once it has not failed here.
func (p *process) sum(keys *keyring.Keyring, use keyring.Use) func(parts ...string) []byte {
	return func(parts ...string) []byte {
		b, err := keys.Sum(keys.CurrentID(), use, parts...)
		if err != nil {
			panic("keyring without its root key: " + err.Error())
		}
		return b
	}
}

// callbacks says whose signatures are good: the configured providers', and the sandbox's for those
// that it stands in for.
func (p *process) callbacks(v *store.Verifications, pub *stream.Publisher) (callbacks.Config, error) {
	c := callbacks.Config{
		PublicURL: p.publicURL, TwilioAuthToken: p.cfg.Twilio.AuthToken,
		Verifications: v, Deliveries: pub, Responses: pub, Replies: v,
		Scripts: scripts{p.publicURL}, Decision: wording.Decision,
		Now: p.now, Log: p.log.With("role", "api"), Registerer: p.registry,
	}
	if key := p.cfg.SendGrid.WebhookPublicKey; key != "" {
		var err error
		if c.SendGridKey, err = callbacks.ParseSendGridKey(key); err != nil {
			return c, err
		}
	}
	if p.cfg.Sandbox.URL == "" || p.cfg.usesTwilio() && p.cfg.usesSendGrid() {
		return c, nil
	}
	account, err := p.sandboxAccount()
	if err != nil {
		return c, err
	}
	if !p.cfg.usesTwilio() {
		c.TwilioAuthToken = account.TwilioAuthToken
	}
	if !p.cfg.usesSendGrid() {
		c.SendGridKey = &account.SendGridWebhookKey.PublicKey
	}
	return c, nil
}

// scripts lets the voice channel speak in answer to a key press.
type scripts struct{ publicURL func() string }

func (scripts) Code(locale, brand, code string) (string, error) {
	return voice.CodeScript(locale, brand, code)
}

func (scripts) Answer(locale, brand string, d events.Decision) (string, error) {
	return voice.AnswerScript(locale, brand, d)
}

func (s scripts) Retry(v verification.Verification) (string, error) {
	return voice.RetryScript(v.Locale, s.publicURL()+"/callbacks/twilio/voice/"+v.ID+"/answer")
}

func (scripts) Goodbye(locale string) (string, error) { return voice.GoodbyeScript(locale) }

// clients speaks of a wrong credential in the API's words.
type clients struct{ *store.Credentials }

func (c clients) Authenticate(ctx context.Context, id, secret string) error {
	err := c.Credentials.Authenticate(ctx, id, secret)
	if errors.Is(err, store.ErrCredential) {
		return httpapi.ErrCredential
	}
	return err
}
