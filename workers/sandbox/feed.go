package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	feedComment = 15 * time.Second       // keeps proxies from closing a quiet stream
	feedPause   = 100 * time.Millisecond // under load, changes of the same message go out once
)

// fed is one event of the live stream.
type fed struct {
	id   string
	name string
	data any
}

// streamEvents is the live feed of the page, as server-sent events. A stream that resumes gets
// every message that changed since, as it is now; one that cannot resume is told to read the list.
func (s *Sandbox) streamEvents(w http.ResponseWriter, r *http.Request) {
	told, leave := s.inbox.watch()
	defer leave()
	at, resumed := s.inbox.position(r.Header.Get("Last-Event-ID"))

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // a stream outlives the server's limit; not every writer has one
	first := "resumed"
	if !resumed {
		first = "reset"
	}
	if _, err := fmt.Fprintf(w, "retry: 1000\n\nid: %s\nevent: %s\ndata: {}\n\n", s.inbox.feedID(at), first); err != nil {
		return
	}
	quiet := time.NewTicker(feedComment)
	defer quiet.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		var batch []fed
		batch, at = s.inbox.since(at)
		for _, e := range batch {
			data, err := json.Marshal(e.data)
			if err != nil {
				continue
			}
			if _, err := fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", e.id, e.name, data); err != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		pause.Reset(feedPause)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
		select {
		case <-told:
		case <-quiet.C:
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// watch returns a channel that is told of changes, until leave is called.
func (in *inbox) watch() (told <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	in.mu.Lock()
	in.watchers[c] = struct{}{}
	in.mu.Unlock()
	return c, func() {
		in.mu.Lock()
		delete(in.watchers, c)
		in.mu.Unlock()
	}
}

func (in *inbox) feedID(at uint64) string { return in.epoch + "-" + strconv.FormatUint(at, 10) }

// position finds where a stream that saw lastID goes on; false when it saw another process or too long ago.
func (in *inbox) position(lastID string) (at uint64, resumed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	epoch, number, _ := strings.Cut(lastID, "-")
	at, err := strconv.ParseUint(number, 10, 64)
	if err != nil || epoch != in.epoch || at > in.changed || in.changed-at >= changesKept {
		return in.changed, false
	}
	return at, true
}

// since collects what changed after at, each message once and as it is now.
func (in *inbox) since(at uint64) ([]fed, uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.changed-at >= changesKept {
		return []fed{{in.feedID(in.changed), "reset", struct{}{}}}, in.changed
	}
	var batch []fed
	seen := map[*message]bool{}
	for n := in.changed; n > at; n-- { // newest first, so that the latest place of a message counts
		c := in.changes[n%changesKept]
		e := fed{id: in.feedID(n), name: c.name, data: struct{}{}}
		if c.m != nil {
			if seen[c.m] {
				continue
			}
			seen[c.m] = true
			v := c.m.summarise()
			v.HTML = "" // the page frames it by its own URL
			e.data = v
		}
		batch = append(batch, e)
		if c.name == changeCleared {
			break
		}
	}
	for i, j := 0, len(batch)-1; i < j; i, j = i+1, j-1 {
		batch[i], batch[j] = batch[j], batch[i]
	}
	return batch, in.changed
}
