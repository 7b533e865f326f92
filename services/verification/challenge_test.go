package verification_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

func TestEachChannelSaysWhatItCarries(t *testing.T) {
	t.Parallel()
	for channel, want := range map[verification.Channel][4]bool{ // default, code, link, approval
		verification.SMS:   {true, true, true, true},
		verification.Voice: {true, true, false, true},
		verification.Email: {true, true, true, false},
		verification.Push:  {true, true, false, true},
		verification.TOTP:  {true, true, false, false},
		"fax":              {},
		"":                 {},
	} {
		for i, challenge := range []verification.Challenge{"", verification.CodeChallenge, verification.LinkChallenge, verification.ApprovalChallenge} {
			require.Equal(t, want[i], channel.Carries(challenge), "%s %s", channel, challenge)
		}
		require.Equal(t, want[0], channel.Carries(channel.DefaultChallenge()))
	}
	require.Equal(t, verification.ApprovalChallenge, verification.Push.DefaultChallenge())
	require.Empty(t, verification.Channel("fax").DefaultChallenge())
}
