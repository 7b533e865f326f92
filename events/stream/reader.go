package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Record is one stored message.
type Record struct {
	Subject  string
	Sequence uint64
	Data     []byte
	StoredAt time.Time
	// TTL is how long the broker keeps it, from StoredAt on; zero where it has no life of its own, or the
	// stream's leader was asked.
	TTL time.Duration
}

// Reader reads stored messages by subject. It is safe for concurrent use and owns no connection.
type Reader struct {
	nc         *nats.Conn
	stream     string
	replicated bool
	answers    answers
}

// NewReader reads one stream, which must allow direct reads.
func NewReader(ctx context.Context, js jetstream.JetStream, stream string) (*Reader, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return &Reader{nc: js.Conn(), stream: stream, replicated: s.CachedInfo().Config.Replicas > 1}, nil
}

// readTimeout bounds one read whose caller gave no deadline.
const readTimeout = 5 * time.Second

const (
	statusHeader      = "Status"
	statusNotFound    = "404"
	statusEndOfBatch  = "204"
	apiDirectGet      = "$JS.API.DIRECT.GET."
	apiLeaderGet      = "$JS.API.STREAM.MSG.GET."
	apiDelete         = "$JS.API.STREAM.MSG.DELETE."
	maxBatch          = 256
	codeNoMessage     = 10037
	headerSequence    = jetstream.SequenceHeader
	headerTimeStamp   = jetstream.TimeStampHeaer
	headerSubjectName = jetstream.SubjectHeader
)

// Last is the newest message under a subject or filter; ErrAbsent when there is none. Any replica
// may answer, and one that lags may not know the message yet, so in a replicated stream a miss is
// asked again of the leader before it counts.
func (r *Reader) Last(ctx context.Context, subject string) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := r.nc.RequestWithContext(ctx, apiDirectGet+r.stream+"."+subject, nil)
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", r.stream, err)
	}
	switch m.Header.Get(statusHeader) {
	case "":
		return record(m)
	case statusNotFound:
		if r.replicated {
			return r.fromLeader(ctx, subject)
		}
		return Record{}, ErrAbsent
	default:
		return Record{}, fmt.Errorf("read %s: status %s", r.stream, m.Header.Get(statusHeader))
	}
}

// Latest is Last as the stream's leader knows it: for reading again after a lost compare-and-set,
// where a lagging replica would answer with what was lost against.
func (r *Reader) Latest(ctx context.Context, subject string) (Record, error) {
	if !r.replicated {
		return r.Last(ctx, subject)
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.fromLeader(ctx, subject)
}

// At is the message of one sequence, as the stream's leader knows it; ErrAbsent when there is none, or no
// longer. It reads streams that allow no direct reads too.
func (r *Reader) At(ctx context.Context, sequence uint64) (Record, error) {
	if sequence == 0 {
		return Record{}, ErrAbsent // the broker refuses to look
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.askLeader(ctx, map[string]any{"seq": sequence})
}

// next is the first message under a subject from a sequence on, as the stream's leader knows it; ErrAbsent when
// there is none.
func (r *Reader) next(ctx context.Context, subject string, from uint64) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.askLeader(ctx, map[string]any{"seq": from, "next_by_subj": subject})
}

func (r *Reader) fromLeader(ctx context.Context, subject string) (Record, error) {
	return r.askLeader(ctx, map[string]any{"last_by_subj": subject})
}

func (r *Reader) askLeader(ctx context.Context, what map[string]any) (Record, error) {
	request, err := json.Marshal(what)
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", r.stream, err)
	}
	m, err := r.nc.RequestWithContext(ctx, apiLeaderGet+r.stream, request)
	if err != nil {
		return Record{}, fmt.Errorf("read %s from its leader: %w", r.stream, err)
	}
	var answer struct {
		Error *struct {
			Code int `json:"err_code"`
		} `json:"error"`
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return Record{}, fmt.Errorf("read %s from its leader: %w", r.stream, err)
	}
	if e := answer.Error; e != nil {
		if e.Code == codeNoMessage {
			return Record{}, ErrAbsent
		}
		return Record{}, fmt.Errorf("read %s from its leader: code %d", r.stream, e.Code)
	}
	a := answer.Message
	return Record{Subject: a.Subject, Sequence: a.Sequence, Data: a.Data, StoredAt: a.Time}, nil
}

// All reads the messages that a filter matches, oldest first, at most 256.
func (r *Reader) All(ctx context.Context, filter string) ([]Record, error) {
	return r.batch(ctx, map[string]any{"seq": 1, "next_by_subj": filter, "batch": maxBatch})
}

// Page reads the messages that a filter matches from a sequence on, oldest first, at most 256.
func (r *Reader) Page(ctx context.Context, filter string, from uint64) ([]Record, error) {
	return r.batch(ctx, map[string]any{"seq": max(from, 1), "next_by_subj": filter, "batch": maxBatch})
}

// all is All beyond one batch, up to a bound.
func (r *Reader) all(ctx context.Context, filter string, most int) ([]Record, error) {
	var records []Record
	for next := uint64(1); len(records) < most; {
		page, err := r.batch(ctx, map[string]any{"seq": next, "next_by_subj": filter, "batch": maxBatch})
		if err != nil {
			return nil, err
		}
		records = append(records, page...)
		if len(page) < maxBatch {
			break
		}
		next = page[len(page)-1].Sequence + 1
	}
	return records, nil
}

// Between reads what is left of the messages with these sequences, oldest first. A stretch that is longer
// than 256 is cut at its beginning.
func (r *Reader) Between(ctx context.Context, first, last uint64) ([]Record, error) {
	first = max(first, 1)
	if last < first {
		return nil, nil
	}
	if last-first >= maxBatch {
		first = last - maxBatch + 1
	}
	var records []Record
	for first <= last { // the broker ends an answer early that becomes too large
		some, err := r.batch(ctx, map[string]any{"seq": first, "batch": last - first + 1})
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			break
		}
		first = some[len(some)-1].Sequence + 1
		// Where some are gone, the batch goes on behind the last.
		for len(some) > 0 && some[len(some)-1].Sequence > last {
			some = some[:len(some)-1]
		}
		records = append(records, some...)
	}
	return records, nil
}

func (r *Reader) batch(ctx context.Context, what map[string]any) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	request, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.stream, err)
	}
	inbox, replies, done, err := r.answers.expect(r.nc)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.stream, err)
	}
	defer done()
	if err := r.nc.PublishRequest(apiDirectGet+r.stream, inbox, request); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.stream, err)
	}
	var records []Record
	for {
		var m *nats.Msg
		select {
		case m = <-replies:
		case <-ctx.Done():
			return nil, fmt.Errorf("read %s: %w", r.stream, ctx.Err())
		}
		switch status := m.Header.Get(statusHeader); status {
		case "":
			rec, err := record(m)
			if err != nil {
				return nil, err
			}
			records = append(records, rec)
		case statusNotFound, statusEndOfBatch:
			return records, nil
		default:
			return nil, fmt.Errorf("read %s: status %s", r.stream, status)
		}
	}
}

func record(m *nats.Msg) (Record, error) {
	seq, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return Record{}, errors.New("read: answer without a sequence")
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(headerTimeStamp))
	if err != nil {
		return Record{}, errors.New("read: answer without a time")
	}
	life, _ := time.ParseDuration(m.Header.Get(jetstream.MsgTTLHeader)) // most have none
	return Record{Subject: m.Header.Get(headerSubjectName), Sequence: seq, Data: m.Data, StoredAt: at, TTL: life}, nil
}

// Span is the sequences of the first and the last message that a stream has, as its leader knows them. An
// empty stream's first is greater than its last.
func Span(ctx context.Context, js jetstream.JetStream, stream string) (first, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, 0, fmt.Errorf("look at %s: %w", stream, err)
	}
	state := s.CachedInfo().State // this call's answer
	return max(state.FirstSeq, 1), state.LastSeq, nil
}

// Delete removes one message by its sequence; a missing one is not an error.
func Delete(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) error {
	_, err := Remove(ctx, js, stream, sequence)
	return err
}

// What the broker says of a message that is not there to be deleted. It has one code for all failures of its
// store, and the store's own words beside it.
const (
	codeDeleteFailed = 10057
	codeNoSequence   = 10043
)

// Remove is Delete, and tells whether this call removed the message: of all who remove one, one is told so.
func Remove(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) (removed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]any{"seq": sequence, "no_erase": true})
	if err != nil {
		return false, fmt.Errorf("delete from %s: %w", stream, err)
	}
	m, err := js.Conn().RequestWithContext(ctx, apiDelete+stream, request)
	if err != nil {
		return false, fmt.Errorf("delete from %s: %w", stream, err)
	}
	var answer struct {
		Success bool `json:"success"`
		Error   *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return false, fmt.Errorf("delete from %s: %w", stream, err)
	}
	switch e := answer.Error; {
	case e == nil:
		return answer.Success, nil
	case e.Code == codeNoSequence, e.Code == codeNoMessage,
		e.Code == codeDeleteFailed && (e.Description == "no message found" || e.Description == "stream store EOF"):
		return false, nil
	default:
		return false, fmt.Errorf("delete from %s: code %d", stream, e.Code)
	}
}

// Purge removes all messages under a subject; none is not an error.
func Purge(ctx context.Context, js jetstream.JetStream, stream, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("purge %s: %w", stream, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("purge %s: %w", stream, err)
	}
	return nil
}
