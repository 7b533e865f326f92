package onelogin

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/plaintext"
	"github.com/assent-io/assent/services/verification"
)

const (
	// loginLife is how long a state token or a session token lives.
	loginLife = 2 * time.Minute
	// loginTimeForm is how this part of the API writes times.
	loginTimeForm = "2006/01/02 15:04:05 -0700"
	secretBytes   = 20
)

// The kinds of tickets and of guesses.
const (
	kindState        = "login"       // the password was right, a factor is to come
	kindSessionToken = "login_token" // logged in, the browser is to come
	kindSession      = "session"     // the browser's
	kindLogin        = "login"       // guesses of passwords
	kindLoginFactor  = "factor"      // guesses of codes, over all logins of a user
)

func (s *Server) loginRoutes() []route {
	verify := []credential.Permission{credential.Verify}
	return []route{
		{"POST /api/1/login/auth", styleV1, verify, s.logIn},
		{"POST /api/1/login/verify_factor", styleV1, verify, s.verifyFactor},
		{"POST /session_via_api_token", styleV1, nil, s.beginSession},
		{"OPTIONS /session_via_api_token", styleV1, nil, preflight(http.MethodPost)},
		{"GET /api/1/login/session", styleV1, nil, s.showSession},
		{"DELETE /api/1/login/session", styleV1, nil, s.endSession},
		{"OPTIONS /api/1/login/session", styleV1, nil, preflight(http.MethodGet, http.MethodDelete)},
	}
}

// login is what is known of a login on its way: from the password to the factor, to the session token,
// to the browser's session.
type login struct {
	Account  string    `json:"account"`
	User     int64     `json:"user"`
	ReturnTo string    `json:"return_to,omitempty"`
	Origins  []string  `json:"origins,omitempty"`
	Fields   []string  `json:"fields"`
	Address  string    `json:"address,omitempty"`
	BeganAt  time.Time `json:"began_at"`
	EndsAt   time.Time `json:"ends_at"`
}

type loginBody struct {
	UsernameOrEmail string          `json:"username_or_email"`
	Password        string          `json:"password"`
	ReturnToURL     string          `json:"return_to_url"`
	IPAddress       string          `json:"ip_address"`
	Fields          json.RawMessage `json:"fields"`
}

// logIn takes a username or email and a password.
func (s *Server) logIn(c *call) error {
	var body loginBody
	if err := readBody(c, &body); err != nil {
		return err
	}
	l, err := body.login(c)
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	name := strings.ToLower(strings.TrimSpace(body.UsernameOrEmail))
	right, err := s.config.Guesses.Guess(ctx, kindLogin, c.client.Account+"/"+name)
	if err != nil {
		return err //nolint:wrapcheck // faultFor knows it
	}
	u, err := s.config.Users.UserByLogin(ctx, c.client.Account, name)
	if err != nil && !errors.Is(err, verification.ErrNotFound) {
		return fmt.Errorf("read user: %w", err)
	}
	// Unknown users are checked too: an answer that came sooner would tell who has an account.
	correct, err := s.checkPassword(ctx, u, body.Password)
	if err != nil {
		right(ctx) // it was not compared
		return err
	}
	if !correct || !mayLogIn(u) {
		return unauthorized("Authentication Failure")
	}
	right(ctx)
	l.Account, l.User, l.BeganAt, l.EndsAt = c.client.Account, u.Number, s.now(), s.now().Add(loginLife)
	devices, err := s.loginDevices(ctx, u)
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		return s.logInDone(c, l, u)
	}
	return s.askForFactor(c, l, u, devices)
}

// login checks everything but the password.
func (b *loginBody) login(c *call) (login, error) {
	l := login{ReturnTo: b.ReturnToURL, Fields: loginProperties}
	if strings.TrimSpace(b.UsernameOrEmail) == "" {
		return l, badRequest("username_or_email must be given")
	}
	if b.Password == "" {
		return l, badRequest("password must be given")
	}
	if len(b.UsernameOrEmail) > longestLine || len(b.Password) > longestLine {
		return l, unauthorized("Authentication Failure") // nobody has one so long
	}
	if b.ReturnToURL != "" && !webURL(b.ReturnToURL) {
		return l, badRequest("return_to_url must be an http or https address")
	}
	if b.IPAddress != "" {
		ip, err := netip.ParseAddr(b.IPAddress)
		if err != nil || ip.Zone() != "" {
			return l, badRequest("ip_address must be an IP address")
		}
		l.Address = ip.String() // shown to the person who approves
	}
	fields, err := b.fields()
	if err != nil {
		return l, err
	}
	for _, name := range fields {
		if !slices.Contains(l.Fields, name) {
			l.Fields = append(slices.Clip(l.Fields), name)
		}
	}
	l.Origins, err = namedOrigins(c.r.Header)
	return l, err
}

// fields are further properties of the user that the client wants, as a list or between commas.
func (b *loginBody) fields() ([]string, error) {
	var text string
	var list []string
	if b.Fields != nil && json.Unmarshal(b.Fields, &text) != nil {
		if json.Unmarshal(b.Fields, &list) != nil {
			return nil, badRequest("fields must be a list of properties, or a string with commas between them")
		}
		text = strings.Join(list, ",")
	}
	fields, err := fieldsOf(text, nil)
	if err != nil {
		return nil, badRequest("fields must be properties of users")
	}
	return fields, nil
}

// maxWebURL is how long an address may be that a browser is sent to.
const maxWebURL = 2048

func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxWebURL && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		!strings.ContainsFunc(s, plaintext.Unshowable)
}

// logInDone hands out the session token.
func (s *Server) logInDone(c *call, l login, u device.User) error {
	l.EndsAt = s.now().Add(loginLife)
	token, err := s.issue(c.r.Context(), kindSessionToken, l, loginLife)
	if err != nil {
		return err
	}
	s.noteLogin(c, u)
	type authenticated struct {
		Status       string  `json:"status"`
		User         profile `json:"user"`
		ReturnToURL  any     `json:"return_to_url"`
		ExpiresAt    string  `json:"expires_at"`
		SessionToken string  `json:"session_token"`
	}
	c.w.Header().Set("Cache-Control", "no-store")
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Data: []authenticated{{
		"Authenticated", profileOf(u, l.Fields), present(l.ReturnTo), l.EndsAt.Format(loginTimeForm), token,
	}}})
	return nil
}

// noteLogin is best effort: that it cannot be noted keeps nobody out.
func (s *Server) noteLogin(c *call, u device.User) {
	_, _ = s.changeUser(c, u.Number, func(u *device.User) error {
		u.LastLogin = s.now()
		return nil
	})
}

// askForFactor hands out the state token, and says which devices can complete the login.
func (s *Server) askForFactor(c *call, l login, u device.User, devices []loginDevice) error {
	token, err := s.issue(c.r.Context(), kindState, l, loginLife)
	if err != nil {
		return err
	}
	type challenge struct {
		User        profile       `json:"user"`
		StateToken  string        `json:"state_token"`
		CallbackURL string        `json:"callback_url"`
		Devices     []loginDevice `json:"devices"`
	}
	st := success
	st.Message = "MFA is required for this user"
	c.w.Header().Set("Cache-Control", "no-store")
	writeJSON(c.w, http.StatusOK, answerV1{Status: st, Data: []challenge{{
		profileOf(u, l.Fields), token, strings.TrimSuffix(s.config.PublicURL(), "/") + "/api/1/login/verify_factor", devices,
	}}})
	return nil
}

// issue keeps a login under a new secret name.
func (s *Server) issue(ctx context.Context, kind string, l login, life time.Duration) (string, error) {
	raw := make([]byte, secretBytes)
	if _, err := io.ReadFull(s.config.Random, raw); err != nil {
		return "", fmt.Errorf("draw token: %w", err)
	}
	name := hex.EncodeToString(raw)
	if err := s.config.Tickets.Issue(ctx, kind, name, []byte(encoded(l)), life); err != nil {
		return "", fmt.Errorf("keep login: %w", err)
	}
	return name, nil
}

// loginOf reads a ticket's content and its user. Without a ticket, and for a login that has ended or
// whose user has gone, was locked, or has another password since, it is verification.ErrNotFound.
func (s *Server) loginOf(ctx context.Context, content []byte) (login, device.User, error) {
	var l login
	if err := json.Unmarshal(content, &l); err != nil {
		return l, device.User{}, fmt.Errorf("read login: %w", err)
	}
	if !s.config.Now().Before(l.EndsAt) {
		return l, device.User{}, verification.ErrNotFound
	}
	u, err := s.config.Users.UserByNumber(ctx, l.Account, l.User)
	if err != nil {
		return l, u, fmt.Errorf("read user: %w", err)
	}
	if !mayLogIn(u) || u.PasswordChangedAt.After(l.BeganAt) {
		return l, u, verification.ErrNotFound
	}
	return l, u, nil
}

// unauthorized refuses a person or a browser; the client's own token is good.
func unauthorized(message string) error {
	return &fault{status: http.StatusUnauthorized, message: message, header: http.Header{"Www-Authenticate": {`Bearer realm="assent"`}}}
}
