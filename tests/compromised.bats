#!/usr/bin/env bats
# A worker that an attacker has taken over harms its own connections and nothing else
# (lib/compromised_worker.c: worker 0 attacks from inside its sandbox).

load lib/helpers

setup()
{
	cd "$BATS_TEST_TMPDIR" || return 1
	# shellcheck disable=SC2034 # for start_yodeld
	YODELD=$BUILD/tests/compromised_worker
}

control() # COMMAND...
{
	"$BUILD/yodelctl" -s "$BATS_TEST_TMPDIR/control.sock" "$@"
}

# start_with ATTACK KEYS [ARG...]
start_with()
{
	echo "$1" >ATTACK
	shift
	start_yodeld_with "$@" -w 2 --set admin.socket="$BATS_TEST_TMPDIR/control.sock"
	ATTACKER=$(pid_of_slot 0)
	VICTIM=$(pid_of_slot 1)
}

pid_of_slot() # SLOT
{
	control --json workers | python3 -c 'import json, sys
print(next(w["pid"] for w in json.load(sys.stdin)["workers"] if w["slot"] == int(sys.argv[1])))' "$1"
}

attack()
{
	kill -URG "$ATTACKER"
}

hold() # COUNT
{
	spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" "$1"
	wait_until grep -qF "holding $1" hold.out
}

# "served N of COUNT, closed C" into $output.
ask_held()
{
	kill -USR1 "$(<hold.pid)"
	wait_until grep -q served hold.out
	output=$(tail -n 1 hold.out)
}

# Sockets of established connections of a process.
connections_of() # PID
{
	ss -Htnp state established "sport = :$PORT" | grep -c "pid=$1," || : # none
}

is_served()
{
	[ "$("$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" hello)" = "'HELLO'" ]
}

@test "a compromised worker can write to its own pages only" {
	start_with write '"reply": "upper"' --set security.seccomp=off
	attack
	wait_until grep -q '^attack: ' "$YODELD_LOG"
	grep '^attack: ' "$YODELD_LOG"
	grep -qE '^attack: wrote to 0 of [1-9][0-9]+ pages' "$YODELD_LOG"
	is_served
}

@test "a worker that zeroes its counters stops no upgrade and loses no connection" {
	start_with fill=0 '"reply": "upper"'
	hold 30
	attack
	sleep 0.1
	for _ in 1 2 3; do
		control upgrade
	done
	ask_held
	[ "$output" = "served 30 of 30, closed 0" ]
	is_served
}

@test "whatever a worker writes, reload, upgrade and scale succeed" {
	local value values=(18446744073709551615 1099511627776 7)
	# One of them, another each time; all with LONG=1 (make check-long).
	for value in $(shuf -n "$([ -n "${LONG-}" ] && echo 3 || echo 1)" -e "${values[@]}"); do
		start_with "fill=$value" '"reply": "upper", "max_connections_per_address": 1000'
		attack
		sleep 0.1
		control reload
		control upgrade
		control scale 3
		is_served
		control --json stats >/dev/null
		stop_yodeld
	done
}

@test "a false claim of connections refuses other clients only until it is found" {
	# Worker 0 may have the descriptors, but it has not.
	start_with open=5000 '"reply": "upper"' --set limits.max_connections=1000
	is_served
	attack
	wait_until grep -q 'corrupted counters: it reports 5000 open connections' "$YODELD_LOG"
	wait_until is_served
	is_served
	[ "$(pid_of_slot 1)" = "$VICTIM" ]
}

@test "a worker that reports no connections is not given those of others" {
	start_with open=0 '"reply": "upper"'
	hold 400
	attack
	sleep 0.1
	control rebalance
	local given
	given=$(connections_of "$(pid_of_slot 0)")
	echo "worker 0 has $given of 400 connections"
	# Half of them, and the descriptors that are not connections.
	[ "$given" -le 250 ]
	ask_held
	[ "$output" = "served 400 of 400, closed 0" ]
}

@test "a worker that shuts down its listening sockets cannot stop its slot accepting" {
	start_with shutdown '"reply": "upper"'
	hold 30
	attack
	wait_until grep -q 'shut down by a worker: listening again' "$YODELD_LOG"
	# Each slot gets its share again.
	gets_connections() # SLOT
	{
		"$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 20 >/dev/null
		control --json workers | python3 -c 'import json, sys
before = int(sys.argv[2])
w = next(w for w in json.load(sys.stdin)["workers"] if w["slot"] == int(sys.argv[1]))
sys.exit(w["connections_accepted"] <= before)' "$1" "$2"
	}
	accepted_by() # SLOT
	{
		control --json workers | python3 -c 'import json, sys
print(next(w["connections_accepted"] for w in json.load(sys.stdin)["workers"] if w["slot"] == int(sys.argv[1])))' "$1"
	}
	local slot
	for slot in 0 1; do
		wait_until gets_connections $slot "$(accepted_by $slot)"
	done
	control reload
	for slot in 0 1; do
		wait_until gets_connections $slot "$(accepted_by $slot)"
	done
	ask_held
	[ "$output" = "served 30 of 30, closed 0" ]
}

@test "sockets in blocking mode do not hang the worker that receives them" {
	start_with sockets '"reply": "fixed=0123456789", "framing": "line"' \
		--set security.seccomp=off --set timeouts.hung=5s --set limits.max_pending=8M
	# Peers that do not read: the replies fill their socket and wait in the worker.
	cat >deaf.py <<-'END'
		import socket, sys
		peers = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(8)]
		for peer in peers:
		    peer.setblocking(False)
		    try:
		        while True:
		            peer.send(b"\n" * 65536)
		    except BlockingIOError:
		        pass
		print("deaf", flush=True)
		sys.stdin.readline()
	END
	mkfifo wait
	spawn deaf sh -c "exec python3 deaf.py $PORT <wait"
	exec {hold_open}<>./wait
	[ -n "$hold_open" ]
	wait_until grep -q deaf deaf.out
	attack
	sleep 0.1
	control reload
	local _
	for _ in {1..8}; do
		[ "$("$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" 'x\n')" = "'0123456789\\n'" ]
	done
	# They are closed with unsent replies.
	kill "$(<deaf.pid)"
	control reload
	for _ in {1..8}; do
		[ "$("$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" 'x\n')" = "'0123456789\\n'" ]
	done
	[ "$(grep -cE 'hung|died' "$YODELD_LOG")" = 0 ]
}

# Runs yodeld with a /dev in which /dev/log is the test's socket.
start_with_syslog() # ATTACK
{
	mkdir dev
	cat >syslog.py <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		print("bound", flush=True)
		while True:
		    print(s.recv(4096), flush=True)
	END
	spawn syslog python3 syslog.py dev/log
	spawn victim python3 syslog.py victim.sock
	wait_until grep -q bound syslog.out
	wait_until grep -q bound victim.out
	cat >private_dev <<-'END'
		#!/bin/sh -e
		for name in null zero random urandom tty; do
			touch dev/$name
			mount --bind /dev/$name dev/$name
		done
		mount --bind dev /dev
		exec "$@"
	END
	chmod +x private_dev
	YODELD_RUN="unshare --mount --propagation private $PWD/private_dev" \
		start_with "$1" '"reply": "upper"' --set log.syslog=true --set log.level=debug \
		--set log.console_level=debug
}

@test "a worker that logs to syslog cannot send to another datagram socket" {
	needs root
	start_with_syslog datagram
	wait_until grep -q 'worker 0: serving' syslog.out
	attack
	wait_until grep -q '^attack: ' "$YODELD_LOG"
	# Lines of workers also arrive after a reload, an upgrade and a new log socket.
	control reload
	control upgrade
	kill -USR1 "$YODELD_PID"
	is_served
	wait_until grep -q 'worker [01]: connection 127.0.0.1:.* closed' syslog.out
	[ "$(<victim.out)" = bound ]
	# The check can fail: this socket is reachable.
	python3 -c 'import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", "victim.sock")'
	wait_until grep -q "b'x'" victim.out
}

@test "a worker that floods syslog with forged lines neither stops the master nor gets them there" {
	needs root
	start_with_syslog log
	wait_until grep -q 'worker 0: serving' syslog.out
	attack
	wait_until grep -q 'malformed line to the log: dropped' syslog.out
	wait_until grep -qF '<30>red ?[31m' syslog.out
	is_served
	control scale 3
	control upgrade
	control reload
	is_served
	# Honest workers are heard again.
	wait_until grep -q 'generation 3' syslog.out
	[ "$(grep -cE '<0>|forged|second|\\x1b|\\xff|\\x00' syslog.out)" = 0 ]
	[ "$(grep -cE 'hung|died' "$YODELD_LOG")" = 0 ]
}
