package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// document is what the page shows.
type document struct {
	Title, Version, Summary, License string
	Text                             []block
	Groups                           []*group
	Problems                         []problem
	Stylesheet, Script               string
}

type group struct {
	Anchor, Name string
	Text         []block
	Operations   []operation
}

type operation struct {
	Anchor, Method, Path, Summary string
	Text                          []block
	Open                          bool // needs no credential
	Parameters                    []field
	Body                          *body
	Requests                      []request
	Responses                     []response
	Faults                        []response
}

type body struct {
	Anchor   string
	Media    []string
	Required bool
	Text     []block
	Fields   []field
}

// request is a complete line for a terminal.
type request struct{ Title, Curl string }

type response struct {
	Anchor, Status, Name string
	Text                 []block
	Media                []string
	Headers, Fields      []field
	Example              string
}

type problem struct {
	Code, Title string
	Text        []block
}

// reader turns the document into what the page shows.
type reader struct {
	spec     tree
	problems map[string]bool
}

var methods = []string{"get", "post", "put", "patch", "delete", "head", "options"}

func (r *reader) read() (*document, error) {
	info := r.spec.get("info")
	codes := r.spec.get("components").get("schemas").get("ProblemCode").get("oneOf").list()
	r.problems = map[string]bool{}
	for _, c := range codes {
		r.problems[c.get("const").text()] = true
	}
	d := &document{
		Title: info.get("title").text(), Version: info.get("version").text(), Summary: info.get("summary").text(),
		License: info.get("license").get("name").text(), Text: r.prose(info.get("description").text()),
	}
	for _, c := range codes {
		d.Problems = append(d.Problems, problem{c.get("const").text(), c.get("title").text(), r.prose(c.get("description").text())})
	}
	for _, tag := range r.spec.get("tags").list() {
		d.Groups = append(d.Groups, &group{
			Anchor: "group-" + slug(tag.get("name").text()), Name: tag.get("name").text(), Text: r.prose(tag.get("description").text()),
		})
	}
	for _, path := range r.spec.get("paths").pairs() {
		for _, p := range path.value.pairs() {
			if !slices.Contains(methods, p.key) {
				continue
			}
			op := r.operation(path.key, path.value, p.key, p.value)
			g := d.group(p.value.get("tags").texts())
			g.Operations = append(g.Operations, op)
		}
	}
	d.Groups = slices.DeleteFunc(d.Groups, func(g *group) bool { return len(g.Operations) == 0 })
	if len(d.Groups) == 0 {
		return nil, fmt.Errorf("read OpenAPI document: no operations")
	}
	return d, nil
}

func (d *document) group(tags []string) *group {
	name := "Other"
	if len(tags) > 0 {
		name = tags[0]
	}
	for _, g := range d.Groups {
		if g.Name == name {
			return g
		}
	}
	g := &group{Anchor: "group-" + slug(name), Name: name}
	d.Groups = append(d.Groups, g)
	return g
}

func (r *reader) operation(path string, item tree, method string, t tree) operation {
	anchor := t.get("operationId").text()
	if anchor == "" {
		anchor = slug(method + path)
	}
	op := operation{
		Anchor: anchor, Method: strings.ToUpper(method), Path: path,
		Summary: t.get("summary").text(), Text: r.prose(t.get("description").text()), Open: r.open(t),
	}
	if op.Summary == "" {
		op.Summary = op.Method + " " + op.Path
	}
	examples := map[string]string{}
	var query, headers []string
	for _, p := range append(item.get("parameters").list(), t.get("parameters").list()...) {
		name, where, schema := p.get("name").text(), p.get("in").text(), p.get("schema")
		f := r.field(anchor, name, schema, p.get("required").yes(), p.get("description").text())
		f.Where, f.Example = where, plain(f.Example)
		op.Parameters = append(op.Parameters, f)
		value := plain(example(schema, 0))
		switch {
		case where == "path":
			examples[name] = value
		case where == "query" && (f.Required || name == "wait"):
			query = append(query, name+"="+url.QueryEscape(value))
		case where == "header" && f.Required:
			headers = append(headers, name+": "+value)
		}
	}
	if b := t.get("requestBody"); b.exists() {
		op.Body = r.body(anchor, b)
	}
	call := curl{method: op.Method, target: fill(path, examples, query), headers: headers, open: op.Open}
	op.Requests = call.requests(t)
	for _, p := range t.get("responses").pairs() {
		res := r.response(anchor, p.key, p.value)
		if p.key >= "4" && p.key != "default" {
			op.Faults = append(op.Faults, res)
		} else {
			op.Responses = append(op.Responses, res)
		}
	}
	return op
}

// open tells whether an operation works without a credential.
func (r *reader) open(t tree) bool {
	needs := t.get("security")
	if !needs.exists() {
		needs = r.spec.get("security")
	}
	return len(needs.list()) == 0
}

func (r *reader) body(anchor string, t tree) *body {
	b := &body{Anchor: anchor + "-body", Required: t.get("required").yes(), Text: r.prose(t.get("description").text())}
	for i, media := range t.get("content").pairs() {
		b.Media = append(b.Media, media.key)
		if i == 0 {
			schema := media.value.get("schema")
			b.Fields = r.fields(b.Anchor, "", schema, 0)
			if len(b.Text) == 0 {
				b.Text = r.prose(schema.get("description").text())
			}
		}
	}
	return b
}

func (r *reader) response(anchor, status string, t tree) response {
	res := response{Anchor: anchor + "-" + status, Status: status, Text: r.prose(t.get("description").text())}
	if code, err := strconv.Atoi(status); err == nil {
		res.Name = http.StatusText(code)
	}
	for _, h := range t.get("headers").pairs() {
		f := r.field(res.Anchor, h.key, h.value.get("schema"), false, h.value.get("description").text())
		f.Example = plain(f.Example)
		res.Headers = append(res.Headers, f)
	}
	for i, media := range t.get("content").pairs() {
		res.Media = append(res.Media, media.key)
		if i > 0 {
			continue
		}
		schema := media.value.get("schema")
		res.Fields = r.fields(res.Anchor, "", schema, 0)
		value := example(schema, 0)
		for _, named := range media.value.get("examples").pairs() {
			value = named.value.get("value").json()
			break
		}
		res.Example = pretty(value, media.key)
	}
	return res
}

func (r *reader) isProblemCode(schema tree) bool {
	all := schema.get("oneOf").list()
	return len(all) > 0 && r.problems[all[0].get("const").text()]
}

// pretty is an example for the eye; what is no JSON is shown as the text it is.
func pretty(value, media string) string {
	if !strings.Contains(media, "json") {
		return strings.TrimRight(plain(value), "\n")
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(value), "", "  "); err != nil {
		return value
	}
	return b.String()
}

// plain is the text of a JSON string, or the JSON as it is.
func plain(value string) string {
	var s string
	if err := json.Unmarshal([]byte(value), &s); err == nil {
		return s
	}
	return value
}
