package template

import (
	"fmt"
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/vanng822/css"
	"github.com/vanng822/go-premailer/premailer"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/text/language"

	bodies "github.com/assent-io/assent/events/template"
)

// maxRules is how many rules the styles of one mail have at most: each is looked for in the whole document.
const maxRules = 500

// mail makes of a client's HTML what mail programs read: its styles inlined, since many drop the others, with the
// direction of its language, and with a text for those who read no HTML. What has no place in a mail is refused.
func mail(source, locale string, taken *effort, fault func(detail string)) (made, text string) {
	refused := false
	refuse := func(detail string) {
		refused = true
		fault(detail)
	}
	if detail := beforeParsing(source); detail != "" {
		refuse(detail)
		return "", ""
	}
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		refuse("cannot be read as HTML")
		return "", ""
	}
	dropComments(root)
	check(root, refuse)
	if refused {
		return "", ""
	}
	if !gatherStyles(root, taken, refuse) {
		return "", ""
	}
	if root.FirstChild == nil || root.FirstChild.Type != html.DoctypeNode {
		root.InsertBefore(&html.Node{Type: html.DoctypeNode, Data: "html"}, root.FirstChild)
	}
	direct(root, locale)
	options := premailer.NewOptions()
	options.KeepBangImportant = true
	made, err = premailer.NewPremailer(goquery.NewDocumentFromNode(root), options).Transform()
	if err != nil {
		refuse("has styles that cannot be inlined")
		return "", ""
	}
	if len(made) > bodies.MaxHTML {
		refuse(fmt.Sprintf("is %d bytes long with its styles inlined, more than %d", len(made), bodies.MaxHTML))
		return "", ""
	}
	return made, textOf(root)
}

// dropComments removes what most mail programs do not show and some run, as Outlook does with <!--[if mso]>.
func dropComments(root *html.Node) {
	var comments []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			comments = append(comments, n)
		}
	}
	for _, n := range comments {
		n.Parent.RemoveChild(n)
	}
}

// refusedElements do nothing in a mail, or what no mail should do.
func refusedElements() []atom.Atom {
	return []atom.Atom{
		atom.Script, atom.Iframe, atom.Frame, atom.Frameset, atom.Object, atom.Embed, atom.Applet, atom.Form, atom.Input,
		atom.Button, atom.Select, atom.Textarea, atom.Base, atom.Link, atom.Svg, atom.Math, atom.Template, atom.Noscript,
		atom.Audio, atom.Video, atom.Source, atom.Xmp, atom.Noembed, atom.Noframes, atom.Plaintext,
	}
}

// check goes through a document and refuses what has no place in a mail. Each kind of fault is told once.
func check(root *html.Node, fault func(detail string)) {
	told := map[string]bool{}
	refuse := func(detail string) {
		if !told[detail] && len(told) < 16 {
			told[detail] = true
			fault(detail)
		}
	}
	elements := refusedElements()
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.DataAtom != 0 && slices.Contains(elements, n.DataAtom) || n.Namespace != "" {
			refuse("must not have the element " + n.Data)
		}
		if n.DataAtom == atom.Style {
			checkStyle(inner(n), refuse)
		}
		for _, a := range n.Attr {
			checkAttribute(n, a, refuse)
		}
	}
}

func checkAttribute(n *html.Node, a html.Attribute, refuse func(detail string)) {
	key := strings.ToLower(a.Key)
	switch {
	case strings.HasPrefix(key, "on"):
		refuse("must not have the attribute " + clipped(key))
	case key == "srcdoc", key == "srcset", key == "ping", key == "formaction", key == "xlink:href", key == "http-equiv" && !strings.EqualFold(a.Val, "content-type") && !strings.EqualFold(a.Val, "x-ua-compatible"):
		refuse("must not have the attribute " + key)
	case key == "pr-el-id", key == "data-premailer":
		refuse("must not have the attribute " + key)
	case key == "style":
		checkStyle(a.Val, refuse)
	case key == "href":
		if !linkable(a.Val, "https:", "http:", "mailto:", "tel:") && !strings.HasPrefix(a.Val, "#") {
			refuse("must have links that begin with https:, http:, mailto:, tel:, # or a variable")
		}
	case key == "src", key == "background", key == "poster", key == "data", key == "action", key == "cite", key == "longdesc":
		if !linkable(a.Val, "https:", "cid:") {
			refuse("must have the " + key + " of " + n.Data + " begin with https:, cid: or a variable")
		}
	}
}

// linkable tells whether an address begins with one of the schemes, or with a variable, whose value is checked when
// it is filled in.
func linkable(address string, schemes ...string) bool {
	address = strings.ToLower(strings.TrimSpace(address))
	return strings.HasPrefix(address, "{{") || slices.ContainsFunc(schemes, func(s string) bool {
		return strings.HasPrefix(address, s)
	})
}

// checkStyle refuses what a style could load or run. Escapes could spell it otherwise.
func checkStyle(style string, refuse func(detail string)) {
	low := strings.ToLower(style)
	for _, word := range []string{"@import", "expression(", "javascript:", "behavior:", "-moz-binding", "</", "<!--"} {
		if strings.Contains(low, word) {
			refuse("must not have " + word + " in its styles")
		}
	}
	if strings.Contains(low, `\`) {
		refuse("must not have escapes in its styles")
	}
	for rest := low; ; {
		_, after, found := strings.Cut(rest, "url(")
		if !found {
			return
		}
		if !strings.HasPrefix(strings.TrimLeft(after, ` "'`), "https:") {
			refuse("must have addresses that begin with https: in its styles")
		}
		if !closed(after) {
			refuse("must close each url( in its styles with )")
			return
		}
		rest = after
	}
}

// closed tells whether the address that a style begins with ends in a parenthesis. For one that does not, the
// inliner's scanner goes through all that follows, and again for the next.
func closed(style string) bool {
	const blank, quotes = " \t\n\r\f", `"'`
	style = strings.TrimLeft(style, blank)
	if style != "" && strings.Contains(quotes, style[:1]) {
		_, after, found := strings.Cut(style[1:], style[:1])
		return found && strings.HasPrefix(strings.TrimLeft(after, blank), ")")
	}
	end := strings.IndexAny(style, "()"+quotes+blank)
	return end >= 0 && strings.HasPrefix(strings.TrimLeft(style[end:], blank), ")")
}

// gatherStyles makes one style of all that are for every medium, and looks whether it can be read: the inliner reads
// each at a time of its own, and must not fail there. Those for some media it leaves alone.
func gatherStyles(root *html.Node, taken *effort, refuse func(detail string)) (fine bool) {
	var styles []*html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.DataAtom != atom.Style {
			continue
		}
		if media := strings.TrimSpace(attribute(n, "media")); media == "" || strings.EqualFold(media, "all") {
			styles = append(styles, n)
		}
	}
	var all strings.Builder
	for _, n := range styles {
		all.WriteString(inner(n) + "\n")
	}
	if len(styles) == 0 {
		return true
	}
	defer func() {
		if recover() != nil {
			refuse("has styles that cannot be read")
			fine = false
		}
	}()
	rules := css.Parse(all.String()).GetCSSRuleList()
	if len(rules) > maxRules {
		refuse(fmt.Sprintf("must have at most %d rules in its styles, not %d", maxRules, len(rules)))
		return false
	}
	if selector := dear(rules); selector != "" {
		refuse("must not have the selector " + clipped(selector) + " in its styles: one with ( or #= may stand within @media only")
		return false
	}
	if detail := taken.add(costs(root, rules)); detail != "" {
		refuse(detail)
		return false
	}
	first := styles[0]
	first.Attr = slices.DeleteFunc(first.Attr, func(a html.Attribute) bool { return a.Key == "media" })
	for c := first.FirstChild; c != nil; c = first.FirstChild {
		first.RemoveChild(c)
	}
	first.AppendChild(&html.Node{Type: html.TextNode, Data: all.String()})
	for _, n := range styles[1:] {
		n.Parent.RemoveChild(n)
	}
	return true
}

// dear finds a selector whose cost cannot be told: one with a function, such as p:has(b), which may nest, or with the
// inliner's own expressions. Empty: there is none. What stands within @media is not looked for.
func dear(rules []*css.CSSRule) string {
	for _, rule := range rules {
		if text := rule.Style.Selector.Text(); rule.Type == css.STYLE_RULE && (strings.Contains(text, "(") || strings.Contains(text, "#=")) {
			return text
		}
	}
	return ""
}

const (
	// maxCost is how many elements the inliner may look at, which takes it a second or two: far more than mails need.
	maxCost = 5_000_000
	// maxEffort is the same for all mails of a template together.
	maxEffort = 4 * maxCost
	// bytesPerElement is how much of declarations is written in the time in which one element is looked at.
	bytesPerElement = 16
	// bytesPerDeclaration is what one takes besides its text.
	bytesPerDeclaration = 8
)

// effort is how much of maxEffort was taken.
type effort float64

// add says why a mail may not take so much more; empty where it may.
func (e *effort) add(cost float64) string {
	if cost > maxCost {
		return "has too many elements for so many selectors, or selectors of too many parts, in its styles"
	}
	if *e += effort(cost); *e > maxEffort {
		return "has, together with the mails before it, too many elements for so many selectors in its styles"
	}
	return ""
}

// costs estimates how many elements the inliner looks at: for each selector all of them, and for each further part of
// it all that stand around one; and that it writes the selector's declarations into all of them.
func costs(root *html.Node, rules []*css.CSSRule) float64 {
	elements, deepest := 1, 1
	var depth func(n *html.Node, at int)
	depth = func(n *html.Node, at int) {
		deepest = max(deepest, at)
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.Type == html.ElementNode {
				elements++
				depth(c, at+1)
			}
		}
	}
	depth(root, 1)
	total := 0.0
	for _, rule := range rules {
		if rule.Type != css.STYLE_RULE {
			continue // not inlined
		}
		declared := 0
		for _, s := range rule.Style.Styles {
			declared += bytesPerDeclaration + len(s.Property) + len(s.Value.Text())
		}
		for selector := range strings.SplitSeq(rule.Style.Selector.Text(), ",") {
			around := deepest
			if strings.ContainsAny(selector, "~+") {
				around = elements
			}
			cost := float64(elements)
			for i := 1; i < partsOf(selector) && cost <= maxCost; i++ {
				cost *= float64(around) / float64(i)
			}
			total += cost + float64(elements)*float64(declared)/bytesPerElement
		}
	}
	return total
}

// partsOf counts the parts of a selector between which there may be any number of elements.
func partsOf(selector string) int {
	parts, child := 0, false
	for _, word := range strings.Fields(strings.NewReplacer(">", " > ", "~", " ", "+", " ").Replace(selector)) {
		if word == ">" {
			child = true
			continue
		}
		if !child {
			parts++
		}
		child = false
	}
	return parts
}

// direct tells the language of a mail and the direction of its text, where its author does not.
func direct(root *html.Node, locale string) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.DataAtom != atom.Html {
			continue
		}
		if attribute(n, "lang") == "" {
			n.Attr = append(n.Attr, html.Attribute{Key: "lang", Val: locale})
		}
		if attribute(n, "dir") == "" && rightToLeft(locale) {
			n.Attr = append(n.Attr, html.Attribute{Key: "dir", Val: "rtl"})
		}
		return
	}
}

// rightToLeft tells whether the language of a locale is written from right to left.
func rightToLeft(locale string) bool {
	script, _ := language.Make(locale).Script()
	switch script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg":
		return true
	default:
		return false
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// inner is the text of an element whose content is text alone.
func inner(n *html.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(c.Data)
	}
	return b.String()
}

// clipped keeps the client's words short in what it is told.
func clipped(s string) string {
	const longest = 32
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
