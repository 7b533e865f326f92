package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// A sender whose every answer quotes the whole message, as a careless one would.
func quoting(mark func(attempt int, id string, err error) error) delivery.SenderFunc {
	return func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		asJSON, _ := json.Marshal(m)
		quoted := fmt.Errorf("carrier said no to %v, %+v, %#v, %s", m, m, m, asJSON)
		return delivery.Receipt{ID: "SM"}, mark(m.Attempt, m.ID, quoted)
	}
}

func TestNothingThatIsLoggedCountedOrStoredTellsASecret(t *testing.T) {
	t.Parallel()
	h := build(t)
	marks := map[string]func(error) error{}
	as := []events.VerificationActivated{}
	for _, mark := range []func(error) error{
		func(err error) error { return err },
		delivery.Unknown,
		delivery.Misconfigured,
		func(err error) error { return delivery.RetryAfter(time.Millisecond, err) },
		func(err error) error { return delivery.Permanent(events.ReasonUndeliverable, err) },
		func(error) error { return nil },
	} {
		a := h.activation()
		marks[a.ID] = mark
		as = append(as, a)
	}
	expired := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now() })
	forged := h.activation(func(a *events.VerificationActivated) { a.Content.Box[20] ^= 1 })
	misshapen := h.activation(func(a *events.VerificationActivated) {
		a.Content = h.seal(a.ID, map[string]any{"to": number, "code": []string{code}, "token": token})
	})
	as = append(as, expired, forged, misshapen)
	h.work(quoting(func(attempt int, id string, err error) error {
		if attempt > 1 {
			return nil
		}
		return marks[id](err)
	}))
	h.publish(as...)
	words := map[string]int{}
	for range len(as) + 4 { // four are tried twice
		words[next(t, h.verdicts).word]++
	}
	require.Equal(t, map[string]int{"+ACK": 7, "-NAK": 4, "+TERM": 2}, words)
	h.settledAll()

	logged := h.journal.String()
	requireNoSecrets(t, logged)
	for _, a := range as[:7] {
		require.Contains(t, logged, a.ID, "what happened is told all the same")
	}
	require.Equal(t, 1, strings.Count(logged, `"level":"ERROR"`), "only what needs the operator is an error")
	requireKeys(t, logged)
	requireNoSecrets(t, exposition(t, h.registry))
	for _, a := range as {
		reports, err := h.reports(t.Context(), a.ID)
		require.NoError(t, err)
		stored, err := json.Marshal(reports)
		require.NoError(t, err)
		requireNoSecrets(t, string(stored))
	}
	for _, letter := range h.buried() {
		requireNoSecrets(t, letter.Reason+string(letter.Data))
	}
}

// requireKeys checks that every line about a delivery names it under the agreed keys.
func requireKeys(t *testing.T, logged string) {
	t.Helper()
	seen := 0
	for line := range strings.Lines(logged) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if msg, _ := fields["msg"].(string); !strings.HasPrefix(msg, "delivery ") {
			continue
		}
		seen++
		require.NotEmpty(t, fields["verification_id"], line)
		require.Equal(t, "sms", fields["channel"], line)
		require.Contains(t, fields, "attempt", line)
	}
	require.NotZero(t, seen)
}

// exposition is all that a scrape would show.
func exposition(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String())
	}
	return b.String()
}

func TestMetricsCountWhatEachAttemptCameTo(t *testing.T) {
	t.Parallel()
	h := build(t)
	fates := map[string]error{}
	as := []events.VerificationActivated{}
	for _, err := range []error{
		nil, nil,
		errors.New("status 503"),
		delivery.Unknown(errors.New("reset")),
		delivery.Misconfigured(errors.New("status 401")),
		delivery.RetryAfter(time.Millisecond, errors.New("status 429")),
		delivery.Permanent(events.ReasonUndeliverable, errors.New("no such number")),
	} {
		a := h.activation(func(a *events.VerificationActivated) { a.RequestedAt = h.clock.now().Add(-2 * time.Second) })
		fates[a.ID] = err
		as = append(as, a)
	}
	as = append(as, h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now() }))
	h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		if m.Attempt > 1 {
			return delivery.Receipt{}, nil
		}
		return delivery.Receipt{}, fates[m.ID]
	})
	h.publish(as...)
	for range len(as) + 4 {
		next(t, h.verdicts)
	}
	require.NoError(t, testutil.GatherAndCompare(h.registry, bytes.NewBufferString(`
# HELP assent_deliveries_total Attempts to deliver a message, by what they came to: sent, expired, or the class of the error.
# TYPE assent_deliveries_total counter
assent_deliveries_total{channel="sms",provider="",result="expired"} 1
assent_deliveries_total{channel="sms",provider="twilio",result="misconfigured"} 1
assent_deliveries_total{channel="sms",provider="twilio",result="permanent"} 1
assent_deliveries_total{channel="sms",provider="twilio",result="retry_after"} 1
assent_deliveries_total{channel="sms",provider="twilio",result="sent"} 6
assent_deliveries_total{channel="sms",provider="twilio",result="transient"} 1
assent_deliveries_total{channel="sms",provider="twilio",result="unknown"} 1
`), "assent_deliveries_total"))

	families, err := h.registry.Gather()
	require.NoError(t, err)
	counts := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if hist := m.GetHistogram(); hist != nil {
				counts[f.GetName()] += hist.GetSampleCount()
				if f.GetName() == "assent_time_to_carrier_seconds" {
					require.InDelta(t, 12, hist.GetSampleSum(), 1e-6, "the six calls that were taken, each two seconds after its request")
				}
			}
		}
	}
	require.Equal(t, map[string]uint64{"assent_delivery_duration_seconds": 11, "assent_time_to_carrier_seconds": 6}, counts)
}

func TestWithoutMetricsTheLoopRunsAllTheSame(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 1)
	h.work(took(sent), func(d *delivery.Handler) { d.Metrics = nil })
	late := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now() })
	h.publish(h.activation(), late)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.DeliveryExpired, h.only(late.ID).Status)
	require.Len(t, sent, 1)
}
