package webpush

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// These end a dial to where no push service of the internet is.
var (
	errPrivate = errors.New("the push service has a private address")
	errMissing = errors.New("the push service's name does not exist")
)

// reserved are the networks that are no part of the internet, beside those that netip knows, and those
// whose addresses hold another address.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// public tells whether an address is one of the internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, network := range reserved {
		if network.Contains(ip.WithZone("")) {
			return false
		}
	}
	return true
}

// guard is asked before each connection, when the name was resolved already.
func guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return errPrivate
	}
	return nil
}

// NewHTTPClient is a client whose connections outlive a burst. It connects to no private address,
// unless the configuration allows it; the operator's own proxy and the sandbox may have one.
func NewHTTPClient(cfg Config) *http.Client {
	client, own := exchange.Pool(callTimeout), exchange.Pool(callTimeout)
	if transport, ok := client.Transport.(*http.Transport); ok {
		dialer := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
		transport.DialContext = minding(dialer, cfg.AllowPrivate, proxy())
	}
	client.Transport = &roads{out: client.Transport, own: own.Transport, standIn: cfg.StandIn}
	return client
}

// proxy is where calls go first, as host:port; empty where there is none.
func proxy() string {
	u, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: "push.invalid"}})
	if err != nil || u == nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// minding dials where a stranger's endpoint leads. The proxy is the operator's own: its name is expected to come back.
func minding(plain net.Dialer, private bool, proxy string) func(context.Context, string, string) (net.Conn, error) {
	guarded := plain
	if !private {
		guarded.Control = guard
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == proxy {
			return plain.DialContext(ctx, network, address)
		}
		conn, err := guarded.DialContext(ctx, network, address)
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, errMissing
		}
		return conn, err
	}
}

// roads tells the sandbox's endpoints from all others.
type roads struct {
	out, own http.RoundTripper
	standIn  StandIn
}

// RoundTrip calls the sandbox where it is, under the name that it has for the public.
func (r *roads) RoundTrip(req *http.Request) (*http.Response, error) {
	endpoint := req.URL.String()
	if !r.standIn.has(endpoint) {
		return r.out.RoundTrip(req)
	}
	to, err := url.Parse(r.standIn.URL + path + strings.TrimPrefix(endpoint, r.standIn.PublicURL+path))
	if err != nil {
		return nil, errors.New("the sandbox has no URL that can be called")
	}
	call := req.Clone(req.Context())
	call.Host, call.URL = req.URL.Host, to
	return r.own.RoundTrip(call)
}

// CloseIdleConnections closes those of both roads.
func (r *roads) CloseIdleConnections() {
	for _, road := range []http.RoundTripper{r.out, r.own} {
		if c, ok := road.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}

// hostless is err without the name that a resolver puts into it: it is part of the endpoint.
func hostless(err error) error {
	var dns *net.DNSError
	switch {
	case err == nil:
		return errors.New("no cause was told")
	case errors.As(err, &dns) && dns.IsTimeout:
		return errors.New("the push service's name was not resolved in time")
	case errors.As(err, &dns):
		return errors.New("the push service's name was not resolved")
	default:
		return err
	}
}
