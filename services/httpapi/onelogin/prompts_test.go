package onelogin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

func TestAPushThatWasReplacedReadsAsRejected(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.joined(u)
	first := c.activate(u, d)
	second := c.activate(u, d)
	require.Equal(t, "rejected", c.status(u, first["id"]))
	require.Equal(t, "pending", c.status(u, second["id"]))
	h.answered(second["id"].(string), verification.Approve)
	require.Equal(t, "accepted", c.status(u, second["id"]))
	require.Equal(t, "rejected", c.status(u, first["id"]))
}

func TestAUserWhoAnswersNoPushGetsNoMoreForAWhile(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.joined(u)
	var last fields
	for range 5 {
		last = c.activate(u, d)
	}
	h.clock.Forward(stream.DefaultSendWindow)
	a := c.post(mfa(u, "verifications"), fields{"device_id": d}).is(http.StatusTooManyRequests)
	require.Contains(t, string(a.body), "Too many push requests that the user did not answer; come back in ")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, "5", a.header.Get("X-Ratelimit-Limit"))
	require.Equal(t, "rejected", c.status(u, last["id"]), "it has expired")
}
