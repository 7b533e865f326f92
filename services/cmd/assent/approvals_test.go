package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
)

const paid = "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"

// proofOf is a proof as the API gives it, signed in the form r ‖ s.
func proofOf(t *testing.T, changes ...func(*api.ApprovalProof)) api.ApprovalProof {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	a := device.Answer{
		VerificationID: paid, DeviceID: "d-1", Decision: "approve", NumberDigest: device.NumberDigest("salt", "47"),
		AnsweredAt: "2026-11-21T10:05:02Z", Context: `{"ip":"203.0.113.7","action":"Pay","fields":[{"label":"Amount","value":"20 EUR"}]}`,
	}
	digest := sha256.Sum256([]byte(a.SignedText()))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	require.NoError(t, err)
	p := api.ApprovalProof{
		ID: paid, Account: "shop", Status: api.StatusApproved, Decision: api.DecisionApprove, Brand: "Example Bank", UserID: "u-1",
		DeviceID: a.DeviceID, Platform: "fcm", Context: a.Context, NumberDigest: a.NumberDigest, ExpectedNumberDigest: a.NumberDigest,
		AnsweredAt: a.AnsweredAt, SignedText: a.SignedText(), PublicKey: base64.StdEncoding.EncodeToString(public),
		Signature: base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)),
		CreatedAt: time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC), ClosedAt: time.Date(2026, 11, 21, 10, 5, 3, 0, time.UTC),
		Valid: true, Checks: api.ProofChecks{Signature: true, Context: true, Answer: true, Number: true}, // what the server says
	}
	for _, change := range changes {
		change(&p)
	}
	return p
}

// saved is a file with a proof.
func saved(t *testing.T, p api.ApprovalProof) string {
	t.Helper()
	b, err := json.Marshal(p)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "proof.json")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func TestAProofIsCheckedWithoutTheServersWord(t *testing.T) {
	t.Parallel()
	out, err := command(t, "approvals", "verify", "--file", saved(t, proofOf(t)))
	require.NoError(t, err)
	for _, line := range []string{
		"verification  " + paid, "account       shop", "user          u-1", "brand         Example Bank", "action        Pay", "Amount        20 EUR",
		"ip            203.0.113.7", "decision      approve", "status        approved", "asked         2026-11-21 10:04:31 UTC",
		"answered      2026-11-21T10:05:02Z (the phone's time)", "closed        2026-11-21 10:05:03 UTC", "phone         d-1",
		"✓ number      what was signed is the number on the other screen", "proof         valid",
	} {
		require.Contains(t, out, line+"\n")
	}
	require.Equal(t, 4, strings.Count(out, "✓"))
	for name, c := range map[string]struct {
		change func(*api.ApprovalProof)
		marks  string
	}{
		"another amount": {func(p *api.ApprovalProof) { p.Context = strings.Replace(p.Context, "20", "20000", 1) }, "✓✕✓✓"},
		"another key":    {func(p *api.ApprovalProof) { p.PublicKey = proofOf(t).PublicKey }, "✕✓✓✓"},
		"no key":         {func(p *api.ApprovalProof) { p.PublicKey = "%" }, "✕✓✓✓"},
		"another phone":  {func(p *api.ApprovalProof) { p.DeviceID = "d-2" }, "✓✓✕✓"},
		"another status": {func(p *api.ApprovalProof) { p.Status = api.StatusDenied }, "✓✓✕✓"},
		"another number": {func(p *api.ApprovalProof) { p.ExpectedNumberDigest = device.NumberDigest("salt", "48") }, "✓✓✓✕"},
		"another text":   {func(p *api.ApprovalProof) { p.SignedText = "x" }, "✕✕✕✕"},
	} {
		out, err := command(t, "approvals", "verify", "--file", saved(t, proofOf(t, c.change)))
		require.EqualError(t, err, "the proof of "+paid+" is not valid", name)
		require.Equal(t, exitNotValid, exitCode(err), name)
		marks := strings.Map(func(r rune) rune {
			if r == '✓' || r == '✕' {
				return r
			}
			return -1
		}, out)
		require.Equal(t, c.marks, marks, name)
		require.Contains(t, out, "proof         not valid\n", name)
	}
	out, err = command(t, "approvals", "verify", "--json", "--file", saved(t, proofOf(t, func(p *api.ApprovalProof) { p.Context = `{}` })))
	require.Equal(t, exitNotValid, exitCode(err))
	var told api.ApprovalProof
	require.NoError(t, json.Unmarshal([]byte(out), &told))
	require.False(t, told.Valid, "the file says that it is")
	require.Equal(t, api.ProofChecks{Signature: true, Answer: true, Number: true}, told.Checks)
}

// What an app reads in the signed text and what the auditor is shown must not differ.
func TestAContextThatReadsInTwoWaysIsNotValid(t *testing.T) {
	t.Parallel()
	two := `{"action":"Pay","fields":[{"label":"Amount","value":"20 EUR"}],"Fields":[{"label":"Amount","value":"20000 EUR"}]}`
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	out, err := command(t, "approvals", "verify", "--file", saved(t, proofOf(t, func(p *api.ApprovalProof) {
		a := device.Answer{VerificationID: p.ID, DeviceID: p.DeviceID, Decision: "approve", NumberDigest: p.NumberDigest, AnsweredAt: p.AnsweredAt, Context: two}
		digest := sha256.Sum256([]byte(a.SignedText()))
		der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		require.NoError(t, err)
		p.Context, p.SignedText, p.PublicKey = two, a.SignedText(), base64.StdEncoding.EncodeToString(public)
		p.Signature = base64.RawURLEncoding.EncodeToString(der)
	})))
	require.Equal(t, exitNotValid, exitCode(err))
	require.Contains(t, out, "✓ signature")
	require.Contains(t, out, "✕ context     action, fields, ip, place and device are what was signed\n")
	require.Contains(t, out, "proof         not valid\n")
}

func TestAProofIsFetchedFromADeployment(t *testing.T) {
	t.Parallel()
	proof := proofOf(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "auditor" || secret != "s3cret" || !strings.HasSuffix(r.URL.Path, "/proof") || strings.Contains(r.URL.Path, "none") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"status":404,"code":"not_found","detail":"No signed answer of a phone is kept for this verification."}`))
			return
		}
		_ = json.NewEncoder(w).Encode(proof)
	}))
	t.Cleanup(server.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("s3cret\n"), 0o600))
	as := []string{"--base", server.URL, "--client-id", "auditor", "--client-secret-file", secret}
	verify := func(id string) (string, error) {
		return command(t, append([]string{"approvals", "verify", id}, as...)...)
	}
	out, err := verify(paid)
	require.NoError(t, err)
	require.Contains(t, out, "proof         valid\n")
	out, err = verify("019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a91")
	require.Equal(t, exitNotValid, exitCode(err), "a good proof of another verification")
	require.Contains(t, out, "✕ answer")
	_, err = verify("none")
	require.ErrorContains(t, err, "No signed answer of a phone is kept")
	require.Equal(t, exitFault, exitCode(err))
	_, err = command(t, "approvals", "verify")
	require.Equal(t, exitUsage, exitCode(err))
	_, err = command(t, "approvals", "verify", "--file", secret)
	require.ErrorContains(t, err, "holds no proof")
	require.Equal(t, exitFault, exitCode(err))
}

func TestOpenSSLChecksAProofToo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "proof")
	openssl := func(p api.ApprovalProof) (said string, err error) {
		_, notes, _ := invoke(t, nil, "approvals", "verify", "--file", saved(t, p), "--openssl", dir)
		_, line, found := strings.Cut(strings.TrimSpace(notes), " && ")
		require.True(t, found, notes)
		args := strings.Fields(line)
		require.Equal(t, "openssl", args[0])
		c := exec.CommandContext(t.Context(), args[0], args[1:]...)
		c.Dir = dir
		b, err := c.CombinedOutput()
		return string(b), err
	}
	said, err := openssl(proofOf(t))
	require.NoError(t, err, said)
	require.Contains(t, said, "Verified OK")
	said, err = openssl(proofOf(t, func(p *api.ApprovalProof) { p.SignedText = strings.Replace(p.SignedText, "approve", "deny", 1) }))
	require.Error(t, err)
	require.NotContains(t, said, "Verified OK")
}
