#!/usr/bin/env bats
# Operators see and steer yodeld: the admin interface, the metrics, yodelctl.
# shellcheck disable=SC2030,SC2031 # DOOR is of one test

load lib/helpers

VISITOR=$BATS_TEST_DIRNAME/lib/visitor.py
YODELCTL=$BUILD/yodelctl

# start_with_doors [ARG...] - a yodeld with two workers, an admin socket and an address.
# Sets DOOR, and VISITORS, the address for who may only read.
start_with_doors()
{
	DOOR=$BATS_TEST_TMPDIR/door
	start_yodeld --workers 2 --set "admin.socket=$DOOR" --set admin.address=127.0.0.1:0 "$@"
	VISITORS=$(sed -nE 's|.*admin: http://([^ ]*) .*|\1|p' "$YODELD_LOG")
}

# The same with a file that a test can change, server.json.
start_with_file()
{
	write_file 2
	start_with_doors_of_file
}

write_file() # WORKERS [MORE]
{
	cat >server.json.new <<-END
		{ "listeners": [ { "address": "127.0.0.1:0", "reply": "upper" } ], "workers": $1,
		  "admin": { "socket": "$BATS_TEST_TMPDIR/door", "address": "127.0.0.1:0" } ${2-} }
	END
	mv server.json.new server.json
}

start_with_doors_of_file()
{
	DOOR=$BATS_TEST_TMPDIR/door
	start_yodeld -c server.json
	VISITORS=$(sed -nE 's|.*admin: http://([^ ]*) .*|\1|p' "$YODELD_LOG")
}

ask() # METHOD TARGET [DOOR]: the status in $output's first line
{
	"$VISITOR" ask "${3-$DOOR}" "$1" "$2"
}

# A value of /stats by a Python expression over it, as in: stat 's["generation"]'.
stat_of()
{
	ask GET /stats | sed 1d | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}

# Nobody is inside: of the sockets with that name there is only the one that listens.
door_is_alone()
{
	[ "$(grep -c "$DOOR\$" /proc/net/unix)" = 1 ]
}

ctl()
{
	"$YODELCTL" -s "$DOOR" "$@"
}

# --- seeing ---------------------------------------------------------------------------

@test "stats, workers, config and metrics are told on both doors" {
	start_with_doors --listen 127.0.0.1:0=echo --listen '[::1]:0=upper'
	"$YODEL" -q -c 10 "127.0.0.1:$PORT"
	# A worker counts an answer when it is sent: the peer may have it before.
	thirty_are_answered()
	{
		[ "$(stat_of 's["totals"]["replies_sent"]')" = 30 ]
	}
	wait_until thirty_are_answered
	local door
	for door in "$DOOR" "$VISITORS"; do
		[ "$(ask GET /stats "$door" | sed 1d | python3 -c '
import json, sys
s = json.load(sys.stdin)
t = s["totals"]
w = s["workers"]
print(s["version"] != "", s["generation"], s["uptime_s"] > 0, t["connections_accepted"],
    t["messages_received"], [x["slot"] for x in w], w[0]["state"], w[0]["restarts"],
    sum(x["messages_received"] for x in w), [x["reply"] for x in s["listeners"]],
    s["listeners"][0]["address"].startswith("127.0.0.1:"),
    s["listeners"][0]["queue_limit"] > 0, sorted(s["kernel"])[0])')" = \
			"True 1 True 10 30 [0, 1] serving 0 30 ['echo', 'upper'] True True listen_drops" ]
		run ask GET /workers "$door"
		[[ $output = 200*'"slot": 1'* ]]
		run ask GET /config "$door"
		[[ $output = 200*'"workers": 2'*'"workers": "--workers"'* ]]
		run ask GET /metrics "$door"
		[[ $output = 200*'yodeld_workers_serving 2'* ]]
	done
}

@test "a number in the queue of a worker that stands still is told" {
	start_with_doors --workers 1 --listen 127.0.0.1:0=echo
	local worker
	worker=$(worker_pids)
	kill -STOP "$worker"
	spawn waiting "$CALLER" burst "127.0.0.1:$PORT" 7
	seven_wait()
	{
		[ "$(stat_of 's["listeners"][0]["queue_depth"]')" = 7 ]
	}
	wait_until seven_wait
	ask GET /metrics | grep -q "^yodeld_accept_queue_connections{listener=\"127.0.0.1:$PORT\",worker=\"0\"} 7$"
	kill -CONT "$worker"
}

@test "who meets a full queue is counted at his listener, over a change of size and an upgrade" {
	cat >server.json <<-END
		{ "listeners": [ { "address": "127.0.0.1:0", "backlog": 3 }, { "address": "[::1]:0" } ],
		  "workers": 2, "admin": { "socket": "$BATS_TEST_TMPDIR/door" } }
	END
	start_with_doors_of_file
	local worker workers
	workers=$(worker_pids)
	for worker in $workers; do kill -STOP "$worker"; done
	spawn waiting "$CALLER" burst --patience 60 "127.0.0.1:$PORT" 60
	drops_of_listeners()
	{
		stat_of '*[l["queue_drops"] for l in s["listeners"]]'
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
	ask GET /metrics | grep -qx "yodeld_accept_queue_drops_total{listener=\"127.0.0.1:$PORT\"} ${after% *}"
	[[ $(ctl stats | tr -d ,) = *' DROPPED '*"127.0.0.1:$PORT "*' 60 '*" ${after% *}  upper stream"* ]]
}

@test "the metrics are what promtool wants" {
	command -v promtool || skip "no promtool here"
	start_with_doors --listen 127.0.0.1:0=echo --listen '[::1]:0=upper'
	"$YODEL" -q -c 10 "127.0.0.1:$PORT"
	ask GET /metrics | sed 1d >metrics
	run -0 promtool check metrics < <(cat metrics)
	[ -z "$output" ]
	# Each series is there once.
	[ -z "$(grep -v '^#' metrics | sed 's/ [^ ]*$//' | sort | uniq -d)" ]
}

@test "each look adds up and no counter goes back: kills, reload, sizes, upgrade, under load" {
	start_with_file
	spawn watch "$VISITOR" watch "$DOOR"
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
	[ "$(stat_of 's["totals"]["connections_closed"]["worker_lost"]')" -gt 0 ]
}

@test "ready only while a worker serves; draining is said" {
	start_with_doors --listen 127.0.0.1:0=echo --set timeouts.drain_quiet=20s
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

@test "counts are told by listener, and outlive kills, reloads and upgrades" {
	start_with_doors --listen 127.0.0.1:0=echo --listen '[::1]:0=upper'
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
	spawn hold "$CALLER" hold "127.0.0.1:$PORT" 3
	spawn hold6 "$CALLER" hold "::1:${PORTS[1]}" 2
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

# --- doors ----------------------------------------------------------------------------

@test "TCP reads and does not steer" {
	start_with_doors --listen 127.0.0.1:0=echo
	local target
	for target in /reload '/scale?workers=1' /stop /upgrade '/log?level=debug'; do
		run ask POST "$target" "$VISITORS"
		[[ $output = 403* ]]
	done
	[ "$(stat_of 's["last_change"]["number"]')" = 0 ]
}

@test "what is not there is 404, a method that is not meant 405, a bad argument 400" {
	start_with_doors --listen 127.0.0.1:0=echo
	run ask GET /none
	[[ $output = 404* ]]
	run ask POST /stats
	[[ $output = 405* ]]
	run ask GET /reload
	[[ $output = 405* ]]
	python3 - "$DOOR" <<-'END'
		import socket, sys
		for request, allowed in (("POST /stats", "GET, HEAD"), ("GET /reload", "POST")):
		    with socket.socket(socket.AF_UNIX) as peer:
		        peer.connect(sys.argv[1])
		        peer.sendall(f"{request} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode())
		        answer = peer.makefile("rb").read().decode()
		        assert f"\r\nAllow: {allowed}\r\n" in answer, answer
	END
	run ask POST '/scale?workers=many'
	[[ $output = 400*'found \"many\", wanted'* ]]
	run ask POST '/log?level=loud'
	[[ $output = 400*'found \"loud\", wanted'* ]]
}

@test "HEAD is answered without a body, and the next request on the connection is heard" {
	start_with_doors --listen 127.0.0.1:0=echo
	printf 'HEAD /stats HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
		socat -t 5 - "UNIX-CONNECT:$DOOR,shut-none" | tr -d '\r' >answer
	[ "$(grep -c '^HTTP/1.1 200 OK' answer)" = 2 ]
	grep -qE '^Content-Length: [0-9]{3,}$' answer
	[ "$(sed -n '/^$/,$p' answer | sed -n 2p)" = 'HTTP/1.1 200 OK' ]
	[ "$(tail -1 answer)" = ok ]
}

@test "the socket has mode 0660 and its group, no worker holds it, the end removes it" {
	start_with_doors --listen 127.0.0.1:0=echo --set "admin.group=$(id -gn)"
	[ "$(stat -c '%a %G' "$DOOR")" = "660 $(id -gn)" ]
	local pid inode
	inode=$(awk -v path="$DOOR" '$8 == path { print $7 }' /proc/net/unix)
	[ -n "$inode" ]
	for pid in $(worker_pids); do
		run find "/proc/$pid/fd" -lname "socket:\[$inode\]"
		[ -z "$output" ]
	done
	stop_yodeld TERM
	[ ! -e "$DOOR" ]
}

@test "the socket file of a killed server is replaced, that of a living one is not" {
	start_with_doors --listen 127.0.0.1:0=echo
	run -71 "$YODELD" --listen 127.0.0.1:0=echo --set "admin.socket=$DOOR"
	[[ $output = *"another server answers on $DOOR"* ]]
	ctl status
	kill -KILL "$YODELD_PID"
	wait_until has_ended "$YODELD_PID"
	[ -S "$DOOR" ]
	start_with_doors --listen 127.0.0.1:0=echo
	ctl status
}

@test "of servers that start at the same instant on a stale socket file one gets it" {
	local door=$BATS_TEST_TMPDIR/door name status expected
	for _ in 1 2 3 4 5; do
		rm -f "$door"
		python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$door"
		exec 9>gate
		flock 9
		start_at_the_gate()
		{
			exec 9>&-
			flock -s gate true
			exec "$YODELD" --listen 127.0.0.1:0=echo --workers 1 --set "admin.socket=$door"
		}
		for name in a b c d; do spawn $name start_at_the_gate; done
		exec 9>&-
		one_serves_alone()
		{
			[ "$(cat [a-d].log | grep -c ': ready: ')" = 1 ] &&
				[ "$(cat [a-d].log | grep -c "another server answers on $door")" = 3 ]
		}
		wait_until one_serves_alone
		for name in a b c d; do
			expected=71 status=0
			if grep -q ': ready: ' $name.log; then
				expected=0
				kill -INT "$(<$name.pid)"
			fi
			wait "$(<$name.pid)" || status=$?
			[ $status = $expected ]
		done
	done
}

@test "mode and group of the socket outlive kills, reloads and upgrades" {
	local gid=12345
	[ "$(id -u)" = 0 ] || gid=$(id -g)
	chgrp "$gid" .
	chmod g+s . # what the service manager may have done
	write_file 2
	start_with_doors_of_file
	local group
	group=$(stat -c %g "$DOOR")
	[ "$(stat -c '%a %g' "$DOOR")" = "660 $(id -g)" ]
	ctl reload
	ctl upgrade
	[ "$(stat -c '%a %g' "$DOOR")" = "660 $group" ]
	kill -KILL "$YODELD_PID"
	wait_until has_ended "$YODELD_PID"
	start_with_doors_of_file
	[ "$(stat -c '%a %g' "$DOOR")" = "660 $group" ]
	ctl upgrade
	stop_yodeld TERM
	[ ! -e "$DOOR" ]
}

@test "a socket that nobody can call is not taken for a stale one" {
	[ "$(id -u)" = 0 ] || skip "only root can become somebody who may not"
	# Where everybody may come, and remove what lies there.
	local open
	open=$(mktemp -d /tmp/yodel-door.XXXXXX)
	chmod 0777 "$open"
	cp "$YODELD" "$open/yodeld"
	DOOR=$open/door
	start_yodeld --workers 1 --listen 127.0.0.1:0 --set "admin.socket=$DOOR"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$open/yodeld" --workers 1 \
		--listen 127.0.0.1:0 --set "admin.socket=$DOOR"
	local complaint=$output
	[ "$status" = 71 ]
	run -0 ctl status
	stop_yodeld INT
	rm -r "$open"
	[[ $complaint = *"cannot tell whether somebody answers on $DOOR: Permission denied"* ]]
}

@test "a socket file that somebody has removed is made anew by a reload" {
	start_with_file
	rm "$DOOR"
	run -69 ctl status
	kill -HUP "$YODELD_PID"
	wait_until ctl status
	[ "$(stat -c %a "$DOOR")" = 660 ]
	run -0 ctl reload
	# The door that was lost takes nothing along when it is closed.
	wait_until door_is_alone
	ctl status
	stop_yodeld TERM
	[ ! -e "$DOOR" ]
}

@test "a master without a spare descriptor says so, keeps serving, and goes on when there are some" {
	start_with_file
	local limit worker
	limit=$(prlimit --pid "$YODELD_PID" --nofile --noheadings --output HARD | tr -d ' ')
	prlimit --pid "$YODELD_PID" --nofile=3:"$limit"
	run -75 ctl --timeout 0.5 reload
	wait_until grep -q "admin: cannot accept on $DOOR: Too many open files" "$YODELD_LOG"
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'reload failed, the old configuration stays: server.json: Too many open files' "$YODELD_LOG"
	kill -USR2 "$YODELD_PID"
	wait_until grep -q 'upgrade failed: Too many open files' "$YODELD_LOG"
	"$YODEL" -q "127.0.0.1:$PORT"
	worker=$(worker_pids | head -1)
	kill -KILL "$worker"
	wait_until grep -qE 'cannot fork worker [01]: Too many open files' "$YODELD_LOG"
	prlimit --pid "$YODELD_PID" --nofile="$limit:$limit"
	two_serve()
	{
		[[ $(ctl status) = *'2 of 2 workers serve'* ]]
	}
	wait_until two_serve
	[ "$(wc -l <"$YODELD_LOG")" -lt 60 ]
	ctl reload
	ctl upgrade
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "a file that is no socket stays, and the server does not start" {
	echo precious >door
	run -71 "$YODELD" --listen 127.0.0.1:0=echo --set "admin.socket=$PWD/door"
	[[ $output = *'is no socket'* ]]
	[ "$(<door)" = precious ]
}

@test "a reload moves the socket, and one that cannot changes nothing" {
	start_with_file
	sed -i "s|$BATS_TEST_TMPDIR/door|$BATS_TEST_TMPDIR/none/door|" server.json
	run -1 ctl reload
	[[ $output = *'none/door: No such file or directory'* ]]
	[ "$(stat_of 's["generation"]')" = 1 ]
	sed -i "s|/none/door|/moved|" server.json
	ctl reload
	run -69 ctl status
	[ ! -e door ]
	DOOR=$BATS_TEST_TMPDIR/moved
	ctl status
}

@test "150 visitors, a byte now and then, delay nobody and take few descriptors" {
	start_with_doors --listen 127.0.0.1:0=echo
	spawn drip "$VISITOR" drip "$VISITORS" 150
	wait_until grep -q dripping drip.out
	[ "$(open_descriptors "$YODELD_PID")" -lt 100 ]
	local before=${EPOCHREALTIME/./} worker
	ctl status
	ctl reload
	worker=$(stat_of 's["workers"][0]["pid"]')
	kill -KILL "$worker"
	replaced()
	{
		[ "$(stat_of 's["workers"][0]["restarts"] + s["workers"][1]["restarts"]')" = 1 ]
	}
	wait_until replaced
	[ $((${EPOCHREALTIME/./} - before)) -lt 10000000 ]
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "headers and bodies that are too long are refused" {
	start_with_doors --listen 127.0.0.1:0=echo
	long=$(head -c 20000 /dev/zero | tr '\0' x)
	printf 'GET /stats HTTP/1.1\r\nX: %s\r\n\r\n' "$long" |
		socat -t 5 - "UNIX-CONNECT:$DOOR" >answer || : # it may be cut off
	[[ $(head -1 answer) != *' 200 '* ]]
	printf 'POST /reload HTTP/1.1\r\nContent-Length: 20000\r\n\r\n%s' "$long" |
		socat -t 5 - "UNIX-CONNECT:$DOOR" >answer || : # it may be cut off
	[[ $(head -1 answer) != *' 200 '* ]]
	[ "$(stat_of 's["last_change"]["number"]')" = 0 ]
}

# --- steering -------------------------------------------------------------------------

@test "a reload with a bad file fails aloud, twice, as --check does; the good one succeeds" {
	start_with_file
	write_file 3 ', "worker": 1'
	run -78 "$YODELD" -c server.json --check
	local complaint=${output#yodeld: }
	local attempt
	for attempt in first second; do
		echo "the $attempt"
		run -1 ctl reload
		[[ $output = *"$complaint" ]]
		run ask POST /reload
		[[ $output = 409* ]]
	done
	"$YODEL" -q "127.0.0.1:$PORT"
	[ "$(stat_of 's["generation"], len(s["workers"])')" = "1 2" ]
	write_file 3
	run -0 ctl reload
	[[ $output = 'reload: generation 2 serves with 3 workers'* ]]
	[ "$(stat_of 'len([w for w in s["workers"] if w["state"] == "serving"])')" = 3 ]
}

@test "a file whose name is no text fails aloud as any other, on one line, and is told as an origin" {
	local name=$'se\xffr\nver.json'
	write_file 1 ', "log": { "format": "json", "file": "'"$BATS_TEST_TMPDIR"'/json.log" }'
	mv server.json "$name"
	DOOR=$BATS_TEST_TMPDIR/door
	spawn yodeld "$YODELD" -c "$name"
	wait_until ctl status
	run -0 ctl config
	[[ $output = *'"workers": 1, // se?r?ver.json'* ]]
	echo '{' >"$name"
	run -78 "$YODELD" -c "$name" --check
	[ "${#lines[@]}" = 1 ]
	[[ $output = 'yodeld: se?r?ver.json:2:1: '* ]]
	run -1 ctl reload
	[[ $output = *"${lines[0]#yodeld: }" && $output = *'se?r?ver.json:2:1: '* ]]
	[[ $(stat_of 's["last_change"]["text"]') = *'se?r?ver.json:2:1: '* ]]
	python3 -c 'import json; [json.loads(line) for line in open("json.log", encoding="utf-8")]'
}

# hold COUNT - connections that a worker has taken, not only the kernel.
hold()
{
	spawn hold "$CALLER" hold "127.0.0.1:$PORT" "$1"
	are_held()
	{
		[ "$(stat_of 's["totals"]["connections_open"]')" = "$1" ]
	}
	wait_until are_held "$1"
}

# A key of an answer that is JSON on stdin, as in: value_of 's["ok"]'.
value_of()
{
	python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}

left='[s["left"][k] for k in ("is_over", "workers", "workers_died", "connections_handed_over",
	"connections_drained", "connections_forced", "connections_lost")]'

@test "a reload, a shrink and an upgrade tell what became of workers and connections" {
	start_with_file
	hold 40
	run -0 ctl --json reload
	[ "$(value_of 's["ok"], s["generation"], s["serving"]' <<<"$output")" = 'True 2 2' ]
	[ "$(value_of "$left" <<<"$output")" = '[True, 2, 0, 40, 0, 0, 0]' ]
	[ "$(value_of '0 < s["outcome_ms"] <= s["left"]["ms"]' <<<"$output")" = True ]
	run -0 ctl upgrade
	[[ $output = 'upgrade: generation 3 serves with 2 workers after '*' ms; 2 workers left within '*' ms: 40 connections handed over, 0 drained, 0 forced' ]]
	run -0 ctl --json scale 1
	[ "$(value_of 's["left"]["workers"], s["left"]["connections_forced"]' <<<"$output")" = '1 0' ]
	[ "$(value_of 's["left"]["connections_handed_over"] > 0' <<<"$output")" = True ]
	[ "$(stat_of 's["totals"]["connections_open"]')" = 40 ]
}

# Its listener is gone from the file: nobody can take its connections over. So many that
# each worker has some.
start_with_a_drain() # DRAIN
{
	write_file 2 ", \"timeouts\": { \"drain\": \"$1\", \"drain_quiet\": \"1h\" }"
	start_with_doors_of_file
	hold 40
	sed -i 's/"reply": "upper"/"reply": "echo"/; s/127.0.0.1:0", "reply/[::1]:0", "reply/' server.json
}

@test "connections that are cut at timeouts.drain are told by the reload that waited" {
	start_with_a_drain 2s
	run -0 ctl --json reload
	[ "$(value_of "$left" <<<"$output")" = '[True, 2, 0, 0, 0, 40, 0]' ]
	[ "$(value_of 's["outcome_ms"] < 2000 <= s["left"]["ms"]' <<<"$output")" = True ]
	grep -q ': reload: 2 workers left within .*, 40 forced$' "$YODELD_LOG"
}

@test "a change that sends nobody away is over as soon as its outcome is known" {
	start_with_doors --listen 127.0.0.1:0=echo
	[ "$(ask POST '/scale?workers=2&wait=outcome' | sed 1d | value_of "$left")" = \
		"[True, 0, 0, 0, 0, 0, 0]" ]
}

@test "with --no-wait a reload is over when it serves, and the drain goes on" {
	start_with_a_drain 1h
	run -0 ctl --no-wait reload
	[[ $output = 'reload: generation 2 serves with 2 workers'*'; 2 of 2 workers still leave after '* ]]
	# The next one waits for those alone whom it sends away.
	run -0 ctl reload
	[[ $output = 'reload: generation 3 serves'*'; 2 workers left within '* ]]
	run -64 ctl --no-wait status
	[[ $output = *'sends no workers away'* ]]
}

@test "who asked and left without the answer takes no place at the door" {
	start_with_a_drain 1h
	run -75 ctl --timeout 0.3 reload
	[ "$output" = 'yodelctl: reload: not over after 0.3 s; the server goes on with it' ]
	wait_until door_is_alone
	# Half-closed is not gone: that visitor still wants to hear.
	write_file 1
	printf 'POST /reload HTTP/1.0\r\n\r\n' | socat -t 20 - "UNIX-CONNECT:$DOOR" >answer
	grep -q 'reload: generation 3 serves with 1 worker ' answer
}

@test "who waits for a drain is told how far it is when a stop or an upgrade comes between" {
	start_with_a_drain 1h
	spawn first "$YODELCTL" -s "$DOOR" reload
	local first=$SPAWNED
	wait_until grep -q 'reload: generation 2 serves' "$YODELD_LOG"
	ctl --no-wait upgrade
	wait "$first"
	grep -q '^reload: generation 2 serves.*; 2 of 2 workers still leave after' first.out
	spawn stop "$YODELCTL" -s "$DOOR" --json stop
	local stop=$SPAWNED
	wait_until grep -q ': stopping: draining' "$YODELD_LOG"
	kill -INT "$YODELD_PID"
	wait "$stop"
	[ "$(value_of 's["text"].startswith("stopped: 40 connections, "), s["left"]["connections_forced"]' <stop.out)" = 'True 40' ]
}

@test "reloads asked for at the same time are all answered" {
	start_with_file
	local i pids=()
	for i in 1 2 3 4 5 6 7 8; do
		spawn "reload$i" "$YODELCTL" -s "$DOOR" reload
		pids+=("$SPAWNED")
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ "$(cat reload*.out | grep -c 'serves with 2 workers')" = 8 ]
}

@test "scale waits until as many serve, and refuses what cannot be" {
	start_with_doors --listen 127.0.0.1:0=echo
	ctl scale 5
	[ "$(stat_of 'len([w for w in s["workers"] if w["state"] == "serving"])')" = 5 ]
	ctl scale 1
	[ "$(stat_of 'len([w for w in s["workers"] if w["state"] == "serving"])')" = 1 ]
	run -1 ctl scale 0
	[[ $output = *'from 1 to 256 were wanted' ]]
	run -1 ctl scale 257
	run -64 ctl scale x
	[[ $output = *'found "x", wanted'* ]]
}

@test "an upgrade is answered, by the next program image, on the connection that asked" {
	start_with_file
	local generation # bats has an i of its own
	for generation in 2 3 4; do
		run -0 ctl --json upgrade
		[[ $output = *'"ok": true'*"upgrade: generation $generation serves"* ]]
	done
	[ "$(stat_of 's["pid"], s["last_change"]["number"]')" = "$YODELD_PID 3" ]
	write_file 2 ', "worker": 1'
	run -1 ctl upgrade
	[[ $output = *'--check failed'*'unknown key "worker"'* ]]
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "stop waits for the end" {
	start_with_doors --listen 127.0.0.1:0=echo
	run -0 ctl stop
	wait_until has_ended "$YODELD_PID"
	wait "$YODELD_PID"
	[ ! -e "$DOOR" ]
}

@test "stop waits no longer than it is told, says so, and the drain goes on" {
	start_with_doors --listen 127.0.0.1:0=echo --set timeouts.drain_quiet=1h --set timeouts.drain=0s
	hold 1
	run -75 ctl --timeout 0.3 stop
	[ "$output" = 'yodelctl: stop: not over after 0.3 s; the server goes on with it' ]
	[ "$(ask GET /readyz)" = $'503\ndraining' ]
	# A server that stands still keeps nobody either.
	kill -STOP "$YODELD_PID"
	run -75 ctl -t 0.3 reload
	run -75 ctl -t 0.3 scale 2
	kill -CONT "$YODELD_PID"
}

@test "the level of the log changes at once, in the workers too" {
	start_with_doors --listen 127.0.0.1:0=echo
	"$YODEL" -q "127.0.0.1:$PORT"
	run ! grep -q 'worker .*peer_closed' "$YODELD_LOG"
	run -0 ctl log debug
	[ "$output" = 'log: level debug' ]
	"$YODEL" -q "127.0.0.1:$PORT"
	wait_until grep -q 'worker .*peer_closed' "$YODELD_LOG"
}

@test "a changed level of the log is told in the log and in the configuration, until a reload" {
	start_with_file
	run -0 ctl log warn
	grep -q ': log: level warn$' "$YODELD_LOG"
	[[ $(ctl config) = *'"level": "warn", // log'* ]]
	# What fails changes nothing.
	write_file 2 ', "log": { "file": "/none/log.txt" }'
	run -1 ctl reload
	[[ $(ctl config) = *'"level": "warn", // log'* ]]
	run -0 ctl rebalance
	run ! grep -q ': rebalance: ' "$YODELD_LOG"
	run -0 ctl log info
	grep -q ': log: level info$' "$YODELD_LOG"
	write_file 2
	run -0 ctl reload
	[[ $(ctl config) = *'"level": "info", // default'* ]]
}

@test "-v is told as the source of the level of the log" {
	run -0 "$YODELD" --verbose --set log.level=error --print-config
	[[ $output = *'"level": "debug"'* ]]
	start_with_doors --listen 127.0.0.1:0 --verbose
	[[ $(ctl config) = *'"level": "debug", // --verbose'* ]]
}

@test "a reload takes the log elsewhere, workers and all; errors stay on the console too" {
	start_with_file
	write_file 2 ", \"log\": { \"file\": \"$PWD/log.txt\", \"level\": \"debug\" }"
	ctl reload
	"$YODEL" -q "127.0.0.1:$PORT"
	wait_until grep -q 'worker .*peer_closed' log.txt
	grep -q 'reload: generation 2 serves' log.txt
	run ! grep -q 'reload: generation 2 serves' "$YODELD_LOG"
	write_file 2 ', "worker": 1'
	run -1 ctl reload
	grep -q 'unknown key "worker"' log.txt
	grep -q 'unknown key "worker"' "$YODELD_LOG"
	# Where a log cannot be, the one that is goes on.
	write_file 2 ', "log": { "file": "/none/log.txt" }'
	run -1 ctl reload
	[[ $output = *'cannot open the log /none/log.txt: No such file or directory'* ]]
	grep -q 'cannot open the log /none/log.txt' log.txt
}

# --- yodelctl -------------------------------------------------------------------------

@test "yodelctl: 64 for bad usage, 69 when nobody answers, each with one line" {
	DOOR=$PWD/none
	run -69 ctl status
	[[ $output = "yodelctl: $DOOR: no yodeld answers there: No such file or directory" ]]
	run -64 ctl
	run -64 ctl nonsense
	[[ $output = *'unknown command "nonsense"; wanted one of status'* ]]
	run -64 ctl scale
	run -64 ctl status more
	run -64 ctl status more still
	run -64 ctl log 'a b'
	run -64 ctl log loud
	[ "$output" = 'yodelctl: log: found "loud", wanted a level: error, warn, info or debug' ]
	run -64 ctl scale 2x
	[ "$output" = 'yodelctl: scale: found "2x", wanted a number of workers' ]
	run -64 ctl scale 1000000
	run -64 ctl --json top
	[ "$output" = 'yodelctl: top: has no JSON (stats has); wanted without --json' ]
	run -64 ctl top -n x
	run -64 ctl top -i 0
	run -0 "$YODELCTL" --help
	[[ $output = *'Commands that steer'* ]]
	run -0 "$YODELCTL" --version
}

@test "yodelctl: tables for people, JSON for programs" {
	start_with_doors --listen 127.0.0.1:0=echo
	"$YODEL" -q -c 1234 "127.0.0.1:$PORT"
	run ctl status
	[[ $output = *"process $YODELD_PID, is running: generation 1"*'2 of 2 workers serve'* ]]
	run ctl stats
	[[ $output = *'connections_accepted'*' 1,234'*'messages_received'*' 3,702'*"127.0.0.1:$PORT"* ]]
	run ctl workers
	[ "$(grep -c ' serving ' <<<"$output")" = 2 ]
	local command
	for command in status stats workers config; do
		ctl --json $command | python3 -m json.tool >/dev/null
	done
	# Who only leaves is none of the workers that are wanted.
	ctl --no-wait scale 1
	[[ $(ctl status) = *'1 of 1 workers serve'* ]]
}

@test "a reply with control characters is one line of a table and of the log, as a file would say it" {
	start_with_doors --listen '127.0.0.1:0=echo,suffix=\n\u001b[7m'
	grep -qF ':'"$PORT"' (echo,suffix=\n\u001b[7m, stream, ' "$YODELD_LOG"
	[ "$(ctl stats | grep -cE "^127.0.0.1:$PORT +.* echo,suffix=.n.u001b.7m, stream\$")" = 1 ]
}

@test "the configuration in force says where each value came from, and loads as it is" {
	write_file 2 ', "limits": { "max_pending": "2M" }'
	start_yodeld -c server.json --set limits.max_message=32k --set 'listeners[0].allow=["127.0.0.0/8"]' \
		--workers 3
	DOOR=$BATS_TEST_TMPDIR/door
	origins='[s["origins"][k] for k in ("workers", "limits.max_message", "limits.max_pending",
		"timeouts.idle", "listeners[0].reply", "listeners[0].allow", "listeners[0].framing")]'
	[ "$(ctl --json config | value_of "$origins")" = \
		"['--workers', '--set', 'server.json', 'default', 'server.json', '--set', 'default']" ]
	[ "$(ctl --json config | value_of 's["config"]["workers"], s["config"]["limits"]["max_message"]')" = "3 32k" ]
	ctl config >again.json
	grep -q '"max_pending": "2M" // server.json' again.json
	"$YODELD" -c again.json --check
	[ "$("$YODELD" -c again.json --print-config)" = "$("$YODELD" -c server.json --print-config \
		--set limits.max_message=32k --set 'listeners[0].allow=["127.0.0.0/8"]' --workers 3)" ]
	ctl scale 1
	[ "$(ctl --json config | value_of 's["config"]["workers"], s["origins"]["workers"]')" = "1 scale" ]
	# An upgrade reads file and command line anew.
	ctl upgrade
	[ "$(ctl --json config | value_of 's["config"]["workers"], s["origins"]["workers"]')" = "3 --workers" ]
}

@test "listeners of the command line are told as such" {
	write_file 2
	DOOR=$BATS_TEST_TMPDIR/door
	start_yodeld -c server.json --listen 127.0.0.1:0=echo --listen 127.0.0.1:0
	[ "$(ctl --json config | value_of '[s["origins"][f"listeners[{i}].{k}"] for i in (0, 1) for k in ("address", "reply")]')" = \
		"['--listen', '--listen', '--listen', 'default']" ]
}

@test "yodelctl top: views one after the other where there is no terminal" {
	start_with_doors --listen 127.0.0.1:0=echo
	run -0 ctl top -n 3 -i 0.1
	[ "$(grep -c '^yodeld ' <<<"$output")" = 3 ]
	[ "$(grep -cE '^LISTENER +OPEN +NEW/S +MESSAGES/S +WAITING +OF +DROPPED/S$' <<<"$output")" = 3 ]
	[ "$(grep -cE "^127.0.0.1:$PORT +0 +0 +0 +0 +[0-9,]+ +0$" <<<"$output")" = 3 ]
	[[ $output != *$'\e'* ]]
}

@test "yodelctl top: the terminal is as it was, whatever ends it" {
	start_with_doors --listen 127.0.0.1:0=echo
	local key
	[ "$("$VISITOR" terminal q "$YODELCTL" -s "$DOOR" top)" = $'restored\n0' ]
	for key in SIGINT SIGTERM SIGHUP SIGQUIT SIGABRT; do
		[ "$("$VISITOR" terminal $key "$YODELCTL" -s "$DOOR" top)" = $'restored\n'$key ]
	done
	[ "$("$VISITOR" terminal nothing "$YODELCTL" -s "$DOOR" top -n 2 -i 0.1)" = $'restored\n0' ]
}

@test "yodelctl top: another size is drawn at once, a key that means nothing hurries nothing" {
	start_with_doors --listen 127.0.0.1:0=echo
	[ "$("$VISITOR" views aXq "$YODELCTL" -s "$DOOR" top -n 2 -i 1000)" = 1 ]
	[ "$("$VISITOR" views resize "$YODELCTL" -s "$DOOR" top -i 1000)" = 2 ]
}

@test "yodelctl top: a terminal that can only print gets views one after the other" {
	start_with_doors --listen 127.0.0.1:0=echo
	run -0 "$VISITOR" dumb "$YODELCTL" -s "$DOOR" top -n 2 -i 0.1
	[ "$(grep -c '^yodeld ' <<<"$output")" = 2 ]
	[[ $output = *'closed:  none'* && $output != *$'\e'* ]]
}

@test "yodelctl top: a server that ends is told, with 69" {
	start_with_doors --listen 127.0.0.1:0=echo
	spawn top "$YODELCTL" -s "$DOOR" top -i 0.1
	local top=$SPAWNED status=0
	wait_until grep -q SLOT top.out
	stop_yodeld INT
	wait "$top" || status=$?
	[ $status = 69 ]
	# It may end before a view or in the middle of an answer.
	[ "$(grep -c "^yodelctl: $DOOR: ." top.log)" = 1 ]
}

# --- manuals --------------------------------------------------------------------------

@test "no quotation in a manual stands inside another one" {
	local manual root=$BATS_TEST_DIRNAME/..
	for manual in "$root"/{master/yodeld.8,master/yodelctl.1,conf/yodeld.json.5,client/yodel.1}; do
		mandoc -Tutf8 "$manual" >shown
		python3 - <<-'END'
			import re
			text = re.sub(".\b", "", open("shown", encoding="utf-8").read())
			assert "EXAMPLES" in text
			found = re.findall("\u2018[^\u2019]*\u2018.{,20}", text)
			assert not found, found
		END
	done
}

@test "the manuals name every option and every command" {
	local source=$BATS_TEST_DIRNAME/../master option command
	for option in $("$YODELD" --help | grep -oE -- '--[a-z-]+' | sort -u); do
		grep -qE -- "Fl -${option#--}( |$)" "$source/yodeld.8" || {
			echo "yodeld.8: no $option"
			return 1
		}
	done
	for option in $("$YODELCTL" --help | grep -oE -- '--[a-z-]+' | sort -u); do
		grep -qE -- "Fl -${option#--}( |$)" "$source/yodelctl.1"
	done
	run -64 "$YODELCTL"
	for command in ${output##*wanted one of}; do
		grep -qE "^\.It Cm $command( |$)" "$source/yodelctl.1" || {
			echo "yodelctl.1: no $command"
			return 1
		}
	done
}
