// Package onelogin speaks OneLogin's API: tokens, users, MFA in both versions, and the
// login of version 1, so that a platform changes a host name and nothing else. It
// translates and calls the same functions as the native API; OneLogin's words stay
// here. Where OneLogin's documentation and SDKs contradict each other, the calling
// credential's compat setting chooses.
package onelogin

import (
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/credential"
)

// Config is what the door needs. All fields are required but where a default is named.
type Config struct {
	Credentials Credentials
	Users       Users
	Enrolments  Enrolments
	// Verifications creates, reads and checks verifications.
	Verifications Verifications
	Tickets       Tickets
	Guesses       Guesses
	Passwords     Passwords
	Settings      Settings
	// Autofill is what the last line of text messages with a code is made of; a client's own wording must leave it room.
	Autofill autofill.Hint
	// PublicURL is what people's links start with.
	PublicURL func() string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Random draws codes and tokens; nil: crypto/rand.
	Random io.Reader
}

// Settings is what an operator may set about the door.
type Settings struct {
	// Brand stands in messages and authenticator apps; empty: "Assent".
	Brand string `koanf:"brand"`
	// MinExpiresIn and MaxExpiresIn bound the life of what the door starts, in seconds. Requests may ask for
	// 120 to 900; longer than MaxExpiresIn is shortened to it. Zero: 120 and 900.
	MinExpiresIn int `koanf:"min_expires_in"`
	MaxExpiresIn int `koanf:"max_expires_in"`
	// Factors are those that users may enrol: protect, sms, voice, email, email_link, authenticator. Empty: all.
	Factors []string `koanf:"factors"`
	// RateLimit is how many calls an account may make in an hour, per process; zero: no limit.
	RateLimit int `koanf:"rate_limit"`
}

// Server is the handler of all paths of OneLogin's API. Paths lists them.
type Server struct {
	config Config
	mux    *http.ServeMux
	rates  *rates
}

// New makes the door.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	c.Settings = c.Settings.complete()
	s := &Server{config: c, mux: http.NewServeMux(), rates: newRates(c.Settings.RateLimit, c.Now)}
	for _, r := range s.routes() {
		s.mux.Handle(r.pattern, s.serve(r))
	}
	return s
}

// Paths are what the door is mounted on.
func Paths() []string {
	return []string{"/auth/", "/api/1/", "/api/2/", "/session_via_api_token", "/session_via_api_token/"}
}

// route is one call of OneLogin's API.
type route struct {
	pattern string
	style   style
	// needs are the permissions of which the credential must have one; none: the call authenticates by itself.
	needs  []credential.Permission
	handle func(*call) error
}

func (s *Server) routes() []route {
	return slices.Concat(s.tokenRoutes(), s.userRoutes(), s.mfaRoutes(), s.legacyRoutes(), s.loginRoutes())
}

// call is one request on its way.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	client credential.Credential
}

// ServeHTTP answers one request. SDKs put a slash behind some paths, and mean the same.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path := r.URL.Path; len(path) > 1 && strings.HasSuffix(path, "/") {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = strings.TrimRight(path, "/"), ""
	}
	h, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.refuseRoute(w, r, h)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// serve authenticates, calls the handler, and turns what it fails with into the envelope of the version.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r}
		err := s.admit(c, rt)
		if err == nil {
			err = rt.handle(c)
		}
		if err != nil {
			s.fail(c, rt.style, err)
		}
	})
}

// admit names the client and checks what it may do.
func (s *Server) admit(c *call, rt route) error {
	if len(rt.needs) == 0 {
		return nil
	}
	token, err := bearer(c.r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	if c.client, err = s.config.Credentials.Bearer(c.r.Context(), token); err != nil {
		return err
	}
	note(c.w, c.client.ClientID, "", nil)
	if err := s.rates.count(c); err != nil {
		return err
	}
	if !slices.ContainsFunc(rt.needs, c.client.Scope.Allows) {
		return errForbidden
	}
	return nil
}

// bearer reads the header in every form in use: with a colon, a space, or both, in either case of letters.
func bearer(header string) (string, error) {
	const scheme = "bearer"
	header = strings.TrimSpace(header)
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", credential.ErrToken
	}
	rest := header[len(scheme):]
	token := strings.TrimLeft(rest, ": ")
	if token == rest || token == "" {
		return "", credential.ErrToken
	}
	return token, nil
}

// observer is the log line and the metrics of the request, where the server keeps some.
type observer interface {
	Note(client, verificationID string, err error)
}

func note(w http.ResponseWriter, client, verificationID string, err error) {
	if o, ok := w.(observer); ok {
		o.Note(client, verificationID, err)
	}
}
