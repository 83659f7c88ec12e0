#!/usr/bin/env bats
# Unix sockets and Multipath TCP: listeners of yodeld, targets of yodel.

# shellcheck disable=SC2030,SC2031,SC2153 # each test has its own PORT, set by start_yodeld
load lib/helpers
load lib/client
load lib/supervision
load lib/certificates

NAME=yodel-test-$$ # an abstract name
MANAGER=$BATS_TEST_DIRNAME/lib/mock_service_manager.py

# start_unix LISTENER [ARG...] - starts yodeld with a listener at $SOCKET that has these keys.
start_unix()
{
	SOCKET=$BATS_TEST_TMPDIR/socket
	listen_unix "$1"
	shift
	start_yodeld -c yodeld.json --set "admin.socket=$BATS_TEST_TMPDIR/control" "$@"
}

listen_unix() # KEYS
{
	printf '{ "listeners": [ { "address": "unix:%s", %s } ] }\n' "$SOCKET" "$1" >yodeld.json
}

ctl()
{
	"$BUILD/yodelctl" -s control "$@"
}

# The value of a counter of all workers.
total() # NAME
{
	ctl stats --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"][sys.argv[1]])' "$1"
}

# speak ADDRESS TEXT [N] - sends the text on N connections to a Unix socket at once, then
# reads one reply from each; prints "answered N, ended N". "@name" is abstract.
speak()
{
	cat >speak.py <<-'END'
		import socket, sys
		name, text, count = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
		name = "\0" + name[1:] if name[0] == "@" else name
		peers = [socket.socket(socket.AF_UNIX) for _ in range(count)]
		for peer in peers:
		    peer.connect(name)
		    try:
		        peer.sendall(text)
		    except BrokenPipeError:
		        pass
		print("sent", file=sys.stderr, flush=True)
		def is_answered(peer):
		    try:
		        return peer.recv(len(text)) == text
		    except ConnectionResetError:
		        return False
		answered = sum(is_answered(peer) for peer in peers)
		print(f"answered {answered}, ended {count - answered}")
	END
	python3 speak.py "$1" "$2" "${3-1}"
}

@test "a path and an abstract name are answered, and whoami names the process" {
	SOCKET=$BATS_TEST_TMPDIR/socket
	cat >yodeld.json <<-END
		{ "workers": 2, "listeners": [
		  { "address": "unix:$SOCKET", "reply": "echo" },
		  { "address": "unix:@$NAME", "reply": "whoami", "framing": "line" } ] }
	END
	start_yodeld -c yodeld.json --set admin.socket=
	grep -q "listening on unix:$SOCKET (echo, stream, 1 socket)" "$YODELD_LOG"
	run_yodel -c 20 -n 50 --size 1:20k "unix:$SOCKET"
	[ "$status" = 0 ]
	result_matches 'm["verified"] == 1000 and r["addresses"][0]["address"].startswith("unix:/")'
	run_yodel -c 4 -n 5 --expect whoami --framing line "unix:@$NAME"
	[[ $output != *"own address and port"* ]]
	[ "$status" = 0 ]
	result_matches 'r["whoami"]["connections"] == 4 and r["whoami"]["translated"] == 0'
	cat >who.py <<-'END'
		import json, os, socket, sys
		peer = socket.socket(socket.AF_UNIX)
		peer.connect("\0" + sys.argv[1])
		peer.sendall(b"x\n")
		reply = json.loads(peer.makefile().readline())
		assert reply["client"] == {"pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid()}, reply
		assert reply["socket"]["local"] == {"unix": "@" + sys.argv[1]}, reply
	END
	python3 who.py "$NAME"
	run "$YODEL" talk "unix:$SOCKET" <<<hello
	[ "$status" = 0 ] && [ "$output" = hello ]
	stop_yodeld TERM
	[ ! -e "$SOCKET" ]
}

@test "the file has the mode of the setting, and a reload changes it" {
	start_unix '"reply": "echo"'
	[ "$(stat -c %a "$SOCKET")" = 660 ]
	# The kernel does not tell the accept queue of a Unix socket.
	ctl stats --json | python3 -c 'import json, sys
l = json.load(sys.stdin)["listeners"][0]
assert l["queue_depth"] is l["queue_limit"] is None, l'
	ctl stats | grep -qE "^unix:.* - of - "
	listen_unix '"reply": "echo", "mode": "0606"'
	ctl reload
	[ "$(stat -c %a "$SOCKET")" = 606 ]
	[ "$(speak "$SOCKET" x)" = "answered 1, ended 0" ]
}

# cannot_listen TEXT ARG... - at the start, and so says --check.
cannot_listen()
{
	local option text=$1
	shift
	for option in --check --verbose; do
		run -71 timeout 20 "$@" $option
		[[ $output = *"$text" ]] || { echo "$option: $output"; return 1; }
	done
}

@test "what this host lacks for a socket is refused by start and check" {
	local folder=$PWD
	touch file
	cannot_listen "$PWD/none/socket: no such directory; create it or choose another path" \
		"$YODELD" -l "unix:$PWD/none/socket=echo" --set admin.socket=
	cannot_listen "found a file at $PWD/file that is not a socket; remove it or choose another path" \
		"$YODELD" -l "unix:$PWD/file=echo" --set admin.socket=
	cannot_listen "admin: found a file at $PWD/file that is not a socket; remove it or choose another path" \
		"$YODELD" -l unix:@x=echo --set admin.socket="$PWD/file"
	cannot_listen "cannot bind 192.0.2.1:7: Cannot assign requested address" \
		"$YODELD" -l 192.0.2.1:7 --set admin.socket=
	if [ "$(id -u)" = 0 ]; then
		cd /
		chmod 711 "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "$folder"
		local as=(setpriv --reuid=65534 --regid=65534 --clear-groups "$YODELD" --set admin.socket=)
		cannot_listen "cannot bind $folder/socket: Permission denied" \
			"${as[@]}" -l "unix:$folder/socket"
		mkdir -m 777 "$folder/public"
		cannot_listen "another owner needs CAP_CHOWN, a group must be one of this process" \
			"${as[@]}" -l "unix:$folder/public/socket" --set listeners[0].owner=root
		cd "$folder"
	fi
	mkdir none
	"$YODELD" --check -l "unix:$PWD/none/socket=echo" -l "unix:@none=echo"
}

@test "a stale file is replaced, that of a living process is not" {
	start_unix '"reply": "echo"'
	run ! "$YODELD" -l "unix:$SOCKET" --set admin.socket=
	[[ $output = *"another process listens on $SOCKET; choose another path"* ]]
	kill -KILL "$YODELD_PID"
	wait_until has_ended "$YODELD_PID"
	[ -S "$SOCKET" ]
	start_unix '"reply": "echo"'
	[ "$(speak "$SOCKET" x)" = "answered 1, ended 0" ]
	stop_yodeld TERM
	echo text >"$SOCKET"
	run ! "$YODELD" -l "unix:$SOCKET" --set admin.socket=
	[[ $output = *"found a file at $SOCKET that is not a socket"* ]]
}

@test "a worker killed with 100 connections in the shared queue loses none of them" {
	start_unix '"reply": "echo"' -w 1
	# shellcheck disable=SC2046 # pids are words
	worker=$(cut -d ' ' -f 1 <<<"$(children_of "$YODELD_PID")")
	kill -STOP "$worker"
	speak "$SOCKET" message 100 >speak.out 2>speak.log &
	client=$!
	wait_until grep -q sent speak.log
	kill -KILL "$worker"
	wait "$client"
	[ "$(<speak.out)" = "answered 100, ended 0" ]
}

@test "reloads, deaths, scaling and an upgrade lose no connection of a Unix socket" {
	start_unix '"reply": "echo"' -w 2
	start_load load -c 30 -R 3k --size 1:8k --lifetime 200ms "unix:$SOCKET"
	ctl reload
	ctl scale 4
	ctl scale 1
	ctl upgrade
	ctl scale 3
	[ -S "$SOCKET" ]
	end_load load
	[ "$(total connections_accepted)" -gt 30 ]
}

@test "idle connections of a Unix socket survive the death of their worker" {
	start_unix '"reply": "echo"' -w 1
	cat >survive.py <<-'END'
		import os, signal, socket, sys, time
		def is_asleep(pid):
		    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "S"
		peers = [socket.socket(socket.AF_UNIX) for _ in range(50)]
		for peer in peers:
		    peer.connect(sys.argv[1])
		for turn in range(2):
		    for peer in peers:
		        peer.sendall(b"message")
		        assert peer.recv(100) == b"message"
		    if turn == 0:
		        # It may not have counted the last reply yet.
		        while not is_asleep(sys.argv[2]):
		            time.sleep(0.01)
		        os.kill(int(sys.argv[2]), signal.SIGKILL)
	END
	worker=$(pgrep -P "$YODELD_PID" -f 'worker 0')
	timeout 30 python3 survive.py "$SOCKET" "$worker"
	[ "$(total connections_recovered)" = 50 ]
}

@test "a connection that is being answered when its worker dies is lost, and counted" {
	start_unix '"reply": "echo"' -w 1
	worker=$(pgrep -P "$YODELD_PID" -f 'worker 0')
	cat >answered.py <<-'END'
		import socket, subprocess, sys
		peers = [socket.socket(socket.AF_UNIX) for _ in range(10)]
		for peer in peers:
		    peer.connect(sys.argv[1])
		    peer.sendall(b"message")
		    assert peer.recv(100) == b"message"
		killer = subprocess.Popen([sys.argv[2], sys.argv[3], "sendto", "after", "5"])
		answers = 0
		try:
		    while True:
		        peers[0].sendall(b"message")
		        if peers[0].recv(100) != b"message":
		            break
		        answers += 1
		except (ConnectionResetError, BrokenPipeError):
		    pass
		for peer in peers[1:]:
		    peer.sendall(b"message")
		    assert peer.recv(100) == b"message"
		killer.wait(10)
		assert answers > 0
	END
	timeout 30 python3 answered.py "$SOCKET" "$BUILD/tests/kill_at_call" "$worker"
	ctl stats --json | grep -q '"worker_lost": 1'
	[ "$(total connections_recovered)" = 9 ]
}

@test "TLS over a Unix socket and over MPTCP survives a reload and an upgrade" {
	needs kernel mptcp
	make_ca ca
	make_certificate server ca localhost
	SOCKET=$BATS_TEST_TMPDIR/socket
	tls='"reply": "echo", "tls": { "certificate": "server.pem", "key": "server.key" }'
	tls=${tls//server./$PWD/server.}
	PORT=$(free_port)
	printf '{ "workers": 2, "listeners": [ { "address": "unix:%s", %s }, { "address": "mptcp:127.0.0.1:%s", %s } ] }\n' \
		"$SOCKET" "$tls" "$PORT" "$tls" >yodeld.json
	start_yodeld -c yodeld.json --set "admin.socket=$BATS_TEST_TMPDIR/control"
	start_load unix -c 5 -R 200 --size 1:20k --tls --tls-ca ca.pem --tls-name localhost "unix:$SOCKET"
	start_load mptcp -c 5 -R 200 --size 1:20k --tls --tls-ca ca.pem --tls-name localhost "mptcp:127.0.0.1:$PORT"
	ctl reload
	ctl upgrade
	end_load unix mptcp
	run -64 "$YODEL" --tls "unix:$SOCKET"
	[[ $output = *"names no host; expected --tls-name, --tls-pin or --tls-insecure"* ]]
}

@test "a removed listener refuses, its name is free again, a deleted file comes back" {
	start_unix '"reply": "echo"' -w 2
	rm "$SOCKET"
	ctl reload
	[ "$(speak "$SOCKET" x)" = "answered 1, ended 0" ]
	printf '{ "listeners": [ { "address": "unix:@%s", "reply": "echo" } ] }\n' "$NAME" >yodeld.json
	ctl reload
	[ ! -e "$SOCKET" ]
	[ "$(speak "@$NAME" x)" = "answered 1, ended 0" ]
	listen_unix '"reply": "echo"'
	ctl reload
	run ! speak "@$NAME" x
	[[ $output = *ConnectionRefusedError* ]]
	[ "$(speak "$SOCKET" x)" = "answered 1, ended 0" ]
}

@test "connections of a Unix socket are spread evenly over the workers" {
	start_unix '"reply": "echo"' -w 4
	start_load load -c 40 -R 400 "unix:$SOCKET"
	are_even()
	{
		[ "$(ctl stats --json | python3 -c '
import json, sys
print(sorted(w["connections_open"] for w in json.load(sys.stdin)["workers"]))')" = "[10, 10, 10, 10]" ]
	}
	wait_until are_even
	end_load load
}

@test "users and groups that are not listed see an end of file" {
	needs root
	# The folders of bats are closed to other users.
	folder=$(mktemp -d /tmp/yodel-test.XXXXXX)
	chmod 755 "$folder"
	SOCKET=$folder/socket
	listen_unix '"reply": "echo", "mode": "0666", "allow_users": ["daemon"], "allow_groups": ["4242"]'
	start_yodeld -c yodeld.json --set "admin.socket=$BATS_TEST_TMPDIR/control"
	speak "$SOCKET" x >root.out 2>&1
	[[ $(<root.out) = *"answered 0, ended 1" ]]
	cp speak.py "$folder"
	as() { setpriv --reuid "$1" --regid "$2" "${@:3}" /usr/bin/python3 "$folder/speak.py" "$SOCKET" x 1 2>/dev/null; }
	[ "$(as daemon nogroup --clear-groups)" = "answered 1, ended 0" ]
	[ "$(as nobody 4242 --clear-groups)" = "answered 1, ended 0" ]
	[ "$(as nobody nogroup --groups 4242)" = "answered 1, ended 0" ]
	[ "$(as nobody nogroup --clear-groups)" = "answered 0, ended 1" ]
	ctl stats --json | grep -q '"denied": 2'
	stop_yodeld
	rm -r "$folder"
}

@test "a user that the user namespace hides is refused with the remedy" {
	printf '{ "listeners": [ { "address": "unix:@x", "reply": "echo", "allow_users": ["%s"] } ] }\n' 4242 >hidden.json
	"$YODELD" --check -c hidden.json
	unshare --user true || skip "kernel: no user namespaces"
	run ! unshare --user --map-root-user "$YODELD" --check -c hidden.json
	[[ $output = *'listeners[0].allow_users: found "4242": yodeld runs in a user namespace that hides user 4242'*'fix: PrivateUsers=no'* ]]
}

refused() # LISTENER TEXT
{
	printf '{ "listeners": [ { %s } ] }\n' "$1" >refused.json
	run "$YODELD" --check -c refused.json
	[ "$status" = 78 ]
	[[ $output = *"$2"* ]] || { echo "$output"; return 1; }
	[ "$(wc -l <<<"$output")" = 1 ]
}

@test "settings of another kind of listener are refused with one line" {
	unix='"address": "unix:/tmp/x", "reply": "echo"'
	refused "$unix, \"nodelay\": false" 'listeners[0].nodelay: it has no effect on a Unix socket (unix:/tmp/x)'
	refused "$unix, \"balance\": \"cpu\"" 'listeners[0].balance: it has no effect on a Unix socket'
	refused "$unix, \"allow\": [\"10.0.0.0/8\"]" 'expected allow_users or allow_groups there'
	refused "$unix, \"mode\": \"0888\"" 'found "0888", expected an octal mode such as "0660"'
	refused "$unix, \"allow_users\": [\"no-such-user\"]" 'found "no-such-user", expected a user of this system'
	refused "$unix, \"faults\": [\"reset on 1%\"]" 'found "reset" on a Unix socket, which has no reset'
	refused '"address": "unix:@x", "reply": "echo", "mode": "0600"' 'the abstract socket unix:@x has no file'
	refused '"address": "127.0.0.1:1", "reply": "echo", "allow_users": ["root"]' 'listeners[0].allow_users: it has no effect on a TCP listener'
	refused '"address": "mptcp:127.0.0.1:1", "reply": "echo", "mode": "0600"' 'listeners[0].mode: it has no effect on an MPTCP listener'
	refused '"address": "unix:x", "reply": "echo"' 'found "unix:x", expected an absolute path'
	refused "\"address\": \"unix:/$(printf 'x%.0s' {1..107})\", \"reply\": \"echo\"" 'found a Unix socket with a name of 108 bytes, expected at most 107'
	run "$YODELD" --check --set admin.address=unix:/tmp/x
	[[ $output = *'found "unix:/tmp/x", expected a TCP address'* ]]
}

@test "yodel waits for room in a full accept queue, and counts it" {
	start_unix '"reply": "echo", "backlog": 1, "faults": ["never-accept 300ms"]' -w 1
	listen_unix '"reply": "echo", "backlog": 1, "faults": ["never-accept between 0s and 300ms"]'
	ctl reload
	run_yodel -c 20 -n 2 -m abc --connect-timeout 10s "unix:$SOCKET"
	[ "$status" = 0 ]
	result_matches 'c["established"] == 20 and c["sockets"]["queue_full"] > 0'
	[[ $output = *"attempts found the accept queue full and were repeated"* ]]
	result_matches 'm["verified"] == 40'
}

@test "a Unix target that cannot be connected is explained in words" {
	run_yodel -n 1 "unix:$PWD/none"
	[[ $output = *"2 failed (2 refused): no such socket file"* ]]
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("dead")'
	run_yodel -n 1 "unix:$PWD/dead"
	[[ $output = *"2 failed (2 refused): no process listens on this socket"* ]]
	run -64 "$YODEL" --close rst "unix:$PWD/none"
	[[ $output = *'--close rst: target "unix:'*'" is a Unix socket, which has no reset'* ]]
	run -64 "$YODEL" unix:none
	[[ $output = *'found "unix:none", expected an absolute path'* ]]
}

@test "a socket of a unit serves unix:/path, and its file stays" {
	SOCKET=$BATS_TEST_TMPDIR/socket
	cat >activate.py <<-'END'
		import os, socket, sys
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1])
		listener.listen(100)
		if listener.fileno() != 3:
		    os.dup2(listener.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ["LISTEN_FDS"] = "1"
		os.environ["LISTEN_PID"] = str(os.getpid())
		os.execv(sys.argv[2], sys.argv[2:])
	END
	YODELD_RUN="python3 activate.py $SOCKET" start_yodeld -w 3 -l "unix:$SOCKET=echo" --set admin.socket=
	[ "$(speak "$SOCKET" x 50)" = "answered 50, ended 0" ]
	stop_yodeld TERM
	[ -S "$SOCKET" ]
}

@test "a killed server gets its Unix socket back, with the connections in its queue" {
	SOCKET=$BATS_TEST_TMPDIR/socket
	spawn manager "$MANAGER" manage "$PWD/notify" -- "$YODELD" -w 2 -l "unix:$SOCKET=echo" --set admin.socket=
	wait_until grep -q FDSTORE manager.out
	first=$(sed -n 's/^started //p' manager.out)
	# shellcheck disable=SC2046 # pids are words
	kill -STOP "$first" $(children_of "$first")
	speak "$SOCKET" message 20 >speak.out 2>speak.log &
	client=$!
	wait_until grep -q sent speak.log
	# shellcheck disable=SC2046
	kill -KILL $(children_of "$first") "$first"
	wait "$client"
	[ "$(<speak.out)" = "answered 20, ended 0" ]
	[ "$(grep -c ^started manager.out)" = 2 ]
}

@test "a PROXY header on a Unix socket announces an address, or none" {
	start_unix '"reply": "whoami", "framing": "line", "proxy_protocol": "any", "deny": ["10.1.0.0/16"]'
	run_yodel -c 2 -n 3 --expect whoami --framing line --proxy-protocol v1 "unix:$SOCKET"
	[ "$status" = 0 ]
	run_yodel -c 2 -n 3 --expect whoami --framing line --proxy-protocol v2 --proxy-source 10.2.0.0/16 "unix:$SOCKET"
	[ "$status" = 0 ]
	run_yodel -c 2 -n 3 --expect whoami --framing line --proxy-protocol v2 --proxy-source 10.1.0.0/16 "unix:$SOCKET"
	[ "$status" = 1 ]
	ctl stats --json | grep -q '"denied": [1-9]'
}

start_mptcp() # [ARG...]
{
	needs kernel mptcp
	start_yodeld "$@" --set "admin.socket=$BATS_TEST_TMPDIR/control"
}

@test "connections stay MPTCP, or fall back on either side, and everybody is told" {
	start_mptcp -w 2 -l mptcp:127.0.0.1:0=whoami -l 127.0.0.1:0=echo
	run_yodel -c 10 -n 5 --expect whoami --framing stream "mptcp:127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'c["sockets"]["mptcp"] == 10 and c["sockets"]["subflows"] >= 10'
	[[ $output = *"10 of MPTCP, 1 subflow each at the end"* ]]
	[ "$(total mptcp_connections) $(total mptcp_fallbacks)" = "10 0" ]
	run_yodel -c 3 -n 5 --expect whoami "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	[ "$(total mptcp_connections) $(total mptcp_fallbacks)" = "10 3" ]
	run_yodel -c 4 -n 5 --size 64 "mptcp:127.0.0.1:${PORTS[1]}"
	[ "$status" = 0 ]
	result_matches 'c["sockets"]["mptcp"] == 0 and c["sockets"]["mptcp_fallback"] == 4'
	[[ $output = *"4 fell back from MPTCP to TCP"* ]]
	run "$YODEL" talk "mptcp:127.0.0.1:$PORT" <<<x
	[[ $output = *'"mptcp":{"fallback":false,"subflows":1}'* ]]
	run "$YODEL" talk "127.0.0.1:$PORT" <<<x
	[[ $output = *'"mptcp":{"fallback":true,"subflows":0}'* ]]
	grep -o '{.*}' <<<"$output" >fallback.json
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$BATS_TEST_DIRNAME/../conf/whoami.schema.json" \
		fallback.json
}

@test "reloads, deaths, scaling and an upgrade lose no MPTCP connection" {
	start_mptcp -w 2 -l mptcp:127.0.0.1:0=echo
	start_load load -c 30 -R 3k --size 1:8k --lifetime 200ms "mptcp:127.0.0.1:$PORT"
	ctl reload
	ctl scale 4
	for _ in 1 2 3; do
		kill -KILL "$(pgrep -P "$YODELD_PID" -f 'worker 1')"
		wait_until worker_serves 1
	done
	ctl scale 1
	ctl upgrade
	ctl scale 3
	end_load load
	[ "$(total mptcp_fallbacks)" = 0 ]
}

worker_serves() # NUMBER
{
	pgrep -P "$YODELD_PID" -f "worker $1" >/dev/null
}

@test "a worker that is removed gets no new MPTCP connections" {
	start_mptcp -w 4 -l mptcp:127.0.0.1:0=echo
	ctl scale 2
	run_yodel -c 200 -n 1 -m x "mptcp:127.0.0.1:$PORT"
	[ "$status" = 0 ]
	ctl stats --json | python3 -c '
import json, sys
accepted = [w["connections_accepted"] for w in json.load(sys.stdin)["workers"]]
assert len(accepted) >= 2 and min(accepted[:2]) > 50 and sum(accepted[2:]) == 0, accepted'
}

@test "both paths of a connection with two subflows are counted" {
	needs root
	needs kernel mptcp
	cat >two_paths <<-END
		ip link set lo up
		ip link add veth0 type veth peer name veth1
		ip link set veth0 up; ip link set veth1 up
		ip addr add 10.9.0.1/24 dev veth0; ip addr add 10.9.0.2/24 dev veth0
		ip mptcp limits set subflows 2 add_addr_accepted 2
		ip mptcp endpoint add 10.9.0.2 dev lo subflow
		"$YODELD" -l mptcp:10.9.0.1:9000=echo -w 1 --set admin.socket= 2>server.log &
		server=\$!
		until grep -q ready: server.log; do sleep 0.02; done
		"$YODEL" -c 2 -d 1s -R 50 --size 64 --json result.json mptcp:10.9.0.1:9000
		kill \$server
		wait \$server
	END
	run timeout 30 unshare -n bash two_paths
	result_matches 'c["sockets"]["mptcp"] == 2 and c["sockets"]["subflows"] == 4'
}

@test "a kernel without MPTCP is named by both programs" {
	needs root
	needs kernel mptcp
	# shellcheck disable=SC2016 # expanded by the inner shell
	run unshare -n sh -c 'ip link set lo up; echo 0 >/proc/sys/net/mptcp/enabled; "$0" -l mptcp:127.0.0.1:0 --set admin.socket=; echo "status $?"; "$1" mptcp:127.0.0.1:1; echo "status $?"' "$YODELD" "$YODEL"
	[[ $output = *'cannot open a socket for mptcp:127.0.0.1:0: Protocol not available; the kernel has no MPTCP, or net.mptcp.enabled is 0'* ]]
	[[ $output = *'target "mptcp:127.0.0.1:1": the kernel has no MPTCP, or net.mptcp.enabled is 0'* ]]
	[[ $output = *"status 71"*"status 71"* ]]
}

@test "socket options of a listener are set, read back and told" {
	cat >yodeld.json <<-'END'
		{ "workers": 2, "listeners": [ { "address": "127.0.0.1:0", "reply": "echo", "dscp": 46, "mss": 1200,
		  "user_timeout": "30s", "keepalive": "60s", "keepalive_interval": "10s", "keepalive_count": 4,
		  "send_buffer": "1G", "receive_buffer": "64k", "pacing_rate": "100M", "freebind": true,
		  "device": "lo", "fast_open_queue": 16 } ] }
	END
	start_yodeld -c yodeld.json --set "admin.socket=$BATS_TEST_TMPDIR/control"
	grep -q 'send_buffer: found 1073741824, the kernel grants' "$YODELD_LOG"
	ctl stats --json | python3 -c '
import json, sys
options = json.load(sys.stdin)["listeners"][0]["socket_options"]
assert len(options) == 12, options
queue = options.pop("fast_open_queue")
fast_open = int(open("/proc/sys/net/ipv4/tcp_fastopen").read()) & 2
assert queue == {"given": "16", "granted": "16" if fast_open else "0"}, queue
assert [o for o in options if options[o]["given"] != options[o]["granted"]] == ["send_buffer"], options
assert options["dscp"] == {"given": "46", "granted": "46"}, options'
	run_yodel -c 4 -n 20 --size 1:20k "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	# The connections inherit them.
	wait_until grep -q . <(ss -Htno state all "sport = :$PORT")
	spawn talk sh -c "sleep 20 | $YODEL talk 127.0.0.1:$PORT"
	has_timer() { ss -Htno state established "sport = :$PORT" | grep -q 'timer:(keepalive'; }
	wait_until has_timer
}

@test "a reload that changes a socket option loses no connection" {
	PORT=$(free_port)
	printf '{ "workers": 2, "listeners": [ { "address": "127.0.0.1:%s", "reply": "echo" } ] }\n' "$PORT" >yodeld.json
	start_yodeld -c yodeld.json --set "admin.socket=$BATS_TEST_TMPDIR/control"
	start_load load -c 20 -R 2k --size 1:8k --lifetime 100ms "127.0.0.1:$PORT"
	for mss in 1000 1100 1200; do
		printf '{ "workers": 2, "listeners": [ { "address": "127.0.0.1:%s", "reply": "echo", "mss": %s } ] }\n' "$PORT" $mss >yodeld.json
		ctl reload
		ctl stats --json | grep -q "\"granted\": \"$mss\""
	done
	end_load load
}

@test "options of yodel's sockets arrive at the server, and are told" {
	start_yodeld -l 127.0.0.1:0=whoami -w 1 --set admin.socket=
	run_yodel -c 2 -n 3 --expect whoami --dscp 46 --mss 1000 --congestion reno --send-buffer 1G --nagle "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result_matches 'r["plan"]["socket_options"] == "dscp=46 mss=1000 send_buffer=1073741824 congestion=reno nagle=1"'
	result_matches '"dscp=46 mss=988 send_buffer=" in r["plan"]["socket_options_granted"]'
	[[ $output = *"options "*"; the kernel grants dscp=46 "* ]]
	# The SYN as it arrives: TOS and MSS.
	cat >syn.py <<-'END'
		import socket, sys
		server = socket.create_server(("127.0.0.1", 0))
		server.setsockopt(socket.IPPROTO_TCP, 27, 1) # TCP_SAVE_SYN
		print(server.getsockname()[1], flush=True)
		peer, _ = server.accept()
		syn = peer.getsockopt(socket.IPPROTO_TCP, 28, 256) # TCP_SAVED_SYN
		options = syn[(syn[0] & 15) * 4 + 20:]
		print(f"tos {syn[1]} mss {options[2] * 256 + options[3]}", flush=True)
	END
	spawn syn python3 syn.py
	wait_until test -s syn.out
	"$YODEL" -q -c 1 -n 1 --timeout 1s --dscp 46 --mss 1000 "127.0.0.1:$(<syn.out)" || :
	wait_until grep -q '^tos 184 mss 1000$' syn.out
	run -64 "$YODEL" --user-timeout 5s mptcp:127.0.0.1:1
	[[ $output = *'--user-timeout: target "mptcp:127.0.0.1:1": MPTCP does not have this option'* ]]
	run -64 "$YODEL" --dscp 64 127.0.0.1:1
	run -64 "$YODEL" --congestion no-such-control 127.0.0.1:1
	[[ $output = *'--congestion: target "127.0.0.1:1": the kernel has no such congestion control (see net.ipv4.tcp_available_congestion_control)'* ]]
	refused '"address": "unix:@x", "reply": "echo", "dscp": 1' 'listeners[0].dscp: it has no effect on a Unix socket'
}

@test "options that need a capability are refused with its name" {
	without_capabilities
	printf '{ "listeners": [ { "address": "127.0.0.1:0", "reply": "echo", "mark": 7 } ] }\n' >mark.json
	run -78 "$YODELD" --check -c mark.json
	[[ $output = *'listeners[0].mark: Operation not permitted: it needs CAP_NET_ADMIN; fix: AmbientCapabilities= in a drop-in of the unit, as in the example socket-options.conf' ]]
	run -78 "$YODELD" --check --set 'listeners[0].transparent=true'
	[[ $output = *'listeners[0].transparent: Operation not permitted: it needs CAP_NET_ADMIN'* ]]
	prefix=()
	[ "$(id -u)" != 0 ] || prefix=(setpriv --bounding-set=-all --inh-caps=-all)
	run -64 "${prefix[@]}" "$YODEL" --mark 7 127.0.0.1:1
	[[ $output = *'--mark: target "127.0.0.1:1": Operation not permitted: it needs CAP_NET_ADMIN' ]]
}

@test "-4 and -6 choose the addresses of a name" {
	start_yodeld -l 127.0.0.1:0=echo -l '[::1]:0=echo' -w 1 --set admin.socket=
	run_yodel -4 -n 1 "localhost:$PORT"
	[ "$status" = 0 ]
	result_matches '{a["address"].split(":")[0] for a in r["addresses"]} == {"127.0.0.1"}'
	run_yodel -6 -n 1 "[::1]:${PORTS[1]}"
	[ "$status" = 0 ]
	run -64 "$YODEL" -4 "[::1]:${PORTS[1]}"
	[[ $output = *'has no IPv4 address'* ]]
	run "$YODEL" talk -6 127.0.0.1:1
	[ "$status" = 64 ]
	run -64 "$YODEL" -4 -6 127.0.0.1:1
}
