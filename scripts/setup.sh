#!/usr/bin/env bash
# Installs what is missing, by package name, and says what it does: scripts/setup.sh [build|test|browser|elastic]
#   build    a C compiler for the bundled C libraries; checks Rust and Node
#   elastic  the official Python client of Elasticsearch, in .erne/elastic-venv
#   test     and that, the servers that tests start, and all locked crates, so that the licence check sees those of other
#            platforms too
#   browser  and Chromium
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}
rust_min=1.95
node_min=20

say() { printf '  %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
# True when version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Debian packages that give a command which is not there yet.
apt_missing=()
need() { # COMMAND PACKAGE
    if command -v "$1" >/dev/null 2>&1; then
        say "$1 is there: $(command -v "$1")"
    else
        say "$1 is missing: package $2"
        apt_missing+=("$2")
    fi
}

# The server's programs, which Debian keeps off the PATH. Its package would start a server of its own: tests start
# theirs, so it is told not to, unless it is there already.
need_postgres() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1 || true)
    [ -n "$found" ] || found=$(command -v initdb || true)
    if [ -n "$found" ]; then
        say "PostgreSQL is there: $found"
        return
    fi
    say "PostgreSQL is missing: package postgresql"
    apt_missing+=(postgresql)
    postgres_is_new=yes
}

install_missing() {
    [ ${#apt_missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "please install ${apt_missing[*]} (this is no Debian: there is no apt-get)"
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "please install ${apt_missing[*]} as root: apt-get install ${apt_missing[*]}"
        as_root=(sudo)
    fi
    say "apt-get install ${apt_missing[*]}"
    "${as_root[@]}" apt-get update -q
    if [ "${postgres_is_new:-no}" = yes ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf > /dev/null
    fi
    # Packages of servers start them at once, unless a policy says no: tests start their own.
    local policy=/usr/sbin/policy-rc.d
    if [ "${server_is_new:-no}" = yes ] && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
        "${as_root[@]}" chmod 755 "$policy"
    else
        policy=
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${apt_missing[@]}" || {
        [ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
        die "apt-get install failed"
    }
    [ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
}

check_rust() {
    command -v cargo >/dev/null || die "Rust $rust_min or newer is needed and cargo is not on the PATH: install it with rustup (https://rustup.rs), then run this again"
    local found
    found=$(rustc --version | cut -d' ' -f2)
    at_least "$found" "$rust_min" || die "Rust $rust_min or newer is needed, this is $found: rustup update stable"
    say "Rust $found"
}

check_node() {
    command -v node >/dev/null || die "Node.js $node_min or newer is needed for the dashboard and is not on the PATH: see https://nodejs.org"
    local found
    found=$(node --version)
    found=${found#v}
    at_least "$found" "$node_min" || die "Node.js $node_min or newer is needed for the dashboard, this is $found: see https://nodejs.org"
    command -v npm >/dev/null || die "npm, which comes with Node.js, is not on the PATH"
    say "Node.js $found, npm $(npm --version 2>/dev/null)"
}

# Its major version decides which API it speaks; the tests need what 8.17 and later call.
install_elastic() {
    local venv=.erne/elastic-venv
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import elasticsearch' 2>/dev/null; then
        say "the Elasticsearch client is there: $venv"
        return
    fi
    say "pip install elasticsearch into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'elasticsearch>=8.17,<9'
}

if [ "$what" = elastic ]; then
    need python3 python3
    python3 -c 'import ensurepip' 2>/dev/null || apt_missing+=(python3-venv)
    install_missing
    install_elastic
    exit
fi

check_rust
[ ! -f dashboard/package.json ] || check_node
need cc build-essential
need python3 python3
need tar tar
# The step that lets DuckDB, delta-rs and pyarrow read a lake keeps their packages in a virtual environment.
[ "$what" != test ] || python3 -c 'import ensurepip' 2>/dev/null || apt_missing+=(python3-venv)
[ "$what" != browser ] || need chromium chromium
[ "$what" != test ] || need_postgres
# Servers that tests start for themselves: nginx before the web gateway; for sinks Redis, and OpenSearch from Maven Central.
if [ "$what" = test ]; then
    if ! command -v nginx >/dev/null && [ ! -x /usr/sbin/nginx ]; then
        say "nginx is missing: package nginx"
        apt_missing+=(nginx)
        server_is_new=yes
    fi
    need redis-server redis-server
    # Bans are enforced for real in network namespaces, where these are permitted.
    need nft nftables
    need ip iproute2
    need curl curl
    need java default-jre-headless
    need mvn maven
    # Attacks what the Python agent protects.
    need sqlmap sqlmap
    # The agent for Java is compiled.
    need javac default-jdk-headless
    need openssl openssl
fi
install_missing

if [ "$what" = test ]; then
    install_elastic
    say "OpenSearch for tests, from Maven Central (42 MB, once)"
    scripts/opensearch.sh fetch
    scripts/s3.sh install || die "the S3 server of the tests could not be installed (pip, see above)"
    if command -v mongod > /dev/null || command -v go > /dev/null; then
        say "a server of MongoDB's protocol for tests (some minutes, once)"
        scripts/mongodb.sh fetch
    else
        say "notice: tests of the MongoDB sink are skipped: they need mongod, or Go 1.22 or newer (Debian 12 has neither)"
    fi
    say "downloading the locked crates (cargo fetch)"
    cargo fetch --locked --quiet || say "notice: not all crates could be downloaded; the licence check will say which it could not see"
fi
