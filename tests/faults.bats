#!/usr/bin/env bats
# run-checks: long
# Injected faults: failing calls (lib/faults.c), a log that cannot be written, signals and
# clock jumps. Nothing crashes, nothing leaks, the ledger balances.

load lib/helpers

CTL=$BUILD/yodelctl
FAULTS_SO=$BUILD/faults.so

# start_with_faults FAULTS WHERE [ARG...]
start_with_faults()
{
	local faults=$1 where=$2
	shift 2
	printf '#!/bin/sh\nexec env LD_PRELOAD="%s" FAULTS="%s" FAULTS_IN=%s ASAN_OPTIONS="%s" "$@"\n' \
		"$FAULTS_SO" "$faults" "$where" "verify_asan_link_order=0:$ASAN_OPTIONS" >with_faults
	chmod +x with_faults
	YODELD_RUN=./with_faults start_yodeld -w 1 --listen 127.0.0.1:0=upper \
		--set 'listeners[0].framing=line' --set admin.socket="$PWD/control.sock" "$@"
}

totals() # EXPRESSION over t, the totals
{
	"$CTL" -s control.sock --json stats | python3 -c '
import json, sys
t = json.load(sys.stdin)["totals"]
sys.exit(not eval(sys.argv[1]))' "$1"
}

# Runs a load with reconnects, and clients that read slowly; connections may be lost, but no
# answer may be wrong.
run_load()
{
	local status=0
	spawn attack "$BATS_TEST_DIRNAME/lib/attacker.py" sip 20 "$PORT"
	"$YODEL" -c 40 -d 1s --messages-per-connection 40 --timeout 3s -w 1 --size 1:5000 -p 8 \
		--framing line --expect upper -q --json load.json "127.0.0.1:$PORT" || status=$?
	kill -TERM "$(<attack.pid)"
	[ $status -le 1 ]
	python3 -c '
import json
m = json.load(open("load.json"))["messages"]
assert m["wrong"] == 0 and m["verified"] > 100, m
assert m["sent"] == m["verified"] + sum(m["lost"].values()) + m["in_flight"], m
print("#", m["verified"], "verified,", sum(m["lost"].values()), "lost")' >&3
}

last_report() # PROCESS
{
	grep "^faults: $1:" "$YODELD_LOG" | tail -n 1
}

blocks_of() # PROCESS
{
	last_report "$1" | sed -E 's/.* (-?[0-9]+) blocks$/\1/'
}

# Runs a server with faults under load; checks its ledger, worker and descriptors.
run_loaded() # FAULTS WHERE
{
	local worker descriptors
	start_with_faults "$1" "$2"
	worker=$(worker_pids)
	descriptors=$(open_descriptors "$worker")
	run_load
	wait_until totals 't["connections_open"] == 0'
	totals 't["connections_accepted"] == sum(t["connections_closed"].values())'
	[ "$(worker_pids)" = "$worker" ]
	all_closed()
	{
		[ "$(open_descriptors "$worker")" = "$descriptors" ]
	}
	wait_until all_closed
	stop_yodeld TERM
	echo "# $1: $(last_report parent)" >&3
}

had_faults() # CALL
{
	last_report parent | grep -qE " [1-9][0-9]* $1,"
}

sweep() # STEP of malloc, [ARG...]
{
	local calls=(mmap fork memfd_create epoll_ctl "malloc:$1")
	shift
	! has_sanitizer || unset 'calls[4]'
	env ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS" \
		"$BATS_TEST_DIRNAME/lib/fault_sweep.py" "$@" "$YODELD" "$FAULTS_SO" "${calls[@]}" >&3
}

@test "whichever call fails at start, the server serves or exits with a status and a reason" {
	sweep 2
}

@test "when no worker can be forked at start, the exit status is 71 with a reason" {
	run -71 timeout 20 env LD_PRELOAD="$FAULTS_SO" FAULTS=fork/1 FAULTS_IN=parent \
		ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS" \
		"$YODELD" -w 2 --listen 127.0.0.1:0 --set admin.socket=
	[[ $output = *'cannot fork worker 0: '*'cannot fork worker 1: '*'start failed: no worker became ready'* ]]
	# A single failing fork is survived.
	YODELD_RUN="env LD_PRELOAD=$FAULTS_SO FAULTS=fork=1 FAULTS_IN=parent \
		ASAN_OPTIONS=verify_asan_link_order=0:$ASAN_OPTIONS" \
		start_yodeld -w 1 --listen 127.0.0.1:0 --set admin.socket=
	stop_yodeld TERM
}

@test "whichever call fails in a reload, it succeeds or fails with that reason, and the next succeeds" {
	sweep 13 --reload
}

@test "out of memory while reading options and configuration exits with 71" {
	local program turn status=0
	for program in "yodeld --check" "yodelctl status" "yodel 127.0.0.1:1"; do
		! has_sanitizer || continue # its allocator is its own
		for turn in 1 2 3 5 8 13 21; do
			# shellcheck disable=SC2086 # words are meant
			run timeout 10 env LD_PRELOAD="$FAULTS_SO" FAULTS=malloc=$turn "$BUILD"/$program
			[[ $output != *"out of memory"* || $status = 71 ]]
			[[ $turn != 1 || $output = "${program%% *}: "*"out of memory"* ]]
		done
	done
}

@test "whichever allocation fails in yodel, the run is complete or ends with 71 and a reason" {
	has_sanitizer && return # its allocator is its own
	local turn=0 status=0 faults=1
	start_yodeld -w 1 --listen 127.0.0.1:0=upper
	printf '%s\n' 'one\tand' '\{connection} of' '\{message}' >messages
	while [ "$faults" = 1 ]; do
		turn=$((turn + 1))
		rm -f r.json r.hgrm
		status=0
		timeout 30 env LD_PRELOAD="$FAULTS_SO" FAULTS=malloc=$turn FAULTS_IN=parent \
			"$YODEL" -q --escapes --file messages -c 3 -n 3 --framing line --threshold 'p50<9s' \
			--hgrm r.hgrm "127.0.0.1:$PORT" 2>errors || status=$?
		faults=$(sed -n 's/^faults: parent: .* \([0-9]*\) malloc.*/\1/p' errors)
		case $status in
		0) grep -q 'Total count *= *9\]' r.hgrm ;;
		71) [ "$(grep -c '^yodel: ' errors)" = 1 ] ;;
		*) false ;;
		esac || { echo "allocation $turn: $status, $(cat errors)" && false; }
	done
	[ $turn -gt 40 ]
}

@test "whichever allocation fails while a result is read, it is no malformed result" {
	has_sanitizer && return # its allocator is its own
	local turn=0 status=0 faults=1
	start_yodeld -w 1 --listen 127.0.0.1:0=upper
	"$YODEL" -q -c 2 -n 2 --json r.json "127.0.0.1:$PORT"
	while [ "$faults" = 1 ]; do
		# The parser allocates each value: a sample of them.
		turn=$((turn + 1 + turn / 20))
		status=0
		timeout 30 env LD_PRELOAD="$FAULTS_SO" FAULTS=malloc=$turn \
			"$YODEL" report --text r.json >out 2>errors || status=$?
		faults=$(sed -n 's/^faults: parent: .* \([0-9]*\) malloc.*/\1/p' errors)
		case $status in
		0) grep -q 'every byte verified' out ;;
		71) [ "$(grep -c '^yodel' errors)" = 1 ] ;;
		*) false ;;
		esac || { echo "allocation $turn: $status, $(cat errors)" && false; }
	done
	[ $turn -gt 100 ]
}

@test "a load process without memory ends with 71: reported, and the others' result is written" {
	has_sanitizer && return # its allocator is its own
	local turn=20
	start_yodeld -w 1 --listen 127.0.0.1:0=upper
	until grep -qE 'process [01] \(pid [0-9]+\).*status 71' errors 2>/dev/null; do
		turn=$((turn + 1))
		[ $turn -lt 300 ] # the first allocation of a load process is one of these
		timeout 30 env LD_PRELOAD="$FAULTS_SO" FAULTS=malloc=$turn \
			"$YODEL" -q -w 2 -c 4 -n 3 --json r.json "127.0.0.1:$PORT" 2>errors || true
	done
	grep -q '^yodel: out of memory$' errors
	python3 - <<-'EOF'
		import json
		result = json.load(open("r.json"))
		assert [p["died"] for p in result["processes"]].count(True) == 1
		assert result["messages"]["verified"] == 6, result["messages"]
		assert result["exit_status"] == 1
	EOF
}

@test "repeatedly failing calls in a worker cost connections and nothing else" {
	local fault blocks
	run_loaded "" serving
	blocks=$(blocks_of child)
	for fault in recv/101 send/103 accept4/7 epoll_ctl/11 malloc/3; do
		! { has_sanitizer && [ "${fault%/*}" = malloc ]; } || continue
		run_loaded $fault serving
		had_faults "${fault%/*}"
		[ "$(blocks_of child)" -le "$blocks" ]
	done
}

@test "reloads while calls fail: each succeeds or fails cleanly, and the server keeps serving" {
	local where number
	start_with_faults "malloc/29 epoll_ctl/13 memfd_create/2 recv/997" serving
	spawn load "$YODEL" -c 50 -d 3s --framing line --size 1:5000 -p 8 --expect upper \
		--timeout 3s -w 1 --json load.json -q "127.0.0.1:$PORT"
	concluded() # NUMBER
	{
		[ "$(grep -cE 'reload: generation|reload (failed|refused)' "$YODELD_LOG")" -ge "$1" ]
	}
	for number in 1 2 3 4; do
		kill -HUP "$YODELD_PID"
		wait_until concluded $number
	done
	wait "$(<load.pid)" || [ $? = 1 ]
	wait_until totals 't["connections_open"] == 0'
	totals 't["connections_accepted"] == sum(t["connections_closed"].values())'
	totals 't["connections_closed"]["worker_lost"] == 0'
	stop_yodeld TERM
	python3 -c '
import json
m = json.load(open("load.json"))["messages"]
assert m["wrong"] == 0 and m["verified"] > 100, m'
	echo "# $(last_report parent)" >&3
}

@test "failing calls in the master while workers die: the service stays up" {
	export FAULTS_ONCE=$PWD/now
	start_with_faults "fork=1 epoll_ctl=1 malloc=20" parent
	touch now
	kill -KILL "$(worker_pids)"
	failed_twice()
	{
		[ "$(grep -c 'cannot fork worker 0' "$YODELD_LOG")" -ge 2 ]
	}
	wait_until failed_twice
	serves()
	{
		run "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" 'hello\n'
		[ "$output" = "'HELLO\\n'" ]
	}
	wait_until serves
	rm now
	totals 't["connections_accepted"] == t["connections_open"] + sum(t["connections_closed"].values())'
	stop_yodeld TERM
	had_faults fork
	had_faults epoll_ctl
}

@test "failing calls in the master during requests, reloads and scaling: the master survives" {
	local fault pid request
	for fault in malloc/3 malloc/7 malloc/31 malloc/97 malloc/331 epoll_ctl/2 accept4/2; do
		! { has_sanitizer && [ "${fault%/*}" = malloc ]; } || continue
		FAULTS_ONCE=$PWD/now start_with_faults "$fault" parent
		pid=$YODELD_PID
		touch now
		# Each request may succeed or fail.
		for _ in 1 2 3; do
			for request in stats config workers "scale 2" reload "log info" "scale 1"; do
				# shellcheck disable=SC2086 # words are meant
				timeout 2 "$CTL" -s control.sock $request >>said 2>&1 || :
			done
		done
		rm now
		[ "$(<yodeld.pid)" = "$pid" ]
		"$CTL" -s control.sock reload
		run "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" 'hello\n'
		[ "$output" = "'HELLO\n'" ]
		stop_yodeld TERM
		last_report parent | sed "s|^|# $fault: |" >&3
		run ! grep -E 'Segmentation|signal [0-9]|Sanitizer' "$YODELD_LOG"
	done
}

@test "libevent's warnings are ordinary log lines" {
	start_with_faults epoll_ctl/3 serving
	"$YODEL" -c 20 -n 5 -w 1 --framing line --expect upper -q "127.0.0.1:$PORT" || [ $? = 1 ]
	wait_until grep -q '^yodeld.* worker 0: libevent: ' "$YODELD_LOG"
	stop_yodeld TERM
	run ! grep '^\[' "$YODELD_LOG"
}

@test "a full log file stops nothing" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper --set log.level=debug \
		--set "log.file=$PWD/full.log" --set log.console_level=info
	local pid
	for pid in "$YODELD_PID" $(worker_pids); do
		prlimit --pid "$pid" --fsize="$(($(stat -c %s full.log) + 100))"
	done
	"$YODEL" -c 20 -n 20 --expect upper -q "127.0.0.1:$PORT"
	kill -USR1 "$YODELD_PID"
	"$YODEL" -c 20 -n 20 --expect upper -q "127.0.0.1:$PORT"
	stop_yodeld TERM
	[ "$(stat -c %s full.log)" -lt 2000 ]
}

@test "a closed log pipe stops nothing: SIGPIPE is ignored" {
	mkfifo pipe
	spawn reader head -n 2 pipe
	printf '#!/bin/sh\nexec "$@" 2>pipe\n' >into_pipe
	chmod +x into_pipe
	spawn yodeld ./into_pipe "$YODELD" -w 1 --listen 127.0.0.1:0=upper \
		--set log.level=debug --set admin.socket=
	wait_until has_ended "$(<reader.pid)"
	local address
	address=$(sed -nE 's/.*listening on ([^ ]*) \(.*/\1/p' reader.out)
	"$YODEL" -c 20 -n 20 --expect upper -q "$address"
	"$INDEPENDENT_CLIENT" reset "$address"
	"$YODEL" -c 20 -n 20 --expect upper -q "$address"
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "workers that are stopped and continued repeatedly lose nothing" {
	start_yodeld -w 2 --listen 127.0.0.1:0=upper
	local workers
	workers=$(worker_pids)
	cat >storm.sh <<-'END'
		while :; do
			kill -STOP "$@"
			kill -CONT "$@"
			sleep 0.001
		done
	END
	# shellcheck disable=SC2086 # ids are words
	spawn storm bash storm.sh $workers
	"$YODEL" -c 50 -d 1s --expect upper -q "127.0.0.1:$PORT"
	kill "$(<storm.pid)"
	[ "$(worker_pids)" = "$workers" ]
}

@test "the time of day jumping by an hour in both directions affects no timeout" {
	# Lines of JSON ask for the time of day; the first lines are read here, as text.
	printf '{ "log": { "format": "text", "level": "debug" } }' >conf.json
	start_with_faults clock_gettime/2 everywhere --set timeouts.idle=3s --set timeouts.hung=5s \
		-c conf.json
	sed -i s/text/json/ conf.json
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'generation 2 serves' "$YODELD_LOG"
	local start=$SECONDS
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 3
	"$YODEL" -c 10 -d 500ms --interval 50ms --framing line --expect upper -q "127.0.0.1:$PORT"
	run grep -q 'closed: idle' "$YODELD_LOG"
	[ "$status" = 1 ] || [ $((SECONDS - start)) -ge 3 ]
	three_idle()
	{
		[ "$(grep -c 'closed: idle' "$YODELD_LOG")" = 3 ]
	}
	wait_until three_idle
	run ! grep -qE 'hung|killed|signal' "$YODELD_LOG"
	stop_yodeld TERM
	had_faults clock_gettime
	# Each line is whole, with a time that is the day's or an hour off.
	python3 - "$YODELD_LOG" <<-'END'
		import datetime, json, sys
		off = []
		for line in open(sys.argv[1]):
		    if line.startswith("{"):
		        at = datetime.datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00"))
		        now = datetime.datetime.now(datetime.timezone.utc)
		        off.append(round((at - now).total_seconds() / 3600))
		assert set(off) == {-1, 0, 1}, off
	END
}

@test "the time of day jumping by an hour affects no figure of a run" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper
	ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$FAULTS_SO FAULTS=clock_gettime/1 \
		"$YODEL" -c 10 -d 1s -R 200 --warmup 200ms --connect-rate 100 --expect upper -q \
		--json run.json "127.0.0.1:$PORT" 2>run.err
	grep -qE '^faults: parent:.* [1-9][0-9]* clock_gettime,' run.err
	python3 -c '
import json
r = json.load(open("run.json"))
assert 1 <= r["elapsed_s"] < 60, r["elapsed_s"]
assert r["messages"]["verified"] > 0 and r["messages"]["in_flight"] == 0, r["messages"]
longest = max(h["max_ns"] for h in r["latency"].values())
assert longest < 60e9, r["latency"]'
}
