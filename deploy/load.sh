#!/usr/bin/env bash
# Creates N verifications, PARALLEL at a time, each to a number of its own, and prints how many were
# accepted in a second and how long the answers took. One curl makes all the calls; it is a first
# look, not a benchmark: the client shares the processors with the server.
#
#   deploy/load.sh                     against a fresh `assent up` of its own
#   BASE=… CLIENT=… SECRET=… deploy/load.sh    against a running one
set -euo pipefail
cd "$(dirname "$0")/.."

n=${N:-5000} parallel=${PARALLEL:-64}
dir=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT

if [ -z "${BASE:-}" ]; then
  port=${PORT:-18090}
  export BASE=http://127.0.0.1:$port
  CLIENT=load SECRET=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  ASSENT_BOOTSTRAP_CLIENT_ID=$CLIENT ASSENT_BOOTSTRAP_CLIENT_SECRET=$SECRET \
    bin/assent up --listen "127.0.0.1:$port" --data "$dir/data" >"$dir/log" 2>&1 &
  server=$!
  LIMIT=30 deploy/wait.sh || { tail -n 20 "$dir/log" >&2; exit 1; }
fi

awk -v n="$n" -v base="$BASE" -v user="$CLIENT:$SECRET" 'BEGIN {
  for (i = 0; i < n; i++) {
    if (i) print "next"
    printf "url = \"%s/v1/verifications\"\nuser = \"%s\"\nheader = \"Content-Type: application/json\"\n", base, user
    printf "data = \"{\\\"to\\\":\\\"+1415%07d\\\",\\\"channel\\\":\\\"sms\\\"}\"\n", 2000000 + i
    printf "output = \"/dev/null\"\nwrite-out = \"%%{http_code} %%{time_total}\\n\"\nsilent\n"
  }
}' >"$dir/calls"

echo "$n creates, $parallel at a time, against $BASE" >&2
began=$(date +%s%N)
curl --parallel --parallel-max "$parallel" --parallel-immediate --no-progress-meter -K "$dir/calls" >"$dir/answers"
took=$(($(date +%s%N) - began))

sort -k2,2n "$dir/answers" | awk -v took="$took" '
  { count[$1]++; if ($1 == 201) t[++ok] = $2 }
  END {
    for (c in count) printf "answers %s: %d\n", c, count[c]
    if (!ok) exit 1
    printf "accepted/s: %.0f\n", ok / (took / 1e9)
    printf "latency ms: p50 %.1f, p99 %.1f, max %.1f\n", t[int((ok + 1) * .5)] * 1000, t[int(ok * .99)] * 1000, t[ok] * 1000
  }'
