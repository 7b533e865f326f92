package smtp_test

import (
	"context"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/smtp"
)

func TestARefusedConnectionIsTransient(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	require.NoError(t, l.Close())

	_, err = gateway(t, smtp.Config{Host: "127.0.0.1", Port: number}).SendMail(t.Context(), message())
	require.ErrorContains(t, err, "connection refused")
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err))
	providertest.LeaksNothing(t, err, ana, code)
}

// The one step whose loss leaves the fate unknown is the mail's end.
func TestWhatIsLostBeforeTheFinalDotIsTransientAndAfterItUnknown(t *testing.T) {
	t.Parallel()
	for step, class := range map[string]delivery.Class{
		"": delivery.ClassTransient, "EHLO": delivery.ClassTransient, "MAIL": delivery.ClassTransient,
		"RCPT": delivery.ClassTransient, "DATA": delivery.ClassTransient, ".": delivery.ClassUnknown,
	} {
		for _, then := range []string{"close", "reset", "fin", "hang"} {
			t.Run("at "+step+" "+then, func(t *testing.T) {
				t.Parallel()
				srv := start(t, settings{Raw: map[string]answer{step: {Then: then}}})
				g := gateway(t, srv.inClear())
				send := func() (delivery.Receipt, error) { return g.SendMail(t.Context(), message()) }
				if then == "hang" {
					send = func() (delivery.Receipt, error) { return srv.cancelHanging(t, g, message()) }
				}
				receipt, err := send()
				require.Error(t, err)
				require.Equal(t, class, delivery.ClassOf(err), "%v", err)
				require.Equal(t, delivery.Receipt{}, receipt)
				providertest.LeaksNothing(t, err, ana, code)
				if then != "hang" {
					srv.next(t, "closed")
				}
			})
		}
	}
}

func TestACanceledCallEndsInEveryPhaseOfTLSToo(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	hang := func(step string) settings {
		return settings{
			TLS: "starttls", Certificate: cert, Key: key, Username: user, Password: password, Mechanisms: []string{"PLAIN"},
			Script: map[string]map[string]answer{"": {step: {Then: "hang"}}, "no-reply@example.com": {step: {Then: "hang"}}},
		}
	}
	silent := map[string]answer{"": {Then: "hang"}}
	handshake := map[string]answer{"EHLO": {Say: "250-x\r\n250 STARTTLS"}, "STARTTLS": {Say: "220 go", Then: "hang"}}
	for name, c := range map[string]struct {
		server settings
		tls    string
		class  delivery.Class
	}{
		"implicit handshake": {settings{Raw: silent}, "tls", delivery.ClassTransient},
		"STARTTLS handshake": {settings{Raw: handshake}, "starttls", delivery.ClassTransient},
		"AUTH":               {hang("AUTH"), "starttls", delivery.ClassTransient},
		"MAIL":               {hang("MAIL"), "starttls", delivery.ClassTransient},
		"RCPT":               {hang("RCPT"), "starttls", delivery.ClassTransient},
		"the final dot":      {hang("."), "starttls", delivery.ClassUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, c.server)
			g := gateway(t, smtp.Config{Host: srv.host, Port: srv.port, TLS: c.tls, CAFile: ca.file, Username: user, Password: password})
			_, err := srv.cancelHanging(t, g, message())
			require.Error(t, err)
			require.Equal(t, c.class, delivery.ClassOf(err), "%v", err)
			providertest.LeaksNothing(t, err, ana, code, user, password)
		})
	}
}

// What ends a mail is the dot: were it said in taking leave, the server would deliver half a code.
func TestAMailThatIsCutOffIsNotEnded(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{"DATA": {Say: "354 go on", Then: "stall"}}})
	m := message()
	m.HTML = delivery.Code(strings.Repeat("<p>more than the buffers of both ends hold</p>\n", 400_000))
	g := gateway(t, srv.inClear())
	_, err := srv.cancelHanging(t, g, m)
	require.Error(t, err)
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err), "%v", err)
	g.Close()
	srv.readOn(t)
	for e := range srv.events {
		require.NotEqual(t, ".", e.Step, "the server took half a mail for whole")
		if e.Kind == "cut" {
			return
		}
	}
}

func TestACanceledContextSendsNothing(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{TLS: "none"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := gateway(t, srv.inClear()).SendMail(ctx, message())
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err))
	require.Empty(t, srv.end(t))
}

func TestAConnectionThatEndedWhileIdleIsReplacedUnseen(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{
		"after the server's 421":      {TLS: "none", IdleAfter: time.Second},
		"closed after the answer":     {Raw: map[string]answer{".": {Say: "250 fine", Then: "close"}}},
		"reset after the answer":      {Raw: map[string]answer{".": {Say: "250 fine", Then: "reset"}}},
		"half closed after it":        {Raw: map[string]answer{".": {Say: "250 fine", Then: "fin"}}},
		"421 before it is asked":      {Raw: map[string]answer{".": {Say: "250 fine\r\n421 4.4.2 idle", Then: "close"}}},
		"421 to the RSET":             {Raw: map[string]answer{"RSET": {Say: "421 4.4.2 too long", Then: "close"}}},
		"a server that knows no RSET": {Raw: map[string]answer{"RSET": {Say: "502 5.5.1 what?"}}},
		"nonsense to the RSET":        {Raw: map[string]answer{"RSET": {Say: "what?"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, s)
			g := gateway(t, srv.inClear())
			_, err := g.SendMail(t.Context(), message())
			require.NoError(t, err)
			if s.IdleAfter > 0 || s.Raw["."].Then == "close" || s.Raw["."].Then == "reset" {
				srv.next(t, "closed")
			}
			_, err = g.SendMail(t.Context(), message())
			require.NoError(t, err)
		})
	}
}

// dialled ends the server and counts the connections it had.
func (c *child) dialled(t *testing.T) int {
	t.Helper()
	dialled := 0
	for _, e := range c.end(t) {
		if e.Kind == "open" {
			dialled++
		}
	}
	return dialled
}

func TestAConnectionThatHasCarriedEnoughIsReplaced(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]map[string]answer{
		"421 to the second mail": {"MAIL": {Say: "421 4.7.0 enough for one connection", Then: "close", From: 2}},
		"421 to its recipient":   {"RCPT": {Say: "421 4.7.0 enough for one connection", Then: "close", From: 2}},
		"reset at the second":    {"MAIL": {Then: "reset", From: 2}},
		"closed at the data":     {"DATA": {Then: "close", From: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, settings{Raw: raw})
			g := gateway(t, srv.inClear())
			for range 2 {
				_, err := g.SendMail(t.Context(), message())
				require.NoError(t, err)
			}
		})
	}
}

func TestAFreshConnectionIsNotReplaced(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{"MAIL": {Say: "421 4.7.0 not now", Then: "close"}}})
	_, err := gateway(t, srv.inClear()).SendMail(t.Context(), message())
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err))
	require.Equal(t, "4.7.0", detail(err))
	require.Equal(t, 1, srv.dialled(t))
}

func TestAMailOfUnknownFateIsNotSentAgain(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{".": {Then: "close", From: 2}}})
	g := gateway(t, srv.inClear())
	_, err := g.SendMail(t.Context(), message())
	require.NoError(t, err)
	_, err = g.SendMail(t.Context(), message())
	require.Equal(t, delivery.ClassUnknown, delivery.ClassOf(err))
	require.Equal(t, 1, srv.dialled(t))
}

func TestCloseTakesItsLeaveAndEndsEverything(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{}})
	g := gateway(t, srv.inClear())
	_, err := g.SendMail(t.Context(), message())
	require.NoError(t, err)
	g.Close()
	g.Close()
	for e := srv.next(t, "said"); e.Step != "QUIT"; e = srv.next(t, "said") {
		require.NotEqual(t, "RSET", e.Step, "a first mail needs none")
	}
	srv.next(t, "closed")
	_, err = g.SendMail(t.Context(), message())
	require.ErrorContains(t, err, "closed")
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err))
}

func TestCloseWaitsForCallsInFlightAndSendsWaitersAway(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{".": {Then: "hang"}}})
	cfg := srv.inClear()
	cfg.MaxConnections = 1
	g := gateway(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inFlight, waiting, closed := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() {
		_, err := g.SendMail(ctx, message())
		inFlight <- err
	}()
	srv.next(t, "hanging")
	go func() {
		_, err := g.SendMail(t.Context(), message())
		waiting <- err
	}()
	go func() {
		defer close(closed)
		g.Close()
	}()
	assert.ErrorContains(t, <-waiting, "closed")
	select {
	case <-closed:
		assert.Fail(t, "a call is still in flight")
	default:
	}
	cancel()
	assert.Equal(t, delivery.ClassUnknown, delivery.ClassOf(<-inFlight))
	<-closed
}

func TestAnIdleConnectionTakesItsLeaveInTime(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{}})
	g := gateway(t, srv.inClear())
	g.KeepIdleFor(20 * time.Millisecond)
	for range 2 {
		_, err := g.SendMail(t.Context(), message())
		require.NoError(t, err)
		for srv.next(t, "said").Step != "QUIT" { //nolint:revive // the condition waits
		}
		srv.next(t, "closed")
	}
}

// It runs before the parallel tests go on, so that all goroutines of the package are its own.
func TestNothingRunsOnAfterClose(t *testing.T) {
	srv := start(t, settings{TLS: "none"})
	cfg := srv.inClear()
	cfg.MaxConnections = 4
	g := gateway(t, cfg)
	g.KeepIdleFor(time.Millisecond) // connections end by themselves while others are used
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			_, err := g.SendMail(t.Context(), message())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	g.Close()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	require.NotContains(t, string(stacks), "provider/smtp.(*")
}
