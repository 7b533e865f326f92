package enrol_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
)

func TestALinkFollowedFromAnotherSiteKeepsTheCookieThatIsThere(t *testing.T) {
	t.Parallel()
	h := open(t)
	link, _ := h.invite(h.user())
	b := h.browser(link)
	s := b.do(http.MethodGet, link+"/add/phone?lang=de", nil, "Sec-Fetch-Site", "cross-site").is(http.StatusOK, "Weiter")
	path := mustParse(t, link).Path
	require.Equal(t, "0; url="+path+"/add/phone?again=1&lang=de", s.header.Get("Refresh"))
	require.Empty(t, s.header.Get("Set-Cookie"))
	require.Contains(t, s.body, `href="`+path+`/add/phone?again=1&amp;lang=de"`)
	s = b.do(http.MethodGet, link+"/add/phone?again=1&lang=de", nil, "Sec-Fetch-Site", "cross-site").is(http.StatusOK)
	require.NotEmpty(t, s.header.Get("Set-Cookie"), "it leads on once")
	require.Empty(t, s.header.Get("Refresh"))
	require.NotEmpty(t, s.form())
	s = b.do(http.MethodGet, link, nil, "Sec-Fetch-Site", "cross-site").is(http.StatusOK)
	require.Empty(t, s.header.Get("Refresh"), "the cookie came")
}

func TestAProofOutlivesTheLinkBeingOpenedFromAWebmail(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.phone(u, "+14155550101", "Private")
	link, _ := h.invite(u)
	webmail := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Mail</title><link rel="icon" href="data:,"><a href="%s">open</a>`, link)
	}))
	t.Cleanup(webmail.Close)
	p := browsertest.Start(t).Tab(t).Person().NoScripts()
	p.Open(link + "/add/totp")
	p.Follow(fmt.Sprintf(`button[value="%s sms"]`, d.ID))
	p.Type("#code", h.code())
	p.Follow(`button[value="prove"]`)
	p.Sees("h1", "Add an authenticator app")

	p.Open(strings.Replace(webmail.URL, "127.0.0.1", "localhost", 1))
	p.Follow("a")
	p.Sees("ul.devices", "Private")
	p.Open(link + "/add/totp")
	p.Sees("h1", "Add an authenticator app")
	p.Silent()
}
