package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/store"
)

type credentialsCommand struct {
	Create credentialsCreateCommand `cmd:"" help:"Make a credential, and print its secret this once."`
	List   credentialsListCommand   `cmd:"" help:"List the credentials of the account."`
	Policy credentialsPolicyCommand `cmd:"" help:"Change what a credential's links and approvals ask for."`
	Revoke credentialsRevokeCommand `cmd:"" help:"Revoke a credential, and every token made with it."`
}

type credentialsCreateCommand struct {
	ID         string `arg:"" optional:"" name:"id" help:"Client id of the new credential (default: a made one)."`
	Name       string `help:"What people call it." placeholder:"NAME"`
	Scope      string `help:"What it is for: authentication_only, read_users, manage_users, read_all or manage_all." required:"" enum:"authentication_only,read_users,manage_users,read_all,manage_all" placeholder:"SCOPE"`
	Compat     string `help:"Form of OneLogin's API that it is used to: default, docs, go, node, python, java or dotnet." enum:"default,docs,go,node,python,java,dotnet" default:"default" placeholder:"COMPAT"`
	NumericIDs *bool  `name:"numeric-ids" negatable:"" help:"Numbers for UUIDs in OneLogin's API (default: for the compat go only)."`
	policyFlags
	apiAccess
}

// policyFlags are what a credential's links and approvals ask for, and why.
type policyFlags struct {
	NumberMatching *bool  `name:"number-matching" negatable:"" help:"Whether its links and approvals need the number that the other screen shows (default: they do)."`
	Reason         string `help:"Why, for the audit log; with --no-number-matching." placeholder:"TEXT"`
}

func (f policyFlags) check() error {
	if f.NumberMatching != nil && !*f.NumberMatching && strings.TrimSpace(f.Reason) == "" {
		return &usageError{errors.New("--no-number-matching needs a --reason: it stands in the audit log")}
	}
	return nil
}

// Run makes the credential. Its secret goes to standard output, and that it is told once to standard error.
func (c credentialsCreateCommand) Run(p *program) error {
	if c.ID != "" && !store.ValidClientID(c.ID) {
		return &usageError{errors.New("the client id must be 1 to 64 letters, digits, dashes or underscores")}
	}
	if err := c.check(); err != nil {
		return err
	}
	var made api.CreatedCredential
	err := c.call(p, http.MethodPost, "/v1/credentials", api.CreateCredential{
		ClientID: c.ID, Name: c.Name, Scope: api.Scope(c.Scope), Compat: api.Compat(c.Compat), NumericIds: c.NumericIDs,
		NumberMatching: c.NumberMatching, Reason: c.Reason,
	}, &made)
	if err != nil {
		return fmt.Errorf("create credential: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, made)
	}
	fmt.Fprintf(p.stdout, "client_id:     %s\nclient_secret: %s\n", made.ClientID, made.ClientSecret)
	fmt.Fprintln(p.stderr, "The secret is not kept and cannot be shown again.")
	return nil
}

type credentialsListCommand struct{ apiAccess }

// Run prints a table, by client id.
func (c credentialsListCommand) Run(p *program) error {
	var list api.CredentialList
	if err := c.call(p, http.MethodGet, "/v1/credentials", nil, &list); err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CLIENT ID\tNAME\tSCOPE\tCOMPAT\tNUMERIC IDS\tMATCHES NUMBERS\tCREATED")
	for _, x := range list.Data {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.ClientID, x.Name, x.Scope, x.Compat,
			yesNo(x.NumericIds), yesNo(x.NumberMatching), x.CreatedAt.UTC().Format(time.DateOnly))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	return nil
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

type credentialsPolicyCommand struct {
	ID string `arg:"" name:"id" help:"Client id of the credential."`
	policyFlags
	apiAccess
}

// Run changes the policy, which holds for what is asked from then on.
func (c credentialsPolicyCommand) Run(p *program) error {
	switch {
	case !store.ValidClientID(c.ID):
		return &usageError{errors.New("the client id must be 1 to 64 letters, digits, dashes or underscores")}
	case c.NumberMatching == nil:
		return &usageError{errors.New("nothing to change: give --number-matching or --no-number-matching")}
	}
	if err := c.check(); err != nil {
		return err
	}
	var changed api.Credential
	err := c.call(p, http.MethodPatch, "/v1/credentials/"+c.ID, api.UpdateCredential{NumberMatching: c.NumberMatching, Reason: c.Reason}, &changed)
	if err != nil {
		return fmt.Errorf("change policy of credential %s: %w", c.ID, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, changed)
	}
	says := "need no number"
	if changed.NumberMatching {
		says = "need the number that the other screen shows"
	}
	fmt.Fprintf(p.stdout, "Links and approvals of %s %s.\n", c.ID, says)
	return nil
}

type credentialsRevokeCommand struct {
	ID string `arg:"" name:"id" help:"Client id of the credential."`
	apiAccess
}

// Run revokes the credential.
func (c credentialsRevokeCommand) Run(p *program) error {
	if !store.ValidClientID(c.ID) {
		return &usageError{errors.New("the client id must be 1 to 64 letters, digits, dashes or underscores")}
	}
	if err := c.call(p, http.MethodDelete, "/v1/credentials/"+c.ID, nil, nil); err != nil {
		return fmt.Errorf("revoke credential %s: %w", c.ID, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, map[string]any{"client_id": c.ID, "revoked": true})
	}
	fmt.Fprintln(p.stdout, "Revoked "+c.ID+".")
	return nil
}

// apiAccess is how a command reaches the API, and as whom.
type apiAccess struct {
	Base             string `help:"Address of the API." default:"http://127.0.0.1:8080" placeholder:"URL"`
	ClientID         string `name:"client-id" help:"Credential to call with (default: ASSENT_BOOTSTRAP_CLIENT_ID, then the one in --data)." placeholder:"ID"`
	ClientSecretFile string `name:"client-secret-file" help:"File with its secret (default: ASSENT_BOOTSTRAP_CLIENT_SECRET, ASSENT_BOOTSTRAP_CLIENT_SECRET_FILE, then the one in --data)." placeholder:"FILE" type:"path"`
	Data             string `help:"Data directory of a deployment on this machine, which holds its first credential." default:"assent-data" placeholder:"DIR" type:"path" env:"ASSENT_DATA"`
	CA               string `name:"ca" help:"Certificates (PEM) to trust beside the system's." placeholder:"FILE" type:"path"`
	JSON             bool   `name:"json" help:"Print JSON."`
}

const (
	credentialsTimeout = 10 * time.Second
	// longestAnswer bounds what is read of an answer.
	longestAnswer = 8 << 20
)

// call makes one request and decodes its answer; a refusal is an *api.Problem, which is one line.
func (a apiAccess) call(p *program, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(p.ctx, credentialsTimeout)
	defer cancel()
	var sent io.Reader = http.NoBody
	media := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		sent, media = bytes.NewReader(b), "application/json"
	}
	resp, err := a.send(ctx, p, method, path, media, sent)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return readAnswer(resp, into)
}

// send makes one request. The caller bounds it by ctx and closes the body of the answer.
func (a apiAccess) send(ctx context.Context, p *program, method, path, media string, body io.Reader) (*http.Response, error) {
	if !absolute(a.Base) {
		return nil, &usageError{errors.New("--base must be an absolute http or https URL")}
	}
	id, secret, err := a.credential(p.env)
	if err != nil {
		return nil, err
	}
	client, err := a.client()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.Base, "/")+path, body)
	if err != nil {
		return nil, &usageError{errors.New("--base must be an absolute http or https URL")}
	}
	req.SetBasicAuth(id, secret)
	req.Header.Set("Accept", "application/json, text/csv, application/problem+json")
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, trustHint(err) // it names method, address and cause
	}
	return resp, nil
}

func readAnswer(resp *http.Response, into any) error {
	answer, err := io.ReadAll(io.LimitReader(resp.Body, longestAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var problem api.Problem
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(answer, &problem) == nil {
			return &problem
		}
		return fmt.Errorf("%s answers with status %d, which is not Assent's", resp.Request.URL.Host, resp.StatusCode)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the answer of %s is not Assent's", resp.Request.URL.Host)
	}
	return nil
}

// client trusts what the command line names, and follows no redirect: the credential goes to --base.
func (a apiAccess) client() (*http.Client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	authorities, err := readAuthorities(a.CA)
	if err != nil {
		return nil, err
	}
	if authorities != "" {
		if trust.RootCAs, err = x509.SystemCertPool(); err != nil {
			trust.RootCAs = x509.NewCertPool() // a machine that has none
		}
		trust.RootCAs.AppendCertsFromPEM([]byte(authorities))
	}
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// credential is whom to call as: what the command line names, what the environment holds for the same
// client, or what a deployment keeps in its data directory.
func (a apiAccess) credential(env []string) (id, secret string, err error) {
	of := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		of[name] = value
	}
	configured := cmp.Or(of[envName("bootstrap_client_id")], defaults().BootstrapClientID)
	id = cmp.Or(a.ClientID, configured)
	path := a.ClientSecretFile
	if path == "" && id == configured {
		if secret = of[envName("bootstrap_client_secret")]; secret != "" {
			return id, secret, nil
		}
		path = of[envName("bootstrap_client_secret_file")]
	}
	if path == "" {
		return a.kept()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("read client secret: %w", err)
	}
	if secret = strings.TrimRight(string(b), "\r\n"); secret == "" {
		return "", "", fmt.Errorf("read client secret: %s is empty", path)
	}
	return id, secret, nil
}

// kept is the credential in the data directory. It has the id that it was made for.
func (a apiAccess) kept() (id, secret string, err error) {
	path := filepath.Join(a.Data, "bootstrap.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("no credential to call with: there is no %s\n"+
			"  name the data directory of the deployment with --data, give --client-id and --client-secret-file,\n"+
			"  or set %s and %s", path, envName("bootstrap_client_id"), envName("bootstrap_client_secret"))
	}
	if err != nil {
		return "", "", fmt.Errorf("read bootstrap credential: %w", err)
	}
	var found struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if json.Unmarshal(b, &found) != nil || found.ClientID == "" || found.ClientSecret == "" {
		return "", "", fmt.Errorf("read %s: not a credential", path)
	}
	if a.ClientID != "" && a.ClientID != found.ClientID {
		return "", "", fmt.Errorf("no secret for %s: %s is that of %s; give --client-secret-file", a.ClientID, path, found.ClientID)
	}
	return found.ClientID, found.ClientSecret, nil
}

func writeIndented(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
