package verifier_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

// archiving is a Resolver whose archive something stands before.
type archiving struct {
	verifier.Resolver
	before func(id string) error
}

func (a archiving) Archive(ctx context.Context, id string, p verification.Proof) error {
	if err := a.before(id); err != nil {
		return err
	}
	return a.Resolver.Archive(ctx, id, p)
}

func TestAProofThatCouldNotBeArchivedIsArchivedWhenItsAnswerComesAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	var tries tally
	h.verify(func(r verifier.Resolver) verifier.Resolver {
		return archiving{r, func(id string) error {
			if tries.add(id); tries.of(id) <= 2 {
				return verification.ErrUnavailable
			}
			return nil
		}}
	})
	p := h.askPhone(2)
	h.respond(p.answer(events.Approve, p.number))
	require.Equal(t, "push approved", next(t, h.counted), "who waits is told at once")
	require.Equal(t, "-NAK", next(t, h.settled))
	require.Equal(t, "-NAK", next(t, h.settled))
	require.Equal(t, "+ACK", next(t, h.settled))
	e, err := h.proofs().Proof(t.Context(), "shop", p.v.ID)
	require.NoError(t, err)
	require.True(t, check(e).Valid())
	require.EqualValues(t, 1, h.writes(), "the outcome is written once")
}

// letters are the dead letters, oldest first.
func (h *house) letters() []events.DeadLetter {
	h.t.Helper()
	r, err := stream.NewReader(h.t.Context(), h.js, stream.DeadLetters)
	require.NoError(h.t, err)
	records, err := r.All(h.t.Context(), events.DeadLetterSubjects)
	require.NoError(h.t, err)
	var all []events.DeadLetter
	for _, rec := range records {
		l, err := events.Decode[events.DeadLetter](rec.Data)
		require.NoError(h.t, err)
		all = append(all, l)
	}
	return all
}

// leave lets the records of all verifications leave, as they do when their time is over.
func (h *house) leave() {
	h.t.Helper()
	h.clock.forward(verification.DefaultLife + events.Grace + time.Second)
	for _, name := range []string{stream.Activations, stream.Outcomes} {
		s, err := h.js.Stream(h.t.Context(), name)
		require.NoError(h.t, err)
		require.NoError(h.t, s.Purge(h.t.Context()))
	}
}

func TestAProofThatCannotBeArchivedAnyMoreIsADeadLetter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		payee    string
		outlived bool // its records leave while the archive is away
		again    bool // and its id is used again
		reason   string
	}{
		"since its records have left": {"", true, false, "the records of its verification have left"},
		"since others have its id":    {"", true, true, "the records of its verification have left"},
		"since it is too large":       {strings.Repeat("<", 9500), false, false, "message is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			log := &lines{}
			var away atomic.Bool
			away.Store(c.outlived)
			h.verifyWith(func(v *verifier.Verifier) {
				v.Log = slog.New(slog.NewJSONHandler(log, nil))
				v.Verifications = archiving{v.Verifications, func(string) error {
					if away.Load() {
						return verification.ErrUnavailable
					}
					return nil
				}}
			})
			p := h.askPhone(2, func(p *phone) { p.payee = c.payee })
			h.respond(p.answer(events.Approve, p.number))
			require.Equal(t, "push approved", next(t, h.counted))
			if c.outlived {
				require.Equal(t, "-NAK", next(t, h.settled))
				h.leave()
				if c.again {
					h.store = h.newStore()
					h.askAs(p.v.ID, verification.LinkChallenge)
				}
				away.Store(false)
			}
			require.Eventually(t, func() bool { return next(t, h.settled) == "+TERM" }, waitLong, time.Millisecond)
			require.Contains(t, counts(t, h), "push unarchived")
			require.Contains(t, log.String(), `"level":"ERROR"`)
			require.NotContains(t, log.String(), "token-of-")
			letters := h.letters()
			require.Len(t, letters, 1)
			require.Equal(t, p.v.ID, letters[0].VerificationID)
			require.Equal(t, verifier.ResponsesConsumer, letters[0].Consumer)
			require.Contains(t, letters[0].Reason, c.reason)
		})
	}
}

// counts is what was counted up to now.
func counts(t *testing.T, h *house) []string {
	t.Helper()
	var all []string
	for len(h.counted) > 0 {
		all = append(all, next(t, h.counted))
	}
	return all
}

func TestAWarningFreezesThoughTheArchiveIsAway(t *testing.T) {
	t.Parallel()
	h := build(t)
	told := h.guarded(func(v *verifier.Verifier) {
		v.Verifications = archiving{v.Verifications, func(string) error { return verification.ErrUnavailable }}
	})
	p := h.askPhone(0)
	h.respond(p.answer(events.NotMe, ""))
	require.Equal(t, "push denied", next(t, h.counted))
	require.Equal(t, "push", next(t, told))
	require.Equal(t, "-NAK", next(t, h.settled))
	require.Equal(t, "push late", next(t, h.counted))
	require.Equal(t, "-NAK", next(t, h.settled), "it comes again until its proof is kept")
	require.Len(t, h.frozen(), 1)
	require.Len(t, h.warnings(), 1)
}

func TestAnAnswerThatComesAgainAfterItsProofWasArchivedIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"when its id is not used": false, "when its id is used again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			var dead atomic.Bool // killed between the archive and the ack
			dead.Store(true)
			archived := make(chan struct{}, 64)
			h.verify(func(r verifier.Resolver) verifier.Resolver { return killed{r, &dead, archived} })
			p := h.askPhone(2)
			h.respond(p.answer(events.Approve, p.number))
			next(t, archived)
			h.leave()
			if again {
				h.store = h.newStore()
				h.askAs(p.v.ID, verification.LinkChallenge)
			}
			dead.Store(false)
			require.Eventually(t, func() bool { return next(t, h.settled) == "+ACK" }, waitLong, time.Millisecond)
			require.Empty(t, h.letters())
			require.Contains(t, counts(t, h), "push ignored")
			_, err := h.proofs().Proof(t.Context(), "shop", p.v.ID)
			require.NoError(t, err)
		})
	}
}

// killed is a Resolver whose process ends each time when it has archived, for as long as dead says so.
type killed struct {
	verifier.Resolver
	dead     *atomic.Bool
	archived chan<- struct{}
}

func (k killed) Archive(ctx context.Context, id string, p verification.Proof) error {
	err := k.Resolver.Archive(ctx, id, p)
	if err == nil && k.dead.Load() {
		k.archived <- struct{}{}
		return verification.ErrUnavailable
	}
	return err
}
