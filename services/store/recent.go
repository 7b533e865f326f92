package store

import (
	"slices"
	"sync"

	"github.com/assent-io/assent/events"
)

// recent remembers the activations this process saw last. They never change but for the count of
// sends, which readers of this cache do not look at. Two generations bound it: when the young one
// is full it becomes the old one, and what was not asked for since is forgotten.
type recent struct {
	mu    sync.Mutex
	young map[string]events.VerificationActivated
	old   map[string]events.VerificationActivated
}

// generation is how many activations one generation holds: about 4 MB.
const generation = 4096

func newRecent() *recent { return &recent{young: map[string]events.VerificationActivated{}} }

func (r *recent) get(id string) (events.VerificationActivated, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.young[id]; ok {
		return e, true
	}
	e, ok := r.old[id]
	if ok {
		r.keep(e)
	}
	return e, ok
}

func (r *recent) put(e events.VerificationActivated) {
	e.Content = events.Sealed{} // nobody reads it from here, and it is half the size
	e.Fallback = slices.Clone(e.Fallback)
	for i := range e.Fallback {
		e.Fallback[i].Content = events.Sealed{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(e)
}

func (r *recent) keep(e events.VerificationActivated) {
	if len(r.young) >= generation {
		r.old, r.young = r.young, make(map[string]events.VerificationActivated, generation)
	}
	r.young[e.ID] = e
}
