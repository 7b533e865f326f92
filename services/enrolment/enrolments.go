package enrolment

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// maxDevices bounds how many devices a user may have, those on their way included.
const maxDevices = 50

// Users keeps users and devices. What belongs to another account is verification.ErrNotFound.
type Users interface {
	CreateDevice(ctx context.Context, d device.Device) (device.Device, error)
	// ActivateDevice stores the device without its Pending part. One that is active already is returned as stored.
	ActivateDevice(ctx context.Context, d device.Device) (device.Device, error)
	// UpdatePending stores what is still to be proved, while something is.
	UpdatePending(ctx context.Context, d device.Device) (device.Device, error)
	User(ctx context.Context, account, id string) (device.User, error)
	Device(ctx context.Context, account, id string) (device.Device, error)
	Devices(ctx context.Context, account, userID string) ([]device.Device, error)
	// DeletePending removes a device while it is not proved, and tells whether it was.
	DeletePending(ctx context.Context, account, id string) (removed bool, err error)
	// ChangeApp stores an active app install as change leaves it, and returns what is stored. change may be called
	// again where somebody else was faster.
	ChangeApp(ctx context.Context, account, id string, change func(*device.Device) error) (device.Device, error)
	// CheckCode compares a one-time code with the device's secret, each value once.
	CheckCode(ctx context.Context, account, deviceID string, code verification.Code) (right bool, err error)
}

// Verifications asks people and checks their codes.
type Verifications interface {
	Create(ctx context.Context, a verification.Activation) (v verification.Verification, replayed bool, err error)
	Get(ctx context.Context, id string) (verification.Verification, error)
	Check(ctx context.Context, id string, code verification.Code) (v verification.Verification, valid bool, err error)
}

// Tickets keeps the activation codes of phones, and what may happen once.
type Tickets interface {
	Once(ctx context.Context, kind, name string, life time.Duration) (first bool, err error)
	Issue(ctx context.Context, kind, name string, content []byte, life time.Duration) error
	Look(ctx context.Context, kind, name string) ([]byte, error)
	// Revoke removes a ticket; nothing to remove is no error.
	Revoke(ctx context.Context, kind, name string) error
}

// Enrolments registers devices. Its fields are required but where a default is named; it is safe for
// concurrent use.
type Enrolments struct {
	Users         Users
	Verifications Verifications
	Tickets       Tickets
	Now           func() time.Time
	// Admit tells whether a device that its owner adds by a link may count, see Links.Admit. Nil: each may.
	Admit func(ctx context.Context, d device.Device) error
	// Adding is told of a device that its owner adds by a link, before it counts and possibly more than once; where it
	// fails the device stays pending. Nil: nobody is told.
	Adding func(ctx context.Context, d device.Device) error
	// Random draws secrets and codes; nil: crypto/rand.
	Random io.Reader
}

// Begin stores a device and asks its owner to prove it, unless the client vouches for it. It fails with
// ErrFactor, ErrLocked, ErrEnrolled, ErrCrowded, *MissingError, *verification.InvalidError, or as
// Verifications.Create does; then there is no device.
func (e *Enrolments) Begin(ctx context.Context, r Request) (Enrolment, error) {
	d, err := e.draft(r)
	if err != nil {
		return Enrolment{}, err
	}
	if err := e.room(ctx, d); err != nil {
		return Enrolment{}, err
	}
	switch {
	case r.Proven:
		if d.Kind != device.Phone && d.Kind != device.Mailbox {
			return Enrolment{}, fmt.Errorf("vouch for device: %w", ErrFactor)
		}
		d, err = e.Users.CreateDevice(ctx, d)
		return Enrolment{Device: d, State: Accepted}, wrap("store device", err)
	case r.Factor == device.AppPush:
		return e.beginPhone(ctx, d, r)
	case r.Factor == device.AppCode:
		return e.beginAuthenticator(ctx, d, r)
	case r.Quiet:
		d.Pending = e.pending(r)
		d, err = e.Users.CreateDevice(ctx, d)
		return Enrolment{Device: d, State: Pending, ExpiresAt: e.end(r)}, wrap("store device", err)
	default:
		return e.beginMessage(ctx, d, r)
	}
}

// draft is the new device, without a secret yet.
func (e *Enrolments) draft(r Request) (device.Device, error) {
	if r.User.Barred() {
		return device.Device{}, ErrLocked
	}
	id, err := uuid.NewV7FromReader(e.random())
	if err != nil {
		return device.Device{}, fmt.Errorf("draw device id: %w", err)
	}
	d := device.Device{
		ID: id.String(), UserID: r.User.ID, Credential: r.User.Credential, Kind: r.Factor.Kind(), Factor: r.Factor,
		Name: r.Name, Address: r.Address, CreatedAt: e.Now().UTC().Truncate(time.Millisecond),
	}
	switch d.Kind {
	case device.Phone:
		if d.Address = cmp.Or(r.Address, r.User.Phone); d.Address == "" {
			return d, &MissingError{"phone"}
		}
	case device.Mailbox:
		if d.Address = cmp.Or(r.Address, r.User.Email); d.Address == "" {
			return d, &MissingError{"email"}
		}
	case device.Push, device.TOTP:
		d.Address = ""
	default:
		return d, fmt.Errorf("enrol device: %w", ErrFactor)
	}
	return d, nil
}

// room refuses what the user has already, and more than a user may have.
func (e *Enrolments) room(ctx context.Context, d device.Device) error {
	devices, err := e.Users.Devices(ctx, d.Credential, d.UserID)
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	taken := 0
	for _, other := range devices {
		if other.Active() || e.Now().Before(other.Pending.ExpiresAt) {
			taken++
		}
		if other.Active() && other.Factor == d.Factor && d.Address != "" && strings.EqualFold(other.Address, d.Address) {
			return ErrEnrolled
		}
	}
	if taken >= maxDevices {
		return ErrCrowded
	}
	return nil
}

// beginMessage asks by a message. The device comes first and names the verification, so that a proof
// finds it wherever the two steps are cut apart.
func (e *Enrolments) beginMessage(ctx context.Context, d device.Device, r Request) (Enrolment, error) {
	m := r.Message
	m.Life, m.Shortest = cmp.Or(m.Life, r.Life), cmp.Or(m.Shortest, r.Shortest)
	m.Brand, m.Client = cmp.Or(m.Brand, r.Brand), cmp.Or(m.Client, r.Client)
	a, err := e.question(d, m)
	if err != nil {
		return Enrolment{}, err
	}
	d.Pending = e.pending(r)
	d.Pending.VerificationID, d.Pending.ExpiresAt = a.Verification.ID, a.Verification.ExpiresAt
	if d, err = e.Users.CreateDevice(ctx, d); err != nil {
		return Enrolment{}, fmt.Errorf("store device: %w", err)
	}
	if _, _, err := e.Verifications.Create(ctx, a); err != nil {
		e.drop(ctx, d)
		return Enrolment{}, fmt.Errorf("ask device: %w", err)
	}
	return Enrolment{Device: d, State: Pending, ExpiresAt: a.Verification.ExpiresAt, Number: a.Secrets.Number}, nil
}

func (e *Enrolments) beginAuthenticator(ctx context.Context, d device.Device, r Request) (Enrolment, error) {
	var err error
	if d.Secret, err = device.NewSecret(e.random()); err != nil {
		return Enrolment{}, fmt.Errorf("draw secret: %w", err)
	}
	d.Pending = e.pending(r)
	if d, err = e.Users.CreateDevice(ctx, d); err != nil {
		return Enrolment{}, fmt.Errorf("store device: %w", err)
	}
	secret := device.SecretText(d.Secret)
	return Enrolment{
		Device: d, State: Pending, ExpiresAt: d.Pending.ExpiresAt,
		Secret: secret, URI: device.KeyURI(cmp.Or(r.Issuer, r.Brand), shown(r.User), secret),
	}, nil
}

func (e *Enrolments) question(d device.Device, m Message) (verification.Activation, error) {
	id, err := uuid.NewV7FromReader(e.random())
	if err != nil {
		return verification.Activation{}, fmt.Errorf("draw verification id: %w", err)
	}
	return Question(d, id.String(), m, e.Now(), e.random())
}

// Get reads an enrolment by the id of its device. A proof that came without the device having been made
// active counts now.
func (e *Enrolments) Get(ctx context.Context, account, deviceID string) (Enrolment, error) {
	d, err := e.device(ctx, account, deviceID)
	if err != nil {
		return Enrolment{}, err
	}
	return e.standing(ctx, d)
}

// device reads a device that was enrolled. Those that a client registered by address have no factor.
func (e *Enrolments) device(ctx context.Context, account, id string) (device.Device, error) {
	d, err := e.Users.Device(ctx, account, id)
	if err == nil && d.Factor == "" {
		err = verification.ErrNotFound
	}
	return d, wrap("read device", err)
}

func (e *Enrolments) standing(ctx context.Context, d device.Device) (Enrolment, error) {
	if d.Active() {
		return Enrolment{Device: d, State: Accepted}, nil
	}
	out := Enrolment{Device: d, State: Pending, ExpiresAt: d.Pending.ExpiresAt}
	if !e.Now().Before(d.Pending.ExpiresAt) {
		out.State = Rejected
	}
	if d.Pending.VerificationID == "" {
		return out, nil
	}
	v, err := e.Verifications.Get(ctx, d.Pending.VerificationID)
	if errors.Is(err, verification.ErrNotFound) {
		return out, nil // cut off before anything was sent
	}
	if err != nil {
		return Enrolment{}, fmt.Errorf("read verification: %w", err)
	}
	return e.after(ctx, out, v)
}

// after is the enrolment once its verification reads like this.
func (e *Enrolments) after(ctx context.Context, out Enrolment, v verification.Verification) (Enrolment, error) {
	switch {
	case v.Status == verification.Approved:
		return e.activate(ctx, out.Device)
	case v.Status.Closed():
		out.State = Rejected
	}
	return out, nil
}

func (e *Enrolments) activate(ctx context.Context, d device.Device) (Enrolment, error) {
	if d.Pending != nil && d.Pending.Link != "" {
		err := e.admit(ctx, d)
		if errors.Is(err, ErrOvertaken) {
			return Enrolment{Device: d, State: Rejected, ExpiresAt: d.Pending.ExpiresAt}, nil
		}
		if err != nil {
			return Enrolment{}, fmt.Errorf("activate device: %w", err)
		}
	}
	d.Pending = nil
	d, err := e.Users.ActivateDevice(ctx, d)
	if err != nil {
		return Enrolment{}, fmt.Errorf("activate device: %w", err)
	}
	return Enrolment{Device: d, State: Accepted}, nil
}

// admit asks whether a device of a link may count, and tells that it will.
func (e *Enrolments) admit(ctx context.Context, d device.Device) error {
	if e.Admit != nil {
		if err := e.Admit(ctx, d); err != nil {
			return err
		}
	}
	if e.Adding != nil {
		return e.Adding(ctx, d)
	}
	return nil
}

// Prove checks a code of the device's owner. A wrong one leaves the enrolment pending, the last one that
// is allowed ends it. It fails with ErrFactor where the factor takes no code, and with ErrActive where
// nothing is left to prove.
func (e *Enrolments) Prove(ctx context.Context, account, deviceID string, code verification.Code) (Enrolment, error) {
	d, err := e.device(ctx, account, deviceID)
	if err != nil {
		return Enrolment{}, err
	}
	switch d.Factor {
	case device.AppPush:
		return e.proveJoined(ctx, d, code)
	case device.VoiceMatch, device.EmailLink:
		return Enrolment{}, fmt.Errorf("prove device: %w", ErrFactor)
	case device.SMSCode, device.EmailCode, device.AppCode:
	}
	if d.Active() {
		return Enrolment{Device: d, State: Accepted}, ErrActive
	}
	if d.Factor == device.AppCode {
		return e.proveSecret(ctx, d, code)
	}
	if d.Pending.VerificationID == "" {
		return e.standing(ctx, d)
	}
	v, _, err := e.Verifications.Check(ctx, d.Pending.VerificationID, code)
	if errors.Is(err, verification.ErrClosed) || errors.Is(err, verification.ErrNotFound) {
		return e.standing(ctx, d)
	}
	if err != nil {
		return Enrolment{}, fmt.Errorf("check code: %w", err)
	}
	return e.after(ctx, Enrolment{Device: d, State: Pending, ExpiresAt: d.Pending.ExpiresAt}, v)
}

// proveJoined takes a one-time code of a phone. A phone is active as soon as it has joined, and has no
// code before; so the code only confirms to the client what has happened.
func (e *Enrolments) proveJoined(ctx context.Context, d device.Device, code verification.Code) (Enrolment, error) {
	if !d.Active() {
		return e.standing(ctx, d)
	}
	right, err := e.Users.CheckCode(ctx, d.Credential, d.ID, code)
	if err != nil {
		return Enrolment{}, fmt.Errorf("check code: %w", err)
	}
	if !right {
		return Enrolment{Device: d, State: Pending}, nil
	}
	return Enrolment{Device: d, State: Accepted}, nil
}

func (e *Enrolments) proveSecret(ctx context.Context, d device.Device, code verification.Code) (Enrolment, error) {
	if !e.Now().Before(d.Pending.ExpiresAt) {
		return Enrolment{Device: d, State: Rejected, ExpiresAt: d.Pending.ExpiresAt}, nil
	}
	right, err := e.Users.CheckCode(ctx, d.Credential, d.ID, code)
	var limit *verification.LimitError
	switch {
	case errors.As(err, &limit):
		return e.refuse(ctx, d)
	case err != nil:
		return Enrolment{}, fmt.Errorf("check code: %w", err)
	case right:
		return e.activate(ctx, d)
	default:
		return Enrolment{Device: d, State: Pending, ExpiresAt: d.Pending.ExpiresAt}, nil
	}
}

// refuse ends an enrolment for good: the limit on wrong codes is a rolling one, and would let it come
// back to life.
func (e *Enrolments) refuse(ctx context.Context, d device.Device) (Enrolment, error) {
	ended := *d.Pending
	ended.VerificationID, ended.ExpiresAt = "", e.Now().UTC()
	d.Pending = &ended
	d, err := e.Users.UpdatePending(ctx, d)
	if err != nil {
		return Enrolment{}, fmt.Errorf("refuse device: %w", err)
	}
	return Enrolment{Device: d, State: Rejected, ExpiresAt: e.Now().UTC()}, nil
}

// Ask sends the owner of a pending device a message to prove it; an earlier one proves nothing any more.
// It fails with ErrActive, ErrFactor where the factor has no message, or as Verifications.Create does.
func (e *Enrolments) Ask(ctx context.Context, account, deviceID string, m Message) (Enrolment, error) {
	d, err := e.device(ctx, account, deviceID)
	if err != nil {
		return Enrolment{}, err
	}
	if d.Kind != device.Phone && d.Kind != device.Mailbox {
		return Enrolment{}, fmt.Errorf("ask device: %w", ErrFactor)
	}
	now, err := e.standing(ctx, d) // a proof may have come since
	if err != nil {
		return Enrolment{}, err
	}
	if now.State == Accepted {
		return now, ErrActive
	}
	if !e.Now().Before(d.Pending.ExpiresAt) {
		return Enrolment{}, fmt.Errorf("ask device: %w", verification.ErrNotFound)
	}
	a, err := e.question(d, m)
	if err != nil {
		return Enrolment{}, err
	}
	before, next := d, *d.Pending
	next.VerificationID, next.ExpiresAt = a.Verification.ID, later(next.ExpiresAt, a.Verification.ExpiresAt)
	d.Pending = &next
	if d, err = e.Users.UpdatePending(ctx, d); err != nil {
		return Enrolment{}, fmt.Errorf("store device: %w", err)
	}
	if _, _, err := e.Verifications.Create(ctx, a); err != nil {
		// The message before still counts. Where this fails too, the person asks again.
		_, _ = e.Users.UpdatePending(context.WithoutCancel(ctx), before)
		return Enrolment{}, fmt.Errorf("ask device: %w", err)
	}
	return Enrolment{Device: d, State: Pending, ExpiresAt: a.Verification.ExpiresAt, Number: a.Secrets.Number}, nil
}

// Drop removes a device that is not proved yet, and its activation code. It fails with ErrActive where it is by now.
func (e *Enrolments) Drop(ctx context.Context, d device.Device) error {
	removed, err := e.Users.DeletePending(ctx, d.Credential, d.ID)
	if err == nil && !removed {
		err = ErrActive
	}
	if err != nil {
		return fmt.Errorf("drop device: %w", err)
	}
	dropCode(ctx, e.Tickets, d)
	return nil
}

// drop removes a device that nobody was told of. What cannot be removed leaves with its end.
func (e *Enrolments) drop(ctx context.Context, d device.Device) {
	_ = e.Drop(context.WithoutCancel(ctx), d)
}

// pending is what is to be proved of a new device.
func (e *Enrolments) pending(r Request) *device.Pending {
	return &device.Pending{Link: r.Link, Browser: r.Browser, ProvedBy: r.ProvedBy, ExpiresAt: e.end(r)}
}

func (e *Enrolments) end(r Request) time.Time {
	return e.Now().UTC().Truncate(time.Millisecond).Add(cmp.Or(r.Life, verification.DefaultLife))
}

func (e *Enrolments) random() io.Reader {
	if e.Random == nil {
		return rand.Reader
	}
	return e.Random
}

// shown is what the person knows the user by.
func shown(u device.User) string { return cmp.Or(u.Username, u.Email, u.Name, u.ExternalID, u.ID) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
