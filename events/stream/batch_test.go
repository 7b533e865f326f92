package stream_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
)

func notifications(t *testing.T) (jetstream.JetStream, *stream.Publisher, *stream.Reader) {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	reader, err := stream.NewReader(t.Context(), js, stream.Notifications)
	require.NoError(t, err)
	return js, stream.NewPublisher(js), reader
}

func parts(id string, n int, options ...stream.Option) []stream.Draft {
	drafts := make([]stream.Draft, n)
	for i := range drafts {
		drafts[i] = stream.Draft{
			Subject: events.NotificationSubject(events.LaneBulk, events.SMS, id, i), Data: fmt.Appendf(nil, "part %d", i),
			Options: []stream.Option{stream.WithTTL(time.Hour)},
		}
	}
	drafts[0].Options = append(drafts[0].Options, options...)
	return drafts
}

func TestABatchIsStoredWhole(t *testing.T) {
	t.Parallel()
	_, p, reader := notifications(t)
	id := watermill.NewUUID()
	last, err := p.PutAll(t.Context(), parts(id, 12, stream.ExpectingNone(events.NotificationByID(id, 0))))
	require.NoError(t, err)
	require.EqualValues(t, 12, last)
	for i := range 12 {
		rec, err := reader.Last(t.Context(), events.NotificationByID(id, i))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("part %d", i), string(rec.Data))
		require.Equal(t, time.Hour, rec.TTL)
	}
}

func TestABatchOfWhichOneIsRefusedIsNotStoredAtAll(t *testing.T) {
	t.Parallel()
	js, p, reader := notifications(t)
	id := watermill.NewUUID()
	_, err := p.Put(t.Context(), events.NotificationSubject(events.LaneTransactional, events.Email, id, 0), []byte("first"))
	require.NoError(t, err)
	_, err = p.PutAll(t.Context(), parts(id, 5, stream.ExpectingNone(events.NotificationByID(id, 0))))
	require.ErrorIs(t, err, stream.ErrConflict, "also where the first stands on another lane and channel")
	drafts := parts(id, 5)
	drafts[4].Data = make([]byte, 800<<10) // more than the stream takes
	_, err = p.PutAll(t.Context(), drafts)
	require.Error(t, err)
	_, last, err := stream.Span(t.Context(), js, stream.Notifications)
	require.NoError(t, err)
	require.EqualValues(t, 1, last)
	_, err = reader.Last(t.Context(), events.NotificationByID(id, 1))
	require.ErrorIs(t, err, stream.ErrAbsent)
}

func TestMoreBatchesThanTheBrokerHasPlacesForAreAllStored(t *testing.T) {
	t.Parallel()
	js, p, _ := notifications(t)
	var wg sync.WaitGroup
	const batches = 120
	failed := make(chan error, batches)
	for range batches {
		wg.Go(func() {
			_, err := p.PutAll(t.Context(), parts(watermill.NewUUID(), 3))
			failed <- err
		})
	}
	wg.Wait()
	for range batches {
		require.NoError(t, <-failed)
	}
	_, last, err := stream.Span(t.Context(), js, stream.Notifications)
	require.NoError(t, err)
	require.EqualValues(t, 3*batches, last)
}

func TestABatchMayWaitForItsTime(t *testing.T) {
	t.Parallel()
	js, p, reader := notifications(t)
	id, at := watermill.NewUUID(), time.Now().Add(1200*time.Millisecond)
	drafts := make([]stream.Draft, 3)
	for i := range drafts {
		drafts[i] = stream.Draft{
			Subject: events.LaterSubject(events.SMS, id, i), Data: fmt.Appendf(nil, "part %d", i),
			Options: []stream.Option{stream.Scheduled(at, events.NotificationSubject(events.LaneBulk, events.SMS, id, i), time.Hour)},
		}
	}
	drafts[0].Options = append(drafts[0].Options, stream.ExpectingNone(events.NotificationByID(id, 0)))
	_, err := p.PutAll(t.Context(), drafts)
	require.NoError(t, err)
	rec, err := reader.Last(t.Context(), events.NotificationByID(id, 2))
	require.NoError(t, err, "it can be read while it waits")
	require.Equal(t, events.LaterSubject(events.SMS, id, 2), rec.Subject)

	c, err := js.CreateOrUpdateConsumer(t.Context(), stream.Notifications, jetstream.ConsumerConfig{
		Durable: "due", FilterSubject: events.NotificationsOf(events.LaneBulk, events.SMS),
	})
	require.NoError(t, err)
	for range drafts {
		m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		require.False(t, meta.Timestamp.Before(at), "never before its time")
		require.NoError(t, m.DoubleAck(t.Context()))
	}
	rec, err = reader.Last(t.Context(), events.NotificationByID(id, 2))
	require.NoError(t, err, "and after")
	require.Equal(t, events.NotificationSubject(events.LaneBulk, events.SMS, id, 2), rec.Subject)
	require.Equal(t, "part 2", string(rec.Data))
	require.Equal(t, time.Hour, rec.TTL)
	_, err = p.PutAll(t.Context(), drafts)
	require.ErrorIs(t, err, stream.ErrConflict, "its id is taken before its time and after")
}
