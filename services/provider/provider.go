// Package provider describes how the companies and servers that carry messages stand, as an operator sees them.
// It is pure; package store keeps the pauses and asks the governor, the API shows and changes them.
package provider

import (
	"fmt"
	"strings"
	"time"
)

// Provider is how one provider stands on one channel, with all worker processes.
type Provider struct {
	Name, Channel string
	State         State
	// Since is when this state began; zero where that is not known.
	Since time.Time
	// Reason is what the operator said who paused it.
	Reason string
	// Wait is for how long more it is left alone, while it is open or throttled.
	Wait time.Duration
	// Rate is in units a second, Concurrency in calls; zero: no quota.
	Rate        float64
	Concurrency int
	// InFlight are the calls that are being made, Waiting by lane the messages that wait for a part of the quota.
	InFlight int
	Waiting  Lanes
	// Processes is how many workers it has; zero where no governor told.
	Processes int
}

// Lanes is one number for each lane.
type Lanes struct{ Verification, Transactional, Bulk int }

// State is whether a provider is called.
type State string

// The states.
const (
	OK     State = "ok"
	Paused State = "paused" // by an operator
	// Open: its calls failed, and one looks from time to time whether it is back.
	Open State = "open"
	// Throttled: it asked us to wait.
	Throttled State = "throttled"
	// Unknown: no governor told.
	Unknown State = "unknown"
)

// UnknownError says that there is no such provider, or not on this channel, and which there are.
type UnknownError struct {
	Name, Channel string
	Known         []string
}

func (e *UnknownError) Error() string { return "unknown provider" }

// Explain is the error in a sentence. It repeats nothing that the caller sent.
func (e *UnknownError) Explain() string {
	where := ""
	if e.Channel != "" {
		where = " on this channel"
	}
	if len(e.Known) == 0 {
		return fmt.Sprintf("There is no provider%s.", where)
	}
	return fmt.Sprintf("There is no such provider%s; there are: %s.", where, strings.Join(e.Known, ", "))
}
