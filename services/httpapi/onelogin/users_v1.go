package onelogin

import (
	"errors"
	"net/http"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// answerV1 is an answer of version 1.
type answerV1 struct {
	Status     status      `json:"status"`
	Pagination *pagination `json:"pagination,omitempty"`
	Data       any         `json:"data,omitempty"`
}

// asV1 names unknown users as version 1 does, and answers 400 for what is wrong with a request: its
// pages know no 422.
func asV1(handle func(*call) error) func(*call) error {
	return func(c *call) error {
		err := handle(c)
		if err == nil {
			return nil
		}
		if errors.Is(err, verification.ErrNotFound) {
			return notFound("User for id " + c.r.PathValue("id") + " was not found")
		}
		if f := faultFor(err); f.status == http.StatusUnprocessableEntity {
			bad := *f
			bad.status = http.StatusBadRequest
			if len(f.parameters) > 0 { // version 1 has no place for them but the message
				bad.message = sentence(f.parameters)
			}
			return &bad
		}
		return err
	}
}

func (s *Server) createUserV1(c *call) error {
	u, err := s.addUser(c)
	return answerUser(c, u, err)
}

func (s *Server) getUserV1(c *call) error {
	u, err := s.namedUser(c)
	return answerUser(c, u, err)
}

func (s *Server) updateUserV1(c *call) error {
	u, err := s.changeNamedUser(c)
	return answerUser(c, u, err)
}

func answerUser(c *call, u device.User, err error) error {
	if err != nil {
		return err
	}
	properties, err := fieldsOf(c.r.URL.Query().Get("fields"), legacyProperties)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Data: []profile{profileOf(u, withID(properties))}})
	return nil
}

func (s *Server) deleteUserV1(c *call) error {
	if err := s.removeUser(c); err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, answerV1{Status: success})
	return nil
}

// setPasswordV1 changes nothing but the password, which must be there.
func (s *Server) setPasswordV1(c *call) error {
	var body userBody
	if err := readBody(c, &body); err != nil {
		return err
	}
	password, err := body.newPassword()
	if err != nil {
		return err
	}
	if password == "" {
		return badRequest("password and password_confirmation must be given")
	}
	n, err := userNumber(c)
	if err != nil {
		return err
	}
	only := userBody{"password": body["password"], "password_confirmation": body["password_confirmation"]}
	if _, err := s.changeUserBy(c, n, only, password); err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, answerV1{Status: success})
	return nil
}

// setSaltedPasswordV1 refuses hashes that were made elsewhere: they are of a kind that is guessed fast.
func (s *Server) setSaltedPasswordV1(*call) error {
	return badRequest("Passwords that were hashed elsewhere are not supported: send the password itself to set_password_clear_text")
}
