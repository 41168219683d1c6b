#!/bin/sh
# Opens a table that the lake has written with DuckDB, with the Python deltalake package and with pyarrow,
# and compares what they count and sum with what was written.
#
#   scripts/test_lake_readers.sh [TABLE]
#
# Without TABLE, the lake's test binary writes one of 30,000 known events. VENV keeps the Python packages
# between runs (default target/lake-readers-venv).
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-${CARGO_TARGET_DIR:-target}/lake-readers-venv}
if [ ! -x "$venv/bin/python" ]; then
    echo "installing duckdb, deltalake and pyarrow into $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check duckdb deltalake pyarrow
fi
if [ $# -gt 0 ]; then
    exec "$venv/bin/python" crates/store/tests/lake_readers.py "$1"
fi
table=$(mktemp -d)
trap 'rm -rf "$table"' EXIT
ERNE_LAKE_FOR_READERS=$table cargo test --release --quiet --workspace --test lake -- --exact write_a_table_for_other_readers >&2
"$venv/bin/python" crates/store/tests/lake_readers.py "$table" --known
