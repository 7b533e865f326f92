package accept_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

const (
	askForNumber = "Enter the two digits shown on your sign-in screen."
	doesNotMatch = "That number doesn't match. Look at the screen where you started and try once more. A second wrong number refuses the request."
	refused      = "✕ Refused. The number didn't match twice, so nothing was approved. If it was you, start again at Example Bank. Answered 14:27 UTC, 21 Nov"
)

// reading is a bench that asks for 47, and a person who has read the page.
func reading(t *testing.T) (*bench, *browser, answer) {
	t.Helper()
	b := start(t)
	b.asksForANumber()
	ana := b.browser(t.Context(), t)
	page := ana.open()
	b.clock.forward(2 * time.Second)
	return b, ana, page
}

func TestTheRightNumberApproves(t *testing.T) {
	t.Parallel()
	for name, typed := range map[string]string{
		"plain": "47", "spaced": " 4 7 ", "dashed": "4-7", "Arabic-Indic": "٤٧", "Persian": "۴۷", "Devanagari": "४७", "full-width": "４７",
		"with marks of direction": "\u2067\u200f47\u2069", "a long dash and a narrow space": "4\u2014\u202f7", "two scripts": "4٧",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ana, page := reading(t)
			require.Contains(t, page.text(), "Number on your sign-in screen Two digits. If you see no number anywhere, don't approve. Approve Deny This wasn't me")
			require.Contains(t, page.body, `<input id="number" name="number" type="text" inputmode="numeric" autocomplete="off" spellcheck="false" dir="ltr" value="" aria-describedby="hint">`)
			require.NotContains(t, page.body, "autofocus", "reading comes first")
			state := ana.types(page.form(), typed, "approve")
			require.Contains(t, state.text(), "✓ Approved")
			require.Equal(t, b.link, state.url)
			hash, err := b.records.NumberHash(t.Context(), id, "47")
			require.NoError(t, err)
			published := b.records.published()
			require.Len(t, published, 1)
			require.Equal(t, hash, published[0].Number)
			require.Equal(t, events.Approve, published[0].Decision)
			require.NotContains(t, b.log.String(), "=47")
		})
	}
}

func TestWithoutItsNumberAnApprovalChangesNothing(t *testing.T) {
	t.Parallel()
	for name, typed := range map[string]string{
		"nothing": "", "one digit": "4", "three digits": "471", "letters": "four", "digits and letters": "4x7", "spaces": "  ", "more than a page takes": "4747474747474747474747474747474747474747",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ana, page := reading(t)
			for range 3 { // none of them is one of the two tries
				again := ana.types(page.form(), typed, "approve")
				require.Equal(t, http.StatusUnprocessableEntity, again.status)
				require.Contains(t, again.text(), "! "+askForNumber)
				require.Contains(t, again.body, "<title>Error: Is this you? – Example Bank</title>")
				require.Contains(t, again.body, `id="fault" role="alert" tabindex="-1" autofocus`)
				require.Contains(t, again.body, `value="`+typed[:min(len(typed), 32)]+`" aria-describedby="hint fault" aria-invalid="true"`)
				page = again
			}
			require.Empty(t, b.records.published())
			require.Zero(t, b.records.v.ChecksUsed)
			require.Contains(t, ana.types(page.form(), "47", "approve").text(), "Approved")
		})
	}
}

func TestNobodyNeedsTheNumberToRefuse(t *testing.T) {
	t.Parallel()
	for decision, want := range map[string]string{"deny": "Denied.", "not_me": "Thank you."} {
		for _, typed := range []string{"", "x", "12"} {
			b, ana, page := reading(t)
			require.Contains(t, ana.types(page.form(), typed, decision).text(), want)
			require.Empty(t, b.records.published()[0].Number)
			require.Zero(t, b.records.v.ChecksUsed)
		}
	}
}

func TestAWrongNumberMayBeCorrectedOnce(t *testing.T) {
	t.Parallel()
	b, ana, page := reading(t)
	wrong := ana.types(page.form(), "74", "approve")
	require.Equal(t, http.StatusOK, wrong.status)
	require.Equal(t, b.link, wrong.url, "published, so the page is one of its own")
	require.Contains(t, wrong.text(), "! "+doesNotMatch)
	require.Contains(t, wrong.body, "<title>Error: Is this you? – Example Bank</title>")
	require.Contains(t, wrong.body, `dir="ltr" value=""`, "the field is empty again")
	require.Contains(t, ana.open().text(), doesNotMatch, "reload says so again, and answers nothing")
	require.NotContains(t, b.browser(t.Context(), t).open().text(), doesNotMatch, "only who typed it is told")
	require.Len(t, b.records.published(), 1)
	b.clock.forward(2 * time.Second)
	require.Contains(t, ana.types(wrong.form(), "47", "approve").text(), "✓ Approved")
}

func TestTheSecondWrongNumberRefuses(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]string{"another": "99", "the same again": "74"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ana, page := reading(t)
			wrong := ana.types(page.form(), "74", "approve")
			b.clock.forward(2 * time.Second)
			require.Contains(t, ana.types(wrong.form(), second, "approve").text(), refused)
			require.Len(t, b.records.published(), 2)
			require.Equal(t, verification.WrongNumber, b.records.v.Reason)
			require.Contains(t, ana.open().text(), refused)
			other := b.browser(t.Context(), t).open()
			require.Contains(t, other.text(), "Already answered at 14:27 UTC.")
			require.NotContains(t, other.text(), "number")
		})
	}
}

func TestAButtonPressedTwiceIsOneTry(t *testing.T) {
	t.Parallel()
	b, ana, page := reading(t)
	first := ana.types(page.form(), "74", "approve")
	require.Contains(t, first.text(), doesNotMatch)
	require.Contains(t, ana.types(page.form(), "74", "approve").text(), doesNotMatch, "the same press once more")
	require.Len(t, b.records.published(), 1)
	require.Equal(t, verification.Pending, b.records.v.Status)

	// A second tab of the same browser was opened before; what is typed there is heard.
	require.Contains(t, ana.types(page.form(), "47", "approve").text(), "Approved")
}

func TestAfterAWrongNumberEveryAnswerIsOpen(t *testing.T) {
	t.Parallel()
	for decision, want := range map[string]string{"deny": "Denied.", "not_me": "Thank you."} {
		b, ana, page := reading(t)
		wrong := ana.types(page.form(), "74", "approve")
		b.clock.forward(2 * time.Second)
		require.Contains(t, ana.types(wrong.form(), "", decision).text(), want)
	}
}

func TestANumberOnItsWayIsNeitherRightNorWrong(t *testing.T) {
	t.Parallel()
	b, ana, page := reading(t)
	b.records.change(func(s *records) { s.verifierAway = true })
	waits := ana.types(page.form(), "74", "approve")
	require.Contains(t, waits.text(), "Your answer is on its way…")
	require.Contains(t, ana.types(page.form(), "47", "approve").text(), "on its way", "one at a time")
	require.Len(t, b.records.published(), 1)
	b.records.change(func(s *records) {
		s.apply(verification.Answered{Decision: verification.Approve, Number: s.answered[0].Number})
	})
	require.Contains(t, ana.open().text(), doesNotMatch)
}

func TestWhatIsTypedIsKept(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.asksForANumber()
	ana := b.browser(t.Context(), t)
	page := ana.open()
	b.clock.forward(time.Second)
	soon := ana.types(page.form(), "4 7", "approve")
	require.Contains(t, soon.text(), "Read the details, then press your answer again.")
	require.Contains(t, soon.body, `value="4 7" aria-describedby="hint">`)
	lost := b.browser(t.Context(), t).types(page.form(), `"><b>`, "approve")
	require.Contains(t, lost.body, `value="&#34;&gt;&lt;b&gt;"`)
	require.Empty(t, b.records.published())
}

func TestWhatIsAgreedToIsShownFirst(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) {
		s.v.Context.Fields = []verification.Field{{Label: "Amount", Value: "€49.00"}, {Label: "Payee", Value: "Café <Lumière>"}}
	})
	ana := b.browser(t.Context(), t)
	page := ana.open()
	require.Contains(t, page.text(), "Do you agree to this? Amount €49.00 Payee Café &lt;Lumière&gt; What Sign in Where Lyon")
	require.Contains(t, page.body, "<title>Do you agree to this? – Example Bank</title>")
	b.clock.forward(2 * time.Second)
	require.NotContains(t, ana.press(page.form(), "deny").body, "€49", "a closed request shows brand and time only")
}
