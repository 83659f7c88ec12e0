#!/usr/bin/env bats
# Overlapping changes: one is requested while another is in progress, and workers die or start
# late in the middle of one (lib/worker_start_hook.c: worker 1 does not become ready while the
# file START_HOOK exists).

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

CTL=$BUILD/yodelctl

# Runs a copy of that program, which can be replaced on disk.
start_with_start_hook()
{
	mkdir -p bin
	cp "$BUILD/tests/worker_start_hook" bin/yodeld
	YODELD=$PWD/bin/yodeld start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin_socket"
}

# Removes worker 1 of two while connections wait in its accept queue, and kills it; START_HOOK
# applies to the replacement that empties the queue.
retire_worker_1() # HOW
{
	local keep victim
	keep=$(worker_pids | head -n 1)
	victim=$(worker_pids | tail -n 1)
	stop_workers
	fill_accept_queues waiting 100
	kill -CONT "$keep"
	change TTOU 'scale: 1 worker serves'
	echo "$1" >START_HOOK
	kill -KILL "$victim"
	wait_until logged "worker 1 \(pid $victim\): died: signal 9"
}

@test "scaling up again before the last worker has drained leaves no surplus worker" {
	write_config '"workers": 2'
	start_with_start_hook
	retire_worker_1 late
	wait_until count_workers_is 2
	kill -TTIN "$YODELD_PID"
	wait_until count_workers_is 3
	rm START_HOOK
	wait_until logged 'scale: 2 workers serve'
	assert_all_answered waiting 100
	wait_for_worker_count 2
	reload
	wait_for_worker_count 2
}

@test "a change also waits for the replacement of a draining worker that died" {
	write_config '"workers": 2'
	start_with_start_hook
	local victim
	victim=$(worker_pids | tail -n 1)
	stop_workers
	fill_accept_queues waiting 100
	kill -CONT "$(worker_pids | head -n 1)"
	echo late >START_HOOK
	spawn scale "$CTL" -s admin_socket scale 1
	wait_until logged 'scale: 1 worker serves'
	kill -KILL "$victim"
	wait_until logged "worker 1 \(pid $victim\): died: signal 9"
	# The worker has died, and its replacement has been forked.
	wait_until count_workers_is 2
	run ! logged 'scale: [0-9]+ workers? left'
	rm START_HOOK
	assert_all_answered waiting 100
	wait "$(<scale.pid)"
	[[ $(<scale.out) = *'; 2 workers exited within '*', 0 lost with 1 worker that died' ]]
}

@test "an upgrade waits for a worker that has just started to empty a queue" {
	write_config '"workers": 2'
	start_with_start_hook
	retire_worker_1 die
	wait_until logged 'worker 1: failure 5 in a row'
	touch WAIT
	printf '%s\n' '#!/bin/sh' "while [ -e $PWD/WAIT ]; do sleep 0.02; done" \
		"exec $BUILD/tests/worker_start_hook \"\$@\"" >script
	chmod +x script
	mv script bin/yodeld
	kill -USR2 "$YODELD_PID"
	# First the dry run is in progress, then also the worker for the queue, which is not ready.
	wait_until count_workers_is 2
	echo late >START_HOOK
	wait_until count_workers_is 3
	rm WAIT
	dry_run_is_finished()
	{
		count_workers_is 2
	}
	wait_until dry_run_is_finished
	run ! logged 'upgrade: executing'
	rm START_HOOK
	wait_until logged ': upgrade: generation 2 serves'
	assert_all_answered waiting 100
	wait_for_worker_count 2
}

@test "connections that wait for a worker in back-off are answered after an upgrade" {
	write_config '"workers": 2'
	start_with_start_hook
	retire_worker_1 die
	wait_until logged 'worker 1: failure 6 in a row'
	write_config '"workers": 1'
	change USR2 ': upgrade: generation 2 serves with 1 worker'
	rm START_HOOK
	assert_all_answered waiting 100
	wait_for_worker_count 1
}

@test "a reload queued behind a failing upgrade has its own outcome" {
	write_config '"workers": 2'
	start_with_start_hook
	local before
	before=$(worker_pids)
	echo late >START_HOOK
	spawn upgrade "$CTL" -s admin_socket upgrade
	wait_until count_workers_is 4
	# The admin listeners accept no client until the new program has taken over.
	spawn reload "$CTL" -s admin_socket reload
	wait_until logged 'upgrade: executing'
	follows()
	{
		logged 'reload: queued behind the reload in progress'
	}
	wait_until follows
	echo die >START_HOOK
	local late
	late=$(comm -13 <(sort <<<"$before") <(worker_pids | sort))
	# shellcheck disable=SC2086 # ids are words
	kill -KILL $late
	local status=0
	wait "$(<upgrade.pid)" || status=$?
	[ $status = 1 ]
	status=0
	wait "$(<reload.pid)" || status=$?
	[ $status = 1 ]
	local why='failed, generation 1 continues:'
	[ "$(<upgrade.log)" = "yodelctl: upgrade $why its workers exit before they are ready" ]
	[ "$(<reload.log)" = "yodelctl: reload $why the upgrade before it failed" ]
	was_logged_twice()
	{
		[ "$(times_logged ": upgrade $why its workers exit before they are ready")" = 2 ]
	}
	wait_until was_logged_twice
	rm START_HOOK
	"$CTL" -s admin_socket upgrade
	wait_for_worker_count 2
}

@test "admin requests are served while an upgrade waits for a reload" {
	write_config '"workers": 2'
	start_with_start_hook
	# A client that sends nothing: the exec waits for it for a second.
	spawn silent python3 -c 'import socket, time
peer = socket.socket(socket.AF_UNIX)
peer.connect("admin_socket")
print("connected", flush=True)
time.sleep(60)'
	wait_until grep -q connected silent.out
	echo late >START_HOOK
	kill -USR2 "$YODELD_PID"
	sleep 0.4 # mostly within that second; both changes must happen in any order
	kill -HUP "$YODELD_PID"
	wait_until count_workers_is 4
	run -0 timeout 10 "$CTL" -s admin_socket status
	rm START_HOOK
	wait_until logged ': upgrade: generation [23] serves'
	wait_until logged ': reload: generation [23] serves'
}

@test "a rebalance that an upgrade overtakes has its own outcome" {
	write_config '"workers": 1'
	start_with_start_hook
	spawn held "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 40
	wait_until grep -q 'holding 40' held.out
	local full receiver descriptors
	full=$(worker_pids)
	"$CTL" -s admin_socket scale 2
	receiver=$(worker_pids | grep -vx "$full")
	descriptors=$(open_descriptors "$receiver")
	kill -STOP "$full"
	spawn rebalance "$CTL" -s admin_socket rebalance
	# The receiver has got the request to receive connections.
	is_under_way()
	{
		[ "$(open_descriptors "$receiver")" -gt "$descriptors" ]
	}
	wait_until is_under_way
	kill -USR2 "$YODELD_PID"
	kill -CONT "$full"
	wait_until logged ': upgrade: generation 2 serves'
	wait "$(<rebalance.pid)"
	[[ $(<rebalance.out) = 'rebalance: 20 connections transferred, '* ]]
	kill -USR1 "$(<held.pid)"
}

@test "connections waiting at a removed listener are answered although its worker has exited" {
	local old how n=0
	PORT=$(free_port) OTHER=$(free_port)
	printf '{ "workers": 2, "listeners": [ { "address": "127.0.0.1:%s" }, { "address": "127.0.0.1:%s" } ] }' \
		"$PORT" "$OTHER" >two.json
	printf '{ "workers": 2, "listeners": [ { "address": "127.0.0.1:%s" } ] }' "$PORT" >one.json
	cp two.json yodeld.json
	start_yodeld -c yodeld.json --set admin.socket=
	for how in CONT KILL; do
		old=$(worker_pids)
		stop_workers
		fill_accept_queues waiting 200 "$OTHER"
		change TTOU 'scale: 1 worker serves'
		cp one.json yodeld.json
		reload
		# shellcheck disable=SC2086 # ids are words
		kill -$how $old
		assert_all_answered waiting 200
		n=$((n + 1))
		is_closed()
		{
			[ "$(times_logged "no longer listening on 127.0.0.1:$OTHER")" = "$1" ]
		}
		wait_until is_closed $n
		wait_for_worker_count 2
		cp two.json yodeld.json
		reload
		wait_for_worker_count 2
	done
}

@test "a stop gives connections of a previous configuration no more time than others" {
	PORT=$(free_port) OTHER=$(free_port)
	printf '{ "workers": 1, "listeners": [ { "address": "127.0.0.1:%s" }, { "address": "127.0.0.1:%s" } ],
		"timeouts": { "drain": "1h", "drain_quiet": "1h" } }' "$PORT" "$OTHER" >yodeld.json
	start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	spawn held "$INDEPENDENT_CLIENT" hold "127.0.0.1:$OTHER" 5
	wait_until grep -q 'holding 5' held.out
	local drain
	for drain in 1h 1s; do
		write_config "\"workers\": 1, \"timeouts\": { \"drain\": \"$drain\", \"drain_quiet\": \"1h\" }"
		reload
	done
	run -0 "$CTL" -s admin_socket stop
	[[ $output = *' workers exited within '*' ms: 0 connections transferred, 0 drained, 5 forced' ]]
	wait "$YODELD_PID"
}

@test "an address with another spelling is the same listener" {
	local port admin any
	port=$(free_port) admin=$(free_port)
	write_spelled() # WILDCARD
	{
		printf '{ "workers": 2, "listeners": [ { "address": "%s" } ], "admin": { "address": "%s" } }' \
			"$1:$port" "$1:$admin" >yodeld.json
	}
	write_spelled ''
	start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	spawn held "$INDEPENDENT_CLIENT" hold "127.0.0.1:$port" 40
	wait_until grep -q 'holding 40' held.out
	for any in '*' 0.0.0.0; do
		write_spelled "$any"
		run -0 "$CTL" -s admin_socket reload
		[[ $output = *': 40 connections transferred, 0 drained, 0 forced' ]]
	done
	kill -USR1 "$(<held.pid)"
	wait_until grep -q 'served 40 of 40, closed 0' held.out
	[ "$(times_logged 'no longer listening|admin: http')" = 1 ]
}

@test "an upgrade interrupted by TERM is reported as interrupted" {
	write_config '"workers": 2'
	start_with_start_hook
	echo late >START_HOOK
	spawn upgrade "$CTL" -s admin_socket upgrade
	wait_until count_workers_is 4
	wait_until logged 'upgrade: executing'
	kill -TERM "$YODELD_PID"
	local status=0
	wait "$(<upgrade.pid)" || status=$?
	[ $status = 1 ]
	[ "$(<upgrade.log)" = "yodelctl: upgrade failed, generation 1 continues: the server is stopping" ]
	rm START_HOOK
	wait "$YODELD_PID"
}

@test "connections that wait for a worker in back-off are answered although another worker dies during the exec" {
	write_config '"workers": 2'
	start_with_start_hook
	local keep
	keep=$(worker_pids | head -n 1)
	retire_worker_1 die
	wait_until logged 'worker 1: failure 6 in a row'
	write_config '"workers": 1'
	mkfifo gate
	# The script has no child of its own: waiting for that would also reap the worker.
	printf '%s\n' '#!/bin/sh' "[ \"\$1\" = --check ] || read -r _ <$PWD/gate" \
		"exec $BUILD/tests/worker_start_hook \"\$@\"" >script
	chmod +x script
	mv script bin/yodeld
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: executing'
	kill -KILL "$keep"
	wait_until has_ended "$keep"
	echo >gate
	wait_until logged ': upgrade: generation 2 serves with 1 worker'
	rm START_HOOK
	assert_all_answered waiting 100
	wait_for_worker_count 1
}

@test "a worker that a wrapper has reaped is replaced after the upgrade" {
	write_config '"workers": 2'
	start_with_start_hook
	local victim
	victim=$(worker_pids | head -n 1)
	touch WAIT
	# A shell reaps every child, also the inherited workers.
	printf '%s\n' '#!/bin/sh' "[ \"\$1\" = --check ] ||" \
		"while [ -e $PWD/WAIT ]; do sleep 0.02; done" \
		"exec $BUILD/tests/worker_start_hook \"\$@\"" >script
	chmod +x script
	mv script bin/yodeld
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: executing'
	kill -KILL "$victim"
	is_nowhere()
	{
		! test -e "/proc/$victim"
	}
	wait_until is_nowhere
	rm WAIT
	wait_until logged ': upgrade: generation 2 serves with 2 workers'
	wait_for_worker_count 2
	logged "worker 0 \(pid $victim\): exited, status unknown"
	run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 50
}

@test "a scale request that a reload overtakes has an outcome and blocks nothing" {
	write_config '"workers": 1'
	start_with_start_hook
	echo late >START_HOOK
	spawn scale "$CTL" -s admin_socket scale 2
	wait_until count_workers_is 2
	reload
	has_its_outcome()
	{
		has_ended "$(<scale.pid)"
	}
	wait_until has_its_outcome
	rm START_HOOK
	local status=0
	wait "$(<scale.pid)" || status=$?
	[ $status = 1 ]
	[[ $(<scale.log) = 'yodelctl: scale failed: overtaken by a reload, 1 worker serves'* ]]
	run -0 "$CTL" -s admin_socket rebalance
	run -0 "$CTL" -s admin_socket upgrade
	wait_for_worker_count 1
}

# Sends POST requests to the admin socket.
post() # COUNT TARGET...
{
	python3 - "$@" <<-'END'
		import socket, sys
		for n in range(int(sys.argv[1])):
		    with socket.socket(socket.AF_UNIX) as peer:
		        peer.connect("admin_socket")
		        target = sys.argv[2 + n % (len(sys.argv) - 2)]
		        peer.sendall(f"POST {target} HTTP/1.0\r\n\r\n".encode())
		        assert b" 200 " in peer.recv(65536)
	END
}

@test "a stopped worker whose channel is full gets every control message when it continues" {
	local change old
	write_config '"workers": 2, "timeouts": { "hung": "0s" }'
	start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	start_load lasting -c 20 "127.0.0.1:$PORT"
	for change in reload upgrade; do
		old=$(worker_pids)
		kill -STOP "$(tail -n 1 <<<"$old")"
		post 300 '/log?level=warn' '/log?level=info'
		spawn change "$CTL" -s admin_socket "$change"
		wait_until logged 'reload: generation 2 serves'
		kill -CONT "$(tail -n 1 <<<"$old")"
		wait "$(<change.pid)"
		[[ $(<change.out) = "$change: "*' exited within '*', 0 drained, 0 forced' ]]
	done
	wait_for_worker_count 2
	end_load lasting
	never_reconnected lasting.json
}

# request NAME COMMAND... - runs yodelctl in the background.
request()
{
	local name=$1
	shift
	spawn "$name" "$CTL" -s admin_socket "$@"
}

clients_wait() # N: connected to the admin socket
{
	[ "$(grep -c "$PWD/admin_socket\$" /proc/net/unix)" = $((1 + $1)) ]
}

# outcome NAME STATUS PATTERN - waits for it, and checks its exit status and text.
outcome()
{
	local status=0
	wait "$(<"$1.pid")" || status=$?
	# shellcheck disable=SC2053 # a pattern
	if [ "$status" != "$2" ] || [[ $(cat "$1.out" "$1.log") != $3 ]]; then
		echo "$1: exit status $status: $(cat "$1.out" "$1.log")" >&2
		return 1
	fi
}

@test "each of several overlapping scale requests is answered with its own outcome" {
	write_config '"workers": 1'
	start_with_start_hook
	echo late >START_HOOK
	request two scale 2
	wait_until count_workers_is 2
	run -1 "$CTL" -s admin_socket scale 999
	[ "$output" = 'yodelctl: scale refused: found 999 workers, expected 1 to 256' ]
	run ! has_ended "$(<two.pid)"
	request again scale 2
	request three scale 3
	wait_until count_workers_is 3
	outcome two 1 'yodelctl: scale failed: overtaken by a scale to 3 workers'
	outcome again 1 'yodelctl: scale failed: overtaken by a scale to 3 workers'
	request joined scale 3
	rm START_HOOK
	outcome three 0 'scale: 3 workers serve after *'
	outcome joined 0 'scale: 3 workers serve after *'
	[ "$(worker_pids | wc -l)" = 3 ]
}

@test "an upgrade that is requested during a failing dry run has its own dry run and outcome" {
	write_config '"workers": 2'
	start_with_start_hook
	local good=$BUILD/tests/worker_start_hook
	touch WAIT
	printf '%s\n' '#!/bin/sh' "while [ -e $PWD/WAIT ]; do sleep 0.02; done" \
		'echo "the first one fails" >&2; exit 78' >script
	chmod +x script
	mv script bin/yodeld
	request first upgrade
	wait_until count_workers_is 3
	cp "$good" bin/new
	mv bin/new bin/yodeld
	request second upgrade
	wait_until clients_wait 2
	rm WAIT
	outcome first 1 'yodelctl: upgrade refused, this program continues: *: the first one fails'
	outcome second 0 'upgrade: generation 2 serves with 2 workers after *'
}

@test "each reload is answered with the outcome of one that read the file after its request" {
	write_config '"workers": 2'
	start_with_start_hook
	local before
	before=$(worker_pids)
	echo late >START_HOOK
	request first reload
	wait_until count_workers_is 4
	write_config '"workers": 3'
	request second reload
	wait_until logged 'reload: queued behind the reload in progress'
	# shellcheck disable=SC2086 # ids are words
	kill_new_workers 3 $before
	outcome first 1 'yodelctl: reload failed, generation 1 continues: its workers exit before they are ready'
	run ! has_ended "$(<second.pid)"
	# A third one is requested while the second is in progress, with a bad file.
	write_config '"worker": 4'
	request third reload
	queued_twice()
	{
		[ "$(times_logged 'reload: queued behind the reload in progress')" = 2 ]
	}
	wait_until queued_twice
	rm START_HOOK
	outcome second 0 'reload: generation 2 serves with 3 workers after *'
	outcome third 1 'yodelctl: reload failed, the old configuration stays: *unknown key "worker"*'
	wait_for_worker_count 3
}

@test "an upgrade and a reload queued behind it each have their own outcome" {
	write_config '"workers": 2'
	start_with_start_hook
	echo late >START_HOOK
	request upgrade upgrade
	wait_until count_workers_is 4
	wait_until logged 'upgrade: executing'
	write_config '"workers": 3'
	request reload reload
	wait_until logged 'reload: queued behind the reload in progress'
	request again upgrade
	wait_until clients_wait 3
	rm START_HOOK
	outcome upgrade 0 'upgrade: generation 2 serves with 2 workers after *'
	outcome reload 0 'reload: generation 3 serves with 3 workers after *'
	outcome again 0 'upgrade: generation 4 serves with 3 workers after *'
}

@test "a slot in a crash loop keeps its back-off over an upgrade that fails" {
	write_config '"workers": 2'
	start_with_start_hook
	echo die >START_HOOK
	kill -KILL "$(worker_pids | tail -n 1)"
	wait_until logged 'worker 1: failure 4 in a row'
	request upgrade upgrade
	outcome upgrade 1 'yodelctl: upgrade failed, generation 1 continues: its workers exit before they are ready'
	wait_until logged 'worker 1: failure [5-9] in a row'
	[ "$(times_logged 'worker 1: failure 2 in a row')" = 1 ]
	rm START_HOOK
	wait_for_worker_count 2
}
