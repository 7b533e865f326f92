package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

var errBroker = errors.New("broker does not answer")

func TestASentMessageIsReportedBeforeItIsAcknowledged(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent, settling, release := make(chan delivery.Message, 8), make(chan struct{}), make(chan struct{})
	h.work(took(sent), func(d *delivery.Handler) {
		store := d.Journal.Settle
		d.Journal = settled{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			settling <- struct{}{}
			<-release
			return store(ctx, r)
		}}
	})
	a := h.activation()
	h.publish(a)

	m := next(t, sent)
	require.Equal(t, delivery.Message{
		Lane: events.LaneVerification,
		ID:   a.ID, Channel: events.SMS, Challenge: events.Code, Send: 1, Attempt: 1, To: number, Code: code, LinkToken: token,
		Locale: "en", Brand: "Shop", Context: a.Context, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
	}, m)
	next(t, settling)
	cons, err := h.js.Consumer(t.Context(), stream.Activations, consumer)
	require.NoError(t, err)
	info, err := cons.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, info.NumAckPending, "nothing is acknowledged while the report is on its way")
	require.Empty(t, h.verdicts)

	close(release)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.DeliverySettled{
		Version: events.Version, EventID: "worker:" + a.ID + ":sms:0:1:sent:1", ID: a.ID, Channel: events.SMS, Send: 1, Status: events.DeliverySent,
		Provider: "twilio", Route: "+1", ProviderID: "SM-" + a.ID, Attempt: 1, At: h.clock.now(),
	}, h.only(a.ID))
	h.settledAll()
	require.Empty(t, sent)
}

func TestAMessageCarriesWhatItsChannelNeeds(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	h.work(took(sent))
	h.publish(h.activation(func(a *events.VerificationActivated) {
		a.Challenge, a.NumberLength = events.Approval, 6
		a.Content = h.seal(a.ID, events.DeliveryContent{To: number, Text: "Yours: {{otp_code}}", RedirectTo: "https://app.example.com", Choices: []string{"3", "7"}, Origin: "example.com", AppHash: "FA+9qCX9VSu"})
	}))
	m := next(t, sent)
	require.Equal(t, 6, m.NumberLength)
	require.Equal(t, []string{"3", "7"}, m.Choices)
	require.Equal(t, "Yours: {{otp_code}}", m.Text.Reveal())
	require.Equal(t, autofill.Hint{Origin: "example.com", AppHash: "FA+9qCX9VSu"}, m.Autofill)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.NotContains(t, fmt.Sprintf("%v %+v", m, m), "Yours")
}

// coded is an error that carries its provider's own code.
type coded string

func (c coded) Error() string  { return "carrier refused with code " + string(c) }
func (c coded) Detail() string { return string(c) }

func TestAPermanentRefusalIsReportedOnceWithItsReason(t *testing.T) {
	t.Parallel()
	h := build(t)
	calls := make(chan delivery.Message, 8)
	h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		calls <- m
		err := fmt.Errorf("send sms: %w", coded("21610"))
		return delivery.Receipt{}, delivery.Permanent(events.ReasonUnsubscribed, err)
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.DeliverySettled{
		Version: events.Version, EventID: "worker:" + a.ID + ":sms:0:1:failed:1", ID: a.ID, Channel: events.SMS, Send: 1, Status: events.DeliveryFailed,
		Provider: "twilio", Route: "+1", Reason: events.ReasonUnsubscribed, Detail: "21610", Attempt: 1, At: h.clock.now(),
	}, h.only(a.ID))
	h.settledAll()
	require.Len(t, calls, 1)
}

// A receipt may overtake the provider's answer, and must not read as older than the send.
func TestASendIsDatedByItsCallNotByItsAnswer(t *testing.T) {
	t.Parallel()
	h := build(t)
	began := h.clock.now()
	h.work(func(context.Context, delivery.Message) (delivery.Receipt, error) {
		h.clock.set(began.Add(4 * time.Second))
		return delivery.Receipt{ID: "SM"}, nil
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, began, h.only(a.ID).At)
}

func TestWhatComesTooLateCallsNobody(t *testing.T) {
	t.Parallel()
	h := build(t)
	calls := make(chan delivery.Message, 8)
	late := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now().Add(-time.Hour) })
	now := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now() })
	// Nothing needs to be opened to know that it is too late.
	keyless := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt, a.Content.KeyID = h.clock.now(), "gone" })
	h.publish(late, now, keyless)
	h.work(took(calls))
	for range 3 {
		require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	}
	for _, a := range []events.VerificationActivated{late, now, keyless} {
		require.Equal(t, events.DeliverySettled{
			Version: events.Version, EventID: "worker:" + a.ID + ":sms:0:1:expired:0", ID: a.ID, Channel: events.SMS, Send: 1, Status: events.DeliveryExpired, At: h.clock.now(),
		}, h.only(a.ID))
	}
	h.settledAll()
	require.Empty(t, calls)
}

func TestWhatNobodyCanDecodeIsBuriedAndStopsNobody(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	other := h.activation()
	bad := []events.VerificationActivated{
		h.activation(func(a *events.VerificationActivated) { a.Version = 99 }),
		h.activation(func(a *events.VerificationActivated) { a.Channel = events.Voice }),
		h.activation(func(a *events.VerificationActivated) { a.Content.Box[len(a.Content.Box)-1] ^= 1 }),
		h.activation(func(a *events.VerificationActivated) { a.Content.Box = nil }),
		h.activation(func(a *events.VerificationActivated) { a.Content = other.Content }),
		h.activation(func(a *events.VerificationActivated) { a.Content = h.seal(a.ID, "a word") }),
		h.activation(func(a *events.VerificationActivated) {
			a.Content = h.seal(a.ID, events.DeliveryContent{Code: code})
		}),
		h.activation(func(a *events.VerificationActivated) {
			plain := []byte(`{"to":"` + number + `"}`)
			var err error
			a.Content, err = h.keys.Seal(keyring.Channel(events.Email), a.ID, plain) // another worker's
			require.NoError(t, err)
		}),
	}
	h.publish(bad...)
	nameless, err := events.Encode(h.activation(func(a *events.VerificationActivated) { a.ID = "" }))
	require.NoError(t, err)
	h.publishRaw("nameless", nameless)
	h.publishRaw("garbage", []byte("\x00 not JSON "+code))
	good := h.activation()
	h.publish(good)

	h.work(took(sent))
	words := map[string]int{}
	for range len(bad) + 3 {
		words[next(t, h.verdicts).word]++
	}
	require.Equal(t, map[string]int{"+ACK": 1, "+TERM": len(bad) + 2}, words)
	require.Equal(t, good.ID, next(t, sent).ID)
	require.Empty(t, sent)
	h.settledAll()

	letters := h.buried()
	require.Len(t, letters, len(bad)+2)
	subjects := map[string]bool{}
	for _, l := range letters {
		require.Equal(t, consumer, l.Consumer)
		require.NotZero(t, l.Size)
		requireNoSecrets(t, l.Reason)
		subjects[l.Subject] = true
	}
	for _, a := range bad {
		require.True(t, subjects[events.ActivationSubject(events.SMS, a.ID)])
		reports, err := h.reports(t.Context(), a.ID)
		require.NoError(t, err)
		require.Empty(t, reports)
	}
}

func TestAMissingKeyIsWaitedForAndNotBuried(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	stop := h.work(took(sent), func(d *delivery.Handler) { d.Keys = newKeys(t) })
	a := h.activation()
	h.publish(a)
	v := next(t, h.verdicts)
	require.Equal(t, "-NAK", v.word)
	require.GreaterOrEqual(t, v.delay, 250*time.Millisecond)
	stop()
	require.Empty(t, sent)
	require.Empty(t, h.buried())

	h.work(took(sent)) // the operator brought the key
	m := next(t, sent)
	require.Equal(t, a.ID, m.ID)
	require.Equal(t, 1, m.Attempt, "nobody was called before")
}

func TestAWorkerThatDiesBetweenReportAndAcknowledgementSendsNothingTwice(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	nc, js := h.connect()
	h.workOn(js, took(sent), func(d *delivery.Handler) {
		store := d.Journal.Settle
		d.Journal = settled{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			defer nc.Close() // nothing more leaves this process
			return store(ctx, r)
		}}
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, a.ID, next(t, sent).ID)
	h.work(took(sent)) // the next one gets the message when the broker gives the first one up
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	h.settledAll()
	require.Empty(t, sent)
	require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
}

func TestWhatWasSentInTimeDoesNotExpireWhenItComesAgainTooLate(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	h.work(took(sent), func(d *delivery.Handler) {
		store := d.Journal.Settle
		d.Journal = settled{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			if err := store(ctx, r); err != nil {
				return err
			}
			h.clock.set(r.At.Add(2 * life))
			panic("dies after its report")
		}}
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	h.settledAll()
	require.Len(t, sent, 1)
	require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
}

func TestAReportOfAnEarlierSendDoesNotStandForThisOne(t *testing.T) {
	t.Parallel()
	h := build(t)
	calls := make(chan delivery.Message, 8)
	h.work(func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		calls <- m
		if m.Attempt == 1 {
			return delivery.Receipt{}, errors.New("busy")
		}
		return delivery.Receipt{ID: "SM2"}, nil
	})
	a := h.activation(func(a *events.VerificationActivated) { a.Send = 2 })
	require.NoError(t, h.pub.Settle(t.Context(), events.DeliverySettled{
		ID: a.ID, Channel: events.SMS, Send: 1, Status: events.DeliverySent, At: h.clock.now(),
	}))
	require.NoError(t, h.pub.Settle(t.Context(), events.DeliverySettled{
		ID: a.ID, Channel: events.Voice, Send: 2, Status: events.DeliverySent, At: h.clock.now(),
	}))
	require.NoError(t, h.pub.Settle(t.Context(), events.DeliverySettled{
		ID: a.ID, Channel: events.SMS, Send: 2, Status: events.DeliveryRequested, At: h.clock.now(),
	}))
	h.publish(a)
	require.Equal(t, 1, next(t, calls).Attempt)
	require.Equal(t, 2, next(t, calls).Attempt)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	all := h.told(a.ID)
	require.Equal(t, []string{"begun twilio 1", "retrying twilio 1", "begun twilio 2", "sent twilio 2"}, h.words(a.ID)[3:])
	require.Equal(t, "SM2", all[6].ProviderID)
}

// An idempotency key that is used again after its grace gives the same id, and reports outlive the grace.
func TestAReportOfAnEarlierLifeDoesNotStandForThisOne(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	a := h.activation()
	require.NoError(t, h.pub.Settle(t.Context(), events.DeliverySettled{
		ID: a.ID, Channel: events.SMS, Send: 1, Status: events.DeliverySent, At: a.CreatedAt.Add(-life - events.Grace),
	}))
	h.clock.set(a.RequestedAt.Add(time.Second)) // late, so that the reports are read
	h.work(took(sent))
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Len(t, sent, 1)
}

func TestAReportThatFailsAFewTimesIsStoredAndNothingIsSentAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	tries := make(chan struct{}, 8)
	h.work(took(sent), func(d *delivery.Handler) {
		store := d.Journal.Settle
		d.Journal = settled{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			tries <- struct{}{}
			if len(tries) < 3 {
				return errBroker
			}
			return store(ctx, r)
		}}
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	h.settledAll()
	require.Len(t, tries, 3)
	require.Len(t, sent, 1)
	require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
}

// refusing lets the first n reports fail, as a broker does that stores nothing.
func refusing(n int64, tries *atomic.Int64) func(*delivery.Handler) {
	return func(d *delivery.Handler) {
		store := d.Journal.Settle
		d.Journal = settled{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			if tries.Add(1) <= n {
				return errBroker
			}
			return store(ctx, r)
		}}
	}
}

func TestASendThatCannotBeReportedForAWhileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	sent := make(chan delivery.Message, 8)
	var tries atomic.Int64
	h.work(took(sent), refusing(5, &tries))
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	h.settledAll()
	require.Len(t, sent, 1, "its fate is known, so nobody gets it twice")
	require.EqualValues(t, 6, tries.Load())
	require.Equal(t, 1, h.only(a.ID).Attempt)
}

func TestAReportThatIsNeverStoredKeepsNoProcessFromEnding(t *testing.T) {
	t.Parallel()
	h := build(t)
	var tries atomic.Int64
	var handler *delivery.Handler
	ctx, cut := context.WithCancel(t.Context())
	h.work(func(context.Context, delivery.Message) (delivery.Receipt, error) {
		cut()
		return delivery.Receipt{}, nil
	}, refusing(math.MaxInt64, &tries), func(d *delivery.Handler) { handler = d })
	data, err := events.Encode(h.activation())
	require.NoError(t, err)
	m := message.NewMessage("1", data)
	m.SetContext(ctx)
	require.ErrorIs(t, handler.Handle(m), errBroker)
	require.EqualValues(t, 3, tries.Load())
}

func TestAReportWhoseAnswerWasLostStandsOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	var tries atomic.Int64
	h.work(took(make(chan delivery.Message, 8)), func(d *delivery.Handler) {
		store := d.Journal.Settle
		d.Journal = settled{d.Journal, func(ctx context.Context, r events.DeliverySettled) error {
			if err := store(ctx, r); err != nil || tries.Add(1) == 3 {
				return err
			}
			return errBroker
		}}
	})
	a := h.activation()
	h.publish(a)
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	require.Equal(t, events.DeliverySent, h.only(a.ID).Status)
}

func TestAnExpiryThatCouldNotBeReportedComesAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	var tries atomic.Int64
	h.work(took(make(chan delivery.Message, 8)), refusing(3, &tries))
	a := h.activation(func(a *events.VerificationActivated) { a.ExpiresAt = h.clock.now() })
	h.publish(a)
	v := next(t, h.verdicts)
	require.Equal(t, "-NAK", v.word)
	require.GreaterOrEqual(t, v.delay, 250*time.Millisecond, "a broker in trouble is not hammered")
	require.Equal(t, verdict{word: "+ACK"}, next(t, h.verdicts))
	r := h.only(a.ID)
	require.Equal(t, events.DeliveryExpired, r.Status)
	require.EqualValues(t, 4, tries.Load())
}
