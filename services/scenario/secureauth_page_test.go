package scenario_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page for those who come from SecureAuth is run as it stands, so that it cannot lie.
const secureGuide = "../../docs/secureauth.md"

func TestSecureAuthPageRunsAsItStands(t *testing.T) {
	t.Parallel()
	written, err := os.ReadFile(secureGuide)
	require.NoError(t, err)
	s, dir := settled(t)
	reader := newShell(t, dir)
	person := ana{s: s}
	var output string
	ran, compared := 0, 0
	for _, m := range blocks.FindAllStringSubmatch(string(written), -1) {
		switch language, text, happens := m[1], m[2], m[3]; language {
		case "sh":
			output = reader.runs(person.fills(strings.ReplaceAll(text, guideBase, s.base)))
			require.NotContains(t, output, `"invalid"`, "what this block printed: %s", text)
			ran++
		case "json":
			got := lastJSON(t, output)
			if strings.Contains(text, `"app_key"`) {
				got = told(t, got, text)
			}
			sameForm(t, got, text)
			compared++
		case "":
			person.does(happens)
		}
	}
	require.GreaterOrEqual(t, ran, 10, "the page has lost its shell blocks")
	require.GreaterOrEqual(t, compared, 10, "the page has lost its answers")
}

// told is an answer without the settings that the page leaves to its table.
func told(t *testing.T, got any, written string) any {
	t.Helper()
	var page struct{ Settings map[string]any }
	require.NoError(t, json.Unmarshal([]byte(written), &page))
	made, ok := got.(map[string]any)
	require.True(t, ok)
	settings, ok := made["settings"].(map[string]any)
	require.True(t, ok)
	for name := range settings {
		if _, shown := page.Settings[name]; !shown {
			delete(settings, name)
		}
	}
	return got
}
