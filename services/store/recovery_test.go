package store_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// codesFor gives a user fresh recovery codes, and returns them as they are compared.
func codesFor(t *testing.T, u *store.Users, userID string, at time.Time) []verification.Code {
	t.Helper()
	told, err := recovery.NewCodes(rand.Reader)
	require.NoError(t, err)
	plain := make([]verification.Code, 0, len(told))
	for _, c := range told {
		_, p, ok := recovery.Read(c.Reveal())
		require.True(t, ok)
		plain = append(plain, p)
	}
	require.NoError(t, u.ReplaceRecoveryCodes(t.Context(), "shop", userID, plain, at))
	return plain
}

// tokenFor opens a bypass token, and returns it as it is compared.
func tokenFor(t *testing.T, u *store.Users, userID string, token recovery.BypassToken) verification.Code {
	t.Helper()
	told, err := recovery.NewToken(rand.Reader)
	require.NoError(t, err)
	_, plain, ok := recovery.Read(told.Reveal())
	require.True(t, ok)
	require.NoError(t, u.AddBypassToken(t.Context(), "shop", userID, token, plain))
	return plain
}

func (h *house) token(uses int, life time.Duration) recovery.BypassToken {
	now := h.clock.now().UTC()
	return recovery.BypassToken{ID: uuid.Must(uuid.NewV7()).String(), Reason: "recognisable reason", CreatedAt: now, ExpiresAt: now.Add(life), UsesLeft: uses}
}

// tried is what comes of a code.
func tried(t *testing.T, u *store.Users, userID string, kind recovery.Kind, code verification.Code) recovery.Recovered {
	t.Helper()
	r, err := u.Recover(t.Context(), "shop", userID, kind, code)
	require.NoError(t, err)
	return r
}

func TestEachRecoveryCodeWorksOnceInAllProcesses(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := users(t, h), users(t, h)
	ana, bob := stored(t, one, user("ana")), stored(t, one, user("bob"))
	stock, err := two.RecoveryCodes(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Zero(t, stock)
	at := h.clock.now().UTC()
	codes := codesFor(t, one, ana.ID, at)

	for i, c := range codes {
		require.Equal(t, recovery.Recovered{Kind: recovery.Code, CodesLeft: len(codes) - 1 - i}, tried(t, two, ana.ID, recovery.Code, c))
		stock, err = one.RecoveryCodes(t.Context(), "shop", ana.ID)
		require.NoError(t, err)
		require.Equal(t, recovery.Stock{Left: len(codes) - 1 - i, CreatedAt: at}, stock)
	}
	require.Zero(t, tried(t, one, ana.ID, recovery.Code, codes[0]), "it was used")
	require.Zero(t, tried(t, one, bob.ID, recovery.Code, codes[1]))

	earlier := codesFor(t, one, ana.ID, at)
	codes = codesFor(t, one, ana.ID, at)
	require.Zero(t, tried(t, two, ana.ID, recovery.Code, earlier[0]), "others have taken its place")
	require.Zero(t, tried(t, two, bob.ID, recovery.Code, codes[0]), "it is another's")
	_, err = two.Recover(t.Context(), "bank", ana.ID, recovery.Code, codes[0])
	require.NoError(t, err)
	stock, err = two.RecoveryCodes(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, len(codes), stock.Left, "another account uses none")

	require.NoError(t, one.RemoveRecoveryCodes(t.Context(), "shop", ana.ID))
	require.NoError(t, one.RemoveRecoveryCodes(t.Context(), "shop", ana.ID))
	require.Zero(t, tried(t, two, ana.ID, recovery.Code, codes[0]))
	stock, err = two.RecoveryCodes(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Zero(t, stock)
}

func TestBypassTokensHaveTheirUsesAndTheirTime(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := users(t, h), users(t, h)
	ana := stored(t, one, user("ana"))
	twice, short := h.token(2, time.Hour), h.token(1, time.Minute)
	secret, soon := tokenFor(t, one, ana.ID, twice), tokenFor(t, two, ana.ID, short)
	open, err := two.BypassTokens(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, []recovery.BypassToken{twice, short}, open)

	require.Equal(t, recovery.Recovered{Kind: recovery.Token, TokenID: twice.ID, UsesLeft: 1}, tried(t, two, ana.ID, recovery.Token, secret))
	twice.UsesLeft = 1
	open, err = one.BypassTokens(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, []recovery.BypassToken{twice, short}, open)
	require.Equal(t, recovery.Recovered{Kind: recovery.Token, TokenID: twice.ID}, tried(t, one, ana.ID, recovery.Token, secret))
	require.Zero(t, tried(t, one, ana.ID, recovery.Token, secret))

	h.clock.forward(time.Minute)
	require.Zero(t, tried(t, one, ana.ID, recovery.Token, soon), "its time is up")
	open, err = one.BypassTokens(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Empty(t, open)

	revoked := h.token(10, time.Hour)
	secret = tokenFor(t, one, ana.ID, revoked)
	require.ErrorIs(t, one.RemoveBypassToken(t.Context(), "bank", ana.ID, revoked.ID), verification.ErrNotFound)
	require.ErrorIs(t, one.RemoveBypassToken(t.Context(), "shop", ana.ID, short.ID), verification.ErrNotFound)
	require.NoError(t, two.RemoveBypassToken(t.Context(), "shop", ana.ID, revoked.ID))
	require.ErrorIs(t, two.RemoveBypassToken(t.Context(), "shop", ana.ID, revoked.ID), verification.ErrNotFound)
	require.Zero(t, tried(t, one, ana.ID, recovery.Token, secret))
}

func TestNoMoreBypassTokensAreOpenThanMayBe(t *testing.T) {
	t.Parallel()
	h := build(t)
	stores := []*store.Users{users(t, h), users(t, h)}
	ana := stored(t, stores[0], user("ana"))
	token, err := recovery.NewToken(rand.Reader)
	require.NoError(t, err)
	var added, crowded atomic.Int64
	var wg sync.WaitGroup
	for i := range 2 * recovery.MaxTokens {
		wg.Go(func() {
			switch err := stores[i%2].AddBypassToken(t.Context(), "shop", ana.ID, h.token(1, time.Hour), token); {
			case err == nil:
				added.Add(1)
			case errors.Is(err, recovery.ErrCrowded):
				crowded.Add(1)
			case !errors.Is(err, verification.ErrUnavailable): // others were faster too often
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, added.Load(), int64(recovery.MaxTokens))
	for added.Load() < recovery.MaxTokens {
		require.NoError(t, stores[0].AddBypassToken(t.Context(), "shop", ana.ID, h.token(1, time.Hour), token))
		added.Add(1)
	}
	require.ErrorIs(t, stores[1].AddBypassToken(t.Context(), "shop", ana.ID, h.token(1, time.Hour), token), recovery.ErrCrowded)
	h.clock.forward(time.Hour)
	require.NoError(t, stores[1].AddBypassToken(t.Context(), "shop", ana.ID, h.token(1, time.Hour), token), "those whose time is up make room")
}

func TestOfManyWhoBringOneCodeAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	h := build(t)
	stores := []*store.Users{users(t, h), users(t, h)}
	for _, kind := range []recovery.Kind{recovery.Code, recovery.Token} {
		ana := stored(t, stores[0], user("ana by "+string(kind)))
		code := codesFor(t, stores[0], ana.ID, h.clock.now())[4]
		if kind == recovery.Token {
			code = tokenFor(t, stores[0], ana.ID, h.token(1, time.Hour))
		}
		var won, limited atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				r, err := stores[i%2].Recover(t.Context(), "shop", ana.ID, kind, code)
				switch limit := (*verification.LimitError)(nil); {
				case errors.As(err, &limit):
					limited.Add(1)
				case err != nil:
					t.Error(err)
				case r.Valid():
					won.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load(), kind)
		require.Positive(t, limited.Load(), "most of them are over the limit of guesses")
	}
}

func TestWrongRecoveryCodesRunOut(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := users(t, h), users(t, h)
	ana, bob := stored(t, one, user("ana")), stored(t, one, user("bob"))
	codes := codesFor(t, one, ana.ID, h.clock.now())
	token := tokenFor(t, one, ana.ID, h.token(10, time.Hour))
	for range 2 * stream.GuessQuota { // right ones never run out
		require.True(t, tried(t, two, ana.ID, recovery.Token, token).Valid())
	}
	for i := range stream.GuessQuota {
		kind := []recovery.Kind{recovery.Code, recovery.Token}[i%2]
		require.Zero(t, tried(t, []*store.Users{one, two}[i%2], ana.ID, kind, "222222222222"))
		require.Zero(t, tried(t, one, bob.ID, kind, "222222222222"), "who has none is told the same")
	}
	for _, id := range []string{ana.ID, bob.ID} {
		var limit *verification.LimitError
		_, err := two.Recover(t.Context(), "shop", id, recovery.Code, codes[0])
		require.ErrorAs(t, err, &limit, "not even a right one is heard")
		require.Equal(t, stream.GuessQuota, limit.Quota)
		require.Equal(t, stream.GuessWindow, limit.Window)
	}
	stock, err := one.RecoveryCodes(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, recovery.Codes, stock.Left)
}

func TestTheBucketTellsNoRecoveryCode(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user("ana"))
	codes := codesFor(t, u, ana.ID, h.clock.now())
	secret := tokenFor(t, u, ana.ID, h.token(1, time.Hour))
	dump := bucketText(t, h, "ASSENT_USERS")
	require.Contains(t, dump, "recovery.shop."+ana.ID)
	require.Contains(t, dump, "bypass.shop."+ana.ID)
	for _, hidden := range append(codes, secret, "recognisable reason") {
		require.NotContains(t, dump, hidden.Reveal())
		require.NotContains(t, dump, base64.StdEncoding.EncodeToString([]byte(hidden.Reveal())))
	}
	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	dump = bucketText(t, h, "ASSENT_USERS")
	require.NotContains(t, dump, ana.ID, "nothing is left of who was removed")
}

// bucketText is all that stands in a bucket.
func bucketText(t *testing.T, h *house, name string) string {
	t.Helper()
	kv, err := h.js().KeyValue(t.Context(), name)
	require.NoError(t, err)
	w, err := kv.WatchAll(t.Context(), jetstream.IgnoreDeletes())
	require.NoError(t, err)
	defer stream.EndWatch(w)
	var all strings.Builder
	for e := range w.Updates() {
		if e == nil {
			break
		}
		all.WriteString(e.Key() + " " + string(e.Value()) + "\n")
	}
	return all.String()
}

func TestRecoveryCodesOutliveAnotherKey(t *testing.T) {
	t.Parallel()
	h := build(t)
	older, newer := rotated(t)
	h.keys = older
	before := users(t, h)
	ana := stored(t, before, user("ana"))
	codes, token := codesFor(t, before, ana.ID, h.clock.now()), tokenFor(t, before, ana.ID, h.token(2, time.Hour))
	h.keys = newer
	after := users(t, h)
	require.True(t, tried(t, after, ana.ID, recovery.Code, codes[0]).Valid())
	require.True(t, tried(t, after, ana.ID, recovery.Token, token).Valid())
	newest := tokenFor(t, after, ana.ID, h.token(1, time.Hour))
	open, err := after.BypassTokens(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.True(t, tried(t, after, ana.ID, recovery.Token, newest).Valid())
	require.True(t, tried(t, after, ana.ID, recovery.Token, token).Valid())

	codes = codesFor(t, after, ana.ID, h.clock.now())
	newest = tokenFor(t, after, ana.ID, h.token(1, time.Hour))
	require.Zero(t, tried(t, before, ana.ID, recovery.Code, codes[0]), "this process does not have the key")
	stock, err := before.RecoveryCodes(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Zero(t, stock.Left, "codes that work no more are none")
	open, err = before.BypassTokens(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Empty(t, open)
	tokenFor(t, before, ana.ID, h.token(1, time.Hour))
	require.True(t, tried(t, after, ana.ID, recovery.Token, newest).Valid(), "who does not have the key leaves it as it is")
}

func TestWithoutTheBrokerNobodyRecovers(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user("ana"))
	codes := codesFor(t, u, ana.ID, h.clock.now())
	h.server.Shutdown()
	_, err := u.Recover(t.Context(), "shop", ana.ID, recovery.Code, codes[0])
	require.ErrorIs(t, err, verification.ErrUnavailable)
}

func TestTheOrderOfDevicesIsKept(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := users(t, h), users(t, h)
	ana := person("ana")
	ana = stored(t, one, ana)
	order := []string{uuid.NewString(), uuid.NewString()}
	_, err := one.OrderDevices(t.Context(), "bank", ana.ID, order)
	require.ErrorIs(t, err, verification.ErrNotFound)
	ordered, err := one.OrderDevices(t.Context(), "shop", ana.ID, order)
	require.NoError(t, err)
	ana.DeviceOrder, ana.Revision = order, ordered.Revision
	require.Equal(t, ana, ordered)
	got, err := two.UserByLogin(t.Context(), "shop", "ana")
	require.NoError(t, err)
	require.Equal(t, ana, got)

	got.GivenName = "Another"
	got, err = two.UpdateUser(t.Context(), got)
	require.NoError(t, err)
	require.Equal(t, order, got.DeviceOrder, "a change of something else leaves it")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := []*store.Users{one, two}[i%2].OrderDevices(t.Context(), "shop", ana.ID, order[:i%3])
			if err != nil && !errors.Is(err, verification.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err = one.OrderDevices(t.Context(), "shop", ana.ID, nil)
	require.NoError(t, err)
	require.Empty(t, got.DeviceOrder)
	require.Equal(t, "Another", got.GivenName)
}
