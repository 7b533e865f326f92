package stream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The broker's headers of an atomic batch (ADR-50 of NATS), for which the client library has no call.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// MaxTogether is how many messages one PutAll takes: fewer than the broker's limit of 1,000, because what is
// published together waits in its memory.
const MaxTogether = 256

// Draft is a message that is still to be stored.
type Draft struct {
	Subject string
	Data    []byte
	Options []Option
}

// Scheduled keeps a message under its own subject until its time, when the broker moves it to the target and
// keeps it there for life. It arrives at that time or up to a second later, and not before.
func Scheduled(at time.Time, target string, life time.Duration) Option {
	return func(m *nats.Msg) {
		m.Header.Set(headerSchedule, "@at "+at.UTC().Format(time.RFC3339Nano))
		m.Header.Set(headerScheduleTarget, target)
		m.Header.Set(headerScheduleTTL, wholeSeconds(life))
	}
}

// PutAll stores all messages or none, in one stream that allows it, and returns the sequence of the last. It
// fails as Put does; after an error other than ErrConflict either all are stored or none is. Repetitions are
// not dropped here: WithID does not go together with it.
func (p *Publisher) PutAll(ctx context.Context, drafts []Draft) (uint64, error) {
	switch {
	case len(drafts) == 0:
		return 0, errors.New("publish: an empty batch")
	case len(drafts) == 1:
		return p.Put(ctx, drafts[0].Subject, drafts[0].Data, drafts[0].Options...)
	case len(drafts) > MaxTogether:
		return 0, fmt.Errorf("publish: %d messages in a batch, at most %d", len(drafts), MaxTogether)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := p.turn(ctx); err != nil {
		return 0, err
	}
	defer func() { <-p.batches }()
	if err := p.connected(ctx); err != nil {
		return 0, err
	}
	id := rand.Text()
	for i, d := range drafts[:len(drafts)-1] {
		m := d.message()
		m.Header.Set(headerBatchID, id)
		m.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		if i > 0 {
			if err := p.js.Conn().PublishMsg(m); err != nil {
				return 0, fmt.Errorf("publish: %w", err)
			}
			continue
		}
		// The first is answered at once, so that a broker that takes no batch is not sent all of it.
		if _, err := p.ask(ctx, m); err != nil {
			return 0, err
		}
	}
	last := drafts[len(drafts)-1].message()
	last.Header.Set(headerBatchID, id)
	last.Header.Set(headerBatchSequence, strconv.Itoa(len(drafts)))
	last.Header.Set(headerBatchCommit, "1")
	ack, err := p.ask(ctx, last)
	if err != nil {
		return 0, err
	}
	if ack.Batch != id || ack.Count != len(drafts) {
		return 0, errors.New("publish: the broker did not store the batch as one")
	}
	return ack.Sequence, nil
}

// batchesAtOnce is how many batches one process has open: the broker takes 50 in a stream, from all processes
// together, and what is too many is refused as a whole.
const batchesAtOnce = 4

// turn waits for a place among the open batches.
func (p *Publisher) turn(ctx context.Context) error {
	select {
	case p.batches <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("publish: too many batches at once: %w", ctx.Err())
	}
}

// batchAck is the broker's answer to a message of a batch; empty for all but the last.
type batchAck struct {
	Sequence uint64              `json:"seq"`
	Batch    string              `json:"batch"`
	Count    int                 `json:"count"`
	Error    *jetstream.APIError `json:"error"`
}

func (p *Publisher) ask(ctx context.Context, m *nats.Msg) (batchAck, error) {
	var ack batchAck
	answer, err := p.js.Conn().RequestMsgWithContext(ctx, m)
	if err != nil {
		return ack, fmt.Errorf("publish: %w", err)
	}
	if len(answer.Data) == 0 {
		return ack, nil
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return ack, fmt.Errorf("publish: read answer: %w", err)
	}
	if ack.Error != nil {
		return ack, publishError(ack.Error)
	}
	return ack, nil
}

func (d Draft) message() *nats.Msg {
	m := &nats.Msg{Subject: d.Subject, Data: d.Data, Header: nats.Header{}}
	for _, o := range d.Options {
		o(m)
	}
	return m
}
