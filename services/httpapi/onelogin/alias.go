package onelogin

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// maxAlias is the greatest integer that every JSON reader takes as it is.
const maxAlias = 1<<53 - 1

// newAliasedID draws an id that a positive number stands for, for clients that know no UUIDs.
func newAliasedID(random io.Reader) (id string, n int64, err error) {
	var b [8]byte
	for n == 0 {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", 0, fmt.Errorf("draw id: %w", err)
		}
		n = int64(binary.BigEndian.Uint64(b[:]) & maxAlias)
	}
	return idOf(n), n, nil
}

// idOf is the UUID of version 8 that a number stands for. It holds the number and 69 bits of its hash,
// so that no other UUID is taken for one of these, and nothing has to be stored.
func idOf(n int64) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(n)) //nolint:gosec // positive
	sum := sha256.Sum256(id[:8])
	// The version sits in the upper half of the seventh byte and the variant in the ninth: the number's
	// lowest bytes make way, and go behind them.
	low := [2]byte{id[6], id[7]}
	copy(id[6:], sum[:])
	id[9], id[10] = low[0], low[1]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// aliasOf is the number that stands for an id; false for ids that have none.
func aliasOf(id string) (int64, bool) {
	u, err := uuid.Parse(id)
	if err != nil {
		return 0, false
	}
	var b [8]byte
	copy(b[:6], u[:6])
	b[6], b[7] = u[9], u[10]
	n := int64(binary.BigEndian.Uint64(b[:])) //nolint:gosec // compared below
	return n, n > 0 && n <= maxAlias && idOf(n) == id
}
