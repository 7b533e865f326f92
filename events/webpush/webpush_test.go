package webpush_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/webpush"
)

// The keys of RFC 8291, appendix A.
const (
	p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	auth   = "BTBZMqHH6r4Tts7J_aSIgg"
)

func subscription(endpoint, p256dh, auth string) string {
	return `{"endpoint":"` + endpoint + `","keys":{"p256dh":"` + p256dh + `","auth":"` + auth + `"}}`
}

func TestASubscriptionIsOneTextHoweverABrowserWritesIt(t *testing.T) {
	t.Parallel()
	want := subscription("https://push.example.net/a?b=1&c=<2>", p256dh, auth)
	padded := strings.NewReplacer("-", "+", "_", "/").Replace(p256dh) + "="
	for name, text := range map[string]string{
		"as it is":       want,
		"with more":      `{"expirationTime": null, "endpoint": "https://push.example.net/a?b=1\u0026c=<2>", "keys": {"auth": "` + auth + `==", "p256dh": "` + padded + `"}}`,
		"on many lines ": strings.ReplaceAll(want, ",", ",\n  "),
	} {
		s, err := webpush.Parse(text)
		require.NoError(t, err, name)
		require.Equal(t, want, s.Token(), name)
	}
	s, err := webpush.Parse(subscription("http://127.0.0.1:8080/x", p256dh, auth))
	require.NoError(t, err, "the sandbox's own")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", s, s, s, s), "127.0.0.1")
}

func TestWhatCannotBePushedToIsRefused(t *testing.T) {
	t.Parallel()
	const well = "https://push.example.net/secret"
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"no JSON":                    {"secret", webpush.ErrForm},
		"a list":                     {"[]", webpush.ErrForm},
		"no endpoint":                {subscription("", p256dh, auth), webpush.ErrEndpoint},
		"a path":                     {subscription("/secret", p256dh, auth), webpush.ErrEndpoint},
		"plain http":                 {subscription("http://push.example.net/secret", p256dh, auth), webpush.ErrEndpoint},
		"plain http in a network":    {subscription("http://192.168.1.5/secret", p256dh, auth), webpush.ErrEndpoint},
		"another scheme":             {subscription("file:///secret", p256dh, auth), webpush.ErrEndpoint},
		"a name and a password":      {subscription("https://a:secret@push.example.net/", p256dh, auth), webpush.ErrEndpoint},
		"a space":                    {subscription("https://push.example.net/ secret", p256dh, auth), webpush.ErrEndpoint},
		"no host":                    {subscription("https:///secret", p256dh, auth), webpush.ErrEndpoint},
		"no key":                     {subscription(well, "", auth), webpush.ErrP256dh},
		"half a key":                 {subscription(well, p256dh[:40], auth), webpush.ErrP256dh},
		"a point that is on no such": {subscription(well, p256dh[:80]+"AAAAAAA", auth), webpush.ErrP256dh},
		"no secret":                  {subscription(well, p256dh, ""), webpush.ErrAuth},
		"a secret of 15 bytes":       {subscription(well, p256dh, auth[:20]), webpush.ErrAuth},
	} {
		s, err := webpush.Parse(c.text)
		require.ErrorIs(t, err, c.err, name)
		require.NotContains(t, err.Error(), "secret", name)
		require.Empty(t, s.Endpoint, name)
	}
}
