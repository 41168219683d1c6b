#!/usr/bin/env bash
# An S3 server for tests on loopback: scripts/s3.sh install | run [PORT]
#   install  moto's server into .erne/s3-venv, once
#   run      starts it on PORT (default: a free one), prints its address, and ends it when standard input ends,
#            so that no test can leave it behind
# moto is a server of its own, in Python, which keeps objects in memory and honours If-None-Match.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${ERNE_S3_VENV:-.erne/s3-venv}
# Pinned: older ones ignore If-None-Match.
packages=("moto[s3]==5.2.1" "flask==3.1.2" "flask-cors==6.0.1")

install() {
    [ ! -f "$venv/ready" ] || return 0
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    flock 9
    [ ! -f "$venv/ready" ] || return 0
    echo "installing ${packages[*]} into $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >&2
    touch "$venv/ready"
}

free_port() {
    "$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

run() {
    install
    local port=${1:-$(free_port)}
    # Objects of any size stay in memory; nothing is written to a shared folder.
    "$venv/bin/python" -m moto.server -H 127.0.0.1 -p "$port" >"${ERNE_S3_LOG:-/dev/null}" 2>&1 </dev/null &
    server=$!
    trap 'kill $server 2>/dev/null || true' EXIT
    for _ in $(seq 600); do
        if curl --silent --max-time 2 --output /dev/null "http://127.0.0.1:$port/moto-api/"; then
            echo "http://127.0.0.1:$port"
            cat >/dev/null || true
            return 0
        fi
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    echo "the S3 server did not start" >&2
    exit 1
}

case ${1:-} in
    install) install ;;
    run) run "${2:-}" ;;
    *) sed -n '2,6p' "$0"; exit 2 ;;
esac
