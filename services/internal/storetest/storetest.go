// Package storetest is what tests of the doors stand on: real stores on a broker of their own, and a clock that only the
// test moves.
package storetest

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// Clock stands still until a test moves it, so that a busy machine changes nothing.
type Clock struct {
	start time.Time
	ahead atomic.Int64
}

// NewClock starts at the time of the machine, which the broker goes by, in whole milliseconds, as stores keep times.
func NewClock() *Clock { return &Clock{start: time.Now().Truncate(time.Millisecond)} }

// Now is the time.
func (c *Clock) Now() time.Time { return c.start.Add(time.Duration(c.ahead.Load())) }

// Forward moves it.
func (c *Clock) Forward(d time.Duration) { c.ahead.Add(int64(d)) }

// Broker is what the processes of a test share.
type Broker struct {
	JS    jetstream.JetStream
	Keys  *keyring.Keyring
	Clock *Clock
}

// NewBroker starts one, with its streams and new keys.
func NewBroker(t *testing.T) *Broker {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	return &Broker{JS: js, Keys: keys, Clock: NewClock()}
}

// Stores are those of one process.
type Stores struct {
	Guesses       *store.Guesses
	Users         *store.Users
	Tickets       *store.Tickets
	Verifications *Recorder
	Silence       *Silence
}

// Stores opens those of one more process: it shares the broker with the others, and nothing else.
func (b *Broker) Stores(t *testing.T) *Stores {
	t.Helper()
	ctx, now := t.Context(), b.Clock.Now
	s := &Stores{Silence: &Silence{}}
	var err error
	s.Guesses, err = store.NewGuesses(ctx, b.JS, store.GuessesConfig{Keys: b.Keys, Now: now})
	require.NoError(t, err)
	s.Users, err = store.NewUsers(ctx, b.JS, store.UsersConfig{Keys: b.Keys, Guesses: s.Guesses, Now: now})
	require.NoError(t, err)
	s.Tickets, err = store.NewTickets(ctx, b.JS, store.TicketsConfig{Keys: b.Keys, Now: now})
	require.NoError(t, err)
	verifications, err := store.NewVerifications(ctx, b.JS, store.Config{
		Keys: b.Keys, Limits: store.Limits{SendQuota: stream.DefaultSendQuota, SendWindow: stream.DefaultSendWindow}, Now: now,
		Authenticators: s.Users, Prompts: store.DefaultPromptLimits(), Suppressions: s.Silence,
	})
	require.NoError(t, err)
	t.Cleanup(verifications.Close)
	s.Verifications = &Recorder{Verifications: verifications}
	return s
}

// Recorder keeps what is sent as it goes to the store, where it is sealed.
type Recorder struct {
	*store.Verifications

	mu   sync.Mutex
	sent []verification.Activation
}

// Create is that of the store.
func (r *Recorder) Create(ctx context.Context, a verification.Activation) (verification.Verification, bool, error) {
	v, replayed, err := r.Verifications.Create(ctx, a)
	if err == nil && !replayed {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sent = append(r.sent, a)
	}
	return v, replayed, err
}

// Last is what was sent last.
func (r *Recorder) Last() verification.Activation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent[len(r.sent)-1]
}

// Count is how often something was sent.
func (r *Recorder) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sent)
}

// Silence is a list of who gets no messages, on which either everybody is, or nobody.
type Silence struct {
	All atomic.Bool
	// Asked is of whose credential it was asked last.
	Asked atomic.Value
}

// Entry is what store.Config.Suppressions asks.
func (s *Silence) Entry(_ context.Context, _, client, _ string, _ events.Lane) (*events.Suppression, error) {
	s.Asked.Store(client)
	if !s.All.Load() {
		return nil, nil //nolint:nilnil // nobody is on the list
	}
	return &events.Suppression{Cause: events.CauseStop}, nil
}
