package webhook_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/webhook"
)

// The secret and the signature of the specification's own example.
const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	id        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	body      = `{"test": 2432232314}`
	stamp     = 1614265330
	signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func key(t *testing.T, s string) webhook.Key {
	t.Helper()
	k, err := webhook.ParseSecret(s)
	require.NoError(t, err)
	return k
}

func signed(at time.Time) http.Header {
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", signature)
	return h
}

func TestASignatureIsThatOfTheSpecification(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	require.NoError(t, key(t, secret).Sign(h, id, time.Unix(stamp, 0), []byte(body)))
	require.Equal(t, signed(time.Unix(stamp, 0)), h)
	require.NoError(t, key(t, secret).Verify(h, []byte(body), time.Unix(stamp, 0)))
}

func TestACallIsBelievedOnlyAsItWasSigned(t *testing.T) {
	t.Parallel()
	at := time.Unix(stamp, 0)
	for name, c := range map[string]struct {
		change func(http.Header)
		body   string
		now    time.Time
		want   error
	}{
		"as it was signed":                 {now: at},
		"five minutes later":               {now: at.Add(webhook.Tolerance)},
		"by a clock five minutes ahead":    {now: at.Add(-webhook.Tolerance)},
		"later than that":                  {now: at.Add(webhook.Tolerance + time.Second), want: webhook.ErrStale},
		"from further ahead":               {now: at.Add(-webhook.Tolerance - time.Second), want: webhook.ErrStale},
		"with another body":                {now: at, body: `{"test": 2432232315}`, want: webhook.ErrForged},
		"with another id":                  {now: at, change: func(h http.Header) { h.Set("webhook-id", "msg_2") }, want: webhook.ErrForged},
		"with another time":                {now: at, change: func(h http.Header) { h.Set("webhook-timestamp", "1614265331") }, want: webhook.ErrForged},
		"with a time that is none":         {now: at, change: func(h http.Header) { h.Set("webhook-timestamp", "now") }, want: webhook.ErrForged},
		"without an id":                    {now: at, change: func(h http.Header) { h.Del("webhook-id") }, want: webhook.ErrForged},
		"without a signature":              {now: at, change: func(h http.Header) { h.Del("webhook-signature") }, want: webhook.ErrForged},
		"with an empty signature":          {now: at, change: func(h http.Header) { h.Set("webhook-signature", "v1,") }, want: webhook.ErrForged},
		"with a signature of another kind": {now: at, change: func(h http.Header) { h.Set("webhook-signature", "v1a"+signature[2:]) }, want: webhook.ErrForged},
		"signed with two secrets, one of them ours": {now: at, change: func(h http.Header) {
			h.Set("webhook-signature", "v1,AAAA "+signature)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := signed(at)
			if c.change != nil {
				c.change(h)
			}
			text := body
			if c.body != "" {
				text = c.body
			}
			require.ErrorIs(t, key(t, secret).Verify(h, []byte(text), c.now), c.want)
		})
	}
}

func TestAnIdThatRunsIntoTheBodyIsRefused(t *testing.T) {
	t.Parallel()
	k, at := key(t, secret), time.Unix(stamp, 0)
	h := http.Header{}
	require.NoError(t, k.Sign(h, id, at, []byte(`5.{"status":"failed"}`)))
	h.Set("webhook-id", fmt.Sprintf("%s.%d", id, stamp))
	h.Set("webhook-timestamp", "5")
	require.ErrorIs(t, k.Verify(h, []byte(`{"status":"failed"}`), time.Unix(5, 0)), webhook.ErrForged)
	for _, bad := range []string{"", "a.b", "a b", "a\n", "ä", strings.Repeat("a", 129)} {
		require.Error(t, k.Sign(http.Header{}, bad, at, nil), bad)
	}
}

func TestASecretHasAFormAndALength(t *testing.T) {
	t.Parallel()
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, good := range []string{secret, of(24), of(32), of(64)} {
		key(t, good)
	}
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8-KYqrTwjUPD8ILPZIo2LaLaSw", of(23), of(65)} {
		_, err := webhook.ParseSecret(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "KYqrTwjU")
	}
}

func TestWithoutASecretNothingIsBelievedAndNothingSigned(t *testing.T) {
	t.Parallel()
	at := time.Unix(stamp, 0)
	require.ErrorIs(t, webhook.Key{}.Verify(signed(at), []byte(body), at), webhook.ErrForged)
	require.Error(t, webhook.Key{}.Sign(http.Header{}, id, at, []byte(body)))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", key(t, secret), key(t, secret), key(t, secret)), "KYqrTwjU")
}
