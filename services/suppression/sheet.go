package suppression

import (
	"fmt"
	"regexp"
	"strings"
)

// ExportEnd is the last line of an export that is complete.
const ExportEnd = "# end"

// LeftOut is the line of an export that says how many entries are missing, because no key opens them any more.
func LeftOut(entries int) string { return fmt.Sprintf("# %d entries could not be opened", entries) }

var leftOutForm = regexp.MustCompile(`^# [0-9]+ entries could not be opened$`)

// Remark tells whether a line is one that an export writes beside its entries. An import skips no others: an address
// may begin with the same mark.
func Remark(line string) bool { return line == ExportEnd || leftOutForm.MatchString(line) }

// marks are what a cell must not begin with: spreadsheets compute what follows the first four, many programs take
// what follows # for a comment, and the last is Cell's own.
const marks = "=+-@#'"

// Cell is a value as an export writes it: with a quote before it, as spreadsheets have it for plain text, where it
// begins with what they would compute.
func Cell(value string) string {
	if value != "" && strings.Contains(marks, value[:1]) {
		return "'" + value
	}
	return value
}

// FromCell is the value of a cell, without the quote of Cell.
func FromCell(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && strings.Contains(marks, cell[1:2]) {
		return cell[1:]
	}
	return cell
}
