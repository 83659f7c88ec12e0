#!/usr/bin/env bats
# run-checks: long
# A run of yodel while it goes on: the page in a real browser, metrics in a real Prometheus,
# events, lines of JSON.
# shellcheck disable=SC2154 # run sets stderr

load lib/helpers

BROWSER=$BATS_TEST_DIRNAME/lib/browser.js
SCHEMA=$BATS_TEST_DIRNAME/../client/events.schema.json

# start_run ARG... - starts a run with --serve in the background; sets URL and RUN_PID.
start_run()
{
	# shellcheck disable=SC2153 # set by start_yodeld
	spawn run "$YODEL" -q --serve 0 "$@" "127.0.0.1:$PORT"
	RUN_PID=$SPAWNED
	wait_until grep -q 'live report: ' run.log
	URL=$(sed -n 's/.*live report: //p' run.log)
}

end_run() # ends the run and returns its exit status
{
	kill -INT "$RUN_PID" 2>/dev/null || :
	wait "$RUN_PID"
}

of_result() # EXPRESSION - of /result, as r
{
	curl -s "${URL}result" | python3 -c 'import json, sys; r = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

is_true() # EXPRESSION of /result
{
	[ "$(of_result "$1")" = True ]
}

@test "a browser shows the run as it grows, and its end, without a reload" {
	needs command chromium
	start_yodeld --listen 127.0.0.1:0=echo --set "admin.socket=$PWD/admin_socket"
	start_run -c 20 -R 500 -d 5m --size 64 --ledger "unix:$PWD/admin_socket" --label branch=main --html final.html
	# The mark on the window would be lost by a reload.
	run -0 node "$BROWSER" "$URL" \
		--eval 'window.mark = 1' \
		--until 'Number(document.querySelector(".card b").textContent.replace(",", "")) > 100' \
		--eval 'window.first = document.querySelector(".card b").textContent' \
		--until 'document.querySelector(".card b").textContent !== window.first' \
		--eval 'window.second = document.querySelector(".card b").textContent' \
		--until 'document.querySelector(".card b").textContent !== window.second' \
		--eval 'document.getElementById("ledger").textContent.includes("so far the server accepted 20 connections")' \
		--eval '["valid", "suspect", "invalid"].includes(document.querySelector("#trust b").textContent)' \
		--shell "kill -INT $RUN_PID" \
		--until '!document.getElementById("live")' \
		--eval 'document.getElementById("outcome").textContent' \
		--eval 'document.querySelector("main").textContent.includes("client and server agree: 20 connections")' \
		--eval 'document.querySelector("main").innerHTML' \
		--eval 'window.mark'
	[ "${lines[3]}" = true ]
	[ "${lines[4]}" = true ]
	[[ ${lines[5]} =~ ^'"ok: '[0-9,]+' messages on 20 connections, every byte verified"'$ ]]
	[ "${lines[6]}" = true ]
	[ "${lines[8]}" = 1 ]
	# The last page has the parts of the file that --html wrote.
	python3 - "${lines[7]}" <<-'END'
		import json, re, sys
		def text(html):
		    return " ".join(re.sub(r"<[^>]*>", " ", html).split())
		page = open("final.html").read()
		assert text(json.loads(sys.argv[1])) == text(page[page.index("<main>"):])
	END
	wait "$RUN_PID"
}

@test "the page fits narrow and wide windows in both colour schemes" {
	needs command chromium
	start_yodeld --listen 127.0.0.1:0=echo
	start_run -c 4 -R 200 -d 1m --size 64 --threshold 'p99<5s'
	wait_until is_true 'len(r["seconds"]) > 1'
	local fits='document.documentElement.scrollWidth <= window.innerWidth'
	local colour='getComputedStyle(document.body).backgroundColor' aligned
	aligned=$(are_aligned '.charts .chart' .axis)
	run -0 node "$BROWSER" "$URL" --until 'document.querySelectorAll("svg[role=img]").length === 4' \
		--size 1280 --eval "$fits" --eval "$aligned" --screenshot wide.png --size 390 --eval "$fits" --eval "$aligned" --screenshot narrow.png \
		--scheme dark --eval "$colour" --screenshot narrow_dark.png --size 1280 --screenshot wide_dark.png \
		--scheme light --eval "$colour"
	[ "$output" = $'true\ntrue\ntrue\ntrue\n"rgb(20, 23, 26)"\n"rgb(255, 255, 255)"' ]
	for png in wide narrow narrow_dark wide_dark; do
		[ "$(wc -c <$png.png)" -gt 30000 ]
	done
	end_run
}

@test "the driver of the browser reports what the page's policy forbids" {
	needs command chromium
	start_yodeld --listen 127.0.0.1:0=echo
	start_run -c 1 -R 10 -d 1m
	run -1 node "$BROWSER" "$URL" --eval 'document.body.style.setProperty("x", 1), document.body.insertAdjacentHTML("beforeend", "<p style=\"color:red\">")'
	[[ $output = *"problem: log: "*"Content Security Policy"* ]]
	run -1 node "$BROWSER" "$URL" --eval 'fetch("http://127.0.0.2:1/").catch(() => 0)'
	[[ $output = *"problem: "* ]]
	run -1 node "$BROWSER" "$URL" --eval 'console.error("oops")'
	[[ $output = *"problem: console: oops"* ]]
	end_run
}

@test "a Prometheus scrapes the run, and promtool finds no fault with the metrics" {
	needs command prometheus
	needs command promtool
	start_yodeld --listen 127.0.0.1:0=echo
	# A target that is given twice.
	start_run -c 10 -R 500 -d 2m --size 64 --threshold 'p99<5s' --label branch=main --label 'note=a "b" \c' "127.0.0.1:$PORT"
	curl -s "${URL}metrics" >metrics
	# No series occurs twice.
	[ "$(sed '/^#/d; s/ [^ ]*$//' metrics | sort | uniq -d)" = "" ]
	# shellcheck disable=SC2094
	run -0 promtool check metrics <metrics
	[ -z "$output" ]
	cat >prometheus.yml <<-END
		global: { scrape_interval: 1s }
		scrape_configs:
		  - job_name: yodel
		    static_configs: [ { targets: [ "${URL:7:-1}" ] } ]
	END
	spawn prometheus prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb \
		--web.listen-address=127.0.0.1:0
	wait_until grep -q 'ready to receive web requests' prometheus.log
	local queries
	queries=http://$(sed -nE 's/.*msg="Listening on" address=([^ ]*).*/\1/p' prometheus.log)
	answers() { promtool query instant "$queries" "$1" | grep -q "$2"; }
	wait_until answers 'yodel_connections_open{branch="main"} == 10' '=> 10 '
	wait_until answers 'rate(yodel_messages_verified_total{branch="main"}[10s]) > 300' '=> '
	wait_until answers 'histogram_quantile(0.5, yodel_latency_seconds_bucket{latency="response"}) < 5' '=> '
	answers 'sum(yodel_trust_verdict)' '=> 1 '
	answers 'yodel_threshold_passed{threshold="p99<5s"}' '=> 1 '
	answers 'yodel_target_established_total' '=> 5 '
	answers 'yodel_connections_open{note="a \"b\" \\c"}' '=> 10 '
	end_run
}

# time_of FILE - the time of the figures of a response with its headers, in s since the epoch.
time_of()
{
	date -ud "$(sed -n 's/^Last-Modified: //p' "$1" | tr -d '\r')" +%s
}

@test "readers of the same second get the same page, and every text has the time of its figures" {
	start_yodeld --listen 127.0.0.1:0=echo
	start_run -c 4 -R 500 -d 5m --size 64
	wait_until is_true 'r["messages"]["verified"] > 100'
	# A new state may begin between two of the requests.
	same_state()
	{
		local path
		for path in report metrics result ''; do
			curl -si "${URL}$path" >"first.$path"
			curl -si "${URL}$path" >"second.$path"
			[ "$(time_of "first.$path")" = "$(time_of first.report)" ] || return 1
			[ "$(time_of "second.$path")" = "$(time_of first.report)" ] || return 1
		done
	}
	wait_until same_state
	local path
	for path in report metrics result; do
		cmp <(grep -v '^Date: ' "first.$path") <(grep -v '^Date: ' "second.$path")
	done
	python3 - "$(time_of first.report)" <<-'END'
		import datetime, json, re, sys
		def body(name):
		    return open(name, newline="").read().split("\r\n\r\n", 1)[1]
		def seconds(text):
		    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
		seen = int(sys.argv[1])
		report = body("first.report")
		assert seconds(re.search(r'id="live">.* figures of (\S+)\.</p>', report)[1]) == seen
		metrics = body("first.metrics")
		assert int(float(re.search(r"^yodel_collected_timestamp_seconds (.*)$", metrics, re.M)[1])) == seen
		result = json.loads(body("first.result"))
		assert seconds(result["collected_at"]) == seen
		# All of them are of the same state.
		verified = result["messages"]["verified"]
		assert f"yodel_messages_verified_total {verified}\n" in metrics
		assert f'<div class="card"><b>{verified:,}</b>' in report
		assert report.strip() in body("first.") and report.strip() in body("second.")
	END
	# The result of a run that goes on can be reported.
	sed '1,/^\r$/d' first.result >result.json
	run -0 "$YODEL" report -o page.html result.json
	grep -q "figures of 20" page.html
	end_run
}

@test "each second is an event and a line of JSON, and the last one has the result" {
	start_yodeld --listen 127.0.0.1:0=echo --set "admin.socket=$PWD/admin_socket"
	start_run -c 4 -R 200 -d 3s --size 64 --json-lines lines --json result.json --label run=7 --threshold 'p50<5s' \
		--ledger "unix:$PWD/admin_socket"
	[ "$(curl -sI "$URL" | grep -c '^X-Content-Type-Options: nosniff')" = 1 ]
	curl -s "${URL}metrics" >metrics
	grep -q '^yodel_connections_sockets_queue_full_total{run="7"} 0$' metrics
	grep -qx '# HELP yodel_elapsed_seconds duration of the measured part so far' metrics
	run -1 grep -E '^yodel_(ledger_consistent|ledger_unexplained|connections_sockets_total)' metrics
	run -0 timeout 20 curl -sN "${URL}events"
	sed -n 's/^data: //p' <<<"$output" >events
	wait "$RUN_PID"
	[ "$(wc -l <events)" -ge 3 ]
	[ "$(tail -n 1 events)" = "$(tail -n 1 lines)" ]
	split -l 1 lines line.
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$SCHEMA" line.*
	python3 - <<-'END'
		import json
		lines = [json.loads(line) for line in open("lines")]
		result = json.load(open("result.json"))
		assert [e["phase"] for e in lines].count("finished") == 1
		assert all(e["labels"] == {"run": "7"} and e["search"] is None for e in lines)
		assert {e["ledger"]["consistent"] for e in lines[:-1] if e["ledger"]} == {None}
		assert lines[-1]["ledger"]["consistent"]
		counts = [e["messages"]["verified"] for e in lines]
		assert counts == sorted(counts) and counts[0] < counts[-1], counts
		last = lines[-1]
		assert last["messages"]["verified"] == result["messages"]["verified"] == 600
		assert last["exit_status"] == 0 and last["trust"] == result["trust"]
		assert result["labels"] == {"run": "7"} and "running" not in result
	END
}

@test "clients that hang, send nothing or hold events do not disturb the run or others" {
	start_yodeld --listen 127.0.0.1:0=echo
	start_run -c 4 -R 200 -d 1m --size 64
	cat >clients.py <<-'END'
		import socket, sys, time
		host, port = sys.argv[1].split(":")
		def connect(request):
		    s = socket.create_connection((host, int(port)))
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
		    s.sendall(request)
		    return s
		kept = [connect(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(40)]
		kept += [connect(b"") for _ in range(16)]
		kept += [connect(b"GET /result HTTP/1.1\r\nHost: x\r\n\r\n" * 50) for _ in range(8)]
		print("ready", flush=True)
		time.sleep(600)
	END
	spawn clients python3 clients.py "${URL:7:-1}"
	wait_until grep -q ready clients.out
	wait_until is_true 'r["messages"]["verified"] > 300'
	run -0 curl -s -o /dev/null -w '%{http_code}' "${URL}events"
	[ "$output" = 503 ]
	is_true 'r["messages"]["lost"]["timeout"] == 0'
	# Ended, it does not wait for them longer than two seconds.
	local start=$SECONDS
	end_run
	[ $((SECONDS - start)) -le 20 ]
	grep -q . run.log
}

@test "the address is loopback unless another one is given, or a Unix socket" {
	start_yodeld --listen 127.0.0.1:0=echo
	start_run -c 1 -R 10 -d 1m
	[[ $URL =~ ^http://127\.0\.0\.1:[0-9]+/$ ]]
	run -0 curl -s "${URL}nothing"
	[ "$output" = "expected /, /report, /metrics, /result or /events" ]
	run -0 curl -s -X POST "$URL"
	[ "$output" = "expected GET: yodel only reports" ]
	# Its port is taken.
	local port=${URL##*:}
	run -71 --separate-stderr "$YODEL" -q --serve ":${port%/}" "127.0.0.1:$PORT"
	[[ $stderr == "yodel: --serve :${port%/}: "*"in use"* ]]
	end_run
	spawn socket "$YODEL" -q -c 1 -R 10 -d 1m --serve "unix:$PWD/socket" "127.0.0.1:$PORT"
	wait_until curl -sf --unix-socket socket http://x/metrics
	kill -INT "$SPAWNED"
	wait "$SPAWNED" || : # it may not have sent anything yet
	[ ! -e socket ]
	local address
	for address in nowhere 99999 '' localhost:0 unix: mptcp:127.0.0.1:0; do
		run -64 --separate-stderr "$YODEL" -q --serve "$address" "127.0.0.1:$PORT"
		[ "$stderr" = "yodel: --serve: found \"$address\", expected PORT, ADDRESS:PORT (numeric) or unix:PATH" ]
	done
}

@test "a label is refused if its key is no name, is given twice or belongs to the metrics" {
	run -64 --separate-stderr "$YODEL" --label branch 127.0.0.1:1
	[ "$stderr" = 'yodel: --label: found "branch", expected KEY=VALUE with a key of letters, digits and "_"' ]
	run -64 --separate-stderr "$YODEL" --label 1st=x 127.0.0.1:1
	run -64 --separate-stderr "$YODEL" --label a=1 --label a=2 127.0.0.1:1
	[ "$stderr" = 'yodel: --label: "a" is given twice' ]
	run -64 --separate-stderr "$YODEL" --label le=1 127.0.0.1:1
	[ "$stderr" = "yodel: --label: \"le\" is a label of yodel's own metrics; fix: another key" ]
	run -64 --separate-stderr "$YODEL" --label $'a=x\ny' 127.0.0.1:1
}

@test "labels are in the reports, in merged and in compared results" {
	start_yodeld --listen 127.0.0.1:0=upper
	"$YODEL" -q --json a.json --html a.html --label branch=main --label host=a --rank 0/2 -c 4 -n 5 "127.0.0.1:$PORT"
	"$YODEL" -q --json b.json --label branch=main --label host=b --rank 1/2 -c 4 -n 5 "127.0.0.1:$PORT"
	grep -q 'label branch</th><td>main' a.html
	run -0 "$YODEL" report --text a.json
	[[ $output = *"branch=main, host=a"* ]]
	run -0 "$YODEL" merge -o all.json a.json b.json
	[[ $output = *"branch=main, host=a, b"* ]]
	python3 -c 'import json; assert json.load(open("all.json"))["labels"] == {"branch": "main", "host": "a, b"}'
	sed -i 's/"verdict": "\(invalid\|suspect\)"/"verdict": "valid"/' a.json b.json
	run -0 "$YODEL" compare a.json b.json
	[[ $output = *"labels differ in host: base a, new b"* ]]
}

@test "a page follows all steps of a search" {
	start_yodeld --listen 127.0.0.1:0=echo
	mkfifo lines
	start_run -c 4 -R 500 -d 500ms --search 'p50<1s' --size 64 --json-lines lines
	wait_until is_true 'len(r["search"]) >= 2'
	curl -s "${URL}report" | grep -q '<h2>Search</h2>'
	# The FIFO had no reader so far. Each step ends with its figures.
	spawn reader cat lines
	wait_until [ -s reader.out ]
	kill -INT "$RUN_PID"
	wait "$RUN_PID" || :
	wait_until grep -q '"phase":"finished"' reader.out
	split -l 1 reader.out line.
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$SCHEMA" line.*
	python3 - <<-'END'
		import json
		lines = [json.loads(line) for line in open("reader.out")]
		assert lines[-1]["search"] is None, lines[-1]
		for step in 1, 2:
		    last = [e for e in lines if e["search"] and e["search"]["step"] == step][-1]
		    assert last["messages"]["verified"] >= last["search"]["rate"] / 4, last
		    assert step == 2 or last["search"]["rate"] == 500, last
	END
}
