package verification

// Carries tells whether a channel can carry a challenge; the empty one is the channel's default, which every channel has.
func (c Channel) Carries(asked Challenge) bool {
	offered, known := challenges[c]
	return known && (asked == "" || contains(offered, asked))
}

// DefaultChallenge is what a channel asks where nothing is said; empty for what is no channel.
func (c Channel) DefaultChallenge() Challenge {
	if offered := challenges[c]; len(offered) > 0 {
		return offered[0]
	}
	return ""
}
