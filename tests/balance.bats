#!/usr/bin/env bats
# Which worker gets a connection, and how open ones are evened out.

load lib/helpers

CTL=$BUILD/yodelctl

start_balanced() # WORKERS BALANCE [ARG...]
{
	local workers=$1 balance=$2
	shift 2
	start_yodeld_with "\"reply\": \"echo\", \"balance\": \"$balance\"" -w "$workers" \
		--set admin.socket="$BATS_TEST_TMPDIR/control.sock" "$@"
}

control() # COMMAND...
{
	"$CTL" -s "$BATS_TEST_TMPDIR/control.sock" "$@"
}

# Open connections of each worker, in the order of the slots: "50 50".
spread()
{
	control --json workers | python3 -c 'import json, sys
print(*[w["connections_open"] for w in json.load(sys.stdin)["workers"]])'
}

is_spread() # COUNT...
{
	[ "$(spread)" = "$*" ]
}

@test "balance cpu: worker i gets who arrives on CPU i, and all of one CPU's clients" {
	start_balanced 2 cpu --set cpu_affinity=true
	local cpu
	for cpu in 0 1; do
		taskset -c $cpu "$CALLER" ask "127.0.0.1:$PORT" x || continue
		spawn hold$cpu taskset -c $cpu "$CALLER" hold "127.0.0.1:$PORT" 50
		wait_until grep -q holding hold$cpu.out
		if [ $cpu = 0 ]; then
			wait_until is_spread 50 0
		else
			wait_until is_spread 50 50
		fi
	done
}

@test "balance cpu: a slot that retires gets nobody, and a reload to hash spreads again" {
	start_balanced 2 cpu
	control scale 1
	spawn hold taskset -c "$(($(nproc) - 1))" "$CALLER" hold "127.0.0.1:$PORT" 50
	wait_until grep -q holding hold.out
	wait_until is_spread 50
	control scale 2
	sed -i 's/cpu/hash/' listener.json
	control reload
	spawn more taskset -c 0 "$CALLER" hold "127.0.0.1:$PORT" 200
	wait_until grep -q holding more.out
	is_by_hash()
	{
		local first second
		read -r first second < <(spread)
		[ $((first + second)) = 250 ] && [ "$first" -gt 50 ] && [ "$second" -gt 50 ]
	}
	wait_until is_by_hash
}
