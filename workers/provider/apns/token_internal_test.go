package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAllProcessesMakeTheSameTokenAndChangeItWithTheHalfHour(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	one, err := newSigner(key, "ABC123DEFG", "DEF123GHIJ")
	require.NoError(t, err)
	two, err := newSigner(key, "ABC123DEFG", "DEF123GHIJ")
	require.NoError(t, err)
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	seen := map[string]int64{}
	var last string
	for at := began; at.Before(began.Add(2 * time.Hour)); at = at.Add(10 * time.Second) {
		token, err := one.token(at)
		require.NoError(t, err)
		again, err := two.token(at)
		require.NoError(t, err)
		require.Equal(t, token, again)
		issued := verified(t, &key.PublicKey, token)
		require.Zero(t, issued%1800)
		age := at.Unix() - issued
		require.GreaterOrEqual(t, age, int64(60), "a clock that is a little behind does not find it in the future")
		require.Less(t, age, int64(31*60))
		if token != last {
			require.NotContains(t, seen, token, "none comes back")
			seen[token], last = issued, token
		}
	}
	require.Len(t, seen, 5, "one for each half hour, and the one of before")
}

// verified is the time of a token whose signature is good.
func verified(t *testing.T, key *ecdsa.PublicKey, token string) int64 {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	require.NoError(t, err)
	require.JSONEq(t, `{"alg":"ES256","kid":"ABC123DEFG"}`, string(header))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	require.Len(t, signature, 64)
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	require.True(t, ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])))
	var claims struct {
		Iss string
		Iat int64
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, &claims))
	require.Equal(t, "DEF123GHIJ", claims.Iss)
	return claims.Iat
}

func TestAKeyOfAnotherCurveIsRefused(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = newSigner(key, "ABC123DEFG", "DEF123GHIJ")
	require.ErrorContains(t, err, "P-256")
}
