package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/suppression"
)

const suppressions = "/v1/suppressions"

// withList is a server whose list is a real one, and whose operator is the account operator.
func withList(t *testing.T, options ...func(*httpapi.Config)) (*bench, *store.Suppressions) {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	var list *store.Suppressions
	b := setup(t, append(options, func(c *httpapi.Config) {
		list, err = store.NewSuppressions(t.Context(), js, store.SuppressionsConfig{Keys: keys, Operator: shop, Now: c.Now})
		require.NoError(t, err)
		c.Suppressions = list
	})...)
	return b, list
}

func (b *bench) add(body string) api.Suppression {
	b.t.Helper()
	a := b.post(suppressions, body)
	require.Equal(b.t, http.StatusCreated, a.StatusCode, "body: %s", a.body)
	var s api.Suppression
	a.json(b.t, &s)
	require.Equal(b.t, suppressions+"/"+s.ID, a.Header.Get("Location"))
	return s
}

func (b *bench) list(query string) api.SuppressionList {
	b.t.Helper()
	a := b.get(suppressions + query)
	require.Equal(b.t, http.StatusOK, a.StatusCode, "body: %s", a.body)
	var l api.SuppressionList
	a.json(b.t, &l)
	return l
}

func TestASuppressionIsAddedReadListedAndRemoved(t *testing.T) {
	b, _ := withList(t)
	s := b.add(`{"to":"+1 415 555 0123","channel":"voice","note":"asked on the phone"}`)
	require.Equal(t, "+1••••••0123", s.To)
	require.Equal(t, api.SuppressionChannelSms, s.Channel, "a number is one for texts and calls")
	require.Equal(t, api.SuppressionScopeAccount, s.Scope)
	require.Equal(t, api.SuppressionCoversAll, s.Covers)
	require.Equal(t, api.SuppressionCauseManual, s.Cause)
	again := b.post(suppressions, `{"to":"+14155550123","note":"another"}`)
	require.Equal(t, http.StatusOK, again.StatusCode)
	var stands api.Suppression
	again.json(t, &stands)
	require.Equal(t, s, stands)
	mailbox := b.add(`{"to":"Ana@Example.com","covers":"notifications"}`)
	require.Equal(t, api.SuppressionChannelEmail, mailbox.Channel)
	b.add(`{"to":"0123abcd:token","channel":"push","scope":"credential","client_id":"` + shop + `"}`)

	all := b.list("")
	require.Nil(t, all.Next)
	require.Len(t, all.Data, 3)
	require.Equal(t, api.SuppressionScopeCredential, all.Data[0].Scope, "newest first")
	require.Equal(t, shop, all.Data[0].ClientID)
	require.Len(t, b.list("?to=%2B14155550123").Data, 1)
	require.Len(t, b.list("?to=ana@example.com").Data, 1)
	require.Empty(t, b.list("?to=bo@example.com").Data)
	require.Len(t, b.list("?channel=push").Data, 1)
	require.Empty(t, b.list("?cause=stop").Data)
	page := b.list("?limit=2")
	require.Len(t, page.Data, 2)
	require.Len(t, b.list("?limit=2&after="+*page.Next).Data, 1)

	path := suppressions + "/" + s.ID
	require.Equal(t, http.StatusOK, b.get(path).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodGet, path: path, client: other}).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodDelete, path: path, client: other}).StatusCode)
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: path}).StatusCode)
	require.Equal(t, http.StatusNotFound, b.get(path).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodDelete, path: path}).StatusCode)
	require.Empty(t, b.list("?to=%2B14155550123").Data)
	for _, secret := range []string{"4155550123", "Ana@", "ana@", "abcd:token", "on the phone"} {
		require.NotContains(t, b.log.String(), secret)
	}
}

func TestWhatIsWrongWithASuppressionIsNamed(t *testing.T) {
	b, _ := withList(t)
	for body, pointers := range map[string][]string{
		`{}`:             {"#/to"},
		`{"to":"+1415"}`: {"#/to"},
		`{"to":"ana@"}`:  {"#/to"},
		`{"to":"+14155550123","channel":"email"}`:                         {"#/to"},
		`{"to":"+14155550123","channel":"fax"}`:                           {"#/channel"},
		`{"to":"+14155550123","scope":"everybody","covers":"some"}`:       {"#/scope", "#/covers"},
		`{"to":"+14155550123","scope":"credential"}`:                      {"#/client_id"},
		`{"to":"+14155550123","scope":"credential","client_id":"nobody"}`: {"#/client_id"},
		`{"to":"+14155550123","client_id":"` + shop + `"}`:                {"#/client_id"},
		`{"to":"+14155550123","note":"a\u0000b"}`:                         {"#/note"},
		`{"to":"+14155550123","note":"=HYPERLINK(1)"}`:                    {"#/note"},
		`{"to":"+14155550123","reason":"x"}`:                              {"#/reason"},
		`{"to":"a b","channel":"push"}`:                                   {"#/to"},
	} {
		a := b.post(suppressions, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, "%s: %s", body, a.body)
		var got []string
		for _, f := range a.problem(t).Errors {
			got = append(got, f.Pointer)
		}
		require.ElementsMatch(t, pointers, got, body)
	}
	for _, query := range []string{"?cause=x", "?channel=voice", "?scope=x", "?to=x", "?to=", "?limit=0"} {
		require.Equal(t, http.StatusUnprocessableEntity, b.get(suppressions+query).StatusCode, query)
	}
	require.Equal(t, http.StatusBadRequest, b.get(suppressions+"?after=eA").StatusCode)
	require.Equal(t, http.StatusNotFound, b.get(suppressions+"/nonsense").StatusCode)
}

func TestOnlyTheOperatorRemovesWhatHoldsForEverybody(t *testing.T) {
	b, list := withList(t)
	require.NoError(t, list.Suppress(t.Context(), suppression.Entry{
		Channel: suppression.SMS, To: "+14155550123", Covers: suppression.All, Cause: suppression.Stop,
	}))
	path := suppressions + "/" + b.list("?scope=everybody").Data[0].ID
	require.Equal(t, http.StatusOK, b.do(call{method: http.MethodGet, path: path, client: other}).StatusCode, "all may look")
	p := b.do(call{method: http.MethodDelete, path: path, client: other}).problem(t)
	require.Equal(t, http.StatusForbidden, p.Status)
	require.Equal(t, api.ProblemCodeForbidden, p.Code)
	require.Contains(t, p.Detail, "Only the operator may do this")
	require.Len(t, b.list("?scope=everybody").Data, 1)
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: path}).StatusCode)
	require.Empty(t, b.list("?scope=everybody").Data)
}

func TestOnlyWhoManagesAllMayTouchTheList(t *testing.T) {
	b, _ := withList(t)
	for _, scope := range []credential.Scope{credential.AuthenticationOnly, credential.ReadUsers, credential.ManageUsers, credential.ReadAll} {
		require.False(t, scope.Allows(credential.ManageSuppressions))
	}
	require.True(t, credential.ManageAll.Allows(credential.ManageSuppressions))
	for _, c := range []call{
		{method: http.MethodGet, path: suppressions},
		{method: http.MethodPost, path: suppressions, body: `{"to":"+14155550123"}`},
		{method: http.MethodGet, path: suppressions + "/x"},
		{method: http.MethodDelete, path: suppressions + "/x"},
		{method: http.MethodPost, path: suppressions + "/import", body: `[{"to":"+14155550123"}]`},
		{method: http.MethodGet, path: suppressions + "/export"},
	} {
		c.anonymous = true
		require.Equal(t, http.StatusUnauthorized, b.do(c).StatusCode, c.path)
	}
}

func (b *bench) imports(media, body string) answer {
	b.t.Helper()
	return b.do(call{method: http.MethodPost, path: suppressions + "/import", body: body, header: map[string]string{"Content-Type": media}})
}

func (b *bench) imported(media, body string) api.ImportedSuppressions {
	b.t.Helper()
	a := b.imports(media, body)
	require.Equal(b.t, http.StatusOK, a.StatusCode, "body: %s", a.body)
	var i api.ImportedSuppressions
	a.json(b.t, &i)
	return i
}

func TestListsAreImportedByLine(t *testing.T) {
	b, _ := withList(t)
	got := b.imported("text/csv", "\ufeffTo, covers,note\n+14155550123,all,\"asked, twice\"\nana@example.com,some\n\nnobody\n+14155550124,,,more\n+14155550125\n")
	require.Equal(t, 2, got.Added)
	require.Equal(t, 3, got.Refused)
	var lines []string
	for _, f := range got.Faults {
		lines = append(lines, fmt.Sprint(f.Line, " ", f.Field))
	}
	require.Equal(t, []string{"3 covers", "5 to", "6 "}, lines)
	require.Equal(t, api.SuppressionCauseImported, b.list("?to=%2B14155550123").Data[0].Cause)
	require.Equal(t, "asked, twice", b.list("?to=%2B14155550123").Data[0].Note)

	got = b.imported("application/x-ndjson", `{"to":"+14155550123"}`+"\n\n"+`{"to":"bo@example.com","cause":"bounce","at":"2026-01-02T03:04:05Z"}`+"\n[]\n{\"to\":1}\n"+`{"to":"x@example.com","at":"2036-01-02T03:04:05Z"}`+"\n")
	require.Equal(t, api.ImportedSuppressions{Added: 1, Known: 1, Refused: 3, Faults: got.Faults}, got)
	require.Equal(t, []int{4, 5, 6}, []int{got.Faults[0].Line, got.Faults[1].Line, got.Faults[2].Line})
	e := b.list("?to=bo@example.com").Data[0]
	require.Equal(t, api.SuppressionCauseBounce, e.Cause)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), e.At)

	got = b.imported("application/json", `[{"to":"c@example.com"},{"to":"c@example.com","scope":"credential","client_id":"`+shop+`"},{"to":""}]`)
	require.Equal(t, api.ImportedSuppressions{Added: 2, Refused: 1, Faults: got.Faults}, got)
}

func TestAQuoteThatIsLeftOpenSwallowsNobody(t *testing.T) {
	b, _ := withList(t)
	for _, c := range []struct {
		line int
		body string
	}{
		{3, "to,note\n+14155550123,x\n+14155550124,\"left\n+14155550125,y\n+14155550126,z\n"},
		{2, "to,note\n+14155550124,\"left\n+14155550125,\"y\"\n+14155550126,z\n"},
		{2, "to,note\n+14155550124,\"left\n+14155550125,y\"\n+14155550126,z\n"},
		{4, "to\n+14155550123\n\n\"+14155550124\n+14155550125\"\n+14155550126\n"},
		{0, "to\n\"+14155550124\n"},
		{2, "note,to\n\"a\r\nb\",\"+14155550125\n+14155550126\n"},
		{2, "to,note\n\"+14155550124\",\"left\n\"+14155550125\",\"y\"\n\"+14155550126\",\"z\"\n"},
	} {
		body, line := c.body, c.line
		if line == 0 { // it has swallowed nothing
			require.Equal(t, 1, b.imported("text/csv", body).Refused, body)
			continue
		}
		p := b.imports("text/csv", body).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, body)
		require.Contains(t, p.Detail, fmt.Sprintf("a quote in line %d ", line), body)
	}
	require.Empty(t, b.list("").Data)
}

func TestAnExportOfOddAddressesIsImportedWhole(t *testing.T) {
	b, _ := withList(t)
	odd := []string{"#ana@example.com", "=cmd|'/Ccalc'!A1@example.com", "+ana@example.com", "-ana@example.com", "'ana@example.com", "'=ana@example.com"}
	for _, to := range odd {
		b.add(`{"to":"` + to + `"}`)
	}
	b.add(`{"to":"#token","channel":"push","note":"#1"}`)
	b.add(`{"to":"+14155550123"}`)
	export := b.get(suppressions + "/export")
	for _, line := range strings.Split(strings.TrimSuffix(string(export.body), "\n# end\n"), "\n") {
		require.False(t, strings.ContainsAny(line[:1], "=-@#"), line)
	}
	require.Contains(t, string(export.body), "\n+14155550123,")
	next, _ := withList(t)
	got := next.imported("text/csv", string(export.body))
	require.Equal(t, api.ImportedSuppressions{Added: len(odd) + 2, Faults: []api.ImportFault{}}, got)
	for _, to := range odd {
		require.Len(t, next.list("?to="+url.QueryEscape(to)).Data, 1, to)
	}
	require.Equal(t, "#1", next.list("?channel=push").Data[0].Note)
}

// halfSealed is a list of which one entry does not open.
type halfSealed struct{ wholeList }

type wholeList interface{ httpapi.Suppressions }

func (h halfSealed) ExportSuppressions(ctx context.Context, account string) iter.Seq2[suppression.Entry, error] {
	return func(yield func(suppression.Entry, error) bool) {
		if !yield(suppression.Entry{}, fmt.Errorf("old: %w", suppression.ErrSealed)) {
			return
		}
		h.wholeList.ExportSuppressions(ctx, account)(yield)
	}
}

func TestAnExportSaysHowManyEntriesItLeavesOut(t *testing.T) {
	b, list := withList(t)
	b.add(`{"to":"+14155550123"}`)
	next := setup(t, func(c *httpapi.Config) { c.Suppressions = halfSealed{list} })
	export := string(next.get(suppressions + "/export").body)
	require.Contains(t, export, "\n+14155550123,")
	require.True(t, strings.HasSuffix(export, "\n# 1 entries could not be opened\n# end\n"), export)
	require.Equal(t, 1, b.imported("text/csv", export).Known)
}

func TestOnlyWhatAnExportRemarksIsSkipped(t *testing.T) {
	b, _ := withList(t)
	got := b.imported("text/csv", "to\n#ana@example.com\n# bo@example.com\n# 3 entries could not be opened\n# end\n")
	require.Equal(t, 1, got.Added)
	require.Equal(t, 1, got.Refused)
	require.Equal(t, 3, got.Faults[0].Line)
	most := "to\n" + strings.Repeat("+14155550123\n", 10_000)
	require.Equal(t, 1, b.imported("text/csv", most+"# end\n").Added, "no remark counts as an entry")
}

func TestImportsThatCannotBeReadStoreNothing(t *testing.T) {
	b, _ := withList(t)
	for name, c := range map[string]struct {
		media, body string
		status      int
	}{
		"another type":         {"text/plain", "to\n+14155550123\n", http.StatusUnsupportedMediaType},
		"no column to":         {"text/csv", "number\n+14155550123\n", http.StatusUnprocessableEntity},
		"a column twice":       {"text/csv", "to,to\n+14155550123,+14155550124\n", http.StatusUnprocessableEntity},
		"nothing":              {"text/csv", "", http.StatusUnprocessableEntity},
		"a head only":          {"text/csv", "to\n", http.StatusUnprocessableEntity},
		"an object":            {"application/json", `{"to":"+14155550123"}`, http.StatusUnprocessableEntity},
		"half an array":        {"application/json", `[{"to":"+14155550123"}`, http.StatusBadRequest},
		"bytes that are none":  {"text/csv", "to\n\xff\n", http.StatusBadRequest},
		"too many":             {"text/csv", "to\n" + strings.Repeat("+14155550123\n", 10_001), http.StatusUnprocessableEntity},
		"too much":             {"text/csv", "to\n" + strings.Repeat("x", 4<<20) + "\n", http.StatusRequestEntityTooLarge},
		"a line without end":   {"application/x-ndjson", strings.Repeat("x", 100<<10), http.StatusBadRequest},
		"too many of no sense": {"application/x-ndjson", strings.Repeat("x\n", 10_001), http.StatusUnprocessableEntity},
	} {
		require.Equal(t, c.status, b.imports(c.media, c.body).StatusCode, name)
	}
	require.Empty(t, b.list("").Data)
}

func TestWhatIsExportedCanBeImported(t *testing.T) {
	b, list := withList(t)
	b.add(`{"to":"+14155550123","note":"asked, \"twice\""}`)
	b.add(`{"to":"ana@example.com","covers":"notifications","scope":"credential","client_id":"` + shop + `"}`)
	require.NoError(t, list.Suppress(t.Context(), suppression.Entry{
		Channel: suppression.Email, To: "gone@example.com", Covers: suppression.All, Cause: suppression.Bounce,
	}))
	export := b.get(suppressions + "/export")
	require.Equal(t, http.StatusOK, export.StatusCode)
	require.Equal(t, "text/csv; charset=utf-8", export.Header.Get("Content-Type"))
	require.Contains(t, string(export.body), "+14155550123,sms,account,,all,manual,")
	require.Contains(t, string(export.body), "gone@example.com,email,everybody,")
	require.True(t, bytes.HasSuffix(export.body, []byte("# end\n")))

	next, _ := withList(t)
	got := next.imported("text/csv", string(export.body))
	require.Equal(t, api.ImportedSuppressions{Added: 3, Faults: []api.ImportFault{}}, got)
	e := next.list("?to=gone@example.com").Data[0]
	require.Equal(t, api.SuppressionScopeAccount, e.Scope)
	require.Equal(t, api.SuppressionCauseBounce, e.Cause)
	require.Equal(t, "asked, \"twice\"", next.list("?to=%2B14155550123").Data[0].Note)

	empty := b.do(call{method: http.MethodGet, path: suppressions + "/export", client: other})
	require.Equal(t, "to,channel,scope,client_id,covers,cause,at,note\n# end\n", string(empty.body), "everybody's are the operator's to export")
}

func TestAVerificationForWhoIsOnTheListNamesTheField(t *testing.T) {
	b := setup(t)
	ana := b.register(`{}`)
	b.phoneOf(ana, "+14155550123")
	b.mailboxOf(ana, "ana@example.com")
	entry := suppression.Entry{
		ID: "AbCdEfGhIjKlMnOpQrStUv.e", Cause: suppression.Stop, ToMasked: "+1••••••0123", At: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
	}
	places := func(steps ...int) error {
		e := &suppression.RefusedError{}
		for _, s := range steps {
			e.Places = append(e.Places, suppression.Place{Step: s, Entry: entry})
		}
		return e
	}
	for body, want := range map[string]struct {
		err      error
		pointers []string
	}{
		smsCode: {places(0), []string{"#/to"}},
		`{"to":"+14155550123","channel":"sms","fallback":[{"channel":"voice","after":30},{"channel":"email","to":"ana@example.com","after":30}]}`: {
			places(0, 1, 2), []string{"#/to", "#/fallback/0/channel", "#/fallback/1/to"},
		},
		`{"user_id":"` + ana.ID + `","backups":{"after":30}}`: {places(0), []string{"#/user_id"}},
	} {
		b.store.failOnly(want.err)
		a := b.post("/v1/verifications", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
		p := a.problem(t)
		require.Equal(t, api.ProblemCodeSuppressed, p.Code)
		var got []string
		for _, f := range p.Errors {
			got = append(got, f.Pointer)
			require.Contains(t, f.Detail, "since 2026-11-20T09:00:00Z: the person asked for no more messages; DELETE /v1/suppressions/"+entry.ID)
		}
		require.Equal(t, want.pointers, got)
		require.NotContains(t, string(a.body), "5550123")
	}
	require.NotContains(t, b.log.String(), "5550123")
}
