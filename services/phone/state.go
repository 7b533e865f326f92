package phone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Place is where a phone is going to be kept. It is taken before the phone joins, because an
// activation code works once: a phone that joined and cannot be kept is lost.
type Place struct {
	path    string
	replace bool
	tmp     *os.File
}

// Reserve takes a place for a state file. It refuses one that exists, unless it may be replaced. The
// caller calls Release in the end.
func Reserve(path string, replace bool) (*Place, error) {
	if _, err := os.Lstat(path); err == nil && !replace {
		return nil, fmt.Errorf("keep phone: %s: %w", path, fs.ErrExist)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".phone-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("keep phone: %w", err)
	}
	return &Place{path: path, replace: replace, tmp: tmp}, nil
}

// Keep writes the phone: its file is complete or absent, and readable by its owner only.
func (pl *Place) Keep(p *Phone) error {
	b, err := json.MarshalIndent(p, "", "  ") //nolint:gosec // the file is where the secrets of a phone belong
	if err != nil {
		return fmt.Errorf("keep phone: %w", err)
	}
	_, err = pl.tmp.Write(append(b, '\n'))
	if err = errors.Join(err, pl.tmp.Sync(), pl.tmp.Close()); err != nil {
		return fmt.Errorf("keep phone: %w", err)
	}
	// Link refuses to replace a file that appeared meanwhile; Rename would not.
	move := os.Link
	if pl.replace {
		move = os.Rename
	}
	if err := move(pl.tmp.Name(), pl.path); err != nil {
		return fmt.Errorf("keep phone: %w", err)
	}
	return nil
}

// Release removes what is left of a place that was not used.
func (pl *Place) Release() {
	_ = pl.tmp.Close()
	_ = os.Remove(pl.tmp.Name())
}

// Load reads the phone that is kept at path.
func Load(path string) (*Phone, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read phone: %w", err)
	}
	var p Phone
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("read phone: %s is not the state of a phone", path)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("read phone: %s: %w", path, err)
	}
	return &p, nil
}
