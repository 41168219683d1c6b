#!/usr/bin/env bash
# The dashboard's tests in Chromium against `erne demo`, on a free port and a folder of its own: scripts/browser.sh ERNE [npm script]
set -euo pipefail
erne=$(realpath "$1")
script=${2:-e2e}
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
geoip=$PWD/.erne/geoip
[ ! -f "$geoip/city.mmdb" ] || export ERNE__GEOIP__CITY=$geoip/city.mmdb
# Here before anybody looks into it.
: >"$dir.log"
"$erne" demo --listen 127.0.0.1:0 --data-dir "$dir" --secs 1800 2>>"$dir.log" &
server=$!
end() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$dir" "$dir.log"
}
trap end EXIT
for _ in $(seq 100); do
    url=$(sed -n 's/.*Erne demo: \(http[^ ]*\).*/\1/p' "$dir.log")
    [ -z "$url" ] || break
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$dir.log"
        exit 1
    fi
    sleep 0.2
done
echo "  erne demo answers at $url"
# The two hours of simulated past are sent first; the tests want the live part.
sleep 15
ERNE_URL=$url ERNE_USER=admin ERNE_PASSWORD=$(cat "$dir/secrets/admin.password") npm --prefix dashboard run "$script"
