package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// saltLabel keeps the salt of a number apart from the hashes of codes and numbers, which have two parts.
const saltLabel = "number_salt"

// saltBytes is the length of a salt before it is text.
const saltBytes = 16

// saltOf is the salt that a phone signs its number under, the same in every process.
func (s *Verifications) saltOf(keyID, id string) (string, error) {
	sum, err := s.cfg.Keys.Sum(keyID, keyring.Checks, id, saltLabel, "")
	if err != nil {
		return "", fmt.Errorf("make salt of number: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum[:saltBytes]), nil
}

// NumberSalt is what a phone signs its number under. It fails with ErrNotFound.
func (s *Verifications) NumberSalt(ctx context.Context, id string) (string, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return "", err
	}
	return s.saltOf(a.KeyID, id)
}

// PushKey is the public key (PKIX, DER) of a device that a verification asks by push; ErrChallenge for others.
func (s *Verifications) PushKey(ctx context.Context, id, deviceID string) ([]byte, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return nil, err
	}
	app := appOf(a, deviceID)
	if app == nil {
		return nil, verification.ErrChallenge
	}
	return app.PublicKey, nil
}

// appOf is the app install behind one of the roads; nil where none leads to this device.
func appOf(a events.VerificationActivated, deviceID string) *events.PushDevice {
	if a.Device != nil && a.DeviceID == deviceID {
		return a.Device
	}
	for _, f := range a.Fallback {
		if f.Device != nil && f.DeviceID == deviceID {
			return f.Device
		}
	}
	return nil
}

// asksPhone tells whether one of the roads leads to an app install that is asked to approve.
func asksPhone(a events.VerificationActivated) bool {
	if a.Challenge != events.Approval {
		return false
	}
	asks := a.Channel == events.Push
	for _, f := range a.Fallback {
		asks = asks || f.Channel == events.Push
	}
	return asks
}

// asksPhonesOnly tells whether nobody but an app install can answer.
func asksPhonesOnly(a events.VerificationActivated) bool {
	only := asksPhone(a) && a.Channel == events.Push
	for _, f := range a.Fallback {
		only = only && f.Channel == events.Push
	}
	return only
}

// maxProofSkew is how much later than its receipt an answer may be dated: a phone's clock may be fast.
const maxProofSkew = 5 * time.Minute

// Prove checks what a phone signed against the record of its verification, and returns it; nil for an answer that
// needs no proof, since it came on another road. It fails with ErrUnproved, ErrUnavailable, or ErrNotFound, also for an
// answer to an earlier verification of the same id. Nobody's word is taken for it: whoever could write answers into the
// stream could make none that approves.
func (s *Resolver) Prove(ctx context.Context, r events.ResponseReceived) (*verification.Proof, error) {
	a, err := s.activation(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if events.EarlierLife(a.CreatedAt, r.ReceivedAt) {
		return nil, fmt.Errorf("%w: the answer was to another that had its id", verification.ErrNotFound)
	}
	if r.Kind != events.ResponsePush && !asksPhonesOnly(a) {
		return nil, nil //nolint:nilnil // there is nothing to prove, and nothing wrong
	}
	if r.Kind != events.ResponsePush || r.Proof == nil || r.Proof.Decision != r.Decision {
		return nil, fmt.Errorf("%w: it has none", verification.ErrUnproved)
	}
	p := *r.Proof
	if !timely(a, r) {
		return nil, fmt.Errorf("%w: its time is wrong", verification.ErrUnproved)
	}
	app := appOf(a, p.DeviceID)
	if app == nil || a.Challenge != events.Approval {
		return nil, fmt.Errorf("%w: its device was not asked", verification.ErrUnproved)
	}
	signed, err := signedAnswer(a, p)
	if err != nil {
		return nil, err
	}
	if err := signed.Verify(app.PublicKey, p.Signature); err != nil {
		return nil, fmt.Errorf("%w: %w", verification.ErrUnproved, err)
	}
	if !numberSigned(fold(a, nil, 0), a.NumberDigest, r) {
		return nil, fmt.Errorf("%w: another number was signed", verification.ErrUnproved)
	}
	return proofOf(&p), nil
}

// timely tells whether a phone dated its answer neither before its question nor after its receipt, but for what clocks
// may differ.
func timely(a events.VerificationActivated, r events.ResponseReceived) bool {
	at, err := time.Parse(time.RFC3339, r.Proof.AnsweredAt)
	return err == nil && len(r.Proof.AnsweredAt) <= device.LongestTime &&
		!at.Before(a.CreatedAt.Add(-device.Earliest)) && !at.After(r.ReceivedAt.Add(maxProofSkew))
}

// signedAnswer is what a device signed, rebuilt from the record and what the proof adds.
func signedAnswer(a events.VerificationActivated, p events.Proof) (device.Answer, error) {
	shown, err := json.Marshal(a.Context)
	if err != nil {
		return device.Answer{}, fmt.Errorf("encode context: %w", err)
	}
	return device.Answer{
		VerificationID: a.ID, DeviceID: p.DeviceID, Decision: string(p.Decision), NumberDigest: p.NumberDigest,
		AnsweredAt: p.AnsweredAt, Context: string(shown),
	}, nil
}

// numberSigned tells whether the number that is compared is the one that was signed: both are right, or both wrong.
func numberSigned(v verification.Verification, expected string, r events.ResponseReceived) bool {
	if n := len(r.Proof.NumberDigest); n != 0 && n != hex.EncodedLen(sha256.Size) {
		return false // it is archived as it came
	}
	if r.Decision != events.Approve || v.NumberLength == 0 {
		return true
	}
	if len(r.Number) == 0 {
		return r.Proof.NumberDigest == ""
	}
	if expected == "" { // asked by a program of before there were digests: its hash alone is compared
		return r.Proof.NumberDigest != ""
	}
	matches := len(v.NumberHash) > 0 && subtle.ConstantTimeCompare(v.NumberHash, r.Number) == 1
	return r.Proof.NumberDigest != "" && matches == (r.Proof.NumberDigest == expected)
}

// Archive keeps the proof of an answer if it is what closed its verification, and notes that its device was used.
// It may be repeated. It fails with ErrUnavailable, or with ErrUnarchived where trying again is in vain: the proof is too
// large, or the records of its verification have left before it was archived.
func (s *Resolver) Archive(ctx context.Context, id string, p verification.Proof) error {
	a, err := s.activation(ctx, id)
	if errors.Is(err, verification.ErrNotFound) || err == nil && answeredAnother(a, p) {
		return s.archived(ctx, id, p)
	}
	if err != nil {
		return err
	}
	rec, err := s.outcomes.Latest(ctx, events.OutcomeSubject(id))
	v, err := s.folded(a, rec, err)
	if err != nil {
		return err
	}
	if v.Proof == nil || !v.Status.Closed() || v.Proof.AnsweredAt != p.AnsweredAt ||
		subtle.ConstantTimeCompare(v.Proof.Signature, p.Signature) != 1 {
		return nil // another answer was faster, or this one closed nothing
	}
	if err := s.archive(ctx, a, v); err != nil {
		return err
	}
	s.used(ctx, p.DeviceID, v.ClosedAt)
	return nil
}

// answeredAnother tells whether an answer is older than the verification that has its id now.
func answeredAnother(a events.VerificationActivated, p verification.Proof) bool {
	at, err := time.Parse(time.RFC3339, p.AnsweredAt)
	return err == nil && at.Before(a.CreatedAt.Add(-device.Earliest))
}

// archived looks whether a proof was archived while its verification had records.
func (s *Resolver) archived(ctx context.Context, id string, p verification.Proof) error {
	rec, err := s.proofs.Last(ctx, events.ProofsOf(id))
	if err != nil && !errors.Is(err, stream.ErrAbsent) {
		return unavailable(err)
	}
	if err == nil {
		e, err := events.Decode[events.ApprovalProved](rec.Data)
		if err != nil || subtle.ConstantTimeCompare(e.Signature, p.Signature) == 1 {
			return err
		}
	}
	return fmt.Errorf("%w: the records of its verification have left", verification.ErrUnarchived)
}

func (s *Resolver) archive(ctx context.Context, a events.VerificationActivated, v verification.Verification) error {
	p := outcomeOf(v).Proof
	signed, err := signedAnswer(a, *p)
	if err != nil {
		return err
	}
	e := events.ApprovalProved{
		Version: events.Version, ID: a.ID, Account: a.Credential, UserID: a.UserID, Brand: a.Brand, DeviceID: p.DeviceID,
		Decision: p.Decision, Status: string(v.Status), Reason: string(v.Reason), Context: signed.Context,
		NumberDigest: p.NumberDigest, ExpectedNumberDigest: a.NumberDigest, AnsweredAt: p.AnsweredAt,
		SignedText: signed.SignedText(), Signature: p.Signature, CreatedAt: a.CreatedAt, ClosedAt: v.ClosedAt,
	}
	if app := appOf(a, p.DeviceID); app != nil {
		e.Platform, e.PublicKey = app.Platform, app.PublicKey
	}
	data, err := events.Encode(e)
	if err != nil {
		return err
	}
	_, err = s.pub.Put(ctx, events.ProofSubject(a.ID, a.CreatedAt), data, stream.Expecting(0))
	switch {
	case errors.Is(err, stream.ErrTooLarge):
		return fmt.Errorf("%w: %w", verification.ErrUnarchived, err)
	case err != nil && !errors.Is(err, stream.ErrConflict): // it is there already: this is a repetition
		return unavailable(err)
	}
	return nil
}

// usePause is the least between two notes that a device was used.
const usePause = time.Minute

// used notes when a device was last used. It is worth no second try: the next answer notes it again.
func (s *Resolver) used(ctx context.Context, deviceID string, at time.Time) {
	before, sequence, err := lastUse(ctx, s.proofs, deviceID)
	if err != nil || at.Sub(before) < usePause {
		return
	}
	data, err := events.Encode(events.DeviceUsed{Version: events.Version, DeviceID: deviceID, At: at.UTC()})
	if err != nil {
		return
	}
	_, _ = s.pub.Put(ctx, events.LastUseSubject(deviceID), data, stream.Expecting(sequence))
}

// lastUse is when a device was last used; zero where that is not known.
func lastUse(ctx context.Context, reader *stream.Reader, deviceID string) (at time.Time, sequence uint64, err error) {
	rec, err := reader.Last(ctx, events.LastUseSubject(deviceID))
	if errors.Is(err, stream.ErrAbsent) {
		return time.Time{}, 0, nil
	}
	if err != nil {
		return time.Time{}, 0, unavailable(err)
	}
	e, err := events.Decode[events.DeviceUsed](rec.Data)
	return e.At, rec.Sequence, err
}

// Proofs reads the archive of signed answers. An account sees its own. It is safe for concurrent use.
type Proofs struct{ reader *stream.Reader }

// NewProofs opens the archive, whose stream must exist.
func NewProofs(ctx context.Context, js jetstream.JetStream) (*Proofs, error) {
	reader, err := stream.NewReader(ctx, js, stream.Proofs)
	if err != nil {
		return nil, err
	}
	return &Proofs{reader}, nil
}

// Proof is the archived answer that closed a verification of the account, the newest where its id was used again. It
// fails with verification.ErrNotFound and ErrUnavailable.
func (p *Proofs) Proof(ctx context.Context, account, id string) (events.ApprovalProved, error) {
	if !events.ValidID(id) {
		return events.ApprovalProved{}, verification.ErrNotFound
	}
	rec, err := p.reader.Last(ctx, events.ProofsOf(id))
	if errors.Is(err, stream.ErrAbsent) {
		return events.ApprovalProved{}, verification.ErrNotFound
	}
	if err != nil {
		return events.ApprovalProved{}, unavailable(err)
	}
	e, err := events.Decode[events.ApprovalProved](rec.Data)
	if err == nil && e.Account != account {
		return events.ApprovalProved{}, verification.ErrNotFound
	}
	return e, err
}

// LastUsed is when a device last closed a verification with its answer, to the minute; zero where it did not within
// the time that proofs are kept. It fails with verification.ErrUnavailable.
func (p *Proofs) LastUsed(ctx context.Context, deviceID string) (time.Time, error) {
	if !events.ValidID(deviceID) {
		return time.Time{}, nil
	}
	at, _, err := lastUse(ctx, p.reader, deviceID)
	return at, err
}
