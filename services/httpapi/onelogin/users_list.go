package onelogin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// pageSize is how many users a page has at most, and unless the client asks for less.
const pageSize = 50

// listing is a page of users, with what leads to its neighbours.
type listing struct {
	users []device.User
	// total counts all users that match; page counts from 1.
	total, pages, page int
	// before and after are cursors; empty at the ends.
	before, after string
}

func (s *Server) listUsers(c *call) error {
	query := c.r.URL.Query()
	filters, err := filtersOf(query, false)
	if err != nil {
		return err
	}
	position, err := positionOf(query, "cursor")
	if err != nil {
		return err
	}
	properties, err := fieldsOf(query.Get("fields"), listed)
	if err != nil {
		return err
	}
	l, err := s.listing(c, query, filters, position)
	if err != nil {
		return err
	}
	profiles := make([]profile, 0, len(l.users))
	for _, u := range l.users {
		profiles = append(profiles, profileOf(u, properties))
	}
	h := c.w.Header()
	for name, value := range map[string]string{
		"After-Cursor": l.after, "Before-Cursor": l.before, "Cursor": l.after,
		"Current-Page": strconv.Itoa(l.page), "Page-Items": strconv.Itoa(len(l.users)),
		"Total-Count": strconv.Itoa(l.total), "Total-Pages": strconv.Itoa(l.pages),
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	writeJSON(c.w, http.StatusOK, profiles)
	return nil
}

type pagination struct {
	BeforeCursor *string `json:"before_cursor"`
	AfterCursor  *string `json:"after_cursor"`
	PreviousLink *string `json:"previous_link"`
	NextLink     *string `json:"next_link"`
}

// listUsersV1 has its own names for two filters, and its cursors in the body.
func (s *Server) listUsersV1(c *call) error {
	query := c.r.URL.Query()
	for name, named := range map[string]string{"since": "created_since", "until": "created_until"} {
		if _, err := timeOf(query, name); err != nil { // names it as the client did
			return err
		}
		if value := query.Get(name); value != "" {
			query.Set(named, value)
		}
	}
	filters, err := filtersOf(query, true)
	if err != nil {
		return err
	}
	cursor := "after_cursor"
	if query.Get(cursor) == "" {
		cursor = "before_cursor"
	}
	position, err := positionOf(query, cursor)
	if err != nil {
		return err
	}
	properties, err := fieldsOf(query.Get("fields"), legacyProperties)
	if err != nil {
		return err
	}
	l, err := s.listing(c, query, filters, position)
	if err != nil {
		return err
	}
	profiles := make([]profile, 0, len(l.users))
	for _, u := range l.users {
		profiles = append(profiles, profileOf(u, withID(properties)))
	}
	p := &pagination{}
	p.BeforeCursor, p.PreviousLink = s.neighbour(c, "before_cursor", l.before)
	p.AfterCursor, p.NextLink = s.neighbour(c, "after_cursor", l.after)
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Pagination: p, Data: profiles})
	return nil
}

// withID adds the id, which version 1 always shows.
func withID(properties []string) []string {
	if slices.Contains(properties, "id") {
		return properties
	}
	return append([]string{"id"}, properties...)
}

// neighbour is the cursor of another page and the address that leads there; nil where there is none.
func (s *Server) neighbour(c *call, name, cursor string) (of, link *string) {
	if cursor == "" {
		return nil, nil
	}
	query := c.r.URL.Query()
	query.Del("after_cursor")
	query.Del("before_cursor")
	query.Set(name, cursor)
	address := strings.TrimSuffix(s.config.PublicURL(), "/") + "/api/1/users?" + query.Encode()
	return &cursor, &address
}

// position is where a page begins.
type position struct {
	limit, page int
	// after is the number of the user before the page, which holds it in its place while others come and go;
	// zero: the first page, or one that was named by its number only.
	after int64
}

// positionOf reads the paging of a query. A cursor knows it all.
func positionOf(query url.Values, cursor string) (position, error) {
	if query.Get(cursor) != "" {
		return cursorOf(query.Get(cursor), cursor)
	}
	p := position{limit: pageSize, page: 1}
	for _, x := range []struct {
		name string
		into *int
	}{{"limit", &p.limit}, {"page", &p.page}} {
		if value := query.Get(x.name); value != "" {
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 1 {
				return p, invalid(x.name, "must be an integer from 1")
			}
			*x.into = int(n)
		}
	}
	p.limit = min(p.limit, pageSize)
	return p, nil
}

func (p position) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "limit=%d&page=%d&after=%d", p.limit, p.page, p.after))
}

func cursorOf(cursor, name string) (position, error) {
	var p position
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(cursor, "="))
	if err == nil {
		_, err = fmt.Sscanf(string(text), "limit=%d&page=%d&after=%d", &p.limit, &p.page, &p.after)
	}
	if err != nil || p.limit < 1 || p.limit > pageSize || p.page < 1 || p.cursor() != strings.TrimRight(cursor, "=") {
		return p, invalid(name, "must be a cursor of another page")
	}
	return p, nil
}

// listing reads a page of the account's users.
func (s *Server) listing(c *call, query url.Values, filters []userFilter, p position) (listing, error) {
	order, err := orderOf(query.Get("sort"))
	if err != nil {
		return listing{}, err
	}
	users, err := s.candidates(c.r.Context(), c.client.Account, query)
	if err != nil {
		return listing{}, fmt.Errorf("list users: %w", err)
	}
	users = slices.DeleteFunc(users, func(u device.User) bool {
		return slices.ContainsFunc(filters, func(wanted userFilter) bool { return !wanted(u) })
	})
	slices.SortFunc(users, order)
	return p.of(users), nil
}

// candidates are all users, or the one user whose whole username or email the query names.
func (s *Server) candidates(ctx context.Context, account string, query url.Values) ([]device.User, error) {
	for _, name := range []string{"username", "email"} {
		login := query.Get(name)
		if login == "" || strings.ContainsAny(login, "*!") {
			continue
		}
		u, err := s.config.Users.UserByLogin(ctx, account, login)
		if errors.Is(err, verification.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller says it
		}
		if matching(name, login, false)(u) { // or it is one's username and another's email
			return []device.User{u}, nil
		}
	}
	return s.config.Users.AllUsers(ctx, account) //nolint:wrapcheck // the caller says it
}

// of cuts the page out of all users.
func (p position) of(users []device.User) listing {
	l := listing{total: len(users), pages: (len(users) + p.limit - 1) / p.limit, page: p.page}
	from := min((p.page-1)*p.limit, len(users))
	if p.after > 0 {
		if i := slices.IndexFunc(users, func(u device.User) bool { return u.Number == p.after }); i >= 0 {
			from = i + 1
		} else if slices.IsSortedFunc(users, byNumber) { // it has gone: the page begins with the next
			from = slices.IndexFunc(users, func(u device.User) bool { return u.Number > p.after })
			if from < 0 {
				from = len(users)
			}
		}
	}
	to := min(from+p.limit, len(users))
	l.users = users[from:to]
	if to < len(users) {
		l.after = position{p.limit, p.page + 1, users[to-1].Number}.cursor()
	}
	if from > 0 {
		before := position{limit: p.limit, page: 1}
		if from > p.limit {
			before.page, before.after = max(1, p.page-1), users[from-p.limit-1].Number
		}
		l.before = before.cursor()
	}
	return l
}

func byNumber(a, b device.User) int { return cmp.Compare(a.Number, b.Number) }

// orderOf reads the name of a property behind a plus, which a query turns into a space, or a minus.
func orderOf(sort string) (func(a, b device.User) int, error) {
	name := strings.TrimLeft(sort, "+- ")
	if sort == "" {
		return byNumber, nil
	}
	if !isProperty(name) {
		return nil, invalid("sort", "must be a property of users, behind + or -")
	}
	sign := 1
	if strings.HasPrefix(sort, "-") {
		sign = -1
	}
	return func(a, b device.User) int {
		return cmp.Or(sign*compare(plain(a, name), plain(b, name)), byNumber(a, b))
	}, nil
}

// compare puts what is missing first, then numbers, then texts in either case of letters.
func compare(a, b any) int {
	x, xIsNumber := a.(int64)
	y, yIsNumber := b.(int64)
	if xIsNumber && yIsNumber {
		return cmp.Compare(x, y)
	}
	s, xIsText := a.(string)
	t, yIsText := b.(string)
	if xIsText && yIsText {
		return cmp.Compare(strings.ToLower(s), strings.ToLower(t))
	}
	return cmp.Compare(rank(a), rank(b))
}

func rank(v any) int {
	switch v.(type) {
	case int64:
		return 1
	case string:
		return 2
	default:
		return 0
	}
}
