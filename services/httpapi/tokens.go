package httpapi

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
)

// An access token is three parts joined by dots: the client id in base64url, the second it ends,
// and a keyed hash of both. Nothing is stored, so every api process can check every token; the
// price is that a token cannot be taken back before it ends.

const tokenPurpose = "access token v1"

func (s *Server) makeToken(client string, ends time.Time) string {
	until := strconv.FormatInt(ends.Unix(), 10)
	mac := s.config.Sign(tokenPurpose, client, until)
	return base64.RawURLEncoding.EncodeToString([]byte(client)) + "." + until + "." + base64.RawURLEncoding.EncodeToString(mac)
}

// readToken is the client of a genuine token that has not ended.
func (s *Server) readToken(token string) (client string, ok bool) {
	id, rest, ok1 := strings.Cut(token, ".")
	until, mac, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || len(token) > 1024 {
		return "", false
	}
	name, err1 := base64.RawURLEncoding.Strict().DecodeString(id)
	sum, err2 := base64.RawURLEncoding.Strict().DecodeString(mac)
	seconds, err3 := strconv.ParseInt(until, 10, 64)
	if errors.Join(err1, err2, err3) != nil || len(name) == 0 {
		return "", false
	}
	if !hmac.Equal(sum, s.config.Sign(tokenPurpose, string(name), until)) {
		return "", false
	}
	return string(name), s.config.Now().Before(time.Unix(seconds, 0))
}

// CreateToken answers the client credentials grant. Its faults have OAuth's form.
func (s *Server) CreateToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Pragma", "no-cache")
	request, fault := readTokenRequest(w, r)
	if fault != nil {
		writeTokenFault(w, fault)
		return
	}
	id, secret := request.ClientID, request.ClientSecret
	basicID, basicSecret, basic := r.BasicAuth()
	if basic {
		if id != "" && id != basicID {
			writeTokenFault(w, &tokenFault{http.StatusBadRequest, "invalid_request", "The body and the Authorization header name different clients."})
			return
		}
		id, secret = basicID, basicSecret
	}
	if request.GrantType != "client_credentials" {
		fault := &tokenFault{http.StatusBadRequest, "unsupported_grant_type", "The grant_type must be client_credentials."}
		if request.GrantType == "" {
			fault.name = "invalid_request"
		}
		writeTokenFault(w, fault)
		return
	}
	id, err := s.authenticateClient(r, id, secret, basic)
	if err != nil {
		if rec := observed(w); rec != nil {
			rec.err = err
		}
		writeTokenFault(w, tokenFaultFor(err))
		return
	}
	if rec := observed(w); rec != nil {
		rec.client = id
	}
	now := s.config.Now().UTC()
	writeJSON(w, http.StatusOK, api.AccessToken{
		AccessToken: s.makeToken(id, now.Add(s.config.TokenLife)), TokenType: "bearer",
		ExpiresIn: int(s.config.TokenLife.Seconds()), CreatedAt: now.Truncate(time.Millisecond),
	})
}

// authenticateClient names the client. It tries the pair as it is and, where it came by Basic, form-decoded: RFC 6749
// section 2.3.1 asks clients to encode it, and only some do.
func (s *Server) authenticateClient(r *http.Request, id, secret string, basic bool) (client string, err error) {
	if id == "" || len(id) > maxCredential || len(secret) > maxCredential {
		return "", ErrCredential
	}
	err = s.config.Credentials.Authenticate(r.Context(), id, secret)
	if !basic || !errors.Is(err, ErrCredential) {
		return id, err
	}
	plainID, err1 := url.QueryUnescape(id)
	plainSecret, err2 := url.QueryUnescape(secret)
	if errors.Join(err1, err2) != nil || plainID == id && plainSecret == secret {
		return "", err
	}
	return plainID, s.config.Credentials.Authenticate(r.Context(), plainID, plainSecret)
}

func readTokenRequest(w http.ResponseWriter, r *http.Request) (api.TokenRequest, *tokenFault) {
	var request api.TokenRequest
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	switch media {
	case "application/x-www-form-urlencoded":
		if err = r.ParseForm(); err == nil {
			for name, values := range r.PostForm {
				if len(values) > 1 {
					err = errors.New("parameter " + name + " is repeated")
				}
			}
			request = api.TokenRequest{
				GrantType: r.PostForm.Get("grant_type"),
				ClientID:  r.PostForm.Get("client_id"), ClientSecret: r.PostForm.Get("client_secret"),
			}
		}
	case "application/json":
		err = json.NewDecoder(r.Body).Decode(&request)
	default:
		err = errors.New("media type")
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return request, &tokenFault{http.StatusRequestEntityTooLarge, "invalid_request", "The body is over 64 KiB."}
	case err != nil:
		return request, &tokenFault{
			http.StatusBadRequest, "invalid_request",
			"Send grant_type once, as application/x-www-form-urlencoded or application/json.",
		}
	}
	return request, nil
}

// tokenFault is a fault in OAuth's form.
type tokenFault struct {
	status       int
	name, detail string
}

func tokenFaultFor(err error) *tokenFault {
	if errors.Is(err, ErrCredential) {
		return &tokenFault{http.StatusUnauthorized, "invalid_client", "The client id or secret is wrong."}
	}
	if p, _ := problemFor(err); p.Code == api.ProblemCodeUnavailable {
		return &tokenFault{http.StatusServiceUnavailable, "temporarily_unavailable", "Credentials cannot be checked at the moment."}
	}
	return &tokenFault{http.StatusInternalServerError, "server_error", "The server has logged what happened."}
}

func writeTokenFault(w http.ResponseWriter, f *tokenFault) {
	body := api.TokenError{Error: f.name, ErrorDescription: f.detail}
	body.Status.Error, body.Status.Code = true, f.status
	body.Status.Type, body.Status.Message = http.StatusText(f.status), f.detail
	switch f.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="assent", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, f.status, body)
}
