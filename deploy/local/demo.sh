#!/usr/bin/env bash
# Runs every program of Risiti against the eTIMS simulator under a storm of webhooks. It breaks things on
# purpose, replays the dead letters, and audits every id. `make demo` runs it with DATABASE_URL and
# AMQP_URL set. It exits 0 only if the audit finds no breach. target/demo/summary.json says the same as the
# table.
#
# PAYMENTS (default 3000) and SEED (default: a new one each time, printed) change the storm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
demo=$root/target/demo
bin=${CARGO_TARGET_DIR:-$root/target}/debug
payments=${PAYMENTS:-3000}
seed=${SEED:-$RANDOM}
stack=$here/stack.sh
export RISITI_STACK_DIR=$demo/stack

export RISITI_OPERATOR=demo
# Pauses of minutes in production take seconds in the demo.
export RISITI_BREAKER_PAUSE=1s RISITI_RETRY_MAX=10s RISITI_ETIMS_TIMEOUT=5s

began=$SECONDS
tell() { printf '%4d s  %s\n' $((SECONDS - began)) "$*" >&2; }

finish() {
    local code=$?
    trap '' INT TERM HUP
    if [[ -n ${storm:-} ]]; then kill "$storm" 2>/dev/null || true; fi
    if [[ -n ${frozen:-} ]]; then "$stack" thaw "$frozen" 2>/dev/null || true; fi
    "$stack" down --programs
    exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Also ends what a killed demo left running.
"$stack" purge
rm -rf "$demo"
mkdir -p "$demo"

tell "building and starting: 2 ingress, 2 ledger workers, 2 eTIMS workers, the tax authority (simulated) in two dialects"
"$stack" up --bare >"$demo/up.out"
eval "$("$stack" env)"
sims=(--sim "$SIM_URL" --gateway-sim "$GATEWAY_SIM_URL")
began=$SECONDS
"$bin/risiti-load" seed --admin "$bin/risiti-admin" "${sims[@]}" --merchants 12 --out "$demo/fleet.json"
"$bin/risiti-load" trouble --fleet "$demo/fleet.json" "${sims[@]}" --seed "$seed"

tell "the storm begins: $payments payments, seed $seed"
"$bin/risiti-load" storm --fleet "$demo/fleet.json" --ingress "$INGRESS_URLS" --payments "$payments" \
    --seed "$seed" --concurrency 64 --record "$demo/record.jsonl" &
storm=$!

# Kills a program with SIGKILL and starts it again after a moment.
strike() {
    tell "kill -9 $1"
    "$stack" kill "$1"
    sleep 0.5
    "$stack" start "$1"
}
sleep 2
strike ledger-worker-1
strike etims-worker-1
frozen=etims-worker-2
tell "$frozen freezes, for longer than its leases last"
"$stack" freeze "$frozen"
thaw_at=$((SECONDS + 12))
strike ingress-2
sleep 2
strike etims-worker-1
strike ledger-worker-2
while ((SECONDS < thaw_at)); do sleep 0.2; done
tell "$frozen thaws"
"$stack" thaw "$frozen"
frozen=

wait "$storm"
storm=
settled() {
    "$bin/risiti-load" settle --fleet "$demo/fleet.json" --record "$demo/record.jsonl" --wait "$1"
}
settled 60s || tell "some work is not done yet"
tell "the tax authority recovers; the dead letters are replayed"
"$bin/risiti-load" trouble --fleet "$demo/fleet.json" "${sims[@]}" --clear
# An unreadable webhook stays: the tax authority's recovery does not make it readable.
for cause in refused exhausted; do
    "$bin/risiti-replay" run --cause "$cause" --yes --json --reason "the tax authority has recovered" >&2
done

tell "the audit"
"$bin/risiti-load" audit --fleet "$demo/fleet.json" --record "$demo/record.jsonl" "${sims[@]}" \
    --replay "$bin/risiti-replay" --wait 90s --summary "$demo/summary.json"
