package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// metrics are those of the process and its consumers; each room registers its own beside them.
type metrics struct {
	ready       prometheus.Gauge
	deadLetters *prometheus.CounterVec
	resolved    *prometheus.CounterVec
	suppressed  *prometheus.CounterVec
	notMe       *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		ready: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "assent_ready", Help: "1 while the process takes work.",
		}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_deadletters_total", Help: "Messages put aside because they could not be decoded or delivered.",
		}, []string{"consumer", "kind"}),
		resolved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assent_facts_total", Help: "Facts that the verifier applied, by kind and by what they came to.",
		}, []string{"kind", "result"}),
	}
	m.suppressed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "assent_suppressed_total", Help: "Messages that were kept back because their address gets none.",
	}, []string{"channel", "lane"})
	m.notMe = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "assent_not_me_total", Help: "Requests of which the person said that they were not theirs.",
	}, []string{"channel"})
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "assent_build_info", Help: "What this process was built from.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	r.MustRegister(m.ready, m.deadLetters, m.resolved, m.suppressed, m.notMe, info)
	return m
}

func (m *metrics) bury(consumer, kind string) { m.deadLetters.WithLabelValues(consumer, kind).Inc() }

// suppress counts a verification's message that was kept back.
func (m *metrics) suppress(channel string) {
	m.suppressed.WithLabelValues(channel, string(events.LaneVerification)).Inc()
}

// warn counts a request that the person said was not theirs.
func (m *metrics) warn(channel string) { m.notMe.WithLabelValues(channel).Inc() }

func (m *metrics) resolve(kind, result string) { m.resolved.WithLabelValues(kind, result).Inc() }

// operations mounts what operators and their tools ask, on one address.
func (p *process) operations(address string) {
	p.alsoHealth(address)
	p.serve(address, "/metrics", readOnly(promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})))
}

// alsoHealth mounts the health endpoints alone: what load balancers ask on the address that they
// balance. Mounting them twice on one address is the same as once.
func (p *process) alsoHealth(address string) {
	if l := p.listeners[address]; l != nil && l.health {
		return
	}
	p.serve(address, "/healthz", readOnly(http.HandlerFunc(alive)))
	p.serve(address, "/livez", readOnly(http.HandlerFunc(alive)))
	p.serve(address, "/readyz", readOnly(http.HandlerFunc(p.readiness)))
	p.listeners[address].health = true
}

// readOnly refuses what does not read. The mux would hand it to the API, which has no such path.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = io.WriteString(w, `{"title":"Method Not Allowed","status":405,"code":"method_not_allowed","detail":"This path has GET, HEAD."}`+"\n")
	})
}

// alive asks nothing outside the process: a broker that is down must not restart its clients.
func alive(w http.ResponseWriter, _ *http.Request) { writeState(w, http.StatusOK, "ok") }

// readyCheck bounds the question to the broker.
const readyCheck = 2 * time.Second

// readiness is whether the next request would find what it needs. It turns first thing at the end.
func (p *process) readiness(w http.ResponseWriter, r *http.Request) {
	select {
	case <-p.closing:
		writeState(w, http.StatusServiceUnavailable, "the process is ending")
		return
	default:
	}
	if !p.started.Load() {
		writeState(w, http.StatusServiceUnavailable, "the process is starting")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyCheck)
	defer cancel()
	if !p.js.Conn().IsConnected() {
		writeState(w, http.StatusServiceUnavailable, "no connection to the broker")
		return
	}
	if err := stream.Exists(ctx, p.js); err != nil {
		writeState(w, http.StatusServiceUnavailable, "the broker does not have the streams")
		return
	}
	writeState(w, http.StatusOK, "ok")
}

func writeState(w http.ResponseWriter, status int, state string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	b, err := json.Marshal(map[string]string{"status": state})
	if err != nil {
		return
	}
	fmt.Fprintf(w, "%s\n", b)
}
