// Command assent is the whole of Assent: every role of the pipeline, by name, and
// `up`, which runs all of them with an embedded broker and the sandbox carriers. This
// package is the composition root: it reads the configuration, makes the parts, and
// wires them; it is the only one that knows all rooms, and nobody imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// version is set by the linker for releases.
var version = "dev"

// The exit codes that scripts may rely on.
const (
	exitFault = 1
	exitUsage = 2
	// exitNotValid: what was to be checked was read, and does not hold.
	exitNotValid = 3
	// exitInterrupted is what shells expect after Ctrl-C: 128 and the number of the signal.
	exitInterrupted = 130
)

// gcPercent lets the heap grow to three times what is in use before it is collected. The work is
// many small short-lived things, and half the collections measured 10 to 15 % of the processor time
// for some tens of megabytes under load; an idle process is no larger. GOGC and GOMEMLIMIT in the
// environment win.
const gcPercent = 200

func main() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	ctx, interrupted := untilSignal()
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	if err == nil {
		if interrupted() {
			os.Exit(exitInterrupted)
		}
		return
	}
	fmt.Fprintln(os.Stderr, "assent: "+err.Error())
	os.Exit(exitCode(err))
}

// exitCode is what the process ends with after an error.
func exitCode(err error) int {
	switch {
	case errors.As(err, new(*usageError)):
		return exitUsage
	case errors.As(err, new(*notValidError)):
		return exitNotValid
	default:
		return exitFault
	}
}

// untilSignal is a context that ends with the first SIGINT or SIGTERM, so that everything drains; the
// second ends the process at once. interrupted tells whether it was Ctrl-C.
func untilSignal() (ctx context.Context, interrupted func() bool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		signal.Stop(signals)
		cancel(&ended{first})
	}()
	return ctx, func() bool {
		var e *ended
		return errors.As(context.Cause(ctx), &e) && e.by == os.Interrupt
	}
}

// ended is why the process was asked to end.
type ended struct{ by os.Signal }

func (e *ended) Error() string { return "ended by " + e.by.String() }

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() + "\n  try: assent --help" }
func (e *usageError) Unwrap() error { return e.err }

// program is what every command gets.
type program struct {
	ctx    context.Context //nolint:containedctx // one value for the life of the process, handed to the command that kong runs
	env    []string
	stdout io.Writer
	stderr io.Writer
}

type commandLine struct {
	Up           upCommand           `cmd:"" help:"Run every role with an embedded broker, and the sandbox carriers where no provider is configured."`
	Run          runCommand          `cmd:"" help:"Run some roles against a NATS server."`
	Roles        rolesCommand        `cmd:"" help:"List the roles."`
	Config       configCommand       `cmd:"" help:"Look at the configuration."`
	Keyring      keyringCommand      `cmd:"" help:"Make keyring files."`
	Credentials  credentialsCommand  `cmd:"" help:"Make, list and revoke the credentials that clients call the API with."`
	Realms       realmsCommand       `cmd:"" help:"Make, list, rotate and remove the realms that clients of SecureAuth's API call."`
	Templates    templatesCommand    `cmd:"" help:"Save, list, preview and remove the texts of notifications."`
	DLQ          dlqCommand          `cmd:"" name:"dlq" help:"List, show, replay and drop the dead letters: what could not be decoded or delivered."`
	Suppressions suppressionsCommand `cmd:"" help:"List, add, remove, import and export the addresses that get no messages."`
	Providers    providersCommand    `cmd:"" help:"List, pause and resume the providers that carry messages."`
	Audit        auditCommand        `cmd:"" help:"List the audit log of the account: who did what, and why."`
	Approvals    approvalsCommand    `cmd:"" help:"Check the signed answers of phones, as an auditor does."`
	Phone        phoneCommand        `cmd:"" help:"Be a phone: join, answer questions, make one-time codes; for scripts."`
	Healthcheck  healthcheckCommand  `cmd:"" help:"Ask a running process whether it is alive; for container health checks."`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

// run parses the command line and runs one command until ctx ends. It is main without the process.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) error {
	var line commandLine
	exited := false
	parser, err := kong.New(&line,
		kong.Name("assent"),
		kong.Description("Notifications and verifications over SMS, voice, email and push.\n\n"+
			"  assent up                    everything on this machine; nothing leaves it\n"+
			"  assent run sms --nats URL    one worker, as many processes as you like"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": version},
	)
	if err != nil {
		return fmt.Errorf("build command line: %w", err)
	}
	parsed, err := parser.Parse(plain(args))
	if exited { // help was asked for and printed
		return nil
	}
	if err != nil {
		return &usageError{err}
	}
	return parsed.Run(&program{ctx: ctx, env: env, stdout: stdout, stderr: stderr})
}

// plain turns the other ways that people ask for help and version into ours.
func plain(args []string) []string {
	switch {
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	default:
		return args
	}
}

type rolesCommand struct{}

// Run prints the table of roles.
func (rolesCommand) Run(p *program) error {
	for _, r := range roles {
		fmt.Fprintf(p.stdout, "%-9s %s\n", r.name, r.does)
	}
	return nil
}

type versionCommand struct{}

// Run prints the version and what it was built from.
func (versionCommand) Run(p *program) error {
	fmt.Fprintln(p.stdout, "assent "+version+" "+revision())
	return nil
}

// revision is the commit this program was built from, where the build knew.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var parts []string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			parts = append(parts, s.Value)
		case "vcs.modified":
			if s.Value == "true" {
				parts = append(parts, "modified")
			}
		}
	}
	return strings.Join(append(parts, info.GoVersion), " ")
}

type healthcheckCommand struct {
	Ops     string `help:"Address of the process's operations listener; https://HOST:PORT where it speaks TLS." default:"127.0.0.1:9090"`
	TLSCert string `name:"tls-cert" help:"Certificate of a process that speaks TLS." placeholder:"FILE" type:"path" env:"ASSENT_TLS__CERT"`
}

const healthcheckTimeout = 3 * time.Second

// Run asks /healthz and fails unless it answers 200.
func (c healthcheckCommand) Run(p *program) error {
	ctx, cancel := context.WithTimeout(p.ctx, healthcheckTimeout)
	defer cancel()
	base, client := "http://"+strings.TrimPrefix(c.Ops, "http://"), &http.Client{}
	if strings.HasPrefix(c.Ops, "https://") {
		trust, err := pinned(c.TLSCert)
		if err != nil {
			return fmt.Errorf("ask for health: %w", err)
		}
		base, client.Transport = c.Ops, &http.Transport{TLSClientConfig: trust}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for health: status %d", resp.StatusCode)
	}
	return nil
}
