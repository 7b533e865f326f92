package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/assent-io/assent/api"
)

type dlqCommand struct {
	List   dlqListCommand   `cmd:"" help:"List the dead letters of the account, newest first."`
	Show   dlqShowCommand   `cmd:"" help:"Show one, and whether it can be replayed. No code, link or full address is shown."`
	Replay dlqReplayCommand `cmd:"" help:"Try one again, within its verification's life and limits. A message that a provider took is not sent twice."`
	Drop   dlqDropCommand   `cmd:"" help:"Remove one for good."`
}

type dlqListCommand struct {
	Kind    string `help:"Only of this kind: undecodable or undelivered." placeholder:"KIND"`
	Reason  string `help:"Only with exactly this reason, such as provider_unavailable." placeholder:"REASON"`
	Channel string `help:"Only of this channel: sms, voice, email, push or totp." placeholder:"CHANNEL"`
	Limit   int    `help:"How many at most, 1 to 1000 (default: 50)." default:"50" placeholder:"N"`
	apiAccess
}

// Run prints a table. That there are more goes to standard error.
func (c dlqListCommand) Run(p *program) error {
	switch {
	case c.Kind != "" && !api.DeadLetterKind(c.Kind).Valid():
		return &usageError{errors.New("--kind must be undecodable or undelivered")}
	case c.Channel != "" && !api.Channel(c.Channel).Valid():
		return &usageError{errors.New("--channel must be sms, voice, email, push or totp")}
	case c.Limit < 1 || c.Limit > mostListed:
		return &usageError{errors.New("--limit must be 1 to 1000")}
	}
	list, err := c.list(p)
	if err != nil {
		return fmt.Errorf("list dead letters: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ID\tPUT ASIDE\tKIND\tREASON\tCHANNEL\tVERIFICATION\tREPLAY")
	for _, l := range list.Data {
		replay := "yes"
		if !l.Replayable {
			replay = "no, " + printable(l.Obstacle)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(l.ID), moment(l.At), l.Kind, printable(l.Reason), orDash(string(l.Channel)), orDash(l.VerificationID), replay)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list dead letters: %w", err)
	}
	switch {
	case len(list.Data) == 0:
		fmt.Fprintln(p.stderr, "There are no such dead letters.")
	case list.Next != nil:
		fmt.Fprintln(p.stderr, "There may be older ones; --limit shows more.")
	}
	return nil
}

// list asks for pages until there are enough, or no more.
func (c dlqListCommand) list(p *program) (api.DeadLetterList, error) {
	list := api.DeadLetterList{Data: []api.DeadLetter{}}
	query := queryOf(map[string]string{"kind": c.Kind, "reason": c.Reason, "channel": c.Channel})
	err := listPages(c.apiAccess, p, "/v1/dead-letters", query, c.Limit, func(page api.DeadLetterList) (int, *string) {
		list.Data, list.Next = append(list.Data, page.Data...), page.Next
		return len(page.Data), page.Next
	})
	return list, err
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func orDash(s string) string { return printable(cmp.Or(s, "-")) }

// printable keeps out what a terminal would obey: letters tell of what nobody could decode.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// dlqLetter is how a command names a letter.
type dlqLetter struct {
	ID string `arg:"" name:"id" help:"Id of the letter, as assent dlq list shows it."`
}

func (l dlqLetter) path() (string, error) {
	if n, err := strconv.ParseUint(l.ID, 10, 64); err != nil || n == 0 || strconv.FormatUint(n, 10) != l.ID {
		return "", &usageError{errors.New("the id of a letter is a number; assent dlq list shows it")}
	}
	return "/v1/dead-letters/" + l.ID, nil
}

type dlqShowCommand struct {
	dlqLetter
	apiAccess
}

// Run prints one letter, a line for each thing that is known.
func (c dlqShowCommand) Run(p *program) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	var l api.DeadLetter
	if err := c.call(p, http.MethodGet, path, nil, &l); err != nil {
		return fmt.Errorf("show dead letter %s: %w", c.ID, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, l)
	}
	printLetter(p.stdout, l)
	return nil
}

func printLetter(w io.Writer, l api.DeadLetter) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-14s%s\n", name+":", printable(value))
		}
	}
	line("id", l.ID)
	line("kind", string(l.Kind))
	line("reason", l.Reason)
	line("put aside", moment(l.At)+" UTC")
	line("consumer", l.Consumer)
	line("subject", l.Subject)
	line("channel", string(l.Channel))
	line("verification", l.VerificationID)
	line("size", strconv.Itoa(l.Size)+" bytes")
	line("sha256", l.Sha256)
	if m := l.Message; m != nil {
		line("to", m.To)
		line("challenge", string(m.Challenge))
		sent := "send " + strconv.Itoa(m.Send)
		if m.Step > 0 {
			sent += " of fallback step " + strconv.Itoa(m.Step)
		}
		line("message", sent)
		line("asked", moment(m.CreatedAt)+" UTC")
		line("expires", moment(m.ExpiresAt)+" UTC")
	}
	switch {
	case !l.Replayable:
		line("replay", "no, "+l.Obstacle)
	case l.Uncertain:
		line("replay", "yes, but the person may have the message: a provider never answered")
	default:
		line("replay", "yes")
	}
}

type dlqReplayCommand struct {
	dlqLetter
	apiAccess
}

// Run replays one letter.
func (c dlqReplayCommand) Run(p *program) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	var replayed api.ReplayedLetter
	if err := c.call(p, http.MethodPost, path+"/replay", nil, &replayed); err != nil {
		return fmt.Errorf("replay dead letter %s: %w", c.ID, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, map[string]any{"id": c.ID, "replayed": true, "verification_id": replayed.VerificationID})
	}
	fmt.Fprintf(p.stdout, "Replayed %s, for the verification %s.\n", c.ID, printable(replayed.VerificationID))
	return nil
}

type dlqDropCommand struct {
	dlqLetter
	apiAccess
}

// Run drops one letter.
func (c dlqDropCommand) Run(p *program) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if err := c.call(p, http.MethodDelete, path, nil, nil); err != nil {
		return fmt.Errorf("drop dead letter %s: %w", c.ID, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, map[string]any{"id": c.ID, "dropped": true})
	}
	fmt.Fprintln(p.stdout, "Dropped "+c.ID+".")
	return nil
}
