package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
)

// TestDeadLettersAreManagedFromTheCommandLine goes the whole way: a verifier that meets garbage, a message that
// nobody delivered, and an operator who looks at both.
func TestDeadLettersAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	listen, data := freeAddress(t), filepath.Join(t.TempDir(), "data")
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	cfg, faults, err := load("", []string{"ASSENT_LOG__LEVEL=error", "ASSENT_DATA=" + data, "ASSENT_LISTEN=" + listen})
	require.NoError(t, err)
	require.Empty(t, faults)
	require.NoError(t, cfg.bootstrap())
	selected, err := rolesNamed([]string{apiRole, verifierRole})
	require.NoError(t, err)
	proc := newProcess(cfg, js, newLogger(cfg.Log, io.Discard))
	proc.ownsTopology = true
	proc.operations(listen)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- proc.run(ctx, selected, func() {}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	base := "http://" + listen
	require.Eventually(t, func() bool { return status(t, base+"/readyz") == http.StatusOK }, time.Minute, 20*time.Millisecond)
	dlq := func(args ...string) (string, string, error) {
		return invoke(t, nil, append(append([]string{"dlq"}, args...), "--base", base, "--data", data)...)
	}
	out, note, err := dlq("list")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.Equal(t, "There are no such dead letters.\n", note)

	// The verifier puts garbage aside.
	const id = "0199b1c2-0000-7000-8000-000000000001"
	plain := stream.NewPublisher(js)
	_, err = plain.Put(t.Context(), events.ResponseSubject(events.ResponseLink, id), []byte(`{"version":9,"id":"`+id+`","number":"482913"}`))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		out, _, err = dlq("list")
		return err == nil && strings.Count(out, "\n") == 2
	}, time.Minute, 20*time.Millisecond)
	require.Regexp(t, `^ID +PUT ASIDE +KIND +REASON +CHANNEL +VERIFICATION +REPLAY\n`+
		`1 +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d +undecodable +undecodable event: version 9, this program reads 1 +- +`+id+` +no, undecodable\n$`, out)
	out, _, err = dlq("show", "1")
	require.NoError(t, err)
	require.Regexp(t, `\nsize: +75 bytes\nsha256: +[0-9a-f]{64}\nreplay: +no, undecodable\n$`, out)
	require.NotContains(t, out, "482913")
	_, _, err = dlq("replay", "1")
	require.EqualError(t, err, "replay dead letter 1: 409 letter_not_replayable: This version of Assent cannot decode the message, or its record, either.")
	out, _, err = dlq("drop", "1")
	require.NoError(t, err)
	require.Equal(t, "Dropped 1.\n", out)
	_, _, err = dlq("drop", "1")
	require.EqualError(t, err, "drop dead letter 1: 404 not_found: There is nothing with this id.")
	require.Equal(t, 1.0, deadLettersCounted(t, base, `consumer="verifier-responses",kind="undecodable"`))

	// A worker gives a message up.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/verifications", strings.NewReader(`{"to":"+14155550123","channel":"sms"}`))
	require.NoError(t, err)
	req.SetBasicAuth(cfg.BootstrapClientID, cfg.BootstrapClientSecret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{}).Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var v api.Verification
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&v))
	r, err := stream.NewReader(t.Context(), js, stream.Activations)
	require.NoError(t, err)
	rec, err := r.Last(t.Context(), events.ActivationSubject(events.SMS, v.ID))
	require.NoError(t, err)
	keys, err := keyring.Load(filepath.Join(data, "keyring.json"))
	require.NoError(t, err)
	require.NoError(t, plain.Sealing(keys.SealLetter).Letter(t.Context(), events.DeadLetter{
		Subject: rec.Subject, Sequence: rec.Sequence, Consumer: "sms", Kind: events.LetterUndelivered, Reason: events.ReasonProviderUnavailable,
		VerificationID: v.ID, Credential: cfg.BootstrapClientID, Channel: events.SMS,
	}, rec.Data))
	out, _, err = dlq("list", "--kind", "undelivered", "--channel", "sms", "--reason", "provider_unavailable")
	require.NoError(t, err)
	require.Regexp(t, `\n2 +20.* +undelivered +provider_unavailable +sms +`+v.ID+` +yes\n$`, out)
	out, _, err = dlq("show", "2")
	require.NoError(t, err)
	require.Regexp(t, `\nto: +\+1••••••0123\nchallenge: +code\nmessage: +send 1\nasked: +20.* UTC\nexpires: +20.* UTC\nreplay: +yes\n$`, out)
	out, _, err = dlq("show", "2", "--json")
	require.NoError(t, err)
	var letter api.DeadLetter
	require.NoError(t, json.Unmarshal([]byte(out), &letter))
	require.Equal(t, []any{"2", true, len(rec.Data)}, []any{letter.ID, letter.Replayable, letter.Size})
	out, _, err = dlq("replay", "2", "--json")
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"2","replayed":true,"verification_id":"`+v.ID+`"}`, out)
	again, err := r.Last(t.Context(), rec.Subject)
	require.NoError(t, err)
	require.Greater(t, again.Sequence, rec.Sequence)
	_, _, err = dlq("replay", "2")
	require.ErrorContains(t, err, "404 not_found")
	out, _, err = dlq("list", "--json")
	require.NoError(t, err)
	require.JSONEq(t, `{"data":[],"next":null}`, out)
}

// deadLettersCounted is the counter with these labels.
func deadLettersCounted(t *testing.T, base, labels string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/metrics", nil)
	require.NoError(t, err)
	resp, err := (&http.Client{}).Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	_, after, found := strings.Cut(string(b), "assent_deadletters_total{"+labels+"} ")
	require.True(t, found)
	value, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseFloat(value, 64)
	require.NoError(t, err)
	return n
}

func TestALongListIsAskedForInPages(t *testing.T) {
	t.Parallel()
	var asked []string
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		next := "next" + strconv.Itoa(len(asked))
		page := api.DeadLetterList{Data: []api.DeadLetter{}, Next: &next}
		if len(asked) != 2 { // the second page is empty, as one may be
			for range limit {
				page.Data = append(page.Data, api.DeadLetter{ID: "1", Kind: "undelivered", Reason: "a\x1b[2Jb", Obstacle: "expired"})
			}
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer desk.Close()
	env := []string{"ASSENT_BOOTSTRAP_CLIENT_SECRET=x"}
	out, note, err := invoke(t, env, "dlq", "list", "--base", desk.URL, "--limit", "150", "--kind", "undelivered", "--reason", "a b")
	require.NoError(t, err)
	require.Equal(t, []string{
		"kind=undelivered&limit=100&reason=a+b", "after=next1&kind=undelivered&limit=50&reason=a+b", "after=next2&kind=undelivered&limit=50&reason=a+b",
	}, asked)
	require.Equal(t, 151, strings.Count(out, "\n"))
	require.NotContains(t, out, "\x1b", "a letter does not speak to the terminal")
	require.Contains(t, note, "older ones")
	asked = nil
	out, _, err = invoke(t, env, "dlq", "list", "--base", desk.URL, "--limit", "1", "--json")
	require.NoError(t, err)
	var list api.DeadLetterList
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.Len(t, list.Data, 1)
	require.Equal(t, "next1", *list.Next)

	asked = nil
	for _, args := range [][]string{
		{"list", "--kind", "lost"},
		{"list", "--channel", "fax"},
		{"list", "--limit", "0"},
		{"list", "--limit", "1001"},
		{"show"},
		{"show", "x"},
		{"show", "0"},
		{"show", "1/replay"},
		{"replay", "-1"},
		{"drop", "01"},
		{"purge"},
	} {
		_, _, err := invoke(t, env, append(append([]string{"dlq"}, args...), "--base", desk.URL)...)
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%v", args)
	}
	require.Empty(t, asked)
}

func TestALetterIsShownWithWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC)
	var b strings.Builder
	printLetter(&b, api.DeadLetter{
		ID: "42", Kind: "undelivered", Reason: "provider_unavailable", Channel: "voice", VerificationID: "v", Consumer: "voice", Subject: "s",
		Size: 613, At: at, Replayable: true, Uncertain: true,
		Message: &api.DeadMessage{To: "+1••••••0123", Challenge: "code", Step: 2, Send: 3, CreatedAt: at, ExpiresAt: at.Add(time.Minute)},
	})
	require.Equal(t, `id:           42
kind:         undelivered
reason:       provider_unavailable
put aside:    2026-11-21 10:04:31 UTC
consumer:     voice
subject:      s
channel:      voice
verification: v
size:         613 bytes
to:           +1••••••0123
challenge:    code
message:      send 3 of fallback step 2
asked:        2026-11-21 10:04:31 UTC
expires:      2026-11-21 10:05:31 UTC
replay:       yes, but the person may have the message: a provider never answered
`, b.String())
}
