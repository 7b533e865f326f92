package main

import (
	"context"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/template"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/notification"
)

// notices is the loop of one channel's notifications.
func (p *process) notices(ctx context.Context, channel events.Channel, routes delivery.Routes, keys *keyring.Keyring) (*notification.Handler, error) {
	journal, err := notification.NewStreams(ctx, p.js, p.publisher())
	if err != nil {
		return nil, err
	}
	list, err := p.suppressions(ctx)
	if err != nil {
		return nil, err
	}
	return &notification.Handler{
		Channel: channel, Routes: routes, Keys: keys, Journal: journal, Policy: p.cfg.Workers.policy(channel),
		Suppressions: list, Suppressor: p.suppressor(keys, string(channel)), Parse: parse,
		Slots: notification.NewSlots(p.cfg.Workers.MaxInFlight, p.cfg.Lanes.Of),
		Now:   p.now, Log: p.log.With("role", string(channel)), Metrics: p.once.notices(), Closing: p.closing,
	}, nil
}

// parse reads the text of a part, whose placeholders are filled for each recipient.
func parse(b events.NotificationBody) (notification.Body, error) { return template.Parse(b) }
