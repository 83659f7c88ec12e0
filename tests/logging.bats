# Where the log goes, and readers of logs and outputs that do not read.

load lib/helpers

stalled() # KIND [ARG...]
{
	mkdir "$1"
	chmod 777 "$1"
	(cd "$1" && SECONDS_MAX=60 python3 "$BATS_TEST_DIRNAME/lib/stalled_log.py" \
		"$1" "$YODELD" "${@:2}")
}

@test "a log that is not read stops neither master nor workers, and dropped lines are counted" {
	for kind in pipe socket terminal stopped fifo file-fifo; do
		stalled $kind
	done
}

@test "a log pipe of another user that is not read stops neither master nor workers" {
	needs root
	stalled foreign
}

# Runs the command with the descriptor $1 a full pipe that is not read until file $2 exists.
with_stalled_reader() # DESCRIPTOR FILE COMMAND [ARG...]
{
	python3 - "$@" <<-'END'
		import os, subprocess, sys, time
		number, file, *command = sys.argv[1:]
		reader, writer = os.pipe()
		os.set_blocking(writer, False)
		try:
		    while True:
		        os.write(writer, b"x" * 4096)
		except BlockingIOError:
		    os.set_blocking(writer, True)
		child = subprocess.Popen(command, stdin=subprocess.DEVNULL,
		    **{"stdout" if number == "1" else "stderr": writer})
		os.close(writer)
		deadline = time.monotonic() + 60
		while not os.path.exists(file) and time.monotonic() < deadline:
		    time.sleep(0.02)
		text = b""
		while more := os.read(reader, 65536):
		    text += more
		sys.stdout.buffer.write(text.lstrip(b"x"))
		sys.exit(child.wait())
	END
}

@test "a progress line that is not read does not stop a run" {
	start_yodeld -l 127.0.0.1:0=echo
	run -0 with_stalled_reader 2 result.json "$YODEL" -d 1500ms --progress=always \
		--json result.json "127.0.0.1:$PORT"
	jq -e '.messages.verified == .messages.sent and .messages.sent > 0' result.json
}

@test "a transcript that is not read does not stop a run, and comes afterwards" {
	start_yodeld -v -l 127.0.0.1:0=echo
	spawn run with_stalled_reader 1 read "$YODEL" --transcript -n 20 --json result.json \
		"127.0.0.1:$PORT"
	wait_until -t 30 grep -q 'closed: ' yodeld.log
	kill -0 "$SPAWNED" # it waits for its reader
	touch read
	wait_until -t 30 has_ended "$SPAWNED"
	[ "$(grep -c ': sending "' run.out)" = 40 ]
	[ "$(grep -c ': received "' run.out)" -ge 40 ]
	grep -q 'every byte verified' run.out
}

@test "a reader that ends does not end a run" {
	start_yodeld -l 127.0.0.1:0=echo
	spawn run bash -c "'$YODEL' --progress=always -d 1500ms --json result.json \
		127.0.0.1:$PORT 2> >(:)"
	wait "$SPAWNED"
	jq -e '.messages.verified == .messages.sent and .messages.sent > 0' result.json
}

@test "each JSON line has an event and its values" {
	start_yodeld_json()
	{
		spawn yodeld "$YODELD" --set log.format=json -v -w 2 -l 127.0.0.1:0=echo
		YODELD_PID=$SPAWNED
		wait_until grep -q '"event":"ready"' yodeld.log
	}
	start_yodeld_json
	PORT=$(jq -r 'select(.event == "listening").listener | sub(".*:"; "")' yodeld.log)
	"$YODEL" -q -n 3 "127.0.0.1:$PORT"
	pid=$(worker_pids | head -1)
	kill -KILL "$pid"
	# shellcheck disable=SC2016 # a variable of jq
	wait_until jq -es --argjson pid "$pid" 'any(.[]; .event == "worker_died"
		and .worker_pid == $pid and (.worker == 0 or .worker == 1)
		and (.reason | startswith("signal 9")) and .level == "warn")' yodeld.log
	wait_until jq -es 'any(.[]; .event == "worker_serving")' yodeld.log
	kill -HUP "$YODELD_PID"
	wait_until jq -es 'any(.[]; .event == "change_finished" and .change == "reload")' yodeld.log
	wait_until jq -es 'any(.[]; .event == "serving" and .generation == 2 and .role == "worker 0")' \
		yodeld.log
	stop_yodeld
	jq -es 'all(.[]; (.event | test("^[a-z][a-z0-9_]*$"))
		and (.message | length) > 0 and (.time | length) == 27)' yodeld.log
}
