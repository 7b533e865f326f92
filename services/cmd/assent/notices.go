package main

import (
	"context"
	"errors"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/notification"
)

// notices is the loop of one channel's notifications.
func (p *process) notices(ctx context.Context, channel events.Channel, routes delivery.Routes, keys *keyring.Keyring) (*notification.Handler, error) {
	journal, err := notification.NewStreams(ctx, p.js, p.publisher())
	if err != nil {
		return nil, err
	}
	return &notification.Handler{
		Channel: channel, Routes: routes, Keys: keys, Journal: journal, Policy: p.cfg.Workers.policy(channel),
		Suppressions: unlisted{}, Parse: parseText,
		Slots: notification.NewSlots(p.cfg.Workers.MaxInFlight, notification.DefaultShares()),
		Now:   p.now, Log: p.log.With("role", string(channel)), Metrics: p.once.notices(), Closing: p.closing,
	}, nil
}

// unlisted is the list of the suppressed while there is none.
type unlisted struct{}

// Suppressed finds nobody.
func (unlisted) Suppressed(context.Context, string, string, string, events.Lane) (string, bool, error) {
	return "", false, nil
}

// text is a text without placeholders: there are no templates yet.
type text events.NotificationBody

func parseText(b events.NotificationBody) (notification.Body, error) {
	if strings.Contains(b.Subject+b.Text+b.HTML, "{{") {
		return nil, errors.New("placeholders cannot be filled in")
	}
	return text(b), nil
}

// Fill is the text as it is.
func (t text) Fill(map[string]string) (events.NotificationBody, error) {
	return events.NotificationBody(t), nil
}
