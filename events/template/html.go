package template

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"text/template/parse"
)

// parseHTML hands the pieces to html/template, which finds out in which context each placeholder stands and
// escapes for it. Contexts in which a value could do more than be read are refused: scripts, styles, names of tags
// and attributes.
func (b *Body) parseHTML(pieces []piece, faults *Faults) {
	if len(pieces) == 0 || len(*faults) > 0 {
		return
	}
	if len(pieces) == 1 && pieces[0].name == "" {
		b.plain = pieces[0].literal
		return
	}
	fault := func(at int, detail string) { *faults = append(*faults, Fault{HTML, at, detail}) }
	var places []int // of the placeholders, in their order
	var source strings.Builder
	values := map[string]any{}
	for _, p := range pieces {
		if p.name == "" {
			source.WriteString(p.literal)
			continue
		}
		source.WriteString("{{." + p.name + "}}")
		values[p.name] = ""
		places = append(places, p.at)
	}
	t, err := template.New("").Option("missingkey=error").Parse(source.String())
	if err != nil {
		fault(0, "cannot be read as a template")
		return
	}
	// The first execution escapes the template, or finds that it cannot be.
	if err := t.Execute(&bytes.Buffer{}, values); err != nil {
		fault(0, explain(err))
		return
	}
	for _, node := range t.Tree.Root.Nodes {
		action, ok := node.(*parse.ActionNode)
		if !ok {
			continue
		}
		name, place := context(action)
		at := 0
		if len(places) > 0 {
			at, places = places[0], places[1:]
		}
		switch place {
		case placeText:
		case placeURL:
			if !slices.Contains(b.urls, name) {
				b.urls = append(b.urls, name)
			}
		case placeRefused:
			fault(at, fmt.Sprintf("must not have the placeholder %s in a script, a style, a list of images, or the name of a tag or attribute", name))
		}
	}
	b.html = t
}

// place is where a placeholder stands in HTML.
type place int

const (
	placeText    place = iota // between tags, in an attribute, or within a web address that has begun
	placeURL                  // at the beginning of a web address
	placeRefused              // anywhere else
)

// context reads from the escapers that html/template chose where a placeholder stands. An escaper that is not known
// here refuses the placeholder.
func context(action *parse.ActionNode) (name string, where place) {
	for _, command := range action.Pipe.Cmds {
		switch arg := command.Args[0].(type) {
		case *parse.FieldNode:
			name = arg.Ident[0]
		case *parse.IdentifierNode:
			switch arg.Ident {
			case "_html_template_htmlescaper", "_html_template_attrescaper", "_html_template_nospaceescaper",
				"_html_template_rcdataescaper", "_html_template_urlnormalizer", "_html_template_urlescaper":
			case "_html_template_urlfilter":
				where = max(where, placeURL)
			default:
				where = placeRefused
			}
		}
	}
	return name, where
}

func explain(err error) string {
	var e *template.Error
	if !errors.As(err, &e) {
		return "cannot be read as HTML"
	}
	switch e.ErrorCode {
	case template.ErrEndContext:
		return "ends within a tag, an attribute, a comment, a script or a style"
	case template.ErrAmbigContext, template.ErrSlashAmbig:
		return "has a placeholder in a script or a style"
	case template.ErrBadHTML:
		return "has a tag or attribute that cannot be read with a placeholder in it"
	default:
		return "has a placeholder where it cannot be escaped"
	}
}

func (b *Body) fillHTML(variables map[string]string) (string, error) {
	if b.html == nil {
		return b.plain, nil
	}
	data := make(map[string]any, len(b.variables))
	for _, name := range b.variables {
		data[name] = variables[name]
	}
	for _, name := range b.urls {
		value := variables[name]
		if !safeURL(value) {
			return "", &VariableError{name, "must be an http, https, mailto or tel address, since it stands as a link"}
		}
		// It was looked at here, and html/template knows no tel. It is escaped all the same.
		data[name] = template.URL(value) //nolint:gosec // checked one line above
	}
	out, _ := b.buffers.Get().(*bytes.Buffer)
	defer b.buffers.Put(out)
	out.Reset()
	if err := b.html.Execute(out, data); err != nil {
		return "", errors.New("fill html: the template refuses its values") // the library's words may hold a value
	}
	return out.String(), nil
}

// safeURL tells whether a value may begin a link. An empty one may not: what follows it would begin the link.
func safeURL(value string) bool {
	scheme, _, ok := strings.Cut(value, ":")
	if !ok || strings.ContainsAny(value, " \t\n") {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http", "https", "mailto", "tel":
		return true
	default:
		return false
	}
}
