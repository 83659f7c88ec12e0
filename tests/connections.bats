#!/usr/bin/env bats
# How connections of yodel are made, lost and closed: each way is counted, reported, and can
# fail a threshold. The peers are Python, without code of yodeld.

load lib/helpers
load lib/client

# Starts an echo server that ends connections its own way; its port is in ENDPOINT.
start_closing_server() # END [ARG...]
{
	spawn closing_server "$BATS_TEST_DIRNAME/lib/closing_server.py" "$@"
	wait_until test -s closing_server.out
	ENDPOINT=127.0.0.1:$(<closing_server.out)
}

@test "connections that the peer closes in order are counted as such, and not mentioned" {
	start_closing_server fin
	run_yodel -c 4 -n 6 --messages-per-connection 2 --size 64 "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 12, "reset": 0, "timeout": 0}'
	[[ $output != *"closed  "* && $output != *"in order"* ]]
	run_yodel -c 4 -n 6 --messages-per-connection 2 --size 64 --close rst "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 0, "reset": 0, "timeout": 0}'
}

@test "a FIN answered by a reset is counted, reported, and can fail a threshold" {
	start_closing_server reset
	run_yodel -c 4 -n 6 --messages-per-connection 2 --size 64 --html page.html "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 0, "reset": 12, "timeout": 0} and c["lost"] == 0'
	[[ $output = *"closed       0 in order, 12 by a reset from the peer"* ]]
	[[ $output = *"ok: 24 messages on 4 connections, every byte verified; 12 connections were not closed in order"* ]]
	grep -q 'Closed: 0 in order, 12 by a reset from the peer' page.html
	run_yodel -c 4 -n 2 --size 64 --threshold 'aborted<1%' "$ENDPOINT"
	[ "$status" = 99 ]
	run_yodel -c 4 -n 2 --size 64 --threshold 'aborted<=4' "$ENDPOINT"
	[ "$status" = 0 ]
}

@test "a FIN without an answer is counted, and its cost in throughput is reported" {
	start_closing_server silence
	run_yodel -c 2 -n 2 --messages-per-connection 1 --size 64 "$ENDPOINT"
	[ "$status" = 0 ]
	result_matches 'c["close"] == {"fin": 0, "reset": 0, "timeout": 4} and c["lost"] == 0'
	[[ $output = *"closed       0 in order, 4 without a FIN from the peer for 1 s"* ]]
	[[ $output = *"waiting for these FINs took "*"% of the connections' time and lowered the throughput"* ]]
	run "$YODEL" merge -q -o all.json --threshold 'aborted<1' result.json
	[ "$status" = 99 ]
	python3 -c 'import json; assert json.load(open("all.json"))["connections"]["close"]["timeout"] == 4'
}

@test "idle connections closed by the peer are one line with silence, age and time" {
	start_closing_server fin --after 1
	run_yodel -c 12 --interval 1h -d 1500ms --no-reconnect --size 64 --html page.html "$ENDPOINT"
	[ "$status" = 1 ]
	result_matches 'r["losses"] == [r["losses"][0] | {"why": "closed", "idle": True,
		"connections": 12, "messages": 0}] and c["lost"] == 12'
	result_matches '[1e9 <= l["silent_min_ns"] <= l["silent_max_ns"] and 1e9 <= l["age_min_ns"] <= l["age_max_ns"]
		and l["first_at"] <= l["last_at"] for l in r["losses"]] == [True]'
	result_matches 'sum(s["connections_lost"] for s in r["seconds"]) == 12'
	[[ $output = *"- 12 connections closed by the peer while idle: nothing received for "*" after the connect; "*" 20"* ]]
	[ "$(grep -c 'idle for' <<<"$output")" = 1 ]
	[[ $output = *"... 11 more in the JSON result"* ]]
	grep -q '<b>12</b><span>connections lost' page.html
	grep -q '12 connections closed by the peer while idle' page.html
}
