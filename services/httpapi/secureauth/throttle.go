package secureauth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// The two throttles of a user, which all realms of an account share.
const (
	attemptsKind    = "sa_attempts"    // what POST /auth sends or checks, but for passwords
	validationsKind = "sa_validations" // the codes that come to POST /otp/validate
)

// unlimitedWindow is how long an attempt is shown where the realm sets no limit and no window.
const unlimitedWindow = 10 * time.Minute

// ownerKey stands for a user in what is counted and kept of them.
func ownerKey(u device.User) string { return u.Credential + "/" + u.ID }

// attempt counts what is about to be sent or checked, and refuses what is over the realm's limit.
func (s *Server) attempt(c *call, u device.User) error {
	return s.count(c.ctx(), attemptsKind, u, c.realm.Settings.Complete().Attempts, "attempts")
}

// validation counts a code that is about to be compared.
func (s *Server) validation(c *call, u device.User) error {
	return s.count(c.ctx(), validationsKind, u, c.realm.Settings.Complete().Validations, "validations")
}

func (s *Server) count(ctx context.Context, kind string, u device.User, l realm.Limit, what string) error {
	if l.Window == 0 { // no limit: what stands is counted for who reads the throttle
		l.Window = unlimitedWindow
	}
	if _, err := s.config.Counts.Add(ctx, kind, ownerKey(u), l.Count, l.Window); err != nil {
		return tooMany(what, fmt.Errorf("count %s: %w", what, err))
	}
	return nil
}

// succeeded forgets what was counted of a user who has proved themselves.
func (s *Server) succeeded(ctx context.Context, u device.User) error {
	for _, kind := range []string{attemptsKind, validationsKind} {
		if err := s.config.Counts.Reset(ctx, kind, ownerKey(u)); err != nil {
			return fmt.Errorf("reset throttle: %w", err)
		}
	}
	return nil
}

// proved is succeeded where the proof is used up: it stays valid though the throttle could not be reset,
// for the client has no other to send.
func (s *Server) proved(c *call, u device.User) {
	if err := s.succeeded(c.ctx(), u); err != nil {
		note(c.w, c.realm.AppID, "", err)
	}
}

// tooMany puts a used-up limit in words; what is its name in the plural. Other errors stay as they are.
func tooMany(what string, err error) error {
	var limit *verification.LimitError
	if !errors.As(err, &limit) {
		return err
	}
	seconds := max(1, int(math.Ceil(limit.RetryAfter.Seconds())))
	return &fault{
		code: http.StatusOK, status: statusInvalid,
		message: fmt.Sprintf("Request validation failed with: Too many %s for this user. Try again in %d seconds.", what, seconds),
		header:  http.Header{"Retry-After": {fmt.Sprint(seconds)}},
	}
}

// throttleRoutes read and reset the throttles.
func (s *Server) throttleRoutes() []route {
	var routes []route
	for _, t := range []struct{ name, kind string }{{"throttle", attemptsKind}, {"otpvalidatethrottle", validationsKind}} {
		routes = append(routes, named(http.MethodGet, t.name, func(c *call) error { return s.readThrottle(c, t.kind) })...)
		routes = append(routes, named(http.MethodPut, t.name, func(c *call) error { return s.resetThrottle(c, t.kind) })...)
	}
	return routes
}

// throttle is what stands; a number, which one SDK insists on.
type throttle struct {
	basic
	Count int `json:"count"`
}

func (s *Server) readThrottle(c *call, kind string) error {
	u, _, err := s.namedUser(c)
	if err != nil {
		return err
	}
	count, err := s.config.Counts.Count(c.ctx(), kind, ownerKey(u))
	if err != nil {
		return fmt.Errorf("read throttle: %w", err)
	}
	return c.answer(throttle{basic{statusFound, ""}, count})
}

// resetThrottle sets a throttle to zero, which is all that it can be set to.
func (s *Server) resetThrottle(c *call, kind string) error {
	u, _, err := s.namedUser(c)
	if err != nil {
		return err
	}
	var body struct {
		Count text `json:"count"`
	}
	if err := c.decodeAny(&body); err != nil {
		return err
	}
	if body.Count != "" && body.Count != "0" {
		return rejected("count must be 0.")
	}
	if err := s.config.Counts.Reset(c.ctx(), kind, ownerKey(u)); err != nil {
		return fmt.Errorf("reset throttle: %w", err)
	}
	return c.answer(throttle{basic: basic{statusFound, ""}})
}
