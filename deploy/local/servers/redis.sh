# Redis for services.sh: the optional shared deduplication tier.

redis_installed() { command -v redis-server redis-cli >/dev/null; }

redis_ready() {
    [[ $(REDISCLI_AUTH=$redis_password timeout 3 redis-cli -h 127.0.0.1 -p "$redis_port" ping 2>/dev/null) == PONG ]]
}

redis_start() {
    free_port redis_port
    mkdir -p "$state/redis"
    (
        umask 077
        # Without this, Redis would overwrite the mark by which we recognise it.
        cat >"$state/redis/redis.conf" <<-CONF
			bind 127.0.0.1
			port $redis_port
			requirepass $redis_password
			dir "$state/redis"
			set-proc-title no
			appendonly yes
			appendfsync everysec
			save ""
			maxmemory 256mb
			maxmemory-policy volatile-ttl
		CONF
    )
    launch redis redis-server "$state/redis/redis.conf"
    wait_ready redis 60 redis_ready
}

redis_stop() { end redis TERM 15; }
