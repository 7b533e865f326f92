package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/suppression"
)

// ListSuppressions lists the entries of the own account and those for everybody, a page at a time.
func (s *Server) ListSuppressions(w http.ResponseWriter, r *http.Request, params contract.ListSuppressionsParams) {
	client, err := s.authenticate(w, r, credential.ManageSuppressions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	filter, err := readSuppressionFilter(r, params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	entries, next, err := s.config.Suppressions.Suppressions(r.Context(), client.Account, filter)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list suppressions: %w", err))
		return
	}
	page := api.SuppressionList{Data: make([]api.Suppression, 0, len(entries))}
	for _, e := range entries {
		page.Data = append(page.Data, suppressionWire(e))
	}
	if next > 0 {
		page.Next = cursor(strconv.FormatUint(next, 10))
	}
	writeJSON(w, http.StatusOK, page)
}

func readSuppressionFilter(r *http.Request, params contract.ListSuppressionsParams) (suppression.Filter, error) {
	filter := suppression.Filter{
		Cause: suppression.Cause(params.Cause), Channel: suppression.Channel(params.Channel), Scope: suppression.Scope(params.Scope),
	}
	limit, after, err := readPage(r, params.Limit, params.After)
	if err != nil {
		return filter, err
	}
	filter.Limit = limit
	if after != "" {
		var ok bool
		if filter.Before, ok = letterID(after); !ok { // both are places in a stream
			return filter, errCursor()
		}
	}
	query, f := r.URL.Query(), faults{}
	if query.Has("to") {
		e := entryReader{add: func(_, detail string) { f = append(f, api.Fault{Parameter: "to", Detail: detail}) }}
		channel, to := e.address(params.To, string(params.Channel))
		filter.To = to
		if filter.Channel == "" {
			filter.Channel = channel
		}
	}
	for _, p := range []struct {
		name, rule string
		good       bool
	}{
		{"cause", "must be " + choice(suppression.Causes()), filter.Cause.Valid()},
		{"channel", "must be " + choice(suppression.Channels()), suppression.Channel(params.Channel).Valid()},
		{"scope", "must be " + choice(suppression.Scopes()), filter.Scope.Valid()},
	} {
		if query.Has(p.name) && !p.good {
			f = append(f, api.Fault{Parameter: p.name, Detail: p.rule})
		}
	}
	return filter, invalid(f)
}

// AddSuppression puts an address on the list of the own account or of one of its credentials.
func (s *Server) AddSuppression(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageSuppressions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.AddSuppression](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reader := entryReader{account: client.Account, credentials: s.knownCredentials(r.Context(), client.Account), add: f.add}
	row := entryRow{
		To: request.To, Channel: string(request.Channel), Scope: string(request.Scope), ClientID: request.ClientID,
		Covers: string(request.Covers), Note: request.Note,
	}
	if row.Scope == string(suppression.Everybody) {
		f.add("scope", scopeRule)
	}
	e, err := reader.entry(row, suppression.Manual, s.config.Now())
	if err == nil {
		err = invalid(f)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	stands, added, err := s.config.Suppressions.AddSuppression(r.Context(), e)
	if err != nil {
		s.fail(w, r, fmt.Errorf("add suppression: %w", err))
		return
	}
	status := http.StatusOK
	if added {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/suppressions/"+stands.ID)
	}
	writeJSON(w, status, suppressionWire(stands))
}

// GetSuppression reads one entry.
func (s *Server) GetSuppression(w http.ResponseWriter, r *http.Request, id contract.SuppressionID) {
	client, err := s.authenticate(w, r, credential.ManageSuppressions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e, err := s.config.Suppressions.Suppression(r.Context(), client.Account, id)
	if err != nil {
		s.fail(w, r, fmt.Errorf("read suppression: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, suppressionWire(e))
}

// RemoveSuppression takes one entry off the list. Those for everybody are the operator's to remove.
func (s *Server) RemoveSuppression(w http.ResponseWriter, r *http.Request, id contract.SuppressionID) {
	client, err := s.authenticate(w, r, credential.ManageSuppressions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e, err := s.config.Suppressions.Suppression(r.Context(), client.Account, id)
	if err == nil && e.Scope == suppression.Everybody && client.Account != s.config.Operator {
		err = suppression.ErrOperators // so that what is refused is not in the log
	}
	if err == nil {
		err = s.audited(r.Context(), client, audit.Entry{
			Action: audit.SuppressionRemoved, Subject: e.ID, UserID: e.UserID,
			Details: map[string]string{"cause": string(e.Cause), "channel": string(e.Channel), "scope": string(e.Scope)},
		})
	}
	if err == nil {
		err = s.config.Suppressions.RemoveSuppression(r.Context(), client.Account, id)
	}
	if errors.Is(err, suppression.ErrOperators) {
		err = operatorsOnly("This entry holds for all accounts")
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("remove suppression: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func suppressionWire(e suppression.Entry) api.Suppression {
	wire := api.Suppression{
		ID: e.ID, To: e.ToMasked, Channel: api.SuppressionChannel(e.Channel), Scope: api.SuppressionScope(e.Scope), ClientID: e.ClientID,
		Covers: api.SuppressionCovers(e.Covers), Cause: api.SuppressionCause(e.Cause), Provider: e.Provider, Detail: e.Detail,
		Note: e.Note, At: e.At.UTC().Truncate(time.Millisecond), UserID: e.UserID,
	}
	if !e.Until.IsZero() {
		until := e.Until.UTC().Truncate(time.Millisecond)
		wire.Until = &until
	}
	return wire
}

// suppressedDetail says of an address why nothing is sent there, since or until when, and what ends it.
func suppressedDetail(e suppression.Entry) string {
	ends := fmt.Sprintf("DELETE /v1/suppressions/%s lets them through again", e.ID)
	if e.Scope == suppression.Everybody {
		ends += ", which is the operator's to ask for"
	}
	at := e.At.UTC().Format(time.RFC3339)
	switch {
	case e.Until.IsZero():
		return fmt.Sprintf("gets no messages since %s: %s; %s", at, e.Cause.Explain(), ends)
	case e.UserID != "":
		return fmt.Sprintf("gets no verifications until %s: %s at %s, which stops all devices of the user on this channel; %s",
			e.Until.UTC().Format(time.RFC3339), e.Cause.Explain(), at, ends)
	default:
		return fmt.Sprintf("gets no verifications until %s: %s at %s; %s", e.Until.UTC().Format(time.RFC3339), e.Cause.Explain(), at, ends)
	}
}

// explainSuppressed names the fields of a request whose addresses are on the list.
func explainSuppressed(request api.CreateVerification, err error) error {
	var refused *suppression.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	var f faults
	for _, p := range refused.Places {
		f.add(fieldOfStep(request, p.Step), suppressedDetail(p.Entry))
	}
	return &refusal{code: api.ProblemCodeSuppressed, faults: f}
}

// fieldOfStep is the field that a step's address came from.
func fieldOfStep(request api.CreateVerification, step int) string {
	switch {
	case step > 0 && step <= len(request.Fallback):
	case request.UserID != "":
		return "user_id"
	case request.DeviceID != "":
		return "device_id"
	default:
		return "to"
	}
	field := fmt.Sprintf("fallback/%d/", step-1)
	switch s := request.Fallback[step-1]; {
	case s.DeviceID != "":
		return field + "device_id"
	case s.To != "":
		return field + "to"
	default: // the address was found by the channel
		return field + "channel"
	}
}
