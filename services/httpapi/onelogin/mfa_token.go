package onelogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	// temporaryKind is the kind of tickets and guesses of temporary codes.
	temporaryKind   = "temporary"
	temporaryEnd    = "temporary_end" // kind of the ticket that ends all temporary codes of a user that are older
	temporaryLength = 8
	// temporaryDevice and the user's number name the device that a temporary code stands in for.
	temporaryDevice = "user_temp_otp_"
	maxTemporary    = 259200 // seconds: three days
)

// temporary is what a temporary code stands for.
type temporary struct {
	Reusable bool      `json:"reusable"`
	MadeAt   time.Time `json:"made_at"`
}

type temporaryBody struct {
	Code      string `json:"mfa_token"`
	ExpiresAt string `json:"expires_at"`
	Reusable  bool   `json:"reusable"`
	Device    string `json:"device_id,omitempty"`
}

// createTemporaryCode makes a code that stands in for a device which was lost.
func (s *Server) createTemporaryCode(c *call) error {
	u, body, err := s.newTemporaryCode(c, "user_id")
	if err != nil {
		return err
	}
	body.Device = temporaryDevice + strconv.FormatInt(u.Number, 10)
	code := http.StatusOK
	if c.shape().tokenCreated {
		code = http.StatusCreated
	}
	writeJSON(c.w, code, body)
	return nil
}

func (s *Server) newTemporaryCode(c *call, name string) (device.User, temporaryBody, error) {
	u, err := s.reachable(c, name)
	if err != nil {
		return u, temporaryBody{}, err
	}
	var request struct {
		ExpiresIn integer `json:"expires_in"`
		Reusable  flag    `json:"reusable"`
	}
	if err := readBody(c, &request); err != nil {
		return u, temporaryBody{}, err
	}
	seconds := int64(maxTemporary)
	if request.ExpiresIn.set {
		seconds = request.ExpiresIn.value
	}
	if shortest := int64(s.config.Settings.MinExpiresIn); seconds < shortest || seconds > maxTemporary {
		return u, temporaryBody{}, invalid("expires_in", fmt.Sprintf("must be from %d to %d seconds", shortest, maxTemporary))
	}
	code, err := verification.NewCode(s.config.Random, temporaryLength)
	if err != nil {
		return u, temporaryBody{}, err //nolint:wrapcheck // says what it did
	}
	content, err := json.Marshal(temporary{bool(request.Reusable), s.config.Now().UTC()})
	if err != nil {
		return u, temporaryBody{}, fmt.Errorf("encode temporary code: %w", err)
	}
	life := time.Duration(seconds) * time.Second
	err = s.config.Tickets.Issue(c.r.Context(), temporaryKind, temporaryName(u, code.Reveal()), content, life)
	return u, temporaryBody{Code: code.Reveal(), ExpiresAt: instant(s.config.Now().Add(life)), Reusable: bool(request.Reusable)}, err
}

func temporaryName(u device.User, code string) string {
	return strings.Join([]string{u.Credential, u.ID, code}, "\n")
}

// redeem tells whether a code is a temporary one of the user's. One that is not reusable is used up: of
// all who bring it at once, one is told so.
func (s *Server) redeem(ctx context.Context, u device.User, otp text) (bool, error) {
	right, err := s.config.Guesses.Guess(ctx, temporaryKind, temporaryName(u, ""))
	if err != nil {
		return false, err //nolint:wrapcheck // a limit, or says what it did
	}
	name := temporaryName(u, otp.code(temporaryLength))
	content, err := s.config.Tickets.Look(ctx, temporaryKind, name)
	var t temporary
	if err == nil {
		err = json.Unmarshal(content, &t)
	}
	if err == nil {
		err = s.outlived(ctx, u, t)
	}
	if err == nil && !t.Reusable {
		_, err = s.config.Tickets.Use(ctx, temporaryKind, name)
	}
	if errors.Is(err, verification.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("redeem temporary code: %w", err)
	}
	right(ctx)
	return true, nil
}

// outlived is verification.ErrNotFound for a code from before the user's temporary codes were taken back.
func (s *Server) outlived(ctx context.Context, u device.User, t temporary) error {
	content, err := s.config.Tickets.Look(ctx, temporaryEnd, temporaryName(u, ""))
	if errors.Is(err, verification.ErrNotFound) {
		return nil
	}
	var end time.Time
	if err == nil {
		err = end.UnmarshalText(content)
	}
	if err == nil && !t.MadeAt.After(end) {
		return verification.ErrNotFound
	}
	return err //nolint:wrapcheck // the caller says it
}

// endTemporaryCodes takes all temporary codes of the user back: what deleting their device means. The codes
// are known by their hashes only, so what is kept is the moment.
func (s *Server) endTemporaryCodes(c *call, u device.User) error {
	end, err := s.config.Now().UTC().MarshalText()
	if err != nil {
		return fmt.Errorf("encode time: %w", err)
	}
	if err := s.config.Tickets.Issue(c.r.Context(), temporaryEnd, temporaryName(u, ""), end, maxTemporary*time.Second); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	writeJSON(c.w, http.StatusOK, struct{}{})
	return nil
}
