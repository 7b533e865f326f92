package webpush

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
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

func TestOnlyTheOperatorNamesPushServicesAtOtherPorts(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"https://fcm.googleapis.com:444/x", "https://web.push.apple.com:80/x", "https://fcm.googleapis.com:0443/x"} {
		require.False(t, Config{}.hosts().take(endpoint), endpoint)
		require.True(t, Config{Hosts: []string{"fcm.googleapis.com", "*.push.apple.com"}}.hosts().take(endpoint), endpoint)
	}
	require.True(t, Config{}.hosts().take("https://fcm.googleapis.com:/x"), "no port is the port of https")
}

// resolver asks a name server that answers every question with a code.
func resolver(t *testing.T, code byte) *net.Resolver {
	t.Helper()
	var listen net.ListenConfig
	server, err := listen.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return // the test has ended
			}
			b[2] |= 0x80                // an answer,
			b[3] = 0x80 | code          // of one that asks others too,
			clear(b[6:12])              // with no records
			n = min(n, question(b[:n])) // beyond the question
			_, _ = server.WriteTo(b[:n], from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// question is where the one question of a message ends.
func question(message []byte) int {
	end := 12
	for end < len(message) && message[end] != 0 {
		end += 1 + int(message[end])
	}
	return end + 5 // the end of the name, its type and its class
}

func TestANameThatDoesNotExistIsNoFaultOfThePushServices(t *testing.T) {
	t.Parallel()
	const missing, failed = 3, 2 // NXDOMAIN and SERVFAIL
	call := func(code byte, private bool, proxy string) error {
		dial := minding(net.Dialer{Resolver: resolver(t, code)}, private, proxy)
		_, err := dial(t.Context(), "tcp", "nope.push.test.:443")
		require.Error(t, err)
		return lost(new(exchange.Record), err)
	}
	for _, private := range []bool{false, true} {
		err := call(missing, private, "")
		require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err), err)
		require.Equal(t, events.ReasonNotConfigured, delivery.ReasonOf(err))
		require.NotContains(t, err.Error(), "nope")
		require.Equal(t, delivery.ClassTransient, delivery.ClassOf(call(failed, private, "")), "the resolver may be back in a moment")
	}
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(call(missing, false, "nope.push.test.:443")), "the proxy's name is the operator's")
	late := lost(new(exchange.Record), &net.DNSError{Err: "i/o timeout", Name: "nope.push.test", IsTimeout: true})
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(late))
	require.False(t, errors.Is(late, errMissing))
}
