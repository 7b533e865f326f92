package browsertest

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// workers are the service workers that a tab was told of.
type workers struct {
	t        *testing.T
	attached map[target.ID]*Worker // by the test alone

	mu            sync.Mutex
	registrations map[serviceworker.RegistrationID]*serviceworker.Registration
	versions      map[string]*serviceworker.Version
}

func newWorkers(t *testing.T) *workers {
	t.Helper()
	return &workers{
		t: t, attached: map[target.ID]*Worker{},
		registrations: map[serviceworker.RegistrationID]*serviceworker.Registration{}, versions: map[string]*serviceworker.Version{},
	}
}

func (w *workers) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *serviceworker.EventWorkerRegistrationUpdated:
		for _, r := range e.Registrations {
			w.registrations[r.RegistrationID] = r
		}
	case *serviceworker.EventWorkerVersionUpdated:
		for _, v := range e.Versions {
			w.versions[v.VersionID] = v
		}
	}
}

// of gives the active worker whose scope a page lies in, the nearest scope first.
func (w *workers) of(page string) (found serviceworker.Registration, id target.ID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.versions {
		r := w.registrations[v.RegistrationID]
		if v.Status != serviceworker.VersionStatusActivated || r == nil || r.IsDeleted || !strings.HasPrefix(page, r.ScopeURL) {
			continue
		}
		if !ok || len(r.ScopeURL) > len(found.ScopeURL) {
			found, id, ok = *r, v.TargetID, true
			if v.RunningStatus != serviceworker.VersionRunningStatusRunning {
				id = ""
			}
		}
	}
	return found, id, ok
}

// scopes are those of all active workers.
func (w *workers) scopes() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.versions {
		if r := w.registrations[v.RegistrationID]; v.Status == serviceworker.VersionStatusActivated && r != nil && !r.IsDeleted {
			all = append(all, r.ScopeURL)
		}
	}
	return all
}

// asleep tells whether no worker runs.
func (w *workers) asleep() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.versions {
		if v.RunningStatus != serviceworker.VersionRunningStatusStopped {
			return false
		}
	}
	return true
}

// registration waits for the page's service worker to be active.
func (p *Tab) registration() serviceworker.Registration {
	p.t.Helper()
	var found serviceworker.Registration
	ok := p.until(func() (ok bool) {
		found, _, ok = p.workers.of(p.JS("location.href"))
		return ok
	})
	require.True(p.t, ok, "the page has no active service worker. The browser objects to: %v", p.faults.list())
	return found
}

// Push delivers a push message to the service worker of the page, as a push service does. It waits until the worker is active.
// A page that calls getNotifications while the first one is being shown loses it: Chromium takes it for one that is gone.
func (p *Tab) Push(data string) {
	p.t.Helper()
	r := p.registration()
	origin, err := url.Parse(r.ScopeURL)
	require.NoError(p.t, err)
	Call(p, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{
		Origin: origin.Scheme + "://" + origin.Host, RegistrationID: r.RegistrationID, Data: data,
	})
}

// StopWorkers ends the service workers, as the browser does with those that have nothing to do; the next event starts them again.
func (p *Tab) StopWorkers() {
	p.t.Helper()
	Call(p, serviceworker.StopAllWorkers, cdp.Empty{})
	require.True(p.t, p.until(p.workers.asleep), "the service workers do not stop")
}

// Worker is the service worker of a page.
type Worker struct {
	t   *testing.T
	ctx context.Context
}

// Worker waits for the page's service worker, starts it where it sleeps, and listens to what it says:
// the tab's Silent counts its console too from now on. It does not fall asleep by itself any more.
func (p *Tab) Worker() *Worker {
	p.t.Helper()
	return p.wake(p.registration().ScopeURL)
}

func (p *Tab) wake(scope string) *Worker {
	p.t.Helper()
	var id target.ID
	ok := p.until(func() bool {
		if _, id, _ = p.workers.of(scope); id == "" {
			Call(p, serviceworker.StartWorker, serviceworker.StartWorkerParams{ScopeURL: scope})
		}
		return id != ""
	})
	require.True(p.t, ok, "the service worker does not start. The browser objects to: %v", p.faults.list())
	return p.attach(id)
}

func (p *Tab) attach(id target.ID) *Worker {
	p.t.Helper()
	if w := p.workers.attached[id]; w != nil {
		return w
	}
	ctx, detach := chromedp.NewContext(p.ctx, chromedp.WithTargetID(id), chromedp.WithDetachOnCancel(), chromedp.WithListener(p.faults.hear))
	p.workers.t.Cleanup(detach)
	require.NoError(p.t, chromedp.Do(ctx), "attach to the service worker")
	w := &Worker{t: p.workers.t, ctx: ctx}
	p.workers.attached[id] = w
	return w
}

// JS evaluates an expression in the worker, as Tab.JS does in the page.
func (w *Worker) JS(expression string) string {
	w.t.Helper()
	v, err := chromedp.Run(w.ctx, stringOf(expression))
	require.NoError(w.t, err)
	return v
}
