package scenario_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestOfManySimultaneousSendsToOnePersonExactlyFiveAreTaken(t *testing.T) {
	t.Parallel()
	s, ana := Apart(t), somebody()
	bases := append([]string{s.base}, s.others...)
	require.Len(t, bases, 2)
	answers := make([]answer, 64)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			a, err := s.ask(t.Context(), http.MethodPost, bases[i%2]+"/v1/verifications", text(ana))
			if err == nil {
				answers[i] = a
			}
		})
	}
	wg.Wait()
	taken := 0
	for _, a := range answers {
		if a.status == http.StatusCreated {
			taken++
			continue
		}
		s.limited(a, "destination")
	}
	require.Equal(t, 5, taken)
	eventually(t, "five messages arrive", func() bool { return len(s.Messages(ana.number)) == 5 })

	// The limit is the person's, whichever the process and whatever the road.
	for _, base := range bases {
		a, err := s.ask(t.Context(), http.MethodPost, base+"/v1/verifications", call(ana))
		require.NoError(t, err)
		s.limited(a, "destination")
	}
	require.Len(t, s.Messages(ana.number), 5)
}

// limited expects a refusal that says what was exceeded and when to return.
func (s *story) limited(a answer, policy string) {
	s.t.Helper()
	p := s.Refused(a, http.StatusTooManyRequests, api.ProblemCodeLimitExceeded)
	require.Equal(s.t, []string{policy}, p.ViolatedPolicies)
	after, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(s.t, err)
	require.Positive(s.t, after)
	require.LessOrEqual(s.t, after, 600)
	require.Equal(s.t, after, p.RetryAfter)
	require.Equal(s.t, `"`+policy+`";q=5;w=600`, a.header.Get("RateLimit-Policy"))
	require.Contains(s.t, a.header.Get("RateLimit"), `"`+policy+`";r=0;t=`)
}

func TestAPersonWithTwoDevicesHasOneLimit(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	user := s.User()
	phone := s.Register(user, api.CreateDevice{Kind: api.DeviceKindPhone, Address: ana.number})
	mailbox := s.Register(user, api.CreateDevice{Kind: api.DeviceKindMailbox, Address: ana.mailbox})
	for i := range 5 {
		device := phone
		if i%2 == 1 {
			device = mailbox
		}
		s.Create(question{api.CreateVerification{DeviceID: device.ID}})
	}
	for _, device := range []api.Device{phone, mailbox} {
		s.limited(s.Call(http.MethodPost, "/v1/verifications", api.CreateVerification{DeviceID: device.ID}), "user")
	}
	eventually(t, "three texts and two mails arrive", func() bool {
		return len(s.Messages(ana.number)) == 3 && len(s.Messages(ana.mailbox)) == 2
	})
}

func TestASendAgainCountsAsASend(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	v := s.Create(text(ana))
	for range 4 {
		read[api.Verification](t, s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil), http.StatusAccepted)
	}
	s.limited(s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil), "destination")
	require.Len(t, s.timelineOf(t, v, "requested"), 5)
}
