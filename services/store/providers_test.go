package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/provider"
	"github.com/assent-io/assent/services/store"
)

func TestProvidersArePausedResumedAndShownWithWhatTheGovernorSays(t *testing.T) {
	t.Parallel()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var governor *events.GovernorStates
	p, err := store.NewProviders(t.Context(), js, store.ProvidersConfig{
		Known: map[events.Channel][]string{events.SMS: {"twilio"}, events.Voice: {"twilio"}},
		Now:   func() time.Time { return at }, States: func(context.Context) (events.GovernorStates, error) {
			if governor == nil {
				return events.GovernorStates{}, errors.New("no governor")
			}
			return *governor, nil
		},
	})
	require.NoError(t, err)
	states := func() map[string]provider.State {
		list, _, err := p.Providers(t.Context())
		require.NoError(t, err)
		all := map[string]provider.State{}
		for _, x := range list {
			all[x.Name+"."+x.Channel] = x.State
		}
		return all
	}
	list, governed, err := p.Providers(t.Context())
	require.NoError(t, err)
	require.False(t, governed)
	require.Equal(t, []provider.Provider{
		{Name: "twilio", Channel: "sms", State: provider.Unknown}, {Name: "twilio", Channel: "voice", State: provider.Unknown},
	}, list)

	var unknown *provider.UnknownError
	require.ErrorAs(t, p.PauseProvider(t.Context(), "acme", "", ""), &unknown)
	require.Equal(t, []string{"twilio"}, unknown.Known)
	require.ErrorAs(t, p.ResumeProvider(t.Context(), "twilio", "email"), &unknown)

	// A worker has one that the configuration of the API does not name.
	governor = &events.GovernorStates{Version: 1, Term: 1, Providers: []events.ProviderState{
		{Key: events.ProviderKey{Channel: events.SMS, Provider: "acme"}, State: events.ProviderOpen, Since: &at, Wait: 3000, Processes: 2, Flying: events.LaneCounts{Bulk: 2}},
	}}
	list, governed, err = p.Providers(t.Context())
	require.NoError(t, err)
	require.True(t, governed)
	require.Equal(t, provider.Provider{Name: "acme", Channel: "sms", State: provider.Open, Since: at, Wait: 3 * time.Second, InFlight: 2, Processes: 2}, list[0])

	require.NoError(t, p.PauseProvider(t.Context(), "twilio", "voice", "maintenance"))
	require.NoError(t, p.PauseProvider(t.Context(), "acme", "", ""))
	require.Equal(t, map[string]provider.State{"acme.sms": provider.Paused, "twilio.sms": provider.Unknown, "twilio.voice": provider.Paused}, states())
	list, _, err = p.Providers(t.Context())
	require.NoError(t, err)
	require.Equal(t, provider.Provider{Name: "twilio", Channel: "voice", State: provider.Paused, Since: at, Reason: "maintenance"}, list[2])

	require.NoError(t, p.PauseProvider(t.Context(), "twilio", "", ""))
	require.NoError(t, p.ResumeProvider(t.Context(), "twilio", "voice"))
	require.Equal(t, provider.Paused, states()["twilio.voice"], "all its channels are")
	require.NoError(t, p.ResumeProvider(t.Context(), "twilio", ""))
	require.NoError(t, p.ResumeProvider(t.Context(), "twilio", ""), "it is not paused")
	require.NoError(t, p.ResumeProvider(t.Context(), "acme", "sms"))
	require.Equal(t, provider.Paused, states()["acme.sms"])
	require.NoError(t, p.ResumeProvider(t.Context(), "acme", ""))
	require.Equal(t, map[string]provider.State{"acme.sms": provider.Open, "twilio.sms": provider.Unknown, "twilio.voice": provider.Unknown}, states())
}

func TestAResumeThatCannotLookIsNoSuccess(t *testing.T) {
	t.Parallel()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	ctx, lose := context.WithCancel(t.Context())
	between := func() {}
	p, err := store.NewProviders(ctx, js, store.ProvidersConfig{
		Known: map[events.Channel][]string{events.SMS: {"twilio"}}, Now: time.Now,
		States: func(context.Context) (events.GovernorStates, error) {
			between()
			return events.GovernorStates{}, errors.New("no governor")
		},
	})
	require.NoError(t, err)
	require.NoError(t, p.PauseProvider(ctx, "twilio", "", ""))
	between = lose
	require.Error(t, p.ResumeProvider(ctx, "twilio", ""))
	between = func() {}
	list, _, err := p.Providers(t.Context())
	require.NoError(t, err)
	require.Equal(t, provider.Paused, list[0].State)
}
