package enrolment

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	// joinKind is the kind of the tickets that activation codes are.
	joinKind = "join"
	// shownKind is the kind of the tickets that keep the code of a device that its owner adds by a link, which the page shows
	// until a phone has joined.
	shownKind = "enrolment-join"
	// joinAlphabet has none of the letters that are taken for digits, and spells no words.
	joinAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	// joinLength characters of five bits are 80 bits.
	joinLength = 16
	joinGroup  = 4
)

// joining is what an activation code stands for.
type joining struct {
	Account string `json:"account"`
	Device  string `json:"device"`
	User    string `json:"user"`
	Brand   string `json:"brand,omitempty"`
	// Replaces is the hash of the key that a phone takes the place of; empty for a new device.
	Replaces []byte `json:"replaces,omitempty"`
	// ExpiresAt is when it ends. The ticket stays longer, to say so; those of earlier programs end with it.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// told is for how long after its end a code can be told from one that never was: people come late, and are to learn why.
const told = 24 * time.Hour

// issue stores what an activation code stands for.
func (e *Enrolments) issue(ctx context.Context, code string, j joining, until time.Time) error {
	j.ExpiresAt = until
	content, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("encode activation code: %w", err)
	}
	if err := e.Tickets.Issue(ctx, joinKind, plain(code), content, until.Sub(e.Now())+told); err != nil {
		return fmt.Errorf("store activation code: %w", err)
	}
	return nil
}

func (j joining) used() error { return &EndedError{Used: true, Brand: j.Brand} }

func (j joining) expired(at time.Time) error { return &EndedError{ExpiredAt: at, Brand: j.Brand} }

// beginPhone stores the device and gives out the code that a phone becomes it with.
func (e *Enrolments) beginPhone(ctx context.Context, d device.Device, r Request) (Enrolment, error) {
	var err error
	if d.Secret, err = device.NewSecret(e.random()); err != nil {
		return Enrolment{}, fmt.Errorf("draw secret: %w", err)
	}
	code, err := newJoinCode(e.random())
	if err != nil {
		return Enrolment{}, err
	}
	d.Pending = e.pending(r)
	if d, err = e.Users.CreateDevice(ctx, d); err != nil {
		return Enrolment{}, fmt.Errorf("store device: %w", err)
	}
	j := joining{Account: d.Credential, Device: d.ID, User: shown(r.User), Brand: r.Brand}
	if r.Link != "" {
		err = e.Tickets.Issue(ctx, shownKind, d.ID, []byte(code), d.Pending.ExpiresAt.Sub(e.Now())+time.Minute)
	}
	if err == nil {
		err = e.issue(ctx, code, j, d.Pending.ExpiresAt)
	}
	if err != nil {
		e.drop(ctx, d)
		return Enrolment{}, wrap("begin phone", err)
	}
	return Enrolment{
		Device: d, State: Pending, ExpiresAt: d.Pending.ExpiresAt,
		JoinCode: code, URI: device.KeyURI(cmp.Or(r.Issuer, r.Brand), shown(r.User), code),
	}, nil
}

// JoinCode is the activation code of a phone that its owner adds by a link and that has not joined yet.
func (e *Enrolments) JoinCode(ctx context.Context, d device.Device) (string, error) {
	code, err := e.Tickets.Look(ctx, shownKind, d.ID)
	return string(code), wrap("read activation code", err)
}

// dropCode removes the activation code of a device that was begun with a link and is gone. Nobody can join with it any more;
// what cannot be removed leaves with its end.
func dropCode(ctx context.Context, tickets interface {
	Look(ctx context.Context, kind, name string) ([]byte, error)
	Revoke(ctx context.Context, kind, name string) error
}, d device.Device,
) {
	if d.Kind != device.Push {
		return
	}
	if code, err := tickets.Look(ctx, shownKind, d.ID); err == nil {
		_ = tickets.Revoke(ctx, joinKind, plain(string(code)))
		_ = tickets.Revoke(ctx, shownKind, d.ID)
	}
}

// Join makes the phone that has this activation code the device that it stands for. A code works once: of
// two phones the first one is stored, and the other finds a device with another key. The ticket stays
// beyond its end, so that a phone whose answer was lost can say the same again, if it says that it may, and so that one
// that comes too late is told by an *EndedError. Any other code is verification.ErrNotFound.
func (e *Enrolments) Join(ctx context.Context, code string, p Phone) (Joined, error) {
	name := plain(code)
	if len(name) != joinLength || strings.Trim(name, joinAlphabet) != "" {
		return Joined{}, fmt.Errorf("read activation code: %w", verification.ErrNotFound)
	}
	content, err := e.Tickets.Look(ctx, joinKind, name)
	if err != nil {
		return Joined{}, fmt.Errorf("read activation code: %w", err)
	}
	var j joining
	if err := json.Unmarshal(content, &j); err != nil {
		return Joined{}, fmt.Errorf("decode activation code: %w", err)
	}
	ended := !j.ExpiresAt.IsZero() && !e.Now().Before(j.ExpiresAt)
	if p.PushToken == "" {
		p.PushToken = webpush.Page(j.Device)
	}
	if len(j.Replaces) > 0 {
		return e.rejoin(ctx, j, p, ended)
	}
	d, err := e.device(ctx, j.Account, j.Device)
	if errors.Is(err, verification.ErrNotFound) && ended {
		err = j.expired(j.ExpiresAt) // its device has left by now
	}
	if err != nil {
		return Joined{}, err
	}
	owner, err := e.Users.User(ctx, j.Account, d.UserID)
	if err == nil && owner.Barred() {
		err = verification.ErrNotFound // not to be told to whoever holds a code
	}
	if err != nil {
		return Joined{}, fmt.Errorf("read owner of phone: %w", err)
	}
	first := !d.Active()
	if first {
		if !e.Now().Before(d.Pending.ExpiresAt) {
			return Joined{}, j.expired(d.Pending.ExpiresAt)
		}
		d.Name, d.Address, d.Platform, d.PublicKey = cmp.Or(d.Name, p.Name), p.PushToken, p.Platform, p.PublicKey
		joined, err := e.activate(ctx, d)
		if err == nil && joined.State != Accepted {
			err = fmt.Errorf("join phone: %w", verification.ErrNotFound) // its link has ended, or another device came first
		}
		if err != nil {
			return Joined{}, err
		}
		d = joined.Device
	}
	if !first && (!p.MayRepeat || ended) || !bytes.Equal(d.PublicKey, p.PublicKey) || d.Address != p.PushToken {
		return Joined{}, j.used()
	}
	return Joined{Device: d, User: j.User, Brand: j.Brand, Secret: device.SecretText(d.Secret)}, nil
}

// newJoinCode draws 80 bits, in groups that people can type.
func newJoinCode(random io.Reader) (string, error) {
	raw := make([]byte, joinLength)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("draw activation code: %w", err)
	}
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%joinGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(joinAlphabet[int(c)%len(joinAlphabet)]) // 32 divides 256: no character is favoured
	}
	return b.String(), nil
}

// plain is an activation code as it is compared: without the dashes and spaces, and with the letters
// that people write for digits read as such.
func plain(code string) string {
	return strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code))
}
