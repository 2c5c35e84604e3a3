# PostgreSQL for services.sh: one cluster in postgres/data.
#
# initdb refuses to run as root, so it and the server then run as user `postgres`.
# Where that user cannot reach the clone (a folder above it is 0700), it gets the
# one capability that lets it through.

postgres_bin() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [[ -x $found ]] || found=$(command -v initdb 2>/dev/null) || return 1
    dirname "$(readlink -f "$found")"
}

postgres_installed() { [[ -x $(postgres_bin)/postgres && -x $(postgres_bin)/psql ]] 2>/dev/null; }

# Sets $as to the words that run a command as the right user.
postgres_as() {
    as=()
    ((EUID == 0)) || return 0
    id postgres >/dev/null 2>&1 || die "PostgreSQL does not run as root, and there is no user named postgres"
    chown postgres: "$state/postgres"
    local become=(setpriv --reuid postgres --regid postgres --clear-groups) capability
    # This is a real write, because access(2), which test(1) uses, ignores capabilities.
    local probe=(touch "$state/postgres/reachable")
    as=("${become[@]}")
    "${as[@]}" "${probe[@]}" 2>/dev/null && return
    for capability in dac_read_search dac_override; do
        as=("${become[@]}" --inh-caps "+$capability" --ambient-caps "+$capability")
        "${as[@]}" "${probe[@]}" 2>/dev/null && return
    done
    die "user postgres cannot reach $state: clone into a folder that others may enter"
}

# The folder appears under its final name only when it is complete.
postgres_initialise() {
    local new=$state/postgres/data.new unsynced=()
    # A separate set need not survive a power cut, so its first files are not synced.
    [[ -z ${RISITI_SERVICES_DIR:-} ]] || unsynced=(--no-sync)
    [[ -e $state/postgres/data/PG_VERSION ]] && return
    say "making a PostgreSQL cluster in $state/postgres"
    rm -rf "$new" "$state/postgres/data"
    {
        "${as[@]}" "$bin/initdb" -D "$new" -U postgres --encoding=UTF8 --locale=C.UTF-8 --auth=trust \
            --no-instructions "${unsynced[@]}" &&
            printf '%s\n' \
                "CREATE ROLE risiti LOGIN CREATEDB CREATEROLE PASSWORD '$postgres_password'" \
                "CREATE DATABASE risiti OWNER risiti" |
            "${as[@]}" "$bin/postgres" --single -D "$new" postgres
    } >>"$state/log/postgres.log" 2>&1 || die_with_log postgres "the PostgreSQL cluster could not be made"
    # The superuser has no password, so over TCP only the role above gets in.
    "${as[@]}" bash -c 'echo "host all all 127.0.0.1/32 scram-sha-256" >"$1/pg_hba.conf"' hba "$new"
    mv "$new" "$state/postgres/data"
}

postgres_ready() {
    PGPASSWORD=$postgres_password PGCONNECT_TIMEOUT=2 "$(postgres_bin)/psql" -X -qAt -h 127.0.0.1 \
        -p "$postgres_port" -U risiti -d risiti -c 'SELECT 1' >/dev/null 2>&1
}

postgres_start() {
    local as bin memory=128MB
    bin=$(postgres_bin)
    [[ -z ${RISITI_SERVICES_DIR:-} ]] || memory=${RISITI_POSTGRES_MEMORY:-16MB}
    mkdir -p "$state/postgres" "$state/log"
    postgres_as
    postgres_initialise
    free_port postgres_port
    launch postgres "${as[@]}" "$bin/postgres" -D "$state/postgres/data" \
        -c "port=$postgres_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c fsync=on -c full_page_writes=on -c max_connections=300 -c "shared_buffers=$memory" \
        -c min_wal_size=80MB -c max_wal_size=1GB -c timezone=UTC -c log_timezone=UTC \
        -c "log_line_prefix=%m [%p] %d "
    # Recovery after a kill may take its time.
    wait_ready postgres 120 postgres_ready
}

# SIGINT is PostgreSQL's fast shutdown: clients are cut off, nothing is lost.
postgres_stop() { end postgres INT 30; }
