package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// lookupsAtOnce is how many users and devices of one batch are read at the same time.
const lookupsAtOnce = 8

func laneOf(lane string) events.Lane { return events.Lane(lane) }

// messageChannels are the roads of messages, for a refusal that lists them.
func messageChannels() []api.MessageChannel {
	return []api.MessageChannel{api.MessageChannelSMS, api.MessageChannelVoice, api.MessageChannelEmail, api.MessageChannelPush}
}

// channel checks a road; empty is fine.
func (f *faults) channel(field string, c api.MessageChannel) {
	if c != "" && !c.Valid() {
		f.add(field, "must be "+choice(messageChannels()))
	}
}

// resolveAll finds the address of everybody. The error is one of the stores.
func (d *draft) resolveAll(ctx context.Context) error {
	var away []*person // their addresses are in the stores
	for i, p := range d.people {
		switch {
		case !d.formed(p):
		case p.asked.To != "":
			p.address()
		default:
			away = append(away, p)
		}
		p.judge()
		pause(i)
	}
	if len(away) == 0 {
		return nil
	}
	return d.turn.without(ctx, func() error { return d.lookUp(ctx, away) })
}

// judge notes that a recipient with faults is refused.
func (p *person) judge() {
	if len(p.f) > 0 {
		p.code = codeInvalidRecipient
	}
}

// lookUp finds the addresses that are in the stores.
func (d *draft) lookUp(ctx context.Context, people []*person) error {
	lookups, ctx := errgroup.WithContext(ctx)
	lookups.SetLimit(lookupsAtOnce)
	for _, p := range people {
		lookups.Go(func() error {
			if ctx.Err() != nil {
				return fmt.Errorf("look for recipients: %w", ctx.Err())
			}
			defer p.judge()
			if p.asked.DeviceID != "" {
				return d.byDevice(ctx, p)
			}
			return d.byUser(ctx, p)
		})
	}
	return lookups.Wait()
}

// formed tells whether what is said of a recipient has its form, so that they can be looked for.
func (d *draft) formed(p *person) bool {
	p.addressee.Locale = p.asked.Locale
	if d.request.Recipients != nil { // of a single one the fields are those of the whole
		p.f.channel(p.field("channel"), p.asked.Channel)
		p.f.locale(p.field("locale"), p.asked.Locale)
	}
	p.f.variables(p.field, p.asked.Variables)
	given := slices.DeleteFunc([]string{p.asked.To, p.asked.DeviceID, p.asked.UserID}, func(s string) bool { return s == "" })
	switch {
	case len(given) > 1:
		p.f.add(p.field(p.named()), "must be the only one of to, device_id and user_id")
	case len(given) == 0:
		if !d.f.has("device_id") && !d.f.has("user_id") && !p.f.has(p.field("device_id")) && !p.f.has(p.field("user_id")) {
			p.f.add(p.field("to"), "is required, or device_id or user_id instead")
		}
		return false
	}
	return len(p.f) == 0
}

// road is the channel that a recipient is meant to be sent on, whether or not they can be; empty where nobody
// knows.
func (p *person) road() api.MessageChannel {
	switch {
	case p.addressee.Channel != "":
		return api.MessageChannel(p.addressee.Channel)
	case p.asked.Channel.Valid():
		return p.asked.Channel
	case p.asked.Channel != "", p.asked.To == "", p.named() != "to":
		return ""
	case strings.Contains(p.asked.To, "@"):
		return api.MessageChannelEmail
	default:
		return api.MessageChannelSMS
	}
}

// address takes an address, on the road that is named or that it looks like.
func (p *person) address() {
	to, channel := p.asked.To, p.road()
	kind, err := device.Phone, error(nil)
	switch channel {
	case api.MessageChannelSMS, api.MessageChannelVoice:
		to, err = address.Phone(to)
	case api.MessageChannelEmail:
		kind = device.Mailbox
		to, err = address.Mailbox(to)
	case api.MessageChannelPush:
		p.f.add(p.field("device_id"), "is required for the channel push, or user_id")
		return
	default:
		return // the channel is a fault already
	}
	if err != nil {
		p.f.add(p.field("to"), err.Error())
		return
	}
	p.addressee.Channel, p.addressee.To, p.addressee.ToMasked = string(channel), to, device.Mask(kind, to)
}

func (d *draft) byDevice(ctx context.Context, p *person) error {
	dev, err := d.s.device(ctx, d.client.Account, p.asked.DeviceID)
	if errors.Is(err, verification.ErrNotFound) {
		p.f.add(p.field("device_id"), "is not a registered device")
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.notBarred(ctx, p, dev.UserID, "device_id", "belongs to a user who is locked or disabled"); err != nil || len(p.f) > 0 {
		return err
	}
	channels := noticeChannels(dev.Kind)
	switch {
	case len(channels) == 0:
		p.f.add(p.field("device_id"), "is a device that carries no messages")
	case p.asked.Channel == "":
		p.take(dev, channels[0])
	case !contains(channels, string(p.asked.Channel)):
		p.f.add(p.field("channel"), fmt.Sprintf("must be %s for this device", strings.Join(channels, " or ")))
	default:
		p.take(dev, string(p.asked.Channel))
	}
	return nil
}

// noticeChannels are the roads of a device that carry messages; none for an authenticator app.
func noticeChannels(k device.Kind) []string {
	if k == device.TOTP {
		return nil
	}
	return k.Channels()
}

func (d *draft) notBarred(ctx context.Context, p *person, userID, field, detail string) error {
	owner, err := d.s.config.Users.User(ctx, d.client.Account, userID)
	if err != nil && !errors.Is(err, verification.ErrNotFound) {
		return fmt.Errorf("read user of notification: %w", err)
	}
	if owner.Barred() {
		p.f.add(p.field(field), detail)
	}
	return nil
}

// byUser takes the first of the user's devices in their order: on the channel that is asked for, else on the one
// that the user prefers, else on any.
func (d *draft) byUser(ctx context.Context, p *person) error {
	u, err := d.s.reachable(ctx, d.client.Account, p.asked.UserID, func(detail string) { p.f.add(p.field("user_id"), detail) })
	if err != nil || u.ID == "" {
		return err
	}
	devices, err := d.s.devicesInOrder(ctx, u)
	if err != nil {
		return err
	}
	wanted := cmp.Or(string(p.asked.Channel), u.PreferredChannel)
	for _, dev := range devices {
		channels := noticeChannels(dev.Kind)
		if len(channels) == 0 || wanted != "" && !contains(channels, wanted) {
			continue
		}
		p.take(dev, cmp.Or(wanted, channels[0]))
		return nil
	}
	if wanted == "" {
		p.f.add(p.field("user_id"), "has no device that carries messages")
	} else {
		p.f.add(p.field("user_id"), "has no device for "+wanted)
	}
	return nil
}

func (p *person) take(d device.Device, channel string) {
	a := &p.addressee
	a.Channel, a.To, a.ToMasked = channel, d.Address, device.Mask(d.Kind, d.Address)
	a.UserID, a.DeviceID, a.Platform, a.PublicKey = d.UserID, d.ID, d.Platform, d.PublicKey
}
