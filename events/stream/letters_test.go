package stream_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// sealing is a publisher whose seal a test can look through: the place, and the payload backwards.
func (b broker) sealing() *stream.Publisher {
	return b.pub.Sealing(func(subject, consumer string, payload []byte) (events.Sealed, error) {
		return events.Sealed{KeyID: subject + " of " + consumer, Box: []byte(backwards(string(payload)))}, nil
	})
}

func backwards(s string) string {
	var b strings.Builder
	for i := len(s) - 1; i >= 0; i-- {
		b.WriteByte(s[i])
	}
	return b.String()
}

// letters reads all dead letters, oldest first.
func (b broker) letters(t *testing.T) []events.DeadLetter {
	t.Helper()
	records, err := b.reader(t, stream.DeadLetters).All(t.Context(), events.DeadLetterSubjects)
	require.NoError(t, err)
	letters := make([]events.DeadLetter, 0, len(records))
	for _, rec := range records {
		l, err := events.Decode[events.DeadLetter](rec.Data)
		require.NoError(t, err)
		letters = append(letters, l)
	}
	return letters
}

func TestAnUndecodableMessageIsBuriedSealedAndStopsNobody(t *testing.T) {
	b := start(t, stream.Topology{})
	buried, handled := make(chan string, 1), make(chan string, 1)
	b.subscribe(t, 4, func(consumer, kind string) { buried <- consumer + " " + kind }, func(m *message.Message) error {
		if _, err := events.Decode[events.VerificationActivated](m.Payload); err != nil {
			return err
		}
		handled <- stream.DeliveryOf(m.Context()).Subject
		return nil
	})
	b.activate(t, "bad", "not json")
	b.activate(t, "good", `{"version":1}`)
	require.Equal(t, events.ActivationSubject(events.SMS, "good"), <-handled)
	require.Equal(t, "sms undecodable", <-buried)
	letters := b.letters(t)
	require.Len(t, letters, 1)
	l := letters[0]
	require.WithinDuration(t, time.Now(), l.At, time.Minute)
	subject := events.ActivationSubject(events.SMS, "bad")
	require.Equal(t, events.DeadLetter{
		Version: 1, Subject: subject, Consumer: "sms", Kind: events.LetterUndecodable,
		Reason: "undecodable event: not JSON of this contract",
		Sealed: &events.Sealed{KeyID: subject + " of sms", Box: []byte("nosj ton")}, Size: 8, Sequence: 1, At: l.At,
	}, l)
}

func TestALetterKeepsWhoseItIsAndNothingElseInClear(t *testing.T) {
	b := start(t, stream.Topology{})
	b.subscribe(t, 1, nil, func(m *message.Message) error {
		_, err := events.Decode[events.VerificationActivated](m.Payload)
		return err
	})
	const id = "0199b1c2-0000-7000-8000-000000000001"
	for i, test := range []struct {
		payload string
		want    events.DeadLetter
	}{
		{`{"version":9,"id":"` + id + `","credential":"shop-1","channel":"sms","code":"482913"}`, events.DeadLetter{VerificationID: id, Credential: "shop-1", Channel: events.SMS}},
		{`{"version":9,"id":"` + id + `","credential":7,"channel":["sms"]}`, events.DeadLetter{VerificationID: id}},
		{`{"version":9,"id":"482913","credential":"a b","channel":"fax"}`, events.DeadLetter{}},
		{`{"version":9,"id":"` + id + ` ","credential":"` + strings.Repeat("x", 65) + `","channel":"totp"}`, events.DeadLetter{Channel: events.TOTP}},
		{`{"version":9,"id":null}`, events.DeadLetter{}},
		{`["` + id + `"]`, events.DeadLetter{}},
		{`{"version":9,"id":"` + id + `"`, events.DeadLetter{}},
	} {
		b.activate(t, string(rune('a'+i)), test.payload)
		require.Eventually(t, func() bool { return len(b.letters(t)) == i+1 }, 10*time.Second, 10*time.Millisecond)
		l := b.letters(t)[i]
		require.Equal(t, test.want, events.DeadLetter{VerificationID: l.VerificationID, Credential: l.Credential, Channel: l.Channel}, test.payload)
		require.Equal(t, len(test.payload), l.Size)
		raw, err := json.Marshal(l)
		require.NoError(t, err)
		require.NotContains(t, string(raw), "482913")
	}
}

func TestALetterWithoutASealTellsItsPlaceAndSize(t *testing.T) {
	b := start(t, stream.Topology{})
	failing := b.pub.Sealing(func(string, string, []byte) (events.Sealed, error) { return events.Sealed{}, errors.New("no key") })
	for i, p := range []*stream.Publisher{b.pub, failing} {
		require.NoError(t, p.Letter(t.Context(), events.DeadLetter{Subject: "s", Consumer: "sms", Sequence: uint64(i + 1)}, []byte("482913")))
	}
	for i, l := range b.letters(t) {
		require.Nil(t, l.Sealed)
		require.Empty(t, l.Data)
		require.Equal(t, 6, l.Size)
		require.EqualValues(t, i+1, l.Sequence)
	}
}

func TestALetterOfTheSamePlaceIsStoredOnce(t *testing.T) {
	b := start(t, stream.Topology{})
	for range 3 {
		require.NoError(t, b.sealing().Letter(t.Context(), events.DeadLetter{
			Subject: "s", Consumer: "sms", Kind: events.LetterUndelivered, Reason: events.ReasonProviderUnavailable, Sequence: 7,
		}, []byte("x")))
	}
	require.NoError(t, b.sealing().Letter(t.Context(), events.DeadLetter{Subject: "s", Consumer: "voice", Sequence: 7}, []byte("x")))
	letters := b.letters(t)
	require.Len(t, letters, 2)
	require.Equal(t, events.LetterUndelivered, letters[0].Kind)
}

func TestAnOlderStreamOfDeadLettersBecomesThisOne(t *testing.T) {
	b := start(t, stream.Topology{})
	require.NoError(t, b.js.DeleteStream(t.Context(), stream.DeadLetters))
	_, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: stream.DeadLetters, Subjects: []string{events.DeadLetterSubjects}, MaxAge: 30 * 24 * time.Hour, MaxBytes: 1 << 30, Storage: jetstream.FileStorage,
	})
	require.NoError(t, err)
	require.NoError(t, b.pub.Letter(t.Context(), events.DeadLetter{Consumer: "sms", Sequence: 1}, nil))
	require.NoError(t, stream.Ensure(t.Context(), b.js, stream.Topology{}))
	s, err := b.js.Stream(t.Context(), stream.DeadLetters)
	require.NoError(t, err)
	c := s.CachedInfo().Config
	require.True(t, c.AllowDirect)
	require.Equal(t, jetstream.DiscardOld, c.Discard)
	require.Len(t, b.letters(t), 1)
}

func TestMessagesAreReadBySequence(t *testing.T) {
	b := start(t, stream.Topology{})
	r := b.reader(t, stream.DeadLetters)
	first, last, err := stream.Span(t.Context(), b.js, stream.DeadLetters)
	require.NoError(t, err)
	require.Greater(t, first, last, "none")
	for i := range 300 {
		_, err := b.pub.Put(t.Context(), events.DeadLetterSubject("sms"), []byte{byte(i)})
		require.NoError(t, err)
	}
	for _, seq := range []uint64{1, 2, 150, 151, 300} {
		require.NoError(t, stream.Delete(t.Context(), b.js, stream.DeadLetters, seq))
	}
	first, last, err = stream.Span(t.Context(), b.js, stream.DeadLetters)
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 300}, []uint64{first, last})

	sequences := func(first, last uint64) []uint64 {
		records, err := r.Between(t.Context(), first, last)
		require.NoError(t, err)
		var found []uint64
		for _, rec := range records {
			found = append(found, rec.Sequence)
		}
		return found
	}
	require.Equal(t, []uint64{149, 152}, sequences(149, 152))
	require.Equal(t, []uint64{3}, sequences(0, 3))
	require.Empty(t, sequences(150, 151), "the ones behind are not asked for")
	require.Empty(t, sequences(300, 400))
	require.Empty(t, sequences(5, 4))
	require.Len(t, sequences(1, 299), 256-2, "cut at its beginning")

	rec, err := r.At(t.Context(), 149)
	require.NoError(t, err)
	require.Equal(t, []byte{148}, rec.Data)
	for _, seq := range []uint64{0, 2, 150, 300, 4000} {
		_, err = r.At(t.Context(), seq)
		require.ErrorIs(t, err, stream.ErrAbsent, "%d", seq)
	}
}

// TestAStretchIsReadToItsEnd: the broker ends an answer that becomes too large, by default at 64 MB.
func TestAStretchIsReadToItsEnd(t *testing.T) {
	b := start(t, stream.Topology{})
	large := make([]byte, 1000<<10)
	const n = 70
	for range n {
		_, err := b.pub.Put(t.Context(), events.DeadLetterSubject("sms-bulk"), large)
		require.NoError(t, err)
	}
	require.NoError(t, stream.Delete(t.Context(), b.js, stream.DeadLetters, n-1))
	r, err := stream.NewReader(t.Context(), b.js, stream.DeadLetters)
	require.NoError(t, err)
	records, err := r.Between(t.Context(), 1, n)
	require.NoError(t, err)
	var found, want []uint64 // the records themselves would be shown
	for _, rec := range records {
		found = append(found, rec.Sequence)
	}
	for seq := uint64(1); seq <= n; seq++ {
		if seq != n-1 {
			want = append(want, seq)
		}
	}
	require.Equal(t, want, found)
}

func TestOfAllWhoRemoveAMessageOneIsToldSo(t *testing.T) {
	b := start(t, stream.Topology{})
	seq, err := b.pub.Put(t.Context(), events.DeadLetterSubject("sms"), []byte("x"))
	require.NoError(t, err)
	var removed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			ok, err := stream.Remove(t.Context(), b.js, stream.DeadLetters, seq)
			if err != nil {
				t.Error(err)
			}
			if ok {
				removed.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, removed.Load())
	for _, none := range []uint64{seq, seq + 10} {
		ok, err := stream.Remove(t.Context(), b.js, stream.DeadLetters, none)
		require.NoError(t, err)
		require.False(t, ok)
	}
	_, err = stream.Remove(t.Context(), b.js, "ASSENT_NONE", 1)
	require.Error(t, err)
}
