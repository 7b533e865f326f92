package scenario_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(tell(m)) }

// sideBySide is how many stories run at once: most of them wait for something, but each start of a process computes for seconds.
const sideBySide = "10"

func tell(m *testing.M) int {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel != nil && parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(sideBySide); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "assent-scenario-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	house = newStage(dir)
	code := m.Run()
	if err := house.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// house is where all stories of one test run play. TestMain makes it and clears it away.
var house *stage

// stage builds the programs once, keeps account of every process, and shares two systems between
// the stories that change nothing for each other.
type stage struct {
	dir        string
	assent     func() (string, error) // path of the program
	natsServer func() (string, error)
	together   func() (*system, error) // one `assent up`
	apart      func() (*system, error) // a process for each role
	people     atomic.Int64
	addresses  atomic.Int64

	mu        sync.Mutex
	processes []*process
}

func newStage(dir string) *stage {
	s := &stage{dir: dir}
	s.assent = sync.OnceValues(func() (string, error) {
		args := []string{}
		if raced {
			args = append(args, "-race")
		}
		return build(dir, "assent", "github.com/assent-io/assent/services/cmd/assent", args...)
	})
	s.natsServer = sync.OnceValues(func() (string, error) {
		return build(dir, "nats-server", "github.com/nats-io/nats-server/v2")
	})
	s.together = sync.OnceValues(func() (*system, error) {
		if running := elsewhere(); running != nil {
			return running, nil
		}
		return startUp(s.folder("up"))
	})
	s.apart = sync.OnceValues(func() (*system, error) { return startApart(s.folder("apart"), 2) })
	return s
}

const buildTimeout = 5 * time.Minute

func build(dir, name, pkg string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	path := filepath.Join(dir, name)
	args = append(append([]string{"build", "-o", path}, args...), pkg)
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, output.String())
	}
	return path, nil
}

// folder is a new directory that outlives the test that asks for it.
func (s *stage) folder(name string) string {
	dir, err := os.MkdirTemp(s.dir, name+"-")
	if err != nil {
		panic(err) // the directory above was made a moment ago
	}
	return dir
}

func (s *stage) enter(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
}

// close ends what still runs, as an operator would, and reports what went wrong in any process.
func (s *stage) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wg sync.WaitGroup
	faults := make([]error, len(s.processes))
	for i, p := range s.processes {
		if p.ours { // brokers end after those who speak to them
			wg.Go(func() { faults[i] = p.stop() })
		}
	}
	wg.Wait()
	for i, p := range s.processes {
		if !p.ours {
			faults[i] = p.stop()
		}
	}
	return errors.Join(faults...)
}
