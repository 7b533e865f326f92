package stream_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// present is the broker that runs now: one that was ended comes back as another.
type present struct{ server atomic.Pointer[server.Server] }

func (p *present) InProcessConn() (net.Conn, error) { return p.server.Load().InProcessConn() }

func (p *present) start(t *testing.T, dir string) (end func()) {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir})
	require.NoError(t, err)
	p.server.Store(s)
	s.Start()
	require.True(t, s.ReadyForConnections(waitLong))
	end = func() { s.Shutdown(); s.WaitForShutdown() }
	t.Cleanup(end)
	return end
}

// How long an eventual condition may take before a test gives up, and how often it is looked at.
const (
	waitLong = 30 * time.Second
	tick     = 20 * time.Millisecond
)

func TestWhatFailedWhileTheBrokerWasAwayIsNotStoredWhenItIsBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker := &present{}
	end := broker.start(t, dir)
	nc, err := nats.Connect("", nats.InProcessServer(broker), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{SendQuota: 1}))
	pub := stream.NewPublisher(js)
	subject := events.WindowSubject(events.WindowDestination, "h")

	lost := nc.StatusChanged(nats.RECONNECTING)
	end()
	<-lost
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = pub.Put(ctx, subject, []byte("{}"))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Who asks while the broker is on its way back gets an answer.
	asked := make(chan error, 1)
	go func() {
		_, err := pub.Put(t.Context(), subject, []byte("{}"))
		asked <- err
	}()
	broker.start(t, dir)
	require.NoError(t, <-asked, "what failed has not used up the quota of one")

	nc.Close()
	_, err = pub.Put(t.Context(), subject, []byte("{}"))
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}
