#!/usr/bin/env bats
# One load from several machines under GNU parallel: each host is a set of network and UTS
# namespaces, which disappear with the process that holds them.
# shellcheck disable=SC2030,SC2031,SC2154 # each test its own PATH; run sets stderr

load lib/helpers
load lib/merged

SERVER=10.77.0.1

# Starts a host with its own network and name. To run a command there: on NAME COMMAND [ARG...]
start_host() # NAME
{
	spawn "$1" unshare -n -u sleep 600
	has_own()
	{
		[ "$(readlink "/proc/$SPAWNED/ns/net")" != "$(readlink /proc/self/ns/net)" ] &&
			[ "$(readlink "/proc/$SPAWNED/ns/uts")" != "$(readlink /proc/self/ns/uts)" ]
	}
	wait_until has_own
	on "$1" hostname "$1"
	on "$1" ip link set lo up
}

on()
{
	local host=$1
	shift
	nsenter -n -u -t "$(<"$host.pid")" "$@"
}

# A server and three clients, each connected to it by its own link.
start_network()
{
	local i
	start_host server
	on server ip address add $SERVER/32 dev lo
	for i in 0 1 2; do
		start_host "host$i"
		on server ip link add "wire$i" type veth peer name wire netns "$(<"host$i.pid")"
		on server ip address add 10.7.$i.1/30 dev "wire$i"
		on server ip link set "wire$i" up
		on "host$i" ip address add 10.7.$i.2/30 dev wire
		on "host$i" ip link set wire up
		on "host$i" ip route add default via 10.7.$i.1
	done
	YODELD_RUN="nsenter -n -u -t $(<server.pid)" start_yodeld_at \
		'"address": "'$SERVER':0", "reply": "upper", "framing": "line"'
	# Replaces ssh for GNU parallel: host NAME, then a command for its shell.
	cat >into <<-'END'
		#!/bin/bash
		while [[ $1 = -* ]]; do shift; done
		host=$1
		shift
		[ "$1" != -- ] || shift
		exec nsenter -n -u -t "$(<"$HOSTS/$host.pid")" bash -c "$*"
	END
	chmod +x into
	export HOSTS=$PWD
}

start_yodeld_at() # KEYS
{
	printf '{ "listeners": [ { %s } ] }\n' "$1" >listener.json
	start_yodeld -c listener.json -w 2 --set "admin.socket=$PWD/control.sock"
}

# The command line of the README: each host is one rank, and all start at the same time.
call_from_all() # [ARG...]
{
	# Without $SHELL, parallel guesses the remote shell; with a wrong guess it runs nothing.
	SHELL=/bin/bash parallel --will-cite --ssh "$PWD/into" -S 1/host0,1/host1,1/host2 -j 1 --workdir "$PWD" \
		"$YODEL" -q --rank '{}/3' --start-at "@$((EPOCHSECONDS + 6))" --json '{}.json' \
		"$@" "$SERVER:$PORT" ::: 0 1 2
}

@test "three hosts under GNU parallel run one load and merge into one result" {
	needs root
	start_network
	call_from_all -c 91 -R 3k -n 60 --size 1:200 --framing line
	run -0 "$YODEL" merge -o all.json --threshold 'p99<10s' 2.json 0.json 1.json
	[[ $output = *"5,460 sent = 5,460 verified"* && $output = *host2* ]]
	merged_exactly
	merged_matches 'r["connections"]["established"] == 91 and r["plan"]["rate"] == 3000'
	merged_matches '[p["connections"]["requested"] for p in parts] == [31, 30, 30]'
	merged_matches '{k["hostname"] for k in r["ranks"]} == {"host0", "host1", "host2"}'
	# All started at the same time, the requested full second.
	merged_matches 'len({p["started_at"] for p in parts}) == 1 and
		parts[0]["started_at"].endswith(".000000000Z")'
	# The server's counters agree: no other connections and messages.
	"$BUILD/yodelctl" -s control.sock --json stats >stats.json
	merged_matches '(lambda t: t["connections_accepted"] == 91 and t["messages_received"] == 5460
		and t["bytes_received"] == r["bytes"]["sent"])(json.load(open("stats.json"))["totals"])'
	run -99 "$YODEL" merge -q --threshold 'p99<1us' 0.json 1.json 2.json
}

four_hundred_are_read()
{
	"$BUILD/yodelctl" -s control.sock --json stats |
		python3 -c 'import json, sys
sys.exit(json.load(sys.stdin)["totals"]["messages_received"] < 400)'
}

@test "packet loss on the way from one host shows in its figures" {
	needs root
	start_network
	call_from_all -c 30 -R 600 -d 4s --framing line --size 64 &
	local calls=$!
	wait_until four_hundred_are_read
	# For half a second, packets of this host go to an address that no host on the link has.
	on host1 ip neigh replace 10.7.1.1 lladdr 02:00:00:00:00:01 dev wire nud permanent
	sleep 0.5
	on host1 ip neigh del 10.7.1.1 dev wire
	wait $calls
	run -0 "$YODEL" merge -o all.json 0.json 1.json 2.json
	merged_exactly
	merged_matches 'r["messages"]["verified"] == r["messages"]["due"] == 2400'
	# GNU parallel chooses which host is which rank.
	merged_matches '{p["host"]["hostname"]: p["host"]["retransmits"] > 5 for p in parts} ==
		{"host0": False, "host1": True, "host2": False}'
	merged_matches 'next(k["max_ns"] for k in r["ranks"] if k["hostname"] == "host1") > 400e6'
	[[ $output = *"(host1) is "*"TCP retransmits on these connections: packets were lost"* ]]
}

@test "packet loss on the way back shows in the server's retransmits" {
	needs root
	start_network
	spawn load on host1 "$YODEL" -c 30 -R 600 -d 3s --framing line --size 64 --json 1.json \
		--ledger "unix:$PWD/control.sock" "$SERVER:$PORT"
	local load=$SPAWNED again
	wait_until four_hundred_are_read
	on server ip neigh replace 10.7.1.2 lladdr 02:00:00:00:00:01 dev wire1 nud permanent
	sleep 0.5
	on server ip neigh del 10.7.1.2 dev wire1
	wait "$load"
	again=$(python3 -c 'import json
print(json.load(open("1.json"))["ledger"]["server"]["retransmits"])')
	[ "$again" -gt 5 ]
	grep -q "client and server agree: .* ($again TCP retransmits on the host of the server)" load.out
}
