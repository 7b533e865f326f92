package scenario_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// balancer sends each request to the next process, whoever asks, and counts the cookies that it sees.
type balancer struct {
	*httptest.Server
	turn, cookies atomic.Int64
}

const servedBy = "X-Served-By" // which process it was

func balance(t *testing.T, bases []string) *balancer {
	t.Helper()
	proxies := make([]*httputil.ReverseProxy, len(bases))
	for i, base := range bases {
		target, err := url.Parse(base)
		require.NoError(t, err)
		proxies[i] = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	}
	b := &balancer{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			b.cookies.Add(1)
		}
		process := int(b.turn.Add(1)) % len(proxies)
		w.Header().Set(servedBy, strconv.Itoa(process))
		proxies[process].ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

// asking is how many people are asked through the balancer, by a push and by a link each.
const asking = 100

func TestSecureAuthNeedsNoStickySessions(t *testing.T) {
	t.Parallel()
	s := Apart(t)
	bases := append([]string{s.base}, s.others...)
	require.Len(t, bases, 2)
	proxy := balance(t, bases)
	a := s.Realm(goSDK(), nil)
	var pushes, links atomic.Int64 // that ended as the person said, in the eyes of the other process
	t.Run("people", func(t *testing.T) {
		for i := range asking {
			button, decision, want := "Approve", api.DecisionApprove, "ACCEPTED"
			if i%2 == 1 {
				button, decision, want = "Deny", api.DecisionDeny, "DENIED"
			}
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				ana := s.in(t).with(a).Has(somebody(), nil)
				token := ana.Carries()

				asked, by := ana.through(proxy, "push_accept", ana.Factor("push").ID)
				ana.elsewhere(proxy, ofPush+asked.ReferenceID, by, "PENDING")
				require.Equal(t, http.StatusAccepted, ana.Decides(ana.Message(token), decision).Status)
				ana.elsewhere(proxy, ofPush+asked.ReferenceID, by, want)
				pushes.Add(1)

				asked, by = ana.through(proxy, "email_link", "Email1")
				ana.elsewhere(proxy, ofLink+asked.ReferenceID, by, "PENDING")
				Opens(t, ana.Message(ana.mailbox).Link).Presses(button)
				ana.elsewhere(proxy, ofLink+asked.ReferenceID, by, want)
				links.Add(1)
			})
		}
	})
	require.EqualValues(t, asking, pushes.Load(), "none is lost")
	require.EqualValues(t, asking, links.Load(), "none is lost")
	require.Zero(t, proxy.cookies.Load(), "nobody sent a cookie")
}

// through asks behind the balancer, and tells which process took it.
func (m member) through(b *balancer, kind, factor string) (asked said, process string) {
	m.t.Helper()
	a := m.At(b.URL, http.MethodPost, "/auth", m.asks(kind, fields{"factor_id": factor}))
	asked = read[said](m.t, a, http.StatusOK)
	require.Equal(m.t, "valid", asked.Status, asked.Message)
	require.NotEmpty(m.t, asked.ReferenceID)
	require.Contains(m.t, a.header.Get("Set-Cookie"), "INGRESSCOOKIE=", "it is issued for clients that want one")
	return asked, a.header.Get(servedBy)
}

// elsewhere polls behind the balancer until another process than the one that took the question has
// answered so. Every answer on the way is one of a question that is known.
func (m member) elsewhere(b *balancer, path, than, want string) {
	m.t.Helper()
	eventually(m.t, "another process answers "+want, func() bool {
		a := m.At(b.URL, http.MethodGet, path, nil)
		got := read[map[string]string](m.t, a, http.StatusOK)
		require.Equal(m.t, "found", got["status"])
		return got["message"] == want && a.header.Get(servedBy) != than
	})
}
