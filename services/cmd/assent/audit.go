package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/assent-io/assent/api"
)

type auditCommand struct {
	Action  string `help:"Only of this action, such as verification.not_me." placeholder:"ACTION"`
	Subject string `help:"Only about this: the id of a user, device, verification or credential." placeholder:"ID"`
	Limit   int    `help:"How many at most, 1 to 1000 (default: 50)." default:"50" placeholder:"N"`
	apiAccess
}

// Run prints a table, newest first. That there are more goes to standard error.
func (c auditCommand) Run(p *program) error {
	if c.Limit < 1 || c.Limit > mostListed {
		return &usageError{errors.New("--limit must be 1 to 1000")}
	}
	list := api.AuditList{Data: []api.AuditEntry{}}
	query := queryOf(map[string]string{"action": c.Action, "subject": c.Subject})
	err := listPages(c.apiAccess, p, "/v1/audit", query, c.Limit, func(page api.AuditList) (int, *string) {
		list.Data, list.Next = append(list.Data, page.Data...), page.Next
		return len(page.Data), page.Next
	})
	if err != nil {
		return fmt.Errorf("list audit log: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "AT\tACTION\tBY\tSUBJECT\tUSER\tDETAILS\tREASON")
	for _, e := range list.Data {
		var details []string
		for _, name := range slices.Sorted(maps.Keys(e.Details)) {
			details = append(details, name+"="+e.Details[name])
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", moment(e.At), printable(e.Action), printable(e.Actor), orDash(e.Subject), orDash(e.UserID),
			orDash(strings.Join(details, " ")), orDash(e.Reason))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list audit log: %w", err)
	}
	switch {
	case len(list.Data) == 0:
		fmt.Fprintln(p.stderr, "There are no such entries.")
	case list.Next != nil:
		fmt.Fprintln(p.stderr, "There may be older ones; --limit shows more.")
	}
	return nil
}
