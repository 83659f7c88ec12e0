#!/usr/bin/env bats
# The admin listeners: permissions, HTTP, the socket file, slow and hostile clients.
# shellcheck disable=SC2030,SC2031 # ADMIN is of one test

load lib/helpers
load lib/admin

@test "the TCP admin listener is read-only" {
	start_with_admin --listen 127.0.0.1:0=echo
	local target
	for target in /reload '/scale?workers=1' /stop /upgrade '/log?level=debug'; do
		run ask POST "$target" "$ADMIN_ADDRESS"
		[[ $output = 403* ]]
	done
	[ "$(stat_of 's["last_change"]["number"]')" = 0 ]
}

@test "an unknown path is 404, a wrong method 405, a bad argument 400" {
	start_with_admin --listen 127.0.0.1:0=echo
	run ask GET /none
	[[ $output = 404*'expected one of /, /stats, /history, /workers, /metrics, /config, /healthz, /readyz'* ]]
	run ask POST /stats
	[[ $output = 405* ]]
	run ask GET /reload
	[[ $output = 405* ]]
	python3 - "$ADMIN" <<-'END'
		import socket, sys
		for request, allowed in (("POST /stats", "GET, HEAD"), ("GET /reload", "POST")):
		    with socket.socket(socket.AF_UNIX) as peer:
		        peer.connect(sys.argv[1])
		        peer.sendall(f"{request} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode())
		        answer = peer.makefile("rb").read().decode()
		        assert f"\r\nAllow: {allowed}\r\n" in answer, answer
	END
	run ask POST '/scale?workers=many'
	[[ $output = 400*'found \"many\", expected'* ]]
	run ask POST '/log?level=loud'
	[[ $output = 400*'found \"loud\", expected'* ]]
}

@test "HEAD is answered without a body, and the connection serves the next request" {
	start_with_admin --listen 127.0.0.1:0=echo
	printf 'HEAD /stats HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
		socat -t 5 - "UNIX-CONNECT:$ADMIN,shut-none" | tr -d '\r' >answer
	[ "$(grep -c '^HTTP/1.1 200 OK' answer)" = 2 ]
	grep -qE '^Content-Length: [0-9]{3,}$' answer
	[ "$(sed -n '/^$/,$p' answer | sed -n 2p)" = 'HTTP/1.1 200 OK' ]
	[ "$(tail -1 answer)" = ok ]
}

@test "the control socket has mode 0660 and its group, is not open in workers and is removed at exit" {
	start_with_admin --listen 127.0.0.1:0=echo --set "admin.group=$(id -gn)"
	[ "$(stat -c '%a %G' "$ADMIN")" = "660 $(id -gn)" ]
	local pid inode
	inode=$(awk -v path="$ADMIN" '$8 == path { print $7 }' /proc/net/unix)
	[ -n "$inode" ]
	for pid in $(worker_pids); do
		run find "/proc/$pid/fd" -lname "socket:\[$inode\]"
		[ -z "$output" ]
	done
	stop_yodeld TERM
	[ ! -e "$ADMIN" ]
}

@test "the socket file of a killed server is replaced, that of a running one is not" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -71 "$YODELD" --listen 127.0.0.1:0=echo --set "admin.socket=$ADMIN"
	[[ $output = *"another process listens on $ADMIN"* ]]
	ctl status
	kill -KILL "$YODELD_PID"
	wait_until has_ended "$YODELD_PID"
	[ -S "$ADMIN" ]
	start_with_admin --listen 127.0.0.1:0=echo
	ctl status
}

@test "of several servers that start at once on a stale socket file exactly one gets it" {
	local admin_socket=$BATS_TEST_TMPDIR/admin_socket name status expected
	for _ in 1 2 3 4 5; do
		rm -f "$admin_socket"
		python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$admin_socket"
		exec 9>gate
		flock 9
		start_when_released()
		{
			exec 9>&-
			flock -s gate true
			exec "$YODELD" --listen 127.0.0.1:0=echo --workers 1 --set "admin.socket=$admin_socket"
		}
		for name in a b c d; do spawn $name start_when_released; done
		exec 9>&-
		one_serves_alone()
		{
			[ "$(cat [a-d].log | grep -c ': ready: ')" = 1 ] &&
				[ "$(cat [a-d].log | grep -c "another process listens on $admin_socket")" = 3 ]
		}
		wait_until one_serves_alone
		for name in a b c d; do
			expected=71 status=0
			if grep -q ': ready: ' $name.log; then
				expected=0
				kill -INT "$(<$name.pid)"
			fi
			wait "$(<$name.pid)" || status=$?
			[ $status = $expected ]
		done
	done
}

@test "mode and group of the socket survive kills, reloads and upgrades" {
	local gid=12345
	[ "$(id -u)" = 0 ] || gid=$(id -g)
	chgrp "$gid" .
	chmod g+s . # what the service manager may have done
	write_file 2
	start_with_existing_file
	local group
	group=$(stat -c %g "$ADMIN")
	[ "$(stat -c '%a %g' "$ADMIN")" = "660 $(id -g)" ]
	ctl reload
	ctl upgrade
	[ "$(stat -c '%a %g' "$ADMIN")" = "660 $group" ]
	kill -KILL "$YODELD_PID"
	wait_until has_ended "$YODELD_PID"
	start_with_existing_file
	[ "$(stat -c '%a %g' "$ADMIN")" = "660 $group" ]
	ctl upgrade
	stop_yodeld TERM
	[ ! -e "$ADMIN" ]
}

@test "a socket without connect permission is not mistaken for a stale one" {
	needs root
	# Use a directory in which every user may create and remove files.
	local open
	open=$(mktemp -d /tmp/yodel-open.XXXXXX)
	chmod 0777 "$open"
	cp "$YODELD" "$open/yodeld"
	ADMIN=$open/admin_socket
	start_yodeld --workers 1 --listen 127.0.0.1:0 --set "admin.socket=$ADMIN"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$open/yodeld" --workers 1 \
		--listen 127.0.0.1:0 --set "admin.socket=$ADMIN"
	local complaint=$output
	[ "$status" = 71 ]
	run -0 ctl status
	stop_yodeld INT
	rm -r "$open"
	[[ $complaint = *"cannot find out whether a process listens on $ADMIN: Permission denied"* ]]
}

@test "a reload re-creates a deleted socket file" {
	start_with_config_file
	rm "$ADMIN"
	run -69 ctl status
	kill -HUP "$YODELD_PID"
	wait_until ctl status
	[ "$(stat -c %a "$ADMIN")" = 660 ]
	run -0 ctl reload
	# Closing the deleted socket does not remove the new file.
	wait_until admin_has_no_clients
	ctl status
	stop_yodeld TERM
	[ ! -e "$ADMIN" ]
}

@test "a master out of descriptors says so, keeps serving and recovers" {
	start_with_config_file
	local limit worker
	limit=$(prlimit --pid "$YODELD_PID" --nofile --noheadings --output HARD | tr -d ' ')
	prlimit --pid "$YODELD_PID" --nofile=3:"$limit"
	run -75 ctl --timeout 0.5 reload
	wait_until grep -q "http: cannot accept on $ADMIN: Too many open files" "$YODELD_LOG"
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'reload failed, the old configuration stays: server.json: Too many open files' "$YODELD_LOG"
	kill -USR2 "$YODELD_PID"
	wait_until grep -q 'upgrade failed: Too many open files' "$YODELD_LOG"
	"$YODEL" -q "127.0.0.1:$PORT"
	worker=$(worker_pids | head -1)
	kill -KILL "$worker"
	wait_until grep -qE 'cannot fork worker [01]: Too many open files' "$YODELD_LOG"
	prlimit --pid "$YODELD_PID" --nofile="$limit:$limit"
	two_serve()
	{
		[[ $(ctl status) = *'2 of 2 workers serve'* ]]
	}
	wait_until two_serve
	[ "$(wc -l <"$YODELD_LOG")" -lt 60 ]
	ctl reload
	ctl upgrade
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "a regular file at the socket path is kept, and the server does not start" {
	echo precious >admin_socket
	run -71 "$YODELD" --listen 127.0.0.1:0=echo --set "admin.socket=$PWD/admin_socket"
	[[ $output = *'that is not a socket'* ]]
	[ "$(<admin_socket)" = precious ]
}

@test "a reload moves the control socket; a failed one changes nothing" {
	start_with_config_file
	sed -i "s|$BATS_TEST_TMPDIR/admin_socket|$BATS_TEST_TMPDIR/none/admin_socket|" server.json
	run -1 ctl reload
	[[ $output = *'none/admin_socket: no such directory'* ]]
	[ "$(stat_of 's["generation"]')" = 1 ]
	sed -i "s|/none/admin_socket|/moved|" server.json
	ctl reload
	run -69 ctl status
	[ ! -e admin_socket ]
	ADMIN=$BATS_TEST_TMPDIR/moved
	ctl status
}

@test "150 slow admin clients delay no request and use few descriptors" {
	start_with_admin --listen 127.0.0.1:0=echo
	spawn drip "$ADMIN_CLIENT" drip "$ADMIN_ADDRESS" 150
	wait_until grep -q dripping drip.out
	[ "$(open_descriptors "$YODELD_PID")" -lt 100 ]
	local before=${EPOCHREALTIME/./} worker
	ctl status
	ctl reload
	worker=$(stat_of 's["workers"][0]["pid"]')
	kill -KILL "$worker"
	replaced()
	{
		[ "$(stat_of 's["workers"][0]["restarts"] + s["workers"][1]["restarts"]')" = 1 ]
	}
	wait_until replaced
	[ $((${EPOCHREALTIME/./} - before)) -lt 10000000 ]
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "headers and bodies over the limit are refused" {
	start_with_admin --listen 127.0.0.1:0=echo
	long=$(head -c 20000 /dev/zero | tr '\0' x)
	printf 'GET /stats HTTP/1.1\r\nX: %s\r\n\r\n' "$long" |
		socat -t 5 - "UNIX-CONNECT:$ADMIN" >answer || : # it may be cut off
	[[ $(head -1 answer) != *' 200 '* ]]
	printf 'POST /reload HTTP/1.1\r\nContent-Length: 20000\r\n\r\n%s' "$long" |
		socat -t 5 - "UNIX-CONNECT:$ADMIN" >answer || : # it may be cut off
	[[ $(head -1 answer) != *' 200 '* ]]
	[ "$(stat_of 's["last_change"]["number"]')" = 0 ]
}
