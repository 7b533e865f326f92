package store

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/stream"
)

// follower keeps a process's memory of buckets current by watches. Close ends them.
type follower struct{ ends []func() }

// follow hands every entry to apply, those that are there before it returns.
func (h *follower) follow(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, keys string, apply func(jetstream.KeyValueEntry)) error {
	end, err := stream.Follow(ctx, js, kv, keys, apply)
	if err != nil {
		return err //nolint:wrapcheck // it says what it did
	}
	h.ends = append(h.ends, end)
	return nil
}

// Close ends the watches.
func (h *follower) Close() {
	for _, end := range h.ends {
		end()
	}
}
