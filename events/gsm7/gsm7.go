// Package gsm7 counts what a text message costs: how many parts a text takes in the GSM 7-bit default
// alphabet (3GPP TS 23.038, section 6.2.1, with the extension table of 6.2.1.1) or in UCS-2, when parts are
// joined by the user data header of 3GPP TS 23.040, section 9.2.3.24.1. It sends nothing and shortens nothing.
// The API calls it for previews and limits, channels and providers before they send.
package gsm7

import "strings"

// Encoding is the alphabet that a whole message is sent in.
type Encoding string

// The encodings.
const (
	GSM7 Encoding = "GSM-7"
	UCS2 Encoding = "UCS-2"
)

const (
	// letters is the default alphabet in its order. Place 27 is the escape to the extension table, which stands
	// for no character.
	letters = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ" + escape + "ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	// extension is what an escape and one more septet stand for.
	extension = "\f^{}\\[~]|€"
	escape    = "\x1b"
)

// What one part holds, in septets or in 16-bit units: 140 octets, less the 6 of a header that joins parts.
const (
	gsmRoom, gsmJoined = 160, 153
	ucsRoom, ucsJoined = 70, 67
)

// MaxSegments is how many parts one message can have: the header counts them in one octet.
const MaxSegments = 255

// Count is what a text takes.
type Count struct {
	Encoding Encoding
	// Segments is the number of parts. An empty text takes one.
	Segments int
	// Characters are Unicode code points.
	Characters int
	// Units are septets in GSM-7, where characters of the extension table take two, and 16-bit units in UCS-2.
	Units int
	// Remaining is how many units still fit the last part.
	Remaining int
}

// Character is one that the alphabet lacks.
type Character struct {
	// Position counts characters from 0.
	Position  int
	Character rune
}

// Septets counts what a text takes in the GSM 7-bit alphabet. ok is false where it has a character that the
// alphabet lacks, so that the whole text is sent in UCS-2.
func Septets(text string) (n int, ok bool) {
	for _, r := range text {
		cost := septets(r)
		if cost == 0 {
			return 0, false
		}
		n += cost
	}
	return n, true
}

// Has tells whether a character can be written in the GSM 7-bit alphabet.
func Has(r rune) bool { return septets(r) > 0 }

// septets is what one character takes; 0 where the alphabet lacks it.
func septets(r rune) int {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ':
		return 1 // nearly everything
	case string(r) == escape:
		return 0
	case strings.ContainsRune(letters, r):
		return 1
	case strings.ContainsRune(extension, r):
		return 2
	default:
		return 0
	}
}

// Segments counts what a text takes. A character of two units is never split over two parts, so a part may end
// one unit early.
func Segments(text string) Count {
	if _, ok := Septets(text); ok {
		return count(text, GSM7, gsmRoom, gsmJoined, septets)
	}
	return count(text, UCS2, ucsRoom, ucsJoined, units)
}

// units is what one character takes in UTF-16, which phones read where UCS-2 is written.
func units(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

func count(text string, encoding Encoding, room, joined int, cost func(rune) int) Count {
	c := Count{Encoding: encoding, Segments: 1}
	last := 0 // units in the last part, where there are several
	for _, r := range text {
		n := cost(r)
		c.Characters++
		c.Units += n
		if last+n > joined {
			c.Segments++
			last = 0
		}
		last += n
	}
	if c.Units <= room {
		c.Segments, c.Remaining = 1, room-c.Units
		return c
	}
	c.Remaining = joined - last
	return c
}

// Outside lists the characters that force a text into UCS-2, in their order, the first limit of them.
func Outside(text string, limit int) []Character {
	var outside []Character
	place := 0
	for _, r := range text {
		if len(outside) == limit {
			break
		}
		if !Has(r) {
			outside = append(outside, Character{place, r})
		}
		place++
	}
	return outside
}
