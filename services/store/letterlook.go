package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/verification"
)

// opened is a letter with what replaying it takes.
type opened struct {
	letter   letter.Letter
	subject  string
	sequence uint64
	payload  []byte
	// kept: the payload could be had.
	kept bool
	// standing: the payload was read where the message stands, and is what stands there now.
	standing bool
	// activation is set where the message is one; id is that of the verification that it is about.
	activation *events.VerificationActivated
	id         string
	// part is set where the message is a part of a notification, of which id is the id then.
	part *events.NotificationQueued
	// life is how long a replayed event stays; zero: as its stream keeps it.
	life time.Duration
}

// look opens a letter and tells whether it can be replayed. Every process can store letters, so nothing in
// one is believed that is not checked here.
func (l *Letters) look(ctx context.Context, rec stream.Record, d events.DeadLetter) (opened, error) {
	f := opened{subject: d.Subject, sequence: d.Sequence, letter: letter.Letter{
		ID: rec.Sequence, Kind: kindOf(d), Reason: d.Reason, Subject: d.Subject, Consumer: d.Consumer,
		VerificationID: d.VerificationID, Account: d.Credential, Channel: string(d.Channel), Size: max(d.Size, len(d.Data)), At: d.At,
	}}
	if err := l.fill(ctx, d, &f); err != nil {
		return f, err
	}
	if !f.kept {
		f.letter.Obstacle = letter.Unreadable
		return f, nil
	}
	if err := l.decode(rec, d, &f); err != nil {
		if !errors.Is(err, events.ErrUndecodable) {
			return f, err
		}
		sum := sha256.Sum256(f.payload)
		f.letter.SHA256, f.letter.Obstacle = hex.EncodeToString(sum[:]), letter.StillUndecodable
		return f, nil
	}
	err := l.obstruct(ctx, &f)
	if errors.Is(err, events.ErrUndecodable) {
		f.letter.Obstacle, err = letter.StillUndecodable, nil
	}
	return f, err
}

// fill finds the payload: where the message stands, in clear in an old letter, or sealed.
func (l *Letters) fill(ctx context.Context, d events.DeadLetter, f *opened) error {
	origin := l.responses
	switch {
	case below(d.Subject, events.ActivationSubjects):
		origin = l.cfg.Verifications.activations
	case below(d.Subject, events.DeliverySubjects):
		origin = l.cfg.Verifications.deliveries
	case below(d.Subject, events.NotificationSubjects):
		origin = l.parts
	case !below(d.Subject, events.ResponseSubjects):
		origin = nil
	}
	if origin != nil {
		rec, err := origin.At(ctx, d.Sequence)
		if err != nil && !errors.Is(err, stream.ErrAbsent) {
			return unavailable(err)
		}
		if err == nil && rec.Subject == d.Subject {
			f.payload, f.kept, f.standing = rec.Data, true, true
			return nil
		}
	}
	if d.Sealed == nil {
		f.payload, f.kept = d.Data, d.Data != nil
		return nil
	}
	var err error
	f.payload, err = l.cfg.Verifications.cfg.Keys.OpenLetter(d.Subject, d.Consumer, *d.Sealed)
	f.kept = err == nil
	if err != nil && !errors.Is(err, keyring.ErrNoKey) && !errors.Is(err, keyring.ErrForged) {
		return fmt.Errorf("open letter: %w", err)
	}
	return nil
}

// below tells whether a subject is one of a tree.
func below(subject, tree string) bool {
	return strings.HasPrefix(subject, strings.TrimSuffix(tree, ">"))
}

// subjectForm keeps out of subjects what would mean more than one, or more than a subject.
var subjectForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`)

// decode reads the payload. It fails with events.ErrUndecodable where it is none that a consumer of this subject
// would take.
func (l *Letters) decode(rec stream.Record, d events.DeadLetter, f *opened) error {
	channel := events.Channel(d.Consumer)
	worker := slices.Contains(events.Channels(), channel)
	// A process may be allowed to bury as one consumer only: what it buries is no other's.
	if rec.Subject != events.DeadLetterSubject(d.Consumer) || !subjectForm.MatchString(d.Subject) || worker != below(d.Subject, events.ActivationSubjects) {
		return fmt.Errorf("%w: not a letter of this consumer", events.ErrUndecodable)
	}
	var subjects []string
	switch {
	case worker:
		a, err := l.openActivation(channel, d, f.payload)
		if err != nil {
			return err
		}
		f.activation, f.id = &a, a.ID
		subjects = []string{activationPlace(a)}
	case below(d.Subject, events.ResponseSubjects):
		r, err := events.Decode[events.ResponseReceived](f.payload)
		if err != nil {
			return err
		}
		f.id, subjects = r.ID, []string{events.ResponseSubject(r.Kind, r.ID)}
	case below(d.Subject, events.DeliverySubjects):
		r, err := events.Decode[events.DeliverySettled](f.payload)
		if err != nil {
			return err
		}
		f.id, subjects = r.ID, []string{events.DeliverySubject(r.ID, r.Status), events.BegunSubject(r.ID, r.Step, r.Send, r.Attempt)}
	case below(d.Subject, events.DueSubjects):
		t, err := events.Decode[events.TimerDue](f.payload)
		if err != nil {
			return err
		}
		f.id, subjects = t.ID, []string{events.DueSubject(t.Kind, t.ID)}
	case below(d.Subject, events.NotificationSubjects):
		q, err := l.openPart(d, f.payload)
		if err != nil {
			return err
		}
		f.part, f.id, f.letter.Channel = &q, q.ID, string(q.Channel)
		subjects = []string{events.NotificationSubject(q.Lane, q.Channel, q.ID, q.Part)}
	}
	if !events.ValidID(f.id) || !slices.Contains(subjects, d.Subject) {
		return fmt.Errorf("%w: not an event of this subject", events.ErrUndecodable)
	}
	f.letter.VerificationID = f.id
	if a := f.activation; a != nil {
		f.letter.Channel = string(a.Channel)
		f.letter.Message = &letter.Message{
			ToMasked: a.ToMasked, Challenge: string(a.Challenge), Step: a.Step, Send: a.Send, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
		}
	}
	return nil
}

// openActivation reads an activation as its worker would.
func (l *Letters) openActivation(channel events.Channel, d events.DeadLetter, payload []byte) (events.VerificationActivated, error) {
	a, err := events.Decode[events.VerificationActivated](payload)
	if err != nil {
		return a, err
	}
	if a.Channel != channel || d.Credential != "" && d.Credential != a.Credential {
		return a, fmt.Errorf("%w: not an activation of channel %s", events.ErrUndecodable, channel)
	}
	plain, err := l.cfg.Verifications.cfg.Keys.Open(keyring.Channel(channel), a.ID, a.Content)
	var c events.DeliveryContent
	if err != nil || json.Unmarshal(plain, &c) != nil || c.To == "" {
		return a, fmt.Errorf("%w: sealed content does not open", events.ErrUndecodable)
	}
	return a, nil
}

// openPart reads a part of a notification as its worker would.
func (l *Letters) openPart(d events.DeadLetter, payload []byte) (events.NotificationQueued, error) {
	q, err := events.Decode[events.NotificationQueued](payload)
	if err != nil {
		return q, err
	}
	consumer := string(q.Channel) + "-" + string(q.Lane) // as the workers name theirs
	if d.Consumer != consumer || d.Credential != "" && d.Credential != q.Credential {
		return q, fmt.Errorf("%w: not a part for %s", events.ErrUndecodable, consumer)
	}
	plain, err := l.cfg.Verifications.cfg.Keys.Open(keyring.Channel(q.Channel), events.PartID(q.ID, q.Part), q.Content)
	var c events.NotificationContent
	if err != nil || json.Unmarshal(plain, &c) != nil || len(c.Recipients) == 0 || len(c.Recipients) != len(q.Recipients) {
		return q, fmt.Errorf("%w: sealed content does not open", events.ErrUndecodable)
	}
	return q, nil
}

// obstructPart finds what stands in the way of a part's replay. Of its messages that have ended the worker
// learns from their log.
func (l *Letters) obstructPart(f *opened) {
	now := l.cfg.Verifications.now()
	switch {
	case !now.Before(f.part.ExpiresAt):
		f.letter.Obstacle = letter.Expired
	case !f.standing:
		f.letter.Obstacle = letter.Superseded
	default:
		f.life = f.part.ExpiresAt.Sub(now) + stream.NotificationGrace
	}
}

// obstruct finds what stands in the way of a replay: first what ended the verification, then what became
// of the message.
func (l *Letters) obstruct(ctx context.Context, f *opened) error {
	if f.part != nil {
		l.obstructPart(f)
		return nil
	}
	v, err := l.verification(ctx, f)
	switch {
	case errors.Is(err, verification.ErrNotFound): // absence reads as expired
		f.letter.Obstacle = letter.Expired
		return nil
	case err != nil:
		return err
	case v.Status == verification.Expired:
		f.letter.Obstacle = letter.Expired
		return nil
	case v.Status.Closed():
		f.letter.Obstacle = letter.Closed
		return nil
	case f.activation == nil:
		if below(f.subject, events.DeliverySubjects) {
			f.life = v.ExpiresAt.Sub(l.cfg.Verifications.now()) + events.Grace
		}
		return nil
	case !f.standing:
		f.letter.Obstacle = letter.Superseded
		return nil
	}
	reports, err := l.cfg.Verifications.Deliveries(ctx, f.id)
	if err != nil {
		return err
	}
	f.letter.Obstacle, f.letter.Uncertain = fate(reports, *f.activation, l.cfg.Verifications.now())
	return nil
}

// verification is how the verification stands that a message is about.
func (l *Letters) verification(ctx context.Context, f *opened) (verification.Verification, error) {
	s := l.cfg.Verifications
	if f.activation != nil && !s.now().Before(f.activation.ExpiresAt) {
		return verification.Verification{}, verification.ErrNotFound // without a look: most letters are old
	}
	_, _, v, err := s.fresh(ctx, f.id)
	return v, err
}

// fate is what the reports of a verification tell of one message: an obstacle where a provider took it or is
// being called, and whether one may have taken it whose answer never came.
func fate(reports []events.DeliverySettled, a events.VerificationActivated, now time.Time) (o letter.Obstacle, uncertain bool) {
	var until *time.Time // of a call that was begun, and of which nothing more is known
	for _, r := range reports {
		if r.Channel != a.Channel || r.Step != a.Step || r.Send != a.Send {
			continue
		}
		switch r.Status {
		case events.DeliverySent, events.DeliveryDelivered, events.DeliveryUnanswered:
			return letter.Sent, false
		case events.DeliveryBegun:
			until = r.Until
			if until == nil {
				until = &r.At
			}
		case events.DeliveryUnknown:
			until, uncertain = nil, true
		case events.DeliveryRetrying, events.DeliveryFailed, events.DeliveryExpired:
			until = nil
		}
	}
	switch {
	case until == nil:
		return "", uncertain
	case now.Before(*until):
		return letter.Sending, false
	default:
		return "", true
	}
}
