package main

import (
	"unicode/utf16"

	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/workers/wording"
)

// notify says what notifications are made with. Templates, suppressions and placeholders are wired here.
func notify(c *httpapi.Config, k kept) {
	c.Notifications = k.notifications
	c.Segments = segments
}

// segments counts the parts that a text message is sent in: of 160 and 153 septets, or of 70 and 67 16-bit units.
func segments(text string) int {
	single, each := 160, 153
	units, ok := wording.Septets(text)
	if !ok {
		units, single, each = len(utf16.Encode([]rune(text))), 70, 67
	}
	if units <= single {
		return 1
	}
	return (units + each - 1) / each
}
