package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

func (h *house) notifications() *store.Notifications {
	h.t.Helper()
	s, err := store.NewNotifications(h.t.Context(), h.js(), store.NotificationsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(h.t, err)
	return s
}

// notice is a request to tell n people something by SMS, unless change says otherwise.
func (h *house) notice(n int, change ...func(*notification.Request)) notification.Request {
	now := h.clock.now().UTC().Truncate(time.Millisecond)
	r := notification.Request{
		Notification: notification.Notification{
			ID: uuid.Must(uuid.NewV7()).String(), Credential: "shop", Lane: notification.Bulk, Batch: n > 1,
			Metadata: map[string]string{"order": "4711"}, CreatedAt: now, SendAt: now, ExpiresAt: now.Add(time.Hour),
		},
		Bodies: []notification.Body{{Text: "Hello {{name}}, <b>it</b> is on its way."}},
	}
	for i := range n {
		r.Addressees = append(r.Addressees, notification.Addressee{
			Recipient: notification.Recipient{Index: i, Channel: "sms", ToMasked: "+1••••••0100"}, To: fmt.Sprintf("+1415555%04d", i),
			Variables: map[string]string{"name": fmt.Sprintf("Ana Maria %d", i)},
		})
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func accept(t *testing.T, s *store.Notifications, r notification.Request) notification.View {
	t.Helper()
	v, replayed, err := s.Create(t.Context(), r)
	require.NoError(t, err)
	require.False(t, replayed)
	return v
}

// worker is what a worker does to the log of a part, in a few words.
type worker struct {
	h   *house
	pub *stream.Publisher
	log *stream.Reader
}

func (h *house) worker() worker {
	js := h.js()
	log, err := stream.NewReader(h.t.Context(), js, stream.Progress)
	require.NoError(h.t, err)
	return worker{h, stream.NewPublisher(js), log}
}

func (w worker) writes(ctx context.Context, e events.NotificationProgressed) error {
	log, err := w.log.PartLog(ctx, events.ProgressSubject(e.ID, e.Part))
	if err != nil {
		return err
	}
	return w.writesBehind(ctx, e, log.Sequence)
}

func (w worker) writesBehind(ctx context.Context, e events.NotificationProgressed, sequence uint64) error {
	e.Version, e.At = events.Version, w.h.clock.now()
	data, err := events.Encode(e)
	if err != nil {
		return err
	}
	_, err = w.pub.Put(ctx, events.ProgressSubject(e.ID, e.Part), data, stream.Expecting(sequence), stream.WithTTL(time.Hour))
	return err
}

func (w worker) begins(id string, part, place int) {
	w.h.t.Helper()
	until := w.h.clock.now().Add(8 * time.Second)
	require.NoError(w.h.t, w.writes(w.h.t.Context(), events.NotificationProgressed{
		ID: id, Part: part, Begun: []events.MessageBegun{{Place: place, Attempt: 1, Provider: "twilio", Route: "+1", Receipts: true}}, Until: &until,
	}))
}

func (w worker) ends(id string, part, place int, status string) {
	w.h.t.Helper()
	require.NoError(w.h.t, w.writes(w.h.t.Context(), events.NotificationProgressed{
		ID: id, Part: part, Ended: []events.MessageEnded{{Place: place, Attempt: 1, Status: status, Provider: "twilio", ProviderID: "SM1", At: w.h.clock.now()}},
	}))
}

// parts reads what stands in the stream, with the contents opened.
func (h *house) parts() (parts []events.NotificationQueued, contents []events.NotificationContent) {
	h.t.Helper()
	reader, err := stream.NewReader(h.t.Context(), h.js(), stream.Notifications)
	require.NoError(h.t, err)
	records, err := reader.All(h.t.Context(), events.NotificationSubjects)
	require.NoError(h.t, err)
	for _, rec := range records {
		require.Less(h.t, len(rec.Data), 560<<10)
		for _, secret := range []string{"+1415555", "on its way", "Ana Maria", "@example"} { // with what base64 has not
			require.False(h.t, strings.Contains(string(rec.Data), secret), "in clear: %s", secret)
		}
		p, err := events.Decode[events.NotificationQueued](rec.Data)
		require.NoError(h.t, err)
		parts = append(parts, p)
		data, err := h.keys.Open(keyring.Channel(p.Channel), events.PartID(p.ID, p.Part), p.Content)
		require.NoError(h.t, err)
		var c events.NotificationContent
		require.NoError(h.t, json.Unmarshal(data, &c))
		contents = append(contents, c)
	}
	return parts, contents
}

func TestABatchBecomesPartsOfEachChannel(t *testing.T) {
	h := build(t)
	s := h.notifications()
	r := h.notice(250, func(r *notification.Request) {
		r.Bodies = append(r.Bodies, notification.Body{Subject: "Hello", Text: "Hello", HTML: "<p>Hello</p>"})
		for i := 200; i < 250; i++ {
			r.Addressees[i].Channel, r.Addressees[i].To, r.Addressees[i].Body = "email", fmt.Sprintf("Ana%d@example.com", i), 1
		}
		r.Notification.Refused = []notification.Refused{{Index: 250, Code: "suppressed", Pointer: "#/recipients/250/to", Detail: "gets no messages"}}
	})
	v := accept(t, s, r)
	require.Equal(t, []notification.Part{{Channel: "sms", Count: 100}, {Channel: "sms", Count: 100}, {Channel: "email", Count: 50}}, v.Parts)
	require.Equal(t, 250, v.Counts[notification.Queued])
	require.Nil(t, v.Message)

	parts, contents := h.parts()
	require.Len(t, parts, 3)
	seen := map[int]string{}
	for i, p := range parts {
		require.Equal(t, i, p.Part)
		require.Len(t, contents[i].Bodies, 1)
		require.Len(t, contents[i].Recipients, len(p.Recipients))
		for place, x := range p.Recipients {
			seen[x.Index] = contents[i].Recipients[place].To
			want, err := s.Destination(string(p.Channel), strings.ToLower(contents[i].Recipients[place].To))
			require.NoError(t, err)
			require.Equal(t, want, x.Destination)
		}
	}
	require.Len(t, seen, 250)
	require.Equal(t, "+14155550007", seen[7])
	require.Equal(t, "Ana Maria 7", contents[0].Recipients[7].Variables["name"])
	require.Empty(t, parts[1].Parts)
	require.Empty(t, parts[1].Refused)

	got, err := h.notifications().Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, v, got, "another process reads what was answered")
}

func TestLongTextsMakeMoreParts(t *testing.T) {
	h := build(t)
	s := h.notifications()
	long := strings.Repeat("x", 60<<10)
	r := h.notice(20, func(r *notification.Request) {
		r.Bodies = nil
		for i := range r.Addressees { // each has another text
			r.Bodies = append(r.Bodies, notification.Body{Text: fmt.Sprint(long, i)})
			r.Addressees[i].Body = i
		}
	})
	v := accept(t, s, r)
	require.Greater(t, len(v.Parts), 2)
	_, contents := h.parts() // looks at their sizes
	n := 0
	for _, c := range contents {
		n += len(c.Recipients)
		require.Len(t, c.Bodies, len(c.Recipients))
	}
	require.Equal(t, 20, n)

	_, _, err := s.Create(t.Context(), h.notice(1, func(r *notification.Request) {
		r.Bodies[0].HTML = strings.Repeat("x", 800<<10)
	}))
	require.ErrorIs(t, err, notification.ErrTooLarge)
	_, _, err = s.Create(t.Context(), h.notice(400, func(r *notification.Request) {
		r.Bodies = nil
		for i := range r.Addressees {
			r.Bodies = append(r.Bodies, notification.Body{HTML: fmt.Sprint(long, long, long, i)})
			r.Addressees[i].Body = i
		}
	}))
	require.ErrorIs(t, err, notification.ErrTooLarge)
}

func TestARepeatedRequestIsAnsweredAsTheFirst(t *testing.T) {
	h := build(t)
	s, other := h.notifications(), h.notifications()
	id := s.IDFor("shop", "key")
	require.NotEqual(t, h.store().IDFor("shop", "key"), id, "not that of a verification")
	request := func(body string) notification.Request {
		return h.notice(150, func(r *notification.Request) {
			r.Notification.ID, r.IdempotencyKey, r.RawBody = id, "key", []byte(body)
			r.Notification.Refused = []notification.Refused{{Index: 150, Code: "invalid_recipient"}}
		})
	}
	_, err := s.Repeated(t.Context(), "shop", "key", id, []byte("a"))
	require.ErrorIs(t, err, verification.ErrNotFound)

	var wg sync.WaitGroup
	answers := make(chan notification.View, 8)
	for i := range 8 {
		wg.Go(func() {
			who := []*store.Notifications{s, other}[i%2]
			for {
				v, _, err := who.Create(t.Context(), request("a"))
				if err == nil {
					answers <- v
					return
				}
				if !requireProgress(t, err) {
					return
				}
			}
		})
	}
	wg.Wait()
	first := <-answers
	for range 7 {
		require.Equal(t, first, <-answers)
	}
	parts, _ := h.parts()
	require.Len(t, parts, 2, "sent once")

	h.worker().begins(id, 0, 3)
	again, err := other.Repeated(t.Context(), "shop", "key", id, []byte("a"))
	require.NoError(t, err)
	require.Equal(t, first, again, "the first answer, whatever happened since")
	_, err = other.Repeated(t.Context(), "shop", "key", id, []byte("b"))
	require.ErrorIs(t, err, verification.ErrIdempotencyMismatch)
	_, _, err = other.Create(t.Context(), request("b"))
	require.ErrorIs(t, err, verification.ErrIdempotencyMismatch)
}

// requireProgress tells whether a repetition came while the first was answered, which is the only way to fail.
func requireProgress(t *testing.T, err error) bool {
	t.Helper()
	if !strings.Contains(err.Error(), verification.ErrIdempotencyInProgress.Error()) {
		t.Errorf("create: %v", err)
		return false
	}
	return true
}

func TestABatchIsAcceptedWholeOrNotAtAll(t *testing.T) {
	h := build(t)
	js := h.js()
	s := h.notifications()
	// The stream takes no part as large as the second one.
	cfg, err := js.Stream(t.Context(), stream.Notifications)
	require.NoError(t, err)
	small := cfg.CachedInfo().Config
	small.MaxMsgSize = 64 << 10
	_, err = js.UpdateStream(t.Context(), small)
	require.NoError(t, err)
	r := h.notice(150, func(r *notification.Request) {
		for i := 100; i < 150; i++ {
			r.Addressees[i].Variables["name"] = strings.Repeat("x", 2000)
		}
	})
	_, _, err = s.Create(t.Context(), r)
	require.ErrorIs(t, err, verification.ErrUnavailable)
	parts, _ := h.parts()
	require.Empty(t, parts)
	_, err = s.Get(t.Context(), r.Notification.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestMessagesAreListedAPageAtATime(t *testing.T) {
	h := build(t)
	s := h.notifications()
	v := accept(t, s, h.notice(230))
	w := h.worker()
	w.begins(v.ID, 1, 5)
	w.ends(v.ID, 1, 5, "sent")
	w.begins(v.ID, 2, 0)

	var all []notification.Message
	for after, pages := "", 0; ; pages++ {
		page, next, err := s.Messages(t.Context(), v.Notification, "", after, 100)
		require.NoError(t, err)
		all = append(all, page...)
		if next == "" {
			require.Equal(t, 2, pages)
			break
		}
		after = next
	}
	require.Len(t, all, 230)
	for i, m := range all {
		require.Equal(t, i, m.Index)
		require.Equal(t, events.MessageID(v.ID, i/100, i%100), m.ID)
	}
	page, next, err := s.Messages(t.Context(), v.Notification, notification.Sent, "", 1)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, []string{events.MessageID(v.ID, 1, 5)}, []string{page[0].ID})
	require.Equal(t, "SM1", page[0].ProviderID)
	_, _, err = s.Messages(t.Context(), v.Notification, "", "9-1", 1)
	require.ErrorIs(t, err, verification.ErrNotFound)

	m, n, err := s.Message(t.Context(), all[105].ID)
	require.NoError(t, err)
	require.Equal(t, notification.Sent, m.State)
	require.Equal(t, "shop", n.Credential)
	got, err := s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Sending, got.State)
	require.Equal(t, notification.Counts{"queued": 228, "sent": 1, "sending": 1}, got.Counts)

	for _, id := range []string{"", "*", ">", uuid.NewString(), v.ID + "-0-100", v.ID + "-3-0", v.ID + "-*-0", strings.Repeat("*", 36) + "-0-0"} {
		_, _, err = s.Message(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
		_, err = s.Get(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
		_, err = s.CancelMessage(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
	}
}

func TestWhyNothingGoesOnIsTold(t *testing.T) {
	h := build(t)
	s := h.notifications()
	v := accept(t, s, h.notice(1))
	w := h.worker()
	require.NoError(t, w.writes(t.Context(), events.NotificationProgressed{ID: v.ID, Waiting: events.WaitPaused, Provider: "twilio"}))
	got, err := s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, &notification.Wait{Reason: "provider_paused", Provider: "twilio"}, got.Wait)
	require.Equal(t, notification.Queued, got.Message.State)
	h.clock.forward(2 * time.Hour)
	got, err = s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Nil(t, got.Wait, "it waits no longer")
	require.Equal(t, notification.Expired, got.Message.State)
}

func TestReceiptsAreKeptOfWhoWasCalled(t *testing.T) {
	h := build(t)
	s := h.notifications()
	v := accept(t, s, h.notice(1))
	w := h.worker()
	r := events.MessageReceipt{
		EventID: "twilio:SM1:delivered", ID: v.ID, Attempt: 1, Status: events.DeliveryDelivered, Provider: "twilio", ProviderID: "SM1", At: h.clock.now(),
	}
	_, err := s.Received(t.Context(), r)
	require.ErrorIs(t, err, verification.ErrNotFound, "nobody was called")
	w.begins(v.ID, 0, 0)
	for range 3 { // callbacks repeat themselves
		call, err := s.Received(t.Context(), r)
		require.NoError(t, err)
		require.True(t, call.News)
		require.Equal(t, "+1", call.Route)
	}
	w.ends(v.ID, 0, 0, "sent") // the worker is slower
	s = h.notifications()      // what a process remembers may be older than that
	sent := r
	sent.EventID, sent.Status = "twilio:SM1:sent", events.DeliverySent
	call, err := s.Received(t.Context(), sent)
	require.NoError(t, err)
	require.False(t, call.News)
	for _, change := range []func(*events.MessageReceipt){
		func(r *events.MessageReceipt) { r.Provider = "acme" },
		func(r *events.MessageReceipt) { r.Attempt = 2 },
		func(r *events.MessageReceipt) { r.Place = 1 },
		func(r *events.MessageReceipt) { r.Place = -1 },
		func(r *events.MessageReceipt) { r.Part = 1 },
		func(r *events.MessageReceipt) { r.ID = "*" },
		func(r *events.MessageReceipt) { r.ProviderID = "SM2" },
	} {
		forged := r
		change(&forged)
		_, err = s.Received(t.Context(), forged)
		require.ErrorIs(t, err, verification.ErrNotFound, "%+v", forged)
	}
	got, err := s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Delivered, got.Message.State)
	require.Equal(t, notification.Done, got.State)
	log, err := w.log.PartLog(t.Context(), events.ProgressOf(v.ID, 0))
	require.NoError(t, err)
	require.Len(t, log.Receipts, 1)

	steps, err := s.Deliveries(t.Context(), events.MessageID(v.ID, 0, 0))
	require.NoError(t, err)
	told := []string{}
	for _, x := range steps {
		told = append(told, x.Status)
	}
	require.ElementsMatch(t, []string{"requested", "begun", "sent", "delivered"}, told)
}

func TestACancelWithdrawsWhatIsNotOnItsWay(t *testing.T) {
	h := build(t)
	s := h.notifications()
	v := accept(t, s, h.notice(150))
	w := h.worker()
	w.begins(v.ID, 0, 3)
	m, err := s.CancelMessage(t.Context(), events.MessageID(v.ID, 0, 4))
	require.NoError(t, err)
	require.Equal(t, notification.Canceled, m.State)
	m, err = s.CancelMessage(t.Context(), events.MessageID(v.ID, 0, 3))
	require.ErrorIs(t, err, notification.ErrClosed)
	require.Equal(t, notification.Sending, m.State)
	_, err = s.CancelMessage(t.Context(), events.MessageID(v.ID, 0, 4))
	require.ErrorIs(t, err, notification.ErrClosed)

	got, err := s.Cancel(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Counts{"sending": 1, "canceled": 149}, got.Counts)
	_, err = s.Cancel(t.Context(), v.ID)
	require.ErrorIs(t, err, notification.ErrClosed)
	w.ends(v.ID, 0, 3, "sent")
	got, err = h.notifications().Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Counts{"sent": 1, "canceled": 149}, got.Counts)
	require.Equal(t, notification.Done, got.State)
	steps, err := s.Deliveries(t.Context(), events.MessageID(v.ID, 1, 0))
	require.NoError(t, err)
	require.Equal(t, "canceled", steps[len(steps)-1].Status)
}

// Whoever begins a message has read the log without a cancel, and whoever cancels without the beginning: one
// of the two writes behind the other's entry, and sees it.
func TestNothingIsCanceledAndBegunAfter(t *testing.T) {
	h := build(t)
	s, w := h.notifications(), h.worker()
	const places = 12
	for range 6 {
		v := accept(t, s, h.notice(places))
		begun := make(chan int, places)
		var wg sync.WaitGroup
		wg.Go(func() { // a worker that begins one after the other of those that nobody withdrew
			defer close(begun)
			for _, place := range rand.Perm(places) {
				for {
					log, err := w.log.PartLog(t.Context(), events.ProgressOf(v.ID, 0))
					if err != nil {
						t.Errorf("read log: %v", err)
						return
					}
					gone := false
					for _, e := range log.Entries {
						gone = gone || e.All
						for _, p := range e.Canceled {
							gone = gone || p == place
						}
					}
					if gone {
						break
					}
					until := h.clock.now().Add(time.Minute)
					err = w.writesBehind(t.Context(), events.NotificationProgressed{
						ID: v.ID, Begun: []events.MessageBegun{{Place: place, Attempt: 1, Provider: "twilio"}}, Until: &until,
					}, log.Sequence)
					if err == nil {
						begun <- place
						break
					}
				}
			}
		})
		canceled := map[int]bool{}
		var mu sync.Mutex
		for range 3 {
			wg.Go(func() {
				for range 4 {
					place := rand.IntN(places)
					m, err := s.CancelMessage(t.Context(), events.MessageID(v.ID, 0, place))
					if err == nil && m.State != notification.Canceled {
						t.Errorf("withdrawn, and yet %s", m.State)
					}
					if err == nil {
						mu.Lock()
						canceled[place] = true
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		for place := range begun {
			require.False(t, canceled[place], "place %d was withdrawn and begun", place)
			delete(canceled, place)
		}
		got, err := s.Get(t.Context(), v.ID)
		require.NoError(t, err)
		require.Equal(t, len(canceled), got.Counts[notification.Canceled])
		require.Equal(t, places, got.Counts.Total())
	}
}

func TestAScheduledBatchArrivesAtItsLane(t *testing.T) {
	h := build(t)
	s := h.notifications()
	sendAt := h.clock.now().Add(1200 * time.Millisecond).UTC()
	r := h.notice(150, func(r *notification.Request) {
		r.Notification.Lane, r.Notification.SendAt, r.Notification.ExpiresAt = notification.Transactional, sendAt, sendAt.Add(time.Hour)
	})
	v := accept(t, s, r)
	require.Equal(t, notification.Scheduled, v.State)
	got, err := s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Scheduled, got.State)

	later := accept(t, s, h.notice(3, func(r *notification.Request) {
		r.Notification.SendAt = h.clock.now().Add(time.Hour)
		r.Notification.ExpiresAt = r.Notification.SendAt.Add(time.Hour)
	}))
	canceled, err := s.Cancel(t.Context(), later.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Canceled, canceled.State)

	c, err := h.js().CreateOrUpdateConsumer(t.Context(), stream.Notifications, jetstream.ConsumerConfig{
		Durable: "sms-transactional", FilterSubject: events.NotificationsOf(events.LaneTransactional, events.SMS),
	})
	require.NoError(t, err)
	for range 2 {
		m, err := c.Next(jetstream.FetchMaxWait(waitLong))
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		require.False(t, meta.Timestamp.Before(sendAt))
		p, err := events.Decode[events.NotificationQueued](m.Data())
		require.NoError(t, err)
		require.Equal(t, v.ID, p.ID)
	}
	got, err = s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, notification.Queued, got.State)
	page, _, err := s.Messages(t.Context(), got.Notification, "", "", 100)
	require.NoError(t, err)
	require.Len(t, page, 100)
}
