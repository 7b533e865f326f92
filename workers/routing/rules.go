package routing

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// Rule says who carries what goes to some countries: the providers in the order in which they are
// tried. With weights the first is drawn by them, and the others follow in their order.
type Rule struct {
	text      string
	prefixes  []string // none: every address
	providers []share
}

type share struct {
	provider string
	weight   int // zero: the rule has no weights
}

// every stands for all addresses in the text of a rule.
const every = "*"

const maxWeight = 1000

// ParseRules reads rules such as "+49 +43: acme=80 twilio=20" or "*: twilio acme": country calling
// codes, or longer prefixes of numbers, then the providers. The first rule that matches counts, and what
// matches none is not sent. Each fault names its rule. known are the providers that can be named; without
// rules all of them carry everything, in their order. numbers tells that the channel's addresses are phone
// numbers; others have no prefix.
func ParseRules(texts, known []string, numbers bool) ([]Rule, []error) {
	if len(texts) == 0 {
		all := Rule{text: every + ": " + strings.Join(known, " ")}
		for _, p := range known {
			all.providers = append(all.providers, share{provider: p})
		}
		return []Rule{all}, nil
	}
	var rules []Rule
	var faults []error
	for _, text := range texts {
		r, err := parseRule(text, known, numbers)
		if err == nil {
			err = r.hidden(rules)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("rule %q: %w", text, err))
			continue
		}
		rules = append(rules, r)
	}
	return rules, faults
}

func parseRule(text string, known []string, numbers bool) (Rule, error) {
	r := Rule{text: text}
	left, right, ok := strings.Cut(text, ":")
	if !ok {
		return r, fmt.Errorf("want prefixes, a colon, and providers, as in +49: acme twilio")
	}
	for _, p := range strings.Fields(left) {
		if p == every {
			continue
		}
		if !numbers {
			return r, fmt.Errorf("prefix %s: this channel has no numbers; want %s", p, every)
		}
		if err := validPrefix(p); err != nil {
			return r, err
		}
		r.prefixes = append(r.prefixes, p)
	}
	switch fields := strings.Fields(left); {
	case len(fields) == 0:
		return r, fmt.Errorf("no prefix before the colon; %s stands for all", every)
	case len(r.prefixes) > 0 && len(r.prefixes) < len(fields):
		return r, fmt.Errorf("%s beside other prefixes", every)
	}
	return r, r.readProviders(strings.Fields(right), known)
}

func (r *Rule) readProviders(fields, known []string) error {
	weighted := 0
	for _, f := range fields {
		name, weight, has := strings.Cut(f, "=")
		s := share{provider: name}
		if has {
			n, err := strconv.Atoi(weight)
			if err != nil || n < 1 || n > maxWeight {
				return fmt.Errorf("weight of %s: want 1 to %d", name, maxWeight)
			}
			s.weight, weighted = n, weighted+1
		}
		if !slices.Contains(known, name) {
			return fmt.Errorf("provider %s is not configured for this channel; there are: %s", name, strings.Join(known, ", "))
		}
		if slices.ContainsFunc(r.providers, func(o share) bool { return o.provider == name }) {
			return fmt.Errorf("provider %s stands twice", name)
		}
		r.providers = append(r.providers, s)
	}
	switch {
	case len(r.providers) == 0:
		return fmt.Errorf("no provider after the colon")
	case weighted > 0 && weighted < len(r.providers):
		return fmt.Errorf("give every provider a weight, or none")
	}
	return nil
}

// hidden says why a rule matches nothing: those before it take everything that it could.
func (r Rule) hidden(before []Rule) error {
	if len(r.prefixes) == 0 {
		if i := slices.IndexFunc(before, func(b Rule) bool { return len(b.prefixes) == 0 }); i >= 0 {
			return fmt.Errorf("it matches nothing: rule %q before it takes everything", before[i].text)
		}
		return nil
	}
	for _, p := range r.prefixes {
		if !slices.ContainsFunc(before, func(b Rule) bool { return b.matches(p) }) {
			return nil
		}
	}
	return fmt.Errorf("it matches nothing: rules before it take all of %s", strings.Join(r.prefixes, " "))
}

func (r Rule) matches(address string) bool {
	return len(r.prefixes) == 0 || slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(address, p) })
}

// order is who is tried for a message, first to last. Equal messages get equal answers.
func (r Rule) order(message string) []string {
	names := make([]string, len(r.providers))
	total := 0
	for i, s := range r.providers {
		names[i], total = s.provider, total+s.weight
	}
	if total == 0 {
		return names
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(message)) // never fails
	drawn := int(h.Sum32()>>1) % total
	for i, s := range r.providers {
		if drawn -= s.weight; drawn < 0 {
			first := names[i]
			return append([]string{first}, slices.Delete(slices.Clone(names), i, i+1)...)
		}
	}
	return names
}
