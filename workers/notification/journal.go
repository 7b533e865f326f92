package notification

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// Streams is the Journal on JetStream.
type Streams struct {
	pub  *stream.Publisher
	logs *stream.Reader
}

// NewStreams opens the journal, which writes through pub. The streams must exist.
func NewStreams(ctx context.Context, js jetstream.JetStream, pub *stream.Publisher) (*Streams, error) {
	logs, err := stream.NewReader(ctx, js, stream.Progress)
	if err != nil {
		return nil, err
	}
	return &Streams{pub: pub, logs: logs}, nil
}

// Append stores an entry behind the one of this sequence.
func (s *Streams) Append(ctx context.Context, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
	data, err := events.Encode(e)
	if err != nil {
		return 0, err
	}
	return s.pub.Put(ctx, events.ProgressSubject(e.ID, e.Part), data, stream.Expecting(after), stream.WithTTL(life))
}

// Read reads the log of a part as the stream's leader knows it. An entry that nobody can decode must not bury a sound part, so only the text
// of that error goes on.
func (s *Streams) Read(ctx context.Context, id string, part int) (stream.PartLog, error) {
	log, err := s.logs.NewestPartLog(ctx, id, part)
	if errors.Is(err, events.ErrUndecodable) {
		err = errors.New("read the log of a part: " + err.Error())
	}
	return log, err
}
