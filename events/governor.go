package events

import "time"

// The subjects of the governor, core NATS. Whoever listens there holds the governor's lease.
const (
	// GovernorAskSubject is where workers ask for grants, with a reply, and report, without one.
	GovernorAskSubject = namespace + ".governor.ask"
	// GovernorShowSubject answers with how all providers stand.
	GovernorShowSubject = namespace + ".governor.show"
	// GovernorStateSubject is where the same is told to all, every second and when it changes.
	GovernorStateSubject = namespace + ".governor.state"
)

// ProviderKey names what one provider counts together: its account, on one channel.
type ProviderKey struct {
	Channel  Channel `json:"channel"`
	Provider string  `json:"provider"`
	// Account is a short hash of the account at the provider; it tells two accounts apart, and nothing else.
	Account string `json:"account,omitempty"`
}

// LaneCounts is one number for each lane.
type LaneCounts struct {
	Verification  int `json:"verification,omitempty"`
	Transactional int `json:"transactional,omitempty"`
	Bulk          int `json:"bulk,omitempty"`
}

// Of is the number of one lane.
func (c LaneCounts) Of(l Lane) int {
	switch l {
	case LaneVerification:
		return c.Verification
	case LaneTransactional:
		return c.Transactional
	case LaneBulk:
		return c.Bulk
	default:
		return 0
	}
}

// Add counts n more in a lane.
func (c *LaneCounts) Add(l Lane, n int) {
	switch l {
	case LaneVerification:
		c.Verification += n
	case LaneTransactional:
		c.Transactional += n
	case LaneBulk:
		c.Bulk += n
	}
}

// Sum is the number of all lanes.
func (c LaneCounts) Sum() int { return c.Verification + c.Transactional + c.Bulk }

// GovernorAsk is what one worker process tells the governor: reports, and at most one ask.
type GovernorAsk struct {
	Version int    `json:"version"`
	Process string `json:"process"`
	// Term is that of the governor whose grants the reports tell about.
	Term    uint64           `json:"term,omitempty"`
	Reports []ProviderReport `json:"reports,omitempty"`
	Ask     *ProviderAsk     `json:"ask,omitempty"`
}

// ProviderReport says how one process stands with one provider.
type ProviderReport struct {
	Key ProviderKey `json:"key"`
	// Rate (units a second) and Concurrency (calls at once) are the quota in this process's configuration; zero: none.
	Rate        float64 `json:"rate,omitempty"`
	Concurrency int     `json:"concurrency,omitempty"`
	// Flying are the calls that are being made, and those that were granted and may still be.
	Flying LaneCounts `json:"flying,omitzero"`
	// Waiting are the messages that wait for a grant.
	Waiting LaneCounts `json:"waiting,omitzero"`
	// Seen is how many calls this process knows to have been granted by the governor of this term, of all it was.
	Seen int `json:"seen,omitempty"`
	// Back are units that were granted and are not going to be used.
	Back int `json:"back,omitempty"`
	// OK and Failed count calls that ended since the last report; Run is how many failed in a row at its end.
	OK     int `json:"ok,omitempty"`
	Failed int `json:"failed,omitempty"`
	Run    int `json:"run,omitempty"`
	// Throttled is for how many milliseconds the provider asked us to wait.
	Throttled int64 `json:"throttled_ms,omitempty"`
	// Probe says what the one call came to that looked whether the provider is back: ok, failed, or unused.
	Probe string `json:"probe,omitempty"`
}

// What a probe came to.
const (
	ProbeOK     = "ok"
	ProbeFailed = "failed"
	ProbeUnused = "unused"
)

// ProviderAsk asks for calls of one lane.
type ProviderAsk struct {
	Key  ProviderKey `json:"key"`
	Lane Lane        `json:"lane"`
	// Sizes are the units of the messages that wait, the first first.
	Sizes []MessageSizes `json:"sizes"`
	// Ahead is how many units more would be used soon.
	Ahead int `json:"ahead,omitempty"`
}

// MessageSizes stands for some messages of equal size.
type MessageSizes struct {
	Units int `json:"units"`
	Count int `json:"count"`
}

// GovernorAnswer answers one ask.
type GovernorAnswer struct {
	Version int    `json:"version"`
	Term    uint64 `json:"term"`
	// Units are granted, for as many messages as fit in, and Calls at once.
	Units int `json:"units,omitempty"`
	Calls int `json:"calls,omitempty"`
	// Granted is how many calls this governor ever granted this process for this provider.
	Granted int `json:"granted,omitempty"`
	// Probe tells that the provider is away and that this one call is to look whether it is back.
	Probe bool `json:"probe,omitempty"`
	// Processes is how many share the provider.
	Processes int `json:"processes,omitempty"`
	// Reason, one of the waits, and Wait in milliseconds refuse.
	Reason string `json:"reason,omitempty"`
	Wait   int64  `json:"wait_ms,omitempty"`
}

// GovernorStates says how all providers stand.
type GovernorStates struct {
	Version   int             `json:"version"`
	Term      uint64          `json:"term"`
	Providers []ProviderState `json:"providers"`
}

// The states of a provider.
const (
	ProviderOK        = "ok"
	ProviderPaused    = "paused"
	ProviderOpen      = "open"
	ProviderThrottled = "throttled"
)

// ProviderState says how one provider stands with all processes.
type ProviderState struct {
	Key   ProviderKey `json:"key"`
	State string      `json:"state"`
	Since *time.Time  `json:"since,omitempty"`
	// Wait is for how many milliseconds more it is left alone. Where the circuit is open and none are left, one
	// call is to look whether it is back.
	Wait        int64      `json:"wait_ms,omitempty"`
	Rate        float64    `json:"rate,omitempty"`
	Concurrency int        `json:"concurrency,omitempty"`
	Flying      LaneCounts `json:"flying,omitzero"`
	Waiting     LaneCounts `json:"waiting,omitzero"`
	Processes   int        `json:"processes"`
}

// ProviderPause is an operator's word that a provider is not to be called: an entry of the bucket of pauses.
type ProviderPause struct {
	Version  int    `json:"version"`
	Provider string `json:"provider"`
	// Channel limits it to one of the provider's channels; empty: all.
	Channel Channel   `json:"channel,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

func (e GovernorAsk) version() int    { return e.Version }
func (e GovernorAnswer) version() int { return e.Version }
func (e GovernorStates) version() int { return e.Version }
func (e ProviderPause) version() int  { return e.Version }
