package device

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// Proof is an archived answer with everything that it is checked against. No key is needed, and no secret.
type Proof struct {
	// Answer is what the archive says was answered, and SignedText what was signed.
	Answer     Answer
	SignedText string
	// PublicKey (PKIX, DER) is that of the device when it was asked; Signature is in either form that Verify takes.
	PublicKey, Signature []byte
	// ExpectedDigest is that of the number on the other screen; empty where none was asked for.
	ExpectedDigest string
	// Outcome is what the archive says came of it.
	Outcome Outcome
}

// Outcome is what an answer can close a verification as.
type Outcome string

// The outcomes.
const (
	Approved    Outcome = "approved"
	Denied      Outcome = "denied"
	WrongNumber Outcome = "wrong_number" // denied, because no more numbers could be tried
)

// Checks tells what of a proof holds.
type Checks struct {
	// Signature: the device's key signed the text. Context: the text binds the context that is shown, which reads in one
	// way only. Answer: the text names this verification, device, decision and time, and the outcome follows from the decision. Number: the text
	// holds the digest that is shown, and the outcome follows from whether it is the expected one.
	Signature, Context, Answer, Number bool
}

// Valid tells whether all of it holds.
func (c Checks) Valid() bool { return c.Signature && c.Context && c.Answer && c.Number }

// The lines of a signed text.
const (
	lineVersion = iota
	lineVerification
	lineDevice
	lineDecision
	lineNumber
	lineAnsweredAt
	lineContext
	signedLines
)

// Check looks at each part of a proof.
func (p Proof) Check() Checks {
	c := Checks{Signature: verify(p.SignedText, p.PublicKey, p.Signature) == nil}
	lines := strings.Split(p.SignedText, "\n")
	if len(lines) != signedLines || lines[lineVersion] != answerVersion {
		return c
	}
	a := p.Answer
	c.Context = lines[lineContext] == digestOf(a.Context) && readsInOneWay(a.Context)
	c.Answer = lines[lineVerification] == a.VerificationID && lines[lineDevice] == a.DeviceID &&
		lines[lineDecision] == a.Decision && lines[lineAnsweredAt] == a.AnsweredAt && p.follows()
	c.Number = lines[lineNumber] == a.NumberDigest && p.numberFollows()
	return c
}

// readsInOneWay tells whether a context is written as apps get it. Another text, with a key twice, in other letters, or
// one that is not shown, could say something else to whoever checks it than it did on the phone.
func readsInOneWay(context string) bool {
	var shown struct {
		IP     string `json:"ip,omitempty"`
		Action string `json:"action,omitempty"`
		Place  string `json:"place,omitempty"`
		Device string `json:"device,omitempty"`
		Fields []struct {
			Label string `json:"label"`
			Value string `json:"value"`
		} `json:"fields,omitempty"`
	}
	if json.Unmarshal([]byte(context), &shown) != nil {
		return false
	}
	again, err := json.Marshal(shown)
	return err == nil && string(again) == context
}

// follows tells whether the decision leads to the outcome.
func (p Proof) follows() bool {
	switch p.Outcome {
	case Approved, WrongNumber:
		return p.Answer.Decision == "approve"
	case Denied:
		return p.Answer.Decision == "deny" || p.Answer.Decision == "not_me"
	default:
		return false
	}
}

// numberFollows tells whether the number leads to the outcome.
func (p Proof) numberFollows() bool {
	right := p.Answer.NumberDigest == p.ExpectedDigest
	switch p.Outcome {
	case Approved:
		return p.ExpectedDigest == "" || right
	case WrongNumber:
		return p.ExpectedDigest != "" && !right
	case Denied:
		return true
	default:
		return false
	}
}

// SignatureDER is a signature of the text in ASN.1 DER, whichever form it came in: other programs take only that one.
// It fails with ErrKey, or with ErrSignature where the signature is none of the text.
func SignatureDER(text string, public, signature []byte) ([]byte, error) {
	if err := verify(text, public, signature); err != nil {
		return nil, err
	}
	pub, err := publicKey(public)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(text))
	if ecdsa.VerifyASN1(pub, digest[:], signature) {
		return signature, nil
	}
	r, s := new(big.Int).SetBytes(signature[:rawSignature/2]), new(big.Int).SetBytes(signature[rawSignature/2:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	return der, nil
}
