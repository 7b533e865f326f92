package accept_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

const (
	target  = "https://app.example.com:8443/done?for=ana&step=2#end"
	leading = "You are taken to app.example.com:8443 in a moment. Continue to app.example.com:8443"
	refresh = `http-equiv="refresh"`
)

// pressed is a bench whose link leads somewhere, and a person who has just pressed a button.
func pressed(t *testing.T, to, decision string) (*bench, *browser, answer) {
	t.Helper()
	b := start(t)
	b.records.change(func(s *records) { s.redirect = to })
	ana := b.browser(t.Context(), t)
	form := ana.open().form()
	b.clock.forward(2 * time.Second)
	return b, ana, ana.press(form, decision)
}

func TestAnApprovalLeadsOnOnce(t *testing.T) {
	t.Parallel()
	b, ana, page := pressed(t, target, "approve")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.text(), "✓ Approved "+leading)
	require.Contains(t, page.body, `<meta http-equiv="refresh" content="2; url=https://app.example.com:8443/done?for=ana&amp;step=2#end">`)
	require.Contains(t, page.body, `href="https://app.example.com:8443/done?for=ana&amp;step=2#end" rel="noreferrer"`)
	require.Contains(t, page.body, `<bdi dir="ltr">app.example.com:8443</bdi>`)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-referrer", page.header.Get("Referrer-Policy"))

	for range 2 { // Back, or the link once more
		again := ana.open()
		require.NotContains(t, again.body, refresh)
		require.Contains(t, again.text(), "Approved You can close this page and go back to the screen where you started. Continue to app.example.com:8443")
	}
	later := b.browser(t.Context(), t).open()
	require.Contains(t, later.text(), "Already answered at 14:27 UTC.")
	require.NotContains(t, later.body, refresh)
	require.NotContains(t, later.body, "app.example.com", "who did not answer is led nowhere")
}

func TestOnlyAnApprovalLeadsOn(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"deny", "not_me"} {
		_, ana, page := pressed(t, target, decision)
		for _, p := range []answer{page, ana.open()} {
			require.Equal(t, http.StatusOK, p.status)
			require.NotContains(t, p.body, refresh)
			require.NotContains(t, p.body, "app.example.com")
		}
	}
	b := start(t)
	b.records.change(func(s *records) { s.redirect = target })
	ana := b.browser(t.Context(), t)
	require.NotContains(t, ana.open().body, "app.example.com", "not before there is an answer")
	b.clock.forward(10 * time.Minute)
	require.NotContains(t, ana.open().body, "app.example.com", "nor when it has expired")
}

func TestWhoApprovedInAnotherBrowserIsNotLedOnByThisOne(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) { s.redirect, s.verifierAway = target, true })
	ana, eve := b.browser(t.Context(), t), b.browser(t.Context(), t)
	anas, eves := ana.open().form(), eve.open().form()
	b.clock.forward(2 * time.Second)
	require.Contains(t, ana.press(anas, "approve").text(), "on its way")
	require.Contains(t, eve.press(eves, "deny").text(), "on its way")
	b.records.change(func(s *records) { s.apply(verification.Answered{Decision: verification.Approve}) })
	require.NotContains(t, eve.open().body, "app.example.com")
	require.Contains(t, ana.open().text(), leading, "an outcome that came late leads on too")
}

func TestALookWithHEADDoesNotUseTheRedirectUp(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) { s.redirect, s.verifierAway = target, true })
	ana := b.browser(t.Context(), t)
	form := ana.open().form()
	b.clock.forward(2 * time.Second)
	ana.press(form, "approve")
	b.records.change(func(s *records) { s.apply(verification.Answered{Decision: verification.Approve}) })
	require.Equal(t, http.StatusOK, ana.do(http.MethodHead, b.link, nil).status)
	require.Contains(t, ana.open().body, refresh)
}

func TestOnlyWebAddressesAreFollowed(t *testing.T) {
	t.Parallel()
	for _, to := range []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,<script>alert(1)</script>", "//evil.example/x", "/l/other", "app.example.com",
		"ftp://app.example.com/", "myapp://done", "https:", "https://", "http:///path", "https:app.example.com", "https://%zz/", "https://a b/", " https://app.example.com",
		"https://app.example.com/\n", "mailto:ana@example.com",
	} {
		_, _, page := pressed(t, to, "approve")
		require.Contains(t, page.text(), "Approved You can close this page", to)
		require.NotContains(t, page.body, refresh, to)
		require.NotContains(t, page.text(), "Continue", to)
	}
	for _, to := range []string{"http://localhost:3000/done", "HTTPS://app.example.com"} {
		_, _, page := pressed(t, to, "approve")
		require.Contains(t, page.body, refresh, to)
		require.Contains(t, page.body, "url=http", "the scheme as browsers write it")
	}
}

func TestAnAddressCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	_, _, page := pressed(t, `https://app.example.com/"><script>alert(1)</script>?x='"; url=https://evil.example`, "approve")
	require.Contains(t, page.body, refresh)
	require.NotContains(t, page.body, "<script>")
	require.Equal(t, 1, strings.Count(page.body, `http-equiv=`))
	require.NotContains(t, page.body, `"; url=https://evil`)
}

func TestAnApprovalIsShownEvenWhereItsRedirectIsNotFound(t *testing.T) {
	t.Parallel()
	for _, err := range []error{verification.ErrUnavailable, verification.ErrNotFound, errors.New("sealed content does not open")} {
		b := start(t)
		b.records.change(func(s *records) { s.redirect, s.redirectErr = target, err })
		ana := b.browser(t.Context(), t)
		form := ana.open().form()
		b.clock.forward(2 * time.Second)
		page := ana.press(form, "approve")
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, page.text(), "Approved You can close this page")
		require.NotContains(t, b.log.String(), "app.example.com")
		b.records.change(func(s *records) { s.redirectErr = nil })
		require.Contains(t, ana.open().body, refresh, "the next look leads on")
	}
}
