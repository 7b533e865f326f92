// Package fcm carries notifications to Android devices through Firebase Cloud Messaging. It
// turns one delivery.Push into one call and the answer into a receipt or a marked error;
// what the notification says is package push's affair. The Firebase SDK is heavy, so the
// push worker alone imports this package.
package fcm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// maxData is FCM's limit for the data of one message, in bytes of keys and values.
const maxData = 4096

// callTimeout bounds one call, the fetch of a token included. The SDK has no bound of its own.
const callTimeout = 10 * time.Second

// Gateway sends data messages. It is safe for concurrent use.
type Gateway struct {
	client *messaging.Client
	tokens *tokens
}

// New builds the gateway and reads its credentials, so that a key that cannot sign stops the
// start. It calls nobody. The client is copied, not changed; it also fetches access tokens.
func New(ctx context.Context, cfg Config, client *http.Client) (*Gateway, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure fcm: %w", errors.Join(faults...))
	}
	account, err := cfg.account(client)
	if err != nil {
		return nil, fmt.Errorf("configure fcm: %w", err)
	}
	authorized := *client
	authorized.Transport = account.tokens.transport(client.Transport)
	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: account.project},
		option.WithHTTPClient(exchange.Client(&authorized)), option.WithEndpoint(cfg.endpoint()))
	if err != nil {
		return nil, fmt.Errorf("configure fcm: %w", err)
	}
	messages, err := app.Messaging(ctx)
	if err != nil {
		return nil, fmt.Errorf("configure fcm: %w", err)
	}
	return &Gateway{client: messages, tokens: account.tokens}, nil
}

// SendPush makes one call. All sends of a verification share a collapse key, so that of two
// waiting for a device that is offline only the newer is handed over.
func (g *Gateway) SendPush(ctx context.Context, m delivery.Push) (delivery.Receipt, error) {
	if m.To == "" {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonDeviceGone, errors.New("the device has no push token"))
	}
	data := data(m)
	if size := size(data); size > maxData {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused,
			fmt.Errorf("the data has %d bytes, FCM takes %d", size, maxData))
	}

	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	if err := g.tokens.refresh(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	ttl := max(0, time.Until(m.ExpiresAt)).Truncate(time.Second)
	id, err := g.client.Send(ctx, &messaging.Message{
		Token: m.To.Reveal(),
		Data:  data,
		// High priority wakes the app at once; a notification of FCM's own would be drawn
		// without the app, and without buttons.
		Android: &messaging.AndroidConfig{Priority: "high", TTL: &ttl, CollapseKey: m.VerificationID},
	})
	if err := classify(record, id, err); err != nil {
		return delivery.Receipt{}, err
	}
	return delivery.Receipt{ID: id}, nil
}

// data is what the app gets: the message's data, the sentences to draw, and the code of a message that brings one.
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

func size(data map[string]string) int {
	n := 0
	for key, value := range data {
		n += len(key) + len(value)
	}
	return n
}
