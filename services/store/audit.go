package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/audit"
)

// Audit keeps the audit log. An account sees its own entries. It is safe for concurrent use.
type Audit struct {
	js  jetstream.JetStream
	pub *stream.Publisher
	log *stream.Reader
}

// NewAudit opens the log, whose stream must exist.
func NewAudit(ctx context.Context, js jetstream.JetStream) (*Audit, error) {
	log, err := stream.NewReader(ctx, js, stream.Audit)
	if err != nil {
		return nil, err
	}
	return &Audit{js: js, pub: stream.NewPublisher(js), log: log}, nil
}

// auditWindow is how many entries are read at once, and auditWindows how often for one page.
const (
	auditWindow  = 200
	auditWindows = 100
)

// Record returns once the entry is durable. Whoever does something records it first, so that nothing is done that
// is not in the log; what failed afterwards stands there too. It fails with verification.ErrUnavailable.
func (a *Audit) Record(ctx context.Context, e audit.Entry) error {
	return a.put(ctx, events.AuditSubject(e.Account), e)
}

// RecordOnce is Record for what can be told twice: of entries with one EventID the first stays, however much later the
// next comes. first tells that it was this one.
func (a *Audit) RecordOnce(ctx context.Context, e audit.Entry) (first bool, err error) {
	err = a.put(ctx, events.AuditOnceSubject(e.Account, string(e.Action), e.EventID), e, stream.Expecting(0))
	if errors.Is(err, stream.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (a *Audit) put(ctx context.Context, subject string, e audit.Entry, options ...stream.Option) error {
	data, err := events.Encode(events.ActionAudited{
		Version: events.Version, Account: e.Account, EventID: e.EventID, Actor: e.Actor, Action: string(e.Action), Subject: e.Subject,
		UserID: e.UserID, Reason: e.Reason, Details: e.Details, At: e.At.UTC(),
	})
	if err != nil {
		return err
	}
	if _, err := a.pub.Put(ctx, subject, data, options...); err != nil {
		return fmt.Errorf("record in audit log: %w", unavailable(err))
	}
	return nil
}

// Entries finds the account's entries, newest first. A page may hold fewer than the limit, even none, and yet have a
// next, which is the Before of the page that follows; zero: there is none.
func (a *Audit) Entries(ctx context.Context, account string, filter audit.Filter) (page []audit.Entry, next uint64, err error) {
	list := newest{a.js, a.log, stream.Audit, auditWindow, auditWindows}
	next, err = list.page(ctx, filter.Before, filter.Limit, func(r stream.Record) (bool, error) {
		e, err := events.Decode[events.ActionAudited](r.Data)
		if err != nil || e.Account != account {
			return false, nil //nolint:nilerr // one that this program cannot read is one of a later version
		}
		entry := audit.Entry{
			ID: r.Sequence, Account: e.Account, EventID: e.EventID, Actor: e.Actor, Action: audit.Action(e.Action), Subject: e.Subject,
			UserID: e.UserID, Reason: e.Reason, Details: e.Details, At: e.At,
		}
		if !filter.Fits(entry) {
			return false, nil
		}
		page = append(page, entry)
		return true, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return page, next, nil
}
