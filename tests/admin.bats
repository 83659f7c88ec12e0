#!/usr/bin/env bats
# run-checks: long
# Queries on the admin interface: stats, metrics, readiness, the current configuration.
# shellcheck disable=SC2030,SC2031 # ADMIN is of one test

load lib/helpers
load lib/admin

@test "both admin listeners serve stats, workers, config and metrics" {
	start_with_admin --listen 127.0.0.1:0=echo --listen '[::1]:0=upper'
	"$YODEL" -q -c 10 "127.0.0.1:$PORT"
	# A worker counts an answer when it is sent: the peer may have it before.
	thirty_are_answered()
	{
		[ "$(stat_of 's["totals"]["replies_sent"]')" = 30 ]
	}
	wait_until thirty_are_answered
	local admin_socket
	for admin_socket in "$ADMIN" "$ADMIN_ADDRESS"; do
		[ "$(ask GET /stats "$admin_socket" | sed 1d | python3 -c '
import json, sys
s = json.load(sys.stdin)
t = s["totals"]
w = s["workers"]
print(s["version"] != "" != s["instance"], s["generation"], s["uptime_s"] > 0, t["connections_accepted"],
    t["messages_received"], [x["slot"] for x in w], w[0]["state"], w[0]["restarts"],
    sum(x["messages_received"] for x in w), [x["reply"] for x in s["listeners"]],
    s["listeners"][0]["address"].startswith("127.0.0.1:"),
    s["listeners"][0]["queue_limit"] > 0, *sorted(s["kernel"]))')" = \
			"True 1 True 10 30 [0, 1] serving 0 30 ['echo', 'upper'] True True \
handshakes_aborted listen_drops listen_overflows listen_refused retransmits syncookies_sent" ]
		run ask GET /workers "$admin_socket"
		[[ $output = 200*'"slot": 1'* ]]
		run ask GET /config "$admin_socket"
		[[ $output = 200*'"workers": 2'*'"workers": "--workers"'* ]]
		run ask GET /metrics "$admin_socket"
		[[ $output = 200*'yodeld_workers_serving 2'* ]]
		[[ $output = *$'\nyodeld_kernel_retransmits_total '[0-9]* ]]
	done
}

@test "stats show the accept queue of a stopped worker" {
	start_with_admin --workers 1 --listen 127.0.0.1:0=echo
	local worker
	worker=$(worker_pids)
	kill -STOP "$worker"
	spawn waiting "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 7
	seven_are_queued()
	{
		[ "$(stat_of 's["listeners"][0]["queue_depth"]')" = 7 ]
	}
	wait_until seven_are_queued
	ask GET /metrics | grep -q "^yodeld_accept_queue_connections{listener=\"127.0.0.1:$PORT\",worker=\"0\"} 7$"
	kill -CONT "$worker"
}

@test "accept queue overflows are counted per listener, through scaling and an upgrade" {
	cat >server.json <<-END
		{ "listeners": [ { "address": "127.0.0.1:0", "backlog": 3 }, { "address": "[::1]:0" } ],
		  "workers": 2, "admin": { "socket": "$BATS_TEST_TMPDIR/admin_socket" } }
	END
	start_with_existing_file
	local worker workers
	workers=$(worker_pids)
	for worker in $workers; do kill -STOP "$worker"; done
	spawn waiting "$INDEPENDENT_CLIENT" burst --patience 60 "127.0.0.1:$PORT" 60
	drops_of_listeners()
	{
		stat_of '*[l["queue_overflows"] for l in s["listeners"]]'
	}
	some_are_dropped()
	{
		local drops
		drops=$(drops_of_listeners)
		[ "${drops% *}" -gt 0 ] && [ "${drops#* }" = 0 ]
	}
	wait_until some_are_dropped
	for worker in $workers; do kill -CONT "$worker"; done
	wait "$(<waiting.pid)"
	local before after
	before=$(drops_of_listeners)
	ctl scale 1
	ctl upgrade
	after=$(drops_of_listeners)
	[ "${after% *}" -ge "${before% *}" ]
	ask GET /metrics | grep -qx "yodeld_accept_queue_overflows_total{listener=\"127.0.0.1:$PORT\"} ${after% *}"
	[[ $(ctl stats | tr -d ,) = *' OVERFLOWS '*"127.0.0.1:$PORT "*' 60 '*" ${after% *}  upper stream"* ]]
}

@test "promtool accepts the metrics" {
	needs command promtool
	start_with_admin --listen 127.0.0.1:0=echo --listen '[::1]:0=upper'
	"$YODEL" -q -c 10 "127.0.0.1:$PORT"
	ask GET /metrics | sed 1d >metrics
	run -0 promtool check metrics < <(cat metrics)
	[ -z "$output" ]
	# Each series is there once.
	[ -z "$(grep -v '^#' metrics | sed 's/ [^ ]*$//' | sort | uniq -d)" ]
}

@test "under load each snapshot balances and no counter decreases: kills, reload, scaling, upgrade" {
	start_with_config_file
	spawn watch "$ADMIN_CLIENT" watch "$ADMIN"
	local watch=$SPAWNED _
	spawn load "$YODEL" -q -c 50 -d 300s --messages-per-connection 20 "127.0.0.1:$PORT"
	is_loaded()
	{
		[ "$(stat_of 's["totals"]["messages_received"]')" -gt 100 ]
	}
	wait_until is_loaded
	for _ in 1 2 3; do
		worker_pids | head -1 | xargs kill -KILL || : # it may just have left
		ctl reload
		ctl scale 4
		worker_pids | tail -1 | xargs kill -KILL || :
		ctl scale 1
		ctl upgrade
		ctl scale 2
	done
	kill -TERM "$watch"
	wait "$watch" || { cat watch.log; false; }
	[ "$(<watch.out)" -gt 20 ]
	[ "$(stat_of 's["totals"]["connections_recovered"]')" -gt 0 ]
}

@test "readyz is 200 only while a worker serves, and says when the server drains" {
	start_with_admin --listen 127.0.0.1:0=echo --set timeouts.drain_quiet=20s
	[ "$(ask GET /readyz)" = $'200\nready' ]
	[ "$(ask GET /healthz)" = $'200\nok' ]
	hold 1
	kill -TERM "$YODELD_PID"
	is_draining()
	{
		[ "$(ask GET /readyz)" = $'503\ndraining' ]
	}
	wait_until is_draining
	[ "$(ask GET /healthz)" = $'200\nok' ]
}

@test "counters per listener survive kills, reloads and upgrades" {
	start_with_admin --listen 127.0.0.1:0=echo --listen '[::1]:0=upper' --set survive_crashes=false
	counts_by_listener()
	{
		stat_of '[(l["connections_accepted"], l["connections_open"], l["messages_received"],
			l["bytes_sent"], l["connections_closed"]["worker_lost"]) for l in s["listeners"]]'
	}
	"$YODEL" -q -c 10 -n 3 --size 20 "127.0.0.1:$PORT"
	"$YODEL" -q -c 4 -n 5 --size 50 "[::1]:${PORTS[1]}"
	counts_are()
	{
		[ "$(counts_by_listener)" = "$1" ]
	}
	wait_until counts_are '[(10, 0, 30, 600, 0), (4, 0, 20, 1000, 0)]'
	spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" 3
	spawn hold6 "$INDEPENDENT_CLIENT" hold "::1:${PORTS[1]}" 2
	wait_until counts_are '[(13, 3, 30, 600, 0), (6, 2, 20, 1000, 0)]'
	ctl reload
	ctl upgrade
	wait_until counts_are '[(13, 3, 30, 600, 0), (6, 2, 20, 1000, 0)]'
	local pid
	for pid in $(worker_pids); do kill -KILL "$pid"; done
	wait_until counts_are '[(13, 0, 30, 600, 3), (6, 0, 20, 1000, 2)]'
	ask GET /metrics >metrics
	grep -q "^yodeld_listener_messages_received_total{listener=\"127.0.0.1:$PORT\"} 30$" metrics
	grep -q "^yodeld_listener_connections_closed_total{listener=\"\[::1\]:${PORTS[1]}\",reason=\"worker_lost\"} 2$" metrics
	grep -q "^yodeld_listener_connections_open{listener=\"127.0.0.1:$PORT\"} 0$" metrics
}

@test "a removed listener leaves stats and metrics, and its number is used again" {
	local -a free=()
	local _
	for _ in 1 2 3; do free+=("$(free_port)"); done
	write_ports() # PORT...
	{
		printf '{ "workers": 2, "listeners": [ %s { "address": "127.0.0.1:%s" } ] }' \
			"$(printf '{ "address": "127.0.0.1:%s" }, ' "${@:2}")" "$1" >server.json
	}
	# Listeners and the counters that they leave in the totals.
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
	write_ports "${free[0]}" "${free[1]}"
	start_yodeld -c server.json --set "admin.socket=$ADMIN"
	"$YODEL" -q -c 10 -n 1 --size 20 "127.0.0.1:${free[1]}"
	is_listed() # PORT
	{
		ask GET /metrics | grep -q "^yodeld_listener_.*{listener=\"127.0.0.1:$1\""
	}
	is_not_listed()
	{
		! is_listed "$1"
	}
	wait_until is_listed "${free[1]}"
	write_ports "${free[0]}" "${free[2]}"
	ctl reload
	wait_until is_not_listed "${free[1]}"
	is_listed "${free[2]}"
	[ "$(stat_of 's["totals"]["connections_accepted"]')" = 10 ]
	# It starts again at 0.
	write_ports "${free[0]}" "${free[1]}"
	ctl reload
	[ "$(stat_of '[l["connections_accepted"] for l in s["listeners"]]')" = "[0, 0]" ]
	[ "$(stat_of 's["totals"]["connections_accepted"]')" = 10 ]
}

@test "the configuration in force names the origin of each value and loads unchanged" {
	local options=(--set limits.max_message=32k --set 'listeners[0].allow=["127.0.0.0/8"]' --workers 3)
	# Control characters must not reach a terminal.
	options+=(--set $'listeners[0].reply=echo,suffix=\n\x7f\xc2\x9bé')
	write_file 2 ', "limits": { "max_pending": "2M" }'
	start_yodeld -c server.json "${options[@]}"
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
	origins='[s["origins"][k] for k in ("workers", "limits.max_message", "limits.max_pending",
		"timeouts.idle", "listeners[0].reply", "listeners[0].allow", "listeners[0].framing")]'
	[ "$(ctl --json config | value_of "$origins")" = \
		"['--workers', '--set', 'server.json', 'default', '--set', '--set', 'default']" ]
	[ "$(ctl --json config | value_of 's["config"]["workers"], s["config"]["limits"]["max_message"]')" = "3 32k" ]
	ctl config >again.json
	grep -q '"max_pending": "2M", // server.json' again.json
	"$YODELD" -c again.json --check
	grep -qF '"reply": "echo,suffix=\n\u007f\u009bé", // --set' again.json
	[ "$("$YODELD" -c again.json --print-config)" = \
		"$("$YODELD" -c server.json --print-config "${options[@]}")" ]
	ctl scale 1
	[ "$(ctl --json config | value_of 's["config"]["workers"], s["origins"]["workers"]')" = "1 scale" ]
	# An upgrade reads the file and the command line again.
	ctl upgrade
	[ "$(ctl --json config | value_of 's["config"]["workers"], s["origins"]["workers"]')" = "3 --workers" ]
}

@test "listeners given on the command line are reported as such" {
	write_file 2
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
	start_yodeld -c server.json --listen 127.0.0.1:0=echo --listen 127.0.0.1:0
	[ "$(ctl --json config | value_of '[s["origins"][f"listeners[{i}].{k}"] for i in (0, 1) for k in ("address", "reply")]')" = \
		"['--listen', '--listen', '--listen', 'default']" ]
}

@test "a request whose end is ambiguous is refused with 400, and nothing behind it is answered" {
	start_with_admin --listen 127.0.0.1:0=echo
	python3 - "$ADMIN" <<-'END'
		import socket, sys
		behind = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
		n = len(behind)

		def statuses(head, body):
		    with socket.socket(socket.AF_UNIX) as peer:
		        peer.settimeout(20)
		        peer.connect(sys.argv[1])
		        method = "POST /log?level=info" if head[0] != "GET" else "GET /healthz"
		        lines = "".join(line + "\r\n" for line in head[1:])
		        text = f"{method} HTTP/{head[0] if head[0] != 'GET' else '1.1'}\r\nHost: x\r\n{lines}\r\n"
		        last = b"GET /readyz HTTP/1.0\r\n\r\n"  # the server closes after it
		        peer.sendall(text.encode() + body + last)
		        answer = b""
		        try:
		            while data := peer.recv(65536):
		                answer += data
		        except ConnectionResetError:
		            pass
		    return [line.split()[1].decode() for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]

		refused = [
		    (("1.1", "Content-Length: 0", f"Content-Length: {n}"), behind),
		    (("1.1", f"Content-Length: {n}", f"content-length: {n}"), behind),
		    (("1.1", "Transfer-Encoding: gzip"), behind),
		    (("1.1", "Transfer-Encoding: xchunked"), b"0\r\n\r\n"),
		    (("1.1", "Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n"),
		    (("1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"), b"0\r\n\r\n"),
		    (("1.1", "Transfer-Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n"),
		    (("1.0", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
		    (("1.1", "Content-Length: +3"), b"abc"),
		    (("1.1", "Content-Length: -3"), b"abc"),
		    (("1.1", "Content-Length: 3 3"), b"abc"),
		    (("1.1", "Content-Length: 3, 3"), b"abc"),
		    (("1.1", "Content-Length: 0x3"), b"abc"),
		    (("1.1", "Content-Length:"), b""),
		    (("1.1", f"Content-Length : {n}"), behind),
		    (("1.1", "Transfer-Encoding\t: chunked"), b"0\r\n\r\n"),
		    (("GET", f"Content-Length: {n}"), behind),
		    (("GET", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
		]
		accepted = [
		    (("1.1",), b""),
		    (("1.1", "Content-Length: 3"), b"abc"),
		    (("1.1", "Content-Length: 003"), b"abc"),
		    (("1.1", "Transfer-Encoding: Chunked"), b"3\r\nabc\r\n0\r\n\r\n"),
		    (("GET", "Content-Length: 0"), b""),
		]
		wrong = [(c[0], s) for c in refused if (s := statuses(*c)) != ["400"]]
		wrong += [(c[0], s) for c in accepted if (s := statuses(*c))[:1] != ["200"]]
		# Larger than any body that is read.
		too_large = statuses(("1.1", "Content-Length: 18446744073709551616"), b"")
		wrong += [too_large] if too_large != ["413"] else []
		if wrong:
		    sys.exit("\n".join(map(str, wrong)))
	END
}

@test "a printed configuration keeps auto where the file says auto" {
	local values='s["config"]["workers"], s["config"]["listeners"][0]["max_message"]'
	printf '{ "workers": "auto", "listeners": [ { "address": "127.0.0.1:0" } ], "admin": { "socket": "%s" } }\n' \
		"$BATS_TEST_TMPDIR/admin_socket" >server.json
	start_with_existing_file
	[ "$(ctl --json config | value_of "$values")" = 'auto auto' ]
	[[ $(ctl config) = *'"workers": "auto", // server.json'* ]]
	# An upgrade keeps it, too; a scale fixes the number until the next reload.
	ctl upgrade
	[ "$(ctl --json config | value_of "$values")" = 'auto auto' ]
	ctl scale 3
	[ "$(ctl --json config | value_of "$values")" = '3 auto' ]
	ctl reload
	[ "$(ctl --json config | value_of "$values")" = 'auto auto' ]
	[ "$(stat_of 'len(s["workers"])')" = "$(nproc)" ]
}
