package scenario_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// message is what the outside world got, as the sandbox's inbox shows it.
type message struct {
	ID         string            `json:"id"`
	Channel    api.Channel       `json:"channel"`
	Provider   string            `json:"provider"`
	To         string            `json:"to"`
	From       string            `json:"from"`
	Subject    string            `json:"subject"`
	Text       string            `json:"text"`
	HTML       string            `json:"html"`
	Data       map[string]string `json:"data"`
	Code       string            `json:"code"`
	Link       string            `json:"link"`
	ReceivedAt time.Time         `json:"received_at"`
}

// Messages are those that reached an address so far, newest first.
func (s *story) Messages(to string) []message { s.t.Helper(); return s.messages(to, "") }

// Message waits for one to reach an address.
func (s *story) Message(to string) message {
	s.t.Helper()
	found := s.messages(to, "&wait=40")
	require.NotEmpty(s.t, found, "nothing reached %s", to)
	return found[0]
}

func (s *story) messages(to, more string) []message {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), http.MethodGet, s.system.inbox+"/sandbox/messages?to="+url.QueryEscape(to)+more, nil)
	require.NoError(s.t, err)
	return read[struct{ Messages []message }](s.t, a, http.StatusOK).Messages
}

// heard is what Assent said to a person's answer.
type heard struct {
	Answered bool   `json:"answered"`
	Status   int    `json:"status"`
	Body     string `json:"body"`
}

func (s *story) reply(m message, body map[string]string) heard {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), http.MethodPost, s.system.inbox+"/sandbox/messages/"+m.ID+"/answer", body)
	require.NoError(s.t, err)
	return read[heard](s.t, a, http.StatusOK)
}

// Texts is a person answering a text message.
func (s *story) Texts(m message, words string) heard {
	s.t.Helper()
	return s.reply(m, map[string]string{"text": words})
}

// Presses is a person pressing keys in a call.
func (s *story) Presses(m message, keys string) heard {
	s.t.Helper()
	return s.reply(m, map[string]string{"keys": keys})
}

// Decides is a person pressing a button on their phone, having typed the number of the other screen where one is asked for.
func (s *story) Decides(m message, d api.Decision, number ...string) heard {
	s.t.Helper()
	return s.reply(m, map[string]string{"decision": string(d), "number": strings.Join(number, "")})
}

// phone is a sandbox phone, registered as somebody's device.
type phone struct {
	Token     string `json:"push_token"`
	PublicKey string `json:"public_key"`
	Device    api.Device
}

func push(p phone) question {
	return question{api.CreateVerification{DeviceID: p.Device.ID}}
}

// Phone puts the app on a phone of the platform, and registers it.
func (s *story) Phone(platform api.Platform) phone {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), http.MethodPost, s.system.inbox+"/sandbox/phones", map[string]string{"platform": string(platform), "name": "Ana's phone"})
	require.NoError(s.t, err)
	p := read[phone](s.t, a, http.StatusCreated)
	p.Device = s.Register(s.User(), api.CreateDevice{
		Kind: api.DeviceKindApp, Name: "Ana's phone", Platform: platform, PushToken: p.Token, PublicKey: p.PublicKey,
	})
	return p
}

// User registers a person.
func (s *story) User() api.User {
	s.t.Helper()
	return read[api.User](s.t, s.Call(http.MethodPost, "/v1/users", api.CreateUser{Name: "Ana"}), http.StatusCreated)
}

// Register adds a device to a person.
func (s *story) Register(u api.User, d api.CreateDevice) api.Device {
	s.t.Helper()
	return read[api.Device](s.t, s.Call(http.MethodPost, "/v1/users/"+u.ID+"/devices", d), http.StatusCreated)
}

// noMessages expects that an address got nothing.
func noMessages(t *testing.T, s *story, to string) {
	t.Helper()
	require.Empty(t, s.Messages(to), "nothing may be sent to %s", to)
}
