package browsertest

import (
	"strings"
	"sync"
	"testing"
)

// atOnce is how many tests of a process have browsers at a time. A browser is a dozen processes, and tests that run
// side by side in dozens would keep everything else from starting.
const atOnce = 3

// turns holds the tests that have browsers, with how many. A test that has one gets its next ones at once, so that two
// tests never wait for each other.
var turns = struct {
	sync.Mutex
	ended *sync.Cond
	held  map[string]int
}{held: map[string]int{}}

// wait takes a turn for the test until it ends.
func wait(t *testing.T) {
	t.Helper()
	whole, _, _ := strings.Cut(t.Name(), "/")
	turns.Lock()
	defer turns.Unlock()
	if turns.ended == nil {
		turns.ended = sync.NewCond(&turns.Mutex)
	}
	for turns.held[whole] == 0 && len(turns.held) >= atOnce {
		turns.ended.Wait()
	}
	turns.held[whole]++
	t.Cleanup(func() {
		turns.Lock()
		defer turns.Unlock()
		if turns.held[whole]--; turns.held[whole] == 0 {
			delete(turns.held, whole)
		}
		turns.ended.Broadcast()
	})
}
