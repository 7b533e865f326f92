package stream

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Follow hands every entry of a bucket under keys to apply, those that are there before it returns; end ends it.
// After a lost connection all of them come once more. Removed entries come without a value, those too that were removed
// while nothing could be heard.
func Follow(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, keys string, apply func(jetstream.KeyValueEntry)) (end func(), err error) {
	// A watch outlives ctx, which bounds the opening only.
	watch := func() (jetstream.KeyWatcher, error) { return kv.Watch(context.WithoutCancel(ctx), keys) }
	back := js.Conn().StatusChanged(nats.CONNECTED)
	w, err := watch()
	if err != nil {
		js.Conn().RemoveStatusListener(back)
		return nil, fmt.Errorf("watch bucket: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done, loaded := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(loaded) })
	go func() {
		defer close(done)
		defer js.Conn().RemoveStatusListener(back)
		defer func() { EndWatch(w) }()
		var again <-chan time.Time
		told := followed{bucket: kv.Bucket(), apply: apply, stands: map[string]uint64{}}
		for {
			select {
			case e, open := <-w.Updates():
				switch {
				case !open:
					return
				case e == nil: // everything that was there has been seen
					told.whole()
					first()
				default:
					told.take(e)
				}
				continue
			case <-life.Done():
				return
			case <-back:
			case <-again:
			}
			// The broker that is back has forgotten the watch, and the watch would notice after many seconds
			// of silence, in which what was revoked elsewhere still works here.
			if next, err := watch(); err == nil {
				EndWatch(w)
				w, again = next, nil
				told.anew()
			} else {
				again = time.After(watchPause)
			}
		}
	}()
	end = func() {
		cancel()
		<-done
	}
	select {
	case <-loaded:
		return end, nil
	case <-ctx.Done():
		end()
		return nil, ctx.Err() //nolint:wrapcheck // the caller does
	}
}

// followed is what one who follows was told of: the revisions of the keys that stand. The mark of a removed entry leaves
// after a while, so a watch that begins anew may show nothing of a key that was removed since.
type followed struct {
	bucket string
	apply  func(jetstream.KeyValueEntry)
	stands map[string]uint64
	before map[string]uint64 // a watch began anew: what stood then and did not come yet
}

func (f *followed) take(e jetstream.KeyValueEntry) {
	delete(f.before, e.Key())
	if e.Operation() == jetstream.KeyValuePut {
		f.stands[e.Key()] = e.Revision()
	} else {
		delete(f.stands, e.Key())
	}
	f.apply(e)
}

// anew notes that all that stands comes once more.
func (f *followed) anew() { f.before = maps.Clone(f.stands) }

// whole removes what did not come: it stands no more.
func (f *followed) whole() {
	for key, revision := range f.before {
		delete(f.stands, key)
		f.apply(removed{f.bucket, key, revision})
	}
	f.before = nil
}

// removed is an entry that was removed without anybody seeing it. Its revision is the last that was seen.
type removed struct {
	bucket, key string
	revision    uint64
}

func (r removed) Bucket() string                { return r.bucket }
func (r removed) Key() string                   { return r.key }
func (removed) Value() []byte                   { return nil }
func (r removed) Revision() uint64              { return r.revision }
func (removed) Created() time.Time              { return time.Time{} }
func (removed) Delta() uint64                   { return 0 }
func (removed) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePurge }

// watchPause is between two tries to watch again.
const watchPause = 250 * time.Millisecond

// EndWatch ends a watch, and takes what still comes in: it would block the one who brings it.
func EndWatch(w jetstream.KeyWatcher) {
	_ = w.Stop()
	go func() {
		for range w.Updates() {
		}
	}()
}
