package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

// metrics of the public listener. Routes are patterns, so their number is that of the operations.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	parked   *prometheus.GaugeVec
	created  *prometheus.CounterVec
	checks   *prometheus.CounterVec
	closed   *prometheus.CounterVec
	limited  *prometheus.CounterVec
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
	// recoveries are counted beside checks: they belong to no verification.
	recoveries *prometheus.CounterVec
	joins      *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_http_requests_total", Help: "Requests answered, by route and class of status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "assent_http_request_duration_seconds", Help: "Time to answer. Parked requests are left out: they take as long as people do.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "status"}),
		parked: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "assent_http_parked_requests", Help: "Requests that wait for a verification to change, by kind: wait or events.",
		}, []string{"kind"}),
		created: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_verifications_created_total", Help: "Verifications created.",
		}, []string{"channel", "challenge"}),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_checks_total", Help: "Codes compared, by result: valid or invalid.",
		}, []string{"result"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_http_verifications_closed_total", Help: "Verifications closed by a request of a client: checks and cancels.",
		}, []string{"status"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_limits_exceeded_total", Help: "Sends refused because a limit was used up.",
		}, []string{"policy"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_notifications_accepted_total", Help: "Messages of notifications that were queued.",
		}, []string{"lane", "channel"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_notifications_refused_total", Help: "Recipients of notifications to whom nothing is sent, by lane and code; of requests that were refused as a whole, too.",
		}, []string{"lane", "code"}),
		recoveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_recoveries_total", Help: "Recovery codes and bypass tokens compared, by result: recovery_code, bypass_token, or invalid.",
		}, []string{"result"}),
		joins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_phone_joins_total",
			Help: "Activation codes that phones brought, by platform and result: joined, used, expired, unknown, or failed. A repeated request counts again.",
		}, []string{"platform", "result"}),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, m.parked, m.created, m.checks, m.closed, m.limited, m.accepted, m.refused, m.recoveries, m.joins,
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the api: %w", err)
		}
	}
	for _, kind := range []string{parkedWait, parkedEvents} {
		m.parked.WithLabelValues(kind)
	}
	for _, result := range []string{"valid", "invalid"} {
		m.checks.WithLabelValues(result)
	}
	for _, result := range []string{string(recovery.Code), string(recovery.Token), wrongRecovery} {
		m.recoveries.WithLabelValues(result)
	}
	return m, nil
}

// The kinds of parked requests.
const (
	parkedWait   = "wait"
	parkedEvents = "events"
)

func (m *metrics) observe(rec *recorder, took time.Duration) {
	route := rec.route
	if route == "" {
		route = "none"
	}
	status := strconv.Itoa(rec.status/100) + "xx"
	m.requests.WithLabelValues(route, status).Inc()
	if !rec.parked {
		m.duration.WithLabelValues(route, status).Observe(took.Seconds())
	}
	var limit *verification.LimitError
	if errors.As(rec.err, &limit) {
		m.limited.WithLabelValues(limit.Policy).Inc()
	}
}

// wrongRecovery is the result of what was neither a recovery code nor a bypass token.
const wrongRecovery = "invalid"

func (m *metrics) countRecovery(r recovery.Recovered) {
	m.recoveries.WithLabelValues(cmp.Or(string(r.Kind), wrongRecovery)).Inc()
}

// countJoin counts an activation code that a phone of a known platform brought.
func (m *metrics) countJoin(platform string, err error) {
	result := "failed"
	var ended *enrolment.EndedError
	switch {
	case err == nil:
		result = "joined"
	case errors.As(err, &ended) && ended.Used:
		result = "used"
	case ended != nil:
		result = "expired"
	case errors.Is(err, verification.ErrNotFound):
		result = "unknown"
	}
	m.joins.WithLabelValues(platform, result).Inc()
}

func (m *metrics) countClosed(v verification.Verification) {
	if v.Status.Closed() {
		m.closed.WithLabelValues(string(v.Status)).Inc()
	}
}
