// Package routing says who carries a message: the providers of a channel by rules on the country
// prefix, without those that the message's own history, an open circuit or missing receipts speak
// against. It calls nobody; the delivery loop does. The composition root builds one Table for each
// channel.
package routing

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// Provider is one company or server that carries the channel.
type Provider struct {
	Name   string
	Sender delivery.Sender
	// Receipts tells that it reports what becomes of a message.
	Receipts bool
	// Carries refuses messages that are not for it; nil carries all.
	Carries func(delivery.Message) bool
	// Gate is what all processes share; nil: the provider allows everything.
	Gate Gate
	// Units is what the provider counts a message as; nil: one. It is asked while the gate is paced.
	Units func(delivery.Message) int
}

// Config is what a Table is made of.
type Config struct {
	Channel   events.Channel
	Providers []Provider
	// Rules are those of ParseRules for the names of the providers.
	Rules    []Rule
	Patience *Patience
	Now      func() time.Time
	Metrics  *Metrics
}

// Table is the routing of one channel. It is safe for concurrent use.
type Table struct {
	cfg   Config
	gates map[string]*gate
}

// New builds a table. Circuits belong to it: what one process learns, others learn for themselves. What all are to
// know of, the providers' gates tell.
func New(cfg Config) *Table {
	t := &Table{cfg: cfg, gates: map[string]*gate{}}
	for _, p := range cfg.Providers {
		t.gates[p.Name] = newGate(p.Name, p.Gate, cfg.Now, cfg.Metrics.circuit(cfg.Channel, p.Name))
	}
	return t
}

// Candidates lists who may carry a message, the one to try first first; none where no rule matches its
// address. Those in avoid come last, and those whose receipts stopped coming behind those that give some.
func (t *Table) Candidates(m delivery.Message, avoid []string) []delivery.Candidate {
	address := m.To.Reveal()
	country := CallingCode(address)
	i := slices.IndexFunc(t.cfg.Rules, func(r Rule) bool { return r.matches(address) })
	if i < 0 {
		return nil
	}
	var found []delivery.Candidate
	for _, name := range t.cfg.Rules[i].order(m.ID) {
		p := slices.IndexFunc(t.cfg.Providers, func(p Provider) bool { return p.Name == name })
		if p < 0 || t.cfg.Providers[p].Carries != nil && !t.cfg.Providers[p].Carries(m) {
			continue
		}
		found = append(found, t.candidate(&t.cfg.Providers[p], m, country))
	}
	rank := func(c delivery.Candidate) int {
		n := 0
		if slices.Contains(avoid, c.Provider) {
			n += 2
		}
		if t.cfg.Patience.left(c.Provider, country) {
			n++
		}
		return n
	}
	slices.SortStableFunc(found, func(a, b delivery.Candidate) int { return rank(a) - rank(b) })
	return found
}

func (t *Table) candidate(p *Provider, m delivery.Message, country string) delivery.Candidate {
	g := t.gates[p.Name]
	c := delivery.Candidate{Provider: p.Name, Sender: p.Sender, Route: country, Receipts: p.Receipts, Paced: g.paced}
	c.Admit = func(ctx context.Context, patience time.Duration) (func(error), delivery.Refusal) {
		units := 1
		if p.Units != nil && g.paced() { // counting them takes time
			units = p.Units(m)
		}
		return g.admit(ctx, m.Lane, units, patience)
	}
	if p.Receipts {
		c.Patience = t.cfg.Patience.Of(p.Name, country)
	}
	return c
}

// Metrics are those of routing. A nil Metrics counts nothing.
type Metrics struct{ open *prometheus.GaugeVec }

// NewMetrics registers the metrics of routing.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "assent_circuit_open", Help: "1 while this process leaves a provider alone, because its calls failed.",
	}, []string{"channel", "provider"})}
	r.MustRegister(m.open)
	return m
}

// circuit tells of one provider whether its circuit is open.
func (m *Metrics) circuit(c events.Channel, provider string) func(open bool) {
	if m == nil {
		return func(bool) {}
	}
	g := m.open.WithLabelValues(string(c), provider)
	g.Set(0)
	return func(open bool) {
		if open {
			g.Set(1)
			return
		}
		g.Set(0)
	}
}
