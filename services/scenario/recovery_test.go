package scenario_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestAPersonWhoLostTheirPhoneComesBack(t *testing.T) {
	t.Parallel()
	s := Together(t)
	lost, desk := somebody(), somebody()
	u := s.User()
	path := "/v1/users/" + u.ID
	old := s.Register(u, api.CreateDevice{Kind: api.DeviceKindPhone, Address: lost.number})
	s.Register(u, api.CreateDevice{Kind: api.DeviceKindMailbox, Address: desk.mailbox})
	codes := read[api.RecoveryCodes](t, s.Call(http.MethodPost, path+"/recovery-codes", nil), http.StatusCreated).Codes

	// Nobody reads the code: the phone is gone.
	asked := s.Create(question{api.CreateVerification{UserID: u.ID}})
	require.Equal(t, old.ID, asked.DeviceID)
	s.Message(lost.number)

	// The person takes a code from the drawer.
	typed := api.RecoverUser{Code: strings.ToLower(strings.ReplaceAll(codes[7], "-", ""))}
	recovered := read[api.Recovered](t, s.Call(http.MethodPost, path+"/recover", typed), http.StatusOK)
	require.True(t, recovered.Valid)
	require.Equal(t, api.RecoveryKindCode, recovered.Kind)
	require.Equal(t, 9, *recovered.CodesLeft)
	require.False(t, read[api.Recovered](t, s.Call(http.MethodPost, path+"/recover", typed), http.StatusOK).Valid)
	s.Want(asked, api.StatusPending, "")
	require.Equal(t, http.StatusOK, s.Call(http.MethodPost, "/v1/verifications/"+asked.ID+"/cancel", nil).status)

	// A new phone joins, and becomes the default.
	a, err := s.ask(t.Context(), http.MethodPost, s.system.inbox+"/sandbox/phones", map[string]string{"platform": "fcm", "name": "New phone"})
	require.NoError(t, err)
	p := read[phone](t, a, http.StatusCreated)
	p.Device = s.Register(u, api.CreateDevice{Kind: api.DeviceKindApp, Platform: api.PlatformFCM, PushToken: p.Token, PublicKey: p.PublicKey})
	ordered := read[api.User](t, s.Call(http.MethodPut, path+"/device-order", api.OrderDevices{DeviceIDs: []string{p.Device.ID}}), http.StatusOK)
	require.Equal(t, p.Device.ID, ordered.DefaultDeviceID)
	require.Equal(t, http.StatusNoContent, s.Call(http.MethodDelete, "/v1/devices/"+old.ID, nil).status)

	asked = s.Create(question{api.CreateVerification{UserID: u.ID}})
	require.Equal(t, p.Device.ID, asked.DeviceID)
	m := s.Message(p.Token)
	require.Equal(t, http.StatusAccepted, s.reply(m, map[string]string{"decision": "approve", "number": asked.MatchNumber}).Status)
	s.Becomes(asked, api.StatusApproved, "")

	log := read[api.AuditList](t, s.Call(http.MethodGet, "/v1/audit?subject="+u.ID, nil), http.StatusOK)
	var actions []string
	for _, e := range log.Data {
		actions = append(actions, e.Action)
	}
	require.Equal(t, []string{"device_order.changed", "user.recovered", "recovery_codes.created"}, actions)
}

func TestBackupsAreAskedWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana := somebody()
	u := s.User()
	s.Register(u, api.CreateDevice{Kind: api.DeviceKindPhone, Address: ana.number})
	s.Register(u, api.CreateDevice{Kind: api.DeviceKindMailbox, Address: ana.mailbox})
	v := s.Create(question{api.CreateVerification{UserID: u.ID, Backups: &api.Backups{After: 1}}})
	s.Message(ana.number)
	mailed := s.Message(ana.mailbox)
	require.True(t, s.Check(v, mailed.Code).Valid)
}

// toldCode is a code as the page shows it, and as it comes: by chance it holds no digit.
var toldCode = regexp.MustCompile(`[2-9A-HJKMNP-Z]{4}(-[2-9A-HJKMNP-Z]{4}){2,3}`)

func TestTheRecoveryPageRunsAsItStands(t *testing.T) {
	t.Parallel()
	s, dir := settled(t)
	writtenPage{file: "recovery.md", commands: 8, answers: 7, differs: toldCode, after: func(_, text, output string) {
		if strings.Contains(text, "field status") {
			require.Contains(t, output, "approved")
		}
	}}.Runs(s, dir)
}
