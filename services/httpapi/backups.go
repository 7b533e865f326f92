package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// reachable finds a user who is to be asked or told something. Where there is none, or not one who may be, note is told
// so, and the id of the user is empty.
func (s *Server) reachable(ctx context.Context, account, id string, note func(detail string)) (device.User, error) {
	var u device.User
	err := verification.ErrNotFound
	if events.ValidID(id) {
		u, err = s.config.Users.User(ctx, account, id)
	}
	switch {
	case errors.Is(err, verification.ErrNotFound):
		note("is not a registered user")
	case err != nil:
		return u, fmt.Errorf("read user: %w", err)
	case u.Barred():
		note("is a user who is locked or disabled")
	default:
		return u, nil
	}
	return device.User{}, nil
}

// byUser asks a user: by their default device, or by the first in order that has the channel and carries the challenge.
func (s *Server) byUser(
	ctx context.Context, request api.CreateVerification, account string, f *faults, p *verification.Params, a *verification.Activation,
) error {
	nobody := func(detail string) {
		f.add("user_id", detail)
		p.Channel = cmp.Or(p.Channel, verification.SMS) // carries every challenge, so that the domain finds no fault that follows from this one
	}
	u, err := s.reachable(ctx, account, request.UserID, nobody)
	if err != nil || u.ID == "" {
		return err
	}
	devices, err := s.devicesInOrder(ctx, u)
	if err != nil {
		return err
	}
	wanted, challenge := p.Channel, p.Challenge
	if !request.Challenge.Valid() {
		challenge = "" // any device will do: what is wrong with the challenge is for the domain to say
	}
	if wanted != "" && !wanted.Carries(challenge) {
		return nil // likewise
	}
	for i, d := range devices {
		channel := carrier(d, wanted, challenge)
		if channel == "" {
			continue
		}
		p.Channel, p.UserID, p.DeviceID, p.ToMasked = channel, u.ID, d.ID, device.Mask(d.Kind, d.Address)
		a.To, a.Platform, a.PublicKey = d.Address, d.Platform, d.PublicKey
		others := append(append([]device.Device{}, devices[:i]...), devices[i+1:]...)
		backups(request, others, f, p, a)
		return nil
	}
	nobody(noCarrier(wanted, challenge))
	return nil
}

// carrier is the channel by which a device carries a challenge: the one that is wanted, or else its first that does.
// Empty where it has none.
func carrier(d device.Device, wanted verification.Channel, challenge verification.Challenge) verification.Channel {
	for _, c := range d.Kind.Channels() {
		if channel := verification.Channel(c); (wanted == "" || channel == wanted) && channel.Carries(challenge) {
			return channel
		}
	}
	return ""
}

// noCarrier says what kind of device a user does not have.
func noCarrier(wanted verification.Channel, challenge verification.Challenge) string {
	switch {
	case wanted != "":
		return "has no device for " + string(wanted)
	case challenge != "":
		return "has no device that carries the challenge " + string(challenge)
	default:
		return "has no device"
	}
}

// checkBackups finds backups where they do not go.
func checkBackups(f *faults, request api.CreateVerification) {
	switch {
	case request.Backups == nil:
	case request.UserID == "":
		f.add("backups", "goes with user_id only")
	case len(request.Fallback) > 0:
		f.add("backups", "must not be given together with fallback")
	}
}

// backups makes steps of a user's other devices, which come in order: as many as there may be, and have their time.
func backups(request api.CreateVerification, others []device.Device, f *faults, p *verification.Params, a *verification.Activation) {
	switch {
	case request.Backups == nil, len(request.Fallback) > 0: // that both are given is a fault already
		return
	case p.Channel == verification.TOTP:
		f.add("backups", "does not go with an authenticator app, whose code comes in no message")
		return
	}
	after, life := time.Duration(request.Backups.After)*time.Second, cmp.Or(p.Life, verification.DefaultLife)
	if after < time.Second || after >= life {
		f.add("backups/after", "must be at least 1 second, and less than the verification lives")
		return
	}
	a.Backups = true
	challenge := cmp.Or(p.Challenge, p.Channel.DefaultChallenge())
	for _, d := range others {
		channel := carrier(d, "", challenge)
		if channel == "" || channel == verification.TOTP {
			continue
		}
		step := time.Duration(len(p.Fallback) + 1)
		if step > verification.MaxSteps || step*after >= life {
			return
		}
		p.Fallback = append(p.Fallback, verification.Step{
			Channel: channel, After: after, DeviceID: d.ID, ToMasked: device.Mask(d.Kind, d.Address),
		})
		a.Roads = append(a.Roads, verification.Road{To: d.Address, Platform: d.Platform, PublicKey: d.PublicKey})
	}
}
