# shellcheck shell=bash
# shellcheck disable=SC2034,SC2317 # who loads it sets, uses and calls these
# admin.bash - for tests of what operators see and do: a yodeld with an admin socket and an
# address, and ways to ask. Load it after helpers.

ADMIN_CLIENT=$BATS_TEST_DIRNAME/lib/admin_client.py
YODELCTL=$BUILD/yodelctl

# start_with_admin [ARG...] - a yodeld with two workers, an admin socket and an address.
# Sets ADMIN, and ADMIN_ADDRESS, the address for who may only read.
start_with_admin()
{
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
	start_yodeld --workers 2 --set "admin.socket=$ADMIN" --set admin.address=127.0.0.1:0 "$@"
	ADMIN_ADDRESS=$(sed -nE 's|.*admin: http://([^ ]*) .*|\1|p' "$YODELD_LOG")
}

# The same with a file that a test can change, server.json.
start_with_config_file()
{
	write_file 2
	start_with_existing_file
}

write_file() # WORKERS [MORE]
{
	cat >server.json.new <<-END
		{ "listeners": [ { "address": "127.0.0.1:0", "reply": "upper" } ], "workers": $1,
		  "admin": { "socket": "$BATS_TEST_TMPDIR/admin_socket", "address": "127.0.0.1:0" } ${2-} }
	END
	mv server.json.new server.json
}

start_with_existing_file()
{
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
	start_yodeld -c server.json
	ADMIN_ADDRESS=$(sed -nE 's|.*admin: http://([^ ]*) .*|\1|p' "$YODELD_LOG")
}

ask() # METHOD TARGET [ADMIN]: the status in $output's first line
{
	"$ADMIN_CLIENT" ask "${3-$ADMIN}" "$1" "$2"
}

# A value of /stats by a Python expression over it, as in: stat 's["generation"]'.
stat_of()
{
	ask GET /stats | sed 1d | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}

# Nobody is inside: of the sockets with that name there is only the one that listens.
admin_has_no_clients()
{
	[ "$(grep -c "$ADMIN\$" /proc/net/unix)" = 1 ]
}

ctl()
{
	"$YODELCTL" -s "$ADMIN" "$@"
}

# hold COUNT - connections that a worker has taken, not only the kernel.
hold()
{
	spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" "$1"
	are_open()
	{
		[ "$(stat_of 's["totals"]["connections_open"]')" = "$1" ]
	}
	wait_until are_open "$1"
}

# A key of an answer that is JSON on stdin, as in: value_of 's["ok"]'.
value_of()
{
	python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}
