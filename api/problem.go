package api

import (
	"fmt"
	"strings"
)

// Error says what went wrong in one line, so that a Problem can be returned as an error and found
// again with errors.As. Its text holds what the server wrote and may change; compare Code instead.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", p.Status, p.Code, p.Detail)
	for _, f := range p.Errors {
		fmt.Fprintf(&b, "; %s %s", f.Place(), f.Detail)
	}
	return b.String()
}

// Place is where the fault is: the pointer, parameter or header.
func (f Fault) Place() string {
	switch {
	case f.Pointer != "":
		return f.Pointer
	case f.Parameter != "":
		return f.Parameter
	default:
		return f.Header
	}
}

// Closed tells whether the verification has ended and will never change again.
func (v *Verification) Closed() bool { return v.Status != StatusPending }
