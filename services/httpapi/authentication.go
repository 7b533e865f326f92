package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/assent-io/assent/api"
)

const maxCredential = 255 // bytes of a client id, and of a secret

// authenticate names the client of a request. The credential comes as HTTP Basic or as a token of
// this API. It fails with a refusal, or with what the credentials' store fails with.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (client string, err error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", unauthorized("Send HTTP Basic with client id and secret, or a bearer token.", "")
	}
	scheme, rest, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		id, secret, ok := r.BasicAuth()
		if !ok || id == "" || len(id) > maxCredential || len(secret) > maxCredential {
			return "", unauthorized("The Authorization header is not valid HTTP Basic.", "")
		}
		if err := s.config.Credentials.Authenticate(r.Context(), id, secret); err != nil {
			return "", fmt.Errorf("authenticate client: %w", err)
		}
		client = id
	case strings.EqualFold(scheme, "Bearer"):
		id, ok := s.readToken(strings.TrimSpace(rest))
		if !ok {
			return "", unauthorized("The token is wrong or has ended; get a new one.", "invalid_token")
		}
		client = id
	default:
		return "", unauthorized("The Authorization header must be Basic or Bearer.", "")
	}
	if rec := observed(w); rec != nil {
		rec.client = client
	}
	return client, nil
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
