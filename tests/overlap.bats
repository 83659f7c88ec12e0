#!/usr/bin/env bats
# Addresses that overlap: changing from one to the other, by each way to change them.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

CTL=$BUILD/yodelctl

# As a packaged service: what needs a privilege would lose connections there.
setup()
{
	cd "$BATS_TEST_TMPDIR" || return 1
	without_capabilities
}

# write_addresses ADDRESS [ADMIN] - a configuration with this listener and admin.address.
# BALANCE is that of the listener.
write_addresses()
{
	printf '{ "listeners": [ { "address": "%s", "balance": "%s" } ], "workers": 2,
		"admin": { "socket": "%s/admin_socket", "address": "%s" } }\n' \
		"$1" "${BALANCE-hash}" "$PWD" "${2-}" >yodeld.json.new
	mv yodeld.json.new yodeld.json
}

ctl()
{
	"$CTL" -s "$PWD/admin_socket" "$@"
}

listens_only_on() # LOCAL...: as ss prints it, sorted
{
	[ "$(ss -Hltn "sport = :$PORT" | awk '{ print $4 }' | sort -u | xargs)" = "$*" ]
}

# Runs a load on HOST while the listener changes to each of these addresses in turn. CHANGE
# is a function that makes the server use the file.
change_under_load() # CHANGE HOST ADDRESS...
{
	local change=$1 host=$2 address
	shift 2
	start_load churn -c 8 --messages-per-connection 3 "$host:$PORT"
	start_load lasting -c 20 -p 4 "$host:$PORT"
	for address; do
		write_addresses "$address:$PORT"
		$change
	done
	end_load churn lasting
	never_reconnected lasting.json
}

by_reload()
{
	ctl reload
}

by_upgrade()
{
	ctl upgrade
}

@test "a reload from one IPv4 address to the wildcard and back loses no connection" {
	PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	change_under_load by_reload 127.0.0.1 '*' 127.0.0.1
	wait_until listens_only_on "127.0.0.1:$PORT"
}

@test "a reload from one IPv6 address to the wildcard and back loses no connection" {
	PORT=$(free_port)
	write_addresses "[::1]:$PORT"
	start_yodeld -c yodeld.json
	change_under_load by_reload '[::1]' '[::]' '[::1]'
	wait_until listens_only_on "[::1]:$PORT"
}

@test "an upgrade from one address to the wildcard and back loses no connection" {
	PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	change_under_load by_upgrade 127.0.0.1 '*' 127.0.0.1
	wait_until listens_only_on "127.0.0.1:$PORT"
}

@test "a reload that fails after it has bound the wildcard loses no connection" {
	PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	start_faulty_server none
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	for _ in {1..5}; do
		write_addresses "*:$PORT" "127.0.0.1:$FAULTY_SERVER_PORT"
		run ! ctl reload
		[[ $output = *'cannot bind'*'a process listens on 127.0.0.1:'* ]]
	done
	end_load churn
	listens_only_on "127.0.0.1:$PORT"
}

@test "admin.address changes to the wildcard and back, and each request is answered" {
	PORT=$(free_port)
	ADMIN_PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT" "127.0.0.1:$ADMIN_PORT"
	start_yodeld -c yodeld.json
	ask() # until the file "stop" exists
	{
		until [ -e stop ]; do
			curl -sf -m 20 "http://127.0.0.1:$ADMIN_PORT/healthz" >/dev/null || echo "failed $?"
		done
	}
	ask >asked &
	for address in '*' 127.0.0.1; do
		write_addresses "127.0.0.1:$PORT" "$address:$ADMIN_PORT"
		ctl reload
	done
	touch stop
	wait $!
	[ ! -s asked ]
}

# answers_messages PORT / answers_probes PORT - each of several connections.
answers_messages()
{
	[ "$("$INDEPENDENT_CLIENT" burst "127.0.0.1:$1" 20)" = \
		"answered 20, refused 0, reset 0, closed 0, silent 0" ]
}

answers_probes()
{
	for _ in 1 2 3 4; do
		curl -sf -m 20 "http://127.0.0.1:$1/healthz"
	done
}

@test "a reload swaps the ports of a listener and admin.address" {
	PORT=$(free_port)
	ADMIN_PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT" "127.0.0.1:$ADMIN_PORT"
	start_yodeld -c yodeld.json
	write_addresses "127.0.0.1:$ADMIN_PORT" "127.0.0.1:$PORT"
	ctl reload
	answers_messages "$ADMIN_PORT"
	answers_probes "$PORT"
	write_addresses "127.0.0.1:$PORT" "*:$ADMIN_PORT"
	ctl reload
	answers_messages "$PORT"
	answers_probes "$ADMIN_PORT"
}

@test "a removed listener that returns at once accepts again" {
	PORT=$(free_port)
	OTHER=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	for _ in 1 2 3; do
		write_addresses "127.0.0.1:$OTHER"
		ctl --no-wait reload
		write_addresses "127.0.0.1:$PORT"
		ctl --no-wait reload
		answers_messages "$PORT"
	done
}

@test "the wildcard is refused while another process of this user has one of its addresses" {
	PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	# shellcheck disable=SC2016 # Python
	spawn other python3 -c 'import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.2", int(sys.argv[1])))
s.listen()
print("listening", flush=True)
time.sleep(300)' "$PORT"
	wait_until grep -q listening other.out
	write_addresses "*:$PORT"
	run ! ctl reload
	[[ $output = *"cannot bind *:$PORT: Address already in use; a process listens on 127.0.0.2:$PORT of user id $(id -u)"* ]]
	listens_only_on "127.0.0.1:$PORT" "127.0.0.2:$PORT"
}

# overlap_is_refused TEXT ADDRESS... - by --check and at the start.
overlap_is_refused()
{
	local text=$1 args=()
	shift
	for address; do args+=(-l "$address"); done
	run ! "$YODELD" "${args[@]}" --set admin.address="${ADMIN_ADDRESS-}" --check
	[[ $output = *"$text"* ]]
	[ "$status" = 78 ]
	run ! "$YODELD" "${args[@]}" --set admin.address="${ADMIN_ADDRESS-}"
	[[ $output = *"$text"* ]]
	[ "$status" = 78 ]
}

@test "addresses of one configuration that overlap are refused, with their names" {
	overlap_is_refused 'listeners[1].address: found "*:7", which overlaps listeners[0], "127.0.0.1:7"' \
		127.0.0.1:7 '*:7'
	overlap_is_refused 'listeners[1].address: found "127.0.0.1:7", which overlaps listeners[0], ":7"' \
		:7 127.0.0.1:7
	overlap_is_refused 'listeners[2].address: found "[::1]:7", which overlaps listeners[1], "[::]:7"' \
		'*:7' '[::]:7' '[::1]:7'
	ADMIN_ADDRESS=127.0.0.1:7 overlap_is_refused \
		'--set: admin.address: found "127.0.0.1:7", which overlaps listeners[0], "*:7"' '*:7'
	ADMIN_ADDRESS=127.0.0.1:7 overlap_is_refused \
		'--set: admin.address: found "127.0.0.1:7", the address of listeners[0]' 127.0.0.1:7
	run -78 "$YODELD" --check -l "unix:$PWD/control.sock" --set admin.socket="$PWD/control.sock"
	[[ $output = *"--set: admin.socket: found \"$PWD/control.sock\", the address of listeners[0], expected another one"* ]]
	mkdir a
	run -78 "$YODELD" --check -l "unix:$PWD/x" -l "unix:$PWD/a/../x"
	[[ $output = *"listeners[1].address: found \"unix:$PWD/a/../x\", the address of listeners[0], expected another one"* ]]
	"$YODELD" --check -l '*:7' -l '[::]:7' -l 127.0.0.1:8 -l 127.0.0.2:8 -l 127.0.0.1:0 -l '*:0' \
		--set admin.address=127.0.0.1:0
}

@test "addresses that bind(2) refuses on every host are refused by --check" {
	overlap_is_refused 'found the link-local address "[fe80::1]:7" without its interface, expected one such as "[fe80::1%eth0]:7"' \
		'[fe80::1]:7'
	overlap_is_refused 'found the IPv4-mapped address "[::ffff:127.0.0.1]:7", expected "127.0.0.1:7"' \
		'[::ffff:127.0.0.1]:7'
	overlap_is_refused 'found the IPv4-mapped address "[::ffff:0.0.0.0]:7", expected "0.0.0.0:7"' \
		'[::ffff:0.0.0.0]:7'
	overlap_is_refused 'found the multicast address "[ff02::1]:7"' '[ff02::1]:7'
	ADMIN_ADDRESS='[fe80::1]:7' overlap_is_refused 'admin.address: found the link-local address' :8
	"$YODELD" --print-config -l '[fe80::1%lo]:7' -l '[::1]:8'
}

@test "[::] is IPv6 only, for listeners and for admin.address" {
	start_yodeld -l '[::]:0' -l '*:0' --set admin.socket= --set "admin.address=[::]:$(free_port)"
	local admin_port
	admin_port=$(sed -nE 's|.*admin: http://\[::\]:([0-9]+) .*|\1|p' "$YODELD_LOG")
	for port in "$PORT" "$admin_port"; do
		python3 - "$port" <<-'END'
			import socket, sys
			port = int(sys.argv[1])
			socket.create_connection(("::1", port)).close()
			try:
			    socket.create_connection(("127.0.0.1", port))
			    sys.exit("IPv4 was accepted")
			except ConnectionRefusedError:
			    pass
		END
	done
}

@test "changes that follow each other without waiting refuse no connection" {
	PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	for address in '*' 127.0.0.1 '*' 127.0.0.1 '*' 127.0.0.1; do
		write_addresses "$address:$PORT"
		ctl --no-wait reload
	done
	end_load churn
}

@test "changes of the address and of the number of workers lose no connection" {
	PORT=$(free_port)
	write_addresses "127.0.0.1:$PORT"
	start_yodeld -c yodeld.json
	start_load churn -c 16 --messages-per-connection 1 "127.0.0.1:$PORT"
	for BALANCE in hash cpu; do
		ctl scale 5
		write_addresses "*:$PORT"
		ctl reload
		ctl scale 1
		write_addresses "127.0.0.1:$PORT"
		ctl reload
		ctl scale 4
		ctl scale 1
	done
	end_load churn
	wait_until has_sockets 1
	run ! logged 'does not listen'
}
