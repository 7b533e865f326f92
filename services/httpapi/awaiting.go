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
// What comes before and after the wait is done in functions of its own: the stack of a parked
// request is kept for as long as it is parked, and there are many.
func (s *Server) GetVerification(w http.ResponseWriter, r *http.Request, id contract.VerificationID, params contract.GetVerificationParams) {
	q, err := s.readQuery(w, r, id, params)
	if err == nil && q.parks {
		err = s.await(w, r, q)
	}
	s.answerQuery(w, r, q, err)
}

// query is a read that may wait.
type query struct {
	v         *verification.Verification
	params    contract.GetVerificationParams
	wait      time.Duration
	preferred bool // the wait came by Prefer
	parks     bool
	numbers   bool // the client may see the number to match
	// known is the state that the client has by its tag, empty where it sent none that fits.
	known string
}

func (s *Server) readQuery(w http.ResponseWriter, r *http.Request, id string, params contract.GetVerificationParams) (*query, error) {
	v, numbers, err := s.readable(w, r, id)
	if err != nil {
		return nil, err
	}
	q := &query{v: &v, params: params, numbers: numbers}
	if q.wait, q.preferred, err = readWait(r, params); err != nil {
		return nil, err
	}
	tagged := params.IfNoneMatch != ""
	if tagged && matches(params.IfNoneMatch, v) {
		q.known = revision(v)
	}
	// With a tag every visible change counts; it was compared with the state that the client has, so
	// nothing is lost between two polls. Without one only the status counts.
	q.parks = q.wait > 0 && !v.Status.Closed() && (q.known != "" || !tagged)
	return q, nil
}

// done tells whether what the client waits for has come.
func (q *query) done() bool {
	return q.v.Status.Closed() || q.known != "" && revision(*q.v) != q.known
}

func (s *Server) answerQuery(w http.ResponseWriter, r *http.Request, q *query, err error) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if q.preferred {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(q.wait.Seconds())))
	}
	if q.params.IfNoneMatch != "" && matches(q.params.IfNoneMatch, *q.v) {
		w.Header().Set("ETag", etag(*q.v))
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.writeShown(w, r, http.StatusOK, *q.v, q.numbers)
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

// await parks the request until what the client waits for has come, wait is over, the process shuts
// down or the client leaves. The present state is the answer in every case but the last.
func (s *Server) await(w http.ResponseWriter, r *http.Request, q *query) error {
	s.liftDeadlines(w, q.wait+slack)
	unpark := s.park(w, parkedWait)
	defer unpark()
	ctx, cancel := context.WithTimeout(r.Context(), q.wait)
	defer cancel()
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()
	for !q.done() && ctx.Err() == nil {
		if err := s.next(ctx, &q.v); err != nil {
			return err
		}
	}
	return nil
}

// next brings v up to its next change, or to how it stands when ctx ends.
func (s *Server) next(ctx context.Context, v **verification.Verification) error {
	now, err := s.config.Verifications.Await(ctx, (*v).ID, (*v).Revision)
	if err != nil {
		return fmt.Errorf("await verification: %w", err)
	}
	*v = now
	return nil
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
	v, numbers, err := s.readable(w, r, id)
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
	if err := s.stream(ctx, w, v, numbers); err != nil {
		if rec := observed(w); rec != nil && ctx.Err() == nil {
			rec.err = err
		}
	}
}

// stream writes events until the closing one, or until ctx ends. A broken store ends the stream;
// the reader reconnects and is told by the status then.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, v verification.Verification, numbers bool) error {
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
	present, err := s.event(ctx, v, numbers)
	if err == nil {
		err = send("retry: 2000\n\n" + present)
	}
	if err != nil {
		return err
	}
	at := &v
	for !at.Status.Closed() {
		seen := revision(*at)
		beat, cancel := context.WithTimeout(ctx, s.config.Heartbeat)
		err := s.next(beat, &at)
		cancel()
		if err != nil {
			return err
		}
		if ctx.Err() != nil && revision(*at) == seen {
			return nil // the reader left, or the process shuts down
		}
		text := ":\n\n" // a comment keeps proxies from closing a quiet connection
		if revision(*at) != seen {
			if text, err = s.event(ctx, *at, numbers); err != nil {
				return err
			}
		}
		if err := send(text); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) event(ctx context.Context, v verification.Verification, numbers bool) (string, error) {
	shown, err := s.shown(ctx, v, numbers)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(shown)
	if err != nil {
		panic(err) // the wire types hold nothing that JSON cannot
	}
	return "id: " + revision(v) + "\nevent: verification\ndata: " + string(data) + "\n\n", nil
}
