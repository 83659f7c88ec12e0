#!/usr/bin/env bats
# Changes through the admin interface: reload, scale, upgrade, stop, log; and their outcomes.
# shellcheck disable=SC2030,SC2031 # ADMIN is of one test

load lib/helpers
load lib/admin

@test "a reload of a bad file fails with the error of --check, twice; a good one succeeds" {
	start_with_config_file
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

@test "a file name with arbitrary bytes appears on one line in errors and as an origin" {
	local name=$'se\xffr\nver.json'
	write_file 1 ', "log": { "format": "json", "file": "'"$BATS_TEST_TMPDIR"'/json.log" }'
	mv server.json "$name"
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
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

left='[s["drain"][k] for k in ("is_over", "workers", "workers_died", "connections_handed_over",
	"connections_drained", "connections_forced", "connections_lost")]'

@test "reload, scale down and upgrade report what became of workers and connections" {
	start_with_config_file
	hold 40
	run -0 ctl --json reload
	[ "$(value_of 's["ok"], s["generation"], s["serving"]' <<<"$output")" = 'True 2 2' ]
	[ "$(value_of "$left" <<<"$output")" = '[True, 2, 0, 40, 0, 0, 0]' ]
	[ "$(value_of '0 < s["outcome_ms"] <= s["drain"]["ms"]' <<<"$output")" = True ]
	run -0 ctl upgrade
	[[ $output = 'upgrade: generation 3 serves with 2 workers after '*' ms: '*', version '*'; 2 workers exited within '*' ms: 40 connections transferred, 0 drained, 0 forced' ]]
	run -0 ctl --json scale 1
	[ "$(value_of 's["drain"]["workers"], s["drain"]["connections_forced"]' <<<"$output")" = '1 0' ]
	[ "$(value_of 's["drain"]["connections_handed_over"] > 0' <<<"$output")" = True ]
	[ "$(stat_of 's["totals"]["connections_open"]')" = 40 ]
}

# The listener is removed from the file, so its connections must be drained. 40 of them, so
# that each worker has some.
start_with_a_drain() # DRAIN
{
	write_file 2 ", \"timeouts\": { \"drain\": \"$1\", \"drain_quiet\": \"1h\" }"
	start_with_existing_file
	hold 40
	sed -i 's/"reply": "upper"/"reply": "echo"/; s/127.0.0.1:0", "reply/[::1]:0", "reply/' server.json
}

@test "a reload reports the connections closed at timeouts.drain" {
	start_with_a_drain 2s
	run -0 ctl --json reload
	[ "$(value_of "$left" <<<"$output")" = '[True, 2, 0, 0, 0, 40, 0]' ]
	[ "$(value_of 's["outcome_ms"] < 2000 <= s["drain"]["ms"]' <<<"$output")" = True ]
	grep -q ': reload: 2 workers exited within .*, 40 forced$' "$YODELD_LOG"
}

@test "a change that removes no worker ends as soon as its outcome is known" {
	start_with_admin --listen 127.0.0.1:0=echo
	[ "$(ask POST '/scale?workers=2&wait=outcome' | sed 1d | value_of "$left")" = \
		"[True, 0, 0, 0, 0, 0, 0]" ]
}

@test "with --no-wait a reload returns when the new workers serve, and the drain continues" {
	start_with_a_drain 1h
	run -0 ctl --no-wait reload
	[[ $output = 'reload: generation 2 serves with 2 workers'*'; 2 of 2 workers still draining after '* ]]
	# The next reload waits only for the workers that it replaces itself.
	run -0 ctl reload
	[[ $output = 'reload: generation 3 serves'*'; 2 workers exited within '* ]]
	run -64 ctl --no-wait status
	[[ $output = *'--no-wait is for '* ]]
}

@test "a client that disconnects while waiting frees its place on the admin listener" {
	start_with_a_drain 1h
	run -75 ctl --timeout 0.3 reload
	[ "$output" = 'yodelctl: reload: not finished within 0.3 s (--timeout); the server continues with it' ]
	wait_until admin_has_no_clients
	# A client that has only half-closed still gets its answer.
	write_file 1
	printf 'POST /reload HTTP/1.0\r\n\r\n' | socat -t 20 - "UNIX-CONNECT:$ADMIN" >answer
	grep -q 'reload: generation 3 serves with 1 worker ' answer
}

@test "a request that waits for a drain gets the state so far when a stop or an upgrade intervenes" {
	start_with_a_drain 1h
	spawn first "$YODELCTL" -s "$ADMIN" reload
	local first=$SPAWNED
	wait_until grep -q 'reload: generation 2 serves' "$YODELD_LOG"
	ctl --no-wait upgrade
	wait "$first"
	grep -q '^reload: generation 2 serves.*; 2 of 2 workers still draining after' first.out
	spawn stop "$YODELCTL" -s "$ADMIN" --json stop
	local stop=$SPAWNED
	wait_until grep -q ': stopping: draining' "$YODELD_LOG"
	kill -INT "$YODELD_PID"
	wait "$stop"
	[ "$(value_of 's["text"].startswith("stopped: 40 connections, "), s["drain"]["connections_forced"]' <stop.out)" = 'True 40' ]
}

@test "concurrent reload requests are all answered" {
	start_with_config_file
	local i pids=()
	for i in 1 2 3 4 5 6 7 8; do
		spawn "reload$i" "$YODELCTL" -s "$ADMIN" reload
		pids+=("$SPAWNED")
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ "$(cat reload*.out | grep -c 'serves with 2 workers')" = 8 ]
}

@test "scale waits until the workers serve, and refuses impossible numbers" {
	start_with_admin --listen 127.0.0.1:0=echo
	ctl scale 5
	[ "$(stat_of 'len([w for w in s["workers"] if w["state"] == "serving"])')" = 5 ]
	ctl scale 1
	[ "$(stat_of 'len([w for w in s["workers"] if w["state"] == "serving"])')" = 1 ]
	run -1 ctl scale 0
	[[ $output = *'expected 1 to 256' ]]
	run -1 ctl scale 257
	run -64 ctl scale x
	[[ $output = *'found "x", expected'* ]]
}

# Four workers with room for 168 connections each.
start_with_little_room() # CONNECTIONS
{
	write_file 4 ', "timeouts": { "drain": "5s" }'
	YODELD_RUN="prlimit --nofile=200:200" start_with_existing_file
	hold "$1"
}

@test "a scale or reload to workers without room for all connections is refused with the number" {
	start_with_little_room 400
	local why='64 of 400 open connections would be closed: 2 workers have room for 336'
	run -1 ctl scale 2
	[ "$output" = "yodelctl: scale refused: $why (--force scales all the same)" ]
	[[ $(ask POST '/scale?workers=2') = 409*"$why"* ]]
	[[ $(ask POST '/scale?workers=2&force=yes') = 400*'expected force=1'* ]]
	write_file 2
	run -1 ctl reload
	[[ $output = *"workers: $why (fix: "* ]]
	[ "$(stat_of 's["totals"]["connections_open"], len(s["workers"])')" = '400 4' ]
	# There is room in three workers, although not in the one that is asked first.
	run -0 ctl scale 3
	[[ $output = *' transferred, 0 drained, 0 forced' ]]
	[ "$(stat_of 's["totals"]["connections_open"]')" = 400 ]
	run -64 ctl --force reload
	[ "$output" = 'yodelctl: --force is for scale' ]
	run -0 ctl --force scale 2
	[ "$(stat_of 's["totals"]["connections_open"]')" = 336 ]
	run -0 ctl reload
}

@test "the new program answers the upgrade request on the same connection" {
	start_with_config_file
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

@test "stop returns when the server has exited" {
	start_with_admin --listen 127.0.0.1:0=echo
	run -0 ctl stop
	wait_until has_ended "$YODELD_PID"
	wait "$YODELD_PID"
	[ ! -e "$ADMIN" ]
}

@test "stop gives up after --timeout, says so, and the drain continues" {
	start_with_admin --listen 127.0.0.1:0=echo --set timeouts.drain_quiet=1h --set timeouts.drain=0s
	hold 1
	run -75 ctl --timeout 0.3 stop
	[ "$output" = 'yodelctl: stop: not finished within 0.3 s (--timeout); the server continues with it' ]
	[ "$(ask GET /readyz)" = $'503\ndraining' ]
	# A stopped server does not block yodelctl beyond its --timeout.
	kill -STOP "$YODELD_PID"
	run -75 ctl -t 0.3 reload
	run -75 ctl -t 0.3 scale 2
	kill -CONT "$YODELD_PID"
}

@test "a log level change takes effect at once, also in the workers" {
	start_with_admin --listen 127.0.0.1:0=echo
	"$YODEL" -q "127.0.0.1:$PORT"
	run ! grep -q 'worker .*peer_closed' "$YODELD_LOG"
	run -0 ctl log debug
	[ "$output" = 'log: level debug' ]
	"$YODEL" -q "127.0.0.1:$PORT"
	wait_until grep -q 'worker .*peer_closed' "$YODELD_LOG"
}

@test "a changed log level shows in the log and the configuration until the next reload" {
	start_with_config_file
	run -0 ctl log warn
	grep -q ': log: level warn$' "$YODELD_LOG"
	[[ $(ctl config) = *'"level": "warn", // log'* ]]
	# A failed reload changes nothing.
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

@test "-v is reported as the origin of the log level" {
	run -0 "$YODELD" --verbose --set log.level=error --print-config
	[[ $output = *'"level": "debug"'* ]]
	start_with_admin --listen 127.0.0.1:0 --verbose
	[[ $(ctl config) = *'"level": "debug", // --verbose'* ]]
}

@test "a reload moves the log of master and workers; errors also go to the console" {
	start_with_config_file
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
	# If the new log cannot be opened, the old one stays in use.
	write_file 2 ', "log": { "file": "/none/log.txt" }'
	run -1 ctl reload
	[[ $output = *'cannot open the log /none/log.txt: No such file or directory'* ]]
	grep -q 'cannot open the log /none/log.txt' log.txt
}
