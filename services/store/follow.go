package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// follower keeps a process's memory of buckets current by watches. Close ends them.
type follower struct{ follows []*follow }

// follow is a watch of some keys of a bucket.
type follow struct {
	end  context.CancelFunc
	done chan struct{}
}

// follow hands every entry to apply, those that are there before it returns.
func (h *follower) follow(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, keys string, apply func(jetstream.KeyValueEntry)) error {
	// A watch outlives ctx, which bounds the opening only.
	watch := func() (jetstream.KeyWatcher, error) { return kv.Watch(context.WithoutCancel(ctx), keys) }
	back := js.Conn().StatusChanged(nats.CONNECTED)
	w, err := watch()
	if err != nil {
		js.Conn().RemoveStatusListener(back)
		return fmt.Errorf("watch bucket: %w", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	f := &follow{end: end, done: make(chan struct{})}
	h.follows = append(h.follows, f)
	loaded := make(chan struct{})
	told := sync.OnceFunc(func() { close(loaded) })
	go func() {
		defer close(f.done)
		defer js.Conn().RemoveStatusListener(back)
		defer func() { endWatch(w) }()
		var again <-chan time.Time
		for {
			select {
			case e, open := <-w.Updates():
				switch {
				case !open:
					return
				case e == nil: // everything that was there has been seen
					told()
				default:
					apply(e)
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
				endWatch(w)
				w, again = next, nil
			} else {
				again = time.After(watchPause)
			}
		}
	}()
	select {
	case <-loaded:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller does
	}
}

// watchPause is between two tries to watch again.
const watchPause = 250 * time.Millisecond

// Close ends the watches.
func (h *follower) Close() {
	for _, f := range h.follows {
		f.end()
		<-f.done
	}
}
