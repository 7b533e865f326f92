package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/assent-io/assent/services/suppression"
)

// What one request of an import holds at most: half of what the API takes.
const (
	partRows  = 5000
	partBytes = 2 << 20
)

// importPart is a piece of a file, whole entries, as one request takes it.
type importPart struct {
	body []byte
	// first is the line of the file with which the entries begin, after head lines of names.
	first, head int
}

// line is where a line of the part stands in the file.
func (p importPart) line(n int) int {
	if n <= p.head {
		return n
	}
	return p.first + n - p.head - 1
}

// offset says, of a part that is not the file's first, how to count the lines that the server names.
func (p importPart) offset() string {
	if n := p.line(p.head+1) - p.head - 1; n > 0 {
		return fmt.Sprintf("; add %d to a line that is named here", n)
	}
	return ""
}

// importParts cuts a file at the ends of entries. The names of the columns go with each part. A JSON array goes as
// it is.
func importParts(media string, file io.Reader) iter.Seq2[importPart, error] {
	return func(yield func(importPart, error) bool) {
		lines := bufio.NewReader(file)
		var head []byte
		if media == "text/csv" {
			names, err := lines.ReadBytes('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				yield(importPart{first: 1}, fmt.Errorf("read file: %w", err))
				return
			}
			head = names
		}
		part := importPart{body: bytes.Clone(head), first: 1 + min(len(head), 1), head: min(len(head), 1)}
		next := part.first
		rows, quotes := 0, 0
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				yield(part, fmt.Errorf("read file: %w", err))
				return
			}
			part.body = append(part.body, line...)
			rows++
			next++
			quotes += bytes.Count(line, []byte{'"'})
			last := err != nil
			// Within quotes a line of CSV goes on. Where a quote is left open the server says so, of a part that it takes.
			full := rows >= partRows || len(part.body) >= partBytes
			over := rows >= 2*partRows-1 || len(part.body) >= partBytes*3/2
			whole := media == "application/x-ndjson" || media == "text/csv" && (quotes%2 == 0 || over)
			if !last && (!whole || !full) {
				continue
			}
			// Of a file that holds nothing at all the server says so.
			idle := part.first > 1+part.head && !entries(part.body[len(head):])
			if !idle && !yield(part, nil) || last {
				return
			}
			part.body, part.first, rows, quotes = bytes.Clone(head), next, 0, 0
		}
	}
}

// entries tells whether there is more than blank lines and the remarks of an export.
func entries(lines []byte) bool {
	for line := range strings.Lines(string(lines)) {
		if line = strings.TrimSpace(line); line != "" && !suppression.Remark(line) {
			return true
		}
	}
	return false
}
