// Package stream moves the events over JetStream: the streams and consumers, a
// publisher with compare-and-set, reads by subject, and a Watermill subscriber.
// It is the only code of Assent that publishes to or consumes from JetStream.
package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
)

// The streams. Their names are part of the contract with operators.
const (
	Activations = "ASSENT_ACTIVATIONS"
	Outcomes    = "ASSENT_OUTCOMES"
	Responses   = "ASSENT_RESPONSES"
	Deliveries  = "ASSENT_DELIVERIES"
	Windows     = "ASSENT_WINDOWS"
	Guesses     = "ASSENT_GUESSES"
	Counts      = "ASSENT_COUNTS"
	Numbers     = "ASSENT_NUMBERS"
	Timers      = "ASSENT_TIMERS"
	DeadLetters = "ASSENT_DEADLETTERS"
	// Notifications holds the parts of notifications, Progress what became of them.
	Notifications = "ASSENT_NOTIFICATIONS"
	Progress      = "ASSENT_PROGRESS"
	Suppressions  = "ASSENT_SUPPRESSIONS"
	// Audit holds who did what, for as long as disputes take.
	Audit = "ASSENT_AUDIT"
	// Proofs holds the signed answers of phones with all that checking them takes, for as long as disputes take.
	Proofs = "ASSENT_PROOFS"
	// Prompts holds which push prompts of a user are unanswered.
	Prompts = "ASSENT_PROMPTS"
	// Providers is the bucket of the providers that an operator paused.
	Providers = "ASSENT_PROVIDERS"
)

// Topology is what the operator may set about the streams.
type Topology struct {
	// Replicas of every stream: 1, or 3 in a cluster.
	Replicas int
	// SendQuota is how many sends one destination or user may get in SendWindow.
	SendQuota  int
	SendWindow time.Duration
	// KeepProofs is how long the proofs of answers are kept; zero: DefaultKeepProofs.
	KeepProofs time.Duration
}

// The defaults of Topology.
const (
	DefaultSendQuota  = 5
	DefaultSendWindow = 10 * time.Minute
	// DefaultKeepProofs is 13 months: the time in which a payment can be disputed (PSD2, article 71).
	DefaultKeepProofs = 400 * 24 * time.Hour
)

// How many wrong answers one person may give in which time, whatever they answer.
const (
	GuessQuota  = 5
	GuessWindow = 10 * time.Minute
)

// MaxCount is how many records at most stand for one user in one count: limits above it make no difference.
const MaxCount = 100

// firstNumber is the first number that stands for a user or a device: long enough that nobody takes
// it for a count, and far from the end of 32 bits.
const firstNumber = 10_000_001

// NotificationGrace is how long the parts of a notification, and what became of them, outlive it.
const NotificationGrace = 24 * time.Hour

// How long the streams keep what nobody reads.
const (
	responsesAge   = time.Hour
	deliveriesAge  = 24 * time.Hour
	deadLettersAge = 30 * 24 * time.Hour
	progressAge    = 60 * 24 * time.Hour
	timersAge      = time.Hour
	duplicates     = 2 * time.Minute
	auditAge       = 400 * 24 * time.Hour // 13 months: the time in which a payment can be disputed (PSD2, article 71)
	maxMessage     = 64 << 10
	maxPart        = 768 << 10 // below what a broker takes by default, 1 MiB
	maxDeadLetters = 1 << 30
)

func (t Topology) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: Activations, Subjects: []string{events.ActivationSubjects},
			Description: "One message for each verification: its record and its delivery's work.",
			// One message a subject: a resend takes the place of the message before.
			MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
			RePublish: &jetstream.RePublish{Source: events.ActivationSubject(events.Push, ">"), Destination: events.AskedSubjects},
		},
		{
			Name: Outcomes, Subjects: []string{events.OutcomeSubjects},
			Description:       "The changing half of each verification, by compare-and-set.",
			MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
			RePublish: &jetstream.RePublish{Source: events.OutcomeSubjects, Destination: events.ChangedSubjects},
		},
		{
			Name: Responses, Subjects: []string{events.ResponseSubjects},
			Description: "Answers of people on their way to the verifier.",
			MaxAge:      responsesAge, Duplicates: duplicates, MaxMsgSize: maxMessage,
		},
		{
			Name: Deliveries, Subjects: []string{events.DeliverySubjects},
			Description: "What happened to each message, step by step.",
			MaxAge:      deliveriesAge, AllowDirect: true, AllowMsgTTL: true, Duplicates: duplicates, MaxMsgSize: maxMessage,
		},
		{
			Name: Windows, Subjects: []string{events.WindowSubjects},
			Description: "One message for each send in the rolling window of a destination or user.",
			// The stream itself is the limit: it refuses one message more than the quota under a
			// subject, and each message leaves when its window has passed.
			MaxMsgsPerSubject: int64(t.SendQuota), Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
		},
		{
			Name: Guesses, Subjects: []string{events.GuessSubjects, events.UsedSubjects},
			Description:       "One message for each wrong answer in its rolling window, and for each one-time code that was used.",
			MaxMsgsPerSubject: GuessQuota, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
		},
		{
			Name: Counts, Subjects: []string{events.CountSubjects},
			Description: "One message for each attempt of a user in its rolling window, until the user succeeds.",
			// The limit is the caller's, who expects the last message to be the one that was counted. This
			// bounds what stands where there is none.
			MaxMsgsPerSubject: MaxCount, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
		},
		{
			Name: Numbers, Subjects: []string{events.NumberSubject},
			Description: "The counter behind the numbers of users and devices: its last sequence.",
			MaxMsgs:     1, FirstSeq: firstNumber, MaxMsgSize: maxMessage,
		},
		{
			Name: Timers, Subjects: []string{events.TimerSubjects, events.DueSubjects},
			Description: "What is to be done later: schedules, and what became of them when their time came.",
			MaxAge:      timersAge, AllowMsgSchedules: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
		},
		{
			Name: DeadLetters, Subjects: []string{events.DeadLetterSubjects},
			Description: "What could not be decoded or delivered, with the reason; the payloads are sealed.",
			// The oldest leave for the newest.
			MaxAge: deadLettersAge, MaxBytes: maxDeadLetters, Discard: jetstream.DiscardOld,
			AllowDirect: true, Duplicates: duplicates,
		},
		{
			Name: Notifications, Subjects: []string{events.NotificationSubjects},
			Description:       "The parts of notifications: the records of their messages, and the work.",
			MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, AllowMsgSchedules: true, AllowAtomicPublish: true,
			MaxMsgSize: maxPart,
		},
		{
			Name: Progress, Subjects: []string{events.ProgressSubjects},
			Description: "What became of each part of a notification, by compare-and-set, and what providers reported.",
			MaxAge:      progressAge, AllowDirect: true, AllowMsgTTL: true, Duplicates: duplicates, MaxMsgSize: maxMessage,
		},
		{
			Name: Suppressions, Subjects: []string{events.SuppressionSubjects},
			Description:       "The addresses that get no messages.",
			MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
		},
		{
			Name: Audit, Subjects: []string{events.AuditSubjects},
			Description: "Who did what, when, and why.",
			MaxAge:      auditAge, AllowDirect: true, Duplicates: duplicates, MaxMsgSize: maxMessage,
		},
		{
			Name: Proofs, Subjects: []string{events.ProofSubjects, events.LastUseSubjects},
			Description:       "The signed answers of phones with all that checking them takes, and when each phone last gave one.",
			MaxMsgsPerSubject: 1, MaxAge: t.KeepProofs, AllowDirect: true, MaxMsgSize: maxMessage,
		},
		{
			Name: Prompts, Subjects: []string{events.PromptSubjects},
			Description:       "The unanswered push prompts of each user, by compare-and-set.",
			MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, MaxMsgSize: maxMessage,
		},
	}
}

// markLife is how long the marks of removed entries stay, for readers that follow a bucket.
const markLife = time.Minute

// buckets are the key-value buckets that more than one role uses.
func buckets() []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{
			Bucket: Providers, History: 1, Storage: jetstream.FileStorage, LimitMarkerTTL: markLife,
			Description: "The providers that an operator paused.",
		},
		{Bucket: Leases, History: 1, Storage: jetstream.FileStorage, Description: "Who does what only one may do."},
	}
}

// Ensure creates the streams that are missing and brings existing ones to this topology. Every
// role may call it at once; the broker makes the calls one. It fails when the broker does not
// answer within ctx, or holds a stream of the same name that cannot become this one.
func Ensure(ctx context.Context, js jetstream.JetStream, t Topology) error {
	if t.Replicas == 0 {
		t.Replicas = 1
	}
	if t.SendQuota == 0 {
		t.SendQuota = DefaultSendQuota
	}
	if t.KeepProofs == 0 {
		t.KeepProofs = DefaultKeepProofs
	}
	for _, c := range t.streams() {
		c.Replicas = t.Replicas
		c.Storage = jetstream.FileStorage
		if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("ensure stream %s: %w", c.Name, err)
		}
	}
	for _, c := range buckets() {
		c.Replicas = t.Replicas
		if _, err := js.CreateOrUpdateKeyValue(ctx, c); err != nil {
			return fmt.Errorf("ensure bucket %s: %w", c.Bucket, err)
		}
	}
	return nil
}

// Exists tells whether the streams are there. Roles that do not own the topology wait for it.
func Exists(ctx context.Context, js jetstream.JetStream) error {
	for _, c := range (Topology{}).streams() {
		if _, err := js.Stream(ctx, c.Name); err != nil {
			return fmt.Errorf("look for stream %s: %w", c.Name, err)
		}
	}
	for _, c := range buckets() {
		if _, err := js.Stream(ctx, "KV_"+c.Bucket); err != nil {
			return fmt.Errorf("look for bucket %s: %w", c.Bucket, err)
		}
	}
	return nil
}

// ErrAbsent says that no message stands under a subject.
var ErrAbsent = errors.New("no message under this subject")

// Consumer describes one durable pull consumer, shared by all replicas of a role.
type Consumer struct {
	Stream string
	Name   string
	// Filters are the subjects that it takes.
	Filters []string
	// MaxAckPending bounds what all replicas together hold at once.
	MaxAckPending int
	// MaxInFlight bounds what one process handles at once; zero leaves it to its subscriber.
	MaxInFlight int
}

// ackWait is short, so that what a killed process held is sent again soon; a running handler
// says every third of it that it is still at work.
const ackWait = 5 * time.Second

func (c Consumer) ensure(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	cons, err := js.CreateOrUpdateConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
		Durable:        c.Name,
		FilterSubjects: c.Filters,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxAckPending:  c.MaxAckPending,
		MaxDeliver:     -1, // deadlines end deliveries, not counts
	})
	if err != nil {
		return nil, fmt.Errorf("ensure consumer %s: %w", c.Name, err)
	}
	return cons, nil
}
