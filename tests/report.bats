#!/usr/bin/env bats
# run-checks: long
#
# Reports of yodel: text, JSON, histograms, pages, merged and compared results.
# shellcheck disable=SC2154 # run sets stderr

load lib/helpers

HDR_JS=3.0.1 # hdr-histogram-js

check_result()
{
	node "$BATS_TEST_DIRNAME/lib/check_result.js" "$@"
}

of_result() # FILE EXPRESSION - with the result as r
{
	python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"
}

# On a busy machine a run may be invalid; compare refuses it then.
trusted() # FILE... - makes results valid
{
	python3 - "$@" <<-'END'
		import json, sys
		for name in sys.argv[1:]:
		    r = json.load(open(name))
		    r["trust"] = {"verdict": "valid", "reasons": []}
		    json.dump(r, open(name, "w"))
	END
}

run_to() # NAME ARG... - a quiet run against yodeld, its result in NAME.json
{
	local name=$1
	shift
	"$YODEL" -q --json "$name.json" "$@" "127.0.0.1:$PORT"
}

run_valid() # NAME ARG... - a run that compare does not refuse
{
	run_to "$@"
	trusted "$1.json"
}

@test "the JSON of every kind of run matches the schema and adds up" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to seeds
	run_to open -c 20 -R 2000 -d 1s --warmup 100ms --threshold 'p99<1s'
	run_to paced -c 5 --interval 20ms -d 500ms --size 10:100 --seed 18446744073709551615
	run -2 run_to wrong -c 2 -n 3 --expect echo
	run -1 --separate-stderr "$YODEL" -q --json refused.json -c 2 -n 1 127.0.0.1:1
	[ "$output$stderr" = "yodel: FAILED: 2 of 2 connections were not established, 2 of 2 messages were not sent" ]
	start_faulty_server close
	run -1 "$YODEL" -q --json lost.json -c 2 -n 3 "127.0.0.1:$FAULTY_SERVER_PORT"
	check_result seeds.json open.json paced.json wrong.json refused.json lost.json
	[ "$(of_result lost.json 'r["lost_connections"][0]["why"]')" = closed ]
	[ "$(of_result wrong.json 'len(r["mismatches"]) > 0')" = True ]
	[ "$(of_result refused.json 'r["connections"]["failed"]["refused"]')" = 2 ]
	[ "$(of_result open.json 'r["warmup"]["verified"] > 0')" = True ]
}

@test "the schema refuses a result with an unknown or a missing key" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to good
	python3 - <<-'END'
		import json
		r = json.load(open("good.json"))
		del r["messages"]["verified"]
		json.dump(r, open("few.json", "w"))
		r = json.load(open("good.json"))
		r["host"]["mood"] = 1
		json.dump(r, open("many.json", "w"))
	END
	run -1 check_result few.json
	[[ $output == "few.json: invalid: "?"messages "*" have required property 'verified'" ]]
	run -1 check_result many.json
	[[ $output == "many.json: invalid: "?"host "*" NOT have additional properties" ]]
}

@test "independent readers find the same values in histograms, percentiles and log" {
	start_yodeld --listen 127.0.0.1:0=echo
	run_to run -c 10 -R 3000 -d 2500ms --hgrm run.hgrm --hlog run.hlog
	run -0 python3 "$BATS_TEST_DIRNAME/lib/check_histograms.py" run.json run.hgrm run.hlog
	[[ $output == *" compared" ]]
	# The JavaScript implementation too, where its registry can be reached.
	timeout 60 npm install --silent --no-audit --no-fund --ignore-scripts --cache "$PWD/cache" \
		--fetch-retries 0 "hdr-histogram-js@$HDR_JS" >npm.log 2>&1 || return 0
	NODE_PATH=$PWD/node_modules run -0 node "$BATS_TEST_DIRNAME/lib/check_histograms.js" \
		run.json run.hgrm run.hlog
	[[ $output == *" compared" ]]
}

@test "answers of the last moment are in the per-second data and in the log" {
	start_faulty_server lag --time 0.03
	"$YODEL" -q -c 50 -d 1s --close rst --json run.json --hlog run.hlog --hgrm run.hgrm \
		"127.0.0.1:$FAULTY_SERVER_PORT"
	[ "$(of_result run.json 'sum(s["verified"] for s in r["seconds"]) == r["messages"]["verified"]')" = True ]
	run -0 python3 "$BATS_TEST_DIRNAME/lib/check_histograms.py" run.json run.hgrm run.hlog
}

@test "a page made from the JSON equals the page that the run wrote" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to run -c 10 -R 1000 -d 2200ms --html run.html --threshold 'p99.9<1s'
	"$YODEL" report -o again.html run.json
	cmp run.html again.html
	"$YODEL" report run.json | cmp - run.html
	run ! grep -iE '<script|https?://|src=|@import|url\(' run.html
}

@test "Chromium renders the page completely, without console messages" {
	needs command chromium
	start_yodeld --listen 127.0.0.1:0=upper
	run_to run -c 10 -R 1000 -d 2200ms --html run.html --threshold 'p50<1s'
	chromium --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" \
		--enable-logging=stderr --screenshot="$PWD/run.png" --window-size=960,2400 \
		--virtual-time-budget=2000 "file://$PWD/run.html" 2>chromium.log
	chromium --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" \
		--dump-dom "file://$PWD/run.html" >run.dom 2>/dev/null
	run ! grep -F CONSOLE chromium.log
	[ "$(head -c 8 run.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
	[ "$(wc -c <run.png)" -gt 40000 ]
	python3 - <<-'END'
		import html.parser, re
		text = open("run.dom").read()
		for expected in ['aria-label="Latency by percentile"', 'aria-label="Rate over time"',
		               'aria-label="Response latency over time"', 'id="trust"', 'id="equation"',
		               'id="plan"', "<h2>Thresholds</h2>"]:
		    assert expected in text, expected
		# Every line of a chart has points, and all are numbers.
		paths = re.findall(r'<path class="line [^"]*" d="([^"]*)"', text)
		assert len(paths) >= 8, len(paths)
		for path in paths:
		    assert re.fullmatch(r"([MLh][-0-9. ]+)+", path), path
	END
}

@test "untrusted names are shown as text on the page" {
	start_yodeld --listen 127.0.0.1:0=echo
	run_to run -m '<script>alert("1")</script>' --html run.html
	run ! grep -F '<script>' run.html
	grep -qF '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;' run.html
}

@test "untrusted names are shown as text on a terminal" {
	local message
	start_yodeld --listen 127.0.0.1:0=echo
	# Text is truncated between characters; control characters are shown as escapes.
	message=x$(printf 'é%.0s' {1..150})
	run_to run -m "$message"
	python3 -c 'import json, sys; m = json.load(open("run.json"))["plan"]["message"]
assert len(m) < 120 and m.startswith("\"xéé") and m.endswith("é...\""), m'
	run -0 "$YODEL" --json run.json -m $'a\nb\e[31mc' "127.0.0.1:$PORT"
	[[ $output = *'"a\nb\u001b[31mc"'* && $output != *$'\e'* ]]
	python3 - <<-'END'
		import json
		r = json.load(open("run.json"))
		r["host"]["hostname"] = "\x1b[31mred"
		r["plan"]["targets"] = ["\x9b31mblue"]
		json.dump(r, open("run.json", "w"))
	END
	run "$YODEL" merge run.json run.json
	[[ $output = *"?[31mred"* && $output = *"??31mblue"* && $output != *$'\e'* ]]
}

@test "a failed threshold exits with 99, a passed one does not" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 run_to run -c 2 -n 200 -m hello --threshold 'p50<1s' --threshold 'lost<=0'
	run -99 run_to run -c 2 -n 200 -m hello --threshold 'p50<1s' --threshold 'rate<1'
	[ "$(of_result run.json '[t["passed"] for t in r["thresholds"]]')" = "[True, False]" ]
	run -64 --separate-stderr "$YODEL" --threshold 'p99=5ms' "127.0.0.1:$PORT"
	[[ $stderr == *"expected METRIC<LIMIT"* ]]
	run -99 "$YODEL" -c 1 -n 1 --threshold 'p99<9s' --threshold 'send_lag.p50<1s' "127.0.0.1:$PORT"
	[[ $output == *"p99<9s: passed ("*", but there are too few samples)"* ]]
	[[ $output == *"send_lag.p50<1s: FAILED (no samples)"* ]]
	run -0 "$YODEL" -c 1 -n 1 "127.0.0.1:$PORT"
	[[ $output == *"ok: 1 message on 1 connection, every"* ]]
}

@test "the text report shows the message equation and marks unsupported percentiles" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 "$YODEL" "127.0.0.1:$PORT"
	[[ $output == *"6 sent = 6 verified + 0 wrong + 0 lost + 0 in flight"* ]]
	[[ $output == *"?: too few samples"* ]]
	[[ $output == *"ok: 6 messages on 2 connections, every byte verified"* ]]
}

@test "with the JSON on stdout the report goes to stderr" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 --separate-stderr "$YODEL" --json - -c 3 -n 3 -m hi "127.0.0.1:$PORT"
	echo "$output" >run.json
	check_result run.json
	[[ $stderr == *"9 sent = 9 verified"* ]]
}

@test "--progress prints a line per second into a pipe, and never prints nothing" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 --separate-stderr run_to run -c 4 -R 500 -d 2500ms --progress always
	[[ $stderr =~ "4 connections, "[0-9,]+" messages/s, p99 " ]]
	[[ $stderr == *" s left"* ]]
	[[ $stderr != *$'\r'* ]]
	run -0 --separate-stderr run_to run -c 4 -R 500 -d 1200ms --progress never
	[ -z "$stderr" ]
}

@test "progress on a terminal is one line that is refreshed and finally cleared" {
	start_yodeld --listen 127.0.0.1:0=upper
	python3 - "$YODEL" "127.0.0.1:$PORT" <<-'END' >seen
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "-c", "4", "-R", "500", "-d", "3s",
		                           "-m", "hello", sys.argv[2]])
		seen = b""
		while True:
		    try:
		        data = os.read(fd, 4096)
		    except OSError:
		        break
		    seen += data
		sys.stdout.buffer.write(seen)
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	[ "$(grep -o $'\r[0-9]* s: 4 connections, [0-9,]* messages/s' seen | wc -l)" -ge 3 ]
	# The last progress line is erased before the report begins.
	python3 -c '
seen = open("seen", "rb").read()
last = seen.rindex(b" messages/s, p99")
assert b"\r\x1b[K" in seen[last:seen.index(b"plan ")], seen'
}

@test "progress fits the width of the terminal and says what the run waits for" {
	start_faulty_server silent
	python3 - "$YODEL" "127.0.0.1:$FAULTY_SERVER_PORT" <<-'END' >seen
		import fcntl, os, pty, struct, sys, termios
		pid, fd = pty.fork()
		if pid == 0:
		    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 24, 40, 0, 0))
		    os.execv(sys.argv[1], [sys.argv[1], "-c", "4", "-d", "500ms", "--drain", "2s",
		                           "--start-at", "+4s", sys.argv[2]])
		seen = b""
		while True:
		    try:
		        data = os.read(fd, 4096)
		    except OSError:
		        break
		    seen += data
		os.waitpid(pid, 0)
		lines = [part.split(b"\r")[-1] for part in seen.split(b"\033[K")[:-1]]
		assert max(map(len, lines)) == 39, lines
		sys.stdout.buffer.write(seen)
	END
	grep -q 'load starts in' seen
	run -1 --separate-stderr "$YODEL" -q -c 4 -d 200ms --drain 3s --progress always "127.0.0.1:$FAULTY_SERVER_PORT"
	[[ $stderr == *", draining"* ]]
}

@test "two ranks merge into the sum of their counts and keep their own percentiles" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to zero -c 10 -R 1000 -d 1s --rank 0/2
	run_to one -c 10 -R 1000 -d 1s --rank 1/2
	run -0 "$YODEL" merge -o all.json --hgrm all.hgrm zero.json one.json
	[[ $output == *"10 connections to"* ]]
	check_result all.json
	for key in '["messages"]["verified"]' '["latency"]["response"]["count"]' \
		'["connections"]["requested"]' '["bytes"]["received"]'; do
		[ "$(of_result all.json "r$key")" = $(($(of_result zero.json "r$key") +
			$(of_result one.json "r$key"))) ]
	done
	[ "$(of_result all.json '[k["rank"] for k in r["ranks"]]')" = "[0, 1]" ]
	[ "$(of_result all.json 'r["ranks"][1]["p50_ns"]')" = \
		"$(of_result one.json 'r["latency"]["response"]["p50_ns"]')" ]
	[ "$(of_result all.json 'r["latency"]["response"]["max_ns"]')" = \
		"$(of_result zero.json "max(r['latency']['response']['max_ns'],
			$(of_result one.json 'r["latency"]["response"]["max_ns"]'))")" ]
	# The order of the files does not matter.
	"$YODEL" merge -q -o back.json one.json zero.json
	[ "$(of_result back.json 'r["latency"]["response"]["hdr"]')" = \
		"$(of_result all.json 'r["latency"]["response"]["hdr"]')" ]
	run -99 --separate-stderr "$YODEL" merge -q --threshold 'p50<1us' zero.json one.json
	[ "$output$stderr" = "yodel merge: FAILED: a threshold was not met" ]
	# No rank had watched outages.
	run -99 "$YODEL" merge -q --threshold 'dark<=0' zero.json one.json
	# The ranks ran one after the other: the total load never reached 1,000 a second.
	[ "$(of_result all.json 'r["trust"]["verdict"]')" != valid ]
	grep -q 'the ranks did not run at the same time' all.json
}

@test "percentiles with too few samples are not shown for ranks, seconds and compared results" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to zero -c 4 -n 5 -m hello --rank 0/2
	run_to one -c 4 -n 5 -m hello --rank 1/2
	run -0 "$YODEL" merge --html all.html zero.json one.json
	# Ten values each: the median of a rank is known, its p99 and p99.9 are not.
	[ "$(grep -cE '^ +[01] .* 10 +[0-9.]+ [num]?s +\? +\? +[0-9.]+ [num]?s$' <<<"$output")" = 2 ]
	[ "$(sed -n '/Results of each rank/,/<\/table>/p' all.html | grep -o '>?</td>' | wc -l)" = 4 ]
	trusted zero.json one.json
	run -0 "$YODEL" compare zero.json one.json
	[[ $output =~ "response p99 "\ +\?\ +\?\ +-\ +-\ +"inconclusive" ]]
	run_to slow -c 4 -d 1200ms -R 20 -m hello
	[ "$(of_result slow.json 'r["seconds"][0]["p99_ns"]')" = None ]
}

@test "a missing or duplicate rank makes the merge invalid" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to zero -c 4 -n 2 -m hi --rank 0/2
	run_to single -c 4 -n 2 -m hi
	run -0 "$YODEL" merge zero.json
	[[ $output == *"only 1 of 2 ranks are present"* ]]
	run -3 "$YODEL" merge -q --strict zero.json
	run -65 --separate-stderr "$YODEL" merge zero.json zero.json
	[ "$stderr" = "yodel merge: zero.json: rank 0 occurs twice" ]
	run -65 --separate-stderr "$YODEL" merge zero.json single.json
	[[ $stderr == *'of the first result: "ranks"' ]]
	run_to wider -c 12 -n 2 -m hi --rank 1/2
	run -65 --separate-stderr "$YODEL" merge zero.json wider.json
	[[ $stderr == *'wider.json: its plan differs from that of the first result: "connections"' ]]
}

@test "comparing a result with itself shows no difference, and a slower server is worse" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_valid fast -c 4 -d 1s -m hello
	# Slower by more than the noise of a busy machine.
	start_faulty_server lag --time 0.1
	PORT=$FAULTY_SERVER_PORT run_valid slow -c 4 -d 2s -m hello
	run -0 "$YODEL" compare --fail-worse fast.json fast.json
	[[ $output == *"no row is worse by more than noise"* ]]
	[[ $output =~ "messages/s "+[0-9,]+" "+[0-9,]+" "+0" "+"0.0 %" && $output != *[-+]0.0* ]]
	run -99 "$YODEL" compare --fail-worse fast.json slow.json
	[[ $output =~ "service mean"[^$'\n']*WORSE ]]
	run -0 "$YODEL" compare --fail-worse slow.json fast.json
	[[ $output =~ "service mean"[^$'\n']*better ]]
}

@test "compare takes several runs of each side, and refuses invalid ones" {
	start_yodeld --listen 127.0.0.1:0=upper
	for i in 1 2 3; do
		run_valid "fast$i" -c 2 -R 200 -d 400ms -m hello
	done
	start_faulty_server lag --time 0.2
	for i in 1 2 3; do
		PORT=$FAULTY_SERVER_PORT run_valid "slow$i" -c 2 -R 20 -d 400ms -m hello
	done
	run -99 "$YODEL" compare --fail-worse fast[123].json -- slow[123].json
	[[ $output =~ "service mean"[^$'\n']*" +"[0-9.]*" ms"[^$'\n']*WORSE ]]
	[[ $output == *"targets differ: base 127.0.0.1:$PORT, new 127.0.0.1:$FAULTY_SERVER_PORT"* ]]
	[[ $output != *"one run does not show"* ]]
	run -0 "$YODEL" compare fast1.json fast2.json -- fast3.json
	[[ $output == *"one run does not show how much runs differ; fix: several runs of each side:"$'\n'"    yodel compare A1 A2 A3 -- B1 B2 B3"* ||
		$output == *"the load processes waited for a CPU"* ]]
	run -64 --separate-stderr "$YODEL" compare fast1.json fast2.json fast3.json
	[ "$stderr" = "yodel compare: found 3 results, expected BASE NEW, or BASE... -- NEW..." ]
	run -64 --separate-stderr "$YODEL" compare -- fast1.json fast2.json
	python3 - <<-'END'
		import json
		r = json.load(open("fast1.json"))
		r["trust"] = {"verdict": "invalid", "reasons": ["the client was busy"]}
		json.dump(r, open("invalid.json", "w"))
	END
	run -3 --separate-stderr "$YODEL" compare fast2.json invalid.json
	[ "$stderr" = "yodel compare: invalid.json: the result is invalid (the client was busy); expected a valid one" ]
	[ -z "$output" ]
	# shellcheck disable=SC2317 # by run
	into_full() { "$YODEL" compare fast1.json fast2.json >/dev/full; }
	run -71 --separate-stderr into_full
	[[ $stderr == "yodel compare: cannot write the comparison: No space left on device" ]]
}

@test "a run says how precisely its figures are known, if it is long enough" {
	start_yodeld --listen 127.0.0.1:0=upper
	# On a busy machine consecutive responses may be too much alike.
	for _ in 1 2 3 4 5; do
		run_to long -c 4 -R 2000 -d 1s -m hello
		[ "$(of_result long.json 'r["latency"]["response"]["intervals95"]["p50"] is None or r["latency"]["service"]["intervals95"]["p50"] is None')" = True ] || break
	done
	[ "$(of_result long.json 'all(r["latency"][k]["intervals95"]["p50"]["low_ns"] <= r["latency"][k]["p50_ns"] <= r["latency"][k]["intervals95"]["p50"]["high_ns"] for k in ("response", "service"))')" = True ]
	[ "$(of_result long.json 'r["messages_per_s_interval95"]["low"] <= r["rates"]["messages_per_s"] <= r["messages_per_s_interval95"]["high"]')" = True ]
	# All connections are opened at once: one sample of the machine.
	[ "$(of_result long.json 'r["latency"]["connect"]["intervals95"]["p50"]')" = None ]
	# Read back, the intervals are the same.
	"$YODEL" merge -q -o again.json long.json
	[ "$(of_result again.json 'r["latency"]["response"]["intervals95"]')" = "$(of_result long.json 'r["latency"]["response"]["intervals95"]')" ]
	run_to short -c 4 -n 5 -m hello
	[ "$(of_result short.json 'r["latency"]["response"]["intervals95"]["p50"]')" = None ]
}

@test "one new wrong answer is worse, and a loss too rare to judge is reported as such" {
	start_faulty_server none
	"$YODEL" -q --json good.json -c 2 -n 3 --size 64 "127.0.0.1:$FAULTY_SERVER_PORT"
	end_spawned
	rm faulty_server.out
	start_faulty_server alter
	run -2 "$YODEL" -q --json wrong.json -c 2 -n 3 --size 64 "127.0.0.1:$FAULTY_SERVER_PORT"
	trusted good.json wrong.json
	run -99 "$YODEL" compare --fail-worse good.json wrong.json
	[[ $output =~ "wrong "\ +0\ +1\ +\+1\ +-\ +WORSE ]]
	end_spawned
	rm faulty_server.out
	start_faulty_server close
	run -1 "$YODEL" -q --json lost.json -c 2 -n 3 --size 64 "127.0.0.1:$FAULTY_SERVER_PORT"
	trusted lost.json
	run -0 "$YODEL" compare good.json lost.json
	[[ $output =~ "connections lost "\ +0\ +1\ +\+1\ +-\ +"inconclusive" ]]
	[[ $output != *"nothing is worse"* ]]
}

@test "compare shows the outages of --hold" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_valid none -c 10 -R 200 -d 500ms --hold=10s
	python3 - <<-'END'
		import json
		r = json.load(open("none.json"))
		ends = ["lost"] * 7 + ["open"] * 3
		r["outages"] = [{"connection": i, "begin_ns": i, "length_ns": 10**9 * (1 + (i == 7)), "end": end}
		                for i, end in enumerate(ends)]
		r["hold"].update(periods=10, connections=10, lost=7, open=3)
		json.dump(r, open("dark.json", "w"))
	END
	run -99 "$YODEL" compare --fail-worse none.json dark.json
	[[ $output =~ "dark connections "\ +0\ +10\ +\+10\ +-\ +WORSE ]]
	[[ $output =~ "dark periods "\ +0\ +10\ +\+10\ +-\ +WORSE ]]
	[[ $output =~ "not replaced "\ +0\ +7\ +\+7\ +-\ +WORSE ]]
	[[ $output =~ "dark time "\ +"0 ns"\ +"11 s"\ +\+"11 s"\ +-\ +WORSE ]]
	[[ $output =~ "longest dark "\ +"0 ns"\ +"2 s"\ +\+"2 s"\ +-\ +inconclusive ]]
	run -0 "$YODEL" compare --fail-worse none.json none.json
	[[ $output =~ "longest dark "[^$'\n']*" within noise" ]]
}

@test "a file that is not a result is refused with its name and the place of the error" {
	printf '{\n "schema": "yodel.result/1",\n oops }' >broken.json
	echo '{"schema": "other"}' >other.json
	run -65 --separate-stderr "$YODEL" report broken.json
	[[ $stderr == "yodel report: broken.json: line 3, column "* ]]
	run -65 --separate-stderr "$YODEL" merge other.json
	[ "$stderr" = 'yodel merge: other.json: schema: found "other", expected "yodel.result/1"' ]
	run -65 --separate-stderr "$YODEL" merge - <<<'{}'
	[ "$stderr" = 'yodel merge: -: schema: found nothing, expected "yodel.result/1"' ]
	run -66 --separate-stderr "$YODEL" compare none.json none.json
	[ "$stderr" = "yodel compare: none.json: No such file or directory" ]
	run -64 "$YODEL" report
	run -64 "$YODEL" merge
	run -64 "$YODEL" compare one.json
}

@test "a report that cannot be written exits with a failure" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -71 --separate-stderr run_to nowhere/run
	[[ $stderr == *"cannot write nowhere/run.json: No such file or directory"* ]]
	run -71 --separate-stderr "$YODEL" -q --html /dev/full "127.0.0.1:$PORT"
	[[ $stderr == *"/dev/full: No space left on device"* ]]
	into_full() { "$YODEL" "$@" >/dev/full; }
	run -71 --separate-stderr into_full -c 9 "127.0.0.1:$PORT"
	[[ $stderr == "yodel: cannot write the report: No space left on device" ]]
	# The other outputs are still written.
	run -71 --separate-stderr "$YODEL" -d 200ms --hlog /dev/full --json kept.json "127.0.0.1:$PORT"
	[[ $stderr == *"yodel: /dev/full: No space left on device"* ]]
	[[ $output == *"every byte verified"* ]]
	grep -q '"verdict"' kept.json
}

@test "an output file that cannot be created is refused before the run" {
	start_faulty_server none
	mkdir folder
	for path in nowhere/run folder nowhere/; do
		run -71 --separate-stderr timeout 30 "$YODEL" -d 1h --json $path "127.0.0.1:$FAULTY_SERVER_PORT"
		[[ $stderr == "yodel: cannot write $path: "* ]]
		[ -z "$output" ]
	done
	[ "$(ls -A folder)" = "" ]
}

@test "the text report fits 80 columns, and more on a wide terminal" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -2 "$YODEL" --json run.json -c 9 -n 40 --size 100 --expect echo --label "note=$(printf 'word %.0s' {1..30})" \
		--threshold 'p99<1us' "127.0.0.1:$PORT" "localhost:$PORT"
	run -0 env -u COLUMNS "$YODEL" report --text run.json
	[ "$(awk 'length > 80' <<<"$output")" = "" ]
	[[ $output = *"    expected "*"    received "* && $output = *$'\n  target  '*"127.0.0.1:$PORT"*"localhost:$PORT"* ]]
	run -0 env COLUMNS=200 "$YODEL" report --text run.json
	[ "$(awk 'length > 80' <<<"$output")" != "" ]
}

@test "no text of long names and large numbers has a line over 80 columns that could be folded" {
	local wide="$BATS_TEST_DIRNAME/lib/worst_results.py" folder
	folder="a folder$(printf ' of results%.0s' {1..20})"
	text() # ARG...
	{
		env -u COLUMNS "$YODEL" "$@" >>text
	}
	printf 'C [login]: a\nS: b\nC [query]: c\nS: d\n' >both.talk
	printf '{ "listeners": [ { "address": "127.0.0.1:0", "reply": "conversation=both.talk" } ] }\n' >talk.json
	start_yodeld -c talk.json
	run_to zero --conversation both.talk -c 4 -n 40 --rank 0/2
	run_to one --conversation both.talk -c 4 -n 40 --rank 1/2
	"$YODEL" merge -q -o merged.json zero.json one.json
	trusted merged.json
	python3 "$wide" widen merged.json wide.json
	mkdir "$folder"
	cp merged.json wide.json "$folder"
	text report --text wide.json
	text compare merged.json "$folder/wide.json"
	text compare wide.json merged.json
	text trend "$folder"
	python3 "$wide" check <text
	# The check finds a line that is too long.
	run -1 python3 "$wide" check <<<"$(printf 'word %.0s' {1..30})"
}

@test "the text report has colours on a terminal, unless NO_COLOR is set" {
	start_yodeld --listen 127.0.0.1:0=upper
	run_to run -c 2 -n 3 -m hi
	on_terminal() # ENVIRONMENT...
	{
		python3 - "$YODEL" "$@" <<-'END'
			import os, pty, sys
			pid, fd = pty.fork()
			if pid == 0:
			    os.environ.pop("NO_COLOR", None)
			    os.environ["TERM"] = "xterm"
			    os.environ.update(a.split("=") for a in sys.argv[2:])
			    os.execv(sys.argv[1], [sys.argv[1], "report", "--text", "run.json"])
			try:
			    while data := os.read(fd, 4096):
			        sys.stdout.buffer.write(data)
			except OSError:
			    pass
			sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
		END
	}
	run -0 on_terminal
	[[ $output = *$'\e[32mok: 6 messages'*$'\e[0m'* ]]
	run -0 on_terminal NO_COLOR=1
	[[ $output = *"ok: 6 messages"* && $output != *$'\e['* ]]
	run -0 on_terminal TERM=dumb
	[[ $output != *$'\e['* ]]
	run -0 "$YODEL" report --text run.json
	[[ $output != *$'\e['* ]]
}

@test "losses are marked in time, in rows of 100 ms, with the open connections and their targets" {
	start_yodeld --listen 127.0.0.1:0=echo
	local good=$PORT
	spawn closing "$BATS_TEST_DIRNAME/lib/closing_server.py" fin --after 1
	wait_until test -s closing.out
	run -1 "$YODEL" -q --json run.json --html run.html -c 20 --interval 5s -d 3500ms --no-reconnect --size 64 \
		"127.0.0.1:$good" "127.0.0.1:$(<closing.out)"
	check_result run.json
	[ "$(of_result run.json 'sum(t["connections_lost"] for t in r["tenths"])')" = 10 ]
	[ "$(of_result run.json 'all(t["length_s"] < 0.5 for t in r["tenths"]) and len(r["tenths"]) >= 10')" = True ]
	[ "$(of_result run.json '[t["established"] for t in r["targets"]]')" = "[10, 10]" ]
	[ "$(of_result run.json 'sum(t["verified"] for t in r["targets"]) == r["messages"]["verified"]')" = True ]
	python3 - <<-'END'
		import re
		page = open("run.html").read()
		assert 'aria-label="Open connections"' in page
		marks = re.findall(r'class="event".*?<title>([^<]*)', page)
		assert any("connections lost" in m for m in marks), marks
		assert re.search(r"10 connections closed by the peer, (each )?after [0-9.]+ ", page)
	END
	# Read back and merged, the page is the same and the rows of 100 ms are left out.
	"$YODEL" report run.json | cmp - run.html
}

@test "no axis repeats a label, and no key names a line that is not drawn" {
	start_yodeld --listen 127.0.0.1:0=echo
	run_to few -c 1 -R 2 -d 1200ms --html few.html
	run_to many -c 10 -R 2000 -d 2200ms --html many.html
	run_to one -c 1 -n 1 --html one.html
	run_to search -c 4 -R 500 -d 300ms --search 'p50<5s' --json search.json --html search.html &
	local search=$!
	sleep 2
	kill -INT $search
	wait $search || :
	cat >check.py <<-'END'
		import re, sys
		for name in sys.argv[1:]:
		    panels = re.findall(r'<div class="chart.*?</svg>\n(?=</div>|<p)', open(name).read(), re.S)
		    assert panels, name
		    for panel in panels:
		        key, chart = panel.split("<svg viewBox=\"0 0 540", 1)
		        for anchor in ("middle", "end"):
		            labels = re.findall(r'text-anchor="%s">([^<]*)' % anchor, chart)
		            assert len(labels) == len(set(labels)), (name, labels)
		        named = set(re.findall(r'line (s[0-9])', key))
		        drawn = set(re.findall(r'class="(?:line|point) (s[0-9])', chart))
		        assert named == drawn, (name, panel)
	END
	python3 check.py few.html many.html one.html
	[ ! -s search.html ] || { python3 check.py search.html && grep -q 'aria-label="Latency against load"' search.html; }
}

@test "one output may go to stdout, alone" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -64 --separate-stderr "$YODEL" --json - --html - "127.0.0.1:$PORT"
	[[ $stderr == *"only one output can be written to stdout"* ]]
	run -64 "$YODEL" --json - --transcript "127.0.0.1:$PORT"
	run -64 --separate-stderr "$YODEL" --json out --json-lines out "127.0.0.1:$PORT"
	[[ $stderr == "yodel: out: expected another file for each output" ]]
	run -0 "$YODEL" --json /dev/null --html /dev/null "127.0.0.1:$PORT"
	run -0 --separate-stderr "$YODEL" --html - "127.0.0.1:$PORT"
	[[ $output == "<!doctype html>"* && $output != *"connected to"* ]]
	run -0 --separate-stderr "$YODEL" --hgrm - "127.0.0.1:$PORT"
	[[ $output == *Value*Percentile* && $output != *"connected to"* ]]
}
