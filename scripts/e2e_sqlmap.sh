#!/usr/bin/env bash
# sqlmap against a vulnerable Flask application: scripts/e2e_sqlmap.sh [--all]
# It must find the injections with the Python agent off, and none in protection mode. Inspection is in the process: no
# server of Erne's is needed. --all also tries sqlmap's disguises.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v sqlmap >/dev/null || { echo "error: there is no sqlmap here: scripts/setup.sh test installs it" >&2; exit 1; }
scripts/agent_python.sh install
timeout 500 .erne/agent-python/bin/python agents/python/tests/sqlmap.py "$@"
