package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// readFallback finds the address of each step. Whether its channel carries the challenge, and its time
// fits, is for the domain to say.
func (s *Server) readFallback(
	r *http.Request, request api.CreateVerification, account string, f *faults, p *verification.Params, a *verification.Activation,
) error {
	for i, step := range request.Fallback {
		t := stepReader{s: s, r: r, account: account, field: func(name string) string { return fmt.Sprintf("fallback/%d/%s", i, name) }, f: f, p: p, a: a}
		if err := t.read(step); err != nil {
			return err
		}
	}
	return nil
}

// stepReader reads one step of a fallback.
type stepReader struct {
	s       *Server
	r       *http.Request
	account string
	field   func(name string) string
	f       *faults
	p       *verification.Params
	a       *verification.Activation
}

func (t stepReader) read(step api.FallbackStep) error {
	into := verification.Step{Channel: verification.Channel(step.Channel), After: time.Duration(step.After) * time.Second}
	var road verification.Road
	var err error
	switch {
	case step.To != "" && step.DeviceID != "":
		t.f.add(t.field("device_id"), "must not be given together with to")
	case step.DeviceID != "":
		err = t.device(step.DeviceID, &into, &road)
	case step.To != "":
		t.address(step.To, &into, &road)
	default:
		err = t.known(&into, &road)
	}
	t.p.Fallback = append(t.p.Fallback, into)
	t.a.Roads = append(t.a.Roads, road)
	return err
}

// address takes an address that the request gives.
func (t stepReader) address(to string, into *verification.Step, road *verification.Road) {
	kind := kindOf(into.Channel)
	if kind == "" {
		if into.Channel == verification.Push {
			t.f.add(t.field("device_id"), "is required for the channel push")
		}
		return // any other channel is a fault of its own
	}
	var err error
	if road.To, into.ToMasked, err = readAddress(kind, to); err != nil {
		t.f.add(t.field("to"), err.Error())
	}
}

// device takes a registered device. Where the verification is for a user, it is one of the same user.
func (t stepReader) device(id string, into *verification.Step, road *verification.Road) error {
	d, err := t.s.device(t.r.Context(), t.account, id)
	if errors.Is(err, verification.ErrNotFound) || err == nil && t.p.UserID != "" && d.UserID != t.p.UserID {
		t.f.add(t.field("device_id"), "is not a registered device of this user")
		into.Channel = cmp.Or(into.Channel, t.p.Channel) // so that nothing that follows from this is told too
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.s.checkOwner(t.r, t.account, d, t.field("device_id"), t.f); err != nil {
		return err
	}
	t.take(d, into, road)
	return nil
}

func (t stepReader) take(d device.Device, into *verification.Step, road *verification.Road) {
	into.Channel = channelOf(d, into.Channel, t.field("channel"), t.f)
	into.DeviceID, into.ToMasked = d.ID, device.Mask(d.Kind, d.Address)
	if t.p.UserID == "" {
		into.UserID = d.UserID
	}
	road.To, road.Platform, road.PublicKey = d.Address, d.Platform, d.PublicKey
}

// known finds the address of a step that names none: the verification's own where that has the channel,
// else that of the first of the user's devices in their order that has it.
func (t stepReader) known(into *verification.Step, road *verification.Road) error {
	if into.Channel == "" {
		t.f.add(t.field("channel"), "is required without device_id")
		into.Channel = t.p.Channel
		return nil
	}
	if kind := kindOf(into.Channel); kind != "" && kind == kindOf(t.p.Channel) {
		into.DeviceID, into.ToMasked, road.To = t.p.DeviceID, t.p.ToMasked, t.a.To
		return nil
	}
	if t.p.UserID != "" {
		devices, err := t.devices()
		if err != nil {
			return err
		}
		for _, d := range devices {
			if contains(d.Kind.Channels(), string(into.Channel)) {
				t.take(d, into, road)
				return nil
			}
		}
	}
	if slices.Contains(events.Channels(), events.Channel(into.Channel)) {
		t.f.add(t.field("channel"), fmt.Sprintf("has no address: there is none for %s to go to; give to, or the device_id of another device", into.Channel))
	}
	return nil
}

// devices are those of the verification's user, in their order.
func (t stepReader) devices() ([]device.Device, error) {
	u, err := t.s.config.Users.User(t.r.Context(), t.account, t.p.UserID)
	if errors.Is(err, verification.ErrNotFound) { // removed this moment
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user of fallback: %w", err)
	}
	return t.s.devicesInOrder(t.r.Context(), u)
}
