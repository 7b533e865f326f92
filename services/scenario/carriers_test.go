package scenario_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestWhatCanNeverArriveEndsTheQuestionAtOnce(t *testing.T) {
	t.Parallel()
	s := Together(t)
	key := s.Phone(api.PlatformFCM).PublicKey
	gone := func(platform api.Platform, token string) question {
		d := s.Register(s.User(), api.CreateDevice{Kind: api.DeviceKindApp, Platform: platform, PushToken: token, PublicKey: key})
		return question{api.CreateVerification{DeviceID: d.ID}}
	}
	for name, one := range map[string]struct {
		q      question
		reason string
	}{
		"a number that does not exist":            {ask("+14155550190", api.ChannelSMS), "undeliverable"},
		"a person who sent STOP":                  {ask("+14155550191", api.ChannelSMS), "unsubscribed"},
		"a country that is not enabled":           {ask("+14155550192", api.ChannelSMS), "region_blocked"},
		"a call to a country that is not enabled": {ask("+14155550192", api.ChannelVoice), "region_blocked"},
		"a text to a landline":                    {ask("+14155550193", api.ChannelSMS), "undeliverable"},
		"a text that the carrier later gives up":  {ask("+14155550194", api.ChannelSMS), "undeliverable"},
		"a mail that bounces":                     {ask("bounce@example.com", api.ChannelEmail), "undeliverable"},
		"a mailbox that bounced before":           {ask("dropped@example.com", api.ChannelEmail), "undeliverable"},
		"a person who unsubscribed from mails":    {ask("unsubscribed@example.com", api.ChannelEmail), "unsubscribed"},
		"an app that was removed from an iPhone":  {gone(api.PlatformAPNs, strings.Repeat("dead", 16)), "device_gone"},
		"an app that was removed from an Android": {gone(api.PlatformFCM, "unregistered-token"), "device_gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			v := s.Create(one.q)
			s.Waiting(v).Sees(api.StatusFailed, one.reason)
			steps := s.timelineOf(t, v, "failed")
			require.Len(t, steps, 1)
			require.Equal(t, one.reason, steps[0].Reason)
		})
	}
}

func TestACallThatNobodyTakesLeavesTheQuestionOpen(t *testing.T) {
	t.Parallel()
	for name, number := range map[string]string{"no answer": "+14155550194", "busy": "+14155550195"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Together(t)
			v := s.Create(ask(number, api.ChannelVoice))
			eventually(t, "the timeline says that nobody answered", func() bool { return len(s.timelineOf(t, v, "unanswered")) == 1 })
			s.Want(v, api.StatusPending, "")
		})
	}
}

// The carrier's moods are the whole sandbox's, so these stories have a system of their own.
func TestACarrierInABadMoodGetsTheMessageOnceItIsWell(t *testing.T) {
	t.Parallel()
	s := Alone(t, "ASSENT_WORKERS__SEND_TIMEOUT=1s")
	for name, mood := range map[string]string{
		"sms":   `{"mode":"throttle","retry_after":1,"count":1,"channel":"sms"}`,
		"voice": `{"mode":"unavailable","count":2,"channel":"voice"}`,
		"email": `{"mode":"hang","count":1,"channel":"email"}`,
		"push":  `{"mode":"throttle","retry_after":0,"count":2,"channel":"push"}`,
	} {
		s.mood(mood)
		t.Run(name+" with "+mood, func(t *testing.T) {
			t.Parallel()
			s, ana := s.in(t), somebody()
			q, to := map[string]question{"sms": text(ana), "voice": call(ana), "email": mail(ana)}[name], ana.number
			switch name {
			case "email":
				to = ana.mailbox
			case "push":
				p := s.Phone(api.PlatformAPNs)
				q, to = push(p), p.Token
			}
			v := s.Create(q)
			m := s.Message(to)
			if m.Code != "" {
				require.True(t, s.Check(v, m.Code).Valid)
			}
			eventually(t, "it is reported as sent", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
			require.Greater(t, s.timelineOf(t, v, "sent")[0].Attempt, 1)
			require.Len(t, s.Messages(to), 1, "delivered exactly once")
		})
	}
}

func (s *story) mood(rule string) {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), http.MethodPut, s.system.inbox+"/sandbox/behaviour", rule)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, a.status, "%s", a.body)
}

func TestANumberThatIsThrottledOnceGetsItsTextOnce(t *testing.T) {
	t.Parallel()
	s := Together(t)
	v := s.Create(ask("+14155550196", api.ChannelSMS))
	m := s.Message("+14155550196")
	require.True(t, s.Check(v, m.Code).Valid)
	require.Len(t, s.Messages("+14155550196"), 1)
}

func TestASlowCarrierSlowsNoClient(t *testing.T) {
	t.Parallel()
	outside := newCarrier(t)
	outside.hold = make(chan struct{})
	s := Alone(t, outside.env()...)
	people := make([]person, 40)
	for i := range people {
		people[i] = somebody()
		s.Create(text(people[i])) // answered while the carrier has answered nobody
	}
	<-outside.began
	close(outside.hold)
	for _, p := range people {
		eventually(t, "the text arrives", func() bool { return len(outside.got(p.number)) == 1 })
	}
}

func TestWhatAnOutageHeldBackIsNeverDeliveredDead(t *testing.T) {
	t.Parallel()
	s, ana := Alone(t), somebody()
	s.mood(`{"mode":"unavailable","channel":"sms"}`)
	v := s.Create(text(ana).For(30))
	s.Waiting(v).Sees(api.StatusExpired, "")
	s.mood(`{"mode":"normal"}`)
	eventually(t, "the worker gives it up", func() bool { return len(s.timelineOf(t, v, "expired")) == 1 })
	noMessages(t, s, ana.number)
}
