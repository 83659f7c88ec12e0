# shellcheck shell=bash
# shellcheck disable=SC2034,SC2317 # who loads it sets, uses and calls these
# doors.bash - for tests of what operators see and do: a yodeld with an admin socket and an
# address, and ways to ask. Load it after helpers.

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
