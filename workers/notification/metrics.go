package notification

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// Metrics counts what became of the messages of notifications. A nil Metrics counts nothing.
type Metrics struct {
	messages      *prometheus.CounterVec
	timeToCarrier *prometheus.HistogramVec
	entries       *prometheus.CounterVec
	calls         *delivery.Metrics
}

// NewMetrics registers the metrics of notifications. Calls in flight are counted by calls, beside those of
// verifications.
func NewMetrics(r prometheus.Registerer, calls *delivery.Metrics) *Metrics {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_notifications_total",
			Help: "Attempts to deliver a message of a notification, by what they came to: sent, expired, suppressed, or the class of the error.",
		}, []string{"channel", "provider", "result", "lane"}),
		timeToCarrier: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assent_notification_time_to_carrier_seconds",
			Help:    "Time from when a notification may be sent to the call with which a message's provider took it.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}, []string{"channel", "lane"}),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_notification_entries_total", Help: "Entries written to the logs of parts: the durable writes of notifications.",
		}, []string{"channel", "lane"}),
		calls: calls,
	}
	r.MustRegister(m.messages, m.timeToCarrier, m.entries)
	return m
}

func (m *Metrics) flight(q events.NotificationQueued) (landed func()) {
	if m == nil {
		return func() {}
	}
	return m.calls.Flight(q.Channel, q.Lane)
}

func (m *Metrics) count(q events.NotificationQueued, provider, result string) {
	if m != nil {
		m.messages.WithLabelValues(string(q.Channel), provider, result, string(q.Lane)).Inc()
	}
}

func (m *Metrics) took(q events.NotificationQueued, began time.Time) {
	if m != nil {
		m.timeToCarrier.WithLabelValues(string(q.Channel), string(q.Lane)).Observe(max(began.Sub(q.SendAt).Seconds(), 0))
	}
}

func (m *Metrics) wrote(q events.NotificationQueued) {
	if m != nil {
		m.entries.WithLabelValues(string(q.Channel), string(q.Lane)).Inc()
	}
}
