package scenario_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestTheTimelineTellsWhatHappenedToAMessage(t *testing.T) {
	t.Parallel()
	s := Together(t)
	iPhone := s.Phone(api.PlatformAPNs)
	ana, ben, carla := somebody(), somebody(), somebody()
	for name, one := range map[string]struct {
		q        question
		provider string
		steps    []string
	}{
		"a text": {text(ana), "twilio", []string{"requested", "sent", "delivered"}},
		"a call": {call(ben), "twilio", []string{"requested", "sent", "delivered"}},
		"a mail": {mail(carla), "sendgrid", []string{"requested", "sent", "delivered"}},
		"a push": {push(iPhone), "apns", []string{"requested", "sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			v := s.Create(one.q)
			var steps []api.Delivery
			eventually(t, "the timeline is complete", func() bool {
				steps = s.timeline(v)
				calling := slices.ContainsFunc(steps, func(d api.Delivery) bool { return d.Status == "calling" })
				return len(steps) == len(one.steps) && !calling
			})
			for i, d := range steps {
				require.Equal(t, one.steps[i], d.Status)
				require.Equal(t, v.Channel, d.Channel)
				require.Equal(t, 1, d.Send)
				if i > 0 {
					require.Equal(t, one.provider, d.Provider)
					require.NotEmpty(t, d.ProviderID)
					require.False(t, d.At.Before(steps[i-1].At.Truncate(1e9)), "the steps are in order")
				}
			}
		})
	}
}

func (s *story) timeline(v api.Verification) []api.Delivery {
	s.t.Helper()
	return read[api.DeliveryList](s.t, s.Call(http.MethodGet, "/v1/verifications/"+v.ID+"/deliveries", nil), http.StatusOK).Data
}

// events reads a stream of server-sent events one at a time.
type events struct {
	t    *testing.T
	body io.ReadCloser
	scan *bufio.Scanner
}

func (s *story) Events(v api.Verification, lastID string) (*events, int) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base+"/v1/verifications/"+v.ID+"/events", nil)
	require.NoError(s.t, err)
	r.SetBasicAuth(s.id, s.secret)
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	res, err := s.client.Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = res.Body.Close() })
	return &events{s.t, res.Body, bufio.NewScanner(res.Body)}, res.StatusCode
}

// next is the following event, or false at the end of the stream.
func (e *events) next() (id string, v api.Verification, ok bool) {
	e.t.Helper()
	data := ""
	for e.scan.Scan() {
		name, value, _ := strings.Cut(e.scan.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "data":
			data = value
		case e.scan.Text() == "" && data != "":
			require.NoError(e.t, json.Unmarshal([]byte(data), &v))
			return id, v, true
		}
	}
	require.NoError(e.t, e.scan.Err())
	return "", v, false
}

func TestAStreamOfEventsTellsThePresentEachChangeAndTheEnd(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana))
	stream, status := s.Events(v, "")
	require.Equal(t, http.StatusOK, status)
	_, now, ok := stream.next()
	require.True(t, ok)
	require.Equal(t, api.StatusPending, now.Status)

	code := s.Message(ana.number).Code
	require.False(t, s.Check(v, wrong(code)).Valid)
	_, now, ok = stream.next()
	require.True(t, ok)
	require.Equal(t, api.StatusPending, now.Status)
	require.Equal(t, 4, now.ChecksLeft)

	require.True(t, s.Check(v, code).Valid)
	last, now, ok := stream.next()
	require.True(t, ok)
	require.Equal(t, api.StatusApproved, now.Status)
	_, _, ok = stream.next()
	require.False(t, ok, "the stream ends after the end")

	_, status = s.Events(v, last)
	require.Equal(t, http.StatusNoContent, status, "a reconnect after the end is told to stay away")
	again, status := s.Events(v, "")
	require.Equal(t, http.StatusOK, status)
	_, now, ok = again.next()
	require.True(t, ok, "who was never there is told the end")
	require.Equal(t, api.StatusApproved, now.Status)
}

func TestAClientThatKnowsTheStateIsNotToldItTwice(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana))
	path := "/v1/verifications/" + v.ID
	first := s.Call(http.MethodGet, path, nil)
	tag := first.header.Get("ETag")
	require.NotEmpty(t, tag)
	same := s.Call(http.MethodGet, path, nil, header("If-None-Match", tag))
	require.Equal(t, http.StatusNotModified, same.status)
	require.Empty(t, same.body)
	same = s.Call(http.MethodGet, path+"?wait=1", nil, header("If-None-Match", tag))
	require.Equal(t, http.StatusNotModified, same.status)

	code := s.Message(ana.number).Code
	require.False(t, s.Check(v, wrong(code)).Valid)
	changed := s.Call(http.MethodGet, path+"?wait=30", nil, header("If-None-Match", tag))
	require.Equal(t, 4, read[api.Verification](t, changed, http.StatusOK).ChecksLeft, "a change between two polls is not missed")
	require.NotEqual(t, tag, changed.header.Get("ETag"))
}

func TestARequestRepeatedWithItsKeyIsOneRequest(t *testing.T) {
	t.Parallel()
	for name, house := range map[string]func(*testing.T) *story{"in one process": Together, "through two processes": Apart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ana := house(t), somebody()
			key := header("Idempotency-Key", "order-"+ana.number)
			bases := append([]string{s.base}, s.others...)
			ids := make([]string, 10)
			var wg sync.WaitGroup
			for i := range ids {
				wg.Go(func() { ids[i] = s.patiently(bases[i%len(bases)], text(ana), key) })
			}
			wg.Wait()
			for _, id := range ids {
				require.Equal(t, ids[0], id, "every answer names the same verification")
			}
			v := api.Verification{ID: ids[0]}
			require.True(t, s.Check(v, s.Message(ana.number).Code).Valid)

			replayed := s.Call(http.MethodPost, "/v1/verifications", text(ana), key)
			require.Equal(t, "true", replayed.header.Get("Idempotent-Replayed"))
			first := read[api.Verification](t, replayed, http.StatusCreated)
			require.Equal(t, api.StatusPending, first.Status, "it is the first answer")
			s.Refused(s.Call(http.MethodPost, "/v1/verifications", text(ana).Digits(8), key), http.StatusUnprocessableEntity, api.ProblemCodeIdempotencyMismatch)
			require.Len(t, s.Messages(ana.number), 1)
			require.Len(t, s.timelineOf(t, v, "sent"), 1)
		})
	}
}

// patiently repeats a request while the first under its key is still running. Empty: it failed.
func (s *story) patiently(base string, q question, key option) string {
	for range 200 {
		a, err := s.ask(s.t.Context(), http.MethodPost, base+"/v1/verifications", q, key)
		if err != nil {
			return err.Error()
		}
		if a.status == http.StatusConflict && a.header.Get("Retry-After") != "" {
			continue
		}
		var v api.Verification
		if json.Unmarshal(a.body, &v) != nil || a.status != http.StatusCreated {
			return string(a.body)
		}
		return v.ID
	}
	return "it was in progress for ever"
}

func (s *story) timelineOf(t *testing.T, v api.Verification, status string) (steps []api.Delivery) {
	t.Helper()
	for _, d := range s.timeline(v) {
		if d.Status == status {
			steps = append(steps, d)
		}
	}
	return steps
}

func TestTheReceiptOfASecondMessageReachesTheTimeline(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana))
	s.Message(ana.number)
	read[api.Verification](t, s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil), http.StatusAccepted)
	require.Len(t, s.timelineOf(t, v, "requested"), 2)
	eventually(t, "both messages are reported as delivered", func() bool {
		delivered := s.timelineOf(t, v, "delivered")
		// The two are reported side by side, and the second may come first.
		return len(delivered) == 2 && delivered[0].Send+delivered[1].Send == 1+2
	})
}
