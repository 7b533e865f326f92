package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

func TestAnOpenPromptIsKnownUntilItIsAnsweredOrOver(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, most := range []int{5, 0} { // with a limit of prompts, and without one
		s := h.store(prompts(most))
		ana := uuid.NewString()
		first := h.prompt(ana).Verification
		is := func(want bool, but ...string) {
			t.Helper()
			open, err := s.PromptOpen(t.Context(), first.Credential, ana, but)
			require.NoError(t, err)
			require.Equal(t, want, open)
		}
		is(false)
		asked := create(t, s, h.prompt(ana))
		is(true)
		is(true, uuid.NewString())
		is(false, asked.ID)
		later := create(t, s, h.prompt(ana))
		is(false, later.ID) // the one before was replaced
		h.answer(s, later.ID, verification.Deny)
		is(false)
		create(t, s, h.prompt(ana))
		is(true)
		h.clock.forward(verification.DefaultLife)
		is(false)
	}
}
