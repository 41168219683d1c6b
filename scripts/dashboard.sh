#!/usr/bin/env bash
# Builds the dashboard into dashboard/dist when its sources changed: scripts/dashboard.sh [install|build]
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}
if [ ! -f dashboard/package.json ]; then
    echo "  notice: no dashboard/ here; the server will show a plain page"
    exit 0
fi
cd dashboard
lock=$(sha256sum package-lock.json | cut -d' ' -f1)
if [ "$(cat node_modules/.erne-lock 2>/dev/null || true)" = "$lock" ]; then
    echo "  node_modules fits package-lock.json"
else
    npm ci --no-audit --no-fund
    echo "$lock" >node_modules/.erne-lock
fi
[ "$what" = build ] || exit 0
sources=(src public index.html package.json package-lock.json tsconfig.json vite.config.ts)
existing=()
for source in "${sources[@]}"; do
    [ ! -e "$source" ] || existing+=("$source")
done
if [ -f dist/index.html ] && [ -z "$(find "${existing[@]}" -newer dist/index.html -print -quit)" ]; then
    echo "  dist is up to date"
else
    npm run build
fi
