package notification

// State is where one message, or a whole notification, stands.
type State string

// The states of a message. The first two are open, and a message may go from Sending back to Queued where a call
// came to nothing. What follows can still be mended by the provider's word: a message that was given up
// may have been delivered.
const (
	Queued    State = "queued"
	Sending   State = "sending"
	Sent      State = "sent"
	Delivered State = "delivered"
	Failed    State = "failed"
	Expired   State = "expired"
	Canceled  State = "canceled"
	Unknown   State = "unknown" // nobody knows whether the provider took it
)

// The further states of a whole notification: Scheduled, Queued, Sending, Done and Canceled.
const (
	Scheduled State = "scheduled"
	Done      State = "done"
)

// States lists those of a message, in the order in which they are shown.
func States() []State {
	return []State{Queued, Sending, Sent, Delivered, Failed, Expired, Canceled, Unknown}
}

// Open tells whether a message still waits or is being sent.
func (s State) Open() bool { return s == Queued || s == Sending }

// Counts is how many messages are in each state.
type Counts map[State]int

// Add counts the messages of a part.
func (c Counts) Add(messages []Progress) {
	for _, m := range messages {
		c[m.State]++
	}
}

// Total is how many were counted.
func (c Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// Whole is the state of a notification of which the messages are in these states; scheduled tells that its
// time has not come.
func (c Counts) Whole(scheduled bool) State {
	total := c.Total()
	switch {
	case c[Canceled] == total && total > 0:
		return Canceled
	case c[Queued]+c[Sending] == 0:
		return Done
	case c[Queued]+c[Canceled] < total:
		return Sending
	case scheduled:
		return Scheduled
	default:
		return Queued
	}
}
