package onelogin

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// announcedRate is what the headers say where no limit is set: OneLogin's, and all of it left.
	announcedRate = 5000
	rateWindow    = time.Hour
)

// rates counts the calls of each account in the running hour of this process.
type rates struct {
	limit int // zero: none
	now   func() time.Time

	mu     sync.Mutex
	window time.Time
	counts map[string]int
}

func newRates(limit int, now func() time.Time) *rates {
	return &rates{limit: limit, now: now, counts: map[string]int{}}
}

// rate is where an account stands.
type rate struct{ limit, remaining, reset int }

func (r *rates) take(account string, n int) (rate, bool) {
	now := r.now()
	window := now.Truncate(rateWindow)
	reset := max(1, int(window.Add(rateWindow).Sub(now).Seconds()))
	if r.limit == 0 {
		return rate{announcedRate, announcedRate, reset}, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !window.Equal(r.window) {
		r.window, r.counts = window, map[string]int{}
	}
	used := r.counts[account]
	if n > 0 && used >= r.limit {
		return rate{r.limit, 0, reset}, false
	}
	r.counts[account] = used + n
	return rate{r.limit, r.limit - used - n, reset}, true
}

// count takes one call of the client's account and says in the headers what is left.
func (r *rates) count(c *call) error {
	now, ok := r.take(c.client.Account, 1)
	h := c.w.Header()
	h.Set("X-Ratelimit-Limit", strconv.Itoa(now.limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(now.remaining))
	h.Set("X-Ratelimit-Reset", strconv.Itoa(now.reset))
	if ok {
		return nil
	}
	return &fault{
		status: http.StatusTooManyRequests, message: "API rate limit exceeded",
		header: http.Header{"Retry-After": {strconv.Itoa(now.reset)}},
	}
}
