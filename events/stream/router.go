package stream

import (
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
func Middleware(p *Publisher) []message.HandlerMiddleware {
	return []message.HandlerMiddleware{Bury(p), middleware.Recoverer}
}

// Bury puts what cannot be decoded aside, with the reason, so that it stops nobody: the
// letter is stored before the original ends.
func Bury(p *Publisher) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) ([]*message.Message, error) {
			produced, err := next(m)
			d := DeliveryOf(m.Context())
			if d == nil || !errors.Is(err, events.ErrUndecodable) {
				return produced, err
			}
			letter := events.DeadLetter{
				Subject: d.Subject, Consumer: d.Consumer, Kind: events.LetterUndecodable, Reason: err.Error(), Sequence: d.Sequence,
			}
			name(&letter, m.Payload)
			if stored := p.Letter(m.Context(), letter, m.Payload); stored != nil {
				return nil, errors.Join(err, stored)
			}
			d.Terminate(err.Error())
			return nil, err
		}
	}
}
