package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a publish can be refused with.
var (
	// ErrConflict: the subject does not stand at the expected sequence any more.
	ErrConflict = errors.New("subject was changed meanwhile")
	// ErrFull: the subject holds as many messages as its stream allows.
	ErrFull = errors.New("subject is full")
	// ErrTooLarge: the stream, or the broker, takes no message of this size.
	ErrTooLarge = errors.New("message is too large")
)

// publishTimeout bounds one publish whose caller gave no deadline.
const publishTimeout = 5 * time.Second

// Option says what must hold for a publish, or becomes of the message.
type Option func(*nats.Msg)

// WithTTL lets the broker drop the message after d, rounded up to whole seconds.
func WithTTL(d time.Duration) Option {
	return func(m *nats.Msg) { m.Header.Set(jetstream.MsgTTLHeader, wholeSeconds(d)) }
}

// wholeSeconds is a life as the broker takes it.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10) + "s"
}

// Expecting refuses the message with ErrConflict unless the subject's last message has this
// sequence; zero means that there must be none.
func Expecting(sequence uint64) Option {
	return func(m *nats.Msg) {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10))
	}
}

// ExpectingNone refuses the message with ErrConflict when any subject that the filter matches holds a message.
func ExpectingNone(filter string) Option {
	return func(m *nats.Msg) {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, filter)
	}
}

// ExpectingUnder refuses the message with ErrConflict unless the last message of all subjects that the filter
// matches has this sequence; zero means that there must be none.
func ExpectingUnder(filter string, sequence uint64) Option {
	return func(m *nats.Msg) {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10))
		m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, filter)
	}
}

// WithID lets the broker drop a second message of the same id, within two minutes.
func WithID(id string) Option {
	return func(m *nats.Msg) { m.Header.Set(jetstream.MsgIDHeader, id) }
}

// WithHeader sets a header, such as traceparent.
func WithHeader(key, value string) Option {
	return func(m *nats.Msg) { m.Header.Set(key, value) }
}

// Publisher stores events. It is safe for concurrent use and owns no connection.
type Publisher struct {
	js     jetstream.JetStream
	seal   Seal                        // of dead letters; may be nil
	stored func(consumer, kind string) // told of each dead letter; may be nil
	// batches has one place for each batch that may be open at once.
	batches chan struct{}
}

// NewPublisher publishes through js.
func NewPublisher(js jetstream.JetStream) *Publisher {
	return &Publisher{js: js, batches: make(chan struct{}, batchesAtOnce)}
}

// Put stores one message and returns its sequence once the broker has acknowledged it. It fails
// with ErrConflict, ErrFull or ErrTooLarge when an option or the stream refuses it; after any other error the
// message may or may not be stored. One that fails while the connection is known to be lost is not
// stored later: its caller counts it as failed, and tells so.
func (p *Publisher) Put(ctx context.Context, subject string, data []byte, options ...Option) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := p.connected(ctx); err != nil {
		return 0, err
	}
	return p.put(ctx, subject, data, options)
}

func (p *Publisher) put(ctx context.Context, subject string, data []byte, options []Option) (uint64, error) {
	ack, err := p.js.PublishMsg(ctx, Draft{subject, data, options}.message())
	if err != nil {
		return 0, publishError(err)
	}
	return ack.Sequence, nil
}

// connectionLook is between two looks at a connection that is known to be lost.
const connectionLook = 20 * time.Millisecond

// connected waits while the connection is known to be lost. The client library would keep the
// message and publish it when the broker is back.
func (p *Publisher) connected(ctx context.Context) error {
	nc := p.js.Conn()
	if nc.IsConnected() {
		return nil
	}
	look := time.NewTicker(connectionLook)
	defer look.Stop()
	for !nc.IsConnected() {
		if nc.IsClosed() {
			return fmt.Errorf("publish: %w", nats.ErrConnectionClosed)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("publish: no connection to the broker: %w", ctx.Err())
		}
	}
	return nil
}

// The broker's own codes (its errors.json), for refusals that the client library has no name for.
const (
	codeWrongLastSequence         jetstream.ErrorCode = 10071
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164 // the same, in a replicated stream
	codeStoreFailed               jetstream.ErrorCode = 10077 // wraps the store's own words
	codeExceedsMaximum            jetstream.ErrorCode = 10054
)

func publishError(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch {
		case api.ErrorCode == codeWrongLastSequence, api.ErrorCode == codeWrongLastSequenceConstant:
			return ErrConflict
		case api.ErrorCode == codeStoreFailed && api.Description == "maximum messages per subject exceeded":
			return ErrFull
		case api.ErrorCode == codeExceedsMaximum:
			return ErrTooLarge
		}
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return ErrTooLarge
	}
	return fmt.Errorf("publish: %w", err)
}
