#!/usr/bin/env bash
# A private server of MongoDB's protocol for tests: scripts/mongodb.sh [tls] | fetch | eval URL EXPRESSION
#
#   (nothing)  runs it, see scripts/server.sh
#   tls        the same, reached by TLS only, with an authority made for the occasion
#   fetch      makes what the others need, once
#   eval       prints as JSON what EXPRESSION, Python with `db`, finds by MongoDB's own client (PyPI's pymongo)
#
# The server is `mongod` where the PATH has one. Else it is FerretDB 1.24, which answers the same protocol out of SQLite
# and can be built from the Go module proxy (some minutes, once, into .erne/ferretdb). FerretDB asks for
# user and password (SCRAM-SHA-256); `mongod` takes everybody, because users could only be made by a client.
cd "$(dirname "$0")/.."
. scripts/server.sh
version=1.24.0
ferretdb=$PWD/.erne/ferretdb/$version
client=$PWD/.erne/pymongo-4.15

# The version stands in a file that the module lacks, and without which the program does not start.
build() {
    local source
    mkdir -p "$ferretdb/module"
    cat > "$ferretdb/module/go.mod" <<END
module erne.test/ferretdb
go 1.22
require github.com/FerretDB/FerretDB v$version
END
    source=$(cd "$ferretdb/module" && go mod download -json github.com/FerretDB/FerretDB | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
    rm -rf "$ferretdb/source"
    cp -r "$source" "$ferretdb/source"
    chmod -R u+w "$ferretdb/source"
    echo "v$version" > "$ferretdb/source/build/version/version.txt"
    (cd "$ferretdb/source" && go build -trimpath -ldflags '-s -w' -o "$ferretdb/new" ./cmd/ferretdb)
    mv "$ferretdb/new" "$ferretdb/ferretdb"
    rm -rf "$ferretdb/source"
}

fetch() {
    if ! command -v mongod > /dev/null && [ ! -x "$ferretdb/ferretdb" ]; then
        command -v go > /dev/null || die "there is neither mongod nor go here"
        mkdir -p "$ferretdb"
        exec 9> "$ferretdb/lock"
        flock 9
        [ -x "$ferretdb/ferretdb" ] || build
        exec 9>&-
    fi
    if [ ! -f "$client/ready" ]; then
        mkdir -p "$client"
        exec 9> "$client/lock"
        flock 9
        [ -f "$client/ready" ] || { python3 -m venv "$client" && "$client/bin/pip" install --quiet --disable-pip-version-check 'pymongo==4.15.*' && touch "$client/ready"; }
        exec 9>&-
    fi
}

# Standard output is for the URL.
fetch >&2
case ${1:-} in
    fetch) exit 0 ;;
    eval)
        exec "$client/bin/python" -c 'import json, sys, pymongo
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=10_000)
print(json.dumps(eval(sys.argv[2], {"db": client.get_default_database("erne")}), default=str))' "$2" "$3"
        ;;
esac

folder mongodb
mkdir "$dir/data"
tls=
options=
if [ "${1:-}" = tls ]; then
    tls=1
    options="?tls=true&tlsCAFile=$dir/ca.pem"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=erne test authority' \
        -keyout "$dir/ca.key" -out "$dir/ca.pem" 2> /dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' -keyout "$dir/key.pem" -out "$dir/request.pem" 2> /dev/null
    openssl x509 -req -in "$dir/request.pem" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -days 2 -out "$dir/cert.pem" \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n') 2> /dev/null
fi

if command -v mongod > /dev/null; then
    login=
    launch() {
        local by=()
        if [ -n "$tls" ]; then
            cat "$dir/cert.pem" "$dir/key.pem" > "$dir/both.pem"
            by=(--tlsMode requireTLS --tlsCertificateKeyFile "$dir/both.pem")
        fi
        exec mongod --dbpath "$dir/data" --port "$port" --bind_ip 127.0.0.1 "${by[@]}"
    }
else
    login=erne:secret@
    launch() {
        local by=(--listen-addr "127.0.0.1:$port")
        [ -z "$tls" ] || by=(--listen-addr= --listen-tls "127.0.0.1:$port" --listen-tls-cert-file "$dir/cert.pem" --listen-tls-key-file "$dir/key.pem")
        # A start after the first finds the user there.
        exec "$ferretdb/ferretdb" --handler sqlite --sqlite-url "file:$dir/data/" --state-dir "$dir" --telemetry disable \
            --debug-addr - --log-level error --test-enable-new-auth --setup-database erne --setup-username erne --setup-password secret "${by[@]}"
    }
fi
answers() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$port"; }
url() { printf 'mongodb://%s127.0.0.1:%s/erne%s\n' "$login" "$port" "$options"; }
serve
