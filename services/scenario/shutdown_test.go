package scenario_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// The broker is separate here, so that the story can see what is left in it.
func TestAProcessThatIsAskedToEndFinishesWhatItHolds(t *testing.T) {
	t.Parallel()
	outside := newCarrier(t)
	outside.hold = make(chan struct{})
	dir := t.TempDir()
	_, url, err := startBroker(filepath.Join(dir, "broker"))
	require.NoError(t, err)
	listen, err := freeAddress()
	require.NoError(t, err)
	env := append(append(credential(), outside.env()...), "ASSENT_NATS__URL="+url, "ASSENT_DATA="+dir)
	start := func() *story {
		s := &system{base: "http://" + listen, client: newClient(), id: clientID, secret: clientSecret}
		s.run(t, env, "--listen", listen, "api", "verifier", "sms")
		return &story{s, t}
	}
	s, ana := start(), somebody()
	v := s.Create(text(ana))
	<-outside.began // the call is in flight
	parked := make(chan answer, 1)
	failed := make(chan error, 1)
	go func() {
		a, err := s.ask(t.Context(), http.MethodGet, s.base+"/v1/verifications/"+v.ID+"?wait=60", nil)
		failed <- err
		parked <- a
	}()
	eventually(t, "the client is parked", func() bool { return s.parked() == 1 })
	s.processes[0].ask()

	require.NoError(t, <-failed, "the parked client's connection was cut")
	now := read[api.Verification](t, <-parked, http.StatusOK)
	require.Equal(t, api.StatusPending, now.Status, "it is told how things stand")
	select {
	case <-s.processes[0].ended:
		require.Fail(t, "the process ended before the carrier had answered")
	default:
	}
	close(outside.hold)
	require.NoError(t, s.stop())

	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	worker, err := js.Consumer(t.Context(), "ASSENT_ACTIVATIONS", "sms")
	require.NoError(t, err)
	left, err := worker.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, left.NumAckPending, "the message was not settled")
	require.Zero(t, left.NumPending)

	s = start()
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	require.Len(t, s.timelineOf(t, v, "sent"), 1)
	texts := outside.got(ana.number)
	require.Len(t, texts, 1)
	require.True(t, s.Check(v, texts[0].code).Valid)
}

// run starts one process with some roles, and waits until it is ready.
func (s *system) run(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p, err := assent("assent run "+strings.Join(args, " "), append([]string{"run"}, args...), env)
	require.NoError(t, err)
	told, err := p.says(p.log, roleReady)
	require.NoError(t, err)
	s.processes = append(s.processes, p)
	s.metrics = append(s.metrics, "http://"+told[1])
	return p
}

// parked is how many requests wait in the API.
func (s *story) parked() float64 { s.t.Helper(); return s.counted("assent_http_parked_requests") }
