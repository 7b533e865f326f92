package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
)

type runCommand struct {
	Roles     []string `arg:"" name:"role" help:"Roles to run; assent roles lists them."`
	NATS      string   `name:"nats" help:"URL of the NATS server (default nats://127.0.0.1:4222)." placeholder:"URL"`
	Config    string   `help:"Configuration file." type:"path" env:"ASSENT_CONFIG"`
	Listen    string   `help:"Address of the API, for the role api (default 127.0.0.1:8080)." placeholder:"HOST:PORT"`
	OpsListen string   `help:"Address of /healthz, /readyz and /metrics (default: a free port of 127.0.0.1, told in the log)." placeholder:"HOST:PORT"`
	tlsFlags
}

// Run runs some roles against a NATS server until the process is asked to end.
func (c runCommand) Run(p *program) error {
	selected, err := rolesNamed(c.Roles)
	if err != nil {
		return err
	}
	cfg, faults, err := load(c.Config, p.env)
	if err != nil {
		return err
	}
	cfg.flag(&cfg.NATS.URL, c.NATS)
	cfg.flag(&cfg.Listen, c.Listen)
	cfg.flag(&cfg.OpsListen, c.OpsListen)
	c.set(&cfg)
	if faults = append(faults, cfg.check(selected)...); len(faults) > 0 {
		return &faultsError{faults}
	}
	ownsTopology := selected[0].name == apiRole
	if ownsTopology {
		if err := cfg.bootstrap(); err != nil {
			return err
		}
	}
	ops, err := bind(p.ctx, cfg.OpsListen, "--ops-listen 127.0.0.1:9091")
	if err != nil {
		return err
	}
	log := newLogger(cfg.Log, p.stderr)
	name := strings.Join(c.Roles, "-")
	nc, err := dial(cfg.NATS, name, log)
	if err != nil {
		_ = ops.Close()
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		_ = ops.Close()
		return fmt.Errorf("open JetStream: %w", err)
	}
	proc := newProcess(cfg, js, log)
	proc.ownsTopology = ownsTopology
	proc.bindTo(cfg.OpsListen, ops)
	proc.operations(cfg.OpsListen)
	// Health is told from now on: who waits for the broker is alive and not ready.
	if err := proc.listen(p.ctx); err != nil {
		return err
	}
	return proc.run(p.ctx, selected, func() {
		log.Info("ready", "roles", name, "ops", ops.Addr().String())
	})
}

const (
	apiRole      = "api"
	verifierRole = "verifier"
	sandboxRole  = "sandbox"
)

type keyringCommand struct {
	Init keyringInitCommand `cmd:"" help:"Make DIR/api/keyring.json, DIR/CHANNEL/keyring.json for each channel's worker, which opens that channel's messages and no others, and DIR/verifier/keyring.json, which opens nothing. Files that are there get what they lack."`
}

type keyringInitCommand struct {
	Dir string `help:"Directory of the files." required:"" type:"path"`
}

// Run makes the files that are missing, completes those of earlier versions, and prints their paths. All but
// the first can seal dead letters, and open none.
func (c keyringInitCommand) Run(p *program) error {
	whole := filepath.Join(c.Dir, apiRole, "keyring.json")
	keys, err := keyring.LoadOrCreate(whole)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, whole)
	for _, channel := range events.Channels() {
		path := filepath.Join(c.Dir, string(channel), "keyring.json")
		uses := []keyring.Use{keyring.Channel(channel), keyring.LettersPublic}
		if channel == events.Push {
			uses = append(uses, keyring.WebPush)
		}
		if err := keys.ExportOnce(path, uses...); err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, path)
	}
	path := filepath.Join(c.Dir, verifierRole, "keyring.json")
	if err := keys.ExportOnce(path, keyring.LettersPublic); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, path)
	return nil
}
