package httpapi

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/suppression"
)

const (
	maxImport       = 4 << 20
	maxImportRows   = 10_000
	maxImportFaults = 1000
	maxImportLine   = 64 << 10
)

// ImportSuppressions takes a list. What has no fault is stored, the rest is told by its line.
func (s *Server) ImportSuppressions(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageSuppressions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	entries, bad, err := s.readImport(w, r, client.Account)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	added, err := s.config.Suppressions.ImportSuppressions(r.Context(), entries)
	if err != nil {
		s.fail(w, r, fmt.Errorf("import suppressions: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, api.ImportedSuppressions{
		Added: added, Known: len(entries) - added, Refused: len(bad.lines), Faults: bad.faults,
	})
}

// readImport reads the body of an import.
func (s *Server) readImport(w http.ResponseWriter, r *http.Request, account string) ([]suppression.Entry, badRows, error) {
	data, read, err := importBody(w, r)
	if err != nil {
		return nil, badRows{}, err
	}
	turn, err := s.long.turn(r.Context())
	if err != nil {
		return nil, badRows{}, err
	}
	defer turn.end()
	rows, bad, err := readRows(data, read)
	if err != nil {
		return nil, bad, err
	}
	known := s.knownCredentials(r.Context(), account)
	if err := turn.without(r.Context(), func() error { return askFor(rows, known) }); err != nil {
		return nil, bad, err
	}
	return s.readEntries(account, known, rows, bad)
}

// askFor asks for the credentials of all rows, so that nothing is waited for when their entries are read.
func askFor(rows []numberedRow, known func(clientID string) (bool, error)) error {
	for _, row := range rows {
		if suppression.Scope(row.Scope) != suppression.OneCredential || row.ClientID == "" {
			continue
		}
		if _, err := known(row.ClientID); err != nil {
			return err
		}
	}
	return nil
}

// badRows are the rows with faults.
type badRows struct {
	lines  map[int]bool
	faults []api.ImportFault
}

func (b *badRows) add(line int, field, detail string) {
	b.lines[line] = true
	if len(b.faults) < maxImportFaults {
		b.faults = append(b.faults, api.ImportFault{Line: line, Field: field, Detail: detail})
	}
}

// numberedRow is a row and where it stands.
type numberedRow struct {
	line int
	entryRow
}

func (s *Server) readEntries(
	account string, known func(clientID string) (bool, error), rows []numberedRow, bad badRows,
) ([]suppression.Entry, badRows, error) {
	now := s.config.Now()
	entries := make([]suppression.Entry, 0, len(rows))
	for i, row := range rows {
		pause(i)
		reader := entryReader{account: account, credentials: known, add: func(field, detail string) { bad.add(row.line, field, detail) }}
		e, err := reader.entry(row.entryRow, suppression.Imported, now)
		if err != nil {
			return nil, bad, err
		}
		if !bad.lines[row.line] {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(bad.faults, func(a, b api.ImportFault) int { return a.Line - b.Line })
	return entries, bad, nil
}

var errTooManyRows = errors.New("too many rows")

// importBody takes in the whole body, and finds how to read it by its type.
func importBody(w http.ResponseWriter, r *http.Request) ([]byte, rowsOf, error) {
	read, err := rowsReader(r.Header)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxImport))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, nil, &refusal{code: api.ProblemCodeBodyTooLarge, detail: "The body is over 4 MiB. Import it in parts."}
	}
	if err != nil {
		return nil, nil, malformed("The body ended before it was complete.")
	}
	return data, read, nil
}

// rowsOf reads the rows of one media type.
type rowsOf func(data []byte, bad *badRows) ([]numberedRow, error)

func readRows(data []byte, read rowsOf) ([]numberedRow, badRows, error) {
	bad := badRows{lines: map[int]bool{}, faults: []api.ImportFault{}}
	if !utf8.Valid(data) {
		return nil, bad, malformed("The body is not valid UTF-8.")
	}
	rows, err := read(bytes.TrimPrefix(data, []byte("\ufeff")), &bad)
	switch {
	case errors.Is(err, errTooManyRows):
		return nil, bad, invalid(faults{{Pointer: "#", Detail: "holds more than 10000 entries; nothing was stored, import them in parts"}})
	case err != nil:
		return nil, bad, err
	case len(rows) == 0 && len(bad.lines) == 0:
		return nil, bad, invalid(faults{{Pointer: "#", Detail: "holds no entries"}})
	}
	return rows, bad, nil
}

func rowsReader(h http.Header) (rowsOf, error) {
	refuse := &refusal{
		code: api.ProblemCodeUnsupportedMediaType, detail: "Send text/csv, application/x-ndjson or application/json, without Content-Encoding.",
		header: http.Header{"Accept": {"text/csv, application/x-ndjson, application/json"}},
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, refuse
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return nil, refuse
	}
	switch media {
	case "text/csv":
		return csvRows, nil
	case "application/x-ndjson":
		return jsonLines, nil
	case "application/json":
		return jsonArray, nil
	default:
		return nil, refuse
	}
}

func csvRows(data []byte, bad *badRows) ([]numberedRow, error) {
	c := csv.NewReader(bytes.NewReader(data))
	c.FieldsPerRecord, c.TrimLeadingSpace = -1, true
	head, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, malformed("The first line is not CSV; it must name the columns, such as to,covers,note.")
	}
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(columnNames(), head[i]) || slices.Contains(head[:i], head[i]) {
			return nil, invalid(faults{{Pointer: "#", Detail: fmt.Sprintf("has a column %d that is not known or comes twice; the columns are %s", i+1, strings.Join(columnNames(), ", "))}})
		}
	}
	if !slices.Contains(head, "to") {
		return nil, invalid(faults{{Pointer: "#", Detail: "must name the column to in its first line"}})
	}
	var rows []numberedRow
	for count := 0; ; {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err == nil && len(record) == 1 && suppression.Remark(record[0]) {
			continue
		}
		if count++; count > maxImportRows {
			return nil, errTooManyRows
		}
		var syntax *csv.ParseError
		faulty := errors.As(err, &syntax)
		if line := openQuote(c, record, syntax); line > 0 {
			return nil, invalid(faults{{Pointer: "#", Detail: fmt.Sprintf("has a quote in line %d that does not close there; nothing was stored", line)}})
		}
		if faulty {
			bad.add(syntax.StartLine, "", "is not CSV: quotes must enclose whole fields")
			continue
		}
		if err != nil {
			return nil, malformed("The body cannot be read as CSV.")
		}
		line, _ := c.FieldPos(0)
		if len(record) > len(head) {
			bad.add(line, "", "has more fields than the first line names")
			continue
		}
		row := numberedRow{line: line}
		for _, col := range row.columns() {
			if i := slices.Index(head, col.name); i >= 0 && i < len(record) {
				*col.value = suppression.FromCell(strings.TrimSpace(record[i]))
			}
		}
		rows = append(rows, row)
	}
}

// openQuote is the line in which a quote begins whose field goes on in the next line; zero: none does. No field may
// hold a line break, so a quote was left open, and what it has swallowed are other people's entries. record is
// what was read of the row, syntax what is wrong with it.
func openQuote(c *csv.Reader, record []string, syntax *csv.ParseError) int {
	last := 0
	for i, value := range record {
		last, _ = c.FieldPos(i)
		if strings.Contains(value, "\n") {
			return last
		}
	}
	if syntax != nil && syntax.Line > syntax.StartLine { // in the field after those that were read
		return max(last, syntax.StartLine)
	}
	return 0
}

func jsonLines(data []byte, bad *badRows) ([]numberedRow, error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(make([]byte, 0, 4<<10), maxImportLine)
	var rows []numberedRow
	count := 0
	for line := 1; lines.Scan(); line++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		if count++; count > maxImportRows {
			return nil, errTooManyRows
		}
		if row, ok := jsonRow(text, line, bad); ok {
			rows = append(rows, row)
		}
	}
	if lines.Err() != nil {
		return nil, malformed("A line is longer than an entry can be.")
	}
	return rows, nil
}

func jsonArray(data []byte, bad *badRows) ([]numberedRow, error) {
	var elements []json.RawMessage
	if !json.Valid(data) {
		return nil, malformed(syntaxDetail(data))
	}
	if json.Unmarshal(data, &elements) != nil || elements == nil {
		return nil, invalid(faults{{Pointer: "#", Detail: "must be an array of entries"}})
	}
	if len(elements) > maxImportRows {
		return nil, errTooManyRows
	}
	var rows []numberedRow
	for i, text := range elements {
		if row, ok := jsonRow(text, i+1, bad); ok {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func jsonRow(text []byte, line int, bad *badRows) (numberedRow, bool) {
	row := numberedRow{line: line}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&row.entryRow); err != nil || d.More() || text[0] != '{' {
		bad.add(line, "", "must be one JSON object of the fields "+strings.Join(columnNames(), ", ")+", all of them strings")
		return row, false
	}
	return row, true
}
