package httpapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

const (
	defaultPage = 50
	maxPage     = 100
	maxCursor   = 255
	limitRule   = "must be a whole number from 1"
)

// CreateUser registers a user.
func (s *Server) CreateUser(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CreateUser](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	f.text("external_id", request.ExternalID, maxExternalID)
	f.text("name", request.Name, maxName)
	f.channel("preferred_channel", request.PreferredChannel)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	u := device.User{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: client.Account, ExternalID: request.ExternalID, Name: request.Name,
		PreferredChannel: string(request.PreferredChannel),
		CreatedAt:        s.config.Now().UTC().Truncate(time.Millisecond),
	}
	u, err = s.config.Users.CreateUser(r.Context(), u)
	if err != nil {
		s.fail(w, r, fmt.Errorf("create user: %w", err))
		return
	}
	w.Header().Set("Location", "/v1/users/"+u.ID)
	writeJSON(w, http.StatusCreated, userWire(u))
}

// ListUsers lists the client's users, a page at a time.
func (s *Server) ListUsers(w http.ResponseWriter, r *http.Request, params contract.ListUsersParams) {
	client, err := s.authenticate(w, r, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	limit, after, err := readPage(r, params.Limit, params.After)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	users, next, err := s.config.Users.Users(r.Context(), client.Account, after, limit)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list users: %w", err))
		return
	}
	page := api.UserList{Data: make([]api.User, 0, len(users))}
	for _, u := range users {
		page.Data = append(page.Data, userWire(u))
	}
	if next != "" {
		page.Next = cursor(next)
	}
	writeJSON(w, http.StatusOK, page)
}

// readPage reads the paging of a list. The cursor is opaque to clients, and ours is checked for its
// form only: a made-up one starts somewhere in the client's own list.
func readPage(r *http.Request, limit int, next string) (_ int, after string, err error) {
	query := r.URL.Query()
	switch {
	case !query.Has("limit"):
		limit = defaultPage
	case limit < 1 || query.Get("limit") != strconv.Itoa(limit):
		return 0, "", invalid(faults{{Parameter: "limit", Detail: limitRule}})
	}
	if query.Has("after") {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(next)
		if err != nil || len(raw) == 0 || len(raw) > maxCursor || !visibleASCII(string(raw)) {
			return 0, "", errCursor()
		}
		after = string(raw)
	}
	return min(limit, maxPage), after, nil
}

func errCursor() error {
	return &refusal{code: api.ProblemCodeInvalidCursor, faults: faults{{
		Parameter: "after", Detail: "must be the next of an earlier page",
	}}}
}

// cursor is how a client names the place to go on from.
func cursor(next string) *string {
	c := base64.RawURLEncoding.EncodeToString([]byte(next))
	return &c
}

// GetUser reads a user, with the order of their devices.
func (s *Server) GetUser(w http.ResponseWriter, r *http.Request, id contract.UserID) {
	client, err := s.authenticate(w, r, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	u, err := s.user(r, client.Account, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	devices, err := s.devicesInOrder(r.Context(), u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, orderedUserWire(u, devices))
}

// DeleteUser removes a user and their devices.
func (s *Server) DeleteUser(w http.ResponseWriter, r *http.Request, id contract.UserID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !events.ValidID(id) {
		s.fail(w, r, verification.ErrNotFound)
		return
	}
	if err := s.config.Users.DeleteUser(r.Context(), client.Account, id); err != nil {
		s.fail(w, r, fmt.Errorf("delete user: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) user(r *http.Request, account, id string) (device.User, error) {
	if !events.ValidID(id) {
		return device.User{}, verification.ErrNotFound
	}
	u, err := s.config.Users.User(r.Context(), account, id)
	if err != nil {
		return u, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// admitted tells whether a user may come in at all.
func (s *Server) admitted(r *http.Request, account, id string) error {
	u, err := s.user(r, account, id)
	if err == nil && u.Barred() {
		err = invalid(faults{{Parameter: "id", Detail: "is a user who is locked or disabled"}})
	}
	return err
}

func userWire(u device.User) api.User {
	return api.User{ID: u.ID, ExternalID: u.ExternalID, Name: u.Name, CreatedAt: u.CreatedAt.UTC(), PreferredChannel: api.MessageChannel(u.PreferredChannel)}
}
