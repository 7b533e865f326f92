package onelogin

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The bounds of OneLogin's contract, in seconds.
const (
	minExpiresIn     = 120
	defaultExpiresIn = 120
	maxExpiresIn     = 900
)

func (s Settings) complete() Settings {
	s.Brand = cmp.Or(s.Brand, "Assent")
	s.MinExpiresIn = cmp.Or(s.MinExpiresIn, minExpiresIn)
	s.MaxExpiresIn = cmp.Or(s.MaxExpiresIn, maxExpiresIn)
	if len(s.Factors) == 0 {
		for _, f := range factors {
			s.Factors = append(s.Factors, f.setting)
		}
	}
	return s
}

// Validate reports everything that is wrong, each fault as "key: detail".
func (s Settings) Validate() []error {
	var faults []error
	full := s.complete()
	if full.MinExpiresIn < 1 || full.MinExpiresIn > minExpiresIn {
		faults = append(faults, fmt.Errorf("min_expires_in: want 1 to %d seconds", minExpiresIn))
	}
	if full.MaxExpiresIn < minExpiresIn || full.MaxExpiresIn > maxExpiresIn {
		faults = append(faults, fmt.Errorf("max_expires_in: want %d to %d seconds", minExpiresIn, maxExpiresIn))
	}
	if full.RateLimit < 0 {
		faults = append(faults, fmt.Errorf("rate_limit: want a number of calls per hour, or 0 for no limit"))
	}
	for _, name := range full.Factors {
		if !slices.ContainsFunc(factors, func(f factor) bool { return f.setting == name }) {
			faults = append(faults, fmt.Errorf("factors: want some of protect, sms, voice, email, email_link, authenticator"))
			break
		}
	}
	return faults
}

// life is how long something lives that was asked for with this many seconds; zero: the default.
func (s Settings) life(expiresIn int) (time.Duration, bool) {
	if expiresIn == 0 {
		expiresIn = max(defaultExpiresIn, s.MinExpiresIn)
	}
	if expiresIn < s.MinExpiresIn || expiresIn > maxExpiresIn {
		return 0, false
	}
	return time.Duration(min(expiresIn, s.MaxExpiresIn)) * time.Second, true
}
