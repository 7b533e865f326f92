package stream_test

import (
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
)

// standing is what one who follows a bucket knows of it.
type standing struct {
	mu    sync.Mutex
	known map[string]string
}

func (s *standing) apply(e jetstream.KeyValueEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(e.Value()) == 0 {
		delete(s.known, e.Key())
		return
	}
	s.known[e.Key()] = string(e.Value())
}

func (s *standing) is(want map[string]string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) != len(want) {
		return false
	}
	for key, value := range want {
		if s.known[key] != value {
			return false
		}
	}
	return true
}

func TestWhoFollowsHearsOfARemovalWhoseMarkIsGone(t *testing.T) {
	t.Parallel()
	server := embednatstest.Start(t, t.TempDir())
	cut, other := embednatstest.Connect(t, server), embednatstest.Connect(t, server)
	kv, err := other.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "followed"})
	require.NoError(t, err)
	put := func(key, value string) {
		_, err := kv.PutString(t.Context(), key, value)
		require.NoError(t, err)
	}
	put("a", "1")
	put("b", "1")
	mine, err := cut.KeyValue(t.Context(), "followed")
	require.NoError(t, err)
	s := &standing{known: map[string]string{}}
	end, err := stream.Follow(t.Context(), cut, mine, ">", s.apply)
	require.NoError(t, err)
	t.Cleanup(end)
	require.True(t, s.is(map[string]string{"a": "1", "b": "1"}))

	bucket, err := other.Stream(t.Context(), "KV_followed")
	require.NoError(t, err)
	vanish := func(key string) { // as a removed entry does when the time of its mark is over
		require.NoError(t, bucket.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.followed."+key)))
	}
	vanish("a")
	put("b", "2")
	require.NoError(t, cut.Conn().ForceReconnect())
	require.Eventually(t, func() bool { return s.is(map[string]string{"b": "2"}) }, waitLong, tick)

	put("a", "3") // it may come back, and go again
	require.Eventually(t, func() bool { return s.is(map[string]string{"a": "3", "b": "2"}) }, waitLong, tick)
	require.NoError(t, kv.Delete(t.Context(), "b"))
	require.Eventually(t, func() bool { return s.is(map[string]string{"a": "3"}) }, waitLong, tick)
	vanish("a")
	require.NoError(t, cut.Conn().ForceReconnect())
	require.Eventually(t, func() bool { return s.is(map[string]string{}) }, waitLong, tick)
}
