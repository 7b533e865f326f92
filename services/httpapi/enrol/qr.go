package enrol

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the white margin that readers need, in modules.
const quiet = 4

// drawing is a QR code for an SVG whose unit is one module.
type drawing struct {
	Size int // with the margin
	Path string
}

// draw makes the code of a text. Its dark modules are one path, row by row.
func draw(text string) (*drawing, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return &drawing{Size: code.Size + 2*quiet, Path: path.String()}, nil
}
