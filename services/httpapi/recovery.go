package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

// Recovery keeps what stands in for a lost device, apart for each account. Codes and tokens come as recovery.Read gives
// them. Every method fails with verification.ErrUnavailable when it cannot be asked.
type Recovery interface {
	// ReplaceRecoveryCodes makes all earlier ones worthless.
	ReplaceRecoveryCodes(ctx context.Context, account, userID string, codes []verification.Code, at time.Time) error
	RecoveryCodes(ctx context.Context, account, userID string) (recovery.Stock, error)
	RemoveRecoveryCodes(ctx context.Context, account, userID string) error
	// AddBypassToken fails with recovery.ErrCrowded.
	AddBypassToken(ctx context.Context, account, userID string, t recovery.BypassToken, secret verification.Code) error
	// BypassTokens lists the open ones, the oldest first.
	BypassTokens(ctx context.Context, account, userID string) ([]recovery.BypassToken, error)
	// RemoveBypassToken fails with verification.ErrNotFound where none is open with this id.
	RemoveBypassToken(ctx context.Context, account, userID, id string) error
	// Recover uses up what it is given where that is right. It fails with *verification.LimitError.
	Recover(ctx context.Context, account, userID string, kind recovery.Kind, code verification.Code) (recovery.Recovered, error)
}

// CreateRecoveryCodes gives a user new recovery codes.
func (s *Server) CreateRecoveryCodes(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.managesUser(w, r, userID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	told, err := recovery.NewCodes(s.config.Random)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	at := s.config.Now().UTC().Truncate(time.Millisecond)
	err = s.audited(r.Context(), client, audit.Entry{
		Action: audit.RecoveryCodesCreated, Subject: userID, UserID: userID, Details: map[string]string{"codes": strconv.Itoa(len(told))},
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.RecoveryCodes{CreatedAt: at}
	plain := make([]verification.Code, 0, len(told))
	for _, code := range told {
		_, p, _ := recovery.Read(code.Reveal()) // it was drawn in this form
		plain, list.Codes = append(plain, p), append(list.Codes, code.Reveal())
	}
	if err := s.config.Recovery.ReplaceRecoveryCodes(r.Context(), client.Account, userID, plain, at); err != nil {
		s.fail(w, r, fmt.Errorf("create recovery codes: %w", err))
		return
	}
	writeJSON(w, http.StatusCreated, list)
}

// managesUser names the client of a request that is about a user of its account.
func (s *Server) managesUser(w http.ResponseWriter, r *http.Request, userID string) (credential.Credential, error) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err == nil {
		_, err = s.user(r, client.Account, userID)
	}
	return client, err
}

// GetRecoveryCodes tells how many recovery codes a user has left.
func (s *Server) GetRecoveryCodes(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.managesUser(w, r, userID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	stock, err := s.config.Recovery.RecoveryCodes(r.Context(), client.Account, userID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("read recovery codes: %w", err))
		return
	}
	out := api.RecoveryStock{Left: stock.Left}
	if at := stock.CreatedAt.UTC(); !at.IsZero() {
		out.CreatedAt = &at
	}
	writeJSON(w, http.StatusOK, out)
}

// RemoveRecoveryCodes takes a user's recovery codes back.
func (s *Server) RemoveRecoveryCodes(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.managesUser(w, r, userID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	err = s.audited(r.Context(), client, audit.Entry{Action: audit.RecoveryCodesRemoved, Subject: userID, UserID: userID})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Recovery.RemoveRecoveryCodes(r.Context(), client.Account, userID); err != nil {
		s.fail(w, r, fmt.Errorf("remove recovery codes: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// CreateBypassToken lets a user in for a while without their device.
func (s *Server) CreateBypassToken(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CreateBypassToken](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	token := readBypass(&f, request, s.config.Now())
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if _, err := s.user(r, client.Account, userID); err != nil {
		s.fail(w, r, err)
		return
	}
	told, err := s.addBypass(r.Context(), client, userID, token)
	if err != nil {
		s.fail(w, r, explainCrowded(fmt.Errorf("create bypass token: %w", err)))
		return
	}
	writeJSON(w, http.StatusCreated, api.NewBypassToken{
		ID: token.ID, Token: told.Reveal(), Reason: token.Reason, UsesLeft: token.UsesLeft,
		CreatedAt: token.CreatedAt, ExpiresAt: token.ExpiresAt,
	})
}

// readBypass checks why, for how long and how often.
func readBypass(f *faults, request api.CreateBypassToken, now time.Time) recovery.BypassToken {
	now = now.UTC().Truncate(time.Millisecond)
	f.text("reason", request.Reason, maxReasonText)
	if strings.TrimSpace(request.Reason) == "" {
		f.add("reason", "is required") // where it is missing that is a fault already
	}
	life, uses := recovery.DefaultLife, recovery.DefaultUses
	if n := request.ExpiresIn; n != nil {
		f.between("expires_in", *n, int(recovery.MinLife/time.Second), int(recovery.MaxLife/time.Second))
		life = time.Duration(*n) * time.Second
	}
	if n := request.Uses; n != nil {
		f.between("uses", *n, 1, recovery.MaxUses)
		uses = *n
	}
	return recovery.BypassToken{
		ID: uuid.Must(uuid.NewV7()).String(), Reason: request.Reason, CreatedAt: now, ExpiresAt: now.Add(life), UsesLeft: uses,
	}
}

// addBypass records and stores a new bypass token, and returns what it is told by.
func (s *Server) addBypass(
	ctx context.Context, client credential.Credential, userID string, token recovery.BypassToken,
) (verification.Code, error) {
	// Looked at first, so that the log has none that was never made. The store looks again.
	open, err := s.config.Recovery.BypassTokens(ctx, client.Account, userID)
	if err != nil {
		return "", err //nolint:wrapcheck // the caller says what it did
	}
	if len(open) >= recovery.MaxTokens {
		return "", recovery.ErrCrowded
	}
	told, err := recovery.NewToken(s.config.Random)
	if err != nil {
		return "", err //nolint:wrapcheck // says what it did
	}
	err = s.audited(ctx, client, audit.Entry{
		Action: audit.BypassTokenCreated, Subject: token.ID, UserID: userID, Reason: token.Reason, Details: map[string]string{
			"expires_at": token.ExpiresAt.Format(time.RFC3339), "uses": strconv.Itoa(token.UsesLeft),
		},
	})
	if err != nil {
		return "", err
	}
	_, plain, _ := recovery.Read(told.Reveal()) // it was drawn in this form
	return told, s.config.Recovery.AddBypassToken(ctx, client.Account, userID, token, plain)
}

func explainCrowded(err error) error {
	if !errors.Is(err, recovery.ErrCrowded) {
		return err
	}
	return &refusal{code: api.ProblemCodeInvalidRequest, detail: fmt.Sprintf(
		"The user has %d open bypass tokens, which is the limit. Remove one, or wait until one ends.", recovery.MaxTokens)}
}

// ListBypassTokens lists a user's open bypass tokens.
func (s *Server) ListBypassTokens(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.managesUser(w, r, userID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	tokens, err := s.config.Recovery.BypassTokens(r.Context(), client.Account, userID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list bypass tokens: %w", err))
		return
	}
	list := api.BypassTokenList{Data: make([]api.BypassToken, 0, len(tokens))}
	for _, t := range tokens {
		list.Data = append(list.Data, api.BypassToken{
			ID: t.ID, Reason: t.Reason, UsesLeft: t.UsesLeft, CreatedAt: t.CreatedAt.UTC(), ExpiresAt: t.ExpiresAt.UTC(),
		})
	}
	writeJSON(w, http.StatusOK, list)
}

// RemoveBypassToken takes an open bypass token back.
func (s *Server) RemoveBypassToken(w http.ResponseWriter, r *http.Request, userID contract.UserID, id contract.BypassTokenID) {
	client, err := s.managesUser(w, r, userID)
	if err == nil {
		err = s.removeBypass(r.Context(), client, userID, id)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) removeBypass(ctx context.Context, client credential.Credential, userID, id string) error {
	open, err := s.config.Recovery.BypassTokens(ctx, client.Account, userID)
	if err != nil {
		return fmt.Errorf("list bypass tokens: %w", err)
	}
	for _, t := range open {
		if t.ID != id {
			continue
		}
		if err := s.audited(ctx, client, audit.Entry{Action: audit.BypassTokenRemoved, Subject: id, UserID: userID}); err != nil {
			return err
		}
		if err := s.config.Recovery.RemoveBypassToken(ctx, client.Account, userID, id); err != nil {
			return fmt.Errorf("remove bypass token: %w", err)
		}
		return nil
	}
	return fmt.Errorf("remove bypass token: %w", verification.ErrNotFound)
}

// RecoverUser checks a recovery code or bypass token, and uses it up.
func (s *Server) RecoverUser(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.authenticate(w, r, credential.Verify)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.RecoverUser](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	kind, code, ok := recovery.Read(request.Code)
	if !ok {
		f.add("code", "must be the 12 letters and digits of a recovery code, or the 16 of a bypass token")
	}
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.admitted(r, client.Account, userID); err != nil {
		s.fail(w, r, err)
		return
	}
	found, err := s.config.Recovery.Recover(r.Context(), client.Account, userID, kind, code)
	if err == nil && found.Valid() {
		err = s.auditRecovered(r.Context(), client, userID, found)
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("recover user: %w", err))
		return
	}
	s.metrics.countRecovery(found)
	writeJSON(w, http.StatusOK, recoveredWire(found))
}

// auditRecovered records that a user recovered. It comes after the code was used up: of those who bring one at once, the
// log has the one who is let in. Where the log cannot take it, nobody is.
func (s *Server) auditRecovered(ctx context.Context, client credential.Credential, userID string, found recovery.Recovered) error {
	e := audit.Entry{
		Action: audit.UserRecovered, Subject: userID, UserID: userID, Details: map[string]string{"kind": string(found.Kind)},
	}
	if found.Kind == recovery.Token {
		e.Details["token_id"], e.Details["uses_left"] = found.TokenID, strconv.Itoa(found.UsesLeft)
	} else {
		e.Details["codes_left"] = strconv.Itoa(found.CodesLeft)
	}
	return s.audited(ctx, client, e)
}

// recoveredWire tells of a wrong code nothing but that.
func recoveredWire(found recovery.Recovered) api.Recovered {
	out := api.Recovered{Valid: found.Valid(), Kind: api.RecoveryKind(found.Kind)}
	switch found.Kind {
	case recovery.Code:
		out.CodesLeft = &found.CodesLeft
	case recovery.Token:
		out.UsesLeft = &found.UsesLeft
	}
	return out
}
