// Package twilio carries text messages and phone calls through Twilio's 2010 API. It turns
// one delivery.SMS or delivery.Call into one call and the answer into a receipt or a marked
// error; it renders nothing, retries nothing and does not check callbacks. The composition
// root hands it to packages sms and voice.
package twilio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// callTimeout bounds one call, even where the delivery has longer to live.
const callTimeout = 10 * time.Second

// Twilio's bounds, in seconds, for how long a message may wait and a phone may ring. The
// published bound of waiting is 36000; 14400 is what all its senders accept.
const (
	maxValidity = 14400
	maxRinging  = 600
)

// Gateway sends text messages and starts calls. It is safe for concurrent use.
type Gateway struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// New builds the gateway from a valid configuration. The client is copied, not changed.
func New(cfg Config, client *http.Client) (*Gateway, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure twilio: %w", errors.Join(faults...))
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = defaultBaseURL
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("configure twilio: base_url: %w", exchange.Bare(err))
	}
	return &Gateway{cfg: cfg, base: base, http: exchange.Client(client)}, nil
}

// NewHTTPClient is a client whose connections outlive a burst.
func NewHTTPClient() *http.Client { return exchange.Pool(callTimeout) }

// SendSMS makes one call. Twilio has no idempotency key, so a message of unknown fate may
// arrive twice when it is sent again.
func (g *Gateway) SendSMS(ctx context.Context, m delivery.SMS) (delivery.Receipt, error) {
	params := (&api.CreateMessageParams{}).
		SetTo(m.To.Reveal()).
		SetBody(m.Body.Reveal()).
		SetValidityPeriod(seconds(m.ValidFor, maxValidity)).
		// Twilio keeps neither the code nor the whole number in its logs.
		SetContentRetention("discard").
		SetAddressRetention("obfuscate")
	if g.cfg.MessagingServiceSID != "" {
		params.SetMessagingServiceSid(g.cfg.MessagingServiceSID)
	} else {
		params.SetFrom(g.cfg.From)
	}
	if m.CallbackURL != "" {
		params.SetStatusCallback(m.CallbackURL)
	}

	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	message, err := g.service(ctx).CreateMessage(params)
	var id *string
	if message != nil {
		id = message.Sid
	}
	return receipt(record, id, err)
}

// StartCall makes one call to the API, which rings the phone and then follows the script.
// Its receipt says that the phone will ring, not that somebody answered.
func (g *Gateway) StartCall(ctx context.Context, c delivery.Call) (delivery.Receipt, error) {
	if g.cfg.From == "" {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonNotConfigured,
			errors.New("twilio.from is not configured, and calls need a number"))
	}
	params := (&api.CreateCallParams{}).
		SetTo(c.To.Reveal()).
		SetFrom(g.cfg.From).
		SetTwiml(c.Script.Reveal()).
		SetTimeout(seconds(c.RingFor, maxRinging))
	if c.CallbackURL != "" {
		params.SetStatusCallback(c.CallbackURL).
			SetStatusCallbackEvent([]string{"initiated", "ringing", "answered", "completed"})
	}

	ctx, record, end := exchange.Begin(ctx, callTimeout)
	defer end()
	call, err := g.service(ctx).CreateCall(params)
	var id *string
	if call != nil {
		id = call.Sid
	}
	return receipt(record, id, err)
}

func (g *Gateway) service(ctx context.Context) *api.ApiService {
	return api.NewApiServiceWithClient(bound{ctx: ctx, gateway: g})
}

// receipt settles what the call came to.
func receipt(record *exchange.Record, id *string, err error) (delivery.Receipt, error) {
	switch status := record.Status(); {
	case status == 0:
		if err == nil {
			err = errors.New("no answer was recorded")
		}
		return delivery.Receipt{}, record.Lost(fmt.Errorf("call twilio: %w", exchange.Bare(err)))
	case status < 200 || status > 299:
		return delivery.Receipt{}, classify(record)
	case err != nil || id == nil || *id == "":
		// The decoder's error is left out: it may quote the answer, and the answer the message.
		return delivery.Receipt{}, delivery.Unknown(fmt.Errorf("twilio answered %d without an id that can be read", status))
	default:
		return delivery.Receipt{ID: *id}, nil
	}
}

// seconds is d in whole seconds, within Twilio's bounds.
func seconds(d time.Duration, most int) int { return min(max(int(d/time.Second), 1), most) }

// errRefused stops the SDK from decoding a refusal; the record has what it says.
var errRefused = errors.New("twilio refused")

// bound is the SDK's client for one call. The SDK takes no context, loses the headers of an
// error and leaves its body open, so requests go out here instead: with the call's context,
// to the configured address, once.
type bound struct {
	// The context lives for one call only; the SDK's interface has no other place for it.
	ctx     context.Context
	gateway *Gateway
}

// SendRequest sends one form. The host that the SDK built, from its own constants and from
// TWILIO_EDGE and TWILIO_REGION, is replaced.
func (b bound) SendRequest(method, raw string, form url.Values, _ map[string]any, _ ...byte) (*http.Response, error) {
	built, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("read the built URL: %w", exchange.Bare(err))
	}
	target := b.gateway.base.JoinPath(built.Path)
	req, err := http.NewRequestWithContext(b.ctx, method, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", exchange.Bare(err))
	}
	req.SetBasicAuth(b.gateway.cfg.AccountSID, b.gateway.cfg.AuthToken)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "assent twilio-go/"+sdk.LibraryVersion)
	res, err := b.gateway.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		_ = res.Body.Close() // read already, into the record
		return nil, errRefused
	}
	return res, nil
}

// AccountSid is what the SDK puts into paths.
func (b bound) AccountSid() string {
	return b.gateway.cfg.AccountSID
}

// SetTimeout does nothing: the context bounds the call.
func (bound) SetTimeout(time.Duration) {}

// SetOauth does nothing: calls authenticate with the account's token.
func (bound) SetOauth(sdk.OAuth) {}

// OAuth is never used.
func (bound) OAuth() sdk.OAuth { return nil }
