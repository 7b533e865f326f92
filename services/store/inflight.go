package store

import "sync"

// inFlight are the ids of idempotent requests that this process is answering. Its zero value is ready.
type inFlight struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

// begin takes an id; false where it is taken.
func (f *inFlight) begin(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, busy := f.ids[id]; busy {
		return false
	}
	if f.ids == nil {
		f.ids = map[string]struct{}{}
	}
	f.ids[id] = struct{}{}
	return true
}

func (f *inFlight) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ids, id)
}
