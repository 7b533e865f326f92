package verifier_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

// crowd is everybody who can act on one verification: two devices, somebody with a code, a page, a reply by text
// and the client. Each acts through another process than the one before.
type crowd struct {
	*house
	first, second phone
	stores        []*store.Verifications
	verifiers     []*verifier.Verifier
	archive       *store.Proofs

	mu     sync.Mutex
	closed map[string][]string // what each verification was closed as, by id
}

func gather(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{house: build(t), closed: map[string][]string{}}
	require.NoError(t, stream.Ensure(t.Context(), c.js, stream.Topology{SendQuota: 1 << 20})) // both devices are asked thousands of times
	c.archive = c.proofs()
	for _, p := range []*phone{&c.first, &c.second} {
		*p = phone{h: c.house, id: uuid.NewString()}
		p.key, p.public = newKey(t)
	}
	for range 2 {
		s := c.newStore()
		c.stores = append(c.stores, s)
		c.verifiers = append(c.verifiers, &verifier.Verifier{Verifications: s, Log: slog.New(slog.DiscardHandler)})
	}
	// Every outcome that is stored is republished, so nothing that was closed twice goes unseen.
	_, err := c.js.Conn().Subscribe(events.ChangedSubjects, func(m *nats.Msg) {
		o, err := events.Decode[events.VerificationChanged](m.Data)
		if err != nil || o.Status == string(verification.Pending) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed[o.ID] = append(c.closed[o.ID], strings.TrimSpace(o.Status+" "+o.Reason))
	})
	require.NoError(t, err)
	require.NoError(t, c.js.Conn().Flush())
	return c
}

// closes is what a verification was closed as. It returns once everything that was stored before was told.
func (c *crowd) closes(id string) []string {
	c.t.Helper()
	var seen []string
	require.Eventually(c.t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		seen = c.closed[id]
		return len(seen) > 0
	}, waitLong, time.Millisecond)
	return seen
}

// asked is a verification with what its answers are made of.
type asked struct {
	verification.Verification
	secrets verification.Secrets
}

// pose asks one question: of both devices and a number in turn, by a link, or for a code.
func (c *crowd) pose(challenge verification.Challenge) asked {
	c.t.Helper()
	id := uuid.NewString()
	number := "+1415" + strings.Map(func(r rune) rune { return '0' + r%10 }, id[len(id)-7:])
	p := verification.Params{
		ID: id, Credential: "shop", Channel: verification.SMS, Challenge: challenge,
		Context: verification.Context{Action: "Pay", Fields: []verification.Field{{Label: "Amount", Value: "49.00 EUR"}}},
	}
	a := verification.Activation{To: number}
	if challenge == verification.ApprovalChallenge {
		p.Channel, p.DeviceID = verification.Push, c.first.id
		p.Fallback = []verification.Step{
			{Channel: verification.Push, After: time.Minute, DeviceID: c.second.id}, {Channel: verification.SMS, After: time.Minute},
		}
		a = verification.Activation{
			To: "token " + id, Platform: device.FCM, PublicKey: c.first.public,
			Roads: []verification.Road{{To: "second token " + id, Platform: device.APNs, PublicKey: c.second.public}, {To: number}},
		}
	}
	p.NumberLength = p.MatchedDigits()
	var err error
	a.Verification, a.Secrets, err = verification.New(p, c.clock.now(), rand.Reader)
	require.NoError(c.t, err)
	v, _, err := c.store.Create(c.t.Context(), a)
	require.NoError(c.t, err)
	return asked{v, a.Secrets}
}

// wrong is a number that is not the one to match.
func (q asked) wrong() string {
	digits := []byte(q.secrets.Number.Reveal())
	for i := range digits {
		digits[i] = '0' + (digits[i]-'0'+1)%10
	}
	return string(digits)
}

// act is one thing that somebody does.
type act string

// The acts. A device signs what it answers; wrong is one of the few numbers that may be tried.
const (
	firstWrong   act = "first device: wrong number"
	firstRight   act = "first device: right number"
	secondDenies act = "second device: deny"
	codeChecked  act = "code"
	pageApproves act = "page: right number"
	replyWrong   act = "reply: wrong number"
	canceled     act = "cancel"
)

// do acts through one of the processes.
func (c *crowd) do(q asked, a act, process int) error {
	ctx, s := c.t.Context(), c.stores[process]
	switch a {
	case firstWrong:
		return c.signs(q, c.first, verification.Approve, q.wrong(), process)
	case firstRight:
		return c.signs(q, c.first, verification.Approve, q.secrets.Number.Reveal(), process)
	case secondDenies:
		return c.signs(q, c.second, verification.Deny, "", process)
	case codeChecked:
		_, _, err := s.Check(ctx, q.ID, cmp.Or(q.secrets.Code, "123456"))
		return ignoreRefusal(err)
	case pageApproves:
		return c.responds(q, events.ResponseLink, q.secrets.Number.Reveal(), process)
	case replyWrong:
		return c.responds(q, events.ResponseSMS, q.wrong(), process)
	case canceled:
		_, err := s.Resolve(ctx, q.ID, verification.Cancel{})
		return ignoreRefusal(err)
	default:
		return fmt.Errorf("nobody can %s", a)
	}
}

// ignoreRefusal lets pass what comes too late, or where something else was asked for.
func ignoreRefusal(err error) error {
	if errors.Is(err, verification.ErrClosed) || errors.Is(err, verification.ErrChallenge) {
		return nil
	}
	return err
}

// signs hands a verifier what a phone signed.
func (c *crowd) signs(q asked, p phone, d verification.Decision, number string, process int) error {
	p.v = q.Verification
	return c.handle(p.answer(events.Decision(d), number), process)
}

func (c *crowd) responds(q asked, kind, number string, process int) error {
	r := events.ResponseReceived{EventID: uuid.NewString(), ID: q.ID, Kind: kind, Decision: events.Approve, ReceivedAt: c.clock.now().UTC()}
	if q.NumberLength > 0 {
		var err error
		if r.Number, err = c.stores[process].NumberHash(c.t.Context(), q.ID, number); err != nil {
			return err
		}
	}
	return c.handle(r, process)
}

func (c *crowd) handle(r events.ResponseReceived, process int) error {
	r.Version = events.Version
	data, err := events.Encode(r)
	if err != nil {
		return err
	}
	m := message.NewMessage(uuid.NewString(), data)
	m.SetContext(context.WithoutCancel(c.t.Context()))
	return c.verifiers[process].HandleResponse(m)
}

// expected is what the acts, one after the other, close a verification as: the first that decides counts.
func expected(challenge verification.Challenge, acts []act) string {
	wrong := 0
	for _, a := range acts {
		switch {
		case a == canceled:
			return "canceled"
		case a == codeChecked && challenge == verification.CodeChallenge:
			return "approved"
		case challenge == verification.CodeChallenge, a == codeChecked:
		case challenge == verification.LinkChallenge && (a == firstWrong || a == firstRight || a == secondDenies): // was not asked
		case a == firstWrong || a == replyWrong:
			if wrong++; wrong == verification.MaxNumbers {
				return "denied wrong_number"
			}
		case a == secondDenies:
			return "denied"
		default:
			return "approved"
		}
	}
	return ""
}

// orders are all orders of the acts in which each person's own stay in theirs.
func orders(people ...[]act) [][]act {
	var all [][]act
	for i, own := range people {
		if len(own) == 0 {
			continue
		}
		rest := append(append(append([][]act{}, people[:i]...), own[1:]), people[i+1:]...)
		for _, tail := range orders(rest...) {
			all = append(all, append([]act{own[0]}, tail...))
		}
	}
	if all == nil {
		return [][]act{nil}
	}
	return all
}

// settled checks what must hold whatever happened: it was closed once, and what a phone signed verifies again.
func (c *crowd) settled(q asked, acts []act) string {
	c.t.Helper()
	closes := c.closes(q.ID)
	require.Len(c.t, closes, 1, "closed once: %v", acts)
	v, err := c.store.Get(c.t.Context(), q.ID)
	require.NoError(c.t, err)
	require.Equal(c.t, closes[0], strings.TrimSpace(string(v.Status)+" "+string(v.Reason)), "and stays so: %v", acts)
	archived, err := c.archive.Proof(c.t.Context(), "shop", q.ID)
	if v.Proof == nil {
		require.ErrorIs(c.t, err, verification.ErrNotFound, "%v", acts)
		return closes[0]
	}
	require.NoError(c.t, err, "%v", acts)
	require.Equal(c.t, v.Proof.Signature, archived.Signature)
	require.True(c.t, check(archived).Valid(), "%v: %+v", acts, check(archived))
	archived.Context = strings.Replace(archived.Context, "49.00", "4900", 1)
	require.False(c.t, check(archived).Valid(), "another amount was not signed")
	return closes[0]
}

// people are those who act, each in an order of their own. Where no phone is asked, one answer of each phone will do.
func people(challenge verification.Challenge) [][]act {
	first := []act{firstWrong, firstRight}
	if challenge != verification.ApprovalChallenge {
		first = []act{firstRight}
	}
	return [][]act{first, {secondDenies}, {codeChecked}, {pageApproves}, {replyWrong}, {canceled}}
}

// challenges have as many orders as follow: seven acts of which two have an order, or six.
func challenges() map[verification.Challenge]int {
	return map[verification.Challenge]int{verification.ApprovalChallenge: 2520, verification.LinkChallenge: 720, verification.CodeChallenge: 720}
}

// TestWhateverTheOrderAVerificationIsClosedOnceAndItsProofVerifies goes through all orders in which two devices, a
// code, a page, a reply and a cancel can reach one verification, on a real broker.
func TestWhateverTheOrderAVerificationIsClosedOnceAndItsProofVerifies(t *testing.T) {
	t.Parallel()
	for challenge, count := range challenges() {
		t.Run(string(challenge), func(t *testing.T) {
			t.Parallel()
			c := gather(t)
			all := orders(people(challenge)...)
			require.Len(t, all, count)
			ends := map[string]int{}
			for i, acts := range all {
				q := c.pose(challenge)
				for j, a := range acts {
					require.NoError(t, c.do(q, a, (i+j)%2), "%s of %v", a, acts)
				}
				end := c.settled(q, acts)
				require.Equal(t, expected(challenge, acts), end, "%v", acts)
				ends[end]++
			}
			require.Greater(t, len(ends), 1, "more than one can be first: %v", ends)
		})
	}
}

// TestWhoeverIsFasterAVerificationIsClosedOnceAndItsProofVerifies lets all of them act at the same time.
func TestWhoeverIsFasterAVerificationIsClosedOnceAndItsProofVerifies(t *testing.T) {
	t.Parallel()
	const rounds = 100
	c := gather(t)
	for round := range rounds {
		q := c.pose(verification.ApprovalChallenge)
		var running sync.WaitGroup
		start := make(chan struct{})
		for i, own := range people(verification.ApprovalChallenge) {
			running.Go(func() {
				<-start
				for _, a := range own {
					if err := c.do(q, a, (round+i)%2); err != nil {
						t.Errorf("%s: %v", a, err)
					}
				}
			})
		}
		close(start)
		running.Wait()
		c.settled(q, nil)
	}
}
