package enrolment

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	// linkKind and tokenKind are the kinds of the tickets that a link is: what it allows, under its id, and the id,
	// under its token.
	linkKind  = "enrolment"
	tokenKind = "enrolment-token"
	// tokenBytes are 256 bits.
	tokenBytes = 32
	// rememberedFor is how long after its end it is still known that there was a link, so that the page can say so.
	rememberedFor = 24 * time.Hour
)

// Link lets one person add and change their own devices for a while.
type Link struct {
	ID string `json:"id"`
	// Account owns the user, and Client is the credential that asked for the link.
	Account string `json:"account"`
	Client  string `json:"client"`
	UserID  string `json:"user_id"`
	// Kinds are what may be added.
	Kinds  []device.Kind `json:"kinds"`
	Brand  string        `json:"brand,omitempty"`
	Locale string        `json:"locale,omitempty"`
	// ReturnTo is where the page leads back to; empty: nowhere.
	ReturnTo  string    `json:"return_to,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Withdrawn bool      `json:"withdrawn,omitempty"`
	// Guarded links need a fresh proof, for good: their user had a device or recovery codes once.
	Guarded bool `json:"guarded,omitempty"`
	// First is the device that counts, or is about to, though nothing was proved before it was begun. There is one at most.
	First string `json:"first,omitempty"`
	// Begun is how many devices were begun.
	Begun int `json:"begun,omitempty"`
	// Asked are the messages that asked for a fresh proof and were not answered with one, see Ask.
	Asked []Asking `json:"asked,omitempty"`
	// Opened and Guessed are when an app's code was asked for as a proof, and when a code that needs no message was
	// compared with a device or with the recovery codes, since the last proof.
	Opened  []time.Time            `json:"opened,omitempty"`
	Guessed map[string][]time.Time `json:"guessed,omitempty"`
}

// LinkTickets keeps links. A name that is unknown is verification.ErrNotFound.
type LinkTickets interface {
	Issue(ctx context.Context, kind, name string, content []byte, life time.Duration) error
	Look(ctx context.Context, kind, name string) ([]byte, error)
	Revoke(ctx context.Context, kind, name string) error
	// Change stores what change makes of the content. It may be called again where somebody else was faster.
	Change(ctx context.Context, kind, name string, change func(content []byte) ([]byte, error)) error
}

// LinkDevices removes what a withdrawn link has left unfinished.
type LinkDevices interface {
	Devices(ctx context.Context, account, userID string) ([]device.Device, error)
	// DeletePending removes a device while it is not proved, and tells whether it was.
	DeletePending(ctx context.Context, account, id string) (removed bool, err error)
}

// Links gives out links to the page where people enrol their own devices. Its fields are required but where a default
// is named; it is safe for concurrent use.
type Links struct {
	Tickets LinkTickets
	Devices LinkDevices
	Now     func() time.Time
	// Random draws tokens; nil: crypto/rand.
	Random io.Reader
}

// under is what a token stands for.
type under struct {
	Account string `json:"account"`
	ID      string `json:"id"`
}

// Draw gives a new link its id and times. It keeps nothing yet.
func (s *Links) Draw(l Link, life time.Duration) Link {
	l.ID = uuid.Must(uuid.NewV7()).String()
	l.CreatedAt = s.Now().UTC().Truncate(time.Millisecond)
	l.ExpiresAt = l.CreatedAt.Add(life)
	return l
}

// Make stores a link that was drawn, and returns its token, which is told this once.
func (s *Links) Make(ctx context.Context, l Link) (verification.Token, error) {
	raw := make([]byte, tokenBytes)
	if _, err := io.ReadFull(s.random(), raw); err != nil {
		return "", fmt.Errorf("draw enrolment token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(raw)
	if err := s.put(ctx, l); err != nil {
		return "", err
	}
	content, err := json.Marshal(under{l.Account, l.ID})
	if err != nil {
		return "", fmt.Errorf("encode enrolment token: %w", err)
	}
	if err := s.Tickets.Issue(ctx, tokenKind, token, content, s.life(l)); err != nil {
		return "", fmt.Errorf("store enrolment token: %w", err)
	}
	return verification.Token(token), nil
}

// Find reads the link of a token. It fails with verification.ErrNotFound, or, with the link as it was, ErrExpired or
// ErrWithdrawn.
func (s *Links) Find(ctx context.Context, token verification.Token) (Link, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return Link{}, verification.ErrNotFound
	}
	content, err := s.Tickets.Look(ctx, tokenKind, token.Reveal())
	if err != nil {
		return Link{}, fmt.Errorf("read enrolment token: %w", err)
	}
	var u under
	if err := json.Unmarshal(content, &u); err != nil {
		return Link{}, fmt.Errorf("decode enrolment token: %w", err)
	}
	l, err := s.read(ctx, u.Account, u.ID)
	switch {
	case err != nil:
		return Link{}, err
	case l.Withdrawn:
		return l, ErrWithdrawn
	case !s.Now().Before(l.ExpiresAt):
		return l, ErrExpired
	}
	return l, nil
}

// Open reads a link that still works by its id; verification.ErrNotFound for any other.
func (s *Links) Open(ctx context.Context, account, id string) (Link, error) {
	l, err := s.read(ctx, account, id)
	if err == nil && (l.Withdrawn || !s.Now().Before(l.ExpiresAt)) {
		err = verification.ErrNotFound
	}
	return l, err
}

// What a fresh proof may come from, other than a device.
const (
	// ByCode is a recovery code or a bypass token.
	ByCode = "code"
	// ByLast is the last device of the person, which they removed themselves. It is good until there is another.
	ByLast = "last"
)

// Admit lets a device that was begun with a link count: while the link works, and what proved its owner still does; one that
// was begun without a proof as the first of its user only. It fails with ErrOvertaken. Letting the same device in again
// changes nothing.
func (s *Links) Admit(ctx context.Context, d device.Device) error {
	l, err := s.Open(ctx, d.Credential, d.Pending.Link)
	if errors.Is(err, verification.ErrNotFound) {
		return ErrOvertaken
	}
	if err != nil || d.Pending.ProvedBy == ByCode {
		return err
	}
	devices, err := s.Devices.Devices(ctx, d.Credential, d.UserID)
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	others := slices.DeleteFunc(devices, func(other device.Device) bool { return other.ID == d.ID })
	switch by := d.Pending.ProvedBy; {
	case by != "" && by != ByLast:
		if !slices.ContainsFunc(others, func(other device.Device) bool { return other.ID == by && other.Active() }) {
			return ErrOvertaken // removed since: what a stolen device began ends with it
		}
		return nil
	case slices.ContainsFunc(others, device.Device.Active):
		return ErrOvertaken
	}
	// Of several at once, the first to stand here is let in. Who removed their last device may take the place of one that
	// stood here and is gone.
	gone := d.Pending.ProvedBy == ByLast && !slices.ContainsFunc(others, func(other device.Device) bool { return other.ID == l.First })
	before := l.First
	_, err = s.Change(ctx, l, func(l *Link) error {
		free := l.First == "" || l.First == d.ID || gone && l.First == before
		if l.Withdrawn || l.Overtakes(d) || !free {
			return ErrOvertaken
		}
		l.Guarded, l.First = true, d.ID
		return nil
	})
	return err
}

// Overtakes tells whether a device that was begun without a proof may not count any more, as far as its link knows.
func (l Link) Overtakes(d device.Device) bool {
	return d.Pending.ProvedBy == "" && l.Guarded && l.First != d.ID
}

// Change stores what change makes of a link, and returns it. It may be called again where somebody else was faster; where it
// fails nothing is stored.
func (s *Links) Change(ctx context.Context, l Link, change func(*Link) error) (Link, error) {
	var changed Link
	err := s.Tickets.Change(ctx, linkKind, nameOf(l.Account, l.ID), func(content []byte) ([]byte, error) {
		changed = Link{}
		if err := json.Unmarshal(content, &changed); err != nil {
			return nil, fmt.Errorf("decode enrolment link: %w", err)
		}
		if err := change(&changed); err != nil {
			return nil, err
		}
		return json.Marshal(changed)
	})
	return changed, wrap("change enrolment link", err)
}

// Withdraw ends a link, and removes what was begun with it and not proved yet.
func (s *Links) Withdraw(ctx context.Context, l Link) error {
	l.Withdrawn = true
	if err := s.put(ctx, l); err != nil {
		return err
	}
	devices, err := s.Devices.Devices(ctx, l.Account, l.UserID)
	if errors.Is(err, verification.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	for _, d := range devices {
		if d.Active() || d.Pending.Link != l.ID {
			continue
		}
		removed, err := s.Devices.DeletePending(ctx, l.Account, d.ID)
		if err != nil && !errors.Is(err, verification.ErrNotFound) {
			return fmt.Errorf("remove unfinished device: %w", err)
		}
		if removed {
			dropCode(ctx, s.Tickets, d)
		}
	}
	return nil
}

func (s *Links) put(ctx context.Context, l Link) error {
	content, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode enrolment link: %w", err)
	}
	if err := s.Tickets.Issue(ctx, linkKind, nameOf(l.Account, l.ID), content, s.life(l)); err != nil {
		return fmt.Errorf("store enrolment link: %w", err)
	}
	return nil
}

func (s *Links) read(ctx context.Context, account, id string) (Link, error) {
	content, err := s.Tickets.Look(ctx, linkKind, nameOf(account, id))
	if err != nil {
		return Link{}, fmt.Errorf("read enrolment link: %w", err)
	}
	var l Link
	if err := json.Unmarshal(content, &l); err != nil {
		return Link{}, fmt.Errorf("decode enrolment link: %w", err)
	}
	return l, nil
}

// nameOf keeps the links of accounts apart.
func nameOf(account, id string) string { return account + "\n" + id }

func (s *Links) life(l Link) time.Duration { return l.ExpiresAt.Sub(s.Now()) + rememberedFor }

func (s *Links) random() io.Reader { return cmp.Or[io.Reader](s.Random, rand.Reader) }
