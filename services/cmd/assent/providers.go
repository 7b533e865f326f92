package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	subscription "github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/email"
	"github.com/assent-io/assent/workers/provider/adapter"
	"github.com/assent-io/assent/workers/provider/apns"
	"github.com/assent-io/assent/workers/provider/fcm"
	"github.com/assent-io/assent/workers/provider/sendgrid"
	"github.com/assent-io/assent/workers/provider/smtp"
	"github.com/assent-io/assent/workers/provider/twilio"
	"github.com/assent-io/assent/workers/push"
	"github.com/assent-io/assent/workers/routing"
	"github.com/assent-io/assent/workers/sms"
	"github.com/assent-io/assent/workers/voice"
)

// The names of the providers, as routes and reports have them. An adapter has its own.
const (
	twilioName   = "twilio"
	sendgridName = "sendgrid"
	smtpName     = "smtp"
	apnsName     = "apns"
	fcmName      = "fcm"
	webPushName  = "webpush"
	// pageName is who carries questions to pages without a subscription: nobody.
	pageName = "page"
)

// A provider with any key set is meant to be used, so it must be complete; a channel without any is
// carried by the sandbox where there is one.

func (c config) usesTwilio() bool   { return c.Twilio != (twilio.Config{}) }
func (c config) usesSendGrid() bool { return c.SendGrid != (sendgridConfig{}) }
func (c config) usesSMTP() bool     { return c.SMTP != (smtp.Config{}) }
func (c config) usesAPNs() bool     { return c.APNs != (apns.Config{}) }
func (c config) usesFCM() bool      { return c.FCM != (fcm.Config{}) }
func (c config) usesWebPush() bool  { return c.WebPush.Set() }

// adaptersFor lists the adapters that carry a channel, by name.
func (c config) adaptersFor(channel events.Channel) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.Adapters)) {
		if slices.Contains(c.Adapters[name].Channels, string(channel)) {
			names = append(names, name)
		}
	}
	return names
}

// providersFor names the providers that are configured for a channel, in the order in which they are
// tried without rules; none where the sandbox stands in.
func (c config) providersFor(channel events.Channel) []string {
	var names []string
	add := func(name string, used bool) {
		if used {
			names = append(names, name)
		}
	}
	switch channel {
	case events.SMS, events.Voice:
		add(twilioName, c.usesTwilio())
		names = append(names, c.adaptersFor(channel)...)
	case events.Email:
		add(sendgridName, c.usesSendGrid())
		add(smtpName, c.usesSMTP())
	case events.Push:
		add(apnsName, c.usesAPNs() || c.Sandbox.URL != "")
		add(fcmName, c.usesFCM() || c.Sandbox.URL != "")
		add(webPushName, c.usesWebPush() || c.Sandbox.URL != "")
	case events.TOTP: // carries nothing
	}
	return names
}

// standsIn tells whether the sandbox carries a channel. It does so under the name of the provider whose
// protocol it speaks.
func (c config) standsIn(channel events.Channel) (name string, ok bool) {
	if c.Sandbox.URL == "" || len(c.providersFor(channel)) > 0 {
		return "", false
	}
	if channel == events.Email {
		return sendgridName, true
	}
	return twilioName, true
}

// upSandbox stands for the sandbox that `assent up` brings, whose address is not known yet.
func (c config) upSandbox() string { return "http://" + c.Listen }

// complete reports what a section lacks.
func complete(section string, validate func() []error) []string {
	var faults []string
	for _, err := range validate() {
		key, detail, _ := strings.Cut(err.Error(), ": ")
		faults = append(faults, fault(section+"."+key, "%s", detail))
	}
	return faults
}

// carried reports that nobody carries a channel, and what is wrong with the rules for it.
func (c config) carried(channel events.Channel, section, others string) []string {
	names := c.providersFor(channel)
	if len(names) == 0 {
		if name, ok := c.standsIn(channel); ok {
			names = []string{name}
		} else {
			return []string{fault(section, "no provider is configured, nor under %s (sandbox.url would let the sandbox stand in)", others)}
		}
	}
	var faults []string
	_, wrong := c.rules(channel, names)
	for _, err := range wrong {
		faults = append(faults, fault("routes."+string(channel), "%v", err))
	}
	return append(faults, c.checkQuotas(channel)...)
}

// rules are those of a channel for its providers, and what is wrong with them.
func (c config) rules(channel events.Channel, providers []string) ([]routing.Rule, []error) {
	return routing.ParseRules(c.Routes.of(channel), providers, channel == events.SMS || channel == events.Voice)
}

func checkSMS(c config) []string   { return c.checkNumbers(events.SMS) }
func checkVoice(c config) []string { return c.checkNumbers(events.Voice) }

func (c config) checkNumbers(channel events.Channel) []string {
	faults := append(c.carried(channel, twilioName, "adapters"), c.checkAdapters()...)
	if c.usesTwilio() {
		faults = append(faults, complete(twilioName, c.Twilio.Validate)...)
	}
	return faults
}

func (c config) checkAdapters() []string {
	var faults []string
	for name, a := range c.Adapters {
		section := "adapters." + name
		if err := adapter.CheckName(name); err != nil {
			faults = append(faults, fault(section, "%v", err))
		} else if slices.Contains([]string{twilioName, sendgridName, smtpName, apnsName, fcmName, webPushName}, name) {
			faults = append(faults, fault(section, "the name is that of a provider of Assent's own"))
		}
		faults = append(faults, complete(section, a.Validate)...)
	}
	return faults
}

func checkEmail(c config) []string {
	faults := c.carried(events.Email, sendgridName, smtpName)
	if c.usesSendGrid() {
		faults = append(faults, complete(sendgridName, c.SendGrid.Validate)...)
	}
	if c.usesSMTP() {
		faults = append(faults, complete(smtpName, c.SMTP.Validate)...)
	}
	if len(c.providersFor(events.Email)) > 0 || c.Email.From != "" {
		faults = append(faults, complete("email", c.Email.Validate)...)
	}
	return faults
}

func checkPush(c config) []string {
	if len(c.providersFor(events.Push)) == 0 {
		return []string{fault(apnsName, "no provider is configured, nor under fcm or webpush (sandbox.url would let the sandbox stand in)")}
	}
	faults := c.checkQuotas(events.Push)
	if c.usesAPNs() {
		faults = append(faults, complete(apnsName, c.APNs.Validate)...)
	}
	if c.usesFCM() {
		faults = append(faults, complete(fcmName, c.FCM.Validate)...)
	}
	if c.usesWebPush() {
		faults = append(faults, complete(webPushName, c.webPush(c.PublicURL).Validate)...)
	}
	return faults
}

// routes is the routing of a channel. Every worker listens to the receipts of all, to learn from them.
func (p *process) routes(channel events.Channel, providers []routing.Provider) (*routing.Table, error) {
	names := make([]string, len(providers))
	for i, provider := range providers {
		names[i] = provider.Name
	}
	rules, faults := p.cfg.rules(channel, names)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	patience := routing.NewPatience(channel, p.now)
	quiet, err := stream.Listen(p.js.Conn(), patience.Learn)
	if err != nil {
		return nil, err
	}
	p.onStop(stopLast, quiet)
	return routing.New(routing.Config{
		Channel: channel, Providers: providers, Rules: rules, Patience: patience, Now: p.now, Metrics: p.routing(),
	}), nil
}

func startSMS(ctx context.Context, p *process) error {
	providers, err := p.numbers(events.SMS, func(g gateway, callbacks string, twilio bool) delivery.Sender {
		return sms.New(sms.Config{
			PublicURL: p.publicURL(), Callbacks: callbacks, Replies: twilio && callbacks != "", MaxSegments: p.cfg.SMS.MaxSegments,
			Log: p.log.With("role", "sms"),
		}, g)
	})
	if err != nil {
		return err
	}
	return p.work(ctx, events.SMS, providers)
}

func startVoice(ctx context.Context, p *process) error {
	providers, err := p.numbers(events.Voice, func(g gateway, callbacks string, twilio bool) delivery.Sender {
		cfg := voice.Config{PublicURL: p.publicURL(), Callbacks: callbacks}
		if twilio && callbacks != "" {
			cfg.Keys = "/callbacks/twilio/voice"
		}
		return voice.New(cfg, g)
	})
	if err != nil {
		return err
	}
	return p.work(ctx, events.Voice, providers)
}

// gateway is what carries texts and calls.
type gateway interface {
	sms.Gateway
	voice.Gateway
}

// numbers are the providers of a channel that reaches phone numbers. sender makes the channel's sender
// for one of them: callbacks is where it reports to, empty where it cannot.
func (p *process) numbers(channel events.Channel, sender func(g gateway, callbacks string, twilio bool) delivery.Sender) ([]routing.Provider, error) {
	var found []routing.Provider
	_, sandboxed := p.cfg.standsIn(channel)
	if p.cfg.usesTwilio() || sandboxed {
		g, err := p.twilio(sandboxed)
		if err != nil {
			return nil, err
		}
		callbacks := ""
		if sandboxed || p.cfg.publicURLSet {
			callbacks = map[events.Channel]string{events.SMS: "/callbacks/twilio/sms", events.Voice: "/callbacks/twilio/call"}[channel]
		}
		found = append(found, routing.Provider{Name: twilioName, Sender: sender(g, callbacks, true), Receipts: callbacks != ""})
	}
	for _, name := range p.cfg.adaptersFor(channel) {
		g, err := adapter.New(name, p.cfg.Adapters[name], adapter.NewHTTPClient())
		if err != nil {
			return nil, err
		}
		callbacks := ""
		if p.cfg.publicURLSet {
			callbacks = "/callbacks/adapters/" + name
		}
		found = append(found, routing.Provider{Name: name, Sender: sender(g, callbacks, false), Receipts: callbacks != ""})
	}
	return found, nil
}

// twilio is the gateway for texts and calls.
func (p *process) twilio(sandboxed bool) (*twilio.Gateway, error) {
	cfg := p.cfg.Twilio
	if sandboxed {
		account, err := p.sandboxAccount()
		if err != nil {
			return nil, err
		}
		cfg = twilio.Config{
			BaseURL: p.cfg.Sandbox.URL + "/sandbox/twilio", AccountSID: account.TwilioAccountSID,
			AuthToken: account.TwilioAuthToken, From: account.TwilioFrom,
		}
	}
	return twilio.New(cfg, twilio.NewHTTPClient())
}

// sandboxFrom is the sender of mails to the sandbox where none is configured.
const sandboxFrom = "no-reply@assent.test"

func startEmail(ctx context.Context, p *process) error {
	cfg := email.Config{From: p.cfg.Email.From, PublicURL: p.publicURL()}
	_, sandboxed := p.cfg.standsIn(events.Email)
	if sandboxed && cfg.From == "" {
		cfg.From = sandboxFrom
	}
	var providers []routing.Provider
	add := func(name string, g email.Gateway, receipts bool) error {
		sender, err := email.New(cfg, g)
		if err != nil {
			return err
		}
		providers = append(providers, routing.Provider{Name: name, Sender: sender, Receipts: receipts})
		return nil
	}
	if p.cfg.usesSendGrid() || sandboxed {
		g, err := p.sendGrid(sandboxed)
		if err != nil {
			return err
		}
		if err := add(sendgridName, g, sandboxed || p.cfg.SendGrid.WebhookPublicKey != ""); err != nil {
			return err
		}
	}
	if p.cfg.usesSMTP() {
		g, err := smtp.New(p.cfg.SMTP)
		if err != nil {
			return err
		}
		p.onStop(stopHolding, g.Close)
		if err := add(smtpName, g, false); err != nil {
			return err
		}
	}
	return p.work(ctx, events.Email, providers)
}

func (p *process) sendGrid(sandboxed bool) (*sendgrid.Gateway, error) {
	cfg := p.cfg.SendGrid.Config
	if sandboxed {
		account, err := p.sandboxAccount()
		if err != nil {
			return nil, err
		}
		cfg = sendgrid.Config{BaseURL: p.cfg.Sandbox.URL + "/sandbox/sendgrid", APIKey: account.SendGridAPIKey}
	}
	return sendgrid.New(cfg, sendgrid.NewHTTPClient())
}

func startPush(ctx context.Context, p *process) error {
	apnsCfg, fcmCfg, err := p.pushAccounts()
	if err != nil {
		return err
	}
	var providers []routing.Provider
	page := func(m delivery.Message) bool {
		return m.Device != nil && m.Device.Platform == webPushName && subscription.IsPage(m.To.Reveal())
	}
	add := func(name string, g push.Gateway) {
		providers = append(providers, routing.Provider{
			Name: name, Sender: push.New(push.Config{PublicURL: p.publicURL()}, g),
			Carries: func(m delivery.Message) bool { return m.Device == nil || m.Device.Platform == name && !page(m) },
		})
	}
	if apnsCfg != (apns.Config{}) {
		g, err := apns.New(apnsCfg, apns.NewHTTPClient(apnsCfg))
		if err != nil {
			return err
		}
		add(apnsName, g)
	}
	if fcmCfg != (fcm.Config{}) {
		g, err := fcm.New(ctx, fcmCfg, fcm.NewHTTPClient())
		if err != nil {
			return err
		}
		add(fcmName, g)
	}
	if p.cfg.usesWebPush() || p.cfg.Sandbox.URL != "" {
		g, err := p.webPush()
		if err != nil {
			return err
		}
		add(webPushName, g)
	}
	providers = append(providers, routing.Provider{Name: pageName, Sender: push.Pages{}, Carries: page})
	return p.work(ctx, events.Push, providers)
}

// pushAccounts are the accounts of the push providers, the sandbox's for those that are not configured.
func (p *process) pushAccounts() (apns.Config, fcm.Config, error) {
	apnsCfg, fcmCfg := p.cfg.APNs, p.cfg.FCM
	if p.cfg.Sandbox.URL == "" || p.cfg.usesAPNs() && p.cfg.usesFCM() {
		return apnsCfg, fcmCfg, nil
	}
	account, err := p.sandboxAccount()
	if err != nil {
		return apnsCfg, fcmCfg, err
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
	return apnsCfg, fcmCfg, nil
}
