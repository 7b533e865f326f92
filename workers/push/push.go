// Package push is the push channel: it puts one approval into the words a locked screen may
// show and the data an app needs to ask and to answer, or one code into the words a text
// message would have, or a notification's own text, and hands them to its gateway. The sentences come from
// package wording; the answer to an approval comes back from the app to the API, signed, and never passes
// here. The composition root builds it for the push role.
package push

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/wording"
)

// Gateway makes one call to a push provider. Its errors carry the marks of package delivery.
type Gateway interface {
	SendPush(ctx context.Context, m delivery.Push) (delivery.Receipt, error)
}

// Config is what pushes have in common.
type Config struct {
	// PublicURL is where the app sends its answer; without it no approval can be asked for.
	PublicURL string `koanf:"-"`
}

// Sender renders pushes and sends each with one call. It is safe for concurrent use.
type Sender struct {
	publicURL string
	gateway   Gateway
}

// New builds the channel in front of one provider. Which devices are its own is for the routes to know.
func New(cfg Config, gateway Gateway) *Sender {
	return &Sender{publicURL: strings.TrimRight(cfg.PublicURL, "/"), gateway: gateway}
}

// Send renders m and calls the gateway once. What no push can carry is a permanent error.
func (s *Sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if m.Device == nil {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonDeviceGone, errors.New("the activation names no device"))
	}
	rendered, err := s.render(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	receipt, err := s.gateway.SendPush(ctx, rendered)
	if err != nil {
		return receipt, fmt.Errorf("send push: %w", err)
	}
	return receipt, nil
}

// envelope is more than either puts around the words and the data, in bytes.
const envelope = 256

// Bytes is how large a push can become at a provider, as JSON, with room for what stands around it. What cannot be
// rendered takes none: it will not be sent.
func Bytes(cfg Config, m delivery.Message) int {
	p, err := New(cfg, nil).render(m)
	if err != nil {
		return 0
	}
	p.Data["title"], p.Data["body"] = p.Title, p.Body.Reveal()
	data, err := json.Marshal(p.Data)
	if err != nil {
		return 0
	}
	return len(data) + envelope
}

// render puts m into words and data.
func (s *Sender) render(m delivery.Message) (delivery.Push, error) {
	p := delivery.Push{Name: m.Name(), To: m.To, ExpiresAt: m.ExpiresAt}
	if m.Notice != nil {
		if m.Notice.Text == "" {
			return p, delivery.Permanent(events.ReasonMessageRefused, errors.New("the notification holds no text"))
		}
		p.Title, p.Body, p.Data = cmp.Or(m.Notice.Subject.Reveal(), m.Brand), m.Notice.Text, told(m)
		return p, nil
	}
	words := wording.For(m.Locale)
	facts := wording.Facts{Brand: m.Brand, Context: m.Context, Life: time.Until(m.ExpiresAt)}
	var said wording.Push
	var err error
	switch m.Challenge {
	case events.Approval:
		if s.publicURL == "" {
			return p, delivery.Permanent(events.ReasonNotConfigured, errors.New("an answer needs the public URL"))
		}
		said, p.Buttons = words.ApprovalPush(facts), m.NumberLength == 0
		p.Data, err = s.question(m)
	case events.Code:
		if m.Code == "" {
			return p, delivery.Permanent(events.ReasonMessageRefused, errors.New("the activation holds no code"))
		}
		said, p.Code = words.CodePush(facts, m.Code.Reveal()), m.Code
		p.Data, err = shown(m)
	default:
		return p, delivery.Permanent(events.ReasonNotConfigured, fmt.Errorf("a push carries no challenge %q", m.Challenge))
	}
	if err != nil {
		return p, delivery.Permanent(events.ReasonMessageRefused, err)
	}
	p.Title, p.Body = said.Title, delivery.Code(said.Body)
	return p, nil
}

// question is what the app draws its question from, and where it answers. A number to match
// comes as the choices that the person picks from, or as its length where they type it; the
// salt is what stands before the number in what the app signs.
func (s *Sender) question(m delivery.Message) (map[string]string, error) {
	data, err := shown(m)
	if err != nil {
		return nil, err
	}
	data["respond_to"] = s.publicURL + "/v1/verifications/" + url.PathEscape(m.ID) + "/responses"
	if m.NumberSalt != "" { // the activation of an older program has none; the app gets it with its prompts
		data["number_salt"] = m.NumberSalt.Reveal()
	}
	switch {
	case m.NumberLength == 0:
	case len(m.Choices) == 0:
		data["number_length"] = strconv.Itoa(m.NumberLength)
	default:
		choices, err := json.Marshal(m.Choices)
		if err != nil {
			return nil, fmt.Errorf("encode the choices: %w", err)
		}
		data["choices"] = string(choices)
	}
	return data, nil
}

// told is what the app gets of a notification beside its text: nothing to answer.
func told(m delivery.Message) map[string]string {
	return map[string]string{
		"message_id": m.ID,
		"device_id":  m.DeviceID,
		"brand":      m.Brand,
		"created_at": m.CreatedAt.UTC().Format(time.RFC3339),
		"expires_at": m.ExpiresAt.UTC().Format(time.RFC3339),
	}
}

// shown is what the app shows, and what it signs where it answers: the context stands once as
// the exact text whose hash goes into the signature, and again in single keys for the screen.
// Every key is always there.
func shown(m delivery.Message) (map[string]string, error) {
	signed, err := json.Marshal(m.Context)
	if err != nil {
		return nil, fmt.Errorf("encode the context: %w", err)
	}
	return map[string]string{
		"verification_id": m.ID,
		"device_id":       m.DeviceID,
		"brand":           m.Brand,
		"context":         string(signed),
		"action":          m.Context.Action,
		"ip":              m.Context.IP,
		"place":           m.Context.Place,
		"device":          m.Context.Device,
		"requested_at":    m.CreatedAt.UTC().Format(time.RFC3339),
		"expires_at":      m.ExpiresAt.UTC().Format(time.RFC3339),
	}, nil
}
