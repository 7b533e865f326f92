package store_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// taken tries to make a user whose name is another's.
func taken(t *testing.T, u *store.Users, user device.User) *device.TakenError {
	t.Helper()
	_, err := u.CreateUser(t.Context(), user)
	var e *device.TakenError
	require.ErrorAs(t, err, &e)
	return e
}

func TestANameOfAnotherIsTakenInAnyLetters(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, person("Ana"))
	for field, change := range map[string]func(*device.User){
		"external_id": func(b *device.User) { b.ExternalID = ana.ExternalID },
		"username":    func(b *device.User) { b.Username = "aNA" },
		"email":       func(b *device.User) { b.Email = "ANA@example.com" },
	} {
		bob := person("bob")
		change(&bob)
		require.Equal(t, field, taken(t, u, bob).Field)
		bob.Credential = "bank-" + strings.ReplaceAll(field, "_", "-")
		stored(t, u, bob)
	}
	shadow := person("bob")
	shadow.Username = "Ana@Example.com"
	require.Equal(t, "username", taken(t, u, shadow).Field, "whoever logs in by email must not meet another")
	same := person("carl")
	same.Username = same.Email
	stored(t, u, same)
	bob := stored(t, u, person("bob")) // nothing of the refused ones holds a name
	bob.Username = "ANA"
	_, err := u.UpdateUser(t.Context(), bob)
	require.ErrorIs(t, err, device.ErrExists)
	got, err := u.UserByLogin(t.Context(), "shop", "ana")
	require.NoError(t, err)
	require.Equal(t, ana, got)
}

func TestOfManyWhoWantOneNameOneGetsIt(t *testing.T) {
	t.Parallel()
	h := build(t)
	var mu sync.Mutex
	var won []device.User
	var wg sync.WaitGroup
	for range 4 {
		u := users(t, h) // a process of its own
		for range 8 {
			wg.Go(func() {
				wanted := user("")
				wanted.Username = "Ana"
				made, err := u.CreateUser(t.Context(), wanted)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					won = append(won, made)
				} else if !errors.Is(err, device.ErrExists) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	require.Len(t, won, 1)
	u := users(t, h)
	all, err := u.AllUsers(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, all, 1, "the losers left nothing behind")
	got, err := u.UserByLogin(t.Context(), "shop", "ana")
	require.NoError(t, err)
	require.Equal(t, won[0].ID, got.ID)
	stranger, err := u.UserByNumber(t.Context(), "shop", won[0].Number)
	require.NoError(t, err)
	require.Equal(t, got, stranger)
}

func TestANewNameTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, person("ana"))
	renamed := ana
	renamed.Username, renamed.Email, renamed.ExternalID, renamed.CreatedAt = "lima", "", "other", time.Time{}
	renamed.Number = 7 // cannot be chosen
	renamed, err := u.UpdateUser(t.Context(), renamed)
	require.NoError(t, err)
	require.Equal(t, ana.Number, renamed.Number)
	require.Equal(t, ana.CreatedAt, renamed.CreatedAt)
	require.Greater(t, renamed.Revision, ana.Revision)
	got, err := u.UserByLogin(t.Context(), "shop", "LIMA")
	require.NoError(t, err)
	require.Equal(t, renamed, got)
	for _, login := range []string{"ana", "ana@example.com"} {
		_, err = u.UserByLogin(t.Context(), "shop", login)
		require.ErrorIs(t, err, verification.ErrNotFound, login)
	}
	stored(t, u, person("ana")) // all its names are free again

	_, err = u.UpdateUser(t.Context(), ana)
	require.ErrorIs(t, err, device.ErrChanged, "of an older revision")
	gone := ana
	gone.ID = uuid.NewString()
	_, err = u.UpdateUser(t.Context(), gone)
	require.ErrorIs(t, err, verification.ErrNotFound)
	elsewhere := renamed
	elsewhere.Credential = "bank"
	_, err = u.UpdateUser(t.Context(), elsewhere)
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestOfManyChangesOfOneRevisionOneIsMade(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, person("ana"))
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			change := ana
			change.Username = []string{"lima", "maria"}[i%2] // the same name for some
			_, err := u.UpdateUser(t.Context(), change)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, device.ErrChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	now, err := u.User(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	found, err := u.UserByLogin(t.Context(), "shop", now.Username)
	require.NoError(t, err)
	require.Equal(t, now, found, "the losers took nothing from the winner")
}

func TestAChangeThatWasCutShortHoldsNoName(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana, bob := stored(t, u, person("ana")), stored(t, u, person("bob"))
	kv, err := h.js().KeyValue(t.Context(), "ASSENT_USERS")
	require.NoError(t, err)
	entries, err := kv.ListKeysFiltered(t.Context(), "login.shop.*")
	require.NoError(t, err)
	for key := range entries.Keys() { // as if bob had just taken ana's place, or been about to
		_, err := kv.Put(t.Context(), key, []byte(bob.ID))
		require.NoError(t, err)
	}
	_, err = u.UserByLogin(t.Context(), "shop", "ana")
	require.ErrorIs(t, err, verification.ErrNotFound)
	carl := person("carl")
	carl.Username = "ana"
	stored(t, u, carl)
	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	got, err := u.UserByLogin(t.Context(), "shop", "ana")
	require.NoError(t, err)
	require.Equal(t, carl.ID, got.ID, "only entries that lead to the user go with them")
}

func TestNamesAreFoundAfterTheKeyWasChanged(t *testing.T) {
	t.Parallel()
	h := build(t)
	older, newer := rotated(t)
	h.keys = older
	ana := stored(t, users(t, h), person("ana"))
	h.keys = newer
	u := users(t, h)
	got, err := u.UserByLogin(t.Context(), "shop", "Ana")
	require.NoError(t, err)
	require.Equal(t, ana, got)
	again := person("bob")
	again.Email = ana.Email
	require.Equal(t, "email", taken(t, u, again).Field)
	ana.Email = "new@example.com"
	_, err = u.UpdateUser(t.Context(), ana)
	require.NoError(t, err)
	stored(t, u, again)
	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	carl := person("ana")
	carl.Email = "new@example.com"
	stored(t, u, carl) // all that the deleted one had is free
}

// rotated is a keyring before and after its root key was changed.
func rotated(t *testing.T) (older, newer *keyring.Keyring) {
	t.Helper()
	var files [2]struct {
		Version int               `json:"version"`
		Keys    []json.RawMessage `json:"keys"`
	}
	dir := t.TempDir()
	for i := range files {
		path := filepath.Join(dir, string(rune('a'+i)))
		_, err := keyring.LoadOrCreate(path)
		require.NoError(t, err)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &files[i]))
	}
	older, err := keyring.Load(filepath.Join(dir, "a"))
	require.NoError(t, err)
	files[1].Keys = append(files[1].Keys, files[0].Keys...)
	b, err := json.Marshal(files[1])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c"), b, 0o600))
	newer, err = keyring.Load(filepath.Join(dir, "c"))
	require.NoError(t, err)
	require.NotEqual(t, older.CurrentID(), newer.CurrentID())
	return older, newer
}
