package onelogin

import (
	"crypto/rand"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestANumberAndItsIDAreInversesOfEachOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, maxAlias).Draw(t, "n")
		id := idOf(n)
		u, err := uuid.Parse(id)
		require.NoError(t, err)
		require.Equal(t, uuid.Version(8), u.Version())
		require.Equal(t, uuid.RFC4122, u.Variant())
		require.Equal(t, id, u.String())
		back, ok := aliasOf(id)
		require.True(t, ok)
		require.Equal(t, n, back)
	})
	for _, n := range []int64{1, maxAlias} {
		back, ok := aliasOf(idOf(n))
		require.True(t, ok)
		require.Equal(t, n, back)
	}
}

func TestOtherIDsHaveNoNumber(t *testing.T) {
	t.Parallel()
	ids := []string{"", "x", idOf(0), idOf(maxAlias + 1), uuid.Nil.String(), uuid.Max.String()}
	for range 100 {
		ids = append(ids, uuid.NewString(), uuid.Must(uuid.NewV7()).String())
	}
	id := []byte(idOf(42))
	for i := range id {
		changed := append([]byte{}, id...)
		switch changed[i] {
		case '-':
			continue
		case '0':
			changed[i] = '1'
		default:
			changed[i] = '0'
		}
		ids = append(ids, string(changed))
	}
	for _, id := range ids {
		_, ok := aliasOf(id)
		require.False(t, ok, id)
	}
}

func TestNewAliasesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[int64]bool{}
	for range 1000 {
		id, n, err := newAliasedID(rand.Reader)
		require.NoError(t, err)
		require.Equal(t, idOf(n), id)
		require.Positive(t, n)
		require.LessOrEqual(t, n, int64(maxAlias))
		require.False(t, seen[n])
		seen[n] = true
	}
}
