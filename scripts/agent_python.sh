#!/usr/bin/env bash
# The Python agent: scripts/agent_python.sh install | test | bench [ARGUMENT…]
#   install  a virtual environment in .erne/agent-python with the locked packages of its tests, the agent, and the
#            extension, which is built here
#   test     that, and lint, types and all tests against a stand-in of the gateway
#   bench    that, and the latency that the agent adds
# The interpreter is $PYTHON (default python3), the extension's build folder is below $CARGO_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
agent=agents/python
venv=$PWD/.erne/agent-python
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/agent-python

install() {
    local stamp
    stamp=$("${PYTHON:-python3}" -VV; cat $agent/tests/requirements.txt $agent/pyproject.toml)
    # Written last: a set-up that was cut off is done again.
    if [ "$(cat "$venv/packages" 2>/dev/null)" != "$stamp" ]; then
        echo "  installing the locked packages into $venv" >&2
        rm -rf "$venv"
        "${PYTHON:-python3}" -m venv "$venv" || { echo "error: python3 cannot make a virtual environment: install the package python3-venv" >&2; exit 1; }
        "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r $agent/tests/requirements.txt
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e $agent
        printf '%s\n' "$stamp" > "$venv/packages"
    fi
    echo "  building the extension below $target" >&2
    mkdir -p "$target/wheels"
    rm -f "$target"/wheels/*.whl
    # The extension's own lock file is behind when a crate of the workspace that it uses has taken a new dependency.
    if ! (cd $agent/native && cargo metadata --locked --format-version 1 >/dev/null 2>&1); then
        echo "  notice: $agent/native/Cargo.lock is behind crates/web: it is brought up to date now, please commit it" >&2
        (cd $agent/native && cargo metadata --format-version 1 >/dev/null)
    fi
    (cd $agent/native && CARGO_TARGET_DIR=$target "$venv/bin/maturin" build --quiet --release --locked --interpreter "$venv/bin/python" --out "$target/wheels") >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$target"/wheels/*.whl
}

check() {
    (
        cd $agent
        "$venv/bin/ruff" format --check --quiet src tests bench.py
        "$venv/bin/ruff" check --quiet src tests bench.py
        "$venv/bin/mypy" --no-error-summary
        # Tests are bounded one by one; this bounds what a bug in them could cost.
        timeout 600 "$venv/bin/python" -m pytest "$@"
    )
}

case ${1-} in
    install) install ;;
    test) shift; install; check "$@" ;;
    bench) shift; install; exec "$venv/bin/python" $agent/bench.py "$@" ;;
    *) echo "usage: scripts/agent_python.sh install | test | bench" >&2; exit 2 ;;
esac
