package stream

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
)

// The replica here knows everything; what one that lags lacks is read as if it had answered so little.
func TestWhatAReplicaLacksIsReadFromTheLeader(t *testing.T) {
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, Ensure(t.Context(), js, Topology{}))
	r, err := NewReader(t.Context(), js, Progress)
	require.NoError(t, err)
	r.replicated = true
	pub := NewPublisher(js)
	subject := events.ProgressSubject("n", 0)
	empty, err := r.behind(t.Context(), subject, 0)
	require.NoError(t, err)
	require.Empty(t, empty)
	var sequences []uint64
	for range 3 {
		data, err := events.Encode(events.NotificationProgressed{Version: events.Version, ID: "n"})
		require.NoError(t, err)
		for _, other := range []string{events.ReceiptSubject("n", 0), events.ProgressSubject("n", 1)} {
			_, err = pub.Put(t.Context(), other, data)
			require.NoError(t, err)
		}
		sequence, err := pub.Put(t.Context(), subject, data)
		require.NoError(t, err)
		sequences = append(sequences, sequence)
	}
	for known, want := range map[uint64][]uint64{0: sequences, sequences[0]: sequences[1:], sequences[2]: nil} {
		records, err := r.behind(t.Context(), subject, known)
		require.NoError(t, err)
		var got []uint64
		for _, rec := range records {
			require.Equal(t, subject, rec.Subject)
			got = append(got, rec.Sequence)
		}
		require.Equal(t, want, got)
	}
	log, err := r.NewestPartLog(t.Context(), "n", 0)
	require.NoError(t, err)
	require.Equal(t, sequences[2], log.Sequence)
	require.Len(t, log.Entries, 3, "each once")
}
