package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tree is one place in the OpenAPI document. It keeps the order in which things were written,
// because that is the order in which people should read them.
type tree struct {
	root *yaml.Node
	node *yaml.Node // nil: absent
}

func parse(spec []byte) (tree, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(spec, &doc); err != nil {
		return tree{}, fmt.Errorf("read OpenAPI document: %w", err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return tree{}, errors.New("read OpenAPI document: not a mapping")
	}
	t := tree{doc.Content[0], doc.Content[0]}
	if version := t.get("openapi").text(); !strings.HasPrefix(version, "3.") {
		return tree{}, fmt.Errorf("read OpenAPI document: version %q is not supported", version)
	}
	return t, t.checkRefs(t.node)
}

// checkRefs finds references that lead nowhere at the start, not when somebody reads the page.
func (t tree) checkRefs(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		if ref := (tree{t.root, n}).own("$ref"); ref != nil && ref.Kind == yaml.ScalarNode {
			if t.lookup(ref.Value) == nil {
				return fmt.Errorf("read OpenAPI document: line %d: nothing at %q", ref.Line, ref.Value)
			}
		}
	}
	for _, c := range n.Content {
		if err := t.checkRefs(c); err != nil {
			return err
		}
	}
	return nil
}

func (t tree) lookup(ref string) *yaml.Node {
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return nil
	}
	at := tree{t.root, t.root}
	for name := range strings.SplitSeq(path, "/") {
		at.node = at.own(strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
	}
	return at.node
}

// own is the value of a key of this very mapping.
func (t tree) own(key string) *yaml.Node {
	if t.node == nil {
		return nil
	}
	n := t.node
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// maxHops ends a circle of references.
const maxHops = 8

// get is the value of a key, looked for beside a reference first and then behind it.
func (t tree) get(key string) tree {
	for range maxHops {
		if v := t.own(key); v != nil {
			return tree{t.root, v}
		}
		ref := t.own("$ref")
		if ref == nil {
			break
		}
		t.node = t.lookup(ref.Value)
	}
	return tree{t.root, nil}
}

// resolved is what a reference leads to, or the place itself.
func (t tree) resolved() tree {
	for range maxHops {
		ref := t.own("$ref")
		if ref == nil {
			break
		}
		t.node = t.lookup(ref.Value)
	}
	return t
}

func (t tree) exists() bool { return t.node != nil }

func (t tree) text() string {
	if t.node == nil || t.node.Kind != yaml.ScalarNode {
		return ""
	}
	return t.node.Value
}

func (t tree) yes() bool { return t.text() == "true" }

type pair struct {
	key   string
	value tree
}

func (t tree) pairs() []pair {
	t = t.resolved()
	if t.node == nil || t.node.Kind != yaml.MappingNode {
		return nil
	}
	var all []pair
	for i := 0; i+1 < len(t.node.Content); i += 2 {
		all = append(all, pair{t.node.Content[i].Value, tree{t.root, t.node.Content[i+1]}})
	}
	return all
}

func (t tree) list() []tree {
	if t.node == nil || t.node.Kind != yaml.SequenceNode {
		return nil
	}
	all := make([]tree, len(t.node.Content))
	for i, n := range t.node.Content {
		all[i] = tree{t.root, n}
	}
	return all
}

// texts is a list of words; a single word reads as a list of one.
func (t tree) texts() []string {
	if s := t.text(); s != "" {
		return []string{s}
	}
	var all []string
	for _, e := range t.list() {
		all = append(all, e.text())
	}
	return all
}

// json writes a value of the document as JSON, in the document's order.
func (t tree) json() string {
	var b strings.Builder
	t.writeJSON(&b)
	return b.String()
}

func (t tree) writeJSON(b *strings.Builder) {
	if t.node == nil {
		b.WriteString("null")
		return
	}
	switch t.node.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i, p := range t.pairs() {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(p.key) + ":")
			p.value.writeJSON(b)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, e := range t.list() {
			if i > 0 {
				b.WriteByte(',')
			}
			e.writeJSON(b)
		}
		b.WriteByte(']')
	case yaml.AliasNode:
		tree{t.root, t.node.Alias}.writeJSON(b)
	case yaml.DocumentNode, yaml.ScalarNode:
		switch t.node.Tag {
		case "!!int", "!!float", "!!bool", "!!null":
			if json.Valid([]byte(t.node.Value)) {
				b.WriteString(t.node.Value)
				return
			}
		}
		b.WriteString(quote(t.node.Value))
	}
}

// quote is a JSON string that leaves < and & readable; the page's template escapes them.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
