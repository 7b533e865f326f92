package scenario_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecureAuthPageRunsAsItStands(t *testing.T) {
	t.Parallel()
	s, dir := settled(t)
	writtenPage{file: "secureauth.md", commands: 10, answers: 10, fault: `"invalid"`, told: func(answer any, text string) any {
		if strings.Contains(text, `"app_key"`) {
			return told(t, answer, text)
		}
		return answer
	}}.Runs(s, dir)
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
