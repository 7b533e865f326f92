package reference

import (
	"slices"
	"strings"
)

// field is one parameter, header or property as people read it.
type field struct {
	Anchor   string
	Name     string
	Where    string // of a parameter: path, query, header
	Type     string
	Required bool
	Limits   []string
	Values   []string
	Default  string
	Example  string
	Text     []block
}

// maxDepth is how deep objects within objects are listed.
const maxDepth = 4

func (r *reader) field(anchor, name string, schema tree, required bool, description string) field {
	if description == "" {
		description = schema.get("description").text()
	}
	f := field{
		Anchor: anchor + "-" + slug(name), Name: name, Type: typeOf(schema), Required: required,
		Limits: limits(schema), Text: r.prose(description),
	}
	for _, v := range schema.get("enum").list() {
		f.Values = append(f.Values, v.json())
	}
	if !r.isProblemCode(schema) {
		for _, one := range schema.get("oneOf").list() {
			if c := one.get("const"); c.exists() {
				f.Values = append(f.Values, c.json())
			}
		}
	}
	if d := schema.get("default"); d.exists() {
		f.Default = d.json()
	}
	if e, ok := explicitExample(schema); ok && len(f.Values) == 0 {
		f.Example = e.json()
	}
	return f
}

// fields lists the properties of an object, those of inner objects after their own with a dotted name.
func (r *reader) fields(anchor, prefix string, schema tree, depth int) []field {
	if depth > maxDepth {
		return nil
	}
	if items := schema.get("items"); items.exists() {
		return r.fields(anchor, strings.TrimSuffix(prefix, ".")+"[].", items, depth+1)
	}
	var all []field
	for _, part := range schema.get("allOf").list() {
		all = append(all, r.fields(anchor, prefix, part, depth+1)...)
	}
	required := schema.get("required").texts()
	for _, p := range schema.get("properties").pairs() {
		name := prefix + p.key
		all = append(all, r.field(anchor, name, p.value, slices.Contains(required, p.key), ""))
		if p.value.get("properties").exists() || p.value.get("items").get("properties").exists() {
			all = append(all, r.fields(anchor, name+".", p.value, depth+1)...)
		}
	}
	return all
}

func typeOf(schema tree) string {
	types := schema.get("type").texts()
	if items := schema.get("items"); items.exists() {
		return "list of " + typeOf(items)
	}
	if len(types) == 0 {
		switch {
		case schema.get("properties").exists() || schema.get("allOf").exists():
			types = []string{"object"}
		case schema.get("const").exists():
			types = []string{"constant"}
		case schema.get("oneOf").exists() || schema.get("anyOf").exists():
			types = []string{"one of several"}
		default:
			return "anything"
		}
	}
	t := strings.Join(types, " or ")
	switch schema.get("format").text() {
	case "":
	case "date-time":
		t += ", a time (RFC 3339)"
	default:
		t += " (" + schema.get("format").text() + ")"
	}
	if values := schema.get("additionalProperties"); values.get("type").exists() {
		t += " of " + typeOf(values) + "s"
	}
	return t
}

func limits(schema tree) []string {
	var all []string
	span := func(low, high, unit string) {
		from, to := schema.get(low).text(), schema.get(high).text()
		switch {
		case from != "" && to != "":
			all = append(all, strings.TrimSpace(from+" to "+to+" "+unit))
		case from != "":
			all = append(all, strings.TrimSpace("at least "+from+" "+unit))
		case to != "":
			all = append(all, strings.TrimSpace("at most "+to+" "+unit))
		}
	}
	span("minimum", "maximum", "")
	span("minLength", "maxLength", "characters")
	span("minItems", "maxItems", "items")
	span("minProperties", "maxProperties", "entries")
	if over := schema.get("exclusiveMinimum").text(); over != "" {
		all = append(all, "more than "+over)
	}
	if under := schema.get("exclusiveMaximum").text(); under != "" {
		all = append(all, "less than "+under)
	}
	if pattern := schema.get("pattern").text(); pattern != "" {
		all = append(all, "matches "+pattern)
	}
	return all
}

// explicitExample is the example that a schema gives itself.
func explicitExample(schema tree) (tree, bool) {
	if all := schema.get("examples").list(); len(all) > 0 {
		return all[0], true
	}
	if e := schema.get("example"); e.exists() {
		return e, true
	}
	return tree{}, false
}

// example is a value of the schema as JSON: its own example, or one made of its parts.
func example(schema tree, depth int) string {
	if e, ok := explicitExample(schema); ok {
		return e.json()
	}
	for _, key := range []string{"const", "default"} {
		if v := schema.get(key); v.exists() {
			return v.json()
		}
	}
	for _, key := range []string{"enum", "oneOf", "anyOf"} {
		if all := schema.get(key).list(); len(all) > 0 {
			if key == "enum" {
				return all[0].json()
			}
			return example(all[0], depth+1)
		}
	}
	if items := schema.get("items"); items.exists() {
		return "[" + example(items, depth+1) + "]"
	}
	members := exampleMembers(schema, depth)
	switch {
	case len(members) > 0 || slices.Contains(schema.get("type").texts(), "object"):
		return "{" + strings.Join(members, ",") + "}"
	case slices.Contains(schema.get("type").texts(), "integer"), slices.Contains(schema.get("type").texts(), "number"):
		return "1"
	case slices.Contains(schema.get("type").texts(), "boolean"):
		return "true"
	default:
		return `"…"`
	}
}

func exampleMembers(schema tree, depth int) []string {
	if depth > maxDepth {
		return nil
	}
	var members []string
	for _, part := range schema.get("allOf").list() {
		members = append(members, exampleMembers(part, depth+1)...)
	}
	for _, p := range schema.get("properties").pairs() {
		members = append(members, quote(p.key)+":"+example(p.value, depth+1))
	}
	return members
}

// slug makes a name fit for an anchor.
func slug(s string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.':
			return c
		default:
			return '-'
		}
	}, s), "-")
}
