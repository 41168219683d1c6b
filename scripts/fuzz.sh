#!/usr/bin/env bash
# Builds the fuzz targets and runs each for a while: scripts/fuzz.sh [SECONDS each, 60] [TARGET…]
# What it finds stays in .erne/fuzz/TARGET as crash-…; the corpus grows there too. Exit 1 if a target failed.
set -euo pipefail
cd "$(dirname "$0")/.."
secs=${1:-60}
shift || true
tools=$PWD/.erne/tools
version=0.13.2
if ! "$tools/bin/cargo-fuzz" --version 2>/dev/null | grep -q "$version"; then
    echo "  cargo install cargo-fuzz $version into .erne/tools"
    cargo install --quiet --locked --root "$tools" --version "$version" cargo-fuzz
fi
export PATH=$tools/bin:$PATH
# Rust's stable compiler has no address sanitizer; there is no unsafe code of ours that it could watch. Overflows and
# assertions count.
build=(--sanitizer none --fuzz-dir fuzz --target-dir "${FUZZ_TARGET_DIR:-$PWD/.erne/fuzz/target}")
[ $# -gt 0 ] || set -- $(cargo fuzz list --fuzz-dir fuzz)
failed=()
for name in "$@"; do
    corpus=.erne/fuzz/$name
    mkdir -p "$corpus"
    echo "  $name: $secs s"
    case $name in
        json | formats) seeds=(content/cases) ;;
        sigma) seeds=(content/rules) ;;
        *) seeds=() ;;
    esac
    cargo fuzz run "${build[@]}" "$name" "$corpus" "${seeds[@]}" -- \
        -max_total_time="$secs" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$corpus/" 2>&1 | grep -E "stat::(number_of_executed|average)|ERROR|panicked|SUMMARY|crash-|error" || true
    [ "${PIPESTATUS[0]}" = 0 ] || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || { echo "error: found something in ${failed[*]}; see .erne/fuzz/" >&2; exit 1; }
