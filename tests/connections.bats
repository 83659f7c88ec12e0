#!/usr/bin/env bats
# How connections of yodel are made, lost and closed: each way is counted, reported, and can
# fail a threshold. The peers are Python, without code of yodeld.

load lib/helpers
load lib/client

# Starts an echo server that ends connections its own way; its port is in ENDPOINT.
start_closing_server() # END [ARG...]
{
	spawn closing_server "$BATS_TEST_DIRNAME/lib/closing_server.py" "$@"
	wait_until test -s closing_server.out
	ENDPOINT=127.0.0.1:$(<closing_server.out)
}

@test "connections that the peer closes in order are counted as such, and not mentioned" {
	start_closing_server fin
	run_yodel -c 4 -n 6 --messages-per-connection 2 --size 64 "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 12, "reset": 0, "timeout": 0}'
	[[ $output != *"closed  "* && $output != *"in order"* ]]
	run_yodel -c 4 -n 6 --messages-per-connection 2 --size 64 --close rst "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 0, "reset": 0, "timeout": 0}'
}

@test "a FIN answered by a reset is counted, reported, and can fail a threshold" {
	start_closing_server reset
	run_yodel -c 4 -n 6 --messages-per-connection 2 --size 64 --html page.html "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 0, "reset": 12, "timeout": 0} and c["lost"] == 0'
	[[ $output = *"closed       0 in order, 12 by a reset from the peer"* ]]
	[[ $output = *"ok: 24 messages on 4 connections, every byte verified; 12 connections were not closed in order"* ]]
	grep -q 'Closed: 0 in order, 12 by a reset from the peer' page.html
	run_yodel -c 4 -n 2 --size 64 --threshold 'aborted<1%' "$ENDPOINT"
	[ "$status" = 99 ]
	run_yodel -c 4 -n 2 --size 64 --threshold 'aborted<=4' "$ENDPOINT"
	[ "$status" = 0 ]
}

@test "a FIN without an answer is counted, and its cost in throughput is reported" {
	start_closing_server silence
	run_yodel -c 2 -n 2 --messages-per-connection 1 --size 64 "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 0, "reset": 0, "timeout": 4} and c["lost"] == 0'
	[[ $output = *"closed       0 in order, 4 without a FIN from the peer for 1 s"* ]]
	[[ $output = *"waiting for these FINs took "*"% of the connections' time and lowered the throughput"* ]]
	run "$YODEL" merge -q -o all.json --threshold 'aborted<1' result.json
	[ "$status" = 99 ]
	python3 -c 'import json; assert json.load(open("all.json"))["connections"]["close"]["timeout"] == 4'
}

@test "idle connections closed by the peer are one line with silence, age and time" {
	start_closing_server fin --after 1
	# The run ends with the last connection. The server's second begins before the client's.
	run_yodel -c 12 --interval 1h -d 30s --no-reconnect --size 64 --html page.html "$ENDPOINT"
	[ "$status" = 1 ]
	result_matches 'r["losses"] == [r["losses"][0] | {"why": "closed", "idle": True,
		"connections": 12, "messages": 0}] and c["lost"] == 12'
	result_matches '[5e8 <= l["silent_min_ns"] <= l["silent_max_ns"] and 5e8 <= l["age_min_ns"] <= l["age_max_ns"]
		and l["first_at"] <= l["last_at"] for l in r["losses"]] == [True]'
	result_matches 'sum(s["connections_lost"] for s in r["seconds"]) == 12'
	[[ $output = *"- 12 connections closed by the peer, "*"after "*" s idle ("*", "*" after the connect ("*"); "*" 20"* ]]
	[ "$(grep -c 'idle for' <<<"$output")" = 1 ]
	[[ $output = *"... 11 more in the JSON result"* ]]
	grep -q '<b>12</b><span>connections lost' page.html
	grep -q '12 connections closed by the peer, ' page.html
}

# Starts three servers with their admin sockets; their endpoints are in ENDPOINTS.
start_three_servers()
{
	local i
	ENDPOINTS=()
	for i in 0 1 2; do
		start_server $i 127.0.0.1:0
		ENDPOINTS+=("$(sed -nE 's/.*listening on (.*) \(.*/\1/p' server$i.log)")
	done
}

start_server() # NUMBER ADDRESS
{
	spawn "server$1" "$YODELD" --workers 1 --listen "$2=echo" --set "admin.socket=$PWD/$1.sock"
	wait_until grep -q ': ready: ' "server$1.log"
}

# Kills a server and all its processes, which hold its sockets, at once.
kill_server() # NUMBER
{
	local family=("$(<"server$1.pid")") i
	for ((i = 0; i < ${#family[@]}; i++)); do
		# shellcheck disable=SC2207 # pids are words
		family+=($(children_of "${family[i]}"))
	done
	kill -KILL "${family[@]}"
	wait_until have_ended "${family[@]}"
}

# Runs a load on the three servers in the background.
start_reconciled_load()
{
	spawn load "$YODEL" -c 6 -d 2s -R 300 --framing line --connect-timeout 1s --timeout 1s \
		--ledger "unix:$PWD/0.sock" --ledger "unix:$PWD/1.sock" --ledger "unix:$PWD/2.sock" \
		--json result.json "${ENDPOINTS[@]}"
	LOAD=$SPAWNED
	# The restart is later than the first reading by more than the clocks may differ.
	sleep 0.5
	two_are_open() { [ "$(ss -Htn state established "( dport = :${ENDPOINTS[1]##*:} )" | wc -l)" -ge 2 ]; }
	wait_until two_are_open
}

@test "a server that is killed leaves the other ledgers reconciled" {
	start_three_servers
	start_reconciled_load
	kill_server 1
	local status=0
	wait "$LOAD" || status=$?
	[ $status = 1 ]
	result_matches '[s["state"] for s in r["ledger"]["servers"]] == ["reconciled", "gone", "reconciled"]'
	result_matches 'all(r["ledger"]["servers"][i]["connections_accepted"] == 2 for i in (0, 2))'
	result_matches 'r["ledger"]["consistent"] and 0 <= r["ledger"]["unaccounted_messages"] <= lost'
	grep -q '2 of 3 servers reconciled: accepted at least [4-9] of' load.out
	grep -qE -- "- unix:$PWD/1.sock: gone when it was asked at 20.*: at most [0-9]+ messages? unaccounted" load.out
}

@test "a server that restarts is told by its time, even if its counters have not decreased" {
	start_three_servers
	start_reconciled_load
	kill_server 1
	start_server 1 "${ENDPOINTS[1]}"
	local status=0
	wait "$LOAD" || status=$?
	[ $status = 1 ]
	result_matches '[s["state"] for s in r["ledger"]["servers"]] == ["reconciled", "restarted", "reconciled"]'
	result_matches 'r["started_at"][:10] <= r["ledger"]["servers"][1]["at"][:10]'
	grep -qE -- "- unix:$PWD/1.sock: restarted at 20.*: at most [0-9]+ messages? unaccounted" load.out
}

@test "merge counts a run once, and refuses results that share some of their runs" {
	start_closing_server fin
	local i
	for i in 0 1 2; do
		"$YODEL" -q -c 2 -n 5 --size 64 --json $i.json "$ENDPOINT"
	done
	merges_to() # SENT FILE...
	{
		local sent=$1
		shift
		run -0 "$YODEL" merge -q -o merged.json "$@"
		[ "$(python3 -c 'import json; print(json.load(open("merged.json"))["messages"]["sent"])')" = "$sent" ]
	}
	merges_to 10 0.json 0.json
	[ "$output" = "yodel merge: 0.json: its run was already added and counts once" ]
	cp 1.json copy.json
	merges_to 20 0.json 1.json copy.json
	cp merged.json all.json
	merges_to 20 all.json 1.json
	merges_to 20 all.json all.json
	merges_to 30 all.json 2.json 0.json
	run -65 "$YODEL" merge -q 1.json all.json
	[[ $output = *"all.json: contains the run of host "*" at 20"*", which another result contains too" ]]
}

@test "with -n a lost connection is replaced, and its remaining messages are sent" {
	local load
	for load in "" "--lockstep" "-p 2" "-R 200"; do
		rm -f faulty_server.out
		start_faulty_server close --connection 0 --message 1
		# shellcheck disable=SC2086 # words are meant
		run_yodel -c 2 -n 50 --size 64 $load "127.0.0.1:$FAULTY_SERVER_PORT"
		[ "$status" = 1 ]
		result_matches 'c["lost"] == 1 and c["reconnects"] == 1 and m["sent"] == 100 and lost >= 1'
		end_spawned
	done
	rm -f faulty_server.out
	start_faulty_server close --connection 0 --message 1
	run_yodel -c 2 -n 5 --size 64 --no-reconnect "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'c["lost"] == 1 and c["reconnects"] == 0 and m["sent"] < 10'
}

@test "with -n a server that is gone, mute or closes at once ends the run" {
	local fault
	for fault in close-all silent; do
		rm -f faulty_server.out
		start_faulty_server $fault
		run_yodel -c 2 -n 5 --size 64 --timeout 500ms --connect-timeout 1s \
			"127.0.0.1:$FAULTY_SERVER_PORT"
		[ "$status" = 1 ]
		result_matches 'm["verified"] == 0 and c["lost"] >= 2'
		end_spawned
	done
	start_closing_server reset --after 0.2 --accept 2
	run_yodel -c 2 -n 9 --interval 300ms --size 64 --connect-timeout 1s "$ENDPOINT"
	[ "$status" = 1 ]
	result_matches 'm["verified"] >= 1 and c["failed"]["refused"] >= 2 and c["reconnects"] == 0'
}

# Runs a command where the resolver knows these hosts and no name server answers.
with_hosts() # HOSTS COMMAND [ARG...]
{
	printf '%b' "$1" >hosts
	shift
	printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >resolv.conf
	printf 'hosts: files dns\n' >nsswitch.conf
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m sh -c '
		for file in hosts resolv.conf nsswitch.conf; do
			[ -e "/etc/$file" ] || : >"/etc/$file"
			mount --bind $file "$(readlink -f /etc/$file)" || exit 1
		done
		exec "$@"' sh "$@"
}

@test "a name with several addresses: attempts and errors of each are told" {
	needs root
	# The resolver puts 127.0.0.1 first, where nothing listens.
	start_closing_server fin --address 127.0.0.77
	local port=${ENDPOINT##*:}
	run -0 with_hosts '127.0.0.77 peer.test\n127.0.0.1 peer.test\n' \
		"$YODEL" -c 3 -n 4 --size 64 --json result.json --html page.html "peer.test:$port"
	echo "$output"
	result_matches '[a["address"] for a in r["addresses"]] == ["127.0.0.1:'"$port"'", "127.0.0.77:'"$port"'"]'
	result_matches '[(a["attempted"], a["established"], a["failed"]["refused"], a["last_error"])
		for a in r["addresses"]] == [(3, 0, 3, "Connection refused"), (3, 3, 0, "")]'
	result_matches 'c["failed"]["refused"] == 0 and c["established"] == 3'
	[[ $output = *"peer.test:$port at 127.0.0.77:$port: 3 of 3 attempts established"* ]]
	[[ $output = *"peer.test:$port at 127.0.0.1:$port: 0 of 3 attempts established, 3 refused: Connection refused"* ]]
	grep -q "at 127.0.0.1:$port: 0 of 3 attempts established" page.html
	end_spawned
	run -1 with_hosts '127.0.0.77 peer.test\n127.0.0.78 peer.test\n' \
		"$YODEL" -c 1 -n 1 --json result.json "peer.test:$port"
	result_matches 'sum(a["failed"]["refused"] for a in r["addresses"]) == 2 and c["failed"]["refused"] == 1'
	[[ $output = *"at 127.0.0.78:$port: 0 of 1 attempt established, 1 refused: Connection refused"* ]]
	[[ $output = *"at 127.0.0.77:$port: 0 of 1 attempt established, 1 refused: Connection refused"* ]]
}

@test "a name server that does not answer is a failure of the system, not of usage" {
	needs root
	run with_hosts '127.0.0.1 localhost\n' "$YODEL" -n 1 name.test:80
	[ "$status" = 71 ]
	[[ $output = *'cannot resolve host "name.test": '* ]]
	run with_hosts '127.0.0.1 localhost\n' "$YODEL" talk name.test:80
	[ "$status" = 71 ]
}

@test "an output that cannot be written is an error of every command" {
	start_closing_server fin
	"$YODEL" -q -c 1 -n 3 --size 64 --json a.json "$ENDPOINT"
	"$YODEL" -q -c 1 -n 3 --size 64 --json b.json "$ENDPOINT"
	into_full() { "$YODEL" "$@" >/dev/full; }
	run -71 into_full compare a.json b.json
	[[ $output = "yodel compare: cannot write "* ]]
	run -71 into_full merge a.json b.json
	run -71 into_full report a.json
	run -71 into_full -c 1 -n 1 "$ENDPOINT"
}

@test "-f - reads the messages from stdin, and a word that is no target is no command" {
	start_closing_server fin
	printf 'one\ntwo\n' | "$YODEL" -q -c 2 -n 2 -f - --json result.json "$ENDPOINT"
	result_matches 'm["verified"] == 4 and r["bytes"]["sent"] == 12 and r["plan"]["message"] == "lines of stdin"'
	run -64 "$YODEL" -f - -d 1s --search 'p99<1s' "$ENDPOINT"
	[[ $output = *"it cannot read the messages from stdin" ]]
	run -64 "$YODEL" foo
	[ "$output" = 'yodel: no such command "foo"; expected a command (see --help) or a target HOST:PORT' ]
	run -69 "$YODEL" --ledger "http://$(printf 'a%.0s' {1..300}):80" "$ENDPOINT"
	[[ $output = *"expected less than 256 bytes" ]]
}

# Runs yodel in a network namespace with four local ports, one of them reserved, and a
# server at 10.9.9.1.
with_few_ports() # [ARG...]
{
	# shellcheck disable=SC2016 # for the inner shell
	unshare -n sh -ec '
		ip link set lo up
		ip address add 10.9.9.1/32 dev lo
		echo 40000 40003 >/proc/sys/net/ipv4/ip_local_port_range
		echo 40002 >/proc/sys/net/ipv4/ip_local_reserved_ports
		"$0" fin --address 10.9.9.1 --port 7777 >server.out &
		for i in $(seq 500); do [ -s server.out ] && break; sleep 0.05; done
		status=0
		"$YODEL" "$@" || status=$?
		kill $!
		exit $status' "$BATS_TEST_DIRNAME/lib/closing_server.py" "$@"
}

@test "a lack of local ports is a failure of its own, also in the preflight" {
	needs root
	run -1 with_few_ports -c 6 -n 1 --size 64 --skip-preflight --json result.json 10.9.9.1:7777
	result_matches 'c["failed"]["no_port"] == 3 == 6 - c["established"] and c["failed"]["other"] == 0'
	[[ $output = *"3 failed (3 no_port)"*"no local port is free"* ]]
	run -71 with_few_ports -c 6 -n 1 10.9.9.1:7777
	[[ $output = *"with 3 ports (1 more are reserved) to 1 target provide 3"* ]]
	# A source address that is not local is no lack of ports.
	run -1 with_few_ports -c 1 -n 1 --source-ip 10.66.0.1 --skip-preflight --json result.json 10.9.9.1:7777
	result_matches 'c["failed"]["other"] == 1'
	[[ $output = *"the source address is not an address of this machine"* ]]
}

@test "a prohibited destination is unreachable" {
	needs root
	# shellcheck disable=SC2016 # for the inner shell
	run -1 unshare -n sh -ec '
		ip link set lo up
		ip route add prohibit 10.8.0.0/16
		ip -6 route add prohibit 2001:db8::/32 dev lo
		exec "$YODEL" -c 2 -n 1 --json result.json 10.8.0.1:7 "[2001:db8::1]:7"'
	result_matches 'c["failed"]["unreachable"] == 2 and c["failed"]["other"] == 0'
	[[ $output = *"prohibited by a firewall or route"* ]]
}

@test "a budget for losses that is met replaces the exit status" {
	start_faulty_server close --connection 0 --message 1
	run_yodel -c 2 -n 20 --size 64 --threshold 'lost<10%' "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 0 ]
	[[ $output = *"ok: 39 messages on 2 connections, every byte verified; 1 message and 1 connection lost (allowed: lost<10%)"* ]]
	end_spawned
	rm faulty_server.out
	start_faulty_server close --connection 0 --message 1
	run_yodel -c 2 -n 20 --size 64 --threshold 'lost<1%' "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
}
