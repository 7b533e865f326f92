package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"
	"sync"

	"github.com/assent-io/assent/events"
)

// changesKept bounds how far back a live feed can resume; beyond it the page reads the list again.
const changesKept = 4096

// inbox keeps the newest messages in order of arrival, wakes those who wait for one,
// and remembers the latest changes for the live feed.
type inbox struct {
	mu       sync.Mutex
	max      int
	seq      uint64
	order    []*message // oldest first
	byID     map[string]*message
	byTo     map[string][]*message // oldest first
	bySID    map[string]*message   // by the provider's id
	waiters  map[string]map[*waiter]struct{}
	epoch    string // tells feeds of this process from those of an earlier one
	changes  [changesKept]change
	changed  uint64 // number of the latest change
	watchers map[chan struct{}]struct{}
}

// change is one entry of the feed. With no message it carries a name alone.
type change struct {
	name string // message, cleared, behaviour, phones
	m    *message
}

const (
	changeMessage   = "message"
	changeCleared   = "cleared"
	changeBehaviour = "behaviour"
	changePhones    = "phones"
)

// filter selects messages; zero fields match all.
type filter struct {
	to       string // as canonical returns it
	channel  events.Channel
	after    uint64 // only messages that arrived after this one
	limit    int
	unspoken bool // also calls whose script is still being spoken
}

func (f filter) matches(m *message) bool {
	return (f.to == "" || m.key == f.to) && (f.channel == "" || m.channel == f.channel) &&
		m.seq > f.after && (m.complete || f.unspoken)
}

type waiter struct {
	filter filter
	found  chan struct{}
}

func newInbox(limit int) *inbox {
	return &inbox{
		max: limit, epoch: newID(), byID: map[string]*message{}, byTo: map[string][]*message{}, bySID: map[string]*message{},
		waiters: map[string]map[*waiter]struct{}{}, watchers: map[chan struct{}]struct{}{},
	}
}

func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// canonical makes equal addresses equal: mailboxes compare without case, and a plus
// that arrived as a space (not escaped in a query) is a plus.
func canonical(to string) string {
	if strings.HasPrefix(to, " ") {
		to = "+" + strings.TrimLeft(to, " ")
	}
	if strings.Contains(to, "@") {
		return strings.ToLower(to)
	}
	if strings.HasPrefix(to, "+") && strings.ContainsAny(to, " -()") {
		return strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(to)
	}
	return to
}

// add puts a message into the inbox and gives it its id.
func (in *inbox) add(m *message) {
	m.id = newID()
	m.lane.m = m
	m.key = canonical(m.to)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seq++
	m.seq = in.seq
	if len(in.order) >= in.max {
		in.dropOldest()
	}
	in.order = append(in.order, m)
	in.byID[m.id] = m
	in.bySID[m.providerID] = m
	in.byTo[m.key] = append(in.byTo[m.key], m)
	in.wake(m)
	in.note(change{changeMessage, m})
}

func (in *inbox) dropOldest() {
	old := in.order[0]
	in.order[0] = nil
	in.order = in.order[1:]
	delete(in.byID, old.id)
	delete(in.bySID, old.providerID)
	if rest := in.byTo[old.key][1:]; len(rest) > 0 {
		in.byTo[old.key] = rest
	} else {
		delete(in.byTo, old.key)
	}
}

// change alters a message under the lock and tells whoever watches.
func (in *inbox) change(m *message, alter func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	alter()
	in.wake(m)
	if in.byID[m.id] == m { // it may have been cleared meanwhile
		in.note(change{changeMessage, m})
	}
}

// signal tells watchers of a change that is not a message's.
func (in *inbox) signal(name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.note(change{name: name})
}

func (in *inbox) note(c change) {
	in.changed++
	in.changes[in.changed%changesKept] = c
	for w := range in.watchers {
		select {
		case w <- struct{}{}:
		default: // it is already told
		}
	}
}

func (in *inbox) wake(m *message) {
	for _, key := range [...]string{m.key, ""} {
		for w := range in.waiters[key] {
			if w.filter.matches(m) {
				close(w.found)
				in.forget(key, w)
			}
		}
	}
}

func (in *inbox) forget(key string, w *waiter) {
	delete(in.waiters[key], w)
	if len(in.waiters[key]) == 0 {
		delete(in.waiters, key)
	}
}

// list returns the matches, newest first.
func (in *inbox) list(f filter) []summary {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.listLocked(f)
}

func (in *inbox) listLocked(f filter) []summary {
	from := in.order
	if f.to != "" {
		from = in.byTo[f.to]
	}
	found := []summary{}
	for i := len(from) - 1; i >= 0 && (f.limit == 0 || len(found) < f.limit) && from[i].seq > f.after; i-- {
		if f.matches(from[i]) {
			found = append(found, from[i].summarise())
		}
	}
	return found
}

// await returns the matches as soon as there is one, or none when the context ends.
func (in *inbox) await(ctx context.Context, f filter) []summary {
	in.mu.Lock()
	if found := in.listLocked(f); len(found) > 0 {
		in.mu.Unlock()
		return found
	}
	w := &waiter{filter: f, found: make(chan struct{})}
	if in.waiters[f.to] == nil {
		in.waiters[f.to] = map[*waiter]struct{}{}
	}
	in.waiters[f.to][w] = struct{}{}
	in.mu.Unlock()
	select {
	case <-w.found:
	case <-ctx.Done():
		in.mu.Lock()
		in.forget(f.to, w)
		in.mu.Unlock()
	}
	return in.list(f)
}

func (in *inbox) get(id string) *message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.byID[id]
}

func (in *inbox) bySIDOf(sid string) *message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bySID[sid]
}

// read runs view under the lock, for copying fields of a message.
func (in *inbox) read(view func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	view()
}

func (in *inbox) clear() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.order = nil
	clear(in.byID)
	clear(in.byTo)
	clear(in.bySID)
	in.note(change{name: changeCleared})
}
