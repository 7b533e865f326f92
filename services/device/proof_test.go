package device_test

import (
	"crypto/elliptic"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

// proof is an approval with the right number.
func proof(t *testing.T, changes ...func(*device.Answer)) device.Proof {
	t.Helper()
	k, public := key(t, elliptic.P256())
	a := answer()
	a.NumberDigest = device.NumberDigest("salt", "47")
	for _, change := range changes {
		change(&a)
	}
	_, raw := sign(t, k, a.SignedText())
	return device.Proof{
		Answer: a, SignedText: a.SignedText(), PublicKey: public, Signature: raw,
		ExpectedDigest: device.NumberDigest("salt", "47"), Outcome: device.Approved,
	}
}

func TestAProofHolds(t *testing.T) {
	wrong := func(a *device.Answer) { a.NumberDigest = device.NumberDigest("salt", "48") }
	for name, p := range map[string]device.Proof{
		"an approval": proof(t),
		"an approval without a number": func() device.Proof {
			p := proof(t, func(a *device.Answer) { a.NumberDigest = "" })
			p.ExpectedDigest = ""
			return p
		}(),
		"a refusal": func() device.Proof {
			p := proof(t, func(a *device.Answer) { a.Decision, a.NumberDigest = "deny", "" })
			p.Outcome = device.Denied
			return p
		}(),
		"not me": func() device.Proof {
			p := proof(t, func(a *device.Answer) { a.Decision = "not_me" })
			p.Outcome = device.Denied
			return p
		}(),
		"a wrong number": func() device.Proof {
			p := proof(t, wrong)
			p.Outcome = device.WrongNumber
			return p
		}(),
	} {
		require.True(t, p.Check().Valid(), "%s: %+v", name, p.Check())
	}
}

func TestAProofThatWasChangedDoesNotHold(t *testing.T) {
	all := device.Checks{Signature: true, Context: true, Answer: true, Number: true}
	for name, c := range map[string]struct {
		change func(*device.Proof)
		want   func(*device.Checks)
	}{
		"another key":          {func(p *device.Proof) { p.PublicKey = proof(t).PublicKey }, func(c *device.Checks) { c.Signature = false }},
		"no key":               {func(p *device.Proof) { p.PublicKey = nil }, func(c *device.Checks) { c.Signature = false }},
		"no signature":         {func(p *device.Proof) { p.Signature = nil }, func(c *device.Checks) { c.Signature = false }},
		"another context":      {func(p *device.Proof) { p.Answer.Context = "{}" }, func(c *device.Checks) { c.Context = false }},
		"another verification": {func(p *device.Proof) { p.Answer.VerificationID = "v2" }, func(c *device.Checks) { c.Answer = false }},
		"another device":       {func(p *device.Proof) { p.Answer.DeviceID = "d2" }, func(c *device.Checks) { c.Answer = false }},
		"another time":         {func(p *device.Proof) { p.Answer.AnsweredAt = "2026-11-21T10:04:32Z" }, func(c *device.Checks) { c.Answer = false }},
		"another decision":     {func(p *device.Proof) { p.Answer.Decision = "deny" }, func(c *device.Checks) { c.Answer = false }},
		"another outcome":      {func(p *device.Proof) { p.Outcome = device.Denied }, func(c *device.Checks) { c.Answer = false }},
		"an unknown outcome":   {func(p *device.Proof) { p.Outcome = "expired" }, func(c *device.Checks) { c.Answer, c.Number = false, false }},
		"another number":       {func(p *device.Proof) { p.Answer.NumberDigest = "" }, func(c *device.Checks) { c.Number = false }},
		"a wrong number": {
			func(p *device.Proof) { p.ExpectedDigest = device.NumberDigest("salt", "48") },
			func(c *device.Checks) { c.Number = false },
		},
		"a right number as a wrong one": {func(p *device.Proof) { p.Outcome = device.WrongNumber }, func(c *device.Checks) { c.Number = false }},
		"a text with one line more":     {func(p *device.Proof) { p.SignedText += "\n" }, func(c *device.Checks) { *c = device.Checks{} }},
		"a text of another version": {
			func(p *device.Proof) { p.SignedText = strings.Replace(p.SignedText, "v2", "v3", 1) },
			func(c *device.Checks) { *c = device.Checks{} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, want := proof(t), all
			c.change(&p)
			c.want(&want)
			require.Equal(t, want, p.Check())
			require.False(t, p.Check().Valid())
		})
	}
}

func TestAContextThatReadsInTwoWaysDoesNotHold(t *testing.T) {
	in := func(context string) func(*device.Answer) {
		return func(a *device.Answer) { a.Context = context }
	}
	for name, context := range map[string]string{
		"nothing":    `{}`,
		"everything": `{"ip":"203.0.113.7","action":"Pay 20 \u0026 more","place":"Köln","device":"Firefox","fields":[{"label":"To","value":"\u003cMüller\u003e"},{"label":"Amount","value":"20 EUR"}]}`,
	} {
		require.True(t, proof(t, in(context)).Check().Valid(), name)
	}
	for name, context := range map[string]string{
		"a key twice":                  `{"action":"Pay 20","action":"Pay 20000"}`,
		"a key in other letters":       `{"action":"Pay","fields":[{"label":"Amount","value":"20 EUR"}],"Fields":[{"label":"Amount","value":"20000 EUR"}]}`,
		"a key in capitals alone":      `{"Action":"Pay"}`,
		"a field's key twice":          `{"fields":[{"label":"Amount","value":"20 EUR","value":"20000 EUR"}]}`,
		"a field's key in others":      `{"fields":[{"label":"Amount","value":"20 EUR","Value":"20000 EUR"}]}`,
		"a key that is not shown":      `{"action":"Pay","amount":"20 EUR"}`,
		"keys in another order":        `{"action":"Pay","ip":"203.0.113.7"}`,
		"what is empty":                `{"ip":"","action":"Pay"}`,
		"spaces":                       `{"action": "Pay"}`,
		"letters written otherwise":    `{"action":"P\u0061y"}`,
		"letters that are none":        "{\"action\":\"Pay\xff\"}",
		"more behind it":               `{"action":"Pay"}{}`,
		"no fields but room for them":  `{"action":"Pay","fields":[]}`,
		"something that is no context": `["Pay"]`,
		"no JSON":                      `Pay`,
		"no text":                      ``,
	} {
		require.Equal(t, device.Checks{Signature: true, Answer: true, Number: true}, proof(t, in(context)).Check(), name)
	}
}

func TestASignatureIsGivenAsDERWhicheverFormItCameIn(t *testing.T) {
	k, public := key(t, elliptic.P256())
	text := answer().SignedText()
	der, raw := sign(t, k, text)
	got, err := device.SignatureDER(text, public, der)
	require.NoError(t, err)
	require.Equal(t, der, got)
	got, err = device.SignatureDER(text, public, raw)
	require.NoError(t, err)
	require.NotEqual(t, raw, got)
	require.NoError(t, answer().Verify(public, got))
	_, err = device.SignatureDER(text+"x", public, der)
	require.ErrorIs(t, err, device.ErrSignature)
	_, err = device.SignatureDER(text, nil, der)
	require.ErrorIs(t, err, device.ErrKey)
}
