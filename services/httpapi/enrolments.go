package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// EnrolmentLinks keeps the links to the enrolment page, apart for each account.
type EnrolmentLinks interface {
	// Draw gives a new link its id and times, and keeps nothing yet.
	Draw(l enrolment.Link, life time.Duration) enrolment.Link
	// Make stores a link that was drawn, and returns its token, which is told this once.
	Make(ctx context.Context, l enrolment.Link) (verification.Token, error)
	// Open reads a link that still works; verification.ErrNotFound for any other.
	Open(ctx context.Context, account, id string) (enrolment.Link, error)
	// Withdraw ends a link, and removes what was begun with it and not proved yet.
	Withdraw(ctx context.Context, l enrolment.Link) error
}

// How long an enrolment link works.
const (
	defaultEnrolment = 15 * time.Minute
	minEnrolment     = time.Minute
	maxEnrolment     = 24 * time.Hour
	maxReturnTo      = 2048
)

// CreateEnrolment gives out a link to the page where a user enrols their own devices.
func (s *Server) CreateEnrolment(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CreateEnrolment](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	link, life := s.readEnrolment(&f, request)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.admitted(r, client.Account, userID); err != nil {
		s.fail(w, r, err)
		return
	}
	link.Account, link.Client, link.UserID = client.Account, client.ClientID, userID
	link = s.config.EnrolmentLinks.Draw(link, life)
	token, err := s.makeEnrolment(r.Context(), client, link)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, api.Enrolment{
		ID: link.ID, URL: s.config.Authenticator().PublicURL + "/enrol/" + token.Reveal(), ExpiresAt: link.ExpiresAt,
	})
}

// makeEnrolment records and stores a link.
func (s *Server) makeEnrolment(ctx context.Context, client credential.Credential, l enrolment.Link) (verification.Token, error) {
	kinds := make([]string, len(l.Kinds))
	for i, k := range l.Kinds {
		kinds[i] = string(k)
	}
	err := s.audited(ctx, client, audit.Entry{
		Action: audit.EnrolmentCreated, Subject: l.ID, UserID: l.UserID, Details: map[string]string{
			"kinds": strings.Join(kinds, " "), "expires_at": l.ExpiresAt.Format(time.RFC3339),
		},
	})
	if err != nil {
		return "", err
	}
	token, err := s.config.EnrolmentLinks.Make(ctx, l)
	if err != nil {
		return "", fmt.Errorf("create enrolment: %w", err)
	}
	return token, nil
}

// readEnrolment checks what may be added, and how the page looks.
func (s *Server) readEnrolment(f *faults, request api.CreateEnrolment) (enrolment.Link, time.Duration) {
	f.sentText("brand", request.Brand, maxBrand)
	f.locale("locale", request.Locale)
	life := defaultEnrolment
	if n := request.ExpiresIn; n != nil {
		f.between("expires_in", *n, int(minEnrolment/time.Second), int(maxEnrolment/time.Second))
		life = time.Duration(*n) * time.Second
	}
	if request.ReturnTo != "" && !validReturn(request.ReturnTo) {
		f.add("return_to", fmt.Sprintf("must be an https address, or an http one on the own machine, of at most %d characters", maxReturnTo))
	}
	return enrolment.Link{
		Kinds: s.readKinds(f, request.Kinds), Brand: request.Brand, Locale: request.Locale, ReturnTo: request.ReturnTo,
	}, life
}

// readKinds checks what may be added; all that can work where nothing is said.
func (s *Server) readKinds(f *faults, asked []api.DeviceKind) []device.Kind {
	if asked == nil {
		return s.config.EnrolKinds
	}
	if len(asked) == 0 {
		f.add("kinds", "must have at least one")
	}
	kinds := make([]device.Kind, 0, len(asked))
	for i, k := range asked {
		field, kind := "kinds/"+strconv.Itoa(i), device.Kind(k)
		switch {
		case !k.Valid():
			f.add(field, "must be phone, mailbox, totp or push")
		case slices.Contains(kinds, kind):
			f.add(field, "is there twice")
		case !slices.Contains(s.config.EnrolKinds, kind):
			f.add(field, "cannot be added: nothing here is set up to reach it")
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// validReturn tells whether a page may lead there: nothing that runs in a page, and no address that shows one host
// and means another.
func validReturn(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxReturnTo || !visibleASCII(s) || u.User != nil || u.Hostname() == "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// DeleteEnrolment takes an enrolment link back.
func (s *Server) DeleteEnrolment(w http.ResponseWriter, r *http.Request, id contract.EnrolmentID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err == nil {
		err = s.withdrawEnrolment(r.Context(), client, id)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) withdrawEnrolment(ctx context.Context, client credential.Credential, id string) error {
	if !events.ValidID(id) {
		return verification.ErrNotFound
	}
	l, err := s.config.EnrolmentLinks.Open(ctx, client.Account, id)
	if err != nil {
		return fmt.Errorf("read enrolment: %w", err)
	}
	if err := s.audited(ctx, client, audit.Entry{Action: audit.EnrolmentWithdrawn, Subject: id, UserID: l.UserID}); err != nil {
		return err
	}
	if err := s.config.EnrolmentLinks.Withdraw(ctx, l); err != nil {
		return fmt.Errorf("withdraw enrolment: %w", err)
	}
	return nil
}
