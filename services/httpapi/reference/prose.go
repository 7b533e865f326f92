package reference

import "strings"

// block is a paragraph, or the items of a list.
type block struct {
	Spans []span
	Items [][]span
}

// span is a run of text of one kind: text, code, strong, link, or problem (a code that links to
// its explanation).
type span struct{ Kind, Text, Link string }

// prose reads the part of Markdown that the descriptions use: paragraphs, lists, **strong**,
// *emphasis*, `code` and [links](url). Anything else stands as it was written.
func (r *reader) prose(s string) []block {
	var blocks []block
	for paragraph := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if paragraph == "" {
			continue
		}
		if !strings.HasPrefix(paragraph, "- ") && !strings.HasPrefix(paragraph, "* ") {
			blocks = append(blocks, block{Spans: r.spans(strings.Join(strings.Fields(paragraph), " "))})
			continue
		}
		var items []string
		for line := range strings.SplitSeq(paragraph, "\n") {
			line = strings.TrimSpace(line)
			if item, starts := strings.CutPrefix(strings.Replace(line, "* ", "- ", 1), "- "); starts {
				items = append(items, item)
			} else {
				items[len(items)-1] += " " + line
			}
		}
		b := block{}
		for _, item := range items {
			b.Items = append(b.Items, r.spans(item))
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func (r *reader) spans(s string) []span {
	var all []span
	add := func(kind, text, link string) {
		if text != "" {
			all = append(all, span{kind, text, link})
		}
	}
	plain := 0
	for i := 0; i < len(s); {
		kind, text, link, length := r.markup(s[i:])
		if length == 0 {
			i++
			continue
		}
		add("text", s[plain:i], "")
		add(kind, text, link)
		i += length
		plain = i
	}
	add("text", s[plain:], "")
	return all
}

// markup reads the marked run that s starts with; length is 0 where there is none.
func (r *reader) markup(s string) (kind, text, link string, length int) {
	for _, mark := range []struct{ open, kind string }{{"`", "code"}, {"**", "strong"}, {"*", "em"}} {
		rest, opened := strings.CutPrefix(s, mark.open)
		if !opened {
			continue
		}
		text, _, closed := strings.Cut(rest, mark.open)
		if !closed || text == "" || text[0] == ' ' {
			return "", "", "", 0
		}
		if mark.kind == "code" && r.problems[text] {
			return "problem", text, "#problem-" + text, len(text) + 2
		}
		return mark.kind, text, "", len(text) + 2*len(mark.open)
	}
	if label, opened := strings.CutPrefix(s, "["); opened {
		label, rest, middle := strings.Cut(label, "](")
		target, _, closed := strings.Cut(rest, ")")
		if middle && closed && !strings.ContainsAny(label, "[]") {
			return "link", label, target, len(label) + len(target) + 4
		}
	}
	return "", "", "", 0
}
