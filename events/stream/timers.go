package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/assent-io/assent/events"
)

// The broker's headers of a message that waits for its time (ADR-51 of NATS). The client library's
// own option cuts the time to whole seconds, and so fires up to one too early.
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	headerScheduleTTL    = "Nats-Schedule-TTL"
)

// Schedule lets the broker hand out a timer at a time; one that stood under the same kind,
// verification, step and send is replaced. It fires at that time or up to a second later, once or,
// where the broker was killed just then, twice.
func (p *Publisher) Schedule(ctx context.Context, at time.Time, t events.TimerDue) error {
	t.Version = events.Version
	data, err := events.Encode(t)
	if err != nil {
		return err
	}
	_, err = p.Put(ctx, events.TimerSubject(t.Kind, t.ID, t.Step, t.Send), data,
		WithHeader(headerSchedule, "@at "+at.UTC().Format(time.RFC3339Nano)),
		WithHeader(headerScheduleTarget, events.DueSubject(t.Kind, t.ID)),
		WithHeader(headerScheduleTTL, timersAge.String()))
	if err != nil {
		return fmt.Errorf("schedule %s: %w", t.Kind, err)
	}
	return nil
}

// apiPurge is the broker's call that removes what a filter matches.
const apiPurge = "$JS.API.STREAM.PURGE."

// Unschedule takes back the timers of one kind of a verification; none is not an error. One that is
// being handed out just now may still arrive.
func (p *Publisher) Unschedule(ctx context.Context, kind, id string) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]string{"filter": events.TimersOf(kind, id)})
	if err != nil {
		return fmt.Errorf("take back timers: %w", err)
	}
	m, err := p.js.Conn().RequestMsgWithContext(ctx, &nats.Msg{Subject: apiPurge + Timers, Data: request})
	if err != nil {
		return fmt.Errorf("take back timers: %w", err)
	}
	var answer struct {
		Success bool `json:"success"`
	}
	if json.Unmarshal(m.Data, &answer) != nil || !answer.Success {
		return fmt.Errorf("take back timers: the broker refused")
	}
	return nil
}
