package wording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAClientsOwnWordingIsFilled(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{otp_code}} is your code.":                  "B41832 is your code.",
		"Code {{ otp_code }}, {{otp_expiry }} min":    "Code B41832, 3 min",
		"{{otp_code}} {{otp_code}}":                   "B41832 B41832",
		"{{\totp_code\t}}":                            "B41832",
		"no code at all":                              "no code at all",
		"{{otp code}} {otp_code} {{OTP_CODE}} {{x}}":  "{{otp code}} {otp_code} {{OTP_CODE}} {{x}}",
		"{{{otp_code}}}":                              "{B41832}",
		"Açaí – “code” {{otp_code}}":                  "Açaí – “code” B41832",
		"{{otp_{{otp_code}}}}":                        "{{otp_B41832}}",
		"$1 \\1 {{otp_expiry}} of {{otp_expiry}} min": "$1 \\1 3 of 3 min",
	} {
		require.Equal(t, want, Fill(text, "B41832", 2*time.Minute+time.Second), text)
	}
}

func TestMinutesAreRoundedUpAndAtLeastOne(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]string{
		15 * time.Minute: "15", 15*time.Minute - time.Millisecond: "15", 2 * time.Minute: "2", time.Minute + 1: "2",
		time.Minute: "1", time.Second: "1", 0: "1", -time.Hour: "1",
	} {
		require.Equal(t, want, Fill("{{otp_expiry}}", "482913", life), life)
	}
}

func TestACodeThatLooksLikeAPlaceholderIsNotFilled(t *testing.T) {
	t.Parallel()
	require.Equal(t, "{{otp_expiry}}", Fill("{{otp_code}}", "{{otp_expiry}}", time.Minute))
	rapid.Check(t, func(t *rapid.T) {
		before, after := rapid.StringMatching(`[^{}]*`).Draw(t, "before"), rapid.StringMatching(`[^{}]*`).Draw(t, "after")
		code := rapid.String().Draw(t, "code")
		require.Equal(t, before+code+after, Fill(before+"{{otp_code}}"+after, code, time.Minute))
		require.Equal(t, before+after, Fill(before+after, code, time.Minute))
	})
}
