// Package secureauth speaks SecureAuth's Authentication API: factors, authentication,
// links and pushes to accept, users and their profiles, signed in both directions. It
// translates and calls the same functions as the native API, so any api process answers
// for any reference; SecureAuth's words stay here.
package secureauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/services/realm"
)

// Config is what the door needs. All fields are required but where a default is named.
type Config struct {
	Realms        Realms
	Users         Users
	Verifications Verifications
	Tickets       Tickets
	Guesses       Guesses
	Counts        Counts
	Passwords     Passwords
	// YubiKeys asks a validation server; nil: there is none, and the type yubikey is refused.
	YubiKeys YubiKeys
	// ClockWindow is how far the date of a request may be off, either way; zero: five minutes.
	ClockWindow time.Duration
	// PublicURL is what people's links start with.
	PublicURL func() string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Random draws codes and tokens; nil: crypto/rand.
	Random io.Reader
}

// Server is the handler of all paths of SecureAuth's API.
type Server struct {
	config Config
	routes []route
}

// New makes the door.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.ClockWindow == 0 {
		c.ClockWindow = 5 * time.Minute
	}
	s := &Server{config: c}
	s.routes = slices.Concat(s.statusRoutes(), s.factorRoutes(), s.authRoutes(), s.userRoutes(), s.directoryRoutes(), s.absentRoutes())
	// What a path says literally goes before what it names: /users/status is no user called status.
	slices.SortStableFunc(s.routes, func(a, b route) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	return s
}

// route is one call of the API.
type route struct {
	method string
	// path is what follows the version, with {names} for single segments.
	path     string
	versions []int // none: all
	handle   func(*call) error
}

// call is one signed request on its way.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	server  *Server
	now     time.Time
	realm   realm.Realm
	appID   string // as the client spells it, and signs it
	key     []byte // signs the answer
	version int
	body    []byte // as received
	values  map[string]string
	written bool // the answer
}

func (c *call) ctx() context.Context { return c.r.Context() }

// value is the segment of the path that the route names, unescaped.
func (c *call) value(name string) string { return c.values[name] }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, server: s}
	defer func() {
		// The server logs what happened, with its stack; the client gets its answer in the form of this API.
		if p := recover(); p != nil {
			if !c.written {
				c.fail(errors.New("panic in a handler"))
			}
			panic(p)
		}
	}()
	if err := s.admit(c); err != nil {
		c.fail(err)
		return
	}
	handle, err := s.find(c)
	if err == nil {
		err = handle(c)
	}
	if err != nil {
		c.fail(err)
	}
}

// find is the handler of the call's path. Doubled slashes are one, and one at the end is none.
func (s *Server) find(c *call) (func(*call) error, error) {
	segments, err := c.segments()
	if err != nil {
		return nil, err
	}
	var allowed []string
	for _, rt := range s.routes {
		values, ok := rt.match(segments)
		if !ok || len(rt.versions) > 0 && !slices.Contains(rt.versions, c.version) {
			continue
		}
		allowed = append(allowed, rt.method)
		if rt.method == c.r.Method {
			c.values = values
			c.r.Pattern = rt.method + " /{realm}/api/" + fmt.Sprintf("v%d/", c.version) + rt.path // for the log and the metrics
			return rt.handle, nil
		}
	}
	if len(allowed) > 0 {
		return nil, &fault{
			code: http.StatusMethodNotAllowed, status: statusInvalid, message: "This path does not take the method " + c.r.Method + ".",
			header: http.Header{"Allow": {strings.Join(allowed, ", ")}},
		}
	}
	return nil, absentPath()
}

func (rt route) match(segments []string) (map[string]string, bool) {
	want := strings.Split(rt.path, "/")
	if len(want) != len(segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, w := range want {
		if name, ok := strings.CutPrefix(w, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = segments[i]
			continue
		}
		if !strings.EqualFold(w, segments[i]) {
			return nil, false
		}
	}
	return values, true
}
