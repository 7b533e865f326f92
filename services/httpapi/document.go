package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/verification"
)

const robots = "User-agent: *\nDisallow: /l/\nDisallow: /enrol/\nDisallow: /sandbox\nDisallow: /v1/\nDisallow: /callbacks/\n"

// explanation is what the API document says about a problem.
type explanation struct {
	title string // one sentence
	text  string // cause and fix
}

// readDocument turns the API document into JSON, its keys in their order, and picks out what it says
// about each problem, so that titles and explanations stand in one place.
func readDocument(spec []byte) (document []byte, problems map[api.ProblemCode]explanation, err error) {
	var root yaml.Node
	if err := yaml.Unmarshal(spec, &root); err != nil {
		return nil, nil, fmt.Errorf("read api document: %w", err)
	}
	var b bytes.Buffer
	if err := writeNode(&b, &root); err != nil {
		return nil, nil, fmt.Errorf("read api document: %w", err)
	}
	var parts struct {
		Components struct {
			Schemas map[string]struct {
				OneOf []struct{ Const, Description string }
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &parts); err != nil {
		return nil, nil, fmt.Errorf("read api document: %w", err)
	}
	problems = map[api.ProblemCode]explanation{}
	for _, p := range parts.Components.Schemas["ProblemCode"].OneOf {
		title, text, found := strings.Cut(p.Description, ". ")
		if !found || !api.ProblemCode(p.Const).Valid() {
			return nil, nil, fmt.Errorf("read api document: problem %q is not explained", p.Const)
		}
		problems[api.ProblemCode(p.Const)] = explanation{title, text}
	}
	return b.Bytes(), problems, nil
}

// writeNode writes a YAML node as JSON.
func writeNode(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.DocumentNode:
		return writeNode(b, n.Content[0])
	case yaml.MappingNode:
		b.WriteByte('{')
		first := true
		for i := 0; i < len(n.Content); i += 2 {
			if strings.HasPrefix(n.Content[i].Value, "x-") {
				continue // a hint for the generator of our own code
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			b.WriteString(quoted(n.Content[i].Value))
			b.WriteByte(':')
			if err := writeNode(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeNode(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!int", "!!float", "!!bool":
			b.WriteString(n.Value)
		case "!!null":
			b.WriteString("null")
		default:
			b.WriteString(quoted(n.Value))
		}
		return nil
	default: // an alias would need resolving, and the document has none
		return errors.New("unexpected node in line " + strconv.Itoa(n.Line))
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(b)
}

func serveBytes(media, cache string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.Header().Set("Cache-Control", cache)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // a client that left is no fault of ours
	}
}

// explainProblem is where the type of a problem leads to.
func (s *Server) explainProblem(w http.ResponseWriter, r *http.Request) {
	code := api.ProblemCode(r.PathValue("code"))
	e, ok := s.titles[code]
	if !ok {
		s.fail(w, r, verification.ErrNotFound)
		return
	}
	text := e.title + "\n" + string(code) + ", HTTP " + strconv.Itoa(statusOf(code)) + "\n\n" +
		strings.Replace(e.text, " Fix: ", "\nFix: ", 1) + "\n"
	serveBytes("text/plain; charset=utf-8", "public, max-age=300", []byte(text))(w, r)
}
