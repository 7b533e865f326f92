package scenario_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The page for those who come from OneLogin is run as it stands, so that it cannot lie.
const (
	guide       = "../../docs/onelogin.md"
	guideBase   = "http://127.0.0.1:8080"
	guideNumber = "+14155550100"
	guideWithin = 2 * time.Minute
)

// block is one piece of the page: of shell, JSON or Go, or what a person does meanwhile.
type block struct{ language, text string }

var blocks = regexp.MustCompile("(?sm)^```(sh|json|go)\n(.*?)^```$|^<!-- (.*?) -->$")

func readPage(t *testing.T) (found []block) {
	t.Helper()
	b, err := os.ReadFile(guide)
	require.NoError(t, err)
	for _, m := range blocks.FindAllStringSubmatch(string(b), -1) {
		if m[1] == "" {
			found = append(found, block{"person", m[3]})
			continue
		}
		found = append(found, block{m[1], m[2]})
	}
	return found
}

// settled is a system as `make up` leaves it for a reader: its first credential lies in assent-data.
func settled(t *testing.T) (s *story, dir string) {
	t.Helper()
	dir = t.TempDir()
	up, err := startUpAt("127.0.0.1:0", filepath.Join(dir, "assent-data"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, up.stop()) })
	return &story{up, t}, dir
}

func TestOneLoginPageRunsAsItStands(t *testing.T) {
	t.Parallel()
	s, dir := settled(t)
	writtenPage{file: "onelogin.md", commands: 10, answers: 8}.Runs(s, dir)
}

// shell is a reader's terminal.
type shell struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// newShell starts one in a directory, with the program on its PATH.
func newShell(t *testing.T, dir string) *shell {
	t.Helper()
	program, err := house.assent()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), guideWithin)
	cmd := exec.CommandContext(ctx, "sh")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // the shell ends with its input
		cancel()
		_ = cmd.Wait() // how it ended is seen by what it printed
	})
	return &shell{t, in, bufio.NewReader(out)}
}

// runs types a block, and returns what it printed once it is through.
func (s *shell) runs(block string) string {
	s.t.Helper()
	const done = "the block is through"
	_, err := fmt.Fprintf(s.in, "set -eu\n%s\nprintf '\\n%s\\n'\n", block, done)
	require.NoError(s.t, err)
	var printed strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		require.NoError(s.t, err, "the shell ended in this block:\n%s\nafter it had printed:\n%s", block, printed.String()+line)
		if strings.TrimSpace(line) == done {
			return printed.String()
		}
		printed.WriteString(line)
	}
}

// ana is the person of the page.
type ana struct {
	s    *story
	seen string // the message that she read last
}

var shown = regexp.MustCompile(`code=123456 +# what Ana's phone shows`)

// fills the code from her phone in where the page leaves it to the reader.
func (a *ana) fills(block string) string {
	a.s.t.Helper()
	return shown.ReplaceAllStringFunc(block, func(string) string {
		var m message
		eventually(a.s.t, "Ana's phone shows another code", func() bool {
			found := a.s.Messages(guideNumber)
			if len(found) > 0 {
				m = found[0]
			}
			return m.ID != a.seen
		})
		a.seen = m.ID
		return "code=" + m.Code
	})
}

// does what the page says between its blocks.
func (a *ana) does(what string) {
	a.s.t.Helper()
	require.Equal(a.s.t, "Ana opens the mail to ana@example.com and presses Approve.", what)
	Opens(a.s.t, a.s.Message("ana@example.com").Link).Presses("Approve")
}

// lastJSON is the last answer among what was printed.
func lastJSON(t *testing.T, printed string) any {
	t.Helper()
	start := strings.LastIndex(printed, "\n{")
	if list := strings.LastIndex(printed, "\n["); list > start {
		start = list
	}
	// Answers of curl stand side by side, without a line break between them.
	decoder := json.NewDecoder(strings.NewReader(printed[max(0, start):]))
	var last any
	for {
		var v any
		if err := decoder.Decode(&v); err != nil {
			require.ErrorIs(t, err, io.EOF, "what was printed: %s", printed)
			break
		}
		last = v
	}
	require.NotNil(t, last, "no answer among: %s", printed)
	return last
}

// sameForm expects an answer to have the fields of the page's, each of the same type, and the same
// words where they hold no digits; what holds digits differs from run to run.
func sameForm(t *testing.T, got any, written string) {
	t.Helper()
	var want any
	require.NoError(t, json.Unmarshal([]byte(written), &want), "the page shows: %s", written)
	require.Equal(t, formOf(want), formOf(got))
}

func formOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		form := map[string]any{}
		for name, value := range v {
			form[name] = formOf(value)
		}
		return form
	case []any:
		form := []any{}
		for _, value := range v {
			form = append(form, formOf(value))
		}
		return form
	case string:
		if strings.ContainsAny(v, "0123456789") {
			return "a string with digits"
		}
		return v
	case float64:
		if v >= 1000 {
			return "a number"
		}
		return v
	default:
		return v
	}
}

func TestOneLoginPagesGoProgramRuns(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, b := range readPage(t) {
		if b.language == "go" {
			source.WriteString(b.text + "\n")
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "onelogin.go")
	require.NoError(t, os.WriteFile(file, []byte(source.String()), 0o600))
	sample, err := build(dir, "sample", file)
	require.NoError(t, err)

	s := Together(t)
	t.Run("mail", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		ana := s.Tenant().Has(somebody(), nil)
		p := starts(ana, sample, "mail", nil)
		Opens(t, s.Message(ana.mailbox).Link).Presses("Approve")
		p.ends("accepted")
	})
	t.Run("phone", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		ana := s.Tenant().Has(somebody(), nil)
		p := starts(ana, sample, "phone", nil)
		s.Joins(p.says(`activation code (\S+)`)).Answers("approve")
		p.ends("accepted")
	})
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		s := s.in(t)
		ana := s.Tenant().Has(somebody(), nil)
		typed, keyboard := io.Pipe()
		p := starts(ana, sample, "text", typed)
		code := s.Message(ana.number).Code
		_, err := io.WriteString(keyboard, wrong(code)+"\n"+code+"\n")
		require.NoError(t, err)
		require.NoError(t, keyboard.Close())
		p.ends("accepted")
	})
}

// program is the page's Go program at work.
type program struct {
	t     *testing.T
	out   *transcript
	ended chan error
}

func starts(u account, path, workflow string, in io.Reader) *program {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), guideWithin)
	u.t.Cleanup(cancel)
	p := &program{u.t, newTranscript(), make(chan error, 1)}
	cmd := exec.CommandContext(ctx, path, u.base, u.system.id, u.secret, number(u.id), workflow)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, p.out, p.out
	require.NoError(u.t, cmd.Start())
	go func() { p.ended <- cmd.Wait() }()
	return p
}

// says waits until the program has printed something of this form, and returns its group.
func (p *program) says(form string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), guideWithin)
	defer cancel()
	found, err := p.out.await(ctx, regexp.MustCompile(form))
	require.NoError(p.t, err, "it printed: %s", p.out)
	return found[1]
}

// ends waits for the end of the program, and expects its last word.
func (p *program) ends(word string) {
	p.t.Helper()
	require.NoError(p.t, <-p.ended, "it printed: %s", p.out)
	require.True(p.t, strings.HasSuffix(strings.TrimSpace(p.out.String()), word), "it printed: %s", p.out)
}
