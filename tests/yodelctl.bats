#!/usr/bin/env bats
# yodelctl: what it prints, its live view, its exit status.
# shellcheck disable=SC2030,SC2031 # ADMIN is of one test

load lib/helpers
load lib/admin

@test "yodelctl: 64 for bad usage, 69 when nobody answers, each with one line" {
	ADMIN=$PWD/none
	run -69 ctl status
	[[ $output = "yodelctl: $ADMIN: no yodeld answers there: no such file; the admin.socket of"* ]]
	[ "${#lines[@]}" = 1 ]
	ADMIN=$PWD/$(printf '%0300d' 0)
	run -69 ctl status
	[[ $output = "yodelctl: $PWD/0000"*': no path of a socket is as long' ]]
	run -64 ctl
	run -64 ctl nonsense
	[[ $output = *'unknown command "nonsense"; wanted one of status'* ]]
	run -64 ctl statu
	[ "$output" = 'yodelctl: unknown command "statu"; did you mean "status"?' ]
	run -64 ctl --jsn stats
	[ "$output" = 'yodelctl: unknown option "--jsn"; did you mean "--json"?' ]
	run -64 ctl scale
	run -64 ctl status more
	run -64 ctl status more still
	run -64 ctl log 'a b'
	run -64 ctl log loud
	[ "$output" = 'yodelctl: log: found "loud", wanted a level: error, warn, info or debug' ]
	run -64 ctl scale 2x
	[ "$output" = 'yodelctl: scale: found "2x", wanted a number of workers' ]
	run -64 ctl scale 1000000
	run -64 ctl --json top
	[ "$output" = 'yodelctl: top: has no JSON (stats has); wanted without --json' ]
	run -64 ctl top -n x
	run -64 ctl top -i 0
	run -0 "$YODELCTL" --help
	[[ $output = *'Commands that change it'* ]]
	run -0 "$YODELCTL" --version
}

@test "yodelctl waits no longer than --timeout, also for a server that lets nobody in" {
	spawn full python3 -c 'import socket, time
s, c = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
s.bind("full"); s.listen(0); c.connect("full"); print("full", flush=True); time.sleep(120)'
	wait_until grep -q full full.out
	local command
	for command in status top; do
		run -69 timeout 8 "$BUILD/yodelctl" -s "$PWD/full" --timeout 0.2 $command
		[ "$output" = "yodelctl: $PWD/full: no yodeld answers there: no answer within the time" ]
	done
	# What was never asked for does not go on.
	run -69 timeout 8 "$BUILD/yodelctl" -s "$PWD/full" --timeout 0.2 reload
	[ "$output" = "yodelctl: $PWD/full: no yodeld answers there: no answer within the time" ]
}

@test "yodelctl: what cannot be written to standard output has failed" {
	start_with_admin --listen 127.0.0.1:0=echo
	local command
	for command in status '--json stats' 'top -n 1' 'log info' '--json log info'; do
		# shellcheck disable=SC2086 # words
		run -1 ctl_to_full $command
		[ "$output" = 'yodelctl: standard output cannot be written' ]
	done
}

ctl_to_full() # COMMAND...
{
	ctl "$@" >/dev/full
}

@test "yodelctl: who stops it and goes on with it gets the answer" {
	start_with_admin --listen 127.0.0.1:0=echo
	kill -STOP "$YODELD_PID"
	spawn asking "$YODELCTL" -s "$ADMIN" --json stats
	local pid
	pid=$(<asking.pid)
	is_in_state() # STATE
	{
		[[ $(</proc/"$pid"/stat) = *') '"$1"' '* ]]
	}
	wait_until is_in_state S
	kill -STOP "$pid"
	wait_until is_in_state T
	kill -CONT "$pid"
	wait_until is_in_state S
	kill -CONT "$YODELD_PID"
	wait "$pid"
	grep -q connections_accepted asking.out
}

@test "yodelctl: tables for people, JSON for programs" {
	start_with_admin --listen 127.0.0.1:0=echo
	"$YODEL" -q -c 1234 "127.0.0.1:$PORT"
	run ctl status
	[[ $output = *"process $YODELD_PID, is running: generation 1"*'2 of 2 workers serve'* ]]
	run ctl stats
	[[ $output = *'connections_accepted'*' 1,234'*'messages_received'*' 3,702'*"127.0.0.1:$PORT"* ]]
	run ctl workers
	[ "$(grep -c ' serving ' <<<"$output")" = 2 ]
	local command
	for command in status stats workers config; do
		ctl --json $command | python3 -m json.tool >/dev/null
	done
	# Who only leaves is none of the workers that are wanted.
	ctl --no-wait scale 1
	[[ $(ctl status) = *'1 of 1 workers serve'* ]]
}

@test "a reply with control characters is one line of a table and of the log, as a file would say it" {
	start_with_admin --listen '127.0.0.1:0=echo,suffix=\n\u001b[7m'
	grep -qF ':'"$PORT"' (echo,suffix=\n\u001b[7m, stream, ' "$YODELD_LOG"
	[ "$(ctl stats | grep -cE "^127.0.0.1:$PORT +.* echo,suffix=.n.u001b.7m, stream\$")" = 1 ]
}

@test "yodelctl top: views one after the other where there is no terminal" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 ctl top -n 3 -i 0.1
	[ "$(grep -c '^yodeld ' <<<"$output")" = 3 ]
	[ "$(grep -cE '^LISTENER +OPEN +NEW/S +MESSAGES/S +WAITING +OF +DROPPED/S$' <<<"$output")" = 3 ]
	[ "$(grep -cE "^127.0.0.1:$PORT +0 +0 +0 +0 +[0-9,]+ +0$" <<<"$output")" = 3 ]
	[[ $output != *$'\e'* ]]
	# A terminal of 80 columns cuts off no column, that of what was dropped least of all.
	{ echo "$output" && ctl workers; } | awk '
		/^SLOT|^LISTENER| serving |^127/ { rows++; if (length > 80) exit 1 }
		END { exit rows < 15 }'
}

@test "yodelctl top: the terminal is as it was, whatever ends it" {
	start_with_admin --listen 127.0.0.1:0=echo
	local key
	[ "$("$ADMIN_CLIENT" terminal q "$YODELCTL" -s "$ADMIN" top)" = $'restored\n0' ]
	for key in SIGINT SIGTERM SIGHUP SIGQUIT SIGABRT; do
		[ "$("$ADMIN_CLIENT" terminal $key "$YODELCTL" -s "$ADMIN" top)" = $'restored\n'$key ]
	done
	[ "$("$ADMIN_CLIENT" terminal nothing "$YODELCTL" -s "$ADMIN" top -n 2 -i 0.1)" = $'restored\n0' ]
}

@test "yodelctl top: another size is drawn at once, a key that means nothing hurries nothing" {
	start_with_admin --listen 127.0.0.1:0=echo
	[ "$("$ADMIN_CLIENT" views aXq "$YODELCTL" -s "$ADMIN" top -n 2 -i 1000)" = 1 ]
	[ "$("$ADMIN_CLIENT" views resize "$YODELCTL" -s "$ADMIN" top -i 1000)" = 2 ]
}

@test "yodelctl top: a row as wide as the terminal keeps its last column" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 "$ADMIN_CLIENT" full_rows "$YODELCTL" -s "$ADMIN" top -n 1
	local full erased
	read -r full erased <<<"$output"
	[ "$full" -ge 3 ] # workers and their head
	[ "$erased" = 0 ]
}

@test "yodelctl top: a terminal that can only print gets views one after the other" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 "$ADMIN_CLIENT" dumb "$YODELCTL" -s "$ADMIN" top -n 2 -i 0.1
	[ "$(grep -c '^yodeld ' <<<"$output")" = 2 ]
	[[ $output = *'closed:  none'* && $output != *$'\e'* ]]
}

@test "yodelctl: an answer that is none is not shown as a server with nothing" {
	spawn sick python3 -c 'import socket
s = socket.socket(socket.AF_UNIX)
s.bind("sick"); s.listen(); print("sick", flush=True)
while True:
    c = s.accept()[0]
    c.recv(4096)
    c.sendall(b"HTTP/1.1 500 Sick\r\n\r\n{}")
    c.close()'
	wait_until grep -q sick sick.out
	local command
	for command in status top; do
		run -1 "$YODELCTL" -s "$PWD/sick" $command
		[ "$output" = 'yodelctl: HTTP status 500' ]
	done
}

@test "yodelctl top: a server that ends is told, with 69" {
	start_with_admin --listen 127.0.0.1:0=echo
	spawn top "$YODELCTL" -s "$ADMIN" top -i 0.1
	local top=$SPAWNED status=0
	wait_until grep -q SLOT top.out
	stop_yodeld INT
	wait "$top" || status=$?
	[ $status = 69 ]
	# It may end before a view or in the middle of an answer.
	[ "$(grep -c "^yodelctl: $ADMIN: ." top.log)" = 1 ]
}
