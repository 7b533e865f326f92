package webpage

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestEveryRowOfDigitsIsReadWhole(t *testing.T) {
	t.Parallel()
	run := 0
	for r := range rune(unicode.MaxRune + 1) {
		if unicode.Is(unicode.Nd, r) {
			require.Equal(t, byte('0'+run%10), digit(r), "%U", r)
			run++
			continue
		}
		require.Zero(t, run%10, "ten digits before %U", r)
		run = 0
	}
}
