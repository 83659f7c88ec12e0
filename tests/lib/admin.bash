# shellcheck shell=bash
# shellcheck disable=SC2034,SC2317 # the files that load it set, use and call these
# admin.bash - for tests of the admin interface: starts a yodeld with an admin socket and an
# admin address, and sends requests to it. Load it after helpers.

ADMIN_CLIENT=$BATS_TEST_DIRNAME/lib/admin_client.py
YODELCTL=$BUILD/yodelctl

# start_with_admin [ARG...] - starts a yodeld with two workers, an admin socket and an admin
# address. Sets ADMIN (the socket) and ADMIN_ADDRESS (read-only).
start_with_admin()
{
	ADMIN=$BATS_TEST_TMPDIR/admin_socket
	start_yodeld --workers 2 --set "admin.socket=$ADMIN" --set admin.address=127.0.0.1:0 "$@"
	ADMIN_ADDRESS=$(sed -nE 's|.*admin: http://([^ ]*) .*|\1|p' "$YODELD_LOG")
}

# Like start_with_admin, but with a configuration file, server.json, that the test can change.
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

ask() # METHOD TARGET [ADMIN]: prints the status on the first line, then the body
{
	"$ADMIN_CLIENT" ask "${3-$ADMIN}" "$1" "$2"
}

# Prints the value of a Python expression over /stats, as in: stat_of 's["generation"]'.
stat_of()
{
	ask GET /stats | sed 1d | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}

# True when no client is connected: the listening socket is the only one with that path.
admin_has_no_clients()
{
	[ "$(grep -c "$ADMIN\$" /proc/net/unix)" = 1 ]
}

ctl()
{
	"$YODELCTL" -s "$ADMIN" "$@"
}

# hold COUNT - opens connections and waits until the workers have accepted them.
hold()
{
	spawn hold "$INDEPENDENT_CLIENT" hold "127.0.0.1:$PORT" "$1"
	are_open()
	{
		[ "$(stat_of 's["totals"]["connections_open"]')" = "$1" ]
	}
	wait_until are_open "$1"
}

# Prints the value of a Python expression over the JSON on stdin, as in: value_of 's["ok"]'.
value_of()
{
	python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}
