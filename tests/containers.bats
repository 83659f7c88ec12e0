# Limits of a container: CPU time, memory, file size.

load lib/helpers

YODELCTL=$BUILD/yodelctl

setup()
{
	cd "$BATS_TEST_TMPDIR" || return 1
	IN_CGROUP=$BATS_TEST_DIRNAME/lib/in_cgroup
}

need_cgroup()
{
	needs root
	needs kernel cgroup-limits
	# AddressSanitizer reserves more memory than these groups have.
	! has_sanitizer || skip "sanitizer: it needs more memory"
}

# Prints the number of workers of a server with this CPU limit, in thousandths of a CPU.
workers_with() # THOUSANDTHS
{
	YODELD_RUN="$IN_CGROUP - $1" start_yodeld -w auto -l 127.0.0.1:0
	sed -nE 's/.*: ready: ([0-9]+) workers?, .*/\1/p' yodeld.log
	end_spawned # the server is a child of in_cgroup
}

@test "workers: auto follows the CPU limit of the control group" {
	need_cgroup
	[ "$(workers_with 1000)" = 1 ]
	[ "$(workers_with 300)" = 1 ]
	start_yodeld -w auto -l 127.0.0.1:0
	expected=$(sed -nE 's/.*: ready: ([0-9]+) workers?, .*/\1/p' yodeld.log)
	stop_yodeld
	[ "$(workers_with 9999000)" = "$expected" ]
}

@test "the capacity follows the memory limit of the control group" {
	need_cgroup
	YODELD_RUN="$IN_CGROUP 31457280 1000" start_yodeld -w auto -l 127.0.0.1:0=echo
	wait_until grep -q 'capacity: ' yodeld.log
	capacity=$(sed -nE 's/.*capacity: ([0-9]+) connections \(1 worker, .* of memory in the control group\)$/\1/p' yodeld.log)
	[ "$capacity" -gt 1000 ]
	[ "$capacity" -lt 6300 ]
}

@test "a run that does not fit in the control group is refused" {
	need_cgroup
	run -71 "$IN_CGROUP" 31457280 - "$YODEL" -c 8k --size 4k 127.0.0.1:1
	[[ $output == *"8000 connections need about"*"(the control group's limit is 30 MB); fix: "* ]]
}

@test "the OOM killer ends a load process, and the parent reports it" {
	need_cgroup
	needs descriptors 18000
	start_yodeld -w 2 -l 127.0.0.1:0=echo
	run -1 "$IN_CGROUP" 31457280 - "$YODEL" -c 8k --size 16k -p 4 --skip-preflight -d 3s \
		--json result.json "127.0.0.1:$PORT"
	[[ $output == *"load process "*": killed by signal 9 (Killed): out of memory; fix: "* ]]
	jq -e '.trust.verdict == "invalid"' result.json
}

@test "the OOM killer prefers workers to their keepers, and those to the master" {
	start_yodeld -w 1 -l 127.0.0.1:0=echo
	own=$(cat "/proc/$YODELD_PID/oom_score_adj")
	[ "$(cat "/proc/$(worker_pids)/oom_score_adj")" = $((own + 200 > 1000 ? 1000 : own + 200)) ]
	[ "$(cat "/proc/$(keeper_pids)/oom_score_adj")" = $((own + 100 > 1000 ? 1000 : own + 100)) ]
}

@test "the OOM killer ends a worker, and the master replaces it" {
	need_cgroup
	YODELD_RUN="$IN_CGROUP 41943040 1000" start_yodeld -w 1 --set limits.max_pending=1G -l 127.0.0.1:0=echo
	python3 - "$PORT" <<-'END'
		import socket, sys
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30)
		try:
		    for _ in range(2000):
		        s.sendall(b"x" * 65536) # the replies are not read
		    s.settimeout(1)
		except OSError:
		    pass
	END
	wait_until -t 30 grep -q 'worker 0 (pid .*): died: signal 9 (Killed): out of memory' yodeld.log
	run -0 "$YODEL" -q -n 10 "127.0.0.1:$PORT"
}

# The outputs of the command are pipes, which have no size. Prints the exit status, too.
limited() # COMMAND [ARG...]
{
	(
		ulimit -f 0
		"$@"
		echo "status $?"
	) 2>&1 | cat
}

@test "a file size limit ends none of the programs" {
	start_yodeld -l 127.0.0.1:0=echo
	run -0 limited "$YODEL" -q -n 10 "127.0.0.1:$PORT"
	[ "$output" = "status 0" ]
	run -0 limited "$YODEL" -q -n 10 --json result.json "127.0.0.1:$PORT"
	[[ $output == *"result.json: File too large"*"status 71" ]]
	# A file as standard output.
	for command in "$YODELD --check" "$YODELD --print-config" "$YODELD --version" \
		"$YODEL --help" "$YODELCTL --help"; do
		run -0 limited bash -c "exec $command >printed"
		[[ $output == *"File too large"*"status 74" ]]
	done
}

@test "a file size limit below the size of the shared memory is named at the start" {
	# The second one is enough for a part of the workers.
	for bytes in 0 1000000; do
		run -71 prlimit --fsize=$bytes "$YODELD" -w 2 -l 127.0.0.1:0=echo
		[[ $output == *"the file size limit is $bytes bytes, but the shared memory of 2 workers needs "*"; fix: a larger LimitFSIZE="* ]]
	done
	needed=$(sed -nE 's/.*of 2 workers needs ([0-9]+);.*/\1/p' <<<"$output")
	YODELD_RUN="prlimit --fsize=$needed" start_yodeld -w 2 \
		--set "admin.socket=$PWD/control.sock" -l 127.0.0.1:0=echo
	"$YODELCTL" -s control.sock reload
	run -0 "$YODEL" -q -n 10 "127.0.0.1:$PORT"
	# The record of faults may be larger; the server does without.
	run ! grep -P 'cannot (fork|create (?!the record of faults))' yodeld.log
}

@test "a log file at the file size limit does not end the server, and lines are counted" {
	truncate -s 1G server.log
	YODELD_RUN="prlimit --fsize=1073741824" start_yodeld -v --set "log.file=$PWD/server.log" --set log.console_level=info \
		-l 127.0.0.1:0=echo
	grep -q 'cannot write the log file .*: File too large' yodeld.log
	run -0 "$YODEL" -q -n 10 "127.0.0.1:$PORT"
	truncate -s 0 server.log
	wait_until grep -q 'log lines could not be written' server.log
}
