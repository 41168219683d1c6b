#!/usr/bin/env bash
# The Python agent's tests of its gateway against a real one: scripts/e2e_agent_python.sh [PYTEST ARGUMENT…]
#   ERNE   the binary (default target/release/erne)
# Each run has a server of its own, on loopback with data of its own, which the tests stop and start.
set -euo pipefail
cd "$(dirname "$0")/.."
erne=$(realpath "${ERNE:-${CARGO_TARGET_DIR:-target}/release/erne}")
scripts/agent_python.sh install
cd agents/python
ERNE=$erne APP_GATEWAY=real timeout 500 ../../.erne/agent-python/bin/python -m pytest tests/test_gateway.py "$@"
