package template_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/template"
)

var update = flag.Bool("update", false, "write the golden files anew")

// order is a template with a text for each channel, in English and Arabic, and one text message more in German.
func order() template.Template {
	variable := func(kind template.Type) template.Variable { return template.Variable{Type: kind, Required: true} }
	return template.Template{
		Name: "order", DefaultLocale: "en",
		Variables: map[string]template.Variable{
			"name": variable(template.String), "items": variable(template.Integer), "weight": variable(template.Number),
			"day": variable(template.Date), "at": variable(template.DateTime), "from": variable(template.Time),
			"link": variable(template.URL), "total": variable(template.Money),
			"shop": {Type: template.String, Default: json.RawMessage(`"Example & Co"`)},
		},
		Variants: []template.Variant{
			{Channel: events.SMS, Locale: "en", Source: events.NotificationBody{Text: "Hello {{name}}, {{items}} items, {{weight}} kg, {{total}}, on {{day}} from {{from}} ({{at}}): {{link}}"}},
			{Channel: events.SMS, Locale: "de", Source: events.NotificationBody{Text: "Hallo {{name}}, {{items}} Artikel, {{weight}} kg, {{total}}, am {{day}} ab {{from}} ({{at}}): {{link}}"}},
			{Channel: events.SMS, Locale: "fr", Source: events.NotificationBody{Text: "{{name}}, {{items}} articles, {{weight}} kg, {{total}}, le {{day}} dès {{from}} ({{at}}): {{link}}"}},
			{Channel: events.SMS, Locale: "hi", Source: events.NotificationBody{Text: "{{name}}: {{items}}, {{weight}}, {{total}}, {{day}}, {{from}} ({{at}}): {{link}}"}},
			{Channel: events.SMS, Locale: "ar", Source: events.NotificationBody{Text: "مرحبا {{name}}، {{items}}، {{weight}}، {{total}}، {{day}} {{from}} ({{at}}): {{link}}"}},
			{Channel: events.Voice, Locale: "en", Source: events.NotificationBody{Text: "Hello {{name}}. Your order from {{shop}} comes on {{day}}."}},
			{Channel: events.Push, Locale: "en", Source: events.NotificationBody{Subject: "{{shop}}", Text: "{{name}}, your order comes on {{day}}."}},
			{Channel: events.Email, Locale: "en", Source: events.NotificationBody{Subject: "{{shop}}: your order", HTML: mailSource}},
			{Channel: events.Email, Locale: "ar", Source: events.NotificationBody{Subject: "{{shop}}: طلبك", HTML: `<h1>مرحبا {{name}}</h1><p>{{day}}</p>`}},
		},
	}
}

const mailSource = `<style>
h1 { color: #123456; }
.button { background: #0a0; color: white !important }
.button:hover { background: #0b0 }
@media (max-width: 600px) { h1 { font-size: 18px } }
</style>
<style>td { padding: 4px }</style>
<h1>Hello {{name}}</h1>
<p style="margin: 0">Your order from <b>{{shop}}</b>
   is on its way.</p>
<table><tr><td>Items</td><td>{{items}}</td></tr><tr><td>Total</td><td>{{total}}</td></tr></table>
<ul><li>One</li><li>Two &lt;3&gt;</li></ul>
<p><a class="button" href="{{link}}">See your order</a> or write to <a href="mailto:help@example.com">help@example.com</a></p>
<img src="https://example.com/logo.png" alt="Example logo">`

func values() map[string]any {
	return map[string]any{
		"name": `Zoë "<b>" {{shop}}`, "items": json.Number("1234"), "weight": 2.5, "day": "2026-11-02", "at": "2026-11-02T14:05:00+01:00",
		"from": "09:30", "link": "https://example.com/o?id=1&x=2", "total": map[string]any{"amount": "1234.50", "currency": "EUR"},
	}
}

func compiled(t testing.TB, x template.Template) *template.Compiled {
	t.Helper()
	faults, _, err := template.Prepare(&x, t.Context().Err)
	require.NoError(t, err)
	require.Empty(t, faults)
	c, err := template.Compile(x)
	require.NoError(t, err)
	return c
}

func TestMessagesAreAsTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	x := order()
	v := values()
	c := compiled(t, x)
	for _, reader := range []struct {
		channel events.Channel
		locale  string
	}{
		{events.SMS, "en"},
		{events.SMS, "en-GB"},
		{events.SMS, "de-CH"},
		{events.SMS, "fr-CA"},
		{events.SMS, "hi"},
		{events.SMS, "ar"},
		{events.SMS, "ja"},
		{events.Voice, ""},
		{events.Push, "de"},
		{events.Email, "en"},
		{events.Email, "ar-EG"},
	} {
		m, faults := c.Compose(reader.channel, reader.locale, v)
		require.Empty(t, faults, reader)
		var out strings.Builder
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		require.NoError(t, encoder.Encode(m))
		path := filepath.Join("testdata", string(reader.channel)+"_"+reader.locale+".json")
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(out.String()), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), out.String(), path)
	}
}

func TestAMailOfALanguageFromRightToLeftSaysSo(t *testing.T) {
	t.Parallel()
	m, faults := compiled(t, order()).Compose(events.Email, "ar", values())
	require.Empty(t, faults)
	require.True(t, strings.HasPrefix(m.Rendered.HTML, `<!DOCTYPE html><html lang="ar" dir="rtl">`), m.Rendered.HTML)
	x := order()
	x.Variants[8].Source.HTML = `<html dir="ltr" lang="ar-MA"><p>{{name}}</p></html>`
	m, faults = compiled(t, x).Compose(events.Email, "ar", values())
	require.Empty(t, faults)
	require.Contains(t, m.Rendered.HTML, `<html dir="ltr" lang="ar-MA">`)
}

func TestPreparingIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	first := order()
	_, _, _ = template.Prepare(&first, t.Context().Err)
	for range 20 {
		again := order()
		_, _, _ = template.Prepare(&again, t.Context().Err)
		require.Equal(t, first, again)
	}
}

func TestAReaderGetsTheNextBestLocale(t *testing.T) {
	t.Parallel()
	c := compiled(t, order())
	for locale, want := range map[string]string{"de": "de", "de-AT": "de", "DE": "de", "": "en", "ja": "en", "en-GB": "en", "nonsense!": "en"} {
		m, faults := c.Compose(events.SMS, locale, values())
		require.Empty(t, faults, locale)
		require.Equal(t, want, m.Locale, locale)
	}
	require.True(t, c.Has(events.Push))
	require.False(t, c.Has(events.TOTP))
}

func TestWhatIsWrongWithVariablesIsNamedAndNeverShown(t *testing.T) {
	t.Parallel()
	c := compiled(t, order())
	for _, x := range []struct {
		name   string
		value  any
		detail string
	}{
		{"name", nil, "is missing"},
		{"name", 7, "must be a string, as its type is string"},
		{"name", strings.Repeat("x", 501), "must be at most 500 characters, not 501"},
		{"name", "a\x00", "must not hold control characters"},
		{"name", "a\u202e", "must not hold characters that change the direction of text"},
		{"items", "7", "must be an integer"},
		{"items", 7.5, "must be an integer"},
		{"items", 1e15, "must be less than 1,000,000,000,000,000"},
		{"weight", "x", "must be a number"},
		{"weight", true, "must be a number"},
		{"day", "2026-02-30", "must be a date such as 2026-11-22"},
		{"at", "2026-11-02 14:05", "must be a time such as 2026-11-22T14:05:00+01:00"},
		{"from", "25:00", "must be a time of day such as 14:05"},
		{"link", "http://example.com", "must be an absolute https address"},
		{"link", "javascript:alert(1)", "must be an absolute https address"},
		{"link", "https://user:pass@example.com", "must be an absolute https address"},
		{"link", `https://example.com/"><script>`, "must be an absolute https address"},
		{"link", "https://", "must be an absolute https address"},
		{"total", "12.50", `must be an object such as {"amount": "12.50", "currency": "EUR"}`},
		{"total", map[string]any{"amount": "12.50", "currency": "XXL"}, "must have a currency of ISO 4217, such as EUR"},
		{"total", map[string]any{"amount": "1e3", "currency": "EUR"}, `must have an amount such as "12.50"`},
		{"total", map[string]any{"amount": "1.505", "currency": "EUR"}, "must have an amount of at most 2 decimals, as the currency has"},
		{"total", map[string]any{"amount": "1.5", "currency": "JPY"}, "must have an amount of at most 0 decimals, as the currency has"},
		{"total", map[string]any{"amount": "1", "currency": "EUR", "x": "y"}, `must be an object such as {"amount": "12.50", "currency": "EUR"}`},
		{"colour", "red", "is not a variable of this text"},
	} {
		v := values()
		v[x.name] = x.value
		for _, channel := range []events.Channel{events.SMS, events.Voice} { // the call shows few of them, and all are checked
			_, faults := c.Compose(channel, "en", v)
			require.Equal(t, []template.Fault{{Field: "variables/" + x.name, Detail: x.detail}}, faults, "%s %v", x.name, x.value)
		}
	}
	_, faults := c.Compose(events.SMS, "en", map[string]any{"bad name/~": 1})
	require.Contains(t, faults, template.Fault{Field: "variables", Detail: "has a name that no variable can have"})
	_, faults = c.Compose(events.SMS, "en", nil)
	require.Len(t, faults, 8, "each missing one is named")
	v := values()
	v["shop"] = "Shop\nBcc: b@example.com"
	_, faults = c.Compose(events.Email, "en", v)
	require.Equal(t, []template.Fault{{Field: "variables/shop", Detail: "must not hold line breaks or tabs, since it stands in the subject"}}, faults)
}

func TestATextThatIsTooLongForItsChannelIsRefused(t *testing.T) {
	t.Parallel()
	own := func(channel events.Channel, body events.NotificationBody, value string) []template.Fault {
		c, faults := template.Own(channel, "", body)
		require.Empty(t, faults)
		_, faults = c.Compose(channel, "", map[string]any{"x": value})
		return faults
	}
	require.Empty(t, own(events.SMS, events.NotificationBody{Text: "{{x}}"}, strings.Repeat("x", 1530)))
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is 11 parts long when it is filled, more than the 10 that sms carries"}},
		own(events.SMS, events.NotificationBody{Text: "{{x}}"}, strings.Repeat("x", 1531)))
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is 11 parts long when it is filled, more than the 10 that sms carries"}},
		own(events.SMS, events.NotificationBody{Text: "{{x}}"}, strings.Repeat("я", 671)))
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is 1001 characters long when it is filled, more than the 1000 that voice carries"}},
		own(events.Voice, events.NotificationBody{Text: "{{x}}"}, strings.Repeat("x", 1001)))
	require.Equal(t, []template.Fault{{Field: "title", Detail: "is 101 characters long when it is filled, more than the 100 that push carries"}},
		own(events.Push, events.NotificationBody{Subject: "{{x}}", Text: "x"}, strings.Repeat("x", 101)))
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is 3201 bytes of JSON long when it is filled, more than the 3000 that push carries"}},
		own(events.Push, events.NotificationBody{Subject: "x", Text: "{{x}}"}, strings.Repeat("я", 1600)))
	require.Empty(t, own(events.Push, events.NotificationBody{Text: "{{x}}"}, strings.Repeat("&", 500)))
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is 3006 bytes of JSON long when it is filled, more than the 3000 that push carries"}},
		own(events.Push, events.NotificationBody{Text: "{{x}}"}, strings.Repeat("<", 501)), "six bytes each, as APNs gets them")
	require.Equal(t, []template.Fault{{Field: "subject", Detail: "is empty when it is filled"}},
		own(events.Email, events.NotificationBody{Subject: "{{x}}", Text: "x"}, " "))
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is empty when it is filled"}}, own(events.SMS, events.NotificationBody{Text: "{{x}}"}, ""))
	require.Equal(t, []template.Fault{{Field: "subject", Detail: "is 260 characters long when it is filled, more than 255"}},
		own(events.Email, events.NotificationBody{Subject: "{{x}}", Text: "x"}, strings.Repeat("x", 260)))
}

func TestARequestsOwnTextTakesStringsAndNumbers(t *testing.T) {
	t.Parallel()
	c, faults := template.Own(events.Email, "de", events.NotificationBody{Subject: "{{a}}", HTML: "<style>p{margin:0}</style><p>{{b}}</p>"})
	require.Empty(t, faults)
	m, faults := c.Compose(events.Email, "", map[string]any{"a": "x", "b": 1234.5})
	require.Empty(t, faults)
	require.Equal(t, "1.234,5", m.Rendered.Text)
	require.Contains(t, m.Rendered.HTML, `<p style="margin:0">1.234,5</p>`)
	require.Equal(t, map[string]string{"a": "x", "b": "1.234,5"}, m.Filled)
	require.Zero(t, c.Version())
	_, faults = c.Compose(events.Email, "", map[string]any{"a": "x", "b": true, "c": "y"})
	require.Equal(t, []template.Fault{
		{Field: "variables/c", Detail: "is not a variable of this text"},
		{Field: "variables/b", Detail: "must be a string, as its type is string"},
	}, faults)
	for _, x := range []struct {
		channel events.Channel
		body    events.NotificationBody
		field   string
	}{
		{events.SMS, events.NotificationBody{}, "text"},
		{events.SMS, events.NotificationBody{Text: "{{"}, "text"},
		{events.Email, events.NotificationBody{Text: "x"}, "subject"},
		{events.Push, events.NotificationBody{Subject: "a\nb", Text: "x"}, "title"},
		{events.Email, events.NotificationBody{Subject: "x", HTML: "<script>"}, "html"},
		{"fax", events.NotificationBody{Text: "x"}, "channel"},
	} {
		_, faults := template.Own(x.channel, "en", x.body)
		require.NotEmpty(t, faults)
		require.Equal(t, x.field, faults[0].Field)
	}
}

func TestWhatHasNoPlaceInAMailIsRefused(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`<script>x</script>`:                                         "must not have the element script",
		`<svg onload=x><circle/></svg>`:                              "must not have the element svg",
		`<iframe src="https://e.com">`:                               "must not have the element iframe",
		`<form><input></form>`:                                       "must not have the element form",
		`<xmp><!--[if mso]><form><![endif]--></xmp>`:                 "must not have the element xmp",
		`<noembed><form></noembed>`:                                  "must not have the element noembed",
		`<object data="https://e.com">`:                              "must not have the element object",
		`<link rel=stylesheet href="https://e.com/x.css">`:           "must not have the element link",
		`<base href="https://e.com">`:                                "must not have the element base",
		`<meta http-equiv="refresh" content="0;url=//e.com">`:        "must not have the attribute http-equiv",
		`<p onclick="x()">`:                                          "must not have the attribute onclick",
		`<img src=x OnError=x>`:                                      "must not have the attribute onerror",
		`<a href="javascript:alert(1)">x</a>`:                        "must have links that begin with https:, http:, mailto:, tel:, # or a variable",
		`<a href=" java&#115;cript:alert(1)">x</a>`:                  "must have links that begin with https:, http:, mailto:, tel:, # or a variable",
		`<a href="/relative">x</a>`:                                  "must have links that begin with https:, http:, mailto:, tel:, # or a variable",
		`<img src="http://e.com/x.png">`:                             "must have the src of img begin with https:, cid: or a variable",
		`<img src="data:text/html,x">`:                               "must have the src of img begin with https:, cid: or a variable",
		`<style>@import "https://e.com"</style>`:                     "must not have @import in its styles",
		`<p style="background:url(javascript:x)">`:                   "must not have javascript: in its styles",
		`<p style="background:url(http://e.com)">`:                   "must have addresses that begin with https: in its styles",
		`<p style="width:expression(alert(1))">`:                     "must not have expression( in its styles",
		`<style>p{background:u\72l(x)}</style>`:                      "must not have escapes in its styles",
		`<style>p{background:url(https:a url(https:b)}</style>`:      "must close each url( in its styles with )",
		`<p style="background:url('https://e.com/a)">`:               "must close each url( in its styles with )",
		`<p style="` + strings.Repeat("url(https:", 10_000) + `">`:   "must close each url( in its styles with )",
		`<style>div:has(div:has(i)){color:red}</style>`:              "must not have the selector div:has(div:has(i)) in its styles: one with ( or #= may stand within @media only",
		`<style>b, li:nth-child(2n){color:red}</style>`:              "must not have the selector b, li:nth-child(2n) in its styles: one with ( or #= may stand within @media only",
		`<style>a[href#=x]{color:red}</style>`:                       "must not have the selector a[href#=x] in its styles: one with ( or #= may stand within @media only",
		`<style>` + strings.Repeat("p{color:red}", 501) + `</style>`: "must have at most 500 rules in its styles, not 501",
	} {
		_, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: source})
		require.Contains(t, faults, template.Fault{Field: "html", Detail: want}, source)
	}
}

func TestStylesThatWouldTakeTooLongAreRefused(t *testing.T) {
	t.Parallel()
	const want = "has too many elements for so many selectors, or selectors of too many parts, in its styles"
	many := strings.Repeat("<b>x</b>", 5000)
	for _, source := range []string{
		"<style>" + strings.Repeat("b,", 20_000) + "b{color:red}</style>" + many,
		"<style>i b b b b b b b b b b{color:red}</style>" + strings.Repeat("<div><b>", 200),
		"<style>i ~ b ~ b{color:red}</style>" + many,
		`<style media="all">i b b b b b b b b{color:red}</style>` + strings.Repeat("<div><b>", 200),
		`<style media=" ALL ">i b b b b b b b b{color:red}</style>` + strings.Repeat("<div><b>", 200),
		"<style>b{" + strings.Repeat("a:b;", 10_000) + "}</style>" + many, // each would get all of them
		"<style>" + strings.Repeat("b:hover,", 5000) + "b:hover{" + strings.Repeat("a:b;", 10_000) + "}</style>",
	} {
		_, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: source})
		require.Equal(t, []template.Fault{{Field: "html", Detail: want}}, faults, source[:40])
	}
	_, faults := template.Own(events.Email, "en", events.NotificationBody{
		Subject: "x", HTML: "<style>" + strings.Repeat("table.body td > p b{color:red}", 50) + "</style>" + strings.Repeat("<table><tr><td>", 5) + strings.Repeat("<p><b>x</b>", 50),
	})
	require.Empty(t, faults)
}

func TestAMailThatTheParserWouldMakeHugeIsRefused(t *testing.T) {
	t.Parallel()
	var open strings.Builder
	for i := range 400 {
		fmt.Fprintf(&open, "<b a%d>", i)
	}
	for _, source := range []string{
		"<p>" + open.String() + "</p>" + strings.Repeat("<p>x", 1000), // each paragraph gets all of them
		"<p>" + open.String() + "<table><td>" + strings.Repeat("</b>", 400) + "</table></p>" + strings.Repeat("<p>x", 1000),
	} {
		_, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: source})
		require.Equal(t, []template.Fault{{Field: "html", Detail: "has too many elements such as b and font that are not closed"}}, faults)
	}
	for _, source := range []string{
		"<ul>" + strings.Repeat(`<li><a href="https://e.com">x</a> <b>y</b><br>`, 1500) + "</ul>",
		strings.Repeat("<font>", 5) + strings.Repeat("<p>x<b>y</b></p>", 5000),
		"<table>" + strings.Repeat("<tr><td><b>x<td>y", 100),
	} {
		_, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", Text: "x", HTML: source})
		require.Empty(t, faults, source[:40])
	}
}

func TestStylesForAllMediaAreOneStyle(t *testing.T) {
	t.Parallel()
	c, faults := template.Own(events.Email, "en", events.NotificationBody{
		Subject: "x", HTML: `<style media="all">b{color:red}</style><style>b{margin:0}</style><style media="all">i{color:blue}</style>` +
			`<style media="print">b{color:black}</style><style>@media screen{b:not(.x){color:green}}</style><b>x</b><i>y</i>`,
	})
	require.Empty(t, faults)
	m, faults := c.Compose(events.Email, "en", nil)
	require.Empty(t, faults)
	require.Contains(t, m.Rendered.HTML, `<b style="color:red;margin:0">x</b><i style="color:blue">y</i>`)
	require.Contains(t, m.Rendered.HTML, `<style media="print">b{color:black}</style>`)
	require.Contains(t, m.Rendered.HTML, `b:not(.x)`)
	require.NotContains(t, m.Rendered.HTML, `media="all"`)
}

func TestTheMailsOfATemplateShareOneBound(t *testing.T) {
	t.Parallel()
	x := template.Template{Name: "many", DefaultLocale: "en"}
	for _, locale := range []string{"en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "pl"} {
		x.Variants = append(x.Variants, template.Variant{Channel: events.Email, Locale: locale, Source: events.NotificationBody{
			Subject: "x", HTML: "<style>" + strings.Repeat("table.body td > p b{color:red}", 100) + "</style>" + strings.Repeat("<table><tr><td>", 5) + strings.Repeat("<p><b>x</b>", 50),
		}})
	}
	few := x
	few.Variants = x.Variants[:4:4]
	faults, _, err := template.Prepare(&few, t.Context().Err)
	require.NoError(t, err)
	require.Empty(t, faults)
	faults, _, err = template.Prepare(&x, t.Context().Err)
	require.NoError(t, err)
	require.Contains(t, faults, template.Fault{
		Field: "variants/9/html", Detail: "has, together with the mails before it, too many elements for so many selectors in its styles",
	})
}

func TestATemplateIsPreparedForNobodyWhoIsGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := order()
	_, _, err := template.Prepare(&x, ctx.Err)
	require.ErrorIs(t, err, context.Canceled)
}

func TestATextIsMadeOfTheHTMLUnlessThereIsOne(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"<p>One</p><p>Two</p>":                                            "One\n\nTwo",
		"<div>One</div><div>Two<br>Three</div>":                           "One\nTwo\nThree",
		"<h1>Title</h1>\n\n<p>  a \n b  <b>c</b>d </p>":                   "Title\n\na b cd",
		"<table><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></table>": "a b\nc",
		"<ul><li>one</li><li>two</li></ul>x":                              "- one\n- two\n\nx",
		`<a href="https://e.com/?a=1&amp;b=2">here</a>.`:                  "here (https://e.com/?a=1&b=2).",
		`<a href="https://e.com">https://e.com</a>`:                       "https://e.com",
		`<a href="tel:+4912345">+4912345</a> <a href="#top">top</a>`:      "+4912345 top",
		`<img src="https://e.com/x" alt="Logo"> x`:                        "Logo x",
		"<head><title>no</title><style>p{}</style></head>a&lt;b&gt;&amp;": "a<b>&",
		"a<hr>b": "a\n\n--\n\nb",
	} {
		c, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: source})
		require.Empty(t, faults, source)
		m, faults := c.Compose(events.Email, "en", nil)
		require.Empty(t, faults, source)
		require.Equal(t, want, m.Rendered.Text, source)
	}
	c, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: "<p>a</p>", Text: "given"})
	require.Empty(t, faults)
	m, _ := c.Compose(events.Email, "en", nil)
	require.Equal(t, "given", m.Rendered.Text)
}

func TestAMailHasWords(t *testing.T) {
	t.Parallel()
	const picture = `<p><img src="https://x.example/a.png"></p>`
	for _, body := range []events.NotificationBody{
		{Subject: "x", HTML: picture}, {Subject: "x", HTML: picture, Text: " \n"}, {Subject: "x", HTML: "<style>p{margin:0}</style>"},
	} {
		_, faults := template.Own(events.Email, "en", body)
		require.Equal(t, []template.Fault{{Field: "text", Detail: "is required, since the html has no words"}}, faults)
	}
	x := template.Template{
		Name: "note", DefaultLocale: "en", Variables: map[string]template.Variable{"note": {Type: template.String}},
		Variants: []template.Variant{{Channel: events.Email, Locale: "en", Source: events.NotificationBody{Subject: "x", HTML: "<p>{{note}}</p>"}}},
	}
	c := compiled(t, x)
	_, faults := c.Compose(events.Email, "en", nil)
	require.Equal(t, []template.Fault{{Field: "text", Detail: "is empty when it is filled"}}, faults)
	_, faults = c.Compose(events.Email, "en", map[string]any{"note": "y"})
	require.Empty(t, faults)
}

func TestCommentsOfMailsAreDropped(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`<!--[if mso]><a href="http://e.com"><form><script>x</script></form></a><![endif]--><p>x<!-- y --></p><!-- z -->`,
		`<?xml x ?><![CDATA[y]]><p>x</p>`,
	} {
		c, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: source})
		require.Empty(t, faults)
		m, faults := c.Compose(events.Email, "en", nil)
		require.Empty(t, faults)
		require.Equal(t, `<!DOCTYPE html><html lang="en"><head></head><body><p>x</p></body></html>`, m.Rendered.HTML)
	}
}

// FuzzMail takes any HTML and any value: nothing panics, and a value makes no element that was not there.
func FuzzMail(f *testing.F) {
	f.Add(mailSource, "<b>")
	f.Add(`<a href="{{link}}">x</a><style>a{b:c}</style>`, "https://example.com")
	f.Add(`<table>{{name}}<tr><style>@media x{`, "</table>")
	f.Fuzz(func(t *testing.T, source, value string) {
		c, faults := template.Own(events.Email, "en", events.NotificationBody{Subject: "x", HTML: source})
		if len(faults) > 0 {
			return
		}
		filled := func(value string) (string, bool) {
			v := map[string]any{}
			for _, name := range c.Variables(events.Email, "en") {
				v[name] = value
			}
			m, faults := c.Compose(events.Email, "en", v)
			return m.Rendered.HTML, len(faults) == 0
		}
		with, ok := filled(value)
		without, fine := filled("https://x")
		if ok && fine && elements(with) != elements(without) {
			t.Fatalf("%q has other elements than %q", with, without)
		}
	})
}

// elements counts those of a document.
func elements(document string) int {
	n := 0
	z := html.NewTokenizer(strings.NewReader(document))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return n
		case html.StartTagToken, html.SelfClosingTagToken:
			n++
		default:
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	c := compiled(b, order())
	for _, channel := range []events.Channel{events.SMS, events.Email} {
		b.Run(string(channel), func(b *testing.B) {
			v := values()
			b.ReportAllocs()
			for b.Loop() {
				if _, faults := c.Compose(channel, "en", v); len(faults) > 0 {
					b.Fatal(faults)
				}
			}
		})
	}
}
