package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	account = "ACchaos"
	token   = "tokenofthechaos"
	sender  = "+14155550100"
	// nowhere starts the numbers that the carrier says do not exist.
	nowhere = "+1408"
)

// The names of the book's counts.
const (
	countBusy         = "answered 503"
	countResetTaken   = "reset, taken"
	countResetLost    = "reset, not taken"
	countHung         = "never answered"
	countUnauthorised = "unauthorised"
	countMalformed    = "malformed"
	countTold         = "callbacks taken"
	countRefused      = "callbacks refused"
	countGivenUp      = "callbacks given up"
)

// moods are what the carrier does to its callers, in shares of the calls.
type moods struct {
	latency     []time.Duration
	busy, reset float64
}

// weather is what the whole carrier is in.
type weather int32

const (
	fair weather = iota
	unavailable
	hanging
)

// carrier speaks Twilio's Messages API, with signed callbacks. Its moods depend on the seed, the
// number and how often that was called, and not on which call comes first.
type carrier struct {
	book    *book
	moods   moods
	seed    uint64
	address string
	weather atomic.Int32
	post    *http.Client
	// bulk and calls are what else is noted; nil where nobody asks.
	bulk  *bulk
	calls *calls

	ctx      context.Context //nolint:containedctx // the life of the callbacks
	end      context.CancelFunc
	reports  sync.WaitGroup
	messages atomic.Int64

	server *http.Server
	served chan struct{}
}

func newCarrier(b *book, m moods, seed uint64) (*carrier, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c := &carrier{book: b, moods: m, seed: seed, address: address, post: newHTTPClient()}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c, c.open()
}

// open begins to listen, and so ends what refuse began.
func (c *carrier) open() error {
	l, err := (&net.ListenConfig{}).Listen(c.ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("open the carrier: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{caller}/2010-04-01/Accounts/"+account+"/Messages.json", c.message)
	c.server, c.served = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, make(chan struct{})
	go func(s *http.Server, served chan struct{}) {
		defer close(served)
		_ = s.Serve(l) // until refuse
	}(c.server, c.served)
	return nil
}

// refuse closes every connection and takes no new ones.
func (c *carrier) refuse() {
	_ = c.server.Close() // nobody is told anything any more
	<-c.served
}

// close ends the carrier and gives its callbacks up.
func (c *carrier) close() {
	c.end()
	c.refuse()
	c.reports.Wait()
}

// url is where one life of one worker finds the carrier; the path tells them apart.
func (c *carrier) url(caller string) string { return "http://" + c.address + "/" + caller }

func (c *carrier) be(w weather) { c.weather.Store(int32(w)) }

// chance is the luck of one call.
func (c *carrier) chance(to string, call int) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, to, " ", call)
	return rand.New(rand.NewPCG(c.seed, h.Sum64())) //nolint:gosec // luck, not secrets
}

func (c *carrier) message(w http.ResponseWriter, r *http.Request) {
	if user, pass, ok := r.BasicAuth(); !ok || user != account || pass != token {
		c.book.count(countUnauthorised)
		refusal(w, http.StatusUnauthorized, 20003)
		return
	}
	to, body := r.PostFormValue("To"), r.PostFormValue("Body")
	if c.calls != nil {
		c.calls.note(time.Now())
	}
	if c.bulk != nil && c.bulk.take(to) {
		c.notice(w, r, to)
		return
	}
	code := sixDigits.FindString(body)
	if to == "" || code == "" {
		c.book.count(countMalformed)
		refusal(w, http.StatusBadRequest, 21604)
		return
	}
	luck := c.chance(to, c.book.call(to))
	latency := c.moods.latency[0] + rand.N(c.moods.latency[1]-c.moods.latency[0]+1) //nolint:gosec // a delay, not a secret
	mood, taken := luck.Float64(), luck.IntN(2) == 0
	switch now := weather(c.weather.Load()); {
	case now == hanging:
		c.book.count(countHung)
		<-r.Context().Done() // the caller gives up, or the server is closed
	case now == unavailable || mood < c.moods.busy:
		c.book.count(countBusy)
		wait(r.Context(), latency)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>")
	case strings.HasPrefix(to, nowhere):
		wait(r.Context(), latency)
		refusal(w, http.StatusBadRequest, 21211)
	case mood < c.moods.busy+c.moods.reset:
		if taken {
			c.book.count(countResetTaken)
			c.take(r, to, &message{carrier: "twilio", caller: r.PathValue("caller"), code: code, reset: true})
		} else {
			c.book.count(countResetLost)
		}
		wait(r.Context(), latency)
		reset(w)
	default:
		m := &message{carrier: "twilio", caller: r.PathValue("caller"), code: code}
		sid := c.take(r, to, m)
		if !wait(r.Context(), latency) {
			return // the caller is gone
		}
		c.book.answer(m)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"sid":%q,"status":"queued","to":%q}`, sid, to)
	}
}

// notice answers a call for a notification, in fair weather: its moods are not what is tried with those.
func (c *carrier) notice(w http.ResponseWriter, r *http.Request, to string) {
	latency := c.moods.latency[0] + rand.N(c.moods.latency[1]-c.moods.latency[0]+1) //nolint:gosec // a delay, not a secret
	sid := fmt.Sprintf("SM%032x", c.messages.Add(1))
	if c.bulk.receipts {
		c.announce(r, to, sid, "delivered")
	}
	if !wait(r.Context(), latency) {
		c.bulk.cut.Add(1)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"sid":%q,"status":"queued","to":%q}`, sid, to)
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// take remembers a message and begins to report what becomes of it.
func (c *carrier) take(r *http.Request, to string, m *message) (sid string) {
	c.book.take(to, m)
	sid = fmt.Sprintf("SM%032x", c.messages.Add(1))
	c.announce(r, to, sid, "sent", "delivered")
	return sid
}

// announce begins to report that a message was sent, at once, or delivered, a little later.
func (c *carrier) announce(r *http.Request, to, sid string, statuses ...string) {
	target := r.PostFormValue("StatusCallback")
	if target == "" {
		return
	}
	for _, status := range statuses {
		after := time.Duration(0)
		if status == "delivered" {
			after = 200*time.Millisecond + rand.N(800*time.Millisecond) //nolint:gosec // a delay, not a secret
		}
		form := url.Values{
			"AccountSid": {account}, "MessageSid": {sid}, "SmsSid": {sid}, "MessageStatus": {status}, "SmsStatus": {status},
			"From": {sender}, "To": {to}, "ApiVersion": {"2010-04-01"},
		}
		c.reports.Go(func() { c.report(target, form, after) })
	}
}

// How long a callback that nobody takes is repeated.
const (
	reportFor   = time.Minute
	reportPause = 100 * time.Millisecond
	reportTry   = 10 * time.Second
)

func (c *carrier) report(target string, form url.Values, after time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, after+reportFor)
	defer cancel()
	for pause := reportPause; wait(ctx, after); after, pause = pause, min(2*pause, reportFor/10) {
		switch status, err := c.callBack(ctx, target, form); {
		case err != nil || status >= 500: // again
		case status >= 400:
			c.book.count(countRefused)
			return
		default:
			c.book.count(countTold)
			return
		}
	}
	c.book.count(countGivenUp)
}

func (c *carrier) callBack(ctx context.Context, target string, form url.Values) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, reportTry)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("call back: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", sign(target, form))
	answer, err := c.post.Do(r)
	if err != nil {
		return 0, fmt.Errorf("call back: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body) // so that the connection is used again
	return answer.StatusCode, nil
}

// sign is Twilio's published algorithm: HMAC-SHA1 over the URL and the sorted parameters.
func sign(target string, form url.Values) string {
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(target))
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func refusal(w http.ResponseWriter, status, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"code":%d,"message":"Refused.","status":%d}`, code, status)
}

// reset ends a connection as a fault on the way does: with RST and no answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing it is enough of a cut without
	}
	_ = conn.Close()
}

// wait is false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConns: 512, MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}
}

// The ports that fixed addresses are taken from lie below those that the kernel gives to everybody
// who asks for any, or somebody else might be there when a killed process comes back.
const (
	firstPort = 20_000
	ports     = 12_000
)

// freeAddress is one that nobody listened on a moment ago.
func freeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.N(ports)) //nolint:gosec // any will do
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			continue
		}
		return address, l.Close()
	}
	return "", errors.New("find a free port: a hundred are taken")
}
