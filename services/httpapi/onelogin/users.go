package onelogin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// maxTries is how often a change is made again because somebody else changed the user in between.
const maxTries = 5

func (s *Server) userRoutes() []route {
	read, manage := []credential.Permission{credential.ReadPeople}, []credential.Permission{credential.ManagePeople}
	return []route{
		{"GET /api/2/users", styleUsers, read, s.listUsers},
		{"POST /api/2/users", styleUsers, manage, s.createUser},
		{"GET /api/2/users/{id}", styleUsers, read, s.getUser},
		{"PUT /api/2/users/{id}", styleUsers, manage, s.updateUser},
		{"DELETE /api/2/users/{id}", styleUsers, manage, s.deleteUser},

		{"GET /api/1/users", styleV1, read, asV1(s.listUsersV1)},
		{"POST /api/1/users", styleV1, manage, asV1(s.createUserV1)},
		{"GET /api/1/users/{id}", styleV1, read, asV1(s.getUserV1)},
		{"PUT /api/1/users/{id}", styleV1, manage, asV1(s.updateUserV1)},
		{"DELETE /api/1/users/{id}", styleV1, manage, asV1(s.deleteUserV1)},
		{"PUT /api/1/users/set_password_clear_text/{id}", styleV1, manage, asV1(s.setPasswordV1)},
		{"PUT /api/1/users/set_password_using_salt/{id}", styleV1, manage, asV1(s.setSaltedPasswordV1)},
	}
}

func (s *Server) createUser(c *call) error {
	u, err := s.addUser(c)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/api/2/users/"+strconv.FormatInt(u.Number, 10))
	writeJSON(c.w, http.StatusCreated, profileOf(u, whole))
	return nil
}

func (s *Server) getUser(c *call) error {
	u, err := s.namedUser(c)
	if err != nil {
		return err
	}
	properties, err := fieldsOf(c.r.URL.Query().Get("fields"), whole)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, profileOf(u, properties))
	return nil
}

func (s *Server) updateUser(c *call) error {
	u, err := s.changeNamedUser(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, profileOf(u, whole))
	return nil
}

func (s *Server) deleteUser(c *call) error {
	if err := s.removeUser(c); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// addUser makes a user of the body.
func (s *Server) addUser(c *call) (device.User, error) {
	var body userBody
	if err := readBody(c, &body); err != nil {
		return device.User{}, err
	}
	password, err := body.newPassword()
	if err != nil {
		return device.User{}, err
	}
	now := s.now()
	u := device.User{ID: uuid.Must(uuid.NewV7()).String(), Credential: c.client.Account, CreatedAt: now, UpdatedAt: now}
	if err := body.apply(&u); err != nil {
		return u, err
	}
	if password != "" {
		if err := s.setPassword(c.r.Context(), &u, password); err != nil {
			return u, err
		}
	}
	activate(&u)
	if u, err = s.config.Users.CreateUser(c.r.Context(), u); err != nil {
		return u, fmt.Errorf("create user: %w", err)
	}
	return u, nil
}

// activate notes when the user could first log in.
func activate(u *device.User) {
	if _, done := u.Attributes["activated_at"]; !done && statusOf(*u) == statusActive {
		u.Attributes["activated_at"] = encoded(stamp(u.UpdatedAt))
	}
}

// changeNamedUser makes the body's changes to the user that the path names.
func (s *Server) changeNamedUser(c *call) (device.User, error) {
	var body userBody
	if err := readBody(c, &body); err != nil {
		return device.User{}, err
	}
	number, err := userNumber(c)
	if err != nil {
		return device.User{}, err
	}
	password, err := body.newPassword()
	if err != nil {
		return device.User{}, err
	}
	return s.changeUserBy(c, number, body, password)
}

// changeUserBy makes a body's changes, with the password that it sets; empty: none.
func (s *Server) changeUserBy(c *call, number int64, body userBody, password string) (device.User, error) {
	var hashed device.User // what hashing made, which is done once
	return s.changeUser(c, number, func(u *device.User) error {
		former := statusOf(*u)
		if err := body.apply(u); err != nil {
			return err
		}
		u.UpdatedAt = s.now()
		if password != "" {
			if hashed.Password == "" {
				hashed.Username, hashed.Email = u.Username, u.Email
				if err := s.setPassword(c.r.Context(), &hashed, password); err != nil {
					return err
				}
			}
			u.Password, u.PasswordChangedAt = hashed.Password, hashed.PasswordChangedAt
			if !body.names("status") && (former == statusExpired || former == statusAwaiting) {
				u.Attributes["status"] = strconv.Itoa(statusActive)
			}
		}
		activate(u)
		return nil
	})
}

// changeUser reads, changes and stores a user, again where somebody else was faster.
func (s *Server) changeUser(c *call, number int64, change func(*device.User) error) (device.User, error) {
	for range maxTries {
		u, err := s.config.Users.UserByNumber(c.r.Context(), c.client.Account, number)
		if err != nil {
			return u, fmt.Errorf("read user: %w", err)
		}
		if err := change(&u); err != nil {
			return u, err
		}
		u, err = s.config.Users.UpdateUser(c.r.Context(), u)
		if err == nil {
			return u, nil
		}
		if !errors.Is(err, device.ErrChanged) {
			return u, fmt.Errorf("update user: %w", err)
		}
	}
	return device.User{}, &fault{status: http.StatusConflict, message: "The user is being changed by others; try again"}
}

func (s *Server) removeUser(c *call) error {
	u, err := s.namedUser(c)
	if err != nil {
		return err
	}
	if err := s.config.Users.DeleteUser(c.r.Context(), c.client.Account, u.ID); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	return nil
}

// namedUser is the user that the path names.
func (s *Server) namedUser(c *call) (device.User, error) {
	n, err := userNumber(c)
	if err != nil {
		return device.User{}, err
	}
	u, err := s.config.Users.UserByNumber(c.r.Context(), c.client.Account, n)
	if err != nil {
		return u, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// userNumber reads the path's id. What is no positive integer is no user's.
func userNumber(c *call) (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil || n < 1 {
		return 0, verification.ErrNotFound
	}
	return n, nil
}
