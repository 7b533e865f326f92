package verification

import (
	"cmp"
	"slices"
	"time"
)

// Step is one more road to the same person, taken while nobody answers on those before it.
type Step struct {
	Channel  Channel
	After    time.Duration // how long the step before has
	DeviceID string
	// UserID is whose device it is, where the verification is for no user.
	UserID   string
	ToMasked string
}

// MaxSteps is how many steps a fallback may have.
const MaxSteps = 3

// Prompted are the users on whose phones it comes up by itself, or may come to while nobody answers.
func (v Verification) Prompted() []string {
	if v.Challenge != ApprovalChallenge {
		return nil
	}
	var users []string
	for _, s := range append([]Step{{Channel: v.Channel}}, v.Fallback...) {
		user := cmp.Or(v.UserID, s.UserID)
		if s.Channel == Push && user != "" && !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
	return users
}

// Has tells whether the verification asks, or may come to ask, on a channel.
func (v Verification) Has(c Channel) bool {
	if v.Channel == c {
		return true
	}
	for _, s := range v.Fallback {
		if s.Channel == c {
			return true
		}
	}
	return false
}

// Asks tells whether a device is, or may come to be, asked on a channel.
func (v Verification) Asks(c Channel, deviceID string) bool {
	if deviceID == "" {
		return false
	}
	if v.Channel == c && v.DeviceID == deviceID {
		return true
	}
	for _, s := range v.Fallback {
		if s.Channel == c && s.DeviceID == deviceID {
			return true
		}
	}
	return false
}

// Progress is how far the messages of a verification have come.
type Progress struct {
	// Taken is the last step that was taken; 0: only the road that the client named.
	Taken int
	// Failed tells of the steps whose message cannot arrive why; empty for those that were not sent for a
	// reason of ours. Steps of which nobody knows are not in it.
	Failed map[int]Reason
}

// Move is what follows from progress.
type Move struct {
	// Take is the step to take now; 0: none.
	Take int
	// Again tells that the message of the last step is asked for once more.
	Again bool
	// Close tells that no message can arrive any more, for Reason.
	Close  bool
	Reason Reason
}

// Timed is what follows when the time for a step has come: it is taken if it is the next one.
func (v Verification) Timed(p Progress, step int) Move {
	if step != p.Taken+1 || step > len(v.Fallback) {
		return Move{}
	}
	return Move{Take: step}
}

// Missed is what follows when the message of a step did not arrive, or nothing is heard of it: the next
// step is taken without waiting for its time. Where none is left and all that were taken have failed for
// good, the verification can never be answered.
func (v Verification) Missed(p Progress, step int) Move {
	switch {
	case p.Taken == len(v.Fallback): // none is left
	case step < p.Taken:
		return Move{} // the one after it was taken already, and others will be
	default:
		return Move{Take: p.Taken + 1}
	}
	var last Reason
	for s := 0; s <= p.Taken; s++ {
		reason, failed := p.Failed[s]
		if !failed {
			return Move{}
		}
		if reason != "" {
			last = reason
		}
	}
	if last == "" {
		return Move{}
	}
	return Move{Close: true, Reason: last}
}
