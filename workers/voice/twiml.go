package voice

import (
	"encoding/xml"
	"fmt"
	"time"

	"github.com/assent-io/assent/workers/delivery"
)

// The verbs of TwiML that scripts need. The SDK's own writer is not used: it drops empty
// attributes, and finishOnKey="" is what makes # and * keys like any other; and it puts
// attributes in a random order.

type response struct {
	XMLName xml.Name `xml:"Response"`
	Verbs   []any
}

type say struct {
	XMLName  xml.Name `xml:"Say"`
	Language string   `xml:"language,attr"`
	Text     string   `xml:",chardata"`
}

type pause struct {
	XMLName xml.Name `xml:"Pause"`
	Length  int      `xml:"length,attr"` // seconds
}

type gathering struct {
	XMLName     xml.Name `xml:"Gather"`
	Input       string   `xml:"input,attr"`
	NumDigits   int      `xml:"numDigits,attr"`
	Timeout     int      `xml:"timeout,attr"` // seconds of silence
	FinishOnKey string   `xml:"finishOnKey,attr"`
	Action      string   `xml:"action,attr"`
	Method      string   `xml:"method,attr"`
	Verbs       []any
}

type hangup struct {
	XMLName xml.Name `xml:"Hangup"`
}

// keyWait is how long silence lasts before the script goes on, in seconds: a phone has to
// come off the ear and the keypad onto the screen.
const keyWait = 8

// gather speaks and takes one key of any kind, also while it speaks.
func gather(action string, spoken ...any) gathering {
	return gathering{
		Input: "dtmf", NumDigits: 1, Timeout: keyWait, Action: action, Method: "POST", Verbs: spoken,
	}
}

// numberWait is how long silence lasts while a number is read from one screen and keyed in on another.
const numberWait = 15

// gatherNumber speaks and takes a number of so many digits, also while it speaks. Hash ends what is
// shorter: the star that refuses.
func gatherNumber(action string, digits int, spoken ...any) gathering {
	return gathering{
		Input: "dtmf", NumDigits: digits, Timeout: numberWait, FinishOnKey: "#", Action: action, Method: "POST", Verbs: spoken,
	}
}

// script is what a call does, verb by verb.
type script []any

// twiML makes the document. Text from outside is escaped by the encoder.
func (s script) twiML() (string, error) {
	doc, err := xml.Marshal(response{Verbs: s})
	if err != nil {
		return "", fmt.Errorf("write call script: %w", err)
	}
	return xml.Header + string(doc), nil
}

// lines is the script for a carrier that only speaks; none where it asks for keys.
func (s script) lines() []delivery.Line {
	var lines []delivery.Line
	for _, verb := range s {
		switch v := verb.(type) {
		case say:
			lines = append(lines, delivery.Line{Language: v.Language, Text: delivery.Code(v.Text)})
		case pause:
			lines = append(lines, delivery.Line{Pause: time.Duration(v.Length) * time.Second})
		case gathering:
			return nil
		}
	}
	return lines
}
