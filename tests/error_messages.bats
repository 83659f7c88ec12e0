#!/usr/bin/env bats
# Invalid input gives one line on stderr: what was found, where, what was expected.
# shellcheck disable=SC2154 # run sets stderr

load lib/helpers

YODELCTL=$BUILD/yodelctl
bad=$'x\n\e[7mb\xff'

# refused PROGRAM ARG... - one line that begins with the program's name, nothing else.
refused()
{
	run --separate-stderr "$@"
	echo "$*: $status: $stderr"
	[ "$status" -ge 64 ] && [ -z "$output" ]
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr =~ ^(yodel|yodeld|yodelctl)( [a-z]+)?:\  && $stderr != *[[:cntrl:]]* ]]
}

@test "yodel reports an error in one line for arbitrary bytes" {
	local option
	for option in -c -n -d -R -p --size --framing --close --threshold --rank --start-at \
		--expect --source-ip --spin; do
		refused "$YODEL" "$option" "$bad" 127.0.0.1:7
	done
	refused "$YODEL" "127.0.0.1$bad:7"
	refused "$YODEL" --json "/none/$bad" 127.0.0.1:7
	refused "$YODEL" --file "/none/$bad" 127.0.0.1:7
	refused "$YODEL" -e -m "\\q$bad" 127.0.0.1:7
	refused "$YODEL" run -c "$bad" 127.0.0.1:7
	refused "$YODEL" merge "$bad"
	refused "$YODEL" merge --threshold "$bad" result.json
	refused "$YODEL" compare "$bad" "$bad"
	refused "$YODEL" report "$bad"
	refused "$YODEL" talk "$bad"
	refused "$YODEL" talk --framing "$bad" 127.0.0.1:7
	refused "$YODEL" calibrate "$bad"
	refused "$YODEL" check "/none/$bad"
}

@test "yodeld and yodelctl report an error in one line for arbitrary bytes" {
	refused "$YODELD" "$bad"
	refused "$YODELD" --check -c "$bad"
	refused "$YODELD" --check --listen "$bad"
	refused "$YODELD" --check --set "workers=$bad"
	refused "$YODELD" --check --workers "$bad"
	refused "$YODELCTL" "$bad"
	refused "$YODELCTL" stats "$bad"
	refused "$YODELCTL" stats stats "$bad"
	refused "$YODELCTL" log "$bad"
	refused "$YODELCTL" -i "$bad" top
	refused "$YODELCTL" -n "$bad" top
	refused "$YODELCTL" -s "/none/$bad" stats
}
