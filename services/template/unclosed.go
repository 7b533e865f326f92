package template

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxReopened is how many elements the parser may open again: far more than careless mails need, and little memory.
const maxReopened = 250_000

// beforeParsing says what of a document must not come to the parser; empty where it may. An element such as b that is
// not closed is opened again in each block that follows, so that a few hundred of them make millions of elements.
// Elements that are refused anyway end the look: in some of them, such as svg, other rules hold.
func beforeParsing(source string) string {
	z := html.NewTokenizer(strings.NewReader(source))
	elements := refusedElements()
	var open []atom.Atom // what stands open, the innermost last
	active, reopened := 0, 0
	for reopened <= maxReopened {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.TextToken:
			reopened += active
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			switch {
			case slices.Contains(elements, a):
				return "must not have the element " + a.String()
			case !void(a):
				open = append(open, a)
			}
			reopened += active
			if formatting(a) {
				active++
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			// Only where all within was closed in its order it is sure that the parser closes it too.
			if n := len(open); n > 0 && open[n-1] == a {
				open = open[:n-1]
				if formatting(a) {
					active--
				}
			}
		default:
		}
	}
	return "has too many elements such as b and font that are not closed"
}

// formatting tells whether the parser opens an element again that was not closed.
func formatting(a atom.Atom) bool {
	switch a {
	case atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small, atom.Strike,
		atom.Strong, atom.Tt, atom.U:
		return true
	default:
		return false
	}
}

// void tells whether an element has no end.
func void(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Br, atom.Col, atom.Hr, atom.Img, atom.Meta, atom.Param, atom.Track, atom.Wbr:
		return true
	default:
		return false
	}
}
