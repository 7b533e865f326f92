package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

const (
	shop     = "shop" // owns what house.activation makes
	operator = "assent-dev"
)

// desk is where the letters of a house are kept.
type desk struct {
	*house
	verifications *store.Verifications
	letters       *store.Letters
	pub           *stream.Publisher
}

func openDesk(t *testing.T) desk {
	t.Helper()
	h := build(t)
	d := desk{house: h, verifications: h.store(), pub: stream.NewPublisher(h.js()).Sealing(h.keys.SealLetter)}
	d.letters = d.more()
	return d
}

// more are the letters as another process has them.
func (d desk) more() *store.Letters {
	d.t.Helper()
	l, err := store.NewLetters(d.t.Context(), d.js(), store.LettersConfig{Verifications: d.store(), Operator: operator})
	require.NoError(d.t, err)
	return l
}

func (d desk) reader(name string) *stream.Reader {
	d.t.Helper()
	r, err := stream.NewReader(d.t.Context(), d.js(), name)
	require.NoError(d.t, err)
	return r
}

// put stores a message and returns what its consumer would know of it.
func (d desk) put(subject string, data []byte) stream.Record {
	d.t.Helper()
	seq, err := d.pub.Put(d.t.Context(), subject, data)
	require.NoError(d.t, err)
	return stream.Record{Subject: subject, Sequence: seq, Data: data}
}

// bury puts a message aside and returns its letter's id.
func (d desk) bury(rec stream.Record, l events.DeadLetter) uint64 {
	d.t.Helper()
	l.Subject, l.Sequence = rec.Subject, rec.Sequence
	require.NoError(d.t, d.pub.Letter(d.t.Context(), l, rec.Data))
	_, last, err := stream.Span(d.t.Context(), d.js(), stream.DeadLetters)
	require.NoError(d.t, err)
	return last
}

// store writes a letter as it is.
func (d desk) raw(consumer string, l events.DeadLetter) uint64 {
	d.t.Helper()
	l.Version, l.At = events.Version, time.Now().UTC()
	data, err := events.Encode(l)
	require.NoError(d.t, err)
	return d.put(events.DeadLetterSubject(consumer), data).Sequence
}

// undelivered is a new verification whose message came to nothing, and its letter.
func (d desk) undelivered() (verification.Activation, stream.Record, uint64) {
	d.t.Helper()
	a := d.activation()
	create(d.t, d.verifications, a)
	rec := d.standing(a.Verification.ID)
	return a, rec, d.bury(rec, events.DeadLetter{
		Consumer: "sms", Kind: events.LetterUndelivered, Reason: events.ReasonProviderUnavailable,
		VerificationID: a.Verification.ID, Credential: shop, Channel: events.SMS,
	})
}

func (d desk) standing(id string) stream.Record {
	d.t.Helper()
	rec, err := d.reader(stream.Activations).Last(d.t.Context(), events.ActivationSubject(events.SMS, id))
	require.NoError(d.t, err)
	return rec
}

func activated(t *testing.T, rec stream.Record) events.VerificationActivated {
	t.Helper()
	a, err := events.Decode[events.VerificationActivated](rec.Data)
	require.NoError(t, err)
	return a
}

func (d desk) letter(id uint64) letter.Letter {
	d.t.Helper()
	for _, account := range []string{shop, operator} {
		l, err := d.letters.Letter(d.t.Context(), account, id)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		require.NoError(d.t, err)
		return l
	}
	d.t.Fatalf("no letter %d", id)
	return letter.Letter{}
}

func (d desk) refuses(id uint64, want letter.Obstacle, doing string) {
	d.t.Helper()
	l := d.letter(id)
	require.Equal(d.t, want, l.Obstacle, doing)
	account := l.Account
	if account == "" {
		account = operator
	}
	_, err := d.letters.ReplayLetter(d.t.Context(), account, id)
	var refused *letter.RefusedError
	require.ErrorAs(d.t, err, &refused, doing)
	require.Equal(d.t, want, refused.Obstacle, doing)
	require.NotEmpty(d.t, want.Explain())
	require.Equal(d.t, want, d.letter(id).Obstacle, "the letter stays: %s", doing)
}

func TestAnUndeliveredMessageIsReplayedAsItsNextSend(t *testing.T) {
	d := openDesk(t)
	a, rec, id := d.undelivered()
	before := activated(t, rec)
	l := d.letter(id)
	at := l.At
	require.Equal(t, letter.Letter{
		ID: id, Kind: letter.Undelivered, Reason: events.ReasonProviderUnavailable, Subject: rec.Subject, Consumer: "sms",
		VerificationID: a.Verification.ID, Account: shop, Channel: "sms", Size: len(rec.Data), At: at,
		Message: &letter.Message{
			ToMasked: a.Verification.ToMasked, Challenge: "code", Send: 1, CreatedAt: before.CreatedAt, ExpiresAt: before.ExpiresAt,
		},
	}, l)
	require.NotContains(t, fmt.Sprintf("%+v %+v", l, *l.Message), a.To)
	require.NotContains(t, fmt.Sprintf("%+v %+v", l, *l.Message), a.Secrets.Code.Reveal())

	d.clock.forward(time.Minute)
	verificationID, err := d.letters.ReplayLetter(t.Context(), shop, id)
	require.NoError(t, err)
	require.Equal(t, a.Verification.ID, verificationID)
	after := activated(t, d.standing(a.Verification.ID))
	require.WithinDuration(t, before.RequestedAt.Add(time.Minute), after.RequestedAt, 30*time.Second)
	after.RequestedAt, before.Send = before.RequestedAt, 2
	require.Equal(t, before, after, "the same code, the same end")

	steps, err := d.verifications.Deliveries(t.Context(), a.Verification.ID)
	require.NoError(t, err)
	require.Len(t, steps, 1)
	require.Equal(t, []any{events.DeliveryRequested, 2}, []any{steps[0].Status, steps[0].Send})
	sends, err := d.reader(stream.Windows).All(t.Context(), events.WindowSubject(events.WindowDestination, before.Destination))
	require.NoError(t, err)
	require.Len(t, sends, 2, "it counts like any other")
	_, err = d.letters.Letter(t.Context(), shop, id)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = d.letters.ReplayLetter(t.Context(), shop, id)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, valid, err := d.verifications.Check(t.Context(), a.Verification.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
}

func TestOfManyReplaysAtOnceOneSends(t *testing.T) {
	d := openDesk(t)
	a, rec, id := d.undelivered()
	desks := []*store.Letters{d.more(), d.more(), d.more()}
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			_, err := desks[i%3].ReplayLetter(t.Context(), shop, id)
			var refused *letter.RefusedError
			switch {
			case err == nil:
				won.Add(1)
			case errors.As(err, &refused) && refused.Obstacle == letter.Superseded, errors.Is(err, verification.ErrNotFound):
				lost.Add(1)
			default:
				var limit *verification.LimitError
				if errors.As(err, &limit) { // those that were counted until they had lost
					lost.Add(1)
					return
				}
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	require.EqualValues(t, 23, lost.Load())
	after := activated(t, d.standing(a.Verification.ID))
	require.Equal(t, 2, after.Send)
	before := activated(t, rec)
	sends, err := d.reader(stream.Windows).All(t.Context(), events.WindowSubject(events.WindowDestination, before.Destination))
	require.NoError(t, err)
	require.Len(t, sends, 2)
}

func TestAReplayRespectsTheEnd(t *testing.T) {
	d := openDesk(t)
	a, _, id := d.undelivered()
	_, err := d.verifications.Resolve(t.Context(), a.Verification.ID, verification.Cancel{})
	require.NoError(t, err)
	d.refuses(id, letter.Closed, "canceled")

	_, _, id = d.undelivered()
	d.clock.forward(10 * time.Minute)
	d.refuses(id, letter.Expired, "too late")
	require.NotNil(t, d.letter(id).Message)

	a, rec, id := d.undelivered()
	require.NoError(t, stream.Delete(t.Context(), d.js(), stream.Activations, rec.Sequence))
	d.refuses(id, letter.Expired, "the record is gone")
	require.Equal(t, a.Verification.ToMasked, d.letter(id).Message.ToMasked, "it is read from the letter")
}

func TestAReplayRespectsTheSendRecord(t *testing.T) {
	d := openDesk(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	type reports []events.DeliverySettled
	for name, test := range map[string]struct {
		reports   reports
		want      letter.Obstacle
		uncertain bool
	}{
		"sent":                             {reports{{Status: events.DeliveryBegun, Until: &soon}, {Status: events.DeliverySent}}, letter.Sent, false},
		"delivered":                        {reports{{Status: events.DeliveryDelivered}}, letter.Sent, false},
		"a call that nobody took":          {reports{{Status: events.DeliveryUnanswered}}, letter.Sent, false},
		"a call under way":                 {reports{{Status: events.DeliveryBegun, Until: &soon}}, letter.Sending, false},
		"the next call under way":          {reports{{Status: events.DeliveryBegun, Until: &soon}, {Status: events.DeliveryRetrying}, {Status: events.DeliveryBegun, Until: &soon}}, letter.Sending, false},
		"nothing":                          {nil, "", false},
		"a call that came to nothing":      {reports{{Status: events.DeliveryBegun, Until: &soon}, {Status: events.DeliveryRetrying}}, "", false},
		"a call that was never answered":   {reports{{Status: events.DeliveryBegun, Until: &soon}, {Status: events.DeliveryUnknown}}, "", true},
		"a call of which nobody told more": {reports{{Status: events.DeliveryBegun, Until: &past}}, "", true},
		"an unknown one and then none":     {reports{{Status: events.DeliveryUnknown}, {Status: events.DeliveryBegun, Until: &soon}, {Status: events.DeliveryRetrying}}, "", true},
		"another send's":                   {reports{{Status: events.DeliverySent, Send: 7}}, "", false},
		"another step's":                   {reports{{Status: events.DeliverySent, Step: 1}}, "", false},
		"an earlier life's":                {reports{{Status: events.DeliverySent, At: time.Now().Add(-time.Hour)}}, "", false},
	} {
		a, _, id := d.undelivered()
		for _, r := range test.reports {
			r.Version, r.ID, r.Channel = events.Version, a.Verification.ID, events.SMS
			if r.Send == 0 {
				r.Send = 1
			}
			if r.At.IsZero() {
				r.At = time.Now()
			}
			subject := events.DeliverySubject(r.ID, r.Status)
			if r.Status == events.DeliveryBegun {
				subject = events.BegunSubject(r.ID, r.Step, r.Send, r.Attempt)
			}
			data, err := events.Encode(r)
			require.NoError(t, err)
			d.put(subject, data)
		}
		require.Equal(t, test.uncertain, d.letter(id).Uncertain, name)
		if test.want != "" {
			d.refuses(id, test.want, name)
			continue
		}
		_, err := d.letters.ReplayLetter(t.Context(), shop, id)
		require.NoError(t, err, name)
	}
}

func TestAReplayGivesWayToAResendAndToTheLimit(t *testing.T) {
	d := openDesk(t)
	a, _, id := d.undelivered()
	_, err := d.verifications.Resend(t.Context(), a.Verification.ID)
	require.NoError(t, err)
	d.refuses(id, letter.Superseded, "resent")

	a, _, _ = d.undelivered()
	for range stream.DefaultSendQuota - 1 {
		_, err = d.verifications.Resend(t.Context(), a.Verification.ID)
		require.NoError(t, err)
	}
	rec := d.standing(a.Verification.ID)
	id = d.bury(rec, events.DeadLetter{Consumer: "sms", Kind: events.LetterUndelivered, Credential: shop})
	_, err = d.letters.ReplayLetter(t.Context(), shop, id)
	var limit *verification.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, rec.Sequence, d.standing(a.Verification.ID).Sequence)
	require.Empty(t, d.letter(id).Obstacle, "it can be tried again")
}

// TestAStepOfAFallbackIsReplayedWhereItStands: its record is that of the road before.
func TestAStepOfAFallbackIsReplayedWhereItStands(t *testing.T) {
	d := openDesk(t)
	a, rec, _ := d.undelivered()
	step := activated(t, rec)
	step.Channel, step.Step = events.Voice, 2
	var err error
	step.Content, err = d.keys.Seal(keyring.Channel(events.Voice), step.ID, []byte(`{"to":"`+number+`","code":"482913"}`))
	require.NoError(t, err)
	data, err := events.Encode(step)
	require.NoError(t, err)
	subject := events.FallbackSubject(events.Voice, step.ID, 2)
	id := d.bury(d.put(subject, data), events.DeadLetter{Consumer: "voice", Kind: events.LetterUndelivered, Credential: shop})
	require.Equal(t, 2, d.letter(id).Message.Step)
	_, err = d.letters.ReplayLetter(t.Context(), shop, id)
	require.NoError(t, err)
	last, err := d.reader(stream.Activations).Last(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, 2, activated(t, last).Send)
	require.Equal(t, rec.Sequence, d.standing(a.Verification.ID).Sequence, "the record is as it was")
	steps, err := d.verifications.Deliveries(t.Context(), step.ID)
	require.NoError(t, err)
	require.Equal(t, []any{2, 2}, []any{steps[0].Step, steps[0].Send})

	id = d.bury(last, events.DeadLetter{Consumer: "voice", Kind: events.LetterUndelivered, Credential: shop})
	_, err = d.verifications.Resolve(t.Context(), step.ID, verification.Cancel{})
	require.NoError(t, err)
	d.refuses(id, letter.Closed, "the verification is canceled")
}

func TestWhatDoesNotDecodeIsShownByItsSizeAndSumOnly(t *testing.T) {
	d := openDesk(t)
	garbage := []byte(`{"version":9,"code":"482913"}`)
	rec := d.put(events.ActivationSubject(events.SMS, uuid.NewString()), garbage)
	id := d.bury(rec, events.DeadLetter{Consumer: "sms", Kind: events.LetterUndecodable, Reason: "undecodable event: version 9, this program reads 1"})
	sum := sha256.Sum256(garbage)
	for range 2 { // where it stands, and from the letter
		l := d.letter(id)
		require.Equal(t, hex.EncodeToString(sum[:]), l.SHA256)
		require.Equal(t, len(garbage), l.Size)
		require.Nil(t, l.Message)
		require.NotContains(t, fmt.Sprintf("%+v", l), "482913")
		d.refuses(id, letter.StillUndecodable, "a later version")
		require.NoError(t, stream.Delete(t.Context(), d.js(), stream.Activations, rec.Sequence))
	}

	unsealed := d.pub.Sealing(nil)
	require.NoError(t, unsealed.Letter(t.Context(), events.DeadLetter{Subject: rec.Subject, Sequence: rec.Sequence, Consumer: "sms"}, nil), "dropped: the same place")
	id = d.raw("sms", events.DeadLetter{Subject: rec.Subject, Sequence: rec.Sequence, Consumer: "sms", Size: 29})
	d.refuses(id, letter.Unreadable, "it was not sealed and left its stream")
	require.Equal(t, 29, d.letter(id).Size)
	other, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	sealed, err := other.SealLetter(rec.Subject, "sms", garbage)
	require.NoError(t, err)
	id = d.raw("sms", events.DeadLetter{Subject: rec.Subject, Sequence: rec.Sequence, Consumer: "sms", Sealed: &sealed})
	d.refuses(id, letter.Unreadable, "it was sealed for another key")
}

// TestWhatAnOlderProgramCouldNotDecodeIsReplayedByThisOne: also from letters in clear, and from those that were
// not sealed while the message stands.
func TestWhatAnOlderProgramCouldNotDecodeIsReplayedByThisOne(t *testing.T) {
	d := openDesk(t)
	for name, change := range map[string]func(*events.DeadLetter, []byte){
		"in clear":   func(l *events.DeadLetter, payload []byte) { l.Data = payload },
		"not sealed": func(l *events.DeadLetter, payload []byte) { l.Kind, l.Size = events.LetterUndecodable, len(payload) },
	} {
		a := d.activation()
		create(t, d.verifications, a)
		rec := d.standing(a.Verification.ID)
		l := events.DeadLetter{Subject: rec.Subject, Sequence: rec.Sequence, Consumer: "sms", Reason: "undecodable event: malformed field"}
		change(&l, rec.Data)
		id := d.raw("sms", l)
		shown := d.letter(id)
		require.Equal(t, letter.Undecodable, shown.Kind, name)
		require.Equal(t, len(rec.Data), shown.Size, name)
		require.Empty(t, shown.SHA256)
		_, err := d.letters.ReplayLetter(t.Context(), operator, id)
		require.NoError(t, err, name)
		require.Equal(t, 2, activated(t, d.standing(a.Verification.ID)).Send, name)
	}
}

func TestAnAnswerIsReplayedOnceWhileItsVerificationLives(t *testing.T) {
	d := openDesk(t)
	answer := func() (a verification.Activation, rec stream.Record, id uint64) {
		a = d.activation(func(p *verification.Params) { p.Challenge = verification.ApprovalChallenge })
		create(t, d.verifications, a)
		data, err := events.Encode(events.ResponseReceived{
			Version: events.Version, ID: a.Verification.ID, Kind: events.ResponseLink, Decision: events.Approve, ReceivedAt: time.Now().UTC(),
		})
		require.NoError(t, err)
		rec = d.put(events.ResponseSubject(events.ResponseLink, a.Verification.ID), data)
		return a, rec, d.bury(rec, events.DeadLetter{Consumer: "verifier-responses", Kind: events.LetterUndecodable, VerificationID: a.Verification.ID})
	}
	a, rec, id := answer()
	desks := []*store.Letters{d.more(), d.more()}
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := desks[i%2].ReplayLetter(t.Context(), operator, id); err == nil {
				won.Add(1)
			} else if !errors.Is(err, verification.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	_, last, err := stream.Span(t.Context(), d.js(), stream.Responses)
	require.NoError(t, err)
	require.Equal(t, rec.Sequence+1, last, "it was published once more, and once only")
	again, err := d.reader(stream.Responses).At(t.Context(), last)
	require.NoError(t, err)
	require.Equal(t, []any{rec.Subject, string(rec.Data)}, []any{again.Subject, string(again.Data)})

	_, rec, id = answer()
	require.NoError(t, stream.Delete(t.Context(), d.js(), stream.Responses, rec.Sequence))
	_, err = d.letters.ReplayLetter(t.Context(), operator, id)
	require.NoError(t, err, "from the letter")

	a, _, id = answer()
	_, err = d.verifications.Resolve(t.Context(), a.Verification.ID, verification.Cancel{})
	require.NoError(t, err)
	d.refuses(id, letter.Closed, "an answer that comes too late")
	_, _, id = answer()
	d.clock.forward(time.Hour)
	d.refuses(id, letter.Expired, "an answer after the end")
}

func TestAReportIsReplayed(t *testing.T) {
	d := openDesk(t)
	a, _, _ := d.undelivered()
	data, err := events.Encode(events.DeliverySettled{
		Version: events.Version, ID: a.Verification.ID, Channel: events.SMS, Send: 1, Status: events.DeliveryFailed,
		Reason: events.ReasonUndeliverable, At: time.Now().UTC(),
	})
	require.NoError(t, err)
	rec := d.put(events.DeliverySubject(a.Verification.ID, events.DeliveryFailed), data)
	id := d.bury(rec, events.DeadLetter{Consumer: "verifier-deliveries"})
	_, err = d.letters.ReplayLetter(t.Context(), operator, id)
	require.NoError(t, err)
	steps, err := d.verifications.Deliveries(t.Context(), a.Verification.ID)
	require.NoError(t, err)
	require.Len(t, steps, 2)
}

// TestAForgedLetterReplaysNothing: whoever may bury as one consumer must not speak as another.
func TestAForgedLetterReplaysNothing(t *testing.T) {
	d := openDesk(t)
	a, rec, _ := d.undelivered()
	answer, err := events.Encode(events.ResponseReceived{Version: events.Version, ID: a.Verification.ID, Kind: events.ResponseLink, Decision: events.Approve})
	require.NoError(t, err)
	answered := events.ResponseSubject(events.ResponseLink, a.Verification.ID)
	for name, test := range map[string]struct {
		as string // where it was stored
		l  events.DeadLetter
	}{
		"an answer of a worker":              {"sms", events.DeadLetter{Consumer: "sms", Subject: answered, Data: answer}},
		"an answer in another's name":        {"sms", events.DeadLetter{Consumer: "verifier-responses", Subject: answered, Data: answer}},
		"an answer of another subject":       {"verifier-responses", events.DeadLetter{Consumer: "verifier-responses", Subject: answered + "0", Data: answer}},
		"an activation of another channel":   {"voice", events.DeadLetter{Consumer: "voice", Subject: rec.Subject, Sequence: rec.Sequence}},
		"an activation of another account":   {"sms", events.DeadLetter{Consumer: "sms", Subject: rec.Subject, Sequence: rec.Sequence, Credential: operator}},
		"an activation for the verifier":     {"verifier-responses", events.DeadLetter{Consumer: "verifier-responses", Subject: rec.Subject, Sequence: rec.Sequence}},
		"a subject of more than one":         {"sms", events.DeadLetter{Consumer: "sms", Subject: events.ActivationSubject(events.SMS, "*"), Data: rec.Data}},
		"a subject that is none":             {"sms", events.DeadLetter{Consumer: "sms", Subject: rec.Subject + " x\r\nPUB y", Data: rec.Data}},
		"a subject that nobody consumes":     {"verifier-responses", events.DeadLetter{Consumer: "verifier-responses", Subject: "assent.outcome." + a.Verification.ID, Data: answer}},
		"an activation of which none stands": {"sms", events.DeadLetter{Consumer: "sms", Subject: events.ActivationSubject(events.SMS, uuid.NewString()), Data: rec.Data}},
	} {
		id := d.raw(test.as, test.l)
		d.refuses(id, letter.StillUndecodable, name)
		require.Nil(t, d.letter(id).Message, name)
	}
	// One that is complete and yet not what stands there.
	id := d.raw("sms", events.DeadLetter{Consumer: "sms", Subject: rec.Subject, Sequence: rec.Sequence + 1000, Data: rec.Data})
	d.refuses(id, letter.Superseded, "another place")
	require.Equal(t, rec.Sequence, d.standing(a.Verification.ID).Sequence)
}

func TestAnAccountSeesItsOwnLetters(t *testing.T) {
	d := openDesk(t)
	_, _, own := d.undelivered()
	nobodys := d.bury(d.put(events.ActivationSubject(events.SMS, "x"), []byte("{")), events.DeadLetter{Consumer: "sms", Kind: events.LetterUndecodable})
	for account, want := range map[string][]uint64{shop: {own}, operator: {nobodys}, "other": nil, "": nil} {
		page, next, err := d.letters.Letters(t.Context(), account, letter.Filter{Limit: 10})
		require.NoError(t, err)
		require.Zero(t, next)
		require.Equal(t, want, letterIDs(page), account)
		for _, id := range []uint64{own, nobodys} {
			if len(want) > 0 && want[0] == id {
				continue
			}
			_, err = d.letters.Letter(t.Context(), account, id)
			require.ErrorIs(t, err, verification.ErrNotFound)
			_, err = d.letters.ReplayLetter(t.Context(), account, id)
			require.ErrorIs(t, err, verification.ErrNotFound)
			require.ErrorIs(t, d.letters.DropLetter(t.Context(), account, id), verification.ErrNotFound)
		}
	}
	require.NoError(t, d.letters.DropLetter(t.Context(), shop, own))
	require.ErrorIs(t, d.letters.DropLetter(t.Context(), shop, own), verification.ErrNotFound)
	require.ErrorIs(t, d.letters.DropLetter(t.Context(), shop, 4711), verification.ErrNotFound)
	require.NotZero(t, d.letter(nobodys).ID)
}

// buriedPart is a part of a notification that an older worker could not read, as it stands and its letter.
func (d desk) buriedPart() (events.NotificationQueued, stream.Record, uint64) {
	d.t.Helper()
	r := d.notice(2)
	accept(d.t, d.notifications(), r)
	rec, err := d.reader(stream.Notifications).Last(d.t.Context(), events.NotificationByID(r.Notification.ID, 0))
	require.NoError(d.t, err)
	q, err := events.Decode[events.NotificationQueued](rec.Data)
	require.NoError(d.t, err)
	return q, rec, d.bury(rec, events.DeadLetter{
		Consumer: "sms-bulk", Kind: events.LetterUndecodable, Reason: "undecodable event: version 1, this program reads 0",
		VerificationID: q.ID, Credential: shop, Channel: events.SMS,
	})
}

func TestAPartThatAnOlderWorkerCouldNotReadIsReplayedInItsPlace(t *testing.T) {
	d := openDesk(t)
	q, rec, id := d.buriedPart()
	l := d.letter(id)
	require.Equal(t, []any{letter.Undecodable, q.ID, "sms", "", ""}, []any{l.Kind, l.VerificationID, l.Channel, string(l.Obstacle), l.SHA256})
	d.clock.forward(10 * time.Minute)
	desks := []*store.Letters{d.more(), d.more()}
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			about, err := desks[i%2].ReplayLetter(t.Context(), shop, id)
			var refused *letter.RefusedError
			switch {
			case err == nil && about == q.ID:
				won.Add(1)
			case errors.As(err, &refused) && refused.Obstacle == letter.Superseded, errors.Is(err, verification.ErrNotFound):
			default:
				t.Error(about, err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	again, err := d.reader(stream.Notifications).Last(t.Context(), rec.Subject)
	require.NoError(t, err)
	require.Equal(t, rec.Sequence+1, again.Sequence, "it was published once more, and once only")
	require.Equal(t, string(rec.Data), string(again.Data))
	require.Equal(t, 50*time.Minute+stream.NotificationGrace, again.TTL.Round(time.Minute), "and is kept as long as before")
	_, err = d.letters.Letter(t.Context(), shop, id)
	require.ErrorIs(t, err, verification.ErrNotFound)

	_, rec, id = d.buriedPart()
	d.put(rec.Subject, rec.Data)
	d.refuses(id, letter.Superseded, "it stands there anew")
	_, rec, id = d.buriedPart()
	require.NoError(t, stream.Delete(t.Context(), d.js(), stream.Notifications, rec.Sequence))
	d.refuses(id, letter.Superseded, "nothing stands there")
	_, _, id = d.buriedPart()
	d.clock.forward(time.Hour)
	d.refuses(id, letter.Expired, "its time is over")
}

func TestAPartIsReplayedOnlyAsThatOfItsWorker(t *testing.T) {
	d := openDesk(t)
	q, rec, _ := d.buriedPart()
	other, _, _ := d.buriedPart()
	q.Content = other.Content
	foreign, err := events.Encode(q)
	require.NoError(t, err)
	subject := events.NotificationSubject(events.LaneTransactional, events.SMS, q.ID, 7)
	for name, l := range map[string]events.DeadLetter{
		"of a later version":     {Consumer: "sms-bulk", Subject: subject, Data: []byte(`{"version":9}`)},
		"of another lane":        {Consumer: "sms-transactional", Subject: rec.Subject, Sequence: rec.Sequence},
		"of another channel":     {Consumer: "email-bulk", Subject: rec.Subject, Sequence: rec.Sequence},
		"of verifications":       {Consumer: "sms", Subject: rec.Subject, Sequence: rec.Sequence},
		"of another account":     {Consumer: "sms-bulk", Subject: rec.Subject, Sequence: rec.Sequence, Credential: operator},
		"at another subject":     {Consumer: "sms-bulk", Subject: subject, Data: rec.Data},
		"with another's content": {Consumer: "sms-bulk", Subject: rec.Subject, Data: foreign},
	} {
		d.refuses(d.raw(l.Consumer, l), letter.StillUndecodable, name)
	}
	stands, err := d.reader(stream.Notifications).Last(t.Context(), rec.Subject)
	require.NoError(t, err)
	require.Equal(t, rec.Sequence, stands.Sequence)
}

func letterIDs(page []letter.Letter) (ids []uint64) {
	for _, l := range page {
		ids = append(ids, l.ID)
	}
	return ids
}

func TestLettersAreListedNewestFirstInPages(t *testing.T) {
	d := openDesk(t)
	page, next, err := d.letters.Letters(t.Context(), shop, letter.Filter{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page)
	require.Zero(t, next)
	const n = 330
	for i := range n {
		l := events.DeadLetter{Subject: "assent.activation.sms.x", Consumer: "sms", Kind: events.LetterUndelivered, Reason: events.ReasonNoReceipt, Credential: shop, Channel: events.SMS}
		switch i % 3 {
		case 1:
			l.Kind, l.Reason, l.Channel = events.LetterUndecodable, "undecodable event: malformed field", events.Voice
		case 2:
			l.Credential = "other"
		}
		d.raw("sms", l)
	}
	d.put(events.DeadLetterSubject("sms"), []byte(`{"version":2}`))
	for _, seq := range []uint64{1, 2, 150, 151, 152, 153, 330} { // gaps at the ends and between
		require.NoError(t, stream.Delete(t.Context(), d.js(), stream.DeadLetters, seq))
	}
	all := func(f letter.Filter) (found []uint64, pages int) {
		for {
			page, next, err := d.letters.Letters(t.Context(), shop, f)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), f.Limit)
			pages++
			found = append(found, letterIDs(page)...)
			if next == 0 {
				return found, pages
			}
			f.Before = next
		}
	}
	var want []uint64
	for seq := uint64(n); seq >= 1; seq-- {
		gone := seq <= 2 || seq >= 150 && seq <= 153 || seq == 330
		if (seq-1)%3 != 2 && !gone {
			want = append(want, seq)
		}
	}
	for _, limit := range []int{7, 100, len(want), len(want) + 1} {
		found, pages := all(letter.Filter{Limit: limit})
		require.Equal(t, want, found, "limit %d", limit)
		require.InDelta(t, float64(len(want))/float64(limit), float64(pages), 1.01)
	}
	for _, f := range []letter.Filter{{Kind: letter.Undecodable}, {Channel: "voice"}, {Reason: "undecodable event: malformed field"}} {
		f.Limit = 40
		found, _ := all(f)
		require.Len(t, found, 108)
		for _, id := range found {
			require.EqualValues(t, 1, (id-1)%3)
		}
	}
	found, _ := all(letter.Filter{Kind: letter.Undelivered, Channel: "voice", Limit: 10})
	require.Empty(t, found)
	page, _, err = d.letters.Letters(t.Context(), shop, letter.Filter{Before: 1, Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page)
}
