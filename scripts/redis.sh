#!/usr/bin/env bash
# A private Redis server for tests, without files: a start after a stop is an empty one. See scripts/server.sh.
. "$(dirname "$0")/server.sh"
command -v redis-server > /dev/null || die "there is no redis-server here: scripts/setup.sh test installs it"
folder redis
launch() { exec redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir"; }
answers() { redis-cli -p "$port" ping; }
url() { printf 'redis://127.0.0.1:%s/0\n' "$port"; }
serve
