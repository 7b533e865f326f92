package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// withTemplates has a real store of templates.
func withTemplates(t *testing.T) *bench {
	t.Helper()
	return setup(t, func(c *httpapi.Config) { c.Templates = realTemplates(t) })
}

func realTemplates(t *testing.T) *store.Templates {
	t.Helper()
	k, err := store.NewTemplates(t.Context(), embednatstest.Connect(t, embednatstest.Start(t, t.TempDir())), store.TemplatesConfig{})
	require.NoError(t, err)
	return k
}

// noTemplates is a store without any.
type noTemplates struct{}

func (noTemplates) SaveTemplate(context.Context, template.Template, *int) (template.Template, error) {
	return template.Template{}, verification.ErrUnavailable
}

func (noTemplates) Template(context.Context, string, string, int) (template.Template, error) {
	return template.Template{}, verification.ErrNotFound
}

func (noTemplates) Templates(context.Context, string) ([]template.Summary, error) { return nil, nil }

func (noTemplates) TemplateVersions(context.Context, string, string) ([]template.Summary, error) {
	return nil, verification.ErrNotFound
}

func (noTemplates) DeleteTemplate(context.Context, string, string) error {
	return verification.ErrNotFound
}

func (noTemplates) Open(context.Context, string, string, int) (*template.Compiled, error) {
	return nil, verification.ErrNotFound
}

const parcel = `{"default_locale":"en",
	"variables":{"name":{"type":"string","max_length":20,"example":"Ana"},"day":{"type":"date","example":"2026-11-22"},"shop":{"type":"string","default":"Example Shop"}},
	"variants":[
		{"channel":"sms","text":"Hello {{name}}, your parcel from {{shop}} comes on {{day}}."},
		{"channel":"sms","locale":"de","text":"Hallo {{name}}, Ihr Paket von {{shop}} kommt am {{day}}."},
		{"channel":"push","title":"{{shop}}","text":"Your parcel comes on {{day}}."},
		{"channel":"email","subject":"Your parcel from {{shop}}","html":"<style>p{color:#333}</style><p>Hello {{name}}, it comes on {{day}}.</p>"}]}`

func (b *bench) put(path, body string, headers ...string) answer {
	h := map[string]string{}
	for i := 0; i+1 < len(headers); i += 2 {
		h[headers[i]] = headers[i+1]
	}
	return b.do(call{method: http.MethodPut, path: path, body: body, header: h})
}

func TestATemplateIsSavedInVersions(t *testing.T) {
	t.Parallel()
	b := withTemplates(t)
	a := b.put("/v1/templates/parcel", parcel)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	require.Equal(t, "/v1/templates/parcel", a.Header.Get("Location"))
	require.Equal(t, `"1"`, a.Header.Get("ETag"))
	var saved api.Template
	a.json(t, &saved)
	require.Equal(t, 1, saved.Version)
	require.Equal(t, shop, saved.CreatedBy)
	require.True(t, *saved.Variables["name"].Required)
	require.False(t, *saved.Variables["shop"].Required)
	require.Equal(t, "Example Shop", saved.Variables["shop"].Default)
	require.Equal(t, "en", saved.Variants[0].Locale)
	require.Equal(t, "{{shop}}", saved.Variants[2].Title)

	a = b.put("/v1/templates/parcel", parcel, "If-Match", `"1"`)
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	require.Equal(t, `"2"`, a.Header.Get("ETag"))
	for _, h := range [][2]string{{"If-Match", `"1"`}, {"If-None-Match", "*"}} {
		a = b.put("/v1/templates/parcel", parcel, h[0], h[1])
		require.Equal(t, http.StatusPreconditionFailed, a.StatusCode)
		require.Equal(t, api.ProblemCodeTemplateChanged, a.problem(t).Code)
	}
	require.Equal(t, http.StatusCreated, b.put("/v1/templates/bill", parcel, "If-None-Match", "*").StatusCode)
	for _, h := range [][2]string{{"If-Match", "1"}, {"If-Match", "*"}, {"If-Match", `"0"`}, {"If-Match", `"x"`}, {"If-Match", `W/"1"`}, {"If-None-Match", `"1"`}} {
		a = b.put("/v1/templates/parcel", parcel, h[0], h[1])
		require.Equal(t, http.StatusBadRequest, a.StatusCode, h)
		require.Equal(t, h[0], a.problem(t).Errors[0].Header)
	}

	a = b.get("/v1/templates/parcel?version=1")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, `"1"`, a.Header.Get("ETag"))
	require.Equal(t, `"2"`, b.get("/v1/templates/parcel").Header.Get("ETag"))
	require.Equal(t, http.StatusNotFound, b.get("/v1/templates/parcel?version=3").StatusCode)
	for _, version := range []string{"0", "-1", "x", "1001", ""} {
		require.Equal(t, http.StatusUnprocessableEntity, b.get("/v1/templates/parcel?version="+version).StatusCode, version)
	}
	var list api.TemplateList
	b.get("/v1/templates").json(t, &list)
	require.Len(t, list.Data, 2)
	require.Equal(t, "bill", list.Data[0].Name)
	require.Equal(t, 2, list.Data[1].Version)
	b.get("/v1/templates/parcel/versions").json(t, &list)
	require.Equal(t, []int{2, 1}, []int{list.Data[0].Version, list.Data[1].Version})

	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: "/v1/templates/parcel"}).StatusCode)
	for _, path := range []string{"/v1/templates/parcel", "/v1/templates/parcel?version=1", "/v1/templates/parcel/versions", "/v1/templates/Parcel", "/v1/templates/a.b"} {
		require.Equal(t, http.StatusNotFound, b.get(path).StatusCode, path)
	}
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodDelete, path: "/v1/templates/parcel"}).StatusCode)
}

func TestAMessageIsPreviewed(t *testing.T) {
	t.Parallel()
	b := withTemplates(t)
	require.Equal(t, http.StatusCreated, b.put("/v1/templates/parcel", parcel).StatusCode)
	preview := func(body string) api.TemplatePreview {
		a := b.post("/v1/templates/parcel/preview", body)
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
		var p api.TemplatePreview
		a.json(t, &p)
		return p
	}
	p := preview(`{"channel":"sms","locale":"de-AT","variables":{"name":"Łukasz"}}`)
	require.Equal(t, api.TemplatePreview{
		Version: 1, Channel: "sms", Locale: "de", Text: "Hallo Łukasz, Ihr Paket von Example Shop kommt am 22. November 2026.",
		Sms: &api.TextMessageSize{
			Encoding: "UCS-2", Segments: 1, Characters: 68, Remaining: 2,
			UnicodeCharacters: []api.UnicodeCharacter{{Character: "Ł", Position: 6}},
		},
	}, p)
	p = preview(`{"channel":"push","version":1}`)
	require.Equal(t, api.TemplatePreview{Version: 1, Channel: "push", Locale: "en", Title: "Example Shop", Text: "Your parcel comes on November 22, 2026."}, p)
	p = preview(`{"channel":"email","variables":{"name":"<b>Ana</b> {{day}}"}}`)
	require.Equal(t, "Your parcel from Example Shop", p.Subject)
	require.Equal(t, "Hello <b>Ana</b> {{day}}, it comes on November 22, 2026.", p.Text)
	require.Contains(t, p.HTML, `<p style="color:#333">Hello &lt;b&gt;Ana&lt;/b&gt; {{day}}, it comes on November 22, 2026.</p>`)

	for body, pointer := range map[string]string{
		`{"channel":"voice"}`: "#/channel", `{"channel":"fax"}`: "#/channel", `{"channel":"sms","locale":"!"}`: "#/locale", `{}`: "#/channel",
		`{"channel":"sms","variables":{"nam":"x"}}`:                        "#/variables/nam",
		`{"channel":"sms","variables":{"day":"tomorrow"}}`:                 "#/variables/day",
		`{"channel":"sms","variables":{"name":"a\u0000"}}`:                 "#/variables/name",
		`{"channel":"email","variables":{"shop":"a\nBcc: b@example.com"}}`: "#/variables/shop",
		`{"channel":"sms","variables":{"name":"012345678901234567890"}}`:   "#/variables/name",
		`{"channel":"sms","variables":{"name":7}}`:                         "#/variables/name",
		`{"channel":"sms","variables":[]}`:                                 "#/variables",
		`{"channel":"sms","version":1001}`:                                 "#/version",
	} {
		a := b.post("/v1/templates/parcel/preview", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, body)
		require.Equal(t, pointer, a.problem(t).Errors[0].Pointer, body)
	}
	require.Equal(t, http.StatusNotFound, b.post("/v1/templates/parcel/preview", `{"channel":"sms","version":9}`).StatusCode)

	a := b.post("/v1/templates/preview", fmt.Sprintf(`{"template":%s,"channel":"sms"}`, parcel))
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	a.json(t, &p)
	require.Equal(t, "Hello Ana, your parcel from Example Shop comes on November 22, 2026.", p.Text)
	a = b.post("/v1/templates/preview", `{"template":{"variants":[{"channel":"sms","text":"{{x}}"}]},"channel":"sms"}`)
	require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	require.Equal(t, "#/template/variants/0", a.problem(t).Errors[0].Pointer)
}

func TestABadTemplateIsRefusedByPointer(t *testing.T) {
	t.Parallel()
	b := withTemplates(t)
	sms := func(text string) string { return `{"variants":[{"channel":"sms","text":"` + text + `"}]}` }
	mail := func(html string) string {
		return `{"variables":{"x":{"type":"string"}},"variants":[{"channel":"email","subject":"{{x}}","html":"` + html + `"}]}`
	}
	for body, pointer := range map[string]string{
		`{}`:                               "#/variants",
		`{"variants":[]}`:                  "#/variants",
		`{"variants":[{"channel":"sms"}]}`: "#/variants/0/text",
		`{"variants":[{"channel":"totp","text":"x"}]}`:                                                       "#/variants/0/channel",
		`{"variants":[{"channel":"sms","text":"x","html":"<p>"}]}`:                                           "#/variants/0/html",
		`{"variants":[{"channel":"sms","text":"x","title":"y"}]}`:                                            "#/variants/0/title",
		`{"variants":[{"channel":"push","text":"x","subject":"y"}]}`:                                         "#/variants/0/subject",
		`{"variants":[{"channel":"email","text":"x"}]}`:                                                      "#/variants/0/subject",
		`{"variants":[{"channel":"email","subject":"x\r\nBcc: y@example.com","text":"x"}]}`:                  "#/variants/0/subject",
		`{"variants":[{"channel":"sms","locale":"xx_YY","text":"x"}]}`:                                       "#/variants/0/locale",
		`{"variants":[{"channel":"sms","locale":"de","text":"x"}]}`:                                          "#/variants",
		`{"variants":[{"channel":"sms","text":"x"},{"channel":"sms","locale":"EN","text":"y"}]}`:             "#/variants/1",
		`{"default_locale":"nonsense","variants":[{"channel":"sms","text":"x"}]}`:                            "#/default_locale",
		`{"variables":{"x":{"type":"thing"}},"variants":[{"channel":"sms","text":"{{x}}"}]}`:                 "#/variables/x/type",
		`{"variables":{"x":{}},"variants":[{"channel":"sms","text":"{{x}}"}]}`:                               "#/variables/x/type",
		`{"variables":{"x":{"type":"date","default":"soon"}},"variants":[{"channel":"sms","text":"{{x}}"}]}`: "#/variables/x/default",
		sms("{{x}}"): "#/variants/0", sms("{{x"): "#/variants/0/text", sms("{{.Env}}"): "#/variants/0/text", sms("{{x|html}}"): "#/variants/0/text",
		sms(`a\u0000`): "#/variants/0/text", sms(`a\u202eb`): "#/variants/0/text", sms(strings.Repeat("x", 20001)): "#/variants/0/text",
		mail("<img src='https://example.com/a.png'>"): "#/variants/0/text",
		mail("<script>alert(1)</script>"):             "#/variants/0/html",
		mail("<p onclick='x()'>"):                     "#/variants/0/html",
		mail("<a href='javascript:alert(1)'>"):        "#/variants/0/html",
		mail("<a href='java{{x}}'>"):                  "#/variants/0/html",
		mail("<iframe src='https://example.com'>"):    "#/variants/0/html",
		mail("<form action='https://example.com'>"):   "#/variants/0/html",
		mail("<meta http-equiv='refresh'>"):           "#/variants/0/html",
		mail("<style>p{color:{{x}}}</style>"):         "#/variants/0/html",
		mail(strings.Repeat("x", 102_401)):            "#/variants/0/html",
	} {
		a := b.put("/v1/templates/bad", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, body)
		require.Equal(t, pointer, a.problem(t).Errors[0].Pointer, body)
	}
	a := b.put("/v1/templates/Bad.Name", sms("x"))
	require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	a = b.put("/v1/templates/bad", sms(strings.Repeat("x", 512<<10)))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
	require.Equal(t, "The body is over 512 KiB.", a.problem(t).Detail)
	require.Equal(t, http.StatusNotFound, b.get("/v1/templates/bad").StatusCode)

	a = b.put("/v1/templates/fine", `{"variables":{"x":{"type":"string"}},"variants":[{"channel":"sms","text":"plain"}]}`)
	require.Equal(t, http.StatusCreated, a.StatusCode)
	var saved api.Template
	a.json(t, &saved)
	require.Equal(t, []api.Fault{{Pointer: "#/variables/x", Detail: "is declared and never used"}}, saved.Warnings)
}

func TestTemplatesBelongToTheAccountAndNeedAScope(t *testing.T) {
	t.Parallel()
	b := withTemplates(t)
	require.Equal(t, http.StatusCreated, b.put("/v1/templates/parcel", parcel).StatusCode)
	const neighbour = "neighbour" // has an account of its own
	b.store.clients = append(b.store.clients, client{
		credential.Credential{ClientID: neighbour, Account: neighbour, Scope: credential.ManageAll}, shopSecret, "token-of-the-neighbour",
	})
	as := func(c call, client string) call {
		c.client = client
		return c
	}
	calls := []call{
		{method: http.MethodGet, path: "/v1/templates/parcel"},
		{method: http.MethodGet, path: "/v1/templates/parcel/versions"},
		{method: http.MethodPost, path: "/v1/templates/parcel/preview", body: `{"channel":"sms"}`},
		{method: http.MethodDelete, path: "/v1/templates/parcel"},
	}
	for _, c := range calls {
		require.Equal(t, http.StatusNotFound, b.do(as(c, neighbour)).StatusCode, c.path)
		require.Equal(t, http.StatusForbidden, b.do(as(c, colleague)).StatusCode, c.path) // manage_users
	}
	require.Equal(t, http.StatusForbidden, b.do(as(call{method: http.MethodPut, path: "/v1/templates/parcel", body: parcel}, colleague)).StatusCode)
	require.True(t, credential.ReadAll.Allows(credential.ReadTemplates))
	require.False(t, credential.ReadAll.Allows(credential.ManageTemplates))
	for _, c := range calls[:3] {
		require.Equal(t, http.StatusOK, b.do(c).StatusCode, c.path)
	}
}

func TestATemplateThatCannotBeReadNowIsUnavailable(t *testing.T) {
	t.Parallel()
	server := embednatstest.Start(t, t.TempDir())
	js := embednatstest.Connect(t, server)
	k, err := store.NewTemplates(t.Context(), js, store.TemplatesConfig{})
	require.NoError(t, err)
	b := setup(t, func(c *httpapi.Config) { c.Templates = k })
	js.Conn().Close()
	require.Equal(t, http.StatusServiceUnavailable, b.get("/v1/templates/parcel").StatusCode)
	_, err = k.Open(t.Context(), shop, "parcel", 0)
	require.ErrorIs(t, err, verification.ErrUnavailable)
}
