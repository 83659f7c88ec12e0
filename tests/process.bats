#!/usr/bin/env bats
# Start and exit of yodeld's processes, and its exit status.

load lib/helpers

# The connections of a process: its sockets without listeners and internal ones.
sockets_of() # PID
{
	find "/proc/$1/fd" -mindepth 1 -lname 'socket:*' | wc -l
}

@test "the log says where the server listens and when it is ready" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper --listen '[::1]:0=echo'
	grep -qE "yodeld\[$YODELD_PID\]: listening on 127.0.0.1:[0-9]+ \(upper, stream, 2 sockets\)$" \
		"$YODELD_LOG"
	grep -qE 'listening on \[::1\]:[0-9]+ \(echo, stream, 2 sockets\)$' "$YODELD_LOG"
	grep -qE "yodeld\[$YODELD_PID\]: ready: 2 workers, 2 listeners$" "$YODELD_LOG"
	[ "$(worker_pids | wc -l)" = 2 ]
}

@test "each worker holds only its own listening sockets" {
	start_yodeld --workers 3 --listen 127.0.0.1:0=upper
	local pid
	awk '$4 == "0A" { print $10 }' /proc/net/tcp | sort >listening
	for pid in $(worker_pids); do
		find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' |
			sort >held
		[ "$(comm -12 listening held | wc -l)" = 1 ]
	done
}

@test "a worker that is killed is replaced, and all connections are answered again" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	local old new
	old=$(worker_pids)
	# shellcheck disable=SC2086 # ids are words
	kill -KILL $old
	replaced()
	{
		new=$(worker_pids)
		[ "$(wc -l <<<"$new")" = 2 ] &&
			[ -z "$(comm -12 <(sort <<<"$old") <(sort <<<"$new"))" ]
	}
	wait_until replaced
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200
	[ "$output" = "answered 200, refused 0, reset 0, closed 0, silent 0" ]
	[ "$(grep -cE 'worker .*(killed|signal 9)' "$YODELD_LOG")" -ge 2 ]
}

@test "connections in the accept queue of a killed worker are served by its successor" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	local worker
	worker=$(worker_pids)
	kill -STOP "$worker"
	spawn waiting "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 400
	queue_holds_400() # ss shows an accept queue as the listener's receive queue
	{
		[ "$(ss -Hltn "sport = :$PORT" | awk '{ n += $2 } END { print n }')" = 400 ]
	}
	wait_until queue_holds_400
	kill -KILL "$worker"
	wait "$(<waiting.pid)"
	[ "$(<waiting.out)" = "answered 400, refused 0, reset 0, closed 0, silent 0" ]
}

@test "a worker killed under load: yodel counts exactly the connections that it held" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper --set survive_crashes=false
	local victim own held status=0
	victim=$(worker_pids | head -n 1)
	own=$(sockets_of "$victim")
	spawn load "$YODEL" -c 200 -d 4s -w 1 --json result.json "127.0.0.1:$PORT"
	victim_is_loaded()
	{
		local total=0 pid
		for pid in $(worker_pids); do
			total=$((total + $(sockets_of "$pid") - own))
		done
		[ $total -ge 200 ]
	}
	wait_until victim_is_loaded
	kill -STOP "$victim"
	held=$(($(sockets_of "$victim") - own))
	kill -KILL "$victim"
	wait "$(<load.pid)" || status=$?
	echo "the worker held $held connections"
	cat load.out
	[ $held -gt 0 ]
	[ $status = 1 ]
	python3 - "$held" <<-'END'
		import json, sys
		held, result = int(sys.argv[1]), json.load(open("result.json"))
		m = result["messages"]
		lost = m["lost"]
		assert m["sent"] == m["verified"] + m["wrong"] + sum(lost.values()) + m["in_flight"], m
		assert m["wrong"] == 0, m
		assert m["verified"] > 1000, m
		# One message at a time: each lost connection loses its message in flight.
		assert lost["timeout"] == 0 and lost["reset"] + lost["closed"] == held, (held, m)
	END
}

@test "TERM drains: a message in transit is answered, and the exit status is 0" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper --set timeouts.drain=10s
	spawn load "$YODEL" -c 20 -n 2000 -q --json result.json "127.0.0.1:$PORT"
	"$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" a
	stop_yodeld TERM
	wait "$(<load.pid)" || :
	python3 - <<-'END'
		import json
		m = json.load(open("result.json"))["messages"]
		assert m["wrong"] == 0, m
	END
}

@test "TERM waits for an idle connection no longer than timeouts.drain" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper --set timeouts.drain=1s
	spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 5
	wait_until grep -q holding quiet.out
	local before=$SECONDS
	stop_yodeld TERM
	[ $((SECONDS - before)) -le 15 ] # of the 30 that are the default
}

@test "INT and QUIT stop at once, with connections open" {
	local signal
	for signal in INT QUIT; do
		start_yodeld --workers 2 --listen 127.0.0.1:0=upper --set timeouts.drain=60s
		spawn quiet "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 5
		wait_until grep -q holding quiet.out
		local before=$SECONDS
		stop_yodeld $signal
		[ $((SECONDS - before)) -le 30 ]
	done
}

@test "workers exit after their master was killed" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	local workers
	workers=$(worker_pids)
	kill -KILL "$YODELD_PID"
	# shellcheck disable=SC2086 # ids are words
	wait_until have_ended $workers
}

@test "a second yodeld on the same address fails with 71 and says why" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	run -71 "$YODELD" --listen "127.0.0.1:$PORT=upper"
	[[ $output = *"127.0.0.1:$PORT"*"in use"* ]]
	run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 100
}

@test "a port in use by another program fails with 71 and says why" {
	start_faulty_server none
	run -71 "$YODELD" --listen "127.0.0.1:$FAULTY_SERVER_PORT=upper"
	[[ $output = *"127.0.0.1:$FAULTY_SERVER_PORT"*"in use"* ]]
}

@test "a control socket in a missing directory fails with 71 and names the remedy" {
	run -71 "$YODELD" --listen 127.0.0.1:0 --set "admin.socket=$PWD/none/admin_socket"
	[[ $output = *"admin: $PWD/none/admin_socket: no such directory; create it or choose another path" ]]
}

@test "an address that this host does not have fails with 71 and is named" {
	run -71 "$YODELD" --listen 192.0.2.1:10000=upper
	[[ $output = *192.0.2.1:10000* ]]
}

@test "bad usage is 64, with one line that says what was expected" {
	refused() # LINE OPTION...
	{
		run -64 "$YODELD" "${@:2}"
		[ "$output" = "yodeld: $1" ] || { echo "$output"; false; }
	}
	refused 'unknown option "--no-such-flag" (see --help)' --no-such-flag
	refused 'unknown option "--lisen"; did you mean "--listen"?' --lisen=127.0.0.1:0
	refused 'unknown option "-x" (see --help)' -vx
	refused 'ambiguous option "--print": expected one of --print-config, --print-schema' --print
	refused '--listen: missing argument: expected ADDRESS[=REPLY]' -v -l
	refused '--check: takes no argument' --check=yes
	refused 'unexpected operand "extra" (see --help)' extra
}

@test "a bad configuration exits with 78 and opens nothing" {
	echo '{ "listeners": [ { "address": "127.0.0.1:70000" } ] }' >bad.json
	run -78 "$YODELD" -c bad.json
	[[ $output = *70000* ]]
	run -78 "$YODELD" --check -c bad.json
	run -78 "$YODELD" -c no-such-file.json
	[[ $output = *no-such-file.json* ]]
}

@test "--check of a good configuration exits with 0 while the port is in use" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	run -0 "$YODELD" --check --listen "127.0.0.1:$PORT=upper"
}

@test "--help and --version print to stdout and exit with 0" {
	local option
	run -0 --separate-stderr "$YODELD" --help
	[[ $output = *--listen*"Exit status: 0 stopped on request"* ]]
	[ -z "$stderr" ]
	run -0 --separate-stderr "$YODELD" --version
	[[ $output = yodeld* ]]
	for option in --help --version; do
		run -74 bash -c "'$YODELD' $option >/dev/full"
	done
}
