package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/sandbox"
	"github.com/assent-io/assent/workers/wording"
)

func TestWaitingEndsWithTheFirstMatch(t *testing.T) {
	b := setup(t)
	got := make(chan inboxMessage, 1)
	parked := make(chan struct{})
	var once sync.Once
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		once.Do(func() { close(parked) })
		return b.client.Transport.RoundTrip(r)
	})}
	go func() {
		res := b.doWith(context.WithoutCancel(t.Context()), t, client, http.MethodGet, "/sandbox/messages?to=%2B14155550101&channel=sms&wait=30", nil, "")
		var v struct {
			Messages []inboxMessage `json:"messages"`
		}
		_ = json.Unmarshal(res.body, &v)
		got <- v.Messages[0]
	}()
	<-parked
	b.text(t, map[string]string{"To": ana})
	b.text(t, map[string]string{"To": "+14155550101", "Body": "111222 is your code"})
	select {
	case m := <-got:
		require.Equal(t, "111222", m.Code)
	case <-time.After(patience):
		require.FailNow(t, "the waiting request was not answered")
	}
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWaitingForNothingEndsEmpty(t *testing.T) {
	b := setup(t)
	require.Empty(t, b.messages(t, "?wait=1"))
	b.text(t, nil)
	require.Empty(t, b.messages(t, "?channel=email"))
	require.Empty(t, b.messages(t, "?to=nobody@example.com"))
}

func TestCloseEndsThoseWhoWait(t *testing.T) {
	b := setup(t)
	done := make(chan int, 2)
	for _, path := range []string{"/sandbox/messages?wait=60", "/sandbox/events"} {
		go func() {
			done <- b.doWith(context.WithoutCancel(t.Context()), t, b.client, http.MethodGet, path, nil, "").status
		}()
	}
	b.Close()
	for range 2 {
		select {
		case status := <-done:
			require.Equal(t, http.StatusOK, status)
		case <-time.After(patience):
			require.FailNow(t, "a request outlived Close")
		}
	}
}

func TestTheNewestMessageComesFirst(t *testing.T) {
	b := setup(t)
	for _, code := range []string{"111111", "222222", "333333"} {
		b.text(t, map[string]string{"Body": code + " is your code"})
	}
	all := b.messages(t, "")
	require.Len(t, all, 3)
	require.Equal(t, "333333", all[0].Code)
	require.Equal(t, "111111", all[2].Code)
	require.Len(t, b.messages(t, "?limit=2"), 2)

	b.text(t, map[string]string{"Body": "444444 is your code"})
	next := b.messages(t, "?wait=10&after="+all[0].ID)
	require.Len(t, next, 1)
	require.Equal(t, "444444", next[0].Code)
}

func TestTheOldestMessageGivesWay(t *testing.T) {
	b := setup(t, func(c *sandbox.Config) { c.MaxMessages = 3 })
	for i := range 5 {
		b.text(t, map[string]string{"To": "+1415555010" + strconv.Itoa(i), "Body": strconv.Itoa(100000+i) + " is your code"})
	}
	all := b.messages(t, "")
	require.Len(t, all, 3)
	require.Equal(t, "100004", all[0].Code)
	require.Empty(t, b.messages(t, "?to=%2B14155550101"))
}

func TestClearingEmptiesTheInbox(t *testing.T) {
	b := setup(t)
	b.text(t, nil)
	id := b.one(t, "").ID
	require.Equal(t, http.StatusNoContent, b.do(t, http.MethodDelete, "/sandbox/messages", nil, "").status)
	require.Empty(t, b.messages(t, ""))
	res := b.do(t, http.MethodGet, "/sandbox/messages/"+id, nil, "")
	require.Equal(t, http.StatusNotFound, res.status)
	require.Equal(t, "message_not_found", res.json(t)["code"])
}

func TestBadQueriesAreNamed(t *testing.T) {
	b := setup(t)
	for query, field := range map[string]string{
		"?wait=61": "wait", "?wait=-1": "wait", "?wait=x": "wait", "?channel=fax": "channel", "?after=nope": "after", "?colour=blue": "colour", "?limit=0": "limit",
	} {
		res := b.do(t, http.MethodGet, "/sandbox/messages"+query, nil, "")
		require.Equal(t, http.StatusUnprocessableEntity, res.status, query)
		require.Contains(t, string(res.body), `"parameter":"`+field+`"`)
	}
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, "/sandbox/nothing", nil, "").status)
	res := b.do(t, http.MethodPatch, "/sandbox/messages", nil, "")
	require.Equal(t, http.StatusMethodNotAllowed, res.status)
	require.Equal(t, "GET, DELETE", res.header.Get("Allow"))
}

func TestTheRequestIsShownWithoutItsSecrets(t *testing.T) {
	b := setup(t)
	b.text(t, nil)
	m := b.one(t, "")
	res := b.do(t, http.MethodGet, "/sandbox/messages/"+m.ID, nil, "")
	request := res.json(t)["request"].(map[string]any)
	require.Equal(t, "POST", request["method"])
	require.Contains(t, request["body"], "Body=482913")
	require.Equal(t, "Basic (removed)", request["headers"].(map[string]any)["Authorization"])
	require.NotContains(t, string(res.body), basic(b.account.TwilioAccountSID, b.account.TwilioAuthToken))
}

func TestAForeignPageMayNotChangeAnything(t *testing.T) {
	b := setup(t)
	b.text(t, nil)
	m := b.one(t, "")
	for _, header := range []map[string]string{{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}} {
		for _, c := range [][3]string{
			{http.MethodDelete, "/sandbox/messages", ""},
			{http.MethodPost, "/sandbox/messages/" + m.ID + "/answer", `{"text":"YES"}`},
			{http.MethodPut, "/sandbox/behaviour", `{"mode":"hang"}`},
			{http.MethodPost, "/sandbox/phones", `{"platform":"apns"}`},
		} {
			require.Equal(t, http.StatusForbidden, b.do(t, c[0], c[1], header, c[2]).status, "%v %v", c, header)
		}
	}
	require.Equal(t, http.StatusNoContent, b.do(t, http.MethodDelete, "/sandbox/messages", map[string]string{"Origin": b.url}, "").status)
}

// feed reads server-sent events one by one.
type feed struct {
	t *testing.T
	s *bufio.Scanner
}

type event struct{ id, name, data string }

func (b *bundle) feed(t *testing.T, lastID string) *feed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/sandbox/events", nil)
	require.NoError(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := b.client.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	return &feed{t, bufio.NewScanner(res.Body)}
}

func (f *feed) next() event {
	f.t.Helper()
	var e event
	for f.s.Scan() {
		line := f.s.Text()
		switch {
		case line == "" && e.name != "":
			return e
		case strings.HasPrefix(line, "id: "):
			e.id = line[4:]
		case strings.HasPrefix(line, "event: "):
			e.name = line[7:]
		case strings.HasPrefix(line, "data: "):
			e.data = line[6:]
		}
	}
	require.FailNow(f.t, "the feed ended", "%v", f.s.Err())
	return e
}

func TestTheFeedTellsAndResumes(t *testing.T) {
	b := setup(t)
	f := b.feed(t, "")
	require.Equal(t, "reset", f.next().name, "a new reader has to read the list")
	b.text(t, nil)
	e := f.next()
	require.Equal(t, "message", e.name)
	var m inboxMessage
	require.NoError(t, json.Unmarshal([]byte(e.data), &m))
	require.Equal(t, "482913", m.Code)

	b.text(t, map[string]string{"Body": "555666 is your code"})
	b.do(t, http.MethodPut, "/sandbox/behaviour", nil, `{"mode":"slow"}`)
	again := b.feed(t, e.id)
	require.Equal(t, "resumed", again.next().name)
	seen := ""
	for !strings.Contains(seen, "behaviour") {
		e := again.next()
		seen += e.name + e.data
	}
	require.Contains(t, seen, "555666", "what was missed is told again")

	require.Equal(t, "reset", b.feed(t, "otherprocess-3").next().name)
	require.Equal(t, "reset", b.feed(t, strings.Split(e.id, "-")[0]+"-999999").next().name)
	b.do(t, http.MethodDelete, "/sandbox/messages", nil, "")
	require.Equal(t, "cleared", again.next().name)
}

func TestCodesAndLinksAreFound(t *testing.T) {
	b := setup(t)
	for text, want := range map[string][2]string{
		"482913 is your Example Bank code. It expires in 5 minutes.": {"482913", ""},
		"Ihr Code: 0042":                      {"0042", ""},
		"Your code is 1234567890.":            {"1234567890", ""},
		"Code 482913\n\n@example.com #482913": {"482913", ""},
		"Is this you? From 203.0.113.7. Answer: https://a.example:8080/l/Ab_9-1234": {"", "https://a.example:8080/l/Ab_9-1234"},
		"Pay 49000 EUR? Reply YES to approve, NO to refuse.":                        {"", ""},
		"Call +1 415 555 0100 from 192.168.1.2000 or b4nk12345":                     {"", ""},
		"See http://example.com/12345 for more":                                     {"", ""},
		"2001:db8::1234:5678 asks. Your code: 918273":                               {"918273", ""},
		"B41832 is your code. It expires in 3 minutes.":                             {"B41832", ""},
		"Your Example Bank code: K00017":                                            {"K00017", ""},
		"(Y99999)":                                                                  {"Y99999", ""},
		"S41832 could be a digit, b41832 is no capital, AB41832 a word":             {"", ""},
		"B4183 is too short, B418329 too long, B41832X a word, A380-800 a plane":    {"", ""},
		"Order #B41832 on https://a.example/B41832. Code: 0042":                     {"0042", ""},
		"12345678901 is too long":                                                   {"", ""},
		"Open (http://127.0.0.1:8080/p/l/tok-en_1).":                                {"", "http://127.0.0.1:8080/p/l/tok-en_1"},
	} {
		b.text(t, map[string]string{"Body": text})
		m := b.messages(t, "?limit=1")[0]
		require.Equal(t, text, m.Text)
		require.Equal(t, want, [2]string{m.Code, m.Link}, text)
	}
}

func TestNoApprovalIsTakenForACodeInAnyLanguage(t *testing.T) {
	b := setup(t)
	facts := wording.Facts{Brand: "Bank 24000", Life: 5 * time.Minute, Context: events.Context{
		Action: "Pay 49000", Fields: []events.Field{{Label: "Amount", Value: "49000 EUR"}, {Label: "Payee", Value: "Account 12345678"}},
	}}
	for _, locale := range []string{"en", "de", "es", "fr", "pt"} {
		words := wording.For(locale)
		for text, code := range map[string]string{
			words.ApprovalText(facts, true): "", words.ApprovalText(facts, false): "",
			words.LinkText(facts, "https://a.example/l/tok"): "", words.CodeText(facts, "482913"): "482913",
		} {
			b.text(t, map[string]string{"Body": text})
			m := b.messages(t, "?limit=1")[0]
			require.Equal(t, text, m.Text)
			require.Equal(t, code, m.Code, text)
		}
	}
}

func TestRepliesComeBackAsTexts(t *testing.T) {
	b := setup(t)
	b.text(t, map[string]string{"Body": "Is this you? Reply YES to approve, NO to refuse."})
	m := b.one(t, "")
	b.twiml("/callbacks/twilio/inbound", "<Response/>")
	res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"text":"YES"}`)
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	v := res.json(t)
	require.Equal(t, true, v["answered"])
	require.Equal(t, "<Response/>", v["body"])
	require.Contains(t, v, "took_ms")
	got := b.assent.next(t)
	form := got.form(t)
	require.Equal(t, "/callbacks/twilio/inbound", got.path)
	require.Equal(t, []string{ana, b.account.TwilioFrom, "YES"}, []string{form.Get("From"), form.Get("To"), form.Get("Body")})
	require.True(t, validTwilio(b, got))
}

func TestAnAnswerThatAssentRefusesIsShownAsItIs(t *testing.T) {
	b := setup(t)
	b.text(t, nil)
	m := b.one(t, "")
	b.assent.on("/callbacks/twilio/inbound", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"detail":"closed"}`))
	})
	v := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"text":"YES"}`).json(t)
	require.Equal(t, false, v["answered"])
	require.EqualValues(t, 409, v["status"])
	require.JSONEq(t, `{"detail":"closed"}`, v["body"].(string))
}

func TestAnswersThatDoNotFitAreExplained(t *testing.T) {
	b := setup(t)
	b.text(t, nil)
	m := b.one(t, "")
	path := "/sandbox/messages/" + m.ID + "/answer"
	for body, status := range map[string]int{
		`{"keys":"1"}`: 422, `{}`: 422, `{"text":" "}`: 422, `{"text":"YES","keys":"1"}`: 422, `{"text":1}`: 422, `{"colour":"x"}`: 422,
		`{"text":`: 400, `{"text":"YES"} {}`: 400, `{"text":"` + strings.Repeat("x", 70_000) + `"}`: 413, `{"decision":"approve"}`: 422,
	} {
		res := b.do(t, http.MethodPost, path, nil, body)
		require.Equal(t, status, res.status, "%.80s: %s", body, res.body)
		require.NotEmpty(t, res.json(t)["detail"])
	}
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodPost, "/sandbox/messages/nope/answer", nil, `{"text":"YES"}`).status)
	require.Empty(t, b.assent.got)
}

func TestAnAssentThatIsDownIsSaidToBeDown(t *testing.T) {
	b := setup(t, func(c *sandbox.Config) { c.PublicURL = func() string { return "http://127.0.0.1:1" } })
	b.text(t, nil)
	m := b.one(t, "")
	res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"text":"YES"}`)
	require.Equal(t, http.StatusBadGateway, res.status)
	require.Equal(t, "assent_unreachable", res.json(t)["code"])

	nowhere := setup(t, func(c *sandbox.Config) { c.PublicURL = nil })
	nowhere.text(t, nil)
	m = nowhere.one(t, "")
	require.Equal(t, http.StatusConflict, nowhere.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"text":"YES"}`).status)
}

func TestManySendersAndReadersAtOnce(t *testing.T) {
	b := setup(t, func(c *sandbox.Config) { c.MaxMessages = 50 })
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			to := "+1415555" + strconv.Itoa(1000+i)
			b.text(t, map[string]string{"To": to, "StatusCallback": b.assent.url + "/cb"})
			b.messages(t, "?wait=5&to="+url.QueryEscape(to))
			b.messages(t, "")
		})
	}
	all.Wait()
	require.LessOrEqual(t, len(b.messages(t, "")), 50)
	for range 80 {
		b.assent.next(t)
	}
}
