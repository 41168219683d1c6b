#!/usr/bin/env bash
# A private Redis server for tests: scripts/redis.sh
#
# On a free loopback port, without files. It says its URL in one line and takes commands, one a line: "stop" ends it as a
# crash would, "start" starts it, empty, on the same port. When its standard input ends, so does the server.
set -euo pipefail
command -v redis-server >/dev/null || { echo "error: there is no redis-server here: scripts/setup.sh test installs it" >&2; exit 1; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/erne-redis.XXXXXX")
pid=
stop() {
    [ -n "$pid" ] || return 0
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
}
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

# True once it answers; false if it ended, because another program took the port.
start() {
    redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" < /dev/null > "$dir/log" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 1
        if redis-cli -p "$port" ping > /dev/null 2>&1; then return 0; fi
        sleep 0.05
    done
    return 1
}

for attempt in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    if start; then break; fi
    stop
    [ "$attempt" -lt 5 ] || { cat "$dir/log" >&2; echo "error: the server does not start" >&2; exit 1; }
done
printf 'redis://127.0.0.1:%s/0\n' "$port"
while read -r word; do
    case $word in
        stop) stop; echo stopped ;;
        start) start || exit 1; echo started ;;
        *) echo "error: not a command: $word" >&2; exit 1 ;;
    esac
done
