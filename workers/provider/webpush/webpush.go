// Package webpush carries notifications to browsers through the push services of their makers
// (RFC 8030), encrypted so that only the browser reads them (RFC 8291) and signed so that the
// service knows us (VAPID, RFC 8292). It turns one delivery.Push into one call and the answer
// into a receipt or a marked error. Whoever joins names the push service, so the package minds
// where it calls.
package webpush

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	library "github.com/SherClockHolmes/webpush-go"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// maxText is what fits in the 4,096 bytes that every push service takes (RFC 8030, section 7.2), without
// the header, the tag and the byte that ends the text.
const maxText = 3993

// callTimeout bounds one call.
const callTimeout = 10 * time.Second

// maxTopic is how long a topic may be (RFC 8030, section 5.4).
const maxTopic = 32

// Gateway sends messages to browsers. It is safe for concurrent use.
type Gateway struct {
	client  *http.Client
	allowed hosts
	standIn StandIn
	options library.Options
}

// New builds the gateway, which needs a subject and a private key. It calls nobody. The client is
// one of NewHTTPClient, which keeps calls out of private networks; it is copied, not changed.
func New(cfg Config, client *http.Client) (*Gateway, error) {
	faults := cfg.Validate()
	if cfg.PrivateKey == "" {
		faults = append(faults, errors.New("private_key: missing"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("configure webpush: %w", errors.Join(faults...))
	}
	public, err := PublicKey(cfg.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("configure webpush: %w", err)
	}
	return &Gateway{
		client: exchange.Client(client), allowed: cfg.hosts(), standIn: cfg.StandIn,
		options: library.Options{
			Subscriber: strings.TrimPrefix(cfg.Subject, "mailto:"), // the library puts it back
			Urgency:    library.UrgencyHigh, VAPIDPublicKey: public, VAPIDPrivateKey: cfg.PrivateKey,
		},
	}, nil
}

// SendPush makes one call. All sends of a verification share a topic, so that of two waiting for
// a browser that is offline only the newer is handed over.
func (g *Gateway) SendPush(ctx context.Context, m delivery.Push) (delivery.Receipt, error) {
	to, err := webpush.Parse(m.To.Reveal())
	if err != nil {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonDeviceGone, errors.New("the push token is no subscription"))
	}
	if !g.standIn.has(to.Endpoint) && !g.allowed.take(to.Endpoint) {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonNotConfigured, errors.New("the push service is none that is called"))
	}
	text, err := json.Marshal(data(m))
	if err != nil {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused, fmt.Errorf("encode the message: %w", err))
	}
	if len(text) > maxText {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused,
			fmt.Errorf("the message has %d bytes, push services take %d", len(text), maxText))
	}

	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	options := g.options
	options.HTTPClient = g.client
	options.Topic = topic(m.VerificationID)
	options.TTL = int(max(0, time.Until(m.ExpiresAt)) / time.Second)
	res, err := library.SendNotificationWithContext(ctx, text, &library.Subscription{
		Endpoint: to.Endpoint, Keys: library.Keys{Auth: to.Keys.Auth, P256dh: to.Keys.P256dh},
	}, &options)
	if err == nil {
		_ = res.Body.Close() // the record has read it
	}
	return delivery.Receipt{}, classify(record, err)
}

// data is what the page's worker gets: the message's data, the sentences to draw, and the code of a message that brings one.
func data(m delivery.Push) map[string]string {
	all := make(map[string]string, len(m.Data)+3)
	for key, value := range m.Data {
		all[key] = value
	}
	all["title"], all["body"] = m.Title, m.Body.Reveal()
	if m.Code != "" {
		all["code"] = m.Code.Reveal()
	}
	return all
}

// topic stands for a verification, whose id is longer than a topic may be.
func topic(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:maxTopic]
}
