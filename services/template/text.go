package template

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// textOf is what a document says, without its looks: a line for each block, the addresses of links behind their
// words, the descriptions of pictures in their place. Placeholders are words like others.
func textOf(root *html.Node) string {
	w := &textWriter{}
	w.node(root, 0)
	lines := strings.Split(w.out.String(), "\n")
	var kept []string
	for _, line := range lines {
		line = strings.TrimRight(line, " ")
		if line == "" && (len(kept) == 0 || kept[len(kept)-1] == "") {
			continue // one empty line at most, and none at the beginning
		}
		kept = append(kept, line)
	}
	return strings.TrimRight(strings.Join(kept, "\n"), "\n")
}

// textWriter joins words by single spaces, and blocks by line breaks.
type textWriter struct {
	out strings.Builder
	// breaks are the line breaks to come before the next word, space that a space is.
	breaks int
	space  bool
}

// maxDepth bounds how deep a document nests. The parser's own bound is below it.
const maxDepth = 1000

func (w *textWriter) node(n *html.Node, depth int) {
	if depth > maxDepth {
		return
	}
	switch n.Type {
	case html.TextNode:
		w.words(n.Data)
		return
	case html.ElementNode, html.DocumentNode:
	default:
		return
	}
	switch n.DataAtom {
	case atom.Head, atom.Style, atom.Script, atom.Title:
		return
	case atom.Br:
		w.breaks++
		return
	case atom.Img:
		w.words(attribute(n, "alt"))
		return
	case atom.Hr:
		w.block(2)
		w.words("--")
		w.block(2)
		return
	default:
	}
	around := blockBreaks(n.DataAtom)
	w.block(around)
	if n.DataAtom == atom.Li {
		w.words("- ")
	}
	from := w.out.Len()
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c, depth+1)
	}
	if n.DataAtom == atom.A {
		w.address(attribute(n, "href"), strings.TrimSpace(w.out.String()[from:]))
	}
	if n.DataAtom == atom.Td || n.DataAtom == atom.Th {
		w.space = true
	}
	w.block(around)
}

// address writes where a link leads, unless its words say so.
func (w *textWriter) address(href, words string) {
	shown := strings.TrimPrefix(strings.TrimPrefix(href, "mailto:"), "tel:")
	if href == "" || strings.HasPrefix(href, "#") || words == shown {
		return
	}
	if words == "" {
		w.words(shown)
		return
	}
	w.space = true
	w.words("(" + shown + ")")
}

// block asks for line breaks before what follows: one for a line of its own, two for an empty line too.
func (w *textWriter) block(breaks int) {
	if breaks > 0 {
		w.breaks = max(w.breaks, breaks)
		w.space = false
	}
}

func (w *textWriter) words(s string) {
	for i, word := range strings.FieldsFunc(s, htmlSpace) {
		if i > 0 || strings.IndexFunc(s, htmlSpace) == 0 {
			w.space = true
		}
		if w.out.Len() > 0 {
			w.out.WriteString(strings.Repeat("\n", min(w.breaks, 2)))
			if w.space && w.breaks == 0 {
				w.out.WriteByte(' ')
			}
		}
		w.out.WriteString(word)
		w.breaks, w.space = 0, false
	}
	if s != "" && htmlSpace(rune(s[len(s)-1])) {
		w.space = true
	}
}

// htmlSpace tells whether HTML takes r for white space.
func htmlSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' }

// blockBreaks is how an element stands apart: 0 not at all, 1 on lines of its own, 2 with an empty line.
func blockBreaks(a atom.Atom) int {
	switch a {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table, atom.Blockquote, atom.Pre:
		return 2
	case atom.Div, atom.Tr, atom.Li, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Main, atom.Center, atom.Dl, atom.Dt, atom.Dd, atom.Address:
		return 1
	default:
		return 0
	}
}
