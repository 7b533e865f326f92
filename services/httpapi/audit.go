package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
)

// Audit keeps the audit log, apart for each account.
type Audit interface {
	// Record returns once the entry is durable. It fails with verification.ErrUnavailable.
	Record(ctx context.Context, e audit.Entry) error
	// RecordOnce is Record for what can be told twice: of entries with one EventID the first stays.
	RecordOnce(ctx context.Context, e audit.Entry) (first bool, err error)
	// Entries finds those that fit, newest first. A page may hold fewer than the limit, even none, and yet
	// have a next: the filter's Before for the page that follows; zero where there is none.
	Entries(ctx context.Context, account string, f audit.Filter) (page []audit.Entry, next uint64, err error)
}

// maxAuditText is the longest action or subject that is looked for.
const maxAuditText = 64

// ListAudit lists the audit log of the own account, a page at a time.
func (s *Server) ListAudit(w http.ResponseWriter, r *http.Request, params contract.ListAuditParams) {
	client, err := s.authenticate(w, r, credential.ReadAudit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	filter, err := readAuditFilter(r, params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	entries, next, err := s.config.Audit.Entries(r.Context(), client.Account, filter)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list audit log: %w", err))
		return
	}
	page := api.AuditList{Data: make([]api.AuditEntry, 0, len(entries))}
	for _, e := range entries {
		page.Data = append(page.Data, api.AuditEntry{
			ID: strconv.FormatUint(e.ID, 10), At: e.At.UTC(), Action: string(e.Action), Actor: e.Actor,
			Subject: e.Subject, UserID: e.UserID, Reason: e.Reason, Details: e.Details,
		})
	}
	if next > 0 {
		page.Next = cursor(strconv.FormatUint(next, 10))
	}
	writeJSON(w, http.StatusOK, page)
}

func readAuditFilter(r *http.Request, params contract.ListAuditParams) (audit.Filter, error) {
	filter := audit.Filter{Action: audit.Action(params.Action), Subject: params.Subject}
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
	var f faults
	for name, value := range map[string]string{"action": params.Action, "subject": params.Subject} {
		if r.URL.Query().Has(name) && (value == "" || len(value) > maxAuditText) {
			f = append(f, api.Fault{Parameter: name, Detail: fmt.Sprintf("must be 1 to %d characters", maxAuditText)})
		}
	}
	return filter, invalid(f)
}

// audited records what a client is about to do. Nothing is done where the log cannot take it.
func (s *Server) audited(ctx context.Context, by credential.Credential, e audit.Entry) error {
	e.Account, e.Actor, e.At = by.Account, by.ClientID, s.config.Now().UTC()
	if err := s.config.Audit.Record(ctx, e); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}
