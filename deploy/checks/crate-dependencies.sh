#!/usr/bin/env bash
# Fails on a dependency that docs/architecture.md forbids: one between our crates,
# or one on an outside library that another crate owns. Development dependencies
# are not checked, because they ship nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Which of our crates each may use. A new crate must be added here, or `make check` fails.
allowed_ours='
risiti-domain:
risiti-providers: risiti-domain
risiti-etims: risiti-domain
risiti-receipts: risiti-domain
risiti-queue:
risiti-spool:
risiti-ledger: risiti-domain risiti-providers
risiti-service:
risiti-ingress: risiti-domain risiti-providers risiti-ledger risiti-queue risiti-service risiti-spool
risiti-ledger-worker: risiti-domain risiti-providers risiti-ledger risiti-queue risiti-service
risiti-etims-worker: risiti-domain risiti-etims risiti-ledger risiti-queue risiti-service
risiti-replay: risiti-domain risiti-providers risiti-ledger risiti-queue risiti-service
risiti-admin: risiti-domain risiti-etims risiti-ledger risiti-providers risiti-queue risiti-service
etims-sim:
risiti-load:
risiti-model:
risiti-testkit:
risiti-chaos: risiti-testkit
risiti-bench: risiti-spool risiti-testkit
risiti-hostile:
system-tests:
'

# Who may name an outside system's library. The load generator, the test kit and
# the benchmark look at the servers as outsiders do.
owners='
lapin: risiti-queue risiti-testkit risiti-bench
deadpool-postgres: risiti-ledger
tokio-postgres: risiti-ledger risiti-load risiti-testkit risiti-bench
refinery: risiti-ledger
reqwest: risiti-etims risiti-load risiti-chaos
backoff: risiti-etims
redis: risiti-ingress
redb: risiti-spool
krilla: risiti-receipts
'

# The domain and the printed receipts have no I/O, no clock and no async. The providers have no network.
never='
risiti-domain: tokio tokio-util futures-util tracing clap actix-web async-trait
risiti-receipts: tokio tokio-util futures-util tracing clap actix-web async-trait
risiti-providers: tokio tokio-util futures-util actix-web async-trait
'

# One "FROM TO" line for each direct dependency, for every platform and feature.
edges() {
    cargo tree --locked --workspace --all-features --target all --edges normal,build \
        --depth 1 --no-dedupe --prefix depth --format ' {p}' |
        awk '$1 == 0 { from = $2; print from, "" } $1 == 1 { print from, $2 }'
}

edges >/dev/null # so that a failing cargo fails this script
edges | sort -u | awk -v allowed_ours="$allowed_ours" -v owners="$owners" -v never="$never" '
    function table(text, into,    lines, count, i, key, words) {
        count = split(text, lines, "\n")
        for (i = 1; i <= count; i++) {
            if (lines[i] == "") continue
            key = lines[i]; sub(/:.*/, "", key)
            words = lines[i]; sub(/^[^:]*:/, "", words)
            into[key] = words " "
        }
    }
    function has(list, word) { return index(list, " " word " ") > 0 }
    function refuse(why) { printf "%s must not depend on %s: %s\n", $1, $2, why; bad = 1 }
    BEGIN { table(allowed_ours, ours); table(owners, owned_by); table(never, forbidden) }
    NF == 1 {
        crates++
        if (!($1 in ours)) { print $1 " is not in the table of deploy/checks/crate-dependencies.sh"; bad = 1 }
        next
    }
    ($2 in ours) && !has(ours[$1], $2) { refuse("docs/architecture.md, section 8, keeps these crates apart") }
    ($2 in owned_by) && !has(owned_by[$2], $1) { refuse("only" owned_by[$2] "may") }
    ($1 in forbidden) && has(forbidden[$1], $2) { refuse("it stays pure") }
    END {
        if (crates == 0) { print "cargo tree listed no crate"; bad = 1 }
        if (!bad) print "crate dependencies ok (" crates " crates)"
        exit bad
    }
'
