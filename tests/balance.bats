#!/usr/bin/env bats
# Which worker gets a connection, and how open ones are evened out.

load lib/helpers

CTL=$BUILD/yodelctl

start_balanced() # WORKERS BALANCE [ARG...]
{
	local workers=$1 balance=$2
	shift 2
	start_yodeld_with "\"reply\": \"echo\", \"balance\": \"$balance\"" -w "$workers" \
		--set admin.socket="$BATS_TEST_TMPDIR/control.sock" "$@"
}

control() # COMMAND...
{
	"$CTL" -s "$BATS_TEST_TMPDIR/control.sock" "$@"
}

# Open connections of each worker, in the order of the slots: "50 50".
spread()
{
	control --json workers | python3 -c 'import json, sys
print(*[w["connections_open"] for w in json.load(sys.stdin)["workers"]])'
}

is_spread() # COUNT...
{
	[ "$(spread)" = "$*" ]
}

@test "balance cpu: worker i gets all connections that arrive on CPU i" {
	start_balanced 2 cpu --set cpu_affinity=true
	local cpu
	for cpu in 0 1; do
		taskset -c $cpu "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" x || continue
		spawn hold$cpu taskset -c $cpu "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 50
		wait_until grep -q holding hold$cpu.out
		if [ $cpu = 0 ]; then
			wait_until is_spread 50 0
		else
			wait_until is_spread 50 50
		fi
	done
}

@test "balance cpu: a removed slot gets no connections, and a reload to hash spreads them again" {
	start_balanced 2 cpu
	control scale 1
	spawn hold taskset -c "$(($(nproc) - 1))" "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 50
	wait_until grep -q holding hold.out
	wait_until is_spread 50
	control scale 2
	sed -i 's/cpu/hash/' listener.json
	control reload
	spawn more taskset -c 0 "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 200
	wait_until grep -q holding more.out
	is_by_hash()
	{
		local first second
		read -r first second < <(spread)
		[ $((first + second)) = 250 ] && [ "$first" -gt 50 ] && [ "$second" -gt 50 ]
	}
	wait_until is_by_hash
}

# all_even COUNT - so many are open, and no worker has two more than another.
all_even()
{
	spread | python3 -c 'import sys
open_now = [int(n) for n in sys.stdin.read().split()]
sys.exit(sum(open_now) != int(sys.argv[1]) or max(open_now) - min(open_now) > 1)' "$1"
}

are_open() # COUNT
{
	spread | python3 -c 'import sys
sys.exit(sum(int(n) for n in sys.stdin.read().split()) != int(sys.argv[1]))' "$1"
}

# The ledger balances, nothing is open, and as many connections moved in as out.
ledger_balances()
{
	control --json stats >stats.json
	python3 - <<-'END'
		import json
		stats = json.load(open("stats.json"))
		totals = stats["totals"]
		closed = sum(totals["connections_closed"].values())
		assert totals["connections_open"] == 0, totals
		assert totals["connections_accepted"] == closed, totals
		assert totals["connections_moved_in"] == totals["connections_moved_out"], totals
		assert totals["messages_received"] == totals["replies_sent"], totals
	END
}

# Runs a load with COUNT connections until end_load, which verifies the result.
start_load() # COUNT
{
	spawn load "$YODEL" -q -w 1 -c "$1" -d 300s --size 1:5000 -p 4 --expect echo \
		--json result.json "127.0.0.1:$PORT"
	wait_until -t 60 are_open "$1"
}

end_load()
{
	kill -TERM "$(<load.pid)"
	wait "$(<load.pid)"
}

@test "rebalance evens out 10, 100 and 1,000 connections on 8 workers without losing a byte" {
	start_balanced 8 hash
	local count
	for count in 10 100 1000; do
		start_load $count
		control rebalance
		all_even $count
		end_load
		wait_until are_open 0
	done
	wait_until ledger_balances
}

@test "balance move: long-lived connections are evened out automatically" {
	start_balanced 4 move
	start_load 200
	evenly() # one in 32 is left alone
	{
		spread | python3 -c 'import sys
open_now = [int(n) for n in sys.stdin.read().split()]
sys.exit(sum(open_now) != 200 or max(open_now) - min(open_now) > 2)'
	}
	wait_until evenly
	end_load
	wait_until ledger_balances
}

@test "balance move: connections of other listeners stay on their workers" {
	cat >two.json <<-'END'
		{ "listeners": [
			{ "address": "127.0.0.1:0", "reply": "echo", "balance": "hash" },
			{ "address": "127.0.0.2:0", "reply": "echo", "balance": "move" } ] }
	END
	start_yodeld -c two.json -w 4 --set admin.socket="$BATS_TEST_TMPDIR/control.sock"
	start_load 101
	local before
	before=$(spread)
	sleep 2 # the test needs this time, not an event
	end_load
	wait_until ledger_balances
	echo "$before" # by hash, rarely even
	grep -q '"connections_moved_in": 0' stats.json
}

@test "rebalancing during reloads, scaling and an upgrade loses nothing" {
	start_balanced 4 move
	start_load 300
	spawn operator bash -c "
		for i in 1 2 3 4 5 6 7 8; do
			'$CTL' -s control.sock rebalance || echo refused
		done"
	control reload
	control scale 6
	control upgrade
	control scale 3
	control reload
	wait "$(<operator.pid)"
	end_load
	wait_until ledger_balances
}

both_serve()
{
	[ "$(control --json workers | grep -c '"state": "serving"')" = 2 ]
}

@test "a worker that dies while it receives connections loses none of them" {
	start_balanced 2 hash
	spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 100
	wait_until grep -q holding hold.out
	wait_until are_open 100
	control scale 1
	wait_until is_spread 100
	control scale 2
	local sender receiver before
	read -r sender receiver < <(control --json workers | python3 -c 'import json, sys
print(*[w["pid"] for w in json.load(sys.stdin)["workers"]])')
	before=$(open_descriptors "$sender")
	kill -STOP "$receiver"
	spawn operator "$CTL" -s control.sock rebalance
	holds_transfer() # its end of the socket pair is open
	{
		[ "$(open_descriptors "$sender")" -gt "$before" ]
	}
	wait_until holds_transfer
	kill -KILL "$receiver"
	wait "$(<operator.pid)"
	wait_until both_serve
	wait_until is_spread 100 0
	control rebalance
	is_spread 50 50
	kill -USR1 "$(<hold.pid)"
	wait_until grep -q 'served 100 of 100' hold.out
}
