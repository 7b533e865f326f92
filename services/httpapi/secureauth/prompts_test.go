package secureauth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

func TestAPushThatWasReplacedReadsAsFailedAtEveryProcess(t *testing.T) {
	t.Parallel()
	h := setup(t)
	other := h.process()
	c, u := h.client(), h.user()
	ask := map[string]string{"user_id": u.Username, "type": "push_accept", "factor_id": factorID(h.app(u))}
	push := func(at *house) string {
		return c.of(at).post("/api/v1/auth", ask).says(http.StatusOK, "valid", "").text("reference_id")
	}
	first := push(h)
	second := push(other)
	for _, at := range []*house{h, other} {
		c.of(at).get("/api/v1/auth/"+first).says(http.StatusOK, "found", "FAILED")
		c.of(at).get("/api/v1/auth/"+second).says(http.StatusOK, "found", "PENDING")
	}
	h.answers(second, verification.Approve, "")
	c.get("/api/v1/auth/"+second).says(http.StatusOK, "found", "ACCEPTED")
}

func TestAUserWhoAnswersNoPushGetsNoMoreForAWhile(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	ask := map[string]string{"user_id": u.Username, "type": "push_accept", "factor_id": factorID(h.app(u))}
	for range 5 {
		c.post("/api/v1/auth", ask).says(http.StatusOK, "valid", "")
	}
	h.clock.Forward(stream.DefaultSendWindow)
	a := c.post("/api/v1/auth", ask).is(http.StatusOK)
	require.Equal(t, "invalid", a.text("status"))
	require.Contains(t, a.text("message"), "Too many push requests that the user did not answer. Try again in ")
	require.NotEmpty(t, a.header.Get("Retry-After"))
}
