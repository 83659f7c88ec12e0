#!/usr/bin/env bats
# run-checks: long
# The exact notifications to the service manager, and the sockets that it passes.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

MANAGER=$BATS_TEST_DIRNAME/lib/mock_service_manager.py

# Starts a mock service manager for the yodeld started later. Notifications: manager.out.
start_manager()
{
	spawn manager "$MANAGER" listen "$PWD/notify"
	wait_until test -S notify
	export NOTIFY_SOCKET=$PWD/notify
}

received() # REGEX of a whole datagram
{
	grep -qxE -- "$1" manager.out
}

times_received() # REGEX
{
	grep -cxE -- "$1" manager.out || :
}

# activated_yodeld SOCKETS ARG... - starts yodeld with this number of passed sockets on PORT
activated_yodeld()
{
	PORT=${PORT:-$(free_port)}
	local sockets=$1
	shift
	YODELD_RUN="$MANAGER activate $PORT $sockets --" start_yodeld \
		--listen "127.0.0.1:$PORT" --set admin.socket= "$@"
}

answers_all() # N
{
	[ "$("$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" "$1")" = \
		"answered $1, refused 0, reset 0, closed 0, silent 0" ]
}

@test "READY is sent once, when all workers serve, with a numeric status" {
	start_manager
	write_config '"workers": 3'
	start_yodeld -c yodeld.json
	wait_until received 'READY=1\|STATUS=generation 1: 3 of 3 workers serve 0 connections, 0 messages so far'
	[ "$(times_received 'READY=1.*')" = 1 ]
}

@test "the status line shows connections and messages" {
	start_manager
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	spawn held "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 7
	wait_until grep -q 'holding 7' held.out
	kill -USR1 "$(<held.pid)"
	wait_until received 'STATUS=generation 1: 2 of 2 workers serve 7 connections, 7 messages so far'
}

# The time of CLOCK_MONOTONIC in microseconds.
monotonic_us()
{
	python3 -c 'import time; print(time.monotonic_ns() // 1000)'
}

@test "a reload sends RELOADING with its timestamp, then READY; so does a failed one" {
	start_manager
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	local before after timestamp_us
	for keys in '"workers": 2' '"colour": 1'; do
		write_config "$keys"
		before=$(monotonic_us)
		change HUP ': reload(: generation [0-9]+ serves| failed,)'
		after=$(monotonic_us)
		wait_until grep -q RELOADING manager.out
		timestamp_us=$(sed -nE 's/^RELOADING=1\|MONOTONIC_USEC=([0-9]+)\|STATUS=.*/\1/p' manager.out)
		[ "$(wc -w <<<"$timestamp_us")" = 1 ]
		[ "$timestamp_us" -ge "$before" ] && [ "$timestamp_us" -le "$after" ]
		ready_follows()
		{
			sed -n '/^RELOADING/,$p' manager.out | grep -q '^READY=1|STATUS=generation '
		}
		wait_until ready_follows
		wait_for_worker_count 2
		: >manager.out
	done
}

@test "an upgrade sends RELOADING, then READY, under the same process id" {
	start_manager
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	: >manager.out
	change USR2 ': upgrade: generation 2 serves'
	wait_until received 'READY=1\|STATUS=generation 2: 2 of 2 workers serve .*'
	received 'RELOADING=1\|MONOTONIC_USEC=[0-9]+\|STATUS=generation 1: .*'
	run ! grep -q MAINPID manager.out
}

@test "STOPPING is sent before the connections are drained" {
	start_manager
	write_config '"workers": 1, "timeouts": { "drain": "1h", "drain_quiet": "1h" }'
	start_yodeld -c yodeld.json
	spawn held "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 1
	wait_until grep -q 'holding 1' held.out
	kill -TERM "$YODELD_PID"
	wait_until grep -q STOPPING manager.out
	run ! has_ended "$YODELD_PID"
	# yodeld announces a drain longer than the manager's timeout: an hour and some seconds.
	received 'STOPPING=1\|EXTEND_TIMEOUT_USEC=360[0-9]{7}\|STATUS=generation 1: .*'
	stop_yodeld INT
}

@test "a stop without a drain limit leaves the limit to the service manager" {
	start_manager
	write_config '"workers": 1, "timeouts": { "drain": "0s" }'
	start_yodeld -c yodeld.json
	stop_yodeld TERM
	wait_until received 'STOPPING=1\|STATUS=generation 1: .*'
}

@test "the status line shows a slot in back-off" {
	start_manager
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	local keep
	keep=$(worker_pids | head -n 1)
	kill_until_logged 'worker 1: failure 5 in a row' "$keep"
	wait_until received 'STATUS=generation 1: 1 of 2 workers serve [0-9]+ connections, [0-9]+ messages so far; 1 backing off'
	wait_until received 'STATUS=generation 1: 2 of 2 workers serve [0-9]+ connections, [0-9]+ messages so far'
}

@test "WATCHDOG is sent only while the event loops of all workers run" {
	start_manager
	export WATCHDOG_USEC=3000000
	write_config '"workers": 2, "timeouts": { "hung": "0s" }'
	start_yodeld -c yodeld.json
	wait_until received WATCHDOG=1
	local victim count
	victim=$(worker_pids | tail -n 1)
	kill -STOP "$victim"
	is_silent() # no WATCHDOG for 2 s, although one is due
	{
		count=$(times_received WATCHDOG=1)
		sleep 2
		[ "$(times_received WATCHDOG=1)" = "$count" ]
	}
	wait_until is_silent
	is_silent
	kill -CONT "$victim"
	was_repeated()
	{
		[ "$(times_received WATCHDOG=1)" -gt "$count" ]
	}
	wait_until was_repeated
	unset WATCHDOG_USEC
}

# managed_yodeld KEYS - starts yodeld, without any capability, under a service manager that
# stores its sockets and restarts it.
managed_yodeld()
{
	export FDSTORE=64
	write_config "$1"
	without_capabilities
	spawn yodeld "$MANAGER" manage "$PWD/notify" -- "$YODELD" -c yodeld.json
	# shellcheck disable=SC2034 # for the helpers
	YODELD_LOG=$BATS_TEST_TMPDIR/yodeld.log
	wait_until yodeld_is_ready
	YODELD_PID=$(sed -n 's/^started //p' yodeld.out)
}

is_notified() # REGEX of a whole datagram
{
	grep -qxE -- "$1" yodeld.out
}

is_stored() # SLOT...
{
	local slot
	for slot; do
		is_notified "FDSTORE=1\|FDNAME=yodeld-127.0.0.1_$PORT.$slot \+1" || return 1
	done
}

@test "each socket is stored under its slot, and forgotten when the listener is removed" {
	OTHER=$(free_port)
	managed_yodeld '"workers": 3'
	wait_until is_stored 0 1 2
	local first=$PORT
	PORT=$OTHER
	write_config '"workers": 3'
	reload
	wait_until is_stored 0 1 2
	for slot in 0 1 2; do
		wait_until is_notified "FDSTOREREMOVE=1\|FDNAME=yodeld-127.0.0.1_$first.$slot"
	done
	port_is_free()
	{
		[ "$(ss -Hltn "sport = :$1" | wc -l)" = 0 ]
	}
	wait_until port_is_free "$first"
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "the stored sockets of a removed slot are released, so that no connection waits unserved" {
	managed_yodeld '"workers": 4'
	wait_until is_stored 0 1 2 3
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	change TTOU 'scale: 3 workers serve'
	change TTOU 'scale: 2 workers serve'
	wait_for_worker_count 2
	wait_until is_notified "FDSTOREREMOVE=1\|FDNAME=yodeld-127.0.0.1_$PORT.2"
	wait_until has_sockets 2
	end_load churn
	answers_all 300
	# The socket of a new slot is stored like the first ones.
	: >yodeld.out
	change TTIN 'scale: 3 workers serve'
	wait_until is_stored 2
	answers_all 300
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "a killed yodeld gets its sockets back without losing a connection" {
	managed_yodeld '"workers": 3'
	wait_until is_stored 0 1 2
	stop_workers
	fill_accept_queues waiting 300
	# shellcheck disable=SC2046 # ids are words
	kill -KILL "$YODELD_PID" $(worker_pids)
	assert_all_answered waiting 300
	YODELD_PID=$(sed -n 's/^started //p' yodeld.out | tail -n 1)
	# The slots work like new ones: adding and removing them loses nothing.
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	change TTOU 'scale: 2 workers serve'
	wait_for_worker_count 2
	write_config '"workers": 5'
	reload
	write_config '"workers": 1'
	reload
	wait_for_worker_count 1
	end_load churn lasting
	never_reconnected lasting.json
	wait_until has_sockets 1
	answers_all 300
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

started_twice()
{
	[ "$(times_logged ': ready: ')" = 2 ]
}

# Kills the server and its worker, and waits until the manager has restarted it.
kill_and_find_again()
{
	kill -KILL "$YODELD_PID" "$(worker_pids)"
	wait_until started_twice
	YODELD_PID=$(sed -n 's/^started //p' yodeld.out | tail -n 1)
}

# crashed_with KEYS - kills yodeld with connections in its queues; restarts it with these keys.
crashed_with()
{
	stop_workers
	fill_accept_queues waiting 300
	write_config "$1"
	: >yodeld.out
	# shellcheck disable=SC2046 # ids are words
	kill -KILL "$YODELD_PID" $(worker_pids)
	assert_all_answered waiting 300
	YODELD_PID=$(sed -n 's/^started //p' yodeld.out | tail -n 1)
}

@test "after a restart, a failing reload with more workers resets no connection" {
	managed_yodeld '"workers": 1'
	wait_until is_stored 0
	kill_and_find_again
	wait_for_worker_count 1 # one more empties the former sockets
	local keep
	keep=$(worker_pids)
	write_config '"workers": 16, "user": "nobody"'
	change HUP 'reload failed, generation 1 continues: its workers exit before they are ready'
	# No worker empties the sockets of the other slots any longer, but they are still open.
	kill -STOP "$YODELD_PID"
	only_one_is_running()
	{
		local pid
		for pid in $(worker_pids); do
			[ "$pid" = "$keep" ] || has_ended "$pid" || return 1
		done
	}
	wait_until only_one_is_running
	spawn late "$INDEPENDENT_CLIENT" burst --patience 60 "127.0.0.1:$PORT" 300
	all_are_connected()
	{
		[ "$(ss -Htan "dport = :$PORT" | wc -l)" -ge 300 ]
	}
	wait_until all_are_connected
	kill -CONT "$YODELD_PID"
	assert_all_answered late 300
	wait_for_worker_count 1
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "after a restart, reloads that fail because an address is in use reset no connection" {
	managed_yodeld '"workers": 1'
	wait_until is_stored 0
	kill_and_find_again
	start_faulty_server none
	printf '{ "listeners": [ { "address": "127.0.0.1:%s" }, { "address": "127.0.0.1:%s" } ],
		"admin": { "socket": "" }, "workers": 32 }' "$PORT" "$FAULTY_SERVER_PORT" >yodeld.json
	start_load churn -c 8 --messages-per-connection 1 "127.0.0.1:$PORT"
	for _ in {1..40}; do
		change HUP 'reload failed, the old configuration stays: cannot bind'
	done
	end_load churn
	wait_for_worker_count 1
	wait_until has_sockets 1
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

# restarted_with KEYS - kills yodeld and its workers; the manager restarts it with these keys.
restarted_with()
{
	local before
	before=$(times_logged ': ready: ')
	write_config "$1"
	# shellcheck disable=SC2046 # ids are words
	kill -KILL "$YODELD_PID" $(worker_pids)
	is_ready_again()
	{
		[ "$(times_logged ': ready: ')" -gt "$1" ]
	}
	wait_until is_ready_again "$before"
	YODELD_PID=$(sed -n 's/^started //p' yodeld.out | tail -n 1)
}

# Connections that each worker has accepted, in the order of the slots.
accepted()
{
	"$BUILD/yodelctl" -s "$PWD/admin_socket" --json workers | python3 -c 'import json, sys
print(*[w["connections_accepted"] for w in json.load(sys.stdin)["workers"]])'
}

# kill_until_crash_loops N KEEP... - kills new workers, except the pids KEEP, until N crash
# loops are logged.
kill_until_crash_loops()
{
	local line='worker [0-9]: crash loop: no new connections'
	kill_until_logged "(?s)($line.*){$1}" "${@:2}"
	[ "$(times_logged "$line")" = "$1" ]
}

@test "after a restart, connections are directed to slots as after a first start" {
	write_config()
	{
		PORT=${PORT:-$(free_port)}
		printf '{ "listeners": [ { "address": "127.0.0.1:%s", "balance": "%s" } ],
			"admin": { "socket": "%s/admin_socket" }, %s }\n' \
			"$PORT" "${BALANCE-hash}" "$PWD" "$1" >yodeld.json
	}
	managed_yodeld '"workers": 3'
	local first second third pids
	# A slot in a crash loop: a program of the group passes it over, and is still attached
	# when the server is killed.
	read -ra pids < <(worker_pids | xargs)
	kill_until_crash_loops 1 "${pids[0]}" "${pids[1]}"
	restarted_with '"workers": 3'
	wait_for_worker_count 3
	answers_all 300
	read -r first second third < <(accepted)
	[ "$first" -gt 40 ] && [ "$second" -gt 40 ] && [ "$third" -gt 40 ]
	# In the second instance a slot in a crash loop is passed over, too.
	read -ra pids < <(worker_pids | xargs)
	kill_until_crash_loops 2 "${pids[1]}" "${pids[2]}"
	answers_all 300
	# By CPU: all of one CPU go to one worker.
	BALANCE=cpu restarted_with '"workers": 2'
	wait_for_worker_count 2
	taskset -c "$(taskset -cp $$ | grep -oE '[0-9]+$')" \
		"$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 100
	[ "$(accepted | tr ' ' '\n' | sort | xargs)" = "0 100" ]
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "a restart from one address to the wildcard and back loses no connection" {
	managed_yodeld '"workers": 2'
	wait_until is_stored 0 1
	write_config()
	{
		printf '{ "listeners": [ { "address": "%s:%s" } ], "admin": { "socket": "" }, "workers": 2 }' \
			"$1" "$PORT" >yodeld.json
	}
	crashed_with '*'
	wait_until is_notified "FDSTORE=1\|FDNAME=yodeld-0.0.0.0_$PORT.1 \+1"
	wait_for_worker_count 2
	answers_all 100
	crashed_with 127.0.0.1
	wait_until is_stored 0 1
	wait_until has_sockets 2
	wait_for_worker_count 2
	answers_all 100
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "restarts under load refuse and reset no new connection" {
	# The manager restarts it at once, and the former workers have exited by then.
	managed_yodeld '"workers": 2'
	wait_until is_stored 0 1
	for _ in {1..5}; do
		stop_workers
		fill_accept_queues waiting 200
		spawn late "$INDEPENDENT_CLIENT" burst --patience 60 "127.0.0.1:$PORT" 500
		restarted_with '"workers": 2'
		assert_all_answered waiting 200
		assert_all_answered late 500
		wait_for_worker_count 2
	done
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "with fewer workers at a restart, the sockets of the others are emptied and closed" {
	managed_yodeld '"workers": 6'
	wait_until is_stored 0 1 2 3 4 5
	crashed_with '"workers": 2'
	wait_until has_sockets 2
	# With another name, the manager would keep the socket open.
	for slot in 2 3 4 5; do
		wait_until is_notified "FDSTOREREMOVE=1\|FDNAME=yodeld-127.0.0.1_$PORT.$slot"
	done
	wait_for_worker_count 2
	answers_all 300
	# The remaining sockets can be closed as usual.
	change TTOU 'scale: 1 worker serves'
	wait_until has_sockets 1
	answers_all 300
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "stored sockets are released although the configuration spells their address differently" {
	PORT=$(free_port)
	write_config() # WILDCARD
	{
		printf '{ "workers": 2, "listeners": [ { "address": "%s" } ], "admin": { "socket": "" } }' \
			"$1:$PORT" >yodeld.json
	}
	managed_yodeld ''
	wait_until is_notified "FDSTORE=1\|FDNAME=yodeld-0.0.0.0_$PORT.1 \+1"
	write_config '*'
	# shellcheck disable=SC2046 # ids are words
	kill -KILL "$YODELD_PID" $(worker_pids)
	wait_until started_twice
	YODELD_PID=$(sed -n 's/^started //p' yodeld.out | tail -n 1)
	change TTOU 'scale: 1 worker serves'
	wait_until is_notified "FDSTOREREMOVE=1\|FDNAME=yodeld-0.0.0.0_$PORT.1"
	wait_until has_sockets 1
	answers_all 100
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "with more workers after a restart, each has a socket and no connection is lost" {
	managed_yodeld '"workers": 2'
	wait_until is_stored 0 1
	crashed_with '"workers": 5'
	wait_until has_sockets 5
	wait_until is_stored 2 3 4
	wait_for_worker_count 5
	answers_all 300
	kill -TERM "$(<yodeld.pid)"
	wait "$(<yodeld.pid)"
}

@test "one passed socket is served by all workers" {
	activated_yodeld 1 --workers 3
	answers_all 200
	[ "$(ss -Hltn "sport = :$PORT" | wc -l)" = 1 ]
}

@test "as many passed sockets as workers: each is served" {
	activated_yodeld 3 --workers 3
	answers_all 200
	[ "$(ss -Hltn "sport = :$PORT" | wc -l)" = 3 ]
}

@test "more passed sockets than workers: each is served" {
	activated_yodeld 5 --workers 2
	answers_all 400
	[ "$(ss -Hltn "sport = :$PORT" | wc -l)" = 5 ]
}

@test "passed sockets are made non-blocking" {
	activated_yodeld 2 --workers 2
	local fd
	for fd in 3 4; do
		[ $((0$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$YODELD_PID/fdinfo/$fd") & 04000)) != 0 ]
	done
}

@test "with fewer passed sockets than workers, scaling down loses no connection" {
	activated_yodeld 1 --workers 4 --set timeouts.drain=5s
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	change TTOU 'scale: 3 workers serve'
	change TTOU 'scale: 2 workers serve'
	wait_for_worker_count 2
	change TTIN 'scale: 3 workers serve'
	change TTOU 'scale: 2 workers serve'
	wait_for_worker_count 2
	end_load churn lasting
	never_reconnected lasting.json
}

@test "the slot of a passed socket cannot be removed, also after an upgrade" {
	start_manager
	export FDSTORE=64
	activated_yodeld 3 --workers 3
	change TTOU 'scale refused: found 2 workers, expected 3 to [0-9]+'
	change USR2 ': upgrade: generation 2 serves'
	wait_for_worker_count 3
	change TTOU 'scale refused: found 2 workers, expected 3 to [0-9]+'
	answers_all 200
	# The service manager owns passed sockets: yodeld does not store them.
	run ! grep -q 'FDSTORE=1' manager.out
	unset FDSTORE
}
