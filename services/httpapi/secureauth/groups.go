package secureauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/assent-io/assent/services/device"
)

const (
	// maxGroups is how many groups a user may be in, and maxBatch how many one request may name.
	maxGroups = 200
	maxBatch  = 100
)

// groupRoutes are the four ways to put users into groups.
func (s *Server) groupRoutes() []route {
	return append([]route{
		{http.MethodPost, "users/{user}/groups/{group}", nil, s.addGroup},
		{http.MethodPost, "users/{domain}/{user}/groups/{group}", nil, s.addGroup},
		{http.MethodPost, "groups/{group}/users", nil, s.addUsers},
		{http.MethodPost, "groups/{group}/users/{user}", nil, s.addGroup},
		{http.MethodPost, "groups/{group}/users/{domain}/{user}", nil, s.addGroup},
	}, named(http.MethodPost, "groups", s.addGroups)...)
}

// grouped is the answer; failures hold the reasons by what they are about.
type grouped struct {
	basic
	Failures map[string][]string `json:"failures,omitempty"`
}

// answerGrouped answers how it went for so many users or groups.
func (c *call) answerGrouped(failures map[string][]string, all int) error {
	switch len(failures) {
	case 0:
		return c.answer(grouped{basic: basic{statusSuccess, ""}})
	case all:
		return c.answer(grouped{basic{statusFailed, "None could be added."}, failures})
	default:
		return c.answer(grouped{basic{statusSuccess, fmt.Sprintf("%d of %d could not be added.", len(failures), all)}, failures})
	}
}

// addGroup puts the user of the path into the group of the path.
func (s *Server) addGroup(c *call) error {
	group := strings.TrimSpace(c.value("group"))
	if wrong := groupFault(group); wrong != "" {
		return rejected("the group's name " + wrong + ".")
	}
	u, _, err := s.namedUser(c)
	if err != nil {
		return err
	}
	if _, err := s.changeUser(c, u, func(_ *device.User, p *profile) error { return p.join(group) }); err != nil {
		return err
	}
	return c.answerGrouped(nil, 1)
}

// addGroups puts one user into several groups.
func (s *Server) addGroups(c *call) error {
	var body struct {
		Groups []string `json:"groupNames"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	u, _, err := s.namedUser(c)
	if err != nil {
		return err
	}
	groups, err := batch("groupNames", body.Groups)
	if err != nil {
		return err
	}
	var failures map[string][]string
	_, err = s.changeUser(c, u, func(_ *device.User, p *profile) error {
		failures = map[string][]string{}
		for _, group := range groups {
			wrong := groupFault(group)
			if wrong != "" {
				wrong = "The group's name " + wrong + "."
			} else if p.join(group) != nil {
				wrong = fullOfGroups
			}
			if wrong != "" {
				failures[cut(group, maxGroupName)] = []string{wrong}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.answerGrouped(failures, len(groups))
}

// addUsers puts several users into the group of the path.
func (s *Server) addUsers(c *call) error {
	var body struct {
		Users []string `json:"userIds"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	group := strings.TrimSpace(c.value("group"))
	if wrong := groupFault(group); wrong != "" {
		return rejected("the group's name " + wrong + ".")
	}
	users, err := batch("userIds", body.Users)
	if err != nil {
		return err
	}
	failures := map[string][]string{}
	for _, name := range users {
		u, err := s.user(c, name, "")
		if err == nil {
			_, err = s.changeUser(c, u, func(_ *device.User, p *profile) error { return p.join(group) })
		}
		if err == nil {
			continue
		}
		f := faultFor(err)
		if f.code >= http.StatusInternalServerError { // the broker, not the user
			return err
		}
		failures[cut(name, maxUserID)] = []string{f.message}
	}
	return c.answerGrouped(failures, len(users))
}

// batch is a list of names without what stands in it twice.
func batch(field string, names []string) ([]string, error) {
	if len(names) == 0 || len(names) > maxBatch {
		return nil, rejected(fmt.Sprintf("%s must be a list of 1 to %d names.", field, maxBatch))
	}
	var list []string
	for _, name := range names {
		if name = strings.TrimSpace(name); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list, nil
}

func groupFault(group string) string {
	if group == "" {
		return "must not be empty"
	}
	return textFault(group, maxGroupName)
}

var fullOfGroups = fmt.Sprintf("The user is in %d groups already.", maxGroups)

// join puts the user into a group, where they are not in it yet.
func (p *profile) join(group string) error {
	switch {
	case contains(p.Groups, group):
		return nil
	case len(p.Groups) >= maxGroups:
		return &fault{code: http.StatusBadRequest, status: statusFailed, message: fullOfGroups}
	}
	p.Groups = append(slices.Clone(p.Groups), group)
	return nil
}
