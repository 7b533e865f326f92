package httpapi_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

// inBubble runs a test on a clock of its own, which jumps ahead whenever everybody waits.
func inBubble(t *testing.T, test func(t *testing.T, b *bench), options ...func(*httpapi.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, setupAt(t, nil, time.Now, options...)) })
}

// parkedGet sends a request that will wait, and returns once it does.
func (b *bench) parkedGet(path string, header map[string]string) <-chan answer {
	b.t.Helper()
	answers := make(chan answer, 1)
	go func() { answers <- b.do(call{method: http.MethodGet, path: path, header: header}) }()
	<-b.store.parked
	synctest.Wait()
	return answers
}

func TestWait(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, b *bench){
		"ends with the decision": func(t *testing.T, b *bench) {
			v, code := b.create(smsCode)
			answers := b.parkedGet("/v1/verifications/"+v.ID+"?wait=25", nil)
			require.Equal(t, 1.0, b.parked("wait"))
			asked := time.Now()
			time.AfterFunc(3*time.Second, func() { b.resolve(v.ID, verification.Checked{Hash: []byte(code)}) })
			a := <-answers
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, api.StatusApproved, a.verification(t).Status)
			require.Equal(t, 3*time.Second, time.Since(asked))
			require.Zero(t, b.parked("wait"))
		},
		"ends after its time with the present state": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			asked := time.Now()
			a := <-b.parkedGet("/v1/verifications/"+v.ID+"?wait=7", nil)
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, api.StatusPending, a.verification(t).Status)
			require.Equal(t, 7*time.Second, time.Since(asked))
		},
		"ends with expiry, which nobody reports": func(t *testing.T, b *bench) {
			v, _ := b.create(`{"to":"+14155550123","channel":"sms","expires_in":30}`)
			a := <-b.parkedGet("/v1/verifications/"+v.ID+"?wait=60", nil)
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, api.StatusExpired, a.verification(t).Status)
			require.Equal(t, v.ExpiresAt, *a.verification(t).ClosedAt)
			require.False(t, time.Now().After(v.ExpiresAt.Add(time.Millisecond)), "it waited past expiry")
		},
		"is not woken by a wrong code, which leaves the status": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			asked := time.Now()
			answers := b.parkedGet("/v1/verifications/"+v.ID+"?wait=10", nil)
			b.resolve(v.ID, verification.Checked{Hash: []byte("wrong")})
			a := <-answers
			require.Equal(t, 10*time.Second, time.Since(asked))
			require.Equal(t, 4, a.verification(t).ChecksLeft)
		},
		"is woken by a wrong code where the client named the state it has": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			asked := time.Now()
			answers := b.parkedGet("/v1/verifications/"+v.ID+"?wait=10", map[string]string{"If-None-Match": `"0.pending"`})
			b.resolve(v.ID, verification.Checked{Hash: []byte("wrong")})
			a := <-answers
			require.Zero(t, time.Since(asked))
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, 4, a.verification(t).ChecksLeft)
			require.Equal(t, `"1.pending"`, a.Header.Get("ETag"))
		},
		"does not wait where the state differs from the client's already": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			b.resolve(v.ID, verification.Checked{Hash: []byte("wrong")})
			asked := time.Now()
			a := b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID + "?wait=10", header: map[string]string{"If-None-Match": `"0.pending"`}})
			require.Zero(t, time.Since(asked))
			require.Equal(t, http.StatusOK, a.StatusCode)
		},
		"with an unchanged tag is 304 at its end": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			a := <-b.parkedGet("/v1/verifications/"+v.ID+"?wait=10", map[string]string{"If-None-Match": `"x", W/"0.pending"`})
			require.Equal(t, http.StatusNotModified, a.StatusCode)
			require.Equal(t, `"0.pending"`, a.Header.Get("ETag"))
			require.Empty(t, a.body)
		},
		"on a closed one answers at once": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			b.resolve(v.ID, verification.Cancel{})
			asked := time.Now()
			a := b.get("/v1/verifications/" + v.ID + "?wait=60")
			require.Equal(t, api.StatusCanceled, a.verification(t).Status)
			require.Zero(t, time.Since(asked))
		},
		"by the Prefer header": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			asked := time.Now()
			a := <-b.parkedGet("/v1/verifications/"+v.ID, map[string]string{"Prefer": "respond-async, wait=99"})
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, "wait=60", a.Header.Get("Preference-Applied"))
			require.Equal(t, time.Minute, time.Since(asked))
		},
		"in the query wins over the Prefer header": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			asked := time.Now()
			a := b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID + "?wait=0", header: map[string]string{"Prefer": "wait=10"}})
			require.Zero(t, time.Since(asked))
			require.Empty(t, a.Header.Get("Preference-Applied"))
		},
		"is answered at once when the process shuts down": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			asked := time.Now()
			answers := b.parkedGet("/v1/verifications/"+v.ID+"?wait=60", nil)
			b.shutDown()
			a := <-answers
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, api.StatusPending, a.verification(t).Status)
			require.Zero(t, time.Since(asked))
		},
		"leaves nothing behind when the client leaves": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				b.server.ServeHTTP(httptest.NewRecorder(), call{method: http.MethodGet, path: "/v1/verifications/" + v.ID + "?wait=60"}.request(ctx))
			}()
			<-b.store.parked
			cancel()
			<-done
			require.Zero(t, b.parked("wait"))
		},
		"fails when the store does": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			answers := b.parkedGet("/v1/verifications/"+v.ID+"?wait=60", nil)
			b.store.fail(verification.ErrUnavailable)
			b.store.wake()
			a := <-answers
			require.Equal(t, api.ProblemCodeUnavailable, a.problem(t).Code)
			require.Equal(t, "1", a.Header.Get("Retry-After"))
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, test)
		})
	}
}

func TestWaitThatIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	for _, query := range []string{"wait=61", "wait=-1", "wait=x", "wait=", "wait=1.5", "wait=1&wait=2", "wait=99999999999999999999"} {
		a := b.get("/v1/verifications/" + v.ID + "?" + query)
		p := a.problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, query)
		require.Equal(t, "wait", p.Errors[0].Parameter, query)
		require.Contains(t, p.Errors[0].Detail, "0 to 60", query)
	}
	for _, prefer := range []string{"wait=x", "wait", "wait=-1", "handling=lenient"} {
		a := b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID, header: map[string]string{"Prefer": prefer}})
		require.Equal(t, http.StatusOK, a.StatusCode, "a preference that cannot be understood is ignored")
		require.Empty(t, a.Header.Get("Preference-Applied"))
	}
}

func TestETagChangesWithEverythingVisible(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	path := "/v1/verifications/" + v.ID
	seen := map[string]bool{}
	for range 2 {
		a := b.get(path)
		seen[a.Header.Get("ETag")] = true
		unchanged := b.do(call{method: http.MethodGet, path: path, header: map[string]string{"If-None-Match": a.Header.Get("ETag")}})
		require.Equal(t, http.StatusNotModified, unchanged.StatusCode)
	}
	require.Len(t, seen, 1)
	b.resolve(v.ID, verification.Checked{Hash: []byte("wrong")})
	seen[b.get(path).Header.Get("ETag")] = true
	b.post(path+"/resend", "")
	seen[b.get(path).Header.Get("ETag")] = true
	b.clock.pass(5 * time.Minute)
	seen[b.get(path).Header.Get("ETag")] = true
	require.Len(t, seen, 4)
	require.Equal(t, http.StatusNotModified, b.do(call{method: http.MethodGet, path: path, header: map[string]string{"If-None-Match": "*"}}).StatusCode)
	require.Equal(t, http.StatusOK, b.do(call{method: http.MethodGet, path: path, header: map[string]string{"If-None-Match": `"0.pending"`}}).StatusCode)
}

// sse is one event of a stream; a comment has no name.
type sse struct{ name, id, data string }

func readEvents(t *testing.T, body string) (events []sse) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		var e sse
		for line := range strings.SplitSeq(block, "\n") {
			name, value, ok := strings.Cut(line, ":")
			require.True(t, ok, "line %q", line)
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "retry":
				_, err := strconv.Atoi(value)
				require.NoError(t, err)
			default:
				require.Empty(t, name)
			}
		}
		events = append(events, e)
	}
	return events
}

func TestEvents(t *testing.T) {
	t.Parallel()
	open := func(b *bench, id string, header map[string]string) <-chan answer {
		return b.parkedGet("/v1/verifications/"+id+"/events", header)
	}
	cases := map[string]func(t *testing.T, b *bench){
		"show the present state, each change and then end": func(t *testing.T, b *bench) {
			v, code := b.create(smsCode)
			answers := open(b, v.ID, nil)
			require.Equal(t, 1.0, b.parked("events"))
			b.resolve(v.ID, verification.Checked{Hash: []byte("wrong")})
			synctest.Wait()
			b.resolve(v.ID, verification.Checked{Hash: []byte(code)})
			a := <-answers
			require.Equal(t, "text/event-stream", a.Header.Get("Content-Type"))
			require.Equal(t, "no-store, no-transform", a.Header.Get("Cache-Control"))
			require.Equal(t, "no", a.Header.Get("X-Accel-Buffering"))
			require.True(t, strings.HasPrefix(string(a.body), "retry: 2000\n\n"))
			all := readEvents(t, string(a.body))
			require.Equal(t, []string{"", "0.pending", "1.pending", "2.approved"}, ids(all))
			require.Contains(t, all[3].data, `"status":"approved"`)
			require.Equal(t, "verification", all[3].name)
			require.NotContains(t, string(a.body), code)
			require.Zero(t, b.parked("events"))

			again := b.do(call{method: http.MethodGet, path: "/v1/verifications/" + v.ID + "/events", header: map[string]string{"Last-Event-ID": "2.approved"}})
			require.Equal(t, http.StatusNoContent, again.StatusCode)
			fresh := b.get("/v1/verifications/" + v.ID + "/events")
			require.Equal(t, []string{"", "2.approved"}, ids(readEvents(t, string(fresh.body))), "who has not seen the end is shown it")
		},
		"show the number to match, until nothing waits for it": func(t *testing.T, b *bench) {
			v, _ := b.create(linkByMail)
			answers := open(b, v.ID, nil)
			b.resolve(v.ID, verification.Cancel{})
			a := <-answers
			all := readEvents(t, string(a.body))
			require.Len(t, all, 3)
			require.Contains(t, all[1].data, `"match_number":"`+v.MatchNumber+`"`)
			require.NotContains(t, all[2].data, "match_number")
		},
		"are kept open by comments, and end with expiry": func(t *testing.T, b *bench) {
			v, _ := b.create(`{"to":"+14155550123","channel":"sms","expires_in":40}`)
			a := <-open(b, v.ID, map[string]string{"Last-Event-ID": "0.pending"})
			require.Equal(t, []string{"", "0.pending", "", "", "0.expired"}, ids(readEvents(t, string(a.body))))
		},
		"end when the process shuts down": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			answers := open(b, v.ID, nil)
			b.shutDown()
			require.Equal(t, []string{"", "0.pending"}, ids(readEvents(t, string((<-answers).body))))
		},
		"end when the store fails": func(t *testing.T, b *bench) {
			v, _ := b.create(smsCode)
			answers := open(b, v.ID, nil)
			b.store.fail(verification.ErrUnavailable)
			b.store.wake()
			require.Equal(t, []string{"", "0.pending"}, ids(readEvents(t, string((<-answers).body))))
			require.Contains(t, b.log.String(), "event broker is not available")
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, test)
		})
	}
}

func ids(events []sse) (list []string) {
	for _, e := range events {
		list = append(list, e.id)
	}
	return list
}

func TestEventsAreFlushedAsTheyHappen(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *httpapi.Config) { c.Now = time.Now })
	b.store.now = time.Now
	server := httptest.NewUnstartedServer(b.server)
	server.Config.WriteTimeout = 50 * time.Millisecond // which a parked request must outlive
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(b.shutDown)
	v, code := b.create(smsCode)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/verifications/"+v.ID+"/events", http.NoBody)
	require.NoError(t, err)
	request.SetBasicAuth(shop, shopSecret)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	until := func(want string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		require.Fail(t, "the stream ended", "before %s: %v", want, lines.Err())
	}
	until(`"status":"pending"`)
	b.resolve(v.ID, verification.Checked{Hash: []byte(code)})
	until(`"status":"approved"`)
}

func (b *bench) parked(kind string) float64 {
	b.t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(b.t, err)
	for _, f := range families {
		if f.GetName() != "assent_http_parked_requests" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == kind {
				return m.GetGauge().GetValue()
			}
		}
	}
	require.Fail(b.t, "no such gauge", kind)
	return 0
}

func TestParkedRequestsAreLeftOutOfTheHistogram(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		v, _ := b.create(smsCode)
		<-b.parkedGet("/v1/verifications/"+v.ID+"?wait=60", nil)
		b.get("/v1/verifications/" + v.ID)
		require.NoError(t, testutil.GatherAndCompare(b.metrics, strings.NewReader(`
# HELP assent_http_requests_total Requests answered, by route and class of status.
# TYPE assent_http_requests_total counter
assent_http_requests_total{route="GET /v1/verifications/{id}",status="2xx"} 2
assent_http_requests_total{route="POST /v1/verifications",status="2xx"} 1
`), "assent_http_requests_total"))
		families, err := b.metrics.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() != "assent_http_request_duration_seconds" {
				continue
			}
			for _, m := range f.GetMetric() {
				require.EqualValues(t, 1, m.GetHistogram().GetSampleCount())
			}
		}
	})
}
