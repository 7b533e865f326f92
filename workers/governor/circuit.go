package governor

import (
	"time"

	"github.com/assent-io/assent/events"
)

// When a provider is left alone by all, as routing does for one process: after so many failures in a row, or where this share of so
// many calls failed within the interval. One call then looks whether it is back, every pause.
const (
	tripInARow   = 5
	tripOf       = 20
	tripShare    = 0.5
	tripInterval = 10 * time.Second
	circuitPause = 5 * time.Second
	probeWait    = time.Second
	// probeLife is how long a probe may take; then another looks.
	probeLife   = 15 * time.Second
	maxThrottle = 15 * time.Minute // no message of a verification lives longer
)

// circuit is what calls came to over all processes.
type circuit struct {
	open      bool
	since     time.Time // of the present state
	until     time.Time // no call before, while open
	throttled time.Time // no call before

	from          time.Time // of the window
	calls, failed int
	run           int

	probe   string // the process that looks; empty: nobody
	probeAt time.Time
}

// report takes in what calls of one process came to, and tells whether the state changed.
func (c *circuit) report(now time.Time, process string, r events.ProviderReport) (changed bool) {
	if r.Throttled > 0 {
		until := now.Add(min(time.Duration(r.Throttled)*time.Millisecond, maxThrottle))
		if until.After(c.throttled) {
			changed = !now.Before(c.throttled)
			c.throttled = until
		}
	}
	if c.open {
		if r.Probe == "" || process != c.probe {
			return changed // what was begun before it opened says nothing new
		}
		c.probe = ""
		switch r.Probe {
		case events.ProbeOK:
			*c = circuit{since: now, from: now, throttled: c.throttled}
			return true
		case events.ProbeFailed:
			c.until = now.Add(circuitPause)
			return true
		default:
			return changed
		}
	}
	if now.Sub(c.from) >= tripInterval {
		c.from, c.calls, c.failed = now, 0, 0
	}
	c.calls += r.OK + r.Failed
	c.failed += r.Failed
	switch {
	case r.OK > 0:
		c.run = r.Run
	case r.Failed > 0:
		c.run += r.Failed
	}
	if c.run >= tripInARow || c.calls >= tripOf && float64(c.failed) >= tripShare*float64(c.calls) {
		*c = circuit{open: true, since: now, until: now.Add(circuitPause), throttled: c.throttled}
		return true
	}
	return changed
}

// refusal says why nobody may call, or nothing. probe tells that one may, to look.
func (c *circuit) refusal(now time.Time) (reason string, wait time.Duration, probe bool) {
	if wait := c.throttled.Sub(now); wait > 0 {
		return events.WaitThrottled, wait, false
	}
	switch {
	case !c.open:
		return "", 0, false
	case now.Before(c.until):
		return events.WaitUnavailable, c.until.Sub(now), false
	case c.probe != "" && now.Sub(c.probeAt) < probeLife:
		return events.WaitUnavailable, probeWait, false // one is looking just now
	default:
		return "", 0, true
	}
}

// look lets one process look whether the provider is back.
func (c *circuit) look(now time.Time, process string) { c.probe, c.probeAt = process, now }

// leave takes back the probe of a process that died.
func (c *circuit) leave(process string) {
	if c.probe == process {
		c.probe = ""
	}
}
