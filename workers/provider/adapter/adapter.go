// Package adapter carries text messages and phone calls to a small program of the operator's, which hands
// them to a carrier that Assent has no provider for: docs/adapters.md is the contract. It turns one
// delivery.SMS or delivery.Call into one signed POST and the answer into a receipt or a marked error; it
// renders nothing, retries nothing and takes no receipts. The composition root hands it to packages sms
// and voice.
package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webhook"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// callTimeout bounds one call, even where the delivery has longer to live.
const callTimeout = 10 * time.Second

// Gateway sends text messages and starts calls. It is safe for concurrent use.
type Gateway struct {
	name     string
	url      string
	key      webhook.Key
	channels []string
	http     *http.Client
}

// New builds the gateway from a valid configuration; errors carry its name. The client is copied, not changed.
func New(name string, cfg Config, client *http.Client) (*Gateway, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("configure adapter: its name: %w", err)
	}
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure adapter %s: %w", name, errors.Join(faults...))
	}
	key, err := webhook.ParseSecret(cfg.Secret)
	if err != nil {
		return nil, fmt.Errorf("configure adapter %s: secret: %w", name, err)
	}
	return &Gateway{name: name, url: cfg.URL, key: key, channels: slices.Clone(cfg.Channels), http: exchange.Client(client)}, nil
}

// NewHTTPClient is a client whose connections outlive a burst.
func NewHTTPClient() *http.Client { return exchange.Pool(callTimeout) }

// messageType names the form of the body. A changed meaning gets another name.
const messageType = "message.v1"

// message is the body of a call, in clear: it exists between here and the connection only.
type message struct {
	Type      string    `json:"type"`
	MessageID string    `json:"message_id"`
	Attempt   int       `json:"attempt"`
	Channel   string    `json:"channel"`
	To        string    `json:"to"`
	Text      string    `json:"text,omitempty"`
	Script    []line    `json:"script,omitempty"`
	RingFor   int       `json:"ring_for,omitempty"` // seconds
	ExpiresAt time.Time `json:"expires_at"`
	// ReceiptURL is empty where receipts cannot come back.
	ReceiptURL string `json:"receipt_url"`
}

// line is one sentence of a call, or a pause.
type line struct {
	Language string `json:"language,omitempty"`
	Text     string `json:"text,omitempty"`
	Pause    int    `json:"pause,omitempty"` // seconds
}

// SendSMS makes one call. A message that is sent again has the same id, so that the adapter can tell.
func (g *Gateway) SendSMS(ctx context.Context, m delivery.SMS) (delivery.Receipt, error) {
	return g.send(ctx, m.Name, message{
		Channel: channelSMS, To: m.To.Reveal(), Text: m.Body.Reveal(),
		ExpiresAt: end(m.ValidFor), ReceiptURL: m.CallbackURL,
	})
}

// StartCall makes one call to the adapter, which has the phone rung and the script spoken. Its receipt
// says that the phone will ring, not that somebody answered.
func (g *Gateway) StartCall(ctx context.Context, c delivery.Call) (delivery.Receipt, error) {
	if len(c.Lines) == 0 {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonNotConfigured,
			errors.New("adapters take no keys, and this call asks for some"))
	}
	script := make([]line, len(c.Lines))
	for i, l := range c.Lines {
		script[i] = line{Language: l.Language, Text: l.Text.Reveal(), Pause: seconds(l.Pause)}
	}
	return g.send(ctx, c.Name, message{
		Channel: channelVoice, To: c.To.Reveal(), Script: script, RingFor: max(seconds(c.RingFor), 1),
		ExpiresAt: end(c.ValidFor), ReceiptURL: c.CallbackURL,
	})
}

// end is when a message is worth nothing any more.
func end(life time.Duration) time.Time { return time.Now().Add(life).UTC().Truncate(time.Millisecond) }

func seconds(d time.Duration) int { return int(d / time.Second) }

// send signs and posts one message.
func (g *Gateway) send(ctx context.Context, name delivery.Name, m message) (delivery.Receipt, error) {
	refused := delivery.Receipt{}
	if !slices.Contains(g.channels, m.Channel) {
		return refused, delivery.Permanent(events.ReasonNotConfigured, fmt.Errorf("adapter %s does not carry %s", g.name, m.Channel))
	}
	m.Type, m.MessageID, m.Attempt = messageType, name.Message(), name.Attempt
	body, err := json.Marshal(m)
	if err != nil {
		return refused, fmt.Errorf("write message for adapter %s: %w", g.name, err)
	}
	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	if err := g.post(ctx, m.MessageID, body); record.Status() == 0 {
		if err == nil {
			err = errors.New("no answer was recorded")
		}
		return refused, record.Lost(fmt.Errorf("call adapter %s: %w", g.name, exchange.Bare(err)))
	}
	return g.receipt(record, m)
}

// post makes the call. What the answer says is in the record.
func (g *Gateway) post(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("build request: %w", exchange.Bare(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "assent")
	if err := g.key.Sign(req.Header, id, time.Now(), body); err != nil {
		return err
	}
	res, err := g.http.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
