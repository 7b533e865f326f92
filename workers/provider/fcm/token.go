package fcm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// tokens holds the access token of the moment. oauth2 fetches a new one without heeding any
// context and makes every caller wait for it in line; here all wait together, each no longer
// than its own context.
type tokens struct {
	source  oauth2.TokenSource
	flight  singleflight.Group
	current atomic.Pointer[oauth2.Token]
}

func newTokens(source oauth2.TokenSource) *tokens {
	return &tokens{source: oauth2.ReuseTokenSource(nil, source)}
}

// refresh makes sure of a token that is still good. A fetch outlives the caller that began
// it, by no more than the HTTP client's timeout.
func (t *tokens) refresh(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fetch an fcm token: %w", err)
	}
	if t.current.Load().Valid() {
		return nil
	}
	fetched := t.flight.DoChan("token", func() (any, error) {
		token, err := t.source.Token()
		if err == nil {
			t.current.Store(token)
		}
		return nil, err
	})
	select {
	case <-ctx.Done():
		return fmt.Errorf("fetch an fcm token: %w", ctx.Err())
	case result := <-fetched:
		return refusedToken(result.Err)
	}
}

// refusedToken tells a refusal, which the operator must mend, from an outage. The text of
// the answer stays out of it.
func refusedToken(err error) error {
	var refusal *oauth2.RetrieveError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && refusal.Response != nil:
		status := refusal.Response.StatusCode
		answered := fmt.Errorf("fetch an fcm token: google answered %d (%s)", status, exchange.Word(refusal.ErrorCode))
		if status >= 500 || status == http.StatusTooManyRequests {
			return answered
		}
		return delivery.Misconfigured(answered)
	default:
		return fmt.Errorf("fetch an fcm token: %w", exchange.Bare(err))
	}
}

// transport adds the token of the moment to each request.
func (t *tokens) transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return bearer{tokens: t, base: base}
}

type bearer struct {
	tokens *tokens
	base   http.RoundTripper
}

// RoundTrip sends a copy of the request: a RoundTripper must not change its own.
func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	signed := req.Clone(req.Context())
	if token := b.tokens.current.Load(); token != nil {
		token.SetAuthHeader(signed)
	}
	return b.base.RoundTrip(signed)
}
