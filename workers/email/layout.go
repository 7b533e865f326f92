package email

import (
	"bytes"
	"embed"
	"fmt"
	html "html/template"
	text "text/template"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/wording"
)

//go:embed layout
var files embed.FS

// letter is what a mail shows. Code or Link is set.
type letter struct {
	Language, Brand string
	Direction       string // ltr or rtl
	Words           wording.Mail
	// Fields are what exactly is agreed to; they come before everything that is said.
	Fields, Details []wording.Detail
	Code, Link      string
}

// layout is the two parts of every mail. The plain part names the code before any text of
// others, which may have digits too: programs and phones take the first run of digits.
type layout struct {
	text *text.Template
	html *html.Template
}

func newLayout() (layout, error) {
	plain, err := text.ParseFS(files, "layout/mail.txt")
	if err != nil {
		return layout{}, fmt.Errorf("read the text layout: %w", err)
	}
	rich, err := html.ParseFS(files, "layout/mail.html")
	if err != nil {
		return layout{}, fmt.Errorf("read the HTML layout: %w", err)
	}
	return layout{text: plain, html: rich}, nil
}

func (l layout) render(letter letter) (plain, rich delivery.Code, err error) {
	var b bytes.Buffer
	if err := l.text.Execute(&b, letter); err != nil {
		return "", "", fmt.Errorf("render the text part: %w", err)
	}
	plain = delivery.Code(b.String())
	b.Reset()
	if err := l.html.Execute(&b, letter); err != nil {
		return "", "", fmt.Errorf("render the HTML part: %w", err)
	}
	return plain, delivery.Code(b.String()), nil
}
