package store

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// ByLink is the verification that a link token opens; ErrNotFound for a token that was made up,
// changed, or outlived its record.
func (s *Verifications) ByLink(ctx context.Context, token verification.Token) (verification.Verification, error) {
	id, err := verification.TokenID(token)
	if err != nil {
		return verification.Verification{}, verification.ErrNotFound
	}
	a, err := s.activation(ctx, id)
	if err != nil {
		return verification.Verification{}, err
	}
	hash, err := s.cfg.Keys.Sum(a.KeyID, keyring.Checks, id, token.Reveal())
	if err != nil {
		return verification.Verification{}, fmt.Errorf("hash link token: %w", err)
	}
	if a.Challenge != events.Link || len(a.SecretHash) == 0 || subtle.ConstantTimeCompare(a.SecretHash, hash) != 1 {
		return verification.Verification{}, verification.ErrNotFound
	}
	return s.Get(ctx, id)
}

// Code is the code of an open verification, to be spoken into the call that asks for it. It fails
// with ErrNotFound, ErrClosed, or ErrChallenge for anything but a spoken code.
func (s *Verifications) Code(ctx context.Context, id string) (verification.Verification, verification.Code, error) {
	a, _, err := s.freshActivation(ctx, id)
	if err != nil {
		return verification.Verification{}, "", err
	}
	v, err := s.Get(ctx, id)
	if err != nil {
		return v, "", err
	}
	if !v.Has(verification.Voice) || v.Challenge != verification.CodeChallenge {
		return v, "", verification.ErrChallenge
	}
	if v.Status.Closed() {
		return v, "", verification.ErrClosed
	}
	c, err := s.content(a)
	return v, verification.Code(c.Code), err
}

// Redirect is where the accept page leads after an approval; empty where it leads nowhere. It fails
// with ErrNotFound.
func (s *Verifications) Redirect(ctx context.Context, id string) (string, error) {
	a, _, err := s.freshActivation(ctx, id)
	if err != nil {
		return "", err
	}
	c, err := s.content(a)
	return c.RedirectTo, err
}

// Choices are the numbers that the app offers with an approval; none where the person types one, or
// needs none. It fails with ErrNotFound.
func (s *Verifications) Choices(ctx context.Context, id string) ([]string, error) {
	a, _, err := s.freshActivation(ctx, id)
	if err != nil || a.NumberLength == 0 {
		return nil, err
	}
	c, err := s.content(a)
	return c.Choices, err
}

// content opens what is sealed for the channel's worker. The activation must be a fresh one:
// memory keeps no content.
func (s *Verifications) content(a events.VerificationActivated) (events.DeliveryContent, error) {
	plain, err := s.cfg.Keys.Open(keyring.Channel(a.Channel), a.ID, a.Content)
	if err != nil {
		return events.DeliveryContent{}, fmt.Errorf("open delivery content: %w", err)
	}
	var c events.DeliveryContent
	if json.Unmarshal(plain, &c) != nil { // its error would quote what it read
		return events.DeliveryContent{}, errors.New("open delivery content: sealed content has another form")
	}
	return c, nil
}

// NumberHash is the keyed hash that an answer with these digits carries. It fails with ErrNotFound,
// or ErrChallenge where no number is asked for.
func (s *Verifications) NumberHash(ctx context.Context, id, digits string) ([]byte, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return nil, err
	}
	if a.NumberLength == 0 {
		return nil, verification.ErrChallenge
	}
	hash, err := s.cfg.Keys.Sum(a.KeyID, keyring.Checks, id, digits)
	if err != nil {
		return nil, fmt.Errorf("hash number: %w", err)
	}
	return hash, nil
}

// OpenApprovals are the open SMS approvals asked of one number in the last send window, newest
// first: a reply carries nothing but the number it came from.
func (s *Verifications) OpenApprovals(ctx context.Context, address string) ([]verification.Verification, error) {
	window, err := s.windowTo(address)
	if err != nil {
		return nil, err
	}
	return s.openApprovals(ctx, []string{window}, func(v verification.Verification) bool { return v.Has(verification.SMS) })
}

// Watch begins to listen for questions to a device. next returns when there may be one, or when ctx ends;
// done ends the listening. It is a hint: whoever is told looks.
func (s *Verifications) Watch(deviceID string) (next func(ctx context.Context), done func()) {
	asked, done := s.asked.Wait(deviceID)
	return func(ctx context.Context) {
		select {
		case <-asked:
		case <-ctx.Done():
		}
	}, done
}

// Prompts are the open push approvals asked of a device in the last send window, newest first: an app
// that missed its push asks for them.
func (s *Verifications) Prompts(ctx context.Context, d device.Device) ([]verification.Verification, error) {
	window, err := s.windowTo(d.Address)
	if err != nil {
		return nil, err
	}
	// Programs of before counted pushes by the token.
	windows := []string{events.WindowSubject(events.WindowDestination, d.ID), window}
	return s.openApprovals(ctx, windows, func(v verification.Verification) bool {
		return v.Credential == d.Credential && v.Asks(verification.Push, d.ID)
	})
}

// windowTo is where the sends to one address are counted.
func (s *Verifications) windowTo(address string) (string, error) {
	destination, err := s.destination(address)
	return events.WindowSubject(events.WindowDestination, destination), err
}

// openApprovals looks through the sends that windows list.
func (s *Verifications) openApprovals(ctx context.Context, windows []string, wanted func(verification.Verification) bool) ([]verification.Verification, error) {
	var records []stream.Record
	for _, subject := range windows {
		sends, err := s.windows.All(ctx, subject)
		if err != nil {
			return nil, unavailable(err)
		}
		records = append(records, sends...)
	}
	slices.SortFunc(records, func(a, b stream.Record) int { return cmp.Compare(a.Sequence, b.Sequence) })
	var open []verification.Verification
	seen := map[string]bool{}
	for i := len(records) - 1; i >= 0; i-- {
		entry, err := events.Decode[events.WindowEntry](records[i].Data)
		if err != nil || seen[entry.ID] {
			continue
		}
		seen[entry.ID] = true
		v, err := s.Get(ctx, entry.ID)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if wanted(v) && v.Challenge == verification.ApprovalChallenge && !v.Status.Closed() {
			open = append(open, v)
		}
	}
	return open, nil
}

// replyLife is how long a reply stays bound: longer than any verification that it could answer.
const replyLife = verification.LongestLife + events.Grace

// Bind remembers which verification a reply answered and returns the one it was bound to first.
// Providers sign callbacks without a time, so a recorded one could otherwise be played again and
// answer the next question asked of the same number.
func (s *Verifications) Bind(ctx context.Context, reply, id string) (string, error) {
	key, err := s.destination("reply " + reply)
	if err != nil {
		return "", err
	}
	subject := events.WindowSubject(events.WindowReply, key)
	data, err := events.Encode(events.WindowEntry{Version: events.Version, ID: id, At: s.cfg.Now().UTC()})
	if err != nil {
		return "", err
	}
	_, err = s.pub.Put(ctx, subject, data, stream.Expecting(0), stream.WithTTL(replyLife))
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, stream.ErrConflict) {
		return "", unavailable(err)
	}
	rec, err := s.windows.Latest(ctx, subject)
	if err != nil {
		return "", unavailable(err)
	}
	first, err := events.Decode[events.WindowEntry](rec.Data)
	return first.ID, err
}
