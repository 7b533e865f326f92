package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Follow hands every entry of a bucket under keys to apply, those that are there before it returns; end ends it.
// After a lost connection all of them come once more. Removed entries come without a value.
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
	told := sync.OnceFunc(func() { close(loaded) })
	go func() {
		defer close(done)
		defer js.Conn().RemoveStatusListener(back)
		defer func() { EndWatch(w) }()
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
				EndWatch(w)
				w, again = next, nil
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
