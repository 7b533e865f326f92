package secureauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// standardProperties are those that a profile always shows, with or without a value.
var standardProperties = slices.Concat(
	[]string{"firstName", "lastName"}, numberedNames("phone", 4), numberedNames("email", 4), numberedNames("auxId", 10), []string{"pinHash"},
)

// knownProperties are those that mean something here. All others are kept for the client.
var knownProperties = slices.Concat(standardProperties, numberedNames("helpDesk", 2), []string{"pin", yubiKeyProperty})

// notProperties are set elsewhere, and would be kept as they are if they passed for properties.
var notProperties = slices.Concat([]string{"userId", "password", "helpDeskKb"}, numberedNames("kbq", 6))

func numberedNames(name string, last int) []string {
	names := make([]string, last)
	for n := range names {
		names[n] = fmt.Sprint(name, n+1)
	}
	return names
}

// propertyName is the name of a property as it is shown; known ones are understood in either case of letters.
func propertyName(given string) string {
	given = strings.TrimSpace(given)
	for _, known := range knownProperties {
		if strings.EqualFold(known, given) {
			return known
		}
	}
	return given
}

// questionID is the id of a question's factor; empty where there is no such question.
func questionID(given string) string {
	for _, id := range append(numberedNames("KBQ", 6), helpDeskQuestion) {
		if strings.EqualFold(id, strings.TrimSpace(given)) {
			return id
		}
	}
	return ""
}

// helpDeskQuestion is asked by a help desk, and is no factor.
const helpDeskQuestion = "HelpDeskKb"

// shownQuestion is the name of a question in a profile.
func shownQuestion(id string) string {
	if id == helpDeskQuestion {
		return "helpDeskKb"
	}
	return strings.ToLower(id)
}

// shownProfile is a profile as it is read.
type shownProfile struct {
	UserID string `json:"userId,omitempty"`
	// UnknownID is the name of a user whom nobody knows: it stands in another field there.
	UnknownID     string                   `json:"user_id,omitempty"`
	Properties    map[string]shownProperty `json:"properties"`
	KnowledgeBase map[string]question      `json:"knowledgeBase"`
	Groups        []string                 `json:"groups"`
	Accesses      []access                 `json:"accessHistories"`
	basic
}

// shownProperty has texts only: one SDK reads no booleans here.
type shownProperty struct {
	Value       string `json:"value"`
	IsWritable  string `json:"isWritable"`
	DisplayName string `json:"displayName,omitempty"`
}

// readUser answers the profile.
func (s *Server) readUser(c *call) error {
	u, name, err := s.namedUser(c)
	if isUnknownUser(err) {
		return s.noProfile(c, name)
	}
	if err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	shown := p.shown()
	shown.UserID, shown.basic = name, basic{statusFound, ""}
	return c.answer(shown)
}

// noProfile answers for an unknown user with the empty lists that clients look for.
func (s *Server) noProfile(c *call, name string) error {
	err := unknownUser(name)
	note(c.w, c.realm.AppID, "", err)
	f := faultFor(err)
	shown := profile{}.shown()
	shown.Properties = map[string]shownProperty{}
	shown.UnknownID, shown.basic = name, basic{f.status, f.message}
	c.write(http.StatusNotFound, shown)
	return nil
}

// shown is what anybody with the key may read: answers are kept as hashes and the PIN too, so their places
// are empty.
func (p profile) shown() shownProfile {
	shown := shownProfile{
		Properties: map[string]shownProperty{}, KnowledgeBase: map[string]question{},
		Groups: append([]string{}, p.Groups...), Accesses: append([]access{}, p.History...),
	}
	slices.Reverse(shown.Accesses)
	for _, name := range standardProperties {
		shown.Properties[name] = shownProperty{IsWritable: "true"}
	}
	for name, x := range p.Properties {
		shown.Properties[name] = shownProperty{x.Value, "true", x.DisplayName}
	}
	for id, q := range p.Questions {
		shown.KnowledgeBase[shownQuestion(id)] = question{Question: q.Question}
	}
	return shown
}
