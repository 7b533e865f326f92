package device_test

import (
	"bytes"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

// rfcSecret is that of RFC 6238's test vectors for SHA-1.
var rfcSecret = []byte("12345678901234567890")

func TestOneTimeCodesAreThoseOfRFC6238(t *testing.T) {
	for at, want := range map[int64]string{ // appendix B, of which an app shows the last six digits
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471",
		1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		require.Equal(t, want[2:], device.OneTimeCode(rfcSecret, time.Unix(at, 0)), at)
	}
}

func TestACodeMatchesOneStepEitherWay(t *testing.T) {
	now := time.Unix(1_800_000_015, 0)
	for off := int64(-4); off <= 4; off++ {
		code := device.OneTimeCode(rfcSecret, now.Add(time.Duration(off)*30*time.Second))
		step, ok := device.MatchCode(rfcSecret, code, now)
		require.Equal(t, off >= -1 && off <= 1, ok, off)
		if ok {
			require.Equal(t, now.Unix()/30+off, step)
		}
	}
}

func TestWhatIsNoCodeMatchesNothing(t *testing.T) {
	now := time.Unix(1_800_000_015, 0)
	right := device.OneTimeCode(rfcSecret, now)
	for _, code := range []string{"", right[:5], right + "0", " " + right, strings.Repeat("0", 9000), "abcdef"} {
		_, ok := device.MatchCode(rfcSecret, code, now)
		require.False(t, ok, code)
	}
	_, ok := device.MatchCode(nil, device.OneTimeCode(nil, now), now)
	require.False(t, ok, "a device without a secret has no codes")
}

func TestSecretsAreDrawnAndShownInBase32(t *testing.T) {
	one, err := device.NewSecret(rand.Reader)
	require.NoError(t, err)
	require.Len(t, one, 20)
	two, err := device.NewSecret(rand.Reader)
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.Equal(t, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", device.SecretText(rfcSecret))
	_, err = device.NewSecret(bytes.NewReader(one[:19]))
	require.Error(t, err)
}

func TestAKeyURIReadsBackAsItWasMeant(t *testing.T) {
	text := device.KeyURI("Acme & Söhne", "ana+shop@example.com", "GEZDGNBV")
	require.NotContains(t, text, "+")
	require.Equal(t, "otpauth://totp/Acme%20%26%20S%C3%B6hne:ana%2Bshop%40example.com"+
		"?secret=GEZDGNBV&issuer=Acme%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30", text)
	u, err := url.Parse(text)
	require.NoError(t, err)
	require.Equal(t, "/Acme & Söhne:ana+shop@example.com", u.Path)
	require.Equal(t, "Acme & Söhne", u.Query().Get("issuer"))

	require.Contains(t, device.KeyURI("a:b", "c:d", "X"), "totp/a%20b:c%20d?", "one colon divides the label")
}
