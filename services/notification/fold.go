package notification

import (
	"cmp"
	"slices"
	"time"
)

// Entry is one entry in the log of a part, as the workers and the API write them: each after the one before.
type Entry struct {
	Begun []Begun
	// Until is when the calls of Begun have ended at the latest.
	Until    time.Time
	Ended    []Ended
	Canceled []int
	// All withdraws what was never begun.
	All               bool
	Waiting, Provider string
	At                time.Time
}

// Begun is the record of a call that is about to be made for one message.
type Begun struct {
	Place, Attempt  int
	Provider, Route string
}

// Ended is what a call came to, or, without an attempt, what needed none.
type Ended struct {
	Place, Attempt        int
	Status                string
	Provider, ProviderID  string
	Reason, Detail, Class string
	Until                 time.Time
	At                    time.Time
}

// Receipt is what a provider says became of one message.
type Receipt struct {
	Place, Attempt       int
	Status               string
	Provider, ProviderID string
	Reason, Detail       string
	At                   time.Time
}

// The words of the log and of receipts for what a call came to.
const (
	statusRetrying   = "retrying"
	statusUnknown    = "unknown"
	statusSent       = "sent"
	statusFailed     = "failed"
	statusExpired    = "expired"
	statusUnanswered = "unanswered"
	statusDelivered  = "delivered"
)

// rank orders what can be said of one call by how much it says, as events.Rank does. Words that are not
// known say nothing.
func rank(status string) int {
	switch status {
	case statusRetrying, statusUnknown:
		return 2
	case statusSent:
		return 3
	case statusFailed, statusExpired, statusUnanswered:
		return 4
	case statusDelivered:
		return 5
	default:
		return 0
	}
}

// Progress is what became of one message.
type Progress struct {
	State      State
	Reason     string // why it failed
	Detail     string
	Provider   string // of the call that counts
	ProviderID string
	Attempts   int       // calls that were made
	SentAt     time.Time // when a provider took it
	UpdatedAt  time.Time // when it came to this state; zero while nothing has happened
}

// Facts are what is known of one part.
type Facts struct {
	Count     int // of its messages
	ExpiresAt time.Time
	Log       []Entry
	Receipts  []Receipt
}

// Wait says why nothing goes on for now.
type Wait struct{ Reason, Provider string }

// call is what is known of one call for one message.
type call struct {
	Begun
	until, begunAt time.Time
	// status is the word with the highest rank; the rest is what was said with it.
	status                     string
	reason, detail, providerID string
	at, sentAt                 time.Time
}

// hear takes a word where it says more than what is known.
func (c *call) hear(status, providerID, reason, detail string, at time.Time) {
	if rank(status) <= rank(c.status) {
		return
	}
	c.status, c.reason, c.detail, c.at = status, reason, detail, at
	c.providerID = cmp.Or(providerID, c.providerID)
	if (status == statusSent || status == statusDelivered) && c.sentAt.IsZero() {
		c.sentAt = at
	}
}

// story is what the log says of one message.
type story struct {
	calls    []*call
	canceled time.Time
	settled  *Ended // without a call
}

func (s *story) call(attempt int) *call {
	for _, c := range s.calls {
		if c.Attempt == attempt {
			return c
		}
	}
	return nil
}

// withdrawable tells whether a cancel still stops the message: nobody calls for it, and nobody may have called
// with success.
func (s *story) withdrawable() bool {
	if !s.canceled.IsZero() || s.settled != nil {
		return false
	}
	for _, c := range s.calls {
		if c.status != statusRetrying {
			return false
		}
	}
	return true
}

func (s *story) end(e Ended) {
	if e.Attempt == 0 {
		if s.settled == nil && rank(e.Status) >= rank(statusFailed) {
			s.settled = &e
		}
		return
	}
	c := s.call(e.Attempt)
	if c == nil { // the entry with its beginning cannot be read
		c = &call{Begun: Begun{Place: e.Place, Attempt: e.Attempt, Provider: e.Provider}}
		s.calls = append(s.calls, c)
	}
	c.hear(e.Status, e.ProviderID, e.Reason, e.Detail, e.At)
}

// read applies the log in its order, then the receipts in any. A receipt counts only for a call that was begun
// with its provider.
func (f Facts) read() []story {
	stories := make([]story, max(f.Count, 0))
	at := func(place int) *story {
		if place < 0 || place >= len(stories) {
			return &story{} // of nobody
		}
		return &stories[place]
	}
	for _, e := range f.Log {
		for _, ended := range e.Ended {
			at(ended.Place).end(ended)
		}
		for _, place := range e.Canceled {
			if s := at(place); s.withdrawable() {
				s.canceled = e.At
			}
		}
		if e.All {
			for i := range stories {
				if s := &stories[i]; len(s.calls) == 0 && s.withdrawable() {
					s.canceled = e.At
				}
			}
		}
		for _, b := range e.Begun {
			if s := at(b.Place); s.call(b.Attempt) == nil {
				s.calls = append(s.calls, &call{Begun: b, until: e.Until, begunAt: e.At, at: e.At})
			}
		}
	}
	for _, r := range f.Receipts {
		if c := at(r.Place).call(r.Attempt); c != nil && c.Provider == r.Provider {
			reason := r.Reason
			if r.Status == statusUnanswered {
				reason = cmp.Or(reason, statusUnanswered)
			}
			c.hear(r.Status, r.ProviderID, reason, r.Detail, r.At)
		}
	}
	return stories
}

// Fold is what became of each message of a part, by its place.
func (f Facts) Fold(now time.Time) []Progress {
	stories := f.read()
	progress := make([]Progress, len(stories))
	for i := range stories {
		progress[i] = stories[i].progress(f.ExpiresAt, now)
	}
	return progress
}

// Withdrawable are the places whose messages a cancel would still stop. untouched tells that those are all of
// the part.
func (f Facts) Withdrawable(now time.Time) (places []int, untouched bool) {
	stories := f.read()
	untouched = len(stories) > 0
	for i := range stories {
		if s := &stories[i]; s.withdrawable() && now.Before(f.ExpiresAt) {
			places = append(places, i)
			untouched = untouched && len(s.calls) == 0
		} else {
			untouched = false
		}
	}
	return places, untouched
}

// Waits is why nothing goes on, where the last entry of the log says so.
func (f Facts) Waits() (Wait, bool) {
	if len(f.Log) == 0 {
		return Wait{}, false
	}
	last := f.Log[len(f.Log)-1]
	return Wait{last.Waiting, last.Provider}, last.Waiting != ""
}

func (s *story) progress(expires, now time.Time) Progress {
	c := s.counts()
	switch {
	case c != nil && (c.status == statusSent || c.status == statusDelivered):
		return s.of(c, State(c.status))
	case !s.canceled.IsZero():
		return Progress{State: Canceled, Attempts: len(s.calls), UpdatedAt: s.canceled}
	case s.settled != nil:
		e := s.settled
		state := Failed
		if e.Status == statusExpired {
			state = Expired
		}
		return Progress{
			State: state, Reason: e.Reason, Detail: e.Detail, Provider: e.Provider, Attempts: len(s.calls), UpdatedAt: e.At,
		}
	case c != nil && (c.status == statusFailed || c.status == statusUnanswered):
		return s.of(c, Failed)
	case c != nil && c.status == statusExpired:
		return s.of(c, Expired)
	case c != nil && c.status == statusUnknown:
		return s.of(c, Unknown)
	case c != nil && c.status == "" && now.After(c.until): // whoever called is gone
		return s.of(c, Unknown)
	case c != nil && c.status == "":
		return s.of(c, Sending)
	case !now.Before(expires):
		return Progress{State: Expired, Attempts: len(s.calls), UpdatedAt: expires}
	case c != nil: // another call follows
		return s.of(c, Queued)
	default:
		return Progress{State: Queued}
	}
}

// counts is the call that says where the message stands: one that a provider took, before all others; else the last.
func (s *story) counts() *call {
	if len(s.calls) == 0 {
		return nil
	}
	took := func(c *call) int {
		switch c.status {
		case statusDelivered:
			return 2
		case statusSent:
			return 1
		default:
			return 0
		}
	}
	return slices.MaxFunc(s.calls, func(a, b *call) int {
		return cmp.Or(cmp.Compare(took(a), took(b)), cmp.Compare(a.Attempt, b.Attempt))
	})
}

func (s *story) of(c *call, state State) Progress {
	p := Progress{
		State: state, Provider: c.Provider, ProviderID: c.providerID, Attempts: len(s.calls), SentAt: c.sentAt, UpdatedAt: c.at,
	}
	if state == Failed || state == Expired || state == Unknown {
		p.Reason, p.Detail = c.reason, c.detail
	}
	return p
}

// Called finds the call that a receipt is about: of this provider and attempt; without an attempt the last of
// this provider that got no other id. False where there was none.
func (f Facts) Called(r Receipt) (attempt int, call Call, found bool) {
	stories := f.read()
	if r.Place < 0 || r.Place >= len(stories) {
		return 0, Call{}, false
	}
	for _, c := range stories[r.Place].calls {
		fits := c.Provider == r.Provider && (r.Attempt == 0 || r.Attempt == c.Attempt) &&
			(c.providerID == "" || r.ProviderID == "" || c.providerID == r.ProviderID)
		if fits && c.Attempt >= attempt {
			attempt, found = c.Attempt, true
			call = Call{Route: c.Route, BegunAt: c.begunAt, News: rank(r.Status) > rank(c.status)}
		}
	}
	return attempt, call, found
}
