package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/gsm7"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

const (
	defaultLocale = "en"
	mostVersions  = 1000
	versionRule   = "must be an integer from 1 to 1000"
	// mostShown is how many characters a preview lists that force a text message into UCS-2.
	mostShown = 20
)

// PutTemplate saves a template of the own account as its next version.
func (s *Server) PutTemplate(w http.ResponseWriter, r *http.Request, name contract.TemplateName, params contract.PutTemplateParams) {
	client, err := s.authenticate(w, r, credential.ManageTemplates)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	expected, err := readPrecondition(r.Header, params)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decodeUpTo[api.PutTemplate](s.shapes, maxTemplate, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !template.ValidName(name) {
		s.fail(w, r, &refusal{code: api.ProblemCodeInvalidRequest, detail: "The name of a template " + template.NameRule + "."})
		return
	}
	fresh, warnings, err := s.prepare(r.Context(), &f, "", request, len(f) == 0)
	if err == nil {
		err = invalid(f)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	fresh.Account, fresh.Name, fresh.CreatedBy = client.Account, name, client.ClientID
	saved, err := s.config.Templates.SaveTemplate(r.Context(), fresh, expected)
	if err != nil {
		s.fail(w, r, fmt.Errorf("save template: %w", err))
		return
	}
	status := http.StatusOK
	if saved.Version == 1 {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/templates/"+name)
	}
	wire := templateWire(saved)
	wire.Warnings = warnings
	w.Header().Set("ETag", templateTag(saved.Version))
	writeJSON(w, status, wire)
}

// readPrecondition reads which version a save expects; nil: any. It takes what this server gives out as ETag.
func readPrecondition(h http.Header, params contract.PutTemplateParams) (*int, error) {
	refuse := func(name, detail string) error {
		return &refusal{code: api.ProblemCodeInvalidHeader, faults: faults{{Header: name, Detail: detail}}}
	}
	_, match := h["If-Match"]
	_, none := h["If-None-Match"]
	expected := 0
	switch {
	case match && none:
		return nil, refuse("If-None-Match", "does not go with If-Match")
	case match:
		version, ok := unquoteString(params.IfMatch)
		n, err := strconv.Atoi(version)
		if !ok || err != nil || n < 1 || templateTag(n) != params.IfMatch {
			return nil, refuse("If-Match", `must be the ETag of a version, such as "3"`)
		}
		expected = n
	case none:
		if params.IfNoneMatch != "*" {
			return nil, refuse("If-None-Match", "must be *")
		}
	default:
		return nil, nil //nolint:nilnil // nothing is expected, and nothing is wrong
	}
	return &expected, nil
}

func templateTag(version int) string { return strconv.Quote(strconv.Itoa(version)) }

// prepare makes a template of what was sent; warnings are what may be meant as it is. Where the shape of the request
// is wrong already, its texts are not looked at. Mails take long, so it waits for its turn.
func (s *Server) prepare(ctx context.Context, f *faults, at string, request api.PutTemplate, look bool) (template.Template, []api.Fault, error) {
	t := template.Template{
		Name: "draft", DefaultLocale: request.DefaultLocale, Variables: map[string]template.Variable{},
		Variants: make([]template.Variant, 0, len(request.Variants)),
	}
	if t.DefaultLocale == "" {
		t.DefaultLocale = defaultLocale
	}
	for name, v := range request.Variables {
		variable := template.Variable{Type: template.Type(v.Type), MaxLength: v.MaxLength, Default: rawJSON(v.Default), Example: rawJSON(v.Example)}
		variable.Required = v.Default == nil
		if v.Required != nil {
			variable.Required = *v.Required
		}
		t.Variables[name] = variable
	}
	place := func(field string) string {
		if at == "" {
			return field
		}
		return at + "/" + field
	}
	for i, v := range request.Variants {
		variant := template.Variant{
			Channel: events.Channel(v.Channel), Locale: v.Locale,
			Source: events.NotificationBody{Subject: v.Subject, Text: v.Text, HTML: v.HTML},
		}
		if variant.Locale == "" {
			variant.Locale = t.DefaultLocale
		}
		if v.Title != "" {
			if variant.Channel == events.Push {
				variant.Source.Subject = v.Title
			} else {
				f.add(place(element("variants", i)+"/title"), "goes with push only")
			}
		}
		if v.Subject != "" && variant.Channel == events.Push {
			f.add(place(element("variants", i)+"/subject"), "goes with email only; a push has a title")
		}
		t.Variants = append(t.Variants, variant)
	}
	if !look {
		return t, nil, nil
	}
	turn, err := s.long.turn(ctx)
	if err != nil {
		return t, nil, err
	}
	defer turn.end()
	wrong, warnings, err := template.Prepare(&t, ctx.Err)
	if err != nil {
		return t, nil, fmt.Errorf("check template: %w", err)
	}
	for _, x := range wrong {
		f.add(place(x.Field), x.Detail)
	}
	told := make([]api.Fault, 0, len(warnings))
	for _, x := range warnings {
		told = append(told, api.Fault{Pointer: "#/" + place(x.Field), Detail: x.Detail})
	}
	return t, told, nil
}

func rawJSON(value any) json.RawMessage {
	if value == nil {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil // what was read as JSON can be written as JSON
	}
	return raw
}

// ListTemplates lists the templates of the own account.
func (s *Server) ListTemplates(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ReadTemplates)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list, err := s.config.Templates.Templates(r.Context(), client.Account)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list templates: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, summariesWire(list))
}

// ListTemplateVersions lists the versions of a template of the own account.
func (s *Server) ListTemplateVersions(w http.ResponseWriter, r *http.Request, name contract.TemplateName) {
	client, err := s.readsTemplate(w, r, name, credential.ReadTemplates)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list, err := s.config.Templates.TemplateVersions(r.Context(), client.Account, name)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list versions of a template: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, summariesWire(list))
}

// GetTemplate reads a version of a template of the own account.
func (s *Server) GetTemplate(w http.ResponseWriter, r *http.Request, name contract.TemplateName, params contract.GetTemplateParams) {
	client, err := s.readsTemplate(w, r, name, credential.ReadTemplates)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if r.URL.Query().Has("version") && (params.Version < 1 || params.Version > mostVersions) {
		s.fail(w, r, invalid(faults{{Parameter: "version", Detail: versionRule}}))
		return
	}
	t, err := s.config.Templates.Template(r.Context(), client.Account, name, params.Version)
	if err != nil {
		s.fail(w, r, fmt.Errorf("read template: %w", err))
		return
	}
	w.Header().Set("ETag", templateTag(t.Version))
	writeJSON(w, http.StatusOK, templateWire(t))
}

// DeleteTemplate removes a template of the own account with all its versions.
func (s *Server) DeleteTemplate(w http.ResponseWriter, r *http.Request, name contract.TemplateName) {
	client, err := s.readsTemplate(w, r, name, credential.ManageTemplates)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Templates.DeleteTemplate(r.Context(), client.Account, name); err != nil {
		s.fail(w, r, fmt.Errorf("remove template: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// PreviewTemplate shows a message of a stored template as its recipient would get it.
func (s *Server) PreviewTemplate(w http.ResponseWriter, r *http.Request, name contract.TemplateName) {
	client, err := s.readsTemplate(w, r, name, credential.ReadTemplates)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.PreviewTemplate](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if request.Version < 0 || request.Version > mostVersions {
		f.add("version", versionRule)
	}
	f.locale("locale", request.Locale)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	ready, err := s.config.Templates.Open(r.Context(), client.Account, name, request.Version)
	if err != nil {
		s.fail(w, r, fmt.Errorf("open template: %w", err))
		return
	}
	s.preview(w, r, ready, request.Channel, request.Locale, request.Variables)
}

// PreviewDraft shows a message of a template that is not stored.
func (s *Server) PreviewDraft(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authenticate(w, r, credential.ReadTemplates); err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decodeUpTo[api.PreviewDraft](s.shapes, maxTemplate, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	f.locale("locale", request.Locale)
	draft, _, err := s.prepare(r.Context(), &f, "template", request.Template, len(f) == 0)
	if err == nil {
		err = invalid(f)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ready, err := s.compile(r.Context(), draft)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.preview(w, r, ready, request.Channel, request.Locale, request.Variables)
}

// compile makes a prepared draft ready, in its turn.
func (s *Server) compile(ctx context.Context, draft template.Template) (*template.Compiled, error) {
	turn, err := s.long.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	ready, err := template.Compile(draft)
	if err != nil {
		return nil, fmt.Errorf("compile draft: %w", err)
	}
	return ready, nil
}

func (s *Server) preview(w http.ResponseWriter, r *http.Request, ready *template.Compiled, channel api.Channel, locale string, variables map[string]any) {
	m, wrong := ready.Compose(events.Channel(channel), locale, ready.WithExamples(variables))
	var f faults
	for _, x := range wrong {
		f.add(x.Field, x.Detail)
	}
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	out := api.TemplatePreview{
		Version: ready.Version(), Channel: channel, Locale: m.Locale,
		Subject: m.Rendered.Subject, Text: m.Rendered.Text, HTML: m.Rendered.HTML,
	}
	if m.Channel == events.Push {
		out.Subject, out.Title = "", m.Rendered.Subject
	}
	if m.Channel == events.SMS {
		out.Sms = sizeWire(m.Rendered.Text)
	}
	writeJSON(w, http.StatusOK, out)
}

func sizeWire(text string) *api.TextMessageSize {
	c := gsm7.Segments(text)
	size := &api.TextMessageSize{
		Encoding: api.TextMessageSizeEncoding(c.Encoding), Segments: c.Segments, Characters: c.Characters, Remaining: c.Remaining,
	}
	for _, x := range gsm7.Outside(text, mostShown) {
		size.UnicodeCharacters = append(size.UnicodeCharacters, api.UnicodeCharacter{Character: string(x.Character), Position: x.Position})
	}
	return size
}

// readsTemplate authenticates a client. A name that cannot be one never reaches the store.
func (s *Server) readsTemplate(w http.ResponseWriter, r *http.Request, name string, needs credential.Permission) (credential.Credential, error) {
	client, err := s.authenticate(w, r, needs)
	if err == nil && !template.ValidName(name) {
		err = verification.ErrNotFound
	}
	return client, err
}

func summariesWire(list []template.Summary) api.TemplateList {
	out := api.TemplateList{Data: make([]api.TemplateSummary, 0, len(list))}
	for _, x := range list {
		out.Data = append(out.Data, api.TemplateSummary{Name: x.Name, Version: x.Version, CreatedAt: x.CreatedAt.UTC()})
	}
	return out
}

func templateWire(t template.Template) api.Template {
	out := api.Template{
		Name: t.Name, Version: t.Version, DefaultLocale: t.DefaultLocale, CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt.UTC(),
		Variants: make([]api.TemplateVariant, 0, len(t.Variants)),
	}
	for name, v := range t.Variables {
		if out.Variables == nil {
			out.Variables = map[string]api.TemplateVariable{}
		}
		required := v.Required
		out.Variables[name] = api.TemplateVariable{
			Type: api.TemplateVariableType(v.Type), Required: &required, MaxLength: v.MaxLength,
			Default: anyJSON(v.Default), Example: anyJSON(v.Example),
		}
	}
	for _, v := range t.Variants {
		variant := api.TemplateVariant{
			Channel: api.Channel(v.Channel), Locale: v.Locale, Subject: v.Source.Subject, Text: v.Source.Text, HTML: v.Source.HTML,
		}
		if v.Channel == events.Push {
			variant.Subject, variant.Title = "", v.Source.Subject
		}
		out.Variants = append(out.Variants, variant)
	}
	return out
}

// anyJSON is a stored value as it was sent.
func anyJSON(raw json.RawMessage) any {
	if len(strings.TrimSpace(string(raw))) == 0 {
		return nil
	}
	return raw
}
