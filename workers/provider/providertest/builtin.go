package providertest

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
)

// builtin are the cases every adapter has in common.
func (s Suite) builtin() map[string]func(t *testing.T) {
	return map[string]func(t *testing.T){
		HTMLUnavailable: s.answer(HTMLUnavailable, Case{
			Status: http.StatusServiceUnavailable,
			Header: map[string]string{"Content-Type": "text/html"},
			Body:   "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>",
			Class:  delivery.ClassTransient,
		}),
		ThrottledWithDelay: s.answer(ThrottledWithDelay, Case{
			Status: http.StatusTooManyRequests,
			Header: map[string]string{"Retry-After": strconv.Itoa(int(throttleDelay / time.Second))},
			Body:   `{}`,
			Class:  delivery.ClassRetryAfter,
			After:  throttleDelay,
		}),
		ThrottledWithout: s.answer(ThrottledWithout, Case{
			Status: http.StatusTooManyRequests, Body: `{}`, Class: delivery.ClassRetryAfter,
		}),
		HalfBody: s.answer(HalfBody, Case{
			Status: s.OK.Status, Header: s.OK.Header, Body: `{"name": "projects/x`, Class: delivery.ClassUnknown,
		}),
		EndlessBody:          s.endlessBody,
		ConnectionRefused:    s.connectionRefused,
		ResetAfterRequest:    s.resetAfterRequest,
		HangUntilDeadline:    s.hang(HangUntilDeadline, context.DeadlineExceeded),
		CanceledWhileWaiting: s.hang(CanceledWhileWaiting, context.Canceled),
		CanceledBeforeCall:   s.canceledBeforeCall,
		QuotingRefusal:       s.quotingRefusal,
	}
}

// expect is the case as the suite wants it: with the adapter's own class where it has one.
func (s Suite) expect(name string, c Case) Case {
	class, ok := s.Override[name]
	if !ok || class == c.Class {
		return c
	}
	c.Class = class
	if class != delivery.ClassRetryAfter {
		c.After = 0
	}
	return c
}

func (s Suite) answer(name string, c Case) func(t *testing.T) {
	return func(t *testing.T) { s.play(t, s.expect(name, c)) }
}

func (s Suite) endlessBody(t *testing.T) {
	ended := make(chan struct{})
	stub := newStub(t, s.HTTP2, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.WriteHeader(http.StatusInternalServerError)
		line := []byte(strings.Repeat(" ", 32<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	receipt, err := s.send(t.Context(), t, stub.base)
	s.check(t, s.expect(EndlessBody, Case{Class: delivery.ClassTransient}), receipt, err)
	<-ended // the adapter let go of the body
}

func (s Suite) connectionRefused(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	base := "http://" + l.Addr().String() + prefix
	require.NoError(t, l.Close())

	receipt, err := s.send(t.Context(), t, base)
	s.check(t, s.expect(ConnectionRefused, Case{Class: delivery.ClassTransient}), receipt, err)
}

func (s Suite) resetAfterRequest(t *testing.T) {
	stub := newStub(t, s.HTTP2, func(_ http.ResponseWriter, r *http.Request) { reset(r) })
	receipt, err := s.send(t.Context(), t, stub.base)
	s.check(t, s.expect(ResetAfterRequest, Case{Class: delivery.ClassUnknown}), receipt, err)
	require.Equal(t, 1, stub.calls(), "a call of unknown fate is not repeated by the adapter or its SDK")
}

// hang answers nothing until the caller gives up. The caller's context ends once the stub
// holds the whole request: no clock decides whether the request was written.
func (s Suite) hang(name string, cause error) func(t *testing.T) {
	return func(t *testing.T) {
		ctx := newTriggered(t.Context(), cause)
		stub := newStub(t, s.HTTP2, func(_ http.ResponseWriter, r *http.Request) {
			ctx.end()
			<-r.Context().Done()
		})
		receipt, err := s.send(ctx, t, stub.base)
		s.check(t, s.expect(name, Case{Class: delivery.ClassUnknown}), receipt, err)
	}
}

func (s Suite) canceledBeforeCall(t *testing.T) {
	stub := newStub(t, s.HTTP2, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	receipt, err := s.send(ctx, t, stub.base)
	s.check(t, s.expect(CanceledBeforeCall, Case{Class: delivery.ClassTransient}), receipt, err)
	require.Zero(t, stub.calls(), "nothing may be sent")
}

// quotingRefusal answers as some providers do: with the offending address, or the whole
// request, in the message. Only the class is the adapter's own affair.
func (s Suite) quotingRefusal(t *testing.T) {
	stub := newStub(t, s.HTTP2, func(w http.ResponseWriter, r *http.Request) {
		quoted := strings.Join(append(s.Secrets, r.URL.String(), r.Header.Get("Authorization")), " ")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(refusal(quoted))
	})
	_, err := s.send(t.Context(), t, stub.base)
	require.Error(t, err)
	LeaksNothing(t, err, s.Secrets...)
	if class, ok := s.Override[QuotingRefusal]; ok {
		require.Equal(t, class, delivery.ClassOf(err), "class of: %v", err)
	}
}
