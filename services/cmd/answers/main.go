// Command answers measures how long it takes from a person's answer until the client that waits has it:
// it starts `assent up` as a newcomer would, asks on each road, parks a client behind every question,
// and answers one after the other as a person would: a code that is checked, a page's form, an app's
// signed answer, a reply by text, keys pressed in a call. The time is from sending the answer's request to
// the end of the parked client's; of texts, calls and pushes the sandbox carrier's own work is in it. It starts the program
// as it ships and calls nothing of it; nobody imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/assent-io/assent/api"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "answers:", err)
		os.Exit(1)
	}
}

type commandLine struct {
	Count  int    `help:"Answers on each road." default:"300"`
	Batch  int    `help:"Questions that are open, and clients parked, at once." default:"50"`
	Assent string `help:"The program to measure." required:"" type:"existingfile"`
}

const mostAnswers = 10_000

// Validate is called by kong.
func (c commandLine) Validate() error {
	if c.Count < 1 || c.Count > mostAnswers || c.Batch < 1 || c.Batch > 500 {
		return fmt.Errorf("--count must be from 1 to %d, and --batch from 1 to 500", mostAnswers)
	}
	return nil
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var c commandLine
	exited := false
	parser, err := kong.New(&c, kong.Name("answers"), kong.Description("Measures the time from an answer to the client that waits."),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { exited = true }))
	if err != nil {
		return fmt.Errorf("build command line: %w", err)
	}
	if _, err := parser.Parse(args); exited || err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "answers-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := start(ctx, c.Assent, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Fprintf(stdout, "\nanswers: from the answer to the parked client, %d on each road, %d parked at once\n\n", c.Count, c.Batch)
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "road\tanswers\tp50\tp90\tp99\tmax\t")
	for _, r := range roads() {
		took, err := c.measure(ctx, s, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		slices.Sort(took)
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t\n", r.name, len(took), at(took, .5), at(took, .9), at(took, .99), at(took, 1))
	}
	return t.Flush()
}

// at is a quantile of sorted times.
func at(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1)+0.5)].Round(100 * time.Microsecond)
}

// question is one that is open, with a client parked behind it.
type question struct {
	v        *api.Verification
	answered chan told
	send     func(context.Context) error
}

// told is what a parked client was told, and when.
type told struct {
	v   *api.Verification
	at  time.Time
	err error
}

// settled is how long the parked requests have to arrive, and a page is looked at before its answer counts.
const settled = 2 * time.Second

// measure asks in batches. Each batch is answered one by one, so that no answer waits for another's.
func (c commandLine) measure(ctx context.Context, s *system, r road) ([]time.Duration, error) {
	var took []time.Duration
	for len(took) < c.Count {
		var open []question
		for range min(c.Batch, c.Count-len(took)) {
			v, send, err := r.ask(ctx, s)
			if err != nil {
				return nil, err
			}
			q := question{v: v, answered: make(chan told, 1), send: send}
			go func() {
				v, err := s.client.Wait(ctx, q.v.ID)
				q.answered <- told{v, time.Now(), err}
			}()
			open = append(open, q)
		}
		if !wait(ctx, settled) {
			return nil, errors.New("interrupted")
		}
		for _, q := range open {
			began := time.Now()
			if err := q.send(ctx); err != nil {
				return nil, err
			}
			got := <-q.answered // bounded by the verification's life
			switch {
			case got.err != nil:
				return nil, fmt.Errorf("wait: %w", got.err)
			case got.v.Status != api.StatusApproved:
				return nil, fmt.Errorf("the client was told %s %s", got.v.Status, got.v.Reason)
			}
			took = append(took, got.at.Sub(began))
		}
	}
	return took, nil
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
