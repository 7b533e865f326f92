package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// faults are what the browser objected to in a tab and in its service workers.
type faults struct {
	mu       sync.Mutex
	all      []string
	expected []string
}

func (f *faults) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		f.add("exception: " + (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			f.add("console: " + arguments(e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			f.add(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		if csp := e.Issue.Details.ContentSecurityPolicyIssueDetails; e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue && csp != nil {
			f.add(fmt.Sprintf("content security policy: %s refuses %q", csp.ViolatedDirective, csp.BlockedURL))
		}
	case *serviceworker.EventWorkerErrorReported:
		f.add(fmt.Sprintf("service worker: %s (%s:%d)", e.ErrorMessage.ErrorMessage, e.ErrorMessage.SourceURL, e.ErrorMessage.LineNumber))
	}
}

func arguments(all []*runtime.RemoteObject) string {
	var words []string
	for _, a := range all {
		if a.Description != "" {
			words = append(words, a.Description)
		} else {
			words = append(words, strings.Trim(string(a.Value), `"`))
		}
	}
	return strings.Join(words, " ")
}

func (f *faults) add(fault string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, fault)
}

// list gives those that nobody expected.
func (f *faults) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.all), func(fault string) bool {
		return slices.ContainsFunc(f.expected, func(words string) bool { return strings.Contains(fault, words) })
	})
}

// Expect announces that the browser will object with these words, such as "status of 503" for an
// answer that is to fail, or "ERR_INTERNET_DISCONNECTED". They are no fault of the page.
func (p *Tab) Expect(words ...string) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.expected = append(p.faults.expected, words...)
}

// Silent fails on uncaught exceptions, errors on the console, failed loads and what the page's policy
// refused, in the tab since it was opened and in the service workers of its pages.
func (p *Tab) Silent() {
	p.t.Helper()
	Ask(p, chromedp.Evaluate[bool](`true`)) // what was said before this answer has been heard
	require.Empty(p.t, p.faults.list(), "the browser objects")
}
