package scenario_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

func TestTheGoClientWaitsAcrossARestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, err := startUp(data)
	require.NoError(t, err)
	c, err := client.New(first.base, first.id, first.secret)
	require.NoError(t, err)
	s, ana := &story{first, t}, somebody()
	v, err := c.Create(t.Context(), text(ana).CreateVerification)
	require.NoError(t, err)
	code := s.Message(ana.number).Code

	type end struct {
		v   *api.Verification
		err error
	}
	ended := make(chan end, 1)
	go func() {
		v, err := c.Wait(t.Context(), v.ID)
		ended <- end{v, err}
	}()
	eventually(t, "the client is parked", func() bool { return s.parked() == 1 })
	require.NoError(t, first.stop())
	second, err := startUpAt(strings.TrimPrefix(first.base, "http://"), data, credential()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.stop()) })

	wrongly, err := c.Check(t.Context(), v.ID, wrong(code))
	require.NoError(t, err)
	require.False(t, wrongly.Valid)
	checked, err := c.Check(t.Context(), v.ID, code)
	require.NoError(t, err)
	require.True(t, checked.Valid)
	got := <-ended
	require.NoError(t, got.err)
	require.Equal(t, api.StatusApproved, got.v.Status)

	_, err = c.Cancel(t.Context(), v.ID)
	var problem *api.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, api.ProblemCodeVerificationClosed, problem.Code)
}
