// Package apns carries notifications to Apple devices over APNs' HTTP/2 API with token
// authentication. It turns one delivery.Push into one call and the answer into a receipt or
// a marked error; what the notification says is package push's affair, and the person's
// answer comes back from the app, not from here. The composition root hands it to package push.
package apns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/payload"
	"github.com/sideshow/apns2/token"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// Category names the buttons that the app registers for approvals which take a plain yes or no.
const Category = "ASSENT_APPROVAL"

// maxPayload is APNs' limit for everything but calls, in bytes of JSON.
const maxPayload = 4096

// maxCollapseID is APNs' limit in bytes.
const maxCollapseID = 64

// callTimeout bounds one call, even where the delivery has longer to live.
const callTimeout = 10 * time.Second

// Gateway sends notifications over one shared connection. It is safe for concurrent use.
type Gateway struct {
	client *apns2.Client
	signer *signer
	topic  string
}

// New builds the gateway and signs a first provider token, so that a key that cannot sign is
// told at once. The client comes from NewHTTPClient; it is copied, not changed. Gateways of one
// key make the same tokens: APNs throttles teams that bring new ones too often.
func New(cfg Config, client *http.Client) (*Gateway, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure apns: %w", errors.Join(faults...))
	}
	pem, err := cfg.signingKey()
	if err != nil {
		return nil, fmt.Errorf("configure apns: %w", err)
	}
	key, err := token.AuthKeyFromBytes(pem)
	if err != nil {
		return nil, fmt.Errorf("configure apns: read the signing key: %w", err)
	}
	s, err := newSigner(key, cfg.KeyID, cfg.TeamID)
	if err == nil {
		_, err = s.token(time.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("configure apns: sign a provider token: %w", err)
	}
	return &Gateway{
		// IssuedAt keeps the SDK from making a token of its own.
		client: &apns2.Client{Host: cfg.host(), Token: &token.Token{IssuedAt: never}, HTTPClient: exchange.Client(client)},
		signer: s,
		topic:  cfg.Topic,
	}, nil
}

// SendPush makes one call. The same verification and send always carry the same apns-id,
// and all sends of a verification one collapse id, so that a repeat shows one banner.
func (g *Gateway) SendPush(ctx context.Context, m delivery.Push) (delivery.Receipt, error) {
	device := m.To.Reveal()
	if !pathSafe(device) {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonDeviceGone, errors.New("the push token is not one of APNs"))
	}
	n := g.notification(device, m)
	body, err := n.MarshalJSON()
	if err != nil {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused, fmt.Errorf("encode the notification: %w", err))
	}
	if len(body) > maxPayload {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused,
			fmt.Errorf("the notification has %d bytes, APNs takes %d", len(body), maxPayload))
	}

	if err := g.sign(time.Now()); err != nil {
		return delivery.Receipt{}, delivery.Misconfigured(err)
	}
	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	_, err = g.client.PushWithContext(ctx, n)
	if record.Status() == 0 {
		if err == nil {
			err = errors.New("no answer was recorded")
		}
		return delivery.Receipt{}, record.Lost(fmt.Errorf("call apns: %w", exchange.Bare(err)))
	}
	// The SDK's own response has no status where the body is not JSON, and no headers at all.
	if err := classify(record); err != nil {
		return delivery.Receipt{}, err
	}
	id := record.Get("Apns-Id")
	if id == "" {
		id = n.ApnsID
	}
	return delivery.Receipt{ID: id}, nil
}

// never is a time of issue whose token does not end.
const never = 1 << 60

// sign gives the client the token of the half hour.
func (g *Gateway) sign(now time.Time) error {
	bearer, err := g.signer.token(now)
	if err != nil {
		return fmt.Errorf("sign a provider token: %w", err)
	}
	g.client.Token.Lock()
	defer g.client.Token.Unlock()
	g.client.Token.Bearer = bearer
	return nil
}

func (g *Gateway) notification(device string, m delivery.Push) *apns2.Notification {
	p := payload.NewPayload().
		AlertTitle(m.Title).
		AlertBody(m.Body.Reveal()).
		Sound("default").
		InterruptionLevel(payload.InterruptionLevelTimeSensitive)
	if m.Buttons {
		p.Category(Category)
	}
	if m.Code != "" {
		p.Custom("code", m.Code.Reveal())
	}
	for key, value := range m.Data {
		p.Custom(key, value)
	}
	return &apns2.Notification{
		ApnsID:      messageID(m),
		CollapseID:  collapseID(m.VerificationID),
		DeviceToken: device,
		Topic:       g.topic,
		Expiration:  expiration(m.ExpiresAt, time.Now()),
		Priority:    apns2.PriorityHigh,
		PushType:    apns2.PushTypeAlert,
		Payload:     p,
	}
}

// messageID is the apns-id: equal for all attempts to send one message.
func messageID(m delivery.Push) string {
	name := "assent:" + m.Message()
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String()
}

// collapseID is the verification's id, or its hash where that is too long for APNs.
func collapseID(id string) string {
	if len(id) <= maxCollapseID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// expiration never is the zero time or the epoch: for those apns2 leaves the header out and
// APNs keeps the question for weeks. An instant that is past means one try and no storing.
func expiration(at, now time.Time) time.Time {
	if !at.After(time.Unix(0, 0)) {
		return now
	}
	return at
}

// pathSafe tells whether a push token can stand in the path of a URL as it is. Apple's are
// hexadecimal and of no fixed length.
func pathSafe(device string) bool {
	return device != "" && len(device) <= 512 && !strings.ContainsFunc(device, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		return !letter && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
