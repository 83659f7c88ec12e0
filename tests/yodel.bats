#!/usr/bin/env bats
# run-checks: long
# yodel: its command line, the kinds of load, start and end of a run.

load lib/helpers
load lib/client

@test "an invalid command line is refused with 64 and one line" {
	local line
	while read -r line; do
		# shellcheck disable=SC2086 # words are meant
		run --separate-stderr "$YODEL" $line
		echo "$line: $status $stderr"
		[ "$status" = 64 ]
		[ "$(wc -l <<<"$stderr")" = 1 ]
		[ -n "$stderr" ]
		[ -z "$output" ]
	done <<-'END'
		-c 0 127.0.0.1:7
		-c ten 127.0.0.1:7
		-n 0 127.0.0.1:7
		-d 0s 127.0.0.1:7
		--interval 0s 127.0.0.1:7
		--slow-read 1G 127.0.0.1:7
		--timeout 900us 127.0.0.1:7
		--connect-timeout 0 127.0.0.1:7
		--timeout 3000000h 127.0.0.1:7
		-n 2000000000G 127.0.0.1:7
		-d 10 127.0.0.1:7
		-R 0 127.0.0.1:7
		--framing words 127.0.0.1:7
		--expect shout 127.0.0.1:7
		--no-such-flag 127.0.0.1:7
		--size 0 127.0.0.1:7
		127.0.0.1
		-R 10 --interval 1s 127.0.0.1:7
		--search p99<1ms 127.0.0.1:7
		-d 1s --search p99>1ms 127.0.0.1:7
		-d 1s --search rate>10k 127.0.0.1:7
		-d 1s --search p99<1ms --hlog log 127.0.0.1:7
		-d 1s --search p99<1ms --rank 0/2 127.0.0.1:7
		-d 1s --search p99<1ms --ledger 127.0.0.1:7 127.0.0.1:7
		nobody.invalid:7
		--source-ip 127.0.0.2 [::1]:7
		--threshold rate>1k/m 127.0.0.1:7
		--json
		--ledger stats 127.0.0.1:7
		--ledger https://127.0.0.1:9601 127.0.0.1:7
		--ledger unix: 127.0.0.1:7
		tlak 127.0.0.1:7
		merge --strct 0.json
		compare --fail-worst 0.json 1.json
		report -x 0.json
		trend
		trend --fail-worst results
		calibrate --quick
	END
	run -66 "$YODEL" --file /nonexistent 127.0.0.1:7
	[ "$output" = "yodel: /nonexistent: No such file or directory" ]
	run -64 "$YODEL" --threshold 'p99<5' 127.0.0.1:7
	[ "$output" = 'yodel: --threshold "p99<5": found "5", expected a duration (5ms)' ]
	run -64 "$YODEL" --conections 3 127.0.0.1:7
	[ "$output" = 'yodel: unknown option "--conections"; did you mean "--connections"?' ]
	run -64 "$YODEL" tlak 127.0.0.1:7
	[ "$output" = 'yodel: unknown command "tlak"; did you mean "talk"?' ]
}

@test "the help shows its groups and examples" {
	run -0 "$YODEL" -h
	[[ $output = *"Amount:"* && $output = *"Pacing:"* && $output = *"Examples:"* ]]
	[ "$(grep -c '^  yodel .*:' <<<"$output")" = 6 ]
	local form
	for form in run talk survey merge compare trend report calibrate check; do
		if "$YODEL" $form --help | grep -E '^.{81}'; then false; fi
		"$YODEL" $form --help | tr '\n' ' ' | grep -q 'Exit status: .* 71 '
	done
	run -0 "$YODEL" --version
	[[ $output = "yodel "* ]]
}

@test "a refused connection is counted and named, exit status 1" {
	start_faulty_server refuse
	run_yodel -c 5 "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches 'c["failed"]["refused"] == 5 and c["established"] == 0 and m["sent"] == 0'
	[[ $output = *"127.0.0.1:$FAULTY_SERVER_PORT: Connection refused"* ]]
}

@test "with many sockets the failed target is named with the reason" {
	start_faulty_server refuse
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 40 "127.0.0.1:$PORT" "127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$status" = 1 ]
	result_matches '[t["established"] for t in r["targets"]] == [20, 0]'
	result_matches 'r["targets"][1]["failed"]["refused"] == 20 and not r["targets"][0]["last_error"]'
	[[ $output = *"127.0.0.1:$FAULTY_SERVER_PORT: 20 failed (20 refused): Connection refused"* ]]
}

@test "a name with two addresses connects to the one that answers" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel "localhost:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 6 and c["established"] == 2'
}

@test "several targets, IPv6 among them, share the connections" {
	start_yodeld --listen 127.0.0.1:0=upper --listen '[::1]:0=upper'
	run_yodel -c 10 "127.0.0.1:${PORTS[0]}" "[::1]:${PORTS[1]}"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 30 and c["established"] == 10'
}

@test "messages from the command line and from a file, with escapes and placeholders" {
	start_yodeld --listen 127.0.0.1:0=echo
	run_yodel -c 3 -e -m 'c\{connection} m\{message}\n' -m '\x41\t' --transcript "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	[[ $output = *'received "c2 m0\n"'* && $output = *'received "A\t"'* ]]
	printf 'one\ntwo words\n' >messages
	run_yodel -c 2 -f messages --framing stream --transcript "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	[[ $output = *'received "two words"'* ]]
	result_matches 'm["verified"] == 4'
}

@test "every framing, pipelined, with payloads of many sizes, in two processes" {
	start_yodeld_with '"reply": "echo", "framing": "line"'
	run_yodel -c 20 -n 50 -p 8 -w 2 --framing line --size 1:2000 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 1000'
	end_spawned
	start_yodeld_with '"reply": "upper,suffix=_SB", "framing": "length32"'
	run_yodel -c 20 -n 50 -p 8 -w 2 --framing length32 --size 1:2000 \
		--expect upper,suffix=_SB "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 1000'
	end_spawned
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 20 -n 50 -p 8 -w 2 --size 1:100k "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 1000'
}

@test "sending byte by byte, reading slowly and half-closing are verified" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 3 -n 4 --dribble "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 12'
	run_yodel -c 3 -n 4 -p 4 --half-close "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 12'
	run_yodel -c 2 -n 2 --size 20k --slow-read 100k "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 4 and t["service"]["min_ns"] > 100e6'
	# A very low rate is respected: 50 bytes in each second.
	run_yodel -c 1 -d 1s --drain 1ms --size 20k --slow-read 50 "127.0.0.1:$PORT"
	result_matches '0 < r["bytes"]["received"] <= 50 * (r["elapsed_s"] + 1)'
}

@test "an empty length32 message is answered with an empty one" {
	start_yodeld_with '"reply": "upper", "framing": "length32"'
	run_yodel --framing length32 -m '' -m x -n 5 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 10 and t["response"]["max_ns"] < 10e9'
}

@test "discard and --expect none wait for no answer" {
	start_yodeld --listen 127.0.0.1:0=discard --listen 127.0.0.1:0=echo
	run_yodel -c 4 -n 100 --expect discard "127.0.0.1:${PORTS[0]}"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 400 and r["bytes"]["received"] == 0'
	run_yodel -c 4 -n 10 --expect none "127.0.0.1:${PORTS[1]}"
	[ "$status" = 0 ]
	run_yodel -c 4 -n 10 --expect discard "127.0.0.1:${PORTS[1]}"
	[ "$status" = 2 ]
	# Bytes that arrive while a message is still being sent are unexpected, too.
	run_yodel -c 1 -n 3 --size 20M --expect discard "127.0.0.1:${PORTS[1]}"
	[ "$status" = 2 ]
	result_matches 'm["sent"] == m["verified"] == 3 and not r["processes"][0]["died"]'
}

@test "source addresses are used in turn" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 6 -n 1 --source-ip 127.0.3.0/30 --source-ip 127.0.4.1 --transcript "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	[ "$(grep -oE '^127.0.[34].[0-9]+' <<<"$output" | sort -u | wc -l)" = 3 ]
}

# Each connection has received an answer. (bytes_acked is no sign: it counts the SYN.)
each_of_20_is_answered()
{
	[ "$(ss -Htni state established "( dport = :$PORT )" | grep -c bytes_received)" -ge 20 ]
}

@test "Ctrl-C ends the run cleanly and prints the report" {
	start_yodeld --listen 127.0.0.1:0=upper
	# Background jobs of bash ignore SIGINT; yodel handles SIGTERM in the same way.
	spawn load "$YODEL" -c 20 -d 60s --json result.json "127.0.0.1:$PORT"
	wait_until each_of_20_is_answered
	local status=0
	kill -TERM "$SPAWNED"
	wait "$SPAWNED" || status=$?
	[ $status = 0 ]
	result_matches 'm["sent"] == m["verified"] > 0 and r["elapsed_s"] < 30'
	grep -q interrupted load.out
}

@test "SIGHUP ends the run cleanly and writes the result" {
	start_yodeld --listen 127.0.0.1:0=upper
	# After the third line of progress. A second SIGHUP (from kernel and shell) changes nothing.
	run -0 python3 - "$YODEL" -c 20 -d 60s --json result.json "127.0.0.1:$PORT" <<-'END'
		import os, pty, signal, sys
		pid, terminal = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], sys.argv[1:])
		seen = b""
		while seen.count(b" messages/s, ") < 3:
		    seen += os.read(terminal, 1024)
		os.close(terminal)
		try:
		    os.kill(pid, signal.SIGHUP)
		except ProcessLookupError:
		    pass
		print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	[ "$output" = 71 ] # the report cannot be written
	result_matches 'm["sent"] == m["verified"] > 0 and r["interrupted"] and r["elapsed_s"] < 30'
}

@test "a run under nohup survives its terminal" {
	start_yodeld --listen 127.0.0.1:0=upper
	trap '' HUP
	spawn load "$YODEL" -q -c 20 -n 200 --interval 10ms --json result.json "127.0.0.1:$PORT"
	trap - HUP
	local status=0
	wait_until each_of_20_is_answered
	kill -HUP "$SPAWNED"
	wait "$SPAWNED" || status=$?
	[ $status = 0 ]
	result_matches 'm["verified"] == 4000 and not r["interrupted"]'
}

@test "a run with -n that ends early is not ok" {
	start_yodeld --listen 127.0.0.1:0=upper
	spawn load "$YODEL" -c 4 -n 1M --json result.json "127.0.0.1:$PORT"
	is_working() { [ "$(ss -Htn state established "( dport = :$PORT )" | wc -l)" -ge 4 ]; }
	wait_until is_working
	local status=0
	kill -TERM "$SPAWNED"
	wait "$SPAWNED" || status=$?
	[ $status = 1 ]
	result_matches 'm["sent"] == m["verified"] < 4e6 and r["interrupted"]'
	grep -q 'FAILED: ' load.out
}

@test "a run that ends while connecting, or before its start, has tested nothing" {
	start_faulty_server full
	spawn load "$YODEL" -c 5 --connect-timeout 60s --json result.json "127.0.0.1:$FAULTY_SERVER_PORT"
	local load=$SPAWNED status=0
	calling() { [ "$(ss -Htn state syn-sent "( dport = :$FAULTY_SERVER_PORT )" | wc -l)" -ge 4 ]; }
	wait_until calling
	kill -TERM "$load"
	wait "$load" || status=$?
	[ $status = 1 ]
	result_matches 'r["interrupted"] and c["first"] == 0 and c["requested"] == 5 and m["sent"] == 0'
	grep -q 'FAILED: 5 of 5 connections were not established' load.out
	end_spawned
	start_yodeld --listen 127.0.0.1:0=upper
	spawn load "$YODEL" -c 20 -d 10s --start-at +60s --json result.json "127.0.0.1:$PORT"
	load=$SPAWNED status=0
	connected() { [ "$(ss -Htn state established "( dport = :$PORT )" | wc -l)" -ge 20 ]; }
	wait_until connected
	kill -TERM "$load"
	wait "$load" || status=$?
	[ $status = 1 ]
	result_matches 'c["first"] == 20 and m["sent"] == 0'
	grep -q 'FAILED: no message was sent' load.out
	grep -qE '^yodel: waiting until 20[0-9T:-]+Z \((1m 0s|5[0-9](\.[0-9])? s)\)$' load.log
}

@test "a load process that dies is reported, and its messages in flight are lost" {
	start_faulty_server silent
	spawn load "$YODEL" -c 20 -w 2 -n 1 --timeout 6s --json result.json "127.0.0.1:$FAULTY_SERVER_PORT"
	local load=$SPAWNED status=0
	in_flight()
	{
		local sent
		sent=$(ss -Htni state established "( dport = :$FAULTY_SERVER_PORT )" | grep -c bytes_sent:)
		[ "$sent" -ge 20 ]
	}
	wait_until in_flight
	kill -KILL "$(children_of "$load" | cut -d' ' -f1)"
	wait "$load" || status=$?
	[ $status = 1 ]
	grep -q 'killed by signal 9' load.log
	result_matches 'm["sent"] == 20 and m["lost"]["closed"] == 10 and m["lost"]["timeout"] == 10'
}

@test "the third Ctrl-C ends the run even if a load process hangs" {
	start_yodeld --listen 127.0.0.1:0=upper
	spawn load "$YODEL" -q -c 20 -w 2 -d 1h --interval 100ms --json result.json "127.0.0.1:$PORT"
	local load=$SPAWNED children status=0
	wait_until each_of_20_is_answered
	# shellcheck disable=SC2207 # ids are words
	children=($(children_of "$load"))
	kill -STOP "${children[0]}"
	has_left() { has_ended "${children[1]}"; }
	kill -TERM "$load"
	wait_until has_left # the first signal was read
	kill -TERM "$load"
	# A signal that comes while it exits would end it with another status.
	asks_to_end() { grep -q 'killed by signal 9' load.log || kill -TERM "$load"; has_ended "$load"; }
	wait_until asks_to_end
	wait "$load" || status=$?
	[ $status = 1 ]
	result_matches 'r["interrupted"] and sum(p["died"] for p in r["processes"]) == 1'
}

@test "more connections than the descriptor limit of a process get more processes" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	run --separate-stderr prlimit --nofile=100:100 "$YODEL" -c 300 -n 2 \
		--json result.json "127.0.0.1:$PORT"
	echo "$output $stderr"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 600 and r["plan"]["processes"] >= 5'
}

@test "more connections than local ports are refused with the remedy" {
	run --separate-stderr "$YODEL" -c 100k '[::1]:7'
	[ "$status" = 71 ]
	[[ $stderr = *"--source-ip"* && $stderr = *"ip_local_port_range"* ]]
}

@test "a source address that this host does not have is refused before the run" {
	[ "$(</proc/sys/net/ipv4/ip_nonlocal_bind)" = 0 ] || return 0 # all are its own
	run -71 --separate-stderr "$YODEL" -c 4 --source-ip 127.0.0.1 --source-ip 192.0.2.1 127.0.0.1:7
	[[ $stderr = *"preflight: --source-ip: 192.0.2.1 is not an address of this machine"* && -z $output ]]
}

@test "ranks share the connections and have different payloads" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_yodel -c 10 -n 3 --size 64 --rank 1/3 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'c["requested"] == 3 and m["verified"] == 9'
	SLURM_PROCID=0 SLURM_NTASKS=3 run_yodel -c 10 -n 3 --size 64 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'c["requested"] == 4 and m["verified"] == 12'
}

@test "--start-at waits for a start in the future" {
	start_yodeld --listen 127.0.0.1:0=upper
	local before=${EPOCHREALTIME/./}
	run_yodel -c 2 -n 1 --start-at +2s "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	[ $((${EPOCHREALTIME/./} - before)) -gt 1900000 ]
	result_matches 'not any("--start-at" in why for why in r["trust"]["reasons"])'
	run_yodel -c 2 -n 1 --start-at "@${EPOCHSECONDS}" "127.0.0.1:$PORT"
	result_matches 'any("after --start-at" in why for why in r["trust"]["reasons"])'
}

@test "client and server ledgers agree, also under churn, and a foreign connection is found" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper --set "admin.socket=$PWD/control.sock"
	run_yodel -c 20 -d 500ms --size 1:2000 -p 4 --ledger "unix:$PWD/control.sock" "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'r["ledger"]["consistent"] and r["ledger"]["server"]["bytes_received"] == r["bytes"]["sent"]'
	run_yodel -c 20 -d 1s --messages-per-connection 3 --ledger "unix:$PWD/control.sock" "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'r["ledger"]["consistent"] and c["established"] > 100'
	spawn load "$YODEL" -q -c 20 -d 4s --ledger "unix:$PWD/control.sock" \
		--json result.json "127.0.0.1:$PORT"
	local load=$SPAWNED status=0
	twenty_connections_are_open() { [ "$(ss -Htn state established "( dport = :$PORT )" | wc -l)" -ge 20 ]; }
	wait_until twenty_connections_are_open
	"$YODEL" -q "127.0.0.1:$PORT"
	wait "$load" || status=$?
	[ $status = 1 ]
	result_matches 'not r["ledger"]["consistent"] and r["ledger"]["unexplained"]["connections"] == 2'
}

@test "the ledgers of several servers behind one address are added up" {
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper --set "admin.socket=$PWD/one.sock"
	spawn other "$YODELD" --workers 1 --listen 127.0.0.1:0=upper --set "admin.socket=$PWD/two.sock"
	wait_until grep -q ': ready: ' other.log
	local other
	other=$(sed -nE 's/.*listening on .*:([0-9]+) \(.*/\1/p' other.log)
	run_yodel -c 6 -n 5 --size 64 --ledger "unix:$PWD/one.sock" --ledger "unix:$PWD/two.sock" \
		"127.0.0.1:$PORT" "127.0.0.1:$other"
	[ "$status" = 0 ]
	result_matches '[s["connections_accepted"] for s in r["ledger"]["servers"]] == [3, 3]'
	result_matches 'r["ledger"]["consistent"] and r["ledger"]["server"]["bytes_received"] == 6 * 5 * 64'
	[[ $output = *"client and servers agree: 6 connections"*"- unix:$PWD/two.sock ($(hostname)): accepted 3 connections, received 960"* ]]
	run_yodel -c 6 -n 5 --size 64 --ledger "unix:$PWD/one.sock" "127.0.0.1:$PORT" "127.0.0.1:$other"
	[ "$status" = 1 ]
	[[ $output = *"(several servers? name each with --ledger)"* ]]
}

@test "a ledger that cannot be read is reported before the run" {
	start_yodeld --listen 127.0.0.1:0=upper
	run --separate-stderr "$YODEL" --ledger "unix:$PWD/nobody" "127.0.0.1:$PORT"
	[ "$status" = 69 ]
	[[ $stderr = *"unix:$PWD/nobody: cannot connect: No such file"* && -z $output ]]
	# A listener that never accepts, with a full queue.
	spawn mute python3 -c 'import socket, time
s, c = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
s.bind("mute"); s.listen(0); c.connect("mute"); print("full", flush=True); time.sleep(120)'
	wait_until grep -q full mute.out
	run --separate-stderr timeout 60 "$YODEL" --ledger unix:mute "127.0.0.1:$PORT"
	[ "$status" = 69 ]
	[[ $stderr = *"unix:mute: cannot connect: "* ]]
}
