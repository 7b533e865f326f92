package device_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestACounterGoesOnOrSaysTheSameAgain(t *testing.T) {
	at := device.Counter{Number: 5, Nonce: "a"}
	for next, follows := range map[device.Counter]bool{
		{Number: 6, Nonce: "b"}: true, {Number: 9, Nonce: "a"}: true, {Number: 5, Nonce: "a"}: true,
		{Number: 5, Nonce: "b"}: false, {Number: 4, Nonce: "a"}: false,
	} {
		next.At = at.At.Add(time.Hour) // which does not matter
		require.Equal(t, follows, at.Follows(next), "%v", next)
	}
	require.True(t, device.Counter{}.Follows(device.Counter{Number: 1, Nonce: "a"}))
}
