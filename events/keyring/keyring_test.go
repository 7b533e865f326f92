package keyring_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
)

func create(t *testing.T) (*keyring.Keyring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys", "keyring.json")
	k, err := keyring.LoadOrCreate(path)
	require.NoError(t, err)
	return k, path
}

func TestAKeyringIsMadeOnceAndReadByItsOwnerOnly(t *testing.T) {
	k, path := create(t)
	again, err := keyring.LoadOrCreate(path)
	require.NoError(t, err)
	require.Equal(t, k.CurrentID(), again.CurrentID())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestProcessesThatStartTogetherAgreeOnOneKeyring(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring.json")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			k, err := keyring.LoadOrCreate(path)
			if err == nil {
				ids[i] = k.CurrentID()
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.NotEmpty(t, id)
		require.Equal(t, ids[0], id)
	}
}

func TestSealedContentOpensOnlyWhereItBelongs(t *testing.T) {
	k, _ := create(t)
	sms, voice := keyring.Channel(events.SMS), keyring.Channel(events.Voice)
	s, err := k.Seal(sms, "id-1", []byte("482913"))
	require.NoError(t, err)
	require.NotContains(t, string(s.Box), "482913")

	got, err := k.Open(sms, "id-1", s)
	require.NoError(t, err)
	require.Equal(t, "482913", string(got))

	changed := events.Sealed{KeyID: s.KeyID, Box: append([]byte{}, s.Box...)}
	changed.Box[len(changed.Box)-1] ^= 1
	for name, c := range map[string]struct {
		use keyring.Use
		id  string
		s   events.Sealed
		err error
	}{
		"another id":      {sms, "id-2", s, keyring.ErrForged},
		"another channel": {voice, "id-1", s, keyring.ErrForged},
		"changed bytes":   {sms, "id-1", changed, keyring.ErrForged},
		"cut short":       {sms, "id-1", events.Sealed{KeyID: s.KeyID, Box: s.Box[:3]}, keyring.ErrForged},
		"an unknown key":  {sms, "id-1", events.Sealed{KeyID: "other", Box: s.Box}, keyring.ErrNoKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.Open(c.use, c.id, c.s)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func TestAWorkersKeyringOpensItsChannelAndNoOther(t *testing.T) {
	k, path := create(t)
	own := filepath.Join(filepath.Dir(path), "sms.json")
	require.NoError(t, k.Export(own, keyring.Channel(events.SMS)))
	worker, err := keyring.Load(own)
	require.NoError(t, err)

	text, err := k.Seal(keyring.Channel(events.SMS), "id", []byte("a"))
	require.NoError(t, err)
	got, err := worker.Open(keyring.Channel(events.SMS), "id", text)
	require.NoError(t, err)
	require.Equal(t, "a", string(got))

	mail, err := k.Seal(keyring.Channel(events.Email), "id", []byte("b"))
	require.NoError(t, err)
	_, err = worker.Open(keyring.Channel(events.Email), "id", mail)
	require.ErrorIs(t, err, keyring.ErrNoKey)
	_, err = worker.Sum(worker.CurrentID(), keyring.Checks, "x")
	require.ErrorIs(t, err, keyring.ErrNoKey)
	require.ErrorIs(t, k.Export(own, keyring.Channel(events.SMS)), fs.ErrExist)
}

func TestSumsKeepPartsAndUsesApart(t *testing.T) {
	k, _ := create(t)
	sum := func(use keyring.Use, parts ...string) string {
		b, err := k.Sum(k.CurrentID(), use, parts...)
		require.NoError(t, err)
		return string(b)
	}
	base := sum(keyring.Checks, "ab", "c")
	require.Equal(t, base, sum(keyring.Checks, "ab", "c"))
	require.NotEqual(t, base, sum(keyring.Checks, "a", "bc"))
	require.NotEqual(t, base, sum(keyring.Checks, "abc"))
	require.NotEqual(t, base, sum(keyring.Pages, "ab", "c"))
}

func TestBadKeyringFilesAreRefusedWithoutQuotingThem(t *testing.T) {
	for name, content := range map[string]string{
		"not JSON":      "hunter2",
		"no keys":       `{"version":1,"keys":[]}`,
		"other version": `{"version":9,"keys":[{"id":"a","use":"root","key":"AAAA"}]}`,
		"short key":     `{"version":1,"keys":[{"id":"a","use":"root","key":"aHVudGVyMg=="}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "k.json")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			_, err := keyring.LoadOrCreate(path)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, content, string(b), "a bad file is never replaced")
		})
	}
}

func TestAFileOfBeforeGetsWhatItLacksAndKeepsWhatItHas(t *testing.T) {
	k, path := create(t)
	sms, own := keyring.Channel(events.SMS), filepath.Join(filepath.Dir(path), "sms.json")
	require.NoError(t, k.Export(own, sms))
	sealed, err := k.Seal(sms, "id", []byte("a"))
	require.NoError(t, err)

	require.NoError(t, k.ExportOnce(own, sms, keyring.LettersPublic))
	worker, err := keyring.Load(own)
	require.NoError(t, err)
	require.Equal(t, k.CurrentID(), worker.CurrentID())
	got, err := worker.Open(sms, "id", sealed)
	require.NoError(t, err)
	require.Equal(t, "a", string(got))
	require.NoError(t, worker.SealsLetters())
	info, err := os.Stat(own)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	before, err := os.ReadFile(own)
	require.NoError(t, err)
	require.NoError(t, k.ExportOnce(own, sms, keyring.LettersPublic))
	other, _ := create(t)
	require.NoError(t, other.ExportOnce(own, sms, keyring.LettersPublic), "another keyring has nothing for these keys")
	after, err := os.ReadFile(own)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.NoError(t, k.ExportOnce(path, keyring.LettersPublic), "the root key is enough")
}
