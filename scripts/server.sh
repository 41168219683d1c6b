# The part that scripts/{postgres,redis,opensearch,mongodb}.sh share; they source it.
#
# Such a script runs one private server on loopback. It says the server's URL in one line and then takes commands, one a
# line: "stop" ends the server as a crash would and says "stopped", "start" starts it again on the same ports with what it
# has on disk and says "started". When its standard input ends, however whoever started it came to an end, so does the
# server, and its folder goes.
#
# The script defines
#   launch   becomes (exec) the server, on $port and the other ports of $ports, in $dir
#   answers  is true once the server takes requests
#   url      prints its URL
# and calls `folder NAME` first and `serve` last.
set -euo pipefail
dir=
pid=
stop_signal=KILL
ports_wanted=1
patience_secs=30

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

folder() { dir=$(mktemp -d "${TMPDIR:-/tmp}/erne-$1.XXXXXX"); }

free_ports() {
    python3 -c 'import socket, sys
s = [socket.socket() for _ in range(int(sys.argv[1]))]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])' "$1"
}

stop() {
    [ -n "$pid" ] || return 0
    kill "-$stop_signal" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
}
trap 'stop; [ -z "$dir" ] || rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

# True once it answers; false if it ended.
start() {
    launch < /dev/null >> "$dir/server.log" 2>&1 &
    pid=$!
    local end=$((SECONDS + patience_secs))
    while [ "$SECONDS" -lt "$end" ]; do
        kill -0 "$pid" 2>/dev/null || return 1
        if answers > /dev/null 2>&1; then return 0; fi
        sleep 0.05
    done
    return 1
}

serve() {
    # Another program may take a port in between.
    for attempt in 1 2 3 4 5; do
        read -ra ports < <(free_ports "$ports_wanted")
        port=${ports[0]}
        if start; then break; fi
        stop
        [ "$attempt" -lt 5 ] || { tail -n 20 "$dir/server.log" >&2; die "the server does not start"; }
    done
    url
    while read -r word; do
        case $word in
            stop) stop; echo stopped ;;
            start) start || die "the server does not start again"; echo started ;;
            *) die "not a command: $word" ;;
        esac
    done
}
