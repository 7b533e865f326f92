package reference

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// origin stands in the rendered page where the public URL goes, which is known only once the
// server listens.
const origin = "https://origin.invalid"

// curl is what the request lines of one operation have in common.
type curl struct {
	method, target string
	headers        []string
	open           bool
}

// requests writes one line per example of the body, or a single one.
func (c curl) requests(op tree) []request {
	bodies := op.get("requestBody").get("content").pairs()
	if len(bodies) == 0 {
		return []request{{"", c.line("", "", op)}}
	}
	media := bodies[0] // the others carry the same
	named := media.value.get("examples").pairs()
	if len(named) == 0 {
		return []request{{"", c.line(media.key, example(media.value.get("schema"), 0), op)}}
	}
	all := make([]request, len(named))
	for i, e := range named {
		all[i] = request{e.value.get("summary").text(), c.line(media.key, e.value.get("value").json(), op)}
	}
	return all
}

func (c curl) line(media, body string, op tree) string {
	parts := []string{"curl"}
	if op.get("responses").get("200").get("content").get("text/event-stream").exists() {
		parts = append(parts, "-N")
	}
	if !c.open {
		parts = append(parts, "-u CLIENT_ID:CLIENT_SECRET")
	}
	switch {
	case c.method == "GET", c.method == "POST" && body != "":
	default:
		parts = append(parts, "-X "+c.method)
	}
	// Always quoted: what the origin becomes is not known yet.
	target := "'" + origin + c.target + "'"
	if len(parts) > 1 {
		target = "\\\n  " + target
	}
	parts = append(parts, target)
	for _, h := range c.headers {
		parts = append(parts, "\\\n  -H "+shell(h))
	}
	switch {
	case body == "":
	case media == "application/x-www-form-urlencoded":
		parts = append(parts, "\\\n  -d "+shell(form(body)))
	default:
		parts = append(parts, "\\\n  -H "+shell("Content-Type: "+media), "\\\n  -d "+shell(spread(body)))
	}
	return strings.Join(parts, " ")
}

// spread breaks a long body into lines, as it would have to be scrolled to be read.
func spread(body string) string {
	const short = 48
	if len(body) <= short {
		return body
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(body), "  ", "  "); err != nil {
		return body
	}
	return b.String()
}

// shell quotes for sh and zsh; what needs no quotes keeps none.
func shell(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// form is a flat JSON object as a form.
func form(body string) string {
	var members map[string]any
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		return body
	}
	values := url.Values{}
	for k, v := range members {
		if s, ok := v.(string); ok {
			values.Set(k, s)
		}
	}
	return values.Encode()
}

// fill puts examples into a path template.
func fill(path string, examples map[string]string, query []string) string {
	for name, value := range examples {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return path
}
