#!/usr/bin/env bash
# The agent for Java: scripts/agent_java.sh install|build|test|measure|lock
#   install   downloads what building and testing need, each file compared with agents/java/dependencies.lock
#   build     makes the jars, the samples too
#   test      builds and tests, offline: unit tests, then the samples as processes under real HTTP
#   measure   what the agent adds to a request (ERNE_AGENT_GATEWAY, _ID, _SECRET: by that gateway, else by a stand-in)
#   lock      writes agents/java/dependencies.lock anew, after a version in a pom.xml was changed on purpose
# Maven's files are kept apart from others, in ~/.cache/erne-agent-java, so that the lock knows them all.
set -euo pipefail
cd "$(dirname "$0")/../agents/java"
repository=${XDG_CACHE_HOME:-$HOME/.cache}/erne-agent-java
maven=(mvn -B -ntp --strict-checksums "-Dmaven.repo.local=$repository")

die() { printf 'error: %s\n' "$*" >&2; exit 1; }
command -v mvn > /dev/null || die "there is no mvn here: scripts/setup.sh test installs it (package maven)"
command -v javac > /dev/null || die "there is no javac here: scripts/setup.sh test installs it (package default-jdk-headless)"

# Runs Maven and shows what matters; all of it if it fails.
run() {
    local log
    log=$(mktemp)
    if "${maven[@]}" "$@" > "$log" 2>&1; then
        grep -E 'Tests run:|BUILD|Total time|^by the|: adds ' "$log" || true
        rm -f "$log"
    else
        tail -n 150 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# Building and one test make Maven fetch everything, the test runner too, which no dependency list names.
fetch() { run package -Dtest=CoreTest -Dsurefire.failIfNoSpecifiedTests=false; }

mark=$repository/installed
stamp=$({ cat pom.xml ./*/pom.xml dependencies.lock 2>/dev/null || true; } | sha256sum | cut -c1-64)
install() {
    [ "$(cat "$mark" 2>/dev/null)" != "$stamp" ] || return 0
    fetch
    python3 ../../scripts/agent_java_lock.py check "$repository" dependencies.lock
    printf '%s' "$stamp" > "$mark"
}

case ${1:-} in
    install) install ;;
    lock)
        rm -rf "$repository"
        fetch
        python3 ../../scripts/agent_java_lock.py write "$repository" dependencies.lock
        ;;
    build)
        install
        run -o package -DskipTests
        ;;
    test)
        install
        run -o verify
        ;;
    measure)
        install
        run -o -pl sample -am package -Dtest=MeasureLatency -Dsurefire.failIfNoSpecifiedTests=false
        ;;
    *) sed -n '2,8p' "../../scripts/agent_java.sh" >&2; exit 2 ;;
esac
