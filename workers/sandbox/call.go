package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	callWorkers    = 32
	callBacklog    = 20_000
	callPatience   = 10 * time.Minute // how long a call waits for keys before the person hangs up
	maxDocuments   = 20               // fetched by one call; a script that loops ends there
	maxLoop        = 10
	applicationErr = "An application error has occurred. Goodbye."
)

// switchboard runs calls on a bounded pool. A call that waits for keys holds no worker.
type switchboard struct {
	s       *Sandbox
	backlog chan *call
}

func startSwitchboard(s *Sandbox) *switchboard {
	b := &switchboard{s: s, backlog: make(chan *call, callBacklog)}
	for range callWorkers {
		s.work.Go(func() {
			for {
				select {
				case <-s.ctx.Done():
					return
				case c := <-b.backlog:
					c.ring()
				}
			}
		})
	}
	return b
}

// place queues a call; false when all lines are taken.
func (b *switchboard) place(c *call) bool {
	select {
	case b.backlog <- c:
		return true
	default:
		return false
	}
}

// call is one phone call: the listener that hears the script and presses keys. Its lock lets
// one step happen at a time; what the page shows is in the message, under the inbox's lock.
type call struct {
	s              *Sandbox
	m              *message
	script         []verb
	scriptURL      string
	method         string
	statusCallback string
	events         []string
	detect         bool
	fate           outcome

	mu        sync.Mutex
	documents int
	sequence  int
	answered  time.Time
	gather    *verb  // waits for keys
	rest      []verb // what follows when none come
	here      string // URL of the present document
	patience  *time.Timer
	over      bool
}

// ring is the call from its first sign to where it waits for keys, or its end.
func (c *call) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report("initiated", "initiated", nil)
	c.report("ringing", "ringing", nil)
	if status, ok := map[outcome]string{outcomeUndelivered: "no-answer", outcomeSilent: "busy"}[c.fate]; ok {
		c.end(status)
		return
	}
	c.answered = c.s.now()
	c.s.inbox.change(c.m, func() { c.m.status, c.m.callState = "in-progress", callSpeaking })
	c.report("answered", "in-progress", nil)
	script := c.script
	if script == nil {
		got, next, err := c.fetch(c.s.ctx, c.scriptURL, c.method, "script", nil)
		if err != nil || got.status >= 300 {
			c.apologise()
			return
		}
		script, c.here = next, c.scriptURL
	}
	c.speak(c.s.ctx, script)
}

// speak runs a script until it ends or waits for keys.
func (c *call) speak(ctx context.Context, script []verb) {
	for i := 0; i < len(script); i++ {
		v := script[i]
		switch v.name {
		case "Say":
			c.say(v)
		case "Hangup":
			c.end("completed")
			return
		case "Redirect":
			_, next, err := c.fetch(ctx, v.text, v.attr["method"], "redirect", nil)
			if err != nil {
				c.apologise()
				return
			}
			script, i = next, -1
		case "Gather":
			for _, prompt := range v.nested {
				if prompt.name == "Say" {
					c.say(prompt)
				}
			}
			if in := v.attr["input"]; in != "" && !strings.Contains(in, "dtmf") {
				continue // the listener never speaks
			}
			if !strings.HasSuffix(c.path(v.attr["action"]), "/code") {
				c.wait(v, script[i+1:])
				return
			}
			// The listener presses a key for whoever waits for a code, so that the text ends with it.
			_, next, err := c.press(ctx, v, "1")
			if err != nil {
				c.apologise()
				return
			}
			script, i = next, -1
		}
	}
	c.end("completed")
}

func (c *call) path(action string) string {
	u, err := url.Parse(action)
	if err != nil {
		return ""
	}
	return u.Path
}

func (c *call) say(v verb) {
	loops := 1
	if n, err := strconv.Atoi(v.attr["loop"]); err == nil {
		loops = n
		if n == 0 || n > maxLoop {
			loops = maxLoop
		}
	}
	c.s.inbox.change(c.m, func() {
		for range loops {
			c.m.lines = append(c.m.lines, v.text)
		}
		c.m.text = strings.Join(c.m.lines, "\n")
		c.m.code = c.s.find.codeSpoken(c.m.lines)
	})
}

func (c *call) wait(v verb, rest []verb) {
	c.gather, c.rest = &v, rest
	c.patience = time.AfterFunc(callPatience, c.hangUp)
	wants, err := strconv.Atoi(v.attr["numDigits"])
	if err != nil {
		wants = 0
	}
	c.s.inbox.change(c.m, func() { c.m.callState, c.m.wants, c.m.complete = callWaiting, wants, true })
}

// finish is the keys that end the input of a Gather: # unless it says otherwise.
func (v verb) finish() string {
	if keys, ok := v.attr["finishOnKey"]; ok {
		return keys
	}
	return "#"
}

// firstOf is how many of the keys one Gather takes: it has enough of them, or one that ends them.
func (v verb) firstOf(keys string) string {
	if at := strings.IndexAny(keys, v.finish()); at >= 0 {
		keys = keys[:at+1]
	}
	if n, err := strconv.Atoi(v.attr["numDigits"]); err == nil && n > 0 && n < len(keys) {
		keys = keys[:n]
	}
	return keys
}

// press posts keys to where a Gather wants them and returns the script that came back.
func (c *call) press(ctx context.Context, v verb, keys string) (reply, []verb, error) {
	action := v.attr["action"]
	if action == "" {
		action = c.here
	}
	c.s.inbox.change(c.m, func() { c.m.keys += keys })
	digits, finished := keys, ""
	if at := strings.IndexAny(keys, v.finish()); at >= 0 {
		digits, finished = keys[:at], keys[at:at+1]
	}
	return c.fetch(ctx, action, v.attr["method"], "keys "+keys, url.Values{
		"Digits": {digits}, "FinishedOnKey": {finished}, "msg": {"Gather End"},
	})
}

// fetch gets the next script, as the provider does: a signed form, answered with TwiML.
func (c *call) fetch(ctx context.Context, target, method, name string, extra url.Values) (reply, []verb, error) {
	c.documents++
	if c.documents > maxDocuments {
		return reply{}, nil, fmt.Errorf("the script fetched more than %d documents", maxDocuments)
	}
	if base, err := url.Parse(c.here); err == nil && c.here != "" {
		if u, err := base.Parse(target); err == nil {
			target = u.String()
		}
	}
	form := c.form("in-progress")
	for k, v := range extra {
		form[k] = v
	}
	var got reply
	var err error
	if strings.EqualFold(method, http.MethodGet) {
		u, bad := url.Parse(target)
		if bad != nil {
			return reply{}, nil, errors.New("the script names no URL that can be called")
		}
		q := u.Query()
		for k, v := range form {
			q[k] = v
		}
		u.RawQuery = q.Encode()
		got, err = c.s.call(ctx, http.MethodGet, u.String(), http.Header{"X-Twilio-Signature": {c.s.signTwilio(u.String(), nil)}}, nil)
	} else {
		header, body := c.s.signedForm(target, form)
		got, err = c.s.post(ctx, target, header, body)
	}
	fault := ""
	var script []verb
	switch {
	case err != nil:
		fault = err.Error()
	case got.status >= 300:
		err = fmt.Errorf("the script's URL answered %d", got.status)
	default:
		if script, err = parseTwiML(got.body); err != nil {
			fault = "not TwiML: " + err.Error()
		}
	}
	c.s.callbacks.record(c.m, callback{name: name, url: target, attempt: 1}, got, fault)
	if err == nil {
		c.here = target
	}
	return got, script, err
}

func (c *call) form(status string) url.Values {
	return url.Values{
		"CallSid": {c.m.providerID}, "AccountSid": {c.s.account.TwilioAccountSID}, "ApiVersion": {"2010-04-01"},
		"From": {c.m.from}, "To": {c.m.to}, "Caller": {c.m.from}, "Called": {c.m.to}, "Direction": {"outbound-api"}, "CallStatus": {status},
	}
}

// report posts a status callback, where the event was asked for.
func (c *call) report(event, status string, extra url.Values) {
	if c.statusCallback == "" || !slices.Contains(c.events, event) {
		return
	}
	form := c.form(status)
	form.Set("CallbackSource", "call-progress-events")
	form.Set("SequenceNumber", strconv.Itoa(c.sequence))
	form.Set("Timestamp", c.s.now().UTC().Format(twilioTime))
	c.sequence++
	for k, v := range extra {
		form[k] = v
	}
	header, body := c.s.signedForm(c.statusCallback, form)
	c.s.callbacks.add(c.m, callback{name: event, url: c.statusCallback, header: header, body: body})
}

func (c *call) apologise() {
	c.say(verb{name: "Say", text: applicationErr})
	c.end("completed")
}

// end closes the call; the message is complete from here on.
func (c *call) end(status string) {
	if c.over {
		return
	}
	c.over, c.gather, c.rest = true, nil, nil
	if c.patience != nil {
		c.patience.Stop()
	}
	extra := url.Values{"Duration": {"0"}, "CallDuration": {"0"}, "SipResponseCode": {"200"}}
	if status != "completed" {
		extra.Set("SipResponseCode", map[string]string{"busy": "486", "no-answer": "487"}[status])
	} else {
		seconds := int(c.s.now().Sub(c.answered).Seconds()) + 1
		extra.Set("CallDuration", strconv.Itoa(seconds))
		extra.Set("Duration", strconv.Itoa((seconds+59)/60))
		if c.detect {
			extra.Set("AnsweredBy", "human")
		}
	}
	c.s.inbox.change(c.m, func() { c.m.status, c.m.callState, c.m.complete = status, callEnded, true })
	c.report("completed", status, extra)
}

// hangUp is the person ending the call, or losing patience.
func (c *call) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s.ctx.Err() == nil {
		c.end("completed")
	}
}

var errNotWaiting = errors.New("the call waits for no keys")

// answer presses keys for the person. Keys beyond what one question takes answer the next one.
func (c *call) answer(ctx context.Context, keys string) (reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gather == nil {
		return reply{}, errNotWaiting
	}
	var last reply
	for keys != "" && c.gather != nil {
		v := *c.gather
		now := v.firstOf(keys)
		keys = keys[len(now):]
		c.patience.Stop()
		got, next, err := c.press(ctx, v, now)
		if got.status == 0 {
			c.wait(v, c.rest) // Assent was not reached: the person can press again
			return got, err
		}
		last = got
		c.gather, c.rest = nil, nil
		if err != nil {
			c.apologise()
			break
		}
		c.s.inbox.change(c.m, func() { c.m.callState = callSpeaking })
		c.speak(c.s.ctx, next)
	}
	return last, nil
}
