// Package email is the email channel: it renders the mail of one activation, a code or a
// link with who asks what from where, or a notification's own, and hands it to its gateway. The sentences come from
// package wording, the call to a provider is the gateway's, and retries are the delivery
// loop's. The composition root builds it for the email role.
package email

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/wording"
)

// Gateway makes one call to a mail provider. Its errors carry the marks of package delivery.
type Gateway interface {
	SendMail(ctx context.Context, m delivery.Mail) (delivery.Receipt, error)
}

// Config is what mails have in common.
type Config struct {
	// From is the sender: an address, or a name and an address as in
	// "Example Bank <no-reply@example.com>". Without a name the brand of each mail stands in.
	From string `koanf:"from"`
	// PublicURL is where links begin; without it no link can be sent.
	PublicURL string `koanf:"-"`
}

// Validate names every fault of the configuration by its key.
func (c Config) Validate() []error {
	var faults []error
	if c.From == "" {
		faults = append(faults, errors.New("from: missing"))
	} else if _, err := mail.ParseAddress(c.From); err != nil {
		faults = append(faults, errors.New(`from: want an address or "Name <address>"`))
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, errors.New("public_url: want an absolute http or https URL"))
		}
	}
	return faults
}

// Sender renders mails and sends each with one call. It is safe for concurrent use.
type Sender struct {
	from      mail.Address
	publicURL string
	layout    layout
	gateway   Gateway
}

// New builds the channel from a valid configuration.
func New(cfg Config, gateway Gateway) (*Sender, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure email: %w", errors.Join(faults...))
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("configure email: from: %w", err)
	}
	layout, err := newLayout()
	if err != nil {
		return nil, fmt.Errorf("configure email: %w", err)
	}
	return &Sender{from: *from, publicURL: strings.TrimRight(cfg.PublicURL, "/"), layout: layout, gateway: gateway}, nil
}

// Send renders m and calls the gateway once. A challenge that no mail can carry is a
// permanent error.
func (s *Sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	render := s.render
	if m.Notice != nil {
		render = s.notice
	}
	rendered, err := render(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	receipt, err := s.gateway.SendMail(ctx, rendered)
	if err != nil {
		return receipt, fmt.Errorf("send mail: %w", err)
	}
	return receipt, nil
}

// render lays out the mail of a verification.
func (s *Sender) render(m delivery.Message) (delivery.Mail, error) {
	letter, language, err := s.letter(m)
	if err != nil {
		return delivery.Mail{}, err
	}
	text, html, err := s.layout.render(letter)
	if err != nil {
		return delivery.Mail{}, delivery.Permanent(events.ReasonMessageRefused, err)
	}
	return delivery.Mail{
		Name: m.Name(), From: s.sender(m.Brand), To: m.To, Subject: oneLine(letter.Words.Subject), Text: text, HTML: html,
		Headers: s.headers(m, language),
	}, nil
}

// notice is the mail of a notification, as its sender wrote it.
func (s *Sender) notice(m delivery.Message) (delivery.Mail, error) {
	subject := oneLine(m.Notice.Subject.Reveal())
	if subject == "" {
		subject = oneLine(m.Brand)
	}
	if subject == "" || m.Notice.Text == "" {
		return delivery.Mail{}, delivery.Permanent(events.ReasonMessageRefused, errors.New("the notification holds no subject, or no text"))
	}
	return delivery.Mail{
		Name: m.Name(), From: s.sender(m.Brand), To: m.To, Subject: subject, Text: m.Notice.Text, HTML: m.Notice.HTML,
		Headers: s.headers(m, oneLine(m.Locale)),
	}, nil
}

// letter gathers what the layout shows, by the challenge.
func (s *Sender) letter(m delivery.Message) (letter, string, error) {
	words := wording.For(m.Locale)
	facts := wording.Facts{Brand: m.Brand, Context: m.Context, Life: time.Until(m.ExpiresAt)}
	l := letter{Language: words.Language(), Direction: words.Direction(), Brand: m.Brand, Fields: wording.Fields(m.Context), Details: words.Details(m.Context)}
	switch m.Challenge {
	case events.Code:
		if m.Code == "" {
			return letter{}, "", delivery.Permanent(events.ReasonMessageRefused, errors.New("the activation holds no code"))
		}
		l.Words, l.Code = words.CodeMail(facts), m.Code.Reveal()
	case events.Link:
		if s.publicURL == "" {
			return letter{}, "", delivery.Permanent(events.ReasonNotConfigured, errors.New("a link needs the public URL"))
		}
		if m.LinkToken == "" {
			return letter{}, "", delivery.Permanent(events.ReasonMessageRefused, errors.New("the activation holds no link token"))
		}
		l.Words, l.Link = words.LinkMail(facts), s.publicURL+"/l/"+url.PathEscape(m.LinkToken.Reveal())
	case events.Approval:
		return letter{}, "", delivery.Permanent(events.ReasonNotConfigured, errors.New("no mail carries an approval"))
	default:
		return letter{}, "", delivery.Permanent(events.ReasonNotConfigured, errors.New("no mail carries this challenge"))
	}
	return l, words.Language(), nil
}

// sender is the configured address; the brand lends it a name where none is configured.
func (s *Sender) sender(brand string) mail.Address {
	from := s.from
	if from.Name == "" {
		from.Name = oneLine(brand)
	}
	return from
}

// headers say that a program wrote the mail, so that no absence note answers it, and give
// all attempts to send one message the same Message-ID, so that a mailbox can tell a repeat.
func (s *Sender) headers(m delivery.Message, language string) map[string]string {
	_, domain, _ := strings.Cut(s.from.Address, "@")
	headers := map[string]string{
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"Message-ID":               fmt.Sprintf("<%s@%s>", m.Name().Message(), domain),
	}
	if language != "" {
		headers["Content-Language"] = language
	}
	return headers
}

// oneLine keeps text from outside inside its header.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}
