package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/template"
)

type templatesCommand struct {
	Put     templatesPutCommand     `cmd:"" help:"Save a template as its next version, from a file with the body of PUT /v1/templates/{name}."`
	List    templatesListCommand    `cmd:"" help:"List the templates of the account."`
	Show    templatesShowCommand    `cmd:"" help:"Print a template as it was saved."`
	Preview templatesPreviewCommand `cmd:"" help:"Show what a recipient would get. Nothing is sent."`
	Remove  templatesRemoveCommand  `cmd:"" help:"Remove a template with all its versions. What is queued keeps its text."`
}

var errTemplateName = &usageError{errors.New("the name " + template.NameRule)}

func templatePath(name string) (string, error) {
	if !template.ValidName(name) {
		return "", errTemplateName
	}
	return "/v1/templates/" + name, nil
}

type templatesPutCommand struct {
	Name string `arg:"" name:"name" help:"Name of the template."`
	File string `arg:"" name:"file" help:"JSON file." type:"path"`
	apiAccess
}

// Run saves the template, and prints what may not be meant as it is.
func (c templatesPutCommand) Run(p *program) error {
	path, err := templatePath(c.Name)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	if !json.Valid(body) {
		return fmt.Errorf("read template: %s is not JSON", c.File)
	}
	var saved api.Template
	if err := c.call(p, http.MethodPut, path, json.RawMessage(body), &saved); err != nil {
		return fmt.Errorf("save template %s: %w", c.Name, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, saved)
	}
	fmt.Fprintf(p.stdout, "Saved %s, version %d.\n", saved.Name, saved.Version)
	for _, w := range saved.Warnings {
		fmt.Fprintf(p.stderr, "%s %s.\n", w.Pointer, w.Detail)
	}
	return nil
}

type templatesListCommand struct{ apiAccess }

// Run prints a table, by name.
func (c templatesListCommand) Run(p *program) error {
	var list api.TemplateList
	if err := c.call(p, http.MethodGet, "/v1/templates", nil, &list); err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tVERSION\tSAVED")
	for _, x := range list.Data {
		fmt.Fprintf(t, "%s\t%d\t%s\n", x.Name, x.Version, x.CreatedAt.UTC().Format(time.RFC3339))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	return nil
}

type templatesShowCommand struct {
	Name    string `arg:"" name:"name" help:"Name of the template."`
	Version int    `help:"Which version (default: the newest)." placeholder:"N"`
	apiAccess
}

// Run prints the template as JSON, whose variables and variants can be saved again.
func (c templatesShowCommand) Run(p *program) error {
	path, err := templatePath(c.Name)
	if err != nil {
		return err
	}
	if c.Version != 0 {
		path += "?" + url.Values{"version": {strconv.Itoa(c.Version)}}.Encode()
	}
	var t api.Template
	if err := c.call(p, http.MethodGet, path, nil, &t); err != nil {
		return fmt.Errorf("read template %s: %w", c.Name, err)
	}
	return writeIndented(p.stdout, t)
}

type templatesPreviewCommand struct {
	Name      string `arg:"" name:"name" help:"Name of the template."`
	Channel   string `required:"" help:"Channel of the message: sms, voice, email, push." placeholder:"CHANNEL"`
	Locale    string `help:"Language of the reader, such as de-AT." placeholder:"LOCALE"`
	Variables string `help:"Values as a JSON object (default: the examples)." placeholder:"JSON"`
	Version   int    `help:"Which version (default: the newest)." placeholder:"N"`
	apiAccess
}

// Run prints the parts of the message, and what a text message takes.
func (c templatesPreviewCommand) Run(p *program) error {
	path, err := templatePath(c.Name)
	if err != nil {
		return err
	}
	request := api.PreviewTemplate{Channel: api.Channel(c.Channel), Locale: c.Locale, Version: c.Version}
	if c.Variables != "" {
		if err := json.Unmarshal([]byte(c.Variables), &request.Variables); err != nil {
			return &usageError{errors.New("--variables must be a JSON object")}
		}
	}
	var m api.TemplatePreview
	if err := c.call(p, http.MethodPost, path+"/preview", request, &m); err != nil {
		return fmt.Errorf("preview template %s: %w", c.Name, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, m)
	}
	for _, part := range []struct{ name, text string }{{"subject", m.Subject}, {"title", m.Title}, {"text", m.Text}, {"html", m.HTML}} {
		if part.text != "" {
			fmt.Fprintf(p.stdout, "%s:\n%s\n\n", part.name, part.text)
		}
	}
	if m.Sms != nil {
		fmt.Fprintf(p.stdout, "%s, %d characters, segments: %d, %d more fit the last\n", m.Sms.Encoding, m.Sms.Characters, m.Sms.Segments, m.Sms.Remaining)
		for _, u := range m.Sms.UnicodeCharacters {
			fmt.Fprintf(p.stdout, "not in GSM-7: %s at position %d\n", u.Character, u.Position)
		}
	}
	return nil
}

type templatesRemoveCommand struct {
	Name string `arg:"" name:"name" help:"Name of the template."`
	apiAccess
}

// Run removes the template.
func (c templatesRemoveCommand) Run(p *program) error {
	path, err := templatePath(c.Name)
	if err != nil {
		return err
	}
	if err := c.call(p, http.MethodDelete, path, nil, nil); err != nil {
		return fmt.Errorf("remove template %s: %w", c.Name, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, map[string]any{"name": c.Name, "removed": true})
	}
	fmt.Fprintln(p.stdout, "Removed "+c.Name+".")
	return nil
}
