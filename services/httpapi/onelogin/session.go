package onelogin

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	sessionCookie = "assent_session"
	sessionLife   = 8 * time.Hour
)

// errSession refuses a session token. The answer has no CORS headers: which origins it was for is not known.
var errSession = &fault{status: http.StatusForbidden, message: "Session token is invalid, expired, or was used before"}

// beginSession turns a session token into the browser's session, by the post of a form or by CORS.
func (s *Server) beginSession(c *call) error {
	h := c.w.Header()
	h.Set("Vary", "Origin")
	h.Set("Cache-Control", "no-store")
	token, form, err := sessionToken(c)
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	content, err := s.config.Tickets.Look(ctx, kindSessionToken, token)
	if err != nil {
		return sessionFault(err, errSession)
	}
	l, _, err := s.loginOf(ctx, content)
	if err != nil {
		return sessionFault(err, errSession)
	}
	// A script of a page that the login did not name could not read the answer, but the token would be
	// used up and the browser have a session. Forms are how any page may send its visitor here.
	if origin := c.r.Header.Get("Origin"); origin != "" && !form && !l.allows(origin) && !s.own(c.r, origin) {
		return errSession
	}
	if _, err := s.config.Tickets.Use(ctx, kindSessionToken, token); err != nil {
		return sessionFault(err, errSession)
	}
	l.EndsAt = s.now().Add(sessionLife)
	name, err := s.issue(ctx, kindSession, l, sessionLife)
	if err != nil {
		return err
	}
	http.SetCookie(c.w, s.browserCookie(c.r, name, int(sessionLife.Seconds())))
	l.share(c)
	page := form && strings.Contains(c.r.Header.Get("Accept"), "text/html")
	switch {
	case page && l.ReturnTo != "":
		h.Set("Location", l.ReturnTo)
		c.w.WriteHeader(http.StatusSeeOther)
	case page:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = c.w.Write([]byte("Signed in.\n")) // a browser that left is no fault of ours
	default:
		writeJSON(c.w, http.StatusOK, answerV1{Status: success})
	}
	return nil
}

// sessionToken reads the token from a form or from JSON.
func sessionToken(c *call) (token string, form bool, err error) {
	var body struct {
		SessionToken string `json:"session_token"`
	}
	switch media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); media {
	case "application/x-www-form-urlencoded":
		form = true
		var data []byte
		if data, err = readBytes(c); err != nil {
			return "", form, err
		}
		values, err := url.ParseQuery(string(data))
		if err != nil {
			return "", form, badRequest("The body is not a form")
		}
		body.SessionToken = values.Get("session_token")
	case "multipart/form-data":
		form = true
		c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxBody)
		if err := c.r.ParseMultipartForm(maxBody); err != nil {
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				return "", form, large
			}
			return "", form, badRequest("The body is not a form")
		}
		body.SessionToken = c.r.PostFormValue("session_token")
	default:
		if err := readBody(c, &body); err != nil {
			return "", form, err
		}
	}
	if body.SessionToken == "" {
		return "", form, badRequest("session_token must be given")
	}
	return body.SessionToken, form, nil
}

// browserCookie holds the session's name; without one it is removed. Pages of other sites can use the
// session where the connection is encrypted: browsers take SameSite=None only with Secure.
func (s *Server) browserCookie(r *http.Request, name string, life int) *http.Cookie {
	cookie := &http.Cookie{Name: sessionCookie, Value: name, Path: "/", MaxAge: life, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if r.TLS != nil || strings.HasPrefix(strings.ToLower(r.Header.Get("X-Forwarded-Proto")), "https") ||
		strings.HasPrefix(s.config.PublicURL(), "https://") {
		cookie.Secure, cookie.SameSite = true, http.SameSiteNoneMode
	}
	return cookie
}

// showSession says whose session the browser has.
func (s *Server) showSession(c *call) error {
	h := c.w.Header()
	h.Set("Vary", "Origin, Cookie")
	h.Set("Cache-Control", "no-store")
	l, u, _, err := s.session(c)
	if err != nil {
		return err
	}
	type session struct {
		User      profile `json:"user"`
		ExpiresAt string  `json:"expires_at"`
	}
	l.share(c)
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Data: []session{{profileOf(u, l.Fields), l.EndsAt.Format(loginTimeForm)}}})
	return nil
}

// endSession logs the browser out. A page of another site must not do that to its visitors: the browser
// says with every such request where the page is from, and only the login's own origins may.
func (s *Server) endSession(c *call) error {
	h := c.w.Header()
	h.Set("Vary", "Origin, Cookie")
	l, _, name, err := s.session(c)
	if err != nil {
		return err
	}
	if origin := c.r.Header.Get("Origin"); origin != "" && !l.allows(origin) && !s.own(c.r, origin) {
		return &fault{status: http.StatusForbidden, message: "Pages of this origin may not end the session"}
	}
	if err := s.config.Tickets.Revoke(c.r.Context(), kindSession, name); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	http.SetCookie(c.w, s.browserCookie(c.r, "", -1))
	l.share(c)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// own tells whether a page is ours, as the browser says or as our address does.
func (s *Server) own(r *http.Request, origin string) bool {
	ours, ok := originOf(baseOf(s.config.PublicURL()))
	named, valid := originOf(origin)
	return ok && valid && ours == named || r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// baseOf is an address without its path.
func baseOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// session is the browser's, with its user.
func (s *Server) session(c *call) (l login, u device.User, name string, err error) {
	none := unauthorized("There is no session")
	cookie, err := c.r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return l, u, "", none
	}
	content, err := s.config.Tickets.Look(c.r.Context(), kindSession, cookie.Value)
	if err != nil {
		return l, u, "", sessionFault(err, none)
	}
	l, u, err = s.loginOf(c.r.Context(), content)
	if err != nil {
		err = sessionFault(err, none)
	}
	return l, u, cookie.Value, err
}

// sessionFault is missing where there is no such session or token.
func sessionFault(err, missing error) error {
	if errors.Is(err, verification.ErrNotFound) {
		return missing
	}
	return fmt.Errorf("read session: %w", err)
}
