package governor

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/events"
)

// Metrics are those of the governor and of its clients. A nil Metrics counts nothing.
type Metrics struct {
	leader  prometheus.Gauge
	granted *prometheus.CounterVec
	waiting *prometheus.GaugeVec
	paused  *prometheus.GaugeVec
	away    *prometheus.GaugeVec
	asks    *prometheus.CounterVec
}

// NewMetrics registers the metrics of one process.
func NewMetrics(r prometheus.Registerer, shares Shares) *Metrics {
	of := []string{"channel", "provider", "lane"}
	m := &Metrics{
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "assent_governor_leader", Help: "1 while this process is the governor of all workers.",
		}),
		granted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_governor_granted_total", Help: "Units of a provider's quota that this process granted as the governor.",
		}, of),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "assent_lane_waiting", Help: "Messages of this process that wait for a part of a provider's quota.",
		}, of),
		paused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "assent_provider_paused", Help: "1 while an operator has paused the provider.",
		}, of[:2]),
		away: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "assent_provider_away", Help: "1 while the workers leave the provider alone, as the governor told this one: unavailable, its circuit is open, or throttled.",
		}, append(of[:2:2], "reason")),
		asks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_governor_asks_total", Help: "Round trips to the governor, by what they came to: granted, empty, refused, unanswered.",
		}, []string{"result"}),
	}
	share := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "assent_lane_share", Help: "Part of every quota that a lane has when all want more than there is.",
	}, of[2:])
	for _, l := range events.Lanes() {
		share.WithLabelValues(string(l)).Set(float64(shares.Of(l)) / 100)
	}
	r.MustRegister(m.leader, m.granted, m.waiting, m.paused, m.away, m.asks, share)
	return m
}

func (m *Metrics) lead(held bool) {
	if m == nil {
		return
	}
	m.leader.Set(number(held))
}

func (m *Metrics) grant(key events.ProviderKey, lane events.Lane, a events.GovernorAnswer) {
	if m == nil || a.Units == 0 {
		return
	}
	m.granted.WithLabelValues(string(key.Channel), key.Provider, string(lane)).Add(float64(a.Units))
}

func (m *Metrics) wait(key events.ProviderKey, waiting events.LaneCounts) {
	if m == nil {
		return
	}
	for _, l := range events.Lanes() {
		m.waiting.WithLabelValues(string(key.Channel), key.Provider, string(l)).Set(float64(waiting.Of(l)))
	}
}

func (m *Metrics) pause(key events.ProviderKey, paused bool) {
	if m == nil {
		return
	}
	m.paused.WithLabelValues(string(key.Channel), key.Provider).Set(number(paused))
}

// stand says how a provider stands with the whole fleet.
func (m *Metrics) stand(key events.ProviderKey, state string) {
	if m == nil {
		return
	}
	for reason, is := range map[string]string{events.WaitUnavailable: events.ProviderOpen, events.WaitThrottled: events.ProviderThrottled} {
		m.away.WithLabelValues(string(key.Channel), key.Provider, reason).Set(number(state == is))
	}
}

func (m *Metrics) asked(result string) {
	if m == nil {
		return
	}
	m.asks.WithLabelValues(result).Inc()
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
