#!/usr/bin/env bats
# Commands that make several runs: --search and yodel calibrate.
# shellcheck disable=SC2154 # run sets output and stderr

load lib/helpers
load lib/client

@test "a search finds a rate at which the threshold passes" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	run -0 "$YODEL" -c 4 -R 500 -d 200ms --search 'p50<0.1us' "127.0.0.1:$PORT" ||
		[ "$status" = 99 ]
	[[ $output = *"failed at every rate"* ]]
	# The files show the steps all the same.
	run -99 "$YODEL" -c 4 -R 500 -d 200ms --search 'p50<0.1us' --json none.json --html none.html \
		"127.0.0.1:$PORT"
	steps=$(grep -c '/s planned' <<<"$output")
	python3 - "$steps" <<-'END'
		import json, sys
		r = json.load(open("none.json"))
		assert [s["outcome"] for s in r["search"]].count("failed") >= 2, r["search"]
		assert len(r["search"]) == int(sys.argv[1]) and r["messages"]["sent"] > 0
		assert r["exit_status"] == 99 and not r["thresholds"][0]["passed"], r["thresholds"]
	END
	grep -q '<h2>Search</h2>' none.html
}

@test "a search does not judge a rate from too few messages" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	# p99.9 needs 3,838 samples, which a step of 0.4 s has at 9,600/s and more.
	run -99 "$YODEL" -c 4 -R 100 -d 400ms --search 'p99.9<0.1us' "127.0.0.1:$PORT"
	# One step, and its repetitions.
	(($(grep -c '/s planned' <<<"$output") <= 3))
	[[ $output =~ " "9,[56][0-9][0-9]"/s planned" && $output = *"a longer --duration"* ]]
	# The final step has enough samples for its percentile.
	run -0 "$YODEL" -c 4 -R 100 -d 400ms --json result.json --search 'p50<1s' "127.0.0.1:$PORT"
	result_matches 'm["verified"] >= 8'
	[[ $output = *"p50<1s: passed up to "* ]]
}

@test "a search confirms both bounds, and writes its steps to the JSON and the page" {
	start_faulty_server serial --time 0.005
	run -0 "$YODEL" -c 4 -R 100 -d 500ms -m hello --json result.json --html result.html \
		--search 'p50<60ms' "127.0.0.1:$FAULTY_SERVER_PORT"
	[[ $output =~ "p50<60ms: passed up to "[0-9.]+"/s in "[123]" of "[123]" runs" ]]
	# Unless a busy client could measure no rate above the limit.
	[[ $output =~ "the limit lies between "[0-9.,]+"/s and "[0-9.,]+"/s" ||
		$output = *"search: unknown at "*"this client could not measure"* ]]
	python3 - "$output" <<-'END'
		import json, re, sys
		r = json.load(open("result.json"))
		steps = r["search"]
		rate = r["plan"]["rate"]
		at = [s["outcome"] for s in steps if s["rate"] == rate]
		# Two runs agree, or a busy client spoiled some of the three.
		assert at.count("passed") >= 2 or len(at) == 3, steps
		above = min(s["rate"] for s in steps if s["rate"] > rate and s["outcome"] != "passed")
		at = [s["outcome"] for s in steps if s["rate"] == above]
		assert at.count("failed") >= 2 or len(at) == 3, steps
		assert all(s["value"] > 0 and s["achieved"] > 0 for s in steps)
		assert sys.argv[1].count("/s planned") == len(steps)
	END
	grep -q '<h2>Search</h2>' result.html
	"$YODEL" report -o again.html result.json
	cmp result.html again.html
	node "$BATS_TEST_DIRNAME/lib/check_result.js" result.json
}

@test "a search does not take the failures of a busy client for the server's" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	# p50 needs 30 messages; each step stops the load process for most of its time.
	spawn search "$YODEL" -w 1 -c 4 -R 80 -d 400ms -m hello --json result.json \
		--search 'p50<5ms' "127.0.0.1:$PORT"
	local search=$SPAWNED status=0 process
	while kill -0 "$search" 2>/dev/null && ! has_ended "$search"; do
		for process in $(children_of "$search"); do
			kill -STOP "$process" || :
		done 2>/dev/null
		sleep 0.15
		for process in $(children_of "$search"); do
			kill -CONT "$process" || :
		done 2>/dev/null
		sleep 0.02
	done
	wait "$search" || status=$?
	cat search.out
	# Unless a step got through between the stops.
	if ! grep -q 'trust: valid\|trust: suspect' search.out; then
		[ $status = 3 ]
		[ "$(grep -c '/s planned' search.out)" -ge 3 ]
		grep -q 'unknown at every rate from .*this client could not measure' search.out
	fi
	grep -q 'unknown: the measurement is invalid' search.out
	[ "$(python3 -c 'import json; print(json.load(open("result.json"))["exit_status"])')" = $status ]
}

@test "an interrupted search or calibration reports only what it has found" {
	start_faulty_server lag --time 0.1
	spawn search "$YODEL" -c 4 -R 100 -d 1h --search 'p50<1us' "127.0.0.1:$FAULTY_SERVER_PORT"
	local search=$SPAWNED status=0
	all_4_are_there() { [ "$(ss -Htn state established "( dport = :$FAULTY_SERVER_PORT )" | wc -l)" = 4 ]; }
	wait_until all_4_are_there
	kill -TERM "$search"
	wait "$search" || status=$?
	[ $status = 1 ]
	grep -q 'interrupted before a rate was found' search.out
	spawn calibration "$YODEL" calibrate
	local calibration=$SPAWNED children
	hold_a_generator()
	{
		# shellcheck disable=SC2207 # ids are words: its peer, a generator
		children=($(children_of "$calibration"))
		[ ${#children[@]} = 2 ] && kill -STOP "${children[1]}" &&
			grep -q '^State:.T' "/proc/${children[1]}/status"
	}
	wait_until hold_a_generator
	figures() { grep -c '^closed loop\|^pacing' calibration.out || :; }
	local before
	before=$(figures) status=0
	kill -TERM "$calibration"
	kill -CONT "${children[1]}"
	wait "$calibration" || status=$?
	[ $status = 1 ]
	[ "$(figures)" = $((before + 1)) ]
}

@test "a search stops at failures that no rate can change, and -q prints only the failure" {
	# The first read: a busy server may need few reads for all messages.
	start_faulty_server extra --message 0
	run_yodel -c 1 -R 200 -d 300ms --search 'p50<1s' --expect upper "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 2 ]
	[ "$(grep -c '/s planned' <<<"$output")" = 1 ]
	[[ $output = *"wrong bytes"* ]]
	end_spawned
	rm faulty_server.out
	start_faulty_server refuse
	run_yodel -c 2 -R 200 -d 300ms --search 'p50<1s' "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	[ "$(grep -c '/s planned' <<<"$output")" = 1 ]
	run_yodel -q -c 2 -R 200 -d 300ms --search 'p50<1s' "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	[ "$output$stderr" = "yodel: FAILED: 2 of 2 connections were not established, no message was sent" ]
}

@test "yodel calibrate reports what this client machine can measure" {
	run -0 "$YODEL" calibrate
	[[ $output = *"messages/s verified with 1 process"* && $output = *"at the median"* ]]
	# It measures this machine alone, also in a job whose ranks are not known.
	JOB_COMPLETION_INDEX=3 run -0 "$YODEL" calibrate
	run -0 "$YODEL" calibrate --help
	[[ $output = "Usage: yodel calibrate"* ]]
	run -64 --separate-stderr "$YODEL" compare --bogus
	[[ $stderr = "yodel compare: "* ]]
}
