#!/usr/bin/env bats
# run-checks: without sanitizer
#
# The page of yodeld's admin endpoints, in a real browser, and what it is made of.
# shellcheck disable=SC2154 # run sets stderr

load lib/helpers

BROWSER=$BATS_TEST_DIRNAME/lib/browser.js

# start_server ARG... - yodeld with both admin endpoints; sets URL.
start_server()
{
	ADMIN_PORT=$(free_port)
	URL=http://127.0.0.1:$ADMIN_PORT/
	start_yodeld -w 2 --set admin.address="127.0.0.1:$ADMIN_PORT" --set admin.socket="$PWD/control.sock" "$@"
}

history_is() # EXPRESSION - of /history, as h
{
	curl -s "${URL}history" | python3 -c 'import json, sys, time; h = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' "$1"
}

@test "a browser shows workers, listeners, rates and log lines, and keeps them up to date" {
	needs command chromium
	start_server --listen 127.0.0.1:0
	spawn load "$BUILD/yodel" -q -c 20 -R 500 -d 60s "127.0.0.1:$PORT"
	wait_until history_is 'h["rows"][-1][1] == 20'
	kill -KILL "$(worker_pids | head -n 1)"
	run -0 node "$BROWSER" "$URL" \
		--until 'document.querySelectorAll("#workers tbody tr").length == 2' \
		--eval 'window.mark = 1' \
		--until 'document.getElementById("state").textContent.startsWith("running, 2 of 2 workers serve; up ")' \
		--until 'document.getElementById("log").textContent.includes("killed by SIGKILL")' \
		--until 'Number(document.querySelector("#cards li:nth-child(3) b").textContent.replace(",", "")) > 300' \
		--eval 'window.first = document.getElementById("state").textContent' \
		--until 'document.getElementById("state").textContent !== window.first' \
		--until "$(are_aligned '#charts figure' 'svg path')" \
		--eval 'document.querySelectorAll("#charts svg .l0").length' \
		--eval '[...document.querySelectorAll("th")].every((th) => th.scope)' \
		--eval 'window.mark'
	[ "${lines[-3]}" = 6 ]
	[ "${lines[-2]}" = true ]
	[ "${lines[-1]}" = 1 ]
}

@test "the page says when the server does not answer, and recovers" {
	needs command chromium
	start_server --listen 127.0.0.1:0
	spawn browser node "$BROWSER" "$URL" \
		--until 'document.getElementById("state").textContent.startsWith("running")' \
		--eval '"shown"' \
		--until 'document.getElementById("state").textContent.startsWith("no answer from yodeld")' \
		--eval '"gone"' \
		--until 'document.getElementById("state").textContent.startsWith("running")' \
		--eval '"back"'
	wait_until grep -q shown browser.out
	kill -STOP "$YODELD_PID"
	wait_until grep -q gone browser.out
	kill -CONT "$YODELD_PID"
	wait_until grep -q back browser.out
}

@test "the page can be read at 390 pixels, in both schemes, and with a keyboard" {
	needs command chromium
	start_server --listen 127.0.0.1:0
	local scheme
	for scheme in light dark; do
		run -0 node "$BROWSER" "$URL" --size 390 --scheme $scheme \
			--until 'document.querySelectorAll("#workers tbody tr").length == 2' \
			--eval 'document.documentElement.scrollWidth <= 390' \
			--until "$(are_aligned '#charts figure' 'svg path')" \
			--press Tab --eval 'document.activeElement.getAttribute("aria-labelledby")' \
			--eval '(() => {
				// The contrast of text with its background: WCAG 2.1, 1.4.3, level AA.
				const luminance = (c) => { const [r, g, b] = c.match(/[\d.]+/g).map((v) => v / 255)
					.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
					return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
				const back = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
					if (!/, 0\)$/.test(c)) return c; } };
				return [...document.querySelectorAll("h1, h2, p, span, b, th, td, li, figcaption")].filter((e) => e.textContent)
					.map((e) => [luminance(getComputedStyle(e).color), luminance(back(e))])
					.every(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) >= 4.5); })()'
		[ "${lines[0]}" = true ]
		[ "${lines[1]}" = '"workers-title"' ]
		[ "${lines[2]}" = true ]
	done
}

@test "the page has a strict policy, on both endpoints, and no external resource" {
	start_server --listen 127.0.0.1:0
	local socket
	for socket in "--unix-socket control.sock" ""; do
		# shellcheck disable=SC2086 # words are meant
		curl -s -D headers -o page $socket "$URL"
		grep -q "^Content-Security-Policy: default-src 'none'; style-src 'nonce-[0-9a-f]\{32\}'; script-src 'nonce-[0-9a-f]\{32\}'; connect-src 'self'" headers
		grep -qx $'X-Content-Type-Options: nosniff\r' headers
		if grep -E '(src|href)="?(https?:|//)' page; then false; fi
		nonce=$(sed -n "s/.*script-src 'nonce-\([0-9a-f]*\)'.*/\1/p" headers)
		[ "$(grep -c "nonce=\"$nonce\"" page)" = 2 ]
		if grep -q @NONCE@ page; then false; fi
	done
	curl -s -D other -o /dev/null "$URL"
	if grep -q "$nonce" other; then false; fi
	run -0 curl -s -o /dev/null -w '%{http_code}' -X POST "$URL"
	[ "$output" = 405 ]
}

@test "the history has one sample a second, warnings of workers, and what is asked for" {
	start_server --listen 127.0.0.1:0
	wait_until history_is 'len(h["rows"]) >= 3'
	history_is 'all(b[0] > a[0] for a, b in zip(h["rows"], h["rows"][1:]))'
	history_is 'h["columns"][:3] == ["second", "open", "accepted"] and set(h["cpu"]["workers"]) == {"0", "1"}'
	history_is 'h["limits"]["connections"] > 0 and h["limits"]["handshakes"] == 4000 and h["log"] == []'
	local last
	last=$(curl -s "${URL}history" | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][-1][0])')
	run -0 curl -s "${URL}history?since=$last"
	[ "$(python3 -c 'import json, sys; print(len(json.loads(sys.argv[1])["rows"]) <= 2)' "$output")" = True ]
	run -0 curl -s "${URL}history?since=x"
	[[ $output = *'found \"x\", expected since=N, a time in seconds since 1970'* ]]
	# A worker that is killed is a warning of the master.
	kill -KILL "$(worker_pids | head -n 1)"
	wait_until history_is '"killed by SIGKILL" in h["log"][0]'
}

@test "a clock that is set back begins the history anew" {
	printf '#!/bin/sh\nexec env LD_PRELOAD="%s" FAULTS=clock_gettime/3 FAULTS_IN=parent "$@"\n' \
		"$BUILD/faults.so" >with_faults
	chmod +x with_faults
	YODELD_RUN=./with_faults start_server --listen 127.0.0.1:0
	wait_until history_is 'h["rows"][-1][0] > time.time() + 1800'
	wait_until history_is 'h["rows"][-1][0] < time.time() + 1800'
	history_is 'all(b[0] > a[0] for a, b in zip(h["rows"], h["rows"][1:]))'
	run -0 curl -s "${URL}history?since=$(($(date +%s) + 9000))"
	[[ $output != *'"rows":[],'* ]]
}

@test "an upgrade keeps the history and the warnings, and hears the workers of the previous program" {
	start_server --listen 127.0.0.1:0
	kill -KILL "$(worker_pids | head -n 1)"
	wait_until history_is '"killed by SIGKILL" in h["log"][0] and len(h["rows"]) >= 2'
	local first pipe
	first=$(curl -s "${URL}history" | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][0][0])')
	# The pipe that workers have from the master: later one of the previous program.
	pipe=$(find "/proc/$(worker_pids | head -n 1)/fd" -lname 'pipe:*' -printf '%l\n' | grep -Fxf \
		<(find "/proc/$YODELD_PID/fd" -lname 'pipe:*' -not -name '[012]' -printf '%l\n') | head -n 1)
	exec 9>"$(find "/proc/$(worker_pids | head -n 1)/fd" -printf '%p %l\n' | grep -F " $pipe" | cut -d ' ' -f 1)"
	run -0 timeout 30 "$BUILD/yodelctl" -s control.sock upgrade
	history_is "h['rows'][0][0] == $first and any('killed by SIGKILL' in line for line in h['log'])"
	echo "2026-11-21T05:24:07.301Z warn yodeld[7] worker 1: of the previous program" >&9
	exec 9>&-
	wait_until history_is '"of the previous program" in h["log"][0]'
}

@test "an open page goes on over an upgrade" {
	needs command chromium
	start_server --listen 127.0.0.1:0
	spawn browser node "$BROWSER" "$URL" \
		--until 'document.getElementById("state").textContent.includes("generation 1") && rows.length > 1' \
		--eval 'window.first = rows[0].second' \
		--eval '"shown"' \
		--until 'document.getElementById("state").textContent.includes("2 of 2 workers serve") &&
			document.getElementById("state").textContent.includes("generation 2")' \
		--eval '"after: " + (rows[0].second === window.first)'
	wait_until grep -q shown browser.out
	run -0 timeout 30 "$BUILD/yodelctl" -s control.sock upgrade
	wait_until grep -q 'after: true' browser.out
}

@test "sixty-four browsers that hold the page leave probes, changes and messages alone" {
	start_server --listen 127.0.0.1:0
	cat >browsers.py <<-'END'
		import http.client, sys, threading, time
		port, until = int(sys.argv[1]), time.monotonic() + 6
		failed = []
		def browse():
		    try:
		        c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
		        for path in ["/"] + ["/stats", "/history?since=0"] * 1000:
		            c.request("GET", path)
		            r = c.getresponse()
		            r.read()
		            if r.status != 200:
		                failed.append(r.status)
		            if path != "/" and time.monotonic() > until:
		                break
		            time.sleep(0.5)
		    except Exception as e:
		        failed.append(repr(e))
		threads = [threading.Thread(target=browse) for _ in range(64)]
		[t.start() for t in threads]
		print("browsing", flush=True)
		[t.join() for t in threads]
		print("failed:", failed)
	END
	spawn browsers python3 browsers.py "$ADMIN_PORT"
	wait_until grep -q browsing browsers.out
	for _ in 1 2 3 4 5; do
		run -0 timeout 10 curl -s "${URL}healthz"
		[ "$output" = ok ]
	done
	run -0 timeout 20 "$BUILD/yodelctl" -s control.sock reload
	run -0 "$BUILD/yodel" -q -c 20 -d 1s --size 64 --expect upper "127.0.0.1:$PORT"
	wait_until grep -q failed: browsers.out
	[ "$(grep failed: browsers.out)" = "failed: []" ]
}
