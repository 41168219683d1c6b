#!/usr/bin/env bash
# A private PostgreSQL server for tests, see scripts/server.sh: a stop is at once, without a checkpoint.
# PostgreSQL refuses to run as root: root runs it as the user "postgres", or as "nobody".
. "$(dirname "$0")/server.sh"
stop_signal=QUIT

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

folder postgres
password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" > "$dir/password"
chmod 0755 "$dir"
chmod 0600 "$dir/password"
mkdir "$dir/data" "$dir/socket"
[ ${#as[@]} = 0 ] || chown -R "$user" "$dir"
cd "$dir"
"${as[@]}" "$bin/initdb" -D "$dir/data" -U erne -A scram-sha-256 --pwfile="$dir/password" -E UTF8 --locale=C.UTF-8 --no-sync \
    > "$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }

launch() {
    exec "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$dir/socket" \
        -c fsync=off -c max_connections=200 -c shared_buffers=64MB
}
answers() { "${as[@]}" "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; }
url() { printf 'postgres://erne:%s@127.0.0.1:%s/postgres\n' "$password" "$port"; }
serve
