package sandbox

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/assent-io/assent/events"
)

const maxReplyRunes = 1600

// answerInput is what a person does with a message: exactly one of keys, text, decision or hanging up.
type answerInput struct {
	Keys     *string          `json:"keys"`
	Text     *string          `json:"text"`
	Decision *events.Decision `json:"decision"`
	Number   string           `json:"number"` // goes with decision
	HangUp   bool             `json:"hang_up"`
}

// answerMessage passes a person's answer on to Assent, and returns what Assent said to it.
func (s *Sandbox) answerMessage(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	var in answerInput
	if !decodeJSON(w, r, &in) {
		return
	}
	words, p := in.check(m.channel)
	if p != nil {
		writeProblem(w, *p)
		return
	}
	var got reply
	var err error
	switch {
	case in.HangUp:
		m.call.hangUp()
		got = reply{status: http.StatusNoContent}
	case in.Keys != nil:
		got, err = m.call.answer(r.Context(), *in.Keys)
	case in.Text != nil:
		got, err = s.replyToText(r.Context(), m, *in.Text)
	default:
		got, err = s.answerPush(r.Context(), m, *in.Decision, in.Number)
	}
	if err != nil {
		s.writeNotAnswered(w, m, err)
		return
	}
	record := answerRecord{
		Answer: words, Answered: got.status >= 200 && got.status < 300, Status: got.status, Body: string(got.body),
		TookMS: got.took.Milliseconds(), At: s.now().UTC(),
	}
	s.inbox.change(m, func() { m.answers = append(m.answers, record) })
	writeJSON(w, http.StatusOK, record)
}

func (in answerInput) check(channel events.Channel) (words string, p *problem) {
	given := 0
	for _, set := range []bool{in.Keys != nil, in.Text != nil, in.Decision != nil, in.HangUp} {
		if set {
			given++
		}
	}
	fail := func(pointer, text string) (string, *problem) {
		bad := invalid(fieldError{pointer, text})
		return "", &bad
	}
	want := map[events.Channel]string{
		events.SMS: `{"text":"YES"}`, events.Voice: `{"keys":"1"} or {"hang_up":true}`, events.Push: `{"decision":"approve"} with a "number" where one is asked for`,
	}[channel]
	fits := (channel == events.Voice && (in.Keys != nil || in.HangUp)) || (channel == events.SMS && in.Text != nil) || (channel == events.Push && in.Decision != nil)
	switch {
	case channel == events.Email:
		return "", &problem{http.StatusConflict, "not_answerable", "A mail is answered by opening its link, or by typing its code where it was asked for.", nil}
	case given != 1 || !fits:
		return fail("#", "a message on channel "+string(channel)+" is answered with "+want)
	case in.HangUp:
		return "hung up", nil
	case in.Keys != nil:
		if !regexp.MustCompile(`^[0-9*#]{1,32}$`).MatchString(*in.Keys) {
			return fail("#/keys", "want 1 to 32 keys out of 0-9, * and #")
		}
		return "key presses " + strings.Join(strings.Split(*in.Keys, ""), " "), nil
	case in.Text != nil:
		if strings.TrimSpace(*in.Text) == "" || utf8.RuneCountInString(*in.Text) > maxReplyRunes {
			return fail("#/text", "want a text of 1 to 1600 characters")
		}
		return *in.Text, nil
	}
	if !slices.Contains([]events.Decision{events.Approve, events.Deny, events.NotMe}, *in.Decision) {
		return fail("#/decision", "want approve, deny or not_me")
	}
	if !regexp.MustCompile(`^[0-9]{0,4}$`).MatchString(in.Number) {
		return fail("#/number", "want the digits on the sign-in screen")
	}
	return strings.TrimSpace(string(*in.Decision) + " " + in.Number), nil
}

var (
	errNotOurPhone   = errors.New("not a sandbox phone")
	errNotAnApproval = errors.New("not a push that can be answered")
	errNoPublicURL   = errors.New("no public URL")
)

func (s *Sandbox) writeNotAnswered(w http.ResponseWriter, m *message, err error) {
	p := problem{status: http.StatusConflict, code: "not_answerable"}
	switch {
	case errors.Is(err, errNotWaiting):
		state := ""
		s.inbox.read(func() { state = m.callState })
		p.detail = "This call is not waiting for keys: it has ended."
		if state != callEnded {
			p.detail = "This call is not waiting for keys yet: it is " + state + "."
		}
	case errors.Is(err, errNotOurPhone):
		p.detail = "This push went to a device whose key is not here. Only a phone made by POST /sandbox/phones can answer from the sandbox."
	case errors.Is(err, errNotAnApproval):
		p.detail = "This push carries no verification_id, device_id and respond_to, so there is nothing to answer."
	case errors.Is(err, errNoPublicURL):
		p.detail = "Assent has no public URL, so there is nowhere to send the answer."
	default:
		p = problem{http.StatusBadGateway, "assent_unreachable", "Assent was not reached: " + err.Error() + ".", nil}
	}
	writeProblem(w, p)
}

// replyToText posts an inbound SMS from the person's number.
func (s *Sandbox) replyToText(ctx context.Context, m *message, text string) (reply, error) {
	public := s.publicURL()
	if public == "" {
		return reply{}, errNoPublicURL
	}
	sid := newSID("SM")
	target := public + "/callbacks/twilio/inbound"
	header, body := s.signedForm(target, url.Values{
		"MessageSid": {sid}, "SmsSid": {sid}, "SmsMessageSid": {sid}, "AccountSid": {s.account.TwilioAccountSID}, "SmsStatus": {"received"},
		"From": {m.to}, "To": {m.from}, "Body": {text}, "NumMedia": {"0"}, "NumSegments": {"1"}, "ApiVersion": {"2010-04-01"},
	})
	return s.post(ctx, target, header, body)
}

// answerPush signs a decision with the phone's key, as the app on it would.
func (s *Sandbox) answerPush(ctx context.Context, m *message, decision events.Decision, number string) (reply, error) {
	if m.phone == nil {
		return reply{}, errNotOurPhone
	}
	id, device, target := m.data["verification_id"], m.data["device_id"], m.data["respond_to"]
	if id == "" || device == "" || target == "" {
		return reply{}, errNotAnApproval
	}
	at := s.now().UTC().Format(time.RFC3339)
	committed := ""
	if number != "" {
		committed = hexDigest(m.data["number_salt"] + "\n" + number)
	}
	digest := sha256.Sum256([]byte(strings.Join([]string{
		"assent-response-v2", id, device, string(decision), committed, at, hexDigest(m.data["context"]),
	}, "\n")))
	signature, err := ecdsa.SignASN1(rand.Reader, m.phone.key, digest[:])
	if err != nil {
		return reply{}, err
	}
	body, err := json.Marshal(struct {
		DeviceID   string          `json:"device_id"`
		Decision   events.Decision `json:"decision"`
		Number     string          `json:"number,omitempty"`
		AnsweredAt string          `json:"answered_at"`
		Signature  string          `json:"signature"`
	}{device, decision, number, at, base64.RawURLEncoding.EncodeToString(signature)})
	if err != nil {
		return reply{}, err
	}
	return s.post(ctx, target, http.Header{"Content-Type": {"application/json"}, "User-Agent": {"assent-sandbox-phone"}}, body)
}

// hexDigest is a text's SHA-256 as it stands in a signed text.
func hexDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
