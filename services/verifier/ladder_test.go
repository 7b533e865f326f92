package verifier_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

var errKilled = errors.New("the process was killed")

// mortal is the broker as a process sees it that is killed at its n-th publish: before the broker has it,
// or when it has it and the process does not know.
type mortal struct {
	jetstream.JetStream
	mu    sync.Mutex
	left  int
	after bool
}

func (m *mortal) PublishMsg(ctx context.Context, msg *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	m.mu.Lock()
	m.left--
	left := m.left
	m.mu.Unlock()
	if left > 0 {
		return m.JetStream.PublishMsg(ctx, msg, o...)
	}
	if left == 0 && m.after {
		if _, err := m.JetStream.PublishMsg(ctx, msg, o...); err != nil {
			return nil, err
		}
	}
	return nil, errKilled
}

// immortal is more publishes than any process makes here.
const immortal = 1 << 20

// life is how long a process lives: kill points from 1 on, 0 for none.
func (h *house) life(kill int, after bool) jetstream.JetStream {
	if kill == 0 {
		kill = immortal
	}
	return &mortal{JetStream: h.js, left: kill, after: after}
}

// laddered is one case: how the processes die, and when the person answers.
type laddered struct {
	id            string
	createKill    int
	createAfter   bool
	verifierKills []int
	verifierAfter []bool
	twice         bool   // the broker hands out the timer twice
	answer        string // "", "early", or "then": while the step is being taken
	made          bool
	answered      time.Time
	due           time.Time
	stored        map[uint64]bool // the places of the step's activation
}

const ladderCases = 500

// The timers are real, and so is the broker; processes are killed at every publish they make.
func TestAFallbackFiresOnceAndOnlyIfUnansweredWhereverItsProcessesDie(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h := build(t)
	random := mrand.New(mrand.NewPCG(seed, 5))
	cases := map[string]*laddered{}
	var order []*laddered
	for range ladderCases {
		c := &laddered{id: uuid.NewString(), stored: map[uint64]bool{}}
		if random.IntN(4) == 0 { // a create publishes its window, its timer and its record
			c.createKill, c.createAfter = 1+random.IntN(4), random.IntN(2) == 0
		}
		for range random.IntN(5) { // taking a step publishes its window, its activation and its note
			c.verifierKills = append(c.verifierKills, 1+random.IntN(4))
			c.verifierAfter = append(c.verifierAfter, random.IntN(2) == 0)
		}
		c.twice = random.IntN(3) == 0
		c.answer = []string{"", "", "early", "then"}[random.IntN(4)]
		cases[c.id] = c
		order = append(order, c)
	}
	dues := h.consumer(stream.Timers, events.DueSubjects)
	voice := h.consumer(stream.Activations, events.ActivationsOf(events.Voice))
	for _, c := range order {
		h.create(c)
		if _, err := h.store.Get(t.Context(), c.id); err == nil {
			c.made = true
		}
		if c.made && c.answer == "early" {
			h.approve(c)
		}
	}
	expected := 0
	for _, c := range order {
		if h.timed(c.id) {
			expected++
		}
	}
	var wg sync.WaitGroup
	for range expected {
		m, err := dues.Next(jetstream.FetchMaxWait(waitLong))
		require.NoError(t, err)
		d, err := events.Decode[events.TimerDue](m.Data())
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		c := cases[d.ID]
		c.due = meta.Timestamp
		require.NoError(t, m.Ack())
		wg.Go(func() { h.takeUnderKills(c, m.Data()) })
	}
	wg.Wait()
	for {
		m, err := voice.Next(jetstream.FetchMaxWait(500 * time.Millisecond))
		if errors.Is(err, nats.ErrTimeout) {
			info, err := voice.Info(t.Context())
			require.NoError(t, err)
			if info.NumPending+uint64(info.NumAckPending) == 0 {
				break
			}
			continue
		}
		require.NoError(t, err)
		a, err := events.Decode[events.VerificationActivated](m.Data())
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		cases[a.ID].stored[meta.Sequence.Stream] = true
		require.NoError(t, m.Ack())
	}
	fired, quiet := 0, 0
	for _, c := range order {
		name := fmt.Sprintf("%+v", *c)
		switch {
		case !c.made:
			require.Empty(t, c.stored, "nobody was asked: %s", name)
		case c.answer == "early" && (c.due.IsZero() || c.answered.Before(c.due)):
			require.Empty(t, c.stored, "it was answered in time: %s", name)
			quiet++
		case c.answer == "":
			require.Len(t, c.stored, 1, "nobody answered: %s", name)
			fired++
		default:
			require.LessOrEqual(t, len(c.stored), 1, name)
		}
	}
	t.Logf("%d fired once, %d were answered and stayed quiet", fired, quiet)
	require.Greater(t, fired, ladderCases/4)
	require.Greater(t, quiet, ladderCases/20)
}

func (h *house) consumer(streamName, filter string) jetstream.Consumer {
	h.t.Helper()
	c, err := h.js.CreateConsumer(h.t.Context(), streamName, jetstream.ConsumerConfig{
		FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: time.Hour, // nobody asks it while processes are killed
	})
	require.NoError(h.t, err)
	return c
}

// create asks for a verification with a fallback in a process that may die while it does.
func (h *house) create(c *laddered) {
	h.t.Helper()
	js := h.life(c.createKill, c.createAfter)
	s := h.storeOn(js)
	v, secrets, err := verification.New(verification.Params{
		ID: c.id, Credential: "shop", Channel: verification.SMS, Challenge: verification.ApprovalChallenge,
		Fallback: []verification.Step{{Channel: verification.Voice, After: 3 * time.Second, ToMasked: "+1••"}},
	}, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	to := "+1415" + c.id[len(c.id)-7:]
	_, _, err = s.Create(h.t.Context(), verification.Activation{
		Verification: v, Secrets: secrets, To: to, Roads: []verification.Road{{To: to}},
	})
	if c.createKill == 0 {
		require.NoError(h.t, err)
	}
}

// timed tells whether a timer stands for a verification, or has come.
func (h *house) timed(id string) bool {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream.Timers)
	require.NoError(h.t, err)
	info, err := s.Info(h.t.Context(), jetstream.WithSubjectFilter(events.TimersOf(events.TimerFallback, id)))
	require.NoError(h.t, err)
	if len(info.State.Subjects) > 0 {
		return true
	}
	info, err = s.Info(h.t.Context(), jetstream.WithSubjectFilter(events.DueSubject(events.TimerFallback, id)))
	require.NoError(h.t, err)
	return len(info.State.Subjects) > 0
}

func (h *house) approve(c *laddered) {
	h.t.Helper()
	_, err := h.store.Resolve(h.t.Context(), c.id, verification.Answered{Decision: verification.Approve})
	if err != nil {
		require.ErrorIs(h.t, err, verification.ErrNotFound)
		return
	}
	c.answered = time.Now()
}

// takeUnderKills hands a timer to one verifier after the other until one lives through it, as the broker does.
func (h *house) takeUnderKills(c *laddered, data []byte) {
	handle := func(kill int, after bool) error {
		resolver, err := store.NewResolver(h.t.Context(), h.life(kill, after),
			store.Limits{SendQuota: stream.DefaultSendQuota, SendWindow: stream.DefaultSendWindow}, h.clock.now)
		if err != nil {
			return err
		}
		v := &verifier.Verifier{Verifications: resolver, Log: slog.New(slog.DiscardHandler)}
		m := message.NewMessage("1", data)
		m.SetContext(h.t.Context())
		return v.HandleTimer(m)
	}
	var racing sync.WaitGroup
	if c.answer == "then" {
		racing.Go(func() {
			_, _ = h.store.Resolve(h.t.Context(), c.id, verification.Answered{Decision: verification.Deny})
		})
	}
	for i, kill := range c.verifierKills {
		if handle(kill, c.verifierAfter[i]) == nil {
			break
		}
	}
	if c.twice {
		racing.Go(func() { _ = handle(0, false) })
	}
	if err := handle(0, false); err != nil {
		h.t.Error(err)
	}
	racing.Wait()
}
