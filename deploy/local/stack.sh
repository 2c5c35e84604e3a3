#!/usr/bin/env bash
# Runs every program of Risiti on this machine, against the private servers and the eTIMS simulator.
#
#   stack.sh up [--bare]   builds, migrates, starts everything, registers a sample merchant, prints every URL;
#                          --bare: neither merchant nor URLs. RISITI_STACK_BUILD=no takes the programs as they are
#   stack.sh down     stops the programs with SIGTERM, then the private servers
#   stack.sh purge    stops the programs and removes their database and folder
#   stack.sh status   one line per program; exit 0 only when all run
#   stack.sh env      export lines of what the programs were given
#   stack.sh start|stop|kill|freeze|thaw PROGRAM    one program, e.g. etims-worker-1
#
# RISITI_STACK_DIR (default .local/stack) holds ports, keys and logs. Another folder is another stack, with
# its own database and namespace.
# shellcheck disable=SC2154  # ports and keys are remembered by name
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
mkdir -p "${RISITI_STACK_DIR:-$root/.local/stack}"
state=$(cd "${RISITI_STACK_DIR:-$root/.local/stack}" && pwd -P)
target=${CARGO_TARGET_DIR:-$root/target}/debug
programs=(etims-sim etims-sim-gateway ledger-worker-1 ledger-worker-2 etims-worker-1 etims-worker-2 ingress-1 ingress-2)

say() { printf 'stack: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# shellcheck source=deploy/local/processes.sh
source "$here/processes.sh"

# --- Remembered settings -----------------------------------------------------

remember() {
    printf -v "$1" %s "$2"
    (
        umask 077
        echo "$1=$2" >>"$state/services.env"
    )
}

recall() {
    # shellcheck disable=SC1091
    if [[ -e $state/services.env ]]; then source "$state/services.env"; fi
    local port
    for port in etims_sim etims_sim_gateway ledger_worker_1 ledger_worker_2 etims_worker_1 etims_worker_2 ingress_1 ingress_2; do
        [[ $port == etims_sim* ]] || { setting=${port}_ops_port; [[ -n ${!setting:-} ]] || remember "$setting" "$(pick_port)"; }
        case $port in etims_sim* | ingress_*) setting=${port}_port; [[ -n ${!setting:-} ]] || remember "$setting" "$(pick_port)" ;; esac
    done
    [[ -n ${stack_id:-} ]] || remember stack_id "$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')"
    [[ -n ${credentials_key:-} ]] || remember credentials_key "$(head -c 32 /dev/urandom | base64 -w0)"
}

# The stack has its own database and namespace, on the servers that services.sh names.
settings() {
    eval "$("$here/services.sh" env)"
    local options=""
    [[ $DATABASE_URL == *\?* ]] && options="?${DATABASE_URL#*\?}"
    server_url=$DATABASE_URL
    local base=${DATABASE_URL%%\?*}
    export DATABASE_URL="${base%/*}/risiti_$stack_id$options" AMQP_URL
    if [[ -n ${RISITI_REDIS_URL:-} ]]; then export RISITI_REDIS_URL; fi
    export RISITI_NAMESPACE="risiti-$stack_id" RISITI_CREDENTIALS_KEY=$credentials_key
}

# --- Programs ----------------------------------------------------------------

port_setting() { echo "${1//-/_}_$2"; }

start_program() {
    local name=$1 setting
    if pid_of "$name" >/dev/null; then return; fi
    setting=$(port_setting "$name" ops_port)
    local ops=("RISITI_OPS_LISTEN=127.0.0.1:${!setting:-0}")
    case $name in
    etims-sim*)
        setting=$(port_setting "$name" port)
        local dialect=legacy
        [[ $name == etims-sim ]] || dialect=${name#etims-sim-}
        launch "$name" "$target/etims-sim" --listen "127.0.0.1:${!setting}" --dialect "$dialect" --latency "${SIM_LATENCY:-20ms}"
        ;;
    ingress-*)
        setting=$(port_setting "$name" port)
        launch "$name" env "${ops[@]}" "RISITI_LISTEN=127.0.0.1:${!setting}" "RISITI_DATA_DIR=$state/$name-data" "$target/risiti-ingress"
        ;;
    ledger-worker-*) launch "$name" env "${ops[@]}" "$target/risiti-ledger-worker" ;;
    etims-worker-*) launch "$name" env "${ops[@]}" "$target/risiti-etims-worker" ;;
    *) die "no program $name; there are: ${programs[*]}" ;;
    esac
}

# http METHOD PORT PATH [BODY] prints the answer with its head. A fresh Debian has no curl.
http() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    timeout 5 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$2" &&
            printf "%s %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" \
                "$1" "$3" "${#4}" "${4:-}" >&3 && cat <&3
    ' http "$@" 2>/dev/null
}

ready() {
    local setting
    if [[ $1 == etims-sim* ]]; then
        setting=$(port_setting "$1" port)
        port_answers "${!setting}"
    else
        setting=$(port_setting "$1" ops_port)
        [[ $(http GET "${!setting}" /readyz) == "HTTP/1."?" 200 "* ]]
    fi
}

await() {
    local name=$1 deadline=$((SECONDS + 60)) unseen=0
    until ready "$name"; do
        # A program in the middle of an exec has no environment to recognise it by, so one look is not enough.
        if pid_of "$name" >/dev/null; then unseen=0; else unseen=$((unseen + 1)); fi
        if ((unseen == 10 || SECONDS >= deadline)); then
            tail -n 20 "$state/log/$name.log" >&2 || true
            die "$name does not become ready (log: $state/log/$name.log)"
        fi
        sleep 0.1
    done
}

signal_program() {
    local pid
    pid=$(pid_of "$2") || die "$2 does not run"
    kill -s "$1" "$pid"
}

# --- Commands ----------------------------------------------------------------

create_database() {
    command -v psql >/dev/null || die "psql is needed to make the stack's database: install postgresql-client"
    local name="risiti_$stack_id"
    [[ $(psql -XAtq "$server_url" -c "SELECT 1 FROM pg_database WHERE datname = '$name'") == 1 ]] ||
        psql -Xq "$server_url" -c "CREATE DATABASE \"$name\""
}

up() {
    "$here/services.sh" up
    recall
    settings
    [[ ${RISITI_STACK_BUILD:-yes} == no ]] || (cd "$root" && cargo build --locked --workspace --bins)
    create_database
    "$target/risiti-admin" migrate >&2
    local name secret=""
    # The simulators first, with the device they know: a worker that finds no device there halts its lane.
    for name in etims-sim etims-sim-gateway; do start_program "$name"; done
    for name in etims-sim etims-sim-gateway; do await "$name"; done
    [[ ${1:-} == --bare ]] || sample_merchant
    for name in "${programs[@]}"; do start_program "$name"; done
    for name in "${programs[@]}"; do await "$name"; done
    [[ ${1:-} == --bare ]] || print_urls "$secret"
}

sample_serial=RISITI/P051234567X/1
sample_cmc_key=0123456789ABCDEF0123456789ABCDEF

# Makes acme once and sets `secret`, which is printed and kept nowhere else.
sample_merchant() {
    local admin=$target/risiti-admin sim="http://127.0.0.1:$etims_sim_port" answer
    register_sample_device
    if answer=$("$admin" merchant create --slug acme --name "Acme Ltd" --json 2>/dev/null); then
        "$admin" provider add --merchant acme --provider daraja --shortcode 174379 >&2
        (umask 077 && echo $sample_cmc_key >"$state/cmc-key")
        "$admin" device add --merchant acme --environment sandbox --dialect legacy --base-url "$sim" \
            --pin P051234567X --branch 00 --serial $sample_serial --cmc-key-file "$state/cmc-key" \
            --sdc-id KRACU0400000001 --item-code KE3NTNO0000001 --item-class 8111150100 --item-name Services \
            --tax-type B --shortcode 174379 --default >&2
        rm -f "$state/cmc-key"
    else
        answer=$("$admin" merchant rotate-secret --slug acme --json)
    fi
    secret=$(sed -n 's/.*"webhook_secret": *"\([0-9a-f]*\)".*/\1/p' <<<"$answer")
}

# Tells the simulator of acme's device. It forgets its state when it stops, so the next number comes from our
# database.
register_sample_device() {
    local next
    next=$(psql -XAtq "$DATABASE_URL" -c "SELECT next_invoice_no FROM lanes JOIN devices ON id = device_id
        WHERE serial = '$sample_serial'" 2>/dev/null) || true
    [[ -n $next ]] || return 0
    if [[ $(http GET "$etims_sim_port" /_sim/devices) != *P051234567X* ]]; then
        http POST "$etims_sim_port" /_sim/devices >/dev/null \
            "{\"tin\":\"P051234567X\",\"bhfId\":\"00\",\"dvcSrlNo\":\"$sample_serial\",\"cmcKey\":\"$sample_cmc_key\",\"next_invoice_no\":$next,\"next_receipt_no\":$next}"
    fi
}

print_urls() {
    local name setting
    echo "webhooks      http://127.0.0.1:$ingress_1_port  and  http://127.0.0.1:$ingress_2_port"
    echo "eTIMS (sim)   http://127.0.0.1:$etims_sim_port/_sim/sales  and for the gateway's dialect  http://127.0.0.1:$etims_sim_gateway_port/_sim/sales"
    for name in "${programs[@]:2}"; do
        setting=$(port_setting "$name" ops_port)
        printf '%-13s http://127.0.0.1:%s/{healthz,readyz,metrics}\n' "$name" "${!setting}"
    done
    setting=$(printf '%06X' $((RANDOM * 512 + RANDOM % 512)))
    cat <<SAMPLE

settings      eval "\$(deploy/local/stack.sh env)"
logs          ${state#"$root"/}/log/
stop          make down

Tell it of a payment, then look at the receipt:

curl -sS http://127.0.0.1:$ingress_1_port/webhooks/daraja/$1/stk -H 'content-type: application/json' -d \\
 '{"Body":{"stkCallback":{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_sample_$setting","ResultCode":0,"ResultDesc":"ok","CallbackMetadata":{"Item":[{"Name":"Amount","Value":1160.00},{"Name":"MpesaReceiptNumber","Value":"UIS4$setting"},{"Name":"TransactionDate","Value":$(TZ=UTC-3 date +%Y%m%d%H%M%S)},{"Name":"PhoneNumber","Value":254708374149}]}}}}'
psql "\$DATABASE_URL" -c 'SELECT state, invoice_no, receipt_no, receipt_url FROM report_invoices'
SAMPLE
}

# Ingress stops first, so that it finishes what it holds while the workers still run.
down() {
    local name
    for name in ingress-1 ingress-2 ledger-worker-1 ledger-worker-2 etims-worker-1 etims-worker-2 etims-sim etims-sim-gateway; do
        end "$name" TERM 25
    done
    [[ ${1:-} == --programs ]] || "$here/services.sh" down
}

purge() {
    down --programs
    if grep -qs ^stack_id= "$state/services.env"; then
        recall
        settings
        psql -Xq "$server_url" -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS \"risiti_$stack_id\" WITH (FORCE)" || true
    fi
    rm -rf "$state"
}

status() {
    local name pid complete=0
    recall
    for name in "${programs[@]}"; do
        if ! pid=$(pid_of "$name"); then
            echo "$name: stopped"
            complete=1
        elif ready "$name"; then
            echo "$name: ready (process $pid)"
        else
            echo "$name: not ready (process $pid)"
            complete=1
        fi
    done
    return $complete
}

print_env() {
    recall
    settings
    local name
    for name in DATABASE_URL AMQP_URL RISITI_REDIS_URL RISITI_NAMESPACE RISITI_CREDENTIALS_KEY; do
        if [[ -n ${!name:-} ]]; then printf 'export %s=%q\n' "$name" "${!name}"; fi
    done
    printf 'export INGRESS_URLS=%q SIM_URL=%q GATEWAY_SIM_URL=%q\n' \
        "http://127.0.0.1:$ingress_1_port,http://127.0.0.1:$ingress_2_port" \
        "http://127.0.0.1:$etims_sim_port" "http://127.0.0.1:$etims_sim_gateway_port"
}

own_program() {
    [[ -n ${1:-} ]] || die "which program? there are: ${programs[*]}"
    [[ " ${programs[*]} " == *" $1 "* ]] || die "no program $1; there are: ${programs[*]}"
}

command=${1:-}
shift || true
case $command in start | stop | kill | freeze | thaw) own_program "${1:-}" ;; esac
case $command in
up | down | purge | status) "$command" "$@" ;;
env) print_env ;;
start)
    recall
    settings
    start_program "$1"
    await "$1"
    [[ $1 != etims-sim ]] || register_sample_device
    ;;
stop) end "$1" TERM 25 ;;
kill) signal_program KILL "$1" ;;
freeze) signal_program STOP "$1" ;;
thaw) signal_program CONT "$1" ;;
*)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
