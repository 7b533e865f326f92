package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/events/webhook"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/httpapi/accept"
	"github.com/assent-io/assent/services/httpapi/authenticator"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/httpapi/enrol"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/httpapi/reference"
	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/password"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/yubikey"
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
	faults = append(append(append(faults, c.TLS.check()...), c.SecureAuth.check()...), c.checkAdapters()...)
	_, unreadable := c.Links.networks()
	faults = append(append(faults, unreadable...), c.Enrolment.check()...)
	for _, err := range c.OneLogin.Validate() {
		key, detail, _ := strings.Cut(err.Error(), ": ")
		faults = append(faults, fault("onelogin."+key, "%s", detail))
	}
	return faults
}

func startAPI(ctx context.Context, p *process) error {
	keys, err := p.keys()
	if err != nil {
		return err
	}
	k, err := p.keep(ctx, keys)
	if err != nil {
		return err
	}
	pub, log := stream.NewPublisher(p.js), p.log.With("role", "api")
	answers, err := p.callbacks(ctx, k, pub)
	if err != nil {
		return err
	}
	answers.Suppressions = k.suppressions
	docs, err := reference.New(api.Spec(), reference.Config{PublicURL: p.publicURL})
	if err != nil {
		return fmt.Errorf("render reference: %w", err)
	}
	app, err := authenticator.New(authenticator.Config{PublicURL: p.publicURL})
	if err != nil {
		return err
	}
	links := &enrolment.Links{Tickets: k.tickets, Devices: k.users, Now: p.now}
	enrolments := &enrolment.Enrolments{
		Users: k.users, Verifications: k.verifications, Tickets: k.tickets, Now: p.now, Admit: links.Admit, Adding: enrol.Adding(k.audit, p.now),
	}
	passwords := password.New(runtime.GOMAXPROCS(0))
	door, err := p.secureAuth(k, passwords)
	if err != nil {
		return err
	}
	facts, err := p.authenticator()
	if err != nil {
		return err
	}
	scanners, _ := p.cfg.Links.networks() // checked before anything started
	server, err := httpapi.New(httpapi.Config{
		Verifications: k.verifications, Users: k.users, Credentials: k.credentials, Realms: k.realms, Letters: k.letters,
		Providers: k.providers, Suppressions: k.suppressions, Templates: k.templates,
		Segments: p.segments, MaxSegments: p.cfg.SMS.MaxSegments, PushBytes: p.pushBytes,
		Notifications: k.notifications, Audit: k.audit, Proofs: k.proofs, Recovery: k.users, Listed: p.list, Responses: pub,
		Autofill: autofill.Hint(p.cfg.Codes), Operator: p.cfg.BootstrapClientID, Phones: phones{enrolments, k}, Authenticator: facts, IDFor: k.verifications.IDFor,
		Accept: accept.New(accept.Config{
			Verifications: k.verifications, Responses: pub, PageKey: p.sum(keys, keyring.Pages),
			PublicURL: p.publicURL, ScannerNetworks: scanners, Now: p.now, Log: log, Registerer: p.registry,
		}),
		EnrolmentLinks: links, EnrolKinds: p.cfg.Enrolment.kinds(),
		Enrol: enrol.New(enrol.Config{
			Links: links, Users: k.users, Enrolments: enrolments, Verifications: k.verifications, Recovery: k.users,
			Audit: k.audit, PageKey: p.sum(keys, keyring.Pages), PublicURL: p.publicURL, Now: p.now, Log: log, Registerer: p.registry,
		}),
		Callbacks: callbacks.New(answers), Reference: docs, AuthenticatorPage: app,
		OneLogin: onelogin.New(onelogin.Config{
			Credentials: k.credentials, Users: k.users, Enrolments: enrolments, Verifications: k.verifications,
			Tickets: k.tickets, Guesses: k.guesses, Passwords: passwords,
			Settings: p.cfg.OneLogin, Autofill: autofill.Hint(p.cfg.Codes), PublicURL: p.publicURL, Now: p.now,
		}),
		SecureAuth:       secureauth.New(door),
		ServesSecureAuth: secureauth.Serves,
		Closing:          p.closing, Now: p.now, Log: log, Registerer: p.registry,
	})
	if err != nil {
		return err
	}
	p.serve(p.cfg.Listen, "/", server)
	p.alsoHealth(p.cfg.Listen)
	return nil
}

// secureAuth is what the door for SecureAuth's clients needs.
func (p *process) secureAuth(k kept, passwords *password.Hasher) (secureauth.Config, error) {
	c := secureauth.Config{
		Realms: k.realms, Users: k.users, Verifications: k.verifications, Tickets: k.tickets, Guesses: k.guesses,
		Counts: k.counts, Passwords: passwords, ClockWindow: p.cfg.SecureAuth.ClockWindow, PublicURL: p.publicURL, Now: p.now,
	}
	if server := p.cfg.SecureAuth.yubiKeys(); server != (yubikey.Config{}) {
		keys, err := yubikey.New(server, &http.Client{})
		if err != nil {
			return c, err
		}
		c.YubiKeys = keys
	}
	return c, nil
}

// kept is everything the api keeps.
type kept struct {
	verifications *store.Verifications
	users         *store.Users
	credentials   *store.Credentials
	tickets       *store.Tickets
	guesses       *store.Guesses
	counts        *store.Counts
	realms        *store.Realms
	templates     *store.Templates
	letters       *store.Letters
	providers     *store.Providers
	notifications *store.Notifications
	suppressions  *store.Suppressions
	audit         *store.Audit
	proofs        *store.Proofs
}

// keep opens the stores, and makes sure that the bootstrap credential works.
func (p *process) keep(ctx context.Context, keys *keyring.Keyring) (kept, error) {
	var k kept
	var err error
	replicas := p.cfg.NATS.Replicas
	if k.guesses, err = store.NewGuesses(ctx, p.js, store.GuessesConfig{Keys: keys, Now: p.now}); err != nil {
		return k, err
	}
	if k.users, err = store.NewUsers(ctx, p.js, store.UsersConfig{Keys: keys, Replicas: replicas, Guesses: k.guesses, Now: p.now}); err != nil {
		return k, err
	}
	if k.tickets, err = store.NewTickets(ctx, p.js, store.TicketsConfig{Keys: keys, Replicas: replicas, Now: p.now}); err != nil {
		return k, err
	}
	if k.audit, err = store.NewAudit(ctx, p.js); err != nil {
		return k, err
	}
	if k.proofs, err = store.NewProofs(ctx, p.js); err != nil {
		return k, err
	}
	// What is nobody's is the operator's, who has the account of the bootstrap credential.
	k.suppressions, err = store.NewSuppressions(ctx, p.js, store.SuppressionsConfig{Keys: keys, Operator: p.cfg.BootstrapClientID, Now: p.now})
	if err != nil {
		return k, err
	}
	if err := p.rehash(ctx, k.suppressions); err != nil {
		return k, err
	}
	list, err := p.suppressions(ctx)
	if err != nil {
		return k, err
	}
	k.verifications, err = store.NewVerifications(ctx, p.js, store.Config{
		Keys: keys, Limits: p.cfg.Limits.store(), Prompts: p.cfg.Approvals.PromptLimits, Now: p.now, Authenticators: k.users,
		Suppressions: list, Suppressed: p.metrics.suppress, Autofill: autofill.Hint(p.cfg.Codes),
	})
	if err != nil {
		return k, err
	}
	p.onStop(stopLast, k.verifications.Close)
	k.letters, err = store.NewLetters(ctx, p.js, store.LettersConfig{Verifications: k.verifications, Operator: p.cfg.BootstrapClientID})
	if err != nil {
		return k, err
	}
	if k.credentials, err = store.NewCredentials(ctx, p.js, store.CredentialsConfig{Keys: keys, Replicas: replicas, Now: p.now}); err != nil {
		return k, err
	}
	p.onStop(stopLast, k.credentials.Close)
	if err := k.credentials.Ensure(ctx, p.cfg.BootstrapClientID, p.cfg.BootstrapClientSecret); err != nil {
		return k, fmt.Errorf("store bootstrap credential: %w", err)
	}
	if k.notifications, err = store.NewNotifications(ctx, p.js, store.NotificationsConfig{Keys: keys, Now: p.now}); err != nil {
		return k, err
	}
	if k.counts, err = store.NewCounts(ctx, p.js, store.CountsConfig{Keys: keys, Now: p.now}); err != nil {
		return k, err
	}
	if k.templates, err = store.NewTemplates(ctx, p.js, store.TemplatesConfig{Replicas: replicas, Now: p.now}); err != nil {
		return k, err
	}
	if k.realms, err = store.NewRealms(ctx, p.js, store.RealmsConfig{Keys: keys, Replicas: replicas, Now: p.now}); err != nil {
		return k, err
	}
	p.onStop(stopLast, k.realms.Close)
	if k.providers, err = p.providers(ctx); err != nil {
		return k, err
	}
	return k, p.configuredRealm(ctx, k.realms)
}

// configuredRealm makes sure that the realm of the configuration works. It sees the users of the
// bootstrap credential's account.
func (p *process) configuredRealm(ctx context.Context, realms *store.Realms) error {
	c := p.cfg.SecureAuth
	if !c.configured() {
		return nil
	}
	key, err := hex.DecodeString(c.AppKey)
	if err != nil {
		return errors.New("store the configured realm: its key is not hexadecimal")
	}
	err = realms.EnsureRealm(ctx, realm.Realm{Name: c.Realm, AppID: c.AppID, Account: p.cfg.BootstrapClientID}, key)
	if err != nil {
		return fmt.Errorf("store the configured realm: %w", err)
	}
	return nil
}

// phones are what apps may ask.
type phones struct {
	*enrolment.Enrolments
	kept kept
}

func (p phones) Phone(ctx context.Context, deviceID string) (device.Device, error) {
	return p.kept.users.DeviceByID(ctx, deviceID)
}

func (p phones) Watch(deviceID string) (next func(context.Context), done func()) {
	return p.kept.verifications.Watch(deviceID)
}

func (p phones) Gone(ctx context.Context, deviceID string) ([]device.Gone, error) {
	return p.kept.users.Gone(ctx, deviceID)
}

func (p phones) Prompts(ctx context.Context, d device.Device) ([]verification.Verification, error) {
	return p.kept.verifications.Prompts(ctx, d)
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
func (p *process) callbacks(ctx context.Context, k kept, pub *stream.Publisher) (callbacks.Config, error) {
	reports, err := stream.NewReader(ctx, p.js, stream.Deliveries)
	if err != nil {
		return callbacks.Config{}, err
	}
	c := callbacks.Config{
		PublicURL: p.publicURL, TwilioAuthToken: p.cfg.Twilio.AuthToken,
		Adapters:      map[string]webhook.Key{},
		Verifications: k.verifications, Reports: reports.Reports, Deliveries: pub, Responses: pub, Replies: k.verifications,
		Notifications: k.notifications,
		Scripts:       scripts{p.publicURL}, Decision: wording.Decision, Number: wording.Number,
		Now: p.now, Log: p.log.With("role", "api"), Registerer: p.registry,
	}
	for name, a := range p.cfg.Adapters {
		if c.Adapters[name], err = webhook.ParseSecret(a.Secret); err != nil {
			return c, fmt.Errorf("configure adapter %s: secret: %w", name, err)
		}
	}
	if key := p.cfg.SendGrid.WebhookPublicKey; key != "" {
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

func (scripts) Code(v verification.Verification, code string) (string, error) {
	return voice.CodeScript(v.Locale, v.Brand, events.Context(v.Context).Fields, code)
}

func (scripts) Answer(locale, brand string, d events.Decision) (string, error) {
	return voice.AnswerScript(locale, brand, d)
}

func (s scripts) Retry(v verification.Verification, try string) (string, error) {
	if v.NumberLength > 0 {
		return voice.RetryNumberScript(v.Locale, v.NumberLength, s.answer(v, try))
	}
	return voice.RetryScript(v.Locale, s.answer(v, try))
}

func (s scripts) Mismatch(v verification.Verification, try string) (string, error) {
	return voice.MismatchScript(v.Locale, v.NumberLength, s.answer(v, try))
}

func (scripts) Compared(locale string, matched bool) (string, error) {
	return voice.ComparedScript(locale, matched)
}

// answer is where the keys of a try come back.
func (s scripts) answer(v verification.Verification, try string) string {
	target := s.publicURL() + "/callbacks/twilio/voice/" + v.ID + "/answer"
	if try != "" {
		target += "?try=" + try
	}
	return target
}

func (scripts) Goodbye(locale string) (string, error) { return voice.GoodbyeScript(locale) }
