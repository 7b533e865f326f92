package scenario_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	app "github.com/assent-io/assent/services/phone"
)

// A page without a subscription: nothing reaches it, and nothing has to.
func TestAPageThatNothingReachesIsAskedWhileItIsOpen(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*story{"together": Together(t), "apart": Apart(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			old := s.Phone(api.PlatformFCM)
			code := read[api.DeviceActivation](t, s.Call(http.MethodPost, "/v1/devices/"+old.Device.ID+"/activation", nil), http.StatusCreated).Code
			p, err := app.Join(t.Context(), app.Invitation{Base: s.base, Code: code, Platform: device.WebPush})
			require.NoError(t, err)
			require.Equal(t, old.Device.ID, p.DeviceID)

			v := s.Create(question{api.CreateVerification{DeviceID: p.DeviceID}})
			client := s.Waiting(v)
			prompt, err := p.Await(t.Context(), 20*time.Second)
			require.NoError(t, err)
			require.NoError(t, p.Answer(t.Context(), prompt, api.DecisionApprove, v.MatchNumber))
			client.Sees(api.StatusApproved, "")
			eventually(t, "the timeline says that it lay ready", func() bool {
				steps := s.timeline(v)
				last := steps[len(steps)-1]
				return last.Status == "sent" && last.Provider == "page"
			})

			code = read[api.DeviceActivation](t, s.Call(http.MethodPost, "/v1/devices/"+p.DeviceID+"/activation", nil), http.StatusCreated).Code
			another, err := app.Join(t.Context(), app.Invitation{Base: s.base, Code: code})
			require.NoError(t, err)
			var gone *api.Problem
			_, err = p.Await(t.Context(), 0)
			require.ErrorAs(t, err, &gone)
			require.Equal(t, []any{api.ProblemCodeDeviceRemoved, device.CauseReplaced}, []any{gone.Code, gone.Cause})
			_, err = app.Join(t.Context(), app.Invitation{Base: s.base, Code: code})
			require.ErrorAs(t, err, &gone)
			require.Equal(t, api.ProblemCodeJoinCodeUsed, gone.Code)
			require.Equal(t, http.StatusNoContent, s.Call(http.MethodDelete, "/v1/devices/"+p.DeviceID, nil).status)
			_, err = another.Await(t.Context(), 0)
			require.ErrorAs(t, err, &gone)
			require.Equal(t, device.CauseRemoved, gone.Cause)
		})
	}
}
