#!/usr/bin/env bats
# yodeld plays the server's side of a conversation and verifies the client's, byte by byte, over
# reloads, changes of the number of workers, upgrades and deaths.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision
load lib/admin

KILLER=$BATS_TEST_DIRNAME/lib/killer.py
CLIENT=$BATS_TEST_DIRNAME/lib/conversation_client.py

# start_server KEYS - a listener on PORT plays server.talk, a file in the test's folder.
start_server()
{
	PORT=$(free_port)
	cat >yodeld.json <<-END
		{ "listeners": [ { "address": "127.0.0.1:$PORT", "reply": "conversation=server.talk",
		  "max_message": "8k" } ], "admin": { "socket": "$PWD/admin_socket" }, $1 }
	END
	[ -e server.talk ] || cp "$BATS_TEST_DIRNAME/../conf/examples/server.talk" .
	start_yodeld -c yodeld.json
}

stats() # CONDITION on t, the totals; a Python expression
{
	"$BATS_TEST_DIRNAME/lib/admin_client.py" ask "$PWD/admin_socket" GET /stats | sed 1d | python3 -c "
import json, sys
t = json.load(sys.stdin)['totals']
closed = t['connections_closed']
assert t['connections_accepted'] == t['connections_open'] + sum(closed.values()), t
assert $1, t"
}

start_playing() # NAME CONNECTIONS
{
	spawn "$1" "$CLIENT" "$PORT" "$2"
	wait_until grep -q playing "$1.out"
}

# end_playing NAME - ends a client, which has found no fault; its passes are in PASSES.
end_playing()
{
	kill -USR1 "$(<"$1.pid")"
	wait "$(<"$1.pid")" || { cat "$1.log"; false; }
	PASSES=$(sed -n 's/.* passes //p' "$1.out")
}

# say SCRIPT - runs statements of Python with `say` and `hear` on one connection; `hear()`
# returns the next line, "" at the end of the stream, "reset" after a reset.
say()
{
	timeout 60 python3 -c "
import socket, sys, time
peer = socket.create_connection(('127.0.0.1', $PORT))
lines = peer.makefile('rb', buffering=0)
say = lambda text: peer.sendall(text.encode())
def hear():
    try:
        return lines.readline().decode()
    except ConnectionResetError:
        return 'reset'
def expect(text):
    found = hear()
    assert found == text, (text, found)
$1"
}

# For say: closes the connection with a reset.
WITH_RESET='import struct
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
lines.close()
peer.close()'

@test "every pass is verified and counted as one message" {
	start_server '"workers": 2'
	run -0 "$CLIENT" "$PORT" 20 100
	[ "$output" = $'playing\nconnections 20 passes 2000' ]
	wait_until stats 'closed["conversation_closed"] == 20'
	stats 't["messages_received"] == t["replies_sent"] == 2000 and t["connections_open"] == 0'
}

@test "a client that says something else is shown the door, with the line in the log" {
	start_server '"workers": 1'
	say "
expect('220 ready\r\n')
say('LOGIN 12\r\n')
expect('250 welcome\r\n')
say('PUT 3 ABC\r\nNEXT')
expect('GOT ABC\r\n')
say('\n')
expect('')"
	logged 'unexpected_message: 127.0.0.1:[0-9]+: conversation with 127.0.0.1:[0-9]+: .*server.talk:8: .*expected .*found '
	wait_until stats 'closed["unexpected_message"] == 1 and t["messages_received"] == 0'
	# Before the end of a pass it is a message without its end, as with other replies.
	say "
expect('220 ready\r\n')
say('LOG')
peer.shutdown(socket.SHUT_WR)
expect('')"
	wait_until stats 'closed["truncated_message"] == 1'
	# Between two passes the client may leave.
	say "
expect('220 ready\r\n')
say('LOGIN 7\r\n')
expect('250 welcome\r\n')
peer.shutdown(socket.SHUT_WR)
expect('')"
	wait_until stats 'closed["peer_closed"] == 1'
	# More than max_message bytes to keep.
	say "
expect('220 ready\r\n')
say('LOGIN 7\r\n')
expect('250 welcome\r\n')
say('PUT 9000 ' + 'A' * 9000 + '\r\n')
assert hear() in ('', 'reset')"
	wait_until stats 'closed["message_too_long"] + closed["unexpected_message"] == 2'
}

@test "a mistake in the file is one line with its place, and refuses start and reload" {
	printf 'S: 220 ready\nC: \\{payloat 5}\n' >wrong.talk
	run -78 "$BUILD/yodeld" --check -l '127.0.0.1:0=conversation=wrong.talk'
	[[ "$output" == *"wrong.talk:2:6: found \"payloat\", expected "* ]]
	[ "$(wc -l <<<"$output")" = 1 ]
	run -78 "$BUILD/yodeld" --check -l '127.0.0.1:0=conversation=missing.talk'
	[[ "$output" == "yodeld: --listen: listeners[0].reply: cannot read "*"missing.talk: No such file or directory" ]]
	cp "$BATS_TEST_DIRNAME/../conf/examples/server.talk" .
	"$BUILD/yodeld" --check -l '127.0.0.1:0=conversation=server.talk'
	"$BUILD/yodeld" --check --set listeners[0].reply=conversation=server.talk
	run -78 "$BUILD/yodeld" --check -l '127.0.0.1:0=conversation=server.talk' \
		--set 'listeners[0].framing=line'
	[[ "$output" == *'listeners[0].framing: found "line", expected "stream"'* ]]
	# A name in the configuration is relative to it, one of the command line is not.
	mkdir -p etc
	mv server.talk etc/
	echo '{ "listeners": [ { "address": "127.0.0.1:0", "reply": "conversation=server.talk" } ] }' >etc/a.json
	"$BUILD/yodeld" --check -c etc/a.json
	run -78 "$BUILD/yodeld" --check -c etc/a.json -l '127.0.0.1:0=conversation=server.talk'
	[[ "$("$BUILD/yodeld" --print-config -c etc/a.json)" == *"conversation=$PWD/etc/server.talk"* ]]
}

@test "a wrong file refuses the reload, and the old one goes on" {
	start_server '"workers": 1'
	start_playing load 4
	cp server.talk good.talk
	echo 'C: \{nonsense}' >>server.talk
	run -1 "$BUILD/yodelctl" -s admin_socket reload
	[[ "$output" == *'reload failed, the old configuration stays: '*'server.talk:14:'*': found '* ]]
	cp good.talk server.talk
	reload
	logged 'generation 2 serves .*, the same settings as before'
	end_playing load
	stats "t['messages_received'] == $PASSES"
}

@test "a reload changes the file for new passes, a pass in progress ends with the old one" {
	start_server '"workers": 1'
	say "
import subprocess
expect('220 ready\r\n')
say('LOGIN 12\r\n')
expect('250 welcome\r\n')
say('PUT 3 ABC\r\n')
expect('GOT ABC\r\n')
other = socket.create_connection(('127.0.0.1', $PORT))
assert other.recv(99) == b'220 ready\r\n'
other.sendall(b'LOGIN 1\r\n')
assert other.recv(99) == b'250 welcome\r\n'
subprocess.run(['sed', '-i', 's/^S: OK/S: FINE/', 'server.talk'], check=True)
subprocess.run(['kill', '-HUP', '$YODELD_PID'], check=True)
# The one between two passes goes to the new worker, once that is there.
for i in range(10000):
    other.sendall(b'PUT 1 A\r\n')
    assert other.recv(99) == b'GOT A\r\n'
    other.sendall(b'NEXT\r\n')
    found = other.recv(99)
    if found == f'FINE {i}\r\n'.encode():
        break
    assert found == f'OK {i}\r\n'.encode()
    time.sleep(0.002)
assert found.startswith(b'FINE'), found
# The other one ends its pass before that, also with the next ones behind it.
say('NEXT\r\n' + 'PUT 3 ABC\r\nNEXT\r\n' * 3)
expect('OK 0\r\n')
for i in range(1, 4):
    expect('GOT ABC\r\n')
    expect(f'FINE {i}\r\n')
say('QUIT\r\n')
expect('221 bye\r\n')
expect('')"
	wait_until logged '1 worker exited within [0-9.]+ ms: 2 connections transferred, 0 drained, 0 forced'
	run ! logged 'the same settings as before'
	stats 'closed["worker_lost"] == closed["unexpected_message"] == 0'
}

@test "pauses, half-closes and resets are carried out, also over reloads and deaths" {
	cat >server.talk <<-'END'
		S: hello
		--- repeat
		C: go
		pause 300ms
		S: gone
		--- end
		C: end
		C half-close
		pause 100ms
		S: end
		S reset
	END
	start_server '"workers": 1'
	say "
import threading
def one(i, late):
    peer = socket.create_connection(('127.0.0.1', $PORT))
    assert peer.recv(99) == b'hello\r\n'
    for _ in range(4):
        start = time.monotonic()
        peer.sendall(b'go\r\n')
        found = peer.recv(99)
        assert found == b'gone\r\n', found
        late.append(time.monotonic() - start - 0.3)
    peer.sendall(b'end\r\n')
    peer.shutdown(socket.SHUT_WR)
    found = peer.recv(99)
    assert found == b'end\r\n', found
    try:
        peer.recv(99)
    except ConnectionResetError:
        late.append('reset')
late = []
threads = [threading.Thread(target=one, args=(i, late)) for i in range(20)]
for thread in threads: thread.start()
import subprocess
time.sleep(0.2)
subprocess.run(['$BUILD/yodelctl', '-s', 'admin_socket', 'reload'], check=True)
subprocess.run(['$KILLER', '$YODELD_PID', '1'], check=True)
for thread in threads: thread.join()
assert len(late) == 100 and late.count('reset') == 20, (len(late), late.count('reset'))
assert min(l for l in late if l != 'reset') > -0.002, late"
	wait_until stats 'closed["conversation_reset"] == 20 and t["messages_received"] == 80'
	stats 'closed["worker_lost"] == 0'
}

@test "a half-close of the server ends its stream, and the client still speaks" {
	printf '%s\n' 'S: hello' '--- repeat' 'C: go' 'S: gone' 'S half-close' 'C: more' 'C close' >server.talk
	start_server '"workers": 1'
	say "
expect('hello\r\n')
say('go\r\n')
expect('gone\r\n')
expect('')
say('more\r\n')
peer.close()"
	wait_until stats 'closed["peer_closed"] == 1'
	stats 't["messages_received"] == t["replies_sent"] == 1'
	# What is said behind it is verified.
	say "
expect('hello\r\n')
say('go\r\n')
expect('gone\r\n')
expect('')
say('less\r\n')"
	wait_until stats 'closed["unexpected_message"] == 1'
	logged 'server.talk:6: .*expected "more'
	stats 't["messages_received"] == 1'
	run -0 "$YODEL" -q --conversation server.talk -c 4 -n 5 "127.0.0.1:$PORT"
	wait_until stats 'closed["peer_closed"] == 21 and t["messages_received"] == t["replies_sent"] == 21'
}

@test "a close by the client ends its pass, and nothing else does" {
	printf '%s\n' 'C: go' 'S: gone' 'C close' >server.talk
	start_server '"workers": 1'
	say "
say('go\r\n')
expect('gone\r\n')"
	wait_until stats 'closed["peer_closed"] == 1'
	stats 't["messages_received"] == t["replies_sent"] == 1'
	say "
say('go\r\n')
expect('gone\r\n')
say('go\r\n')
expect('')"
	wait_until stats 'closed["unexpected_message"] == 1'
	say "
say('go\r\n')
expect('gone\r\n')
$WITH_RESET"
	wait_until stats 'closed["reset"] == 1'
	stats 't["messages_received"] == 1'
}

@test "a reset by the client ends its pass, and nothing else does" {
	printf '%s\n' 'C: go' 'S: gone' 'C reset' >server.talk
	start_server '"workers": 1'
	say "
say('go\r\n')
expect('gone\r\n')
$WITH_RESET"
	wait_until stats 'closed["reset"] == 1'
	stats 't["messages_received"] == t["replies_sent"] == 1'
	say "
say('go\r\n')
expect('gone\r\n')"
	wait_until stats 'closed["truncated_message"] == 1'
	say "
say('go\r\n')
expect('gone\r\n')
say('go\r\n')
expect('')"
	wait_until stats 'closed["unexpected_message"] == 1'
	stats 't["messages_received"] == 1'
}

@test "a close by the server ends its pass" {
	printf '%s\n' 'C: go' 'S: gone' 'S close' >server.talk
	start_server '"workers": 1'
	say "
say('go\r\n')
expect('gone\r\n')
expect('')"
	wait_until stats 'closed["conversation_closed"] == 1'
	stats 't["messages_received"] == t["replies_sent"] == 1'
}

@test "a client that does not read is not read from, and goes on where it was" {
	start_server '"workers": 1, "limits": { "max_pending": "16k" }'
	say "
expect('220 ready\r\n')
say('LOGIN 1\r\n')
expect('250 welcome\r\n')
peer.settimeout(1)
payload = 'A' * 3000
sent = 0
data = (f'PUT 3000 {payload}\r\nNEXT\r\n' * 4000).encode()
try:
    while sent < len(data):
        sent += peer.send(data[sent:sent + 65536])
except TimeoutError:
    pass
assert sent < len(data)
peer.settimeout(30)
import threading
rest = threading.Thread(target=lambda: peer.sendall(data[sent:]))
rest.start()
lines = peer.makefile('rb')
for i in range(4000):
    assert lines.readline() == f'GOT {payload}\r\n'.encode()
    assert lines.readline() == f'OK {i}\r\n'.encode()
rest.join()"
	wait_until stats 'closed["peer_closed"] == 1 and t["messages_received"] == 4000'
}

passes_agree() # FILE - yodel and yodeld have counted the same
{
	local sent
	sent=$(python3 -c "import json; print(json.load(open('$1'))['messages']['sent'])")
	stats "t['messages_received'] == t['replies_sent'] == $sent"
}

@test "yodel and yodeld play the same file, over deaths and reloads, with equal ledgers" {
	start_server '"workers": 2'
	start_load talk --no-reconnect -c 40 --conversation server.talk "127.0.0.1:$PORT"
	for _ in 1 2 3; do
		run -0 "$KILLER" "$YODELD_PID" 1
		reload
	done
	"$BUILD/yodelctl" -s admin_socket scale 1 >changes.log
	end_load talk
	never_reconnected talk.json
	wait_until stats 't["connections_open"] == 0'
	passes_agree talk.json
	stats 't["connections_recovered"] > 0 and closed["conversation_closed"] == 40'
}

@test "no pass is lost or wrong over deaths, reloads, scaling and an upgrade" {
	local round rounds=3
	[ -z "${LONG-}" ] || rounds=30
	start_server '"workers": 3'
	start_playing load 40
	for ((round = 0; round < rounds; round++)); do
		run -0 "$KILLER" "$YODELD_PID" 1
		kill -HUP "$YODELD_PID" # with the recovery under way
		"$BUILD/yodelctl" -s admin_socket scale $((round % 3 + 1)) >>changes.log 2>&1 || :
	done
	"$BUILD/yodelctl" -s admin_socket upgrade >>changes.log
	end_playing load
	stats "t['messages_received'] == t['replies_sent'] == $PASSES and t['connections_recovered'] > 0"
	stats 'closed["worker_lost"] == closed["unexpected_message"] == closed["crashed_twice"] == 0'
	[ "$PASSES" -gt 100 ]
}

@test "a client whose input kills two workers in a row is closed, the others continue" {
	YODELD=$BUILD/tests/worker_dies_of_input start_server '"workers": 2'
	start_playing load 20
	say "
expect('220 ready\r\n')
say('LOGIN 1\r\n')
expect('250 welcome\r\n')
say('poison\r\n')
assert hear() in ('', 'reset')"
	end_playing load
	stats "t['messages_received'] == t['replies_sent'] == $PASSES"
	stats 'closed["crashed_twice"] == 1 and closed["worker_lost"] == closed["unexpected_message"] == 0'
	[ "$(times_logged 'killed by SIGABRT')" = 2 ]
}

serves_with() # N - that many workers, and a keeper for each
{
	[ "$(worker_pids | wc -l)" = "$1" ] && [ "$(keeper_pids | wc -l)" = "$1" ] &&
		"$BUILD/yodelctl" -s admin_socket status | grep -q "^$1 of $1 workers serve"
}

@test "a worker killed at any system call of a conversation loses no pass" {
	needs root
	start_server '"workers": 2'
	start_playing load 20
	local call when worker
	while read -r call when; do
		wait_until serves_with 2
		worker=$(worker_pids | head -n 1)
		run -0 timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$call" "$when" $((RANDOM % 20 + 1))
		wait_until logged "worker [0-9] \(pid $worker\): killed by SIGKILL"
	done < <(printf '%s\n' {recvfrom,sendto}' '{before,after} | shuf -n "$([ -n "${LONG-}" ] && echo 99 || echo 3)")
	end_playing load
	stats "t['messages_received'] == t['replies_sent'] == $PASSES"
	stats 'closed["worker_lost"] == closed["unexpected_message"] == 0'
}
