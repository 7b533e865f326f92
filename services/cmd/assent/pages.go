package main

import (
	"net/http"
	"net/url"
	"strconv"
)

const (
	// mostListed is how many entries one list shows at most, and pageSize how many one question asks for.
	mostListed = 1000
	pageSize   = 100
	// mostPages bounds the questions of one list. A page may be empty where few entries fit.
	mostPages = 100
)

// queryOf is a query of the filters that are set.
func queryOf(filters map[string]string) url.Values {
	query := url.Values{}
	for name, value := range filters {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// listPages asks for pages of a list until there are enough entries, or no more. took takes in a page, and says
// how many entries it had and what the next one is after; nil: there is none.
func listPages[P any](a apiAccess, p *program, path string, query url.Values, limit int, took func(P) (n int, next *string)) error {
	for range mostPages {
		query.Set("limit", strconv.Itoa(min(pageSize, limit)))
		var page P
		if err := a.call(p, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		n, next := took(page)
		if limit -= n; next == nil || limit <= 0 {
			return nil
		}
		query.Set("after", *next)
	}
	return nil
}
