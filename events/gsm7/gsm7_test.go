package gsm7_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/gsm7"
)

// alphabet is the table of 3GPP TS 23.038, section 6.2.1, as Unicode code points by septet; 0x1b is the escape.
var alphabet = [128]rune{
	0x00: 0x0040, 0x01: 0x00A3, 0x02: 0x0024, 0x03: 0x00A5, 0x04: 0x00E8, 0x05: 0x00E9, 0x06: 0x00F9, 0x07: 0x00EC,
	0x08: 0x00F2, 0x09: 0x00C7, 0x0a: 0x000A, 0x0b: 0x00D8, 0x0c: 0x00F8, 0x0d: 0x000D, 0x0e: 0x00C5, 0x0f: 0x00E5,
	0x10: 0x0394, 0x11: 0x005F, 0x12: 0x03A6, 0x13: 0x0393, 0x14: 0x039B, 0x15: 0x03A9, 0x16: 0x03A0, 0x17: 0x03A8,
	0x18: 0x03A3, 0x19: 0x0398, 0x1a: 0x039E, 0x1b: 0x001B, 0x1c: 0x00C6, 0x1d: 0x00E6, 0x1e: 0x00DF, 0x1f: 0x00C9,
	0x24: 0x00A4, 0x40: 0x00A1, 0x5b: 0x00C4, 0x5c: 0x00D6, 0x5d: 0x00D1, 0x5e: 0x00DC, 0x5f: 0x00A7,
	0x60: 0x00BF, 0x7b: 0x00E4, 0x7c: 0x00F6, 0x7d: 0x00F1, 0x7e: 0x00FC, 0x7f: 0x00E0,
}

// extension is the table of section 6.2.1.1.
var extension = []rune{0x000C, 0x005E, 0x007B, 0x007D, 0x005C, 0x005B, 0x007E, 0x005D, 0x007C, 0x20AC}

func TestTheAlphabetIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	for septet, r := range alphabet {
		if r == 0 { // where the table agrees with ASCII
			alphabet[septet] = rune(septet)
		}
	}
	cost := map[rune]int{}
	for _, r := range alphabet {
		if r != 0x1b {
			cost[r] = 1
		}
	}
	for _, r := range extension {
		cost[r] = 2
	}
	require.Len(t, cost, 127+10)
	for r := range rune(0x11000) {
		if r >= 0xd800 && r < 0xe000 {
			continue // surrogates are no characters
		}
		n, ok := gsm7.Septets(string(r))
		require.Equal(t, cost[r], n, "%U", r)
		require.Equal(t, cost[r] > 0, ok, "%U", r)
		require.Equal(t, ok, gsm7.Has(r), "%U", r)
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	euro := func(n int) string { return strings.Repeat("€", n) }
	ya := func(n int) string { return strings.Repeat("я", n) }
	smile := func(n int) string { return strings.Repeat("😀", n) }
	for _, c := range []struct {
		name, text                             string
		encoding                               gsm7.Encoding
		segments, characters, units, remaining int
	}{
		{"nothing takes a part", "", gsm7.GSM7, 1, 0, 0, 160},
		{"160 letters fit one part", x(160), gsm7.GSM7, 1, 160, 160, 0},
		{"161 letters take two, of 153 each", x(161), gsm7.GSM7, 2, 161, 161, 145},
		{"306 fill two", x(306), gsm7.GSM7, 2, 306, 306, 0},
		{"307 take three", x(307), gsm7.GSM7, 3, 307, 307, 152},
		{"a euro sign takes two septets", "€", gsm7.GSM7, 1, 1, 2, 158},
		{"80 euro signs fit one part", euro(80), gsm7.GSM7, 1, 80, 160, 0},
		{"81 take two, and the first of them is one septet short", euro(81), gsm7.GSM7, 2, 81, 162, 153 - 10},
		{"152 letters and a euro sign are not split", x(152) + "€" + x(152), gsm7.GSM7, 3, 305, 306, 152},
		{"151 letters and a euro sign fill a part", x(151) + "€" + x(153), gsm7.GSM7, 2, 305, 306, 0},
		{"a letter outside makes all of it UCS-2", x(69) + "я", gsm7.UCS2, 1, 70, 70, 0},
		{"71 take two, of 67 each", ya(71), gsm7.UCS2, 2, 71, 71, 63},
		{"134 fill two", ya(134), gsm7.UCS2, 2, 134, 134, 0},
		{"135 take three", ya(135), gsm7.UCS2, 3, 135, 135, 66},
		{"35 smileys fit one part", smile(35), gsm7.UCS2, 1, 35, 70, 0},
		{"36 take two, and no pair is split", smile(36), gsm7.UCS2, 2, 36, 72, 61},
		{"66 letters and a smiley are not split", ya(66) + "😀" + ya(66), gsm7.UCS2, 3, 133, 134, 66},
		{"a tab is in neither table", "\t", gsm7.UCS2, 1, 1, 1, 69},
		{"nor is the escape itself", "\x1b", gsm7.UCS2, 1, 1, 1, 69},
		{"a capital cedilla is, a small one is not", "Çç", gsm7.UCS2, 1, 2, 2, 68},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, gsm7.Count{
				Encoding: c.encoding, Segments: c.segments, Characters: c.characters, Units: c.units, Remaining: c.remaining,
			}, gsm7.Segments(c.text))
		})
	}
}

func TestTheCharactersThatForceUCS2AreNamed(t *testing.T) {
	t.Parallel()
	text := "Grüße – “now” 😀 \\o/"
	require.Equal(t, []gsm7.Character{{6, '–'}, {8, '“'}, {12, '”'}, {14, '😀'}}, gsm7.Outside(text, 10))
	require.Equal(t, []gsm7.Character{{6, '–'}}, gsm7.Outside(text, 1))
	require.Empty(t, gsm7.Outside("plain {text}", 10))
}

// FuzzSegments compares with a count that cuts the text into parts.
func FuzzSegments(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("x", 152) + "€€")
	f.Add(strings.Repeat("я😀", 40))
	f.Fuzz(func(t *testing.T, text string) {
		c := gsm7.Segments(text)
		room, joined := 160, 153
		width := func(r rune) int { n, _ := gsm7.Septets(string(r)); return n }
		if c.Encoding == gsm7.UCS2 {
			room, joined = 70, 67
			width = func(r rune) int { return len(utf16.Encode([]rune{r})) }
		}
		total := 0
		parts := []int{0}
		for _, r := range text {
			n := width(r)
			total += n
			if parts[len(parts)-1]+n > joined {
				parts = append(parts, 0)
			}
			parts[len(parts)-1] += n
		}
		if total <= room {
			parts = parts[:1]
		}
		if c.Segments != len(parts) || c.Units != total || c.Characters != len([]rune(text)) || c.Remaining < 0 {
			t.Fatalf("%+v, not %d parts of %d units", c, len(parts), total)
		}
		if (c.Encoding == gsm7.UCS2) != (len(gsm7.Outside(text, 1)) == 1) {
			t.Fatalf("%+v, and outside are %v", c, gsm7.Outside(text, 1))
		}
	})
}

func BenchmarkSegments(b *testing.B) {
	text := strings.Repeat("Your parcel is on its way. ", 11)
	b.ReportAllocs()
	for b.Loop() {
		gsm7.Segments(text)
	}
}
