#!/usr/bin/env bats
# Which clients are accepted: lists, limits for each address; and how clients are refused.

load lib/helpers

# The peer may see the close before it is logged.
closed_for() # REASON COUNT
{
	has_closed()
	{
		[ "$(grep -cE "closed: $1\$" "$YODELD_LOG")" -ge "$2" ]
	}
	wait_until has_closed "$1" "${2-1}"
}

# Sends a message from this source address: $output is "HELLO", or empty if refused.
ask_from() # ADDRESS
{
	run socat -t 20 - "TCP:127.0.0.1:$PORT,bind=$1" <<<hello
}

is_served_from()
{
	ask_from "$1"
	[ "$output" = HELLO ]
}

hold() # NAME COUNT
{
	spawn "$1" "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" "$2"
	wait_until grep -qF "holding $2" "$1.out"
}

# Sends a message on each held connection; the outcome is in $output.
ask_held() # NAME
{
	kill -USR1 "$(<"$1.pid")"
	wait_until grep -q served "$1.out"
	output=$(tail -n 1 "$1.out")
}

@test "deny takes precedence over allow" {
	start_yodeld_with '"reply": "upper", "allow": ["127.0.0.0/8"], "deny": ["127.0.0.2", "127.0.1.0/24"]' \
		--set log.level=debug
	is_served_from 127.0.0.1
	run ! is_served_from 127.0.0.2
	run ! is_served_from 127.0.1.77
	is_served_from 127.0.2.1
	closed_for denied 2
}

@test "a refused peer is reset and leaves no state in the kernel" {
	start_yodeld_with '"reply": "upper", "deny": ["127.0.0.1"]' -w 1 --set log.level=debug
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200
	[ "$output" = "answered 0, refused 0, reset 200, closed 0, silent 0" ]
	[ -z "$(ss -Htan "sport = :$PORT and state time-wait")" ]
	closed_for denied 200
}

@test "max_connections_per_address holds through a reload" {
	start_yodeld_with '"reply": "upper", "max_connections_per_address": 3' -w 1 \
		--set log.level=debug
	hold three 3
	run ! is_served_from 127.0.0.1
	closed_for address_limit
	is_served_from 127.0.0.2
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'generation 2 serves' "$YODELD_LOG"
	handed_over()
	{
		! [[ $(worker_pids) = *[0-9]*$'\n'*[0-9]* ]]
	}
	wait_until handed_over
	run ! is_served_from 127.0.0.1
	closed_for address_limit 2
	ask_held three
	[ "$output" = "served 3 of 3, closed 0" ]
	kill "$(<three.pid)"
	wait_until is_served_from 127.0.0.1
}

@test "an address above accept_rate is refused, others are served" {
	start_yodeld_with '"reply": "upper", "accept_rate": 20' -w 1 --set log.level=debug
	local start=$SECONDS
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200
	echo "$output"
	local answered=${output#answered }
	answered=${answered%%,*}
	# A burst of one second, then the configured rate for each second of the run.
	[ "$answered" -ge 20 ]
	[ "$answered" -le $(((SECONDS - start + 2) * 20)) ]
	closed_for accept_rate $((200 - answered))
	is_served_from 127.0.0.2
	wait_until is_served_from 127.0.0.1
}

# Opens connections from one address until ten are refused, and holds the others. For each
# line of input it prints how many are still served, and how many after opening more.
start_clients() # NAME ADDRESS
{
	cat >clients.py <<-'END'
		import socket, sys
		port, address = int(sys.argv[1]), sys.argv[2]
		def is_served(s, to=None):
		    try:
		        to and s.connect(to)
		        s.sendall(b"hello\n")
		        return s.recv(100) == b"HELLO\n"
		    except OSError:
		        return False
		held = []
		while True:
		    alive = [s for s in held if is_served(s)]
		    before, held, refused = len(alive), alive, 0
		    while refused < 10:
		        s = socket.socket()
		        s.settimeout(20)
		        s.bind((address, 0))
		        if is_served(s, ("127.0.0.1", port)):
		            held.append(s)
		        else:
		            refused += 1
		    print(before, len(held), flush=True)
		    sys.stdin.readline() or sys.exit()
	END
	mkfifo "$1.in"
	spawn "$1" sh -c "exec python3 clients.py $PORT $2 <$1.in"
	exec 4>"$1.in"
	wait_until clients_have_reported "$1" 1
}

clients_have_reported() # NAME TIMES
{
	[ "$(wc -l <"$1.out")" -ge "$2" ]
}

query_clients() # NAME
{
	local times
	times=$(wc -l <"$1.out")
	echo >&4
	wait_until clients_have_reported "$1" $((times + 1))
	tail -n 1 "$1.out"
}

@test "the limits of an address hold for all workers together, through crash, reload and upgrade" {
	local pid before i
	start_yodeld_with '"reply": "upper", "framing": "line", "max_connections_per_address": 8' \
		-w 3 --set admin.socket="$PWD/control.sock"
	# Short connections from another address, all the time.
	spawn load "$YODEL" -c 6 -d 300s --lifetime 50ms --source-ip 127.0.0.9 -q "127.0.0.1:$PORT"
	start_clients clients 127.0.0.7
	[ "$(tail -n 1 clients.out)" = "0 8" ]
	for i in 1 2 3; do
		pid=$(worker_pids | sed -n "${i}p")
		kill -KILL "$pid"
		wait_until -t 30 is_replaced "$pid"
		read -r before held <<<"$(query_clients clients)"
		echo "# connections of 8 that survived: $before; after reconnecting: $held" >&3
		[ "$held" = 8 ]
	done
	"$BUILD/yodelctl" -s control.sock reload
	[ "$(query_clients clients)" = "8 8" ]
	"$BUILD/yodelctl" -s control.sock upgrade
	[ "$(query_clients clients)" = "8 8" ]
	exec 4>&-
	kill "$(<load.pid)"
	wait_until have_ended "$(<load.pid)" "$(<clients.pid)"
	# Without connections the address has its full limit again.
	are_all_closed()
	{
		"$BUILD/yodelctl" -s control.sock --json stats | python3 -c 'import json, sys
sys.exit(json.load(sys.stdin)["totals"]["connections_open"] != 0)'
	}
	wait_until are_all_closed
	for i in 7 9; do
		start_clients "later$i" "127.0.0.$i"
		[ "$(tail -n 1 "later$i.out")" = "0 8" ]
		exec 4>&-
	done
}

is_replaced() # PID
{
	has_ended "$1" && [ "$(worker_pids | wc -l)" = 3 ] &&
		"$BUILD/yodelctl" -s control.sock --json stats | grep -c '"state": "serving"' | grep -qx 3
}

@test "accept_rate holds for all workers together" {
	start_yodeld_with '"reply": "upper", "accept_rate": 20' -w 4
	local start=$SECONDS answered
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 400
	echo "$output"
	answered=${output#answered }
	answered=${answered%%,*}
	[ "$answered" -ge 20 ]
	# The rate for each second, and a margin for accepts of several workers in one instant.
	[ "$answered" -le $(((SECONDS - start + 2) * 24)) ]
}

@test "two listeners of one server cannot be connected to each other" {
	start_yodeld -w 1 --listen 127.0.0.1:0=echo --listen 127.0.0.1:0=echo \
		--set log.level=debug
	run python3 - "${PORTS[@]}" <<-'END'
		import socket, sys
		one, other = map(int, sys.argv[1:])
		s = socket.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		s.bind(("127.0.0.1", one))
		s.connect(("127.0.0.1", other))
		s.settimeout(20)
		try:
		    print("got", s.recv(10))
		except ConnectionResetError:
		    print("reset")
	END
	[ "$output" = reset ]
	closed_for own_listener
	is_served_from_echo()
	{
		run "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" hello
		[ "$output" = "'hello'" ]
	}
	is_served_from_echo
}

# Connects from 127.0.0.1 in a loop for SECONDS, and holds what is served. Prints the greatest
# number that was open at a time, and the number that was served.
press() # SECONDS
{
	cat >press.py <<-'END'
		import select, socket, sys, time
		port, seconds = int(sys.argv[1]), float(sys.argv[2])
		held, most, served = {}, 0, 0
		end = time.monotonic() + seconds
		while time.monotonic() < end:
		    s = socket.socket()
		    s.settimeout(20)
		    try:
		        s.connect(("127.0.0.1", port))
		        s.sendall(b"hello\n")
		        if s.recv(100) == b"HELLO\n":
		            held[s.fileno()] = s
		            served += 1
		    except OSError:
		        pass
		    poller = select.poll()
		    for fd in held:
		        poller.register(fd, select.POLLIN)
		    for fd, _ in poller.poll(0):
		        held.pop(fd)
		    most = max(most, len(held))
		print(most, served)
	END
	python3 press.py "$PORT" "$1"
}

reload_until_gone() # PID
{
	while ! has_ended "$1"; do
		"$BUILD/yodelctl" -s control.sock reload >/dev/null
	done
}

@test "the limits of an address and of all hold while connections move between workers" {
	local key
	for key in listeners limits; do
		if [ $key = listeners ]; then
			start_yodeld_with '"reply": "upper", "max_connections_per_address": 100' -w 2 \
				--set admin.socket="$PWD/control.sock"
		else
			start_yodeld_with '"reply": "upper"' -w 2 --set admin.socket="$PWD/control.sock" \
				--set limits.max_connections=100
		fi
		spawn pressing bash -c "$(declare -f press); PORT=$PORT; press 2"
		reload_until_gone "$SPAWNED"
		cat pressing.out
		read -r most _ <pressing.out
		[ "$most" -ge 95 ]
		# The client connects one at a time, so no two workers accept in the same instant.
		[ "$most" -le 100 ]
		stop_yodeld
	done
}

@test "a reload does not renew the allowance of accept_rate" {
	start_yodeld_with '"reply": "upper", "accept_rate": 20' -w 2 --set admin.socket="$PWD/control.sock"
	local start=$SECONDS
	spawn pressing bash -c "$(declare -f press); PORT=$PORT; press 3"
	reload_until_gone "$SPAWNED"
	read -r _ served <pressing.out
	echo "served $served in $((SECONDS - start)) s"
	[ "$served" -ge 30 ]
	# Of one second more, and what workers accept in the same instant.
	[ "$served" -le $(((SECONDS - start + 2) * 22)) ]
}
