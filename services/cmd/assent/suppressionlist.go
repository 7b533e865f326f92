package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/workers/delivery"
)

// suppressions follows the list of those who get no messages, once for all roles of the process. Roles start
// one after the other.
func (p *process) suppressions(ctx context.Context) (*stream.SuppressionList, error) {
	if p.list != nil {
		return p.list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	list, err := stream.FollowSuppressions(ctx, p.js)
	if err != nil {
		return nil, fmt.Errorf("follow suppressions: %w", err)
	}
	p.list = list
	p.onStop(stopLast, list.Close)
	p.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "assent_suppressions", Help: "Entries in the list of addresses that get no messages. One that ended by itself counts until its address is looked for.",
	}, func() float64 { return float64(list.Len()) }))
	return list, nil
}

// rehash brings the list under the current root key before anything is asked of it: until then nobody is found whose
// entry has another key's hash.
func (p *process) rehash(ctx context.Context, list *store.Suppressions) error {
	moved, sealed, err := list.Rehash(ctx)
	log := p.log.With("role", "api", "moved", moved, "unopened", sealed)
	switch {
	case err != nil:
		return fmt.Errorf("bring suppressions under the current key: %w", err)
	case sealed > 0:
		log.Warn("some suppressions do not open with any key of the keyring")
	case moved > 0:
		log.Info("brought suppressions under the current key")
	}
	return nil
}

// suppressor notes for a worker which addresses get no messages.
func (p *process) suppressor(keys *keyring.Keyring, role string) *delivery.Suppressor {
	return &delivery.Suppressor{Keys: keys, List: p.publisher(), Now: p.now, Log: p.log.With("role", role)}
}
