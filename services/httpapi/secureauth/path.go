package secureauth

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ours is every path of the API, with a realm's segment or without.
var ours = regexp.MustCompile(`^(?:/+([^/]+))?/+api/+v([0-9]{1,3})(?:/|$)`)

// slashes is what counts as one slash.
var slashes = regexp.MustCompile(`/{2,}`)

// group is the name of a group in an escaped path.
var group = regexp.MustCompile(`(?i)/groups/+([^/]+)`)

// Serves tells whether a path, escaped, is one of SecureAuth's API. The paths hold doubled slashes and
// escaped characters that are signed as they are, so no mux may see them first.
func Serves(path string) bool { return strings.Contains(path, "/api/") && ours.MatchString(path) }

// received is the path as it came: escaped, with its doubled slashes, without its query.
func received(r *http.Request) string {
	if path, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(path, "/") {
		return path
	}
	return r.URL.EscapedPath() // the request named the whole URL
}

// address takes the path apart that the call was received at. The realm's segment is empty where there
// is none, and rest is what follows the version.
func (c *call) address() (realmName string, version int, rest string, err error) {
	path := received(c.r)
	at := ours.FindStringSubmatchIndex(path)
	if at == nil {
		return "", 0, "", absentPath()
	}
	if at[2] >= 0 {
		if realmName, err = url.PathUnescape(path[at[2]:at[3]]); err != nil {
			return "", 0, "", rejected("The path is not escaped as a URL is.")
		}
	}
	version, err = strconv.Atoi(path[at[4]:at[5]])
	if err != nil || version < 1 || version > 3 {
		return "", 0, "", absentPath()
	}
	return realmName, version, path[at[5]:], nil
}

// segments are the parts of the path behind the version, unescaped. Doubled slashes are one, and one at
// the end is none.
func (c *call) segments() ([]string, error) {
	_, version, rest, err := c.address()
	if err != nil {
		return nil, err
	}
	c.version = version
	var segments []string
	for _, s := range strings.FieldsFunc(rest, func(r rune) bool { return r == '/' }) {
		plain, err := url.PathUnescape(s)
		if err != nil || !utf8.ValidString(plain) {
			return nil, rejected("The path is not UTF-8, escaped as a URL is.")
		}
		segments = append(segments, plain)
	}
	return segments, nil
}

func absentPath() error {
	return &fault{code: http.StatusNotFound, status: statusNotFound, message: "The requested resource cannot be found."}
}

// signedPaths are the spellings of a received path that SDKs sign: escaped as it came or not, its
// doubled slashes kept or, by a proxy on the way, made one.
func signedPaths(escaped string) []string {
	spellings := []string{escaped}
	// An unescaped line feed would pass for one of those between the parts of what is signed, so that a
	// signature over a path and a body would be good for a longer path without one.
	if plain, err := url.PathUnescape(escaped); err == nil && !strings.ContainsFunc(plain, unicode.IsControl) {
		spellings = append(spellings, plain)
	}
	if mixed, ok := onlyGroupEscaped(escaped); ok {
		spellings = append(spellings, mixed)
	}
	paths := make([]string, 0, 6)
	add := func(p string) {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	for _, p := range spellings {
		single := slashes.ReplaceAllLiteralString(p, "/")
		add(p)
		add(single)
		// The one path that an SDK doubles a slash in by itself: the user's name is in the query.
		if before, ok := strings.CutSuffix(single, "/users/status"); ok {
			add(before + "/users//status")
		}
	}
	return paths
}

// onlyGroupEscaped is a path with all escapes undone but those of the segment behind groups: one SDK
// escapes the names of groups and not those of users.
func onlyGroupEscaped(escaped string) (string, bool) {
	at := group.FindStringSubmatchIndex(escaped)
	if at == nil {
		return "", false
	}
	before, err := url.PathUnescape(escaped[:at[2]])
	if err != nil {
		return "", false
	}
	after, err := url.PathUnescape(escaped[at[3]:])
	return before + escaped[at[2]:at[3]] + after, err == nil
}
