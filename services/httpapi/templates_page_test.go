package httpapi_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryExampleOfTheTemplatesPageWorks sends each request of the page; what the page shows after it is part of the answer.
func TestEveryExampleOfTheTemplatesPageWorks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/templates.md")
	require.NoError(t, err)
	examples := regexp.MustCompile("(?s)```http\n(\\S+) (\\S+)\n(.*?)```\n```json\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, examples, strings.Count(string(page), "```http"), "each request has its answer")
	require.NotEmpty(t, examples)
	b := withTemplates(t)
	for _, x := range examples {
		a := b.do(call{method: x[1], path: x[2], body: strings.TrimSpace(x[3])})
		var got, want any
		a.json(t, &got)
		require.NoError(t, json.Unmarshal([]byte(x[4]), &want), x[4])
		requirePart(t, want, got, x[1]+" "+x[2])
	}
}

// requirePart holds what is shown against what there is, which may be more.
func requirePart(t *testing.T, want, got any, at string) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		require.True(t, ok, at)
		for key, value := range w {
			requirePart(t, value, g[key], at+"/"+key)
		}
	case []any:
		g, ok := got.([]any)
		require.True(t, ok, at)
		require.Len(t, g, len(w), at)
		for i := range w {
			requirePart(t, w[i], g[i], at)
		}
	default:
		require.Equal(t, want, got, at)
	}
}
