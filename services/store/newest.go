package store

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/stream"
)

// newest goes backwards through a stream whose records are looked through for the few that somebody wants.
type newest struct {
	js     jetstream.JetStream
	reader *stream.Reader
	stream string
	// window is how many records are read at once, and windows how often for one page.
	window  uint64
	windows int
}

// page shows take the records before a place, the newest first, until it took limit of them. next is the place
// before which the following page begins; zero: there is none. A page may have taken fewer, even none.
func (n newest) page(ctx context.Context, before uint64, limit int, take func(stream.Record) (taken bool, err error)) (next uint64, err error) {
	first, last, err := stream.Span(ctx, n.js, n.stream)
	if err != nil {
		return 0, unavailable(err)
	}
	if before > 0 {
		last = min(last, before-1)
	}
	for range n.windows {
		if last < first {
			return 0, nil
		}
		low := first
		if last-first >= n.window {
			low = last - n.window + 1
		}
		records, err := n.reader.Between(ctx, low, last)
		if err != nil {
			return 0, unavailable(err)
		}
		for i := len(records) - 1; i >= 0; i-- {
			taken, err := take(records[i])
			if err != nil {
				return 0, err
			}
			if !taken {
				continue
			}
			if limit--; limit > 0 {
				continue
			}
			if records[i].Sequence == first {
				return 0, nil
			}
			return records[i].Sequence, nil
		}
		last = low - 1
	}
	return last + 1, nil
}
