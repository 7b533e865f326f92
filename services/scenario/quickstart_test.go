package scenario_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheQuickStartEndsInApproved(t *testing.T) {
	t.Parallel()
	for name, house := range map[string]func(*testing.T) *story{"in one process": Together, "in a process for each role": Apart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := house(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "sh", "../../docs/quickstart.sh")
			cmd.Env = append(cmd.Environ(), "BASE="+s.base, "SANDBOX="+s.system.inbox, "CLIENT="+s.id, "SECRET="+s.secret, "TO="+somebody().number)
			output, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", output)
			require.Contains(t, string(output), `"status":"approved"`)
		})
	}
}
