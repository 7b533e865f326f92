package stream_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
)

// candidate wants a lease until it is stopped, and tells when it has it and when it lost it.
type candidate struct {
	lease *stream.Lease
	js    jetstream.JetStream
	terms chan uint64
	stop  func()
}

func candidates(t *testing.T, n int) []*candidate {
	t.Helper()
	s := embednatstest.Start(t, t.TempDir())
	require.NoError(t, stream.Ensure(t.Context(), embednatstest.Connect(t, s), stream.Topology{}))
	var all []*candidate
	for i := range n {
		c := &candidate{js: embednatstest.Connect(t, s), terms: make(chan uint64, 16)}
		var err error
		c.lease, err = stream.NewLease(t.Context(), c.js, stream.LeaseConfig{
			Name: "one", Holder: fmt.Sprintf("p%d", i), Renew: 20 * time.Millisecond, Fence: 200 * time.Millisecond, Expire: 400 * time.Millisecond,
			Changed: func(term uint64) { c.terms <- term },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.lease.Run(ctx) })
		c.stop = func() {
			cancel()
			running.Wait()
		}
		t.Cleanup(c.stop)
		all = append(all, c)
		if i == 0 {
			require.NotZero(t, <-c.terms)
		}
	}
	return all
}

func TestALeaseIsHeldByOneAndPassesOnWhenItIsGivenBack(t *testing.T) {
	t.Parallel()
	all := candidates(t, 2)
	first := all[0].lease.Term()
	require.NotZero(t, first)
	require.Zero(t, all[1].lease.Term())
	all[0].stop()
	require.Zero(t, <-all[0].terms)
	require.Zero(t, all[0].lease.Term())
	second := <-all[1].terms
	require.NotZero(t, second)
	require.NotEqual(t, first, second)
}

func TestALeaseWhoseHolderIsGoneIsTakenAndTheHolderActsNoMore(t *testing.T) {
	t.Parallel()
	all := candidates(t, 2)
	all[0].js.Conn().Close()
	require.NotZero(t, <-all[1].terms)
	require.Zero(t, all[0].lease.Term(), "it ended by itself, before another took it")
}

func TestAHolderWhoseLeaseWasTakenLearnsIt(t *testing.T) {
	t.Parallel()
	all := candidates(t, 1)
	_, err := stream.NewPublisher(all[0].js).Put(t.Context(), "$KV."+stream.Leases+".one", []byte("another"))
	require.NoError(t, err)
	require.Zero(t, <-all[0].terms)
	require.NotZero(t, <-all[0].terms, "nobody renews it, so it is taken again")
}
