package scenario_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// asked is how many verifications the search is made over.
const asked = 1000

// It is not parallel: it wants the machine to itself for a moment.
func TestNoCodeAndNoLinkCanBeFoundAfterwards(t *testing.T) {
	system, err := startUp(t.TempDir(), "ASSENT_LOG__LEVEL=debug")
	require.NoError(t, err)
	s := &story{system, t}
	people, created := make([]person, asked), make([]api.Verification, asked)
	var wg sync.WaitGroup
	lanes := make(chan struct{}, 32)
	for i := range people {
		people[i] = somebody()
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			q := []question{text(people[i]).Digits(10), call(people[i]).Digits(10), mail(people[i]).Digits(10), mail(people[i]).Link(), text(people[i]).Link()}[i%5]
			a, err := s.ask(t.Context(), http.MethodPost, s.base+"/v1/verifications", q)
			if err == nil {
				_ = json.Unmarshal(a.body, &created[i]) // one without an id fails below
			}
		})
	}
	wg.Wait()
	var inbox []message
	eventually(t, "everything arrives", func() bool {
		inbox = s.messages("", "&limit=2000")
		return len(inbox) == asked
	})
	secrets := map[string]bool{}
	for _, m := range inbox {
		switch {
		case m.Link != "":
			token := m.Link[strings.LastIndexByte(m.Link, '/')+1:]
			require.GreaterOrEqual(t, len(token), 20)
			secrets[token] = true
		default:
			require.Len(t, m.Code, 10, m.Text)
			secrets[m.Code] = true
		}
	}
	require.Len(t, secrets, asked, "all secrets differ")
	// They are used, rightly and wrongly, so that every path that touches them has run.
	used, opened := 0, 0
	for i, v := range created {
		require.NotEmpty(t, v.ID)
		if i%50 >= 5 {
			continue
		}
		to := people[i].number
		if v.Channel == api.ChannelEmail {
			to = people[i].mailbox
		}
		m := s.Message(to)
		if m.Link != "" {
			opened++
			require.Equal(t, http.StatusOK, Opens(t, m.Link).page.status)
			require.Equal(t, http.StatusNotFound, Opens(t, m.Link+"x").page.status)
			continue
		}
		used++
		require.False(t, s.Check(v, wrong(m.Code)).Valid)
		require.True(t, s.Check(v, m.Code).Valid)
	}
	require.Positive(t, used)
	require.Positive(t, opened)
	metrics := s.Call(http.MethodGet, "/metrics", nil)
	require.Equal(t, http.StatusOK, metrics.status)
	require.NoError(t, s.stop())

	places := map[string][]byte{
		"the log": []byte(s.processes[0].log.String()), "standard output": []byte(s.processes[0].out.String()), "the metrics": metrics.body,
	}
	require.NoError(t, filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		places[path] = content
		return err
	}))
	var needles []string
	for secret := range secrets {
		needles = append(needles, secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	for _, p := range people {
		needles = append(needles, p.number, p.mailbox)
	}
	for place, content := range places {
		require.Zero(t, count(content, needles), "%s holds a secret or an address", place)
	}
	// What is known to be there is found in the same way, or the search would prove nothing.
	stored, logged := 0, 0
	ids := make([]string, len(created))
	for i, v := range created {
		ids[i] = v.ID
	}
	for place, content := range places {
		if place == "the log" {
			logged = count(content, ids)
		} else {
			stored += count(content, ids)
		}
	}
	require.GreaterOrEqual(t, stored, asked)
	require.GreaterOrEqual(t, logged, asked)
	total := 0
	for _, content := range places {
		total += len(content)
	}
	t.Logf("%d secrets looked for in %d places, %d KiB", len(secrets), len(places), total>>10)
}

// count is how often any of the needles stands in content. Each has at least ten bytes.
func count(content []byte, needles []string) int {
	const head = 10
	byHead := map[string][]string{}
	for _, n := range needles {
		byHead[n[:head]] = append(byHead[n[:head]], n)
	}
	found := 0
	for i := range max(0, len(content)-head+1) {
		for _, n := range byHead[string(content[i:i+head])] {
			if strings.HasPrefix(string(content[i:min(len(content), i+len(n))]), n) {
				found++
			}
		}
	}
	return found
}
