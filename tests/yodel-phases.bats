#!/usr/bin/env bats
# The pacing of yodel's load: when messages are sent, and connections opened and closed.

load lib/helpers
load lib/client

@test "lockstep rounds are synchronised across processes" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 64 -w 4 -n 200 --lockstep "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 12800'
}

@test "the open loop sends at the requested rate, and warm-up is separate" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 20 -R 2k -d 1s --warmup 300ms --size 64 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["sent"] == 2000 and m["verified"] == 2000 and t["send_lag"]["count"] == 2000'
	run_yodel -c 20 -R 2k -d 1s --arrivals poisson --size 64 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches '1800 < m["sent"] < 2200'
	run_yodel -c 20 --interval 100ms -n 5 --size 64 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["sent"] == 100 and r["elapsed_s"] > 0.4'
}

@test "messages unanswered at the end of the drain are lost, with their age" {
	start_faulty_server silent
	run_yodel -c 4 -R 40 -d 500ms --drain 300ms --timeout 10s "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'm["sent"] == 20 and m["lost"]["timeout"] == 20 and t["age"]["max_ns"] > 500e6'
	# Without a drain yodel does not wait, not even for the --timeout of a minute.
	run_yodel -c 4 -R 40 -d 500ms --drain 0s --timeout 1m "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'm["lost"]["timeout"] >= 1 and t["age"]["max_ns"] < 30e9'
	# Losses of the warm-up are reported separately and excluded from all other counts.
	run_yodel -c 4 -R 40 -d 500ms --warmup 500ms --timeout 300ms "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'sum(r["warmup"]["lost"].values()) > 0 and t["age"]["count"] == lost'
}

@test "a due message that waits behind an answer is sent late, at the latest in the drain" {
	start_faulty_server late --time 0.4
	# Of 5 messages each that are due within half a second, the last waits for a drain.
	run_yodel -c 4 -R 40 -p 1 -d 500ms --size 64 --timeout 5s "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 0 ]
	result_matches 'm["due"] == m["sent"] == m["verified"] == 20 and not any("were due" in why for why in r["trust"]["reasons"])'
	result_matches 't["response"]["max_ns"] > 380e6 and t["response"]["count"] == 20'
	# A short drain is not enough for all: that is reported, and the counts add up.
	end_spawned
	rm faulty_server.out
	start_faulty_server silent
	run_yodel -c 4 -R 40 -p 1 -d 500ms --drain 200ms --timeout 5s "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'm["due"] == 20 and m["sent"] == 4 and m["lost"]["timeout"] == 4'
	result_matches 'any("20 messages were due, but only 4 were sent" in why for why in r["trust"]["reasons"])'
}

@test "a client that was stopped finds the answers that arrived in time" {
	start_yodeld --listen 127.0.0.1:0=upper
	spawn load "$YODEL" -q -c 600 -w 1 -d 1h --timeout 2s --json result.json "127.0.0.1:$PORT"
	local load=$SPAWNED generator status=0 since
	each_is_answered() { [ "$(ss -Htni state established "( dport = :$PORT )" | grep -c bytes_received)" -ge 600 ]; }
	wait_until each_is_answered
	generator=$(children_of "$load")
	# shellcheck disable=SC2086 # one word, with blanks around
	kill -STOP $generator
	since=$SECONDS
	# All but the connection in progress have an unread answer.
	are_answered() { [ "$(ss -Htn state established "( dport = :$PORT )" | awk '$1 > 0' | wc -l)" -ge 599 ]; }
	wait_until are_answered
	timeout_is_over() { [ $((SECONDS - since)) -gt 3 ]; }
	wait_until timeout_is_over
	kill -TERM "$load" # it will send no more
	# shellcheck disable=SC2086
	kill -CONT $generator
	wait "$load" || status=$?
	[ $status = 0 ]
	result_matches 'lost == 0 and c["lost"] == 0 and t["response"]["max_ns"] > 2e9'
}

@test "messages that fall due during a server outage count as due" {
	local how status address
	address=127.0.0.1:$(free_port) # the restarted server needs the same port
	start_yodeld --listen "$address=upper"
	for how in "-R 200" "--interval 20ms"; do
		# shellcheck disable=SC2086 # words are meant
		spawn load "$YODEL" -q -c 4 $how -d 4s --drain 200ms --json result.json "127.0.0.1:$PORT"
		local load=$SPAWNED
		four_connections_are_open() { [ "$(ss -Htn state established "( dport = :$PORT )" | wc -l)" -ge 4 ]; }
		wait_until four_connections_are_open
		stop_yodeld
		status=0
		wait "$load" || status=$?
		[ $status = 1 ]
		result_matches '796 <= m["due"] <= 800 and m["sent"] < 750 and r["trust"]["verdict"] == "invalid"'
		start_yodeld --listen "$address=upper"
	done
}

@test "a server that accepts and closes is not flooded with reconnects" {
	start_faulty_server close-all
	run_yodel -c 4 -R 20 -d 1s "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'm["verified"] == 0 and lost == m["sent"] > 0 and c["established"] < 200'
}

@test "short connections, closed by FIN and by RST, lose nothing" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 10 -n 50 --messages-per-connection 5 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 500 and c["established"] == 100 and c["reconnects"] == 90'
	result_matches 't["close"]["count"] == 100 and t["connect"]["count"] == 100'
	run_yodel -c 10 -n 50 --messages-per-connection 5 --close rst "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 500 and c["established"] == 100'
	run_yodel -c 10 -d 1s --lifetime 200ms "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches '10 <= c["reconnects"] <= 60 and m["wrong"] == 0'
}

# Runs yodel and a server in a network namespace, where no other program has connections.
alone() # [ARG...]
{
	# shellcheck disable=SC2016 # for the inner shell
	unshare -n bash -ec '
		ip link set lo up
		"$YODELD" --listen 127.0.0.1:7777=upper 2>server.out &
		for i in {1..500}; do (: </dev/tcp/127.0.0.1/7777) 2>/dev/null && break; sleep 0.05; done
		status=0
		"$YODEL" "$@" 127.0.0.1:7777 || status=$?
		kill $!
		wait $!
		exit $status' "$0" "$@"
}

@test "the ports of short connections stay in TIME_WAIT" {
	needs root
	# The client closed first.
	run -0 alone -c 10 -n 50 --messages-per-connection 1 --json result.json
	result_matches 'r["ports"]["held_max"] >= 490 and r["ports"]["time_wait_before"] < 10'
	result_matches 'r["ports"]["available"] > 1000 and r["ports"]["time_wait_max"] >= 490'
	[[ $output =~ "ports "[^$'\n']*" in use; in TIME_WAIT on this machine: " ]]
	run -0 alone -c 10 -n 50 --messages-per-connection 1 --close rst --json result.json
	result_matches 'r["ports"]["held_max"] < 490 and r["ports"]["time_wait_max"] < 10'
}

@test "connections are opened at the requested rate" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 50 -n 1 --connect-rate 100 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	# The rate is never exceeded; a busy machine may be slower.
	result_matches '20 < r["rates"]["connections_per_s"] < 125'
}

@test "the reconnect rate does not count the time before the start" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 4 -d 1s --messages-per-connection 5 --start-at +5s "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'r["rates"]["connections_per_s"] > 0.25 * c["established"] / r["elapsed_s"]'
}

@test "a ramp opens connections evenly and does not delay reconnects" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 10 -d 2s --ramp 500ms --messages-per-connection 5 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'c["reconnects"] > 60' # the ramp opens only 20 a second
	run_yodel -c 10 -d 1s --ramp 500ms --messages-per-connection 5 --connect-rate 40 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches '20 <= c["established"] <= 45'
	# During the ramp, too, reconnects are not delayed: due messages are sent.
	run_yodel -c 10 -d 1500ms --ramp 3s --messages-per-connection 5 -R 200 "127.0.0.1:$PORT"
	result_matches 'c["reconnects"] >= 30 and m["verified"] == m["due"] >= 290'
}

@test "no message is due on a connection that the ramp has not opened" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 10 -d 2s --interval 100ms --ramp 2s "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	# 20 on each connection that is open from the start, none on the last one.
	result_matches '0 < m["due"] == m["sent"] <= 150'
}

@test "in lockstep the first round waits for the last connection of a ramp" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 40 -n 4 --ramp 500ms "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 160 and c["established"] == 40'
}
