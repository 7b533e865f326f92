package scenario_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
)

func TestABrowserApprovesWithTheNumberAndItsProofVerifies(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.Phone(api.PlatformWebPush)
	v := s.Create(push(p).Brand("Example Bank").About(payment))
	m := s.Message(p.Token)
	require.Equal(t, []string{"webpush", "2"}, []string{m.Provider, m.Data["number_length"]})
	client := s.Waiting(v)
	require.Equal(t, http.StatusAccepted, s.Decides(m, api.DecisionApprove, v.MatchNumber).Status)
	client.Sees(api.StatusApproved, "")

	var proof api.ApprovalProof
	eventually(t, "the proof is there", func() bool {
		a := s.Call(http.MethodGet, "/v1/verifications/"+v.ID+"/proof", nil)
		if a.status != http.StatusOK {
			return false
		}
		proof = read[api.ApprovalProof](t, a, http.StatusOK)
		return true
	})
	require.Equal(t, api.PlatformWebPush, proof.Platform)
	require.Equal(t, proof.ExpectedNumberDigest, proof.NumberDigest)
	require.Contains(t, proof.Context, "49.00 EUR")
	key, err := base64.StdEncoding.DecodeString(p.PublicKey)
	require.NoError(t, err)
	signature, err := base64.RawURLEncoding.DecodeString(proof.Signature)
	require.NoError(t, err)
	require.True(t, device.Proof{
		Answer: device.Answer{
			VerificationID: v.ID, DeviceID: p.Device.ID, Decision: string(proof.Decision), NumberDigest: proof.NumberDigest,
			AnsweredAt: proof.AnsweredAt, Context: proof.Context,
		},
		SignedText: proof.SignedText, PublicKey: key, Signature: signature, ExpectedDigest: proof.ExpectedNumberDigest,
		Outcome: device.Outcome(proof.Status),
	}.Check().Valid(), "the browser's key has signed what the proof says")
}

func TestASubscriptionThatHasEndedFailsTheQuestionAtOnce(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.Phone(api.PlatformWebPush)
	head, tail, ok := strings.Cut(p.Token, "/sandbox/webpush/")
	require.True(t, ok)
	_, keys, _ := strings.Cut(tail, `"`)
	for token, reason := range map[string]string{
		head + `/sandbox/webpush/dead-1"` + keys: "device_gone",
		// Nothing leaves the machine where no Web Push is configured.
		`{"endpoint":"https://updates.push.services.mozilla.com/wpush/v2/x"` + keys: "not_configured",
	} {
		d := s.Register(s.User(), api.CreateDevice{Kind: api.DeviceKindApp, Platform: api.PlatformWebPush, PushToken: token, PublicKey: p.PublicKey})
		v := s.Create(question{api.CreateVerification{DeviceID: d.ID}})
		s.Waiting(v).Sees(api.StatusFailed, reason)
	}
}
