package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/suppression"
)

type suppressionsCommand struct {
	List   suppressionsListCommand   `cmd:"" help:"List the addresses that get no messages, newest first, masked."`
	Add    suppressionsAddCommand    `cmd:"" help:"Put an address on the list."`
	Remove suppressionsRemoveCommand `cmd:"" help:"Take an entry off the list, by its id."`
	Import suppressionsImportCommand `cmd:"" help:"Put the addresses of a file on the list: CSV with a line of column names, NDJSON, or a JSON array."`
	Export suppressionsExportCommand `cmd:"" help:"Print the list with full addresses, as CSV."`
}

type suppressionsListCommand struct {
	To    string `help:"Only entries of this number or mailbox." placeholder:"ADDRESS"`
	Cause string `help:"Only of this cause: stop, bounce, spam_report, device_gone, manual, imported or not_me." placeholder:"CAUSE"`
	Limit int    `help:"How many at most, 1 to 1000 (default: 50)." default:"50" placeholder:"N"`
	apiAccess
}

// Run prints a table. That there are more goes to standard error.
func (c suppressionsListCommand) Run(p *program) error {
	switch {
	case c.Cause != "" && !api.SuppressionCause(c.Cause).Valid():
		return &usageError{errors.New("--cause must be stop, bounce, spam_report, device_gone, manual, imported or not_me")}
	case c.Limit < 1 || c.Limit > mostListed:
		return &usageError{errors.New("--limit must be 1 to 1000")}
	}
	list, err := c.list(p)
	if err != nil {
		return fmt.Errorf("list suppressions: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ID\tADDRESS\tSCOPE\tCOVERS\tCAUSE\tSINCE\tUNTIL\tNOTE")
	for _, s := range list.Data {
		scope := string(s.Scope)
		if s.ClientID != "" {
			scope += " " + s.ClientID
		}
		until := "-"
		if s.Until != nil {
			until = moment(*s.Until)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			printable(s.ID), printable(s.To), printable(scope), s.Covers, s.Cause, moment(s.At), until, orDash(s.Note))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list suppressions: %w", err)
	}
	switch {
	case len(list.Data) == 0:
		fmt.Fprintln(p.stderr, "There are no such entries.")
	case list.Next != nil:
		fmt.Fprintln(p.stderr, "There may be older ones; --limit shows more.")
	}
	return nil
}

// list asks for pages until there are enough, or no more.
func (c suppressionsListCommand) list(p *program) (api.SuppressionList, error) {
	list := api.SuppressionList{Data: []api.Suppression{}}
	query := queryOf(map[string]string{"to": c.To, "cause": c.Cause})
	err := listPages(c.apiAccess, p, "/v1/suppressions", query, c.Limit, func(page api.SuppressionList) (int, *string) {
		list.Data, list.Next = append(list.Data, page.Data...), page.Next
		return len(page.Data), page.Next
	})
	return list, err
}

type suppressionsAddCommand struct {
	To     string `arg:"" help:"A number in international form, or a mailbox."`
	For    string `help:"Only for the messages of this credential of the account." placeholder:"CLIENT-ID"`
	Covers string `help:"What is kept back: all, or notifications." default:"all" enum:"all,notifications"`
	Note   string `help:"A note for people." placeholder:"TEXT"`
	apiAccess
}

// Run adds one entry, and prints it as it stands then.
func (c suppressionsAddCommand) Run(p *program) error {
	request := api.AddSuppression{To: c.To, Covers: api.SuppressionCovers(c.Covers), Note: c.Note}
	if c.For != "" {
		request.Scope, request.ClientID = "credential", c.For
	}
	var s api.Suppression
	if err := c.call(p, http.MethodPost, "/v1/suppressions", request, &s); err != nil {
		return fmt.Errorf("add suppression: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, s)
	}
	fmt.Fprintf(p.stdout, "%s gets no messages since %s UTC (%s).\n", printable(s.To), moment(s.At), printable(s.ID))
	return nil
}

type suppressionsRemoveCommand struct {
	ID string `arg:"" name:"id" help:"Id of the entry, as assent suppressions list shows it."`
	apiAccess
}

// Run removes one entry.
func (c suppressionsRemoveCommand) Run(p *program) error {
	if err := c.call(p, http.MethodDelete, "/v1/suppressions/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return fmt.Errorf("remove suppression: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, map[string]any{"id": c.ID, "removed": true})
	}
	fmt.Fprintln(p.stdout, "Removed "+printable(c.ID)+".")
	return nil
}

// listTimeout bounds the import or export of a whole list.
const listTimeout = 10 * time.Minute

type suppressionsImportCommand struct {
	File string `arg:"" help:"File that ends in .csv, .ndjson, .jsonl or .json; a .json array of up to 10,000 entries and 4 MiB." type:"path"`
	apiAccess
}

// Run imports one file. Lines with faults go to standard error, and fail the command after all others are imported.
func (c suppressionsImportCommand) Run(p *program) error {
	media := map[string]string{
		".csv": "text/csv", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson", ".json": "application/json",
	}[strings.ToLower(filepath.Ext(c.File))]
	if media == "" {
		return &usageError{errors.New("the file must end in .csv, .ndjson, .jsonl or .json")}
	}
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("import suppressions: %w", err)
	}
	defer func() { _ = f.Close() }()
	ctx, cancel := context.WithTimeout(p.ctx, listTimeout)
	defer cancel()
	total := api.ImportedSuppressions{Faults: []api.ImportFault{}}
	for part, err := range importParts(media, f) {
		if err == nil {
			err = c.post(ctx, p, media, part, &total)
		}
		if err != nil {
			return fmt.Errorf("import suppressions: from line %d on nothing is imported (%d added before)%s: %w", part.first, total.Added, part.offset(), err)
		}
	}
	if err := c.print(p, total); err != nil {
		return err
	}
	if total.Refused > 0 {
		return fmt.Errorf("import suppressions: %d of the entries were refused; the others are on the list", total.Refused)
	}
	return nil
}

func (c suppressionsImportCommand) print(p *program, total api.ImportedSuppressions) error {
	if c.JSON {
		return writeIndented(p.stdout, total)
	}
	fmt.Fprintf(p.stdout, "%d added, %d known before, %d refused.\n", total.Added, total.Known, total.Refused)
	for _, fault := range total.Faults {
		fmt.Fprintf(p.stderr, "line %d: %s %s\n", fault.Line, printable(fault.Field), printable(fault.Detail))
	}
	return nil
}

// post imports one part and adds what came of it to total.
func (c suppressionsImportCommand) post(ctx context.Context, p *program, media string, part importPart, total *api.ImportedSuppressions) error {
	resp, err := c.send(ctx, p, http.MethodPost, "/v1/suppressions/import", media, bytes.NewReader(part.body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var imported api.ImportedSuppressions
	if err := readAnswer(resp, &imported); err != nil {
		return err
	}
	total.Added += imported.Added
	total.Known += imported.Known
	total.Refused += imported.Refused
	for _, fault := range imported.Faults {
		fault.Line = part.line(fault.Line)
		total.Faults = append(total.Faults, fault)
	}
	return nil
}

type suppressionsExportCommand struct{ apiAccess }

// Run prints the list. One that was cut off is an error; that some could not be opened goes to standard error too.
func (c suppressionsExportCommand) Run(p *program) error {
	ctx, cancel := context.WithTimeout(p.ctx, listTimeout)
	defer cancel()
	resp, err := c.send(ctx, p, http.MethodGet, "/v1/suppressions/export", "", http.NoBody)
	if err != nil {
		return fmt.Errorf("export suppressions: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("export suppressions: %w", readAnswer(resp, nil))
	}
	last := ""
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		if line != "" {
			last = strings.TrimSpace(line)
			if last != suppression.ExportEnd && suppression.Remark(last) {
				fmt.Fprintln(p.stderr, strings.TrimPrefix(last, "# ")+".")
			}
			if _, err := io.WriteString(p.stdout, line); err != nil {
				return fmt.Errorf("export suppressions: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("export suppressions: %w", err)
		}
	}
	if last != suppression.ExportEnd {
		return errors.New("export suppressions: the list was cut off; try again")
	}
	return nil
}
