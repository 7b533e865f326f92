package stream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
)

const (
	// removedHeader marks what stands in the place of an entry that was removed, so that whoever reads headers
	// only learns of it.
	removedHeader = "Assent-Removed"
	// removedLife is how long that stands. Whoever was away for longer keeps a hint that leads nowhere.
	removedLife = 24 * time.Hour
	// suppressTries bounds how often a lost compare-and-set is tried again.
	suppressTries = 8
)

// Suppress puts an address on the list of those that get no messages. It returns once the broker has the
// entry. The first entry of an address in a scope stays as it is, with its time and cause, unless the new one
// covers more; added tells that this one was stored.
func (p *Publisher) Suppress(ctx context.Context, s events.Suppression) (added bool, err error) {
	s.Version = events.Version
	subject := events.SuppressionSubject(s.Destination, s.Scope())
	data, err := events.Encode(s)
	if err != nil {
		return false, err
	}
	before := uint64(0) // most are new
	for range suppressTries {
		_, err := p.Put(ctx, subject, data, Expecting(before))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return false, fmt.Errorf("store suppression: %w", err)
		}
		stands, sequence, err := p.suppression(ctx, subject)
		if err != nil {
			return false, err
		}
		if stands != nil && (stands.Covers != events.CoversNotifications || s.Covers == events.CoversNotifications) {
			return false, nil
		}
		before = sequence
	}
	return false, fmt.Errorf("store suppression: %w", ErrConflict)
}

// Freeze keeps verifications back from an address for a life, until the time that s names. One that ends earlier gives
// way to it, one that ends later stays. It returns once the broker has one of them.
func (p *Publisher) Freeze(ctx context.Context, s events.Suppression, life time.Duration) error {
	s.Version, s.Covers = events.Version, events.CoversVerifications
	subject := events.SuppressionSubject(s.Destination, s.Scope())
	data, err := events.Encode(s)
	if err != nil {
		return err
	}
	for range suppressTries {
		stands, sequence, err := p.suppression(ctx, subject)
		if err != nil {
			return err
		}
		if stands != nil && stands.Until != nil && s.Until != nil && !stands.Until.Before(*s.Until) {
			return nil
		}
		_, err = p.Put(ctx, subject, data, Expecting(sequence), WithTTL(life))
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("store freeze: %w", err)
		}
	}
	return fmt.Errorf("store freeze: %w", ErrConflict)
}

// Unsuppress takes the entry of an address in a scope off the list, where it is there and of one of the causes;
// of none: of any. It tells whether it was.
func (p *Publisher) Unsuppress(ctx context.Context, destination, scope string, causes ...string) (removed bool, err error) {
	subject := events.SuppressionSubject(destination, scope)
	for range suppressTries {
		stands, sequence, err := p.suppression(ctx, subject)
		if err != nil || stands == nil || !among(causes, stands.Cause) {
			return false, err
		}
		_, err = p.Put(ctx, subject, nil, Expecting(sequence), WithHeader(removedHeader, "1"), WithTTL(removedLife))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return false, fmt.Errorf("remove suppression: %w", err)
		}
	}
	return false, fmt.Errorf("remove suppression: %w", ErrConflict)
}

// MoveSuppression stores the entry that was read as from under another hash of its address, as s has it, and removes
// it where it stood. In s's place the first entry stays, as Suppress has it. It tells whether this call moved it: of
// all who move one entry, one is told so, and where it was changed since it was read nobody moves it.
func (p *Publisher) MoveSuppression(ctx context.Context, from Record, s events.Suppression) (moved bool, err error) {
	stands, sequence, err := p.suppression(ctx, from.Subject)
	if err != nil || stands == nil || sequence != from.Sequence {
		return false, err
	}
	if events.SuppressionSubject(s.Destination, s.Scope()) == from.Subject {
		s.Version = events.Version
		data, err := events.Encode(s)
		if err != nil {
			return false, err
		}
		return p.replace(ctx, from, data)
	}
	if _, err := p.Suppress(ctx, s); err != nil {
		return false, err
	}
	return p.replace(ctx, from, nil, WithHeader(removedHeader, "1"), WithTTL(removedLife))
}

// replace stores something in the place of a record, unless it was replaced meanwhile.
func (p *Publisher) replace(ctx context.Context, old Record, data []byte, options ...Option) (bool, error) {
	_, err := p.Put(ctx, old.Subject, data, append(options, Expecting(old.Sequence))...)
	if err != nil && !errors.Is(err, ErrConflict) {
		return false, fmt.Errorf("move suppression: %w", err)
	}
	return err == nil, nil
}

func among(causes []string, cause string) bool {
	for _, c := range causes {
		if c == cause {
			return true
		}
	}
	return len(causes) == 0
}

// suppression is the entry at a subject as the stream's leader knows it, nil where there is none, and the
// sequence of what stands there.
func (p *Publisher) suppression(ctx context.Context, subject string) (*events.Suppression, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rec, err := (&Reader{nc: p.js.Conn(), stream: Suppressions}).fromLeader(ctx, subject)
	if errors.Is(err, ErrAbsent) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	s, err := Suppression(rec)
	return s, rec.Sequence, err
}

// Suppression reads an entry of the list; nil where the record says that it was removed.
func Suppression(r Record) (*events.Suppression, error) {
	if len(r.Data) == 0 {
		return nil, nil //nolint:nilnil // there is none, and that is no fault
	}
	s, err := events.Decode[events.Suppression](r.Data)
	return &s, err
}

// SuppressionList knows which addresses get no messages. It keeps eight bytes of each entry in memory, some twelve
// with the free space between them, and follows the stream; what it finds there is read from the broker before
// it counts, and an address that is not on the list costs no round trip. It is safe for concurrent use.
type SuppressionList struct {
	js     jetstream.JetStream
	reader *Reader
	seed   maphash.Seed
	end    context.CancelFunc
	done   chan struct{}

	mu sync.RWMutex
	// listed are hashes of destinations with scopes. Two of a million entries share one once in some thirty
	// million lists; then removing the one hides the other until the next start.
	listed digests
	last   uint64 // the sequence up to which the stream is known
}

// FollowSuppressions reads the list and follows it from then on, until Close. It returns once all that was
// there is known, or with an error when ctx ends before.
func FollowSuppressions(ctx context.Context, js jetstream.JetStream) (*SuppressionList, error) {
	reader, err := NewReader(ctx, js, Suppressions)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	l := &SuppressionList{
		js: js, reader: reader, seed: maphash.MakeSeed(), end: end, done: make(chan struct{}),
	}
	loaded := make(chan struct{})
	go l.follow(life, sync.OnceFunc(func() { close(loaded) }))
	select {
	case <-loaded:
		return l, nil
	case <-ctx.Done():
		l.Close()
		return nil, fmt.Errorf("read suppressions: %w", ctx.Err())
	}
}

// Close ends the following. What is known stays known.
func (l *SuppressionList) Close() {
	l.end()
	<-l.done
}

// Len is how many entries are known.
func (l *SuppressionList) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.listed.len()
}

// Suppressed tells whether messages of a lane to a destination are kept back from this account and
// credential, and why. credential may be empty. It fails where the list has an entry and the broker cannot be
// asked for it.
func (l *SuppressionList) Suppressed(ctx context.Context, account, credential, destination string, lane events.Lane) (cause string, suppressed bool, err error) {
	s, err := l.Entry(ctx, account, credential, destination, lane)
	if err != nil || s == nil {
		return "", false, err
	}
	return s.Cause, true, nil
}

// Entry is the entry that keeps a message back, the widest first; nil where none does. It fails as Suppressed.
func (l *SuppressionList) Entry(ctx context.Context, account, credential, destination string, lane events.Lane) (*events.Suppression, error) {
	if destination == "" {
		return nil, nil //nolint:nilnil // what goes nowhere is kept back nowhere
	}
	scopes := [4]string{events.SuppressionScope("", "")}
	if account != "" {
		scopes[1] = events.SuppressionScope(account, "")
	}
	if credential != "" {
		scopes[2] = events.SuppressionScope(account, credential)
	}
	if account != "" && lane == events.LaneVerification {
		scopes[3] = events.FreezeScope(account) // last: it ends by itself, and must not hide one that stays
	}
	for _, scope := range scopes {
		if scope == "" {
			continue
		}
		known, last := l.hint(destination, scope)
		if !known {
			continue
		}
		rec, err := l.reader.Last(ctx, events.SuppressionSubject(destination, scope))
		if errors.Is(err, ErrAbsent) {
			l.forget(destination, scope, last)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look whether an address is suppressed: %w", err)
		}
		s, err := Suppression(rec)
		if err != nil {
			return nil, err
		}
		if s != nil && (lane != events.LaneVerification || s.Covers != events.CoversNotifications) {
			return s, nil
		}
	}
	return nil, nil //nolint:nilnil // most addresses are on no list
}

// hint tells whether there may be an entry, and up to where the stream was known then.
func (l *SuppressionList) hint(destination, scope string) (known bool, last uint64) {
	h := l.hash(destination, scope)
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.listed.has(h), l.last
}

// forget drops a hint that led nowhere: of an entry that ended by itself nobody tells. Where the stream was read
// further since, the hint may be one of an entry that came meanwhile, and stays.
func (l *SuppressionList) forget(destination, scope string, last uint64) {
	h := l.hash(destination, scope)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == last {
		l.listed.remove(h)
	}
}

func (l *SuppressionList) hash(destination, scope string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	// Strings never fail to be hashed. Neither part holds a dot.
	_, _ = h.WriteString(destination)
	_ = h.WriteByte('.')
	_, _ = h.WriteString(scope)
	return h.Sum64()
}

// The times of following. A broker that says nothing for two heartbeats is asked again.
const (
	followExpiry    = 30 * time.Second
	followHeartbeat = 2 * time.Second
	followPause     = 250 * time.Millisecond
	followBatch     = 4096
)

// follow reads the stream until ctx ends. The consumer is of the ordered kind: it misses nothing, and is made
// again where the broker forgot it. loaded is called when all that was there is known.
func (l *SuppressionList) follow(ctx context.Context, loaded func()) {
	defer close(l.done)
	for ctx.Err() == nil {
		_ = l.read(ctx, loaded) // the next try says the same, or goes on where this one ended
		t := time.NewTimer(followPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

func (l *SuppressionList) read(ctx context.Context, loaded func()) error {
	start, err := l.start(ctx)
	if err != nil {
		return err
	}
	cons, err := l.js.OrderedConsumer(ctx, Suppressions, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start, HeadersOnly: true, MaxResetAttempts: 1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow suppressions: %w", err)
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("follow suppressions: %w", err)
	}
	if info.NumPending == 0 {
		loaded()
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(followBatch), jetstream.PullExpiry(followExpiry), jetstream.PullHeartbeat(followHeartbeat))
	if err != nil {
		return fmt.Errorf("follow suppressions: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer messages.Stop()
	defer stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(followHeartbeat))
		if errors.Is(err, nats.ErrTimeout) {
			// The last of what was there at the start may have been replaced before it came.
			if info, err := cons.Info(ctx); err == nil && info.NumPending == 0 {
				loaded()
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("follow suppressions: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("follow suppressions: %w", err)
		}
		l.learn(m, meta.Sequence.Stream)
		if meta.NumPending == 0 {
			loaded()
		}
	}
}

// start is where to read on. A stream that ends before what was read of it is another one.
func (l *SuppressionList) start(ctx context.Context) (uint64, error) {
	_, last, err := Span(ctx, l.js, Suppressions)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last < l.last {
		l.last = 0
		l.listed.clear()
	}
	return l.last + 1, nil
}

func (l *SuppressionList) learn(m jetstream.Msg, sequence uint64) {
	destination, scope, ok := events.ParseSuppressionSubject(m.Subject())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = sequence
	switch {
	case !ok:
	case m.Headers().Get(removedHeader) != "":
		l.listed.remove(l.hash(destination, scope))
	default:
		l.listed.add(l.hash(destination, scope))
	}
}
