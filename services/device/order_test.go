package device_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestDevicesAreAskedInTheirOrder(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	made := func(id string, after time.Duration) device.Device {
		return device.Device{ID: id, CreatedAt: at.Add(after)}
	}
	pending := made("p", 0)
	pending.Pending = &device.Pending{ExpiresAt: at.Add(time.Hour)}
	devices := []device.Device{made("c", 2), made("b", 1), pending, made("e", 3), made("d", 3), made("a", 0)}
	for name, test := range map[string]struct{ order, want []string }{
		"as they were registered":       {nil, []string{"a", "b", "c", "d", "e"}},
		"the named first":               {[]string{"d", "b"}, []string{"d", "b", "a", "c", "e"}},
		"all named":                     {[]string{"e", "d", "c", "b", "a"}, []string{"e", "d", "c", "b", "a"}},
		"one that has gone":             {[]string{"gone", "c"}, []string{"c", "a", "b", "d", "e"}},
		"one that is not proved yet":    {[]string{"p", "c"}, []string{"c", "a", "b", "d", "e"}},
		"one that is named twice":       {[]string{"c", "b", "c"}, []string{"c", "b", "a", "d", "e"}},
		"only ones that have gone away": {[]string{"x", "y"}, []string{"a", "b", "c", "d", "e"}},
	} {
		var got []string
		for _, d := range device.InOrder(devices, test.order) {
			got = append(got, d.ID)
		}
		require.Equal(t, test.want, got, name)
	}
	require.Equal(t, "c", devices[0].ID, "the list that came stays as it was")
	require.Empty(t, device.InOrder(nil, []string{"a"}))
}
