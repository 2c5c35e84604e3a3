# Starts, recognises and ends the servers of one folder. services.sh and stack.sh
# source it and set $state (the folder's absolute, physical path).
#
# A server is ours when its environment carries our mark or, where a server may
# overwrite its environment (PostgreSQL), when its command line names our data
# folder. A remembered process id is trusted only after that check, because the id
# may belong to another program by now, or to the clone this one was copied from.

mark_of() { printf 'RISITI_PRIVATE_SERVER=%s/%s' "$state" "$1"; }

# launch NAME COMMAND… runs the command detached from this shell, its terminal, its
# session and every descriptor it holds (locks, make's job server, CI's pipes).
launch() {
    local name=$1
    shift
    mkdir -p "$state/run" "$state/log"
    # shellcheck disable=SC2016  # expanded by the inner shell
    setsid env "$(mark_of "$name")" bash -c '
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd > 2)) && eval "exec $fd>&-"
        done
        echo $$ >"$1"
        cd /
        shift
        exec "$@"
    ' launch "$state/run/$name.pid" "$@" </dev/null >>"$state/log/$name.log" 2>&1 &
    disown
    local tries=600
    until [[ -s $state/run/$name.pid ]] || ((--tries == 0)); do sleep 0.05; done
}

is_ours() {
    local name=$1 pid=$2
    grep -qzsxF "$(mark_of "$name")" "/proc/$pid/environ" ||
        grep -qzsxF "$state/$name/data" "/proc/$pid/cmdline"
}

# Prints the id of the running server NAME. Fails when it does not run.
pid_of() {
    local name=$1 pid
    pid=$(cat "$state/run/$name.pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] && is_ours "$name" "$pid" && echo "$pid"
}

# wait_ready NAME SECONDS CHECK waits until CHECK succeeds. It fails at once when the server has died.
wait_ready() {
    local name=$1 deadline=$((SECONDS + $2)) check=$3
    until "$check"; do
        pid_of "$name" >/dev/null || return 1
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

children_of() { grep -lsx "PPid:[[:space:]]*$1" /proc/[0-9]*/status | cut -d/ -f3; }

# Prints PID and all that descend from it.
tree_of() {
    local child
    echo "$1"
    for child in $(children_of "$1"); do tree_of "$child"; done
}

# A zombie has no command line any more.
is_alive() { grep -qs . "/proc/$1/cmdline"; }

# signal_tree SIGNAL PID signals every process of a server. It uses no process group, because each process of
# PostgreSQL has its own. The server is stopped first, so that it makes no new processes meanwhile. Processes
# that outlived a killed server would keep its data in use.
signal_tree() {
    local signal=$1 pid=$2 tree
    [[ $signal == CONT ]] || kill -s STOP "$pid" 2>/dev/null || true
    tree=$(tree_of "$pid")
    # shellcheck disable=SC2086  # a list of numbers
    kill -s "$signal" $tree 2>/dev/null || true
    [[ $signal == KILL ]] || return 0
    for pid in $tree; do
        while is_alive "$pid"; do sleep 0.02; done
    done
}

# end NAME SIGNAL SECONDS ends the server with SIGNAL, and with SIGKILL after SECONDS.
# Then it does the same for any other process with its mark: an epmd that Erlang
# started itself, or a server whose remembered id is lost.
end() {
    local name=$1 pid
    if pid=$(pid_of "$name"); then stop_all "$@" "$pid"; fi
    # shellcheck disable=SC2046  # a list of numbers
    stop_all "$@" $(grep -lzsxF "$(mark_of "$name")" /proc/[0-9]*/environ | cut -d/ -f3)
    rm -f "$state/run/$name.pid"
}

# stop_all NAME SIGNAL SECONDS PID…
stop_all() {
    local name=$1 signal=$2 deadline=$((SECONDS + $3)) pid
    for pid in "${@:4}"; do
        kill -s "$signal" "$pid" 2>/dev/null || true
        # A frozen process would not handle the signal.
        signal_tree CONT "$pid"
    done
    for pid in "${@:4}"; do
        while is_ours "$name" "$pid" && ((SECONDS < deadline)); do sleep 0.1; done
        if is_ours "$name" "$pid"; then
            say "$name did not stop within $3 s, killing it"
            kill -s KILL "$pid" 2>/dev/null || true
            while is_ours "$name" "$pid"; do sleep 0.1; done
        fi
    done
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Ports are below the ephemeral range, so that no outgoing connection uses one. They are
# also below 45536, because RabbitMQ's tools need room for ports above the server's.
pick_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! port_answers "$port" && ! grep -qsx ".*_port=$port" "$state/services.env"; then
            echo "$port"
            return
        fi
    done
}

# A remembered port that another program took meanwhile is replaced.
free_port() {
    local setting=$1
    if port_answers "${!setting}"; then
        say "port ${!setting} ($setting) is taken by another program, choosing a new one"
        remember "$setting" "$(pick_port)"
    fi
}
