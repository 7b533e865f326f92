package scenario_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestALinkHearsPeopleAndNotTheirScanners(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]func(person) (question, string){
		"in a text message": func(p person) (question, string) { return text(p).Link(), p.number },
		"in a mail":         func(p person) (question, string) { return mail(p).Link(), p.mailbox },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Together(t)
			asked, to := q(somebody())
			v := s.Create(asked.Brand("Example Bank"))
			link := s.Message(to).Link
			client := s.Waiting(v)

			// A preview and a proxy look.
			for range 3 {
				require.Equal(t, http.StatusOK, Opens(t, link).page.status)
			}
			preview := Opens(t, link)
			require.Equal(t, http.StatusOK, preview.load(http.MethodHead, nil).status)
			s.Want(v, api.StatusPending, "")

			// A program posts what it saw, without the cookie that came with it.
			form := preview.page.form(t, "Approve")
			for _, decision := range []string{"approve", "deny", "not_me"} {
				bare := Opens(t, link)
				bare.client.Jar = nil
				form.Set("decision", decision)
				require.Equal(t, http.StatusForbidden, bare.load(http.MethodPost, form).status)
				require.Equal(t, http.StatusForbidden, bare.load(http.MethodPost, url.Values{"decision": {decision}}).status)
			}
			s.Want(v, api.StatusPending, "")

			// A scanner loads the page, keeps its cookie and submits each button at once.
			for _, button := range []string{"Approve", "Deny", "This wasn't me"} {
				scanner := Opens(t, link)
				hasty := scanner.load(http.MethodPost, scanner.page.form(t, button))
				require.Equal(t, http.StatusOK, hasty.status)
				require.NotEmpty(t, hasty.buttons, "the question is asked again")
			}
			s.Want(v, api.StatusPending, "")

			// A person who saw the page before all that reads it and presses.
			ana := Opens(t, link).Seeing(v.MatchNumber)
			require.Contains(t, ana.page.text, "Example Bank")
			after := ana.Presses("Approve")
			require.Empty(t, after.buttons)
			client.Sees(api.StatusApproved, "")

			// Whoever comes second learns that it is over, and changes nothing.
			second := Opens(t, link)
			require.Empty(t, second.page.buttons)
			require.Contains(t, second.page.text, "Already answered")
			form.Set("decision", "deny")
			require.Equal(t, http.StatusSeeOther, preview.load(http.MethodPost, form).status)
			s.Want(v, api.StatusApproved, "")
		})
	}
}

func TestALinkAsksForTheNumberOnTheOtherScreen(t *testing.T) {
	t.Parallel()
	for name, house := range map[string]func(*testing.T) *story{"in one process": Together, "in a process for each role": Apart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ana := house(t), somebody()
			payment := api.Context{Action: "Payment", Fields: []api.ContextField{{Label: "Amount", Value: "€49.00"}, {Label: "Payee", Value: "Café Lumière"}}}
			v := s.Create(mail(ana).Link().Brand("Example Bank").About(payment))
			b := Opens(t, s.Message(ana.mailbox).Link)
			require.Contains(t, strings.Join(strings.Fields(b.page.text), " "), "Amount €49.00 Payee Café Lumière What Payment")
			require.True(t, b.page.asksNumber)

			form := b.page.form(t, "Approve")
			eventually(t, "the page is read", func() bool { return time.Since(b.opened) >= reading })
			for _, nothing := range []string{"", "4", "123"} {
				form.Set("number", nothing)
				require.Equal(t, http.StatusUnprocessableEntity, b.load(http.MethodPost, form).status)
			}
			s.Want(v, api.StatusPending, "")

			once := b.Seeing(wrong(v.MatchNumber)).Presses("Approve")
			require.Contains(t, once.text, "That number doesn't match.")
			s.Want(v, api.StatusPending, "")
			if name == "in one process" { // the same number, which is another try
				require.Contains(t, b.Presses("Approve").text, "Refused.")
				s.Want(v, api.StatusDenied, "wrong_number")
				return
			}
			require.Contains(t, b.Seeing(v.MatchNumber).Presses("Approve").text, "Approved")
			s.Want(v, api.StatusApproved, "")
		})
	}
}

func TestALinkThatWasTamperedWithTellsNothing(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(mail(ana).Link().Brand("Example Bank"))
	link := s.Message(ana.mailbox).Link
	last := link[len(link)-1:]
	other := "A"
	if last == other {
		other = "Q"
	}
	for _, forged := range []string{link[:len(link)-1] + other, link + "A", link[:len(link)-6], s.base + "/l/" + v.ID} {
		b := Opens(t, forged)
		require.Equal(t, http.StatusNotFound, b.page.status)
		require.NotContains(t, b.page.text, "Example Bank")
		require.Equal(t, http.StatusNotFound, b.load(http.MethodPost, url.Values{"decision": {"approve"}}).status)
	}
	s.Want(v, api.StatusPending, "")
}

func TestAnExpiredLinkSaysSo(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana).Link().For(30))
	b := Opens(t, s.Message(ana.number).Link)
	form := b.page.form(t, "Approve")
	s.Becomes(v, api.StatusExpired, "")
	require.Equal(t, http.StatusSeeOther, b.load(http.MethodPost, form).status)
	require.Contains(t, b.Looks().text, "expired")
	s.Want(v, api.StatusExpired, "")
}
