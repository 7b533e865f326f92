package secureauth

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// maxTries is how often a change is made again because somebody else changed the user in between.
const maxTries = 5

const maxUserID = 255

// userRoutes are the calls about one user. Where a path could be two calls, the one with the literal
// segment comes first: users named factors or status are read with ?username=.
func (s *Server) userRoutes() []route {
	return slices.Concat(
		s.groupRoutes(), // groups may be called status; users called groups, in a domain, are not expected
		named(http.MethodGet, "status", s.readStatus),
		named(http.MethodPost, "status", s.setStatus),
		s.passwordRoutes(),
		[]route{
			{http.MethodPost, "users", nil, s.createUser},
			{http.MethodGet, "users", nil, s.readUser},
			{http.MethodPut, "users", nil, s.updateUser},
			{http.MethodDelete, "users", nil, s.deleteUser},
		},
	)
}

// directoryRoutes are those whose paths hold fewer literal segments than others, and the calls that name
// their user in the body.
func (s *Server) directoryRoutes() []route {
	routes := slices.Concat(s.numberRoutes(), s.historyRoutes())
	for _, path := range []string{"users/{user}", "users/{domain}/{user}"} {
		routes = append(routes,
			route{http.MethodGet, path, nil, s.readUser},
			route{http.MethodPut, path, nil, s.updateUser},
			route{http.MethodPost, path, nil, s.updateUser},
		)
	}
	return routes
}

// named are the routes of a call about the user of the path or of the query.
func named(method, what string, handle func(*call) error) []route {
	return []route{
		{method, "users/" + what, nil, handle},
		{method, "users/{user}/" + what, nil, handle},
		{method, "users/{domain}/{user}/" + what, nil, handle},
	}
}

// userBody is a user as clients send it.
type userBody struct {
	UserID        text                       `json:"userId"`
	UserIDSnake   text                       `json:"user_id"`
	Domain        text                       `json:"domain"`
	Password      text                       `json:"password"`
	Properties    map[string]json.RawMessage `json:"properties"`
	KnowledgeBase map[string]json.RawMessage `json:"knowledgeBase"`
	// One SDK changes passwords here.
	CurrentPassword text `json:"currentPassword"`
	NewPassword     text `json:"newPassword"`
}

// createUser makes a user. A domain is part of the user name.
func (s *Server) createUser(c *call) error {
	var body userBody
	if err := c.decode(&body); err != nil {
		return err
	}
	name := strings.TrimSpace(string(body.UserID + body.UserIDSnake))
	if body.UserID != "" && body.UserIDSnake != "" {
		return rejected("userId must not be given together with user_id.")
	}
	if name == "" {
		return rejected("userId is required.")
	}
	if body.Domain != "" {
		name = string(body.Domain) + `\` + name
	}
	if wrong := textFault(name, maxUserID); wrong != "" {
		return rejected("userId " + wrong + ".")
	}
	change, err := body.change()
	if err != nil {
		return err
	}
	now := s.now()
	u := device.User{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: c.realm.Account, Username: name, CreatedAt: now, UpdatedAt: now,
	}
	err = s.newUser(c, u, change, string(body.Password))
	if taken := (*device.TakenError)(nil); errors.As(err, &taken) {
		return takenBy(taken)
	}
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return c.answer(basic{statusSuccess, ""})
}

// newUser stores a user with what the body gives them.
func (s *Server) newUser(c *call, u device.User, change profileChange, password string) error {
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	if err := change.hash(c.ctx(), s.config.Passwords); err != nil {
		return err
	}
	if err := change.apply(&p); err != nil {
		return err
	}
	if err := p.into(&u); err != nil {
		return err
	}
	if password != "" {
		if err := checkNew("password", password, u); err != nil {
			return err
		}
		hash, err := hashed(c.ctx(), s.config.Passwords, password)
		if err != nil {
			return err
		}
		s.setPassword(&u, &p, hash)
	}
	_, err = s.config.Users.CreateUser(c.ctx(), u)
	return err //nolint:wrapcheck // the caller says what it did
}

// takenBy names the field of the request whose value another user has.
func takenBy(taken *device.TakenError) error {
	field := "userId"
	if taken.Field == "email" {
		field = "email1"
	}
	return &fault{code: http.StatusBadRequest, status: statusFailed, message: field + " exists already: another user has it."}
}

// updateUser changes what the body names and leaves the rest.
func (s *Server) updateUser(c *call) error {
	var body userBody
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.CurrentPassword != "" && body.NewPassword != "" {
		return s.changePassword(c)
	}
	u, _, err := s.namedUser(c)
	if err != nil {
		return err
	}
	if body.Properties == nil && body.KnowledgeBase == nil {
		return rejected("properties or knowledgeBase is required.")
	}
	if body.Password != "" {
		return rejected("password is set by resetpwd and changepwd.")
	}
	change, err := body.change()
	if err != nil {
		return err
	}
	if err := change.hash(c.ctx(), s.config.Passwords); err != nil {
		return err
	}
	_, err = s.changeUser(c, u, func(_ *device.User, p *profile) error { return change.apply(p) })
	if taken := (*device.TakenError)(nil); errors.As(err, &taken) {
		return takenBy(taken)
	}
	if err != nil {
		return err
	}
	return c.answer(basic{statusSuccess, ""})
}

// changeUser changes a user and their profile, again where somebody else was faster.
func (s *Server) changeUser(c *call, u device.User, change func(*device.User, *profile) error) (device.User, error) {
	id, login := u.ID, cmp.Or(u.Username, u.Email)
	for try := range maxTries {
		if try > 0 {
			var err error
			if u, err = s.user(c, login, ""); err != nil {
				return u, err
			}
			if u.ID != id { // somebody else has the name now
				break
			}
		}
		p, err := profileOf(u)
		if err != nil {
			return u, err
		}
		if err := change(&u, &p); err != nil {
			return u, err
		}
		if err := p.into(&u); err != nil {
			return u, err
		}
		u.UpdatedAt = s.now()
		stored, err := s.config.Users.UpdateUser(c.ctx(), u)
		if err == nil {
			return stored, nil
		}
		if !errors.Is(err, device.ErrChanged) {
			return u, fmt.Errorf("update user: %w", err)
		}
	}
	return u, device.ErrChanged
}

// deleteUser removes a user with their devices and all else that is kept of them, whether the request
// asks for all or not: there is nothing to keep it for.
func (s *Server) deleteUser(c *call) error {
	var body struct {
		UserID text `json:"user_id"`
		Domain text `json:"domain"`
		All    flag `json:"deleteAllRelatedData"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	name := string(body.UserID)
	if name == "" {
		return rejected("user_id is required.")
	}
	shown := name
	if body.Domain != "" {
		shown = string(body.Domain) + `\` + name
	}
	u, err := s.user(c, name, string(body.Domain))
	if err == nil {
		err = s.config.Users.DeleteUser(c.ctx(), c.realm.Account, u.ID)
	}
	switch {
	case isUnknownUser(err), errors.Is(err, verification.ErrNotFound):
		return &fault{code: http.StatusNotFound, status: statusFailed, message: "user_id does not exist", userID: shown}
	case err != nil:
		return fmt.Errorf("delete user: %w", err)
	}
	return c.answer(plain{statusSuccess, "User delete complete", shown})
}
