#!/usr/bin/env bash
# The official Python client of Elasticsearch against a server of Erne's: scripts/e2e_elastic.sh
#   ERNE   the binary (default target/release/erne)
# The client is installed into .erne/elastic-venv by scripts/setup.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
erne=$(realpath "${ERNE:-${CARGO_TARGET_DIR:-target}/release/erne}")
python=.erne/elastic-venv/bin/python
[ -x "$python" ] || scripts/setup.sh elastic
data=$(mktemp -d)
"$erne" run --listen 127.0.0.1:0 --data-dir "$data" >/dev/null 2>"$data/said" &
server=$!
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$data"
}
trap stop EXIT
for _ in $(seq 300); do
    url=$(sed -n 's/.*watching at \([^ ]*\).*/\1/p' "$data/said")
    [ -n "$url" ] && [ -s "$data/secrets/cli.key" ] && break
    kill -0 "$server" || { cat "$data/said" >&2; exit 1; }
    sleep 0.1
done
[ -n "$url" ] || { echo "the server did not start:" >&2; cat "$data/said" >&2; exit 1; }
timeout 120 "$python" scripts/e2e_elastic.py "$url" "$(cat "$data/secrets/cli.key")"
