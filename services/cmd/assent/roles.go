package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verifier"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/email"
	"github.com/assent-io/assent/workers/provider/apns"
	"github.com/assent-io/assent/workers/provider/fcm"
	"github.com/assent-io/assent/workers/provider/sendgrid"
	"github.com/assent-io/assent/workers/provider/twilio"
	"github.com/assent-io/assent/workers/push"
	"github.com/assent-io/assent/workers/sandbox"
	"github.com/assent-io/assent/workers/sms"
	"github.com/assent-io/assent/workers/voice"
)

// role is one part of the system that a process can run.
type role struct {
	name string
	does string
	// check reports what the role's configuration lacks.
	check func(config) []string
	start func(context.Context, *process) error
}

// roles is the whole table. The api comes first: it makes the keyring and the streams that the
// others wait for.
var roles = []role{
	{apiRole, "the HTTP API, the accept pages, the providers' callbacks", checkAPI, startAPI},
	{verifierRole, "turns answers and failed deliveries into outcomes", checkNothing, startVerifier},
	{"sms", "sends text messages", checkTwilio, startSMS},
	{"voice", "makes calls", checkTwilio, startVoice},
	{"email", "sends mail", checkEmail, startEmail},
	{"push", "asks app installs", checkPush, startPush},
	{sandboxRole, "stands in for the carriers, and shows what they got", checkNothing, startSandbox},
}

// rolesNamed are the roles of these names, in the order of the table.
func rolesNamed(names []string) ([]role, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var found []role
	for _, r := range roles {
		if wanted[r.name] {
			found = append(found, r)
			delete(wanted, r.name)
		}
	}
	for n := range wanted {
		var known []string
		for _, r := range roles {
			known = append(known, r.name)
		}
		return nil, &usageError{fmt.Errorf("no role %q; the roles are %s", n, strings.Join(known, ", "))}
	}
	return found, nil
}

func checkNothing(config) []string { return nil }

// A provider with any key set is meant to be used, so it must be complete; one without is replaced
// by the sandbox where there is one.

func (c config) usesTwilio() bool   { return c.Twilio != (twilio.Config{}) }
func (c config) usesSendGrid() bool { return c.SendGrid != (sendgridConfig{}) }
func (c config) usesAPNs() bool     { return c.APNs != (apns.Config{}) }
func (c config) usesFCM() bool      { return c.FCM != (fcm.Config{}) }

// upSandbox stands for the sandbox that `assent up` brings, whose address is not known yet.
func (c config) upSandbox() string { return "http://" + c.Listen }

func (c config) provider(section string, used bool, validate func() []error) []string {
	if !used {
		if c.Sandbox.URL != "" {
			return nil
		}
		return []string{fault(section, "no provider is configured (sandbox.url would let the sandbox stand in)")}
	}
	var faults []string
	for _, err := range validate() {
		key, detail, _ := strings.Cut(err.Error(), ": ")
		faults = append(faults, fault(section+"."+key, "%s", detail))
	}
	return faults
}

func checkTwilio(c config) []string {
	return c.provider("twilio", c.usesTwilio(), c.Twilio.Validate)
}

func checkEmail(c config) []string {
	faults := c.provider("sendgrid", c.usesSendGrid(), c.SendGrid.Validate)
	if c.usesSendGrid() || c.Email.From != "" {
		faults = append(faults, c.provider("email", true, c.Email.Validate)...)
	}
	return faults
}

func checkPush(c config) []string {
	if !c.usesAPNs() && !c.usesFCM() && c.Sandbox.URL == "" {
		return []string{fault("apns", "no provider is configured, nor under fcm (sandbox.url would let the sandbox stand in)")}
	}
	var faults []string
	if c.usesAPNs() {
		faults = append(faults, c.provider("apns", true, c.APNs.Validate)...)
	}
	if c.usesFCM() {
		faults = append(faults, c.provider("fcm", true, c.FCM.Validate)...)
	}
	return faults
}

// maxAckPending bounds what all workers of a channel hold at once.
const maxAckPending = 8192

// work runs the delivery loop of one channel.
func (p *process) work(ctx context.Context, channel events.Channel, sender delivery.Sender) error {
	reports, err := stream.NewReader(ctx, p.js, stream.Deliveries)
	if err != nil {
		return err
	}
	keys, err := p.keys()
	if err != nil {
		return err
	}
	pub := p.publisher()
	h := &delivery.Handler{
		Channel: channel, Sender: sender, Keys: keys, Settle: pub.Settle, Reports: reports.Reports,
		SendTimeout: p.cfg.Workers.SendTimeout, Now: p.now, Log: p.log.With("role", string(channel)), Metrics: p.deliveries(),
	}
	return p.consume(ctx, string(channel), map[string]handler{string(channel): h.Handle}, stream.Consumer{
		Stream: stream.Activations, Name: string(channel), Filter: events.ActivationsOf(channel), MaxAckPending: maxAckPending,
	})
}

func startSMS(ctx context.Context, p *process) error {
	gateway, callbacks, err := p.twilio()
	if err != nil {
		return err
	}
	cfg := sms.Config{PublicURL: p.publicURL()}
	if callbacks {
		cfg.Callbacks = "/callbacks/twilio/sms"
	}
	return p.work(ctx, events.SMS, sms.New(cfg, gateway))
}

func startVoice(ctx context.Context, p *process) error {
	gateway, callbacks, err := p.twilio()
	if err != nil {
		return err
	}
	cfg := voice.Config{PublicURL: p.publicURL()}
	if callbacks {
		cfg.Callbacks, cfg.Keys = "/callbacks/twilio/call", "/callbacks/twilio/voice"
	}
	return p.work(ctx, events.Voice, voice.New(cfg, gateway))
}

// twilio is the gateway for texts and calls, and whether callbacks find their way back.
func (p *process) twilio() (*twilio.Gateway, bool, error) {
	cfg, callbacks := p.cfg.Twilio, p.cfg.publicURLSet
	if !p.cfg.usesTwilio() {
		account, err := p.sandboxAccount()
		if err != nil {
			return nil, false, err
		}
		callbacks = true
		cfg = twilio.Config{
			BaseURL: p.cfg.Sandbox.URL + "/sandbox/twilio", AccountSID: account.TwilioAccountSID,
			AuthToken: account.TwilioAuthToken, From: account.TwilioFrom,
		}
	}
	g, err := twilio.New(cfg, twilio.NewHTTPClient())
	return g, callbacks, err
}

// sandboxFrom is the sender of mails to the sandbox where none is configured.
const sandboxFrom = "no-reply@assent.test"

func startEmail(ctx context.Context, p *process) error {
	cfg, from := p.cfg.SendGrid.Config, p.cfg.Email.From
	if !p.cfg.usesSendGrid() {
		account, err := p.sandboxAccount()
		if err != nil {
			return err
		}
		cfg = sendgrid.Config{BaseURL: p.cfg.Sandbox.URL + "/sandbox/sendgrid", APIKey: account.SendGridAPIKey}
		if from == "" {
			from = sandboxFrom
		}
	}
	gateway, err := sendgrid.New(cfg, sendgrid.NewHTTPClient())
	if err != nil {
		return err
	}
	sender, err := email.New(email.Config{From: from, PublicURL: p.publicURL()}, gateway)
	if err != nil {
		return err
	}
	return p.work(ctx, events.Email, sender)
}

func startPush(ctx context.Context, p *process) error {
	apnsCfg, fcmCfg := p.cfg.APNs, p.cfg.FCM
	if p.cfg.Sandbox.URL != "" {
		account, err := p.sandboxAccount()
		if err != nil {
			return err
		}
		if !p.cfg.usesAPNs() {
			apnsCfg = apns.Config{
				BaseURL: p.cfg.Sandbox.URL + "/sandbox/apns", Key: string(account.APNsKey),
				KeyID: account.APNsKeyID, TeamID: account.APNsTeamID, Topic: account.APNsTopic,
			}
		}
		if !p.cfg.usesFCM() {
			fcmCfg = fcm.Config{BaseURL: p.cfg.Sandbox.URL + "/sandbox/fcm", ProjectID: account.FCMProjectID, Token: account.FCMToken}
		}
	}
	var gateways push.Gateways
	if apnsCfg != (apns.Config{}) {
		g, err := apns.New(apnsCfg, apns.NewHTTPClient(apnsCfg))
		if err != nil {
			return err
		}
		gateways.APNs = g
	}
	if fcmCfg != (fcm.Config{}) {
		g, err := fcm.New(ctx, fcmCfg, fcm.NewHTTPClient())
		if err != nil {
			return err
		}
		gateways.FCM = g
	}
	return p.work(ctx, events.Push, push.New(push.Config{PublicURL: p.publicURL()}, gateways))
}

func startVerifier(ctx context.Context, p *process) error {
	resolver, err := store.NewResolver(ctx, p.js, p.now)
	if err != nil {
		return err
	}
	v := &verifier.Verifier{Verifications: resolver, Log: p.log.With("role", "verifier"), Resolved: p.metrics.resolve}
	return p.consume(ctx, "verifier", map[string]handler{
		verifier.ResponsesConsumer: v.HandleResponse, verifier.DeliveriesConsumer: v.HandleDelivery,
	}, verifier.Consumers()...)
}

func startSandbox(_ context.Context, p *process) error {
	account, err := p.sandboxAccount()
	if err != nil {
		return err
	}
	s := sandbox.New(sandbox.Config{
		Account: account, PublicURL: p.publicURL, CallbackDial: p.cfg.Sandbox.CallbackDial, APIURL: p.publicURL(),
		ClientID: p.cfg.BootstrapClientID, Log: p.log.With("role", "sandbox"), Now: p.now,
	})
	p.onStop(stopHolding, s.Close)
	h := s.Handler()
	p.serve(p.cfg.Sandbox.Listen, "/sandbox", h)
	p.serve(p.cfg.Sandbox.Listen, "/sandbox/", h)
	return nil
}

// sandboxAccount is what the sandbox carriers know their client by, equal in all processes that
// share the secret or the keyring.
func (p *process) sandboxAccount() (sandbox.Account, error) {
	secret := []byte(p.cfg.Sandbox.Secret)
	if len(secret) == 0 {
		keys, err := p.keys()
		if err != nil {
			return sandbox.Account{}, err
		}
		if secret, err = keys.Secret(keyring.Sandbox); err != nil {
			return sandbox.Account{}, errors.New("sandbox.secret is needed: this process's keyring cannot derive the sandbox's accounts")
		}
	}
	return sandbox.AccountFrom(secret)
}
