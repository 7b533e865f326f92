package accept

import (
	"math/bits"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/assent-io/assent/services/verification"
)

// This file tells programs that follow links (scanners of mail, previews, prefetches) from people. None of it
// is proof, so a sign only delays: it approves nothing, denies nothing, uses no link up, and whoever reads and
// presses again is heard. docs/links.md lists who was imitated and what was seen.

const (
	// hasteWithin is faster than people read and press.
	hasteWithin = time.Second
	// suspiciousReadings is how many times longer a visit with signs must have been shown the page.
	suspiciousReadings = 4
	// crowdOf looks at one link within crowdWithin are more than one person's.
	crowdOf     = 4
	crowdWithin = time.Second
	// maxCrowds bounds the links and browsers that are watched at once.
	maxCrowds = 4096
)

// signs are what was seen of a visit.
type signs uint16

const (
	agent        signs = 1 << iota // the program says that it is none for people
	network                        // it calls from where scanners of mail do
	prefetch                       // a browser loads the page before anybody asked to see it
	hasty                          // something was pressed before it could be read
	burst                          // the same browser looks again and again within a second
	crowd                          // the link is looked at again and again within a second, by whomever
	noLanguage                     // no language is asked for, as every person's browser does
	noNavigation                   // the browser does not say that somebody went to the page
	noCookie                       // the page was not shown to who answers; such an answer never counts
)

// strong signs do for themselves. The others happen to people too: one comes right after the scanner that was
// sent ahead of the click, one has an old browser. Two of them do not.
const (
	strong = agent | network | prefetch | hasty | burst
	weak   = crowd | noLanguage | noNavigation
)

func (s signs) suspicious() bool {
	return s&strong != 0 || bits.OnesCount16(uint16(s&weak)) > 1
}

// signNames are what assent_link_signs_total counts, in the order of the bits.
var signNames = [...]string{"agent", "network", "prefetch", "hasty", "burst", "crowd", "no_language", "no_navigation", "no_cookie"}

func (h *handler) count(s signs) {
	for i, name := range signNames {
		if s&(1<<i) != 0 {
			h.signs.WithLabelValues(name).Inc()
		}
	}
}

// read tells whether the page was shown for long enough: longer where the visit is suspicious.
func (h *handler) read(shown form, seen signs) bool {
	reading := h.MinReading
	if seen.suspicious() {
		reading *= suspiciousReadings
	}
	return h.Now().Sub(shown.shown) >= reading
}

// meant tells whether an answer is known to be somebody's own. Where the visit is suspicious and no number guards
// the answer, the same button must have been pressed before, on the page that this one was made after.
func (h *handler) meant(a answer, seen signs, sees visitor) bool {
	return !seen.suspicious() || a.guarded() || sees.asked == a.decision && h.Now().Sub(sees.askedAt) >= h.MinReading
}

// signsOf looks at one request, and counts what it sees.
func (h *handler) signsOf(r *http.Request, token verification.Token, sees visitor) signs {
	var s signs
	if oneOf(programs, r.UserAgent()) || oneOf(programs, r.Header.Get("Sec-Ch-Ua")) {
		s |= agent
	}
	if h.fromScanners(r.RemoteAddr) {
		s |= network
	}
	// Prefetches say so under one of these names, by browser.
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if value := strings.ToLower(r.Header.Get(name)); strings.Contains(value, "prefetch") || strings.Contains(value, "preview") {
			s |= prefetch
		}
	}
	if r.Method != http.MethodPost {
		if h.crowds.look(hashOf(token), h.Now()) {
			s |= crowd
		}
		if sees.nonce != "" && h.crowds.look(sees.nonce, h.Now()) {
			s |= burst
		}
	}
	// Over plain http browsers leave these out, and what is tried there is tried with scripts.
	if strings.HasPrefix(h.PublicURL(), "https:") {
		if r.Header.Get("Accept-Language") == "" {
			s |= noLanguage
		}
		if r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			s |= noNavigation
		}
	}
	h.count(s)
	return s
}

// fromScanners tells whether a connection comes from a scanner's network. What a proxy says about the caller is not
// believed, so behind one that hides the callers no address is a sign.
func (h *handler) fromScanners(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range h.ScannerNetworks {
		if p.Contains(at.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// ScannerNetworks are the networks that are published as those of mail security and meet no person's browser:
// Exchange Online Protection with Safe Links (Microsoft 365's list of endpoints, services 9 and 10).
func ScannerNetworks() []string {
	return []string{
		"40.92.0.0/15", "40.107.0.0/16", "52.100.0.0/14", "104.47.0.0/17", "2a01:111:f400::/48", "2a01:111:f403::/48",
	}
}

// programs are parts of the names under which scanners, previews and driven browsers call. Libraries such as curl
// are not among them: over https they are known by the headers that they leave out.
var programs = []string{
	"bot/", "bot;", "bot (", "bot)", "bot-", "facebot", "crawl", "spider", "scan", "preview", "headless", "phantomjs", "puppeteer", "playwright",
	"facebookexternalhit", "whatsapp", "imageproxy", "mailproxy", "google-safety", "ms-office",
	"barracuda", "mimecast", "proofpoint", "fireeye", "forcepoint", "ironport", "messagelabs", "symantec", "trendmicro", "zscaler",
}

// libraries are what else is no browser.
var libraries = []string{"curl", "wget", "python", "go-http", "java/", "okhttp", "axios", "node", "ruby", "perl", "powershell"}

func oneOf(parts []string, agent string) bool {
	agent = strings.ToLower(agent)
	for _, part := range parts {
		if strings.Contains(agent, part) {
			return true
		}
	}
	return false
}

// userAgentClass says what kind of program called, without keeping what identifies it.
func userAgentClass(agent string) string {
	switch {
	case agent == "":
		return "none"
	case oneOf(programs, agent), oneOf(libraries, agent):
		return "program"
	case strings.HasPrefix(strings.ToLower(agent), "mozilla/"):
		return "browser"
	default:
		return "other"
	}
}

// crowds counts the looks at each link and of each browser, in this process alone: what another one sees only makes a sign rarer.
type crowds struct {
	mu    sync.Mutex
	looks map[string]looks
}

type looks struct {
	since time.Time
	n     int
}

// look counts one look, and tells whether there were too many for one person.
func (c *crowds) look(key string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.looks[key]
	if now.Sub(l.since) >= crowdWithin {
		l = looks{since: now}
	}
	l.n++
	if l.n == 1 && len(c.looks) >= maxCrowds {
		c.looks = nil // which forgets a few counts of this very second
	}
	if c.looks == nil {
		c.looks = map[string]looks{}
	}
	c.looks[key] = l
	return l.n >= crowdOf
}
