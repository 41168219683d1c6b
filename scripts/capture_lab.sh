#!/usr/bin/env bash
# How much live capture keeps up with: tcpreplay over a veth pair between two network namespaces into the whole pipeline.
#   scripts/capture_lab.sh CAPTURE [PACKETS_PER_SECOND] [LOOPS]
#
# CAPTURE is a pcap of Ethernet frames. Says frames sent, received and dropped, and CPU time. Ends with code 1 if one was
# lost, with 77 where it may not make namespaces. UNIQUE=1 gives every loop addresses of its own; PRIORITY="chrt -f 10" takes the
# processors from other work on a busy machine; SECONDS_MAX (20) is how long the reader reads.
set -euo pipefail
cd "$(dirname "$0")/.."
capture=$(realpath "${1:?a capture file is needed}") rate=${2:-300000} loops=${3:-20}
skip() { echo "skipped: $1" >&2; exit 77; }
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
command -v tcpreplay > /dev/null || skip "tcpreplay is missing (Debian: tcpreplay)"
program=${LIVE:-${CARGO_TARGET_DIR:-target}/release/examples/live}
[ -x "$program" ] || cargo build --release -q -p connect --example live

here=erne-r$$ there=erne-s$$ reader=
dir=$(mktemp -d "${TMPDIR:-/tmp}/erne-capture.XXXXXX")
cleanup() {
    [ -z "$reader" ] || kill "$reader" 2> /dev/null || true
    for ns in $here $there; do ip netns del "$ns" 2> /dev/null || true; done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
ip netns add "$here" 2> /dev/null || skip "this system does not let us make network namespaces"
ip netns add "$there"
ip -n "$here" link add name eth0 type veth peer name eth0 netns "$there" || skip "this system has no veth"
for ns in $here $there; do
    # Neither side may say anything of its own.
    ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.eth0.disable_ipv6=1 2> /dev/null || true
    ip -n "$ns" link set dev eth0 mtu 9000 up
done
sleep 0.5
ip netns exec "$here" ${PRIORITY:-} "$program" eth0 "${SECONDS_MAX:-20}" > "$dir/result" 2> "$dir/log" & reader=$!
for _ in $(seq 100); do grep -qs capturing "$dir/log" && break; sleep 0.05; done
ip netns exec "$there" ${PRIORITY:-} tcpreplay -q -K ${UNIQUE:+--unique-ip} --loop="$loops" --pps="$rate" --pps-multi="${BURST:-64}" -i eth0 "$capture" > "$dir/replay" 2>&1 || { cat "$dir/replay" >&2; exit 1; }
wait "$reader"; reader=
cat "$dir/log" >&2
python3 - "$dir/result" "$dir/replay" << 'END'
import json, re, sys
result = json.load(open(sys.argv[1]))
replay = open(sys.argv[2]).read()
sent = int(re.search(r"Successful packets:\s+(\d+)", replay).group(1))
rate = re.search(r"Rated:.*?([\d.]+) pps", replay).group(1)
print(json.dumps({"sent": sent, "sent_per_sec": float(rate), **result}))
sys.exit(result["dropped"] > 0 or result["frames"] != sent)
END
