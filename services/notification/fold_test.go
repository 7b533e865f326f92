package notification_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/notification"
)

var (
	at      = time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC)
	expires = at.Add(time.Hour)
	until   = at.Add(8 * time.Second)
)

func begun(attempt int, provider string) notification.Entry {
	return notification.Entry{Begun: []notification.Begun{{Attempt: attempt, Provider: provider}}, Until: until, At: at}
}

func ended(attempt int, status string) notification.Entry {
	return notification.Entry{Ended: []notification.Ended{{Attempt: attempt, Status: status, Provider: "twilio", ProviderID: "SM1", Reason: "why", At: at}}, At: at}
}

func receipt(attempt int, provider, status string) notification.Receipt {
	return notification.Receipt{Attempt: attempt, Provider: provider, Status: status, At: at}
}

func TestWhatIsKnownOfAMessageIsItsState(t *testing.T) {
	t.Parallel()
	type log = []notification.Entry
	type heard = []notification.Receipt
	for name, c := range map[string]struct {
		log   log
		heard heard
		now   time.Time
		want  notification.State
	}{
		"nothing":                             {want: notification.Queued},
		"nothing, and its end is past":        {now: expires, want: notification.Expired},
		"a call":                              {log: log{begun(1, "twilio")}, want: notification.Sending},
		"a call of which nobody told":         {log: log{begun(1, "twilio")}, now: until.Add(1), want: notification.Unknown},
		"a call that came to nothing":         {log: log{begun(1, "twilio"), ended(1, "retrying")}, want: notification.Queued},
		"the same, and its end is past":       {log: log{begun(1, "twilio"), ended(1, "retrying")}, now: expires, want: notification.Expired},
		"a call whose end is not known":       {log: log{begun(1, "twilio"), ended(1, "unknown")}, want: notification.Unknown},
		"the next call after it":              {log: log{begun(1, "twilio"), ended(1, "unknown"), begun(2, "acme")}, want: notification.Sending},
		"sent":                                {log: log{begun(1, "twilio"), ended(1, "sent")}, want: notification.Sent},
		"failed":                              {log: log{begun(1, "twilio"), ended(1, "failed")}, want: notification.Failed},
		"failed without a call":               {log: log{ended(0, "failed")}, want: notification.Failed},
		"expired without a call":              {log: log{ended(0, "expired")}, want: notification.Expired},
		"delivered":                           {log{begun(1, "twilio"), ended(1, "sent")}, heard{receipt(1, "twilio", "delivered")}, at, notification.Delivered},
		"delivered before the worker told":    {log{begun(1, "twilio")}, heard{receipt(1, "twilio", "delivered")}, at, notification.Delivered},
		"a late word for sent":                {log{begun(1, "twilio")}, heard{receipt(1, "twilio", "delivered"), receipt(1, "twilio", "sent")}, at, notification.Delivered},
		"a failure after delivery":            {log{begun(1, "twilio")}, heard{receipt(1, "twilio", "delivered"), receipt(1, "twilio", "failed")}, at, notification.Delivered},
		"delivery after a failure":            {log{begun(1, "twilio")}, heard{receipt(1, "twilio", "failed"), receipt(1, "twilio", "delivered")}, at, notification.Delivered},
		"a carrier gave up what was sent":     {log{begun(1, "twilio"), ended(1, "sent")}, heard{receipt(1, "twilio", "failed")}, at, notification.Failed},
		"a call was not taken":                {log{begun(1, "twilio"), ended(1, "sent")}, heard{receipt(1, "twilio", "unanswered")}, at, notification.Failed},
		"another provider's word":             {log{begun(1, "twilio"), ended(1, "sent")}, heard{receipt(1, "acme", "delivered")}, at, notification.Sent},
		"a word of another attempt":           {log{begun(1, "twilio"), ended(1, "sent")}, heard{receipt(2, "twilio", "delivered")}, at, notification.Sent},
		"a word before any call":              {nil, heard{receipt(1, "twilio", "delivered")}, at, notification.Queued},
		"the first call took it after all":    {log{begun(1, "twilio"), ended(1, "unknown"), begun(2, "acme"), ended(2, "failed")}, heard{receipt(1, "twilio", "delivered")}, at, notification.Delivered},
		"the first failed, the second did it": {log{begun(1, "twilio"), ended(1, "unknown"), begun(2, "acme"), ended(2, "sent")}, heard{receipt(1, "twilio", "failed")}, at, notification.Sent},
		"withdrawn":                           {log: log{{All: true, At: at}}, want: notification.Canceled},
		"withdrawn by its place":              {log: log{{Canceled: []int{0}, At: at}}, want: notification.Canceled},
		"withdrawn by another's place":        {log: log{{Canceled: []int{1}, At: at}}, want: notification.Queued},
		"withdrawn too late":                  {log: log{begun(1, "twilio"), {All: true, Canceled: []int{0}, At: at}}, want: notification.Sending},
		"withdrawn between two attempts":      {log: log{begun(1, "twilio"), ended(1, "retrying"), {Canceled: []int{0}, At: at}}, want: notification.Canceled},
		"all means those never begun":         {log: log{begun(1, "twilio"), ended(1, "retrying"), {All: true, At: at}}, want: notification.Queued},
		"withdrawn, and then too late":        {log: log{{All: true, At: at}}, now: expires, want: notification.Canceled},
		"places that are nobody's":            {log: log{{Canceled: []int{-1, 99}, Begun: []notification.Begun{{Place: 7, Attempt: 1}}, Ended: []notification.Ended{{Place: -3, Status: "sent"}}}}, want: notification.Queued},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.now.IsZero() {
				c.now = at
			}
			f := notification.Facts{Count: 1, ExpiresAt: expires, Log: c.log, Receipts: c.heard}
			progress := f.Fold(c.now)
			require.Len(t, progress, 1)
			require.Equal(t, c.want, progress[0].State)
			places, _ := f.Withdrawable(c.now)
			if c.want != notification.Queued {
				require.Empty(t, places, "only what waits can be withdrawn")
			} else {
				require.Equal(t, []int{0}, places)
			}
		})
	}
}

func TestReceiptsSayTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	log := []notification.Entry{begun(1, "twilio"), ended(1, "unknown"), begun(2, "acme"), ended(2, "sent")}
	heard := []notification.Receipt{
		receipt(1, "twilio", "sent"), receipt(1, "twilio", "failed"), receipt(2, "acme", "sent"), receipt(2, "acme", "delivered"),
		receipt(2, "acme", "delivered"), receipt(2, "acme", "failed"), receipt(1, "acme", "delivered"),
	}
	for range 200 {
		rand.Shuffle(len(heard), func(i, j int) { heard[i], heard[j] = heard[j], heard[i] })
		got := notification.Facts{Count: 1, ExpiresAt: expires, Log: log, Receipts: heard}.Fold(at)[0]
		require.Equal(t, notification.Delivered, got.State)
		require.Equal(t, "acme", got.Provider)
	}
}

func TestAReceiptIsAboutACallOfItsProvider(t *testing.T) {
	t.Parallel()
	f := notification.Facts{Count: 2, ExpiresAt: expires, Log: []notification.Entry{begun(1, "twilio"), ended(1, "sent"), begun(2, "acme"), begun(3, "twilio")}}
	attempt, call, found := f.Called(notification.Receipt{Attempt: 2, Provider: "acme", Status: "sent"})
	require.True(t, found && call.News)
	require.Equal(t, 2, attempt)
	_, call, found = f.Called(notification.Receipt{Attempt: 1, Provider: "twilio", ProviderID: "SM1", Status: "sent"})
	require.True(t, found)
	require.False(t, call.News, "the log says so already")
	attempt, _, _ = f.Called(notification.Receipt{Provider: "twilio", Status: "delivered"})
	require.Equal(t, 3, attempt, "without an attempt: the last")
	for _, r := range []notification.Receipt{
		{Attempt: 1, Provider: "acme"},
		{Attempt: 4, Provider: "twilio"},
		{Place: 1, Attempt: 1, Provider: "twilio"},
		{Place: -1, Attempt: 1, Provider: "twilio"},
		{Place: 2, Attempt: 1, Provider: "twilio"},
		{Attempt: 1, Provider: "twilio", ProviderID: "SM2"},
	} {
		_, _, found = f.Called(r)
		require.False(t, found, "%+v", r)
	}
}

func TestTheStateOfTheWhole(t *testing.T) {
	t.Parallel()
	type c = notification.Counts
	for want, counts := range map[notification.State][]notification.Counts{
		notification.Queued:   {{"queued": 3}, {"queued": 2, "canceled": 1}},
		notification.Sending:  {{"queued": 2, "sent": 1}, {"sending": 1}, {"queued": 1, "expired": 1}},
		notification.Done:     {{"sent": 1}, {"failed": 2, "canceled": 1}, {"expired": 1}, {"unknown": 1}},
		notification.Canceled: {{"canceled": 3}},
	} {
		for _, each := range counts {
			require.Equal(t, want, each.Whole(false), "%v", each)
		}
	}
	require.Equal(t, notification.Scheduled, c{"queued": 1}.Whole(true))
	require.Equal(t, notification.Canceled, c{"canceled": 1}.Whole(true))
}

func TestWhyNothingGoesOnIsInTheLastEntry(t *testing.T) {
	t.Parallel()
	f := notification.Facts{Count: 1, Log: []notification.Entry{{Waiting: "provider_paused", Provider: "twilio"}}}
	wait, waits := f.Waits()
	require.True(t, waits)
	require.Equal(t, notification.Wait{Reason: "provider_paused", Provider: "twilio"}, wait)
	f.Log = append(f.Log, begun(1, "twilio"))
	_, waits = f.Waits()
	require.False(t, waits)
}

func TestATextIsNotPrinted(t *testing.T) {
	t.Parallel()
	require.Equal(t, "REDACTED", notification.Body{Text: "secret"}.String())
	require.Equal(t, "REDACTED", notification.Addressee{To: "secret"}.GoString())
}
