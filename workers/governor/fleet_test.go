package governor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/governor"
)

// fleet is some worker processes on one broker.
type fleet struct {
	t      *testing.T
	server *embednats.Server
	quota  governor.Quota
	n      int
}

// member is one process: a connection, a client, and the gate of one provider.
type member struct {
	js     jetstream.JetStream
	client *governor.Client
	gate   *governor.Gate
}

func newFleet(t *testing.T, q governor.Quota) *fleet {
	t.Helper()
	s := embednatstest.Start(t, t.TempDir())
	require.NoError(t, stream.Ensure(t.Context(), embednatstest.Connect(t, s), stream.Topology{}))
	return &fleet{t: t, server: s, quota: q}
}

func (f *fleet) join() *member {
	f.t.Helper()
	f.n++
	m := &member{js: embednatstest.Connect(f.t, f.server)}
	var err error
	m.client, err = governor.Start(f.t.Context(), m.js, governor.Config{
		Process: fmt.Sprintf("p%d", f.n), Shares: governor.DefaultShares(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Lease: stream.LeaseConfig{Renew: 50 * time.Millisecond, Fence: 300 * time.Millisecond, Expire: 600 * time.Millisecond},
	})
	require.NoError(f.t, err)
	f.t.Cleanup(m.client.Close)
	m.gate = m.client.Gate(twilio, f.quota)
	return m
}

// states asks the governor until what it says is as wanted.
func (f *fleet) states(m *member, as func(events.ProviderState) bool) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Second)
		defer cancel()
		s, err := governor.Show(ctx, m.js.Conn())
		return err == nil && len(s.Providers) > 0 && as(s.Providers[0])
	}, 20*time.Second, 10*time.Millisecond)
}

func all(n int) func(events.ProviderState) bool {
	return func(s events.ProviderState) bool { return s.Processes == n }
}

// call admits a call and ends it, however long it takes.
func call(t *testing.T, m *member, lane events.Lane, err error) {
	t.Helper()
	require.Eventually(t, func() bool {
		done, _ := m.gate.Admit(t.Context(), lane, 1, time.Second)
		if done != nil {
			done(err)
		}
		return done != nil
	}, 20*time.Second, time.Millisecond)
}

func TestAProviderWithoutQuotaIsCalledWithoutAskingAnybody(t *testing.T) {
	t.Parallel()
	f := newFleet(t, governor.Quota{})
	m := f.join()
	sub, err := m.js.Conn().SubscribeSync(events.GovernorAskSubject)
	require.NoError(t, err)
	require.NoError(t, m.js.Conn().Flush())
	for range 1000 {
		done, _ := m.gate.Admit(t.Context(), events.LaneVerification, 1, 0)
		require.NotNil(t, done)
		done(nil)
	}
	f.states(m, all(1))
	n, _, err := sub.Pending()
	require.NoError(t, err)
	require.Less(t, n, 100, "reports, one for many calls")
}

func TestAKilledGovernorIsReplacedAndOneThatJoinsGetsItsPart(t *testing.T) {
	t.Parallel()
	const rate = 100
	began := time.Now()
	f := newFleet(t, governor.Quota{Rate: rate})
	members := []*member{f.join(), f.join(), f.join(), f.join()}
	f.states(members[0], all(4))

	carrier := &carrier{}
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	work := func(m *member) {
		for range 40 { // that many messages wait in each process
			workers.Go(func() {
				for ctx.Err() == nil {
					done, _ := m.gate.Admit(ctx, events.LaneBulk, 1, 100*time.Millisecond)
					if done == nil {
						continue
					}
					carrier.call()
					done(nil)
				}
			})
		}
	}
	for _, m := range members {
		work(m)
	}
	carrier.await(t, 150)
	// The first that joined is the governor. Its connection is cut: nothing is handed back, nothing released.
	members[0].js.Conn().Close()
	work(f.join())
	f.states(members[1], all(4))
	carrier.await(t, carrier.count()+150)
	cancel()
	workers.Wait()
	carrier.within(t, began, rate)
}

// carrier stands in for a provider: it notes when it was called.
type carrier struct {
	mu    sync.Mutex
	calls []time.Time
}

func (c *carrier) call() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, time.Now())
}

func (c *carrier) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

func (c *carrier) await(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return c.count() >= n }, 30*time.Second, 5*time.Millisecond)
}

// within holds all calls against the quota. A machine that stalls makes calls late, never more of them; how many
// were in the fullest second is told, and is the load test's to judge.
func (c *carrier) within(t *testing.T, began time.Time, rate int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	most, from := 0, 0
	for i, at := range c.calls {
		for at.Sub(c.calls[from]) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
		const saved = 0.08 // seconds of the rate
		require.LessOrEqual(t, float64(i+1), float64(rate)*(at.Sub(began).Seconds()+saved)+1)
	}
	t.Logf("%d calls in %s, at most %d in one second", len(c.calls), c.calls[len(c.calls)-1].Sub(c.calls[0]), most)
}

func TestWithoutAGovernorVerificationsGetTheirPartAndBulkWaits(t *testing.T) {
	t.Parallel()
	f := newFleet(t, governor.Quota{Rate: 100})
	m := f.join()
	f.states(m, all(1))
	call(t, m, events.LaneBulk, nil)
	// Another holds the lease, and governs nothing.
	_, err := stream.NewPublisher(m.js).Put(t.Context(), "$KV."+stream.Leases+".governor", []byte("another"))
	require.NoError(t, err)
	renew := stop(t, func() {
		_, _ = stream.NewPublisher(m.js).Put(t.Context(), "$KV."+stream.Leases+".governor", []byte("another"))
	})
	require.Eventually(t, func() bool {
		_, err := governor.Show(t.Context(), m.js.Conn())
		return err != nil
	}, 20*time.Second, 10*time.Millisecond)
	call(t, m, events.LaneVerification, nil)
	done, no := m.gate.Admit(t.Context(), events.LaneBulk, 1, 200*time.Millisecond)
	require.Nil(t, done)
	require.Equal(t, events.WaitThrottled, no.Reason)
	renew()
	call(t, m, events.LaneBulk, nil)
}

// stop calls f again and again until it is called.
func stop(t *testing.T, f func()) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			f()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	end := sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(end)
	return end
}

func TestFailuresOfOneProcessKeepAllOthersOffAndOneLooks(t *testing.T) {
	t.Parallel()
	for name, quota := range map[string]governor.Quota{"without a quota": {}, "with a rate": {Rate: 1000}, "with calls at once": {Concurrency: 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, quota)
			members := []*member{f.join(), f.join(), f.join()}
			f.states(members[0], all(3))
			for range 5 {
				call(t, members[0], events.LaneVerification, errors.New("status 503"))
			}
			refused := func(m *member) bool {
				done, no := m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
				if done != nil {
					done(delivery.ErrNotAsked)
				}
				return done == nil && no.Reason == events.WaitUnavailable && no.Wait > time.Second
			}
			for _, m := range members {
				require.Eventually(t, func() bool { return refused(m) }, 20*time.Second, time.Millisecond)
			}
			// After the pause all want to look at once.
			looks := make(chan func(error), 64)
			ctx, cancel := context.WithCancel(t.Context())
			var workers sync.WaitGroup
			for _, m := range members {
				for range 5 {
					workers.Go(func() {
						for ctx.Err() == nil {
							if done, _ := m.gate.Admit(ctx, events.LaneBulk, 1, time.Second); done != nil {
								looks <- done
								return
							}
							pause(ctx)
						}
					})
				}
			}
			done := <-looks
			f.states(members[1], func(s events.ProviderState) bool { return s.State == events.ProviderOpen && s.Wait == 0 })
			require.Empty(t, looks, "only one looks")
			done(nil)
			for range 14 {
				(<-looks)(nil)
			}
			cancel()
			workers.Wait()
			f.states(members[1], func(s events.ProviderState) bool { return s.State == events.ProviderOK })
		})
	}
}

func TestALookThatWaitedForItsRecordIsStillMade(t *testing.T) {
	t.Parallel()
	for name, quota := range map[string]governor.Quota{"with a rate": {Rate: 1000}, "with calls at once too": {Rate: 1000, Concurrency: 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, quota)
			m := f.join()
			f.states(m, all(1))
			for range 5 {
				call(t, m, events.LaneVerification, errors.New("status 503"))
			}
			var done func(error)
			require.Eventually(t, func() bool {
				refused, no := m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
				if refused != nil {
					refused(delivery.ErrNotAsked)
				}
				return no.Reason == events.WaitUnavailable
			}, 20*time.Second, time.Millisecond)
			require.Eventually(t, func() bool {
				done, _ = m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
				return done != nil
			}, 20*time.Second, time.Millisecond)
			for range 3 { // every write is slow
				done(delivery.ErrStale)
				done, _ = m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
				require.NotNil(t, done)
			}
			done(nil)
			f.states(m, func(s events.ProviderState) bool { return s.State == events.ProviderOK && s.Flying.Sum() == 0 })
		})
	}
}

func pause(ctx context.Context) {
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func TestAPauseReachesAllAndSoDoesItsEnd(t *testing.T) {
	t.Parallel()
	f := newFleet(t, governor.Quota{Rate: 1000})
	members := []*member{f.join(), f.join()}
	f.states(members[0], all(2))
	b, err := events.Encode(events.ProviderPause{Version: events.Version, Provider: "twilio", Channel: events.SMS, At: time.Now()})
	require.NoError(t, err)
	kv, err := members[0].js.KeyValue(t.Context(), stream.Providers)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "twilio.sms", b)
	require.NoError(t, err)
	for _, m := range append(members, f.join()) {
		require.Eventually(t, func() bool {
			done, no := m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
			if done != nil {
				done(delivery.ErrNotAsked)
			}
			return no.Reason == events.WaitPaused
		}, 20*time.Second, time.Millisecond)
	}
	f.states(members[1], func(s events.ProviderState) bool { return s.State == events.ProviderPaused })
	require.NoError(t, kv.Delete(t.Context(), "twilio.sms"))
	for _, m := range members {
		call(t, m, events.LaneVerification, nil)
	}
}

func TestCallsAtOnceAreThoseOfAllProcesses(t *testing.T) {
	t.Parallel()
	f := newFleet(t, governor.Quota{Concurrency: 5})
	members := []*member{f.join(), f.join(), f.join()}
	f.states(members[0], all(3))
	var mu sync.Mutex
	now, most := 0, 0
	var workers sync.WaitGroup
	for _, m := range members {
		for range 10 {
			workers.Go(func() {
				for n := 0; n < 5; {
					done, _ := m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
					if done == nil {
						continue
					}
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					pause(t.Context())
					mu.Lock()
					now--
					mu.Unlock()
					done(nil)
					n++
				}
			})
		}
	}
	workers.Wait()
	require.Equal(t, 5, most)
}

func TestAProcessWithoutAQuotaKeepsToThatOfTheOthers(t *testing.T) {
	t.Parallel()
	for name, quota := range map[string]governor.Quota{"calls at once": {Concurrency: 2}, "a rate too": {Rate: 1000, Concurrency: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, governor.Quota{})
			old := f.join()
			f.states(old, all(1))
			before, _ := old.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
			require.NotNil(t, before, "there is no quota yet")
			require.False(t, old.gate.Paced())
			f.quota = quota
			f.join()
			f.states(old, func(s events.ProviderState) bool { return s.Processes == 2 && s.Concurrency == 2 })
			var flying []func(error)
			require.Eventually(t, func() bool { // it is told within a second
				done, no := old.gate.Admit(t.Context(), events.LaneVerification, 1, 200*time.Millisecond)
				if done != nil {
					flying = append(flying, done)
				}
				return no.Reason == events.WaitThrottled
			}, 20*time.Second, time.Millisecond)
			require.Equal(t, quota.Rate > 0, old.gate.Paced())
			before(nil)
			for _, done := range flying {
				done(nil)
			}
			f.states(old, func(s events.ProviderState) bool { return s.Flying.Sum() == 0 })
			call(t, old, events.LaneVerification, nil)
		})
	}
}

func TestAMessageThatNoLongerWaitsGivesItsPartToTheNext(t *testing.T) {
	t.Parallel()
	f := newFleet(t, governor.Quota{Rate: 20})
	m := f.join()
	f.states(m, all(1))
	call(t, m, events.LaneBulk, delivery.ErrNotAsked) // it was allowed and not made
	done, _ := m.gate.Admit(t.Context(), events.LaneBulk, 1, time.Second)
	require.NotNil(t, done)
	done(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done, no := m.gate.Admit(ctx, events.LaneBulk, 1, time.Second)
	if done == nil {
		require.Equal(t, events.WaitThrottled, no.Reason)
	}
	call(t, m, events.LaneBulk, nil)
}

func TestAThrottledProviderIsLeftAloneByAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t, governor.Quota{})
	members := []*member{f.join(), f.join()}
	f.states(members[0], all(2))
	call(t, members[0], events.LaneBulk, delivery.RetryAfter(time.Minute, errors.New("status 429")))
	for _, m := range members {
		require.Eventually(t, func() bool {
			done, no := m.gate.Admit(t.Context(), events.LaneVerification, 1, time.Second)
			if done != nil {
				done(nil)
			}
			return done == nil && no.Reason == events.WaitThrottled && no.Wait > 30*time.Second
		}, 20*time.Second, time.Millisecond)
	}
}

func BenchmarkAdmitWithoutQuota(b *testing.B) {
	s := embednatstest.Start(b, b.TempDir())
	js := embednatstest.Connect(b, s)
	require.NoError(b, stream.Ensure(b.Context(), js, stream.Topology{}))
	c, err := governor.Start(b.Context(), js, governor.Config{
		Process: "p1", Shares: governor.DefaultShares(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	require.NoError(b, err)
	b.Cleanup(c.Close)
	g := c.Gate(twilio, governor.Quota{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			done, _ := g.Admit(b.Context(), events.LaneVerification, 1, time.Second)
			done(nil)
		}
	})
}
