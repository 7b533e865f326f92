package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
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
		Name: "assent_suppressions", Help: "Entries in the list of addresses that get no messages.",
	}, func() float64 { return float64(list.Len()) }))
	return list, nil
}

// suppressor notes for a worker which addresses get no messages.
func (p *process) suppressor(keys *keyring.Keyring, role string) *delivery.Suppressor {
	return &delivery.Suppressor{Keys: keys, List: p.publisher(), Now: p.now, Log: p.log.With("role", role)}
}
