package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

func tickets(t *testing.T, h *house) *store.Tickets {
	t.Helper()
	k, err := store.NewTickets(t.Context(), h.js(), store.TicketsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(t, err)
	return k
}

func TestATicketIsSeenByEveryProcessUnderItsKindAndNameOnly(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := tickets(t, h), tickets(t, h)
	ctx := t.Context()
	const name = "any text: ä * > . "
	require.NoError(t, one.Issue(ctx, "session", name, []byte("first"), time.Hour))
	require.NoError(t, one.Issue(ctx, "session", name, []byte("second"), time.Hour))
	got, err := two.Look(ctx, "session", name)
	require.NoError(t, err)
	require.Equal(t, "second", string(got))
	for _, c := range [][2]string{{"state", name}, {"session", name + " "}, {"session", ""}} {
		_, err = two.Look(ctx, c[0], c[1])
		require.ErrorIs(t, err, verification.ErrNotFound)
		_, err = two.Use(ctx, c[0], c[1])
		require.ErrorIs(t, err, verification.ErrNotFound)
		require.NoError(t, two.Revoke(ctx, c[0], c[1]))
	}
	require.NoError(t, two.Revoke(ctx, "session", name))
	_, err = one.Look(ctx, "session", name)
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.NoError(t, one.Issue(ctx, "session", name, nil, time.Hour))
	got, err = two.Use(ctx, "session", name)
	require.NoError(t, err)
	require.Empty(t, got)

	require.Error(t, one.Issue(ctx, "a.b", "x", nil, time.Hour))
	require.Error(t, one.Issue(ctx, "session", "x", nil, 0))
}

func TestATicketIsUsedOnceByOneOfMany(t *testing.T) {
	t.Parallel()
	h := build(t)
	require.NoError(t, tickets(t, h).Issue(t.Context(), "join", "code", []byte("who"), time.Hour))
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		k := tickets(t, h) // a process of its own
		for range 8 {
			wg.Go(func() {
				content, err := k.Use(t.Context(), "join", "code")
				switch {
				case err == nil && string(content) == "who":
					won.Add(1)
				case !errors.Is(err, verification.ErrNotFound):
					t.Errorf("%q, %v", content, err)
				}
			})
		}
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	_, err := tickets(t, h).Look(t.Context(), "join", "code")
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestATicketEndsWithItsLife(t *testing.T) {
	t.Parallel()
	h := build(t)
	k := tickets(t, h)
	require.NoError(t, k.Issue(t.Context(), "state", "x", []byte("y"), 2*time.Minute))
	h.clock.forward(119 * time.Second)
	_, err := k.Look(t.Context(), "state", "x")
	require.NoError(t, err)
	h.clock.forward(2 * time.Second)
	_, err = k.Look(t.Context(), "state", "x")
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = k.Use(t.Context(), "state", "x")
	require.ErrorIs(t, err, verification.ErrNotFound)

	require.NoError(t, k.Issue(t.Context(), "state", "short", []byte("y"), time.Second))
	kv, err := h.js().KeyValue(t.Context(), "ASSENT_TICKETS")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // the broker drops what nobody used
		keys, err := kv.Keys(t.Context())
		return err == nil && len(keys) == 1 // the other one has more than a minute yet
	}, waitLong, tick)
}

func TestTicketsOutliveAChangeOfTheKey(t *testing.T) {
	t.Parallel()
	h := build(t)
	older, newer := rotated(t)
	h.keys = older
	before := tickets(t, h)
	require.NoError(t, before.Issue(t.Context(), "session", "x", []byte("old"), time.Hour))
	h.keys = newer
	k := tickets(t, h)
	got, err := k.Look(t.Context(), "session", "x")
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	require.NoError(t, k.Issue(t.Context(), "session", "x", []byte("new"), time.Hour))
	got, err = k.Use(t.Context(), "session", "x")
	require.NoError(t, err)
	require.Equal(t, "new", string(got))
	_, err = k.Use(t.Context(), "session", "x")
	require.ErrorIs(t, err, verification.ErrNotFound, "the older one went when the newer took its place")

	require.NoError(t, before.Issue(t.Context(), "session", "z", []byte("old"), time.Hour))
	require.NoError(t, k.Change(t.Context(), "session", "z", func(content []byte) ([]byte, error) { return append(content, "er"...), nil }))
	got, err = k.Use(t.Context(), "session", "z")
	require.NoError(t, err)
	require.Equal(t, "older", string(got))
	_, err = before.Look(t.Context(), "session", "z")
	require.ErrorIs(t, err, verification.ErrNotFound)

	require.NoError(t, before.Issue(t.Context(), "session", "y", nil, time.Hour))
	require.NoError(t, k.Revoke(t.Context(), "session", "y"))
	_, err = before.Look(t.Context(), "session", "y")
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestATicketIsTakenOnceByOneOfMany(t *testing.T) {
	t.Parallel()
	h := build(t)
	var first, late atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		k := tickets(t, h) // a process of its own
		for range 8 {
			wg.Go(func() {
				ok, err := k.Once(t.Context(), "signed", "one", time.Hour)
				switch {
				case err != nil:
					t.Error(err)
				case ok:
					first.Add(1)
				default:
					late.Add(1)
				}
			})
		}
	}
	wg.Wait()
	require.EqualValues(t, 1, first.Load())
	require.EqualValues(t, 31, late.Load())

	k := tickets(t, h)
	for _, name := range [][2]string{{"signed", "two"}, {"other", "one"}} {
		ok, err := k.Once(t.Context(), name[0], name[1], time.Hour)
		require.NoError(t, err)
		require.True(t, ok, "other names and kinds are taken by themselves")
	}
	_, err := k.Once(t.Context(), "a.b", "x", time.Hour)
	require.Error(t, err)
	_, err = k.Once(t.Context(), "signed", "x", 0)
	require.Error(t, err)
}

func TestATicketMayBeTakenAgainWhenItHasEnded(t *testing.T) {
	t.Parallel()
	h := build(t)
	k := tickets(t, h)
	take := func() bool {
		t.Helper()
		first, err := k.Once(t.Context(), "signed", "x", 2*time.Minute)
		require.NoError(t, err)
		return first
	}
	require.True(t, take())
	h.clock.forward(119 * time.Second)
	require.False(t, take())
	h.clock.forward(2 * time.Second) // the broker has not dropped it
	require.True(t, take())
	require.False(t, take())
	require.NoError(t, k.Revoke(t.Context(), "signed", "x"))
	require.True(t, take(), "the mark of what was removed is no ticket")
}

func TestATicketTakenBeforeAChangeOfTheKeyIsTaken(t *testing.T) {
	t.Parallel()
	h := build(t)
	older, newer := rotated(t)
	h.keys = older
	first, err := tickets(t, h).Once(t.Context(), "signed", "x", time.Hour)
	require.NoError(t, err)
	require.True(t, first)
	h.keys = newer
	for _, name := range []string{"x", "y"} {
		first, err = tickets(t, h).Once(t.Context(), "signed", name, time.Hour)
		require.NoError(t, err)
		require.Equal(t, name == "y", first)
	}
}

func TestATicketIsChangedByAllWhoChangeItAndKeepsItsEnd(t *testing.T) {
	t.Parallel()
	h := build(t)
	k := tickets(t, h)
	ctx := t.Context()
	add := func(content []byte) ([]byte, error) { return append(content, 'x'), nil }
	require.ErrorIs(t, k.Change(ctx, "link", "a", add), verification.ErrNotFound)
	require.NoError(t, k.Issue(ctx, "link", "a", nil, time.Hour))
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { errs[i] = k.Change(ctx, "link", "a", add) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	got, err := k.Look(ctx, "link", "a")
	require.NoError(t, err)
	require.Equal(t, "xxxxxxxx", string(got))
	full := errors.New("full")
	require.ErrorIs(t, k.Change(ctx, "link", "a", func([]byte) ([]byte, error) { return nil, full }), full)
	h.clock.forward(time.Hour)
	_, err = k.Look(ctx, "link", "a")
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.ErrorIs(t, k.Change(ctx, "link", "a", add), verification.ErrNotFound)
}
