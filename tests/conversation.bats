#!/usr/bin/env bats
# run-checks: long
# yodel --conversation: the client of a file, against an independent server
# (lib/line_server.py), in every form of load, and with wrong answers.
# shellcheck disable=SC2154,SC2030,SC2031 # run sets output and stderr; status is of one test

load lib/helpers
load lib/client

# Where tests/install-deps unpacks programs whose packages start a service.
PATH=$PATH:$BATS_TEST_DIRNAME/../build/tools/usr/sbin

start_line_server() # [MODE]; sets SERVER, its address
{
	spawn line_server "$BATS_TEST_DIRNAME/lib/line_server.py" "${1-right}"
	wait_until test -s line_server.out
	SERVER=127.0.0.1:$(<line_server.out)
}

# Opening, repeat and end, with two named steps.
write_full()
{
	cat >full.talk <<-'END'
		# all sections
		S: 220 \{any}
		C [hello]: HELLO client-\{connection}
		S*: 250-\{any}
		S: 250 hello client-\{connection}
		--- repeat
		C [noop]: NOOP
		S: 250 ok
		--- end
		C: QUIT
		S: 221 \{any}
		S close
	END
}

# Two exchanges in a pass, with a pause between them.
write_exchanges()
{
	cat >exchanges.talk <<-'END'
		S: 220 ready
		--- repeat
		C [first]: FIRST
		S: 251 first
		pause 20ms
		C [second]: SECOND
		S: 252 second
	END
}

@test "each pass is a message, and opening and end are played once per connection" {
	start_line_server
	write_full
	run_yodel --conversation full.talk -c 4 -n 20 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["sent"] == m["verified"] == 80 and c["close"]["fin"] == 4'
	result_matches 't["response"]["count"] == 80'
	result_matches 't["opening"]["count"] == t["ending"]["count"] == 4'
	result_matches 'r["steps"]["hello"]["count"] == 4 and r["steps"]["noop"]["count"] == 80'
	result_matches 'r["plan"]["conversation"] == "full.talk"'
	# Opening and end: 220, three lines of HELLO, 221; two bytes more for connection 10 and on.
	result_matches 'r["bytes"]["received"] == 80 * 8 + 4 * (11 + 9 + 9 + 20 + 9)'
	[[ $output == *"[noop]"* ]]
}

@test "the answers may arrive in single bytes" {
	start_line_server bytes
	write_full
	run_yodel --conversation full.talk -c 4 -n 5 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["sent"] == m["verified"] == 20'
}

@test "every form of load plays the file" {
	local load
	start_line_server
	write_full
	for load in "-d 300ms" "-R 500 -d 300ms" "-R 500 -d 300ms --arrivals poisson" \
		"--interval 50ms -d 300ms" "--lockstep -n 5" "--ramp 100ms -d 300ms" "-d 300ms -w 3" \
		"-n 5 --dribble" "-n 5 --slow-read 2k" "-d 300ms --warmup 100ms" "-n 5 --close rst"; do
		# shellcheck disable=SC2086 # split on purpose
		run_yodel --conversation full.talk -c 6 --drain 10s $load "$SERVER"
		[ "$status" = 0 ] || { echo "$load: $status"; return 1; }
		result_matches 'm["verified"] == m["sent"] > 10 and t["opening"]["count"] == 6' ||
			{ echo "$load"; return 1; }
	done
}

@test "a connection that is replaced plays opening and end again" {
	start_line_server
	write_full
	run_yodel --conversation full.talk -c 4 -n 20 --messages-per-connection 5 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 80 and c["reconnects"] == 12 and c["lost"] == 0'
	result_matches 't["opening"]["count"] == t["ending"]["count"] == 16'
	run_yodel --conversation full.talk -c 4 -d 1s --lifetime 200ms "$SERVER"
	[ "$status" = 0 ]
	result_matches 'c["reconnects"] > 4 and c["lost"] == 0 and t["ending"]["count"] > 8'
}

@test "a message that waits for the opening counts from its intended time" {
	start_line_server slow-greeting
	write_full
	run_yodel --conversation full.talk -c 2 -R 100 -d 1s --drain 10s \
		--messages-per-connection 10 "$SERVER"
	[ "$status" = 0 ]
	result_matches 't["opening"]["min_ns"] >= 3e8 and t["response"]["max_ns"] >= 2.9e8'
	result_matches 't["blocked"]["max_ns"] >= 2.9e8 and t["service"]["p50_ns"] < 2.5e8'
}

@test "messages are pipelined where the file allows it" {
	start_line_server
	printf 'S: 220 ready\n--- repeat\nC [echo]: ECHO \\{payload 1:40}\nS: 250 \\{echo}\n' >echo.talk
	run_yodel --conversation echo.talk -c 4 -p 16 -n 500 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 2000 and r["steps"]["echo"]["count"] == 2000'
	# The server speaks first, for passes that are due.
	printf -- '--- repeat\nS: \\{digits} \\{any}\nC: NOOP\n' >first.talk
	run_yodel --conversation first.talk -c 4 -p 8 -n 100 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 400'
	write_exchanges
	run_yodel --conversation exchanges.talk -p 2 -n 1 "$SERVER"
	[ "$status" = 64 ]
	[[ $stderr == "yodel: --pipeline: exchanges.talk:"* ]]
	run_yodel --conversation exchanges.talk -c 2 -p 1 -n 3 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 6 and t["response"]["min_ns"] >= 2e7'
	result_matches 'r["steps"]["first"]["count"] == r["steps"]["second"]["count"] == 6'
}

# The file would allow more in flight.
@test "without -p each line waits for the answer before it, also in an open loop" {
	start_line_server
	printf 'S: 220 ready\n--- repeat\nC: FIRST\nS: 251 first\nC: SECOND\nS: 252 second\n' >order.talk
	run_yodel --conversation order.talk -c 1 -n 3 -R 1k --transcript "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 3 and r["plan"]["pipeline"] == 1'
	grep -o "[CS]: .*" <<<"$output" | grep -e FIRST -e first -e SECOND -e second >played
	for _ in 1 2 3; do
		printf 'C: FIRST\nS: 251 first\nC: SECOND\nS: 252 second\n'
	done | diff - played
}

@test "a pass may begin with a pause" {
	local load
	start_line_server
	printf 'S: 220 ready\n--- repeat\npause 10ms\nC [noop]: NOOP\nS: 250 ok\n--- end\npause 5ms\nC close\n' >think.talk
	for load in "-n 3" "-n 3 -p 1" "-R 50 -d 300ms"; do
		# shellcheck disable=SC2086 # split on purpose
		run_yodel --conversation think.talk -c 2 $load "$SERVER"
		[ "$status" = 0 ] || { echo "$load: $status"; return 1; }
		result_matches 'm["verified"] == m["sent"] >= 6 and t["service"]["min_ns"] >= 1e7'
		result_matches 'r["steps"]["noop"]["min_ns"] < t["service"]["min_ns"]'
	done
}

@test "a pause longer than the timeout is no timeout" {
	start_line_server
	sed 's/20ms/400ms/' < <(write_exchanges; cat exchanges.talk) >long.talk
	run_yodel --conversation long.talk -c 1 -n 2 --timeout 300ms "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 2'
}

@test "half-close, close and reset of either side are played and verified" {
	local body
	start_line_server
	for body in 'C: NOOP\nS: 250 ok\nC half-close\nS: 200 \\{digits} bytes\nS close' \
		'C: NOOP\nS: 250 ok\nC close' 'C: NOOP\nS: 250 ok\nC reset' \
		'C: QUIT\nS: 221 bye\nS close'; do
		printf 'S: 220 ready\n--- repeat\n%b\n' "$body" >body.talk
		run_yodel --conversation body.talk -c 3 -n 4 "$SERVER"
		[ "$status" = 0 ] || { echo "$body: $status"; return 1; }
		result_matches 'm["verified"] == 12 and c["established"] == 12 and c["lost"] == 0' ||
			{ echo "$body"; return 1; }
	done
	# The greeting of a pass that is never due is not missed.
	printf 'S: 220 ready\nC: QUIT\nS: 221 bye\nS close\n' >first.talk
	run_yodel --conversation first.talk -c 3 -R 100 -d 300ms "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 30 and c["close"]["timeout"] == 0'
	start_line_server resets
	printf 'S: 220 ready\n--- repeat\nC: QUIT\nS: 221 bye\nS reset\n' >reset.talk
	run_yodel --conversation reset.talk -c 3 -n 4 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 12 and c["established"] == 12 and c["reset"] == 0'
}

@test "a server that ends the connection in another way than the file is found" {
	start_line_server resets
	write_full
	run_yodel --conversation full.talk -c 1 -n 1 --no-reconnect "$SERVER"
	[ "$status" = 1 ]
	result_matches 'c["lost"] == c["reset"] == 1 and m["verified"] == 1'
	start_line_server stays
	run_yodel --conversation full.talk -c 1 -n 1 --timeout 300ms --no-reconnect "$SERVER"
	[ "$status" = 1 ]
	result_matches 'c["lost"] == 1 and r["lost_connections"][0]["why"] == "timeout"'
	result_matches 'r["lost_connections"][0]["line"] == 12'
}

@test "a wrong answer is shown with its line, step, and what was expected and came" {
	local mode
	for mode in code bare-lf length; do
		start_line_server $mode
		write_full
		run_yodel --conversation full.talk -c 2 -n 25 --timeout 2s "$SERVER"
		[ "$status" = 2 ] || { echo "$mode: $status"; return 1; }
		result_matches 'm["wrong"] == 5 and m["verified"] == 45 and c["reconnects"] >= 4' ||
			{ echo "$mode"; return 1; }
		result_matches 'len(r["mismatches"]) == 5 and all(
			x["line"] == 8 and x["step"] == "noop" and "full.talk:8" in x["description"]
			and x["got"] != "" and x["local"].startswith("127.0.0.1:") for x in r["mismatches"])' ||
			{ echo "$mode"; return 1; }
		[[ $output == *"full.talk:8"* ]]
	done
}

@test "bytes before their turn are wrong" {
	start_line_server extra
	write_full
	run_yodel --conversation full.talk -c 2 -n 25 "$SERVER"
	[ "$status" = 2 ]
	result_matches 'len(r["mismatches"]) >= 4 and c["lost"] >= 4'
}

@test "a wrong greeting is wrong, and no message" {
	start_line_server wrong-greeting
	write_full
	run_yodel --conversation full.talk -c 2 --lockstep --no-reconnect -n 1 "$SERVER"
	[ "$status" = 2 ]
	result_matches 'm["sent"] == 0 and len(r["mismatches"]) == 2 and c["lost"] == 2'
	result_matches 'all(x["line"] == 2 for x in r["mismatches"])'
}

@test "a missing answer names the step that waited" {
	start_line_server silent
	write_full
	run_yodel --conversation full.talk -c 2 -n 10 --timeout 500ms "$SERVER"
	[ "$status" = 1 ]
	result_matches 'm["lost"]["timeout"] == 2 and m["verified"] == 18'
	result_matches 'all(x["line"] == 8 and x["step"] == "noop" and "full.talk:8" in x["waiting"]
		for x in r["lost_connections"])'
	[[ $output == *"full.talk:8"* ]]
	# Without its line end an answer is not complete.
	start_line_server no-crlf
	run_yodel --conversation full.talk -c 2 -n 10 --timeout 500ms "$SERVER"
	[ "$status" = 1 ]
	result_matches 'm["lost"]["timeout"] == 2 and r["lost_connections"][0]["line"] == 8'
	start_line_server silent-greeting
	run_yodel --conversation full.talk -c 1 -n 1 --timeout 300ms --no-reconnect "$SERVER"
	[ "$status" = 1 ]
	result_matches 'm["sent"] == 0 and r["lost_connections"][0]["line"] == 2'
}

@test "a server that closes or resets early loses the message" {
	start_line_server early-close
	write_full
	run_yodel --conversation full.talk -c 2 -n 25 "$SERVER"
	[ "$status" = 1 ]
	result_matches 'm["lost"]["closed"] == 5 and m["verified"] == 45'
	start_line_server reset
	run_yodel --conversation full.talk -c 2 -n 25 "$SERVER"
	[ "$status" = 1 ]
	result_matches 'm["lost"]["reset"] == 5 and m["verified"] == 45'
}

@test "a threshold applies to a named step" {
	start_line_server
	write_full
	run_yodel --conversation full.talk -c 4 -n 50 --threshold 'p99[noop]<30s' \
		--threshold 'max[hello]<30s' "$SERVER"
	[ "$status" = 0 ]
	result_matches 'all(x["passed"] for x in r["thresholds"]) and len(r["thresholds"]) == 2'
	run_yodel --conversation full.talk -c 4 -n 50 --threshold 'p50[noop]<1us' "$SERVER"
	[ "$status" = 99 ]
	run_yodel --conversation full.talk --threshold 'p99[nop]<20ms' "$SERVER"
	[ "$status" = 64 ]
	[[ $stderr == *"found step \"nop\", expected a named step of --conversation (hello, noop)"* ]]
	run_yodel --threshold 'p99[nop]<20ms' "$SERVER"
	[ "$status" = 64 ]
}

@test "text, page, comparison and merge show the named steps" {
	local rank
	start_line_server
	write_full
	for rank in 0 1; do
		run_yodel --conversation full.talk -c 4 -n 30 --rank $rank/2 --html page$rank.html "$SERVER"
		[ "$status" = 0 ]
		mv result.json rank$rank.json
	done
	grep -q '\[noop\]' page0.html
	grep -q 'full.talk' page0.html
	run -0 "$YODEL" merge -o result.json rank0.json rank1.json
	[[ $output == *"[noop]"* ]]
	result_matches 'm["verified"] == 120 and r["steps"]["noop"]["count"] == 120'
	run -0 "$YODEL" compare rank0.json rank1.json
	[[ $output == *"[noop] p50"* ]]
	run -0 "$YODEL" report -t result.json
	[[ $output == *"[noop]"* ]]
	sed 's/noop/idle/' full.talk >other.talk
	run_yodel --conversation other.talk -c 4 -n 30 --rank 1/2 "$SERVER"
	run -65 "$YODEL" merge rank0.json result.json
}

@test "a search finds a rate by a named step" {
	start_line_server
	write_full
	run_yodel --conversation full.talk -c 2 -d 1s -R 100 --search 'p50[noop]<1us' "$SERVER"
	[ "$status" = 99 ]
	[ "$(python3 -c 'import json; print(len(json.load(open("result.json"))["search"]) > 0)')" = True ]
}

@test "the transcript is a conversation" {
	start_line_server
	write_full
	run -0 "$YODEL" --conversation full.talk -c 1 -n 2 --transcript "$SERVER"
	grep -E '^(#|[CS]:)' <<<"$output" >again.talk
	grep -qx 'C: HELLO client-0' again.talk
	[ "$(grep -cx 'S: 250 ok' again.talk)" = 2 ]
	echo "S close" >>again.talk
	run_yodel --conversation again.talk -c 1 -n 1 "$SERVER"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 1'
}

@test "a recorded conversation passes against the same server" {
	start_line_server
	mkfifo said
	"$YODEL" talk -e --record said.talk "$SERVER" <said >heard 2>&1 3>&- &
	local talk=$!
	exec 4>said
	wait_until grep -q '^220 ready' heard # the server speaks first
	printf 'HELLO there\\r\nECHO  a \\x00\\\\ \\{b}\\r\nNOOP\\r\n' >&4
	exec 4>&-
	wait "$talk"
	run_yodel --conversation said.talk -c 3 -n 2 "$SERVER"
	[ "$status" = 0 ] || { cat said.talk; return 1; }
	result_matches 'm["verified"] == 6'
	grep -qx 'C half-close' said.talk
	grep -qx 'S close' said.talk
	run -71 "$YODEL" talk --record none/said.talk "$SERVER" </dev/null
}

@test "options that make no sense with a conversation are refused" {
	local option
	write_full
	for option in "-m x" "-f x" "--size 64" -e "--expect echo" "--framing line" --half-close; do
		# shellcheck disable=SC2086 # split on purpose
		run -64 "$YODEL" --conversation full.talk $option 127.0.0.1:9
		[[ $output == "yodel: --conversation says what is sent and what is expected: "*"--"* ]]
		[ "$(wc -l <<<"$output")" = 1 ]
	done
	run -66 "$YODEL" --conversation missing.talk 127.0.0.1:9
	printf 'C: \\{nonsense}\n' >bad.talk
	run -64 "$YODEL" --conversation bad.talk 127.0.0.1:9
	[[ $output == "yodel: bad.talk:1:"*": found "*", expected "* ]]
	printf 'S: 220 ready\n--- repeat\nC: QUIT\nS: 221 bye\nS close\n' >closes.talk
	run -64 "$YODEL" --conversation closes.talk --messages-per-connection 2 127.0.0.1:9
}

# Runs yodel against this address, and compares its counts with yodeld's.
ledgers_agree() # PORT
{
	run_yodel --conversation both.talk -c 8 -n 300 -p 4 --messages-per-connection 100 \
		--ledger "unix:$PWD/admin.sock" "127.0.0.1:$1"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 2400 and c["established"] == 24 and r["ledger"]["consistent"]'
	result_matches 'r["ledger"]["server"]["messages_received"] == 2400'
	result_matches 'all(r["ledger"]["server"]["bytes_" + a] == r["bytes"][b]
		for a, b in (("sent", "received"), ("received", "sent")))'
}

@test "the ledgers agree when yodeld plays the same file, also through HAProxy" {
	needs command haproxy
	local front
	cat >both.talk <<-'END'
		S: 220 ready
		C [hello]: HELLO client-\{connection}
		S: 250 hello
		--- repeat
		C [echo]: ECHO \{payload 1:300}
		S: 250 \{echo}
		--- end
		C: QUIT
		S: 221 bye
		S close
	END
	start_yodeld --listen "127.0.0.1:0=conversation=$PWD/both.talk" \
		--set admin.socket="$PWD/admin.sock"
	ledgers_agree "$PORT"
	front=$(free_port)
	spawn_haproxy <<-END
		listen front
		  bind 127.0.0.1:$front
		  server back 127.0.0.1:$PORT
	END
	is_listening() { [ -n "$(ss -Hltn "( sport = :$front )")" ]; }
	wait_until is_listening
	ledgers_agree "$front"
}

@test "yodel check shows what both sides say, or the place of a mistake" {
	cat >good.talk <<-'END'
		C [ask]: GET \{key: random 8}
		S: \{key} \{any}
	END
	run -0 "$YODEL" check good.talk
	[[ $output = *"says  [ask] \"GET \" <key: 8 random characters> \"\\r\\n\""* ]]
	[[ $output = *"hears <key> \" \" <any text> \"\\r\\n\""* ]]
	[[ $output = *"says  <key> \" \" <ok> \"\\r\\n\""* ]]
	printf 'C: GET\nS: \\{anny}\n' >bad.talk
	run -64 "$YODEL" check bad.talk
	[ "$output" = 'yodel check: bad.talk:2:6: found "anny", expected a placeholder or a name that was captured before; did you mean "any"?' ]
	run -66 "$YODEL" check missing.talk
	[ "$output" = "yodel check: cannot read missing.talk: No such file or directory" ]
}
