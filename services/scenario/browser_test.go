package scenario_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// browser is a person in front of an accept page: it keeps cookies and presses what it sees.
type browser struct {
	t      *testing.T
	client *http.Client
	link   string
	page   page
	opened time.Time
	number string // what the person reads on the screen where they began
}

// page is what stands on an accept page.
type page struct {
	status  int
	text    string
	hidden  url.Values
	buttons map[string][2]string // by what they say: name and value
	// asksNumber is set where there is a field for the number to match.
	asksNumber bool
}

const (
	pageWithin = 20 * time.Second
	// reading is how long a person looks at a page before they press.
	reading = 1600 * time.Millisecond
)

// Opens follows a link as a person does, and shows the page.
func Opens(t *testing.T, link string) *browser {
	t.Helper()
	require.NotEmpty(t, link, "the message has no link")
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &browser{t: t, link: link, client: &http.Client{
		Jar: jar, Timeout: pageWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	b.Looks()
	return b
}

// Looks loads the page again.
func (b *browser) Looks() page {
	b.t.Helper()
	b.page, b.opened = b.load(http.MethodGet, nil), time.Now()
	return b.page
}

// Seeing is the same person, who sees a number on the screen where they began.
func (b *browser) Seeing(number string) *browser {
	b.t.Helper()
	require.Len(b.t, number, 2, "there is no number to match")
	b.number = number
	return b
}

func (b *browser) load(method string, form url.Values) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.link, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)")
	r.Header.Set("Accept-Language", "en-GB,en;q=0.9")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer func() { _ = res.Body.Close() }()
	root, err := html.Parse(io.LimitReader(res.Body, 1<<20))
	require.NoError(b.t, err)
	p := page{status: res.StatusCode, hidden: url.Values{}, buttons: map[string][2]string{}}
	p.read(root)
	return p
}

// read collects the words, the hidden fields and the buttons of a page.
func (p *page) read(n *html.Node) {
	attr := func(name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	switch {
	case n.Type == html.TextNode:
		p.text += n.Data
	case n.Type == html.ElementNode && n.Data == "input" && attr("type") == "hidden":
		p.hidden.Set(attr("name"), attr("value"))
	case n.Type == html.ElementNode && n.Data == "input" && attr("name") == "number":
		p.asksNumber = true
	case n.Type == html.ElementNode && n.Data == "button":
		p.buttons[strings.TrimSpace(words(n))] = [2]string{attr("name"), attr("value")}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.read(c)
	}
}

func words(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	text := ""
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		text += words(c)
	}
	return text
}

// form is what the browser sends for a button.
func (p page) form(t *testing.T, button string) url.Values {
	t.Helper()
	pressed, ok := p.buttons[button]
	require.True(t, ok, "the page has no button %q; it says:\n%s", button, p.text)
	form := url.Values{pressed[0]: {pressed[1]}}
	for name, values := range p.hidden {
		form[name] = values
	}
	return form
}

// Presses a button, once the page has been read, with the number that the person sees where the page asks for one.
func (b *browser) Presses(button string) page {
	b.t.Helper()
	form := b.page.form(b.t, button)
	if b.page.asksNumber {
		form.Set("number", b.number)
	}
	eventually(b.t, "the page is read", func() bool { return time.Since(b.opened) >= reading })
	require.Equal(b.t, http.StatusSeeOther, b.load(http.MethodPost, form).status, "the page takes the answer %s", button)
	return b.Looks()
}
