package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

const (
	clientID     = "answers"
	clientSecret = "a secret of answers, 32 letters"
	startTimeout = time.Minute
	startPause   = 50 * time.Millisecond
	stopTimeout  = 30 * time.Second
	callTimeout  = 15 * time.Second
	maxAnswer    = 1 << 20
)

// system is the program under test, all its roles in one process, with the sandbox carriers.
type system struct {
	base   string
	http   *http.Client
	client *client.Client
	cmd    *exec.Cmd
	people atomic.Int64
}

// start runs the program and returns once it is ready.
func start(ctx context.Context, program, dir string) (*system, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s := &system{base: "http://" + address, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
	if s.client, err = client.New(s.base, clientID, clientSecret, client.WithHTTPClient(s.http)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "assent.log"))
	if err != nil {
		return nil, fmt.Errorf("keep log: %w", err)
	}
	defer func() { _ = log.Close() }()                                                             // the process has its own
	s.cmd = exec.Command(program, "up", "--listen", address, "--data", filepath.Join(dir, "data")) //nolint:gosec,noctx // the program under test; it lives until it is stopped
	s.cmd.Env = append(os.Environ(), "ASSENT_BOOTSTRAP_CLIENT_ID="+clientID, "ASSENT_BOOTSTRAP_CLIENT_SECRET="+clientSecret)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := s.ready(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *system) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/readyz", http.NoBody)
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		if _, status, err := do(s.http, req); err == nil && status == http.StatusOK {
			return nil
		}
		if !wait(ctx, startPause) {
			return errors.New("the program was not ready in time")
		}
	}
}

// stop asks the program to end, and ends it where it does not.
func (s *system) stop() {
	s.http.CloseIdleConnections()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(stopTimeout, func() { _ = s.cmd.Process.Kill() })
	defer force.Stop()
	_ = s.cmd.Wait()
}

// number is a phone number that was not asked before: each has a send limit of its own.
func (s *system) number() string { return fmt.Sprintf("+1415%07d", 3_000_000+s.people.Add(1)) }

// message is what the carrier got.
type message struct {
	ID   string `json:"id"`
	Code string `json:"code"`
	Link string `json:"link"`
}

// asked creates a verification and returns once its message is with the carrier.
func (s *system) asked(ctx context.Context, request api.CreateVerification) (*api.Verification, message, error) {
	return s.askedAt(ctx, request, request.To)
}

func (s *system) askedAt(ctx context.Context, request api.CreateVerification, to string) (*api.Verification, message, error) {
	v, err := s.client.Create(ctx, request)
	if err != nil {
		return nil, message{}, fmt.Errorf("create: %w", err)
	}
	target := s.base + "/sandbox/messages?wait=10&to=" + url.QueryEscape(to)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, message{}, fmt.Errorf("make request: %w", err)
	}
	body, _, err := do(s.http, req)
	if err != nil {
		return nil, message{}, err
	}
	var list struct{ Messages []message }
	if err := json.Unmarshal(body, &list); err != nil || len(list.Messages) == 0 {
		return nil, message{}, fmt.Errorf("no message came: %s", body)
	}
	return v, list.Messages[0], nil
}

// answer lets the sandbox answer a message as the person would.
func (s *system) answer(ctx context.Context, m message, what any) error {
	var got struct {
		Answered bool   `json:"answered"`
		Body     string `json:"body"`
	}
	if err := s.post(ctx, "/sandbox/messages/"+m.ID+"/answer", what, &got); err != nil {
		return err
	}
	if !got.Answered {
		return fmt.Errorf("the answer was refused: %s", got.Body)
	}
	return nil
}

// app is a device of a new person, an app install that the sandbox plays, and its push token.
func (s *system) app(ctx context.Context) (deviceID, token string, err error) {
	var phone struct {
		PushToken string `json:"push_token"`
		PublicKey string `json:"public_key"`
	}
	if err := s.post(ctx, "/sandbox/phones", map[string]string{"platform": "fcm"}, &phone); err != nil {
		return "", "", err
	}
	var user, device struct{ ID string }
	if err := s.post(ctx, "/v1/users", map[string]string{"external_id": "p-" + strconv.FormatInt(s.people.Add(1), 10)}, &user); err != nil {
		return "", "", err
	}
	err = s.post(ctx, "/v1/users/"+user.ID+"/devices", map[string]string{
		"kind": "push", "platform": "fcm", "push_token": phone.PushToken, "public_key": phone.PublicKey,
	}, &device)
	return device.ID, phone.PushToken, err
}
