#!/usr/bin/env bash
# A private PostgreSQL server for tests: scripts/postgres.sh
#
# It runs in a temporary folder on a free loopback port, says its URL in one line, and takes commands, one a line:
#   stop    ends the server at once, as a crash would, and says "stopped"
#   start   starts it again on the same port with the same data, and says "started"
# When its standard input ends, however whoever started it came to an end, it stops the server and removes the folder.
# PostgreSQL refuses to run as root: root runs it as the user "postgres", or as "nobody".
set -euo pipefail

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The newest version that is installed; Debian keeps the server's programs off the PATH.
bin=
for dir in "${ERNE_POSTGRES_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v postgres || true)")"; do
    if [ -n "$dir" ] && [ -x "$dir/initdb" ]; then bin=$dir; break; fi
done
[ -n "$bin" ] || die "there is no PostgreSQL server here: scripts/setup.sh test installs one (package postgresql), or set ERNE_POSTGRES_BIN to the folder of initdb"

as=()
if [ "$(id -u)" = 0 ]; then
    user=$(id -un postgres 2>/dev/null || id -un nobody)
    as=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups)
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/erne-postgres.XXXXXX")
pid=
stop() { # SIGNAL
    [ -n "$pid" ] || return 0
    kill "-$1" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
}
# SIGQUIT: at once, its children too, without a checkpoint.
trap 'stop QUIT; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" > "$dir/password"
chmod 0755 "$dir"
chmod 0600 "$dir/password"
mkdir "$dir/data" "$dir/socket"
[ ${#as[@]} = 0 ] || chown -R "$user" "$dir"
cd "$dir"
"${as[@]}" "$bin/initdb" -D "$dir/data" -U erne -A scram-sha-256 --pwfile="$dir/password" -E UTF8 --locale=C.UTF-8 --no-sync \
    > "$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# True once it answers; false if it ended.
start() {
    "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$dir/socket" \
        -c fsync=off -c max_connections=200 -c shared_buffers=64MB < /dev/null >> "$dir/server.log" 2>&1 &
    pid=$!
    local tries=0
    until "${as[@]}" "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do
        kill -0 "$pid" 2>/dev/null && [ $((tries += 1)) -lt 300 ] || return 1
        sleep 0.1
    done
}

# Another program may take the port in between.
for attempt in 1 2 3 4 5; do
    port=$(free_port)
    if start; then break; fi
    stop QUIT
    [ "$attempt" -lt 5 ] || { tail -n 20 "$dir/server.log" >&2; die "the server does not start"; }
done
printf 'postgres://erne:%s@127.0.0.1:%s/postgres\n' "$password" "$port"

while read -r word; do
    case $word in
        stop) stop QUIT; echo stopped ;;
        start) start || die "the server does not start again"; echo started ;;
        *) die "not a command: $word" ;;
    esac
done
