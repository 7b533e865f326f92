package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/provider"
	"github.com/assent-io/assent/services/verification"
)

// ProvidersConfig is what knowing the providers takes.
type ProvidersConfig struct {
	// Known are the providers that this process's configuration names; the workers may have more.
	Known map[events.Channel][]string
	// States asks the governor of all workers. It fails where none answers.
	States func(ctx context.Context) (events.GovernorStates, error)
	Now    func() time.Time
}

// Providers keeps which providers are paused, and shows how all stand. It is safe for concurrent use.
type Providers struct {
	cfg   ProvidersConfig
	table *table
}

// NewProviders opens the bucket of pauses.
func NewProviders(ctx context.Context, js jetstream.JetStream, cfg ProvidersConfig) (*Providers, error) {
	t, err := sharedTable(ctx, js, stream.Providers)
	return &Providers{cfg: cfg, table: t}, err
}

// Providers lists how all stand, by channel and name. governed tells whether a governor was there to say so;
// without one it is only known which are paused.
func (p *Providers) Providers(ctx context.Context) (list []provider.Provider, governed bool, err error) {
	pauses := map[events.ProviderKey]events.ProviderPause{}
	err = p.table.pass(ctx, ">", func(key string, value []byte, _ uint64) error {
		pause, err := events.Decode[events.ProviderPause](value)
		if err != nil {
			return fmt.Errorf("read the pause of provider %s: %w", key, err)
		}
		pauses[events.ProviderKey{Provider: pause.Provider, Channel: pause.Channel}] = pause
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	states, err := p.cfg.States(ctx)
	governed = err == nil
	seen := map[events.ProviderKey]bool{}
	add := func(x provider.Provider, channel events.Channel) {
		key := events.ProviderKey{Provider: x.Name, Channel: channel}
		seen[key] = true
		pause, ok := pauses[events.ProviderKey{Provider: x.Name}]
		if !ok {
			pause, ok = pauses[key]
		}
		// The bucket is the truth about pauses: the governor may not have heard yet.
		switch {
		case ok:
			x.State, x.Since, x.Reason, x.Wait = provider.Paused, pause.At, pause.Reason, 0
		case x.State == provider.Paused:
			x.State, x.Since = provider.OK, time.Time{}
		}
		list = append(list, x)
	}
	for _, s := range states.Providers {
		add(providerOf(s), s.Key.Channel)
	}
	for channel, names := range p.cfg.Known {
		for _, name := range names {
			if key := (events.ProviderKey{Provider: name, Channel: channel}); !seen[key] {
				add(provider.Provider{Name: name, Channel: string(channel), State: provider.Unknown}, channel)
			}
		}
	}
	for key := range pauses { // of providers that nobody has any more
		if key.Channel != "" && !seen[key] {
			add(provider.Provider{Name: key.Provider, Channel: string(key.Channel)}, key.Channel)
		}
	}
	slices.SortStableFunc(list, func(a, b provider.Provider) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Name, b.Name))
	})
	return list, governed, nil
}

func providerOf(s events.ProviderState) provider.Provider {
	x := provider.Provider{
		Name: s.Key.Provider, Channel: string(s.Key.Channel), State: provider.State(s.State), Wait: time.Duration(s.Wait) * time.Millisecond,
		Rate: s.Rate, Concurrency: s.Concurrency, InFlight: s.Flying.Sum(),
		Waiting:   provider.Lanes{Verification: s.Waiting.Verification, Transactional: s.Waiting.Transactional, Bulk: s.Waiting.Bulk},
		Processes: s.Processes,
	}
	if s.Since != nil {
		x.Since = *s.Since
	}
	return x
}

// PauseProvider keeps all workers from calling a provider, on one channel or, where that is empty, on all. Pausing a
// paused one again changes the reason. It fails with *provider.UnknownError.
func (p *Providers) PauseProvider(ctx context.Context, name, channel, reason string) error {
	if err := p.known(ctx, name, channel); err != nil {
		return err
	}
	b, err := json.Marshal(events.ProviderPause{
		Version: events.Version, Provider: name, Channel: events.Channel(channel), Reason: reason, At: p.cfg.Now().UTC(),
	})
	if err != nil {
		return fmt.Errorf("pause provider: %w", err)
	}
	return p.table.put(ctx, pauseKey(name, channel), b, 0)
}

// ResumeProvider ends the pause of a provider: that of one channel, or, where that is empty, all. Resuming one that
// is not paused is no error. It fails with *provider.UnknownError.
func (p *Providers) ResumeProvider(ctx context.Context, name, channel string) error {
	if err := p.known(ctx, name, channel); err != nil {
		return err
	}
	if channel != "" {
		return p.table.remove(ctx, pauseKey(name, channel))
	}
	var faults []error
	for _, c := range append([]events.Channel{""}, events.Channels()...) {
		_, _, err := p.table.latest(ctx, pauseKey(name, string(c)))
		if err == nil {
			err = p.table.remove(ctx, pauseKey(name, string(c)))
		}
		if !errors.Is(err, verification.ErrNotFound) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// pauseKey is the provider's name, and the channel behind a dot where it is one only.
func pauseKey(name, channel string) string { return strings.TrimSuffix(name+"."+channel, ".") }

// known refuses a provider that neither the configuration, nor a worker, nor a pause names.
func (p *Providers) known(ctx context.Context, name, channel string) error {
	list, _, err := p.Providers(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, x := range list {
		if channel != "" && x.Channel != channel {
			continue
		}
		if x.Name == name {
			return nil
		}
		names = append(names, x.Name)
	}
	slices.Sort(names)
	return &provider.UnknownError{Name: name, Channel: channel, Known: slices.Compact(names)}
}
