#!/usr/bin/env bats
# Misbehaving peers: idle, slow, too many, oversized and malformed messages.

load lib/helpers

log_has()
{
	grep -qE "$1" "$YODELD_LOG"
}

closed_for() # REASON
{
	log_has "connection [^ ]+ closed: $1"
}

client_printed() # NAME TEXT
{
	grep -qF "$2" "$1.out"
}

hold() # NAME COUNT
{
	spawn "$1" "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" "$2"
	wait_until client_printed "$1" "holding $2"
}

# Sends a message on each held connection; the outcome is in $output.
ask_held() # NAME
{
	local before
	before=$(wc -l <"$1.out")
	kill -USR1 "$(<"$1.pid")"
	# shellcheck disable=SC2016 # expanded by the inner shell
	wait_until bash -c '[ "$(wc -l <"$0.out")" -gt "$1" ]' "$1" "$before"
	output=$(tail -n 1 "$1.out")
}

is_served()
{
	run "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" hello
	[ "$output" = "'HELLO'" ]
}

is_refused()
{
	! is_served
}

@test "a peer that never reads uses bounded memory, delays no other peer and is closed with its reason" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper --set log.level=debug \
		--set timeouts.stalled_write=2s --set limits.max_pending=256k
	local worker before grown
	worker=$(worker_pids)
	is_served
	before=$(resident_kib "$worker")
	spawn stuck "$INDEPENDENT_CLIENT" never-read "127.0.0.1:$PORT"
	wait_until client_printed stuck "blocked after"
	is_served
	grown=$(($(resident_kib "$worker") - before))
	echo "the worker grew by $grown KiB"
	[ $grown -lt 2048 ]
	wait_until client_printed stuck closed
	wait_until closed_for stalled_write
	is_served
}

@test "a slow reader gets every byte" {
	start_yodeld -w 1 --listen 127.0.0.1:0=echo --set limits.max_pending=64k
	head -c 8000000 /dev/urandom >sent
	socat -u "OPEN:sent" - | socat -t 30 - "TCP:127.0.0.1:$PORT,rcvbuf=4096" |
		(sleep 1 && cat) >received
	cmp sent received
}

@test "a quiet connection is closed after timeouts.idle, a busy one is not" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper --set log.level=debug --set timeouts.idle=2s
	hold quiet 3
	spawn busy "$YODEL" -c 2 -d 5s --interval 200ms -q "127.0.0.1:$PORT"
	three_idle()
	{
		[ "$(grep -cE 'closed: idle' "$YODELD_LOG")" = 3 ]
	}
	wait_until three_idle
	wait "$(<busy.pid)"
	three_idle
}

@test "a line over max_message closes the connection with its reason" {
	start_yodeld_with '"framing": "line", "reply": "echo"' --set limits.max_message=1k \
		--set log.level=debug
	head -c 1023 /dev/zero | tr '\0' x >sent
	echo >>sent
	socat -t 20 - "TCP:127.0.0.1:$PORT" <sent >received
	cmp sent received
	head -c 4000 /dev/zero | tr '\0' x | socat -t 20 - "TCP:127.0.0.1:$PORT" || :
	wait_until closed_for message_too_long
}

@test "a length32 message that announces 4 GB is closed at once and costs no memory" {
	start_yodeld_with '"framing": "length32", "reply": "echo"' -w 1 --set log.level=debug
	local worker before
	worker=$(worker_pids)
	before=$(resident_kib "$worker")
	printf '\377\377\377\377abc' | socat -t 20 - "TCP:127.0.0.1:$PORT" || :
	wait_until closed_for message_too_long
	[ $(($(resident_kib "$worker") - before)) -lt 1024 ]
}

@test "a length32 message cut by the end of the stream is closed as truncated" {
	start_yodeld_with '"framing": "length32", "reply": "echo"' --set log.level=debug
	printf '\0\0\0\012abc' | socat -t 20 - "TCP:127.0.0.1:$PORT" >received || :
	wait_until closed_for truncated_message
	[ ! -s received ]
}

@test "a peer above max_connections is refused, and accepted once others have closed" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper --set limits.max_connections=5 \
		--set log.level=debug
	hold five 5
	ask_held five
	[ "$output" = "served 5 of 5, closed 0" ]
	is_refused
	wait_until closed_for max_connections
	wait_until log_has 'refusing new connections: limits.max_connections is reached'
	ask_held five
	[ "$output" = "served 5 of 5, closed 0" ]
	kill "$(<five.pid)"
	wait_until is_served
}

@test "a peer outside the allow list is refused, others are served" {
	start_yodeld_with '"reply": "upper", "allow": ["127.0.0.2/32"]' --set log.level=debug
	is_refused
	wait_until closed_for denied
	run socat -t 20 - "TCP:127.0.0.1:$PORT,bind=127.0.0.2" <<<hello
	[ "$output" = HELLO ]
}

@test "peers beyond the descriptor limit are refused, and accepted once others have closed" {
	YODELD_RUN="prlimit --nofile=64:64" start_yodeld -w 1 --listen 127.0.0.1:0=upper \
		--set log.level=debug
	hold early 20
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200 --patience 5 --keep
	echo "$output"
	[[ $output = "answered "*", silent 0" ]]
	[[ $output != "answered 200,"* ]]
	[[ $output != "answered 0,"* ]]
	ask_held early
	[ "$output" = "served 20 of 20, closed 0" ]
	wait_until is_served
	# The reason is not max_connections, and the warning is rate-limited: not 160 lines.
	closed_for descriptor_limit
	run ! closed_for max_connections
	run -0 grep -c 'refusing new connections: no descriptor is left' "$YODELD_LOG"
	[ "$output" -lt 10 ]
}

@test "a worker out of descriptors does not spin, serves its open connections and recovers" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper
	local worker before used
	worker=$(worker_pids)
	hold early 20
	ask_held early
	[ "$output" = "served 20 of 20, closed 0" ]
	# Lower the limit of the running worker.
	prlimit --pid "$worker" --nofile="$(($(open_descriptors "$worker") + 5))"
	before=$(cpu_ticks "$worker")
	spawn late "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 100 --patience 3 --keep
	wait_until log_has 'accept: paused.*Too many open files'
	ask_held early
	[ "$output" = "served 20 of 20, closed 0" ]
	wait "$(<late.pid)"
	used=$(($(cpu_ticks "$worker") - before))
	echo "CPU of the worker: $used ticks; lines in the log: $(wc -l <"$YODELD_LOG")"
	cat late.out
	[ $used -lt 20 ]
	[ "$(wc -l <"$YODELD_LOG")" -lt 50 ]
	[ "$(worker_pids)" = "$worker" ]
	kill "$(<early.pid)"
	wait_until is_served
}

@test "events.method select refuses descriptors above 1,023 and serves the rest" {
	needs descriptors 4096
	start_yodeld -w 1 --listen 127.0.0.1:0=upper --set events.method=select \
		--set log.level=debug
	local worker served closed
	worker=$(worker_pids)
	hold many 1100
	ask_held many
	served=${output#served } served=${served%% *} closed=${output##* }
	echo "$output"
	[ $((served + closed)) = 1100 ]
	[ "$served" -gt 950 ]
	[ "$served" -lt 1024 ]
	wait_until closed_for method_limit
	[ "$(worker_pids)" = "$worker" ]
	kill "$(<many.pid)"
	wait_until is_served
}

@test "poll and select serve like epoll" {
	local method
	for method in poll select epoll; do
		start_yodeld --listen 127.0.0.1:0=echo --set events.method=$method
		"$INDEPENDENT_CLIENT" stream "127.0.0.1:$PORT"
		stop_yodeld
	done
}

@test "a reset by the peer is not a server error" {
	start_yodeld -w 1 --listen 127.0.0.1:0=upper --set log.level=debug
	for _ in $(seq 20); do
		"$INDEPENDENT_CLIENT" reset "127.0.0.1:$PORT"
	done
	wait_until closed_for reset
	is_served
	run ! log_has 'system_error|Connection reset|error:|warning:'
}

@test "each of 2,000 connections in a burst is answered" {
	needs descriptors 4096
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	run "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 2000
	[ "$output" = "answered 2000, refused 0, reset 0, closed 0, silent 0" ]
}

@test "IPv6 is served like IPv4" {
	start_yodeld --listen '[::1]:0=upper'
	run "$INDEPENDENT_CLIENT" ask "[::1]:$PORT" hello
	[ "$output" = "'HELLO'" ]
	"$INDEPENDENT_CLIENT" stream "[::1]:$PORT" --reply upper
}
