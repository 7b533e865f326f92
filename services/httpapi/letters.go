package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/verification"
)

const maxReason = 255

// ListDeadLetters lists the letters of the own account, a page at a time.
func (s *Server) ListDeadLetters(w http.ResponseWriter, r *http.Request, params contract.ListDeadLettersParams) {
	client, err := s.authenticate(w, r, credential.ManageLetters)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	filter, err := readLetterFilter(r, params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	letters, next, err := s.config.Letters.Letters(r.Context(), client.Account, filter)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list dead letters: %w", err))
		return
	}
	page := api.DeadLetterList{Data: make([]api.DeadLetter, 0, len(letters))}
	for _, l := range letters {
		page.Data = append(page.Data, letterWire(l))
	}
	if next > 0 {
		page.Next = cursor(strconv.FormatUint(next, 10))
	}
	writeJSON(w, http.StatusOK, page)
}

func readLetterFilter(r *http.Request, params contract.ListDeadLettersParams) (letter.Filter, error) {
	filter := letter.Filter{Kind: letter.Kind(params.Kind), Reason: params.Reason, Channel: string(params.Channel)}
	limit, after, err := readPage(r, params.Limit, params.After)
	if err != nil {
		return filter, err
	}
	filter.Limit = limit
	if after != "" {
		var ok bool
		if filter.Before, ok = letterID(after); !ok {
			return filter, errCursor()
		}
	}
	query, f := r.URL.Query(), faults{}
	for _, p := range []struct {
		name, rule string
		good       bool
	}{
		{"kind", "must be " + choice([]letter.Kind{letter.Undecodable, letter.Undelivered}), filter.Kind.Valid()},
		{"reason", "must be 1 to 255 characters", filter.Reason != "" && utf8.RuneCountInString(filter.Reason) <= maxReason},
		{"channel", "must be " + choice([]api.Channel{api.ChannelSMS, api.ChannelVoice, api.ChannelEmail, api.ChannelPush, api.ChannelTOTP}), params.Channel.Valid()},
	} {
		if query.Has(p.name) && !p.good {
			f = append(f, api.Fault{Parameter: p.name, Detail: p.rule})
		}
	}
	return filter, invalid(f)
}

// letterID reads a letter's id, which is a number to the store and opaque to clients.
func letterID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id > 0 && strconv.FormatUint(id, 10) == s
}

// GetDeadLetter reads a letter of the own account.
func (s *Server) GetDeadLetter(w http.ResponseWriter, r *http.Request, id contract.DeadLetterID) {
	client, number, err := s.managesLetter(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	l, err := s.config.Letters.Letter(r.Context(), client.Account, number)
	if err != nil {
		s.fail(w, r, fmt.Errorf("read dead letter: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, letterWire(l))
}

// ReplayDeadLetter queues what a letter of the own account keeps once more.
func (s *Server) ReplayDeadLetter(w http.ResponseWriter, r *http.Request, id contract.DeadLetterID) {
	client, number, err := s.managesLetter(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	verificationID, err := s.config.Letters.ReplayLetter(r.Context(), client.Account, number)
	if err != nil {
		s.fail(w, r, fmt.Errorf("replay dead letter: %w", err))
		return
	}
	if rec := observed(w); rec != nil {
		rec.verificationID = verificationID
	}
	w.Header().Set("Location", "/v1/verifications/"+verificationID)
	writeJSON(w, http.StatusAccepted, api.ReplayedLetter{VerificationID: verificationID})
}

// DropDeadLetter removes a letter of the own account.
func (s *Server) DropDeadLetter(w http.ResponseWriter, r *http.Request, id contract.DeadLetterID) {
	client, number, err := s.managesLetter(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Letters.DropLetter(r.Context(), client.Account, number); err != nil {
		s.fail(w, r, fmt.Errorf("drop dead letter: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// managesLetter authenticates a client that may manage dead letters.
func (s *Server) managesLetter(w http.ResponseWriter, r *http.Request, id string) (credential.Credential, uint64, error) {
	client, err := s.authenticate(w, r, credential.ManageLetters)
	if err != nil {
		return client, 0, err
	}
	number, ok := letterID(id)
	if !ok {
		return client, 0, verification.ErrNotFound
	}
	return client, number, nil
}

func letterWire(l letter.Letter) api.DeadLetter {
	wire := api.DeadLetter{
		ID: strconv.FormatUint(l.ID, 10), Kind: api.DeadLetterKind(l.Kind), Reason: l.Reason, Channel: api.Channel(l.Channel),
		VerificationID: l.VerificationID, Consumer: l.Consumer, Subject: l.Subject, Size: l.Size, Sha256: l.SHA256,
		At: l.At.UTC(), Replayable: l.Obstacle == "", Obstacle: string(l.Obstacle), Uncertain: l.Uncertain,
	}
	if m := l.Message; m != nil {
		wire.Message = &api.DeadMessage{
			To: m.ToMasked, Challenge: api.Challenge(m.Challenge), Step: m.Step, Send: m.Send,
			CreatedAt: m.CreatedAt.UTC(), ExpiresAt: m.ExpiresAt.UTC(),
		}
	}
	return wire
}
