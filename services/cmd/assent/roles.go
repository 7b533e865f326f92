package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verifier"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/routing"
	"github.com/assent-io/assent/workers/sandbox"
)

// role is one part of the system that a process can run.
type role struct {
	name string
	does string
	// check reports what the role's configuration lacks.
	check func(config) []string
	start func(context.Context, *process) error
}

// roles is the whole table. The api comes first: it makes the keyring and the streams that the
// others wait for.
var roles = []role{
	{apiRole, "the HTTP API, the accept pages, the providers' callbacks", checkAPI, startAPI},
	{verifierRole, "turns answers and failed deliveries into outcomes", checkNothing, startVerifier},
	{"sms", "sends text messages", checkSMS, startSMS},
	{"voice", "makes calls", checkVoice, startVoice},
	{"email", "sends mail", checkEmail, startEmail},
	{"push", "asks app installs", checkPush, startPush},
	{sandboxRole, "stands in for the carriers, and shows what they got", checkNothing, startSandbox},
}

// rolesNamed are the roles of these names, in the order of the table.
func rolesNamed(names []string) ([]role, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var found []role
	for _, r := range roles {
		if wanted[r.name] {
			found = append(found, r)
			delete(wanted, r.name)
		}
	}
	for n := range wanted {
		var known []string
		for _, r := range roles {
			known = append(known, r.name)
		}
		return nil, &usageError{fmt.Errorf("no role %q; the roles are %s", n, strings.Join(known, ", "))}
	}
	return found, nil
}

func checkNothing(config) []string { return nil }

// maxAckPending bounds what all workers of a channel hold or have put off at once. What waits for a provider
// that is away must not keep the messages of others back, so it is more than any life of a code brings in;
// what is sent at once is bounded by each process.
const maxAckPending = 1 << 20

// work runs the loops of one channel: that of verifications, and that of notifications in both lanes.
func (p *process) work(ctx context.Context, channel events.Channel, providers []routing.Provider) error {
	keys, err := p.keys()
	if err != nil {
		return err
	}
	journal, err := delivery.NewStreams(ctx, p.js, p.publisher())
	if err != nil {
		return err
	}
	if err := p.governed(ctx, channel, providers); err != nil {
		return err
	}
	routes, err := p.routes(channel, providers)
	if err != nil {
		return err
	}
	h := &delivery.Handler{
		Channel: channel, Routes: routes, Keys: keys, Journal: journal, Policy: p.cfg.Workers.policy(channel),
		Now: p.now, Log: p.log.With("role", string(channel)), Metrics: p.deliveries(),
		Suppressor: p.suppressor(keys, string(channel)),
	}
	notices, err := p.notices(ctx, channel, routes, keys)
	if err != nil {
		return err
	}
	handlers := map[string]handler{string(channel): notices.Watch(h.Handle)}
	consumers := []stream.Consumer{{
		Stream: stream.Activations, Name: string(channel), Filters: []string{events.ActivationsOf(channel)}, MaxAckPending: maxAckPending,
	}}
	for _, c := range notices.Slots.Consumers(channel) {
		handlers[c.Name] = notices.Handle
		consumers = append(consumers, c)
	}
	return p.consume(ctx, string(channel), handlers, consumers...)
}

func startVerifier(ctx context.Context, p *process) error {
	resolver, err := store.NewResolver(ctx, p.js, p.cfg.Limits.store(), p.now)
	if err != nil {
		return err
	}
	list, err := p.suppressions(ctx)
	if err != nil {
		return err
	}
	resolver.Honour(list, p.metrics.suppress)
	resolver.LimitPrompts(p.cfg.Approvals.PromptLimits)
	log, err := store.NewAudit(ctx, p.js)
	if err != nil {
		return err
	}
	v := &verifier.Verifier{
		Verifications: resolver, Guard: resolver, Audit: log, NotMe: p.cfg.Approvals.NotMe,
		Log: p.log.With("role", "verifier"), Resolved: p.metrics.resolve, Warned: p.metrics.warn,
	}
	return p.consume(ctx, "verifier", map[string]handler{
		verifier.ResponsesConsumer: v.HandleResponse, verifier.DeliveriesConsumer: v.HandleDelivery,
		verifier.TimersConsumer: v.HandleTimer,
	}, verifier.Consumers()...)
}

func startSandbox(_ context.Context, p *process) error {
	account, err := p.sandboxAccount()
	if err != nil {
		return err
	}
	s := sandbox.New(sandbox.Config{
		Account: account, PublicURL: p.publicURL, CallbackDial: p.cfg.Sandbox.CallbackDial, APIURL: p.publicURL(),
		ClientID: p.cfg.BootstrapClientID, Log: p.log.With("role", "sandbox"), Now: p.now,
	})
	p.onStop(stopHolding, s.Close)
	h := s.Handler()
	p.serve(p.cfg.Sandbox.Listen, "/sandbox", h)
	p.serve(p.cfg.Sandbox.Listen, "/sandbox/", h)
	return nil
}

// sandboxAccount is what the sandbox carriers know their client by, equal in all processes that
// share the secret or the keyring.
func (p *process) sandboxAccount() (sandbox.Account, error) {
	secret := []byte(p.cfg.Sandbox.Secret)
	if len(secret) == 0 {
		keys, err := p.keys()
		if err != nil {
			return sandbox.Account{}, err
		}
		if secret, err = keys.Secret(keyring.Sandbox); err != nil {
			return sandbox.Account{}, errors.New("sandbox.secret is needed: this process's keyring cannot derive the sandbox's accounts")
		}
	}
	return sandbox.AccountFrom(secret)
}
