package events

import "time"

// Grace is how long records outlive their verification, so that a client that comes late still
// reads how it ended, and support staff the timeline.
const Grace = 15 * time.Minute

// EarlierLife tells of what happened under an id whether it is about another verification than the one that
// was created then: an id that comes from an idempotency key returns when its records have left, and reports
// stay a little longer. Half of the grace is more than clocks differ.
func EarlierLife(created, at time.Time) bool { return at.Before(created.Add(-Grace / 2)) }
