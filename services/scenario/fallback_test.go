package scenario_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// Then is the same question with one more road to take while nobody answers.
func (q question) Then(step api.FallbackStep) question {
	return q.with(func(c *api.CreateVerification) { c.Fallback = append(c.Fallback, step) })
}

// never is longer than any of these stories takes: what comes before it did not wait for its time.
const never = 250

// everyLadder tells what follows where nobody answers on the first road.
func everyLadder(t *testing.T, s *story) {
	for name, tell := range map[string]func(*story){
		"a call follows a text that nobody answers": func(s *story) {
			ana := somebody()
			v := s.Create(text(ana).Then(api.FallbackStep{Channel: api.ChannelVoice, After: 2}))
			require.Equal(s.t, []api.FallbackStep{{Channel: api.ChannelVoice, After: 2, To: v.To}}, v.Fallback)
			sms := s.Message(ana.number)
			eventually(s.t, "the call comes", func() bool { return len(s.messages(ana.number, "&channel=voice")) == 1 })
			heard := s.messages(ana.number, "&channel=voice")[0]
			require.Equal(s.t, sms.Code, heard.Code, "it is the same verification")
			require.True(s.t, s.Check(v, heard.Code).Valid)
			asked := s.timelineOf(s.t, v, "requested")
			require.Len(s.t, asked, 2)
			require.Equal(s.t, []any{api.ChannelVoice, 1, "unanswered"}, []any{asked[1].Channel, asked[1].Step, asked[1].Reason})
		},
		"no call follows a text that is answered": func(s *story) {
			ana, ben := somebody(), somebody()
			answered := s.Create(text(ana).Then(api.FallbackStep{Channel: api.ChannelVoice, After: 2}))
			require.True(s.t, s.Check(answered, s.Message(ana.number).Code).Valid)
			s.Create(text(ben).Then(api.FallbackStep{Channel: api.ChannelVoice, After: 3}))
			eventually(s.t, "a later call comes", func() bool { return len(s.messages(ben.number, "&channel=voice")) == 1 })
			require.Empty(s.t, s.messages(ana.number, "&channel=voice"))
		},
		"what does not arrive is not waited for": func(s *story) {
			ana := somebody()
			v := s.Create(ask("+14155550190", api.ChannelSMS).Then(api.FallbackStep{Channel: api.ChannelEmail, To: ana.mailbox, After: never}))
			require.True(s.t, s.Check(v, s.Message(ana.mailbox).Code).Valid)
		},
		"nor is what the carrier gives up later": func(s *story) {
			ana := somebody()
			v := s.Create(ask("+14155550194", api.ChannelSMS).Then(api.FallbackStep{Channel: api.ChannelEmail, To: ana.mailbox, After: never}))
			require.True(s.t, s.Check(v, s.Message(ana.mailbox).Code).Valid)
		},
		"nor is a phone that nobody takes": func(s *story) {
			ana := somebody()
			v := s.Create(ask("+14155550195", api.ChannelVoice).Then(api.FallbackStep{Channel: api.ChannelEmail, To: ana.mailbox, After: never}))
			require.True(s.t, s.Check(v, s.Message(ana.mailbox).Code).Valid)
		},
		"where no road leads anywhere the question ends": func(s *story) {
			v := s.Create(ask("+14155550190", api.ChannelSMS).
				Then(api.FallbackStep{Channel: api.ChannelSMS, To: "+14155550193", After: never}).
				Then(api.FallbackStep{Channel: api.ChannelEmail, To: "bounce@ladder.example.com", After: never - 1 - never/2}).For(600))
			s.Waiting(v).Sees(api.StatusFailed, "undeliverable")
			require.Len(s.t, s.timelineOf(s.t, v, "failed"), 3)
		},
		"either message's link opens the page": func(s *story) {
			ana := somebody()
			v := s.Create(text(ana).Link().Brand("Example Bank").About(api.Context{IP: "203.0.113.7"}).Then(api.FallbackStep{Channel: api.ChannelEmail, To: ana.mailbox, After: 1}))
			first, second := s.Message(ana.number), s.Message(ana.mailbox)
			require.Equal(s.t, first.Link, second.Link)
			presses("Approve")(s, v, second)
			s.Waiting(v).Sees(api.StatusApproved, "")
		},
		"a phone that is not looked at is followed by a text that is answered": func(s *story) {
			ana, iPhone := somebody(), s.Phone(api.PlatformAPNs)
			v := s.Create(push(iPhone).Then(api.FallbackStep{Channel: api.ChannelSMS, To: ana.number, After: 1}))
			s.Texts(s.Message(ana.number), v.MatchNumber)
			s.Waiting(v).Sees(api.StatusApproved, "")
		},
		"a text that is not answered is followed by a push that is": func(s *story) {
			ana, android := somebody(), s.Phone(api.PlatformFCM)
			v := s.Create(text(ana).Approval().Then(api.FallbackStep{DeviceID: android.Device.ID, After: 1}))
			require.Equal(s.t, api.ChannelPush, v.Fallback[0].Channel)
			s.Decides(s.Message(android.Token), api.DecisionApprove, v.MatchNumber)
			s.Waiting(v).Sees(api.StatusApproved, "")
		},
		"the other devices of a user are found": func(s *story) {
			ana, u := somebody(), s.User()
			phone := s.Register(u, api.CreateDevice{Kind: api.DeviceKindPhone, Address: ana.number})
			s.Register(u, api.CreateDevice{Kind: api.DeviceKindMailbox, Address: ana.mailbox})
			v := s.Create(question{api.CreateVerification{DeviceID: phone.ID}}.Then(api.FallbackStep{Channel: api.ChannelEmail, After: 1}))
			require.True(s.t, s.Check(v, s.Message(ana.mailbox).Code).Valid)

			other := s.Register(s.User(), api.CreateDevice{Kind: api.DeviceKindPhone, Address: somebody().number})
			a := s.Call(http.MethodPost, "/v1/verifications", question{api.CreateVerification{DeviceID: phone.ID}}.Then(api.FallbackStep{DeviceID: other.ID, After: 1}))
			p := s.Refused(a, http.StatusUnprocessableEntity, api.ProblemCodeInvalidRequest)
			require.Equal(s.t, "#/fallback/0/device_id", p.Errors[0].Pointer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(s.in(t))
		})
	}
}

func TestWhereNobodyAnswersTheNextRoadIsTaken(t *testing.T) {
	t.Parallel()
	everyLadder(t, Together(t))
}

func TestWhereNobodyAnswersTheNextRoadIsTakenByProcessesOfTheirOwn(t *testing.T) {
	t.Parallel()
	everyLadder(t, Apart(t))
}

func TestAFallbackIsTakenAlsoWhereTheProcessThatPlannedItWasKilled(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, err := startUp(data)
	require.NoError(t, err)
	s := &story{first, t}
	ana, ben := somebody(), somebody()
	open := s.Create(text(ana).Then(api.FallbackStep{Channel: api.ChannelVoice, After: 4}))
	answered := s.Create(text(ben).Then(api.FallbackStep{Channel: api.ChannelVoice, After: 4}))
	require.True(t, s.Check(answered, s.Message(ben.number).Code).Valid)
	code := s.Message(ana.number).Code
	first.processes[0].kill()
	first.client.CloseIdleConnections()

	second, err := startUp(data)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.stop()) })
	s = &story{second, t}
	eventually(t, "the call comes", func() bool { return len(s.messages(ana.number, "&channel=voice")) == 1 })
	require.Equal(t, code, s.messages(ana.number, "&channel=voice")[0].Code)
	require.True(t, s.Check(open, code).Valid)
	require.Empty(t, s.messages(ben.number, "&channel=voice"), "who answered is not called")
}
