package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

const appID = "8f14e45fceea167a5a36dedd4bea2543"

// realms are those of one process.
func (h *house) realms() *store.Realms {
	h.t.Helper()
	r, err := store.NewRealms(h.t.Context(), h.js(), store.RealmsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(h.t, err)
	h.t.Cleanup(r.Close)
	return r
}

// settled is a realm's settings as they are read back.
func settled() realm.Settings {
	return realm.Settings{
		Brand: "Example Bank", Methods: []string{"sms", "push_accept"}, EchoOTP: true, StatesAsFound: true, Life: time.Minute,
		Attempts: realm.Limit{Window: time.Hour}, Validations: realm.Limit{Count: 3, Window: time.Minute},
		Block: realm.Block{Countries: []string{"RU"}, NetworkTypes: []string{"virtual"}, Carriers: []string{"Example Mobile"}},
	}
}

func unknown(t *testing.T, r *store.Realms, id string) {
	t.Helper()
	_, keys, err := r.Realm(t.Context(), id)
	require.ErrorIs(t, err, realm.ErrUnknown, id)
	require.Empty(t, keys)
}

func requireKeys(t *testing.T, r *store.Realms, id string, want ...[]byte) {
	t.Helper()
	_, keys, err := r.Realm(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, keys)
}

func TestARealmWorksAtOnceInEveryProcess(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	for i := range 30 { // the watch of the other process lags behind some of these
		made, key, err := one.CreateRealm(t.Context(), realm.Realm{Name: fmt.Sprintf("Realm-%d", i), Account: "shop", Settings: settled()}, nil)
		require.NoError(t, err)
		require.Len(t, key, 32)
		require.True(t, realm.ValidAppID(made.AppID))
		require.Equal(t, settled(), made.Settings)
		require.WithinDuration(t, h.clock.now(), made.CreatedAt, waitLong)
		for _, r := range []*store.Realms{two, one} {
			got, keys, err := r.Realm(t.Context(), strings.ToUpper(made.AppID))
			require.NoError(t, err)
			require.Equal(t, made, got)
			require.Equal(t, [][]byte{key}, keys)
		}
	}
	got, err := two.RealmByName(t.Context(), "shop", "realm-7")
	require.NoError(t, err)
	require.Equal(t, "Realm-7", got.Name)
	for _, id := range []string{appID, "", "x", ">", "*", appID + "0"} {
		unknown(t, one, id)
	}
}

func TestARealmIsFoundByNameInAProcessThatHasNotHeardOfIt(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	two.Close() // its memory stands still
	made, key, err := one.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: strings.ToUpper(appID), Account: "shop"}, bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	require.Equal(t, strings.ToUpper(appID), made.AppID)
	require.Equal(t, realm.Settings{}.Complete(), made.Settings)
	got, err := two.RealmByName(t.Context(), "shop", "SecureAuth1")
	require.NoError(t, err)
	require.Equal(t, made, got)
	requireKeys(t, two, appID, key)
	require.NoError(t, two.DeleteRealm(t.Context(), "shop", "secureauth1"))
	_, err = one.RealmByName(t.Context(), "shop", "secureauth1")
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestNamesAndApplicationIdsAreUniqueOverAllAccounts(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	_, key, err := one.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	for _, x := range []realm.Realm{
		{Name: "secureauth1", Account: "bank"},
		{Name: "SecureAuth1", Account: "bank"},
		{Name: "secureauth1", Account: "shop"},
		{Name: "other", AppID: appID, Account: "bank"},
		{Name: "other", AppID: strings.ToUpper(appID), Account: "shop"},
	} {
		_, _, err := two.CreateRealm(t.Context(), x, nil)
		require.ErrorIs(t, err, realm.ErrExists, "%v", x)
	}
	requireKeys(t, two, appID, key)

	// Names and ids are raced for by both processes, and each is given once.
	var wg sync.WaitGroup
	made := make(chan realm.Realm, 16)
	for i := range 8 {
		for _, x := range []realm.Realm{
			{Name: "raced", Account: fmt.Sprintf("account-%d", i)},
			{Name: fmt.Sprintf("by-id-%d", i), AppID: strings.Repeat("ab", 16), Account: fmt.Sprintf("account-%d", i)},
		} {
			wg.Go(func() {
				got, _, err := []*store.Realms{one, two}[i%2].CreateRealm(t.Context(), x, nil)
				if err == nil {
					made <- got
				} else if !errors.Is(err, realm.ErrExists) {
					t.Errorf("create %s: %v", x.Name, err)
				}
			})
		}
	}
	wg.Wait()
	close(made)
	names, ids := 0, 0
	for x := range made {
		if x.Name == "raced" {
			names++
		} else {
			ids++
		}
	}
	require.Equal(t, []int{1, 1}, []int{names, ids})
}

func TestRealmsMadeAtTheSameTimeAreAllMade(t *testing.T) {
	t.Parallel()
	h := build(t)
	processes := []*store.Realms{h.realms(), h.realms()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, _, err := processes[i%2].CreateRealm(t.Context(), realm.Realm{Name: fmt.Sprintf("realm-%d", i), Account: "shop"}, nil)
			if err != nil {
				t.Errorf("create: %v", err)
			}
		})
	}
	wg.Wait()
	list, err := h.realms().Realms(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, list, 8)
	require.Equal(t, "realm-0", list[0].Name)
	require.Equal(t, "realm-7", list[7].Name)
}

func TestARealmIsMadeWhereTheLastOneWasRemovedAndSweptAway(t *testing.T) {
	t.Parallel()
	h := build(t)
	one := h.realms()
	for range 2 { // a name is free again when its realm is gone
		_, _, err := one.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
		require.NoError(t, err)
		require.NoError(t, one.DeleteRealm(t.Context(), "shop", "SECUREAUTH1"))
		unknown(t, one, appID)
	}
	js := h.js()
	kv, err := js.KeyValue(t.Context(), "ASSENT_REALMS")
	require.NoError(t, err)
	require.NoError(t, kv.PurgeDeletes(t.Context(), jetstream.DeleteMarkersOlderThan(-1)))
	_, _, err = h.realms().CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", Account: "bank"}, nil)
	require.NoError(t, err)
}

func TestRealmsOfAnotherAccountAreNotFound(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.realms()
	_, key, err := r.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	_, err = r.RealmByName(t.Context(), "bank", "secureauth1")
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = r.UpdateRealm(t.Context(), "bank", "secureauth1", func(s *realm.Settings) { s.EchoOTP = true })
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, _, err = r.RotateRealm(t.Context(), "bank", "secureauth1", time.Hour)
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.ErrorIs(t, r.DeleteRealm(t.Context(), "bank", "secureauth1"), verification.ErrNotFound)
	require.ErrorIs(t, r.DeleteRealm(t.Context(), "shop", "nobody"), verification.ErrNotFound)
	list, err := r.Realms(t.Context(), "bank")
	require.NoError(t, err)
	require.Empty(t, list)
	requireKeys(t, r, appID, key)
	got, err := r.RealmByName(t.Context(), "shop", "secureauth1")
	require.NoError(t, err)
	require.False(t, got.Settings.EchoOTP)
}

func TestChangesOfSettingsAreNotLostAndReachEveryProcess(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	_, key, err := one.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i, m := range realm.Methods()[:6] {
		wg.Go(func() {
			_, err := []*store.Realms{one, two}[i%2].UpdateRealm(t.Context(), "shop", "secureauth1", func(s *realm.Settings) { s.Methods = append(s.Methods, m) })
			if err != nil {
				t.Errorf("update: %v", err)
			}
		})
	}
	wg.Wait()
	for _, r := range []*store.Realms{one, two} {
		require.Eventually(t, func() bool {
			got, _, err := r.Realm(t.Context(), appID)
			return err == nil && len(got.Settings.Methods) == 6
		}, waitLong, tick)
	}
	requireKeys(t, two, appID, key)
	got, err := one.UpdateRealm(t.Context(), "shop", "secureauth1", func(s *realm.Settings) { *s = settled() })
	require.NoError(t, err)
	require.Equal(t, settled(), got.Settings)
	require.Zero(t, got.RotatedAt)
}

func TestAnOverlappedKeyStopsByTheClock(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	_, first, err := one.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	h.clock.forward(time.Minute)
	made, second, err := one.RotateRealm(t.Context(), "shop", "secureauth1", time.Hour)
	require.NoError(t, err)
	require.WithinDuration(t, h.clock.now(), made.RotatedAt, waitLong)
	require.NotEqual(t, first, second)
	requireKeys(t, one, appID, second, first)
	require.Eventually(t, func() bool {
		_, keys, err := two.Realm(t.Context(), appID)
		return err == nil && len(keys) == 2 && bytes.Equal(keys[0], second)
	}, waitLong, tick)
	h.clock.forward(30 * time.Minute)
	_, third, err := one.RotateRealm(t.Context(), "shop", "secureauth1", 24*time.Hour)
	require.NoError(t, err)
	requireKeys(t, one, appID, third, second, first)
	h.clock.forward(30 * time.Minute)
	requireKeys(t, one, appID, third, second)
	_, fourth, err := one.RotateRealm(t.Context(), "shop", "secureauth1", 0)
	require.NoError(t, err)
	requireKeys(t, one, appID, fourth) // whoever gives no overlap wants every older key dead
	for range 8 {
		_, _, err = one.RotateRealm(t.Context(), "shop", "secureauth1", time.Hour)
		require.NoError(t, err)
	}
	_, keys, err := one.Realm(t.Context(), appID)
	require.NoError(t, err)
	require.Len(t, keys, 5)
}

func TestARemovedRealmIsUnknownInEveryProcess(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	_, key, err := one.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	requireKeys(t, two, appID, key)
	require.NoError(t, one.DeleteRealm(t.Context(), "shop", "secureauth1"))
	require.Eventually(t, func() bool {
		_, _, err := two.Realm(t.Context(), appID)
		return errors.Is(err, realm.ErrUnknown)
	}, waitLong, tick)
}

func TestTheConfiguredRealmIsEnsuredAndKeepsItsSettings(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.realms(), h.realms()
	ours := realm.Realm{Name: "secureauth1", AppID: appID, Account: "assent-dev"}
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	var wg sync.WaitGroup
	for i := range 6 { // as many processes as start at the same time
		wg.Go(func() {
			if err := []*store.Realms{one, two}[i%2].EnsureRealm(t.Context(), ours, first); err != nil {
				t.Errorf("ensure: %v", err)
			}
		})
	}
	wg.Wait()
	requireKeys(t, one, appID, first)
	_, err := one.UpdateRealm(t.Context(), "assent-dev", "secureauth1", func(s *realm.Settings) { *s = settled() })
	require.NoError(t, err)

	require.NoError(t, one.EnsureRealm(t.Context(), ours, second))
	requireKeys(t, one, appID, second)
	got, err := one.RealmByName(t.Context(), "assent-dev", "secureauth1")
	require.NoError(t, err)
	require.Equal(t, settled(), got.Settings)
	require.NotZero(t, got.RotatedAt)

	renamed := ours
	renamed.Name = "bank"
	require.NoError(t, one.EnsureRealm(t.Context(), renamed, second))
	got, err = one.RealmByName(t.Context(), "assent-dev", "bank")
	require.NoError(t, err)
	require.Equal(t, settled(), got.Settings)
	_, err = one.RealmByName(t.Context(), "assent-dev", "secureauth1")
	require.ErrorIs(t, err, verification.ErrNotFound)

	moved := renamed
	moved.AppID = strings.Repeat("c", 32)
	require.NoError(t, one.EnsureRealm(t.Context(), moved, second))
	unknown(t, one, appID)
	got, keys, err := one.Realm(t.Context(), moved.AppID)
	require.NoError(t, err)
	require.Equal(t, settled(), got.Settings)
	require.Equal(t, [][]byte{second}, keys)
	list, err := h.realms().Realms(t.Context(), "assent-dev")
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestAConfiguredRealmTakesNothingFromAnotherAccount(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.realms()
	_, key, err := r.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	for _, x := range []realm.Realm{
		{Name: "SECUREAUTH1", AppID: strings.Repeat("c", 32), Account: "assent-dev"}, {Name: "other", AppID: appID, Account: "assent-dev"},
	} {
		require.ErrorContains(t, r.EnsureRealm(t.Context(), x, make([]byte, 32)), "the realm secureauth1 of the account shop")
	}
	requireKeys(t, r, appID, key)
	require.ErrorContains(t, r.EnsureRealm(t.Context(), realm.Realm{Name: "a b", AppID: strings.Repeat("c", 32), Account: "x"}, make([]byte, 32)), "not complete")
	require.ErrorContains(t, r.EnsureRealm(t.Context(), realm.Realm{Name: "short", AppID: strings.Repeat("c", 32), Account: "x"}, make([]byte, 16)), "not complete")
}

func TestAnApplicationKeyIsNeverStoredInClear(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.realms()
	_, first, err := r.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	_, second, err := r.RotateRealm(t.Context(), "shop", "secureauth1", time.Hour)
	require.NoError(t, err)
	kv, err := h.js().KeyValue(t.Context(), "ASSENT_REALMS")
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), appID)
	require.NoError(t, err)
	kept := [][]byte{e.Value()}
	r.Close()
	h.server.Shutdown()
	require.NoError(t, filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		kept = append(kept, b)
		return err
	}))
	require.Contains(t, string(bytes.Join(kept[1:], nil)), appID, "the bucket's files are among them")
	for _, key := range [][]byte{first, second} {
		for _, form := range []string{string(key), hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key)} {
			for _, b := range kept {
				require.NotContains(t, string(b), form)
			}
		}
	}
}

func TestAKeyThatCannotBeOpenedIsAFaultOfOursAndNotAnUnknownRealm(t *testing.T) {
	t.Parallel()
	h := build(t)
	_, _, err := h.realms().CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", AppID: appID, Account: "shop"}, nil)
	require.NoError(t, err)
	h.keys, err = keyring.LoadOrCreate(filepath.Join(t.TempDir(), "another.json"))
	require.NoError(t, err)
	stranger := h.realms()
	_, _, err = stranger.Realm(t.Context(), appID)
	require.ErrorContains(t, err, "open key of the realm secureauth1")
	require.NotErrorIs(t, err, realm.ErrUnknown)
	_, key, err := stranger.RotateRealm(t.Context(), "shop", "secureauth1", 0) // the way out
	require.NoError(t, err)
	requireKeys(t, stranger, appID, key)
}

func TestWhatCannotBeAskedIsNotUnknown(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.realms()
	made, key, err := r.CreateRealm(t.Context(), realm.Realm{Name: "secureauth1", Account: "shop"}, nil)
	require.NoError(t, err)
	h.server.Shutdown()
	requireKeys(t, r, made.AppID, key)
	_, _, err = r.Realm(t.Context(), appID)
	require.ErrorIs(t, err, verification.ErrUnavailable)
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err = r.CreateRealm(soon, realm.Realm{Name: "other", Account: "shop"}, nil)
	require.ErrorIs(t, err, verification.ErrUnavailable)
}
