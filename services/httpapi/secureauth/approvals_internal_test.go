package secureauth

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

func TestTheRightSymbolStandsAmongFourDifferentOnesInAnyPlace(t *testing.T) {
	t.Parallel()
	places := map[int]int{}
	others := map[string]int{}
	for range 400 {
		offered, err := choices(rand.Reader, "7")
		require.NoError(t, err)
		require.Len(t, offered, symbolChoices)
		places[slices.Index(offered, "7")]++
		for _, symbol := range offered {
			require.Contains(t, symbols, symbol)
			others[symbol]++
		}
		slices.Sort(offered)
		require.Len(t, slices.Compact(offered), symbolChoices)
	}
	require.Equal(t, 400, others["7"])
	require.Len(t, others, len(symbols), "every other symbol is offered at some time")
	for place := range symbolChoices {
		require.Greater(t, places[place], 50, "place %d", place) // 100 is to be expected
	}
}

func TestSymbolsAreNotDrawnFromABrokenSource(t *testing.T) {
	t.Parallel()
	_, err := choices(iotest.ErrReader(errors.New("broken")), "7")
	require.ErrorContains(t, err, "draw symbols")
}

func TestACodeThatBeginsWithZeroIsDrawnAgain(t *testing.T) {
	t.Parallel()
	id := make([]byte, 16)
	s := &Server{config: Config{Now: time.Now, Random: io.MultiReader(
		bytes.NewReader(id), bytes.NewReader([]byte{0, 1, 2, 3, 4, 5}), bytes.NewReader(id), bytes.NewReader([]byte{10, 1, 2, 3, 4, 5}),
		bytes.NewReader(id), bytes.NewReader([]byte{4, 0, 2, 0, 4, 0}),
	)}}
	activation, err := s.code(attempted{call: &call{}, user: device.User{ID: "u"}}, destination{channel: verification.SMS, to: "+14155550123"})
	require.NoError(t, err)
	require.Equal(t, "402040", activation.Secrets.Code.Reveal())

	_, err = s.code(attempted{call: &call{}}, destination{channel: verification.SMS})
	require.ErrorIs(t, err, io.EOF, "nothing is left to draw from")
}
