package smtp

import "time"

// KeepIdleFor replaces the time after which idle connections end, before the first call.
func (g *Gateway) KeepIdleFor(d time.Duration) { g.pool.idleLife = d }

// LeadTo is where the configured name leads, before the first call.
func (g *Gateway) LeadTo(host string) { g.cfg.Host = host }
