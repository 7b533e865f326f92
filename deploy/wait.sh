#!/bin/sh
# Waits until Assent is ready at BASE, and says how long it took.
set -eu

base=${BASE:-http://localhost:8080}
limit=${LIMIT:-120}
waited=0
until curl -fsS -o /dev/null --max-time 2 "$base/readyz" 2>/dev/null; do
	if [ "$waited" -ge "$limit" ]; then
		echo "assent: $base is not ready after $limit seconds" >&2
		exit 1
	fi
	[ $((waited % 10)) -ne 0 ] || echo "  waiting for $base, $waited s" >&2
	sleep 1
	waited=$((waited + 1))
done
echo "Assent is ready at $base" >&2
