// Package sendgrid carries mail through SendGrid's v3 API. It turns one delivery.Mail into
// one call and the answer into a receipt or a marked error; it renders nothing, retries
// nothing and does not check event webhooks. The composition root hands it to package email.
package sendgrid

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sendgrid/rest"
	"github.com/sendgrid/sendgrid-go"
	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// defaultBaseURL is SendGrid's own. Accounts of the EU region set https://api.eu.sendgrid.com.
const defaultBaseURL = "https://api.sendgrid.com"

// callTimeout bounds one call, even where the delivery has longer to live.
const callTimeout = 10 * time.Second

// Config is the account that sends.
type Config struct {
	// BaseURL replaces SendGrid's own address; it may have a path prefix.
	BaseURL string `koanf:"base_url"`
	// APIKey needs the Mail Send permission and no other.
	APIKey string `koanf:"api_key"`
}

// Validate names every fault of the configuration by its key.
func (c Config) Validate() []error {
	var faults []error
	if c.BaseURL != "" {
		if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, errors.New("base_url: want an absolute http or https URL"))
		}
	}
	if c.APIKey == "" {
		faults = append(faults, errors.New("api_key: missing"))
	} else if strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		faults = append(faults, errors.New("api_key: holds a space, a line break or a character that is not ASCII"))
	}
	return faults
}

// Gateway sends mail. It is safe for concurrent use.
type Gateway struct {
	base string
	key  string
	// One rest.Client for all is safe, it holds nothing but the HTTP client. A shared
	// sendgrid.Client is not: it keeps the mail in a field, and under load people get
	// each other's codes.
	rest *rest.Client
}

// New builds the gateway from a valid configuration. The client is copied, not changed.
func New(cfg Config, client *http.Client) (*Gateway, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure sendgrid: %w", errors.Join(faults...))
	}
	base := cfg.BaseURL
	if base == "" {
		base = defaultBaseURL
	}
	return &Gateway{
		base: strings.TrimRight(base, "/"),
		key:  cfg.APIKey,
		rest: &rest.Client{HTTPClient: exchange.Client(client)},
	}, nil
}

// NewHTTPClient is a client whose connections outlive a burst.
func NewHTTPClient() *http.Client { return exchange.Pool(callTimeout) }

// SendMail makes one call. SendGrid has no idempotency key, so a mail of unknown fate may
// arrive twice when it is sent again.
func (g *Gateway) SendMail(ctx context.Context, m delivery.Mail) (delivery.Receipt, error) {
	request := sendgrid.GetRequest(g.key, "/v3/mail/send", g.base)
	request.Method = rest.Post
	request.Body = mail.GetRequestBody(compose(m))

	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	_, err := g.rest.SendWithContext(ctx, request)
	if record.Status() == 0 {
		if err == nil {
			err = errors.New("no answer was recorded")
		}
		return delivery.Receipt{}, record.Lost(fmt.Errorf("call sendgrid: %w", exchange.Bare(err)))
	}
	if err := classify(record); err != nil {
		return delivery.Receipt{}, err
	}
	return delivery.Receipt{ID: record.Get("X-Message-Id")}, nil
}

// compose puts the mail into SendGrid's form.
func compose(m delivery.Mail) *mail.SGMailV3 {
	to := mail.NewPersonalization()
	to.AddTos(mail.NewEmail("", m.To.Reveal()))
	// Custom args come back with every event. SendGrid stores them in clear: ids only.
	to.SetCustomArg("verification_id", m.VerificationID)
	to.SetCustomArg("step", strconv.Itoa(m.Step))
	to.SetCustomArg("send", strconv.Itoa(m.Send))
	to.SetCustomArg("attempt", strconv.Itoa(m.Attempt))

	v3 := mail.NewV3Mail()
	v3.SetFrom(mail.NewEmail(m.From.Name, m.From.Address))
	v3.Subject = m.Subject
	v3.AddPersonalizations(to)
	v3.AddContent(mail.NewContent("text/plain", m.Text.Reveal()))
	if m.HTML != "" { // SendGrid refuses an empty part
		v3.AddContent(mail.NewContent("text/html", m.HTML.Reveal()))
	}
	for name, value := range m.Headers {
		v3.SetHeader(name, value)
	}
	// Click tracking rewrites links to pass through SendGrid, where scanners follow them;
	// open tracking plants a remote image. An account may have either on by default.
	off := false
	v3.SetTrackingSettings(mail.NewTrackingSettings().
		SetClickTracking(mail.NewClickTrackingSetting().SetEnable(off).SetEnableText(off)).
		SetOpenTracking(mail.NewOpenTrackingSetting().SetEnable(off)).
		SetSubscriptionTracking(mail.NewSubscriptionTrackingSetting().SetEnable(off)))
	return v3
}
