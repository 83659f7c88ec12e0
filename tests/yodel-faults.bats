#!/usr/bin/env bats
# yodel against a server with faults (lib/faulty_server.py), and against yodeld at scale: each
# fault is detected, counted and named, and the counts of a result always add up.

# shellcheck disable=SC2030,SC2031 # status is of one test
load lib/helpers

# Runs yodel against faulty_server; its exit status is in $status, its result in result.json.
run_yodel() # [ARG...]
{
	run --separate-stderr "$YODEL" --json result.json --timeout 10s "$@" \
		"127.0.0.1:$FAULTY_SERVER_PORT"
	echo "$output"
	# shellcheck disable=SC2154 # set by run
	echo "$stderr"
}

# True when the Python expression is true. Its variables are parts of result.json.
result_matches() # EXPRESSION
{
	python3 - "$1" <<-'END'
		import json, sys
		result = json.load(open("result.json"))
		m = result["messages"]
		lost = m["lost"]
		total = m["verified"] + m["wrong"] + sum(lost.values()) + m["in_flight"]
		assert m["sent"] == total, m
		c = result["connections"]
		x = result["mismatches"]
		gone = result["lost_connections"]
		assert eval(sys.argv[1]), f"false: {sys.argv[1]}: {m} {c} {x} {gone}"
	END
}

@test "a correct independent server is verified" {
	start_faulty_server none
	run_yodel -c 50 -n 20
	[ "$status" = 0 ]
	result_matches 'm["sent"] == m["verified"] == 1000 and x == []'
}

@test "one altered byte is found, with its connection and message" {
	start_faulty_server alter --connection 1 --message 2
	run_yodel -c 2 -n 3
	[ "$status" = 2 ]
	result_matches 'm["wrong"] >= 1 and len(x) >= 1 and x[0]["message"] == 2'
	result_matches 'x[0]["local"].startswith("127.0.0.1:") and len(x[0]["at"]) == 24'
	[[ $output =~ "connection "[01]" (127.0.0.1:"[0-9]+"), message 2, offset "[0-9]+" at 20" ]]
}

@test "one altered byte among 1,000 connections is found" {
	start_faulty_server alter --connection 617 --message 4
	run_yodel -c 1000 -n 10 --size 64
	[ "$status" = 2 ]
	result_matches 'len({one["connection"] for one in x}) == 1'
}

@test "an answer that never comes is lost by timeout" {
	start_faulty_server drop --connection 0 --message 1
	run_yodel -c 2 -n 3 --timeout 3s
	[ "$status" = 1 ]
	result_matches 'lost["timeout"] >= 1 and m["wrong"] == 0 and m["verified"] >= 4'
}

@test "an answer received twice is reported as a duplicate" {
	start_faulty_server duplicate --connection 0 --message 1 --reply echo
	run_yodel -c 2 -n 4 --size 64 --expect echo
	[ "$status" = 2 ]
	result_matches 'any("duplicate" in one["looks_like"] for one in x)'
}

@test "answers swapped between two connections are attributed to the other connection" {
	start_faulty_server swap --connection 3 --message 1 --reply echo
	run_yodel -c 10 -n 4 --size 64 --expect echo
	[ "$status" = 2 ]
	result_matches 'any("connection" in one["looks_like"] for one in x)'
}

@test "missing bytes in the middle of an answer are reported as a gap" {
	start_faulty_server gap --connection 0 --message 1 --reply echo
	run_yodel -c 2 -n 4 --size 90 --expect echo
	[ "$status" = 2 ]
	result_matches 'any("gap" in one["looks_like"] for one in x)'
}

@test "unsolicited bytes are wrong" {
	start_faulty_server extra --connection 0 --message 1
	run_yodel -c 2 -n 4
	[ "$status" = 2 ]
}

@test "an answer cut short by the end of the connection is not verified" {
	start_faulty_server truncate --connection 0 --message 1
	run_yodel -c 2 -n 3 -w 1 --size 64
	# The missing bytes are lost. No received byte was wrong.
	[ "$status" = 1 ]
	result_matches 'lost["closed"] == 1 and m["wrong"] == 0 and x == []'
	result_matches '[(one["why"], one["messages"], one["message"], one["answer_bytes"],
		one["answer_length"]) for one in gone] == [("closed", 1, 1, 48, 64)]'
}

@test "the first lost connections are listed with addresses and progress" {
	start_faulty_server silent
	run_yodel -c 3 -n 3 -w 1 --size 64 --timeout 1s
	[ "$status" = 1 ]
	result_matches 'len(gone) == 3 and len({one["local"] for one in gone}) == 3'
	result_matches 'all(one["why"] == "timeout" and one["messages"] == 1 and one["message"] == 0 and
		one["answer_bytes"] == 0 and one["answer_length"] == 64 and
		one["unacknowledged"] == 0 and one["silent_ns"] >= one["waited_ns"] >= 1e9
		for one in gone)'
	[[ $output = *"first lost connections"*" to 127.0.0.1:$FAULTY_SERVER_PORT): timeout at 20"* ]]
	[[ $output = *"message 0 outstanding for "*"s, 0 of 64 bytes of its reply received; "* ]]
}

@test "unacknowledged bytes are distinguished from acknowledged but unanswered ones" {
	# The server reads nothing: what exceeds its receive buffer stays unacknowledged.
	start_faulty_server never-read
	run_yodel -c 1 -n 1 --size 16M --timeout 1s
	[ "$status" = 1 ]
	result_matches 'gone[0]["why"] == "timeout" and gone[0]["unacknowledged"] > 0'
}

@test "a closed connection is distinguished from a reset one" {
	start_faulty_server close --connection 0 --message 1
	run_yodel -c 2 -n 3
	[ "$status" = 1 ]
	result_matches 'lost["closed"] >= 1 and lost["reset"] == 0'
	end_spawned
	rm faulty_server.out
	start_faulty_server reset --connection 0 --message 1
	run_yodel -c 2 -n 3
	[ "$status" = 1 ]
	result_matches 'lost["reset"] >= 1 and lost["closed"] == 0'
}

@test "a server that reads nothing times out although no message is completely sent" {
	start_faulty_server never-read
	for load in "-n 1G" "-n 1G --lockstep" "-d 1h --no-reconnect" "-d 1h -R 1M --no-reconnect"; do
		# shellcheck disable=SC2086 # words are meant
		run --separate-stderr timeout 60 "$YODEL" --json result.json --expect none --size 1 \
			--timeout 500ms -c 1 -p 1 $load "127.0.0.1:$FAULTY_SERVER_PORT"
		[ "$status" = 1 ]
		result_matches 'm["verified"] == m["sent"] > 0 and c["lost"] == 1'
	done
}

@test "a late answer is verified within the timeout and lost after it" {
	start_faulty_server late --time 0.5
	run_yodel -c 2 -n 3
	[ "$status" = 0 ]
	result_matches 'result["latency"]["service"]["max_ns"] >= 500e6'
	end_spawned
	rm faulty_server.out
	start_faulty_server late --time 2
	run_yodel -c 2 -n 3 --timeout 300ms
	[ "$status" = 1 ]
	result_matches 'lost["timeout"] >= 1'
}

@test "a refused connection is counted and named, and the other target is tested" {
	start_faulty_server refuse
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 10 -n 3 "127.0.0.1:$PORT"
	[ "$status" = 1 ]
	result_matches 'c["failed"]["refused"] == 5 and c["established"] == 5 and m["verified"] == 15'
	[[ $output$stderr = *refused* ]]
}

@test "a silent server times out, and the other target is tested" {
	start_faulty_server silent
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 10 -n 3 --timeout 3s "127.0.0.1:$PORT"
	[ "$status" = 1 ]
	result_matches 'lost["timeout"] == 5 and m["verified"] == 15'
}

@test "two sockets against yodeld: the transcript shows both, and every byte is verified" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	run -0 "$YODEL" "127.0.0.1:$PORT"
	[[ $output = *"This is the message. "* ]]
	[[ $output = *"THIS IS THE MESSAGE. "* ]]
	[[ $output = *"IN PARTS."* ]]
	[ "$(grep -oE '127.0.0.1:[0-9]+' <<<"$output" | sort -u | wc -l)" -ge 3 ]
}

@test "10,000 sockets in lockstep against yodeld are verified" {
	needs descriptors 6000
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	run -0 --separate-stderr "$YODEL" -c 10000 --lockstep --json result.json --timeout 60s \
		--connect-timeout 60s "127.0.0.1:$PORT"
	result_matches 'm["sent"] == m["verified"] == 30000 and c["established"] == 10000'
}

@test "every framing and reply of yodeld is verified, and a wrong --expect fails" {
	local framing
	for framing in stream line length32; do
		start_yodeld_with "\"reply\": \"upper,suffix=_SB\", \"framing\": \"$framing\""
		"$YODEL" -q -c 20 -n 50 --framing $framing --expect upper,suffix=_SB "127.0.0.1:$PORT"
		run "$YODEL" -q -c 20 -n 50 --framing $framing --expect upper,suffix=_XX \
			"127.0.0.1:$PORT"
		[ "$status" = 2 ]
		stop_yodeld
	done
}

# Counts of 100 messages of 64 bytes, all outstanding at once, answered with damages.
assert_damaged() # WRONG DIAGNOSIS ARG...
{
	local wrong=$1 diagnosis=$2 segment
	shift 2
	for segment in 1 1448 1000000; do
		rm -f damaging_server.out
		spawn damaging_server python3 "$BATS_TEST_DIRNAME/lib/damaging_server.py" \
			--segment "$segment" "$@"
		wait_until test -s damaging_server.out
		FAULTY_SERVER_PORT=$(<damaging_server.out)
		run_yodel -c 1 -n 100 -p 100 --size 64 --expect echo --timeout 30s
		[ "$status" = 2 ]
		result_matches "m['wrong'] == $wrong and m['verified'] == 100 - $wrong"
		result_matches "{one['looks_like'] for one in x} == {'$diagnosis'}"
	done
}

@test "the number of wrong answers does not depend on segments" {
	assert_damaged 8 "a gap of 1 byte" --cut 1 --every 700
	assert_damaged 65 "a gap of 4095 bytes" --cut 4095 --first 1000
	assert_damaged 1 "70000 bytes inserted" --add 70000 --first 1001
}

@test "messages that are the same on all connections are said to be so" {
	start_faulty_server none
	run_yodel -c 2 -n 3
	[[ $output == *"the same on all connections (answers to another connection are not noticed; see --size)"* ]]
	run_yodel -c 2 -n 3 --size 64
	[[ $output != *"the same on all connections"* ]]
	run_yodel -c 2 -n 3 -e -m 'connection \{connection}'
	[[ $output != *"the same on all connections"* ]]
}
