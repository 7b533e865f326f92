package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// log writes the one line about a request. It names the route's pattern, never the path: a path
// can hold a link token. Nothing of a body or of an Authorization header comes near it.
func (rec *recorder) log(took time.Duration) {
	level := slog.LevelInfo
	// What this server says it does not have is no fault of it, though clients may ask at every login.
	if rec.status >= http.StatusInternalServerError && rec.status != http.StatusNotImplemented {
		level = slog.LevelError
	}
	// A page has many files, and that they were fetched tells nothing.
	if rec.status < http.StatusBadRequest && strings.HasPrefix(rec.Header().Get("Cache-Control"), "public") {
		level = slog.LevelDebug
	}
	l := rec.server.config.Log
	ctx := rec.request.Context()
	if !l.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("request_id", rec.requestID),
		slog.String("method", rec.request.Method),
		slog.String("route", rec.route),
		slog.Int("status", rec.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	)
	if rec.client != "" {
		attrs = append(attrs, slog.String("client_id", rec.client))
	}
	if rec.verificationID != "" {
		attrs = append(attrs, slog.String("verification_id", rec.verificationID))
	}
	if rec.notificationID != "" {
		attrs = append(attrs, slog.String("notification_id", rec.notificationID))
	}
	if rec.parked {
		attrs = append(attrs, slog.Bool("parked", true))
	}
	if rec.err != nil {
		attrs = append(attrs, slog.String("err", rec.err.Error()))
		var p *panicError
		if errors.As(rec.err, &p) {
			attrs = append(attrs, slog.String("stack", p.stack))
		}
	}
	l.LogAttrs(ctx, level, "request", attrs...)
}
