package secureauth_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/verification"
)

// stored is a question as any door does.
func (h *house) stored(channel verification.Channel, challenge verification.Challenge) string {
	h.t.Helper()
	p := verification.Params{ID: uuid.NewString(), Credential: shop, Channel: channel, Challenge: challenge, Life: verification.MinLife}
	v, secrets, err := verification.New(p, h.clock.Now(), rand.Reader)
	require.NoError(h.t, err)
	to := map[verification.Channel]string{
		verification.Email: p.ID + "@example.com", verification.Push: "token-" + p.ID, verification.SMS: "+14155550100",
	}[channel]
	_, _, err = h.verifications.Create(h.t.Context(), verification.Activation{Verification: v, Secrets: secrets, To: to})
	require.NoError(h.t, err)
	return p.ID
}

func TestTheStateOfAReferenceIsInItsMessageAndNothingElse(t *testing.T) {
	t.Parallel()
	h := setup(t)
	other := h.process() // which did not ask
	c := h.client()
	ends := map[string]func(id string){
		"PENDING":  func(string) {},
		"ACCEPTED": func(id string) { h.answers(id, verification.Approve, "") },
		"DENIED":   func(id string) { h.answers(id, verification.Deny, "") },
		"FAILED":   func(id string) { h.change(id, verification.Undelivered{Send: 1, Reason: "unreachable"}) },
	}
	for message, end := range ends {
		push, link := h.stored(verification.Push, verification.ApprovalChallenge), h.stored(verification.Email, verification.LinkChallenge)
		end(push)
		end(link)
		for _, at := range []*house{h, other} {
			for _, version := range []string{"v1", "v2", "v3"} {
				for _, path := range []string{"/auth/" + push, "/auth/" + strings.ToUpper(push), "/auth/link/" + link, "//auth//link/" + link + "/"} {
					c.of(at).get("/api/"+version+path).says(http.StatusOK, "found", message).only("status", "message")
				}
			}
		}
		c.get("/api/v1/auth/"+push).golden("status", strings.ToLower(message))
	}
	notMe := h.stored(verification.Push, verification.ApprovalChallenge)
	h.answers(notMe, verification.DecisionNotMe, "")
	c.get("/api/v1/auth/"+notMe).says(http.StatusOK, "found", "DENIED")
	canceled := h.stored(verification.Push, verification.ApprovalChallenge)
	h.change(canceled, verification.Cancel{})
	c.get("/api/v1/auth/"+canceled).says(http.StatusOK, "found", "FAILED")
	waits := h.stored(verification.Push, verification.ApprovalChallenge)
	h.clock.Forward(verification.MinLife)
	c.get("/api/v1/auth/"+waits).says(http.StatusOK, "found", "EXPIRED").golden("status", "expired")
}

func (h *house) change(id string, f verification.Fact) {
	h.t.Helper()
	_, err := h.verifications.Resolve(h.t.Context(), id, f)
	require.NoError(h.t, err)
}

func TestAReferenceThatIsNoneOfThisPathIsUnknown(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	push, link := h.stored(verification.Push, verification.ApprovalChallenge), h.stored(verification.Email, verification.LinkChallenge)
	code := h.stored(verification.Email, verification.CodeChallenge)
	reply := h.stored(verification.SMS, verification.ApprovalChallenge)
	foreign := h.client(account("another"))
	unknown := func(c client, paths ...string) {
		t.Helper()
		for _, path := range paths {
			for _, version := range []string{"v1", "v2"} {
				c.get("/api/"+version+path).
					says(http.StatusNotFound, "not_found", "The requested resource cannot be found.").only("status", "message")
			}
		}
	}
	unknown(c, "/auth/"+uuid.NewString(), "/auth/link/"+uuid.NewString())
	unknown(c, "/auth/x", "/auth/link/x%20y", "/auth/link", "/auth/%3E", "/auth/link/*", "/auth/jos%C3%A9")
	unknown(c, "/auth/"+link, "/auth/link/"+push)
	for _, id := range []string{code, reply} {
		unknown(c, "/auth/"+id, "/auth/link/"+id)
	}
	unknown(foreign, "/auth/"+push, "/auth/link/"+link)
	c.get("/api/v1/auth/"+uuid.NewString()).golden("status", "unknown")
}

// outOfReach is a store whose broker does not answer.
type outOfReach struct{ secureauth.Verifications }

func (outOfReach) Get(context.Context, string) (verification.Verification, error) {
	return verification.Verification{}, verification.ErrUnavailable
}

func TestAStatusThatCannotBeReadSaysSo(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *secureauth.Config) { c.Verifications = outOfReach{c.Verifications} })
	h.client().get("/api/v1/auth/"+uuid.NewString()).
		says(http.StatusServiceUnavailable, "server_error", "The event broker is out of reach.").only("status", "message")
}
