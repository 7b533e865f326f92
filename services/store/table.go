package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// table is a key-value bucket whose entries may leave by themselves. Values are not empty: an empty
// one is the mark that a removed entry leaves for a while.
type table struct {
	kv      jetstream.KeyValue
	pub     *stream.Publisher
	reader  *stream.Reader
	subject string
}

// markLife is how long the marks of removed entries stay, for readers that follow a bucket.
const markLife = time.Minute

func openTable(ctx context.Context, js jetstream.JetStream, name string, replicas int) (*table, error) {
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: name, History: 1, Replicas: max(1, replicas), LimitMarkerTTL: markLife,
	})
	if err != nil {
		return nil, fmt.Errorf("ensure bucket %s: %w", name, err)
	}
	return tableOf(ctx, js, name, kv)
}

// sharedTable is one of the buckets that stream.Ensure makes.
func sharedTable(ctx context.Context, js jetstream.JetStream, name string) (*table, error) {
	kv, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return tableOf(ctx, js, name, kv)
}

func tableOf(ctx context.Context, js jetstream.JetStream, name string, kv jetstream.KeyValue) (*table, error) {
	reader, err := stream.NewReader(ctx, js, "KV_"+name)
	if err != nil {
		return nil, err
	}
	return &table{kv, stream.NewPublisher(js), reader, "$KV." + name + "."}, nil
}

// get reads an entry; ErrNotFound without one. In a replicated bucket the value may be a moment old.
func (t *table) get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	rec, err := t.reader.Last(ctx, t.subject+key)
	return found(rec, err)
}

// latest is get as the bucket's leader knows it: what a write will be compared with.
func (t *table) latest(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	rec, err := t.reader.Latest(ctx, t.subject+key)
	return found(rec, err)
}

func found(rec stream.Record, err error) ([]byte, uint64, error) {
	if errors.Is(err, stream.ErrAbsent) || err == nil && len(rec.Data) == 0 {
		return nil, 0, verification.ErrNotFound
	}
	if err != nil {
		return nil, 0, unavailable(err)
	}
	return rec.Data, rec.Sequence, nil
}

// put writes an entry whatever stands there. A life of zero is for ever, here and below.
func (t *table) put(ctx context.Context, key string, value []byte, life time.Duration) error {
	_, err := t.write(ctx, key, value, life)
	return err
}

// create writes an entry where there is none; stream.ErrConflict where there is one.
func (t *table) create(ctx context.Context, key string, value []byte, life time.Duration) (revision uint64, err error) {
	revision, err = t.write(ctx, key, value, life, stream.Expecting(0))
	if !errors.Is(err, stream.ErrConflict) {
		return revision, err
	}
	rec, absent := t.reader.Latest(ctx, t.subject+key)
	switch {
	case errors.Is(absent, stream.ErrAbsent): // left meanwhile
		return t.write(ctx, key, value, life, stream.Expecting(0))
	case absent != nil:
		return 0, unavailable(absent)
	case len(rec.Data) == 0: // a mark
		return t.write(ctx, key, value, life, stream.Expecting(rec.Sequence))
	default:
		return 0, err
	}
}

// update writes an entry in place of one revision; stream.ErrConflict where another stands there.
func (t *table) update(ctx context.Context, key string, value []byte, revision uint64, life time.Duration) (uint64, error) {
	return t.write(ctx, key, value, life, stream.Expecting(revision))
}

func (t *table) write(ctx context.Context, key string, value []byte, life time.Duration, options ...stream.Option) (uint64, error) {
	if life > 0 {
		options = append(options, stream.WithTTL(life))
	}
	revision, err := t.pub.Put(ctx, t.subject+key, value, options...)
	if err != nil && !errors.Is(err, stream.ErrConflict) {
		return 0, unavailable(err)
	}
	return revision, err
}

// remove takes an entry away, whatever its revision; none is no error.
func (t *table) remove(ctx context.Context, key string) error { return t.mark(ctx, key) }

// removeRevision takes one revision away; stream.ErrConflict where another stands there.
func (t *table) removeRevision(ctx context.Context, key string, revision uint64) error {
	return t.mark(ctx, key, stream.Expecting(revision))
}

func (t *table) mark(ctx context.Context, key string, options ...stream.Option) error {
	options = append(options,
		stream.WithHeader("KV-Operation", "PURGE"), stream.WithHeader(jetstream.MsgRollup, jetstream.MsgRollupSubject))
	_, err := t.write(ctx, key, nil, markLife, options...)
	return err
}

// passTimeout bounds one pass over a table whose caller gave no deadline, and openTimeout its beginning,
// which takes no time where the broker is there.
const (
	passTimeout = 20 * time.Second
	openTimeout = 5 * time.Second
)

// pass shows the entries that a filter matches, each once, as they stand.
func (t *table) pass(ctx context.Context, filter string, show func(key string, value []byte, revision uint64) error, o ...jetstream.WatchOpt) error {
	return t.each(ctx, filter, func(e jetstream.KeyValueEntry) error { return show(e.Key(), e.Value(), e.Revision()) }, o...)
}

// each is pass for those who want to know when an entry was made.
func (t *table) each(ctx context.Context, filter string, show func(jetstream.KeyValueEntry) error, o ...jetstream.WatchOpt) error {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	slow := time.AfterFunc(openTimeout, cancel)
	w, err := t.kv.Watch(ctx, filter, append(o, jetstream.IgnoreDeletes())...)
	slow.Stop()
	if err != nil {
		return unavailable(err)
	}
	defer stream.EndWatch(w)
	for {
		select {
		case e, open := <-w.Updates():
			if !open {
				return unavailable(errors.New("watch ended early"))
			}
			if e == nil { // everything has been seen
				return nil
			}
			if err := show(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
	}
}
