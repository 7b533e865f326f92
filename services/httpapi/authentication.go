package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
)

const maxCredential = 255 // bytes of a client id, and of a secret

// authenticate names the client of a request and checks that its scope allows one of what the call
// needs. It fails with a refusal, or with what the credentials' store fails with.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, needs ...credential.Permission) (credential.Credential, error) {
	c, err := s.client(r)
	if err != nil {
		return c, err
	}
	if rec := observed(w); rec != nil {
		rec.client = c.ClientID
	}
	if len(needs) > 0 && !slices.ContainsFunc(needs, c.Scope.Allows) {
		return c, &refusal{code: api.ProblemCodeForbidden, detail: fmt.Sprintf(
			"This call needs a credential with the scope %s; this one has %s.", choice(scopesWith(needs)), c.Scope)}
	}
	return c, nil
}

// client reads the credential, which comes as HTTP Basic or as an access token. The forms of the
// bearer header that clients of OneLogin's send are taken too.
func (s *Server) client(r *http.Request) (credential.Credential, error) {
	var none credential.Credential
	header := strings.TrimSpace(r.Header.Get("Authorization"))
	if header == "" {
		return none, unauthorized("Send HTTP Basic with client id and secret, or a bearer token.", "")
	}
	scheme, rest := header, ""
	if end := strings.IndexAny(header, " :"); end >= 0 {
		scheme, rest = header[:end], strings.TrimLeft(header[end:], " :")
	}
	switch {
	case strings.EqualFold(scheme, "Basic"):
		id, secret, ok := r.BasicAuth()
		if !ok || id == "" || len(id) > maxCredential || len(secret) > maxCredential {
			return none, unauthorized("The Authorization header is not valid HTTP Basic.", "")
		}
		c, err := s.config.Credentials.Authenticate(r.Context(), id, secret)
		if err != nil {
			return none, fmt.Errorf("authenticate client: %w", err)
		}
		return c, nil
	case strings.EqualFold(scheme, "Bearer"):
		c, err := s.config.Credentials.Bearer(r.Context(), rest)
		if errors.Is(err, credential.ErrToken) {
			return none, unauthorized("The token is wrong or has ended; get a new one.", "invalid_token")
		}
		if err != nil {
			return none, fmt.Errorf("authenticate token: %w", err)
		}
		return c, nil
	default:
		return none, unauthorized("The Authorization header must be Basic or Bearer.", "")
	}
}

// scopesWith lists the scopes that have one of the permissions.
func scopesWith(needs []credential.Permission) []credential.Scope {
	return slices.DeleteFunc(credential.Scopes(), func(scope credential.Scope) bool {
		return !slices.ContainsFunc(needs, scope.Allows)
	})
}

func unauthorized(detail, tokenError string) error {
	return &refusal{code: api.ProblemCodeUnauthorized, detail: detail, header: challengeHeader(tokenError)}
}

// challengeHeader says how to authenticate; a 401 must.
func challengeHeader(tokenError string) http.Header {
	header := `Bearer realm="assent"`
	if tokenError != "" {
		header += `, error="` + tokenError + `"`
	}
	return http.Header{"Www-Authenticate": {header + `, Basic realm="assent", charset="UTF-8"`}}
}
