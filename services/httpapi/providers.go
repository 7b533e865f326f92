package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/provider"
)

// Providers knows how those who carry messages stand, and pauses them.
type Providers interface {
	// Providers lists them by channel and name. governed tells whether a governor said how they stand.
	Providers(ctx context.Context) (list []provider.Provider, governed bool, err error)
	// PauseProvider and ResumeProvider take an empty channel for all. They fail with *provider.UnknownError.
	PauseProvider(ctx context.Context, name, channel, reason string) error
	ResumeProvider(ctx context.Context, name, channel string) error
}

const maxPauseReason = 255

// ListProviders lists how the providers stand.
func (s *Server) ListProviders(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authenticate(w, r, credential.ManageProviders); err != nil {
		s.fail(w, r, err)
		return
	}
	s.showProviders(w, r, "")
}

// PauseProvider keeps all workers from calling a provider.
func (s *Server) PauseProvider(w http.ResponseWriter, r *http.Request, name contract.ProviderName) {
	if err := s.authenticateOperator(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.PauseProvider](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	carries(&f, request.Channel)
	f.text("reason", request.Reason, maxPauseReason)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Providers.PauseProvider(r.Context(), name, string(request.Channel), request.Reason); err != nil {
		s.fail(w, r, fmt.Errorf("pause provider: %w", err))
		return
	}
	s.showProviders(w, r, name)
}

// ResumeProvider ends a provider's pause.
func (s *Server) ResumeProvider(w http.ResponseWriter, r *http.Request, name contract.ProviderName) {
	if err := s.authenticateOperator(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.ResumeProvider](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	carries(&f, request.Channel)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Providers.ResumeProvider(r.Context(), name, string(request.Channel)); err != nil {
		s.fail(w, r, fmt.Errorf("resume provider: %w", err))
		return
	}
	s.showProviders(w, r, name)
}

// authenticateOperator lets the operator's account through, where its credential may manage providers: all accounts
// send over the same ones.
func (s *Server) authenticateOperator(w http.ResponseWriter, r *http.Request) error {
	client, err := s.authenticate(w, r, credential.ManageProviders)
	if err == nil && client.Account != s.config.Operator {
		err = operatorsOnly("Providers carry the messages of all accounts")
	}
	return err
}

// operatorsOnly refuses what would change something for all accounts.
func operatorsOnly(why string) error {
	return &refusal{code: api.ProblemCodeForbidden, detail: why + ". Only the operator may do this: the account of the deployment's first credential."}
}

// carries refuses a channel on which nothing is delivered.
func carries(f *faults, c api.Channel) {
	if c != "" && (!c.Valid() || c == api.ChannelTOTP) {
		f.add("channel", "must be "+choice([]api.Channel{api.ChannelSMS, api.ChannelVoice, api.ChannelEmail, api.ChannelPush}))
	}
}

// showProviders answers with how the providers stand; with one name, only those of that name.
func (s *Server) showProviders(w http.ResponseWriter, r *http.Request, name string) {
	list, governed, err := s.config.Providers.Providers(r.Context())
	if err != nil {
		s.fail(w, r, fmt.Errorf("list providers: %w", err))
		return
	}
	answer := api.ProviderList{Governed: governed, Data: []api.Provider{}}
	for _, p := range list {
		if name == "" || p.Name == name {
			answer.Data = append(answer.Data, providerWire(p))
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

func providerWire(p provider.Provider) api.Provider {
	wire := api.Provider{
		Name: p.Name, Channel: api.Channel(p.Channel), State: api.ProviderState(p.State), Reason: p.Reason,
		RetryIn:  int((p.Wait + time.Second - 1) / time.Second),
		InFlight: p.InFlight, Processes: p.Processes,
		Waiting: api.LaneCounts{Verification: p.Waiting.Verification, Transactional: p.Waiting.Transactional, Bulk: p.Waiting.Bulk},
	}
	if !p.Since.IsZero() {
		at := p.Since.UTC().Truncate(time.Millisecond)
		wire.Since = &at
	}
	if p.Rate > 0 || p.Concurrency > 0 {
		wire.Quota = &api.ProviderQuota{Rate: p.Rate, Concurrency: p.Concurrency}
	}
	return wire
}
