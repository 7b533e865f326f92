package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/provider"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// refusal is an error that says itself what the client is told. Its detail holds no secret.
type refusal struct {
	code   api.ProblemCode
	detail string
	faults faults
	header http.Header
	// about adds what the problem's code has members of its own for; nil: nothing.
	about func(*api.Problem)
}

func (e *refusal) Error() string {
	parts := make([]string, 0, len(e.faults)+1)
	parts = append(parts, string(e.code))
	for _, f := range e.faults {
		parts = append(parts, f.Place()) // the place only: a detail may quote what the client sent
	}
	return "refused: " + strings.Join(parts, " ")
}

// invalid refuses a request for what is wrong with it; nil where nothing is.
func invalid(f faults) error {
	if len(f) == 0 {
		return nil
	}
	return &refusal{code: api.ProblemCodeInvalidRequest, faults: f}
}

// statusOf is the HTTP status of each problem.
func statusOf(code api.ProblemCode) int {
	switch code {
	case api.ProblemCodeMalformedJSON, api.ProblemCodeInvalidHeader, api.ProblemCodeInvalidCursor:
		return http.StatusBadRequest
	case api.ProblemCodeUnauthorized:
		return http.StatusUnauthorized
	case api.ProblemCodeForbidden, api.ProblemCodeBadSignature:
		return http.StatusForbidden
	case api.ProblemCodeNotFound:
		return http.StatusNotFound
	case api.ProblemCodeJoinCodeUsed, api.ProblemCodeJoinCodeExpired, api.ProblemCodeDeviceRemoved:
		return http.StatusGone
	case api.ProblemCodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case api.ProblemCodeVerificationClosed, api.ProblemCodeWrongChallenge, api.ProblemCodeIdempotencyInProgress,
		api.ProblemCodeUserExists, api.ProblemCodeCredentialExists, api.ProblemCodeLastCredential,
		api.ProblemCodeRealmExists, api.ProblemCodeDeviceCopied, api.ProblemCodeLetterNotReplayable, api.ProblemCodeNotificationClosed:
		return http.StatusConflict
	case api.ProblemCodeTemplateChanged:
		return http.StatusPreconditionFailed
	case api.ProblemCodeBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case api.ProblemCodeUnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case api.ProblemCodeInvalidRequest, api.ProblemCodeIdempotencyMismatch, api.ProblemCodeSuppressed:
		return http.StatusUnprocessableEntity
	case api.ProblemCodeLimitExceeded:
		return http.StatusTooManyRequests
	case api.ProblemCodeUnavailable:
		return http.StatusServiceUnavailable
	case api.ProblemCodeInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// problemFor turns every error into what the client is told. What it does not know is internal,
// with a fixed text: an unknown error may hold anything.
func problemFor(err error) (api.Problem, http.Header) {
	var (
		own   *refusal
		wrong *verification.InvalidError
		limit *verification.LimitError
		large *http.MaxBytesError
		kept  *letter.RefusedError
		other *provider.UnknownError
		quiet *suppression.RefusedError
	)
	switch {
	case errors.As(err, &own):
		p := problem(own.code, own.detail, own.faults)
		if own.about != nil {
			own.about(&p)
		}
		return p, own.header
	case errors.As(err, &wrong):
		var f faults
		f.addAll(wrong.Faults)
		return problem(api.ProblemCodeInvalidRequest, "", f), nil
	case errors.As(err, &limit):
		return limitProblem(limit)
	case errors.As(err, &kept):
		return problem(api.ProblemCodeLetterNotReplayable, kept.Obstacle.Explain(), nil), nil
	case errors.As(err, &other):
		return problem(api.ProblemCodeNotFound, other.Explain(), nil), nil
	case errors.As(err, &quiet):
		return problem(api.ProblemCodeSuppressed, "The address "+suppressedDetail(quiet.Places[0].Entry)+".", nil), nil
	case errors.As(err, &large):
		return problem(api.ProblemCodeBodyTooLarge, "The body is over "+size(large.Limit)+".", nil), nil
	case errors.Is(err, credential.ErrWrong):
		return problem(api.ProblemCodeUnauthorized, "The client id or secret is wrong.", nil), challengeHeader("")
	case errors.Is(err, verification.ErrNotFound):
		return problem(api.ProblemCodeNotFound, "There is nothing with this id.", nil), nil
	case errors.Is(err, notification.ErrClosed):
		return problem(api.ProblemCodeNotificationClosed, "Nothing is left to withdraw.", nil), nil
	case errors.Is(err, verification.ErrClosed):
		return problem(api.ProblemCodeVerificationClosed, "It has ended.", nil), nil
	case errors.Is(err, verification.ErrChallenge):
		return problem(api.ProblemCodeWrongChallenge, "This verification asked for another kind of answer.", nil), nil
	case errors.Is(err, verification.ErrIdempotencyMismatch):
		return problem(api.ProblemCodeIdempotencyMismatch, "This Idempotency-Key came before with another body. Use a new key for a new request.", nil), nil
	case errors.Is(err, verification.ErrIdempotencyInProgress):
		return withRetry(problem(api.ProblemCodeIdempotencyInProgress, "The first request with this key is still running. Repeat this one unchanged.", nil), 1), nil
	case errors.Is(err, device.ErrExists):
		return problem(api.ProblemCodeUserExists, "Another user has this external_id.", nil), nil
	case errors.Is(err, credential.ErrExists):
		return problem(api.ProblemCodeCredentialExists, "Another credential has this client_id.", nil), nil
	case errors.Is(err, credential.ErrLast):
		return problem(api.ProblemCodeLastCredential, "No other credential of the account has the scope manage_all.", nil), nil
	case errors.Is(err, template.ErrVersion):
		return problem(api.ProblemCodeTemplateChanged, "The newest version is not the one that the request names.", nil), nil
	case errors.Is(err, template.ErrFull):
		return problem(api.ProblemCodeInvalidRequest, "The template has 1000 versions, which is the limit. Remove it, or use another name.", nil), nil
	case errors.Is(err, template.ErrLarge):
		return problem(api.ProblemCodeInvalidRequest, "The template is over 900 KiB with the mails that are made of it.", nil), nil
	case errors.Is(err, realm.ErrExists):
		return problem(api.ProblemCodeRealmExists, "Another realm has this name or app_id.", nil), nil
	case errors.Is(err, device.ErrSignature), errors.Is(err, device.ErrKey):
		return problem(api.ProblemCodeBadSignature, "The answer is not signed by the key of the device that was asked.", nil), nil
	case errors.Is(err, verification.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return withRetry(problem(api.ProblemCodeUnavailable, "The event broker is out of reach. Retry with the same Idempotency-Key.", nil), 1), nil
	default:
		return problem(api.ProblemCodeInternal, "The server has logged what happened. Tell its operator the request_id.", nil), nil
	}
}

// size is a limit in the unit that people say it in.
func size(limit int64) string {
	if limit >= 1<<20 {
		return strconv.FormatInt(limit>>20, 10) + " MiB"
	}
	return strconv.FormatInt(limit>>10, 10) + " KiB"
}

func problem(code api.ProblemCode, detail string, f faults) api.Problem {
	if detail == "" {
		switch len(f) {
		case 0:
		case 1:
			detail = f[0].Place() + " " + f[0].Detail + "."
		default:
			detail = strconv.Itoa(len(f)) + " things are wrong with the request; see errors."
		}
	}
	return api.Problem{Type: "/problems/" + string(code), Status: statusOf(code), Code: code, Detail: detail, Errors: f}
}

func withRetry(p api.Problem, seconds int) api.Problem {
	p.RetryAfter = seconds
	return p
}

// limitProblem has the registered type of draft-ietf-httpapi-ratelimit-headers, and its fields.
func limitProblem(e *verification.LimitError) (api.Problem, http.Header) {
	wait := max(1, int(math.Ceil(e.RetryAfter.Seconds())))
	text := "There were %[2]d wrong codes for this %[1]s in %[3]d seconds, which is the limit. Come back in %[4]d seconds."
	switch e.Policy {
	case "destination", "user":
		text = "This %s was sent %d messages in %d seconds, which is the limit. Come back in %d seconds."
	case verification.PolicyPrompts:
		text = "The user left %[2]d push requests unanswered in %[3]d seconds, which is the limit. Ask in another way, or come back in %[4]d seconds."
	}
	p := withRetry(problem(api.ProblemCodeLimitExceeded, fmt.Sprintf(text,
		e.Policy, e.Quota, int(e.Window.Seconds()), wait), nil), wait)
	p.Type = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	p.ViolatedPolicies = []string{e.Policy}
	return p, http.Header{
		"Ratelimit-Policy": {fmt.Sprintf("%q;q=%d;w=%d", e.Policy, e.Quota, int(e.Window.Seconds()))},
		"Ratelimit":        {fmt.Sprintf("%q;r=0;t=%d", e.Policy, wait)},
	}
}

// closed refuses what came too late, and says how the verification ended.
func closed(v verification.Verification) error {
	how := map[verification.Status]string{
		verification.Approved: "It was approved", verification.Denied: "It was denied", verification.Expired: "It expired",
		verification.Canceled: "It was canceled", verification.Failed: "It failed",
	}[v.Status]
	if how == "" {
		return verification.ErrClosed
	}
	if v.Reason != "" {
		how += " (" + string(v.Reason) + ")"
	}
	return &refusal{code: api.ProblemCodeVerificationClosed, detail: how + " at " + v.ClosedAt.UTC().Format(time.RFC3339) + "."}
}

// fail answers with the problem that err is, and leaves err for the log.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	rec := observed(w)
	if rec != nil {
		rec.err = err
		if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			rec.status = statusGone // nobody is there to read an answer
			return
		}
	}
	p, header := problemFor(err)
	p.Title = s.titles[p.Code].title
	h := w.Header()
	if rec != nil {
		p.RequestID = rec.requestID
		if rec.verificationID != "" {
			p.Instance = "/v1/verifications/" + rec.verificationID
		}
		if rec.notificationID != "" {
			p.Instance = "/v1/notifications/" + rec.notificationID
		}
	}
	for name, values := range header {
		h[name] = values
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	h.Del("Etag")
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil {
		body = []byte(`{}`) // a Problem holds nothing that JSON cannot
	}
	if rec != nil {
		rec.writeProblem(p.Status, body)
		return
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// refuseParameter answers for parameters that the generated routes cannot read.
func (s *Server) refuseParameter(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/v1/phones/") {
		s.refusePrompts(w, r)
		return
	}
	if _, authErr := s.authenticate(w, r); authErr != nil {
		s.fail(w, r, authErr)
		return
	}
	var (
		format   *contract.InvalidParamFormatError
		repeated *contract.TooManyValuesForParamError
	)
	fault := api.Fault{Detail: "cannot be read"}
	name := ""
	switch {
	case errors.As(err, &repeated):
		name, fault.Detail = repeated.ParamName, "must be given once"
	case errors.As(err, &format):
		name = format.ParamName
	}
	switch name {
	case "wait":
		fault.Detail = waitRule
	case "limit":
		fault.Detail = limitRule
	case "version":
		fault.Detail = versionRule
	case "Idempotency-Key", "Prefer", "If-Match", "If-None-Match", "Last-Event-ID":
		fault.Header = name
		s.fail(w, r, &refusal{code: api.ProblemCodeInvalidHeader, faults: faults{fault}})
		return
	}
	fault.Parameter = name
	s.fail(w, r, invalid(faults{fault}))
}
