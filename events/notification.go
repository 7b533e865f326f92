package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Lane is the kind of traffic a message belongs to. Each has a share of every worker and provider.
type Lane string

// The lanes, the most urgent first.
const (
	LaneVerification  Lane = "verification"
	LaneTransactional Lane = "transactional"
	LaneBulk          Lane = "bulk"
)

// Lanes lists all lanes, the most urgent first.
func Lanes() []Lane { return []Lane{LaneVerification, LaneTransactional, LaneBulk} }

// MaxPart is how many recipients one part of a notification has at most.
const MaxPart = 100

// NotificationQueued is one part of a notification: up to MaxPart recipients on one channel, their record
// and their work in one. A part is kept whole, so what a million recipients cost the broker is some ten
// thousand messages. It holds no address, text or variable in clear.
type NotificationQueued struct {
	Version int    `json:"version"`
	ID      string `json:"id"` // of the notification
	// Part counts the parts of a notification from 0. Part 0 tells of all.
	Part       int     `json:"part"`
	Credential string  `json:"credential"`       // the account that asked, as that of a verification
	Client     string  `json:"client,omitempty"` // of that account
	Lane       Lane    `json:"lane"`
	Channel    Channel `json:"channel"`
	// Parts and Refused are those of the whole notification; in part 0 only.
	Parts   []NotificationPart `json:"parts,omitempty"`
	Refused []RefusedRecipient `json:"refused,omitempty"`
	// Batch tells that the request was a list, so that it is shown as one.
	Batch      bool                    `json:"batch,omitempty"`
	Recipients []NotificationRecipient `json:"recipients"`
	// Template and TemplateVersion name what the text was made from; empty for a text of the request's own.
	Template        string            `json:"template,omitempty"`
	TemplateVersion int               `json:"template_version,omitempty"`
	Brand           string            `json:"brand,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
	// Content is the NotificationContent, sealed for the channel's worker under PartID.
	Content Sealed `json:"content"`
	// Fingerprint is a keyed hash of the request body under an idempotency key.
	Fingerprint []byte    `json:"fingerprint,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	// SendAt is when the first may be sent; the time of making, or later.
	SendAt    time.Time `json:"send_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NotificationPart says what one part of a notification holds.
type NotificationPart struct {
	Channel Channel `json:"channel"`
	Count   int     `json:"count"`
}

// RefusedRecipient is a recipient of a batch to whom nothing is sent, and why.
type RefusedRecipient struct {
	Index   int    `json:"index"` // in the request
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// NotificationRecipient is what may be known of one recipient by whoever may read the stream.
type NotificationRecipient struct {
	Index    int         `json:"index"` // in the request
	ToMasked string      `json:"to_masked"`
	UserID   string      `json:"user_id,omitempty"`
	DeviceID string      `json:"device_id,omitempty"`
	Device   *PushDevice `json:"device,omitempty"`
	Locale   string      `json:"locale,omitempty"`
	// Destination is the keyed hash of the address, as that of a verification.
	Destination string `json:"destination"`
}

// NotificationContent is what a worker needs of a part and nobody else may read: the texts that its
// recipients share, and for each recipient, in the order of the part, what is filled in.
type NotificationContent struct {
	Bodies     []NotificationBody    `json:"bodies"`
	Recipients []NotificationFilling `json:"recipients"`
}

// NotificationBody is one text with placeholders, in the form of package template.
type NotificationBody struct {
	Subject string `json:"subject,omitempty"` // of a mail; the title of a push
	Text    string `json:"text"`
	HTML    string `json:"html,omitempty"`
}

// NotificationFilling is what makes a body one person's message.
type NotificationFilling struct {
	To string `json:"to"`
	// Body is the place of its body in Bodies.
	Body      int               `json:"body"`
	Variables map[string]string `json:"variables,omitempty"`
}

// PartID is what a part's content is sealed under.
func PartID(id string, part int) string { return id + "." + strconv.Itoa(part) }

// MessageID is the id of one recipient's message: that of its notification, the part, and the place in it.
func MessageID(id string, part, place int) string { return fmt.Sprintf("%s-%d-%d", id, part, place) }

// uuidLength is that of a UUID in its usual form, as all ids of notifications are.
const uuidLength = 36

// ParseMessageID takes the id of a message apart; ok tells that it has the form of one.
func ParseMessageID(s string) (id string, part, place int, ok bool) {
	if len(s) < uuidLength+len("-0-0") || s[uuidLength] != '-' {
		return "", 0, 0, false
	}
	first, second, found := strings.Cut(s[uuidLength+1:], "-")
	part, err1 := strconv.Atoi(first)
	place, err2 := strconv.Atoi(second)
	if !found || err1 != nil || err2 != nil || part < 0 || place < 0 ||
		!ValidID(s[:uuidLength]) || MessageID(s[:uuidLength], part, place) != s {
		return "", 0, 0, false
	}
	return s[:uuidLength], part, place, true
}

// NotificationProgressed is one entry in the log of a part. Entries are written by compare-and-set only, so
// that of two workers one goes on, and what was withdrawn before a send record is not sent after it.
type NotificationProgressed struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Part    int    `json:"part"`
	// By tells the entries of one worker's turn from all others; empty where the API wrote it.
	By string `json:"by,omitempty"`
	// Begun are the calls that are about to be made: their send records. Until is when they have ended at the latest.
	Begun []MessageBegun `json:"begun,omitempty"`
	Until *time.Time     `json:"until,omitempty"`
	// Ended is what calls begun before came to, and what needed no call.
	Ended []MessageEnded `json:"ended,omitempty"`
	// Canceled are the places that were withdrawn; All withdraws all that were not begun.
	Canceled []int `json:"canceled,omitempty"`
	All      bool  `json:"all,omitempty"`
	// Waiting says why nothing goes on for now, as one of the reasons of a wait, and Provider for whom.
	Waiting  string    `json:"waiting,omitempty"`
	Provider string    `json:"provider,omitempty"`
	At       time.Time `json:"at"`
}

// MessageBegun is the send record of one message.
type MessageBegun struct {
	Place    int    `json:"n"`
	Attempt  int    `json:"attempt"`
	Provider string `json:"provider"`
	Route    string `json:"route,omitempty"`
	// Receipts tells that the provider reports what becomes of the message.
	Receipts bool `json:"receipts,omitempty"`
}

// MessageEnded is what one call for a message came to.
type MessageEnded struct {
	Place int `json:"n"`
	// Status is sent, failed, retrying, unknown, or expired, as that of a delivery.
	Status     string     `json:"status"`
	Attempt    int        `json:"attempt,omitempty"`
	Provider   string     `json:"provider,omitempty"`
	ProviderID string     `json:"provider_id,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Detail     string     `json:"detail,omitempty"`
	Class      string     `json:"class,omitempty"`
	Until      *time.Time `json:"until,omitempty"` // of a call that came to nothing: when the next follows at the earliest
	At         time.Time  `json:"at"`
}

// MessageReceipt is what a provider says became of one message of a notification.
type MessageReceipt struct {
	Version int `json:"version"`
	// EventID drops repetitions, which callbacks have.
	EventID    string    `json:"event_id,omitempty"`
	ID         string    `json:"id"` // of the notification
	Part       int       `json:"part"`
	Place      int       `json:"n"`
	Attempt    int       `json:"attempt"`
	Status     string    `json:"status"` // delivered, failed, unanswered
	Provider   string    `json:"provider"`
	ProviderID string    `json:"provider_id,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	At         time.Time `json:"at"`
}

// The reasons of a wait.
const (
	// WaitPaused: an operator paused the provider.
	WaitPaused = "provider_paused"
	// WaitUnavailable: the provider's circuit is open, or its calls came to nothing.
	WaitUnavailable = "provider_unavailable"
	// WaitThrottled: the provider asked us to wait, or its quota is used up.
	WaitThrottled = "provider_throttled"
)

// ReasonSuppressed says that the address is on the list of those that get no messages.
const ReasonSuppressed = "suppressed"

// Suppression is one address that gets no messages: an entry of the list. It holds no address in clear.
type Suppression struct {
	Version int `json:"version"`
	// Destination is the keyed hash of the address.
	Destination string  `json:"destination"`
	Channel     Channel `json:"channel"` // sms stands for voice too
	ToMasked    string  `json:"to_masked"`
	// Account and Credential are whose messages are kept back; without an account everybody's, and without
	// a credential those of the whole account.
	Account    string `json:"account,omitempty"`
	Credential string `json:"credential,omitempty"`
	// Covers is all; or notifications: then verifications are still sent; or verifications: then notifications are.
	Covers string `json:"covers"`
	// Cause is why: stop, bounce, spam_report, device_gone, manual, imported, not_me.
	Cause string `json:"cause"`
	// Until is when an entry of the cause not_me ends by itself.
	Until *time.Time `json:"until,omitempty"`
	// UserID is whose devices on the channel are all kept back; Destination is then that of FreezeDestination.
	UserID string `json:"user_id,omitempty"`
	// Address is the address itself, sealed with the channel's key under Destination. The verifier, which has no
	// keys, leaves it out.
	Address Sealed `json:"address,omitzero"`
	// Provider and Detail are who reported it and with which code, where a provider did.
	Provider string `json:"provider,omitempty"`
	Detail   string `json:"detail,omitempty"`
	// Note is what the one who added it wrote, sealed as the address is.
	Note *Sealed   `json:"note,omitempty"`
	At   time.Time `json:"at"`
}

// What a suppression covers.
const (
	CoversAll           = "all"
	CoversNotifications = "notifications"
	CoversVerifications = "verifications"
)

// The causes of suppressions.
const (
	CauseStop       = "stop"
	CauseBounce     = "bounce"
	CauseSpamReport = "spam_report"
	CauseDeviceGone = "device_gone"
	CauseManual     = "manual"
	CauseImported   = "imported"
	CauseNotMe      = "not_me"
)

func (e NotificationQueued) version() int     { return e.Version }
func (e NotificationProgressed) version() int { return e.Version }
func (e MessageReceipt) version() int         { return e.Version }
func (e Suppression) version() int            { return e.Version }
