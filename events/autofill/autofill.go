// Package autofill makes the last line of a text message by which phones and browsers fill in its code: the
// origin-bound one-time codes of the WICG, and the hash of an app that Android's SMS Retriever looks for. The API
// calls it for limits, the text message channel before it sends.
package autofill

import (
	"regexp"
	"strings"
)

const (
	// MaxBytes is how long a message may be that SMS Retriever hands to an app.
	MaxBytes = 140
	// MaxOrigin is how long a host name may be.
	MaxOrigin = 253

	maxLabel  = 63
	localhost = "localhost"
)

var (
	appHash = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)
	label   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	// number is a last label that browsers read as a part of an IP address.
	number = regexp.MustCompile(`^([0-9]+|0[xX][0-9A-Fa-f]*)$`)
)

// Hint says for which page and which app a code is. Either may be empty.
type Hint struct {
	// Origin is the host name of the page that asks for the code.
	Origin string
	// AppHash are the 11 characters by which Android knows the app.
	AppHash string
}

// Or is the hint with what it lacks taken from another.
func (h Hint) Or(other Hint) Hint {
	if h.Origin == "" {
		h.Origin = other.Origin
	}
	if h.AppHash == "" {
		h.AppHash = other.AppHash
	}
	return h
}

// Line is the last line of a text with this code; empty for an empty hint. Browsers ignore what follows the code.
func (h Hint) Line(code string) string {
	switch {
	case h.Origin == "":
		return h.AppHash
	case h.AppHash == "":
		return "@" + h.Origin + " #" + code
	default:
		return "@" + h.Origin + " #" + code + " " + h.AppHash
	}
}

// Under is a text with the last line under it, one newline between.
func (h Hint) Under(text, code string) string {
	if h == (Hint{}) {
		return text
	}
	return strings.TrimRight(text, "\n") + "\n" + h.Line(code)
}

// Fitting is the hint without the app's hash where the text would be too long for the app to get it, so that the
// hash would only cost room.
func (h Hint) Fitting(text, code string) Hint {
	if h.AppHash != "" && len(h.Under(text, code)) > MaxBytes {
		h.AppHash = ""
	}
	return h
}

// ValidOrigin tells whether s is a host name that a page can have: ASCII, without scheme, port or path, and no IP
// address.
func ValidOrigin(s string) bool {
	if s == localhost {
		return true
	}
	labels := strings.Split(s, ".")
	if len(s) > MaxOrigin || len(labels) < 2 || number.MatchString(labels[len(labels)-1]) {
		return false
	}
	for _, l := range labels {
		if len(l) > maxLabel || !label.MatchString(l) {
			return false
		}
	}
	return true
}

// ValidAppHash tells whether s has the form of an app's hash.
func ValidAppHash(s string) bool { return appHash.MatchString(s) }
