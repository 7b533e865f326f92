package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

func (b *bench) try(p phone, body, at string) answer {
	b.t.Helper()
	return b.do(call{method: http.MethodPost, path: "/v1/phones/" + p.id + "/trial", anonymous: true, body: body, header: map[string]string{
		"Authorization": p.signs(b.t, device.Try, at, body),
	}})
}

func TestAPhoneIsAskedOnceToTryIt(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	got := b.try(p, `{"locale":"de"}`, lookedAt)
	require.Equal(t, http.StatusAccepted, got.StatusCode, "%s", got.body)
	require.Equal(t, []string{p.id + " " + lookedAt + " de"}, a.tried)

	for body, want := range map[string]api.ProblemCode{
		`{`: api.ProblemCodeMalformedJSON, `{"locale":"?"}`: api.ProblemCodeInvalidRequest, `{"action":"Pay"}`: api.ProblemCodeInvalidRequest,
	} {
		require.Equal(t, want, b.try(p, body, lookedAt).problem(t).Code, body)
	}
	stranger := p
	stranger.key, _ = newKey(t)
	require.Equal(t, api.ProblemCodeBadSignature, b.try(stranger, `{}`, lookedAt).problem(t).Code)
	require.Equal(t, api.ProblemCodeBadSignature, b.try(p, `{}`, "2026-11-21T09:50:00Z").problem(t).Code)
	for err, want := range map[error]api.ProblemCode{
		enrolment.ErrStale: api.ProblemCodeBadSignature, verification.ErrNotFound: api.ProblemCodeBadSignature,
		verification.ErrUnavailable: api.ProblemCodeUnavailable,
	} {
		a.tryErr = err
		require.Equal(t, want, b.try(p, `{}`, lookedAt).problem(t).Code)
	}
	require.Len(t, a.tried, 1)
}
