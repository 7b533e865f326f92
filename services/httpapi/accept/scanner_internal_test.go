package accept

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneSignOfAPersonIsNoSuspicionAndTwoAre(t *testing.T) {
	t.Parallel()
	for _, s := range []signs{0, crowd, noLanguage, noNavigation, noCookie, crowd | noCookie} {
		require.False(t, s.suspicious(), "%b", s)
	}
	for _, s := range []signs{agent, network, prefetch, hasty, burst, crowd | noLanguage, noLanguage | noNavigation, crowd | noNavigation, agent | crowd} {
		require.True(t, s.suspicious(), "%b", s)
	}
	require.Equal(t, "no_cookie", signNames[len(signNames)-1])
	require.Equal(t, noCookie, signs(1<<(len(signNames)-1)), "every sign has a name")
}

func TestPeoplesBrowsersAreNotTakenForPrograms(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Linux; Android 12; CUBOT X30 Build/SP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.88 Mobile Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/530.0.0.40;FBBV/1;FBDV/iPhone16,1]",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 Instagram 400.0.0.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/390.0 Mobile/15E148 Safari/604.1",
	} {
		require.False(t, oneOf(programs, name), name)
		require.Equal(t, "browser", userAgentClass(name))
	}
	require.Equal(t, "program", userAgentClass("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"))
	require.Equal(t, "program", userAgentClass("curl/8.17.0"))
	require.Equal(t, "other", userAgentClass("ExampleApp/3"))
	require.Equal(t, "none", userAgentClass(""))
}

func TestAConnectionIsKnownByItsOwnAddress(t *testing.T) {
	t.Parallel()
	h := &handler{}
	for _, network := range ScannerNetworks() {
		h.ScannerNetworks = append(h.ScannerNetworks, netip.MustParsePrefix(network))
	}
	for _, remote := range []string{"40.92.0.1:1", "40.93.255.255:1", "[::ffff:104.47.5.5]:443", "[2a01:111:f400::1]:9"} {
		require.True(t, h.fromScanners(remote), remote)
	}
	for _, remote := range []string{"40.94.0.1:1", "104.47.128.1:1", "[2a01:111:f500::1]:9", "127.0.0.1:80", "", "@", "40.92.0.1"} {
		require.False(t, h.fromScanners(remote), remote)
	}
}

func TestCrowdsAreCountedWithinASecondAndForgotten(t *testing.T) {
	t.Parallel()
	var c crowds
	now := time.Date(2026, 11, 21, 14, 27, 3, 0, time.UTC)
	for range crowdOf - 1 {
		require.False(t, c.look("a", now))
	}
	require.True(t, c.look("a", now.Add(crowdWithin-1)))
	require.False(t, c.look("a", now.Add(crowdWithin)), "another second")
	for i := range 3 * maxCrowds {
		c.look(strconv.Itoa(i), now)
		require.LessOrEqual(t, len(c.looks), maxCrowds)
	}
}
