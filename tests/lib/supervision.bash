# shellcheck shell=bash
# shellcheck disable=SC2317 # functions that wait_until calls
# supervision.bash - for tests that change a yodeld under load: runs the load that must lose
# nothing, waits for states. Load it after helpers.

# Replaces YODELD by a script that starts it without capabilities, even as root.
without_capabilities()
{
	[ "$(id -u)" = 0 ] || return 0
	printf '%s\n' '#!/bin/sh' \
		"exec setpriv --bounding-set=-all --inh-caps=-all $YODELD \"\$@\"" >unprivileged
	chmod +x unprivileged
	YODELD=$PWD/unprivileged
}

# start_load NAME ARG... - runs yodel with these arguments until end_load.
start_load()
{
	local name=$1
	shift
	# shellcheck disable=SC2153 # set by helpers.bash
	spawn "$name" "$YODEL" -w 1 -d 300s -q --progress always --json "$name.json" "$@"
	wait_until_load_runs "$name"
}

# Waits until the load process, the child of yodel, has opened connections.
wait_until_load_runs() # NAME
{
	load_has_sockets()
	{
		local child
		child=$(children_of "$(<"$1.pid")")
		[ -n "$child" ] &&
			find "/proc/${child%% *}/fd" -lname 'socket:*' | grep -q .
	}
	wait_until load_has_sockets "$1"
}

# True when the progress lines (one each second) add up to at least 1,000 messages.
load_sent_enough() # NAME
{
	sed -nE 's/.* ([0-9,]+) messages\/s.*/\1/p' "$1.log" | tr -d , |
		awk '{ sum += $1 } END { exit sum < 1000 }'
}

# end_load NAME... - stops the loads; fails unless every connection was established, every
# message answered and every byte correct.
end_load()
{
	local name
	for name; do wait_until load_sent_enough "$name"; done
	for name; do kill -TERM "$(<"$name.pid")"; done
	for name; do
		wait "$(<"$name.pid")" || { cat "$name.log" "$YODELD_LOG" >&2; }
		check_load_result "$name.json" || {
			cat "$YODELD_LOG" >&2
			return 1
		}
	done
}

check_load_result() # FILE
{
	python3 - "$1" <<-'END'
		import json, sys
		result = json.load(open(sys.argv[1]))
		c, m = result["connections"], result["messages"]
		bad = {k: n for k, n in {**c["failed"], **m["lost"]}.items() if n}
		surplus, mismatches = result["bytes"]["surplus"], result["mismatches"]
		if c["lost"] or m["wrong"] or m["in_flight"] or bad or surplus or mismatches:
		    sys.exit(f"{sys.argv[1]}: connections {c}, messages {m}, "
		             f"{surplus} surplus bytes, {mismatches}")
		if m["sent"] != m["verified"] or m["sent"] < 10 * c["requested"]:
		    sys.exit(f"{sys.argv[1]}: too few messages verified: {m}")
	END
}

# True when no connection was established twice.
never_reconnected() # FILE
{
	python3 - "$1" <<-'END'
		import json, sys
		c = json.load(open(sys.argv[1]))["connections"]
		assert c["established"] == c["requested"], c
	END
}

# write_config KEYS - writes yodeld.json with one listener on PORT (a free port if unset) and
# these top-level keys.
write_config()
{
	PORT=${PORT:-$(free_port)}
	printf '{ "listeners": [ { "address": "127.0.0.1:%s" } ], "admin": { "socket": "" }, %s }\n' \
		"$PORT" "$1" >yodeld.json.new
	mv yodeld.json.new yodeld.json
}

logged() # REGEX
{
	grep -qE -- "$1" "$YODELD_LOG"
}

times_logged() # REGEX
{
	grep -cE -- "$1" "$YODELD_LOG" || :
}

# change SIGNAL REGEX - sends the signal and waits for a new matching line in the log.
change()
{
	local before
	before=$(times_logged "$2")
	kill -"$1" "$YODELD_PID"
	logged_again()
	{
		[ "$(times_logged "$1")" -gt "$2" ]
	}
	wait_until logged_again "$2" "$before"
}

reload()
{
	change HUP ': reload: generation [0-9]+ serves'
}

count_workers_is() # N
{
	[ "$(worker_pids | wc -l)" = "$1" ]
}

stop_workers()
{
	# shellcheck disable=SC2046 # pids are words
	kill -STOP $(worker_pids)
}

wait_for_worker_count() # N: worker processes, including those that drain
{
	wait_until count_workers_is "$1"
}

has_sockets() # N: sockets listen on PORT
{
	[ "$(ss -Hltn "sport = :$PORT" | wc -l)" = "$1" ]
}

queue_holds() # N [PORT]: connections wait to be accepted
{
	[ "$(ss -Hltn "sport = :${2:-$PORT}" | awk '{ n += $2 } END { print n + 0 }')" = "$1" ]
}

# fill_accept_queues NAME N [PORT] - opens N connections, which wait in the accept queues of
# stopped workers.
fill_accept_queues()
{
	spawn "$1" "$INDEPENDENT_CLIENT" burst --patience 60 "127.0.0.1:${3:-$PORT}" "$2"
	wait_until queue_holds "$2" "${3:-$PORT}"
}

assert_all_answered() # NAME N
{
	wait "$(<"$1.pid")"
	[ "$(<"$1.out")" = "answered $2, refused 0, reset 0, closed 0, silent 0" ] || {
		cat "$1.out" "$YODELD_LOG" >&2
		return 1
	}
}

# only_killed_workers_lost_connections NAME N - all N clients are answered, except at most as
# many as killed workers had accepted, according to the ledger (socket "admin_socket").
only_killed_workers_lost_connections()
{
	wait "$(<"$1.pid")"
	python3 - "$(<"$1.out")" "$2" <<-'END'
		import json, re, socket, sys
		with socket.socket(socket.AF_UNIX) as peer:
		    peer.connect("admin_socket")
		    peer.sendall(b"GET /stats HTTP/1.0\r\n\r\n")
		    answer = b"".join(iter(lambda: peer.recv(65536), b""))
		totals = json.loads(answer.partition(b"\r\n\r\n")[2])["totals"]
		held = totals["connections_closed"]["worker_lost"] + totals["accepts_cut_short"]
		answered, refused, reset, closed, silent = map(int, re.findall(r"\d+", sys.argv[1]))
		if answered + reset != int(sys.argv[2]) or reset > held:
		    sys.exit(f"{sys.argv[1]}; killed workers held {held}")
	END
}

# kill_new_workers COUNT KEEP... - kills COUNT workers, each as soon as it appears, except the
# pids KEEP.
kill_new_workers()
{
	kill_new_workers_until "$1" '' "${@:2}"
}

# kill_until_logged REGEX KEEP... - kills new workers until their log has a matching line: a
# worker that lived for some time, because this machine is busy, begins a new row of failures.
kill_until_logged()
{
	kill_new_workers_until 1000 "$@"
}

kill_new_workers_until() # COUNT REGEX KEEP...
{
	python3 - "$YODELD_PID" "$YODELD_LOG" "$@" <<-'END'
		import os, re, signal, sys, time
		master, log, count, regex = sys.argv[1:5]
		known = set(sys.argv[5:])
		count, deadline = int(count), time.monotonic() + 100
		def read(path):
		    try:
		        with open(path) as file:
		            return file.read()
		    except OSError: # it has ended
		        return ""
		def is_logged():
		    return regex and re.search(regex, read(log))
		while count > 0 and not is_logged():
		    if time.monotonic() > deadline:
		        sys.exit("kill_new_workers: too few workers were started")
		    for pid in read(f"/proc/{master}/task/{master}/children").split():
		        # The end of the one before has been logged when the next one exists.
		        if pid in known or count == 0 or is_logged() or \
		                read(f"/proc/{pid}/comm") in ("", "yodeld-keeper\n"):
		            continue
		        known.add(pid)
		        os.kill(int(pid), signal.SIGKILL)
		        while "State:\tZ" not in (read(f"/proc/{pid}/status") or "State:\tZ"):
		            time.sleep(0.001)
		        count -= 1
		    time.sleep(0.001)
	END
}
