package keyring_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
)

const (
	letterSubject  = "assent.activation.sms.0199b1c2-0000-7000-8000-000000000001"
	letterConsumer = "sms"
)

// exported is the keyring of a process that has the keys of these uses only.
func exported(t *testing.T, k *keyring.Keyring, uses ...keyring.Use) *keyring.Keyring {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, k.Export(path, uses...))
	own, err := keyring.Load(path)
	require.NoError(t, err)
	return own
}

func TestEveryProcessSealsLettersAndOnlyTheRootKeyOpensThem(t *testing.T) {
	k, _ := create(t)
	for name, process := range map[string]*keyring.Keyring{
		"the api": k, "a worker": exported(t, k, keyring.Channel(events.SMS), keyring.LettersPublic), "the verifier": exported(t, k, keyring.LettersPublic),
	} {
		require.NoError(t, process.SealsLetters(), name)
		s, err := process.SealLetter(letterSubject, letterConsumer, []byte("482913"))
		require.NoError(t, err, name)
		require.Equal(t, k.CurrentID(), s.KeyID)
		require.NotContains(t, string(s.Box), "482913")
		got, err := k.OpenLetter(letterSubject, letterConsumer, s)
		require.NoError(t, err, name)
		require.Equal(t, "482913", string(got))
		if process != k {
			_, err = process.OpenLetter(letterSubject, letterConsumer, s)
			require.ErrorIs(t, err, keyring.ErrNoKey, name)
		}
	}
	one, err := k.SealLetter(letterSubject, letterConsumer, []byte("482913"))
	require.NoError(t, err)
	two, err := k.SealLetter(letterSubject, letterConsumer, []byte("482913"))
	require.NoError(t, err)
	require.NotEqual(t, one.Box, two.Box)
}

func TestAKeyringOfBeforeSealsNoLetters(t *testing.T) {
	k, _ := create(t)
	worker := exported(t, k, keyring.Channel(events.SMS))
	require.ErrorIs(t, worker.SealsLetters(), keyring.ErrNoKey)
	_, err := worker.SealLetter(letterSubject, letterConsumer, []byte("x"))
	require.ErrorIs(t, err, keyring.ErrNoKey)
	require.ErrorIs(t, new(keyring.Keyring).SealsLetters(), keyring.ErrNoKey)
}

func TestALetterOpensOnlyWhereItBelongs(t *testing.T) {
	k, _ := create(t)
	other, _ := create(t)
	s, err := k.SealLetter(letterSubject, letterConsumer, []byte("482913"))
	require.NoError(t, err)
	change := func(i int) events.Sealed {
		box := append([]byte{}, s.Box...)
		box[i] ^= 1
		return events.Sealed{KeyID: s.KeyID, Box: box}
	}
	for name, c := range map[string]struct {
		keys              *keyring.Keyring
		subject, consumer string
		s                 events.Sealed
		err               error
	}{
		"another subject":       {k, letterSubject + "2", letterConsumer, s, keyring.ErrForged},
		"another consumer":      {k, letterSubject, "voice", s, keyring.ErrForged},
		"changed bytes":         {k, letterSubject, letterConsumer, change(len(s.Box) - 1), keyring.ErrForged},
		"another sender's half": {k, letterSubject, letterConsumer, change(0), keyring.ErrForged},
		"cut short":             {k, letterSubject, letterConsumer, events.Sealed{KeyID: s.KeyID, Box: s.Box[:31]}, keyring.ErrForged},
		"half of it":            {k, letterSubject, letterConsumer, events.Sealed{KeyID: s.KeyID, Box: s.Box[:32]}, keyring.ErrForged},
		"no content":            {k, letterSubject, letterConsumer, events.Sealed{KeyID: s.KeyID, Box: make([]byte, 64)}, keyring.ErrForged},
		"an unknown key":        {other, letterSubject, letterConsumer, s, keyring.ErrNoKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.keys.OpenLetter(c.subject, c.consumer, c.s)
			require.ErrorIs(t, err, c.err)
		})
	}
}

// TestALetterOfAnOlderKeyStillOpens is rotation: the newest key seals, each key that is kept opens.
func TestALetterOfAnOlderKeyStillOpens(t *testing.T) {
	_, oldPath := create(t)
	old, err := keyring.Load(oldPath)
	require.NoError(t, err)
	_, newPath := create(t)
	type keys struct {
		Version int              `json:"version"`
		Keys    []map[string]any `json:"keys"`
	}
	read := func(path string) (f keys) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &f))
		return f
	}
	both := read(newPath)
	both.Keys = append(both.Keys, read(oldPath).Keys...)
	b, err := json.Marshal(both)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	rotated, err := keyring.Load(path)
	require.NoError(t, err)

	before, err := exported(t, old, keyring.LettersPublic).SealLetter(letterSubject, letterConsumer, []byte("before"))
	require.NoError(t, err)
	after, err := exported(t, rotated, keyring.Channel(events.SMS), keyring.LettersPublic).SealLetter(letterSubject, letterConsumer, []byte("after"))
	require.NoError(t, err)
	require.Equal(t, rotated.CurrentID(), after.KeyID)
	for want, s := range map[string]events.Sealed{"before": before, "after": after} {
		got, err := rotated.OpenLetter(letterSubject, letterConsumer, s)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	_, err = old.OpenLetter(letterSubject, letterConsumer, after)
	require.ErrorIs(t, err, keyring.ErrNoKey)
}

// TestALetterThatWasSealedOnceOpensForEver holds the derivation and the suite to what they were.
func TestALetterThatWasSealedOnceOpensForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"version":1,"keys":[{"id":"k1","use":"root","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}`), 0o600))
	k, err := keyring.Load(path)
	require.NoError(t, err)
	var s events.Sealed
	require.NoError(t, json.Unmarshal([]byte(`{"key_id":"k1","box":"YAZ678OmZ6v/knthyP6A3NuN5zYV0qrwCW1u3orNNAeJC7t4pExsOXzlIdm+58omyKm5UlQd72fArIs2cwg="}`), &s))
	got, err := k.OpenLetter(letterSubject, letterConsumer, s)
	require.NoError(t, err)
	require.Equal(t, "sealed in 2026", string(got))
	public := filepath.Join(t.TempDir(), "public.json")
	require.NoError(t, k.Export(public, keyring.LettersPublic))
	b, err := os.ReadFile(public)
	require.NoError(t, err)
	require.Contains(t, string(b), "uzyroue9IFihD7bp1VgKtWf7axwMiCcFZfAdrrJb+Bc=")
}
