# shellcheck shell=bash
# helpers.bash - shared by the bats tests of the programs: `load lib/helpers`.
#
# Each test has a private directory ($BATS_TEST_TMPDIR) and starts background processes with
# `spawn` or `start_yodeld`; teardown terminates them by pid. Use wait_until, not sleep.

bats_require_minimum_version 1.5.0
# shellcheck source=tests/lib/needs.bash
source "$BATS_TEST_DIRNAME/lib/needs.bash"

BUILD=${BUILD:-$BATS_TEST_DIRNAME/../build}
YODELD=$BUILD/yodeld
YODEL=$BUILD/yodel
INDEPENDENT_CLIENT=$BATS_TEST_DIRNAME/lib/independent_client.py
FAULTY_SERVER=$BATS_TEST_DIRNAME/lib/faulty_server.py
export YODELD YODEL INDEPENDENT_CLIENT FAULTY_SERVER
# A small quarantine: freed memory that AddressSanitizer keeps would look like growth.
export ASAN_OPTIONS=quarantine_size_mb=1:${ASAN_OPTIONS-}
# Reports are not folded, so that tests find their sentences.
export COLUMNS=1000
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

setup()
{
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown()
{
	# Show the logs of a failed test.
	[ "${BATS_TEST_COMPLETED-}" = 1 ] || tail -n 40 "$BATS_TEST_TMPDIR"/*.log
	end_spawned
	# A worker terminated by a sanitizer is replaced, so the test itself may have passed.
	! grep -h -A25 -E 'Sanitizer: |runtime error:' "$BATS_TEST_TMPDIR"/*.log 2>/dev/null
}

# wait_until [-t SECONDS] COMMAND [ARG...] - repeats the command until it succeeds; fails the
# test after SECONDS (60).
wait_until()
{
	local seconds=60 deadline
	if [ "$1" = -t ]; then
		seconds=$2
		shift 2
	fi
	deadline=$((SECONDS + seconds))
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "not within $seconds s: $*" >&2
			return 1
		fi
		sleep 0.02
	done
}

# spawn NAME COMMAND [ARG...] - runs the command in the background; stdout goes to NAME.out,
# stderr to NAME.log, the pid to SPAWNED and NAME.pid.
spawn()
{
	local name=$1
	shift
	# Truncated here, not by the child, so that wait_until cannot match an old line.
	: >"$name.out"
	: >"$name.log"
	"$@" </dev/null >>"$name.out" 2>>"$name.log" 3>&- &
	SPAWNED=$!
	echo $SPAWNED >"$name.pid"
	echo $SPAWNED >>"$BATS_TEST_TMPDIR/spawned"
}

# spawn_haproxy [COMMAND...] - HAProxy in TCP mode, started by this command; stdin is what its
# configuration has after the first defaults.
spawn_haproxy()
{
	{
		cat <<-'END'
			defaults
			  mode tcp
			  timeout connect 10s
			  timeout client 60s
			  timeout server 60s
		END
		cat
	} >haproxy.cfg
	spawn haproxy "$@" haproxy -db -f haproxy.cfg
}

children_of() # PID
{
	cat "/proc/$1/task/$1/children" 2>/dev/null
}

# True when the process is gone or a zombie.
has_ended() # PID
{
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || :
	[ -z "$state" ] || [ "$state" = Z ]
}

have_ended() # PID...
{
	local pid
	for pid; do has_ended "$pid" || return 1; done
}

# Terminates what spawn started and is still running, with SIGKILL after 3 s. (Background
# jobs of bash ignore SIGINT; yodeld handles it and stops at once.)
end_spawned()
{
	local pid family=()
	while read -r pid; do
		has_ended "$pid" && continue
		# shellcheck disable=SC2207 # pids are words
		family+=("$pid" $(children_of "$pid"))
		kill -CONT "$pid" 2>/dev/null || :
		kill -INT "$pid" 2>/dev/null || :
		kill -TERM "$pid" 2>/dev/null || :
	done < <(cat "$BATS_TEST_TMPDIR/spawned" 2>/dev/null)
	rm -f "$BATS_TEST_TMPDIR/spawned"
	[ ${#family[@]} -gt 0 ] || return 0
	wait_until -t 3 have_ended "${family[@]}" 2>/dev/null ||
		kill -KILL "${family[@]}" 2>/dev/null || :
	wait
}

# start_yodeld [ARG...] - starts yodeld and waits until its workers serve. Sets YODELD_PID,
# YODELD_LOG, PORTS (one for each listener, in order) and PORT, the first. Listen on port 0.
# YODELD_RUN is a command prefix, as in: YODELD_RUN="prlimit --nofile=64".
start_yodeld()
{
	# shellcheck disable=SC2086 # split on purpose
	spawn yodeld ${YODELD_RUN-} "$YODELD" "$@"
	YODELD_PID=$SPAWNED
	YODELD_LOG=$BATS_TEST_TMPDIR/yodeld.log
	if ! wait_until yodeld_is_ready_or_gone || ! yodeld_is_ready; then
		echo "yodeld did not become ready:" >&2
		cat "$YODELD_LOG" >&2
		return 1
	fi
	# shellcheck disable=SC2034 # for the tests
	mapfile -t PORTS < <(sed -nE 's/.*listening on .*:([0-9]+) \(.*/\1/p' "$YODELD_LOG")
	# shellcheck disable=SC2034
	PORT=${PORTS[0]}
}

# start_yodeld_with KEYS [ARG...] - starts yodeld with one listener that has these keys, as
# in: start_yodeld_with '"framing": "line"'.
start_yodeld_with()
{
	printf '{ "listeners": [ { "address": "127.0.0.1:0", %s } ] }\n' "$1" >listener.json
	shift
	start_yodeld -c listener.json "$@"
}

yodeld_is_ready()
{
	grep -q ': ready: ' "$YODELD_LOG"
}

yodeld_is_ready_or_gone()
{
	yodeld_is_ready || has_ended "$YODELD_PID"
}

# stop_yodeld [SIGNAL] - sends the signal (INT), waits for the exit; returns the exit status.
stop_yodeld()
{
	local workers status=0
	workers=$(children_of "$YODELD_PID")
	kill -"${1:-INT}" "$YODELD_PID"
	wait "$YODELD_PID" || status=$?
	# shellcheck disable=SC2086 # pids are words
	have_ended $workers || {
		echo "workers still running after yodeld exited: $workers" >&2
		return 1
	}
	return $status
}

# Prints an unused port of 127.0.0.1, for a test that must know it in advance or bind it
# twice. It is outside the kernel's ephemeral range, so that no connect or bind to port 0
# takes it meanwhile; the search starts at a place that depends on the pid.
free_port()
{
	python3 - <<-'END'
		import os, socket
		low = 32768
		try:
		    low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
		except OSError:
		    pass
		span = low - 10000 if low > 12000 else 20000
		for at in range(span):
		    port = 10001 + (os.getpid() + 97 * at) % (span - 1)
		    with socket.socket() as s:
		        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		        try:
		            s.bind(("127.0.0.1", port))
		            s.listen()
		        except OSError:
		            continue
		    print(port)
		    break
	END
}

# start_faulty_server ARG... - starts lib/faulty_server.py; sets FAULTY_SERVER_PORT.
start_faulty_server()
{
	spawn faulty_server "$FAULTY_SERVER" "$@"
	wait_until test -s faulty_server.out
	# shellcheck disable=SC2034 # for the tests
	FAULTY_SERVER_PORT=$(<faulty_server.out)
}

# True when the programs were built with a sanitizer, which needs more memory and CPU time.
has_sanitizer()
{
	grep -q __asan_init "$YODELD"
}

worker_pids() # prints one per line
{
	children_of "$YODELD_PID" | tr -s ' ' '\n' | sed '/^$/d' | without_keepers
}

without_keepers() # copies pids
{
	local pid
	while read -r pid; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = yodeld-keeper ] || echo "$pid"
	done
}

keeper_pids() # prints one per line
{
	local pid
	for pid in $(children_of "$YODELD_PID"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != yodeld-keeper ] || echo "$pid"
	done
}

# Resident memory of a process, in KiB.
resident_kib() # PID
{
	sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

# CPU time of a process since its start, in clock ticks (100 a second).
cpu_ticks() # PID
{
	local line
	line=$(<"/proc/$1/stat")
	line=${line##*) }
	# shellcheck disable=SC2086 # fields are words
	set -- $line
	echo $((${12} + ${13}))
}

# An expression for browser.js: all plot areas begin at the same distance from the left edge of
# their chart, and there are several.
are_aligned() # CHART PLOT - selectors; of the plot in a chart
{
	printf '((charts) => charts.length > 1 && new Set(charts.map((chart) => Math.round(
		chart.querySelector("%s").getBoundingClientRect().left - chart.getBoundingClientRect().left))).size === 1
		)([...document.querySelectorAll("%s")])' "$2" "$1"
}

open_descriptors() # PID
{
	find "/proc/$1/fd" -mindepth 1 | wc -l
}
