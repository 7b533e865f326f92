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

func TestThePushKeyIsTheSameWhereverItFollowsFrom(t *testing.T) {
	k, path := create(t)
	want, err := k.PushKey()
	require.NoError(t, err)
	require.Len(t, want, 32)

	own := filepath.Join(filepath.Dir(path), "push.json")
	require.NoError(t, k.Export(own, keyring.Channel(events.Push), keyring.WebPush))
	worker, err := keyring.Load(own)
	require.NoError(t, err)
	got, err := worker.PushKey()
	require.NoError(t, err)
	require.Equal(t, want, got)

	other := filepath.Join(filepath.Dir(path), "sms.json")
	require.NoError(t, k.Export(other, keyring.Channel(events.SMS)))
	worker, err = keyring.Load(other)
	require.NoError(t, err)
	_, err = worker.PushKey()
	require.ErrorIs(t, err, keyring.ErrNoKey)

	strange, _ := create(t)
	got, err = strange.PushKey()
	require.NoError(t, err)
	require.NotEqual(t, want, got)
}

func TestThePushKeyOutlivesANewRootKey(t *testing.T) {
	k, path := create(t)
	want, err := k.PushKey()
	require.NoError(t, err)

	_, newer := create(t)
	merged := map[string]any{"version": 1}
	var keys []any
	for _, from := range []string{newer, path} { // newest first
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		var f map[string]any
		require.NoError(t, json.Unmarshal(b, &f))
		keys = append(keys, f["keys"].([]any)...)
	}
	merged["keys"] = keys
	b, err := json.Marshal(merged)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	rotated, err := keyring.Load(path)
	require.NoError(t, err)
	require.NotEqual(t, k.CurrentID(), rotated.CurrentID())
	got, err := rotated.PushKey()
	require.NoError(t, err)
	require.Equal(t, want, got)
}
