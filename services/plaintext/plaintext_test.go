package plaintext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/plaintext"
)

func TestAWebAddressIsFoundWithoutItsScheme(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"https://a", "HTTP", "//evil.com/x", "www.evil", "evil.com/login", "Pay at evil.com/x.", "(evil.co.uk/x)", "a/evil.com/x",
		"win.evil.com:443", "evil.com?a=1", "evil.com#x", "evil。com/x", "evil．com／x", "bücher.de/x", "xn--bcher-kva.de/x", "EVIL.COM./x",
	} {
		require.True(t, plaintext.HasWebAddress(s), s)
	}
	for _, s := range []string{
		"", "Example Bank", "Booking.com", "Sign in to shop.example.com", "Is it Booking.com?", "Node.js/22", "v1.2/beta", "A/B", "20.11.2026 10:05",
		"Chrome 120.0 / Windows", "Pay 20.50/month", "St.Denis/La Plaine", "Lisbon, Portugal", "Order #12", "co.uk/x", "a.b/c", "/", "./x",
	} {
		require.False(t, plaintext.HasWebAddress(s), s)
	}
}

func TestWhatTurnsOrBreaksTextIsUnshowable(t *testing.T) {
	t.Parallel()
	for _, r := range "\x00\t\n\r\x1b\x7f\u0085\u2028\u2029\u200e\u202e\u2066\ufffd" {
		require.True(t, plaintext.Unshowable(r), "%U", r)
	}
	for _, r := range " ~aé中😀\u00a0\u200d" {
		require.False(t, plaintext.Unshowable(r), "%U", r)
	}
}
