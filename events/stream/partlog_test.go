package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// A provider that throttles for days makes a long log. Who read only the oldest of it would write behind them, and
// lose every compare-and-set.
func TestALongLogIsReadToItsEnd(t *testing.T) {
	b := start(t, stream.Topology{})
	const long = 8_200
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for i := range long {
		data, err := events.Encode(events.NotificationProgressed{Version: events.Version, ID: "n", At: at.Add(time.Duration(i) * time.Second)})
		require.NoError(t, err)
		_, err = b.js.PublishAsync(events.ProgressSubject("n", 0), data)
		require.NoError(t, err)
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-t.Context().Done():
	}
	log, err := b.reader(t, stream.Progress).NewestPartLog(t.Context(), "n", 0)
	require.NoError(t, err)
	require.Len(t, log.Entries, long)
	require.Equal(t, at.Add((long-1)*time.Second), log.Entries[long-1].At)
	_, err = b.pub.Put(t.Context(), events.ProgressSubject("n", 0), []byte("{}"), stream.Expecting(log.Sequence))
	require.NoError(t, err)
}
