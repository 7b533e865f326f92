// Package push is the push channel: it puts one approval into the words a locked screen may
// show and the data an app needs to ask and to answer, and hands both to the gateway of the
// device's platform. The sentences come from package wording; the answer comes back from
// the app to the API, signed, and never passes here. The composition root builds it for the
// push role.
package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
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

// Gateways are the providers by platform. One that is nil is not configured.
type Gateways struct {
	APNs Gateway
	FCM  Gateway
}

// Config is what pushes have in common.
type Config struct {
	// PublicURL is where the app sends its answer; without it nothing can be asked.
	PublicURL string `koanf:"-"`
}

// Sender renders pushes and sends each with one call. It is safe for concurrent use.
type Sender struct {
	publicURL string
	gateways  Gateways
}

// New builds the channel.
func New(cfg Config, gateways Gateways) *Sender {
	return &Sender{publicURL: strings.TrimRight(cfg.PublicURL, "/"), gateways: gateways}
}

// Send renders m and calls the gateway of its platform once. What no push can carry, or no
// configured platform, is a permanent error.
func (s *Sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if m.Challenge != events.Approval {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonNotConfigured, errors.New("a push carries an approval and nothing else"))
	}
	if s.publicURL == "" {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonNotConfigured, errors.New("an answer needs the public URL"))
	}
	gateway, err := s.gateway(m.Device)
	if err != nil {
		return delivery.Receipt{}, err
	}
	data, err := s.data(m)
	if err != nil {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused, err)
	}
	words := wording.For(m.Locale).ApprovalPush(wording.Facts{
		Brand: m.Brand, Context: m.Context, Life: time.Until(m.ExpiresAt),
	})
	receipt, err := gateway.SendPush(ctx, delivery.Push{
		VerificationID: m.ID,
		Send:           m.Send,
		To:             m.To,
		Title:          words.Title,
		Body:           words.Body,
		Data:           data,
		ExpiresAt:      m.ExpiresAt,
	})
	if err != nil {
		return receipt, fmt.Errorf("send push: %w", err)
	}
	return receipt, nil
}

// gateway chooses by the device's platform.
func (s *Sender) gateway(device *events.PushDevice) (Gateway, error) {
	if device == nil {
		return nil, delivery.Permanent(events.ReasonDeviceGone, errors.New("the activation names no device"))
	}
	var chosen Gateway
	switch device.Platform {
	case "apns":
		chosen = s.gateways.APNs
	case "fcm":
		chosen = s.gateways.FCM
	}
	if chosen == nil {
		return nil, delivery.Permanent(events.ReasonNotConfigured, errors.New("no provider for the device's platform"))
	}
	return chosen, nil
}

// data is what the app draws its question from, and what it signs: the context stands once
// as the exact text whose hash goes into the signature, and again in single keys for the
// screen. Every key is always there.
func (s *Sender) data(m delivery.Message) (map[string]string, error) {
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
		"respond_to":      s.publicURL + "/v1/verifications/" + url.PathEscape(m.ID) + "/responses",
	}, nil
}
