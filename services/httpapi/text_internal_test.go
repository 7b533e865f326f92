package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAWebAddressIsFoundWithoutItsScheme(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"https://a", "HTTP", "//evil.com/x", "www.evil", "evil.com/login", "Pay at evil.com/x.", "(evil.co.uk/x)", "a/evil.com/x",
		"win.evil.com:443", "evil.com?a=1", "evil.com#x", "evil。com/x", "evil．com／x", "bücher.de/x", "xn--bcher-kva.de/x", "EVIL.COM./x",
	} {
		require.True(t, webAddress(s), s)
	}
	for _, s := range []string{
		"", "Example Bank", "Booking.com", "Sign in to shop.example.com", "Is it Booking.com?", "Node.js/22", "v1.2/beta", "A/B", "20.11.2026 10:05",
		"Chrome 120.0 / Windows", "Pay 20.50/month", "St.Denis/La Plaine", "Lisbon, Portugal", "Order #12", "co.uk/x", "a.b/c", "/", "./x",
	} {
		require.False(t, webAddress(s), s)
	}
}
