package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

func TestAPushThatNoPhoneWouldTakeIsRefusedWhereItIsMade(t *testing.T) {
	t.Parallel()
	size := 4097
	b := setup(t, withApps(&apps{}), func(c *httpapi.Config) {
		c.PushBytes = func(a verification.Activation) int {
			require.Equal(t, "Amount", a.Verification.Context.Fields[0].Label)
			return size
		}
	})
	p := b.joinPhone()
	body := `{"device_id":"` + p.id + `","context":{"action":"Pay","fields":[{"label":"Amount","value":"49.00 EUR"}]}}`
	problem := b.post("/v1/verifications", body).problem(t)
	require.Equal(t, []api.Fault{{
		Pointer: "#/context/fields", Detail: "makes a push of about 4097 bytes, and phones take at most 4096",
	}}, problem.Errors)
	require.Zero(t, b.store.count())
	size--
	require.Equal(t, http.StatusCreated, b.post("/v1/verifications", body).StatusCode)
	size++
	require.Equal(t, http.StatusCreated, b.post("/v1/verifications", smsCode).StatusCode, "no push, no limit")
}

func TestATextMessageOfTooManySegmentsIsRefusedWhereItIsMade(t *testing.T) {
	t.Parallel()
	asked := 0
	b := setup(t, func(c *httpapi.Config) {
		c.MaxSegments = 2
		c.Segments = func(a verification.Activation) int {
			asked++
			return 1 + len(a.Verification.Brand+a.Verification.Context.Action+a.Verification.Context.Place)/30 + len(a.Verification.Context.Fields)
		}
	})
	const fields = `"fields":[{"label":"Amount","value":"49.00 EUR"},{"label":"Payee","value":"Café Lumière"}]`
	action := `"action":"` + strings.Repeat("pay ", 20) + `"`
	for body, pointer := range map[string]string{
		`{"to":"+14155550123","channel":"sms","context":{` + fields + `}}`:                                                                       "#/context/fields",
		`{"to":"+14155550123","channel":"sms","challenge":"approval","brand":"Bank","context":{` + action + `,` + fields + `}}`:                  "#/context/action",
		`{"to":"+14155550123","channel":"voice","fallback":[{"channel":"sms","after":30}],"context":{` + fields + `}}`:                           "#/context/fields",
		`{"to":"+14155550123","channel":"sms","context":{"place":"` + strings.Repeat("Lyon ", 20) + `"},"brand":"Example Bank"}`:                 "#/context/place",
		`{"to":"+14155550123","channel":"sms","brand":"` + strings.Repeat("B", 30) + `","context":{"action":"` + strings.Repeat("a", 29) + `"}}`: "",
		smsCode: "",
	} {
		a := b.post("/v1/verifications", body)
		if pointer == "" {
			require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
			continue
		}
		p := a.problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, body)
		require.Len(t, p.Errors, 1)
		require.Equal(t, pointer, p.Errors[0].Pointer, body)
		require.Regexp(t, `makes a text message of \d segments, and at most 2 are allowed`, p.Errors[0].Detail)
	}
	counted := asked
	a := b.post("/v1/verifications", `{"to":"+14155550123","channel":"voice","context":{`+fields+`}}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "a call has no segments: %s", a.body)
	require.Equal(t, counted, asked)
}
