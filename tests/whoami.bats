#!/usr/bin/env bats
# The reply "whoami": what the server sees of a connection.

# shellcheck disable=SC2030,SC2031,SC2154 # each test has its own PORT; run sets stderr
load lib/helpers
load lib/supervision

BALANCER=$BATS_TEST_DIRNAME/lib/proxy_client.py
CLIENT=$BATS_TEST_DIRNAME/lib/whoami_client.py

# start_server KEYS [ARG...]
start_server()
{
	local keys=$1
	shift
	start_yodeld_with '"reply": "whoami"'"${keys:+, }$keys" --set instance=alpha \
		--set admin.socket="$PWD/control.sock" "$@"
}

# The last line of $output as w: CONDITION, a Python expression.
says()
{
	python3 -c '
import json, sys
w = json.loads(sys.argv[1].splitlines()[-1])
assert eval(sys.argv[2]), w' "$output" "$1"
}

total() # NAME
{
	"$BUILD/yodelctl" -s control.sock stats --json |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"][sys.argv[1]])' "$1"
}

@test "whoami tells the addresses, the worker, the SYN and the state of TCP" {
	start_server '"framing": "line"' -w 1
	run -0 socat -t 20 - "TCP:127.0.0.1:$PORT,bind=127.0.0.3:0,mss=1000" <<<hello
	says 'w["instance"] == "alpha" and (w["slot"], w["generation"]) == (0, 1)'
	says 'w["client"]["address"] == "127.0.0.3" and w["client"] == w["socket"]["peer"]'
	says 'w["socket"]["local"] == {"address": "127.0.0.1", "port": '"$PORT"'}'
	says 'w["connection"]["number"] == 1 and w["connection"]["age_us"] >= 0'
	says 'w["syn"]["mss"] == 1000 and w["syn"]["ttl"] >= 1 and w["syn"]["sack"]'
	says 'w["tcp"]["rtt_us"] > 0 and "incoming_cpu" in w and "proxy" not in w'
}

@test "whoami answers each message of any framing with a line" {
	start_server '' -w 1
	run -0 python3 -c "
import json, socket, struct
peer = socket.create_connection(('127.0.0.1', $PORT))
peer.sendall(b'x')
line = peer.makefile('rb').readline()
assert line.endswith(b'}\n') and json.loads(line), line"
	stop_yodeld
	start_server '"framing": "length32"' -w 1
	run -0 python3 -c "
import json, socket, struct
peer = socket.create_connection(('127.0.0.1', $PORT))
peer.sendall(struct.pack('>I', 3) + b'one' + struct.pack('>I', 0))
file = peer.makefile('rb')
for _ in range(2):
    length, = struct.unpack('>I', file.read(4))
    assert json.loads(file.read(length))"
}

@test "whoami tells what the PROXY header announces, beside the addresses of the socket" {
	start_server '"framing": "line", "proxy_protocol": "any", "proxy_from": ["127.0.0.1"]'
	run -0 "$BALANCER" "$PORT" v1='TCP6 2001:db8::7 2001:db8::1 4000 80' send=hello read
	says 'w["client"] == {"address": "2001:db8::7", "port": 4000} == w["proxy"]["source"]'
	says 'w["proxy"]["version"] == 1 and w["proxy"]["destination"]["port"] == 80'
	says 'w["socket"]["peer"]["address"] == "127.0.0.1"'
	run -0 "$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read
	says 'w["client"] == {"address": "198.51.100.8", "port": 4001}'
	run -0 "$BALANCER" "$PORT" local send=hello read
	says 'w["client"]["address"] == "127.0.0.1" and w["proxy"]["command"] == "LOCAL"'
}

@test "every line matches its schema" {
	start_server '"framing": "line", "proxy_protocol": "any", "proxy_from": ["127.0.0.1"]'
	"$BALANCER" "$PORT" v1='TCP6 2001:db8::7 2001:db8::1 4000 80' send=hello read >v1.json
	"$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read >v2.json
	"$BALANCER" "$PORT" local send=hello read >local.json
	"$BALANCER" "$PORT" v1=UNKNOWN send=hello read >unknown.json
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$BATS_TEST_DIRNAME/../conf/whoami.schema.json" v1.json v2.json local.json unknown.json
}

@test "what whoami keeps moves with the connection" {
	start_server '"framing": "line", "proxy_protocol": "any", "proxy_from": ["127.0.0.1"]' -w 1
	spawn held "$BALANCER" "$PORT" v2=198.51.100.8:4001 send=one read wait=go send=two read wait=again \
		send=three read
	wait_until grep -q '"generation":1,' held.out
	kill -HUP "$YODELD_PID"
	wait_until logged '1 connections? transferred'
	touch go
	wait_until grep -q '"generation":2,' held.out
	output=$(<held.out)
	says 'w["connection"]["generation"] == 1 and w["connection"]["number"] == 1'
	says 'w["client"]["address"] == "198.51.100.8" and w["proxy"]["version"] == 2 and "syn" in w'
	kill -KILL "$(worker_pids | without_keepers)"
	is_recovered()
	{
		[ "$(total connections_recovered)" = 1 ]
	}
	wait_until is_recovered
	touch again
	wait_until eval '[ "$(wc -l <held.out)" = 3 ]'
	output=$(<held.out)
	says 'w["client"]["address"] == "198.51.100.8" and w["proxy"]["version"] == 2 and "syn" in w'
	says 'w["connection"]["generation"] == 1'
}

# A worker killed after a send has sent a reply that is made again. With other values, as the age
# of the connection, it would have another length.
@test "a reply of whoami is made again with the same values after a crash" {
	needs root
	start_server '"framing": "line"' -w 1 --set limits.max_pending=64k
	spawn asking "$CLIENT" "$PORT" 10 8
	wait_until grep -q asking asking.out
	local worker
	for _ in 1 2 3; do
		wait_until eval '[ "$(worker_pids | without_keepers | wc -w)" = 1 ]'
		worker=$(worker_pids | without_keepers)
		run -0 timeout 30 "$BUILD/tests/kill_at_call" "$worker" sendto after $((RANDOM % 30 + 1))
		wait_until logged "worker [0-9] \(pid $worker\): (killed|died)"
	done
	wait "$(<asking.pid)"
	grep -q '^answered [0-9]' asking.out
	[ "$(total replies_sent)" = "$(sed -n 's/^answered //p' asking.out)" ]
}

@test "a reload to whoami tells what can be known of an open connection" {
	start_yodeld_with '"reply": "echo", "framing": "line"' -w 1
	spawn held python3 -c "
import json, os, socket, time
peer = socket.create_connection(('127.0.0.1', $PORT))
file = peer.makefile('rw')
def ask():
    file.write('one\\n')
    file.flush()
    print(file.readline(), end='', flush=True)
ask()
while not os.path.exists('go'):
    time.sleep(0.01)
ask()"
	wait_until grep -q one held.out
	sed -i 's/echo/whoami/' listener.json
	kill -HUP "$YODELD_PID"
	wait_until logged '1 connections? transferred'
	touch go
	wait_until grep -q generation held.out
	output=$(<held.out)
	# The socket was opened without TCP_SAVE_SYN.
	says 'w["client"]["address"] == "127.0.0.1" and "syn" not in w and "tcp" in w'
	run -0 socat -t 20 - "TCP:127.0.0.1:$PORT" <<<hello
	says '"syn" in w'
}

@test "the name of an instance is checked" {
	run -78 "$YODELD" -t --set 'instance=a b'
	[[ $output = *'instance: found "a b", expected a name'* ]]
}
