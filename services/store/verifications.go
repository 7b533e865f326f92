// Package store keeps verifications, users, devices and credentials on JetStream. It
// reads, calls the domain, and writes by compare-and-set; it decides nothing itself.
//
// A verification is the fold of two records: the activation, written once, and the
// outcome, written by compare-and-set only. The api and the verifier call it; workers do not.
package store

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// Config is what a store of verifications needs.
type Config struct {
	Keys *keyring.Keyring
	Limits
	// Prompts limits unanswered push approvals; its zero value does not.
	Prompts PromptLimits
	Now     func() time.Time
	// Autofill is what holds for the codes of text messages whose requests name no origin or app of their own.
	Autofill autofill.Hint
	// Authenticators compares the codes of authenticator apps; without it verifications on channel totp
	// take no codes.
	Authenticators Authenticators
	// Suppressions knows whom nothing is sent to; without it messages go to everybody. Suppressed is told of
	// each message that is kept back, by channel; it may be nil.
	Suppressions SuppressionList
	Suppressed   func(channel string)
}

// Authenticators knows the secrets of authenticator apps.
type Authenticators interface {
	// CheckCode compares a one-time code with the secret of an account's device, and takes each right
	// value once. It fails with *verification.LimitError after too many wrong ones.
	CheckCode(ctx context.Context, account, deviceID string, code verification.Code) (right bool, err error)
}

// Verifications creates, reads and resolves verifications. It is safe for concurrent use.
type Verifications struct {
	*Resolver
	cfg      Config
	changes  *stream.Changes
	asked    *stream.Changes
	inFlight inFlight
}

// NewVerifications opens the store. The streams must exist. Close ends it.
func NewVerifications(ctx context.Context, js jetstream.JetStream, cfg Config) (*Verifications, error) {
	s := &Verifications{cfg: cfg}
	var err error
	if s.Resolver, err = NewResolver(ctx, js, cfg.Limits, cfg.Now); err != nil {
		return nil, err
	}
	s.Honour(cfg.Suppressions, cfg.Suppressed)
	s.LimitPrompts(cfg.Prompts)
	if s.asked, err = stream.NewAsked(js.Conn()); err != nil {
		return nil, err
	}
	s.changes, err = stream.NewChanges(js.Conn())
	return s, err
}

// Close stops listening for changes.
func (s *Verifications) Close() {
	s.changes.Close()
	s.asked.Close()
}

// Create makes the record and queues the delivery with one publish. Under an idempotency key that
// was used before it returns the first answer again and true. It fails with a *suppression.RefusedError,
// *verification.LimitError, ErrIdempotencyMismatch, ErrIdempotencyInProgress, or ErrUnavailable,
// after which nothing was sent, or, when the broker's answer was lost, the message may have been queued.
func (s *Verifications) Create(ctx context.Context, a verification.Activation) (verification.Verification, bool, error) {
	event, err := s.activated(a)
	if err != nil {
		return verification.Verification{}, false, err
	}
	if a.Backups {
		if err := s.withoutSuppressed(ctx, &event); err != nil {
			return verification.Verification{}, false, err
		}
	}
	if a.IdempotencyKey == "" {
		return s.publish(ctx, event)
	}
	if !s.inFlight.begin(event.ID) {
		return verification.Verification{}, false, verification.ErrIdempotencyInProgress
	}
	defer s.inFlight.end(event.ID)
	v, err := s.replay(ctx, event)
	if !errors.Is(err, stream.ErrAbsent) {
		return v, err == nil, err
	}
	v, _, err = s.publish(ctx, event, stream.ExpectingNone(events.ActivationByID(event.ID)))
	var limit *verification.LimitError
	if errors.Is(err, stream.ErrConflict) || errors.As(err, &limit) {
		// Another process was first under this key: its answer counts, also where it took the last of a limit.
		if first, again := s.replay(ctx, event); !errors.Is(again, stream.ErrAbsent) {
			return first, again == nil, again
		}
	}
	return v, false, err
}

// IDFor is the id that a request under an idempotency key gets: the same for the same key of the
// same credential, so that the record itself is what is found again.
func (s *Verifications) IDFor(credential, idempotencyKey string) string {
	sum, err := s.cfg.Keys.Sum(s.cfg.Keys.CurrentID(), keyring.Idempotency, credential, idempotencyKey)
	if err != nil {
		return "" // a keyring without its root key: Create says so
	}
	return uuidOf(sum)
}

// uuidOf shapes a hash as a UUID of version 8 (RFC 9562 section 5.8).
func uuidOf(sum []byte) string {
	b := append([]byte{}, sum[:16]...)
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// replay is the first answer under an idempotency key; stream.ErrAbsent when there was none.
func (s *Verifications) replay(ctx context.Context, again events.VerificationActivated) (verification.Verification, error) {
	rec, err := s.activations.Last(ctx, events.ActivationByID(again.ID))
	if errors.Is(err, stream.ErrAbsent) {
		return verification.Verification{}, err
	}
	if err != nil {
		return verification.Verification{}, unavailable(err)
	}
	first, err := events.Decode[events.VerificationActivated](rec.Data)
	if err != nil {
		return verification.Verification{}, err
	}
	if subtle.ConstantTimeCompare(first.Fingerprint, again.Fingerprint) != 1 {
		return verification.Verification{}, verification.ErrIdempotencyMismatch
	}
	return fold(first, nil, 0), nil
}

// publish takes the send windows, stores the activation, and closes the push approvals that it replaces. What was
// taken is given back when the activation is refused.
func (s *Verifications) publish(ctx context.Context, event events.VerificationActivated, options ...stream.Option) (verification.Verification, bool, error) {
	data, err := events.Encode(event)
	if err != nil {
		return verification.Verification{}, false, err
	}
	if err := s.suppressed(ctx, event); err != nil {
		return verification.Verification{}, false, err
	}
	v := fold(event, nil, 0)
	asked, err := s.takePrompt(ctx, v, v.CreatedAt)
	if err != nil {
		return verification.Verification{}, false, err
	}
	giveBack, err := s.takeWindows(ctx, event, "")
	if err != nil {
		asked.giveBack(ctx)
		return verification.Verification{}, false, err
	}
	if len(event.Fallback) > 0 {
		// Before the record: a timer without one changes nothing, and one that is missing would never be.
		if err := s.timeStep(ctx, event, 1); err != nil {
			giveBack(ctx)
			asked.giveBack(ctx)
			return verification.Verification{}, false, unavailable(err)
		}
	}
	options = append(options, stream.WithTTL(event.ExpiresAt.Sub(s.cfg.Now())+events.Grace))
	if _, err := s.pub.Put(ctx, events.ActivationSubject(event.Channel, event.ID), data, options...); err != nil {
		if errors.Is(err, stream.ErrConflict) {
			giveBack(ctx)
			return verification.Verification{}, false, err // the prompt in the record is that of who was first
		}
		return verification.Verification{}, false, unavailable(err)
	}
	s.recent.put(event)
	asked.replace(ctx)
	return v, false, nil
}

// activated turns an activation into its event: the secrets hashed and sealed, the address hashed.
func (s *Verifications) activated(a verification.Activation) (events.VerificationActivated, error) {
	v, keys := a.Verification, s.cfg.Keys
	e := events.VerificationActivated{
		Version: events.Version, ID: v.ID, Credential: v.Credential, Client: a.Client,
		Channel: events.Channel(v.Channel), Challenge: events.Challenge(v.Challenge), Send: 1,
		UserID: v.UserID, DeviceID: v.DeviceID, ToMasked: v.ToMasked, Locale: v.Locale, Brand: v.Brand,
		Context:  events.Context(v.Context),
		Metadata: v.Metadata, KeyID: keys.CurrentID(), CodeLength: v.CodeLength, MaxChecks: v.MaxChecks, NumberLength: v.NumberLength,
		Trial: v.Trial, CreatedAt: v.CreatedAt, RequestedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt,
	}
	var err error
	first := verification.Road{To: a.To, Platform: a.Platform, PublicKey: a.PublicKey}
	if e.Device, e.Destination, e.Content, err = s.road(a, e.Channel, first); err != nil {
		return e, err
	}
	for i, step := range v.Fallback {
		f := events.FallbackStep{
			Channel: events.Channel(step.Channel), After: int(step.After / time.Second), DeviceID: step.DeviceID, UserID: step.UserID,
			ToMasked: step.ToMasked,
		}
		if f.Device, f.Destination, f.Content, err = s.road(a, f.Channel, a.Roads[i]); err != nil {
			return e, err
		}
		e.Fallback = append(e.Fallback, f)
	}
	if secret := a.Secrets.Code.Reveal() + a.Secrets.Token.Reveal(); secret != "" { // it has one of them
		if e.SecretHash, err = keys.Sum(e.KeyID, keyring.Checks, e.ID, secret); err != nil {
			return e, fmt.Errorf("hash secret: %w", err)
		}
	}
	if err := s.keepNumber(&e, a.Secrets.Number); err != nil {
		return e, err
	}
	if a.IdempotencyKey != "" {
		if e.Fingerprint, err = keys.Sum(e.KeyID, keyring.Idempotency, v.Credential, string(a.Body)); err != nil {
			return e, fmt.Errorf("hash request: %w", err)
		}
	}
	return e, nil
}

// keepNumber puts the number to match into a record: hashed for whoever compares, and sealed for the client that
// shows it. It goes into no message, or as one of the choices, which do not tell it.
func (s *Verifications) keepNumber(e *events.VerificationActivated, number verification.Code) error {
	if number == "" {
		return nil
	}
	var err error
	if e.NumberHash, err = s.cfg.Keys.Sum(e.KeyID, keyring.Checks, e.ID, number.Reveal()); err != nil {
		return fmt.Errorf("hash number: %w", err)
	}
	sealed, err := s.cfg.Keys.Seal(keyring.Records, numberOf(e.ID), []byte(number.Reveal()))
	if err != nil {
		return fmt.Errorf("seal number: %w", err)
	}
	e.Number = &sealed
	if asksPhone(*e) {
		salt, err := s.saltOf(e.KeyID, e.ID)
		if err != nil {
			return err
		}
		e.NumberDigest = device.NumberDigest(salt, number.Reveal())
	}
	return nil
}

// numberOf binds the sealed number to its verification.
func numberOf(id string) string { return id + "/number" }

// MatchNumber is the number that the person must match, to be shown where they began; empty where there is none, or
// nothing waits for it any more. It fails with ErrNotFound.
func (s *Verifications) MatchNumber(ctx context.Context, v verification.Verification) (verification.Code, error) {
	if v.NumberLength == 0 || v.Status.Closed() {
		return "", nil
	}
	a, err := s.activation(ctx, v.ID)
	if err != nil || a.Number == nil {
		return "", err
	}
	number, err := s.cfg.Keys.Open(keyring.Records, numberOf(v.ID), *a.Number)
	if err != nil {
		return "", fmt.Errorf("open number: %w", err)
	}
	return verification.Code(number), nil
}

// road is what a channel's worker needs for one way to the person: the app install where it is one, the
// hash of the address, and what goes there, sealed.
func (s *Verifications) road(a verification.Activation, c events.Channel, r verification.Road) (
	app *events.PushDevice, destination string, sealed events.Sealed, err error,
) {
	if r.Platform != "" {
		app = &events.PushDevice{Platform: r.Platform, PublicKey: r.PublicKey}
	}
	var hint autofill.Hint
	if c == events.SMS && a.Verification.Challenge == verification.CodeChallenge {
		hint = autofill.Hint(a.Autofill).Or(s.cfg.Autofill)
	}
	salt := ""
	if c == events.Push && a.Verification.Challenge == verification.ApprovalChallenge {
		if salt, err = s.saltOf(s.cfg.Keys.CurrentID(), a.Verification.ID); err != nil {
			return nil, "", sealed, err
		}
	}
	content, err := json.Marshal(events.DeliveryContent{
		To: r.To, Code: a.Secrets.Code.Reveal(), Token: a.Secrets.Token.Reveal(), Text: a.Text, RedirectTo: a.RedirectTo,
		Choices: a.Choices, NumberSalt: salt, Origin: hint.Origin, AppHash: hint.AppHash,
	})
	if err != nil {
		return nil, "", sealed, fmt.Errorf("encode delivery content: %w", err)
	}
	if sealed, err = s.cfg.Keys.Seal(keyring.Channel(c), a.Verification.ID, content); err != nil {
		return nil, "", sealed, fmt.Errorf("seal delivery content: %w", err)
	}
	if c != events.TOTP { // that sends to nobody
		destination, err = s.destination(sameTo(c, r.To))
	}
	return app, destination, sealed, err
}

// sameTo is equal for addresses that reach the same person. Nearly all mailboxes take their name in
// either case, so without this each spelling would have a send limit of its own.
func sameTo(c events.Channel, to string) string {
	if c == events.Email {
		return strings.ToLower(to)
	}
	return to
}

// destination is what stands for an address in subjects.
func (s *Verifications) destination(address string) (string, error) {
	return destinationOf(s.cfg.Keys, address)
}

// destinationOf is 128 bits of an address's keyed hash.
func destinationOf(keys *keyring.Keyring, address string) (string, error) {
	sum, err := keys.Sum(keys.CurrentID(), keyring.Destination, address)
	if err != nil {
		return "", fmt.Errorf("hash destination: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum[:16]), nil
}

// Deliveries is what was reported of a verification's messages, oldest first.
func (s *Verifications) Deliveries(ctx context.Context, id string) ([]events.DeliverySettled, error) {
	if !events.ValidID(id) {
		return nil, verification.ErrNotFound
	}
	a, err := s.activation(ctx, id)
	if err != nil {
		return nil, err
	}
	reports, err := s.deliveries.Reports(ctx, id)
	if err != nil && !errors.Is(err, events.ErrUndecodable) { // those that can be read are told
		return nil, unavailable(err)
	}
	return ours(reports, a.CreatedAt), nil
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", verification.ErrUnavailable, err) }
