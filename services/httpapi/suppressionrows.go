package httpapi

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

const (
	maxNote   = 200
	scopeRule = "must be account or credential"
)

// entryRow is one entry as a client writes it. Its fields are the columns of an import and an export.
type entryRow struct {
	To       string `json:"to"`
	Channel  string `json:"channel"`
	Scope    string `json:"scope"`
	ClientID string `json:"client_id"`
	Covers   string `json:"covers"`
	Cause    string `json:"cause"`
	At       string `json:"at"`
	Note     string `json:"note"`
}

// columns lists the fields of a row by their names.
func (r *entryRow) columns() []column {
	return []column{
		{"to", &r.To},
		{"channel", &r.Channel},
		{"scope", &r.Scope},
		{"client_id", &r.ClientID},
		{"covers", &r.Covers},
		{"cause", &r.Cause},
		{"at", &r.At},
		{"note", &r.Note},
	}
}

type column struct {
	name  string
	value *string
}

func columnNames() []string {
	var names []string
	for _, c := range (&entryRow{}).columns() {
		names = append(names, c.name)
	}
	return names
}

// entryReader turns rows into entries, and tells what is wrong with them.
type entryReader struct {
	account string
	// credentials tells whether a client id is one of the account's.
	credentials func(clientID string) (bool, error)
	add         func(field, detail string)
}

// entry reads one row. Its error is none of the row's.
func (t entryReader) entry(row entryRow, cause suppression.Cause, now time.Time) (suppression.Entry, error) {
	e := suppression.Entry{
		Scope: suppression.Account, Account: t.account, Covers: suppression.All, Cause: cause, Note: row.Note, At: now,
	}
	e.Channel, e.To = t.address(row.To, row.Channel)
	if row.Covers != "" {
		if e.Covers = suppression.Covers(row.Covers); !e.Covers.Valid() {
			t.add("covers", "must be all or notifications")
		}
	}
	if row.Cause != "" {
		if e.Cause = suppression.Cause(row.Cause); !slices.Contains(suppression.Lasting(), e.Cause) {
			t.add("cause", "must be "+choice(suppression.Lasting()))
		}
	}
	if row.At != "" {
		at, err := time.Parse(time.RFC3339, row.At)
		if e.At = at; err != nil || at.After(now) {
			t.add("at", "must be a time that has passed, in RFC 3339, such as 2026-11-21T10:05:02Z")
		}
	}
	f := faults{}
	f.text("note", row.Note, maxNote)
	if row.Note != "" && strings.ContainsRune("=+-@", rune(row.Note[0])) {
		f.add("note", "must not begin with = + - or @, which spreadsheets would compute")
	}
	for _, x := range f {
		t.add("note", x.Detail)
	}
	return e, t.scope(row, &e)
}

func (t entryReader) scope(row entryRow, e *suppression.Entry) error {
	switch suppression.Scope(row.Scope) {
	case "", suppression.Account, suppression.Everybody: // what an export says of everybody is the account's here
		if row.ClientID != "" {
			t.add("client_id", "goes with the scope credential only")
		}
	case suppression.OneCredential:
		e.Scope = suppression.OneCredential
		if row.ClientID == "" {
			t.add("client_id", "is required with the scope credential")
			return nil
		}
		known, err := t.credentials(row.ClientID)
		if err != nil {
			return err
		}
		if e.ClientID = row.ClientID; !known {
			t.add("client_id", "is not a credential of this account")
		}
	default:
		t.add("scope", scopeRule)
	}
	return nil
}

// address reads an address in its usual form, and its kind: of a number or a mailbox by its look where no
// channel is given.
func (t entryReader) address(to, channel string) (suppression.Channel, string) {
	if to == "" {
		t.add("to", "is required")
		return "", ""
	}
	kind, known := suppression.Of(channel)
	switch {
	case channel == "" && strings.Contains(to, "@"):
		kind = suppression.Email
	case channel == "":
		kind = suppression.SMS
	case !known:
		t.add("channel", "must be sms, voice, email or push")
		return "", ""
	}
	var err error
	usual := to
	switch kind {
	case suppression.SMS:
		usual, err = address.Phone(to)
	case suppression.Email:
		usual, err = address.Mailbox(to)
	case suppression.Push:
		if len(to) > maxPushToken || !visibleASCII(to) {
			err = fmt.Errorf("must be a push token of at most %d visible ASCII characters", maxPushToken)
		}
	}
	if err != nil {
		t.add("to", err.Error())
	}
	return kind, usual
}

// knownCredentials tells whether client ids are those of an account, asking once for each.
func (s *Server) knownCredentials(ctx context.Context, account string) func(string) (bool, error) {
	known := map[string]bool{}
	return func(clientID string) (bool, error) {
		if is, asked := known[clientID]; asked {
			return is, nil
		}
		_, err := s.config.Credentials.Credential(ctx, account, clientID)
		if err != nil && !errors.Is(err, verification.ErrNotFound) {
			return false, fmt.Errorf("read credential: %w", err)
		}
		known[clientID] = err == nil
		return err == nil, nil
	}
}

// ExportSuppressions streams the entries of the own account with their full addresses.
func (s *Server) ExportSuppressions(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageSuppressions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var out *csv.Writer
	begin := func() {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="suppressions.csv"`)
		w.WriteHeader(http.StatusOK)
		out = csv.NewWriter(w)
		_ = out.Write(columnNames()) // what cannot be written is told by Flush
	}
	leftOut := 0
	for e, err := range s.config.Suppressions.ExportSuppressions(r.Context(), client.Account) {
		if errors.Is(err, suppression.ErrSealed) {
			leftOut++
			continue
		}
		if err != nil {
			if out == nil {
				s.fail(w, r, fmt.Errorf("export suppressions: %w", err))
				return
			}
			out.Flush()
			if rec := observed(w); rec != nil {
				rec.err = fmt.Errorf("export suppressions: %w", err)
			}
			return // without the line that ends it
		}
		if out == nil {
			begin()
		}
		row := entryRow{
			To: e.To, Channel: string(e.Channel), Scope: string(e.Scope), ClientID: e.ClientID, Covers: string(e.Covers),
			Cause: string(e.Cause), At: e.At.UTC().Format(time.RFC3339), Note: e.Note,
		}
		var record []string
		for _, c := range row.columns() {
			record = append(record, cell(e, *c.value))
		}
		if out.Write(record) != nil {
			return
		}
	}
	if out == nil {
		begin()
	}
	out.Flush()
	if leftOut > 0 {
		_, _ = io.WriteString(w, suppression.LeftOut(leftOut)+"\n")
	}
	_, _ = io.WriteString(w, suppression.ExportEnd+"\n")
}

// cell is a value of an entry as an export writes it. A number is written as it is: a spreadsheet computes the same
// digits of it, and other programs want it so.
func cell(e suppression.Entry, value string) string {
	if e.Channel == suppression.SMS && value == e.To {
		return value
	}
	return suppression.Cell(value)
}
