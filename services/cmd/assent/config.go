package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/gsm7"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/email"
	"github.com/assent-io/assent/workers/governor"
	"github.com/assent-io/assent/workers/provider/adapter"
	"github.com/assent-io/assent/workers/provider/apns"
	"github.com/assent-io/assent/workers/provider/fcm"
	"github.com/assent-io/assent/workers/provider/sendgrid"
	"github.com/assent-io/assent/workers/provider/smtp"
	"github.com/assent-io/assent/workers/provider/twilio"
	"github.com/assent-io/assent/workers/provider/webpush"
)

// config is everything an operator can set: one YAML file, and the environment over it. A key
// a.b_c of the file is ASSENT_A__B_C in the environment. Secrets may come as …_file.
type config struct {
	// Listen is where the API, the pages and the callbacks are served.
	Listen string `koanf:"listen"`
	// OpsListen is where /healthz, /readyz and /metrics are served by `assent run`.
	OpsListen string `koanf:"ops_listen"`
	// PublicURL is how people's phones and the providers reach Listen.
	PublicURL string `koanf:"public_url"`
	// Data is the directory of everything that `assent up` keeps.
	Data string `koanf:"data"`
	// Keyring is the path of the keyring file; by default keyring.json in Data.
	Keyring string `koanf:"keyring"`

	BootstrapClientID     string `koanf:"bootstrap_client_id"`
	BootstrapClientSecret string `koanf:"bootstrap_client_secret"`

	Log    logConfig    `koanf:"log"`
	TLS    tlsConfig    `koanf:"tls"`
	NATS   natsConfig   `koanf:"nats"`
	Links  linksConfig  `koanf:"links"`
	Limits limitsConfig `koanf:"limits"`
	Codes  codesConfig  `koanf:"codes"`
	// Enrolment is about the page where people enrol their own devices.
	Enrolment enrolmentConfig `koanf:"enrolment"`
	// Approvals keeps people from being worn down with questions.
	Approvals approvalsConfig `koanf:"approvals"`
	SMS       smsConfig       `koanf:"sms"`
	Workers   workersConfig   `koanf:"workers"`
	Twilio    twilio.Config   `koanf:"twilio"`
	SendGrid  sendgridConfig  `koanf:"sendgrid"`
	SMTP      smtp.Config     `koanf:"smtp"`
	Email     email.Config    `koanf:"email"`
	APNs      apns.Config     `koanf:"apns"`
	FCM       fcm.Config      `koanf:"fcm"`
	// WebPush is for pages that are asked in place of an app.
	WebPush webpush.Config `koanf:"webpush"`
	Sandbox sandboxConfig  `koanf:"sandbox"`
	// Adapters are the operator's own programs in front of other carriers, by name: docs/adapters.md.
	Adapters map[string]adapter.Config `koanf:"adapters"`
	// Routes says who carries what. Without rules the configured providers of a channel are tried in order:
	// Twilio, then the adapters by name; SendGrid, then SMTP.
	Routes routesConfig `koanf:"routes"`
	// Quotas says what each provider takes from all processes together.
	Quotas quotasConfig `koanf:"quotas"`
	// Lanes are the shares of verifications, transactional and bulk messages of every quota, in percent.
	Lanes governor.Shares `koanf:"lanes"`
	// OneLogin is the door for clients of OneLogin's API.
	OneLogin onelogin.Settings `koanf:"onelogin"`
	// SecureAuth is the door for clients of SecureAuth's API.
	SecureAuth secureauthConfig `koanf:"secureauth"`
	// Proofs is how long the signed answers of phones are kept.
	Proofs proofsConfig `koanf:"proofs"`

	publicURLSet bool
}

type logConfig struct {
	Level  string `koanf:"level"`  // debug, info, warn, error
	Format string `koanf:"format"` // json, text
}

type natsConfig struct {
	URL      string `koanf:"url"`
	Username string `koanf:"username"`
	Password string `koanf:"password"`
	// Replicas of every stream: 1, or 3 in a cluster.
	Replicas int `koanf:"replicas"`
	// SyncInterval and SyncAlways are for the embedded server only.
	SyncInterval time.Duration `koanf:"sync_interval"`
	SyncAlways   bool          `koanf:"sync_always"`
}

type limitsConfig struct {
	// Sends to one destination, and for one user, in each rolling Window.
	Sends  int           `koanf:"sends"`
	Window time.Duration `koanf:"window"`
}

func (l limitsConfig) store() store.Limits {
	return store.Limits{SendQuota: l.Sends, SendWindow: l.Window}
}

// approvalsConfig is how many pushes a user may leave unanswered, and what follows a "this wasn't me".
type approvalsConfig struct {
	store.PromptLimits `koanf:",squash"`
	NotMe              verifier.NotMe `koanf:"not_me"`
}

func (a approvalsConfig) check() []string {
	return append(complete("approvals", a.PromptLimits.Validate), complete("approvals.not_me", a.NotMe.Validate)...)
}

// proofsConfig is about the archive of signed answers.
type proofsConfig struct {
	// Keep is in days.
	Keep int `koanf:"keep"`
}

const (
	day = 24 * time.Hour
	// longestKeep is ten years, in days.
	longestKeep = 3650
)

func (p proofsConfig) age() time.Duration { return time.Duration(p.Keep) * day }

// codesConfig is what holds for the codes of text messages whose requests do not say it.
type codesConfig struct {
	// Origin is the host name of the page that asks for codes; browsers fill them in there.
	Origin string `koanf:"origin"`
	// AppHash are the 11 characters by which Android knows the app that asks for codes.
	AppHash string `koanf:"app_hash"`
}

func (c codesConfig) check() []string {
	var faults []string
	if c.Origin != "" && !autofill.ValidOrigin(c.Origin) {
		faults = append(faults, fault("codes.origin", "want a host name such as example.com"))
	}
	if c.AppHash != "" && !autofill.ValidAppHash(c.AppHash) {
		faults = append(faults, fault("codes.app_hash", "want the 11 characters of an app's hash"))
	}
	return faults
}

// smsConfig is what holds for all text messages.
type smsConfig struct {
	// MaxSegments is how many parts a text message may be sent in, each of which costs; 0: any number.
	MaxSegments int `koanf:"max_segments"`
}

// routesConfig is a list of rules for each channel, such as "+49 +43: acme=80 twilio=20".
type routesConfig struct {
	SMS   []string `koanf:"sms"`
	Voice []string `koanf:"voice"`
	Email []string `koanf:"email"`
}

func (r routesConfig) of(c events.Channel) []string {
	switch c {
	case events.SMS:
		return r.SMS
	case events.Voice:
		return r.Voice
	case events.Email:
		return r.Email
	default: // a push goes to the provider of its device's platform
		return nil
	}
}

type workersConfig struct {
	// MaxInFlight is how many messages one process sends at once on one channel.
	MaxInFlight int           `koanf:"max_in_flight"`
	SendTimeout time.Duration `koanf:"send_timeout"`
	// Grace is how long a process that was asked to end waits for calls in flight.
	Grace time.Duration `koanf:"grace"`
	// Unknown says for each channel what follows a call of which nobody knows whether the provider took the
	// message: resend, or hold until its receipt comes.
	Unknown unknownConfig `koanf:"unknown"`
	// Hold is how long a receipt is waited for under the policy hold.
	Hold time.Duration `koanf:"hold"`
	// MaxAttempts is how many calls for one message may come to nothing.
	MaxAttempts int `koanf:"max_attempts"`
}

type unknownConfig struct {
	SMS   string `koanf:"sms"`
	Voice string `koanf:"voice"`
	Email string `koanf:"email"`
	Push  string `koanf:"push"`
}

// all are the policies by channel.
func (u unknownConfig) all() map[events.Channel]string {
	return map[events.Channel]string{events.SMS: u.SMS, events.Voice: u.Voice, events.Email: u.Email, events.Push: u.Push}
}

func (w workersConfig) policy(c events.Channel) delivery.Policy {
	return delivery.Policy{
		SendTimeout: w.SendTimeout, Unknown: delivery.Fate(w.Unknown.all()[c]), Hold: w.Hold, MaxAttempts: w.MaxAttempts,
	}
}

type sendgridConfig struct {
	sendgrid.Config `koanf:",squash"`
	// WebhookPublicKey verifies SendGrid's event callbacks: base64, as its console shows it.
	WebhookPublicKey string `koanf:"webhook_public_key"`
}

type sandboxConfig struct {
	// URL is where the roles find the sandbox carriers; empty: there are none (`assent up` brings its own).
	URL string `koanf:"url"`
	// Secret is what all roles derive the sandbox's accounts from; by default from the keyring.
	Secret string `koanf:"secret"`
	// Listen is where the role sandbox serves.
	Listen string `koanf:"listen"`
	// CallbackDial is the host:port that callbacks are sent to in place of the public URL's.
	CallbackDial string `koanf:"callback_dial"`
}

func defaults() config {
	return config{
		Listen: "127.0.0.1:8080", OpsListen: "127.0.0.1:0", Data: "assent-data",
		BootstrapClientID: "assent-dev",
		Log:               logConfig{Level: "info", Format: "json"},
		NATS:              natsConfig{URL: "nats://127.0.0.1:4222", Replicas: 1},
		Limits:            limitsConfig{Sends: stream.DefaultSendQuota, Window: stream.DefaultSendWindow},
		Approvals:         approvalsConfig{store.DefaultPromptLimits(), verifier.DefaultNotMe()},
		Workers: workersConfig{
			MaxInFlight: 256, SendTimeout: delivery.DefaultSendTimeout, Grace: 25 * time.Second,
			Unknown: unknownConfig{
				SMS: string(delivery.Resend), Voice: string(delivery.Resend), Email: string(delivery.Resend), Push: string(delivery.Resend),
			},
			Hold: delivery.DefaultHold, MaxAttempts: delivery.DefaultMaxAttempts,
		},
		Lanes:      governor.DefaultShares(),
		Sandbox:    sandboxConfig{Listen: "127.0.0.1:8081"},
		SecureAuth: secureauthConfig{ClockWindow: defaultClockWindow},
		Proofs:     proofsConfig{Keep: int(stream.DefaultKeepProofs / day)},
	}
}

// check reports what is wrong with the values, for the roles that are to run.
func (c config) check(run []role) []string {
	var faults []string
	add := func(key, detail string) { faults = append(faults, fault(key, "%s", detail)) }
	for key, address := range map[string]string{"listen": c.Listen, "ops_listen": c.OpsListen, "sandbox.listen": c.Sandbox.Listen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			add(key, "want host:port")
		}
	}
	for key, value := range map[string]string{"public_url": c.PublicURL, "sandbox.url": c.Sandbox.URL} {
		if value != "" && !absolute(value) {
			add(key, "want an absolute http or https URL")
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		add("log.level", "want debug, info, warn or error")
	}
	if !slices.Contains([]string{"json", "text"}, c.Log.Format) {
		add("log.format", "want json or text")
	}
	if c.Limits.Sends < 1 || c.Limits.Sends > 10_000 {
		add("limits.sends", "want 1 to 10000")
	}
	// A reply by text finds its question by the send that is still in the window.
	if c.Limits.Window < verification.MaxLife || c.Limits.Window > 24*time.Hour {
		add("limits.window", "want 10m, the longest life of a verification, to 24h")
	}
	if c.SMS.MaxSegments < 0 || c.SMS.MaxSegments > gsm7.MaxSegments {
		add("sms.max_segments", "want 0, which means no limit, to 255")
	}
	if c.Workers.MaxInFlight < 1 || c.Workers.MaxInFlight > 4096 {
		add("workers.max_in_flight", "want 1 to 4096")
	}
	if c.Workers.SendTimeout < 100*time.Millisecond || c.Workers.SendTimeout > time.Minute {
		add("workers.send_timeout", "want 100ms to 1m")
	}
	if c.Workers.Grace < c.Workers.SendTimeout {
		add("workers.grace", "want at least workers.send_timeout, or calls in flight would be cut")
	}
	if c.Workers.Hold < time.Second || c.Workers.Hold > verification.LongestLife {
		add("workers.hold", "want 1s to 15m")
	}
	if c.Workers.MaxAttempts < 1 || c.Workers.MaxAttempts > 1000 {
		add("workers.max_attempts", "want 1 to 1000")
	}
	for channel, policy := range c.Workers.Unknown.all() {
		if policy != string(delivery.Resend) && policy != string(delivery.Hold) {
			add("workers.unknown."+string(channel), "want resend or hold")
		}
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		add("nats.replicas", "want 1 to 5")
	}
	if c.Proofs.Keep < 1 || c.Proofs.Keep > longestKeep {
		add("proofs.keep", "want 1 to 3650 days")
	}
	faults = append(append(faults, c.Codes.check()...), c.Approvals.check()...)
	faults = append(faults, complete("lanes", c.Lanes.Validate)...)
	for _, r := range run {
		faults = append(faults, r.check(c)...)
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.RawQuery == "" && u.Fragment == ""
}

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Read the configuration and report every fault."`
}

type configCheckCommand struct {
	Config string   `help:"Configuration file." type:"path" env:"ASSENT_CONFIG"`
	Role   []string `help:"Check what these roles need; by default what assent up needs." name:"role"`
}

// Run loads the configuration and reports its faults; without any it says so.
func (c configCheckCommand) Run(p *program) error {
	selected := roles
	if len(c.Role) > 0 {
		var err error
		if selected, err = rolesNamed(c.Role); err != nil {
			return err
		}
	}
	cfg, faults, err := load(c.Config, p.env)
	if err != nil {
		return err
	}
	if len(c.Role) == 0 && !cfg.allProviders() {
		cfg.Sandbox.URL = cfg.upSandbox()
	}
	if faults = append(faults, cfg.check(selected)...); len(faults) > 0 {
		return &faultsError{faults}
	}
	fmt.Fprintln(p.stdout, "The configuration is complete.")
	return nil
}
