// Command chaos shows that delivery survives: it starts Assent as an operator would, each role a
// process of its own with a stock NATS server, offers it a steady load, and stands in for the
// carriers outside. `chaos kill` ends the processes with SIGKILL, one after the other; `chaos outage`
// takes the provider away. `chaos lanes`, `quota` and `queue` do the same with notifications. What it counts is its own: what the API answered, and what the carriers
// took. It fails when something was lost, came late, or came twice without a cause. It starts the
// programs as they ship and calls nothing of theirs; nobody imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// program is what every command gets.
type program struct {
	ctx    context.Context //nolint:containedctx // one value for the life of the process, handed to the command that kong runs
	stdout io.Writer
}

type commandLine struct {
	Kill   killCommand   `cmd:"" help:"Load, and a SIGKILL to one role after the other."`
	Outage outageCommand `cmd:"" help:"Load, and a provider that is away for ten minutes, told in one."`
	Lanes  lanesCommand  `cmd:"" help:"Verifications alone, and beside notifications by the hundred thousand."`
	Quota  quotaCommand  `cmd:"" help:"Workers under one quota, each killed and replaced."`
	Queue  queueCommand  `cmd:"" help:"A million notifications that wait, and a restart in the middle."`
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var line commandLine
	exited := false
	parser, err := kong.New(&line, kong.Name("chaos"), kong.Description("Shows that delivery survives."),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { exited = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return fmt.Errorf("build command line: %w", err)
	}
	parsed, err := parser.Parse(args)
	if exited || err != nil {
		return err
	}
	return parsed.Run(&program{ctx: ctx, stdout: stdout})
}

// common are the flags of every command.
type common struct {
	Seed    uint64          `help:"What the carrier's moods and the times of the kills are drawn from." default:"1"`
	SMS     int             `name:"sms" help:"SMS workers." default:"2"`
	Policy  string          `help:"What becomes of texts of unknown fate: resend or hold (default: what Assent does unasked)." enum:",resend,hold" default:""`
	Latency []time.Duration `help:"Shortest and longest time that the carrier takes to answer." default:"20ms,80ms"`
	Assent  string          `help:"The program (default: built from this source)." type:"existingfile"`
	NATS    string          `name:"nats" help:"The NATS server (default: built from its module)." type:"existingfile"`
}

// check refuses flags that cannot be meant.
func (c common) check(rate int) error {
	switch {
	case rate < 1 || c.SMS < 1:
		return errors.New("--rate and --sms must be at least 1")
	case len(c.Latency) != 2 || c.Latency[0] < 0 || c.Latency[1] < c.Latency[0]:
		return errors.New("--latency must be the shortest and the longest, such as 20ms,80ms")
	}
	return nil
}

// failedError is what did not survive.
type failedError struct{ faults []string }

func (e *failedError) Error() string {
	return "delivery did not survive:\n  " + strings.Join(e.faults, "\n  ")
}
