package webpush_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/webpush"
)

func publicKey(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	point, err := base64.RawURLEncoding.DecodeString(vapidPublic)
	require.NoError(t, err)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	require.NoError(t, err)
	return key
}

func TestThePublicKeyFollowsFromThePrivateOne(t *testing.T) {
	t.Parallel()
	got, err := webpush.PublicKey(vapidKey)
	require.NoError(t, err)
	require.Equal(t, vapidPublic, got)
	for _, bad := range []string{"", "not base64!", vapidKey[:20], vapidPublic, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		_, err := webpush.PublicKey(bad)
		require.ErrorContains(t, err, "private_key: ", bad)
	}
}

func TestAConfigurationNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  webpush.Config
		keys []string
	}{
		"nothing set":      {webpush.Config{}, []string{"subject: missing"}},
		"a plain address":  {webpush.Config{Subject: "push@example.com"}, []string{"subject: want"}},
		"a page in http":   {webpush.Config{Subject: "http://example.com"}, []string{"subject: want"}},
		"no address":       {webpush.Config{Subject: "mailto:nobody"}, []string{"subject: want"}},
		"a name before it": {webpush.Config{Subject: "mailto:Ana <push@example.com>"}, []string{"subject: want"}},
		"a key that is none, and hosts": {
			webpush.Config{Subject: "https://example.com", PrivateKey: "shh-secret", Hosts: []string{"a.test", "https://b.test", "a.*.test", ""}},
			[]string{"private_key: want", `hosts: "https://b.test"`, `hosts: "a.*.test"`, `hosts: ""`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := webpush.New(tc.cfg, webpush.NewHTTPClient(tc.cfg))
			for _, key := range tc.keys {
				require.ErrorContains(t, err, key)
			}
			providertest.LeaksNothing(t, err, "shh-secret")
			assert.Len(t, tc.cfg.Validate(), len(tc.keys))
		})
	}
	well := webpush.Config{Subject: "https://example.com", Hosts: []string{"*", "*.push.example.com", "push.example.com", "127.0.0.1"}}
	require.Empty(t, well.Validate())
	_, err := webpush.New(well, webpush.NewHTTPClient(well))
	require.ErrorContains(t, err, "private_key: missing")
	require.False(t, webpush.Config{}.Set())
	require.True(t, well.Set())
}
