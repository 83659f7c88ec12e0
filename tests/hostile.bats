#!/usr/bin/env bats
# run-checks: long
# A server under attack: during each attack, correct clients are served and verified (the
# output shows the 99th percentile of their response time, without and with the attack), and
# after it descriptors and memory are as before and the ledger balances.

load lib/helpers

ATTACKER=$BATS_TEST_DIRNAME/lib/attacker.py
CTL=$BUILD/yodelctl
# Memory that the allocators of two workers may keep.
KEPT_KIB=3072
! has_sanitizer || KEPT_KIB=16384

# stream, line, length32: PORTS[0], [1], [2]
start_target() # [BACKLOG]
{
	local framing keys='"address": "127.0.0.1:0", "reply": "echo"'
	for framing in stream line length32; do
		printf '{ %s, "framing": "%s", "backlog": %s }\n' "$keys" $framing "${1-4096}"
	done | paste -sd, | sed 's/.*/{ "listeners": [ & ] }/' >target.json
	start_yodeld -c target.json -w 2 --set limits.max_pending=64k \
		--set admin.socket="$PWD/control.sock"
}

# Fails unless each message was answered and verified; its p99 in microseconds in $p99.
well_behaved() # NAME TIME
{
	# shellcheck disable=SC2086 # words are meant
	${NETWORK-} "$YODEL" -c 20 -R 500 -d "$2" --expect echo -q --json "$1.json" \
		"127.0.0.1:$PORT"
	p99=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["latency"]["response"]["p99_ns"] // 1000)' "$1.json")
}

resident_of_all()
{
	local pid sum=0
	for pid in $(worker_pids); do
		sum=$((sum + $(resident_kib "$pid")))
	done
	echo $sum
}

descriptors_of_all()
{
	local pid
	for pid in $(worker_pids); do
		open_descriptors "$pid"
	done
}

descriptors_are() # BEFORE
{
	[ "$(descriptors_of_all)" = "$1" ]
}

memory_is() # BEFORE
{
	[ $(($(resident_of_all) - $1)) -lt $KEPT_KIB ]
}

# accepted = open + closed, and none is open.
ledger_balances()
{
	"$CTL" -s control.sock --json stats | python3 -c 'import json, sys
t = json.load(sys.stdin)["totals"]
closed = t["connections_closed"]
assert t["connections_open"] == 0, t
assert t["connections_accepted"] == sum(closed.values()), t
assert closed["worker_lost"] == 0 and closed["system_error"] == 0, closed
print("# closed:", ", ".join(f"{n} {reason}" for reason, n in closed.items() if n))'
}

open_now()
{
	"$CTL" -s control.sock --json stats | python3 -c 'import json, sys
print(json.load(sys.stdin)["totals"]["connections_open"])'
}

are_in() # COUNT
{
	[ "$(open_now)" -ge "$1" ]
}

# Runs an attack and checks the server; HELD: connections open before and after measuring.
withstands() # MODE COUNT PORT...
{
	local quiet descriptors resident most workers
	workers=$(worker_pids)
	well_behaved warm 300ms
	well_behaved quiet 1s
	quiet=$p99 descriptors=$(descriptors_of_all) resident=$(resident_of_all)
	# shellcheck disable=SC2086 # words are meant
	spawn attack ${NETWORK-} "$ATTACKER" "$@"
	wait_until -t 60 grep -q attacking attack.out
	wait_until -t 60 are_in "${HELD-0}"
	well_behaved attacked 1500ms
	are_in "${HELD-0}"
	most=$(resident_of_all)
	kill -TERM "$(<attack.pid)"
	wait "$(<attack.pid)"
	wait_until -t 60 descriptors_are "$descriptors"
	wait_until memory_is "$resident"
	echo "# $1: p99 $quiet us quiet, $p99 us under attack ($(tail -n 1 attack.out));" \
		"memory $resident, $most, then $(resident_of_all) KiB" >&3
	[ "$(worker_pids)" = "$workers" ]
	ledger_balances >&3
	run ! grep -E 'error|killed|signal' "$YODELD_LOG"
}

@test "20,000 connections that send a byte at long intervals do not delay others" {
	needs descriptors 20000
	# A sanitizer keeps much metadata; it detects leaks itself.
	! has_sanitizer || KEPT_KIB=65536
	start_target
	HELD=20000 withstands drip 20000 "${PORTS[2]}"
}

@test "peers that never read do not delay others" {
	start_target
	withstands never-read 100 "${PORTS[0]}" "${PORTS[1]}"
}

@test "peers with a zero window that opens by one byte do not delay others" {
	start_target
	withstands sip 100 "${PORTS[0]}" "${PORTS[1]}"
}

@test "a storm of resets does not delay others" {
	start_target
	withstands reset 50 "${PORTS[@]}"
}

@test "peers that connect and disconnect do not delay others" {
	start_target
	withstands close 50 "${PORTS[@]}"
}

@test "a SYN flood does not delay others" {
	needs root
	spawn network unshare -n sleep 600
	NETWORK="nsenter -n -t $(<network.pid)"
	is_own_network()
	{
		[ "$(readlink "/proc/$(<network.pid)/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	}
	wait_until is_own_network
	$NETWORK ip link set lo up
	# Packets to the forged addresses are dropped.
	$NETWORK ip route add 10.0.0.0/8 dev lo
	YODELD_RUN=$NETWORK start_target 64
	withstands half-open 20 "${PORTS[@]}"
	# With a full SYN queue the kernel sends cookies: the flood was effective.
	$NETWORK cat /proc/net/netstat | python3 -c 'import sys
names, values = [line.split() for line in sys.stdin if line.startswith("TcpExt")][:2]
t = dict(zip(names, values))
print("#", t["SyncookiesSent"], "SYN cookies")
assert int(t["SyncookiesSent"]) > 1000, t' >&3
}

@test "endless messages do not delay others" {
	start_target
	withstands endless 20 "${PORTS[1]}" "${PORTS[2]}"
}

@test "random bytes in each framing do not delay others" {
	start_target
	withstands garbage 60 "${PORTS[@]}"
}

@test "single-byte segments do not delay others" {
	start_target
	withstands bytes 60 "${PORTS[0]}" "${PORTS[1]}"
}
