package scenario_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

// writtenPage is a page of the documentation that is run as it stands, so that it cannot lie.
type writtenPage struct {
	file string
	// commands and answers are how many blocks of each kind it has at least.
	commands, answers int
	// differs is what differs from one run to the next; nil: nothing that sameForm does not know.
	differs *regexp.Regexp
	// fault is in what a command printed that was refused; empty: a problem's code.
	fault string
	// told is what the page tells of an answer; nil: all.
	told func(answer any, text string) any
	// after is called once a block was run or compared, with what the last command printed; may be nil.
	after func(language, text, output string)
}

// Runs runs the page's commands in a shell of the directory, and compares each answer that it shows with what was printed
// last, which it returns.
func (p writtenPage) Runs(s *story, dir string) (output string) {
	s.t.Helper()
	written, err := os.ReadFile(filepath.Join("../../docs", p.file))
	require.NoError(s.t, err)
	reader, person, fault := newShell(s.t, dir), ana{s: s}, cmp.Or(p.fault, `"code":"`)
	same := func(text string) string {
		if p.differs == nil {
			return text
		}
		return p.differs.ReplaceAllString(text, "/same")
	}
	ran, compared := 0, 0
	for _, m := range blocks.FindAllStringSubmatch(string(written), -1) {
		language, text := m[1], strings.ReplaceAll(m[2], guideBase, s.base)
		switch language {
		case "sh":
			output = reader.runs(person.fills(text))
			require.NotContains(s.t, output, fault, "what this block printed: %s", text)
			ran++
		case "json":
			answer := lastJSON(s.t, same(output))
			if p.told != nil {
				answer = p.told(answer, text)
			}
			sameForm(s.t, answer, same(text))
			compared++
		case "":
			person.does(m[3])
		}
		if p.after != nil {
			p.after(language, text, output)
		}
	}
	require.GreaterOrEqual(s.t, ran, p.commands, "the page has lost its shell blocks")
	require.GreaterOrEqual(s.t, compared, p.answers, "the page has lost its answers")
	return output
}
