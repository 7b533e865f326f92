package embednats

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBrokerCanOnlyBeReachedFromThisProcess(t *testing.T) {
	s, err := Start(Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	require.Nil(t, s.server.Addr(), "the broker listens on a port")

	nc, err := s.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	require.NoError(t, nc.Flush(), "this process itself is served")
}
