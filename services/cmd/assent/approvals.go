package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/phone"
	"github.com/assent-io/assent/services/verification"
)

type approvalsCommand struct {
	Verify approvalsVerifyCommand `cmd:"" help:"Check the signed answer that closed a verification, with the phone's key and without trusting the server. Ends with 3 where it is not valid."`
}

type approvalsVerifyCommand struct {
	ID      string `arg:"" optional:"" name:"id" help:"Id of the verification."`
	File    string `help:"Check a proof that was saved, and call nobody." placeholder:"FILE" type:"path"`
	OpenSSL string `name:"openssl" help:"Also write the signed text, the signature and the key into this directory, for OpenSSL." placeholder:"DIR" type:"path"`
	apiAccess
}

// notValidError says that a proof was read and does not hold.
type notValidError struct{ id string }

func (e *notValidError) Error() string { return "the proof of " + printable(e.id) + " is not valid" }

// Run fetches or reads a proof, checks it, and prints what it says and what of it holds.
func (c approvalsVerifyCommand) Run(p *program) error {
	proof, err := c.read(p)
	if err != nil {
		return fmt.Errorf("verify approval: %w", err)
	}
	checks, parts := checkProof(proof)
	if c.ID != "" && proof.ID != c.ID {
		checks.Answer = false // a good proof of something else
	}
	proof.Valid = checks.Valid()
	proof.Checks = api.ProofChecks{Signature: checks.Signature, Context: checks.Context, Answer: checks.Answer, Number: checks.Number}
	if c.JSON {
		err = writeIndented(p.stdout, proof)
	} else {
		err = printProof(p.stdout, proof, parts.PublicKey)
	}
	if err == nil && c.OpenSSL != "" {
		err = c.export(p, parts)
	}
	if err != nil {
		return fmt.Errorf("verify approval: %w", err)
	}
	if !proof.Valid {
		return &notValidError{cmp.Or(c.ID, proof.ID)}
	}
	return nil
}

// maxProofFile bounds what is read of a saved proof.
const maxProofFile = 1 << 20

func (c approvalsVerifyCommand) read(p *program) (api.ApprovalProof, error) {
	var proof api.ApprovalProof
	switch {
	case c.File == "" && c.ID == "":
		return proof, &usageError{errors.New("name a verification, or a saved proof with --file")}
	case c.File == "":
		return proof, c.call(p, http.MethodGet, "/v1/verifications/"+url.PathEscape(c.ID)+"/proof", nil, &proof)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return proof, fmt.Errorf("read proof: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxProofFile))
	if err != nil {
		return proof, fmt.Errorf("read proof: %w", err)
	}
	if json.Unmarshal(b, &proof) != nil || proof.ID == "" {
		return proof, fmt.Errorf("read proof: %s holds no proof, as GET /v1/verifications/{id}/proof gives it", c.File)
	}
	return proof, nil
}

// checkProof makes all checks again. Nothing of what the proof says of itself is taken for it.
func checkProof(proof api.ApprovalProof) (device.Checks, device.Proof) {
	outcome := device.Outcome(proof.Status)
	if proof.Reason == string(verification.WrongNumber) {
		outcome = device.WrongNumber
	}
	// What cannot be decoded is none, and no check holds with it.
	public, _ := base64.StdEncoding.DecodeString(proof.PublicKey)
	signature, _ := base64.RawURLEncoding.DecodeString(proof.Signature)
	parts := device.Proof{
		Answer: device.Answer{
			VerificationID: proof.ID, DeviceID: proof.DeviceID, Decision: string(proof.Decision), NumberDigest: proof.NumberDigest,
			AnsweredAt: proof.AnsweredAt, Context: proof.Context,
		},
		SignedText: proof.SignedText, PublicKey: public, Signature: signature, ExpectedDigest: proof.ExpectedNumberDigest, Outcome: outcome,
	}
	return parts.Check(), parts
}

func printProof(w io.Writer, proof api.ApprovalProof, public []byte) error {
	failed := error(nil)
	line := func(name, value string) {
		if value != "" && failed == nil {
			_, failed = fmt.Fprintf(w, "%-14s%s\n", printable(name), printable(value))
		}
	}
	line("verification", proof.ID)
	line("account", proof.Account)
	line("user", proof.UserID)
	for _, said := range phone.Question(api.Prompt{Brand: proof.Brand, Context: proof.Context}) {
		line(said[0], said[1])
	}
	line("decision", string(proof.Decision))
	line("status", string(proof.Status))
	line("reason", proof.Reason)
	line("asked", moment(proof.CreatedAt)+" UTC")
	line("answered", proof.AnsweredAt+" (the phone's time)")
	line("closed", moment(proof.ClosedAt)+" UTC")
	line("phone", proof.DeviceID)
	sum := sha256.Sum256(public)
	line("key", "SHA-256 "+hex.EncodeToString(sum[:]))
	for _, check := range []struct {
		holds       bool
		name, means string
	}{
		{proof.Checks.Signature, "signature", "the phone's key signed the text"},
		{proof.Checks.Context, "context", "action, fields, ip, place and device are what was signed"},
		{proof.Checks.Answer, "answer", "this verification, phone, decision and time were signed, and lead to the status"},
		{proof.Checks.Number, "number", numberMeans(proof)},
	} {
		mark := "✕"
		if check.holds {
			mark = "✓"
		}
		line(mark+" "+check.name, check.means)
	}
	verdict := "not valid"
	if proof.Valid {
		verdict = "valid"
	}
	line("proof", verdict)
	return failed
}

func numberMeans(proof api.ApprovalProof) string {
	switch {
	case proof.ExpectedNumberDigest == "":
		return "none was asked for"
	case proof.Reason == string(verification.WrongNumber):
		return "what was signed is not the number on the other screen"
	case proof.Decision == api.DecisionApprove:
		return "what was signed is the number on the other screen"
	default:
		return "a refusal needs none"
	}
}

// The files that OpenSSL takes.
const (
	textFile      = "signed-text.txt"
	signatureFile = "signature.der"
	keyFile       = "public-key.pem"
)

// export writes the three files, and says to standard error how they are checked.
func (c approvalsVerifyCommand) export(p *program, parts device.Proof) error {
	signature, err := device.SignatureDER(parts.SignedText, parts.PublicKey, parts.Signature)
	if err != nil {
		signature = parts.Signature // let others see for themselves that it is none
	}
	if err := os.MkdirAll(c.OpenSSL, 0o750); err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	for name, content := range map[string][]byte{
		textFile: []byte(parts.SignedText), signatureFile: signature,
		keyFile: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: parts.PublicKey}),
	} {
		if err := os.WriteFile(filepath.Join(c.OpenSSL, name), content, 0o600); err != nil {
			return fmt.Errorf("write proof: %w", err)
		}
	}
	fmt.Fprintf(p.stderr, "cd %s && openssl dgst -sha256 -verify %s -signature %s %s\n", printable(c.OpenSSL), keyFile, signatureFile, textFile)
	return nil
}
