package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/assent-io/assent/api"
)

// statusGone stands in logs and metrics for a client that left before its answer.
const statusGone = 499

// recorder notes what the log line and the metrics of one request need, and replaces the plain
// text that http.ServeMux writes for unknown paths and methods by problem documents.
type recorder struct {
	http.ResponseWriter
	server    *Server
	request   *http.Request
	started   time.Time
	requestID string

	status         int
	dropBody       bool
	mounted        bool
	parked         bool
	route          string
	client         string
	verificationID string
	notificationID string
	err            error
}

// observed is the recorder behind w; nil in a handler that runs without the server.
func observed(w http.ResponseWriter) *recorder {
	rec, _ := w.(*recorder)
	return rec
}

// Note takes down what a mounted handler found out about its request: the client's id, the
// verification's, and what went wrong. Empty values leave what is there.
func (rec *recorder) Note(client, verificationID string, err error) {
	if client != "" {
		rec.client = client
	}
	if verificationID != "" {
		rec.verificationID = verificationID
	}
	if err != nil {
		rec.err = err
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// WriteHeader notes the status. A 404 or 405 for which no pattern matched comes from the mux.
func (rec *recorder) WriteHeader(status int) {
	if rec.status != 0 {
		return
	}
	if !rec.mounted && rec.request.Pattern == "" {
		switch status {
		case http.StatusNotFound:
			rec.dropBody = true
			rec.server.fail(rec, rec.request, &refusal{code: api.ProblemCodeNotFound, detail: "There is nothing at this path."})
			return
		case http.StatusMethodNotAllowed:
			rec.dropBody = true
			rec.server.fail(rec, rec.request, &refusal{
				code: api.ProblemCodeMethodNotAllowed, detail: "This path has " + rec.Header().Get("Allow") + ".",
			})
			return
		}
	}
	if status >= http.StatusOK { // not 103 and the like, which precede the answer
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write passes the body on, but for the text of the mux.
func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	if rec.dropBody {
		return len(b), nil
	}
	n, err := rec.ResponseWriter.Write(b)
	if err != nil {
		return n, fmt.Errorf("write response: %w", err)
	}
	return n, nil
}

// writeProblem writes the replacement body past dropBody.
func (rec *recorder) writeProblem(status int, body []byte) {
	rec.status = status
	rec.ResponseWriter.WriteHeader(status)
	_, _ = rec.ResponseWriter.Write(body) // a client that left is no fault of ours
}

// finish ends every request: a panic becomes a problem, and the one log line is written.
func (rec *recorder) finish() {
	p := recover()
	if p != nil && errors.Is(asError(p), http.ErrAbortHandler) {
		panic(p) // net/http's own way to cut a connection
	}
	if p != nil {
		rec.err = &panicError{about: describePanic(p), stack: string(debug.Stack())}
		if rec.status == 0 {
			rec.server.fail(rec, rec.request, rec.err)
		}
	}
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	if rec.route == "" {
		rec.route = rec.request.Pattern
	}
	took := time.Since(rec.started)
	rec.server.metrics.observe(rec, took)
	rec.log(took)
}

type panicError struct{ about, stack string }

func (e *panicError) Error() string { return "panic: " + e.about }

func asError(p any) error {
	err, _ := p.(error)
	return err
}

// describePanic keeps what the runtime says (nil pointer, index out of range) and only the type of
// anything else, whose text might hold a secret.
func describePanic(p any) string {
	var fault runtime.Error
	if errors.As(asError(p), &fault) {
		return fault.Error()
	}
	return fmt.Sprintf("value of type %T", p)
}

// requestID is the client's own id of the request where it is sane, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 128 && visibleASCII(id) {
		return id
	}
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
