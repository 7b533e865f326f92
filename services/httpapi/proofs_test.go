package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// proved is an archived approval with the right number.
func proved(t *testing.T) events.ApprovalProved {
	t.Helper()
	key, _ := newKey(t)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	a := device.Answer{
		VerificationID: uuid.NewString(), DeviceID: uuid.NewString(), Decision: "approve",
		NumberDigest: device.NumberDigest("salt", "47"), AnsweredAt: answeredAt, Context: shownContext,
	}
	digest := sha256.Sum256([]byte(a.SignedText()))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	require.NoError(t, err)
	return events.ApprovalProved{
		Version: events.Version, ID: a.VerificationID, Account: shop, UserID: "u1", Brand: "Example Bank", DeviceID: a.DeviceID, Platform: "fcm",
		PublicKey: public, Decision: events.Approve, Status: "approved", Context: a.Context, NumberDigest: a.NumberDigest,
		ExpectedNumberDigest: a.NumberDigest, AnsweredAt: a.AnsweredAt, SignedText: a.SignedText(), Signature: signature,
		CreatedAt: time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC), ClosedAt: time.Date(2026, 11, 21, 10, 4, 41, 0, time.UTC),
	}
}

func TestAProofIsShownWithAllThatCheckingItTakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := proved(t)
	b.store.proofs = append(b.store.proofs, e)
	var got api.ApprovalProof
	b.get("/v1/verifications/"+e.ID+"/proof").json(t, &got)
	require.Equal(t, api.ApprovalProof{
		ID: e.ID, Account: shop, Status: api.StatusApproved, Decision: api.DecisionApprove, Brand: "Example Bank", UserID: "u1", DeviceID: e.DeviceID,
		Platform: "fcm", Context: shownContext, NumberDigest: e.NumberDigest, ExpectedNumberDigest: e.NumberDigest, AnsweredAt: answeredAt,
		SignedText: e.SignedText, Signature: base64.RawURLEncoding.EncodeToString(e.Signature),
		PublicKey: base64.StdEncoding.EncodeToString(e.PublicKey), CreatedAt: e.CreatedAt, ClosedAt: e.ClosedAt,
		Valid: true, Checks: api.ProofChecks{Signature: true, Context: true, Answer: true, Number: true},
	}, got)
}

func TestAProofThatWasTamperedWithIsShownAsNotValid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		change func(*events.ApprovalProved)
		want   api.ProofChecks
	}{
		"its context": {func(e *events.ApprovalProved) { e.Context = `{"action":"Pay 20000"}` }, api.ProofChecks{Signature: true, Answer: true, Number: true}},
		"its text":    {func(e *events.ApprovalProved) { e.SignedText += "x" }, api.ProofChecks{Answer: true, Number: true}},
		"its status":  {func(e *events.ApprovalProved) { e.Status = "denied" }, api.ProofChecks{Signature: true, Context: true, Number: true}},
		"its reason": {
			func(e *events.ApprovalProved) { e.Status, e.Reason = "denied", string(verification.WrongNumber) },
			api.ProofChecks{Signature: true, Context: true, Answer: true},
		},
	} {
		e := proved(t)
		c.change(&e)
		b.store.proofs = append(b.store.proofs, e)
		var got api.ApprovalProof
		b.get("/v1/verifications/"+e.ID+"/proof").json(t, &got)
		require.False(t, got.Valid, name)
		require.Equal(t, c.want, got.Checks, name)
	}
}

func TestAProofOfNobodyOrOfOthersIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := proved(t)
	b.store.proofs = append(b.store.proofs, e)
	p := b.do(call{method: http.MethodGet, path: "/v1/verifications/" + e.ID + "/proof", client: other}).problem(t)
	require.Equal(t, api.ProblemCodeNotFound, p.Code)
	for _, id := range []string{uuid.NewString(), "x", "*"} {
		require.Equal(t, p.Detail, b.get("/v1/verifications/"+id+"/proof").problem(t).Detail)
	}
	b.store.fail(verification.ErrUnavailable)
	require.Equal(t, http.StatusUnauthorized, b.do(call{method: http.MethodGet, path: "/v1/verifications/" + e.ID + "/proof", anonymous: true}).problem(t).Status)
}
