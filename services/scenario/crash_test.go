package scenario_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

const (
	killings  = 3
	perSecond = 300
	perLife   = 600 // creates that are answered before each kill
	inFlight  = 30  // texts that the worker sends at once: what a kill may find sent and not reported
)

// It is not parallel: it wants the machine to itself, so that the load is what it says.
func TestNothingThatWasAcceptedIsLostToAKill(t *testing.T) {
	outside := newCarrier(t)
	data := t.TempDir()
	env := append(outside.env(), fmt.Sprintf("ASSENT_WORKERS__MAX_IN_FLIGHT=%d", inFlight))
	live, err := startUpAt("127.0.0.1:0", data, env...)
	require.NoError(t, err)
	secret, listen := live.secret, strings.TrimPrefix(live.base, "http://")
	taken := map[string]api.Verification{} // by number
	for range killings {
		load := startLoad(t.Context(), live)
		load.reaches(t, perLife)
		live.processes[0].kill() // under load
		outside.nextEra()
		for to, v := range load.end() {
			taken[to] = v
		}
		live.client.CloseIdleConnections()
		live, err = startUpAt(listen, data, env...)
		require.NoError(t, err)
		require.Equal(t, secret, live.secret, "the credential is kept")
	}
	t.Cleanup(func() { require.NoError(t, live.stop()) })
	require.GreaterOrEqual(t, len(taken), killings*perLife)

	s := &story{live, t}
	eventually(t, "every verification that was accepted is delivered", func() bool {
		for to := range taken {
			if len(outside.got(to)) == 0 {
				return false
			}
		}
		return true
	})
	twice, checked := 0, 0
	for to, v := range taken {
		texts := outside.got(to)
		for i := 1; i < len(texts); i++ {
			twice++
			require.Equal(t, texts[0].code, texts[i].code, "a text that comes twice has the same code")
			require.Greater(t, texts[i].era, texts[i-1].era, "only a kill may send a text twice")
		}
		if checked++; checked%20 == 0 {
			require.True(t, s.Check(v, texts[0].code).Valid, "the code that was delivered is the one that counts")
		}
	}
	t.Logf("%d accepted over %d kills, all delivered, %d twice", len(taken), killings, twice)
	require.LessOrEqual(t, twice, killings*inFlight, "more came twice than can have been in flight")
}

// load creates verifications at a steady rate, whatever the answers.
type load struct {
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	taken   map[string]api.Verification
	changed chan struct{}
}

const outstanding = 128

func startLoad(ctx context.Context, s *system) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop, taken: map[string]api.Verification{}, changed: make(chan struct{}, 1)}
	places := make(chan struct{}, outstanding)
	l.work.Go(func() {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			select {
			case places <- struct{}{}:
				l.work.Go(func() { l.create(s); <-places })
			default: // the program is down or behind
			}
		}
	})
	return l
}

func (l *load) create(s *system) {
	ana := somebody()
	a, err := s.ask(context.Background(), http.MethodPost, s.base+"/v1/verifications", text(ana))
	var v api.Verification
	if err != nil || a.status != http.StatusCreated || json.Unmarshal(a.body, &v) != nil {
		return
	}
	l.mu.Lock()
	l.taken[ana.number] = v
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *load) reaches(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(readyWithin)
	for {
		l.mu.Lock()
		have := len(l.taken)
		l.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-l.changed:
		case <-deadline:
			require.Failf(t, "too slow", "%d of %d creates were accepted within %s", have, n, readyWithin)
		}
	}
}

// end stops the load and returns what was accepted, by number.
func (l *load) end() map[string]api.Verification {
	l.stop()
	l.work.Wait()
	return l.taken
}

func TestWhatWasReportedAsSentIsNotSentAgainAfterAKill(t *testing.T) {
	t.Parallel()
	outside := newCarrier(t)
	data := t.TempDir()
	first, err := startUp(data, outside.env()...)
	require.NoError(t, err)
	s := &story{first, t}
	people := make([]person, 30)
	for i := range people {
		people[i] = somebody()
		v := s.Create(text(people[i]))
		eventually(t, "the text is reported as sent", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
	}
	first.processes[0].kill()
	outside.nextEra()
	first.client.CloseIdleConnections()

	second, err := startUp(data, outside.env()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.stop()) })
	s = &story{second, t}
	// The channel's messages go in their order: with this one, whatever was before it has gone.
	last := somebody()
	s.Create(text(last))
	eventually(t, "a later text arrives", func() bool { return len(outside.got(last.number)) == 1 })
	for _, p := range people {
		require.Len(t, outside.got(p.number), 1)
	}
}
