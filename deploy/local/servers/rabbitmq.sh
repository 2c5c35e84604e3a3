# RabbitMQ for services.sh: one node with its own epmd, cookie and node name, so
# that it shares nothing with other nodes on the machine.

# Debian's /usr/sbin/rabbitmq-server switches to the user `rabbitmq` and its
# folders; the script behind it does not.
rabbitmq_script() {
    local script
    for script in /usr/lib/rabbitmq/bin/rabbitmq-server "$(command -v rabbitmq-server 2>/dev/null)"; do
        [[ -x $script ]] && readlink -f "$script" && return
    done
    return 1
}

rabbitmq_installed() { rabbitmq_script >/dev/null && command -v erl epmd >/dev/null; }

rabbitmq_configure() {
    local home=$state/rabbitmq
    mkdir -p "$home/home" "$home/mnesia" "$home/log"
    echo '[].' >"$home/enabled_plugins"
    : >"$home/env.conf"
    (
        umask 077
        cat >"$home/rabbitmq.conf" <<-CONF
			listeners.tcp.local = 127.0.0.1:$rabbitmq_port
			default_user = risiti
			default_pass = $rabbitmq_password
			default_user_tags.administrator = true
			disk_free_limit.absolute = 200MB
			vm_memory_high_watermark.relative = 0.4
			raft.wal_max_size_bytes = 67108864
			log.file.level = info
			log.file.rotation.size = 10485760
			log.file.rotation.count = 2
			log.console = false
		CONF
    )
}

rabbitmq_environment() {
    local home=$state/rabbitmq
    environment=(
        "HOME=$home/home"
        "ERL_EPMD_PORT=$epmd_port"
        "ERL_EPMD_ADDRESS=127.0.0.1"
        "RABBITMQ_DIST_PORT=$rabbitmq_dist_port"
        "RABBITMQ_NODENAME=$rabbitmq_node@localhost"
        "RABBITMQ_USE_LONGNAME=false"
        "RABBITMQ_CONF_ENV_FILE=$home/env.conf"
        "RABBITMQ_CONFIG_FILE=$home/rabbitmq.conf"
        "RABBITMQ_ADVANCED_CONFIG_FILE=$home/advanced.config"
        "RABBITMQ_ENABLED_PLUGINS_FILE=$home/enabled_plugins"
        "RABBITMQ_MNESIA_BASE=$home/mnesia"
        "RABBITMQ_LOG_BASE=$home/log"
        "RABBITMQ_PID_FILE=$home/rabbitmq.pid"
        # Idle schedulers must not spin: tests and builds share these cores.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
        # Makes the script become the Erlang machine instead of its parent.
        "RUNNING_UNDER_SYSTEMD=true"
    )
}

# Sends the protocol header and expects connection.start (a method frame) back.
# RabbitMQ opens its listener last, when users and queues are there.
rabbitmq_ready() {
    local first
    # shellcheck disable=SC2016  # expanded by the inner shell
    first=$(timeout 3 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "AMQP\0\0\x09\x01" >&3 && head -c 1 <&3 | od -An -tu1
    ' ready "$rabbitmq_port" 2>/dev/null) || return 1
    ((first == 1))
}

rabbitmq_start() {
    local environment
    # An interrupted first boot may lack the user. Nobody has used the node yet.
    if [[ ! -e $state/rabbitmq/complete ]]; then
        say "making a RabbitMQ node in $state/rabbitmq"
        rm -rf "$state/rabbitmq"
    fi
    free_port epmd_port
    free_port rabbitmq_port
    free_port rabbitmq_dist_port
    rabbitmq_configure
    rabbitmq_environment
    launch epmd env -u NOTIFY_SOCKET "${environment[@]}" epmd
    launch rabbitmq env -u NOTIFY_SOCKET "${environment[@]}" "$(rabbitmq_script)"
    wait_ready rabbitmq 120 rabbitmq_ready || return 1
    touch "$state/rabbitmq/complete"
}

rabbitmq_stop() {
    end rabbitmq TERM 30
    end epmd TERM 5
}
