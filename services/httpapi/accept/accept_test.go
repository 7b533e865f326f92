package accept_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/accept"
	"github.com/assent-io/assent/services/verification"
)

func TestAPersonReadsAndPresses(t *testing.T) {
	t.Parallel()
	for decision, want := range map[string]struct {
		status verification.Status
		text   string
	}{
		"approve": {verification.Approved, "✓ Approved You can close this page and go back to the screen where you started. Answered 14:27 UTC, 21 Nov"},
		"deny":    {verification.Denied, "✕ Denied. Nothing was approved. You can close this page."},
		"not_me":  {verification.Denied, "✓ Thank you. Nothing was approved, and Example Bank has been warned. To change your password, go to its site yourself; don't use a link."},
	} {
		t.Run(decision, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			ana := b.browser(t.Context(), t)
			page := ana.open()
			require.Equal(t, http.StatusOK, page.status)
			require.Contains(t, page.text(), "◆ Example Bank Is this you? What Sign in Where Lyon, France (estimate) "+
				"Device Firefox on Windows Network 203.0.113.7 Asked 14:27 UTC, 21 Nov Approve Deny This wasn't me")
			require.Contains(t, page.text(), "Open for 5 minutes, until 14:32 UTC.")
			b.clock.forward(2 * time.Second)
			state := ana.press(page.form(), decision)
			require.Equal(t, http.StatusOK, state.status)
			require.Equal(t, b.link, state.url, "the answer ends on the state page")
			require.Contains(t, state.text(), want.text)
			for _, gone := range []string{"Lyon", "203.0.113.7", "Firefox", "Sign in"} {
				require.NotContains(t, state.body, gone, "a closed request shows brand and time only")
			}
			require.Equal(t, want.status, b.records.v.Status)
			require.Equal(t, []events.ResponseReceived{{
				Version: 1, EventID: "link:" + id + ":" + decision, ID: id, Kind: "link", Decision: events.Decision(decision),
				Evidence: "sms", ReceivedAt: b.clock.Now(),
			}}, b.records.published())

			again := ana.press(page.form(), "approve")
			require.Equal(t, state.text(), again.text(), "reload and Back never answer twice")
			require.Len(t, b.records.published(), 1)

			other := b.browser(t.Context(), t).open()
			require.Contains(t, other.text(), "Already answered at 14:27 UTC. Only the first answer counts. If it wasn't yours, contact Example Bank.")
			require.NotContains(t, other.text(), "Approved", "who did not answer is not told the answer")
		})
	}
}

func TestPressedTooSoonIsAskedAgainAndThenHeard(t *testing.T) {
	t.Parallel()
	b := start(t)
	ana := b.browser(t.Context(), t)
	page := ana.open()
	b.clock.forward(time.Second)
	soon := ana.press(page.form(), "approve")
	require.Equal(t, http.StatusOK, soon.status)
	require.Contains(t, soon.text(), "Read the details, then press your answer again.")
	require.Contains(t, soon.body, "<title>Error: Is this you? – Example Bank</title>")
	require.Equal(t, page.form(), soon.form(), "the time since the first look keeps running")
	require.Empty(t, b.records.published())
	b.clock.forward(500 * time.Millisecond)
	require.Contains(t, ana.press(soon.form(), "approve").text(), "Approved")
}

func TestAnswersThatDoNotCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act    func(b *bench, ana *browser, form string) answer
		status int
		text   string
	}{
		"without the cookie": {func(b *bench, _ *browser, form string) answer {
			return b.browser(t.Context(), t).press(form, "approve")
		}, 403, "Open the link from the message again, then answer here."},
		"with another browser's form": {func(b *bench, ana *browser, _ string) answer {
			other := b.browser(t.Context(), t).open()
			b.clock.forward(2 * time.Second)
			return ana.press(other.form(), "approve")
		}, 403, "Open the link from the message again, then answer here."},
		"without a form token": {func(_ *bench, ana *browser, _ string) answer { return ana.press("", "approve") }, 403, "Open the link"},
		"with an older time": {func(_ *bench, ana *browser, form string) answer {
			_, mac, _ := strings.Cut(form, ".")
			return ana.press("1000.1."+mac, "approve")
		}, 403, "Open the link"},
		"with another word": {func(_ *bench, ana *browser, form string) answer { return ana.press(form, "maybe") }, 422, "Press one of the three answers."},
		"without a word":    {func(_ *bench, ana *browser, form string) answer { return ana.press(form, "") }, 422, "Press one of the three answers."},
		"from another origin": {func(_ *bench, ana *browser, form string) answer {
			return ana.press(form, "approve", "Origin", "https://evil.example")
		}, 403, "This answer came from another site."},
		"from another site": {func(_ *bench, ana *browser, form string) answer {
			return ana.press(form, "approve", "Origin", "null", "Sec-Fetch-Site", "cross-site")
		}, 403, "This answer came from another site."},
		"too large": {func(_ *bench, ana *browser, form string) answer { return ana.press(form, strings.Repeat("a", 8<<10)) }, 400, "This link isn't complete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			ana := b.browser(t.Context(), t)
			page := ana.open()
			b.clock.forward(2 * time.Second)
			got := c.act(b, ana, page.form())
			require.Equal(t, c.status, got.status)
			require.Contains(t, got.text(), c.text)
			require.Empty(t, b.records.published())
			require.Contains(t, ana.press(page.form(), "approve", "Origin", b.server.URL, "Sec-Fetch-Site", "same-origin").text(),
				"Approved", "the person is still heard")
		})
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	at := func(b *bench, f verification.Fact) { b.records.change(func(s *records) { s.apply(f) }) }
	for name, c := range map[string]struct {
		arrange func(b *bench)
		status  int
		text    string
	}{
		"expired": {
			func(b *bench) { b.clock.forward(5 * time.Minute) }, 200,
			"This request has expired. Requests are open for 5 minutes. Start again at Example Bank if you still need it. Asked 14:27 UTC, 21 Nov",
		},
		"withdrawn": {
			func(b *bench) { at(b, verification.Cancel{}) }, 200,
			"Example Bank withdrew this request. There is nothing to do.",
		},
		"approved elsewhere": {func(b *bench) { at(b, verification.Answered{Decision: verification.Approve}) }, 200, "Already answered at 14:27 UTC."},
		"denied elsewhere":   {func(b *bench) { at(b, verification.Answered{Decision: verification.Deny}) }, 200, "Already answered at 14:27 UTC."},
		"failed": {
			func(b *bench) { at(b, verification.Undelivered{Send: 1, Reason: "undeliverable"}) }, 200,
			"This request was closed. Nothing was approved. Start again at Example Bank if you still need it.",
		},
		"unknown": {
			func(b *bench) { b.link = b.link[:len(b.link)-4] }, 404,
			"✕ This link isn't complete or isn't valid. Open it again from the message.",
		},
		"a longer path": {func(b *bench) { b.link += "/x" }, 404, "This link isn't complete or isn't valid."},
		"the broker is away": {
			func(b *bench) { b.records.change(func(s *records) { s.readErr = verification.ErrUnavailable }) }, 503,
			"This page can't be shown right now. The service can't be reached. Try again in a minute. Look again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			c.arrange(b)
			ana := b.browser(t.Context(), t)
			got := ana.open()
			require.Equal(t, c.status, got.status)
			require.Contains(t, got.text(), c.text)
			require.NotContains(t, got.body, "<form")
			require.NotContains(t, got.body, "203.0.113.7")
			pressed := ana.press("1.x", "approve")
			if c.status == http.StatusOK {
				require.Contains(t, pressed.text(), c.text)
			}
			require.Empty(t, b.records.published())
		})
	}
}

func TestAnAnswerThatCannotBeSavedSaysSo(t *testing.T) {
	t.Parallel()
	b := start(t)
	ana := b.browser(t.Context(), t)
	page := ana.open()
	b.clock.forward(2 * time.Second)
	b.records.change(func(s *records) { s.writeErr = errors.New("no broker") })
	got := ana.press(page.form(), "approve")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Contains(t, got.text(), "Your answer was not saved. The service can't be reached. Try again in a minute; the request is open until 14:32 UTC.")
	b.records.change(func(s *records) { s.writeErr = nil })
	require.Contains(t, ana.press(page.form(), "approve").text(), "Approved")
}

func TestAnAnswerOnItsWayIsNeverCalledApproved(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) { s.verifierAway = true })
	ana := b.browser(t.Context(), t)
	page := ana.open()
	b.clock.forward(2 * time.Second)
	got := ana.press(page.form(), "approve")
	require.Contains(t, got.text(), "Your answer is on its way…")
	require.NotContains(t, got.text(), "Approved")
	require.Contains(t, got.body, `<meta http-equiv="refresh" content="2; url=?n=1">`)
	require.Contains(t, ana.do(http.MethodGet, b.link+"?n=14&lang=de", nil).body, `url=?lang=de&amp;n=15"`)
	last := ana.do(http.MethodGet, b.link+"?n=15", nil)
	require.NotContains(t, last.body, "http-equiv", "it does not look for ever")
	require.Contains(t, last.text(), "Look again")
	b.records.change(func(s *records) { s.apply(verification.Answered{Decision: verification.Approve}) })
	require.Contains(t, ana.open().text(), "Approved")
}

func TestLookingAndScanningChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var stops []func()
		b := setup(rt, func(f func()) { stops = append(stops, f) })
		defer func() {
			for _, f := range stops {
				f()
			}
		}()
		scanner := b.browser(t.Context(), rt)
		var forms []string
		for range rapid.IntRange(1, 12).Draw(rt, "calls") {
			decision := rapid.SampledFrom([]string{"approve", "deny", "not_me", "", "x"}).Draw(rt, "decision")
			switch rapid.SampledFrom([]string{"get", "head", "fresh", "submit", "cookieless", "forged", "wait"}).Draw(rt, "call") {
			case "get":
				forms = append(forms, scanner.open().form())
			case "head":
				head := scanner.do(http.MethodHead, b.link, nil)
				require.Empty(rt, head.header.Values("Set-Cookie"))
			case "fresh":
				forms = append(forms, b.browser(t.Context(), rt).open().form())
			case "submit": // at once, as scanners do
				scanner.press(scanner.open().form(), decision)
			case "cookieless":
				if len(forms) > 0 {
					b.browser(t.Context(), rt).press(rapid.SampledFrom(forms).Draw(rt, "form"), decision)
				}
			case "forged":
				scanner.press(rapid.StringMatching(`[0-9]{0,13}\.[A-Za-z0-9_-]{0,43}`).Draw(rt, "form"), decision)
			case "wait":
				b.clock.forward(time.Second)
			}
		}
		require.Empty(rt, b.records.published())
		require.Equal(rt, verification.Pending, b.records.v.Status)
		ana := b.browser(t.Context(), rt)
		page := ana.open()
		b.clock.forward(2 * time.Second)
		require.Contains(rt, ana.press(page.form(), "approve").text(), "Approved", "the link is not used up")
	})
}

func TestHeadersKeepTheLinkPrivate(t *testing.T) {
	t.Parallel()
	b := start(t)
	page := b.browser(t.Context(), t).open()
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"Cache-Control":           "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow",
		"X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8",
	} {
		require.Equal(t, value, page.header.Get(name))
	}
	require.NotContains(t, page.body, "<script")
	require.NotContains(t, page.body, b.records.token.Reveal(), "not even the page repeats the token")
	cookie := page.header.Get("Set-Cookie")
	require.Contains(t, cookie, "; Path=/l/"+b.records.token.Reveal()+"; Max-Age=3600; HttpOnly; SameSite=Lax")
	require.NotContains(t, cookie, "Secure", "this public URL is plain http")

	css := regexp.MustCompile(`href="(/l/assets/[0-9a-f]+\.css)"`).FindStringSubmatch(page.body)
	require.NotNil(t, css)
	style := b.browser(t.Context(), t).do(http.MethodGet, b.server.URL+css[1], nil)
	require.Equal(t, http.StatusOK, style.status)
	require.Equal(t, "public, max-age=31536000, immutable", style.header.Get("Cache-Control"))
	put := b.browser(t.Context(), t).do(http.MethodPut, b.link, nil)
	require.Equal(t, http.StatusMethodNotAllowed, put.status)
	require.Equal(t, "GET, HEAD, POST", put.header.Get("Allow"))
}

func TestBehindAProxyTheCookieFitsThePublicURL(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *accept.Config) { c.PublicURL = func() string { return "https://auth.example.net/assent/" } })
	cookie := b.browser(t.Context(), t).open().header.Get("Set-Cookie")
	require.Contains(t, cookie, "; Path=/assent/l/"+b.records.token.Reveal()+";")
	require.Contains(t, cookie, "; Secure")
}

func TestNoLogLineHoldsTheToken(t *testing.T) {
	t.Parallel()
	b := start(t)
	ana := b.browser(t.Context(), t)
	b.browser(t.Context(), t).press("", "deny")
	page := ana.open()
	b.clock.forward(2 * time.Second)
	ana.press(page.form(), "deny", "User-Agent", "Mozilla/5.0 (X11) secret/"+b.records.token.Reveal())
	b.records.change(func(s *records) { s.readErr = verification.ErrUnavailable })
	ana.open()
	b.server.Close()
	require.Contains(t, b.log.String(), "verification_id="+id+" channel=sms decision=deny user_agent=browser")
	require.NotContains(t, b.log.String(), b.records.token.Reveal())
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	for i, name := range []string{"assent_link_pages_total", "assent_link_signs_total"} {
		require.Equal(t, name, families[i].GetName())
		require.NotContains(t, families[i].String(), b.records.token.Reveal())
	}
	require.Len(t, families, 2)
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	b := start(t)
	ana := b.browser(t.Context(), t)
	open := func(locale, accepts, query string) string {
		b.records.change(func(s *records) { s.v.Locale = locale })
		page := ana.do(http.MethodGet, b.link+query, nil, "Accept-Language", accepts)
		lang := regexp.MustCompile(`<html lang="([a-z]+)" dir="(rtl|ltr)">`).FindStringSubmatch(page.body)
		require.NotNil(t, lang)
		require.Equal(t, lang[1] == "ar", lang[2] == "rtl")
		require.Equal(t, lang[1], page.header.Get("Content-Language"))
		return lang[1]
	}
	require.Equal(t, "en", open("", "", ""))
	require.Equal(t, "de", open("de-AT", "fr", ""))
	require.Equal(t, "fr", open("", "fr-CA, en;q=0.5", ""))
	require.Equal(t, "pt", open("pt-BR", "", ""))
	require.Equal(t, "hi", open("hi-IN", "en", ""))
	require.Equal(t, "ar", open("", "ar-EG,ar;q=0.9", ""))
	require.Equal(t, "es", open("ja", "es-419", ""), "an unknown locale leaves it to the browser")
	require.Equal(t, "en", open("ja", "zh", ""))
	require.Equal(t, "en", open("", ";;;q", ""))
	require.Equal(t, "es", open("de", "fr", "?lang=es"))
	require.Equal(t, "de", open("de", "fr", "?lang=xx"))
}

func TestForeignTextIsShownAndNotRun(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) {
		s.v.Brand, s.v.Context.Action, s.v.Context.Place = `<b>"B&B"</b>`, `{brand}</dd><script>x</script>`, ""
	})
	page := b.browser(t.Context(), t).open()
	require.Contains(t, page.body, `<bdi>&lt;b&gt;&#34;B&amp;B&#34;&lt;/b&gt;</bdi>`)
	require.NotContains(t, page.body, "<script")
	require.NotContains(t, page.text(), "Where", "what is not known is not shown")
}

func TestWithoutABrandNothingReadsOdd(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "de", "es", "fr", "pt"} {
		b := start(t)
		b.records.change(func(s *records) { s.v.Brand = "" })
		ana := b.browser(t.Context(), t)
		link := b.link + "?lang=" + lang
		check := func(a answer) {
			require.NotContains(t, a.text(), "◆")
			require.NotContains(t, a.text(), "{")
			require.NotContains(t, a.body, "<bdi></bdi>")
			require.NotContains(t, a.body, "</bdi>  ")
		}
		page := ana.do(http.MethodGet, link, nil)
		check(page)
		b.clock.forward(2 * time.Second)
		check(ana.do(http.MethodPost, link, url.Values{"form": {page.form()}, "decision": {"not_me"}}))
		b.records.change(func(s *records) { s.v.Status = verification.Canceled })
		check(ana.do(http.MethodGet, link, nil))
		b.records.change(func(s *records) { s.v.Status = verification.Expired })
		check(ana.do(http.MethodGet, link, nil))
	}
}
