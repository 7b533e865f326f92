package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

const linkByMail = `{"to":"ana@example.com","channel":"email","challenge":"link"}`

func TestALinkAndAnApprovalShowTheNumberToTheClientThatAsked(t *testing.T) {
	t.Parallel()
	for body, digits := range map[string]int{
		linkByMail: 2,
		`{"to":"+14155550123","channel":"sms","challenge":"approval"}`:   2,
		`{"to":"+14155550123","channel":"voice","challenge":"approval"}`: 2,
		smsCode: 0,
	} {
		b := setup(t)
		v, _ := b.create(body)
		require.Regexp(t, `^[0-9]*$`, v.MatchNumber)
		require.Len(t, v.MatchNumber, digits, body)
		require.Equal(t, b.store.activation(v.ID).Secrets.Number.Reveal(), v.MatchNumber)
		require.Equal(t, v.MatchNumber, b.get("/v1/verifications/"+v.ID).verification(t).MatchNumber, "it is still there when asked again")
		canceled := b.post("/v1/verifications/"+v.ID+"/cancel", "").verification(t)
		require.Empty(t, canceled.MatchNumber, "nothing waits for it any more")
	}
}

func TestWhoMayAskNobodySeesNoNumber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(linkByMail)
	b.store.clients = append(b.store.clients, client{
		credential.Credential{ClientID: "helpdesk", Account: shop, Scope: credential.ReadAll, Compat: credential.CompatDefault}, shopSecret, "token-of-helpdesk",
	})
	read := b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID, client: "helpdesk"}).verification(t)
	require.Equal(t, v.ID, read.ID)
	require.Empty(t, read.MatchNumber)
}

func TestARepeatedCreateShowsTheSameNumber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	again := call{method: http.MethodPost, path: "/v1/verifications", body: linkByMail, header: map[string]string{"Idempotency-Key": "k1"}}
	first := b.do(again).verification(t)
	require.Equal(t, first, b.do(again).verification(t))
	require.Len(t, first.MatchNumber, 2)
}

func TestWhetherNumbersAreMatchedIsAPolicyThatStandsInTheAuditLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{
		`{"client_id":"kiosk","scope":"authentication_only","number_matching":false}`,
		`{"client_id":"kiosk","scope":"authentication_only","number_matching":false,"reason":" "}`,
	} {
		p := b.post("/v1/credentials", body).problem(t)
		require.Equal(t, []api.Fault{{Pointer: "#/reason", Detail: "is required where number_matching is turned off"}}, p.Errors)
	}
	require.Empty(t, b.store.audit)
	a := b.post("/v1/credentials", `{"client_id":"kiosk","scope":"authentication_only","number_matching":false,"reason":"No second screen"}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	ask := call{
		method: http.MethodPost, path: "/v1/verifications", body: linkByMail,
		header: map[string]string{"Authorization": basic("kiosk", "secret-of-kiosk")},
	}
	require.Empty(t, b.do(ask).verification(t).MatchNumber)

	patch := call{method: http.MethodPatch, path: "/v1/credentials/kiosk", body: `{"number_matching":true}`}
	require.Equal(t, http.StatusOK, b.do(patch).StatusCode)
	require.Len(t, b.do(ask).verification(t).MatchNumber, 2)
	patch.body = `{"number_matching":false}`
	require.Equal(t, http.StatusUnprocessableEntity, b.do(patch).problem(t).Status)
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: "/v1/credentials/kiosk"}).StatusCode)

	var log api.AuditList
	b.get("/v1/audit?subject=kiosk").json(t, &log)
	require.Len(t, log.Data, 3)
	require.Equal(t, []string{string(audit.CredentialRevoked), string(audit.CredentialUpdated), string(audit.CredentialCreated)},
		[]string{log.Data[0].Action, log.Data[1].Action, log.Data[2].Action}, "newest first")
	require.Equal(t, map[string]string{"number_matching": "on"}, log.Data[1].Details)
	require.Equal(t, map[string]string{"number_matching": "off", "scope": "authentication_only"}, log.Data[2].Details)
	require.Equal(t, "No second screen", log.Data[2].Reason)
	require.Equal(t, shop, log.Data[2].Actor)
	require.Nil(t, log.Next)
	b.do(call{method: http.MethodGet, path: "/v1/audit", client: other}).json(t, &log)
	require.Empty(t, log.Data, "each account has its own")
}

// noLog is an audit log that cannot be reached.
type noLog struct{}

func (noLog) Record(context.Context, audit.Entry) error { return verification.ErrUnavailable }
func (noLog) RecordOnce(context.Context, audit.Entry) (bool, error) {
	return false, verification.ErrUnavailable
}

func (noLog) Entries(context.Context, string, audit.Filter) ([]audit.Entry, uint64, error) {
	return nil, 0, verification.ErrUnavailable
}

func TestNothingIsDoneThatTheAuditLogCannotTake(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *httpapi.Config) { c.Audit = noLog{} })
	for _, c := range []call{
		{method: http.MethodPost, path: "/v1/credentials", body: `{"client_id":"page","scope":"read_all"}`},
		{method: http.MethodPatch, path: "/v1/credentials/" + colleague, body: `{"scope":"read_all"}`},
		{method: http.MethodDelete, path: "/v1/credentials/" + colleague},
		{method: http.MethodGet, path: "/v1/audit"},
	} {
		require.Equal(t, http.StatusServiceUnavailable, b.do(c).problem(t).Status, c.method)
	}
	var list api.CredentialList
	b.get("/v1/credentials").json(t, &list)
	require.Len(t, list.Data, 2)
	require.NotEqual(t, api.ScopeReadAll, list.Data[0].Scope)
}

func TestTheAuditLogIsReadPageByPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		require.Equal(t, http.StatusCreated, b.post("/v1/credentials", `{"scope":"read_all"}`).StatusCode)
	}
	var first, second api.AuditList
	b.get("/v1/audit?limit=2").json(t, &first)
	require.Len(t, first.Data, 2)
	require.NotNil(t, first.Next)
	b.get("/v1/audit?limit=2&after="+*first.Next).json(t, &second)
	require.Len(t, second.Data, 1)
	require.Nil(t, second.Next)
	for query, parameter := range map[string]string{
		"action=": "action", "subject=" + strings.Repeat("x", 65): "subject", "limit=0": "limit",
	} {
		p := b.get("/v1/audit?" + query).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, query)
		require.Equal(t, parameter, p.Errors[0].Parameter)
	}
	require.Equal(t, http.StatusBadRequest, b.get("/v1/audit?after=x").problem(t).Status)
}

func TestWhatIsAgreedToIsKeptInItsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(`{"to":"ana@example.com","channel":"email","challenge":"link","context":{"action":"Pay",
		"fields":[{"label":"Payee","value":"Café Lumière"},{"label":"Amount","value":"49.00 EUR"}]}}`)
	require.Equal(t, []verification.Field{{Label: "Payee", Value: "Café Lumière"}, {Label: "Amount", Value: "49.00 EUR"}},
		b.store.activation(v.ID).Verification.Context.Fields)
}

func TestContextThatReadsOtherwiseElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 71)
	many := strings.TrimSuffix(strings.Repeat(`{"label":"a","value":"b"},`, 7), ",")
	for context, want := range map[string][]string{
		`{"action":"<b>Pay</b>"}`:                                          {"#/context/action"},
		`{"place":"a>b","device":"x<y"}`:                                   {"#/context/place", "#/context/device"},
		`{"action":"Pay\u202e001"}`:                                        {"#/context/action"},
		`{"fields":[{"label":"A\u0007","value":"1"}]}`:                     {"#/context/fields/0/label"},
		`{"fields":[{"label":"A","value":"1\u2066"}]}`:                     {"#/context/fields/0/value"},
		`{"fields":[{"label":"A","value":"www.evil.example"}]}`:            {"#/context/fields/0/value"},
		`{"fields":[{"label":"A","value":"<i>1</i>"}]}`:                    {"#/context/fields/0/value"},
		`{"fields":[{"label":"A","value":"` + long + `"}]}`:                {"#/context/fields/0/value"},
		`{"fields":[{"label":"","value":" "}]}`:                            {"#/context/fields/0/label", "#/context/fields/0/value"},
		`{"fields":[{"label":"A","value":"1"},{"label":"A","value":"2"}]}`: {"#/context/fields/1/label"},
		`{"fields":[` + many + `]}`:                                        {"#/context/fields"},
		`{"fields":[{"label":"A"}]}`:                                       {"#/context/fields/0/value"},
		`{"fields":[{"label":"A","value":"1","href":"x"}]}`:                {"#/context/fields/0/href"},
	} {
		b := setup(t)
		p := b.post("/v1/verifications", `{"to":"ana@example.com","channel":"email","challenge":"link","context":`+context+`}`).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, context)
		var pointers []string
		for _, f := range p.Errors {
			pointers = append(pointers, f.Pointer)
		}
		require.Equal(t, want, pointers, context)
		require.Zero(t, b.store.count())
	}
}
