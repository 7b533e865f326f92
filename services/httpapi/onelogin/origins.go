package onelogin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// originHeader begins the headers that name the origins whose pages may turn the session token of a
	// login into a session by CORS; a number follows.
	originHeader = "Custom-Allowed-Origin-Header-"
	maxOrigins   = 50
)

// namedOrigins reads the origins that a login names.
func namedOrigins(h http.Header) ([]string, error) {
	var origins []string
	for name, values := range h {
		if !strings.HasPrefix(name, originHeader) {
			continue
		}
		for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			origin, ok := originOf(item)
			if !ok {
				return nil, badRequest(name + " must be origins such as https://www.example.com between commas")
			}
			if !slices.Contains(origins, origin) {
				origins = append(origins, origin)
			}
		}
	}
	if len(origins) > maxOrigins {
		return nil, badRequest(originHeader + "N must not name so many origins")
	}
	slices.Sort(origins)
	return origins, nil
}

// originOf is an origin in the form in which browsers send it: scheme, host, and the port where it is
// not the scheme's own.
func originOf(s string) (string, bool) {
	u, err := url.Parse(strings.ToLower(strings.TrimSuffix(s, "/")))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsAny(u.Host, "*") ||
		u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	host := u.Host
	if port := u.Port(); port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":"), true
}

// allows tells whether pages of this origin may use the login's session.
func (l login) allows(origin string) bool {
	named, ok := originOf(origin)
	return ok && slices.Contains(l.Origins, named)
}

// share lets the page that asks read the answer, if the login named its origin.
func (l login) share(c *call) {
	origin := c.r.Header.Get("Origin")
	if origin == "" || !l.allows(origin) {
		return
	}
	c.w.Header().Set("Access-Control-Allow-Origin", origin)
	c.w.Header().Set("Access-Control-Allow-Credentials", "true")
}

// preflight lets every origin ask. Which origins a session is for is only known from its token or
// cookie, and browsers send neither with this question. Nothing is given away: the answer to the
// request itself is for the login's own origins only, and what changes something checks them.
func preflight(methods ...string) func(*call) error {
	allowed := strings.Join(methods, ", ")
	return func(c *call) error {
		h := c.w.Header()
		h.Set("Vary", "Origin")
		if origin, ok := originOf(c.r.Header.Get("Origin")); ok {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Allow-Methods", allowed)
			h.Set("Access-Control-Allow-Headers", "Content-Type, Accept, X-Requested-With")
			h.Set("Access-Control-Max-Age", "600")
		}
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
