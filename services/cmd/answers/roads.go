package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/assent-io/assent/api"
)

// road is one way of asking and answering.
type road struct {
	name string
	// ask asks, and returns once the message is there, with what sends the answer.
	ask func(context.Context, *system) (*api.Verification, func(context.Context) error, error)
}

func roads() []road {
	return []road{
		{"code checked", askCode},
		{"page", askPage},
		{"app", askApp},
		{"text reply", askNumber(api.ChannelSMS, func(number string) any { return map[string]string{"text": number} })},
		{"keys in a call", askNumber(api.ChannelVoice, func(number string) any { return map[string]string{"keys": number} })},
	}
}

func askCode(ctx context.Context, s *system) (*api.Verification, func(context.Context) error, error) {
	v, m, err := s.asked(ctx, api.CreateVerification{To: s.number(), Channel: api.ChannelSMS})
	if err != nil {
		return nil, nil, err
	}
	return v, func(ctx context.Context) error {
		checked, err := s.client.Check(ctx, v.ID, m.Code)
		if err == nil && !checked.Valid {
			err = errors.New("the code was not right")
		}
		return err
	}, nil
}

// askNumber asks for an approval whose number is brought back through the carrier.
func askNumber(channel api.Channel, answer func(number string) any) func(context.Context, *system) (*api.Verification, func(context.Context) error, error) {
	return func(ctx context.Context, s *system) (*api.Verification, func(context.Context) error, error) {
		v, m, err := s.asked(ctx, api.CreateVerification{To: s.number(), Channel: channel, Challenge: api.ChallengeApproval})
		if err != nil {
			return nil, nil, err
		}
		return v, func(ctx context.Context) error { return s.answer(ctx, m, answer(v.MatchNumber)) }, nil
	}
}

func askApp(ctx context.Context, s *system) (*api.Verification, func(context.Context) error, error) {
	device, token, err := s.app(ctx)
	if err != nil {
		return nil, nil, err
	}
	v, m, err := s.askedAt(ctx, api.CreateVerification{DeviceID: device}, token)
	if err != nil {
		return nil, nil, err
	}
	return v, func(ctx context.Context) error {
		return s.answer(ctx, m, map[string]string{"decision": "approve", "number": v.MatchNumber})
	}, nil
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// askPage opens the link in a browser of its own, and sends its form.
func askPage(ctx context.Context, s *system) (*api.Verification, func(context.Context) error, error) {
	v, m, err := s.asked(ctx, api.CreateVerification{
		To: s.number(), Channel: api.ChannelSMS, Challenge: api.ChallengeLink,
	})
	if err != nil {
		return nil, nil, err
	}
	jar, _ := cookiejar.New(nil) // never fails
	browser := &http.Client{
		Jar: jar, Transport: s.http.Transport, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	page, _, err := browse(ctx, browser, http.MethodGet, m.Link, nil)
	if err != nil {
		return nil, nil, err
	}
	form := formToken.FindSubmatch(page)
	if form == nil {
		return nil, nil, errors.New("the page has no form")
	}
	fields := url.Values{"form": {string(form[1])}, "number": {v.MatchNumber}, "decision": {"approve"}}
	return v, func(ctx context.Context) error {
		_, status, err := browse(ctx, browser, http.MethodPost, m.Link, fields)
		if err == nil && status != http.StatusSeeOther {
			err = fmt.Errorf("the page answered %d", status)
		}
		return err
	}, nil
}

// browse makes a request with what browsers send of themselves.
func browse(ctx context.Context, browser *http.Client, method, target string, fields url.Values) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, 0, fmt.Errorf("open page: %w", err)
	}
	for name, value := range map[string]string{
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Accept": "text/html,*/*;q=0.8",
		"Accept-Language": "en", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none", "Sec-Fetch-User": "?1",
	} {
		req.Header.Set(name, value)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return do(browser, req)
}

// do makes a request and reads its answer.
func do(c *http.Client, req *http.Request) ([]byte, int, error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, 0, fmt.Errorf("read answer: %w", err)
	}
	return body, resp.StatusCode, nil
}

// post calls a JSON interface that answers with one of the good statuses.
func (s *system) post(ctx context.Context, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(clientID, clientSecret)
	answer, status, err := do(s.http, req)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return fmt.Errorf("POST %s: status %d: %s", path, status, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	return nil
}
