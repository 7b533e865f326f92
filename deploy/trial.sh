#!/usr/bin/env bash
# Tries docker-compose.yml for real, without pulling an image: builds the binary and NATS on this
# machine, puts both into images, starts every service with three SMS workers, runs the quickstart
# until a verification is approved, and takes everything down again.
#
#   deploy/trial.sh            needs Docker, Compose, Go and make
#   KEEP=1 deploy/trial.sh     leaves the services running
set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-assent-trial}
export ASSENT_IMAGE=assent:local ASSENT_PORT=${ASSENT_PORT:-18080} ASSENT_SANDBOX_PORT=${ASSENT_SANDBOX_PORT:-18081}
workers=${SMS:-3}
rounds=${ROUNDS:-9}

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose+=(-f docker-compose.yml -f deploy/docker-compose.local.yml)

finish() {
  status=$?
  if [ $status -ne 0 ]; then
    "${compose[@]}" ps || true
    "${compose[@]}" logs --no-color --tail 40 || true
  fi
  if [ -z "${KEEP:-}" ]; then "${compose[@]}" down --volumes --remove-orphans || true; fi
  [ $status -ne 0 ] || echo "the trial passed"
  exit $status
}

make image/local IMAGE=$ASSENT_IMAGE
make image/nats
trap finish EXIT
"${compose[@]}" up -d --scale sms="$workers"

export BASE=http://localhost:$ASSENT_PORT SANDBOX=http://localhost:$ASSENT_SANDBOX_PORT
export CLIENT=assent-dev SECRET
SECRET=$(cat deploy/compose/client_secret)
deploy/wait.sh
for round in $(seq "$rounds"); do
  TO=$(printf '+1415555%04d' $((100 + round))) docs/quickstart.sh >/tmp/assent-trial.$$ || { cat /tmp/assent-trial.$$; rm -f /tmp/assent-trial.$$; exit 1; }
  [ "$round" -ne 1 ] || cat /tmp/assent-trial.$$
  rm -f /tmp/assent-trial.$$
done

echo "deliveries by SMS worker:"
total=0
for n in $(seq "$workers"); do
  sent=$("${compose[@]}" logs --no-color sms | grep -E "sms[_-]$n " | grep -c 'delivery sent' || true)
  echo "  sms $n: $sent"
  total=$((total + sent))
done
if [ "$total" -ne "$rounds" ]; then
  echo "want $rounds deliveries, the logs tell of $total" >&2
  exit 1
fi

# Every way to ask and to answer, as the stories tell it, against these services.
STORIES_BASE=$BASE STORIES_SANDBOX=$SANDBOX STORIES_CLIENT=$CLIENT STORIES_SECRET=$SECRET \
  go test -count=1 -v -run '^TestOneProcessAsksOnEveryRoadAndHearsTheAnswer$' ./services/scenario | grep -E '^(=== NAME|---|    ---|ok|FAIL|panic)'
"${compose[@]}" ps
