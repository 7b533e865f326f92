package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
)

var update = flag.Bool("update", false, "write golden files that are missing; never changes one")

var at = time.Date(2026, 11, 21, 10, 4, 31, 123e6, time.UTC)

// until is when a freeze ends.
var until = at.Add(20 * time.Minute)

func in(d time.Duration) *time.Time {
	t := at.Add(d)
	return &t
}

// proof is what a phone signed.
var proof = &events.Proof{
	DeviceID: "d1", Decision: events.Approve, NumberDigest: "cfd714ad04bd6cbf738ac87f662d19b09c5d7cfcae5978ac113b3151e1a70757",
	AnsweredAt: "2026-11-21T10:04:31Z", Signature: []byte{4, 5, 6},
}

// golden lists one full value for each event of the present version. A file that exists is never
// rewritten: change the value here only together with a new file name.
var golden = map[string]any{
	"governor_ask.v1.json": events.GovernorAsk{
		Version: 1, Process: "K5Q2", Term: 7,
		Reports: []events.ProviderReport{{
			Key:  events.ProviderKey{Channel: events.SMS, Provider: "twilio", Account: "0a1b2c3d"},
			Rate: 100, Concurrency: 50, Flying: events.LaneCounts{Verification: 1, Transactional: 2, Bulk: 3},
			Waiting: events.LaneCounts{Bulk: 40}, Seen: 12, Back: 2, OK: 9, Failed: 1, Run: 1, Throttled: 1000, Probe: events.ProbeFailed,
		}},
		Ask: &events.ProviderAsk{
			Key: events.ProviderKey{Channel: events.SMS, Provider: "twilio", Account: "0a1b2c3d"}, Lane: events.LaneBulk,
			Sizes: []events.MessageSizes{{Units: 1, Count: 39}, {Units: 3, Count: 1}}, Ahead: 5,
		},
	},
	"governor_answer.v1.json": events.GovernorAnswer{
		Version: 1, Term: 7, Units: 42, Calls: 40, Granted: 52, Probe: true, Processes: 3, Reason: events.WaitThrottled, Wait: 250,
	},
	"governor_states.v1.json": events.GovernorStates{Version: 1, Term: 7, Providers: []events.ProviderState{{
		Key: events.ProviderKey{Channel: events.Push, Provider: "fcm"}, State: events.ProviderOpen, Since: in(0), Wait: 4000, Rate: 10_000,
		Concurrency: 500, Flying: events.LaneCounts{Verification: 1}, Waiting: events.LaneCounts{Bulk: 2}, Processes: 3,
	}}},
	"provider_pause.v1.json": events.ProviderPause{Version: 1, Provider: "twilio", Channel: events.SMS, Reason: "maintenance", At: at},
	"verification_activated.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000001", Credential: "shop-prod", Channel: events.SMS,
		Challenge: events.Code, Send: 1, UserID: "u1", DeviceID: "d1", ToMasked: "+1••••••0100",
		Destination: "c2VjcmV0", Locale: "de", Brand: "Example Bank",
		Context:  events.Context{IP: "203.0.113.7", Action: "Sign in", Place: "Lyon", Device: "Firefox on Windows"},
		Metadata: map[string]string{"order": "42"}, SecretHash: []byte{1, 2, 3}, KeyID: "k1", CodeLength: 6, MaxChecks: 5,
		Content: events.Sealed{KeyID: "k1", Box: []byte{4, 5, 6}}, Fingerprint: []byte{7},
		CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_push.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000002", Credential: "shop-prod", Channel: events.Push,
		Challenge: events.Approval, Send: 2, DeviceID: "d1",
		Device:   &events.PushDevice{Platform: "apns", PublicKey: []byte{9}},
		ToMasked: "push", Destination: "aA", KeyID: "k1", Content: events.Sealed{KeyID: "k1", Box: []byte{1}},
		CreatedAt: at, RequestedAt: at.Add(time.Minute), ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_number.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000003", Credential: "shop-prod", Channel: events.Voice,
		Challenge: events.Approval, Send: 1, UserID: "u1", DeviceID: "d2", ToMasked: "+1••••••0100", Destination: "c2VjcmV0",
		SecretHash: []byte{1, 2, 3}, KeyID: "k1", NumberLength: 6, MaxChecks: 1,
		Content: events.Sealed{KeyID: "k1", Box: []byte{4}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(15 * time.Minute),
	},
	"verification_activated_totp.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000004", Credential: "shop-prod", Channel: events.TOTP,
		Challenge: events.Code, Send: 1, UserID: "u1", DeviceID: "d3", ToMasked: "totp", KeyID: "k1", CodeLength: 6, MaxChecks: 5,
		Content: events.Sealed{KeyID: "k1", Box: []byte{5}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(2 * time.Minute),
	},
	"verification_activated_number_push.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000005", Credential: "shop-prod", Channel: events.Push,
		Challenge: events.Approval, Send: 1, UserID: "u1", DeviceID: "d1",
		Device:   &events.PushDevice{Platform: "fcm", PublicKey: []byte{9}},
		ToMasked: "push", Destination: "aA", SecretHash: []byte{1, 2, 3}, KeyID: "k1", NumberLength: 1, MaxChecks: 1,
		Content: events.Sealed{KeyID: "k1", Box: []byte{6}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_code_push.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000006", Credential: "shop-prod", Channel: events.Push,
		Challenge: events.Code, Send: 1, UserID: "u1", DeviceID: "d1",
		Device:   &events.PushDevice{Platform: "apns", PublicKey: []byte{9}},
		ToMasked: "push", Destination: "aA", SecretHash: []byte{1, 2, 3}, KeyID: "k1", CodeLength: 6, MaxChecks: 5,
		Content: events.Sealed{KeyID: "k1", Box: []byte{7}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"notification_queued.v1.json": events.NotificationQueued{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000007", Credential: "shop-prod", Lane: events.LaneBulk, Channel: events.SMS,
		Parts:   []events.NotificationPart{{Channel: events.SMS, Count: 1}, {Channel: events.Push, Count: 1}},
		Refused: []events.RefusedRecipient{{Index: 1, Code: "invalid_recipient", Pointer: "#/recipients/1/to", Detail: "is too short for a phone number"}},
		Batch:   true, Recipients: []events.NotificationRecipient{{ToMasked: "+1••••••0100", Locale: "de", Destination: "c2VjcmV0"}},
		Template: "parcel_sent", TemplateVersion: 3, Brand: "Example Bank", Metadata: map[string]string{"order": "42"},
		Content: events.Sealed{KeyID: "k1", Box: []byte{4, 5, 6}}, Fingerprint: []byte{7},
		CreatedAt: at, SendAt: at.Add(time.Minute), ExpiresAt: at.Add(time.Hour),
	},
	"notification_queued_push.v1.json": events.NotificationQueued{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000007", Part: 1, Credential: "shop-prod", Lane: events.LaneBulk, Channel: events.Push,
		Batch: true, Recipients: []events.NotificationRecipient{{
			Index: 2, ToMasked: "push", UserID: "u1", DeviceID: "d1", Device: &events.PushDevice{Platform: "fcm", PublicKey: []byte{9}}, Destination: "aA",
		}},
		Content: events.Sealed{KeyID: "k1", Box: []byte{8}}, CreatedAt: at, SendAt: at, ExpiresAt: at.Add(time.Hour),
	},
	"message_receipt.v1.json": events.MessageReceipt{
		Version: 1, EventID: "twilio:SM1:failed", ID: "0199b1c2-0000-7000-8000-000000000007", Part: 1, Place: 7, Attempt: 2,
		Status: events.DeliveryFailed, Provider: "twilio", ProviderID: "SM1", Reason: events.ReasonUndeliverable, Detail: "30003", At: at,
	},
	"verification_activated_link_number.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000009", Credential: "shop-prod", Channel: events.Email,
		Challenge: events.Link, Send: 1, ToMasked: "a•••@example.com", Destination: "c2VjcmV0",
		Context: events.Context{Action: "Pay", Fields: []events.Field{
			{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee", Value: "Café Lumière"},
		}},
		SecretHash: []byte{1, 2, 3}, NumberHash: []byte{4, 5}, Number: &events.Sealed{KeyID: "k1", Box: []byte{8}},
		KeyID: "k1", NumberLength: 2, MaxChecks: 2,
		Content: events.Sealed{KeyID: "k1", Box: []byte{6}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_trial.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-00000000000a", Credential: "shop-prod", Channel: events.Push,
		Challenge: events.Approval, Send: 1, UserID: "u1", DeviceID: "d1", ToMasked: "push", Destination: "aA",
		Device: &events.PushDevice{Platform: "webpush", PublicKey: []byte{9}}, Context: events.Context{Action: "Try this device"},
		KeyID: "k1", MaxChecks: 5, Trial: true,
		Content: events.Sealed{KeyID: "k1", Box: []byte{6}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"action_audited.v1.json": events.ActionAudited{
		Version: 1, Account: "shop", EventID: "not_me-0199b1c2-0000-7000-8000-000000000001", Actor: "login-page",
		Action: "credential.updated", Subject: "kiosk", UserID: "0199b1c2-0000-7000-8000-000000000002",
		Reason: "Kiosk without a second screen", Details: map[string]string{"number_matching": "off"}, At: at,
	},
	"verification_changed.v1.json": events.VerificationChanged{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000001", Status: "failed", Reason: "too_many_checks",
		ChecksUsed: 5, ClosedAt: &at, ChangedAt: at,
	},
	"response_received.v1.json": events.ResponseReceived{
		Version: 1, EventID: "e1", ID: "0199b1c2-0000-7000-8000-000000000001", Kind: events.ResponseLink,
		Decision: events.NotMe, Evidence: "SM1", ReceivedAt: at,
	},
	"response_received_number.v1.json": events.ResponseReceived{
		Version: 1, EventID: "e3", ID: "0199b1c2-0000-7000-8000-000000000003", Kind: events.ResponseVoice,
		Decision: events.Approve, Number: []byte{1, 2, 3}, Evidence: "CA1", ReceivedAt: at,
	},
	"response_received_number_push.v1.json": events.ResponseReceived{
		Version: 1, EventID: "e4", ID: "0199b1c2-0000-7000-8000-000000000005", Kind: events.ResponsePush,
		Decision: events.Approve, Number: []byte{1, 2, 3}, Evidence: "d1", ReceivedAt: at,
	},
	"delivery_settled.v1.json": events.DeliverySettled{
		Version: 1, EventID: "e2", ID: "0199b1c2-0000-7000-8000-000000000001", Channel: events.SMS, Send: 1,
		Status: events.DeliveryFailed, Provider: "twilio", ProviderID: "SM1",
		Reason: events.ReasonUndeliverable, Detail: "21211", Attempt: 1, At: at,
	},
	"delivery_settled_begun.v1.json": events.DeliverySettled{
		Version: 1, EventID: "e5", ID: "0199b1c2-0000-7000-8000-000000000001", Channel: events.Voice, Step: 1, Send: 2,
		Status: events.DeliveryBegun, Provider: "acme", Route: "+49", Receipts: true, Until: in(15 * time.Second), Attempt: 3, At: at,
	},
	"delivery_settled_retrying.v1.json": events.DeliverySettled{
		Version: 1, EventID: "e6", ID: "0199b1c2-0000-7000-8000-000000000001", Channel: events.SMS, Send: 1,
		Status: events.DeliveryRetrying, Provider: "twilio", Route: "+1", Until: in(2 * time.Second), Detail: "20429",
		Class: "retry_after", Attempt: 1, At: at,
	},
	"verification_activated_fallback.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000007", Credential: "shop-prod", Channel: events.SMS,
		Challenge: events.Approval, Send: 2, Avoid: []string{"twilio"}, UserID: "u1", ToMasked: "+1••••••0100", Destination: "c2VjcmV0", KeyID: "k1",
		Fallback: []events.FallbackStep{
			{Channel: events.Voice, After: 30, ToMasked: "+1••••••0100", Destination: "c2VjcmV0", Content: events.Sealed{KeyID: "k1", Box: []byte{8}}},
			{
				Channel: events.Push, After: 60, DeviceID: "d1", Device: &events.PushDevice{Platform: "fcm", PublicKey: []byte{9}},
				ToMasked: "push", Destination: "aA", Content: events.Sealed{KeyID: "k1", Box: []byte{9}},
			},
		},
		Content: events.Sealed{KeyID: "k1", Box: []byte{7}}, CreatedAt: at, RequestedAt: at.Add(20 * time.Second), ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_user_fallback.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000007", Credential: "shop-prod", Channel: events.SMS,
		Challenge: events.Approval, Send: 1, ToMasked: "+1••••••0100", Destination: "c2VjcmV0", KeyID: "k1",
		Fallback: []events.FallbackStep{{
			Channel: events.Push, After: 60, DeviceID: "d1", Device: &events.PushDevice{Platform: "fcm", PublicKey: []byte{9}},
			UserID: "u1", ToMasked: "push", Destination: "aA", Content: events.Sealed{KeyID: "k1", Box: []byte{9}},
		}},
		Content: events.Sealed{KeyID: "k1", Box: []byte{7}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_step.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000007", Credential: "shop-prod", Channel: events.Voice,
		Challenge: events.Approval, Send: 1, Step: 1, UserID: "u1", ToMasked: "+1••••••0100", Destination: "c2VjcmV0", KeyID: "k1",
		Content: events.Sealed{KeyID: "k1", Box: []byte{8}}, CreatedAt: at, RequestedAt: at.Add(30 * time.Second), ExpiresAt: at.Add(5 * time.Minute),
	},
	"delivery_settled_delivered.v1.json": events.DeliverySettled{
		Version: 1, EventID: "e7", ID: "0199b1c2-0000-7000-8000-000000000001", Channel: events.SMS, Send: 1,
		Status: events.DeliveryDelivered, Provider: "twilio", Route: "+1", ProviderID: "SM1", Took: 2.5, Attempt: 1, At: at,
	},
	"notification_progressed.v1.json": events.NotificationProgressed{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000008", Part: 2, By: "0199b1c2-0000-7000-8000-000000000009",
		Begun: []events.MessageBegun{{Place: 7, Attempt: 2, Provider: "acme", Route: "+1", Receipts: true}}, Until: in(8 * time.Second),
		Ended: []events.MessageEnded{
			{
				Place: 7, Status: events.DeliveryRetrying, Attempt: 1, Provider: "twilio", Reason: events.ReasonMessageRefused, Detail: "20429",
				Class: "retry_after", Until: in(0), At: at,
			},
			{Place: 8, Status: events.DeliverySent, Attempt: 1, Provider: "twilio", ProviderID: "SM1", At: at},
		},
		At: at,
	},
	"notification_progressed_waiting.v1.json": events.NotificationProgressed{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000008", Waiting: events.WaitPaused, Provider: "twilio", At: at,
	},
	"notification_progressed_canceled.v1.json": events.NotificationProgressed{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000008", Canceled: []int{1, 4}, All: true, At: at,
	},
	"timer_due.v1.json": events.TimerDue{
		Version: 1, Kind: events.TimerReceipt, ID: "0199b1c2-0000-7000-8000-000000000001", Step: 1, Send: 2, Provider: "twilio", Other: true,
	},
	"window_entry.v1.json": events.WindowEntry{Version: 1, ID: "0199b1c2-0000-7000-8000-000000000001", At: at},
	"dead_letter.v1.json": events.DeadLetter{
		Version: 1, Subject: "assent.activation.sms.x", Consumer: "sms", Reason: "undecodable event: not JSON of this contract",
		Data: []byte("garbage"), Sequence: 17, At: at,
	},
	"dead_letter_sealed.v1.json": events.DeadLetter{
		Version: 1, Subject: "assent.activation.sms.0199b1c2-0000-7000-8000-000000000001", Consumer: "sms",
		Kind: events.LetterUndelivered, Reason: events.ReasonProviderUnavailable,
		VerificationID: "0199b1c2-0000-7000-8000-000000000001", Credential: "shop-prod", Channel: events.SMS,
		Sealed: &events.Sealed{KeyID: "k1", Box: []byte{4, 5, 6}}, Size: 613, Sequence: 17, At: at,
	},
	"verification_activated_client.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000008", Credential: "shop", Client: "shop-web", Channel: events.SMS,
		Challenge: events.Approval, Send: 1, ToMasked: "+1••••••0100", Destination: "c2VjcmV0", KeyID: "k1",
		Content: events.Sealed{KeyID: "k1", Box: []byte{7}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"verification_activated_digest.v1.json": events.VerificationActivated{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000009", Credential: "shop-prod", Channel: events.Push,
		Challenge: events.Approval, Send: 1, UserID: "u1", DeviceID: "d1",
		Device:   &events.PushDevice{Platform: "fcm", PublicKey: []byte{9}},
		ToMasked: "push", Destination: "aA", KeyID: "k1", NumberLength: 2, MaxChecks: 2,
		NumberDigest: "cfd714ad04bd6cbf738ac87f662d19b09c5d7cfcae5978ac113b3151e1a70757",
		Content:      events.Sealed{KeyID: "k1", Box: []byte{6}}, CreatedAt: at, RequestedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	},
	"response_received_proof.v1.json": events.ResponseReceived{
		Version: 1, EventID: "e8", ID: "0199b1c2-0000-7000-8000-000000000009", Kind: events.ResponsePush,
		Decision: events.Approve, Number: []byte{1, 2, 3}, Evidence: "d1", ReceivedAt: at, Proof: proof,
	},
	"verification_changed_proof.v1.json": events.VerificationChanged{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000009", Status: "approved", ChecksUsed: 1, ClosedAt: &at, ChangedAt: at, Proof: proof,
	},
	"verification_changed_tried.v1.json": events.VerificationChanged{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000009", Status: "pending", ChecksUsed: 1, Tried: []string{"AQIDBAUGBwg"}, ChangedAt: at,
	},
	"approval_proved.v1.json": events.ApprovalProved{
		Version: 1, ID: "0199b1c2-0000-7000-8000-000000000009", Account: "shop-prod", UserID: "u1", Brand: "Example Bank", DeviceID: "d1",
		Platform: "fcm", PublicKey: []byte{9}, Decision: events.NotMe, Status: "denied", Reason: "not_me",
		Context: `{"action":"Pay"}`, NumberDigest: proof.NumberDigest, ExpectedNumberDigest: proof.NumberDigest, AnsweredAt: "2026-11-21T10:04:31Z",
		SignedText: "assent-response-v2\n…", Signature: []byte{4, 5, 6}, CreatedAt: at, ClosedAt: at.Add(time.Minute),
	},
	"device_used.v1.json": events.DeviceUsed{Version: 1, DeviceID: "d1", At: at},
	"suppression.v1.json": events.Suppression{
		Version: 1, Destination: "AbCdEfGhIjKlMnOpQrStUv", Channel: events.SMS, ToMasked: "+1••••••0100", Covers: events.CoversAll,
		Cause: events.CauseStop, Address: events.Sealed{KeyID: "k1", Box: []byte{1, 2}}, Provider: "twilio", Detail: "21610", At: at,
	},
	"suppression_credential.v1.json": events.Suppression{
		Version: 1, Destination: "AbCdEfGhIjKlMnOpQrStUv", Channel: events.Email, ToMasked: "a•••@example.com", Account: "shop", Credential: "shop-web",
		Covers: events.CoversNotifications, Cause: events.CauseManual, Address: events.Sealed{KeyID: "k1", Box: []byte{1, 2}},
		Note: &events.Sealed{KeyID: "k1", Box: []byte{3}}, At: at,
	},
	"suppression_not_me.v1.json": events.Suppression{
		Version: 1, Destination: "AbCdEfGhIjKlMnOpQrStUv", Channel: events.Push, ToMasked: "push", Account: "shop",
		Covers: events.CoversVerifications, Cause: events.CauseNotMe, Until: &until, UserID: "0199b1c2-0000-7000-8000-000000000003", At: at,
	},
	"action_audited_not_me.v1.json": events.ActionAudited{
		Version: 1, Account: "shop", EventID: "0199b1c2-0000-7000-8000-000000000001-1795255471123", Actor: "person",
		Action: "verification.not_me", Subject: "0199b1c2-0000-7000-8000-000000000001", UserID: "0199b1c2-0000-7000-8000-000000000003",
		Details: map[string]string{
			"answer": "push", "channel": "push", "device_id": "0199b1c2-0000-7000-8000-000000000004", "freeze": "device",
			"until": "2026-11-21T10:24:31Z",
		}, At: at,
	},
	"prompts_asked.v1.json": events.PromptsAsked{
		Version: 1, Until: at.Add(time.Hour),
		Prompts: []events.PromptAsked{{ID: "0199b1c2-0000-7000-8000-000000000001", At: at, ExpiresAt: at.Add(5 * time.Minute)}},
	},
}

// decoders reads each kind of file with the reader that consumers use.
var decoders = map[string]func([]byte) (any, error){
	"verification_activated":  func(b []byte) (any, error) { return events.Decode[events.VerificationActivated](b) },
	"verification_changed":    func(b []byte) (any, error) { return events.Decode[events.VerificationChanged](b) },
	"response_received":       func(b []byte) (any, error) { return events.Decode[events.ResponseReceived](b) },
	"delivery_settled":        func(b []byte) (any, error) { return events.Decode[events.DeliverySettled](b) },
	"window_entry":            func(b []byte) (any, error) { return events.Decode[events.WindowEntry](b) },
	"action_audited":          func(b []byte) (any, error) { return events.Decode[events.ActionAudited](b) },
	"timer_due":               func(b []byte) (any, error) { return events.Decode[events.TimerDue](b) },
	"dead_letter":             func(b []byte) (any, error) { return events.Decode[events.DeadLetter](b) },
	"governor_ask":            func(b []byte) (any, error) { return events.Decode[events.GovernorAsk](b) },
	"governor_answer":         func(b []byte) (any, error) { return events.Decode[events.GovernorAnswer](b) },
	"governor_states":         func(b []byte) (any, error) { return events.Decode[events.GovernorStates](b) },
	"provider_pause":          func(b []byte) (any, error) { return events.Decode[events.ProviderPause](b) },
	"notification_progressed": func(b []byte) (any, error) { return events.Decode[events.NotificationProgressed](b) },
	"notification_queued":     func(b []byte) (any, error) { return events.Decode[events.NotificationQueued](b) },
	"message_receipt":         func(b []byte) (any, error) { return events.Decode[events.MessageReceipt](b) },
	"approval_proved":         func(b []byte) (any, error) { return events.Decode[events.ApprovalProved](b) },
	"device_used":             func(b []byte) (any, error) { return events.Decode[events.DeviceUsed](b) },
	"suppression":             func(b []byte) (any, error) { return events.Decode[events.Suppression](b) },
	"prompts_asked":           func(b []byte) (any, error) { return events.Decode[events.PromptsAsked](b) },
}

func TestWhatIsWrittenTodayIsWhatTheGoldenFilesSay(t *testing.T) {
	for name, v := range golden {
		path := filepath.Join("testdata", name)
		b, err := events.Encode(v)
		require.NoError(t, err)
		var indented bytes.Buffer
		require.NoError(t, json.Indent(&indented, b, "", "  "))
		indented.WriteByte('\n')
		want, err := os.ReadFile(path)
		if os.IsNotExist(err) && *update {
			require.NoError(t, os.WriteFile(path, indented.Bytes(), 0o600))
			continue
		}
		require.NoError(t, err, "run with -update to write a missing golden file")
		require.Equal(t, string(want), indented.String(), name)
	}
}

func TestEveryGoldenFileEverWrittenDecodes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), len(golden))
	for _, path := range files {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		kind, _, _ := strings.Cut(filepath.Base(path), ".")
		for _, variant := range []string{"_push", "_number", "_link", "_code", "_totp", "_begun", "_retrying", "_delivered", "_fallback", "_step", "_sealed", "_client", "_credential", "_waiting", "_canceled", "_digest", "_proof", "_not_me", "_user", "_tried", "_trial"} {
			kind = strings.TrimSuffix(kind, variant)
		}
		decode, ok := decoders[kind]
		require.True(t, ok, "no reader for %s", path)
		v, err := decode(b)
		require.NoError(t, err, path)
		if want, present := golden[filepath.Base(path)]; present {
			require.Equal(t, want, v, path)
		}
	}
}

func TestSealedContentOfAnyWriterIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		plain string
		want  events.DeliveryContent
	}{
		"a code":              {`{"to":"+14155550100","code":"482913"}`, events.DeliveryContent{To: "+14155550100", Code: "482913"}},
		"a link with wording": {`{"to":"a","token":"t","text":"x","redirect_to":"https://a"}`, events.DeliveryContent{To: "a", Token: "t", Text: "x", RedirectTo: "https://a"}},
		"a code to fill in": {
			`{"to":"+14155550100","code":"482913","origin":"example.com","app_hash":"FA+9qCX9VSu"}`,
			events.DeliveryContent{To: "+14155550100", Code: "482913", Origin: "example.com", AppHash: "FA+9qCX9VSu"},
		},
		"choices": {`{"to":"token","choices":["3","7","9","1"]}`, events.DeliveryContent{To: "token", Choices: []string{"3", "7", "9", "1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got events.DeliveryContent
			require.NoError(t, json.Unmarshal([]byte(c.plain), &got))
			require.Equal(t, c.want, got)
			again, err := events.Encode(c.want)
			require.NoError(t, err)
			require.JSONEq(t, c.plain, string(again), "what is empty is left out")
		})
	}
}

func TestDecodeRefusesWhatItCannotUnderstandAndQuotesNothing(t *testing.T) {
	const secret = "482913"
	for name, data := range map[string]string{
		"nothing":         "",
		"not JSON":        secret,
		"no version":      `{"id":"` + secret + `"}`,
		"a later version": `{"version":2,"id":"` + secret + `"}`,
		"a wrong type":    `{"version":1,"id":{"` + secret + `":1}}`,
		"a bad time":      `{"version":1,"created_at":"` + secret + `"}`,
		"half a document": `{"version":1,"id":"` + secret,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := events.Decode[events.VerificationActivated]([]byte(data))
			require.ErrorIs(t, err, events.ErrUndecodable)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func TestDecodeIgnoresFieldsOfLaterWriters(t *testing.T) {
	v, err := events.Decode[events.WindowEntry]([]byte(`{"version":1,"id":"a","color":"blue"}`))
	require.NoError(t, err)
	require.Equal(t, "a", v.ID)
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := events.Decode[events.VerificationActivated](b); err != nil {
			require.ErrorIs(t, err, events.ErrUndecodable)
		}
	})
}
