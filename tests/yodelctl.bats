#!/usr/bin/env bats
# yodelctl: its output, its live view, its exit status.
# shellcheck disable=SC2030,SC2031 # ADMIN is of one test

load lib/helpers
load lib/admin

@test "yodelctl: 64 for bad usage, 69 when no server answers, each with one line" {
	ADMIN=$PWD/none
	run -69 ctl status
	[ "$output" = "yodelctl: no yodeld is listening on $ADMIN; is it running? (other socket: -s PATH)" ]
	[ "${#lines[@]}" = 1 ]
	ADMIN=$PWD/$(printf '%0300d' 0)
	run -69 ctl status
	[[ $output = "yodelctl: $PWD/0000"*': cannot connect: File name too long' ]]
	run -64 ctl
	run -64 ctl nonsense
	[[ $output = *'unknown command "nonsense"; expected one of status, stats, workers, '* ]]
	run -64 ctl statu
	[ "$output" = 'yodelctl: unknown command "statu"; did you mean "status"?' ]
	run -64 ctl --jsn stats
	[ "$output" = 'yodelctl: unknown option "--jsn"; did you mean "--json"?' ]
	run -64 ctl scale
	run -64 ctl status more
	run -64 ctl status more still
	run -64 ctl log 'a b'
	run -64 ctl log loud
	[ "$output" = 'yodelctl: log: found "loud", expected a level: error, warn, info or debug' ]
	run -64 ctl scale 2x
	[ "$output" = 'yodelctl: scale: found "2x", expected a number of workers' ]
	run -64 ctl scale 1000000
	run -64 ctl --json top
	[ "$output" = 'yodelctl: top has no --json output; use stats' ]
	run -64 ctl top -n x
	run -64 ctl top -i 0
	run -0 "$YODELCTL" --help
	[[ $output = *'Commands that change it'* ]]
	run -0 "$YODELCTL" --version
}

@test "yodelctl waits no longer than --timeout, also for a server with a full accept queue" {
	spawn full python3 -c 'import socket, time
s, c = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
s.bind("full"); s.listen(0); c.connect("full"); print("full", flush=True); time.sleep(120)'
	wait_until grep -q full full.out
	local command
	for command in status top; do
		run -69 timeout 8 "$BUILD/yodelctl" -s "$PWD/full" --timeout 0.2 $command
		[ "$output" = "yodelctl: $PWD/full: cannot connect: Connection timed out" ]
	done
	# The request was never sent, so the server does not continue with it.
	run -69 timeout 8 "$BUILD/yodelctl" -s "$PWD/full" --timeout 0.2 reload
	[ "$output" = "yodelctl: $PWD/full: cannot connect: Connection timed out" ]
}

@test "yodelctl: a failed write to standard output is an error" {
	start_with_admin --listen 127.0.0.1:0=echo
	local command
	for command in status '--json stats' 'top -n 1' 'log info' '--json log info'; do
		# shellcheck disable=SC2086 # words
		run -1 ctl_to_full $command
		[ "$output" = 'yodelctl: cannot write to standard output' ]
	done
}

ctl_to_full() # COMMAND...
{
	ctl "$@" >/dev/full
}

@test "yodelctl: a request survives SIGSTOP and SIGCONT" {
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

@test "yodelctl: prints tables, or JSON with --json" {
	start_with_admin --listen 127.0.0.1:0=echo
	"$YODEL" -q -c 1234 "127.0.0.1:$PORT"
	run ctl status
	[[ $output = *"(pid $YODELD_PID): running, generation 1"*'2 of 2 workers serve'* ]]
	[[ $output = *$'\nlistening on 127.0.0.1:'"$PORT"* ]]
	ctl --json status | python3 -c 'import json, sys
assert [(l["transport"], l["tls"]) for l in json.load(sys.stdin)["listeners"]] == [("tcp", None)]'
	run ctl stats
	[[ $output = *'connections_accepted'*' 1,234'*'messages_received'*' 3,702'*"127.0.0.1:$PORT"* ]]
	run ctl workers
	[ "$(grep -c ' serving ' <<<"$output")" = 2 ]
	local command
	for command in status stats workers config; do
		ctl --json $command | python3 -m json.tool >/dev/null
	done
	# A draining worker is not counted.
	ctl --no-wait scale 1
	[[ $(ctl status) = *'1 of 1 workers serve'* ]]
}

@test "a reply with control characters is printed escaped on one line of a table and of the log" {
	start_with_admin --listen '127.0.0.1:0=echo,suffix=\n\u001b[7m'
	grep -qF ':'"$PORT"' (echo,suffix=\n\u001b[7m, stream, ' "$YODELD_LOG"
	[ "$(ctl stats | grep -cE "^127.0.0.1:$PORT +.* echo,suffix=.n.u001b.7m, stream\$")" = 1 ]
}

@test "yodelctl top: prints view after view when standard output is not a terminal" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 ctl top -n 3 -i 0.1
	[ "$(grep -c '^yodeld ' <<<"$output")" = 3 ]
	[ "$(grep -cE '^LISTENER +OPEN +NEW/S +MESSAGES/S +QUEUED +LIMIT +OVERFLOWS/S$' <<<"$output")" = 3 ]
	[ "$(grep -cE "^127.0.0.1:$PORT +0 +0 +0 +0 +[0-9,]+ +0$" <<<"$output")" = 3 ]
	[[ $output != *$'\e'* ]]
	# Every column fits a terminal of 80 columns.
	{ echo "$output" && ctl workers; } | awk '
		/^SLOT|^LISTENER| serving |^127/ { rows++; if (length > 80) exit 1 }
		END { exit rows < 15 }'
}

@test "yodelctl top: restores the terminal, whatever ends it" {
	start_with_admin --listen 127.0.0.1:0=echo
	local key
	[ "$("$ADMIN_CLIENT" terminal q "$YODELCTL" -s "$ADMIN" top)" = $'restored\n0' ]
	for key in SIGINT SIGTERM SIGHUP SIGQUIT SIGABRT; do
		[ "$("$ADMIN_CLIENT" terminal $key "$YODELCTL" -s "$ADMIN" top)" = $'restored\n'$key ]
	done
	[ "$("$ADMIN_CLIENT" terminal nothing "$YODELCTL" -s "$ADMIN" top -n 2 -i 0.1)" = $'restored\n0' ]
}

@test "yodelctl top: a resize redraws at once, other keys do not bring the next view forward" {
	start_with_admin --listen 127.0.0.1:0=echo
	[ "$("$ADMIN_CLIENT" views aXq "$YODELCTL" -s "$ADMIN" top -n 2 -i 1000)" = 1 ]
	[ "$("$ADMIN_CLIENT" views resize "$YODELCTL" -s "$ADMIN" top -i 1000)" = 2 ]
}

@test "yodelctl top: a row as wide as the terminal is complete" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 "$ADMIN_CLIENT" full_rows "$YODELCTL" -s "$ADMIN" top -n 1
	local full erased
	read -r full erased <<<"$output"
	[ "$full" -ge 3 ] # the workers and their heading
	[ "$erased" = 0 ]
}

@test "yodelctl top: prints view after view on a dumb terminal" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 "$ADMIN_CLIENT" dumb "$YODELCTL" -s "$ADMIN" top -n 2 -i 0.1
	[ "$(grep -c '^yodeld ' <<<"$output")" = 2 ]
	[[ $output = *'closed:  none'* && $output != *$'\e'* ]]
}

@test "yodelctl: an HTTP error is reported, not shown as an empty server" {
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

@test "yodelctl top: exits with 69 when the server exits" {
	start_with_admin --listen 127.0.0.1:0=echo
	spawn top "$YODELCTL" -s "$ADMIN" top -i 0.1
	local top=$SPAWNED status=0
	wait_until grep -q SLOT top.out
	stop_yodeld INT
	wait "$top" || status=$?
	[ $status = 69 ]
	# The server may exit before a view or in the middle of a reply.
	[ "$(grep -c "^yodelctl: .*$ADMIN" top.log)" = 1 ]
}
