package onelogin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/assent-io/assent/services/credential"
)

// maxCredential bounds a client id, and a secret, in bytes.
const maxCredential = 255

func (s *Server) tokenRoutes() []route {
	return []route{
		{pattern: "POST /auth/oauth2/v2/token", style: styleToken, handle: s.createToken},
		{pattern: "POST /auth/oauth2/token", style: styleToken, handle: s.createTokenV1},
		{pattern: "POST /auth/oauth2/revoke", style: styleV1, handle: s.revokeToken},
		{pattern: "POST /auth/oauth2/v2/revoke", style: styleV1, handle: s.revokeToken},
		{pattern: "GET /auth/rate_limit", style: styleV1, handle: s.showRate},
	}
}

// tokenBody is what a client gets. Its first five fields are those of RFC 6749 section 5.1.
type tokenBody struct {
	AccessToken  string `json:"access_token"`
	CreatedAt    string `json:"created_at"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	AccountID    int64  `json:"account_id"`
}

// createToken answers the client credentials grant and the refresh of old SDKs.
func (s *Server) createToken(c *call) error {
	body, err := s.grant(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, body)
	return nil
}

// createTokenV1 is the same in the envelope of version 1.
func (s *Server) createTokenV1(c *call) error {
	body, err := s.grant(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, struct {
		Status status      `json:"status"`
		Data   []tokenBody `json:"data"`
	}{success, []tokenBody{body}})
	return nil
}

func (s *Server) grant(c *call) (tokenBody, error) {
	keepPrivate(c.w)
	request, err := readTokenRequest(c)
	if err != nil {
		return tokenBody{}, err
	}
	if request.GrantType != grantClient && request.GrantType != grantRefresh {
		f := &fault{status: http.StatusBadRequest, message: "grant_type is incorrect/absent", oauth: "unsupported_grant_type"}
		if request.GrantType == "" {
			f.oauth = "invalid_request"
		}
		return tokenBody{}, f
	}
	if err := s.identify(c, request); err != nil {
		return tokenBody{}, err
	}
	t, err := s.tokenFor(c, request)
	if err != nil {
		return tokenBody{}, err
	}
	left := t.ExpiresAt.Sub(s.config.Now())
	if c.client.Compat == credential.CompatJava {
		left = credential.TokenLife // its SDK is told both as they were at first
	}
	// OAuth counts expires_in from now, OneLogin's SDKs from created_at. So that both end with the token,
	// created_at moves with what is left.
	seconds := int((left + time.Second - 1) / time.Second)
	created := t.ExpiresAt.Add(-time.Duration(seconds) * time.Second)
	return tokenBody{
		AccessToken: t.Access, CreatedAt: created.UTC().Format("2006-01-02T15:04:05.000Z"),
		ExpiresIn: seconds, RefreshToken: t.Refresh, TokenType: "bearer",
		AccountID: accountID(c.client.Account),
	}, nil
}

func (s *Server) tokenFor(c *call, request tokenRequest) (credential.Token, error) {
	if request.GrantType == grantClient {
		return s.config.Credentials.Issue(c.r.Context(), c.client)
	}
	if request.AccessToken == "" || request.RefreshToken == "" {
		return credential.Token{}, badRequest("access_token and refresh_token are required to refresh")
	}
	t, err := s.config.Credentials.Refresh(c.r.Context(), c.client, request.AccessToken, request.RefreshToken)
	if errors.Is(err, credential.ErrToken) {
		return t, &fault{
			status: http.StatusBadRequest, message: "The access token and refresh token are no pair, have ended or were revoked", oauth: "invalid_grant",
		}
	}
	return t, err
}

// accountID is a number for the account, as OneLogin's clients want one: positive, and of 31 bits.
func accountID(account string) int64 {
	sum := sha256.Sum256([]byte(account))
	return max(1, int64(binary.BigEndian.Uint32(sum[:])>>1))
}

// revokeToken takes a token back. The answer has the documented form and the one that OneLogin's
// Python SDK reads, in one.
func (s *Server) revokeToken(c *call) error {
	keepPrivate(c.w)
	request, err := readTokenRequest(c)
	if err != nil {
		return err
	}
	if err := s.identify(c, request); err != nil {
		return err
	}
	if request.AccessToken == "" {
		return badRequest("Access Token Missing")
	}
	if err := s.config.Credentials.RevokeToken(c.r.Context(), c.client, request.AccessToken); err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, struct {
		Status status `json:"status"`
		status
	}{success, success})
	return nil
}

// showRate says where the account stands, and does not count.
func (s *Server) showRate(c *call) error {
	token, err := bearer(c.r.Header.Get("Authorization"))
	if err != nil {
		return badRequest("Authorization Information is incorrect")
	}
	if c.client, err = s.config.Credentials.Bearer(c.r.Context(), token); err != nil {
		return err
	}
	note(c.w, c.client.ClientID, "", nil)
	now, _ := s.rates.take(c.client.Account, 0)
	writeJSON(c.w, http.StatusOK, struct {
		Status status         `json:"status"`
		Data   map[string]int `json:"data"`
	}{success, map[string]int{
		"X-RateLimit-Limit": now.limit, "X-RateLimit-Remaining": now.remaining, "X-RateLimit-Reset": now.reset,
	}})
	return nil
}

// keepPrivate keeps tokens out of caches (RFC 6749 section 5.1).
func keepPrivate(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

const (
	grantClient  = "client_credentials"
	grantRefresh = "refresh_token"
)

// tokenRequest is the body of a call of this file, whichever form it had.
type tokenRequest struct {
	GrantType    string `json:"grant_type"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func readTokenRequest(c *call) (request tokenRequest, err error) {
	data, err := readBytes(c)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return request, err
		}
		return request, badRequest("The body ended before it was complete")
	}
	media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	switch {
	case media == "application/json":
		if len(bytes.TrimSpace(data)) > 0 && json.Unmarshal(data, &request) != nil {
			return request, badRequest("The body is not a JSON object of texts")
		}
	case media == "application/x-www-form-urlencoded":
		return readTokenForm(string(data))
	case len(data) > 0:
		return request, badRequest("Content Type is not specified or specified incorrectly. Content-Type header must be set to " +
			"application/json or application/x-www-form-urlencoded")
	}
	return request, nil
}

func readTokenForm(body string) (request tokenRequest, err error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return request, badRequest("The body is not a form")
	}
	for _, values := range form {
		if len(values) > 1 {
			return request, badRequest("A parameter of the form is repeated")
		}
	}
	return tokenRequest{
		GrantType: form.Get("grant_type"), ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret"),
		AccessToken: form.Get("access_token"), RefreshToken: form.Get("refresh_token"),
	}, nil
}

// namedPair is OneLogin's own form of the header: client_id:<id>, client_secret:<secret>.
var namedPair = regexp.MustCompile(`(?i)^\s*client_id\s*:\s*([^,]*?)\s*,\s*client_secret\s*:\s*(.*?)\s*$`)

// pair is a client id and secret as they came.
type pair struct {
	id, secret string
	basic      bool
}

// headerPair reads the Authorization header; false where it holds no pair.
func headerPair(r *http.Request) (pair, bool) {
	if id, secret, ok := r.BasicAuth(); ok {
		return pair{id, secret, true}, true
	}
	if m := namedPair.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		return pair{m[1], m[2], false}, true
	}
	return pair{}, false
}

// identify names the client by the header, or by the body where the header has no pair.
func (s *Server) identify(c *call, request tokenRequest) error {
	p, ok := headerPair(c.r)
	switch {
	case ok && request.ClientID != "" && request.ClientID != p.id:
		return badRequest("The body and the Authorization header name different clients")
	case !ok && (request.ClientID != "" || request.ClientSecret != ""):
		p = pair{request.ClientID, request.ClientSecret, false}
	case !ok && c.r.Header.Get("Authorization") == "":
		return &fault{status: http.StatusBadRequest, message: "The authorization information is missing", oauth: "invalid_client"}
	}
	var err error
	c.client, err = s.authenticate(c, p)
	if errors.Is(err, credential.ErrWrong) {
		return &fault{
			status: http.StatusUnauthorized, message: "Authentication Failure", oauth: "invalid_client",
			header: http.Header{"Www-Authenticate": {`Basic realm="assent", charset="UTF-8"`}},
		}
	}
	note(c.w, c.client.ClientID, "", nil)
	return err
}

// authenticate tries the pair as it is and, where it came by Basic, form-decoded: RFC 6749 section
// 2.3.1 asks clients to encode it, and only some do.
func (s *Server) authenticate(c *call, p pair) (credential.Credential, error) {
	if p.id == "" || len(p.id) > maxCredential || len(p.secret) > maxCredential {
		return credential.Credential{}, credential.ErrWrong
	}
	client, err := s.config.Credentials.Authenticate(c.r.Context(), p.id, p.secret)
	if !p.basic || !errors.Is(err, credential.ErrWrong) {
		return client, err
	}
	id, err1 := url.QueryUnescape(p.id)
	secret, err2 := url.QueryUnescape(p.secret)
	if errors.Join(err1, err2) != nil || id == p.id && secret == p.secret {
		return client, err
	}
	return s.config.Credentials.Authenticate(c.r.Context(), id, secret)
}
