package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one program of a story. It dies with the test run, however that ends.
type process struct {
	name     string
	ours     bool // assent, rather than a broker
	cmd      *exec.Cmd
	out, log *transcript
	ended    chan struct{}

	mu     sync.Mutex
	killed bool // by the story, so that its end is no fault
	asked  sync.Once
}

// launch starts a program. Its environment is env alone, so that a story does not depend on who tells it; only
// the race detector's options are handed on.
func launch(name, path string, args, env []string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), out: newTranscript(), log: newTranscript(), ended: make(chan struct{})} //nolint:noctx // lives as long as its story says
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(), "GORACE=" + os.Getenv("GORACE")}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	p.cmd.SysProcAttr = dyingWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the state says how it ended
		p.out.close()
		p.log.close()
		close(p.ended)
	}()
	house.enter(p)
	return p, nil
}

// assent starts the program under test.
func assent(name string, args, env []string) (*process, error) {
	path, err := house.assent()
	if err != nil {
		return nil, err
	}
	p, err := launch(name, path, args, env)
	if err == nil {
		p.ours = true
	}
	return p, err
}

const (
	readyWithin = 2 * time.Minute
	stopWithin  = 45 * time.Second
)

// stop has the process end, waits for it, and says what was wrong with it.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return p.faults()
	default:
	}
	p.ask()
	select {
	case <-p.ended:
		return p.faults()
	case <-time.After(stopWithin):
		p.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM\n%s", p.name, stopWithin, p.log.tail())
	}
}

// ask asks the process to end, once: a second signal would end it at once.
func (p *process) ask() {
	p.asked.Do(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }) // it may end at this moment
}

// kill ends the process as a power failure would.
func (p *process) kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

var crash = regexp.MustCompile(`(?m)^(panic:|fatal error:|WARNING: DATA RACE)`)

// faults is what an ended process did wrong: races, panics, a bad exit.
func (p *process) faults() error {
	p.mu.Lock()
	killed := p.killed
	p.mu.Unlock()
	text := p.log.String()
	if at := crash.FindStringIndex(text); at != nil {
		return fmt.Errorf("%s:\n%s", p.name, text[at[0]:min(len(text), at[0]+8000)])
	}
	code := p.cmd.ProcessState.ExitCode()
	if killed || code == 0 {
		return nil
	}
	if !p.ours && code == 1 { // nats-server's answer to SIGTERM
		return nil
	}
	return fmt.Errorf("%s ended with status %d\n%s", p.name, code, p.log.tail())
}

// exit waits for a process that ends by itself.
func (p *process) exit() (code int, stdout, stderr string, err error) {
	select {
	case <-p.ended:
	case <-time.After(readyWithin):
		p.kill()
		return 0, "", "", fmt.Errorf("%s did not end by itself\n%s", p.name, p.log.tail())
	}
	p.mu.Lock()
	p.killed = true // its status is for the story to judge
	p.mu.Unlock()
	return p.cmd.ProcessState.ExitCode(), p.out.String(), p.log.String(), nil
}

// says waits until the process has written something of this form, and returns its groups.
func (p *process) says(t *transcript, form *regexp.Regexp) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	found, err := t.await(ctx, form)
	if err != nil {
		return nil, fmt.Errorf("%s never said %s: %w\n%s", p.name, form, err, p.log.tail())
	}
	return found, nil
}

// transcript keeps what a process writes, and wakes who waits for a line of it.
type transcript struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
	closed  bool
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	close(t.changed)
	t.changed = make(chan struct{})
	return len(b), nil
}

func (t *transcript) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// tail is the end of a transcript, for the report of a fault.
func (t *transcript) tail() string {
	text := t.String()
	return text[max(0, len(text)-4000):]
}

var errSilent = errors.New("the process ended")

func (t *transcript) await(ctx context.Context, form *regexp.Regexp) ([]string, error) {
	for {
		t.mu.Lock()
		text, changed, closed := t.text.String(), t.changed, t.closed
		t.mu.Unlock()
		if found := form.FindStringSubmatch(text); found != nil {
			return found, nil
		}
		if closed {
			return nil, errSilent
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
