package httpapi_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/verification"
)

func (m *memory) Letters(_ context.Context, account string, f letter.Filter) (page []letter.Letter, next uint64, err error) {
	err = m.lock()
	defer m.mu.Unlock()
	for _, l := range slices.Backward(m.letters) {
		if l.Account != account || f.Before > 0 && l.ID >= f.Before || f.Kind != "" && l.Kind != f.Kind ||
			f.Reason != "" && l.Reason != f.Reason || f.Channel != "" && l.Channel != f.Channel {
			continue
		}
		if len(page) == f.Limit {
			return page, page[len(page)-1].ID, err
		}
		page = append(page, l)
	}
	return page, 0, err
}

// letter is the place of one; the lock is held.
func (m *memory) letter(account string, id uint64) (int, error) {
	i := slices.IndexFunc(m.letters, func(l letter.Letter) bool { return l.ID == id && l.Account == account })
	if i < 0 {
		return i, verification.ErrNotFound
	}
	return i, nil
}

func (m *memory) Letter(_ context.Context, account string, id uint64) (letter.Letter, error) {
	err := m.lock()
	defer m.mu.Unlock()
	i, none := m.letter(account, id)
	if err = firstErr(err, none); err != nil {
		return letter.Letter{}, err
	}
	return m.letters[i], nil
}

func (m *memory) ReplayLetter(_ context.Context, account string, id uint64) (string, error) {
	err := m.lock()
	defer m.mu.Unlock()
	i, none := m.letter(account, id)
	if err = firstErr(firstErr(err, none), m.createErr); err != nil {
		return "", err
	}
	l := m.letters[i]
	if l.Obstacle != "" {
		return "", &letter.RefusedError{Obstacle: l.Obstacle}
	}
	m.letters = slices.Delete(m.letters, i, i+1)
	return l.VerificationID, nil
}

func (m *memory) DropLetter(_ context.Context, account string, id uint64) error {
	err := m.lock()
	defer m.mu.Unlock()
	i, none := m.letter(account, id)
	if err = firstErr(err, none); err == nil {
		m.letters = slices.Delete(m.letters, i, i+1)
	}
	return err
}

func (b *bench) keep(letters ...letter.Letter) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.letters = append(b.store.letters, letters...)
}

const lettered = "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"

func undelivered(id uint64) letter.Letter {
	at := time.Date(2026, 11, 21, 11, 5, 2, 456e6, time.FixedZone("CET", 3600))
	return letter.Letter{
		ID: id, Kind: letter.Undelivered, Reason: "provider_unavailable", Subject: "assent.activation.sms." + lettered, Consumer: "sms",
		VerificationID: lettered, Account: shop, Channel: "sms", Size: 613, At: at, Uncertain: true,
		Message: &letter.Message{ToMasked: "+1••••••0123", Challenge: "code", Step: 0, Send: 1, CreatedAt: at, ExpiresAt: at.Add(time.Minute)},
	}
}

func undecodable(id uint64) letter.Letter {
	return letter.Letter{
		ID: id, Kind: letter.Undecodable, Reason: "undecodable event: not JSON of this contract", Subject: "assent.response.link.x", Consumer: "verifier-responses",
		Account: shop, Size: 12, SHA256: strings.Repeat("0a", 32), At: time.Date(2026, 11, 21, 10, 5, 2, 456e6, time.UTC), Obstacle: letter.StillUndecodable,
	}
}

func TestADeadLetterIsReadReplayedAndDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.keep(undelivered(7), undecodable(8))
	a := b.get("/v1/dead-letters/7")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.JSONEq(t, `{"id":"7","kind":"undelivered","reason":"provider_unavailable","channel":"sms","verification_id":"`+lettered+`",
		"consumer":"sms","subject":"assent.activation.sms.`+lettered+`","size":613,"at":"2026-11-21T10:05:02.456Z","replayable":true,"uncertain":true,
		"message":{"to":"+1••••••0123","challenge":"code","step":0,"send":1,"created_at":"2026-11-21T10:05:02.456Z","expires_at":"2026-11-21T10:06:02.456Z"}}`, string(a.body))
	require.JSONEq(t, `{"id":"8","kind":"undecodable","reason":"undecodable event: not JSON of this contract","consumer":"verifier-responses",
		"subject":"assent.response.link.x","size":12,"sha256":"`+strings.Repeat("0a", 32)+`","at":"2026-11-21T10:05:02.456Z",
		"replayable":false,"obstacle":"undecodable"}`, string(b.get("/v1/dead-letters/8").body))

	a = b.post("/v1/dead-letters/7/replay", "")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, "/v1/verifications/"+lettered, a.Header.Get("Location"))
	require.JSONEq(t, `{"verification_id":"`+lettered+`"}`, string(a.body))
	require.Contains(t, b.log.String(), `"verification_id":"`+lettered+`"`)
	require.Equal(t, http.StatusNotFound, b.post("/v1/dead-letters/7/replay", "").problem(t).Status)

	p := b.post("/v1/dead-letters/8/replay", "").problem(t)
	require.Equal(t, []any{http.StatusConflict, api.ProblemCodeLetterNotReplayable}, []any{p.Status, p.Code})
	require.Equal(t, letter.StillUndecodable.Explain(), p.Detail)
	drop := call{method: http.MethodDelete, path: "/v1/dead-letters/8"}
	require.Equal(t, http.StatusNoContent, b.do(drop).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(drop).problem(t).Status)
}

func TestEveryObstacleIsAProblemInWords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := map[string]bool{}
	for i, o := range []letter.Obstacle{
		letter.Expired, letter.Closed, letter.Sent, letter.Sending, letter.Superseded, letter.StillUndecodable, letter.Unreadable,
	} {
		l := undelivered(uint64(i + 1))
		l.Obstacle = o
		b.keep(l)
		p := b.post("/v1/dead-letters/"+string(rune('1'+i))+"/replay", "").problem(t)
		require.Equal(t, api.ProblemCodeLetterNotReplayable, p.Code)
		seen[p.Detail] = true
	}
	require.Len(t, seen, 7)
}

func TestAReplayIsLimitedLikeAnySend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.keep(undelivered(7))
	b.store.createErr = &verification.LimitError{Policy: "destination", Quota: 5, Window: 10 * time.Minute, RetryAfter: 412 * time.Second}
	a := b.post("/v1/dead-letters/7/replay", "")
	require.Equal(t, api.ProblemCodeLimitExceeded, a.problem(t).Code)
	require.Equal(t, "412", a.Header.Get("Retry-After"))
}

func TestDeadLettersAreListedInPagesAndByFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for id := range uint64(120) {
		l := undelivered(id + 1)
		if id%4 == 0 {
			l = undecodable(id + 1)
		}
		b.keep(l)
	}
	list := func(query string) (got []string, next *string) {
		var page api.DeadLetterList
		a := b.get("/v1/dead-letters?" + query)
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
		a.json(t, &page)
		for _, l := range page.Data {
			got = append(got, l.ID)
		}
		return got, page.Next
	}
	first, next := list("")
	require.Len(t, first, 50)
	require.Equal(t, "120", first[0])
	second, next2 := list("limit=100&after=" + *next)
	require.Len(t, second, 70)
	require.Equal(t, "70", second[0])
	require.Nil(t, next2)
	_, next = list("limit=1000")
	require.NotNil(t, next, "1000 reads as 100")
	for query, want := range map[string]int{
		"kind=undecodable": 30, "kind=undelivered": 90, "channel=sms": 90, "channel=totp": 0, "reason=provider_unavailable": 90,
		"reason=" + url.QueryEscape("undecodable event: not JSON of this contract"): 30, "kind=undecodable&channel=sms": 0,
	} {
		got, _ := list("limit=100&" + query)
		require.Len(t, got, want, query)
	}
	require.JSONEq(t, `{"data":[],"next":null}`, string(b.do(call{method: http.MethodGet, path: "/v1/dead-letters", client: other}).body))

	for query, parameter := range map[string]string{
		"kind=lost": "kind", "kind=": "kind", "channel=fax": "channel", "channel=": "channel", "reason=": "reason",
		"reason=" + strings.Repeat("x", 256): "reason", "limit=0": "limit", "limit=many": "limit", "kind=undecodable&kind=undelivered": "kind",
	} {
		p := b.get("/v1/dead-letters?" + query).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, query)
		require.Equal(t, parameter, p.Errors[0].Parameter, query)
	}
	for _, after := range []string{"", "x", "120", "0", "-1", "1 ", "01"} {
		encoded := base64.RawURLEncoding.EncodeToString([]byte(after))
		if after == "120" {
			encoded = after // not encoded
		}
		p := b.get("/v1/dead-letters?after=" + encoded).problem(t)
		require.Equal(t, api.ProblemCodeInvalidCursor, p.Code, after)
	}
}

func TestDeadLettersOfAnotherAccountAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.keep(undelivered(7))
	for _, c := range []call{
		{method: http.MethodGet, path: "/v1/dead-letters/7"},
		{method: http.MethodDelete, path: "/v1/dead-letters/7"},
		{method: http.MethodPost, path: "/v1/dead-letters/7/replay"},
	} {
		c.client = other
		require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, c.path)
		c.client = colleague
		require.Equal(t, http.StatusForbidden, b.do(c).problem(t).Status, c.path)
	}
	for _, id := range []string{"0", "007", "-7", "7x", "x", "18446744073709551616", "7.0"} {
		require.Equal(t, http.StatusNotFound, b.get("/v1/dead-letters/"+id).problem(t).Status, id)
	}
	require.Equal(t, http.StatusOK, b.get("/v1/dead-letters/7").StatusCode)
}

func TestDeadLettersThatCannotBeReadAreNotUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.keep(undelivered(7))
	b.store.fail(verification.ErrUnavailable)
	for _, c := range []call{
		{method: http.MethodGet, path: "/v1/dead-letters"},
		{method: http.MethodGet, path: "/v1/dead-letters/7"},
		{method: http.MethodPost, path: "/v1/dead-letters/7/replay"},
		{method: http.MethodDelete, path: "/v1/dead-letters/7"},
	} {
		c.header = map[string]string{"Authorization": "Bearer " + shopToken}
		require.Equal(t, http.StatusServiceUnavailable, b.do(c).problem(t).Status, c.path)
	}
}
