// Package callbacks receives what providers call back with: Twilio's message and
// call statuses, key presses and replies, SendGrid's event webhook, and the receipts
// of adapters. Each call is authenticated by the provider's own signature, translated
// into an event and published; nothing is decided here, the verifier does that. The
// HTTP server mounts the handler at /callbacks/.
//
// Calls may come twice, late or out of order. A receipt is believed only of a provider
// that was called for the message, and published only where it says more than what is
// known of that call; every event carries an id made of the provider's own id, so that
// the broker drops repetitions that come at the same time.
package callbacks

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/twilio/twilio-go/client"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webhook"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

const (
	// maxForm bounds a Twilio form; a long inbound message is far below it.
	maxForm = 64 << 10
	// maxReceipt bounds an adapter's receipt.
	maxReceipt = 16 << 10
	// maxBatch bounds a SendGrid batch, which is posted at 768 KB at the latest.
	maxBatch = 1 << 20
	// answerWithin stays under the 15 seconds after which Twilio gives up.
	answerWithin = 10 * time.Second
	// defaultMaxAge is how old the signature of a SendGrid batch may be.
	defaultMaxAge = 5 * time.Minute
)

// Verifications reads what callbacks refer to.
type Verifications interface {
	// Get fails with verification.ErrNotFound for an unknown id.
	Get(ctx context.Context, id string) (verification.Verification, error)
	// Asked is Get without what became of the verification.
	Asked(ctx context.Context, id string) (verification.Verification, error)
	// Code is the code of an open voice verification. It fails with verification.ErrNotFound,
	// ErrClosed or ErrChallenge where there is none to read out.
	Code(ctx context.Context, id string) (verification.Verification, verification.Code, error)
	// NumberHash is the keyed hash of digits that came with an approval.
	NumberHash(ctx context.Context, id, digits string) ([]byte, error)
	// Await returns as soon as the verification differs from the revision seen or is closed, or ctx ends: then it
	// is as it was last known, without an error.
	Await(ctx context.Context, id string, seen uint64) (*verification.Verification, error)
	// OpenApprovals lists the open SMS approvals sent to an address, newest first.
	OpenApprovals(ctx context.Context, address string) ([]verification.Verification, error)
}

// Notifications takes what providers say of messages of notifications.
type Notifications interface {
	// Received keeps what says something new of a call, durably, before it returns. It fails with
	// verification.ErrNotFound where the provider was not called for the message.
	Received(ctx context.Context, r events.MessageReceipt) (notification.Call, error)
}

// Deliveries publishes what providers report, durably, before it returns.
type Deliveries interface {
	Settle(ctx context.Context, d events.DeliverySettled) error
}

// Responses publishes what people answer, durably, before it returns.
type Responses interface {
	Respond(ctx context.Context, r events.ResponseReceived) error
}

// Replies remembers which verification a text message answered. Bind returns the id that the
// reply was bound to first, which is id itself the first time. Without it a recorded reply that is
// played back after the broker forgot it could answer the next question to the same number.
type Replies interface {
	Bind(ctx context.Context, reply, id string) (string, error)
}

// Scripts renders what a call says next, as TwiML.
type Scripts interface {
	// Code reads a code out, and what it is for.
	Code(v verification.Verification, code string) (string, error)
	// Answer thanks for a decision; an empty one is a number, of which nobody knows yet whether it is right.
	Answer(locale, brand string, d events.Decision) (string, error)
	// Retry asks the question again after keys that mean nothing: for one key, or for v.NumberLength digits. The
	// keys come back as the same try, which may be empty.
	Retry(v verification.Verification, try string) (string, error)
	// Mismatch says that a number was wrong, and asks for it again, as another try.
	Mismatch(v verification.Verification, try string) (string, error)
	// Compared tells what came of a number where it was the last one.
	Compared(locale string, matched bool) (string, error)
	Goodbye(locale string) (string, error)
}

// Config is what the handler needs. Verifications, Reports, Deliveries, Responses, Scripts, Decision,
// Number and PublicURL are required.
type Config struct {
	// PublicURL is the address that providers were given, which their signatures cover. The Host
	// header of a request plays no part.
	PublicURL func() string
	// TwilioAuthToken signs Twilio's callbacks; without it they are all refused.
	TwilioAuthToken string
	// SendGridKey verifies SendGrid's batches; without it they are all refused.
	SendGridKey *ecdsa.PublicKey
	// SendGridMaxAge is how far a batch's timestamp may be off; zero means five minutes.
	SendGridMaxAge time.Duration
	// Adapters verify the receipts of the configured adapters, by their names.
	Adapters map[string]webhook.Key

	Verifications Verifications
	// Reports is what was reported of a verification's messages so far.
	Reports    func(ctx context.Context, id string) ([]events.DeliverySettled, error)
	Deliveries Deliveries
	// Notifications takes the reports about their messages; without it they are about nothing that exists.
	Notifications Notifications
	Responses     Responses
	Replies       Replies // optional
	Scripts       Scripts
	// Suppressions takes what is said of addresses that get no messages; without it nothing is noted.
	Suppressions Suppressions
	// Decision reads a reply to a text message; false when it says neither yes nor no.
	Decision func(reply string) (events.Decision, bool)
	// Number reads a reply as the number on the person's screen, in digits of ASCII; false when it is none.
	Number func(reply string) (digits string, ok bool)

	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil: nothing is logged
	Registerer prometheus.Registerer
}

// ParseSendGridKey reads the verification key as SendGrid's console shows it: base64 of a PKIX public key.
func ParseSendGridKey(s string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("read SendGrid verification key: %w", err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("read SendGrid verification key: %w", err)
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("read SendGrid verification key: not an ECDSA key")
	}
	return public, nil
}

type handler struct {
	Config
	twilio  client.RequestValidator
	handled *prometheus.CounterVec
	refused *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

// New makes the handler of everything under /callbacks/.
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.SendGridMaxAge == 0 {
		cfg.SendGridMaxAge = defaultMaxAge
	}
	metrics := promauto.With(cfg.Registerer)
	h := &handler{
		Config: cfg,
		twilio: client.NewRequestValidator(cfg.TwilioAuthToken),
		handled: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_callbacks_total",
			Help: "Authenticated callbacks of providers, by what became of them.",
		}, []string{"provider", "kind", "result"}),
		refused: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_callbacks_refused_total",
			Help: "Callbacks that were not believed or could not be read.",
		}, []string{"provider", "reason"}),
		took: metrics.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assent_receipt_seconds",
			Help:    "Time from the call to the provider until its receipt says that the message was delivered.",
			Buckets: []float64{0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120},
		}, []string{"channel", "provider", "route"}),
	}
	mux := http.NewServeMux()
	mux.Handle("/callbacks/twilio/sms/{id}/{step}/{send}/{attempt}", post(h.fromTwilio(h.smsStatus)))
	mux.Handle("/callbacks/twilio/call/{id}/{step}/{send}/{attempt}", post(h.fromTwilio(h.callStatus)))
	// The paths of messages that went out before there were steps.
	mux.Handle("/callbacks/twilio/sms/{id}/{send}", post(h.fromTwilio(h.smsStatus)))
	mux.Handle("/callbacks/twilio/call/{id}/{send}", post(h.fromTwilio(h.callStatus)))
	mux.Handle("/callbacks/twilio/voice/{id}/code", post(h.fromTwilio(h.voiceCode)))
	mux.Handle("/callbacks/twilio/voice/{id}/answer", post(h.fromTwilio(h.voiceAnswer)))
	mux.Handle("/callbacks/twilio/inbound", post(h.fromTwilio(h.inbound)))
	mux.Handle("/callbacks/sendgrid/events", post(h.sendGridEvents))
	mux.Handle("/callbacks/adapters/{name}/{id}/{step}/{send}/{attempt}", post(h.adapterReceipt))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "not_found", "There is no such callback.")
	})
	return mux
}

func post(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "Callbacks are posted.")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		next(w, r.WithContext(ctx))
	})
}

// The results that assent_callbacks_total counts.
const (
	resultPublished = "published"
	resultIgnored   = "ignored"   // says nothing that is not known already
	resultOutranked = "outranked" // says less than, or the contrary of, what is known already
	resultUnknown   = "unknown"   // refers to nothing that exists, or to what another was called for
	resultClosed    = "closed"
	resultSpoken    = "spoken"
	resultUnclear   = "unclear" // the person's answer means nothing
	resultKeyword   = "keyword" // asks for no more messages, for messages again, or for help
	resultGarbage   = "garbage"
	resultFailed    = "failed" // could not be published; the provider may call again
)

// The reasons that assent_callbacks_refused_total counts.
const (
	refusedNotConfigured = "not_configured"
	refusedForged        = "forged"
	refusedStale         = "stale"
	refusedTooLarge      = "too_large"
	refusedMalformed     = "malformed"
	refusedUnknown       = "unknown" // there is no such adapter
)

func (h *handler) count(provider, kind, result string) {
	h.handled.WithLabelValues(provider, kind, result).Inc()
}

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, provider, reason string) {
	h.refused.WithLabelValues(provider, reason).Inc()
	h.Log.WarnContext(r.Context(), "callback refused", "provider", provider, "reason", reason)
	switch reason {
	case refusedTooLarge:
		problem(w, http.StatusRequestEntityTooLarge, "too_large", "The body is larger than a callback can be.")
	case refusedMalformed:
		problem(w, http.StatusBadRequest, "malformed", "The body cannot be read.")
	case refusedUnknown:
		problem(w, http.StatusNotFound, "not_found", "There is no adapter of this name.")
	case refusedStale:
		problem(w, http.StatusForbidden, "stale_signature", "The signature's timestamp is too far from now.")
	default:
		problem(w, http.StatusForbidden, "bad_signature", "The signature does not belong to this request.")
	}
}

// readBody reads at most limit bytes; the second result names why it is refused, or is empty.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, refusal string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, refusedTooLarge
	}
	if err != nil {
		return nil, refusedMalformed
	}
	return body, ""
}

// find reads the verification that a callback names. Ids come from outside and end up in
// subjects, so only a plain UUID is ever looked for.
func (h *handler) find(ctx context.Context, id string) (verification.Verification, error) {
	if !events.ValidID(id) {
		return verification.Verification{}, verification.ErrNotFound
	}
	v, err := h.Verifications.Get(ctx, id)
	if err != nil {
		return verification.Verification{}, fmt.Errorf("find verification of callback: %w", err)
	}
	return v.At(h.Now()), nil
}

// plainToken tells whether a provider's own id is fit for an event: short, and printable without
// spaces, because it also travels in a message header.
func plainToken(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// unavailable answers a call that could not be handled now, so that the provider may repeat it.
func (h *handler) unavailable(w http.ResponseWriter, r *http.Request, provider, kind, id string, err error) {
	h.count(provider, kind, resultFailed)
	h.Log.ErrorContext(r.Context(), "callback not handled", "provider", provider, "kind", kind, "verification_id", id, "err", err)
	problem(w, http.StatusServiceUnavailable, "unavailable", "The callback was not saved. Send it again.")
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone cannot be told anything.
	_ = json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, code, detail})
}
