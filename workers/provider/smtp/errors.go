package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// step is where in a call something happened.
type step string

const (
	stepConnect  step = "connect"
	stepGreeting step = "greeting"
	stepHello    step = "EHLO"
	stepTLS      step = "TLS"
	stepAuth     step = "AUTH"
	stepReset    step = "RSET"
	stepMail     step = "MAIL FROM"
	stepRcpt     step = "RCPT TO"
	stepData     step = "DATA"
	stepDot      step = "final dot" // written, and the server's to answer
)

// named tells the steps of a mail from those that only make a connection.
func (s step) named() bool {
	return slices.Contains([]step{stepMail, stepRcpt, stepData, stepDot}, s)
}

// failed marks what came of a step: by the server's answer where there was one. What comes out
// of go-mail is never wrapped: it quotes the server, and the server the address.
func failed(at step, err error) error {
	var refusal *textproto.Error
	if errors.As(err, &refusal) {
		return classify(&answerError{at: at, code: refusal.Code, enhanced: enhanced(refusal.Code, refusal.Msg)})
	}
	lost := &lostError{at: at, err: bare(err)}
	switch {
	case errors.As(err, new(*barredError)), !at.named() && !network(err):
		return delivery.Misconfigured(lost) // certificates, and servers of something else
	case at == stepDot:
		return delivery.Unknown(lost)
	default:
		return lost
	}
}

// answerError is a refusal, told by its codes alone.
type answerError struct {
	at       step
	code     int
	enhanced string // X.Y.Z, or empty where the server named none
}

// Error names the step and the codes.
func (e *answerError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("smtp: %s answered %d %s", e.at, e.code, e.enhanced))
}

// Detail is the code that the delivery is reported with: the enhanced one where there is one.
func (e *answerError) Detail() string {
	if e.enhanced == "" {
		return strconv.Itoa(e.code)
	}
	return e.enhanced
}

// lostError is a step that got no answer.
type lostError struct {
	at  step
	err error
}

func (e *lostError) Error() string { return fmt.Sprintf("smtp: %s: %v", e.at, e.err) }
func (e *lostError) Unwrap() error { return e.err }

// barredError is an address that the configuration forbids to dial.
type barredError struct{ err error }

func (e *barredError) Error() string { return e.err.Error() }
func (e *barredError) Unwrap() error { return e.err }

// gone tells that the connection ended before the mail's end was written, by the server's own
// 421 or without a word.
func gone(err error) bool {
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.at == stepReset || answer.code == 421 && answer.at != stepDot
	}
	var lost *lostError
	return errors.As(err, &lost) && lost.at != stepDot
}

// enhancedForm is the enhanced status code at the beginning of a line.
var enhancedForm = regexp.MustCompile(`(?m)^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)`)

// enhanced is X.Y.Z where the answer has one that agrees with its basic code. Servers send it
// unannounced too, so that the announcement is not asked for.
func enhanced(code int, text string) string {
	if found := enhancedForm.FindStringSubmatch(text); found != nil && found[1][:1] == strconv.Itoa(code/100) {
		return found[1]
	}
	return ""
}

// classify marks a refusal. 4xx is for another try, greylisting (4.7.x) and a full server too.
func classify(a *answerError) error {
	switch {
	case a.code/100 == 5:
		return refused(a)
	case a.code/100 != 4 && a.at == stepDot:
		return delivery.Unknown(a) // no answer to a mail
	default:
		return a
	}
}

// refused tells whose fault a 5xx is: by the enhanced code, and by the step and the basic code
// where that says too little.
func refused(a *answerError) error {
	tooLarge := a.enhanced == "5.3.4" || a.enhanced == "5.2.3" || a.enhanced == "" && a.code == 552 && a.at != stepRcpt
	switch {
	case !a.at.named():
		return delivery.Misconfigured(a) // nobody was named yet: it is us the server does not want
	case tooLarge:
		return delivery.Permanent(events.ReasonMessageRefused, a)
	case a.at == stepMail:
		return delivery.Misconfigured(a) // nobody but the sender was named yet
	}
	subject, _ := strings.CutPrefix(a.enhanced, "5.")
	switch {
	case subject == "1.7", subject == "1.8": // the sender's mailbox, the sender's domain
		return delivery.Misconfigured(a)
	case subject == "7.17", subject == "7.18": // another owner since (RFC 7293)
		return delivery.Permanent(events.ReasonUndeliverable, a)
	case strings.HasPrefix(subject, "7."): // policy and authentication: blocklists, relaying, SPF, DKIM
		return delivery.Misconfigured(a)
	case strings.HasPrefix(subject, "6.") && a.at == stepDot:
		return delivery.Permanent(events.ReasonMessageRefused, a)
	case strings.HasPrefix(subject, "1."), strings.HasPrefix(subject, "2."), strings.HasPrefix(subject, "4."), strings.HasPrefix(subject, "6."):
		// A full mailbox (5.2.2) too: its owner will not empty it while a code lives, and the
		// person is better served by the next road at once. A server that expects room soon says 4.2.2.
		return delivery.Permanent(events.ReasonUndeliverable, a)
	default:
		return byBasicCode(a)
	}
}

// byBasicCode is for answers without an enhanced code, or with one that says no more than
// "5.0.0", "5.3.0" or "5.5.2".
func byBasicCode(a *answerError) error {
	switch {
	case a.code >= 500 && a.code <= 504 && (a.at != stepRcpt || a.code != 501), a.code >= 530 && a.code <= 538:
		return delivery.Misconfigured(a) // the protocol is not spoken as the server wants it, or without signing in
	case a.at != stepRcpt:
		return delivery.Permanent(events.ReasonMessageRefused, a)
	case slices.Contains([]int{501, 550, 551, 552, 553, 555, 556}, a.code):
		return delivery.Permanent(events.ReasonUndeliverable, a)
	default:
		return delivery.Misconfigured(a) // 554 for one: relaying denied, listed as a source of spam
	}
}

// ends are how a line fails beneath the operating system's own errors.
func ends() []error {
	return []error{io.EOF, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled, net.ErrClosed}
}

// network tells the failures of the line from those of what was said over it.
func network(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op != "remote error" && op.Op != "local error" // alerts of TLS
	}
	return slices.ContainsFunc(ends(), func(end error) bool { return errors.Is(err, end) })
}

// bare is the part of an error that quotes nobody.
func bare(err error) error {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &op):
		return op
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &record):
		return errors.New(record.Msg)
	case strings.HasPrefix(err.Error(), "tls: "):
		return err
	}
	if at := slices.IndexFunc(ends(), func(end error) bool { return errors.Is(err, end) }); at >= 0 {
		return ends()[at]
	}
	return errors.New("the answer makes no sense")
}
