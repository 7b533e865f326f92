package stream

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDigestsAreASet(t *testing.T) {
	var d digests
	require.False(t, d.has(1))
	d.remove(1)
	known := map[uint64]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	// Few values at both ends, so that they collide, are removed again, and probe around the end.
	value := func() uint64 {
		v := random.Uint64N(200) + 2
		if random.IntN(2) == 0 {
			return v
		}
		return math.MaxUint64 - v
	}
	for range 200_000 {
		v := value()
		if random.IntN(3) == 0 {
			d.remove(v)
			delete(known, v)
		} else {
			d.add(v)
			known[v] = true
		}
		require.Equal(t, len(known), d.len())
		v = value()
		require.Equal(t, known[v], d.has(v))
	}
	for v := range known {
		require.True(t, d.has(v))
		d.remove(v)
		require.False(t, d.has(v))
	}
	require.Zero(t, d.len())
	for _, h := range d.slots {
		require.Zero(t, h)
	}
}

func TestDigestsTakeTheZeroHash(t *testing.T) {
	var d digests
	d.add(0)
	require.True(t, d.has(0))
	d.remove(0)
	require.Zero(t, d.len())
}

func TestAMillionDigestsTakeTwelveMegabytes(t *testing.T) {
	var d digests
	random := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		d.add(random.Uint64())
	}
	require.Equal(t, 1_000_000, d.len())
	require.Less(t, len(d.slots)*8, 13_000_000)
	t.Logf("%d bytes", len(d.slots)*8)
}
