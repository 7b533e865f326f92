package scenario_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

func TestAnotherWorkerTakesOverFromAKilledOne(t *testing.T) {
	t.Parallel()
	outside := newCarrier(t)
	outside.hold = make(chan struct{})
	dir := t.TempDir()
	_, broker, err := startBroker(filepath.Join(dir, "broker"))
	require.NoError(t, err)
	listen, err := freeAddress()
	require.NoError(t, err)
	env := append(append(credential(), outside.env()...), "ASSENT_NATS__URL="+broker, "ASSENT_DATA="+dir)
	s := &story{&system{base: "http://" + listen, client: newClient(), id: clientID, secret: clientSecret}, t}
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	s.run(t, env, "--listen", listen, "api", "verifier")
	first := s.run(t, env, "sms")

	ana := somebody()
	v := s.Create(text(ana))
	<-outside.began // the worker is calling
	first.kill()
	s.run(t, env, "sms")
	close(outside.hold)
	eventually(t, "the other worker sends it", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
	texts := outside.got(ana.number)
	require.Len(t, texts, 2, "the fate of the first call is unknown, so the text is sent again")
	require.Equal(t, texts[0].code, texts[1].code)
	require.True(t, s.Check(v, texts[1].code).Valid)
}

func TestABrokerThatDiesComesBackWithEverything(t *testing.T) {
	t.Parallel()
	outside := newCarrier(t)
	dir := t.TempDir()
	broker, address, err := startBroker(filepath.Join(dir, "broker"))
	require.NoError(t, err)
	at, err := url.Parse(address)
	require.NoError(t, err)
	listen, err := freeAddress()
	require.NoError(t, err)
	env := append(append(credential(), outside.env()...), "ASSENT_NATS__URL="+address, "ASSENT_DATA="+dir)
	s := &story{&system{base: "http://" + listen, client: newClient(), id: clientID, secret: clientSecret}, t}
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	s.run(t, env, "--listen", listen, "api", "verifier", "sms")

	ana, ben := somebody(), somebody()
	v := s.Create(text(ana))
	eventually(t, "the text is reported as sent", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
	c, err := client.New(s.base, clientID, clientSecret)
	require.NoError(t, err)
	waited := make(chan *api.Verification, 1)
	failed := make(chan error, 1)
	go func() {
		got, err := c.Wait(t.Context(), v.ID)
		waited <- got
		failed <- err
	}()
	eventually(t, "the client is parked", func() bool { return s.parked() == 1 })

	broker.kill()
	refused := s.Call(http.MethodPost, "/v1/verifications", text(ben))
	s.Refused(refused, http.StatusServiceUnavailable, api.ProblemCodeUnavailable)
	require.NotEmpty(t, refused.header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, s.Call(http.MethodGet, "/readyz", nil).status)
	require.Equal(t, http.StatusOK, s.Call(http.MethodGet, "/healthz", nil).status, "a restart of this process would mend nothing")

	_, _, err = startBrokerAt(filepath.Join(dir, "broker"), at.Port())
	require.NoError(t, err)
	eventually(t, "the process is ready again", func() bool { return s.Call(http.MethodGet, "/readyz", nil).status == http.StatusOK })
	require.True(t, s.Check(v, outside.got(ana.number)[0].code).Valid)
	require.Equal(t, api.StatusApproved, (<-waited).Status)
	require.NoError(t, <-failed)
	after := s.Create(text(ben))
	eventually(t, "texts are sent again", func() bool { return len(s.timelineOf(t, after, "sent")) == 1 })
	require.Len(t, outside.got(ana.number), 1)
	require.Len(t, outside.got(ben.number), 1, "what was refused is not sent later")
}
