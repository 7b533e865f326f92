package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/embednats"
)

type upCommand struct {
	Listen string `help:"Address of everything: API, pages, inbox, health, metrics (default 127.0.0.1:8080)." placeholder:"HOST:PORT"`
	Data   string `help:"Directory of everything that is kept (default ./assent-data)." placeholder:"DIR" type:"path"`
	Config string `help:"Configuration file." type:"path" env:"ASSENT_CONFIG"`
	tlsFlags
}

// Run runs all roles in this process until it is asked to end.
func (c upCommand) Run(p *program) error {
	began := time.Now()
	cfg, faults, err := load(c.Config, p.env)
	if err != nil {
		return err
	}
	cfg.flag(&cfg.Listen, c.Listen)
	c.set(&cfg)
	if c.Data != "" {
		cfg.setData(c.Data)
	}
	ownSandbox := cfg.Sandbox.URL == "" && !cfg.allProviders()
	if ownSandbox {
		cfg.Sandbox.URL = cfg.upSandbox()
	}
	selected := cfg.upRoles(ownSandbox)
	if faults = append(faults, cfg.check(selected)...); len(faults) > 0 {
		return &faultsError{faults}
	}
	unlock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := cfg.bootstrap(); err != nil {
		return err
	}
	// The port is bound first, so that a busy one is told before anything starts, and a free one
	// that was asked for with port 0 is known to links and callbacks.
	socket, err := bind(p.ctx, cfg.Listen, otherListen)
	if err != nil {
		return err
	}
	cfg.bound(socket, ownSandbox)
	return c.serve(p, cfg, socket, selected, began)
}

func (c upCommand) serve(p *program, cfg config, socket net.Listener, selected []role, began time.Time) error {
	log := newLogger(cfg.Log, p.stderr)
	server, err := embednats.Start(embednats.Config{
		Dir: filepath.Join(cfg.Data, "nats"), SyncInterval: cfg.NATS.SyncInterval, SyncAlways: cfg.NATS.SyncAlways, Log: log,
	})
	if err != nil {
		_ = socket.Close()
		return err
	}
	defer server.Shutdown()
	nc, err := server.Connect(connectionOptions("up", log)...)
	if err != nil {
		_ = socket.Close()
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		_ = socket.Close()
		return fmt.Errorf("open JetStream: %w", err)
	}
	proc := newProcess(cfg, js, log)
	proc.ownsTopology = true
	proc.bindTo(cfg.Listen, socket)
	proc.operations(cfg.Listen)
	if cfg.TLS.on() && slices.ContainsFunc(selected, func(r role) bool { return r.name == sandboxRole }) {
		way, err := bind(p.ctx, loopback, otherListen)
		if err != nil {
			_ = socket.Close()
			return err
		}
		proc.bindBack(way)
	}
	return proc.run(p.ctx, selected, func() { banner(p.stdout, cfg, selected, time.Since(began)) })
}

// flag lets a flag of the command line win over file and environment.
func (*config) flag(key *string, value string) {
	if value != "" {
		*key = value
	}
}

// setData moves the data directory, and the keyring with it where it had its usual place.
func (c *config) setData(dir string) {
	if c.Keyring == c.Data+"/keyring.json" {
		c.Keyring = dir + "/keyring.json"
	}
	c.Data = dir
}

// bound puts the address that was really bound in place of the one that was asked for.
func (c *config) bound(socket net.Listener, ownSandbox bool) {
	_, port, err := net.SplitHostPort(socket.Addr().String())
	host, _, err2 := net.SplitHostPort(c.Listen)
	if err != nil || err2 != nil {
		return
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1" // an address to bind all of is none to go to
	}
	c.Listen = net.JoinHostPort(host, port)
	if ownSandbox {
		c.Sandbox.URL = "http://" + c.Listen
		c.Sandbox.Listen = c.Listen
		// Callbacks of the own sandbox need not leave the machine, whatever the public URL is.
		// With TLS they have a way of their own.
		if c.Sandbox.CallbackDial == "" && c.publicURLSet && !c.TLS.on() {
			c.Sandbox.CallbackDial = c.Listen
		}
	}
}

// upRoles are all roles, without the sandbox where it is not the own one.
func (c config) upRoles(ownSandbox bool) []role {
	if ownSandbox {
		return roles
	}
	var kept []role
	for _, r := range roles {
		if r.name != sandboxRole {
			kept = append(kept, r)
		}
	}
	return kept
}

// allProviders tells that each provider is configured that has an account. Web Push has none: that it is not configured
// brings nobody an inbox who has real carriers.
func (c config) allProviders() bool {
	return c.usesTwilio() && c.usesSendGrid() && c.usesAPNs() && c.usesFCM()
}

// banner tells a newcomer where everything is. It prints the bootstrap secret: to the terminal of
// whoever started this, and nowhere else.
func banner(w io.Writer, c config, selected []role, took time.Duration) {
	base := c.scheme() + "://" + c.Listen
	fmt.Fprintf(w, "Assent is ready (%.1f s).\n", took.Seconds())
	fmt.Fprintf(w, "  API      %s/v1\n", base)
	sandboxed := false
	for _, r := range selected {
		sandboxed = sandboxed || r.name == sandboxRole
	}
	if sandboxed {
		fmt.Fprintf(w, "  Inbox    %s/sandbox\n", base)
	}
	fmt.Fprintf(w, "  Phone    %s/authenticator/\n", base)
	fmt.Fprintf(w, "  Docs     %s/docs\n", base)
	fmt.Fprintf(w, "  Client   %s / %s   (kept in %s)\n", c.BootstrapClientID, c.BootstrapClientSecret, c.Data)
	if !sandboxed {
		fmt.Fprintf(w, "  Carriers: the configured providers. Messages reach real people.   Ctrl-C stops.\n")
		return
	}
	trust := ""
	if c.TLS.on() {
		trust = "--cacert " + c.TLS.Cert + " "
		if c.publicURLSet {
			base = c.PublicURL // the name in the certificate, most likely
		}
	}
	fmt.Fprintf(w, "  Try it   curl %s-u %s:%s -H 'Content-Type: application/json' -d '{\"to\":\"+14155550123\",\"channel\":\"sms\"}' %s/v1/verifications\n\n",
		trust, c.BootstrapClientID, c.BootstrapClientSecret, base)
	carriers := "  Carriers: sandbox. Nothing leaves this machine."
	if live := c.realProviders(); live != "" {
		carriers = "  Carriers: " + live + " for real, the sandbox for the rest."
	}
	fmt.Fprintln(w, carriers+"   Ctrl-C stops.")
}

// realProviders names the configured providers.
func (c config) realProviders() string {
	names := ""
	for _, provider := range []struct {
		name string
		used bool
	}{{"Twilio", c.usesTwilio()}, {"SendGrid", c.usesSendGrid()}, {"APNs", c.usesAPNs()}, {"FCM", c.usesFCM()}, {"Web Push", c.usesWebPush()}} {
		if !provider.used {
			continue
		}
		if names != "" {
			names += ", "
		}
		names += provider.name
	}
	return names
}

// bindTo gives an address its socket before it has routes.
func (p *process) bindTo(address string, socket net.Listener) {
	p.listeners[address] = &listener{mux: http.NewServeMux(), socket: socket}
}
