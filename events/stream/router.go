package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/assent-io/assent/events"
)

// NewRouter makes Watermill's Router for one role. Its own words go to the log at debug level:
// what a delivery came to is told by whoever handled it.
func NewRouter(log *slog.Logger, grace time.Duration) (*message.Router, error) {
	quiet := watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelDebug,
	})
	r, err := message.NewRouter(message.RouterConfig{CloseTimeout: grace}, quiet)
	if err != nil {
		return nil, fmt.Errorf("make router: %w", err)
	}
	return r, nil
}

// Middleware is what every handler of Assent runs inside, outermost first.
func Middleware(p *Publisher, dead func(consumer string)) []message.HandlerMiddleware {
	return []message.HandlerMiddleware{Bury(p, dead), middleware.Recoverer}
}

// Bury puts what cannot be decoded aside, with the reason, so that it stops nobody: the
// copy is stored before the original ends. dead counts them and may be nil.
func Bury(p *Publisher, dead func(consumer string)) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) ([]*message.Message, error) {
			produced, err := next(m)
			d := DeliveryOf(m.Context())
			if d == nil || !errors.Is(err, events.ErrUndecodable) {
				return produced, err
			}
			if stored := p.bury(m.Context(), d, m.Payload, err); stored != nil {
				return nil, errors.Join(err, stored)
			}
			if dead != nil {
				dead(d.Consumer)
			}
			d.Terminate(err.Error())
			return nil, err
		}
	}
}

// bury stores a dead letter. Its id is the original's place, so that a repetition is dropped.
func (p *Publisher) bury(ctx context.Context, d *Delivery, payload []byte, cause error) error {
	data, err := events.Encode(events.DeadLetter{
		Version: events.Version, Subject: d.Subject, Consumer: d.Consumer, Reason: cause.Error(),
		Data: payload, Sequence: d.Sequence, At: time.Now().UTC(),
	})
	if err != nil {
		return err
	}
	id := fmt.Sprintf("dead-%s-%d", d.Consumer, d.Sequence)
	if _, err := p.Put(ctx, events.DeadLetterSubject(d.Consumer), data, WithID(id)); err != nil {
		return fmt.Errorf("store dead letter: %w", err)
	}
	return nil
}
