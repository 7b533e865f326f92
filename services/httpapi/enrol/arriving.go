package enrol

import (
	"net/http"
	"strings"
)

// arrived marks the page that follows the one of arrive, so that there is one of those at most.
const arrived = "again"

// fromElsewhere tells whether a link of another site was followed, so that the browser kept our cookie back (SameSite=Strict),
// if it has one.
func fromElsewhere(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site" &&
		len(r.CookiesNamed(cookieName)) == 0 && !r.URL.Query().Has(arrived)
}

// arrive answers with a page that leads to the same address at once. That comes from a page of ours and brings the cookie: a new
// one would end the proof and the forms of the other tabs. A redirect would not do, as it still counts as the other site's.
func (h *handler) arrive(v *visit) {
	q := v.r.URL.Query()
	q.Set(arrived, "1")
	to := h.root() + strings.TrimPrefix(v.r.URL.EscapedPath(), "/enrol/") + "?" + q.Encode()
	p := h.blank(v, viewNotice, v.words.Title, nil)
	p.Back, p.BackWords = to, v.words.Continue
	v.out.Header().Set("Refresh", "0; url="+to)
	h.render(v, http.StatusOK, resultShown, p)
}
