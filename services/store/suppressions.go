package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

// SuppressionsConfig is what keeping the list of those who get no messages takes.
type SuppressionsConfig struct {
	// Keys hashes and seals addresses; it holds the root key.
	Keys *keyring.Keyring
	// Operator is the account that may export and remove what providers reported about everybody's addresses.
	Operator string
	Now      func() time.Time
}

// Suppressions keeps the list. An account sees its own entries, and those for everybody. It is safe for
// concurrent use.
type Suppressions struct {
	cfg    SuppressionsConfig
	js     jetstream.JetStream
	pub    *stream.Publisher
	reader *stream.Reader
}

// NewSuppressions opens the stream of the list, which must exist.
func NewSuppressions(ctx context.Context, js jetstream.JetStream, cfg SuppressionsConfig) (*Suppressions, error) {
	reader, err := stream.NewReader(ctx, js, stream.Suppressions)
	if err != nil {
		return nil, err
	}
	return &Suppressions{cfg: cfg, js: js, pub: stream.NewPublisher(js), reader: reader}, nil
}

// AddSuppression puts an entry on the list and returns it as it stands then. Of entries for one address in
// one scope the first stays, unless the next covers more; added tells that this one was stored. It fails with
// verification.ErrUnavailable.
func (s *Suppressions) AddSuppression(ctx context.Context, e suppression.Entry) (stands suppression.Entry, added bool, err error) {
	event, err := s.event(e)
	if err != nil {
		return e, false, err
	}
	if added, err = s.pub.Suppress(ctx, event); err != nil {
		return e, false, unavailable(err)
	}
	if !added {
		before, err := s.read(ctx, event.Destination, event.Scope())
		if err == nil {
			event = before
		} else if !errors.Is(err, verification.ErrNotFound) { // else somebody removed it just now
			return e, false, err
		}
	}
	return s.shown(event), added, nil
}

// Suppress puts an address on the list on a provider's word, for everybody.
func (s *Suppressions) Suppress(ctx context.Context, e suppression.Entry) error {
	e.Scope, e.Account, e.ClientID = suppression.Everybody, "", ""
	_, _, err := s.AddSuppression(ctx, e)
	return err
}

// Resume takes an address off the list whose person had asked for no more messages and now asks for them. An
// entry of another cause stays. It tells whether there was one.
func (s *Suppressions) Resume(ctx context.Context, channel suppression.Channel, to string) (removed bool, err error) {
	d, err := destinationOf(s.cfg.Keys, sameTo(events.Channel(channel), to))
	if err != nil {
		return false, err
	}
	if removed, err = s.pub.Unsuppress(ctx, d, events.SuppressionScope("", ""), events.CauseStop); err != nil {
		return false, unavailable(err)
	}
	return removed, nil
}

// importers is how many entries are written at once.
const importers = 32

// severally calls do for the numbers below count, some at once, until one fails.
func severally(ctx context.Context, count int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, importers)
	for i := range count {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// ImportSuppressions puts entries on the list, in no order, and tells how many were not there before. It
// fails with verification.ErrUnavailable, after which some may be stored; a repetition stores the rest.
func (s *Suppressions) ImportSuppressions(ctx context.Context, entries []suppression.Entry) (added int, err error) {
	var count atomic.Int64
	err = severally(ctx, len(entries), func(ctx context.Context, i int) error {
		event, err := s.event(entries[i])
		if err != nil {
			return err
		}
		stored, err := s.pub.Suppress(ctx, event)
		if err != nil {
			return unavailable(err)
		}
		if stored {
			count.Add(1)
		}
		return nil
	})
	if err != nil {
		return int(count.Load()), fmt.Errorf("import suppressions: %w", err)
	}
	return int(count.Load()), nil
}

// Suppression is one entry; verification.ErrNotFound without it.
func (s *Suppressions) Suppression(ctx context.Context, account, id string) (suppression.Entry, error) {
	event, err := s.find(ctx, account, id)
	if err != nil {
		return suppression.Entry{}, err
	}
	return s.shown(event), nil
}

// RemoveSuppression takes one entry off the list; verification.ErrNotFound without it. One that holds for everybody
// is the operator's to remove: to others it fails with suppression.ErrOperators.
func (s *Suppressions) RemoveSuppression(ctx context.Context, account, id string) error {
	event, err := s.find(ctx, account, id)
	if err != nil {
		return err
	}
	if event.Account == "" && account != s.cfg.Operator {
		return suppression.ErrOperators
	}
	removed, err := s.pub.Unsuppress(ctx, event.Destination, event.Scope())
	if err != nil {
		return unavailable(err)
	}
	if !removed {
		return verification.ErrNotFound
	}
	return nil
}

const (
	// listWindow is how many entries are read at once, listWindows how often for one page.
	listWindow  = 256
	listWindows = 40
)

// Suppressions finds entries, newest first, with their addresses masked. A page may hold fewer than the
// limit, even none, and yet have a next, which is the Before of the page that follows; zero: there is none.
func (s *Suppressions) Suppressions(ctx context.Context, account string, f suppression.Filter) (page []suppression.Entry, next uint64, err error) {
	if f.To != "" {
		page, err := s.about(ctx, account, f)
		return page, 0, err
	}
	list := newest{s.js, s.reader, stream.Suppressions, listWindow, listWindows}
	next, err = list.page(ctx, f.Before, f.Limit, func(r stream.Record) (bool, error) {
		e, ok := s.wanted(account, f, r)
		if ok {
			page = append(page, e)
		}
		return ok, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return page, next, nil
}

// about is all entries of one address that fit, in one page.
func (s *Suppressions) about(ctx context.Context, account string, f suppression.Filter) ([]suppression.Entry, error) {
	d, err := destinationOf(s.cfg.Keys, sameTo(events.Channel(f.Channel), f.To))
	if err != nil {
		return nil, err
	}
	var page []suppression.Entry
	for from := uint64(1); ; {
		records, err := s.reader.Page(ctx, events.SuppressionsOf(d), from)
		if err != nil {
			return nil, unavailable(err)
		}
		if len(records) == 0 {
			slices.Reverse(page)
			return page, nil
		}
		for _, r := range records {
			from = r.Sequence + 1
			if e, ok := s.wanted(account, f, r); ok {
				page = append(page, e)
			}
		}
	}
}

// wanted is an entry as lists show it. One that this program cannot read is one of a later version.
func (s *Suppressions) wanted(account string, f suppression.Filter, r stream.Record) (suppression.Entry, bool) {
	event, err := stream.Suppression(r)
	if err != nil || event == nil || !visible(account, *event) {
		return suppression.Entry{}, false
	}
	e := s.shown(*event)
	return e, f.Fits(e) && !e.Ended(s.cfg.Now())
}

// ExportSuppressions is all entries of an account with their full addresses, oldest first. Those for
// everybody are in that of the operator only: others know these addresses masked. One that cannot be opened comes
// without its address and with suppression.ErrSealed, and others follow; any other error is the last. Entries that end
// by themselves are left out.
func (s *Suppressions) ExportSuppressions(ctx context.Context, account string) iter.Seq2[suppression.Entry, error] {
	return func(yield func(suppression.Entry, error) bool) {
		for from := uint64(1); ; {
			records, err := s.reader.Page(ctx, events.SuppressionSubjects, from)
			if err != nil {
				yield(suppression.Entry{}, unavailable(err))
				return
			}
			if len(records) == 0 {
				return
			}
			for _, r := range records {
				from = r.Sequence + 1
				event, err := stream.Suppression(r)
				if err != nil || event == nil || event.Covers == events.CoversVerifications || event.Account != account && (event.Account != "" || account != s.cfg.Operator) {
					continue
				}
				if !yield(s.opened(*event)) {
					return
				}
			}
		}
	}
}

func visible(account string, e events.Suppression) bool {
	return e.Account == "" || e.Account == account
}

// find reads the entry of an id, where the account may see it.
func (s *Suppressions) find(ctx context.Context, account, id string) (events.Suppression, error) {
	d, scope, ok := suppression.ParseID(id)
	if !ok {
		return events.Suppression{}, verification.ErrNotFound
	}
	event, err := s.read(ctx, d, scope)
	if err == nil && !visible(account, event) {
		return events.Suppression{}, verification.ErrNotFound
	}
	return event, err
}

func (s *Suppressions) read(ctx context.Context, destination, scope string) (events.Suppression, error) {
	// Of the leader: who has just added it, or removed it, sees it so.
	rec, err := s.reader.Latest(ctx, events.SuppressionSubject(destination, scope))
	if errors.Is(err, stream.ErrAbsent) {
		return events.Suppression{}, verification.ErrNotFound
	}
	if err != nil {
		return events.Suppression{}, unavailable(err)
	}
	event, err := stream.Suppression(rec)
	if err != nil {
		return events.Suppression{}, err
	}
	if event == nil || suppressionOf(*event).Ended(s.cfg.Now()) {
		return events.Suppression{}, verification.ErrNotFound
	}
	return *event, nil
}

// event is an entry as it is stored: the address hashed and sealed.
func (s *Suppressions) event(e suppression.Entry) (events.Suppression, error) {
	c := events.Channel(e.Channel)
	d, err := destinationOf(s.cfg.Keys, sameTo(c, e.To))
	if err != nil {
		return events.Suppression{}, err
	}
	event := events.Suppression{
		Destination: d, Channel: c, ToMasked: device.Mask(deviceKind(e.Channel), e.To),
		Account: e.Account, Credential: e.ClientID, Covers: string(e.Covers), Cause: string(e.Cause),
		Provider: e.Provider, Detail: e.Detail, At: e.At.UTC(),
	}
	if e.At.IsZero() {
		event.At = s.cfg.Now().UTC()
	}
	if event.Address, err = s.cfg.Keys.Seal(keyring.Channel(c), d, []byte(e.To)); err != nil {
		return event, fmt.Errorf("seal suppressed address: %w", err)
	}
	if e.Note != "" {
		note, err := s.cfg.Keys.Seal(keyring.Channel(c), noteOf(d), []byte(e.Note))
		if err != nil {
			return event, fmt.Errorf("seal note: %w", err)
		}
		event.Note = &note
	}
	return event, nil
}

// noteOf is what a note is sealed under, so that it cannot stand in the place of the address.
func noteOf(destination string) string { return destination + ".note" }

func deviceKind(c suppression.Channel) device.Kind {
	switch c {
	case suppression.Email:
		return device.Mailbox
	case suppression.Push:
		return device.Push
	default:
		return device.Phone
	}
}

// shown is an entry as lists show it, without the full address.
func (s *Suppressions) shown(event events.Suppression) suppression.Entry {
	e := suppressionOf(event)
	if event.Note != nil {
		// One that does not open is not shown; the entry counts all the same.
		if note, err := s.cfg.Keys.Open(keyring.Channel(event.Channel), noteOf(event.Destination), *event.Note); err == nil {
			e.Note = string(note)
		}
	}
	return e
}

// opened is an entry with its full address; suppression.ErrSealed where no key opens it.
func (s *Suppressions) opened(event events.Suppression) (suppression.Entry, error) {
	e := s.shown(event)
	to, err := s.cfg.Keys.Open(keyring.Channel(event.Channel), event.Destination, event.Address)
	if err != nil {
		return e, fmt.Errorf("%w: %w", suppression.ErrSealed, err)
	}
	e.To = string(to)
	return e, nil
}

// entryOf is what of an entry is readable without a key.
func suppressionOf(event events.Suppression) suppression.Entry {
	channel, _ := suppression.Of(string(event.Channel)) // a worker for calls writes numbers under its own
	e := suppression.Entry{
		ID:      suppression.ID(event.Destination, event.Scope()),
		Channel: channel, ToMasked: event.ToMasked, Scope: suppression.Everybody, Account: event.Account, ClientID: event.Credential,
		Covers: suppression.Covers(event.Covers), Cause: suppression.Cause(event.Cause),
		Provider: event.Provider, Detail: event.Detail, At: event.At, UserID: event.UserID,
	}
	if event.Until != nil {
		e.Until = *event.Until
	}
	switch {
	case event.Credential != "":
		e.Scope = suppression.OneCredential
	case event.Account != "":
		e.Scope = suppression.Account
	}
	return e
}
