# Reads the output of `go test -json`. Its fields come in a fixed order, one object a line.

function field(name,    start, rest) {
	start = index($0, "\"" name "\":\"")
	if (start == 0) return ""
	rest = substr($0, start + length(name) + 4)
	return substr(rest, 1, match(rest, /"[,}]/) - 1)
}

# output is always the last string of its line, and may hold quotes.
function output(    start, s) {
	start = index($0, "\"Output\":\"")
	if (start == 0) return ""
	s = substr($0, start + 10)
	sub(/"[^"]*$/, "", s)
	gsub(/\\\\/, "\001", s)
	gsub(/\\n/, "\n", s); gsub(/\\t/, "\t", s); gsub(/\\r/, "", s); gsub(/\\"/, "\"", s)
	gsub(/\\u003c/, "<", s); gsub(/\\u003e/, ">", s); gsub(/\\u0026/, "\\&", s); gsub(/\\u001b/, "\033", s)
	gsub("\001", "\\", s)
	return s
}

# What is not JSON is the go command itself speaking.
!/^\{/ { print; next }

{
	action = field("Action"); package = field("Package"); test = field("Test")
	key = package " " test
}

action == "build-output" { printf "%s", output(); next }

action == "output" {
	text = output()
	if (test != "") said[key] = said[key] text
	else if (text !~ /^(PASS|FAIL|ok|\?|---|testing:|coverage:)/) aside[package] = aside[package] text
	next
}

action == "pass" && test != "" {
	passed++
	if (stories != "") print "  pass  " test
	delete said[key]
	next
}

action == "skip" && test != "" {
	skipped++
	reasons = reasons "  " package " " test "\n" said[key]
	delete said[key]
	next
}

action == "fail" && test != "" {
	failed++
	printf "--- FAIL: %s %s\n%s", package, test, said[key]
	names = names "  " package " " test "\n"
	delete said[key]
	next
}

action == "pass" { print "ok    " package; fflush(); next }

action == "fail" {
	print "FAIL  " package
	printf "%s", aside[package]
	for (k in said) if (index(k, package " ") == 1) printf "--- unfinished: %s\n%s", k, said[k]
	broken++
	packages = packages "  " package "\n"
	fflush()
	next
}

END {
	if (skipped) printf "\nskipped:\n%s", reasons
	if (broken) printf "\nfailed packages:\n%s", packages
	if (failed) printf "failed tests:\n%s", names
	if (passed + failed == 0) print "no test ran"
	# A package that fails without a failing test (it did not build, or it panicked) counts as one.
	if (broken && !failed) failed = broken
	printf "%d passed, %d failed\n", passed, failed
	exit (failed || broken || passed == 0) ? 1 : 0
}
