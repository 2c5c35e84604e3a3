#!/usr/bin/env bash
# One payment through every program: a Daraja callback in, a tax receipt number out.
# Run by `make demo`, with DATABASE_URL and AMQP_URL set.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
export RISITI_STACK_DIR=$root/target/demo/stack
rm -rf "$root/target/demo"

trap '"$here/stack.sh" down --programs' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$here/stack.sh" up >"$root/target/demo.out"
bash -c "$(grep -A1 '^curl' "$root/target/demo.out")"
echo
eval "$("$here/stack.sh" env)"
deadline=$((SECONDS + 30))
until receipt=$(psql -XAtq "$DATABASE_URL" -c 'SELECT receipt_no FROM report_invoices') && [[ -n $receipt ]]; do
    ((SECONDS < deadline)) || { echo "demo: no receipt within 30 s" >&2; exit 1; }
    sleep 0.2
done
echo "KES 1160.00 has tax receipt number $receipt"
