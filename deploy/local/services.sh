#!/usr/bin/env bash
# Private PostgreSQL, RabbitMQ and Redis for this clone, with their data below .local/.
#
#   services.sh up               installs what is missing, starts what does not run, waits until all accept work
#   services.sh down [--purge]   stops them and keeps the data; --purge removes the data
#   services.sh status           one line per server; exit 0 only when all run
#   services.sh env              export lines of DATABASE_URL, AMQP_URL and RISITI_REDIS_URL
#   services.sh with COMMAND…    runs COMMAND with those set; stops the servers afterwards, unless
#                                `up` asked for them to stay or another COMMAND still uses them
#   services.sh start|stop|kill|freeze|thaw SERVER…    some of postgres, rabbitmq, redis: kill is SIGKILL and
#                                freeze SIGSTOP, of all processes of a server; start brings it back with its
#                                data on the same port and waits until it accepts work
#   services.sh rabbitmqctl ARG…   the broker's own tool, on the private node
#   services.sh hold SERVER…     starts these and prints env. When its standard input ends, however its caller
#                                ended, it stops and removes the set. It needs RISITI_SERVICES_DIR
#
# Where DATABASE_URL and AMQP_URL are set already, to servers that are not these,
# nothing is installed or started and those are used.
#
# RISITI_SERVICES_DIR (default .local) holds ports, passwords and data. Another folder is another set of
# small servers, for tests that kill and freeze them. If it is set, DATABASE_URL and AMQP_URL are ignored.
# RISITI_POSTGRES_MEMORY gives the PostgreSQL of such a set other shared buffers than 16MB.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
state=$(cd "$here/../.." && pwd -P)/.local
if [[ -n ${RISITI_SERVICES_DIR:-} ]]; then
    mkdir -p "$RISITI_SERVICES_DIR"
    state=$(cd "$RISITI_SERVICES_DIR" && pwd -P)
fi
servers=(postgres rabbitmq redis)

say() { printf 'services: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
die_with_log() {
    tail -n 20 "$state/log/$1.log" >&2 || true
    die "$2 (log: $state/log/$1.log)"
}

# shellcheck source=deploy/local/processes.sh
source "$here/processes.sh"
for server in "${servers[@]}"; do
    # shellcheck disable=SC1090
    source "$here/servers/$server.sh"
done

# --- Remembered settings: ports, passwords, the node's name ------------------

remember() {
    local name=$1 value=$2
    printf -v "$name" %s "$value"
    (
        umask 077
        { grep -sv "^$name=" "$state/services.env" || true; } >"$state/services.env.new"
        echo "$name=$value" >>"$state/services.env.new"
        mv "$state/services.env.new" "$state/services.env"
    )
}

recall() {
    # shellcheck disable=SC1091
    if [[ -e $state/services.env ]]; then source "$state/services.env"; fi
}

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

choose_missing() {
    local setting
    for setting in postgres_port rabbitmq_port rabbitmq_dist_port epmd_port redis_port; do
        [[ -n ${!setting:-} ]] || remember "$setting" "$(pick_port)"
    done
    for setting in postgres_password rabbitmq_password redis_password; do
        [[ -n ${!setting:-} ]] || remember "$setting" "$(random_hex 16)"
    done
    [[ -n ${rabbitmq_node:-} ]] || remember rabbitmq_node "risiti-$(random_hex 4)"
}

private_urls() {
    recall
    [[ -n ${redis_password:-} && -n ${rabbitmq_node:-} ]] || return 1
    private_database_url="postgres://risiti:$postgres_password@127.0.0.1:$postgres_port/risiti"
    private_amqp_url="amqp://risiti:$rabbitmq_password@127.0.0.1:$rabbitmq_port/%2f"
    private_redis_url="redis://:$redis_password@127.0.0.1:$redis_port/0"
}

# --- Servers that somebody else provides -------------------------------------

# The variables may also hold our own addresses, after `eval "$(services.sh env)"`. After that of stack.sh
# they name another database of our server.
provided() {
    [[ -z ${RISITI_SERVICES_DIR:-} ]] || return 1
    [[ -n ${DATABASE_URL:-} && -n ${AMQP_URL:-} ]] || return 1
    ! (private_urls && [[ ${DATABASE_URL%/*} == "${private_database_url%/*}" && $AMQP_URL == "$private_amqp_url" ]])
}

# Succeeds if something listens at the first host of a URL.
url_answers() {
    local rest=${1#*://} default=$2 host port
    rest=${rest%%[/?]*}
    rest=${rest##*@}
    rest=${rest%%,*}
    host=${rest%:*}
    port=$default
    [[ $rest =~ :([0-9]+)$ ]] && port=${BASH_REMATCH[1]}
    [[ $rest == *:* ]] || host=$rest
    host=${host#[}
    host=${host%]}
    timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' answers "$host" "$port" 2>/dev/null
}

provided_status() {
    local complete=0
    for pair in "DATABASE_URL 5432" "AMQP_URL 5672"; do
        read -r name port <<<"$pair"
        if url_answers "${!name}" "$port"; then
            echo "$name is set, and something answers there"
        else
            echo "$name is set, but nothing answers there; unset DATABASE_URL and AMQP_URL for private servers"
            complete=1
        fi
    done
    return $complete
}

# --- Commands ----------------------------------------------------------------

lock() {
    mkdir -p "$state"
    [[ -w $state ]] || die "$state belongs to $(stat -c %U "$state"); run as that user"
    exec 9>"$state/lock"
    flock -w 900 9 || die "another services.sh has held $state/lock for 15 minutes"
}
unlock() { exec 9>&-; }

# After an interrupted installation, programs may be there without their
# libraries or their user.
half_installed() {
    local states
    # dpkg-query also fails when it does not know one of the names, which is no error here.
    states=$(dpkg-query -W -f '${db:Status-Status}\n' 'postgresql*' 'erlang-*' rabbitmq-server redis-server 2>/dev/null) || true
    grep -qE '^(half|unpacked|triggers)' <<<"$states"
}

install_missing() {
    local packages=()
    # Our mark in policy-rc.d means that an installation is running or was killed.
    if grep -qs "Risiti's install-packages.sh" /usr/sbin/policy-rc.d; then
        bash "$here/install-packages.sh" 9>&- || true
    fi
    if half_installed; then
        packages=(postgresql rabbitmq-server redis-server)
    else
        postgres_installed || packages+=(postgresql)
        rabbitmq_installed || packages+=(rabbitmq-server)
        redis_installed || packages+=(redis-server)
    fi
    if ((${#packages[@]})); then bash "$here/install-packages.sh" "${packages[@]}" 9>&-; fi
}

# A server may die at start because its port was taken meanwhile, or because
# processes of a killed predecessor are still there. So it gets two more tries.
start_one() {
    local name=$1 attempt
    if pid_of "$name" >/dev/null && wait_ready "$name" 120 "${name}_ready"; then return; fi
    if pid_of "$name" >/dev/null; then die_with_log "$name" "$name runs but accepts no work"; fi
    for attempt in 1 2 3; do
        # Also ends a server whose remembered id is lost, and what a killed one left.
        "${name}_stop"
        if "${name}_start"; then
            say "$name runs"
            return
        fi
        sleep "$attempt"
    done
    die_with_log "$name" "$name does not start"
}

# up_locked [SERVER…]
up_locked() {
    install_missing
    recall
    choose_missing
    local name
    for name in "${@:-${servers[@]}}"; do start_one "$name"; done
}

down_locked() {
    local name
    recall
    for name in redis rabbitmq postgres; do "${name}_stop"; done
}

up() {
    if provided; then
        provided_status >&2
        return
    fi
    if [[ -n ${DATABASE_URL:-}${AMQP_URL:-} ]] && [[ -z ${DATABASE_URL:-} || -z ${AMQP_URL:-} ]]; then
        say "only one of DATABASE_URL and AMQP_URL is set; it takes both, so private servers it is"
    fi
    lock
    up_locked
    # Inside a `with` the servers still stop when that ends.
    [[ ${RISITI_SERVICES_WITH:-} == "$state" ]] || touch "$state/kept"
    unlock
}

down() {
    [[ ${1:-} == "" || $1 == --purge ]] || die "down takes only --purge"
    [[ -d $state ]] || return 0
    lock
    down_locked
    rm -f "$state/kept"
    if [[ ${1:-} == --purge ]]; then
        rm -rf "$state"/{postgres,rabbitmq,redis,log,run,services.env,services.env.new}
    fi
    unlock
}

own_servers() {
    local name
    (($#)) || die "which server? there are: ${servers[*]}"
    for name in "$@"; do
        [[ " ${servers[*]} " == *" $name "* ]] || die "no server $name; there are: ${servers[*]}"
    done
    ! provided || die "DATABASE_URL and AMQP_URL name servers that are not ours; set RISITI_SERVICES_DIR for private ones"
    recall
}

# Takes no lock, so that a server can be killed while it starts.
signal_servers() {
    local signal=$1 name pid
    own_servers "${@:2}"
    for name in "${@:2}"; do
        pid=$(pid_of "$name") || die "$name does not run"
        signal_tree "$signal" "$pid"
    done
}

start() {
    own_servers "$@"
    lock
    up_locked "$@"
    unlock
}

stop() {
    local name
    own_servers "$@"
    lock
    for name in "$@"; do "${name}_stop"; done
    unlock
}

rabbitmqctl() {
    own_servers rabbitmq
    local environment
    rabbitmq_environment
    # The one beside the server's script: the one in the path switches to another user.
    exec env "${environment[@]}" "$(dirname "$(rabbitmq_script)")/rabbitmqctl" "$@"
}

let_go() {
    down --purge
    rm -f "$state/lock"
    rmdir "$state" 2>/dev/null || true
}

hold() {
    [[ -n ${RISITI_SERVICES_DIR:-} ]] || die "hold removes the whole set in the end, so it takes RISITI_SERVICES_DIR"
    own_servers "$@"
    # Only the end of the caller ends this, not a signal to the caller's process group.
    trap '' INT TERM HUP
    trap let_go EXIT
    start "$@"
    print_env
    # The reader of the lines above waits for the end of the output.
    exec >/dev/null
    cat >/dev/null
}

status() {
    if provided; then
        provided_status
        return
    fi
    local name port complete=0 pid
    recall
    for name in "${servers[@]}"; do
        port=${name}_port
        if ! pid=$(pid_of "$name"); then
            echo "$name: stopped"
            complete=1
        elif "${name}_ready"; then
            echo "$name: runs on 127.0.0.1:${!port} (process $pid)"
        else
            echo "$name: process $pid accepts no work"
            complete=1
        fi
    done
    return $complete
}

print_env() {
    if provided; then
        printf "export %s=%q\n" DATABASE_URL "$DATABASE_URL" AMQP_URL "$AMQP_URL"
        if [[ -n ${RISITI_REDIS_URL:-} ]]; then printf "export RISITI_REDIS_URL=%q\n" "$RISITI_REDIS_URL"; fi
        return
    fi
    private_urls || die "no servers were ever started here; first run: deploy/local/services.sh up"
    printf "export %s='%s'\n" DATABASE_URL "$private_database_url" AMQP_URL "$private_amqp_url" \
        RISITI_REDIS_URL "$private_redis_url"
}

# Every user holds the shared lock. The one that can take it exclusively is the last user.
leave() {
    exec 8>&-
    lock
    exec 8>"$state/users"
    if [[ ! -e $state/kept ]] && flock -xn 8; then down_locked; fi
    unlock
}

with() {
    (($#)) || die "with takes a command"
    if provided; then
        provided_status >&2
        exec "$@"
    fi
    mkdir -p "$state"
    exec 8>"$state/users"
    flock -s 8
    # The servers must be stopped, however this ends.
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    lock
    up_locked
    unlock
    private_urls
    export RISITI_SERVICES_WITH=$state DATABASE_URL=$private_database_url AMQP_URL=$private_amqp_url
    export RISITI_REDIS_URL=$private_redis_url
    run_forwarding "$@"
}

# Runs COMMAND in a process group of its own and hands signals on at once: bash by itself would run a trap
# only after COMMAND has ended.
run_forwarding() {
    local child status signal
    set -m
    "$@" 8>&- &
    child=$!
    set +m
    for signal in INT TERM HUP; do
        # shellcheck disable=SC2064  # the child is known now
        trap "kill -s $signal -- -$child 2>/dev/null || true" "$signal"
    done
    while :; do
        status=0
        wait "$child" || status=$?
        kill -s 0 "$child" 2>/dev/null || return "$status"
    done
}

command=${1:-}
shift || true
case $command in
up | down | status | with | start | stop | rabbitmqctl | hold) "$command" "$@" ;;
kill) signal_servers KILL "$@" ;;
freeze) signal_servers STOP "$@" ;;
thaw) signal_servers CONT "$@" ;;
env) print_env ;;
*)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
