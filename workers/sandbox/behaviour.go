package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assent-io/assent/events"
)

// The modes of a carrier.
const (
	modeNormal      = "normal"
	modeSlow        = "slow"        // answers after Delay
	modeRefuse      = "refuse"      // the provider's permanent error
	modeThrottle    = "throttle"    // 429
	modeUnavailable = "unavailable" // 503 with an HTML body, as a proxy in between would send
	modeHang        = "hang"        // takes the request and never answers
)

func modes() []string {
	return []string{modeNormal, modeSlow, modeRefuse, modeThrottle, modeUnavailable, modeHang}
}

const (
	defaultDelay      = 5.0
	defaultRetryAfter = 2
	maxDelay          = 600
)

// rule tells the carriers how to behave towards the requests it covers.
type rule struct {
	Mode       string         `json:"mode"`
	Delay      float64        `json:"delay"`       // seconds, for slow
	RetryAfter int            `json:"retry_after"` // seconds, for throttle; 0 names none
	Channel    events.Channel `json:"channel,omitempty"`
	Provider   string         `json:"provider,omitempty"`
	// Count is how many requests the rule still covers; 0 is no limit.
	Count int64 `json:"count,omitempty"`

	left *atomic.Int64 // set when Count is
}

func (r rule) covers(c events.Channel, provider string) bool {
	return (r.Channel == "" || r.Channel == c) && (r.Provider == "" || r.Provider == provider)
}

// behaviour holds at most one rule per scope. Requests read it without a lock.
type behaviour struct {
	mu    sync.Mutex // of writers
	rules atomic.Pointer[[]rule]
}

// take finds the rule for a request and uses it up by one. The narrowest scope wins.
func (b *behaviour) take(c events.Channel, provider string) (rule, bool) {
	rules := b.rules.Load()
	if rules == nil {
		return rule{}, false
	}
	for _, r := range *rules {
		if r.covers(c, provider) && (r.left == nil || r.left.Add(-1) >= 0) {
			return r, r.Mode != modeNormal
		}
	}
	return rule{}, false
}

// set replaces the rule of the same scope. Normal without a scope ends all rules.
func (b *behaviour) set(r rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := []rule{}
	if r.Mode != modeNormal || r.Channel != "" || r.Provider != "" {
		for _, old := range b.current() {
			if old.Channel != r.Channel || old.Provider != r.Provider {
				next = append(next, old)
			}
		}
		if r.Count > 0 {
			r.left = &atomic.Int64{}
			r.left.Store(r.Count)
		}
		next = append(next, r)
	}
	slices.SortStableFunc(next, func(a, b rule) int { return narrowness(b) - narrowness(a) })
	if len(next) == 0 {
		b.rules.Store(nil)
		return
	}
	b.rules.Store(&next)
}

func narrowness(r rule) int {
	n := 0
	if r.Provider != "" {
		n += 2
	}
	if r.Channel != "" {
		n++
	}
	return n
}

// current lists the rules that still cover something, with what is left of their counts.
func (b *behaviour) current() []rule {
	rules := []rule{}
	stored := b.rules.Load()
	if stored == nil {
		return rules
	}
	for _, r := range *stored {
		if r.left != nil {
			if r.Count = r.left.Load(); r.Count <= 0 {
				continue
			}
		}
		rules = append(rules, r)
	}
	return rules
}

type behaviourView struct {
	rule
	Rules []rule `json:"rules"` // those with a narrower scope
}

// view is the rule without a scope, normal when there is none, and all others.
func (b *behaviour) view() behaviourView {
	v := behaviourView{rule: rule{Mode: modeNormal, Delay: defaultDelay, RetryAfter: defaultRetryAfter}, Rules: []rule{}}
	for _, r := range b.current() {
		if r.Channel == "" && r.Provider == "" {
			v.rule = r
		} else {
			v.Rules = append(v.Rules, r)
		}
	}
	return v
}

func (s *Sandbox) getBehaviour(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.behaviour.view())
}

func (s *Sandbox) putBehaviour(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Mode       string         `json:"mode"`
		Delay      *float64       `json:"delay"`
		RetryAfter *int           `json:"retry_after"`
		Channel    events.Channel `json:"channel"`
		Provider   string         `json:"provider"`
		Count      int64          `json:"count"`
	}
	if !decodeJSON(w, r, &in) {
		return
	}
	var errs []fieldError
	if !slices.Contains(modes(), in.Mode) {
		errs = append(errs, fieldError{"#/mode", "want normal, slow, refuse, throttle, unavailable or hang"})
	}
	next := rule{Mode: in.Mode, Delay: defaultDelay, RetryAfter: defaultRetryAfter, Channel: in.Channel, Provider: in.Provider, Count: in.Count}
	if in.Delay != nil {
		next.Delay = *in.Delay
	}
	if in.RetryAfter != nil {
		next.RetryAfter = *in.RetryAfter
	}
	if next.Delay < 0 || next.Delay > maxDelay {
		errs = append(errs, fieldError{"#/delay", fmt.Sprintf("want 0 to %d seconds", maxDelay)})
	}
	if next.RetryAfter < 0 || next.RetryAfter > 3600 {
		errs = append(errs, fieldError{"#/retry_after", "want 0 to 3600 seconds"})
	}
	if in.Channel != "" && !slices.Contains(events.Channels(), in.Channel) {
		errs = append(errs, fieldError{"#/channel", "want sms, voice, email or push"})
	}
	if in.Provider != "" && !slices.Contains([]string{providerTwilio, providerSendGrid, providerAPNs, providerFCM, providerWebPush}, in.Provider) {
		errs = append(errs, fieldError{"#/provider", "want twilio, sendgrid, apns, fcm or webpush"})
	}
	if in.Count < 0 {
		errs = append(errs, fieldError{"#/count", "want a number of requests, or 0 for no limit"})
	}
	if len(errs) > 0 {
		writeProblem(w, invalid(errs...))
		return
	}
	s.behaviour.set(next)
	s.inbox.signal(changeBehaviour)
	writeJSON(w, http.StatusOK, s.behaviour.view())
}

// dialect is how one provider says no.
type dialect struct {
	channel  events.Channel
	provider string
	refuse   func(w http.ResponseWriter)
	throttle func(w http.ResponseWriter, retryAfter int)
}

// misbehave plays the current rule, and reports whether it answered the request. The body must have
// been read, or a client that gives up while the carrier hangs would not be noticed.
func (s *Sandbox) misbehave(w http.ResponseWriter, r *http.Request, d dialect) bool {
	rule, ok := s.behaviour.take(d.channel, d.provider)
	if !ok {
		return false
	}
	if rule.left != nil {
		s.inbox.signal(changeBehaviour) // one fewer left
	}
	switch rule.Mode {
	case modeSlow:
		if s.settle(r.Context(), time.Duration(rule.Delay*float64(time.Second))) {
			return false
		}
		panic(http.ErrAbortHandler)
	case modeRefuse:
		d.refuse(w)
	case modeThrottle:
		d.throttle(w, rule.RetryAfter)
	case modeUnavailable:
		writeUnavailable(w)
	case modeHang:
		select {
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		panic(http.ErrAbortHandler) // closes the connection or stream without an answer
	}
	return true
}

func writeUnavailable(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("<html><head><title>503 Service Temporarily Unavailable</title></head><body><h1>503 Service Temporarily Unavailable</h1></body></html>\n"))
}

func setRetryAfter(w http.ResponseWriter, seconds int) {
	if seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}
