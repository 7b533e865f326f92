package stream_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
)

// destination is what the hash of the nth address looks like.
func destination(n int) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(n)))
}

func entry(n int, change ...func(*events.Suppression)) events.Suppression {
	s := events.Suppression{
		Destination: destination(n), Channel: events.SMS, ToMasked: "+1••••••0100", Covers: events.CoversAll, Cause: events.CauseStop,
		Address: events.Sealed{KeyID: "k1", Box: []byte{1}}, At: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func of(account, credential string) func(*events.Suppression) {
	return func(s *events.Suppression) { s.Account, s.Credential = account, credential }
}

func covering(covers, cause string) func(*events.Suppression) {
	return func(s *events.Suppression) { s.Covers, s.Cause = covers, cause }
}

func (b broker) suppress(t *testing.T, s events.Suppression) bool {
	t.Helper()
	added, err := b.pub.Suppress(t.Context(), s)
	require.NoError(t, err)
	return added
}

func follow(t *testing.T, js jetstream.JetStream) *stream.SuppressionList {
	t.Helper()
	l, err := stream.FollowSuppressions(t.Context(), js)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

func cause(t *testing.T, l *stream.SuppressionList, account, credential string, n int, lane events.Lane) string {
	t.Helper()
	c, suppressed, err := l.Suppressed(t.Context(), account, credential, destination(n), lane)
	require.NoError(t, err)
	require.Equal(t, c != "", suppressed)
	return c
}

const soon = time.Minute

func TestAFollowerKnowsWhatWasThereAndWhatComes(t *testing.T) {
	b := start(t, stream.Topology{})
	require.True(t, b.suppress(t, entry(1)))
	require.True(t, b.suppress(t, entry(2, of("shop", ""))))
	require.True(t, b.suppress(t, entry(3, of("shop", "shop-web"))))
	l := follow(t, b.js)
	require.Equal(t, 3, l.Len())
	for name, c := range map[string]struct {
		account, credential string
		n                   int
		want                string
	}{
		"everybody's keeps back all":                {"other", "x", 1, "stop"},
		"an account's keeps back its own":           {"shop", "shop-app", 2, "stop"},
		"an account's keeps back nobody else's":     {"other", "x", 2, ""},
		"a credential's keeps back its own":         {"shop", "shop-web", 3, "stop"},
		"a credential's keeps back no other's":      {"shop", "shop-app", 3, ""},
		"a credential's says nothing about unknown": {"shop", "", 3, ""},
		"another account's of that name is free":    {"other", "shop-web", 3, ""},
		"others are free":                           {"shop", "shop-web", 4, ""},
	} {
		require.Equal(t, c.want, cause(t, l, c.account, c.credential, c.n, events.LaneBulk), name)
	}
	b.suppress(t, entry(4))
	require.Eventually(t, func() bool { return cause(t, l, "shop", "", 4, events.LaneBulk) == "stop" }, soon, 5*time.Millisecond)
	removed, err := b.pub.Unsuppress(t.Context(), destination(4), events.SuppressionScope("", ""))
	require.NoError(t, err)
	require.True(t, removed)
	require.Empty(t, cause(t, l, "shop", "", 4, events.LaneBulk), "a removal counts at once: a hit is confirmed")
	require.Eventually(t, func() bool { return l.Len() == 3 }, soon, 5*time.Millisecond, "and is forgotten")
	require.Equal(t, 3, follow(t, b.js).Len(), "whoever starts now does not take it for an entry")
}

func TestNotificationsAreKeptBackWhereVerificationsAreNot(t *testing.T) {
	b := start(t, stream.Topology{})
	b.suppress(t, entry(1, covering(events.CoversNotifications, events.CauseManual)))
	l := follow(t, b.js)
	require.Equal(t, "manual", cause(t, l, "shop", "", 1, events.LaneBulk))
	require.Equal(t, "manual", cause(t, l, "shop", "", 1, events.LaneTransactional))
	require.Empty(t, cause(t, l, "shop", "", 1, events.LaneVerification))
}

func TestTheFirstEntryStaysUnlessTheNextCoversMore(t *testing.T) {
	b := start(t, stream.Topology{})
	require.True(t, b.suppress(t, entry(1, covering(events.CoversNotifications, events.CauseManual))))
	require.False(t, b.suppress(t, entry(1, covering(events.CoversNotifications, events.CauseImported))))
	require.True(t, b.suppress(t, entry(1)))
	require.False(t, b.suppress(t, entry(1, covering(events.CoversAll, events.CauseBounce))))
	require.False(t, b.suppress(t, entry(1, covering(events.CoversNotifications, events.CauseManual))))
	rec, err := b.reader(t, stream.Suppressions).Last(t.Context(), events.SuppressionSubject(destination(1), "e"))
	require.NoError(t, err)
	s, err := stream.Suppression(rec)
	require.NoError(t, err)
	require.Equal(t, events.CauseStop, s.Cause)
}

func TestOneOfManyAddsAndOneRemoves(t *testing.T) {
	b := start(t, stream.Topology{})
	for range 2 { // also where it was removed before
		var added, removed int
		var mu sync.Mutex
		many := func(do func() (bool, error), count *int) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					did, err := do()
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					if did {
						*count++
					}
				})
			}
			wg.Wait()
		}
		many(func() (bool, error) { return b.pub.Suppress(t.Context(), entry(1)) }, &added)
		many(func() (bool, error) { return b.pub.Unsuppress(t.Context(), destination(1), "e") }, &removed)
		require.Equal(t, 1, added)
		require.Equal(t, 1, removed)
	}
}

func TestOnlyTheCausesThatAreNamedAreRemoved(t *testing.T) {
	b := start(t, stream.Topology{})
	b.suppress(t, entry(1, covering(events.CoversAll, events.CauseBounce)))
	removed, err := b.pub.Unsuppress(t.Context(), destination(1), "e", events.CauseStop)
	require.NoError(t, err)
	require.False(t, removed)
	removed, err = b.pub.Unsuppress(t.Context(), destination(1), "e", events.CauseStop, events.CauseBounce)
	require.NoError(t, err)
	require.True(t, removed)
}

func TestAFollowerSurvivesTheLossOfItsConsumer(t *testing.T) {
	b := start(t, stream.Topology{})
	b.suppress(t, entry(1))
	l := follow(t, b.js)
	s, err := b.js.Stream(t.Context(), stream.Suppressions)
	require.NoError(t, err)
	names := s.ConsumerNames(t.Context())
	deleted := 0
	for name := range names.Name() {
		require.NoError(t, s.DeleteConsumer(t.Context(), name))
		deleted++
	}
	require.NoError(t, names.Err())
	require.NotZero(t, deleted)
	b.suppress(t, entry(2))
	require.Eventually(t, func() bool { return cause(t, l, "", "", 2, events.LaneBulk) == "stop" }, soon, 20*time.Millisecond)
	require.Equal(t, 2, l.Len())
}

func TestWhatMayBeListedIsNotSentToWithoutTheBroker(t *testing.T) {
	server := embednatstest.Start(t, t.TempDir())
	js := embednatstest.Connect(t, server)
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	b := broker{js, stream.NewPublisher(js)}
	b.suppress(t, entry(1))
	l := follow(t, js)
	server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := l.Suppressed(ctx, "", "", destination(1), events.LaneBulk)
	require.Error(t, err)
	_, suppressed, err := l.Suppressed(ctx, "", "", destination(2), events.LaneBulk)
	require.NoError(t, err, "what is not on the list costs no round trip")
	require.False(t, suppressed)
}

func TestAListThatWasEmptiedIsReadAnew(t *testing.T) {
	b := start(t, stream.Topology{})
	for n := range 5 {
		b.suppress(t, entry(n))
	}
	l := follow(t, b.js)
	require.NoError(t, b.js.DeleteStream(t.Context(), stream.Suppressions))
	require.NoError(t, stream.Ensure(t.Context(), b.js, stream.Topology{}))
	b.suppress(t, entry(7))
	require.Eventually(t, func() bool { return l.Len() == 1 && cause(t, l, "", "", 7, events.LaneBulk) == "stop" }, soon, 20*time.Millisecond)
}

// BenchmarkSuppressionList fills the list and tells what an entry takes, and what a look that finds nothing does.
func BenchmarkSuppressionList(b *testing.B) {
	js := embednatstest.Connect(b, embednatstest.Start(b, b.TempDir()))
	if err := stream.Ensure(b.Context(), js, stream.Topology{}); err != nil {
		b.Fatal(err)
	}
	const entries = 1_000_000
	for n := range entries {
		data, err := events.Encode(entry(n, func(s *events.Suppression) { s.Version = events.Version }))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishAsync(events.SuppressionSubject(destination(n), "e"), data); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	l, err := stream.FollowSuppressions(b.Context(), js)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ResetTimer()
	for n := range b.N {
		if _, suppressed, err := l.Suppressed(b.Context(), "shop", "shop-web", destination(entries+n), events.LaneBulk); err != nil || suppressed {
			b.Fatal(suppressed, err)
		}
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/entries, "B/entry")
	b.ReportMetric(took.Seconds(), "s/load")
	b.ReportMetric(float64(l.Len()), "entries")
}
