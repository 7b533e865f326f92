package sandbox

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// verb is one instruction of a call's script. Of TwiML, the sandbox speaks what Assent
// uses: Say, Pause, Gather, Redirect and Hangup; anything else is an error.
type verb struct {
	name   string
	attr   map[string]string
	text   string // spoken by Say, URL of Redirect
	nested []verb // prompts of Gather
}

// parseTwiML reads a document strictly: a misspelt attribute is a fault, not a silence on the phone.
func parseTwiML(doc []byte) ([]verb, error) {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var script []verb
	seen := false
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if !seen {
				return nil, errors.New("no <Response> element")
			}
			return script, nil
		}
		if err != nil {
			return nil, errors.New("not well-formed XML")
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if seen || t.Name.Local != "Response" {
				return nil, fmt.Errorf("<%s> stands where the one <Response> should", t.Name.Local)
			}
			seen = true
			if script, err = parseVerbs(dec, "Response"); err != nil {
				return nil, err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("text outside of <Response>")
			}
		}
	}
}

func attributesOf(verb string) []string {
	switch verb {
	case "Say":
		return []string{"voice", "language", "loop"}
	case "Pause":
		return []string{"length"}
	case "Gather":
		return []string{
			"action", "method", "input", "numDigits", "finishOnKey", "timeout", "actionOnEmptyResult", "language",
			"hints", "speechTimeout", "profanityFilter", "enhanced", "speechModel", "bargeIn", "maxSpeechTime",
		}
	case "Redirect":
		return []string{"method"}
	case "Hangup":
		return []string{}
	}
	return nil
}

func parseVerbs(dec *xml.Decoder, parent string) ([]verb, error) {
	var verbs []verb
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil, errors.New("not well-formed XML")
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return verbs, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, fmt.Errorf("text directly in <%s>", parent)
			}
		case xml.StartElement:
			v, err := parseVerb(dec, t, parent)
			if err != nil {
				return nil, err
			}
			verbs = append(verbs, v)
		}
	}
}

func parseVerb(dec *xml.Decoder, t xml.StartElement, parent string) (verb, error) {
	v := verb{name: t.Name.Local, attr: map[string]string{}}
	known := attributesOf(v.name)
	if known == nil || (parent == "Gather" && v.name != "Say" && v.name != "Pause") {
		return v, fmt.Errorf("<%s> is not a verb that may stand in <%s>", v.name, parent)
	}
	for _, a := range t.Attr {
		if !slices.Contains(known, a.Name.Local) {
			return v, fmt.Errorf("<%s> has no attribute %s", v.name, a.Name.Local)
		}
		v.attr[a.Name.Local] = a.Value
	}
	for _, name := range []string{"length", "numDigits", "timeout", "loop"} {
		if n, err := strconv.Atoi(v.attr[name]); v.attr[name] != "" && v.attr[name] != "auto" && (err != nil || n < 0) {
			return v, fmt.Errorf("<%s> %s is not a number", v.name, name)
		}
	}
	var err error
	if v.name == "Gather" {
		v.nested, err = parseVerbs(dec, "Gather")
		return v, err
	}
	v.text, err = spokenText(dec, v.name == "Say")
	v.text = strings.Join(strings.Fields(v.text), " ")
	switch {
	case err != nil:
	case v.name == "Say" && v.text == "":
		err = errors.New("<Say> has nothing to say")
	case v.name == "Redirect" && v.text == "":
		err = errors.New("<Redirect> names no URL")
	case (v.name == "Hangup" || v.name == "Pause") && v.text != "":
		err = fmt.Errorf("<%s> has content", v.name)
	}
	return v, err
}

// spokenText collects the words of an element; SSML inside a Say only shapes them, except
// that characters to be spelt are spoken one by one.
func spokenText(dec *xml.Decoder, ssml bool) (string, error) {
	var b strings.Builder
	for {
		tok, err := dec.Token()
		if err != nil {
			return "", errors.New("not well-formed XML")
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return b.String(), nil
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			if !ssml {
				return "", fmt.Errorf("<%s> is not allowed here", t.Name.Local)
			}
			inner, err := spokenText(dec, true)
			if err != nil {
				return "", err
			}
			if spelt(t) {
				inner = strings.Join(strings.Split(strings.TrimSpace(inner), ""), ", ")
			}
			b.WriteString(" " + inner + " ")
		}
	}
}

func spelt(t xml.StartElement) bool {
	for _, a := range t.Attr {
		if t.Name.Local == "say-as" && a.Name.Local == "interpret-as" {
			return slices.Contains([]string{"digits", "characters", "spell-out"}, a.Value)
		}
	}
	return false
}
