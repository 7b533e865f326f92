#!/bin/sh
# The README's session, to be run by people and by tests: asks a person over SMS, waits for the
# answer, reads the code from the sandbox, checks it. It prints what the API answers and fails
# unless the waiting client sees "approved".
#
#   CLIENT=assent-dev SECRET=… docs/quickstart.sh
#   BASE=http://localhost:8080 SANDBOX=http://localhost:8081 …     where the sandbox is a process of its own
set -eu

base=${BASE:-http://127.0.0.1:8080}
sandbox=${SANDBOX:-$base}
to=${TO:-+14155550100}
: "${CLIENT:?is the client id that assent up prints}" "${SECRET:?is the client secret that assent up prints}"

# The credential goes through standard input, so that no list of processes shows it.
api() { printf 'user = "%s:%s"\n' "$CLIENT" "$SECRET" | curl -sS --max-time 40 -K - "$@"; }

# field prints a string field of a JSON object, the first of its name.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

fail() {
	echo "quickstart: $*" >&2
	exit 1
}

echo "# 1. ask"
created=$(api -X POST "$base/v1/verifications" -H 'Content-Type: application/json' \
	-d "{\"to\":\"$to\",\"channel\":\"sms\",\"brand\":\"Example Bank\"}")
echo "$created"
id=$(echo "$created" | field id)
[ -n "$id" ] || fail "nothing was created"

echo "# 2. wait for the answer, in the background"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
api "$base/v1/verifications/$id?wait=30" >"$answer" &
waiting=$!

echo "# 3. read the code where the person would: in the inbox"
plus=$(echo "$to" | sed 's/+/%2B/')
code=$(curl -sS --max-time 40 "$sandbox/sandbox/messages?to=$plus&channel=sms&wait=10" | field code)
[ -n "$code" ] || fail "no message arrived"

echo "# 4. check it"
api -X POST "$base/v1/verifications/$id/check" -H 'Content-Type: application/json' -d "{\"code\":\"$code\"}"
echo

echo "# 5. what the waiting client was told"
wait "$waiting" || fail "the waiting client failed"
cat "$answer"
echo
[ "$(field status <"$answer")" = approved ] || fail "the verification was not approved"
