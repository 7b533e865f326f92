package secureauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/verification"
)

// roundRobin is a proxy that hands each request to the next of the servers, whoever sends it.
func roundRobin(t *testing.T, doors ...http.Handler) string {
	t.Helper()
	targets := make([]*url.URL, len(doors))
	for i, door := range doors {
		server := httptest.NewServer(door)
		t.Cleanup(server.Close)
		target, err := url.Parse(server.URL)
		require.NoError(t, err)
		targets[i] = target
	}
	var turn atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(targets[int(turn.Add(1))%len(targets)])
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// counted counts the requests that a server answered.
func counted(next http.Handler, n *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		next.ServeHTTP(w, r)
	})
}

func TestTwoProcessesBehindARoundRobinProxyLoseNoReference(t *testing.T) {
	t.Parallel()
	one := setup(t)
	two := one.process()
	var atOne, atTwo atomic.Int64
	base := roundRobin(t, counted(one.door, &atOne), counted(two.door, &atTwo))
	c := one.client()

	const people, each = 50, 4 // of two persons one gets three messages, and the other one: the newest push replaces the one before
	var references []string    // by their paths
	for range people {
		u := one.user(username(fmt.Sprintf("josé %d", one.people.Load())))
		v := one.user(username(fmt.Sprintf("zoë %d", one.people.Load())))
		for _, ask := range [each]struct{ name, kind, factor, path string }{
			{u.Username, "push_accept", factorID(one.app(u)), "/api/v1/auth/"},
			{u.Username, "email_link", "Email1", "/api/v1/auth/link/"},
			{v.Username, "push_accept_symbol", factorID(one.app(v)), "/api/v2/auth/"},
			{u.Username, "sms_link", "Phone1", "/api/v2/auth/link/"},
		} {
			a := c.over(base, c.request(http.MethodPost, "/api/v1/auth", map[string]string{
				"user_id": ask.name, "type": ask.kind, "factor_id": ask.factor,
			})).says(http.StatusOK, "valid", "")
			require.NotEmpty(t, a.text("reference_id"))
			references = append(references, ask.path+a.text("reference_id"))
		}
	}
	require.Len(t, references, people*each)
	require.EqualValues(t, people*each/2, atOne.Load())
	require.EqualValues(t, people*each/2, atTwo.Load())

	// Of two polls each process answers one.
	poll := func(path, message string) {
		t.Helper()
		for range 2 {
			c.over(base, c.request(http.MethodGet, path, nil)).says(http.StatusOK, "found", message)
		}
	}
	for i, path := range references {
		poll(path, "PENDING")
		if i%2 == 0 {
			one.answers(path[strings.LastIndexByte(path, '/')+1:], verification.Deny, "")
			poll(path, "DENIED")
		}
	}
}

func TestACookieIsOfferedForPushesAndLinksAndNeverNeeded(t *testing.T) {
	t.Parallel()
	h := setup(t)
	plain := h.process(func(c *secureauth.Config) { c.PublicURL = func() string { return "http://assent.example" } })
	c := h.client()
	var u device.User
	ask := func() map[string]string { // somebody of their own: the newest push replaces the one before
		u = h.user()
		return map[string]string{"user_id": u.Username, "type": "push_accept", "factor_id": factorID(h.app(u))}
	}
	form := regexp.MustCompile(`^INGRESSCOOKIE=([a-z0-9]{16,}); Path=/; Max-Age=120; HttpOnly(; Secure)?$`)
	first := c.post("/api/v1/auth", ask()).is(http.StatusOK)
	second := c.post("/api/v1/auth", ask()).is(http.StatusOK)
	one := form.FindStringSubmatch(first.header.Get("Set-Cookie"))
	two := form.FindStringSubmatch(second.header.Get("Set-Cookie"))
	require.NotNil(t, one, first.header)
	require.NotNil(t, two, second.header)
	require.NotEqual(t, one[1], two[1])
	require.NotEmpty(t, one[2], "the public URL has TLS")
	bare := form.FindStringSubmatch(c.of(plain).post("/api/v1/auth", ask()).is(http.StatusOK).header.Get("Set-Cookie"))
	require.NotNil(t, bare)
	require.Empty(t, bare[2], "without TLS a client would not send it back")

	path := "/api/v1/auth/" + first.text("reference_id")
	for _, cookie := range []string{"", "INGRESSCOOKIE=" + one[1], "INGRESSCOOKIE=another", "x"} {
		r := c.request(http.MethodGet, path, nil)
		r.Header.Set("Cookie", cookie)
		a := c.send(r).says(http.StatusOK, "found", "PENDING")
		require.Empty(t, a.header.Get("Set-Cookie"))
	}
	for _, a := range []answer{
		c.post("/api/v1/auth", map[string]string{"user_id": u.Username, "type": "user_id"}).is(http.StatusOK),
		c.post("/api/v1/auth", map[string]string{"user_id": "nobody", "type": "push_accept"}).is(http.StatusNotFound),
	} {
		require.Empty(t, a.header.Get("Set-Cookie"))
	}
}

func TestNamesOfPeopleComeThroughAsTheyAre(t *testing.T) {
	t.Parallel()
	h := setup(t)
	base := h.client()
	for _, name := range []string{"j smith", "josé", `CORP\jo`, "a/b", "a+b@example.com", "100%", "日本 🙂", "a?b#c", "..", "status"} {
		h.user(username(name), func(u *device.User) { u.Email = "" })
		for about, variant := range sdks {
			c := variant(base)
			a := c.get("/api/v1/users/" + url.PathEscape(name) + "/factors").is(http.StatusOK)
			require.Equal(t, name, a.text("user_id"), about)
			a = c.get("/api/v2/users/factors?username=" + url.QueryEscape(name)).is(http.StatusOK)
			require.Equal(t, name, a.text("user_id"), about)
		}
		ask := fmt.Sprintf("{\n  \"user_id\" : %q,\n  \"type\" : \"user_id\"\n}", name)
		require.Equal(t, name, base.post("/api/v1/auth", ask).says(http.StatusOK, "found", "User Id found").text("user_id"))
	}
}
