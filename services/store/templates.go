package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// TemplatesConfig is what the templates need.
type TemplatesConfig struct {
	// Replicas of the bucket; zero: one.
	Replicas int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Templates keeps the templates of all accounts, each save as a version of its own. It is safe for concurrent use.
//
// An entry is one version, under <account>.<name>.<version>. Versions of a template are written one after the other,
// each only while the one before it is the last, so the last entry of a template is its newest version.
type Templates struct {
	cfg   TemplatesConfig
	js    jetstream.JetStream
	table *table

	mu       sync.Mutex
	compiled map[uint64]compiledTemplate // by revision
	order    []uint64                    // of compiled, the oldest first
	bytes    int                         // of compiled
}

// compiledTemplate is a version that is ready, and its size as it is stored.
type compiledTemplate struct {
	*template.Compiled
	bytes int
}

const (
	templatesBucket = "ASSENT_TEMPLATES"
	// maxCompiled is how many versions are kept ready in memory.
	maxCompiled = 256
	// maxCompiledBytes is how large these are together, as they are stored; in memory they take some times that.
	maxCompiledBytes = 16 << 20
	// maxVersions is how many versions one template may have.
	maxVersions = 1000
)

// NewTemplates opens the bucket.
func NewTemplates(ctx context.Context, js jetstream.JetStream, cfg TemplatesConfig) (*Templates, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t, err := openTable(ctx, js, templatesBucket, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	return &Templates{cfg: cfg, js: js, table: t, compiled: map[uint64]compiledTemplate{}}, nil
}

func templateKey(account, name string, version int) string {
	return account + "." + name + "." + strconv.Itoa(version)
}

func templateFilter(account, name string) string { return account + "." + name + ".*" }

// parseTemplateKey takes the key of a version apart.
func parseTemplateKey(key string) (name string, version int, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		return "", 0, false
	}
	version, err := strconv.Atoi(parts[2])
	return parts[1], version, err == nil && version > 0
}

// last is the newest version of a template and its revision, as the bucket's leader knows them; both are zero
// where there is none.
func (t *Templates) last(ctx context.Context, account, name string) (version int, revision uint64, err error) {
	rec, err := t.table.reader.Latest(ctx, t.table.subject+templateFilter(account, name))
	if errors.Is(err, stream.ErrAbsent) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, unavailable(err)
	}
	_, version, ok := parseTemplateKey(strings.TrimPrefix(rec.Subject, t.table.subject))
	if !ok {
		return 0, 0, fmt.Errorf("read template: entry %d has no version", rec.Sequence)
	}
	return version, rec.Sequence, nil
}

// SaveTemplate stores a prepared template as its next version, which it returns. With an expected version it fails
// with template.ErrVersion unless that is the newest; zero: there must be none; nil: whatever there is.
func (t *Templates) SaveTemplate(ctx context.Context, fresh template.Template, expected *int) (template.Template, error) {
	filter := t.table.subject + templateFilter(fresh.Account, fresh.Name)
	for range casTries {
		newest, revision, err := t.last(ctx, fresh.Account, fresh.Name)
		if err != nil {
			return template.Template{}, err
		}
		if expected != nil && *expected != newest {
			return template.Template{}, template.ErrVersion
		}
		if newest >= maxVersions {
			return template.Template{}, template.ErrFull
		}
		fresh.Version, fresh.CreatedAt = newest+1, t.cfg.Now().UTC().Truncate(time.Millisecond)
		value, err := json.Marshal(fresh)
		if err != nil {
			return template.Template{}, fmt.Errorf("encode template: %w", err)
		}
		if len(value) > template.MaxRecord {
			return template.Template{}, template.ErrLarge
		}
		_, err = t.table.write(ctx, templateKey(fresh.Account, fresh.Name, fresh.Version), value, 0, stream.ExpectingUnder(filter, revision))
		if errors.Is(err, stream.ErrConflict) {
			continue // somebody was faster: theirs is the version before
		}
		return fresh, err
	}
	return template.Template{}, fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, casTries)
}

// Template reads a version, or the newest where version is zero; verification.ErrNotFound without it.
func (t *Templates) Template(ctx context.Context, account, name string, version int) (template.Template, error) {
	found, _, err := t.read(ctx, account, name, version)
	return found, err
}

func (t *Templates) read(ctx context.Context, account, name string, version int) (template.Template, uint64, error) {
	value, revision, err := t.raw(ctx, account, name, version)
	if err != nil {
		return template.Template{}, 0, err
	}
	found, err := decodeTemplate(value)
	return found, revision, err
}

func (t *Templates) raw(ctx context.Context, account, name string, version int) ([]byte, uint64, error) {
	if version != 0 {
		return t.table.get(ctx, templateKey(account, name, version))
	}
	return t.table.latest(ctx, templateFilter(account, name)) // a lagging replica would show the version before
}

func decodeTemplate(value []byte) (template.Template, error) {
	var found template.Template
	if err := json.Unmarshal(value, &found); err != nil {
		return found, fmt.Errorf("decode template: %w", err)
	}
	return found, nil
}

// Templates lists those of an account by name, with their newest version.
func (t *Templates) Templates(ctx context.Context, account string) ([]template.Summary, error) {
	newest := map[string]template.Summary{}
	err := t.list(ctx, account+".>", func(s template.Summary) {
		if s.Version > newest[s.Name].Version {
			newest[s.Name] = s
		}
	})
	if err != nil {
		return nil, err
	}
	list := make([]template.Summary, 0, len(newest))
	for _, s := range newest {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b template.Summary) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// TemplateVersions lists the versions of one template, the newest first; verification.ErrNotFound without one.
func (t *Templates) TemplateVersions(ctx context.Context, account, name string) ([]template.Summary, error) {
	var list []template.Summary
	err := t.list(ctx, templateFilter(account, name), func(s template.Summary) { list = append(list, s) })
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, verification.ErrNotFound
	}
	slices.SortFunc(list, func(a, b template.Summary) int { return b.Version - a.Version })
	return list, nil
}

// list shows the versions that a filter matches, without reading their texts.
func (t *Templates) list(ctx context.Context, filter string, show func(template.Summary)) error {
	return t.table.each(ctx, filter, func(e jetstream.KeyValueEntry) error {
		if name, version, ok := parseTemplateKey(e.Key()); ok {
			show(template.Summary{Name: name, Version: version, CreatedAt: e.Created().UTC()})
		}
		return nil
	}, jetstream.MetaOnly())
}

// DeleteTemplate removes all versions of a template at once; verification.ErrNotFound without one. What was queued
// keeps its text. A template that is saved under the name later begins with version 1.
func (t *Templates) DeleteTemplate(ctx context.Context, account, name string) error {
	newest, _, err := t.last(ctx, account, name)
	if err != nil {
		return err
	}
	if newest == 0 {
		return verification.ErrNotFound
	}
	if err := stream.Purge(ctx, t.js, "KV_"+templatesBucket, t.table.subject+templateFilter(account, name)); err != nil {
		return unavailable(err)
	}
	return nil
}

// Open makes a version ready to compose messages from, or the newest where version is zero. It fails with
// verification.ErrNotFound without it. One request opens a template once, whatever its recipients are.
func (t *Templates) Open(ctx context.Context, account, name string, version int) (*template.Compiled, error) {
	if !template.ValidName(name) || version < 0 {
		return nil, verification.ErrNotFound
	}
	value, revision, err := t.raw(ctx, account, name, version)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	kept, ok := t.compiled[revision]
	t.mu.Unlock()
	if ok {
		return kept.Compiled, nil
	}
	found, err := decodeTemplate(value)
	if err != nil {
		return nil, err
	}
	ready, err := template.Compile(found)
	if err != nil {
		return nil, fmt.Errorf("open template: %w", err)
	}
	t.keep(revision, compiledTemplate{ready, len(value)})
	return ready, nil
}

// keep has a version ready for the next who opens it, in place of the oldest ones.
func (t *Templates) keep(revision uint64, fresh compiledTemplate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.compiled[revision]; ok {
		return
	}
	for len(t.order) > 0 && (len(t.order) >= maxCompiled || t.bytes+fresh.bytes > maxCompiledBytes) {
		t.bytes -= t.compiled[t.order[0]].bytes
		delete(t.compiled, t.order[0])
		t.order = t.order[1:]
	}
	t.compiled[revision], t.order = fresh, append(t.order, revision)
	t.bytes += fresh.bytes
}

// Compose makes one message: Open for a single recipient.
func (t *Templates) Compose(ctx context.Context, account, name string, version int, channel events.Channel, locale string, variables map[string]any) (template.Message, int, []template.Fault, error) {
	ready, err := t.Open(ctx, account, name, version)
	if err != nil {
		return template.Message{}, 0, nil, err
	}
	m, faults := ready.Compose(channel, locale, variables)
	return m, ready.Version(), faults, nil
}
