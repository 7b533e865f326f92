package template_test

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/template"
)

func parsed(t testing.TB, body events.NotificationBody) *template.Body {
	t.Helper()
	b, err := template.Parse(body)
	require.NoError(t, err)
	return b
}

func TestABodyIsFilled(t *testing.T) {
	t.Parallel()
	b := parsed(t, events.NotificationBody{
		Subject: "{{ shop }}: order {{order}}",
		Text:    "Hello {{name}},\nyour order {{order}} is on its way: {{link}}. } }} {x} {",
		HTML:    `<p title="{{name}}">Hello {{name}}</p><a href="{{link}}">Order</a><a href='https://e.com/?o={{order}}'>x</a>`,
	})
	require.Equal(t, []string{"link", "name", "order", "shop"}, b.Variables())
	filled, err := b.Fill(map[string]string{
		"shop": "Käse & Co", "order": "a b&c=1", "name": `Ann "A" <b>`, "link": "https://e.com/?a=1&b=2", "unused": "\x00",
	})
	require.NoError(t, err)
	require.Equal(t, events.NotificationBody{
		Subject: "Käse & Co: order a b&c=1",
		Text:    "Hello Ann \"A\" <b>,\nyour order a b&c=1 is on its way: https://e.com/?a=1&b=2. } }} {x} {",
		HTML: `<p title="Ann &#34;A&#34; &lt;b&gt;">Hello Ann &#34;A&#34; &lt;b&gt;</p>` +
			`<a href="https://e.com/?a=1&amp;b=2">Order</a><a href='https://e.com/?o=a%20b%26c%3d1'>x</a>`,
	}, filled)
}

func TestABodyWithoutPlaceholdersIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	body := events.NotificationBody{Subject: "Hi", Text: "a } b {", HTML: "<!-- kept --><p>x</p>"}
	filled, err := parsed(t, body).Fill(nil)
	require.NoError(t, err)
	require.Equal(t, body, filled)
}

func TestValuesAreDataAndNeverTemplates(t *testing.T) {
	t.Parallel()
	b := parsed(t, events.NotificationBody{Subject: "{{a}}", Text: "{{a}}{{b}}", HTML: "<p>{{a}}{{b}}</p>"})
	filled, err := b.Fill(map[string]string{"a": "{{b}} {{", "b": `}}{{.a}}{{printf "%s" .}}`})
	require.NoError(t, err)
	require.Equal(t, "{{b}} {{", filled.Subject)
	require.Equal(t, `{{b}} {{}}{{.a}}{{printf "%s" .}}`, filled.Text)
	require.Equal(t, `<p>{{b}} {{}}{{.a}}{{printf &#34;%s&#34; .}}</p>`, filled.HTML)
}

func TestFaultsOfABodyNameTheirPlace(t *testing.T) {
	t.Parallel()
	const name = "must hold a variable's name only: letters, digits and underscores, the first a letter"
	for _, c := range []struct {
		body     events.NotificationBody
		part     string
		position int
		detail   string
	}{
		{events.NotificationBody{Text: "Grüße {{name"}, "text", 6, "opens a placeholder that is not closed with }}"},
		{events.NotificationBody{Text: "a {{}}"}, "text", 2, name},
		{events.NotificationBody{Text: "{{.name}}"}, "text", 0, name},
		{events.NotificationBody{Text: "{{name | upper}}"}, "text", 0, name},
		{events.NotificationBody{Text: "{{if name}}"}, "text", 0, name},
		{events.NotificationBody{Text: `{{"x"}}`}, "text", 0, name},
		{events.NotificationBody{Text: "{{1a}}"}, "text", 0, name},
		{events.NotificationBody{Text: "{{-name-}}"}, "text", 0, name},
		{events.NotificationBody{Text: "{{na\nme}}"}, "text", 0, name},
		{events.NotificationBody{Text: "{{{name}}}"}, "text", 0, name},
		{events.NotificationBody{Text: "{{" + strings.Repeat("a", 65) + "}}"}, "text", 0, name},
		{events.NotificationBody{Subject: "a\r\nBcc: b@example.com"}, "subject", 1, "must not hold control characters"},
		{events.NotificationBody{Subject: "a\nb"}, "subject", 1, "must not hold line breaks or tabs"},
		{events.NotificationBody{Subject: "a\u202eb"}, "subject", 1, "must not hold characters that change the direction of text"},
		{events.NotificationBody{Text: "a\x00"}, "text", 1, "must not hold control characters"},
		{events.NotificationBody{Text: "a\u2066"}, "text", 1, "must not hold characters that change the direction of text"},
		{events.NotificationBody{HTML: "a\x1b"}, "html", 1, "must not hold control characters"},
		{events.NotificationBody{Text: "a\xff"}, "text", 1, "holds a character that is not valid Unicode"},
		{events.NotificationBody{Subject: strings.Repeat("ä", 256)}, "subject", 255, "must be at most 255 characters, not 256"},
		{events.NotificationBody{Text: strings.Repeat("a", 20_001)}, "text", 20_000, "must be at most 20000 characters, not 20001"},
		{events.NotificationBody{HTML: strings.Repeat("a", 102_401)}, "html", 102_400, "must be at most 102400 bytes, not 102401"},
		{events.NotificationBody{HTML: "ä<script>{{x}}</script>"}, "html", 9, "must not have the placeholder x in a script, a style, a list of images, or the name of a tag or attribute"},
		{events.NotificationBody{HTML: "{{y}}<p style='color: {{x}}'>"}, "html", 22, "must not have the placeholder x in a script, a style, a list of images, or the name of a tag or attribute"},
		{events.NotificationBody{HTML: "<p {{x}}=1>"}, "html", 3, "must not have the placeholder x in a script, a style, a list of images, or the name of a tag or attribute"},
		{events.NotificationBody{HTML: `<a onclick="{{x}}">`}, "html", 12, "must not have the placeholder x in a script, a style, a list of images, or the name of a tag or attribute"},
		{events.NotificationBody{HTML: `<img srcset="{{x}}">`}, "html", 13, "must not have the placeholder x in a script, a style, a list of images, or the name of a tag or attribute"},
		{events.NotificationBody{HTML: "<!-- {{x}} -->"}, "html", 5, "must not have the placeholder x in a script, a style, a list of images, or the name of a tag or attribute"},
		{events.NotificationBody{HTML: `<p title="{{x}}`}, "html", 0, "ends within a tag, an attribute, a comment, a script or a style"},
	} {
		_, err := template.Parse(c.body)
		var faults template.Faults
		require.ErrorAs(t, err, &faults, "%+v", c.body)
		require.Equal(t, template.Faults{{Part: c.part, Position: c.position, Detail: c.detail}}, faults, "%+v", c.body)
	}
}

func TestSeveralFaultsAreToldAtOnceAndThereIsAnEnd(t *testing.T) {
	t.Parallel()
	_, err := template.Parse(events.NotificationBody{Subject: "{{a", Text: "{{1}} {{2}} {{"})
	require.EqualError(t, err, "body: subject, position 0: opens a placeholder that is not closed with }}; "+
		"text, position 0: must hold a variable's name only: letters, digits and underscores, the first a letter; "+
		"text, position 6: must hold a variable's name only: letters, digits and underscores, the first a letter; "+
		"text, position 12: opens a placeholder that is not closed with }}")
	_, err = template.Parse(events.NotificationBody{Text: strings.Repeat("{{1}}", 4000)})
	var faults template.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 16)
	var many strings.Builder
	for i := range 65 {
		many.WriteString("{{v" + strconv.Itoa(i) + "}}")
	}
	_, err = template.Parse(events.NotificationBody{Text: many.String()})
	require.EqualError(t, err, "body: must use at most 64 variables")
}

func TestMarksOfRightToLeftScriptsAreFineInBodies(t *testing.T) {
	t.Parallel()
	filled, err := parsed(t, events.NotificationBody{Text: "مرحبا \u200f{{name}}\u200f!"}).Fill(map[string]string{"name": "ليلى"})
	require.NoError(t, err)
	require.Equal(t, "مرحبا \u200fليلى\u200f!", filled.Text)
}

func TestAValueThatCannotBeFilledInIsNamedAndNeverShown(t *testing.T) {
	t.Parallel()
	body := events.NotificationBody{Subject: "{{s}}", Text: "{{t}}", HTML: `<a href="{{u}}">{{t}}</a>`}
	good := map[string]string{"s": "s", "t": "t", "u": "https://example.com/"}
	for _, c := range []struct{ name, value, want string }{
		{"s", "a\nBcc: b@example.com", "variable s must not hold line breaks or tabs, since it stands in the subject"},
		{"s", "a\r\nBcc: b@example.com", "variable s must not hold control characters"},
		{"s", "a\u2028b", "variable s must not hold control characters"},
		{"t", "a\x00b", "variable t must not hold control characters"},
		{"t", "a\u202eb", "variable t must not hold characters that change the direction of text"},
		{"t", "a\xffb", "variable t holds a character that is not valid Unicode"},
		{"u", "javascript:alert(1)", "variable u must be an http, https, mailto or tel address, since it stands as a link"},
		{"u", "data:text/html,x", "variable u must be an http, https, mailto or tel address, since it stands as a link"},
		{"u", "//example.com", "variable u must be an http, https, mailto or tel address, since it stands as a link"},
		{"u", "", "variable u must be an http, https, mailto or tel address, since it stands as a link"},
		{"u", " https://example.com", "variable u must be an http, https, mailto or tel address, since it stands as a link"},
	} {
		values := maps.Clone(good)
		values[c.name] = c.value
		_, err := parsed(t, body).Fill(values)
		require.EqualError(t, err, c.want, "%q", c.value)
	}
	_, err := parsed(t, body).Fill(map[string]string{"s": "s", "u": "https://example.com"})
	var missing *template.VariableError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, template.VariableError{Name: "t", Detail: "is missing"}, *missing)
	for _, u := range []string{"HTTPS://example.com", "mailto:a@example.com", "tel:+491701234567"} {
		values := maps.Clone(good)
		values["u"] = u
		_, err := parsed(t, body).Fill(values)
		require.NoError(t, err, u)
	}
}

func TestWhatComesOutIsBounded(t *testing.T) {
	t.Parallel()
	b := parsed(t, events.NotificationBody{Subject: "{{x}}", Text: "{{x}}", HTML: "<p>{{x}}</p>"})
	_, err := b.Fill(map[string]string{"x": strings.Repeat("<", 60_000)})
	require.EqualError(t, err, "body: subject, position 255: is 60000 characters long when it is filled, more than 255; "+
		"text, position 20000: is 60000 characters long when it is filled, more than 20000; "+
		"html, position 204800: is 240007 bytes long when it is filled, more than 204800")
}

func TestManyFillOneBodyAtOnce(t *testing.T) {
	t.Parallel()
	b := parsed(t, events.NotificationBody{Subject: "{{x}}", Text: "{{x}}", HTML: "<p>{{x}}</p>"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			value := strconv.Itoa(i)
			for range 100 {
				filled, err := b.Fill(map[string]string{"x": value})
				if err != nil || filled.Text != value || filled.HTML != "<p>"+value+"</p>" {
					t.Errorf("%+v %v", filled, err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzParse takes any body and any value: nothing panics, a value never becomes markup, and every literal survives.
func FuzzParse(f *testing.F) {
	f.Add("{{a}}", "Hello {{a}} {{b}}", `<p title="{{a}}">{{b}}</p>`, "<b>", "{{a}}")
	f.Add("x", "{{", "<a href={{a}}>x</a>", "javascript:x", "\r\n")
	f.Add("", "{{ a}}", "<a href='{{a}}{{b}}'><!--x--><textarea>{{a}}</textarea>", "https://e.com", "'><script>")
	f.Fuzz(func(t *testing.T, subject, text, html, first, second string) {
		b, err := template.Parse(events.NotificationBody{Subject: subject, Text: text, HTML: html})
		if err != nil {
			return
		}
		values := map[string]string{}
		for i, name := range b.Variables() {
			values[name] = []string{first, second}[i%2]
		}
		filled, err := b.Fill(values)
		if err != nil {
			return
		}
		if strings.ContainsAny(filled.Subject, "\r\n") {
			t.Fatalf("the subject %q has lines", filled.Subject)
		}
		if strings.Count(filled.HTML, "<") > strings.Count(html, "<") ||
			strings.Count(filled.HTML, ">") > strings.Count(html, ">") || strings.Count(filled.HTML, `"`) > strings.Count(html, `"`) {
			t.Fatalf("a value became markup: %q of %q", filled.HTML, html)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	body := parsed(b, events.NotificationBody{
		Subject: "{{shop}}: {{order}}", Text: "Hello {{name}}, your order {{order}} is on its way.",
		HTML: "<html><body>" + strings.Repeat("<p>Hello {{name}}, your order is on its way.</p>", 20) + `<a href="{{link}}">See</a></body></html>`,
	})
	values := map[string]string{"shop": "Shop", "order": "4711", "name": "Ana", "link": "https://example.com/4711"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := body.Fill(values); err != nil {
			b.Fatal(err)
		}
	}
}
