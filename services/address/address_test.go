package address_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/address"
)

func TestPhoneNumbersComeOutAsE164(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"+14155550100":        "+14155550100",
		"+1 (415) 555-0100":   "+14155550100",
		"+49 30 123456":       "+4930123456",
		"+44 (0)20 7946 0018": "+442079460018",
	} {
		got, err := address.Phone(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, got)
	}
}

func TestWhatIsNoPhoneNumberIsNamedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for typed, says := range map[string]string{
		"":                             "must start with +",
		"4155550100":                   "must start with +",
		"ana@example.com":              "not an email address",
		"+1 415 CALL ME":               "only digits",
		"+999 123456":                  "a country code that exists",
		"+1 415":                       "too short",
		"+1 415 555 0100 0100":         "too long",
		"+1 015 555 0100":              "not a phone number that exists",
		"+" + strings.Repeat("1", 100): "must start with +",
	} {
		_, err := address.Phone(typed)
		require.ErrorContains(t, err, says, typed)
		if len(typed) > 6 {
			require.NotContains(t, err.Error(), typed)
		}
	}
}

func TestOnlyTheDomainOfAMailboxIsNormalised(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"Ana@Example.COM":        "Ana@example.com",
		"a.b+tag@mail.example":   "a.b+tag@mail.example",
		"ana@bücher.example":     "ana@xn--bcher-kva.example",
		"o'neil@sub.example.org": "o'neil@sub.example.org",
	} {
		got, err := address.Mailbox(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, got)
	}
}

func TestWhatIsNoMailboxIsNamedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for typed, says := range map[string]string{
		"":                                     "must be an email address",
		"+14155550100":                         "not a phone number",
		"@example.com":                         "must be an email address",
		"Ana <ana@example.com>":                "must",
		`"a b"@example.com`:                    "must be an email address",
		"änne@example.com":                     "only ASCII",
		"ana@localhost":                        "a domain that can exist",
		"ana@192.0.2.1":                        "a domain that can exist",
		"ana@-x-.example":                      "a domain that can exist",
		strings.Repeat("a", 65) + "@x.org":     "before the @",
		"a@" + strings.Repeat("b.", 150) + "c": "at most 254",
	} {
		_, err := address.Mailbox(typed)
		require.ErrorContains(t, err, says, typed)
		if len(typed) > len("@example.com") {
			require.NotContains(t, err.Error(), typed)
		}
	}
}
