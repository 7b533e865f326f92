package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

const (
	maxWait  = 60
	waitRule = "must be a whole number of seconds from 0 to 60"
	// slack is how much longer than its wait a parked request may hold its connection.
	slack = 10 * time.Second
)

// GetVerification reads a verification, and waits for it to change where the client asks for that.
func (s *Server) GetVerification(w http.ResponseWriter, r *http.Request, id contract.VerificationID, params contract.GetVerificationParams) {
	v, err := s.owned(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	wait, preferred, err := readWait(r, params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	known := params.IfNoneMatch != "" && matches(params.IfNoneMatch, v)
	// With a tag every visible change counts; it was compared with the state that the client has, so
	// nothing is lost between two polls. Without one only the status counts.
	if wait > 0 && !v.Status.Closed() && (known || params.IfNoneMatch == "") {
		start := v
		v, err = s.await(w, r, v, wait, func(now verification.Verification) bool {
			return now.Status != start.Status || known && revision(now) != revision(start)
		})
		if err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if preferred {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
	}
	if params.IfNoneMatch != "" && matches(params.IfNoneMatch, v) {
		w.Header().Set("ETag", etag(v))
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.writeVerification(w, http.StatusOK, v)
}

// readWait is the wait that the query asks for, or the Prefer header where the query is silent.
func readWait(r *http.Request, params contract.GetVerificationParams) (wait time.Duration, preferred bool, err error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("wait") {
		values := r.URL.Query()["wait"]
		n, err := strconv.Atoi(values[0])
		if err != nil || len(values) > 1 || n < 0 || n > maxWait {
			return 0, false, invalid(faults{{Parameter: "wait", Detail: waitRule}})
		}
		return time.Duration(n) * time.Second, false, nil
	}
	for preference := range strings.SplitSeq(params.Prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		// RFC 7240: a preference that cannot be understood is ignored.
		if n, err := strconv.Atoi(strings.Trim(value, ` "`)); err == nil && n >= 0 {
			return time.Duration(min(n, maxWait)) * time.Second, true, nil
		}
	}
	return 0, false, nil
}

// matches tells whether If-None-Match names the state of v (RFC 9110: weak comparison, any of a list).
func matches(ifNoneMatch string, v verification.Verification) bool {
	tag := etag(v)
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}

// await parks the request until done says so, the verification closes, wait is over, the process
// shuts down or the client leaves. The present state is the answer in every case but the last.
func (s *Server) await(
	w http.ResponseWriter, r *http.Request, v verification.Verification, wait time.Duration, done func(verification.Verification) bool,
) (verification.Verification, error) {
	s.liftDeadlines(w, wait+slack)
	unpark := s.park(w, parkedWait)
	defer unpark()
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()
	return s.next(ctx, v, done)
}

// next returns the verification as soon as done says so or it closes, or ctx ends.
func (s *Server) next(ctx context.Context, v verification.Verification, done func(verification.Verification) bool) (verification.Verification, error) {
	for {
		// Expiry is nobody's event, so it needs a timer of its own.
		round, cancel := context.WithTimeout(ctx, v.ExpiresAt.Sub(s.config.Now()))
		now, err := s.config.Verifications.Await(round, v.ID, v.Revision)
		cancel()
		if err != nil {
			return v, fmt.Errorf("await verification: %w", err)
		}
		v = now.At(s.config.Now())
		if v.Status.Closed() || done(v) || ctx.Err() != nil {
			return v, nil
		}
	}
}

// park counts a request as parked until the returned function is called.
func (s *Server) park(w http.ResponseWriter, kind string) (unpark func()) {
	if rec := observed(w); rec != nil {
		rec.parked = true
	}
	gauge := s.metrics.parked.WithLabelValues(kind)
	gauge.Inc()
	return gauge.Dec
}

// liftDeadlines keeps the listener's timeouts from cutting a request that waits on purpose. Errors
// mean that the writer has no deadlines to lift.
func (s *Server) liftDeadlines(w http.ResponseWriter, longest time.Duration) {
	c := http.NewResponseController(w)
	at := time.Now().Add(longest)
	_ = c.SetReadDeadline(at)
	_ = c.SetWriteDeadline(at)
}

// StreamVerification sends the present state and every change as server-sent events, and ends
// after the closing one. A reader that has seen the closing one gets 204, which ends its reconnects.
func (s *Server) StreamVerification(w http.ResponseWriter, r *http.Request, id contract.VerificationID, params contract.StreamVerificationParams) {
	v, err := s.owned(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if v.Status.Closed() && params.LastEventID == revision(v) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()
	unpark := s.park(w, parkedEvents)
	defer unpark()
	if err := s.stream(ctx, w, v); err != nil {
		if rec := observed(w); rec != nil && ctx.Err() == nil {
			rec.err = err
		}
	}
}

// stream writes events until the closing one, or until ctx ends. A broken store ends the stream;
// the reader reconnects and is told by the status then.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, v verification.Verification) error {
	out := http.NewResponseController(w)
	send := func(text string) error {
		s.liftDeadlines(w, s.config.Heartbeat+slack)
		if _, err := io.WriteString(w, text); err != nil { //nolint:gosec // an event stream of JSON, which no browser renders
			return fmt.Errorf("write event: %w", err)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("flush event: %w", err)
		}
		return nil
	}
	if err := send("retry: 2000\n\n" + event(v)); err != nil {
		return err
	}
	for !v.Status.Closed() {
		beat, cancel := context.WithTimeout(ctx, s.config.Heartbeat)
		seen := revision(v)
		next, err := s.next(beat, v, func(now verification.Verification) bool { return revision(now) != seen })
		cancel()
		if err != nil {
			return err
		}
		if ctx.Err() != nil && revision(next) == seen {
			return nil // the reader left, or the process shuts down
		}
		text := ":\n\n" // a comment keeps proxies from closing a quiet connection
		if revision(next) != seen {
			text = event(next)
		}
		if err := send(text); err != nil {
			return err
		}
		v = next
	}
	return nil
}

func event(v verification.Verification) string {
	data, err := json.Marshal(wire(v))
	if err != nil {
		panic(err) // the wire types hold nothing that JSON cannot
	}
	return "id: " + revision(v) + "\nevent: verification\ndata: " + string(data) + "\n\n"
}
