package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// Phones knows the apps on people's phones, which have no client credential.
type Phones interface {
	// Join makes the device that an activation code stands for active, with what the phone sent. A code
	// works once; *enrolment.EndedError for one that was used or has expired, verification.ErrNotFound for others.
	Join(ctx context.Context, code string, p enrolment.Phone) (enrolment.Joined, error)
	// Phone reads an active push device by its id alone; verification.ErrNotFound without one.
	Phone(ctx context.Context, deviceID string) (device.Device, error)
	// Gone lists the keys that spoke for a device lately and do so no more.
	Gone(ctx context.Context, deviceID string) ([]device.Gone, error)
	// ChangeToken stores another push token of a phone, which it sent at this time of its own; a page may have none. It fails with
	// enrolment.ErrStale where a later one was stored, and verification.ErrNotFound where the phone is gone or has
	// another key.
	ChangeToken(ctx context.Context, d device.Device, token string, at time.Time) error
	// Renew gives out an activation code with which a phone takes the place of an active push device. It fails with
	// verification.ErrNotFound, enrolment.ErrFactor for other devices, and enrolment.ErrLocked.
	Renew(ctx context.Context, account, deviceID string) (enrolment.Enrolment, error)
	// Prompts lists the open push verifications of a device, newest first.
	Prompts(ctx context.Context, d device.Device) ([]verification.Verification, error)
	// Try asks a phone a question that means nothing, because it signed for that at this time of its own. It fails with
	// enrolment.ErrStale where it did so in that second before, verification.ErrNotFound where its user is gone or locked, and
	// *verification.LimitError.
	Try(ctx context.Context, d device.Device, at time.Time, locale string) (verification.Verification, error)
	// Count notes how far a phone has counted. It fails with enrolment.ErrCopied where another phone with the same key is ahead,
	// and verification.ErrNotFound where the phone is gone or has another key.
	Count(ctx context.Context, d device.Device, next device.Counter) error
	// Watch begins to listen for questions to a device. next returns when there may be a new one, or when
	// ctx ends; done ends the listening.
	Watch(deviceID string) (next func(ctx context.Context), done func())
}

const (
	// phoneScheme is the authentication scheme of a phone's own signature.
	phoneScheme = "Phone"
	// maxSignature is more than a P-256 signature ever has, in bytes.
	maxSignature = 80
	// promptPause is the longest between two looks for a phone that waits: what tells it of a question is a
	// hint that may be lost.
	promptPause = 5 * time.Second
)

// JoinPhone makes a phone a device of the person whose activation code it has. The code is the
// credential: whoever holds it is taken for the person.
func (s *Server) JoinPhone(w http.ResponseWriter, r *http.Request, _ contract.JoinPhoneParams) {
	again, err := idempotencyKey(r.Header)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.JoinPhone](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if len(request.Code) > maxCodeAsTyped {
		f.add("code", fmt.Sprintf("must be at most %d characters", maxCodeAsTyped))
	}
	f.text("name", request.Name, maxName)
	var app device.Device
	describeApp(&f, api.CreateDevice{Platform: request.Platform, PushToken: given(request.PushToken), PublicKey: request.PublicKey}, &app)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	joined, err := s.config.Phones.Join(r.Context(), request.Code, enrolment.Phone{
		Name: request.Name, Platform: app.Platform, PushToken: app.Address, PublicKey: app.PublicKey,
		MayRepeat: again != "",
	})
	s.metrics.countJoin(app.Platform, err)
	var ended *enrolment.EndedError
	switch {
	case errors.As(err, &ended):
		err = endedCode(ended)
	case errors.Is(err, verification.ErrNotFound):
		err = &refusal{code: api.ProblemCodeNotFound, detail: "No phone is waited for with this code: it is wrong, or ended long ago."}
	}
	if errors.Is(err, enrolment.ErrSameKey) {
		err = invalid(faults{{Pointer: "#/public_key", Detail: "must be a new key: the phone that is replaced has this one"}})
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("join phone: %w", err))
		return
	}
	d := joined.Device
	writeJSON(w, http.StatusCreated, api.JoinedPhone{
		DeviceID: d.ID, Name: d.Name, Brand: joined.Brand, User: joined.User, Secret: joined.Secret, CreatedAt: d.CreatedAt.UTC(),
	})
}

// endedCode tells who has a code what became of it.
func endedCode(e *enrolment.EndedError) error {
	if e.Used {
		return &refusal{
			code: api.ProblemCodeJoinCodeUsed, detail: "A phone has joined with this code, and each works once.",
			about: func(p *api.Problem) { p.Brand = e.Brand },
		}
	}
	at := e.ExpiredAt.UTC()
	return &refusal{
		code: api.ProblemCodeJoinCodeExpired, detail: "This code expired at " + at.Format(time.RFC3339) + ".",
		about: func(p *api.Problem) { p.Brand, p.ExpiredAt = e.Brand, &at },
	}
}

// ListPrompts lists what waits for an answer on a phone.
func (s *Server) ListPrompts(w http.ResponseWriter, r *http.Request, id contract.DeviceID, params contract.ListPromptsParams) {
	d, err := s.phone(r, id)
	if err == nil && (params.Wait < 0 || params.Wait > maxWait) {
		err = invalid(faults{{Parameter: "wait", Detail: waitRule}})
	}
	var open []verification.Verification
	if err == nil {
		open, err = s.prompts(w, r, d, time.Duration(params.Wait)*time.Second)
	}
	list := api.PromptList{Data: make([]api.Prompt, 0, len(open))}
	for _, v := range open {
		prompt, promptErr := s.prompt(r.Context(), v)
		if errors.Is(promptErr, verification.ErrNotFound) {
			continue // its record has just left
		}
		err = errors.Join(err, promptErr)
		list.Data = append(list.Data, prompt)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// prompt is an open verification as its phone asks it.
func (s *Server) prompt(ctx context.Context, v verification.Verification) (api.Prompt, error) {
	shown, err := shownContext(v)
	if err != nil {
		return api.Prompt{}, err
	}
	var choices []string
	if v.NumberLength > 0 {
		if choices, err = s.config.Verifications.Choices(ctx, v.ID); err != nil {
			return api.Prompt{}, fmt.Errorf("read choices: %w", err)
		}
	}
	typed := v.NumberLength
	if len(choices) > 0 {
		typed = 0 // they pick
	}
	salt, err := s.config.Verifications.NumberSalt(ctx, v.ID)
	if err != nil {
		return api.Prompt{}, fmt.Errorf("read salt of number: %w", err)
	}
	return api.Prompt{
		VerificationID: v.ID, Brand: v.Brand, Context: shown, Choices: choices, NumberLength: typed, NumberSalt: salt, ChecksLeft: numbersLeft(v), Trial: v.Trial,
		CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(),
	}, nil
}

// refusePrompts answers a look for prompts whose parameters cannot be read. Whoever has not signed is
// told nothing else.
func (s *Server) refusePrompts(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // a change or a trial has nothing but its signature
		s.fail(w, r, badPhone())
		return
	}
	_, err := s.phone(r, r.PathValue("id"))
	if err == nil {
		err = invalid(faults{{Parameter: "wait", Detail: waitRule}}) // all others are in the signature
	}
	s.fail(w, r, err)
}

// prompts looks once, and where there is nothing again and again until wait is over, the process shuts
// down or the phone leaves.
func (s *Server) prompts(w http.ResponseWriter, r *http.Request, d device.Device, wait time.Duration) ([]verification.Verification, error) {
	next, done := s.config.Phones.Watch(d.ID) // before the look, so that no question falls between
	defer done()
	open, err := s.config.Phones.Prompts(r.Context(), d)
	if err != nil || len(open) > 0 || wait == 0 {
		return open, wrapPrompts(err)
	}
	s.liftDeadlines(w, wait+slack)
	unpark := s.park(w, parkedWait)
	defer unpark()
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()
	for {
		pause, resume := context.WithTimeout(ctx, promptPause)
		next(pause)
		resume()
		if ctx.Err() != nil {
			return nil, r.Context().Err()
		}
		// The request's context bounds the look: the end of the wait must not cut it short.
		if open, err = s.config.Phones.Prompts(r.Context(), d); err != nil || len(open) > 0 {
			return open, wrapPrompts(err)
		}
	}
}

func wrapPrompts(err error) error {
	if err != nil {
		return fmt.Errorf("list prompts: %w", err)
	}
	return nil
}

// shownContext is the context as the device got it, and signs over it: this very text.
func shownContext(v verification.Verification) (string, error) {
	shown, err := json.Marshal(events.Context(v.Context))
	if err != nil {
		return "", fmt.Errorf("encode context: %w", err)
	}
	return string(shown), nil
}

// GetAuthenticator tells a page that is a phone what it needs to know.
func (s *Server) GetAuthenticator(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.config.Authenticator())
}
