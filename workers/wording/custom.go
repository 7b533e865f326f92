package wording

import (
	"regexp"
	"strconv"
	"time"
)

// placeholder finds the parts of a client's own wording that are ours to fill.
var placeholder = regexp.MustCompile(`\{\{\s*(otp_code|otp_expiry)\s*\}\}`)

// Fill is a client's own wording with its code and the minutes that are left, rounded up. Everything
// else stays as the client wrote it, and what is filled in is not filled itself.
func Fill(text, code string, life time.Duration) string {
	return placeholder.ReplaceAllStringFunc(text, func(part string) string {
		if placeholder.FindStringSubmatch(part)[1] == "otp_code" {
			return code
		}
		return strconv.Itoa(max(1, int((life+time.Minute-1)/time.Minute)))
	})
}
