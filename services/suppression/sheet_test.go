package suppression_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/services/suppression"
)

func TestCellsAreNoFormulasAndComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[-=+@#'a]{0,4}.*`).Draw(t, "value")
		cell := suppression.Cell(value)
		if cell != "" && strings.Contains("=+-@#", cell[:1]) {
			t.Fatalf("a spreadsheet computes %q, or a reader skips it", cell)
		}
		if back := suppression.FromCell(cell); back != value {
			t.Fatalf("%q comes back as %q", value, back)
		}
	})
	require.Equal(t, "+14155550123", suppression.FromCell("+14155550123"))
	require.Equal(t, "'ana@example.com", suppression.FromCell("'ana@example.com"), "a mailbox of another list")
}

func TestOnlyTheLinesOfAnExportAreRemarks(t *testing.T) {
	for _, line := range []string{suppression.ExportEnd, suppression.LeftOut(1), suppression.LeftOut(12_000)} {
		require.True(t, suppression.Remark(line), line)
	}
	for _, line := range []string{"", "#", "#ana@example.com", "# ana@example.com", "# end of list", "# many entries could not be opened"} {
		require.False(t, suppression.Remark(line), line)
	}
}
