package store_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// templates are those of one process.
func (h *house) templates() *store.Templates {
	h.t.Helper()
	k, err := store.NewTemplates(h.t.Context(), h.js(), store.TemplatesConfig{Now: h.clock.now})
	require.NoError(h.t, err)
	return k
}

// parcel is a prepared template.
func parcel(t *testing.T, account, name, text string) template.Template {
	t.Helper()
	x := template.Template{
		Account: account, Name: name, DefaultLocale: "en", CreatedBy: "shop",
		Variables: map[string]template.Variable{"order": {Type: template.String, Required: true}},
		Variants:  []template.Variant{{Channel: events.SMS, Locale: "en", Source: events.NotificationBody{Text: text}}},
	}
	faults, _, err := template.Prepare(&x, t.Context().Err)
	require.NoError(t, err)
	require.Empty(t, faults)
	return x
}

func TestEachSaveOfATemplateIsAVersionThatStays(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.templates(), h.templates()
	ctx := t.Context()
	_, err := one.Template(ctx, "acme", "parcel", 0)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = one.TemplateVersions(ctx, "acme", "parcel")
	require.ErrorIs(t, err, verification.ErrNotFound)

	first, err := one.SaveTemplate(ctx, parcel(t, "acme", "parcel", "One {{order}}"), nil)
	require.NoError(t, err)
	require.Equal(t, 1, first.Version)
	h.clock.forward(time.Minute)
	second, err := two.SaveTemplate(ctx, parcel(t, "acme", "parcel", "Two {{order}}"), nil)
	require.NoError(t, err)
	require.Equal(t, 2, second.Version)
	require.True(t, second.CreatedAt.After(first.CreatedAt))

	for version, want := range map[int]template.Template{0: second, 1: first, 2: second} {
		got, err := one.Template(ctx, "acme", "parcel", version)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, strange := range []struct {
		account, name string
		version       int
	}{{"acme", "parcel", 3}, {"other", "parcel", 0}, {"acme", "parce", 0}} {
		_, err := one.Template(ctx, strange.account, strange.name, strange.version)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}

	_, err = one.SaveTemplate(ctx, parcel(t, "acme", "bill", "Bill {{order}}"), nil)
	require.NoError(t, err)
	_, err = one.SaveTemplate(ctx, parcel(t, "acme-2", "parcel", "Theirs {{order}}"), nil)
	require.NoError(t, err)
	list, err := two.Templates(ctx, "acme")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "bill", list[0].Name)
	require.Equal(t, 1, list[0].Version)
	require.Equal(t, "parcel", list[1].Name)
	require.Equal(t, 2, list[1].Version)
	require.False(t, list[1].CreatedAt.IsZero())
	versions, err := two.TemplateVersions(ctx, "acme", "parcel")
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, []int{versions[0].Version, versions[1].Version})

	require.NoError(t, two.DeleteTemplate(ctx, "acme", "parcel"))
	require.ErrorIs(t, two.DeleteTemplate(ctx, "acme", "parcel"), verification.ErrNotFound)
	for _, version := range []int{0, 1, 2} {
		_, err := one.Template(ctx, "acme", "parcel", version)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
	theirs, err := one.Template(ctx, "acme-2", "parcel", 0)
	require.NoError(t, err)
	require.Equal(t, "Theirs {{order}}", theirs.Variants[0].Body.Text)
}

func TestOfManyWhoSaveATemplateAtOnceEachMakesAVersion(t *testing.T) {
	t.Parallel()
	h := build(t)
	const savers = 6
	versions := make(chan int, savers)
	var wg sync.WaitGroup
	for range savers {
		k := h.templates() // a process of its own
		wg.Go(func() {
			saved, err := k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "{{order}}"), nil)
			if err != nil {
				t.Error(err)
			}
			versions <- saved.Version
		})
	}
	wg.Wait()
	close(versions)
	var all []int
	for v := range versions {
		all = append(all, v)
	}
	require.ElementsMatch(t, []int{1, 2, 3, 4, 5, 6}, all)
}

func TestATemplateIsSavedOverTheExpectedVersionOnly(t *testing.T) {
	t.Parallel()
	h := build(t)
	k := h.templates()
	expect := func(version int) *int { return &version }
	_, err := k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "{{order}}"), expect(1))
	require.ErrorIs(t, err, template.ErrVersion)
	_, err = k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "{{order}}"), expect(0))
	require.NoError(t, err)
	_, err = k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "{{order}}"), expect(0))
	require.ErrorIs(t, err, template.ErrVersion)
	saved, err := k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "{{order}}"), expect(1))
	require.NoError(t, err)
	require.Equal(t, 2, saved.Version)
	require.NoError(t, k.DeleteTemplate(t.Context(), "acme", "parcel"))
	saved, err = k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "{{order}}"), expect(0))
	require.NoError(t, err)
	require.Equal(t, 1, saved.Version)
}

func TestATemplateThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	x := parcel(t, "acme", "parcel", "{{order}}")
	for range 50 {
		v := x.Variants[0]
		v.Source.Text = strings.Repeat("x", 20_000)
		x.Variants = append(x.Variants, v)
	}
	_, err := build(t).templates().SaveTemplate(t.Context(), x, nil)
	require.ErrorIs(t, err, template.ErrLarge)
}

func TestMessagesAreComposedFromTheVersionThatIsNamed(t *testing.T) {
	t.Parallel()
	h := build(t)
	k := h.templates()
	for _, text := range []string{"One {{order}}", "Two {{order}}"} {
		_, err := k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", text), nil)
		require.NoError(t, err)
	}
	variables := map[string]any{"order": "4711"}
	for version, want := range map[int]string{0: "Two 4711", 1: "One 4711", 2: "Two 4711"} {
		for range 2 { // the second from memory
			m, made, faults, err := k.Compose(t.Context(), "acme", "parcel", version, events.SMS, "de", variables)
			require.NoError(t, err)
			require.Empty(t, faults)
			require.Equal(t, want, m.Rendered.Text)
			require.Equal(t, map[string]string{"order": "4711"}, m.Filled)
			require.Equal(t, map[int]int{0: 2, 1: 1, 2: 2}[version], made)
		}
	}
	_, _, faults, err := k.Compose(t.Context(), "acme", "parcel", 0, events.SMS, "de", nil)
	require.NoError(t, err)
	require.Equal(t, []template.Fault{{Field: "variables/order", Detail: "is missing"}}, faults)
	for _, name := range []string{"bill", "a.b", "*", ">", ""} {
		_, err = k.Open(t.Context(), "acme", name, 0)
		require.ErrorIs(t, err, verification.ErrNotFound, name)
	}
	// A name that is used again after its removal has other texts under the same version.
	require.NoError(t, k.DeleteTemplate(t.Context(), "acme", "parcel"))
	_, err = k.SaveTemplate(t.Context(), parcel(t, "acme", "parcel", "Three {{order}}"), nil)
	require.NoError(t, err)
	m, _, _, err := k.Compose(t.Context(), "acme", "parcel", 1, events.SMS, "", variables)
	require.NoError(t, err)
	require.Equal(t, "Three 4711", m.Rendered.Text)
}

func TestLargeTemplatesAreNotAllKeptReady(t *testing.T) {
	t.Parallel()
	h := build(t)
	k := h.templates()
	large := parcel(t, "acme", "parcel", strings.Repeat("x", 20_000))
	for range 21 { // each is stored as source and as body
		large.Variants = append(large.Variants, large.Variants[0])
	}
	open := func(version int) *template.Compiled {
		ready, err := k.Open(t.Context(), "acme", "parcel", version)
		require.NoError(t, err)
		return ready
	}
	const saved = 20
	first := map[int]*template.Compiled{}
	for version := 1; version <= saved; version++ {
		_, err := k.SaveTemplate(t.Context(), large, nil)
		require.NoError(t, err)
		first[version] = open(version)
	}
	kept := func(version int) bool { return open(version) == first[version] }
	require.True(t, kept(saved), "the newest stay")
	require.True(t, kept(saved-1), "the newest stay")
	require.False(t, kept(1), "the oldest is dropped")
}
