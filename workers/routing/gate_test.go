package routing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/routing"
)

// shared is a gate of all processes that says yes or no, and notes what it was asked and told.
type shared struct {
	no    delivery.Refusal
	lane  events.Lane
	units int
	told  []error
}

func (s *shared) Admit(_ context.Context, lane events.Lane, units int, _ time.Duration) (func(error), delivery.Refusal) {
	s.lane, s.units = lane, units
	if s.no.Reason != "" {
		return nil, s.no
	}
	return func(err error) { s.told = append(s.told, err) }, delivery.Refusal{}
}

func (s *shared) Paced() bool { return true }

func behind(t *testing.T, s *shared) func() delivery.Candidate {
	t.Helper()
	rules, faults := routing.ParseRules(nil, []string{"twilio"}, true)
	require.Empty(t, faults)
	r := routing.New(routing.Config{
		Channel: events.SMS, Rules: rules, Now: time.Now, Patience: routing.NewPatience(events.SMS, time.Now),
		Providers: []routing.Provider{{Name: "twilio", Gate: s, Units: func(m delivery.Message) int { return len(m.Text) }}},
	})
	return func() delivery.Candidate {
		return r.Candidates(delivery.Message{Lane: events.LaneBulk, Text: "xyz", To: "+33612345678"}, nil)[0]
	}
}

func TestTheGateOfAllProcessesIsAskedAndTold(t *testing.T) {
	t.Parallel()
	s := &shared{}
	one := behind(t, s)
	done, _ := one().Admit(t.Context(), time.Second)
	require.NotNil(t, done)
	require.Equal(t, events.LaneBulk, s.lane)
	require.Equal(t, 3, s.units)
	failed := errors.New("status 503")
	done(failed)
	require.Equal(t, []error{failed}, s.told)
	s.no = delivery.Refusal{Wait: 3 * time.Second, Reason: events.WaitPaused}
	done, no := one().Admit(t.Context(), time.Second)
	require.Nil(t, done)
	require.Equal(t, s.no, no)
}

func TestAProcessWhoseOwnCallsFailAsksNobodyForMore(t *testing.T) {
	t.Parallel()
	s := &shared{}
	one := behind(t, s)
	for range 5 {
		done, _ := one().Admit(t.Context(), 0)
		done(errors.New("connection refused"))
	}
	s.units = 0
	done, no := one().Admit(t.Context(), 0)
	require.Nil(t, done)
	require.Equal(t, events.WaitUnavailable, no.Reason)
	require.Zero(t, s.units, "the others were not bothered")
}

func TestARefusalOfAllSaysNothingAboutThisProcess(t *testing.T) {
	t.Parallel()
	s := &shared{no: delivery.Refusal{Wait: time.Second, Reason: events.WaitThrottled}}
	one := behind(t, s)
	for range 30 {
		done, no := one().Admit(t.Context(), 0)
		require.Nil(t, done)
		require.Equal(t, events.WaitThrottled, no.Reason)
	}
}
