#!/usr/bin/env bats
# run-checks: long
# Faults on purpose: what the server injects, what it records, what yodel explains by that.

# shellcheck disable=SC2030,SC2031,SC2154 # each test has its own PORT; run sets stderr
load lib/helpers
load lib/supervision

CLIENT=$BATS_TEST_DIRNAME/lib/fault_client.py

# hold LINE... - as the coprocess HOLD: a client that sends these lines, and reads when told to.
# What it prints is read from HELD: bash closes HOLD[0] when the client has ended.
hold()
{
	coproc HOLD { exec 3>&-; exec "$CLIENT" hold "$PORT" "$@"; }
	exec {HELD}<&"${HOLD[0]}"
	echo "$HOLD_PID" >>"$BATS_TEST_TMPDIR/spawned"
}

# start_server FAULTS [ARG...] - FAULTS: strings of JSON
start_server()
{
	local faults=$1
	shift
	start_yodeld_with '"reply": "echo", "framing": "line", "faults": ['"$faults"']' \
		--set admin.socket="$PWD/control.sock" "$@"
}

ctl()
{
	"$BUILD/yodelctl" -s control.sock "$@"
}

# CONDITION on f, the reply to /faults, and t, the totals of /stats
faults()
{
	"$BATS_TEST_DIRNAME/lib/admin_client.py" ask "$PWD/control.sock" GET /faults | sed 1d >faults.json
	ctl stats --json >stats.json
	python3 -c '
import json, sys
f = json.load(open("faults.json"))
t = json.load(open("stats.json"))["totals"]
assert eval(sys.argv[1]), (f["injected"], f["recorded"], f["kept"])' "$1"
}

# The result as r, its faults as x: CONDITION
result()
{
	python3 -c '
import json, sys
r = json.load(open("result.json"))
x = r["ledger"]["faults"]
assert eval(sys.argv[1]), (r["messages"], r["ledger"])' "$1"
}

load_with() # ARG... - a run that finds damage
{
	run "$BUILD/yodel" --framing line --expect echo --drain 2s --size 40 --json result.json \
		--html page.html --ledger "unix:$PWD/control.sock" "$@" "127.0.0.1:$PORT"
}

@test "damage that no fault explains is the path's, and is said first" {
	start_server '"delay 1ms on 10%"'
	# A server that answers in upper case: its replies are no faults.
	run "$BUILD/yodel" --framing line --expect upper -c 2 -R 100 -d 1s --drain 1s --size 40 \
		--json result.json --html page.html --ledger "unix:$PWD/control.sock" "127.0.0.1:$PORT"
	[ "$status" = 2 ]
	result 'x["unexplained"] > 0 and x["explained"] == 0'
	# The first line of the text, the first member of the JSON, the first paragraph of the page.
	sed -n 1p <<<"$output" | grep "^  faults  *DAMAGE OF THE PATH:"
	sed -n 2p <<<"$output" | grep -E "not injected: damage at message 1, offset [0-9]+, connection from 127"
	sed -n 2p result.json | grep '"ledger": {'
	sed -n 3p result.json | grep '"unexplained_findings"'
	grep -m 1 "<p" page.html | grep "DAMAGE OF THE PATH"
}

@test "a delayed reply that does not follow the file is damage of the path" {
	start_server '"delay 1ms"'
	printf 'C: PING \\{message}\nS: PONG\n' >ping.talk
	run "$BUILD/yodel" --conversation ping.talk -c 2 -n 5 --json result.json \
		--ledger "unix:$PWD/control.sock" "127.0.0.1:$PORT"
	[ "$status" = 2 ]
	result 'x["timing"] == x["findings"] == x["unexplained"] == r["messages"]["wrong"] == 10'
}

# load_through_proxy ARG... - of damage_proxy.py
load_through_proxy()
{
	coproc PROXY { exec 3>&-; exec "$BATS_TEST_DIRNAME/lib/damage_proxy.py" "$PORT" "$@"; }
	echo "$PROXY_PID" >>"$BATS_TEST_TMPDIR/spawned"
	local server=$PORT
	read -r PORT <&"${PROXY[0]}"
	load_with -c 4 -R 400 -d 2s
	PORT=$server
	kill "$PROXY_PID"
}

@test "faults behind a proxy that does not announce its clients cannot be judged" {
	start_server '"corrupt 1 byte every 20", "drop every 50"'
	load_through_proxy 1240 plain
	[ "$status" = 2 ]
	result 'x["unexplained"] == x["explained"] == 0 < x["unjudged"] == x["findings"] and x["translated"]'
	[[ $output =~ "cannot be judged: the faults in the server's record hit other addresses" ]]
}

@test "one byte that a proxy damages beside seeded faults is named, alone" {
	start_server '"corrupt 1 byte every 20", "drop every 50"' \
		--set 'listeners[0].proxy_protocol=v1' --set 'listeners[0].proxy_from=["127.0.0.0/8"]'
	# In message 31: messages have 41 bytes.
	load_through_proxy 1240
	[ "$status" = 2 ]
	result 'x["unexplained"] == 1 and x["explained"] > 20 and x["unjudged"] == 0'
	result '[(f["kind"], f["message"]) for f in r["ledger"]["unexplained_findings"]] == [("damage", 31)]'
	result 'r["ledger"]["unexplained_findings"][0]["connection"].startswith("127.0.0.1:")'
	local line="not injected: damage at message 31, offset 12[0-9][0-9], connection from 127.0.0.1:[0-9]+"
	[[ $output =~ $line ]]
	grep -qE "$line" page.html
}

@test "findings are not judged when the record was too short for the faults" {
	start_server '"corrupt 1 byte on 20%"' --set fault_record=16 -w 1
	load_with -c 4 -p 2 -R 400 -d 2s
	[ "$status" = 2 ]
	result 'x["injected"] > x["recorded"] == 16 and x["unexplained"] == 0 and x["unjudged"] > 0'
	[[ $output =~ "cannot be judged: the record is too short" ]]
}

@test "ended connections have the reason fault, and are explained" {
	start_server '"reset after 400 bytes on 30%", "close at message 20 on 30%",
		"half-close at message 15 on 30%", "refuse on 20%"' -w 2
	load_with --no-reconnect -c 60 -R 1000 -d 3s
	[ "$status" -ne 0 ]
	result 'x["injected"] > 20 and x["unexplained"] == 0 and x["explained"] == x["findings"] > 10'
	faults 't["connections_closed"]["fault"] >= f["injected"]["reset"] + f["injected"]["refuse"] > 0'
	faults 't["connections_accepted"] == t["connections_open"] + sum(t["connections_closed"].values())'
}

@test "a client with the same source ports sees the same faults" {
	local first=$((20000 + RANDOM % 10000))
	local kinds='"corrupt 2 bytes on 10%", "truncate 3 bytes on 10%", "insert 5 bytes on 10%",
		"duplicate on 5%", "drop on 5%", "reset after 300 bytes on 60%"'
	start_server "$kinds" -w 1
	"$CLIENT" replies "$PORT" "$first" 12 40 | sed 's/b.*Error.$/reset/' >one
	faults 'f["injected"]["corrupt"] > 10 and f["injected"]["reset"] > 0'
	# Another number of workers, and a new process.
	ctl scale 3
	ctl reload
	"$CLIENT" replies "$PORT" "$first" 12 40 | sed 's/b.*Error.$/reset/' >two
	cmp one two
	faults 'len({(r["client"], r["message"], r["kind"]) for r in f["record"]}) * 2 == len(f["record"])'
}

@test "faults set at run time hold from the next message until clear, or a reload" {
	start_server '"drop at message 1"'
	run -0 ctl faults
	[[ $output =~ "drop at message 1" ]]
	run -0 ctl faults set 127.0.0.1:0 'duplicate' 'truncate 1 byte on 100%'
	[ "$("$CLIENT" replies "$PORT" 0 1 1)" = "b'message 000000\\nmessage 000000'" ]
	run -0 ctl faults
	[[ $output =~ "set at run time" && $output =~ "duplicate" ]]
	run -0 ctl faults clear
	[ "$("$CLIENT" replies "$PORT" 0 1 1)" = "b''" ]
	ctl faults set all
	[ "$("$CLIENT" replies "$PORT" 0 1 1)" = "b'message 000000\\n'" ]
	run -0 ctl reload
	[[ $output =~ "the faults set at run time have ended" ]]
	[ "$("$CLIENT" replies "$PORT" 0 1 1)" = "b''" ]
	run -1 --separate-stderr ctl faults set all 'dropp'
	[[ $stderr =~ 'position 1: found "dropp", expected "drop"' ]]
	run -1 --separate-stderr ctl faults set 1.2.3.4:5 drop
	[[ $stderr = *'faults: found "1.2.3.4:5", expected "all" or the address of a listener'* ]]
	run -64 --separate-stderr ctl faults sett all
	[[ $stderr == *'expected "set LISTENER FAULT..." or "clear"'* ]]
}

@test "faults that are set at all listeners leave out those that cannot have them" {
	start_server '' --listen 127.0.0.1:0=echo --listen 127.0.0.2:0=witness \
		--listen "unix:$PWD/echo.sock=echo"
	run -0 ctl faults set all reset
	[[ $output = "faults: all: 1 set, until "*"; not at 127.0.0.2:0: faults[0]: found a fault on a listener with a witness"*"; unix:"*": faults[0]: found \"reset\" on a Unix socket"* ]]
	faults '[len(l["faults"]) for l in f["listeners"]] == [1, 0, 0]'
	run -0 ctl faults set all
	[[ $output != *"not at"* ]]
	run -1 --separate-stderr ctl faults set all reset dropp
	[[ $stderr == *'faults[1]: position 1: found "dropp"'* ]]
	run -1 --separate-stderr ctl faults set 127.0.0.2:0 drop
	[[ $stderr = *"127.0.0.2:0: faults[0]: found a fault on a listener with a witness"* ]]
	faults 'not any(l["faults"] for l in f["listeners"])'
}

@test "faults that are set while a reload is in progress end with it" {
	local reload
	mkdir -p bin
	cp "$BUILD/tests/worker_start_hook" bin/yodeld
	YODELD=$PWD/bin/yodeld start_server '' -w 2
	echo late >START_HOOK
	spawn reload ctl reload
	reload=$SPAWNED
	wait_until count_workers_is 4
	run -0 ctl faults set all drop
	rm START_HOOK
	wait "$reload"
	grep -q "the faults set at run time have ended" reload.out
	for ((i = 0; i < 10; i++)); do
		[ "$("$CLIENT" replies "$PORT" 0 1 1)" = "b'message 000000\\n'" ]
	done
	faults 'f["listeners"][0]["faults"] == []'
}

@test "clear releases the replies that a fault delays, and the connections that wait for them" {
	local client
	start_server '' -w 1
	ctl faults set all 'delay 1000h' 'stall at message 2'
	spawn client "$CLIENT" replies "$PORT" 0 1 3
	client=$SPAWNED
	wait_until faults 'f["injected"]["delay"] == 3'
	ctl faults clear
	wait "$client"
	[ "$(<client.out)" = "b'message 000000\nmessage 000001\nmessage 000002\n'" ]
	wait_until faults 't["connections_open"] == 0'
}

@test "open connections get faults that are set, in the middle" {
	start_server ''
	hold one two
	read -r line <&"$HELD"
	[ "$line" = sent ]
	ctl faults set all 'drop every 2'
	echo >&"${HOLD[1]}"
	read -r line <&"$HELD"
	[ "$line" = "one two" ]
	wait "$HOLD_PID" || :
}

@test "delayed replies and the record survive a reload, an upgrade and the death of the worker" {
	start_server '"delay 3s at message 2"' -w 1
	hold one two three
	read -r line <&"$HELD"
	wait_until faults 'f["injected"]["delay"] == 1'
	ctl reload
	faults 'f["recorded"] == f["kept"] == 1'
	[ -n "$(keeper_pids)" ] && kill -9 "$(worker_pids)"
	wait_until ctl status
	ctl upgrade
	faults 'f["recorded"] == f["kept"] == 1 and f["injected"]["delay"] == 1'
	wait_until faults 't["replies_sent"] == 3'
	echo >&"${HOLD[1]}"
	read -r line <&"$HELD"
	[ "$line" = "one two three" ]
	wait "$HOLD_PID" || :
	faults 't["connections_closed"]["worker_lost"] == 0'
}

@test "a reply that has grown beyond the limit of output survives the death of the worker" {
	start_server '"delay 60s", "insert 1048576 bytes", "duplicate"' -w 1
	hold one
	read -r line <&"$HELD"
	wait_until faults 'f["injected"]["duplicate"] == 1'
	[ -n "$(keeper_pids)" ] && kill -9 "$(worker_pids)"
	wait_until faults 't["connections_recovered"] + t["connections_closed"]["worker_lost"] == 1'
	faults 't["connections_recovered"] == 1'
}

@test "a listener accepts nothing for a time, or stalls" {
	start_server '"never-accept 1s"'
	run -0 "$CLIENT" connect "$PORT"
	python3 -c "assert $output < 15"
	faults 'f["injected"]["never-accept"] >= 1'
	ctl faults set all 'stall listener 3s'
	run -0 "$CLIENT" connect "$PORT"
	python3 -c "assert 0.3 < $output < 15"
}

# backlog_is N - of all sockets of the listener
backlog_is()
{
	ctl stats --json >stats.json
	python3 -c '
import json, sys
l = json.load(open("stats.json"))["listeners"][0]
assert all(s["queue_limit"] == int(sys.argv[1]) for s in l["sockets"]), l' "$1"
}

@test "a backlog set at run time ends with clear and reload, one of the file stays" {
	start_server '"backlog 2"' --set 'listeners[0].backlog=50'
	wait_until backlog_is 2
	ctl reload
	wait_until backlog_is 2
	ctl faults set all 'backlog 1'
	wait_until backlog_is 1
	ctl faults set all
	wait_until backlog_is 50
	ctl faults set all 'backlog 1 between 0s and 1s'
	wait_until backlog_is 50
	ctl faults set all 'backlog 1'
	ctl scale 3
	wait_until backlog_is 1
	ctl faults clear
	wait_until backlog_is 2
	ctl faults set all 'backlog 1'
	run -0 ctl upgrade
	[[ $output =~ "the faults set at run time have ended" ]]
	wait_until backlog_is 2
	run ! grep -q 'died: ' "$YODELD_LOG"
}

@test "a backlog for a time survives a reload" {
	start_server '"backlog 2 between 0s and 10m"' --set 'listeners[0].backlog=50'
	wait_until backlog_is 2
	ctl reload
	wait_until backlog_is 2
	ctl scale 3
	wait_until backlog_is 2
}

# percentiles_match LAW - the client's lie within the 99 % order-statistics interval of the delays
# that the server has recorded as applied, plus the p99 of the same run without faults.
percentiles_match()
{
	ctl faults set all "delay $1"
	load_with -c 80 -R 300 -d 4s
	[ "$status" = 0 ]
	faults 'f["injected"]["delay"] > 600'
	python3 - "$1" <<-'END'
		import json, math, sys
		r, without = json.load(open("result.json")), json.load(open("without.json"))
		n = r["messages"]["verified"]
		record = json.load(open("faults.json"))["record"][-n:]
		delays = sorted(x["value"] for x in record)
		slack = without["latency"]["service"]["p99_ns"] or without["latency"]["service"]["max_ns"]
		assert len(delays) == n
		for name, p in (("p50_ns", 0.5), ("p90_ns", 0.9)):
		    half = 2.576 * math.sqrt(n * p * (1 - p))
		    low = delays[max(0, int(n * p - half) - 1)]
		    high = delays[min(n - 1, math.ceil(n * p + half))]
		    found = r["latency"]["service"][name]
		    # A value of the histogram is exact to 1 %.
		    assert low * 0.99 <= found, (sys.argv[1], name, low, found, high)
		    if r["trust"]["verdict"] == "valid":
		        assert found <= high * 1.01 + slack, (sys.argv[1], name, low, found, high, slack)
	END
}

@test "percentiles of delays are those that the server has recorded" {
	local law laws=('uniform 40ms..80ms')
	[ -z "${LONG-}" ] || laws+=(30ms 'normal 60ms 10ms' 'exponential 30ms' 'pareto 20ms 2')
	start_server '' -w 1
	load_with -c 80 -R 300 -d 4s
	[ "$status" = 0 ]
	cp result.json without.json
	for law in "${laws[@]}"; do percentiles_match "$law"; done
}

@test "a fault that cannot work is refused by the check" {
	printf '%s' '{ "listeners": [ { "address": "127.0.0.1:1", "reply": "echo", "faults": [ "reorder" ] } ] }' >a.json
	run -78 --separate-stderr "$BUILD/yodeld" -c a.json --check
	[[ $stderr == *'listeners[0].faults[0]: found "reorder" with framing "stream"'* ]]
	run -78 --separate-stderr "$BUILD/yodeld" --check --set 'listeners[0].reply=discard' \
		--set 'listeners[0].faults=["drop"]'
	[[ $stderr =~ 'expected another reply' ]]
	run -78 --separate-stderr "$BUILD/yodeld" --check --set 'listeners[0].faults=["delay 20 on 1%"]'
	[[ $stderr == *'listeners[0].faults[0]: position 7: found "20", expected a time such as "20ms"'* ]]
	run -0 "$BUILD/yodeld" --check -c "$BATS_TEST_DIRNAME/../conf/examples/faults.json"
}
