package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

const number = "+14155550100"

// house is a real broker with as many stores on it as a test asks for: each is what one api process has.
type house struct {
	t      *testing.T
	server *embednats.Server
	dir    string
	keys   *keyring.Keyring
	clock  *clock
}

// How long an eventual condition may take before a test gives up.
const (
	waitLong = 15 * time.Second
	tick     = 20 * time.Millisecond
)

// clock is a wall clock that a test can push forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func build(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	s := embednatstest.Start(t, dir)
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	h := &house{t: t, server: s, dir: dir, keys: keys, clock: &clock{}}
	require.NoError(t, stream.Ensure(t.Context(), h.js(), stream.Topology{}))
	return h
}

// js is a connection of its own, as another process would have.
func (h *house) js() jetstream.JetStream { return embednatstest.Connect(h.t, h.server) }

func (h *house) store(change ...func(*store.Config)) *store.Verifications {
	h.t.Helper()
	cfg := store.Config{
		Keys: h.keys, Limits: store.Limits{SendQuota: stream.DefaultSendQuota, SendWindow: stream.DefaultSendWindow}, Now: h.clock.now,
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := store.NewVerifications(h.t.Context(), h.js(), cfg)
	require.NoError(h.t, err)
	h.t.Cleanup(s.Close)
	return s
}

// activation is a new verification to a number of its own, unless change says otherwise.
func (h *house) activation(change ...func(*verification.Params)) verification.Activation {
	h.t.Helper()
	p := verification.Params{ID: uuid.Must(uuid.NewV7()).String(), Credential: "shop", Channel: verification.SMS}
	for _, c := range change {
		c(&p)
	}
	v, secrets, err := verification.New(p, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	return verification.Activation{Verification: v, Secrets: secrets, To: "+1415" + v.ID[len(v.ID)-7:]}
}

func create(t *testing.T, s *store.Verifications, a verification.Activation) verification.Verification {
	t.Helper()
	v, replayed, err := s.Create(t.Context(), a)
	require.NoError(t, err)
	require.False(t, replayed)
	return v
}

func TestACreatedVerificationIsSeenByEveryProcessAtOnce(t *testing.T) {
	h := build(t)
	one, two := h.store(), h.store()
	for range 50 {
		a := h.activation()
		create(t, one, a)
		v, err := two.Get(t.Context(), a.Verification.ID)
		require.NoError(t, err)
		require.Equal(t, verification.Pending, v.Status)
		require.Equal(t, a.Verification.ExpiresAt, v.ExpiresAt)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	h := build(t)
	s := h.store()
	create(t, s, h.activation())
	for _, id := range []string{"", "*", ">", "x", "*.*", uuid.NewString(), strings.Repeat("a", 400), "0199b1c2-0000-7000-8000-00000000000*"} {
		_, err := s.Get(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
		_, _, err = s.Check(t.Context(), id, "123456")
		require.ErrorIs(t, err, verification.ErrNotFound, id)
		_, err = s.Await(t.Context(), id, 0)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
		_, err = s.Resend(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
	}
}

func TestTheRightCodeApprovesOnAnyProcess(t *testing.T) {
	h := build(t)
	one, two := h.store(), h.store()
	a := h.activation()
	create(t, one, a)
	v, valid, err := two.Check(t.Context(), a.Verification.ID, "not it")
	require.NoError(t, err)
	require.False(t, valid)
	require.Equal(t, verification.MaxChecks-1, v.ChecksLeft())
	v, valid, err = one.Check(t.Context(), a.Verification.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
	require.Equal(t, verification.Approved, v.Status)
	v, err = two.Get(t.Context(), a.Verification.ID)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)
	_, _, err = two.Check(t.Context(), a.Verification.ID, a.Secrets.Code)
	require.ErrorIs(t, err, verification.ErrClosed)
}

func TestOfManyWrongCodesAtOnceExactlyTheLimitIsCompared(t *testing.T) {
	h := build(t)
	stores := []*store.Verifications{h.store(), h.store()}
	a := h.activation()
	create(t, stores[0], a)
	var compared, closed atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, valid, err := stores[i%2].Check(t.Context(), a.Verification.ID, "wrong")
			switch {
			case err == nil && !valid:
				compared.Add(1)
			case errors.Is(err, verification.ErrClosed):
				closed.Add(1)
			default:
				t.Errorf("valid %v, err %v", valid, err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, verification.MaxChecks, compared.Load())
	require.EqualValues(t, 40-verification.MaxChecks, closed.Load())
}

func TestOfRacingFactsExactlyOneCloses(t *testing.T) {
	h := build(t)
	stores := []*store.Verifications{h.store(), h.store(), h.store()}
	a := h.activation(func(p *verification.Params) { p.Challenge = verification.ApprovalChallenge })
	create(t, stores[0], a)
	var won atomic.Int64
	var wg sync.WaitGroup
	for i, f := range []verification.Fact{
		verification.Answered{Decision: verification.Approve}, verification.Answered{Decision: verification.Deny}, verification.Cancel{},
	} {
		for range 8 {
			wg.Go(func() {
				if _, err := stores[i].Resolve(t.Context(), a.Verification.ID, f); err == nil {
					won.Add(1)
				} else if !errors.Is(err, verification.ErrClosed) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
}

func TestSixtyFourSendsToOneDestinationThroughTwoProcesses(t *testing.T) {
	h := build(t)
	stores := []*store.Verifications{h.store(), h.store()}
	var accepted, limited atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		a := h.activation()
		a.To = number
		wg.Go(func() {
			_, _, err := stores[i%2].Create(t.Context(), a)
			var limit *verification.LimitError
			switch {
			case err == nil:
				accepted.Add(1)
			case errors.As(err, &limit):
				limited.Add(1)
				if limit.Policy != "destination" || limit.Quota != 5 || limit.RetryAfter < 9*time.Minute || limit.RetryAfter > 10*time.Minute {
					t.Errorf("%+v", limit)
				}
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 5, accepted.Load())
	require.EqualValues(t, 59, limited.Load())
}

func TestTheSpellingsOfAMailboxShareOneLimit(t *testing.T) {
	h := build(t)
	s := h.store()
	mail := func(to string) verification.Activation {
		a := h.activation(func(p *verification.Params) { p.Channel = verification.Email })
		a.To = to
		return a
	}
	for _, to := range []string{"ana@example.com", "Ana@example.com", "aNa@example.com", "anA@example.com", "ANA@example.com"} {
		create(t, s, mail(to))
	}
	_, _, err := s.Create(t.Context(), mail("AnA@example.com"))
	require.ErrorAs(t, err, new(*verification.LimitError))
}

func TestAUsersLimitCountsAllTheirDevicesAndTakesNothingWhenItRefuses(t *testing.T) {
	h := build(t)
	s := h.store()
	ofUser := func(p *verification.Params) { p.UserID = uuid.NewString() }
	user := uuid.NewString()
	same := func(p *verification.Params) { p.UserID = user }
	for range 5 {
		create(t, s, h.activation(same))
	}
	a := h.activation(same)
	a.To = number
	for range 7 {
		_, _, err := s.Create(t.Context(), a)
		var limit *verification.LimitError
		require.ErrorAs(t, err, &limit)
		require.Equal(t, "user", limit.Policy)
	}
	for range 5 { // the refused ones took nothing from the number's own limit
		b := h.activation(ofUser)
		b.To = number
		create(t, s, b)
	}
}

func TestAnIdempotencyKeyCreatesOnce(t *testing.T) {
	h := build(t)
	one, two := h.store(), h.store()
	make1 := func(body string) verification.Activation {
		a := h.activation(func(p *verification.Params) { p.ID = one.IDFor("shop", "key-1") })
		a.To, a.IdempotencyKey, a.Body = number, "key-1", []byte(body)
		return a
	}
	require.NotEqual(t, one.IDFor("shop", "key-1"), one.IDFor("shop", "key-2"))
	require.NotEqual(t, one.IDFor("shop", "key-1"), one.IDFor("bank", "key-1"))
	first := create(t, one, make1("body"))
	for _, s := range []*store.Verifications{one, two} {
		again, replayed, err := s.Create(t.Context(), make1("body"))
		require.NoError(t, err)
		require.True(t, replayed)
		require.Equal(t, first, again)
		_, _, err = s.Create(t.Context(), make1("other body"))
		require.ErrorIs(t, err, verification.ErrIdempotencyMismatch)
	}
	for range 4 { // replays took nothing from the limit of five
		a := h.activation()
		a.To = number
		create(t, one, a)
	}
}

func TestConcurrentRequestsUnderOneKeyCreateOnce(t *testing.T) {
	h := build(t)
	stores := []*store.Verifications{h.store(), h.store()}
	var made, replayed, busy atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		s := stores[i%2]
		a := h.activation(func(p *verification.Params) { p.ID = s.IDFor("shop", "k") })
		a.To, a.IdempotencyKey, a.Body = number, "k", []byte("b")
		wg.Go(func() {
			_, again, err := s.Create(t.Context(), a)
			switch {
			case errors.Is(err, verification.ErrIdempotencyInProgress):
				busy.Add(1)
			case err != nil:
				t.Error(err)
			case again:
				replayed.Add(1)
			default:
				made.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
	require.EqualValues(t, 31, replayed.Load()+busy.Load())
}

func TestAResendIsTheSameMessageOnceMore(t *testing.T) {
	h := build(t)
	s := h.store()
	js := h.js()
	a := h.activation()
	create(t, s, a)
	v, err := s.Resend(t.Context(), a.Verification.ID)
	require.NoError(t, err)
	require.Equal(t, 2, v.Sends)
	st, err := js.Stream(t.Context(), stream.Activations)
	require.NoError(t, err)
	raw, err := st.GetLastMsgForSubject(t.Context(), events.ActivationSubject(events.SMS, a.Verification.ID))
	require.NoError(t, err)
	e, err := events.Decode[events.VerificationActivated](raw.Data)
	require.NoError(t, err)
	require.Equal(t, 2, e.Send)
	require.Equal(t, a.Verification.ExpiresAt, e.ExpiresAt)
	plain, err := h.keys.Open(keyring.Channel(events.SMS), e.ID, e.Content)
	require.NoError(t, err)
	require.Contains(t, string(plain), a.Secrets.Code.Reveal())

	for range 3 {
		_, err = s.Resend(t.Context(), a.Verification.ID)
		require.NoError(t, err)
	}
	_, err = s.Resend(t.Context(), a.Verification.ID)
	var limit *verification.LimitError
	require.ErrorAs(t, err, &limit, "the sixth send")

	_, err = s.Resolve(t.Context(), a.Verification.ID, verification.Cancel{})
	require.NoError(t, err)
	_, err = s.Resend(t.Context(), a.Verification.ID)
	require.ErrorIs(t, err, verification.ErrClosed)
}

func TestAFailedDeliveryClosesUnlessANewerMessageIsOnItsWay(t *testing.T) {
	h := build(t)
	s := h.store()
	a := h.activation()
	create(t, s, a)
	_, err := h.store().Resend(t.Context(), a.Verification.ID) // another process: s has the old count in memory
	require.NoError(t, err)
	v, err := s.Resolve(t.Context(), a.Verification.ID, verification.Undelivered{Send: 1, Reason: "undeliverable"})
	require.NoError(t, err)
	require.Equal(t, verification.Pending, v.Status)
	v, err = s.Resolve(t.Context(), a.Verification.ID, verification.Undelivered{Send: 2, Reason: "undeliverable"})
	require.NoError(t, err)
	require.Equal(t, verification.Failed, v.Status)
	require.EqualValues(t, "undeliverable", v.Reason)
}

func TestAParkedWaiterHearsOfTheChangeMadeByAnotherProcess(t *testing.T) {
	h := build(t)
	one, two := h.store(), h.store()
	a := h.activation()
	v := create(t, one, a)
	const waiters = 200
	answers := make(chan verification.Verification, waiters)
	var parked sync.WaitGroup
	for range waiters {
		parked.Add(1)
		go func() {
			parked.Done()
			got, err := one.Await(t.Context(), v.ID, v.Revision)
			if err != nil {
				t.Error(err)
			}
			answers <- *got
		}()
	}
	parked.Wait()
	_, valid, err := two.Check(t.Context(), v.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
	for range waiters {
		require.Equal(t, verification.Approved, (<-answers).Status)
	}
}

func TestAwaitAnswersAtOnceWhatDiffersFromWhatWasSeen(t *testing.T) {
	h := build(t)
	s := h.store()
	a := h.activation()
	v := create(t, s, a)
	_, _, err := s.Check(t.Context(), v.ID, "wrong")
	require.NoError(t, err)
	got, err := s.Await(t.Context(), v.ID, v.Revision)
	require.NoError(t, err)
	require.Equal(t, 1, got.ChecksUsed)
}

func TestAwaitEndsWithItsContextAndWithExpiry(t *testing.T) {
	h := build(t)
	s := h.store()
	v := create(t, s, h.activation())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := s.Await(ctx, v.ID, v.Revision)
	if err == nil { // a read under a canceled context may fail first
		require.Equal(t, verification.Pending, got.Status)
	}
	h.clock.forward(v.ExpiresAt.Sub(h.clock.now()) - 20*time.Millisecond)
	got, err = s.Await(t.Context(), v.ID, v.Revision)
	require.NoError(t, err)
	require.Equal(t, verification.Expired, got.Status)
}

func TestALinkOpensWithItsOwnTokenOnly(t *testing.T) {
	h := build(t)
	s := h.store()
	link := func(p *verification.Params) { p.Challenge = verification.LinkChallenge }
	a, b := h.activation(link), h.activation(link)
	create(t, s, a)
	create(t, s, b)
	v, err := s.ByLink(t.Context(), a.Secrets.Token)
	require.NoError(t, err)
	require.Equal(t, a.Verification.ID, v.ID)
	forged, err := verification.NewToken(rand.Reader, a.Verification.ID)
	require.NoError(t, err)
	for _, tok := range []verification.Token{forged, "", "short", a.Secrets.Token[:42], a.Secrets.Token + "x"} {
		_, err := s.ByLink(t.Context(), tok)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
	code := h.activation()
	create(t, s, code)
	forged, err = verification.NewToken(rand.Reader, code.Verification.ID)
	require.NoError(t, err)
	_, err = s.ByLink(t.Context(), forged)
	require.ErrorIs(t, err, verification.ErrNotFound, "a code is no link")
}

func TestASpokenCodeIsToldToAnOpenCallOnly(t *testing.T) {
	h := build(t)
	s := h.store()
	call := h.activation(func(p *verification.Params) { p.Channel = verification.Voice })
	text := h.activation()
	create(t, s, call)
	create(t, s, text)
	_, code, err := s.Code(t.Context(), call.Verification.ID)
	require.NoError(t, err)
	require.Equal(t, call.Secrets.Code.Reveal(), code.Reveal())
	_, _, err = s.Code(t.Context(), text.Verification.ID)
	require.ErrorIs(t, err, verification.ErrChallenge)
	_, err = s.Resolve(t.Context(), call.Verification.ID, verification.Cancel{})
	require.NoError(t, err)
	_, code, err = s.Code(t.Context(), call.Verification.ID)
	require.ErrorIs(t, err, verification.ErrClosed)
	require.Empty(t, code.Reveal())
}

func TestAReplyFindsTheNewestOpenApprovalOfItsNumber(t *testing.T) {
	h := build(t)
	s := h.store()
	approval := func(p *verification.Params) { p.Challenge = verification.ApprovalChallenge }
	older, newer, code, other := h.activation(approval), h.activation(approval), h.activation(), h.activation(approval)
	older.To, newer.To, code.To = number, number, number
	for _, a := range []verification.Activation{older, newer, code, other} {
		create(t, s, a)
	}
	open, err := s.OpenApprovals(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.Equal(t, newer.Verification.ID, open[0].ID)
	_, err = s.Resolve(t.Context(), newer.Verification.ID, verification.Answered{Decision: verification.Deny})
	require.NoError(t, err)
	open, err = s.OpenApprovals(t.Context(), number)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, older.Verification.ID, open[0].ID)
}

func TestABrokerThatIsGoneIsSaidToBeUnavailable(t *testing.T) {
	h := build(t)
	s := h.store()
	v := create(t, s, h.activation())
	h.server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := s.Create(ctx, h.activation())
	require.ErrorIs(t, err, verification.ErrUnavailable)
	_, err = s.Get(ctx, v.ID)
	require.ErrorIs(t, err, verification.ErrUnavailable)
}

func TestAReplyStaysBoundToTheVerificationItAnsweredFirst(t *testing.T) {
	h := build(t)
	one, two := h.store(), h.store()
	a, b := uuid.NewString(), uuid.NewString()
	got, err := one.Bind(t.Context(), "SM1", a)
	require.NoError(t, err)
	require.Equal(t, a, got)
	got, err = two.Bind(t.Context(), "SM1", b)
	require.NoError(t, err)
	require.Equal(t, a, got)
	got, err = two.Bind(t.Context(), "SM2", b)
	require.NoError(t, err)
	require.Equal(t, b, got)
}

func TestAChangeThatIsToldLateIsNotTakenForNews(t *testing.T) {
	h := build(t)
	s := h.store()
	a := h.activation()
	v := create(t, s, a)
	for range 2 {
		var err error
		v, _, err = s.Check(t.Context(), v.ID, "wrong")
		require.NoError(t, err)
	}
	answer := make(chan *verification.Verification, 1)
	go func() {
		got, err := s.Await(t.Context(), v.ID, v.Revision)
		if err != nil {
			t.Error(err)
		}
		answer <- got
	}()
	// What stood before, told again: core NATS promises no order towards what was read meanwhile.
	stale, err := events.Encode(events.VerificationChanged{Version: 1, ID: v.ID, Status: "pending", ChecksUsed: 1, ChangedAt: h.clock.now()})
	require.NoError(t, err)
	nc := h.js().Conn()
	for range 200 {
		require.NoError(t, nc.PublishMsg(&nats.Msg{
			Subject: events.ChangedSubject(v.ID), Data: stale,
			Header: nats.Header{jetstream.SequenceHeader: {strconv.FormatUint(v.Revision-1, 10)}},
		}))
		require.NoError(t, nc.Flush())
	}
	_, valid, err := s.Check(t.Context(), v.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
	require.Equal(t, verification.Approved, (<-answer).Status)
}
