#!/usr/bin/env bats
# run-checks: alone
#
# Does yodel know when it was late itself, and only then? The truth comes from the server:
# lib/latency_server.c reports when each message arrived and was answered.

load lib/helpers
load lib/client

@test "the verdict is right for starved and for innocent clients, in all kinds of load" {
	local runs=20 jobs=4
	# With a sanitizer a starved client hardly gets to its start.
	! has_sanitizer || runs=5 jobs=1
	"$BATS_TEST_DIRNAME/verdict_runs" --runs $runs --jobs $jobs --seconds 2 --seed 1
}

start_latency_server() # LAW [OUTAGE...]
{
	spawn latency_server "$BUILD/tests/latency_server" "$@"
	wait_until grep -q . latency_server.out
	read -r LATENCY_SERVER_PORT <latency_server.out
}

@test "what waits for a connection or a free slot is not sent late" {
	start_latency_server fixed:2 --outage 0.5 0.5
	run_yodel -c 4 -R 200 -p 1 -d 2s --size 64 "127.0.0.1:$LATENCY_SERVER_PORT"
	[ "$status" = 0 ]
	# The outage is in blocked and in the response; send_lag hardly knows it.
	result_matches 't["blocked"]["max_ns"] > 350e6 and t["response"]["max_ns"] > 400e6'
	result_matches 't["send_lag"]["p90_ns"] < t["blocked"]["max_ns"] / 2'
	result_matches 't["blocked"]["count"] == t["send_lag"]["count"] == m["sent"]'
}

@test "connections that stand still in a closed loop are reported" {
	start_latency_server fixed:1 --outage 0.5 1.5 3
	run_yodel -c 12 -d 3s --size 64 "127.0.0.1:$LATENCY_SERVER_PORT"
	[ "$status" = 0 ]
	result_matches 'r["trust"]["verdict"] != "valid"'
	result_matches 'any("4 of 12 connections got no answer for " in why for why in r["trust"]["reasons"])'
	result_matches 't["silence"]["count"] == 12 and t["silence"]["max_ns"] > 1.4e9'
	[[ $output == *"silence "* ]]
}

@test "a run is over after its duration and its drain, at any rate" {
	local how began
	start_yodeld --listen 127.0.0.1:0=echo
	for how in "-R 10M" "-R 100M --arrivals poisson" "-R 20M -w 3" "-R 20M --size 8k"; do
		began=$SECONDS
		# shellcheck disable=SC2086 # words are meant
		run_yodel -c 8 -d 500ms --drain 0s --size 64 $how "127.0.0.1:$PORT"
		# Without a bound the shortest of these takes half a minute.
		[ $((SECONDS - began)) -lt 20 ]
		[ "$status" = 1 ]
		result_matches '0.97 * m["due"] < r["plan"]["rate"] / 2 < 1.03 * m["due"] and m["sent"] < m["due"]'
		[[ ${lines[-1]} == *"FAILED: "*" scheduled messages were not sent" ]]
	done
}

@test "messages that were due and never sent fail the run" {
	# The server never closes: a connection with its 5 messages waits for the FIN.
	spawn never_closes python3 -c '
import socket, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
kept = []
def serve(one):
    while data := one.recv(65536): one.sendall(data)
while True:
    kept.append(listener.accept()[0])
    threading.Thread(target=serve, args=[kept[-1]], daemon=True).start()'
	wait_until grep -q . never_closes.out
	run_yodel -c 4 -R 100 -d 1s --drain 200ms --messages-per-connection 5 --size 64 "127.0.0.1:$(cat never_closes.out)"
	[ "$status" = 1 ]
	result_matches 'm["due"] >= 99 and m["sent"] < m["due"]'
	[[ ${lines[-1]} == *"scheduled messages were not sent"* ]]
}

@test "a stopped run with an excessive rate ends, and says what was not sent" {
	start_yodeld --listen 127.0.0.1:0=echo
	spawn load "$YODEL" -q -c 8 -R 50M -d 1h --size 64 --json result.json "127.0.0.1:$PORT"
	local load=$SPAWNED status=0
	all_8_are_answered() { [ "$(ss -Htni state established "( dport = :$PORT )" | grep -c bytes_received)" -ge 8 ]; }
	wait_until all_8_are_answered
	kill -INT "$load"
	wait "$load" || status=$?
	[ $status = 1 ]
	result_matches 'r["interrupted"] and m["sent"] < m["due"]'
}

@test "a client that is stopped knows it" {
	start_latency_server fixed:2
	spawn load "$YODEL" -q -c 4 -w 1 -d 3s --size 64 --json result.json "127.0.0.1:$LATENCY_SERVER_PORT"
	local load=$SPAWNED generator status=0 since
	is_running() { [ "$(ss -Htni state established "( dport = :$LATENCY_SERVER_PORT )" | grep -c bytes_received)" -ge 4 ]; }
	wait_until is_running
	generator=$(children_of "$load")
	# shellcheck disable=SC2086 # one word, with blanks around
	kill -STOP $generator
	since=${EPOCHREALTIME/./}
	is_over() { [ $((${EPOCHREALTIME/./} - since)) -gt 600000 ]; }
	wait_until is_over
	# shellcheck disable=SC2086
	kill -CONT $generator
	wait "$load" || status=$?
	[ $status = 0 ]
	result_matches 'r["trust"]["verdict"] != "valid" and r["processes"][0]["not_run_s"] > 0.5'
	result_matches 'any("max" in why and "was stopped or frozen for" in why for why in r["trust"]["reasons"])'
	# The server answered at once: no connection was silent for so long.
	result_matches 't["silence"]["max_ns"] < 0.5e9 or t["silence"]["max_ns"] < t["response"]["max_ns"] - 0.5e9'
}
