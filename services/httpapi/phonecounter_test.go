package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

func (b *bench) count(p phone, body string) answer {
	b.t.Helper()
	return b.do(call{method: http.MethodPut, path: "/v1/phones/" + p.id + "/counter", anonymous: true, body: body, header: map[string]string{
		"Authorization": p.signs(b.t, device.Count, lookedAt, body),
	}})
}

func TestAPhoneThatIsBehindItsCopyIsToldSo(t *testing.T) {
	t.Parallel()
	a := &apps{}
	b := setup(t, withApps(a))
	p := b.joinPhone()
	for _, body := range []string{`{"counter":1,"nonce":"a"}`, `{"counter":1,"nonce":"a"}`, `{"counter":7,"nonce":"b"}`} {
		require.Equal(t, http.StatusNoContent, b.count(p, body).StatusCode)
	}
	b.store.fail(verification.ErrUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, b.count(p, `{"counter":2,"nonce":"x"}`).problem(t).Status, "what cannot be told to the log is tried again")
	b.store.fail(nil)
	for range 2 {
		for _, body := range []string{`{"counter":7,"nonce":"c"}`, `{"counter":6,"nonce":"b"}`} {
			got := b.count(p, body).problem(t)
			require.Equal(t, []any{api.ProblemCodeDeviceCopied, http.StatusConflict}, []any{got.Code, got.Status})
		}
	}
	require.Len(t, b.store.audit, 1, "once a day")
	e := b.store.audit[0]
	require.Equal(t, []any{audit.DeviceCopied, audit.Person, p.id, shop}, []any{e.Action, e.Actor, e.Subject, e.Account})

	for body, field := range map[string]string{
		`{"counter":0,"nonce":"a"}`: "counter", `{"counter":2147483648,"nonce":"a"}`: "counter", `{"nonce":"a"}`: "counter", `{"counter":"8","nonce":"a"}`: "counter",
		`{"counter":8}`: "nonce", `{"counter":8,"nonce":"a b"}`: "nonce", `{"counter":8,"nonce":"` + strings.Repeat("a", 65) + `"}`: "nonce", `{"counter":8,"nonce":"a","x":1}`: "x",
	} {
		got := b.count(p, body).problem(t)
		require.Equal(t, api.ProblemCodeInvalidRequest, got.Code, body)
		require.Equal(t, "#/"+field, got.Errors[0].Pointer, body)
	}
	stranger := p
	stranger.key, _ = newKey(t)
	require.Equal(t, api.ProblemCodeBadSignature, b.count(stranger, `{"counter":9,"nonce":"a"}`).problem(t).Code)
}
