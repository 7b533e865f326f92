package webpush

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnAddressIsOfTheInternetOrNot(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"142.250.74.74", "2a00:1450:4001:830::200a", "34.117.65.55"} {
		require.True(t, public(netip.MustParseAddr(at)), at)
		require.NoError(t, guard("tcp", netip.AddrPortFrom(netip.MustParseAddr(at), 443).String(), nil), at)
	}
	for _, at := range []string{
		"127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "fe80::1%eth0", "fd00::1", "0.0.0.0", "::",
		"100.64.0.1", "224.0.0.1", "ff02::1", "255.255.255.255", "198.18.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
		"64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1",
	} {
		require.False(t, public(netip.MustParseAddr(at)), at)
		require.ErrorIs(t, guard("tcp", netip.AddrPortFrom(netip.MustParseAddr(at), 443).String(), nil), errPrivate, at)
	}
	require.ErrorIs(t, guard("unix", "/run/docker.sock", nil), errPrivate)
}

func TestTheBrowsersPushServicesAreKnown(t *testing.T) {
	t.Parallel()
	var cfg Config
	for _, endpoint := range []string{
		"https://fcm.googleapis.com/fcm/send/x", "https://updates.push.services.mozilla.com/wpush/v2/x", "https://web.push.apple.com/x",
		"https://wns2-par02p.notify.windows.com/w/?token=x", "https://FCM.googleapis.com:443/x",
	} {
		require.True(t, cfg.hosts().take(endpoint), endpoint)
	}
	for _, endpoint := range []string{"https://example.com/x", "https://evilpush.apple.com.example/x", "https://notify.windows.com.test/", "https://push.apple.com@example.com/"} {
		require.False(t, cfg.hosts().take(endpoint), endpoint)
	}
}
