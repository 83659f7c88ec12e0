#!/usr/bin/env bats
# run-checks: long
# Established connections survive the death of their worker. Each test kills processes of yodeld
# while yodel verifies every byte without reconnecting, or while clients hold connections.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision
load lib/admin

KILLER=$BATS_TEST_DIRNAME/lib/killer.py

# start_server KEYS - with listeners for echo, lines and frames on PORT, LINE_PORT and FRAME_PORT.
start_server()
{
	PORT=$(free_port)
	LINE_PORT=$((PORT + 1)) FRAME_PORT=$((PORT + 2))
	cat >yodeld.json <<-END
		{ "listeners": [ { "address": "127.0.0.1:$PORT", "reply": "echo" },
		  { "address": "127.0.0.1:$LINE_PORT", "reply": "upper,suffix=!", "framing": "line" },
		  { "address": "127.0.0.1:$FRAME_PORT", "reply": "echo", "framing": "length32", "max_message": "1M" } ],
		  "limits": { "max_pending": "256k" }, "admin": { "socket": "$PWD/admin_socket" }, $1 }
	END
	start_yodeld -c yodeld.json
}

start_lasting_loads()
{
	start_load echo --no-reconnect -c 50 -p 8 --size 1:3000 "127.0.0.1:$PORT"
	start_load lines --no-reconnect -c 20 -p 4 --size 100:3000 --framing line \
		--expect 'upper,suffix=!' "127.0.0.1:$LINE_PORT"
	start_load frames --no-reconnect -c 4 -p 2 --size 1:1M --framing length32 -R 200 \
		"127.0.0.1:$FRAME_PORT"
	start_load slow --no-reconnect -c 4 -p 64 --size 64k --slow-read 2M "127.0.0.1:$PORT"
}

totals() # CONDITION on t, a Python expression
{
	"$BATS_TEST_DIRNAME/lib/admin_client.py" ask "$PWD/admin_socket" GET /stats | sed 1d | python3 -c "
import json, sys
t = json.load(sys.stdin)['totals']
closed = t['connections_closed']
assert t['connections_accepted'] == t['connections_open'] + sum(closed.values()), t
assert $1, t"
}

# Some of the lines of the input, others each time; all with LONG=1 (make check-long).
some_of() # N
{
	shuf -n "$([ -n "${LONG-}" ] && echo 99 || echo "$1")"
}

serves_with() # N - that many workers, and a keeper for each
{
	[ "$(worker_pids | wc -l)" = "$1" ] && [ "$(keeper_pids | wc -l)" = "$1" ] &&
		"$BUILD/yodelctl" -s admin_socket status | grep -q "^$1 of $1 workers serve"
}

@test "deaths of workers under load lose no connection and no byte" {
	local deaths=50
	[ -z "${LONG-}" ] || deaths=1000
	ulimit -c unlimited
	# AddressSanitizer would turn these signals into an exit.
	export ASAN_OPTIONS=handle_segv=0:handle_abort=0:${ASAN_OPTIONS-}
	start_server '"workers": 4'
	start_lasting_loads
	start_load churn --no-reconnect -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	local many=()
	if [ -n "${LONG-}" ]; then
		many=(many)
		start_load many --no-reconnect -c 10k --size 1:3000 --interval 5s "127.0.0.1:$PORT"
	fi
	[ "$("$KILLER" "$YODELD_PID" "$deaths")" = "$deaths" ]
	totals 't["connections_recovered"] > 0 and t["recoveries"] > 3 and t["recovery_us"] > 0'
	end_load echo lines frames slow churn "${many[@]}"
	wait_until serves_with 4
	totals 'closed["worker_lost"] == 0 and closed["crashed_twice"] == 0'
	logged 'worker [0-9] \(pid [0-9]+\): killed by SIGSEGV: [0-9]+ connections? recovered in [0-9]+ ms by pid [0-9]+'
}

# Replies that are more than a function of their message: a conversation has a place in its file,
# a delayed reply its time.
@test "conversations and delayed replies survive the deaths of their workers" {
	# AddressSanitizer would turn these signals into an exit.
	export ASAN_OPTIONS=handle_segv=0:handle_abort=0:${ASAN_OPTIONS-}
	needs root
	PORT=$(free_port) LINE_PORT=$((PORT + 1))
	cat >both.talk <<-'END'
		S: 220 ready
		C: HELLO client-\{connection}
		S: 250 hello
		--- repeat
		C [echo]: ECHO \{payload 1:300}
		S: 250 \{echo}
		--- end
		C: QUIT
		S: 221 bye
		S close
	END
	cat >yodeld.json <<-END
		{ "workers": 1, "listeners": [
		  { "address": "127.0.0.1:$PORT", "reply": "conversation=$PWD/both.talk" },
		  { "address": "127.0.0.1:$LINE_PORT", "reply": "echo", "framing": "line",
		    "faults": [ "delay 20ms every 3" ] } ],
		  "admin": { "socket": "$PWD/admin_socket" } }
	END
	start_yodeld -c yodeld.json
	start_load talk --no-reconnect -c 20 -p 1 -R 1k --conversation both.talk "127.0.0.1:$PORT"
	start_load delayed --no-reconnect -c 20 -p 8 --size 1:300 --framing line "127.0.0.1:$LINE_PORT"
	[ "$("$KILLER" "$YODELD_PID" 8)" = 8 ]
	local call when worker
	while read -r call when; do
		wait_until serves_with 1
		worker=$(worker_pids)
		run -0 timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$call" "$when" $((RANDOM % 40 + 1))
		wait_until logged "worker [0-9] \(pid $worker\): killed by SIGKILL"
	done < <(printf '%s\n' {recvfrom,sendto}' '{before,after} | some_of 2)
	end_load talk delayed
	totals 'closed["worker_lost"] == 0 and closed["crashed_twice"] == 0'
}

# A worker in the middle of each step, before and after the kernel has done it.
@test "a worker killed at any system call of the path of a connection loses none" {
	needs root
	start_server '"workers": 2'
	start_load echo --no-reconnect -c 20 -p 4 --size 1:3000 -R 2k "127.0.0.1:$PORT"
	start_load lines --no-reconnect -c 20 -p 4 --size 100:3000 --framing line \
		--expect 'upper,suffix=!' -R 1k "127.0.0.1:$LINE_PORT"
	start_load churn --no-reconnect -c 4 --messages-per-connection 2 "127.0.0.1:$PORT"
	local call when worker
	while read -r call when; do
		wait_until serves_with 2
		worker=$(worker_pids | head -n 1)
		run -0 timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$call" "$when" $((RANDOM % 20 + 1))
		wait_until logged "worker [0-9] \(pid $worker\): killed by SIGKILL"
	done < <(printf '%s\n' {accept4,recvfrom,sendto,close,epoll_ctl}' '{before,after} | some_of 3)
	end_load echo lines churn
	totals 'closed["worker_lost"] == 0'
}

is_traced() # PID
{
	! grep -q '^TracerPid:[[:space:]]0$' "/proc/$1/status" 2>/dev/null
}

worker_of_slot() # SLOT
{
	"$BUILD/yodelctl" -s admin_socket workers | awk -v slot="$1" '$1 == slot { print $2 }'
}

# moves_while_killed ROLE CALL WHEN NUMBER - moves half of the connections from worker 0 to worker
# 1, of which the sender or receiver is killed at that call.
moves_while_killed()
{
	local worker
	"$BUILD/yodelctl" -s admin_socket scale 1 >>moves.log
	"$BUILD/yodelctl" -s admin_socket scale 2 >>moves.log
	wait_until serves_with 2
	worker=$(worker_of_slot "$([ "$1" = sender ] && echo 0 || echo 1)")
	spawn tracer timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$2" "$3" "$4"
	wait_until is_traced "$worker"
	"$BUILD/yodelctl" -s admin_socket rebalance >>moves.log || :
	wait_until has_ended "$worker"
	wait_until logged "pid $worker\): killed by SIGKILL: [0-9]+ connections? recovered in [0-9]+ ms( by pid [0-9]+)?, 0 lost$"
}

# The sender receives its order, CAPACITY and ACCEPTED; it sends HELLO, BATCH and COMMITTED. The
# receiver receives its order, HELLO, BATCH and COMMITTED; it sends CAPACITY and ACCEPTED.
@test "a worker killed at any packet of a transfer loses no connection, in either role" {
	needs root
	start_server '"workers": 2'
	start_load echo --no-reconnect -c 50 --size 1:3000 -R 2k "127.0.0.1:$PORT"
	local cells=() role call when number
	for when in before after; do
		for number in 1 2 3; do cells+=("sender sendmsg $when $number"); done
		for number in 1 3 4; do cells+=("sender recvmsg $when $number"); done
		for number in 1 2; do cells+=("receiver sendmsg $when $number"); done
		for number in 1 3 4 5; do cells+=("receiver recvmsg $when $number"); done
	done
	while read -r role call when number; do
		moves_while_killed "$role" "$call" "$when" "$number" &&
			totals 'closed["worker_lost"] == 0 and t["connections_accepted"] == 50' || {
			echo "$role $call $when $number" >&2
			false
		}
	done < <(printf '%s\n' "${cells[@]}" | some_of 3)
	end_load echo
	never_reconnected echo.json
}

# move_dies_at_both_ends SENDER_CALL RECEIVER_CALL - as above; both workers are killed, each at its
# call: "CALL WHEN NUMBER". The keepers settle the transfer between them.
move_dies_at_both_ends()
{
	local sender receiver worker
	"$BUILD/yodelctl" -s admin_socket scale 1 >>moves.log
	"$BUILD/yodelctl" -s admin_socket scale 2 >>moves.log
	wait_until serves_with 2
	sender=$(worker_of_slot 0) receiver=$(worker_of_slot 1)
	# shellcheck disable=SC2086 # three arguments
	spawn sender_tracer timeout 30 "$BUILD/tests/kill_at_call" "$sender" $1
	# shellcheck disable=SC2086 # three arguments
	spawn receiver_tracer timeout 30 "$BUILD/tests/kill_at_call" "$receiver" $2
	wait_until is_traced "$sender"
	wait_until is_traced "$receiver"
	"$BUILD/yodelctl" -s admin_socket rebalance >>moves.log || :
	for worker in "$sender" "$receiver"; do
		wait_until has_ended "$worker"
		wait_until logged "pid $worker\): killed by SIGKILL: [0-9]+ connections? recovered in [0-9]+ ms( by pid [0-9]+)?, 0 lost$"
	done
	wait_until serves_with 2
}

# In each pair the receiver has the batch, and the sender dies before, while or after it counts it;
# after two pairs in another program.
@test "both workers of a transfer killed at any packet after the batch lose no connection" {
	needs root
	start_server '"workers": 2'
	start_load echo --no-reconnect -c 50 --size 1:3000 -R 2k "127.0.0.1:$PORT"
	local pairs=() sender receiver count=0
	for sender in 'recvmsg before 4' 'recvmsg after 4' 'sendmsg before 3' 'sendmsg after 3'; do
		for receiver in 'sendmsg before 2' 'sendmsg after 2' 'recvmsg before 5' 'recvmsg after 5'; do
			pairs+=("$sender,$receiver")
		done
	done
	while IFS=, read -r sender receiver; do
		if [ $((count += 1)) = 3 ]; then
			kill -USR2 "$YODELD_PID"
			wait_until logged 'upgrade: generation [0-9]+ serves'
			wait_until serves_with 2
		fi
		move_dies_at_both_ends "$sender" "$receiver" &&
			totals 'closed["worker_lost"] == 0 and t["connections_accepted"] == 50' || {
			echo "sender: $sender, receiver: $receiver" >&2
			false
		}
	done < <(printf '%s\n' "${pairs[@]}" | some_of 4)
	end_load echo
	never_reconnected echo.json
}

# A worker that drains has closed its listening sockets, whose numbers the transfer gets.
@test "a worker killed at any packet while a reload moves its connections loses none" {
	needs root
	start_server '"workers": 1'
	start_load echo --no-reconnect -c 50 --size 1:3000 -R 2k "127.0.0.1:$PORT"
	local call when number worker
	while read -r call when number; do
		wait_until serves_with 1
		worker=$(worker_pids)
		spawn tracer timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$call" "$when" "$number"
		wait_until is_traced "$worker"
		kill -HUP "$YODELD_PID"
		wait_until has_ended "$worker"
		wait_until logged "pid $worker\): killed by SIGKILL: [0-9]+ connections? recovered in [0-9]+ ms( by pid [0-9]+)?, 0 lost$" &&
			totals 't["connections_open"] == 50 and t["connections_accepted"] == 50' || {
			echo "$call $when $number" >&2
			false
		}
	done < <(printf '%s\n' {sendmsg,recvmsg}' '{before,after}' '{2,3} | some_of 3)
	end_load echo
	never_reconnected echo.json
}

@test "connections with partial messages, unsent replies and half-closed ones survive" {
	start_server '"workers": 1'
	spawn states "$BATS_TEST_DIRNAME/lib/connection_states.py" "$PORT" "$LINE_PORT" "$FRAME_PORT"
	wait_until grep -q ready states.out
	local deaths=(1)
	[ -z "${LONG-}" ] || deaths=(1 2 3)
	for _ in "${deaths[@]}"; do
		local worker
		worker=$(worker_pids)
		kill -KILL "$worker"
		wait_until logged "pid $worker\): killed by SIGKILL"
		wait_until serves_with 1
	done
	kill -USR1 "$(<states.pid)"
	wait "$(<states.pid)" || { cat states.log; false; }
	totals 'closed["worker_lost"] == 0'
}

# write_removing KEYS - the configuration without the listeners for lines and frames.
write_removing()
{
	cat >yodeld.json <<-END
		{ "listeners": [ { "address": "127.0.0.1:$PORT", "reply": "echo" } ],
		  "timeouts": { "drain_quiet": "120s" }, "admin": { "socket": "$PWD/admin_socket" }, $1 }
	END
}

draining_worker() # the one that does not serve a slot
{
	comm -23 <(worker_pids | sort) <("$BUILD/yodelctl" -s admin_socket workers |
		awk '$3 == "serving" { print $2 }' | sort)
}

has_draining_worker()
{
	[ "$(draining_worker | wc -l)" = 1 ]
}

@test "connections of a removed listener survive the deaths of workers that drain them" {
	start_server '"workers": 1, "timeouts": { "drain_quiet": "120s" }'
	spawn states "$BATS_TEST_DIRNAME/lib/connection_states.py" "$PORT" "$LINE_PORT" "$FRAME_PORT"
	wait_until grep -q ready states.out
	write_removing '"workers": 1'
	reload
	reload # another configuration after that
	local worker
	for _ in 1 2 3; do
		wait_until has_draining_worker
		worker=$(draining_worker)
		kill -KILL "$worker"
		wait_until logged "pid $worker\): killed by SIGKILL: [34] connections recovered in [0-9]+ ms by pid [0-9]+, 0 lost$"
	done
	kill -USR1 "$(<states.pid)"
	wait "$(<states.pid)" || { cat states.log; false; }
	totals 'closed["worker_lost"] == 0'
}

@test "a connection whose input kills two workers in a row is closed, the others continue" {
	YODELD=$BUILD/tests/worker_dies_of_input start_server '"workers": 2'
	start_load echo --no-reconnect -c 20 -p 4 "127.0.0.1:$PORT"
	local peer answer
	for _ in 1 2; do
		exec {peer}<>"/dev/tcp/127.0.0.1/$LINE_PORT"
		printf 'good\n' >&"$peer"
		read -r -t 30 answer <&"$peer"
		[ "$answer" = 'GOOD!' ]
		printf 'poison\n' >&"$peer"
		timeout 30 cat <&"$peer" || : # until it is closed, or reset
		exec {peer}>&-
	done
	end_load echo
	never_reconnected echo.json
	totals 'closed["crashed_twice"] == 2 and closed["worker_lost"] == 0'
	# A last line without its end is answered, and kills, at the end of file.
	run timeout 30 python3 -c "
import socket
peer = socket.create_connection(('127.0.0.1', $LINE_PORT))
peer.send(b'poison')
peer.shutdown(socket.SHUT_WR)
peer.recv(1)"
	[ "$status" != 124 ]
	totals 'closed["crashed_twice"] == 3 and closed["worker_lost"] == 0'
	# Two deaths for each.
	[ "$(times_logged 'killed by SIGABRT')" = 6 ]
}

# The worker has read each piece when it dies: a successor that has processed the piece is the
# proof that the piece was not the cause.
@test "a connection of partial messages survives each death while it is processed" {
	needs root
	start_server '"workers": 1'
	local peer piece worker answer
	exec {peer}<>"/dev/tcp/127.0.0.1/$LINE_PORT"
	for piece in 'half ' 'a ' 'li'; do
		wait_until serves_with 1
		worker=$(worker_pids)
		spawn tracer timeout 30 "$BUILD/tests/kill_at_call" "$worker" recvfrom after 1
		wait_until is_traced "$worker"
		printf %s "$piece" >&"$peer"
		wait_until logged "pid $worker\): killed by SIGKILL: 1 connection recovered"
	done
	printf 'ne\n' >&"$peer"
	read -r -t 30 answer <&"$peer"
	[ "$answer" = 'HALF A LINE!' ]
	exec {peer}>&-
	totals 'closed["crashed_twice"] == 0 and closed["worker_lost"] == 0'
}

# The worker shuts its side down after the reply and discards what follows. Killed at the shutdown,
# in between, or at the end, it leaves that to its successor: the peer sees no reset.
@test "a worker killed while a connection lingers does not reset it" {
	needs root
	start_server '"workers": 1'
	local call when number worker count=0
	while read -r call when number; do
		wait_until serves_with 1
		worker=$(worker_pids)
		spawn tracer timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$call" "$when" "$number"
		wait_until is_traced "$worker"
		run -0 timeout 30 python3 -c "
import socket, struct
peer = socket.create_connection(('127.0.0.1', $FRAME_PORT))
frame = struct.pack('>I', 3) + b'one'
peer.sendall(frame + struct.pack('>I', 1 << 30))
data = b''
while piece := peer.recv(100):
    data += piece
assert data == frame, data
peer.sendall(b'discarded')
peer.shutdown(socket.SHUT_WR)
assert peer.recv(1) == b''"
		wait_until has_ended "$worker"
		wait_until logged "pid $worker\): killed by SIGKILL"
		count=$((count + 1))
	done < <(printf '%s\n' {'recvfrom '{before,after},'shutdown '{before,after}}' 1' \
		'recvfrom '{before,after}' 2' | some_of 3)
	totals "closed['message_too_long'] == $count and closed['worker_lost'] == 0"
}

# The server stops in order: it waits for the peers, which need not notice.
@test "a worker that dies while the server stops leaves its connections to another one" {
	start_server '"workers": 1, "timeouts": { "drain_quiet": "120s" }'
	spawn states "$BATS_TEST_DIRNAME/lib/connection_states.py" "$PORT" "$LINE_PORT" "$FRAME_PORT"
	wait_until grep -q ready states.out
	kill -TERM "$YODELD_PID"
	wait_until logged 'stopping: draining'
	local worker
	for _ in 1 2; do
		wait_until count_workers_is 1
		worker=$(worker_pids)
		kill -KILL "$worker"
		wait_until logged "pid $worker\): killed by SIGKILL: 7 connections recovered in [0-9]+ ms by pid [0-9]+, 0 lost$"
	done
	kill -USR1 "$(<states.pid)"
	wait "$(<states.pid)" || { cat states.log; false; }
	totals 'closed["worker_lost"] == 0' || ! kill -0 "$YODELD_PID" # it may have exited by now
	wait "$YODELD_PID"
	logged 'stop: .* 0 forced, 0 lost with 2 workers that died'
}

@test "a server that is told to stop at once does not wait for the keeper of a dead worker" {
	start_server '"workers": 1'
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 20
	wait_until grep -q 'holding 20' quiet.out
	local worker
	worker=$(worker_pids)
	kill -STOP "$worker"
	kill -INT "$YODELD_PID"
	wait_until logged 'stopp'
	kill -KILL "$worker"
	wait "$YODELD_PID"
	logged "pid $worker\): killed by SIGKILL: 0 connections recovered"
	logged '20 forced, 0 lost'
}

@test "the OOM killer costs no connection but the one whose input uses up the memory" {
	needs root
	needs kernel cgroup-limits
	! has_sanitizer || skip "sanitizer: it needs more memory"
	# shellcheck disable=SC2030
	export YODELD_RUN="$BATS_TEST_DIRNAME/lib/in_cgroup 100000000 2000"
	YODELD=$BUILD/tests/worker_dies_of_input start_server '"workers": 1'
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 200
	wait_until grep -q 'holding 200' quiet.out
	local peer
	exec {peer}<>"/dev/tcp/127.0.0.1/$LINE_PORT"
	printf 'hunger\n' >&"$peer"
	timeout 30 cat <&"$peer" || : # until it is closed, or reset
	exec {peer}>&-
	kill -USR1 "$(<quiet.pid)"
	wait_until grep -q served quiet.out
	grep -qx 'served 200 of 200, closed 0' quiet.out
	totals 'closed["crashed_twice"] == 1 and closed["worker_lost"] == 0'
	[ "$(times_logged 'died: signal 9 \(Killed\): out of memory')" = 2 ]
}

@test "a worker whose keeper is killed is replaced, and no connection notices" {
	start_server '"workers": 2'
	start_load echo --no-reconnect -c 50 -p 8 --size 1:3000 -R 2k "127.0.0.1:$PORT"
	local keeper
	for keeper in $(keeper_pids); do
		kill -KILL "$keeper"
		wait_until logged "its keeper \(pid $keeper\) died: .*: replacing the worker"
	done
	wait_until logged 'replaced by pid [0-9]+, which has a keeper'
	wait_until serves_with 2
	kill -KILL "$(worker_pids | head -n 1)"
	wait_until logged 'connections recovered in'
	end_load echo
	never_reconnected echo.json
	totals 'closed["worker_lost"] == 0'
}

@test "keepers end with a master that is killed, whatever they wait for" {
	start_server '"workers": 2'
	local keeper keepers workers
	keepers=$(keeper_pids)
	workers=$(worker_pids)
	[ "$(wc -l <<<"$keepers")" = 2 ]
	# Stopped, they notice nothing by themselves.
	for keeper in $keepers; do kill -STOP "$keeper"; done
	kill -KILL "$YODELD_PID"
	# shellcheck disable=SC2086 # numbers
	wait_until have_ended $keepers $workers
}

@test "with worker and keeper killed the connections are lost, counted once" {
	start_server '"workers": 1'
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 20
	wait_until grep -q 'holding 20' quiet.out
	# Both at once: the master sees either first.
	kill -STOP "$YODELD_PID"
	# shellcheck disable=SC2046 # pids are words
	kill -KILL $(keeper_pids) $(worker_pids)
	kill -CONT "$YODELD_PID"
	wait_until logged 'died: signal 9'
	wait_until serves_with 1
	totals 'closed["worker_lost"] == 20 and t["connections_open"] == 0'
}

@test "without survive_crashes there is no keeper, and a death costs its connections" {
	start_server '"workers": 1, "survive_crashes": false'
	[ -z "$(keeper_pids)" ]
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 20
	wait_until grep -q 'holding 20' quiet.out
	kill -KILL "$(worker_pids)"
	wait_until logged 'worker 0 \(pid [0-9]+\): serving'
	totals 'closed["worker_lost"] == 20 and t["recoveries"] == 0'
}

@test "keepers end with their workers: reload, scaling, upgrade, stop" {
	start_server '"workers": 2'
	local keepers
	keepers=$(keeper_pids)
	reload
	wait_until serves_with 2
	[ -z "$(comm -12 <(sort <<<"$keepers") <(keeper_pids | sort))" ]
	"$BUILD/yodelctl" -s admin_socket scale 1
	wait_until serves_with 1
	"$BUILD/yodelctl" -s admin_socket upgrade # to the two workers of the file
	wait_until serves_with 2
	kill -KILL "$(worker_pids | head -n 1)"
	wait_until logged 'recovered in'
	wait_until serves_with 2
	keepers=$(keeper_pids)
	# As a service manager, a terminal or pkill(1) does.
	local signal keeper
	for signal in TERM INT HUP USR1 USR2; do
		for keeper in $keepers; do kill -$signal "$keeper"; done
	done
	stop_yodeld TERM
	run ! logged 'its keeper'
	for keeper in $keepers; do has_ended "$keeper"; done
}
