package password_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/password"
)

const phrase = "correct horse battery staple"

func TestAPasswordMatchesItsHashAndNoOther(t *testing.T) {
	t.Parallel()
	h := password.New(2)
	one, err := h.Hash(t.Context(), phrase)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$"), one)
	require.NotContains(t, one, phrase)
	two, err := h.Hash(t.Context(), phrase)
	require.NoError(t, err)
	require.NotEqual(t, one, two, "each has a salt of its own")

	for text, want := range map[string]bool{phrase: true, phrase + " ": false, "": false, strings.ToUpper(phrase): false} {
		got, err := h.Check(t.Context(), one, text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
}

func TestWithoutAHashNothingMatches(t *testing.T) {
	t.Parallel()
	h := password.New(1)
	for _, text := range []string{"", phrase} {
		got, err := h.Check(t.Context(), "", text)
		require.NoError(t, err)
		require.False(t, got)
	}
}

// The reference implementation's own vector: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
func TestAHashOfOtherSettingsIsCheckedWithThose(t *testing.T) {
	t.Parallel()
	h := password.New(1)
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	got, err := h.Check(t.Context(), stored, "password")
	require.NoError(t, err)
	require.True(t, got)
	got, err = h.Check(t.Context(), stored, "Password")
	require.NoError(t, err)
	require.False(t, got)
}

func TestWhatIsNoSaneHashIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	h := password.New(1)
	const salt, sum = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, stored := range map[string]string{
		"plain text":         phrase,
		"another function":   "$2b$12$KIXQ0z0y8vJm1h8f0b1Z4e",
		"Argon2i":            "$argon2i$v=19$m=65536,t=2,p=1$" + salt + "$" + sum,
		"an older version":   "$argon2id$v=16$m=65536,t=2,p=1$" + salt + "$" + sum,
		"too much memory":    "$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + sum,
		"no memory":          "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + sum,
		"too many passes":    "$argon2id$v=19$m=65536,t=1000,p=1$" + salt + "$" + sum,
		"no passes":          "$argon2id$v=19$m=65536,t=0,p=1$" + salt + "$" + sum,
		"no threads":         "$argon2id$v=19$m=65536,t=2,p=0$" + salt + "$" + sum,
		"too many threads":   "$argon2id$v=19$m=65536,t=2,p=255$" + salt + "$" + sum,
		"a number too large": "$argon2id$v=19$m=99999999999,t=2,p=1$" + salt + "$" + sum,
		"a short salt":       "$argon2id$v=19$m=65536,t=2,p=1$c29t$" + sum,
		"a short sum":        "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$CTFh",
		"no sum":             "$argon2id$v=19$m=65536,t=2,p=1$" + salt,
		"more parts":         "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + sum + "$x",
		"more parameters":    "$argon2id$v=19$m=65536,t=2,p=1,keyid=x$" + salt + "$" + sum,
	} {
		got, err := h.Check(t.Context(), stored, "password")
		require.ErrorIs(t, err, password.ErrHash, name)
		require.False(t, got, name)
		require.NotContains(t, err.Error(), stored, name)
	}
}

func TestManyWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	h := password.New(2)
	stored, err := h.Hash(t.Context(), phrase)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			ok, err := h.Check(t.Context(), stored, phrase)
			if err != nil || !ok {
				t.Errorf("check under load: %v, %v", ok, err)
			}
		})
	}
	wg.Wait()
}

func TestNobodyWaitsLongerThanTheirContext(t *testing.T) {
	t.Parallel()
	h := password.New(1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // a free turn does not help
		_, err := h.Hash(ended, phrase)
		require.ErrorIs(t, err, context.Canceled)
		_, err = h.Check(ended, "", phrase)
		require.ErrorIs(t, err, context.Canceled)
	}
}

func TestAPasswordIsOneHoweverItWasTyped(t *testing.T) {
	t.Parallel()
	h := password.New(1)
	hash, err := h.Hash(t.Context(), "Zürich ﬁndet")
	require.NoError(t, err)
	right, err := h.Check(t.Context(), hash, "Zu\u0308rich findet")
	require.NoError(t, err)
	require.True(t, right)
	right, err = h.Check(t.Context(), hash, "Zurich findet")
	require.NoError(t, err)
	require.False(t, right)
}

func TestWhichPasswordsAreAcceptable(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]error{
		"seven77": password.ErrLength, "éééééééé": nil, "eight888": nil,
		strings.Repeat("ü", 256): nil, strings.Repeat("ü", 257): password.ErrLength,
		"ANA BANANA": password.ErrOwnName, "Ana@Example.com": password.ErrOwnName, "ana banana!": nil,
	} {
		require.ErrorIs(t, password.Acceptable(typed, "", "Ana Banana", "ana@example.com"), want, typed)
	}
}
