#!/usr/bin/env bash
# Real scans, real guessing and plain use between network namespaces, captured and judged:
#   scripts/scan_lab.sh [--keep DIR] [--quick] [-- COMMAND…]
#
# COMMAND takes a capture and writes findings as JSON lines; by default it is the example `findings` of crates/net, and
# `-- erne hunt -o jsonl` is the product itself. Three namespaces share one bridge: an attacker (10.77.0.66), a client
# (10.77.0.20) and a target (10.77.0.5), which routes 10.78.0.0/24. --quick leaves out the slow scan, which takes four
# minutes. Without the right to make namespaces, or without the tools, it says so and ends with code 77.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: $1" >&2; exit 77; }
keep= quick=
while [ $# -gt 0 ]; do
    case $1 in
        --keep) keep=$2; shift 2 ;;
        --quick) quick=1; shift ;;
        --) shift; break ;;
        *) echo "error: $1 is not known; see the head of this file" >&2; exit 2 ;;
    esac
done
judge=("$@")
if [ ${#judge[@]} -eq 0 ]; then
    cargo build --release -q -p net --example findings
    judge=("${CARGO_TARGET_DIR:-target}/release/examples/findings")
fi
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
for tool in ip nmap hydra tcpdump hping3 sshd ssh ssh-keygen curl python3 ping; do
    command -v "$tool" > /dev/null || skip "$tool is missing (Debian: nmap hydra tcpdump hping3 openssh-server curl iputils-ping)"
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/erne-lab.XXXXXX")
id=$$
lan=erne-l$id attacker=erne-a$id client=erne-c$id target=erne-t$id
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    for ns in $lan $attacker $client $target; do ip netns del "$ns" 2> /dev/null || true; done
    if [ -n "$keep" ]; then mkdir -p "$keep"; cp "$dir"/*.pcap "$keep"/ 2> /dev/null || true; fi
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

ip netns add "$lan" 2> /dev/null || skip "this system does not let us make network namespaces"
for ns in $attacker $client $target; do ip netns add "$ns"; done
ip -n "$lan" link add name lan0 type bridge
ip -n "$lan" link set dev lan0 up
member() { # namespace, port, address
    ip -n "$1" link add name eth0 type veth peer name "$2" netns "$lan" || skip "this system has no veth"
    ip -n "$lan" link set dev "$2" master lan0 up
    ip -n "$1" link set lo up
    ip -n "$1" link set eth0 up
    ip -n "$1" addr add "$3/24" dev eth0
}
member "$attacker" port-a 10.77.0.66
member "$client" port-c 10.77.0.20
member "$target" port-t 10.77.0.5
# A second address for the slow scan, which goes on beside the others.
ip -n "$attacker" addr add 10.77.0.67/24 dev eth0
ip -n "$attacker" route add 10.78.0.0/24 via 10.77.0.5
# Of the routed network half of the hosts answer and the others are silent.
ip -n "$target" route add local 10.78.0.0/26 dev lo
ip -n "$target" route add blackhole 10.78.0.0/24
A="ip netns exec $attacker" C="ip netns exec $client" T="ip netns exec $target"

# The target's services: web, and SSH for one key.
mkdir -p "$dir/www" "$dir/ssh" /run/sshd
for i in $(seq 30); do head -c $((i * 4000)) /dev/zero | tr '\0' "x" > "$dir/www/$i.html"; done
$T python3 -m http.server -d "$dir/www" 80 > "$dir/http.log" 2>&1 & pids+=($!)
$T python3 -m http.server -d "$dir/www" 8080 > "$dir/http2.log" 2>&1 & pids+=($!)
ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/host"
ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/key"
cp "$dir/ssh/key.pub" "$dir/ssh/authorized"
cat > "$dir/ssh/config" << END
Port 22
HostKey $dir/ssh/host
AuthorizedKeysFile $dir/ssh/authorized
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile $dir/ssh/pid
Subsystem sftp internal-sftp
END
$T "$(command -v sshd)" -D -f "$dir/ssh/config" -E "$dir/ssh/log" & pids+=($!)
SSH="ssh -q -i $dir/ssh/key -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
for _ in $(seq 100); do
    if $C curl -fs -o /dev/null http://10.77.0.5/1.html && $C $SSH root@10.77.0.5 true 2> /dev/null; then break; fi
    sleep 0.1
done

failed=0 checks=0
capture() { # name, filter, commands…: what they do, as the target's interface sees it
    local name=$1 filter=$2; shift 2
    $T tcpdump -q -i eth0 -s 0 -U -w "$dir/$name.pcap" $filter 2> "$dir/$name.log" & local dump=$!
    for _ in $(seq 50); do grep -qs listening "$dir/$name.log" && break; sleep 0.1; done
    "$@" > "$dir/$name.out" 2>&1 || { echo "error: $name: the tool failed" >&2; tail -3 "$dir/$name.out" >&2; }
    sleep 1
    kill -INT "$dump"; wait "$dump" || true
}
expect() { # name, rule, culprit, words of the summary; without a rule: nothing may be found
    checks=$((checks + 1))
    "${judge[@]}" "$dir/$1.pcap" > "$dir/$1.jsonl" 2> "$dir/$1.err" || { cat "$dir/$1.err" >&2; }
    if ! python3 - "$dir/$1.jsonl" "$@" << 'END'
import json, sys
path, name, rule, culprit, words = (sys.argv[1:] + ["", "", ""])[:5]
found = [(f["rule"]["id"], f["entity"]["value"], f["explanation"]["summary"]) for f in map(json.loads, open(path))]
right = [f for f in found if f[0] == rule and f[1] == culprit and words in f[2]]
wrong = [f for f in found if f not in right]
good = bool(right) == bool(rule) and not wrong
print(f"{'ok  ' if good else 'FAIL'} {name:<14} {right[0][2] if right else 'nothing found' if not found else ''}"[:150])
for f in wrong:
    print("     also:", *f)
sys.exit(not good)
END
    then failed=$((failed + 1)); fi
}
flood() { # hping3's options…: it ends by time, and by its code says whether all was answered
    $A timeout 8 hping3 "$@" > /dev/null 2>&1 || true
}
scan() { # name, nmap's options…
    local name=$1; shift
    capture "$name" "host 10.77.0.66" $A nmap -n -Pn -e eth0 "$@"
}

slow=
if [ -z "$quick" ]; then
    # nmap waits 15 s between two probes at -T1.
    capture slow "host 10.77.0.67" $A nmap -n -Pn -e eth0 -S 10.77.0.67 -sS -T1 --max-retries 0 -p 21-23,25,80,110,135,139,143,443,445,993,1433,3306,3389,5432 10.77.0.5 & slow=$!
fi
scan syn -sS --top-ports 200 10.77.0.5
scan connect -sT --top-ports 200 10.77.0.5
scan fin -sF --top-ports 100 10.77.0.5
scan null -sN --top-ports 100 10.77.0.5
scan xmas -sX --top-ports 100 10.77.0.5
scan ack -sA --top-ports 100 10.77.0.5
scan udp -sU --max-retries 1 --host-timeout 60s -p 53,67,69,111,123,137,161,162,500,514,520,623,1434,1900,4500,5353,5683,11211,19,7 10.77.0.5
scan polite -sS -T2 -p 20-45 10.77.0.5
scan sweep-port -sS -p 445 10.78.0.1-60
capture sweep "host 10.77.0.66" $A nmap -n -sn -PE 10.78.0.1-120
seq 60 | sed 's/^/password/' > "$dir/words"
capture guessing "host 10.77.0.66" $A timeout 120 hydra -I -q -t 4 -l admin -P "$dir/words" ssh://10.77.0.5
capture synflood "host 10.77.0.66" flood -q -S -p 80 -i u500 -c 5000 10.77.0.5
capture udpflood "host 10.77.0.66" flood -q --udp -p 9999 -k -s 4000 -d 64 -i u20 -c 60000 10.77.0.5
capture icmpflood "host 10.77.0.66" flood -q --icmp -d 512 -i u100 -c 30000 10.77.0.5

web_use() {
    for i in $(seq 30); do $C curl -fsS "http://10.77.0.5/$i.html" "http://10.77.0.5/1.html" "http://10.77.0.5:8080/2.html" > /dev/null; done
    $C curl -s -o /dev/null http://10.77.0.5/missing || true
    $C curl -s -o /dev/null http://10.77.0.5:81/ || true
    # Twenty clients at a time.
    for i in $(seq 20); do $C curl -fsS -o /dev/null "http://10.77.0.5/30.html" & crowd+=($!); done
    for pid in "${crowd[@]}"; do wait "$pid"; done
    $C ping -q -c 5 -i 0.2 10.77.0.5
}
ssh_use() {
    # One command each, as a deployment tool does, then a session, a copy, and a password mistyped.
    for i in $(seq 25); do $C $SSH root@10.77.0.5 "echo $i"; done
    $C $SSH root@10.77.0.5 "for i in 1 2 3 4 5; do ls /usr/bin | head -200; sleep 0.3; done"
    $C scp -q -O -i "$dir/ssh/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "root@10.77.0.5:$dir/www/30.html" "$dir/copy"
    $C $SSH -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -o BatchMode=yes root@10.77.0.5 true || true
}
crowd=()
capture plain-web "host 10.77.0.20" web_use
capture plain-ssh "host 10.77.0.20" ssh_use

expect syn net-port-scan 10.77.0.66 "(SYN scan)"
expect connect net-port-scan 10.77.0.66 "(connect scan)"
expect fin net-port-scan 10.77.0.66 "(FIN scan)"
expect null net-port-scan 10.77.0.66 "(NULL scan)"
expect xmas net-port-scan 10.77.0.66 "(Xmas scan)"
expect ack net-port-scan 10.77.0.66 "(ACK scan)"
expect udp net-port-scan 10.77.0.66 "(UDP scan)"
expect polite net-port-scan 10.77.0.66 "SYN scan)"
expect sweep-port net-port-sweep 10.77.0.66 "445 on"
expect sweep net-ping-sweep 10.77.0.66
expect guessing net-login-guessing 10.77.0.66 SSH
expect synflood net-syn-flood 10.77.0.66
expect udpflood net-udp-flood 10.77.0.66
expect icmpflood net-icmp-flood 10.77.0.66
expect plain-web
expect plain-ssh
if [ -n "$slow" ]; then
    wait "$slow"
    expect slow net-port-scan 10.77.0.67 "(slow SYN scan)"
fi
echo "$((checks - failed)) of $checks right"
[ "$failed" = 0 ]
