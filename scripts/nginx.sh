#!/usr/bin/env bash
# A private nginx with `auth_request` for tests: scripts/nginx.sh GATEWAY_PORT API_KEY [APPLICATION]
#
# On a free loopback port, in front of an application of its own that answers "hello". Each request is asked about at the
# gateway on 127.0.0.1:GATEWAY_PORT. `/open/` has the same hook and lets requests through while the gateway cannot be
# asked, everything else answers 500 then. It says its URL in one line and takes commands, one a line: "stop" ends it,
# "start" starts it on the same port. When its standard input ends, so does the server.
set -euo pipefail
gateway=$1 key=$2 application=${3:-}
nginx=$(command -v nginx || echo /usr/sbin/nginx)
[ -x "$nginx" ] || { echo "error: there is no nginx here: scripts/setup.sh test installs it" >&2; exit 1; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/erne-nginx.XXXXXX")
pid=
stop() {
    [ -n "$pid" ] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
}
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

configure() {
    cat > "$dir/nginx.conf" <<CONF
daemon off;
master_process off;
pid $dir/pid;
error_log $dir/error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    upstream erne {
        server 127.0.0.1:$gateway;
        keepalive 16;
    }
    server {
        listen 127.0.0.1:$port;
        location / {
            auth_request /erne;
            auth_request_set \$erne_action \$upstream_http_x_erne_action;
            add_header X-Erne-Action \$erne_action always;
            try_files /nothing @application;
        }
        location /open/ {
            auth_request /erne-open;
            try_files /nothing @application;
        }
        location @application { return 200 "hello\n"; }
        location = /erne {
            internal;
            proxy_pass http://erne/api/v1/hooks/nginx;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI \$request_uri;
            proxy_set_header X-Original-Method \$request_method;
            proxy_set_header X-Original-Proto \$scheme;
            proxy_set_header X-Real-IP \$remote_addr;
            proxy_set_header Host \$http_host;
            proxy_set_header X-API-Key "$key";
            proxy_set_header X-Erne-Application "$application";
            proxy_connect_timeout 250ms;
            proxy_read_timeout 250ms;
        }
        location = /erne-open {
            internal;
            proxy_pass http://erne/api/v1/hooks/nginx;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI \$request_uri;
            proxy_set_header X-Original-Method \$request_method;
            proxy_set_header X-Real-IP \$remote_addr;
            proxy_set_header Host \$http_host;
            proxy_set_header X-API-Key "$key";
            proxy_set_header X-Erne-Application "$application";
            proxy_connect_timeout 250ms;
            proxy_read_timeout 250ms;
            error_page 500 502 503 504 =204 @erne_away;
        }
        location @erne_away { return 204; }
    }
}
CONF
}

# True once it answers; false if it ended, because another program took the port.
start() {
    "$nginx" -p "$dir" -c "$dir/nginx.conf" < /dev/null > /dev/null 2>> "$dir/error.log" &
    pid=$!
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 1
        if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        sleep 0.05
    done
    return 1
}

for attempt in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    configure
    if start; then break; fi
    stop
    [ "$attempt" -lt 5 ] || { cat "$dir/error.log" >&2; echo "error: the server does not start" >&2; exit 1; }
done
printf 'http://127.0.0.1:%s\n' "$port"
while read -r word; do
    case $word in
        stop) stop; echo stopped ;;
        start) start || exit 1; echo started ;;
        *) echo "error: not a command: $word" >&2; exit 1 ;;
    esac
done
