#!/usr/bin/env bats
# Admin listeners with many connections, and dual-stack sockets of a .socket unit.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

answers_all() # N
{
	[ "$("$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" "$1")" = \
		"answered $1, refused 0, reset 0, closed 0, silent 0" ]
}

# open_admin_connections KIND N - holds N connections to admin.address open: idle after a
# response ("served"), silent from the start ("silent"), or with half a request ("partial").
open_admin_connections()
{
	cat >"admin_$1.py" <<-'END'
		import socket, sys, time
		kind, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
		peers = []
		for _ in range(count):
		    peer = socket.create_connection(("127.0.0.1", port))
		    if kind == "served":
		        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		        peer.recv(65536)
		    elif kind == "partial":
		        peer.sendall(b"GET /healthz HT")
		    peers.append(peer)
		print("open", flush=True)
		time.sleep(300)
	END
	spawn "admin_$1" python3 "admin_$1.py" "$1" "$2" "$ADMIN_PORT"
	wait_until grep -q open "admin_$1.out"
}

start_with_admin_address()
{
	ADMIN_PORT=$(free_port)
	start_yodeld -l 127.0.0.1:0 -w 1 --set admin.socket= --set "admin.address=127.0.0.1:$ADMIN_PORT"
}

# Each of 5 probes is answered within its time limit.
probes_are_answered()
{
	local _
	for _ in {1..5}; do
		[ "$(curl -sf -m 15 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$ADMIN_PORT/healthz")" = 200 ]
	done
}

@test "idle connections to admin.address make room for probes" {
	start_with_admin_address
	for kind in served silent partial; do
		open_admin_connections $kind 64
		probes_are_answered
	done
}

@test "connections to admin.address that are accepted at once make room for probes" {
	start_with_admin_address
	kill -STOP "$YODELD_PID"
	open_admin_connections silent 120
	kill -CONT "$YODELD_PID"
	probes_are_answered
}

@test "connections that do not read their responses leave room for probes" {
	start_with_admin_address
	cat >greedy.py <<-'END'
		import socket, sys, time
		peers = []
		for _ in range(64):
		    peer = socket.socket()
		    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		    peer.connect(("127.0.0.1", int(sys.argv[1])))
		    peer.setblocking(False)
		    try:
		        for _ in range(10):
		            peer.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
		    except BlockingIOError:
		        pass
		    peers.append(peer)
		print("open", flush=True)
		time.sleep(300)
	END
	spawn greedy python3 greedy.py "$ADMIN_PORT"
	wait_until grep -q open greedy.out
	probes_are_answered
}

# Executes a command with one dual-stack listening socket of that port, as systemd opens it
# for ListenStream=PORT.
with_dual_stack_socket() # PORT COMMAND...
{
	cat >dual_stack.py <<-'END'
		import os, socket, sys
		listener = socket.socket(socket.AF_INET6)
		listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		listener.bind(("::", int(sys.argv[1])))
		listener.listen(4096)
		listener.set_inheritable(True)
		holder = os.fork() # as systemd, it keeps the socket open
		if holder == 0:
		    null = os.open(os.devnull, os.O_RDWR)
		    for fd in 0, 1, 2:
		        os.dup2(null, fd)
		    os.execvp("sleep", ["sleep", "20"])
		if listener.fileno() != 3:
		    os.dup2(listener.fileno(), 3, inheritable=True)
		    listener.set_inheritable(False)
		os.environ["LISTEN_FDS"] = "1"
		os.environ["LISTEN_PID"] = str(os.getpid())
		os.environ["LISTEN_FDNAMES"] = "yodeld.socket"
		os.execv(sys.argv[2], sys.argv[2:])
	END
	echo "python3 $PWD/dual_stack.py $1"
}

@test "a dual-stack socket of a unit serves the IPv4 wildcard" {
	PORT=$(free_port)
	YODELD_RUN=$(with_dual_stack_socket "$PORT") start_yodeld -l "*:$PORT" -w 2 --set admin.socket=
	answers_all 100
	[ "$(ss -Hltn "sport = :$PORT" | wc -l)" = 1 ]
}

@test "a socket of a unit that holds the port of another listener is named" {
	PORT=$(free_port)
	# shellcheck disable=SC2046 # words of a command
	run ! $(with_dual_stack_socket "$PORT") "$YODELD" -l "127.0.0.1:$PORT" -w 2 --set admin.socket=
	[[ $output = *"no listener is configured for the passed socket [::]:$PORT: closed"* ]]
	[[ $output = *"cannot bind 127.0.0.1:$PORT: Address already in use; a process listens on [::]:$PORT of user id $(id -u)"* ]]
}
