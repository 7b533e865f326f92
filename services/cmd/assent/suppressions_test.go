package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events/embednats"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/workers/wording"
)

// startAPIOn runs an api process on a broker until the test ends, and returns its address.
func startAPIOn(t *testing.T, server *embednats.Server, data string) string {
	t.Helper()
	listen := freeAddress(t)
	cfg, faults, err := load("", []string{"ASSENT_LOG__LEVEL=error", "ASSENT_DATA=" + data, "ASSENT_LISTEN=" + listen})
	require.NoError(t, err)
	require.Empty(t, faults)
	require.NoError(t, cfg.bootstrap())
	selected, err := rolesNamed([]string{apiRole})
	require.NoError(t, err)
	proc := newProcess(cfg, embednatstest.Connect(t, server), newLogger(cfg.Log, io.Discard))
	proc.ownsTopology = true
	proc.operations(listen)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- proc.run(ctx, selected, func() {}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	require.Eventually(t, func() bool { return status(t, "http://"+listen+"/readyz") == http.StatusOK }, time.Minute, 20*time.Millisecond)
	return "http://" + listen
}

// TestTheListIsManagedFromTheCommandLineAndHeldByAllProcesses has two api processes on one broker.
func TestTheListIsManagedFromTheCommandLineAndHeldByAllProcesses(t *testing.T) {
	t.Parallel()
	server, data := embednatstest.Start(t, t.TempDir()), filepath.Join(t.TempDir(), "data")
	one := startAPIOn(t, server, data)
	two := startAPIOn(t, server, data)
	on := func(base string, args ...string) (string, string, error) {
		return invoke(t, nil, append(append([]string{"suppressions"}, args...), "--base", base, "--data", data)...)
	}
	ask := func(base string) int {
		access := apiAccess{Base: base, Data: data}
		resp, err := access.send(t.Context(), &program{ctx: t.Context()}, http.MethodPost, "/v1/verifications", "application/json",
			strings.NewReader(`{"to":"+14155550123","channel":"sms"}`))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.NotContains(t, string(body), "4155550123")
		return resp.StatusCode
	}
	_, note, err := on(one, "list")
	require.NoError(t, err)
	require.Equal(t, "There are no such entries.\n", note)
	require.Equal(t, http.StatusCreated, ask(two))

	out, _, err := on(one, "add", "+14155550123", "--note", "asked on the phone")
	require.NoError(t, err)
	require.Contains(t, out, "+1••••••0123 gets no messages since ")
	require.Eventually(t, func() bool { return ask(two) == http.StatusUnprocessableEntity }, time.Minute, 5*time.Millisecond)
	require.Equal(t, http.StatusUnprocessableEntity, ask(one))

	out, _, err = on(two, "list", "--to", "+14155550123")
	require.NoError(t, err)
	require.Contains(t, out, "asked on the phone")
	id := strings.Fields(strings.Split(out, "\n")[1])[0]
	_, _, err = on(two, "remove", id)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, ask(one), "a removal counts at once, everywhere")
	_, _, err = on(two, "remove", id)
	require.Error(t, err)

	file := filepath.Join(t.TempDir(), "list.csv")
	require.NoError(t, os.WriteFile(file, []byte("to,note\nana@example.com,left\nnobody,\n"), 0o600))
	out, note, err = on(one, "import", file)
	require.ErrorContains(t, err, "1 of the entries were refused")
	require.Equal(t, "1 added, 0 known before, 1 refused.\n", out)
	require.Contains(t, note, "line 3: to must start with +")
	long := bytes.NewBufferString("to\n")
	for i := range partRows + 500 {
		fmt.Fprintf(long, "ana%d@example.com\n", i)
	}
	long.WriteString("nobody\n")
	require.NoError(t, os.WriteFile(file, long.Bytes(), 0o600))
	out, note, err = on(one, "import", file)
	require.ErrorContains(t, err, "1 of the entries were refused")
	require.Equal(t, "5500 added, 0 known before, 1 refused.\n", out)
	require.Contains(t, note, "line 5502: to must start with +", "more than one request takes goes in parts")
	out, _, err = on(two, "export")
	require.NoError(t, err)
	require.Contains(t, out, "ana@example.com,email,account,,all,imported,")
	require.True(t, strings.HasSuffix(out, "# end\n"))
	exported := out
	for range partRows - strings.Count(exported, "\n") + 2 { // a multiple of what one request takes, and the end
		exported = strings.Replace(exported, "# end\n", "again@example.com,,,,,,,\n# end\n", 1)
	}
	exported = strings.Replace(exported, "# end\n", "# 2 entries could not be opened\n\n# end\n", 1)
	require.NoError(t, os.WriteFile(file, []byte(exported), 0o600))
	_, _, err = on(two, "import", file)
	require.NoError(t, err, "what is left for the last request is empty")
	open := long.String() + "\"left@open.example\nana@example.com\n"
	require.NoError(t, os.WriteFile(file, []byte(open), 0o600))
	_, _, err = on(two, "import", file)
	require.ErrorContains(t, err, "from line 5002 on nothing is imported (0 added before); add 5000 to a line that is named here: ")
	require.ErrorContains(t, err, "has a quote in line 503 that does not close there")
	for _, bad := range [][]string{{"import", "list.txt"}, {"list", "--cause", "x"}, {"list", "--limit", "0"}, {"add", "nobody"}} {
		_, _, err := on(one, bad...)
		require.Error(t, err)
	}
}

func TestAFileIsCutAtTheEndsOfEntries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.SampledFrom([]string{"a@b.c,x\n", "a@b.c,\"two\nlines\"\n", "a@b.c,\"a \"\"quote\"\"\"\r\n", "\n"}), 1, 6).Draw(t, "entries")
		entries = append(entries, "a@b.c,x\n") // parts of blank lines alone are left out
		times := rapid.IntRange(1, 2*partRows).Draw(t, "times")
		head, rows := "to,note\n", strings.Repeat(strings.Join(entries, ""), times/len(entries)+1)+"d@e.f,end"
		lines := strings.Split(head+rows, "\n")
		joined := ""
		for part, err := range importParts("text/csv", strings.NewReader(head+rows)) {
			if err != nil {
				t.Fatal(err)
			}
			body, found := strings.CutPrefix(string(part.body), head)
			if !found || strings.Count(body, `"`)%2 != 0 {
				t.Fatalf("a part is not whole: %q", part.body)
			}
			for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
				if n := part.line(i + 2); lines[n-1] != line {
					t.Fatalf("line %d of a part is not line %d of the file", i+2, n)
				}
			}
			joined += body
		}
		if joined != rows {
			t.Fatal("the parts are not the file")
		}
	})
	for part, err := range importParts("application/json", strings.NewReader("[\n{}\n]")) {
		require.NoError(t, err)
		require.Equal(t, "[\n{}\n]", string(part.body))
		require.Equal(t, 3, part.line(3))
	}
	var firsts []int
	left := "to,note\na@b.c,\"left open\n" + strings.Repeat("a@b.c,x\n", 3*partRows)
	for part, err := range importParts("text/csv", strings.NewReader(left)) {
		require.NoError(t, err)
		require.Less(t, bytes.Count(part.body, []byte{'\n'}), 2*partRows+1, "the server takes no more")
		firsts = append(firsts, part.first)
	}
	require.Equal(t, []int{2, 2*partRows + 1, 3*partRows + 1}, firsts)
	short := 0
	for part, err := range importParts("text/csv", strings.NewReader("to\n")) {
		require.NoError(t, err)
		require.Equal(t, "to\n", string(part.body), "the server says that it holds nothing")
		short++
	}
	require.Equal(t, 1, short)
}

// TestNoWordThatEndsMessagesIsAnAnswer holds two lists side by side that must not know each other.
func TestNoWordThatEndsMessagesIsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, word := range append(suppression.Stops(), suppression.Starts()...) {
		_, answers := wording.Decision(word)
		require.False(t, answers, word)
	}
	for decision, words := range wording.Replies() {
		for _, word := range words {
			require.Empty(t, suppression.KeywordOf(word), "%s: %s", decision, word)
		}
	}
}
