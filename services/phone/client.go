package phone

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
)

const (
	// callTimeout is how long a call may take beyond what it waits for on purpose.
	callTimeout = 15 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
)

// connect makes the HTTP client for the phone's base and authorities.
func (p *Phone) connect() error {
	u, err := url.Parse(p.Base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("the base must be an absolute http or https URL")
	}
	p.Base = strings.TrimRight(p.Base, "/")
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.CA != "" {
		if trust.RootCAs, err = x509.SystemCertPool(); err != nil {
			trust.RootCAs = x509.NewCertPool()
		}
		if !trust.RootCAs.AppendCertsFromPEM([]byte(p.CA)) {
			return errors.New("the authorities are not certificates in PEM form")
		}
	}
	p.http = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: callTimeout, MaxIdleConns: 2, IdleConnTimeout: time.Minute,
		},
		// A signed answer goes where the phone joined, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// call makes one request and decodes its answer, where into is not nil; a refusal is an *api.Problem.
func (p *Phone) call(ctx context.Context, method, path string, header http.Header, body []byte, into any) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, method, p.Base+path, bytes.NewReader(body))
	if err != nil {
		return errors.New("the base must be an absolute http or https URL")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "assent-phone")
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return err // it names method, address and cause
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(resp, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return errors.New("the answer is not Assent's")
	}
	return nil
}

func refusal(resp *http.Response, answer []byte) error {
	var problem api.Problem
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(answer, &problem) == nil {
		return &problem
	}
	return fmt.Errorf("status %d, which is not Assent's", resp.StatusCode)
}
