package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// bootstrap completes the credential that the first client uses. A secret that is not configured
// is made once and kept in the data directory, so that it survives restarts.
func (c *config) bootstrap() error {
	if c.BootstrapClientSecret != "" {
		return nil
	}
	path := filepath.Join(c.Data, "bootstrap.json")
	var kept struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &kept); err != nil || kept.ClientSecret == "" {
			return fmt.Errorf("read %s: not a credential; remove it to have a new one made", path)
		}
	case errors.Is(err, fs.ErrNotExist):
		kept.ClientID, kept.ClientSecret = c.BootstrapClientID, rand.Text()
		if err := keep(path, kept); err != nil {
			return err
		}
	default:
		return fmt.Errorf("read bootstrap credential: %w", err)
	}
	c.BootstrapClientSecret = kept.ClientSecret
	return nil
}

// keep writes a file that is complete or absent, readable by its owner only.
func keep(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("keep bootstrap credential: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep bootstrap credential: %w", err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep bootstrap credential: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("keep bootstrap credential: %w", err)
	}
	return nil
}
