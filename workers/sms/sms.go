// Package sms is the text message channel: it renders a code, in the client's own wording
// where there is one, a link or an approval, and hands the text to its gateway, as it does a
// notification's, which is a text already. It knows no provider and decides nothing. The loops of
// packages delivery and notification call it.
package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/gsm7"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/wording"
)

// Gateway sends one text message.
type Gateway interface {
	SendSMS(ctx context.Context, m delivery.SMS) (delivery.Receipt, error)
}

// Config is where messages lead back to.
type Config struct {
	// PublicURL is what links and callbacks start with.
	PublicURL string
	// Callbacks is the path that the provider reports to, with the message's name behind it:
	// /callbacks/twilio/sms. Empty: it cannot reach the public URL.
	Callbacks string
	// Replies tells that the provider brings a person's answer back, without which nobody is asked for one.
	Replies bool
	// MaxSegments is how many parts a text message may be sent in; zero: any number.
	MaxSegments int
	// Log is told of an app's hash that had no room, and of long messages; it may be nil.
	Log *slog.Logger
}

// New is the channel's Sender. A challenge that this deployment cannot carry is refused for good.
func New(cfg Config, gateway Gateway) delivery.Sender {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	return &sender{cfg: cfg, gateway: gateway}
}

type sender struct {
	cfg     Config
	gateway Gateway
}

// Send renders the message and makes one call.
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	life := time.Until(m.ExpiresAt)
	body, err := s.render(m, life)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := s.measure(m, gsm7.Segments(body).Segments); err != nil {
		return delivery.Receipt{}, err
	}
	text := delivery.SMS{Name: m.Name(), To: m.To, Body: delivery.Code(body), ValidFor: life}
	if s.cfg.Callbacks != "" && s.cfg.PublicURL != "" {
		text.CallbackURL = s.cfg.PublicURL + s.cfg.Callbacks + "/" + m.Name().Path()
	}
	return s.gateway.SendSMS(ctx, text)
}

// manySegments is from how many parts on a message of a verification is worth a warning: codes and questions have
// room in one, and in two with what is agreed to.
const manySegments = 3

// measure refuses a message of more parts than the operator allows, and warns once of a long one.
func (s *sender) measure(m delivery.Message, segments int) error {
	log := s.cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.MaxSegments > 0 && segments > s.cfg.MaxSegments {
		log.Warn("text message refused: it has too many segments", keyOf(m), m.ID, "segments", segments, "at_most", s.cfg.MaxSegments)
		return delivery.Permanent(events.ReasonMessageRefused,
			fmt.Errorf("the text message has %d segments, and sms.max_segments allows %d", segments, s.cfg.MaxSegments))
	}
	if segments >= manySegments && m.Notice == nil && m.Send <= 1 && m.Attempt <= 1 {
		log.Warn("text message is long", "verification_id", m.ID, "segments", segments)
	}
	return nil
}

// keyOf names what a message's id is the id of.
func keyOf(m delivery.Message) string {
	if m.Notice != nil {
		return "message_id"
	}
	return "verification_id"
}

// Units counts the segments of messages as this channel would send them, which is what providers count. One that
// cannot be rendered is one segment: it will not be sent.
func Units(cfg Config) func(delivery.Message) int {
	s := &sender{cfg: cfg}
	return func(m delivery.Message) int {
		if m.Notice != nil {
			return gsm7.Segments(m.Notice.Text.Reveal()).Segments
		}
		body, err := s.render(m, time.Until(m.ExpiresAt))
		if err != nil {
			return 1
		}
		return gsm7.Segments(body).Segments
	}
}

func (s *sender) render(m delivery.Message, life time.Duration) (string, error) {
	if m.Notice != nil {
		if m.Notice.Text == "" {
			return "", delivery.Permanent(events.ReasonMessageRefused, errors.New("the notification holds no text"))
		}
		return m.Notice.Text.Reveal(), nil
	}
	words := wording.For(m.Locale)
	facts := wording.Facts{Brand: m.Brand, Context: m.Context, Life: life}
	switch m.Challenge {
	case events.Code:
		if m.Code == "" {
			return "", delivery.Permanent(events.ReasonMessageRefused, errors.New("the activation holds no code"))
		}
		if m.Text != "" {
			return s.fillable(m, wording.Fill(m.Text.Reveal(), m.Code.Reveal(), life)), nil
		}
		return s.fillable(m, words.CodeText(facts, m.Code.Reveal())), nil
	case events.Link:
		if s.cfg.PublicURL == "" {
			return "", delivery.Permanent(events.ReasonNotConfigured, errors.New("links need a public URL"))
		}
		if m.LinkToken == "" {
			return "", delivery.Permanent(events.ReasonMessageRefused, errors.New("the activation holds no link token"))
		}
		return words.LinkText(facts, s.cfg.PublicURL+"/l/"+url.PathEscape(m.LinkToken.Reveal())), nil
	case events.Approval:
		if !s.cfg.Replies || s.cfg.PublicURL == "" {
			return "", delivery.Permanent(events.ReasonNotConfigured, errors.New("replies need a provider that brings them, and a public URL"))
		}
		return words.ApprovalText(facts, m.NumberLength > 0), nil
	default:
		return "", delivery.Permanent(events.ReasonNotConfigured, fmt.Errorf("text messages carry no challenge %q", m.Challenge))
	}
}

// fillable is the text of a code with the last line that phones and browsers look for. An app's hash is left out
// where the text would be too long for the app to get it.
func (s *sender) fillable(m delivery.Message, text string) string {
	code := m.Code.Reveal()
	hint := m.Autofill.Fitting(text, code)
	if hint != m.Autofill && s.cfg.Log != nil {
		s.cfg.Log.Warn("app hash left out: the text message would be too long for the app",
			"verification_id", m.ID, "bytes", len(m.Autofill.Under(text, code)), "at_most", autofill.MaxBytes)
	}
	return hint.Under(text, code)
}
