package providertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// LeaksNothing fails the test where the text of err, or of any error it wraps, quotes one of
// the secrets. It does not print what it found.
func LeaksNothing(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, found := range leaks(err, secrets) {
		t.Error(found)
	}
}

// leaks describes every quotation of a secret without repeating it.
func leaks(err error, secrets []string) []string {
	var found []string
	for e := range chain(err) {
		for i, secret := range secrets {
			for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
				if secret == "" || strings.Contains(text, secret) {
					found = append(found, fmt.Sprintf("an error of type %T quotes secret %d", e, i))
					break
				}
			}
		}
	}
	return found
}

// chain walks err and everything it wraps.
func chain(err error) func(yield func(error) bool) {
	var walk func(e error, yield func(error) bool) bool
	walk = func(e error, yield func(error) bool) bool {
		if e == nil {
			return true
		}
		if !yield(e) {
			return false
		}
		if many, ok := e.(interface{ Unwrap() []error }); ok {
			for _, inner := range many.Unwrap() {
				if !walk(inner, yield) {
					return false
				}
			}
			return true
		}
		return walk(errors.Unwrap(e), yield)
	}
	return func(yield func(error) bool) { walk(err, yield) }
}
