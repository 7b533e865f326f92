package notification

import (
	"sync"
	"time"
)

const (
	// late is how much longer than usual a verification may lie with the broker before bulk makes room.
	late = 10 * time.Millisecond
	// settle is between two changes of what bulk may use.
	settle = 100 * time.Millisecond
	// usual is for how long the shortest wait that was seen counts as the usual one.
	usual = 30 * time.Second
	// least is the part of its slots that bulk keeps, whatever waits: a share, not what is left over.
	least = 4
)

// pressure is how many of bulk's slots are kept free because verifications wait longer than they usually do: the
// process, or the machine, has no time left. It goes up quickly and down slowly. Only differences count, so the
// broker's clock may differ from ours.
type pressure struct {
	most int // slots that may be kept free

	mu      sync.Mutex
	kept    int
	worst   time.Duration // since the last change
	changed time.Time
	// The shortest waits of the present and the last while.
	shortest, before time.Duration
	since            time.Time
}

func newPressure(slots int) *pressure { return &pressure{most: slots - max(slots/least, 1)} }

// waited takes in how long a verification lay with the broker.
func (p *pressure) waited(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		p.shortest, p.before, p.since = d, d, now
	}
	if now.Sub(p.since) > usual {
		p.before, p.shortest, p.since = p.shortest, d, now
	}
	p.shortest = min(p.shortest, d)
	p.worst = max(p.worst, d-min(p.shortest, p.before))
}

// keep says how many slots are to be kept free now.
func (p *pressure) keep(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.changed) < settle {
		return p.kept
	}
	if p.worst > late {
		p.kept += max((p.most-p.kept)/2, 1)
	} else {
		p.kept -= max(p.most/16, 1)
	}
	p.kept = min(max(p.kept, 0), p.most)
	p.worst, p.changed = 0, now
	return p.kept
}
