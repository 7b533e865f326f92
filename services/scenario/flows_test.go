package scenario_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// The stories that must come out the same in one process and in many.

func TestOneProcessAsksOnEveryRoadAndHearsTheAnswer(t *testing.T) {
	t.Parallel()
	everyRoad(t, Together(t))
}

func TestAProcessForEachRoleAsksOnEveryRoadAndHearsTheAnswer(t *testing.T) {
	t.Parallel()
	everyRoad(t, Apart(t))
}

// ending is what a person's answer must come to.
type ending struct {
	status api.Status
	reason string
}

var (
	approved = ending{api.StatusApproved, ""}
	denied   = ending{api.StatusDenied, ""}
	notMe    = ending{api.StatusDenied, "not_me"}
	noMatch  = ending{api.StatusDenied, "wrong_number"}
)

// road is one way to ask and to answer.
type road struct {
	name string
	ask  func(s *story) (q question, to string)
	// answer is the person's part, from the message that reached them.
	answer func(s *story, v api.Verification, m message)
	ending ending
}

func everyRoad(t *testing.T, s *story) {
	t.Helper()
	for _, r := range roads() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			q, to := r.ask(s)
			q = q.Brand("Example Bank").About(api.Context{Action: "Sign in", IP: "203.0.113.7", Place: "Lisbon"})
			v := s.Create(q)
			require.Equal(t, api.StatusPending, v.Status)
			m := s.Message(to)
			client := s.Waiting(v)
			r.answer(s, v, m)
			client.Sees(r.ending.status, r.ending.reason)
			s.Want(v, r.ending.status, r.ending.reason)
		})
	}
}

func roads() []road {
	textCode := func(*story) (question, string) { p := somebody(); return text(p), p.number }
	callCode := func(*story) (question, string) { p := somebody(); return call(p), p.number }
	mailCode := func(*story) (question, string) { p := somebody(); return mail(p), p.mailbox }
	textLink := func(*story) (question, string) { p := somebody(); return text(p).Link(), p.number }
	mailLink := func(*story) (question, string) { p := somebody(); return mail(p).Link(), p.mailbox }
	textApproval := func(*story) (question, string) { p := somebody(); return text(p).Approval(), p.number }
	callApproval := func(*story) (question, string) { p := somebody(); return call(p).Approval(), p.number }
	onPhone := func(platform api.Platform) func(*story) (question, string) {
		return func(s *story) (question, string) { p := s.Phone(platform); return push(p), p.Token }
	}
	return []road{
		{"the code of a text message is typed", textCode, typesCode, approved},
		{"the code of a call is typed", callCode, typesCode, approved},
		{"the code of a mail is typed", mailCode, typesCode, approved},
		{"the link of a text message is opened and approved", textLink, presses("Approve"), approved},
		{"the link of a text message is opened and denied", textLink, presses("Deny"), denied},
		{"the link of a text message reaches somebody who did not ask", textLink, presses("This wasn't me"), notMe},
		{"the link of a mail is opened and approved", mailLink, presses("Approve"), approved},
		{"the link of a mail is opened and denied", mailLink, presses("Deny"), denied},
		{"the link of a mail reaches somebody who did not ask", mailLink, presses("This wasn't me"), notMe},
		{"a push to an iPhone is approved", onPhone(api.PlatformAPNs), decides(api.DecisionApprove), approved},
		{"a push to an iPhone is denied", onPhone(api.PlatformAPNs), decides(api.DecisionDeny), denied},
		{"a push to an iPhone reaches somebody who did not ask", onPhone(api.PlatformAPNs), decides(api.DecisionNotMe), notMe},
		{"a push to an Android phone is approved", onPhone(api.PlatformFCM), decides(api.DecisionApprove), approved},
		{"a push to an Android phone is denied", onPhone(api.PlatformFCM), decides(api.DecisionDeny), denied},
		{"a push to an Android phone reaches somebody who did not ask", onPhone(api.PlatformFCM), decides(api.DecisionNotMe), notMe},
		{"a push to a browser is approved", onPhone(api.PlatformWebPush), decides(api.DecisionApprove), approved},
		{"a push to a browser is denied", onPhone(api.PlatformWebPush), decides(api.DecisionDeny), denied},
		{"a push is answered with a wrong number, and then the right one", onPhone(api.PlatformAPNs), decidesAfter(wrongNumber), approved},
		{"a text message is answered with the number", textApproval, texts(rightNumber), approved},
		{"a text message is answered with YES, and then with it and the number", textApproval, texts(says("YES"), saysYes(rightNumber)), approved},
		{"a text message is answered with a wrong number, and then the right one", textApproval, texts(wrongNumber, rightNumber), approved},
		{"a text message is answered with two wrong numbers", textApproval, texts(wrongNumber, wrongNumber), noMatch},
		{"a text message is answered with no", textApproval, texts(says("no.")), denied},
		{"a text message reaches somebody who did not ask", textApproval, texts(says("It wasn't me")), notMe},
		{"a call is answered with the number", callApproval, keys(press{rightNumber, "The request is approved."}), approved},
		{"a call is answered with a star", callApproval, keys(press{says("*#"), "received your refusal"}), denied},
		{"a call reaches somebody who did not ask", callApproval, keys(press{says("0#"), "this wasn't you"}), notMe},
		{"a call is answered with one digit, and then the number", callApproval, keys(
			press{says("9#"), "That is not a 2-digit number."}, press{rightNumber, "The request is approved."},
		), approved},
		{"a call is answered with a wrong number, and then the right one", callApproval, keys(
			press{wrongNumber, "That number doesn't match."}, press{rightNumber, "The request is approved."},
		), approved},
		{"a call is answered with the same wrong number twice", callApproval, keys(
			press{wrongNumber, "That number doesn't match."}, press{wrongNumber, "The request is refused."},
		), noMatch},
	}
}

func typesCode(s *story, v api.Verification, m message) {
	s.t.Helper()
	require.Len(s.t, m.Code, 6, "the message: %s", m.Text)
	require.Empty(s.t, m.Link)
	got := s.Check(v, m.Code)
	require.True(s.t, got.Valid)
	require.Equal(s.t, api.StatusApproved, got.Status)
}

func presses(button string) func(*story, api.Verification, message) {
	return func(s *story, v api.Verification, m message) {
		s.t.Helper()
		require.Empty(s.t, m.Code, "a message with a link carries no code")
		b := Opens(s.t, m.Link).Seeing(v.MatchNumber)
		require.Contains(s.t, b.page.text, "Example Bank")
		require.Contains(s.t, b.page.text, "203.0.113.7")
		b.Presses(button)
	}
}

func decides(d api.Decision) func(*story, api.Verification, message) {
	return func(s *story, v api.Verification, m message) {
		s.t.Helper()
		require.Equal(s.t, v.ID, m.Data["verification_id"])
		require.Equal(s.t, "Sign in", m.Data["action"])
		require.Equal(s.t, "Lisbon", m.Data["place"])
		require.Equal(s.t, "2", m.Data["number_length"])
		number := ""
		if d == api.DecisionApprove {
			number = v.MatchNumber
		}
		require.Equal(s.t, http.StatusAccepted, s.Decides(m, d, number).Status)
	}
}

// decidesAfter approves with another number first.
func decidesAfter(other saying) func(*story, api.Verification, message) {
	return func(s *story, v api.Verification, m message) {
		s.t.Helper()
		require.Equal(s.t, http.StatusUnprocessableEntity, s.Decides(m, api.DecisionApprove).Status, "one without a number is no answer")
		require.Equal(s.t, http.StatusAccepted, s.Decides(m, api.DecisionApprove, other(v)).Status)
		decides(api.DecisionApprove)(s, v, m)
	}
}

// saying is what a person says, who sees the number on their other screen.
type saying func(api.Verification) string

func says(words string) saying { return func(api.Verification) string { return words } }

func rightNumber(v api.Verification) string { return v.MatchNumber }

func saysYes(number saying) saying {
	return func(v api.Verification) string { return "yes " + number(v) }
}

// wrongNumber is as long as the right one.
func wrongNumber(v api.Verification) string {
	if v.MatchNumber == "11" {
		return "22"
	}
	return "11"
}

func texts(answers ...saying) func(*story, api.Verification, message) {
	return func(s *story, v api.Verification, m message) {
		s.t.Helper()
		require.Len(s.t, v.MatchNumber, 2)
		require.Contains(s.t, m.Text, "Reply with the number on your screen to approve, NO to refuse.")
		require.NotContains(s.t, m.Text, v.MatchNumber+" ", "it is shown where the person began, and nowhere else")
		require.Empty(s.t, m.Code)
		for _, words := range answers {
			require.Equal(s.t, http.StatusOK, s.Texts(m, words(v)).Status)
		}
	}
}

// press is keys, and what is heard after them.
type press struct {
	keys  saying
	hears string
}

func keys(pressed ...press) func(*story, api.Verification, message) {
	return func(s *story, v api.Verification, m message) {
		s.t.Helper()
		require.Contains(s.t, m.Text, "Enter the 2-digit number shown on your screen")
		require.Empty(s.t, m.Code)
		for _, p := range pressed {
			heard := s.Presses(m, p.keys(v))
			require.Equal(s.t, http.StatusOK, heard.Status)
			require.Contains(s.t, strings.ReplaceAll(heard.Body, "&#39;", "'"), p.hears)
		}
	}
}

func TestAQuestionEndsOnlyOnce(t *testing.T) {
	t.Parallel()
	for name, house := range map[string]func(*testing.T) *story{"in one process": Together, "in a process for each role": Apart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theEnds(t, house(t))
		})
	}
}

func theEnds(t *testing.T, s *story) {
	t.Helper()
	t.Run("five wrong codes fail it and the sixth is too late", func(t *testing.T) {
		t.Parallel()
		s, ana := s.in(t), somebody()
		v := s.Create(text(ana))
		right := s.Message(ana.number).Code
		client := s.Waiting(v)
		for left := 4; left >= 0; left-- {
			got := s.Check(v, wrong(right))
			require.False(t, got.Valid)
			require.Equal(t, left, got.ChecksLeft)
		}
		client.Sees(api.StatusFailed, "too_many_checks")
		s.Refused(s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/check", api.CheckCode{Code: right}), http.StatusConflict, api.ProblemCodeVerificationClosed)
		s.Want(v, api.StatusFailed, "too_many_checks")
	})
	t.Run("nobody answers and it expires under the eyes of the client", func(t *testing.T) {
		t.Parallel()
		s, ana := s.in(t), somebody()
		v := s.Create(text(ana).For(30))
		code := s.Message(ana.number).Code
		s.Waiting(v).Sees(api.StatusExpired, "")
		for _, action := range []string{"check", "resend", "cancel"} {
			var body any
			if action == "check" {
				body = api.CheckCode{Code: code}
			}
			s.Refused(s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/"+action, body), http.StatusConflict, api.ProblemCodeVerificationClosed)
		}
	})
	t.Run("the client cancels and the person is told so", func(t *testing.T) {
		t.Parallel()
		s, ana := s.in(t), somebody()
		v := s.Create(mail(ana).Link())
		b := Opens(t, s.Message(ana.mailbox).Link)
		client := s.Waiting(v)
		read[api.Verification](t, s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/cancel", nil), http.StatusOK)
		client.Sees(api.StatusCanceled, "")
		require.Empty(t, b.Looks().buttons, "a withdrawn question has no buttons")
		s.Refused(s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/cancel", nil), http.StatusConflict, api.ProblemCodeVerificationClosed)
	})
	t.Run("the same code is sent again when asked for", func(t *testing.T) {
		t.Parallel()
		s, ana := s.in(t), somebody()
		v := s.Create(text(ana))
		first := s.Message(ana.number)
		again := read[api.Verification](t, s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil), http.StatusAccepted)
		require.Equal(t, v.ExpiresAt, again.ExpiresAt)
		eventually(t, "two messages arrive", func() bool { return len(s.Messages(ana.number)) == 2 })
		second := s.Messages(ana.number)[0]
		require.NotEqual(t, first.ID, second.ID)
		require.Equal(t, first.Code, second.Code)
		require.True(t, s.Check(v, second.Code).Valid)
	})
	t.Run("a code typed with spaces and dashes counts, and a link is no code", func(t *testing.T) {
		t.Parallel()
		s, ana := s.in(t), somebody()
		v := s.Create(text(ana).Digits(8))
		code := s.Message(ana.number).Code
		require.Len(t, code, 8)
		require.True(t, s.Check(v, code[:4]+" - "+code[4:]).Valid)
		link := s.Create(mail(ana).Link())
		s.Refused(s.Call(http.MethodPost, "/v1/verifications/"+link.ID+"/check", api.CheckCode{Code: code}), http.StatusConflict, api.ProblemCodeWrongChallenge)
	})
}

// wrong is a code that differs from the right one in each digit.
func wrong(right string) string {
	return strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, right)
}
