package providertest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/assent-io/assent/workers/delivery"
)

// silent is an error that hides what it wraps from its text, not from errors.As.
type silent struct{ err error }

func (silent) Error() string   { return "failed" }
func (s silent) Unwrap() error { return s.err }

func TestALeakIsFoundWhereverItHides(t *testing.T) {
	t.Parallel()
	leak := errors.New("no such number: +14155550100")
	for name, err := range map[string]error{
		"in the text":          leak,
		"wrapped in text":      fmt.Errorf("call: %w", leak),
		"behind a mark":        delivery.Permanent("undeliverable", leak),
		"behind a silent text": &silent{leak},
		"among joined errors":  errors.Join(errors.New("first"), &silent{leak}),
	} {
		assert.NotEmpty(t, leaks(err, []string{"482913", "+14155550100"}), name)
		assert.Empty(t, leaks(err, []string{"482913"}), name)
		for _, found := range leaks(err, []string{"+14155550100"}) {
			assert.NotContains(t, found, "+14155550100", "the report does not spread the leak")
		}
	}
	assert.NotEmpty(t, leaks(leak, []string{""}), "an empty secret is a mistake of the test")
	assert.Empty(t, leaks(nil, []string{"482913"}))
}
