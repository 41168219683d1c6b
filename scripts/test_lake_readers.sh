#!/bin/sh
# Opens a table that the lake has written with DuckDB, with the Python deltalake package and with pyarrow,
# and compares what they count and sum with what was written. A step of `make test`.
#
#   scripts/test_lake_readers.sh [TABLE | --install]
#
# Without TABLE, the lake's test binary writes one of 30,000 known events. VENV keeps the Python packages
# between runs (default target/lake-readers-venv); --install only makes it.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-${CARGO_TARGET_DIR:-target}/lake-readers-venv}
packages="duckdb==2.0.0 deltalake==1.6.6 pyarrow==26.0.1 pytz==2026.6"
# The list is written last: a set-up that was cut off is done again.
if [ "$(cat "$venv/packages" 2>/dev/null)" != "$packages" ]; then
    echo "installing $packages into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" || { echo "error: python3 cannot make a virtual environment: install the package python3-venv" >&2; exit 1; }
    # shellcheck disable=SC2086 # one word a package
    "$venv/bin/pip" install --quiet --disable-pip-version-check $packages
    echo "$packages" > "$venv/packages"
fi
[ "${1-}" != --install ] || exit 0
if [ $# -gt 0 ]; then
    exec "$venv/bin/python" crates/store/tests/lake_readers.py "$1"
fi
table=$(mktemp -d)
trap 'rm -rf "$table"' EXIT
ERNE_LAKE_FOR_READERS=$table cargo test --release --quiet --locked --workspace --test lake -- --exact write_a_table_for_other_readers >&2
"$venv/bin/python" crates/store/tests/lake_readers.py "$table" --known
