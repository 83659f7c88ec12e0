#!/usr/bin/env bats
# run-checks: alone
#
# Performance settings: congestion control, busy polling.

load lib/helpers

hold() # COUNT
{
	spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" "$1"
	wait_until grep -q holding hold.out
}

# The congestion controls of the server's ends, each once.
congestion_in_use()
{
	ss -Htin "sport = :$PORT" | grep -oE '\b(reno|bbr|cubic)\b' | sort -u
}

@test "a listener has the congestion control that its configuration names" {
	local default
	default=$(</proc/sys/net/ipv4/tcp_congestion_control)
	start_yodeld_with '"reply": "echo", "congestion": "reno"'
	hold 3
	[ "$(congestion_in_use)" = reno ]
	end_spawned
	start_yodeld_with '"reply": "echo"'
	hold 3
	[ "$(congestion_in_use)" = "$default" ]
}

@test "a reload changes the congestion control of new connections, and back" {
	local default
	default=$(</proc/sys/net/ipv4/tcp_congestion_control)
	start_yodeld_with '"reply": "echo"'
	cp listener.json default.json
	change_to() # SED, NAME
	{
		sed "$1" default.json >listener.json
		kill -HUP "$YODELD_PID"
		has_changed()
		{
			"$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" x
			spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 1
			wait_until grep -q holding hold.out
			local found
			found=$(congestion_in_use)
			kill "$SPAWNED"
			[ "$found" = "$2" ]
		}
		wait_until has_changed "$@"
	}
	change_to 's/"reply"/"congestion": "reno", &/' reno
	change_to '' "$default"
}

@test "an unknown congestion control ends the start with 78 and fails a reload" {
	local available option
	available=$(</proc/sys/net/ipv4/tcp_available_congestion_control)
	for option in --verbose --check; do
		run -78 "$YODELD" $option -l 127.0.0.1:0=echo --set 'listeners[0].congestion=valley'
		[ "$output" = "yodeld: --set: listeners[0].congestion: found \"valley\", expected one of net.ipv4.tcp_available_congestion_control ($available)" ]
	done
	start_yodeld_with '"reply": "echo"'
	sed -i 's/"reply"/"congestion": "valley", &/' listener.json
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'reload failed, the old configuration stays: listener.json: listeners\[0\].congestion: found "valley", expected one of' "$YODELD_LOG"
	"$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" x
}

# Number of voluntary context switches of a process.
sleeps() # PID
{
	sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$1/status"
}

@test "events.spin: a worker with traffic does not sleep, one without costs nothing" {
	local spin worker before slept=()
	for spin in 0s 200ms; do
		start_yodeld -w 1 --listen 127.0.0.1:0=echo --set events.spin=$spin
		worker=$(worker_pids)
		before=$(sleeps "$worker")
		"$YODEL" -q -c 1 -w 1 --interval 10ms -n 100 --expect echo "127.0.0.1:$PORT"
		slept+=($(($(sleeps "$worker") - before)))
		end_spawned
	done
	echo "slept ${slept[*]} times in 100 messages"
	# On a busy machine a message may arrive before the worker sleeps.
	[ "${slept[1]}" -lt 20 ]
	[ $((slept[0] - slept[1])) -gt 25 ]
	start_yodeld -w 1 --listen 127.0.0.1:0=echo --set events.spin=200ms
	worker=$(worker_pids)
	"$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" x
	no_cpu_in_a_second()
	{
		local ticks
		ticks=$(cpu_ticks "$worker")
		sleep 1
		[ "$(cpu_ticks "$worker")" = "$ticks" ]
	}
	wait_until no_cpu_in_a_second
}

@test "yodel --spin: a generator that awaits answers does not sleep" {
	start_yodeld -w 1 --listen 127.0.0.1:0=echo
	local spin slept=()
	for spin in 0us 200ms; do
		slept+=("$(python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_nvcsw)' "$YODEL" -q -c 1 -w 1 \
			--interval 10ms -n 100 --spin $spin --expect echo "127.0.0.1:$PORT")")
	done
	echo "slept ${slept[*]} times in 100 messages"
	# The parent sleeps equally often in both.
	[ $((slept[0] - slept[1])) -gt 80 ]
}
