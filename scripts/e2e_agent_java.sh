#!/usr/bin/env bash
# The Java sample, with its agent, against a real gateway: scripts/e2e_agent_java.sh
#   ERNE   the binary (default target/release/erne)
# An agent is made, its application given a blocking profile, attacks and harmless requests are sent, the profile is
# changed while it runs, and the gateway is killed.
set -euo pipefail
cd "$(dirname "$0")/.."
erne=$(realpath "${ERNE:-${CARGO_TARGET_DIR:-target}/release/erne}")
# The samples are built by the step before; by itself, this script builds them.
jar=agents/java/sample/target/erne-agent-sample-0.1.0-exec.jar
[ -f "$jar" ] || scripts/agent_java.sh build
timeout 280 python3 scripts/e2e_agent_java.py "$erne" "$jar"
