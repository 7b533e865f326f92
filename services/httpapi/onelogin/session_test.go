package onelogin_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/onelogin"
)

const (
	viaTokenPath = "/session_via_api_token"
	sessionPath  = "/api/1/login/session"
	page         = "https://www.shop.example"
)

// sessionToken logs a user in whose pages are of one origin.
func (c *client) sessionToken(u device.User, returnTo string) string {
	c.h.t.Helper()
	body := map[string]any{"username_or_email": u.Username, "password": secretWord}
	if returnTo != "" {
		body["return_to_url"] = returnTo
	}
	r := c.request(http.MethodPost, authPath, body)
	r.Header.Set("Custom-Allowed-Origin-Header-1", "https://WWW.shop.example/, https://app.shop.example:8443")
	r.Header.Set("Custom-Allowed-Origin-Header-2", "http://localhost:3000")
	return c.h.send(r).authenticated(u)
}

// browser asks as a page's script does.
func (h *house) browser(method, path, origin string, body any, cookies ...*http.Cookie) answer {
	h.t.Helper()
	r := jsonRequest(h.t, method, path, body)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	return h.send(r)
}

func token(value any) map[string]any { return map[string]any{"session_token": value} }

// cookie is the one that the answer sets.
func (a answer) cookie() *http.Cookie {
	a.t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	require.Len(a.t, cookies, 1)
	require.Equal(a.t, "assent_session", cookies[0].Name)
	require.True(a.t, cookies[0].HttpOnly)
	require.Equal(a.t, "/", cookies[0].Path)
	return cookies[0]
}

// shared checks whom the browser lets read the answer.
func (a answer) shared(origin string) {
	a.t.Helper()
	require.Equal(a.t, origin, a.header.Get("Access-Control-Allow-Origin"))
	if origin == "" {
		require.Empty(a.t, a.header.Values("Access-Control-Allow-Credentials"))
	} else {
		require.Equal(a.t, "true", a.header.Get("Access-Control-Allow-Credentials"))
	}
	require.Contains(a.t, a.header.Get("Vary"), "Origin")
}

func TestASessionTokenBecomesTheBrowsersSessionOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	value := c.sessionToken(u, "")
	a := h.browser(http.MethodPost, viaTokenPath, page, token(value)).is(http.StatusOK)
	require.Equal(t, map[string]any{"status": map[string]any{"type": "success", "code": 200.0, "message": "Success", "error": false}}, a.object())
	a.shared(page)
	cookie := a.cookie()
	require.GreaterOrEqual(t, len(cookie.Value), 32)
	require.Equal(t, 8*3600, cookie.MaxAge)
	require.True(t, cookie.Secure, "the public address is https, whatever a proxy says")
	require.Equal(t, http.SameSiteNoneMode, cookie.SameSite)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))

	again := h.browser(http.MethodPost, viaTokenPath, page, token(value))
	require.NotEmpty(t, again.refusedV1(http.StatusForbidden))
	again.shared("")
	require.Empty(t, again.header.Values("Set-Cookie"))

	whose := h.browser(http.MethodGet, sessionPath, page, nil, cookie).is(http.StatusOK)
	whose.shared(page)
	require.Equal(t, u.Username, whose.data()["user"].(map[string]any)["username"])
	expires, err := time.Parse("2006/01/02 15:04:05 -0700", whose.data()["expires_at"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(8*time.Hour), expires, time.Minute)
}

func TestWithoutTLSTheCookieStaysOnItsSite(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *onelogin.Config) { c.PublicURL = func() string { return "http://127.0.0.1:8080" } })
	u, _ := h.member()
	cookie := h.browser(http.MethodPost, viaTokenPath, "", token(h.client().sessionToken(u, ""))).is(http.StatusOK).cookie()
	require.False(t, cookie.Secure, "the browser would not send it back")
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
}

func TestAFormLeadsTheBrowserBack(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	form := func(returnTo, accept string, header ...string) answer {
		values := url.Values{"session_token": {c.sessionToken(u, returnTo)}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, viaTokenPath, strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", accept)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return h.send(r)
	}
	const html = "text/html,application/xhtml+xml,*/*;q=0.8"
	back := form("https://app.example/in?a=1", html).is(http.StatusSeeOther)
	require.Equal(t, "https://app.example/in?a=1", back.header.Get("Location"))
	h.browser(http.MethodGet, sessionPath, "", nil, back.cookie()).is(http.StatusOK)

	plain := form("", html).is(http.StatusOK)
	require.Equal(t, "Signed in.\n", string(plain.body))
	require.NotEmpty(t, plain.cookie().Value)
	require.Equal(t, "success", form("https://app.example/in", "*/*").is(http.StatusOK).object()["status"].(map[string]any)["type"])

	secure := form("", html, "X-Forwarded-Proto", "https").cookie()
	require.True(t, secure.Secure)
	require.Equal(t, http.SameSiteNoneMode, secure.SameSite)

	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	require.NoError(t, parts.WriteField("session_token", c.sessionToken(u, "")))
	require.NoError(t, parts.Close())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://assent.example"+viaTokenPath, &body)
	r.Header.Set("Content-Type", parts.FormDataContentType())
	require.True(t, h.send(r).is(http.StatusOK).cookie().Secure, "over TLS")
}

func TestOnlyTheLoginsOwnOriginsMayReadItsSession(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	for origin, may := range map[string]bool{
		page: true, "https://app.shop.example:8443": true, "http://localhost:3000": true,
		"https://evil.example": false, "https://www.shop.example.evil.example": false, "http://www.shop.example": false,
		"https://www.shop.example:8443": false, "null": false, "": false,
	} {
		t.Run(origin, func(*testing.T) {
			t, from := c.sessionToken(u, ""), origin
			if !may && origin != "" {
				a := h.browser(http.MethodPost, viaTokenPath, origin, token(t)).is(http.StatusForbidden)
				a.shared("")
				require.Empty(h.t, a.header.Values("Set-Cookie"))
				from = page // for whom the token is still good
			}
			a := h.browser(http.MethodPost, viaTokenPath, from, token(t)).is(http.StatusOK)
			a.shared(from)
			want := ""
			if may {
				want = origin
			}
			h.browser(http.MethodGet, sessionPath, origin, nil, a.cookie()).is(http.StatusOK).shared(want)
		})
	}
}

func TestEveryOriginMayAskBeforehand(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for path, methods := range map[string]string{viaTokenPath: "POST", sessionPath: "GET, DELETE"} {
		a := h.browser(http.MethodOptions, path, "https://any.example", nil).is(http.StatusNoContent)
		a.shared("https://any.example")
		require.Equal(t, methods, a.header.Get("Access-Control-Allow-Methods"))
		require.Contains(t, a.header.Get("Access-Control-Allow-Headers"), "Content-Type")
		require.Equal(t, "600", a.header.Get("Access-Control-Max-Age"))
		h.browser(http.MethodOptions, path, "null", nil).is(http.StatusNoContent).shared("")
		h.browser(http.MethodOptions, path, "", nil).is(http.StatusNoContent).shared("")
	}
}

func TestBadSessionTokensAreRefusedWithoutCORS(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member()
	require.Empty(t, d)
	old := c.sessionToken(u, "")
	locked, _ := h.member()
	theirs := c.sessionToken(locked, "")
	c.put(userPath(float64(locked.Number)), map[string]any{"status": 3}).is(http.StatusOK)
	h.clock.Forward(2*time.Minute + time.Second)
	other, _ := h.member(device.SMSCode)
	for name, x := range map[string]struct {
		body   any
		status int
	}{
		"none":                  {nil, http.StatusBadRequest},
		"an empty one":          {token(""), http.StatusBadRequest},
		"a number":              {token(7), http.StatusBadRequest},
		"a made-up one":         {token("9x88"), http.StatusForbidden},
		"one that has ended":    {token(old), http.StatusForbidden},
		"one of a locked user":  {token(theirs), http.StatusForbidden},
		"a state token":         {token(c.state(other)), http.StatusForbidden},
		"something else":        {"x", http.StatusBadRequest},
		"more than a token has": {token(strings.Repeat("x", 70_000)), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.browser(http.MethodPost, viaTokenPath, page, x.body)
			require.NotEmpty(t, a.refusedV1(x.status))
			a.shared("")
			require.Empty(t, a.header.Values("Set-Cookie"))
		})
	}
	for media, body := range map[string]string{
		"text/plain": "session_token=x", "": "session_token=x", "multipart/form-data": "x", "application/x-www-form-urlencoded": "%zz",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, viaTokenPath, strings.NewReader(body))
		r.Header.Set("Content-Type", media)
		require.NotEmpty(t, h.send(r).refusedV1(http.StatusBadRequest), media)
	}
}

func TestASessionEndsByItselfByLogoutAndWithThePassword(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	begin := func() *http.Cookie {
		return h.browser(http.MethodPost, viaTokenPath, page, token(c.sessionToken(u, ""))).is(http.StatusOK).cookie()
	}
	none := func(cookies ...*http.Cookie) {
		t.Helper()
		a := h.browser(http.MethodGet, sessionPath, page, nil, cookies...)
		require.Equal(t, "There is no session", a.refusedV1(http.StatusUnauthorized))
		a.shared("")
	}
	none()
	madeUp := jsonRequest(t, http.MethodGet, sessionPath, nil)
	madeUp.Header.Set("Cookie", "assent_session=made-up")
	require.Equal(t, "There is no session", h.send(madeUp).refusedV1(http.StatusUnauthorized))
	h.browser(http.MethodDelete, sessionPath, page, nil).refusedV1(http.StatusUnauthorized)

	cookie := begin()
	for _, evil := range []string{"https://evil.example", "null"} {
		h.browser(http.MethodDelete, sessionPath, evil, nil, cookie).refusedV1(http.StatusForbidden)
	}
	h.browser(http.MethodGet, sessionPath, page, nil, cookie).is(http.StatusOK)
	ended := h.browser(http.MethodDelete, sessionPath, page, nil, cookie).is(http.StatusNoContent)
	ended.shared(page)
	require.Negative(t, ended.cookie().MaxAge)
	require.Empty(t, ended.cookie().Value)
	none(cookie)

	own := begin()
	h.browser(http.MethodDelete, sessionPath, "https://assent.example", nil, own).is(http.StatusNoContent)
	r := jsonRequest(t, http.MethodDelete, sessionPath, nil)
	r.AddCookie(begin())
	r.Header.Set("Origin", "http://192.0.2.1:8080")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	h.send(r).is(http.StatusNoContent)

	old, hour := begin(), time.Hour
	h.clock.Forward(hour)
	h.browser(http.MethodGet, sessionPath, page, nil, old).is(http.StatusOK)
	h.clock.Forward(7*hour + time.Second)
	none(old)

	changed := begin()
	h.clock.Forward(time.Second)
	c.put(userPath(float64(u.Number)), map[string]any{"password": "another horse", "password_confirmation": "another horse"}).is(http.StatusOK)
	none(changed)
}

func TestOfManyWhoBringOneSessionTokenOneGetsTheSession(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	value := c.sessionToken(u, "")
	var sessions atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		r := jsonRequest(t, http.MethodPost, viaTokenPath, token(value))
		group.Go(func() {
			if h.send(r).header.Get("Set-Cookie") != "" {
				sessions.Add(1)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, sessions.Load())
}
