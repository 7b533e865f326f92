package secureauth_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

func extDate(c client) client    { c.dates, c.form = []string{"X-SA-Ext-Date"}, milliseconds; return c }
func saDate(c client) client     { c.dates, c.form = []string{"X-SA-Date"}, seconds; return c }
func plainDate(c client) client  { c.dates, c.form = []string{"Date"}, seconds; return c }
func bothDates(c client) client  { c.dates, c.form = []string{"Date", "X-SA-Date"}, seconds; return c }
func lateHeader(c client) client { c.late = time.Second; return c }
func unescapes(c client) client  { c.spell = unescaped; return c }
func feeds(c client) client      { c.feed = "\n"; return c }
func withoutRealm(c client) client {
	c.prefix = ""
	return c
}

// single signs the path with its doubled slashes made one, as behind a proxy that mends them.
func single(c client) client {
	c.spell = func(p string) string { return strings.ReplaceAll(p, "//", "/") }
	return c
}

// sdk is how one SDK signs.
func sdk(variants ...func(client) client) func(client) client {
	return func(c client) client {
		for _, v := range variants {
			c = v(c)
		}
		return c
	}
}

// sdks are the ways in which the published SDKs sign, and what makes them differ.
var sdks = map[string]func(client) client{
	"Java":                               sdk(extDate, unescapes),
	"Java with an old server":            sdk(saDate, unescapes),
	"C#":                                 sdk(extDate),
	"Node":                               sdk(extDate),
	"Go reading":                         sdk(bothDates, unescapes),
	"Go writing":                         sdk(plainDate, unescapes),
	"Go where a second begins meanwhile": sdk(plainDate, unescapes, lateHeader),
	"Go 1.1.0 with its line feed":        sdk(bothDates, unescapes, feeds),
	"a browser":                          sdk(saDate, unescapes),
}

func TestEverySDKsSignatureIsRight(t *testing.T) {
	t.Parallel()
	h := setup(t)
	base := h.client()
	for name, variant := range sdks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []client{variant(base), withoutRealm(variant(base))} {
				for _, path := range []string{
					"/api/v1/none", "/api/v2/none", "/api/v3/none/", "/api/v1/none?username=j%20smith&domain=",
					"/api/v1/none/j%20smith/x", "/api/v1/none/jos%C3%A9/x", "/api/v1/none/DOM%5Cjos/x", "/api/v1/none/a%2Fb",
					"/api/v1/none//status?username=x",
				} {
					c.get(path).says(http.StatusNotFound, "not_found", "The requested resource cannot be found.")
				}
			}
		})
	}
}

func TestBodiesAreSignedAsTheyCame(t *testing.T) {
	t.Parallel()
	h := setup(t)
	base := h.client()
	bodies := map[string]string{
		"compact":            `{"user_id":"jsmith","type":"user_id"}`,
		"pretty-printed":     "{\n  \"user_id\" : \"jsmith\",\n  \"type\" : \"user_id\"\n}",
		"with carriage":      "{\r\n\t\"user_id\":\"jsmith\"}\r\n",
		"Unicode":            `{"user_id":"José 🙂"}`,
		"escaped":            `{"user_id":"Jos\u00e9\/x"}`,
		"not even JSON":      "a=b&c=d\x00\xff",
		"only a line feed":   "\n",
		"as long as allowed": strings.Repeat("x", 64<<10),
	}
	for name, variant := range sdks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := variant(base)
			for about, body := range bodies {
				for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
					// The SDK's name keeps two of one second from the same signature.
					path := "/api/v1/none/" + url.PathEscape(name)
					require.Equal(t, http.StatusNotFound, c.do(method, path, body).status, "%s %s", method, about)
				}
			}
		})
	}
}

func TestDoubledSlashesAreOneWhetherTheyAreSignedSoOrNot(t *testing.T) {
	t.Parallel()
	h := setup(t)
	base := h.client()
	base.prefix = "/" + base.prefix
	for _, c := range []client{base, single(base)} {
		for _, path := range []string{"/api/v1//fido//login", "//api/v1/fido/login//", "/api//v1/fido/login"} {
			c.post(path, `{}`).says(http.StatusNotImplemented, "failed", "FIDO2 is not part of this server.")
		}
	}

	// A proxy that mends slashes takes away the one that an SDK signs.
	c := h.client()
	c.spell = func(p string) string { return strings.Replace(p, "/users/status", "/users//status", 1) }
	c.get("/api/v1/users/status?username=nobody").says(http.StatusNotFound, "not_found", "User Id was not found.")
}

func TestAnAnswerIsSignedOverItsBytesWheneverTheApplicationIsKnown(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client() // it checks each
	c.get("/api/v1/auth/0c2b9a3e-4e50-4f4f-9d7e-0e8f6a5d9d11").is(http.StatusNotFound)
	c.do(http.MethodPatch, "/api/v1/auth/x", `{}`).is(http.StatusMethodNotAllowed)
	bad := c
	bad.spell = func(string) string { return "/other" }
	bad.get("/api/v1/auth/x").is(http.StatusUnauthorized)
	old := c
	old.at = func() time.Time { return h.clock.Now().Add(-time.Hour).UTC() }
	old.get("/api/v1/auth/x").is(http.StatusUnauthorized)
	c.post("/api/v1/auth", strings.Repeat("x", 64<<10+1)).says(http.StatusRequestEntityTooLarge, "invalid", "The body is over 64 KiB.")
	cut := c.request(http.MethodPost, "/api/v1/auth", "{}")
	cut.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	c.send(cut).says(http.StatusBadRequest, "invalid", "Request validation failed with: The body did not arrive whole.")

	h.realms.lose(verification.ErrUnavailable)
	c.unsigned = true
	lost := c.get("/api/v1/auth/x").says(http.StatusServiceUnavailable, "server_error", "The event broker is out of reach.")
	require.Equal(t, "1", lost.header.Get("Retry-After"))
	require.Empty(t, lost.header.Get("X-Sa-Signature"))
	h.realms.lose(errors.New("a reason that holds a secret"))
	failed := c.get("/api/v1/auth/x").is(http.StatusInternalServerError)
	require.NotContains(t, string(failed.body), "a secret")
}

func TestWhatIsNotSignedRightIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	other := h.client()
	for name, k := range map[string]struct {
		change  func(r *http.Request)
		message string
		unknown bool // the answer is not signed
	}{
		"no authorization":       {without("Authorization"), "The Authorization header is missing.", true},
		"another scheme":         {with("Authorization", "Bearer abc"), "The Authorization header must have the scheme Basic.", true},
		"no base64":              {with("Authorization", "Basic ***"), "The Authorization header does not hold base64 behind its scheme.", true},
		"nothing behind it":      {with("Authorization", "Basic"), "The Authorization header must hold the AppId, a colon and the signature.", true},
		"no colon":               {with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("abc"))), "The Authorization header must hold the AppId, a colon and the signature.", true},
		"an unknown application": {with("Authorization", authorization(strings.Repeat("0", 32), "abc=")), "AppId is unknown.", true},
		"no application id":      {with("Authorization", authorization("shop", "abc=")), "AppId is unknown.", true},
		"no signature":           {with("Authorization", authorization(c.realm.AppID, "")), "Invalid credentials.", false},
		"a signature of another form": {
			with("Authorization", authorization(c.realm.AppID, strings.Repeat("ab", 32))), "Invalid credentials.", false,
		},
		"another date":       {with("X-SA-Ext-Date", h.clock.Now().UTC().Add(5*time.Second).Format(milliseconds)), "Invalid credentials.", false},
		"another method":     {func(r *http.Request) { r.Method = http.MethodPut }, "Invalid credentials.", false},
		"another path":       {func(r *http.Request) { r.RequestURI += "/x" }, "Invalid credentials.", false},
		"an earlier version": {func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "v2", "v1", 1) }, "Invalid credentials.", false},
		"another realm": {
			func(r *http.Request) { r.RequestURI = other.prefix + "/api/v2/auth" }, "Invalid credentials.", false,
		},
		"no date": {
			without("X-SA-Ext-Date"), "The request has no date: none of the headers X-SA-Ext-Date, X-SA-Date and Date.", false,
		},
		"a date of another form": {
			with("X-SA-Ext-Date", "2026-11-21T17:02:02Z"), "The header X-SA-Ext-Date is not a date such as Sat, 21 Nov 2026 17:02:02 GMT.", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c
			c.unsigned = k.unknown
			r := c.request(http.MethodPost, "/api/v2/auth", `{"user_id":"jsmith","type":"user_id"}`)
			k.change(r)
			a := c.send(r).says(http.StatusUnauthorized, "invalid", k.message).only("status", "message")
			if k.unknown {
				require.Empty(t, a.header.Get("X-Sa-Signature"))
			}
		})
	}
	forged := c
	forged.key, forged.unsigned = drawKey(t), true
	forged.get("/api/v1/auth/x").says(http.StatusUnauthorized, "invalid", "Invalid credentials.")
}

func with(header, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(header, value) }
}

func without(header string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(header) }
}

func TestTolerancesEndWhereTheContractEndsThem(t *testing.T) {
	t.Parallel()
	h := setup(t)
	base := h.client()
	for name, variant := range map[string]func(client) client{
		"two seconds late":             func(c client) client { c = saDate(c); c.late = 2 * time.Second; return c },
		"a second early":               func(c client) client { c = saDate(c); c.late = -time.Second; return c },
		"a second late with fractions": func(c client) client { c = extDate(c); c.late = time.Second; return c },
		"two line feeds":               func(c client) client { c.feed = "\n\n"; return c },
		"a path escaped twice": func(c client) client {
			c.spell = func(p string) string { return strings.ReplaceAll(p, "%", "%25") }
			return c
		},
		"a path without its realm": func(c client) client {
			c.spell = func(p string) string { return strings.TrimPrefix(p, c.prefix) }
			return c
		},
		"a path with its query": func(c client) client { c.spell = func(p string) string { return p + "?a=b" }; return c },
		"a path in lower case":  func(c client) client { c.spell = strings.ToLower; return c },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variant(base).get("/api/v1/none/J%20Smith?a=b").says(http.StatusUnauthorized, "invalid", "Invalid credentials.")
		})
	}
	t.Run("a line feed behind a body", func(t *testing.T) {
		t.Parallel()
		c := base
		c.spell = func(p string) string { return p + "\n" }
		c.post("/api/v1/none", "{}").says(http.StatusUnauthorized, "invalid", "Invalid credentials.")
	})
}

func TestTheHeaderOfTheLatestVersionHoldsTheDate(t *testing.T) {
	t.Parallel()
	h := setup(t)
	stale := h.clock.Now().Add(-time.Hour).UTC()
	for name, variant := range map[string]func(client) client{"X-SA-Ext-Date": extDate, "X-SA-Date": saDate, "Date": plainDate} {
		c := variant(h.client())
		r := c.request(http.MethodGet, "/api/v1/none", nil)
		switch name {
		case "X-SA-Ext-Date":
			r.Header.Set("X-SA-Date", stale.Format(seconds))
			r.Header.Set("Date", stale.Format(seconds))
		case "X-SA-Date":
			r.Header.Set("X-SA-Ext-Date", "")
			r.Header.Set("Date", stale.Format(seconds))
		}
		c.send(r).is(http.StatusNotFound)
	}
}

func TestDatesAreGoodInsideTheWindow(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *secureauth.Config) { c.ClockWindow = 2 * time.Minute })
	c := h.client()
	for off, good := range map[time.Duration]bool{
		-119 * time.Second: true, 119 * time.Second: true, -122 * time.Second: false, 122 * time.Second: false,
		-24 * time.Hour: false, 1000 * time.Hour: false,
	} {
		c.at = func() time.Time { return h.clock.Now().Add(off).UTC() }
		a := c.get("/api/v1/none")
		if good {
			a.is(http.StatusNotFound)
			continue
		}
		a.is(http.StatusUnauthorized)
		require.Regexp(t, `^The header X-SA-Ext-Date is \S+ off the clock of the server, which allows 2m0s\.$`, a.text("message"))
	}
	// Five minutes where nothing is configured.
	usual := setup(t).client()
	usual.at = func() time.Time { return usual.h.clock.Now().Add(-299 * time.Second).UTC() }
	usual.get("/api/v1/none").is(http.StatusNotFound)
	usual.at = func() time.Time { return usual.h.clock.Now().Add(-302 * time.Second).UTC() }
	usual.get("/api/v1/none").is(http.StatusUnauthorized)
}

func TestARotatedKeyIsGoodWhileItOverlapsAndAnswersHaveTheKeyOfTheirRequest(t *testing.T) {
	t.Parallel()
	h := setup(t)
	old := h.client()
	current := old
	current.key = drawKey(t)
	h.realms.set(application{old.realm, [][]byte{current.key, old.key}})
	// Each client checks the signature of the answer with the key that it has.
	current.get("/api/v1/none").is(http.StatusNotFound)
	old.get("/api/v1/none").is(http.StatusNotFound)
	stranger := old
	stranger.key, stranger.unsigned = drawKey(t), true
	for _, c := range []struct {
		client
		keys [][]byte
	}{{stranger, [][]byte{current.key, old.key}}, {old, [][]byte{current.key}}} {
		h.realms.set(application{old.realm, c.keys})
		c.unsigned = true
		a := c.get("/api/v1/none").says(http.StatusUnauthorized, "invalid", "Invalid credentials.")
		require.Equal(t,
			base64.StdEncoding.EncodeToString(current.hmac(a.header.Get("X-Sa-Date")+"\n"+old.realm.AppID+"\n"+string(a.body))),
			a.header.Get("X-Sa-Signature"), "who signed with no good key is answered with the present one")
	}
}

func TestAnApplicationCallsItsOwnRealmOnly(t *testing.T) {
	t.Parallel()
	h := setup(t)
	one, two := h.client(), h.client()
	one.prefix, two.prefix = two.prefix, "/"+strings.ToUpper(two.realm.Name)
	one.get("/api/v1/none").says(http.StatusUnauthorized, "invalid", "AppId is unknown. It is not the application of the realm in this path.")
	two.get("/api/v1/none").is(http.StatusNotFound)
}

func TestAnApplicationIDIsSignedAsTheClientSpellsIt(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	upper := c
	upper.realm.AppID = strings.ToUpper(c.realm.AppID)
	h.realms.mu.Lock()
	h.realms.known[upper.realm.AppID] = application{c.realm, [][]byte{c.key}} // a store that knows both
	h.realms.mu.Unlock()
	upper.get("/api/v1/none").is(http.StatusNotFound)
	h.realms.set(application{realm.Realm{AppID: c.realm.AppID}, nil})
	c.unsigned = true
	c.get("/api/v1/none").says(http.StatusUnauthorized, "invalid", "AppId is unknown.")
}
