package onelogin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

// style is how a version says what went wrong.
type style int

const (
	styleV1    style = iota // {"status":{…}}: /auth and version 1
	styleMFA                // {"statusCode","name","message"}: MFA of version 2
	styleUsers              // the same, with another body for 422: users of version 2
	styleToken              // version 1 and OAuth's in one
)

// fault is a refusal with everything that any of the styles needs.
type fault struct {
	status  int
	message string
	// parameters are what is wrong with the request, for a 422.
	parameters []parameter
	// oauth is OAuth's word for it (RFC 6749 section 5.2).
	oauth  string
	header http.Header
}

type parameter struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (e *fault) Error() string {
	names := make([]string, 0, len(e.parameters)+1)
	names = append(names, "refused: "+http.StatusText(e.status))
	for _, p := range e.parameters {
		name, _, _ := strings.Cut(p.Name, ".") // a message may quote what the client sent, and what follows a dot is of its making
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

var (
	errForbidden = &fault{status: http.StatusForbidden, message: "You are not authorised to perform this action or access the resource"}
	errNoRoute   = &fault{status: http.StatusNotFound, message: "No Route Exists"}
)

func badRequest(message string) error {
	return &fault{status: http.StatusBadRequest, message: message}
}

func notFound(message string) error {
	return &fault{status: http.StatusNotFound, message: message}
}

// invalid refuses one parameter.
func invalid(name, message string) error {
	return &fault{status: http.StatusUnprocessableEntity, message: name + " " + message, parameters: []parameter{{name, message}}}
}

// faultFor turns every error into a fault. What it does not know is a fault of ours, with a fixed text.
func faultFor(err error) *fault {
	var (
		own   *fault
		wrong *verification.InvalidError
		limit *verification.LimitError
		large *http.MaxBytesError
		taken *device.TakenError
		quiet *suppression.RefusedError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, credential.ErrToken), errors.Is(err, credential.ErrWrong):
		return &fault{
			status: http.StatusUnauthorized, message: "Authentication Failure", oauth: "invalid_client",
			header: http.Header{"Www-Authenticate": {`Bearer realm="assent", error="invalid_token"`}},
		}
	case errors.As(err, &wrong):
		f := &fault{status: http.StatusUnprocessableEntity, message: "Validations failed"}
		for _, x := range wrong.Faults {
			f.parameters = append(f.parameters, parameter{x.Field, x.Detail})
		}
		return f
	case errors.As(err, &taken):
		return &fault{
			status: http.StatusUnprocessableEntity, message: taken.Field + " has already been taken",
			parameters: []parameter{{taken.Field, "has already been taken"}},
		}
	case errors.As(err, &limit):
		return limited(limit)
	case errors.As(err, &quiet):
		// OneLogin has no word for it; its clients show the fields of a 422.
		detail := "gets no messages: " + quiet.Places[0].Entry.Cause.Explain()
		return &fault{
			status: http.StatusUnprocessableEntity, message: "This device " + detail, parameters: []parameter{{"device_id", detail}},
		}
	case errors.As(err, &large):
		return &fault{status: http.StatusRequestEntityTooLarge, message: "The body is over 64 KiB"}
	case errors.Is(err, verification.ErrNotFound):
		return &fault{status: http.StatusNotFound, message: "The resource can't be found or the server has not found anything matching the Request-URI"}
	case errors.Is(err, verification.ErrIdempotencyInProgress), errors.Is(err, device.ErrChanged):
		return &fault{
			status: http.StatusConflict, message: "Another request is changing the same thing; repeat this one",
			header: http.Header{"Retry-After": {"1"}},
		}
	case errors.Is(err, verification.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return &fault{
			status: http.StatusServiceUnavailable, message: "The event broker is out of reach", oauth: "temporarily_unavailable",
			header: http.Header{"Retry-After": {"1"}},
		}
	default:
		return &fault{status: http.StatusInternalServerError, message: "The server has logged what happened", oauth: "server_error"}
	}
}

func limited(e *verification.LimitError) *fault {
	seconds := strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds()))))
	much := "Too many wrong answers"
	switch e.Policy {
	case "destination", "user":
		much = "Too many messages to this " + e.Policy
	case verification.PolicyPrompts:
		much = "Too many push requests that the user did not answer"
	}
	return &fault{
		status: http.StatusTooManyRequests, message: much + "; come back in " + seconds + " seconds",
		header: http.Header{
			"Retry-After": {seconds}, "X-Ratelimit-Limit": {strconv.Itoa(e.Quota)},
			"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {seconds},
		},
	}
}

// names are what MFA of version 2 calls a status.
var names = map[int]string{
	http.StatusBadRequest: "BadRequest", http.StatusUnauthorized: "InvalidCredentials", http.StatusForbidden: "ForbiddenAction",
	http.StatusNotFound: "NotFound", http.StatusMethodNotAllowed: "MethodNotAllowed", http.StatusConflict: "Conflict",
	http.StatusRequestEntityTooLarge: "PayloadTooLarge", http.StatusUnsupportedMediaType: "UnsupportedMediaType",
	http.StatusUnprocessableEntity: "ValidationError", http.StatusTooManyRequests: "TooManyRequests",
	http.StatusInternalServerError: "InternalServerError", http.StatusServiceUnavailable: "ServiceUnavailable",
}

// types are what version 1 calls a status.
var types = map[int]string{
	http.StatusBadRequest: "bad request", http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden",
	http.StatusNotFound: "not found", http.StatusMethodNotAllowed: "method not allowed", http.StatusConflict: "conflict",
	http.StatusRequestEntityTooLarge: "bad request", http.StatusUnsupportedMediaType: "bad request",
	http.StatusUnprocessableEntity: "unprocessable entity", http.StatusTooManyRequests: "too many requests",
	http.StatusInternalServerError: "server error", http.StatusServiceUnavailable: "service unavailable",
}

// status is the head of every body of version 1.
type status struct {
	Error   bool   `json:"error"`
	Code    int    `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

var success = status{Code: http.StatusOK, Type: "success", Message: "Success"}

// body is what a style says about a fault.
func (e *fault) body(st style) any {
	switch st {
	case styleMFA:
		return e.mfaBody()
	case styleUsers:
		return e.usersBody()
	case styleToken:
		return struct {
			Status           status `json:"status"`
			Error            string `json:"error"`
			ErrorDescription string `json:"error_description"`
		}{status{true, e.status, types[e.status], e.message}, cmp.Or(e.oauth, "invalid_request"), e.message}
	default:
		return struct {
			Status status `json:"status"`
		}{status{true, e.status, types[e.status], e.message}}
	}
}

type mfaFault struct {
	StatusCode int         `json:"statusCode"`
	Name       string      `json:"name"`
	Message    string      `json:"message"`
	Details    *mfaDetails `json:"details,omitempty"`
}

type mfaDetails struct {
	Parameters []parameter `json:"parameters"`
}

func (e *fault) mfaBody() mfaFault {
	f := mfaFault{StatusCode: e.status, Name: names[e.status], Message: e.message}
	switch e.status {
	case http.StatusUnauthorized:
		f.Message = "Please provide valid credentials"
	case http.StatusUnprocessableEntity:
		f.Message = "Validations failed"
		f.Details = &mfaDetails{Parameters: append([]parameter{}, e.parameters...)}
	}
	return f
}

// usersBody is that of OneLogin's newer resources.
func (e *fault) usersBody() any {
	if e.status != http.StatusUnprocessableEntity {
		f := e.mfaBody()
		if e.status == http.StatusUnauthorized {
			f.Message, f.Name = "Unauthorized", "UnauthorizedError"
		}
		return f
	}
	type fieldFault struct {
		Field   string   `json:"field"`
		Message []string `json:"message"`
	}
	body := struct {
		Code       int          `json:"code"`
		StatusCode int          `json:"statusCode"`
		Name       string       `json:"name"`
		Message    string       `json:"message"`
		Errors     []fieldFault `json:"errors"`
	}{e.status, e.status, names[e.status], "Validation Failed", []fieldFault{}}
	for _, p := range e.parameters {
		body.Errors = append(body.Errors, fieldFault{p.Name, []string{p.Message}})
	}
	return body
}

// fail answers with the fault that err is, and leaves err for the log.
func (s *Server) fail(c *call, st style, err error) {
	note(c.w, c.client.ClientID, "", err)
	f := faultFor(err)
	h := c.w.Header()
	for name, values := range f.header {
		h[name] = values
	}
	writeJSON(c.w, f.status, f.body(st))
}

// refuseRoute answers for paths and methods that the API does not have.
func (s *Server) refuseRoute(w http.ResponseWriter, r *http.Request, h http.Handler) {
	st := styleV1
	if strings.HasPrefix(r.URL.Path, "/api/2/") {
		st = styleMFA
	}
	f := *errNoRoute
	// The mux's own answer says which methods there are.
	answer := &headerOnly{header: http.Header{}}
	h.ServeHTTP(answer, r)
	if allow := answer.header.Get("Allow"); answer.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		if st == styleMFA { // the pages of /auth and version 1 name 404 for it
			f.status, f.message = http.StatusMethodNotAllowed, "This path has "+allow
		}
	}
	s.fail(&call{w: w, r: r}, st, &f)
}

// headerOnly keeps the head of an answer.
type headerOnly struct {
	header http.Header
	status int
}

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headerOnly) WriteHeader(status int)      { h.status = status }

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // the bodies hold nothing that JSON cannot
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that left is no fault of ours
}
