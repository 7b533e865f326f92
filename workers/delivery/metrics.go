package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/events"
)

// Metrics counts what deliveries come to. A nil Metrics counts nothing.
type Metrics struct {
	deliveries    *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	timeToCarrier *prometheus.HistogramVec
	flight        *prometheus.GaugeVec
}

// NewMetrics registers the metrics of deliveries.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_deliveries_total",
			Help: "Attempts to deliver a message, by what they came to: sent, expired, or the class of the error.",
		}, []string{"channel", "provider", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "assent_delivery_duration_seconds", Help: "Time of one call to a provider.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"channel", "provider"}),
		timeToCarrier: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "assent_time_to_carrier_seconds", Help: "Time from the request for a message to the call with which its provider took it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"channel"}),
		flight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "assent_lane_in_flight", Help: "Calls to providers that this process is making.",
		}, []string{"channel", "lane"}),
	}
	r.MustRegister(m.deliveries, m.duration, m.timeToCarrier, m.flight)
	return m
}

func (m *Metrics) sent(c events.Channel, provider string, requested, began, ended time.Time, err error) {
	if m == nil {
		return
	}
	result := events.DeliverySent
	if err != nil {
		result = string(ClassOf(err))
	}
	m.deliveries.WithLabelValues(string(c), provider, result).Inc()
	m.duration.WithLabelValues(string(c), provider).Observe(ended.Sub(began).Seconds())
	if err == nil { // of an attempt that failed, the carrier has nothing
		m.timeToCarrier.WithLabelValues(string(c)).Observe(began.Sub(requested).Seconds())
	}
}

// Flight counts a call of a lane until landed is called.
func (m *Metrics) Flight(c events.Channel, lane events.Lane) (landed func()) {
	if m == nil {
		return func() {}
	}
	g := m.flight.WithLabelValues(string(c), string(lane))
	g.Inc()
	return g.Dec
}

func (m *Metrics) expired(c events.Channel) {
	if m == nil {
		return
	}
	m.deliveries.WithLabelValues(string(c), "", events.DeliveryExpired).Inc()
}
