package main

import (
	"net/http"
	"time"
)

// boundBodies gives the body of each request a time to arrive in, read by its handler or not: before
// an answer goes out, net/http waits for the rest of a body. Once a body is complete net/http lifts
// the deadline itself, so that it does not cut what the handler does then.
func boundBodies(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			// A writer that cannot set one is a test's.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		}
		next.ServeHTTP(w, r)
	})
}
