#!/usr/bin/env bats
# run-checks: long
# Changes that no connected peer may notice: reloads, scaling, hung and crashing workers. Each
# test changes yodeld under load and counts.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

@test "a reload transfers live connections to new workers without an error for any peer" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 --size 100:3000 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	for _ in 1 2 3 4 5; do
		reload
	done
	wait_for_worker_count 2
	[ -z "$(comm -12 <(sort <<<"$before") <(worker_pids | sort))" ]
	end_load churn lasting
	never_reconnected lasting.json
}

@test "connections that are idle during a reload are served after it" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 300
	wait_until grep -q 'holding 300' quiet.out
	reload
	wait_for_worker_count 2
	kill -USR1 "$(<quiet.pid)"
	wait_until grep -q served quiet.out
	grep -qx 'served 300 of 300, closed 0' quiet.out
}

# The kernel limits descriptors in flight, of all processes, to RLIMIT_NOFILE of one.
@test "a reload of many workers with few descriptors each moves every connection" {
	needs descriptors 2048
	write_config '"workers": 16'
	YODELD_RUN="prlimit --nofile=200" start_yodeld -c yodeld.json
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 1400
	wait_until grep -q 'holding 1400' quiet.out
	reload
	wait_for_worker_count 16
	reload
	wait_for_worker_count 16
	kill -USR1 "$(<quiet.pid)"
	wait_until grep -q served quiet.out
	grep -qx 'served 1400 of 1400, closed 0' quiet.out
}

@test "listeners on port 0 keep their ports and connections through reloads" {
	printf '{ "workers": 1, "listeners": [ { "address": "127.0.0.1:0", "reply": "echo" },
		{ "address": "127.0.0.1:0", "reply": "upper" } ] }' >yodeld.json
	start_yodeld -c yodeld.json
	local ports former latter next
	mapfile -t ports < <(sed -nE 's/.*listening on 127.0.0.1:([0-9]+) .*/\1/p' "$YODELD_LOG")
	answers() # DESCRIPTOR ANSWER
	{
		local answer
		printf 'Message\n' >&"$1"
		read -r -t 10 answer <&"$1"
		[ "$answer" = "$2" ]
	}
	exec {former}<>"/dev/tcp/127.0.0.1/${ports[0]}" {latter}<>"/dev/tcp/127.0.0.1/${ports[1]}"
	for _ in 1 2 3; do
		answers "$former" Message
		answers "$latter" MESSAGE
		exec {next}<>"/dev/tcp/127.0.0.1/${ports[0]}"
		answers "$next" Message
		exec {next}>&-
		reload
	done
	exec {former}>&- {latter}>&-
}

@test "two bad files change nothing, and the next good one works" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	for bad in '"workers": "many"' '"colour": "red"'; do
		write_config "$bad"
		change HUP ': reload failed, the old configuration stays: yodeld.json:1:'
		[ "$(worker_pids)" = "$before" ]
	done
	write_config '"workers": 3'
	reload
	wait_for_worker_count 3
	end_load churn
}

@test "an address in use makes the reload fail, and the old configuration stays" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	start_faulty_server none
	printf '{ "workers": 4, "listeners": [ { "address": "127.0.0.1:%s" }, { "address": "127.0.0.1:%s" } ] }' \
		"$PORT" "$FAULTY_SERVER_PORT" >yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	change HUP ": reload failed, the old configuration stays: cannot bind 127.0.0.1:$FAULTY_SERVER_PORT: Address already in use"
	count_workers_is 2
	# The sockets bound for the failed reload are closed again.
	wait_until has_sockets 2
	end_load churn
}

# two_listeners | one_listener - on PORT and OTHER
two_listeners()
{
	printf '{ "workers": 2, "listeners": [ { "address": "127.0.0.1:%s" }, { "address": "127.0.0.1:%s" } ] }' \
		"$PORT" "$OTHER" >yodeld.json
}

one_listener()
{
	printf '{ "workers": 2, "listeners": [ { "address": "127.0.0.1:%s" } ] }' "$PORT" >yodeld.json
}

@test "reloads add, remove and add a listener" {
	PORT=$(free_port) OTHER=$(free_port)
	one_listener
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	for _ in 1 2; do
		two_listeners
		reload
		run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$OTHER" 50
		[ "$output" = "answered 50, refused 0, reset 0, closed 0, silent 0" ]
		one_listener
		change HUP "no longer listening on 127.0.0.1:$OTHER"
		run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$OTHER" 5
		[ "$output" = "answered 0, refused 5, reset 0, closed 0, silent 0" ]
	done
	# The listener is removed and added again before its queue is empty.
	two_listeners
	reload
	one_listener
	reload
	two_listeners
	reload
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$OTHER" 50
	[ "$output" = "answered 50, refused 0, reset 0, closed 0, silent 0" ]
	end_load churn
}

@test "connections in the accept queue of a removed listener are answered before it closes" {
	PORT=$(free_port) OTHER=$(free_port)
	two_listeners
	start_yodeld -c yodeld.json
	local old
	old=$(worker_pids)
	stop_workers
	fill_accept_queues waiting 200 "$OTHER"
	one_listener
	reload
	# shellcheck disable=SC2086 # pids are words
	kill -CONT $old
	assert_all_answered waiting 200
	wait_until logged "no longer listening on 127.0.0.1:$OTHER"
}

@test "open connections of a removed listener are drained" {
	PORT=$(free_port) OTHER=$(free_port)
	two_listeners
	start_yodeld -c yodeld.json
	"$INDEPENDENT_CLIENT" hold "127.0.0.1:$OTHER" 1 >/dev/null &
	local held=$!
	echo $held >>spawned
	spawn asked "$INDEPENDENT_CLIENT" ask "127.0.0.1:$OTHER" a
	wait "$(<asked.pid)"
	one_listener
	reload
	wait_for_worker_count 2
	wait_until logged "no longer listening on 127.0.0.1:$OTHER"
}

@test "scaling by signal and by reload causes no error for any peer" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	change TTIN 'scale: 3 workers serve'
	change TTIN 'scale: 4 workers serve'
	wait_for_worker_count 4
	change TTOU 'scale: 3 workers serve'
	wait_for_worker_count 3
	write_config '"workers": 6'
	reload
	wait_for_worker_count 6
	write_config '"workers": 1'
	reload
	wait_for_worker_count 1
	wait_until has_sockets 1
	change TTOU 'scale refused: found 0 workers'
	end_load churn lasting
	never_reconnected lasting.json
}

@test "scaling down with 400 connections in the accept queues loses none of them" {
	write_config '"workers": 4'
	start_yodeld -c yodeld.json
	local old
	old=$(worker_pids)
	stop_workers
	fill_accept_queues waiting 400
	write_config '"workers": 1'
	reload
	# shellcheck disable=SC2086 # pids are words
	kill -CONT $old
	assert_all_answered waiting 400
	wait_for_worker_count 1
}

@test "scaling down with 400 connections in the accept queues loses none when the workers are killed" {
	write_config '"workers": 4'
	start_yodeld -c yodeld.json
	local old
	old=$(worker_pids)
	stop_workers
	fill_accept_queues waiting 400
	local serving
	for serving in 3 2 1; do # one at a time: two waiting signals are one
		kill -TTOU "$YODELD_PID"
		wait_until grep -q "scale: $serving worker" "$YODELD_LOG"
	done
	# shellcheck disable=SC2086 # pids are words
	kill -KILL $old
	assert_all_answered waiting 400
	wait_for_worker_count 1
}

@test "a worker killed with 400 connections in its accept queue loses none of them" {
	write_config '"workers": 1'
	start_yodeld -c yodeld.json
	for _ in 1 2 3; do
		stop_workers
		fill_accept_queues waiting 400
		# shellcheck disable=SC2046 # pids are words
		kill -KILL $(worker_pids)
		assert_all_answered waiting 400
	done
}

@test "a slot in a crash loop backs off, gets no new connections, keeps its queue and recovers" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json --set admin.socket="$PWD/admin_socket"
	local keep victim
	keep=$(worker_pids | head -n 1)
	victim=$(worker_pids | tail -n 1)
	stop_workers
	fill_accept_queues waiting 100
	kill -CONT "$keep"
	kill -KILL "$victim"
	wait_until has_ended "$victim"
	kill_until_logged 'worker 1: failure 4 in a row: next start in [0-9]+ ms' "$keep"
	wait_until logged 'worker 1: crash loop: no new connections are directed to it'
	local first last crash_loops
	first=$(sed -nE 's/.*failure 2 in a row: next start in ([0-9]+) ms.*/\1/p' "$YODELD_LOG" | tail -n 1)
	last=$(sed -nE 's/.*failure 4 in a row: next start in ([0-9]+) ms.*/\1/p' "$YODELD_LOG")
	crash_loops=$(times_logged 'worker 1: crash loop')
	[ "$first" -ge 75 ] && [ "$first" -le 125 ]
	[ "$last" -ge 300 ] && [ "$last" -le 500 ]
	# The slot gets no new connections, and those in its queue are served when it is back.
	spawn fresh "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200
	assert_all_answered fresh 200
	kill_new_workers 1 "$keep"
	only_killed_workers_lost_connections waiting 100
	wait_until logged 'worker 1 \(pid [0-9]+\): serving'
	run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 100
	[ "$output" = "answered 100, refused 0, reset 0, closed 0, silent 0" ]
	[ "$(times_logged 'worker 1: crash loop')" = "$crash_loops" ]
}

@test "a slot removed during back-off loses no connection in its accept queue" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json --set admin.socket="$PWD/admin_socket"
	local keep victim
	keep=$(worker_pids | head -n 1)
	victim=$(worker_pids | tail -n 1)
	stop_workers
	fill_accept_queues waiting 100
	kill -CONT "$keep"
	kill -KILL "$victim"
	wait_until has_ended "$victim"
	kill_until_logged 'worker 1: failure 5 in a row' "$keep"
	change TTOU 'scale: 1 worker serves'
	only_killed_workers_lost_connections waiting 100
	wait_for_worker_count 1
}

@test "when no worker starts, the exit status is 71 with a reason" {
	needs root
	run -71 timeout 20 setpriv --bounding-set=-setuid "$YODELD" --workers 2 \
		--listen 127.0.0.1:0 --set user=nobody
	[[ $output = *'cannot become user "nobody": Operation not permitted'* ]]
	[[ $output = *'start failed: no worker became ready'* ]]
}

shows_no_process_of_worker_1()
{
	"$BUILD/yodelctl" -s admin_socket workers | grep -E '^ +1 +- backing_off +- '
}

@test "a worker that does not start delays no connection: the others serve, and the log says so" {
	local failure
	for failure in die hang; do
		echo $failure >START_HOOK
		write_config '"workers": 2, "timeouts": { "hung": "500ms" }'
		YODELD=$BUILD/tests/worker_start_hook start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin_socket"
		logged ': ready: 1 of 2 workers, 1 listener'
		logged 'worker 1: crash loop'
		if [ $failure = hang ]; then
			logged 'worker 1 .*: hung: .* since it was started: sending SIGABRT'
		fi
		run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 50
		[ "$output" = "answered 50, refused 0, reset 0, closed 0, silent 0" ]
		[[ $("$BUILD/yodelctl" -s admin_socket status) = *'1 of 2 workers serve'* ]]
		"$BUILD/yodelctl" -s admin_socket workers | grep -qE 'backing_off|starting'
		wait_until shows_no_process_of_worker_1
		# A reload is still possible, and after the fix all workers serve.
		rm START_HOOK
		"$BUILD/yodelctl" -s admin_socket reload
		[[ $("$BUILD/yodelctl" -s admin_socket status) = *'2 of 2 workers serve'* ]]
		stop_yodeld TERM
	done
}

@test "scaling up with a worker that does not start fails with a reason and blocks nothing" {
	write_config '"workers": 1'
	YODELD=$BUILD/tests/worker_start_hook start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	echo die >START_HOOK
	run -1 "$BUILD/yodelctl" -s admin_socket scale 2
	[[ $output = 'yodelctl: scale failed: 1 of 2 workers serve after '*', the others are in a crash loop'* ]]
	run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 50
	rm START_HOOK
	# The slot had no worker: scaling waits until a new one has emptied its queue.
	run -0 "$BUILD/yodelctl" -s admin_socket scale 1
	[[ $output = 'scale: 1 worker serves after '*'; 1 worker exited within '*' ms: 0 connections'* ]]
	run -0 "$BUILD/yodelctl" -s admin_socket upgrade
	run -0 "$BUILD/yodelctl" -s admin_socket scale 2
}

@test "a hung worker is reported, killed and replaced" {
	write_config '"workers": 2, "timeouts": { "hung": "1s" }'
	start_yodeld -c yodeld.json
	local victim
	victim=$(worker_pids | tail -n 1)
	kill -STOP "$victim"
	queue_connections()
	{
		"$INDEPENDENT_CLIENT" burst --patience 60 "127.0.0.1:$PORT" 100
	}
	spawn waiting queue_connections
	wait_until logged "worker 1 \(pid $victim\): hung: its event loop has not run for [0-9]+ ms"
	wait_until logged 'worker 1 \(pid [0-9]+\): serving'
	has_ended "$victim"
	assert_all_answered waiting 100
	[ "$(times_logged ': hung: ')" = 1 ]
}

@test "freezing master and workers together kills no worker" {
	write_config '"workers": 2, "timeouts": { "hung": "1s" }'
	start_yodeld -c yodeld.json
	local workers
	workers=$(worker_pids)
	stop_workers
	kill -STOP "$YODELD_PID"
	sleep 2.2 # the test needs this time, not an event
	kill -CONT "$YODELD_PID"
	sleep 0.05
	# shellcheck disable=SC2086 # pids are words
	kill -CONT $workers
	run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 100
	sleep 1.2
	[ "$(worker_pids)" = "$workers" ]
	run ! logged ': hung: '
}

@test "the workers of a killed master answer messages in transit, drain and exit" {
	write_config '"workers": 2, "timeouts": { "drain": "60s" }'
	start_yodeld -c yodeld.json
	spawn load "$YODEL" -c 20 -n 3000 -q --no-reconnect --json result.json "127.0.0.1:$PORT"
	wait_until_load_runs load
	local workers
	workers=$(worker_pids)
	kill -KILL "$YODELD_PID"
	wait "$(<load.pid)"
	# shellcheck disable=SC2086 # pids are words
	wait_until have_ended $workers
	check_load_result result.json
	# The address is free again.
	start_yodeld -c yodeld.json
}

@test "TERM answers the connections in the accept queues before the server exits" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	stop_workers
	fill_accept_queues waiting 200
	kill -TERM "$YODELD_PID"
	# shellcheck disable=SC2046 # pids are words
	kill -CONT $(worker_pids)
	assert_all_answered waiting 200
	wait "$YODELD_PID"
}

@test "20 reloads leave no zombie, orphan, descriptor or memory behind" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	local descriptors memory
	has_descriptors_of_before() # or fewer: one may have been closed after the count
	{
		[ "$(open_descriptors "$YODELD_PID")" -le "$descriptors" ]
	}
	for n in {1..20}; do
		write_config "\"workers\": $((n % 3 + 1))"
		reload
		wait_for_worker_count $((n % 3 + 1))
		[ $((n % 3)) = 1 ] || continue
		: "${descriptors:=$(open_descriptors "$YODELD_PID")}"
		: "${memory:=$(resident_kib "$YODELD_PID")}"
	done
	write_config '"workers": 2'
	reload
	wait_for_worker_count 2
	wait_until has_descriptors_of_before
	[ $(($(resident_kib "$YODELD_PID") - memory)) -lt 512 ]
	# shellcheck disable=SC2046 # pids are words
	run -1 grep -l '^State:.*Z' $(worker_pids | sed 's|.*|/proc/&/status|')
	end_load churn lasting
	never_reconnected lasting.json
}
@test "connections waiting at a removed listener are answered although its worker is killed" {
	PORT=$(free_port) OTHER=$(free_port)
	two_listeners
	start_yodeld -c yodeld.json
	local old
	old=$(worker_pids)
	stop_workers
	fill_accept_queues waiting 200 "$OTHER"
	one_listener
	reload
	# shellcheck disable=SC2086 # pids are words
	kill -KILL $old
	assert_all_answered waiting 200
	wait_until logged "no longer listening on 127.0.0.1:$OTHER"
}

@test "rapid successive scaling loses no connection" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	for _ in 1 2 3 4; do
		change TTIN 'scale: 3 workers serve'
		change TTOU 'scale: 2 workers serve'
		change TTOU 'scale: 1 worker serves'
		change TTIN 'scale: 2 workers serve'
	done
	wait_for_worker_count 2
	end_load churn lasting
	never_reconnected lasting.json
}

@test "a drain worker that dies repeatedly is not restarted endlessly" {
	write_config '"workers": 2'
	YODELD=$BUILD/tests/worker_start_hook start_yodeld -c yodeld.json
	local keep victim
	keep=$(worker_pids | head -n 1)
	victim=$(worker_pids | tail -n 1)
	stop_workers
	fill_accept_queues waiting 100
	kill -CONT "$keep"
	change TTOU 'scale: 1 worker serves'
	echo die >START_HOOK
	local start=${EPOCHREALTIME/./}
	kill -KILL "$victim"
	wait_until logged 'worker 1: failure 6 in a row'
	# 100 + 200 + 400 + 800 ms, less a quarter
	[ $((${EPOCHREALTIME/./} - start)) -ge 1100000 ]
	rm START_HOOK
	assert_all_answered waiting 100
	wait_for_worker_count 1
}

@test "a failing reload with more workers resets no connection" {
	needs root
	write_config '"workers": 1'
	YODELD_RUN='setpriv --bounding-set=-setuid' start_yodeld -c yodeld.json \
		--set admin.socket="$PWD/admin_socket"
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	for _ in 1 2 3 4 5; do
		write_config '"workers": 16, "user": "nobody"'
		change HUP 'reload failed, generation 1 continues: its workers exit before they are ready'
		wait_for_worker_count 1
	done
	end_load churn
	# The replacement of a worker belongs to the old generation, which continues.
	kill -KILL "$(worker_pids)"
	wait_until logged 'worker 0 \(pid [0-9]+\): serving'
	[[ $("$BUILD/yodelctl" -s admin_socket status) = *', generation 1, '*'1 of 1 workers serve'* ]]
	"$BUILD/yodelctl" -s admin_socket workers | grep -Eqx ' +0 +[0-9]+ serving +1 .*'
	write_config '"workers": 1'
	change HUP 'reload: generation 2 serves with 1 worker '
}

@test "TERM also answers connections that wait for a dead worker's replacement" {
	write_config '"workers": 2'
	start_yodeld -c yodeld.json
	stop_workers
	fill_accept_queues waiting 200
	kill -TERM "$YODELD_PID"
	# shellcheck disable=SC2046 # pids are words
	kill -KILL $(worker_pids)
	assert_all_answered waiting 200
	wait "$YODELD_PID"
}

@test "a full disk under the log is reported once, and the server keeps serving" {
	needs root
	on_small_disk use_up_the_disk
}

# on_small_disk COMMAND - runs it with the directory disk, a file system of 64 KiB.
on_small_disk()
{
	mkdir disk
	mount -t tmpfs -o size=64k,mode=755 tmpfs disk
	"$@" || {
		umount -l disk
		return 1
	}
	umount -l disk
}

use_up_the_disk()
{
	PORT=$(free_port)
	spawn yodeld "$YODELD" --workers 2 --listen "127.0.0.1:$PORT" \
		--set log.file="$PWD/disk/yodeld.log" --set log.level=debug --set admin.socket=
	YODELD_PID=$SPAWNED YODELD_LOG=$PWD/disk/yodeld.log
	wait_until logged ': ready: ' || return 1
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT" || return 1
	wait_until grep -q 'cannot write the log file .*/yodeld.log: No space left' yodeld.log || return 1
	local before
	before=$(worker_pids)
	[ "$("$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200)" = \
		"answered 200, refused 0, reset 0, closed 0, silent 0" ] || return 1
	end_load churn || return 1
	# At most once per process, not once for each of the thousands of lines.
	[ "$(grep -c "cannot write the log file" yodeld.log)" -le 3 ] || return 1
	[ "$(worker_pids)" = "$before" ] || return 1
	: >disk/yodeld.log
	"$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 20 >/dev/null
	wait_until logged ': [0-9]+ log lines could not be written$'
}

