package events

import (
	"fmt"
	"strings"
	"time"
)

// Subjects put the noun first and the id last, and carry the id where a read
// needs a selective prefix. They hold no address: a hash stands in its place.
const namespace = "assent"

// The subject trees of the streams.
const (
	ActivationSubjects = namespace + ".activation.>"
	OutcomeSubjects    = namespace + ".outcome.>"
	ResponseSubjects   = namespace + ".response.>"
	DeliverySubjects   = namespace + ".delivery.>"
	WindowSubjects     = namespace + ".window.>"
	GuessSubjects      = namespace + ".guess.>"
	UsedSubjects       = namespace + ".used.>"
	CountSubjects      = namespace + ".count.>"
	DeadLetterSubjects = namespace + ".deadletter.>"
	// TimerSubjects hold what waits for its time, and DueSubjects what it became then.
	TimerSubjects = namespace + ".timer.>"
	DueSubjects   = namespace + ".due.>"
	// NotificationSubjects hold the parts of notifications, ProgressSubjects what became of them.
	NotificationSubjects = namespace + ".notification.>"
	ProgressSubjects     = namespace + ".progress.>"
	SuppressionSubjects  = namespace + ".suppression.>"
	AuditSubjects        = namespace + ".audit.>"
	// ProofSubjects hold the archived proofs of answers, LastUseSubjects when each device was last used.
	ProofSubjects   = namespace + ".proof.>"
	LastUseSubjects = namespace + ".lastuse.>"
	PromptSubjects  = namespace + ".prompt.>"
	// ChangedSubjects is where stored outcomes are republished for whoever waits; core NATS, at most once.
	ChangedSubjects = namespace + ".changed.>"
	// AskedSubjects is where stored activations of app installs are republished for the phones that wait; core
	// NATS, at most once.
	AskedSubjects = namespace + ".asked.>"
	// NumberSubject is where numbers are drawn: the sequence of what is published there is the number.
	NumberSubject = namespace + ".number"
)

// ValidID tells whether s is an id of ours: a UUID in its usual form. Anything else has no place in a subject,
// where * and > would match other records.
func ValidID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ActivationSubject is where the activation of one verification stands.
func ActivationSubject(channel Channel, id string) string {
	return fmt.Sprintf("%s.activation.%s.%s", namespace, channel, id)
}

// FallbackSubject is where the activation of one step of a verification's fallback stands: work for the
// channel's worker, beside the record.
func FallbackSubject(channel Channel, id string, step int) string {
	return fmt.Sprintf("%s.activation.%s.%s.%d", namespace, channel, id, step)
}

// ActivationByID matches the activation of one verification, its record, on any channel. The steps of its
// fallback are not among them.
func ActivationByID(id string) string { return namespace + ".activation.*." + id }

// ActivationsOf matches all activations of one channel, those of fallbacks too: the filter of its worker.
func ActivationsOf(channel Channel) string {
	return fmt.Sprintf("%s.activation.%s.>", namespace, channel)
}

// OutcomeSubject is where the outcome of one verification stands.
func OutcomeSubject(id string) string { return namespace + ".outcome." + id }

// ChangedSubject is where the outcome of one verification is republished.
func ChangedSubject(id string) string { return namespace + ".changed." + id }

// AskedSubject is where the activation of one push verification is republished.
func AskedSubject(id string) string { return namespace + ".asked." + id }

// ResponseSubject is where an answer to one verification is published.
func ResponseSubject(kind, id string) string {
	return fmt.Sprintf("%s.response.%s.%s", namespace, kind, id)
}

// DeliverySubject is where a step of one verification's delivery is published.
func DeliverySubject(id, status string) string {
	return fmt.Sprintf("%s.delivery.%s.%s", namespace, id, status)
}

// BegunSubject is where the send record of one call to a provider stands. There is at most one: whoever
// stores it makes the call.
func BegunSubject(id string, step, send, attempt int) string {
	return fmt.Sprintf("%s.delivery.%s.%s.%d.%d.%d", namespace, id, DeliveryBegun, step, send, attempt)
}

// DeliveriesOf matches all delivery steps of one verification, send records too.
func DeliveriesOf(id string) string { return namespace + ".delivery." + id + ".>" }

// DeliveriesWith matches the steps of all deliveries that have this status.
func DeliveriesWith(status string) string { return namespace + ".delivery.*." + status }

// WindowSubject is the send window of one destination or user; key is a hash or an id.
func WindowSubject(kind, key string) string {
	return fmt.Sprintf("%s.window.%s.%s", namespace, kind, key)
}

// The kinds of windows: sends by destination and by user, and the replies that were taken.
const (
	WindowDestination = "destination"
	WindowUser        = "user"
	WindowReply       = "reply"
)

// GuessSubject is the window of the wrong answers of one kind; key is a hash of whose they are.
func GuessSubject(kind, key string) string {
	return fmt.Sprintf("%s.guess.%s.%s", namespace, kind, key)
}

// CountSubject is the rolling window of what happened to one user in one way; key is a hash of whose it is.
func CountSubject(kind, key string) string {
	return fmt.Sprintf("%s.count.%s.%s", namespace, kind, key)
}

// UsedSubject is where a device's one-time code of one time step is marked as used.
func UsedSubject(deviceID string, step int64) string {
	return fmt.Sprintf("%s.used.%s.%d", namespace, deviceID, step)
}

// TimerSubject is where a schedule waits; one that is made again takes the place of the one before.
func TimerSubject(kind, id string, step, send int) string {
	return fmt.Sprintf("%s.timer.%s.%s.%d.%d", namespace, kind, id, step, send)
}

// TimersOf matches all schedules of one kind of a verification.
func TimersOf(kind, id string) string { return fmt.Sprintf("%s.timer.%s.%s.>", namespace, kind, id) }

// DueSubject is where a schedule arrives when its time has come.
func DueSubject(kind, id string) string { return fmt.Sprintf("%s.due.%s.%s", namespace, kind, id) }

// AuditSubject is where the audit log of one account stands.
func AuditSubject(account string) string { return namespace + ".audit." + account }

// ProofSubject is where the proof of an answer is archived. An id that comes from an idempotency key returns after
// its verification left, and the proof of the one before stays, so the time of the question is part of it.
func ProofSubject(id string, created time.Time) string {
	return fmt.Sprintf("%s.proof.%s.%d", namespace, id, created.UnixMilli())
}

// ProofsOf matches the archived proofs of one verification id.
func ProofsOf(id string) string { return namespace + ".proof." + id + ".*" }

// LastUseSubject is where the last use of a device stands.
func LastUseSubject(deviceID string) string { return namespace + ".lastuse." + deviceID }

// AuditOnceSubject is where the entry of an event stands that may come twice. There is at most one.
func AuditOnceSubject(account, action, eventID string) string {
	return fmt.Sprintf("%s.audit.%s.%s.%s", namespace, account, action, eventID)
}

// PromptSubject is where the unanswered push prompts of one user of an account stand.
func PromptSubject(account, userID string) string {
	return namespace + ".prompt." + hashed("prompt", account, userID)
}

// DeadLetterSubject is where a consumer puts what it cannot decode or deliver.
func DeadLetterSubject(consumer string) string { return namespace + ".deadletter." + consumer }

// later stands in place of the lane where a part waits for its time.
const later = "later"

// NotificationSubject is where one part of a notification stands: its record, and the work of the channel's worker.
func NotificationSubject(lane Lane, channel Channel, id string, part int) string {
	return fmt.Sprintf("%s.notification.%s.%s.%s.%d", namespace, lane, channel, id, part)
}

// LaterSubject is where a part of a notification waits for its time.
func LaterSubject(channel Channel, id string, part int) string {
	return fmt.Sprintf("%s.notification.%s.%s.%s.%d", namespace, later, channel, id, part)
}

// NotificationByID matches one part of a notification on any lane and channel, also while it waits for its time.
func NotificationByID(id string, part int) string {
	return fmt.Sprintf("%s.notification.*.*.%s.%d", namespace, id, part)
}

// NotificationsOf matches the parts of one lane and channel: the filter of a worker.
func NotificationsOf(lane Lane, channel Channel) string {
	return fmt.Sprintf("%s.notification.%s.%s.>", namespace, lane, channel)
}

// ProgressSubject is the log of one part of a notification.
func ProgressSubject(id string, part int) string {
	return fmt.Sprintf("%s.progress.%s.%d.log", namespace, id, part)
}

// ReceiptSubject is where the providers' reports about the messages of one part stand, one after the other.
func ReceiptSubject(id string, part int) string {
	return fmt.Sprintf("%s.progress.%s.%d.receipt", namespace, id, part)
}

// ProgressOf matches the log and the reports of one part of a notification.
func ProgressOf(id string, part int) string {
	return fmt.Sprintf("%s.progress.%s.%d.*", namespace, id, part)
}

// SuppressionSubject is where the entry of one address in one scope stands.
func SuppressionSubject(destination, scope string) string {
	return fmt.Sprintf("%s.suppression.%s.%s", namespace, destination, scope)
}

// SuppressionScope is the end of an entry's subject: everybody's, an account's, or that of one credential of an
// account. The account stands with the client id, which another account may have once the credential is revoked;
// neither holds the mark between them.
func SuppressionScope(account, credential string) string {
	switch {
	case credential != "":
		return "c-" + account + "~" + credential
	case account != "":
		return "a-" + account
	default:
		return "e"
	}
}

// FreezeScope is the end of the subject of what keeps an account's verifications back for a time.
func FreezeScope(account string) string { return "f-" + account }

// ParseSuppressionSubject takes the subject of an entry apart; ok tells that it is one.
func ParseSuppressionSubject(subject string) (destination, scope string, ok bool) {
	rest, ok := strings.CutPrefix(subject, namespace+".suppression.")
	if !ok {
		return "", "", false
	}
	destination, scope, ok = strings.Cut(rest, ".")
	return destination, scope, ok && destination != "" && scope != ""
}

// SuppressionsOf matches the entries of one address in all scopes.
func SuppressionsOf(destination string) string {
	return fmt.Sprintf("%s.suppression.%s.*", namespace, destination)
}
