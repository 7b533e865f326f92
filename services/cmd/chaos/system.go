package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

// The credential that the load calls with.
const (
	clientID     = "chaos"
	clientSecret = "a secret of chaos, 32 letters.."
)

// The roles that run, by the names that --kill knows.
const (
	roleAPI      = "api"
	roleVerifier = "verifier"
	roleSMS      = "sms"
	roleNATS     = "nats"
)

// system is one Assent: a stock broker, one api behind a fixed address, so that the callbacks find it
// again, one verifier, and the SMS workers.
type system struct {
	dir    string
	client *client.Client
	http   *http.Client // of the client
	base   string       // where the api answers
	// worker is the command of an SMS worker.
	worker func(life string) (path string, args, env []string)

	mu      sync.Mutex
	members []*member // in the order of their start
}

// member is one process that is started again whenever it ends, as an operator's supervisor would.
type member struct {
	name string // sms-2
	role string
	dir  string
	// command is the command line and the environment of a life.
	command func(life string) (path string, args, env []string)

	mu       sync.Mutex
	now      *life
	lives    int
	stopping bool
	faults   []string
	ended    chan struct{}
}

// life is one run of a member's program.
type life struct {
	name   string // sms-2.3
	cmd    *exec.Cmd
	killed bool
	ended  chan struct{}
}

// start runs everything and returns once a first text has come through. The extra environment goes
// to every role.
func start(ctx context.Context, c common, dir string, outside *carrier, extra ...string) (*system, error) {
	assent, err := built(ctx, c.Assent, dir, "assent", "github.com/assent-io/assent/services/cmd/assent")
	if err != nil {
		return nil, err
	}
	nats, err := built(ctx, c.NATS, dir, "nats-server", "github.com/nats-io/nats-server/v2")
	if err != nil {
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	broker, err := freeAddress()
	if err != nil {
		return nil, err
	}
	env := append([]string{
		"ASSENT_BOOTSTRAP_CLIENT_ID=" + clientID, "ASSENT_BOOTSTRAP_CLIENT_SECRET=" + clientSecret,
		"ASSENT_NATS__URL=nats://" + broker, "ASSENT_DATA=" + dir, "ASSENT_PUBLIC_URL=http://" + listen,
		"ASSENT_TWILIO__ACCOUNT_SID=" + account, "ASSENT_TWILIO__AUTH_TOKEN=" + token, "ASSENT_TWILIO__FROM=" + sender,
	}, extra...)
	if c.Policy != "" {
		env = append(env, "ASSENT_WORKERS__UNKNOWN__SMS="+c.Policy)
	}
	ours := func(args ...string) func(string) (string, []string, []string) {
		return func(life string) (string, []string, []string) {
			return assent, append([]string{"run"}, args...), append(slices.Clone(env), "ASSENT_TWILIO__BASE_URL="+outside.url(life))
		}
	}
	s := &system{dir: dir, http: newHTTPClient(), base: "http://" + listen, worker: ours(roleSMS)}
	if s.client, err = client.New(s.base, clientID, clientSecret, client.WithHTTPClient(s.http)); err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(broker, ":")
	s.add(roleNATS, roleNATS, func(string) (string, []string, []string) {
		return nats, []string{"-js", "-sd", filepath.Join(dir, "broker"), "-a", host, "-p", port}, nil
	})
	s.add(roleAPI, roleAPI, ours(roleAPI, "--listen", listen))
	if err := s.answers(ctx); err != nil { // the api makes the keyring, which the workers want at their start
		return s, err
	}
	s.add(roleVerifier, roleVerifier, ours(roleVerifier))
	for i := range c.SMS {
		s.add(roleSMS, roleSMS+"-"+strconv.Itoa(i+1), s.worker)
	}
	return s, s.delivers(ctx, outside.book)
}

const (
	buildTimeout = 5 * time.Minute
	startTimeout = time.Minute
	startPause   = 50 * time.Millisecond
	stopTimeout  = 40 * time.Second
	restartPause = 500 * time.Millisecond // after an end that nobody asked for
)

// built is the given program, or one built from source.
func built(ctx context.Context, given, dir, name, pkg string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	path := filepath.Join(dir, name)
	if output, err := exec.CommandContext(ctx, "go", "build", "-o", path, pkg).CombinedOutput(); err != nil { //nolint:gosec // two packages of this repository's modules
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, output)
	}
	return path, nil
}

// answers waits until the api does.
func (s *system) answers(ctx context.Context) error {
	return s.within(ctx, func(ctx context.Context) error {
		_, err := s.client.Get(ctx, "00000000-0000-4000-8000-000000000000")
		var p *api.Problem
		if errors.As(err, &p) && p.Status == http.StatusNotFound {
			return nil
		}
		return err
	})
}

// delivers waits until a text arrives and a bad number fails, with which every role has done its part.
func (s *system) delivers(ctx context.Context, b *book) error {
	const first = "+14155550123"
	err := s.within(ctx, func(ctx context.Context) error {
		_, err := s.client.CreateWithKey(ctx, "first", textTo(first, 0))
		return err
	})
	if err != nil {
		return err
	}
	err = s.within(ctx, func(context.Context) error {
		if len(b.all()[first]) == 0 {
			return errors.New("the first text has not arrived")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.failsFor(ctx, nowhere+"5550123")
}

// failsFor returns once a text to a number that does not exist has failed.
func (s *system) failsFor(ctx context.Context, number string) error {
	var v *api.Verification
	err := s.within(ctx, func(ctx context.Context) (err error) {
		v, err = s.client.CreateWithKey(ctx, number, textTo(number, 0))
		return err
	})
	if err != nil {
		return err
	}
	return s.within(ctx, func(ctx context.Context) error {
		now, err := s.client.Get(ctx, v.ID)
		if err == nil && now.Status != api.StatusFailed {
			err = fmt.Errorf("a text to a number that does not exist is %s", now.Status)
		}
		return err
	})
}

// within tries until it works, for as long as a start may take.
func (s *system) within(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if faults := s.faults(); len(faults) > 0 {
			return errors.New(strings.Join(faults, "\n"))
		}
		if !wait(ctx, startPause) {
			return fmt.Errorf("wait for the system: %w", err)
		}
	}
}

func (s *system) add(role, name string, command func(string) (string, []string, []string)) {
	m := &member{role: role, name: name, dir: s.dir, command: command, ended: make(chan struct{})}
	s.mu.Lock()
	s.members = append(s.members, m)
	s.mu.Unlock()
	go m.supervise()
}

// all are the members so far.
func (s *system) all() []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members)
}

// of are the members of a role.
func (s *system) of(role string) []*member {
	var found []*member
	for _, m := range s.all() {
		if m.role == role {
			found = append(found, m)
		}
	}
	return found
}

// faults are the ends that nobody asked for.
func (s *system) faults() []string {
	var all []string
	for _, m := range s.all() {
		m.mu.Lock()
		all = append(all, m.faults...)
		m.mu.Unlock()
	}
	return all
}

// stop ends all processes, the first started last.
func (s *system) stop() {
	// A connection that was opened and never used would hold the end up for five seconds.
	s.http.CloseIdleConnections()
	for _, m := range slices.Backward(s.all()) {
		m.stop()
	}
}

func (m *member) supervise() {
	defer close(m.ended)
	for {
		l, err := m.begin()
		if l == nil {
			return
		}
		if err == nil {
			err = l.cmd.Wait()
			close(l.ended)
		}
		m.mu.Lock()
		asked := l.killed || m.stopping
		if !asked {
			m.faults = append(m.faults, fmt.Sprintf("%s ended by itself: %v; its last words:\n%s", l.name, err, m.lastWords()))
		}
		m.mu.Unlock()
		if !asked && !wait(context.Background(), restartPause) {
			return
		}
	}
}

// begin starts a life; none when the member is to stop. One that cannot start has ended.
func (m *member) begin() (*life, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return nil, nil //nolint:nilnil // no life, and no fault
	}
	m.lives++
	l := &life{name: m.name + "." + strconv.Itoa(m.lives), ended: make(chan struct{})}
	log, err := os.OpenFile(m.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		defer func() { _ = log.Close() }() // the process has its own
		path, args, env := m.command(l.name)
		l.cmd = exec.Command(path, args...) //nolint:gosec,noctx // the programs under test; they live until they are stopped
		l.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}, env...)
		l.cmd.Stdout, l.cmd.Stderr = log, log
		l.cmd.SysProcAttr = dyingWithParent()
		err = l.cmd.Start()
	}
	if err != nil {
		close(l.ended)
		return l, fmt.Errorf("start %s: %w", m.name, err)
	}
	m.now = l
	return l, nil
}

func (m *member) log() string { return filepath.Join(m.dir, m.name+".log") }

// lastWords is the end of the log, for the report of a fault.
func (m *member) lastWords() string {
	text, err := os.ReadFile(m.log())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-1000):])
}

// kill ends the process as a power failure would, and returns whose life it was and when.
func (m *member) kill() (name string, at, over time.Time) {
	m.mu.Lock()
	l := m.now
	l.killed = true
	m.mu.Unlock()
	at = time.Now()
	_ = l.cmd.Process.Kill() // it may have ended by itself
	<-l.ended
	return l.name, at, time.Now()
}

// retire kills the process for good.
func (m *member) retire() {
	m.mu.Lock()
	m.stopping = true
	m.mu.Unlock()
	m.kill()
	<-m.ended
}

// stop has the process end, and waits for it.
func (m *member) stop() {
	m.mu.Lock()
	m.stopping = true
	l := m.now
	m.mu.Unlock()
	if l != nil {
		_ = l.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-l.ended:
		case <-time.After(stopTimeout):
			_ = l.cmd.Process.Kill()
		}
	}
	<-m.ended
}
