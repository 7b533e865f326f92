package fcm

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

const (
	defaultBaseURL = "https://fcm.googleapis.com"
	scope          = "https://www.googleapis.com/auth/firebase.messaging"
)

// Config is the Firebase project and the account that signs in to it.
type Config struct {
	// BaseURL replaces Google's server, for a stand-in; it may have a path prefix.
	BaseURL string `koanf:"base_url"`
	// ProjectID names the Firebase project; where empty the credentials' own is taken.
	ProjectID string `koanf:"project_id"`
	// CredentialsFile is the path of the service account's JSON key, or of a workload
	// identity configuration.
	CredentialsFile string `koanf:"credentials_file"`
	// Credentials is the text of that file, where it does not come as a file.
	Credentials string `koanf:"credentials"`
	// Token is a fixed bearer token for a stand-in. Google's own expire within the hour, so
	// it is refused without BaseURL.
	Token string `koanf:"token"`
}

// Validate names every fault of the configuration by its key. It opens no file.
func (c Config) Validate() []error {
	var faults []error
	if c.BaseURL != "" {
		if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, errors.New("base_url: want an absolute http or https URL"))
		}
	}
	given := 0
	for _, value := range []string{c.CredentialsFile, c.Credentials, c.Token} {
		if value != "" {
			given++
		}
	}
	switch {
	case given == 0:
		faults = append(faults, errors.New("credentials_file: missing (or give the JSON itself as credentials)"))
	case given > 1:
		faults = append(faults, errors.New("credentials_file: set one of credentials_file, credentials and token only"))
	}
	if c.Token != "" && c.BaseURL == "" {
		faults = append(faults, errors.New("token: is for a stand-in and needs base_url"))
	}
	if c.Token != "" && c.ProjectID == "" {
		faults = append(faults, errors.New("project_id: missing"))
	}
	return faults
}

func (c Config) endpoint() string {
	base := c.BaseURL
	if base == "" {
		base = defaultBaseURL
	}
	return strings.TrimRight(base, "/") + "/v1"
}

// account is a project and where its tokens come from.
type account struct {
	project string
	tokens  *tokens
}

// account reads the credentials. Its errors quote nothing of them.
func (c Config) account(client *http.Client) (account, error) {
	if c.Token != "" {
		return account{c.ProjectID, newTokens(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: c.Token}))}, nil
	}
	text := []byte(c.Credentials)
	if c.CredentialsFile != "" {
		var err error
		if text, err = os.ReadFile(c.CredentialsFile); err != nil {
			return account{}, fmt.Errorf("read credentials_file: %w", err)
		}
	}
	kind, err := inspect(text)
	if err != nil {
		return account{}, err
	}
	// Tokens are fetched without a context of ours: the client's own timeout bounds a fetch.
	bounded := *client
	bounded.Timeout = callTimeout
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &bounded)
	credentials, err := google.CredentialsFromJSONWithType(ctx, text, kind, scope)
	if err != nil {
		return account{}, errors.New("credentials: the JSON lacks what its type needs")
	}
	project := c.ProjectID
	if project == "" {
		project = credentials.ProjectID
	}
	if project == "" {
		return account{}, errors.New("project_id: missing, and the credentials name none")
	}
	return account{project, newTokens(credentials.TokenSource)}, nil
}

// inspect tells the type of the credentials and refuses a service account whose key cannot
// be read: the SDK would find out with the first message only.
func inspect(text []byte) (google.CredentialsType, error) {
	var head struct {
		Type       google.CredentialsType `json:"type"`
		PrivateKey string                 `json:"private_key"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return "", errors.New("credentials: not JSON")
	}
	known := []google.CredentialsType{google.ServiceAccount, google.ExternalAccount, google.ImpersonatedServiceAccount}
	if !slices.Contains(known, head.Type) {
		return "", errors.New("credentials: want the key of a service account or a workload identity configuration")
	}
	if head.Type == google.ServiceAccount && !readable(head.PrivateKey) {
		return "", errors.New("credentials: the private key cannot be read")
	}
	return head.Type, nil
}

func readable(key string) bool {
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	return err == nil
}

// NewHTTPClient is a client whose connections outlive a burst.
func NewHTTPClient() *http.Client { return exchange.Pool(callTimeout) }
