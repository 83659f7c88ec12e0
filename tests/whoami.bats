#!/usr/bin/env bats
# The reply "whoami": what the server sees of a connection.

# shellcheck disable=SC2030,SC2031,SC2154 # each test has its own PORT; run sets stderr
load lib/helpers
load lib/supervision

BALANCER=$BATS_TEST_DIRNAME/lib/proxy_client.py
CLIENT=$BATS_TEST_DIRNAME/lib/whoami_client.py
# Where tests/install-deps unpacks programs whose packages start a service.
PATH=$PATH:$BATS_TEST_DIRNAME/../build/tools/usr/sbin

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
	wait_until eval "sed -n 3p held.out | grep -q generation"
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
	has_one_worker()
	{
		[ "$(worker_pids | without_keepers | wc -w)" = 1 ]
	}
	for _ in 1 2 3; do
		wait_until has_one_worker
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

# asks ARG... - runs yodel against a server with this reply; the result is in result.json.
asks()
{
	run "$BUILD/yodel" --expect whoami --framing line --size 20 --json result.json "$@"
}

# The result as r: CONDITION, a Python expression.
result()
{
	python3 -c '
import json, sys
r = json.load(open("result.json"))
w = r["whoami"]
assert eval(sys.argv[1]), (w, r["servers"], r["outside"], r["messages"])' "$1"
}

# start_two - the instances alpha and beta, at PORT_A and PORT_B.
start_two()
{
	local name
	for name in alpha beta; do
		start_yodeld_with '"reply": "whoami", "framing": "line"' --set instance=$name -w 1
		cp "$YODELD_LOG" $name.log
		[ $name = beta ] || PORT_A=$PORT
	done
	PORT_B=$PORT
}

# start_haproxy LINES... - HAProxy on BALANCER_PORT, with these lines of its section.
start_haproxy()
{
	BALANCER_PORT=$(free_port)
	{
		# With one thread the turns of round robin are exact.
		printf 'global\n nbthread 1\n'
		printf 'defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n'
		printf 'listen front\n bind 127.0.0.1:%s\n' "$BALANCER_PORT"
		printf ' %s\n' "$@"
	} >haproxy.cfg
	spawn haproxy haproxy -db -f haproxy.cfg
	wait_until socat -u /dev/null "TCP:127.0.0.1:$BALANCER_PORT"
}

@test "yodel verifies that the server sees its own address and port" {
	start_server '"framing": "line"'
	asks -c 20 -n 10 --messages-per-connection 5 --html page.html "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	[[ $output = *"the server saw this client's own address and port on all 40 connections"* ]]
	[[ $output = *'alpha: 40 connections, 200 messages, 0 lost'* ]]
	grep -q 'alpha</th><td>40</td><td>200</td><td>0</td>' page.html
	result 'w["connections"] == 40 and w["translated"] == 0 and w["reconnected"] == w["stayed"] == 20'
	result 'r["steps"]["alpha"]["count"] == 200 and r["outside"] == [{"address": "127.0.0.1", "connections": 20}]'
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$BATS_TEST_DIRNAME/../client/result.schema.json" result.json
	"$BUILD/yodel" report result.json >again
	grep -q 'alpha</th><td>40</td><td>200</td><td>0</td>' again
}

@test "yodel reads whoami in every framing, under load, in parts" {
	start_yodeld --listen 127.0.0.1:0=whoami -w 1
	run -0 "$BUILD/yodel" --expect whoami --size 20 -c 5 -n 20 "127.0.0.1:$PORT"
	[[ $output = *'every byte verified'* ]]
	stop_yodeld
	start_yodeld_with '"reply": "whoami", "framing": "length32"'
	run -0 "$BUILD/yodel" --expect whoami --framing length32 --size 20 -c 5 -p 20 -n 200 --slow-read 500k "127.0.0.1:$PORT"
	[[ $output = *'every byte verified'* ]]
	run -64 "$BUILD/yodel" --expect-proxy 127.0.0.1:1
	[[ $output = *'--expect-proxy requires --expect whoami'* ]]
}

@test "yodel groups connections by server, and tells a fair balancer from another" {
	needs command haproxy
	start_two
	start_haproxy 'balance roundrobin' 'source 127.0.0.7' "server a 127.0.0.1:$PORT_A weight 1" "server b 127.0.0.1:$PORT_B weight 1"
	asks -c 60 -n 2 "127.0.0.1:$BALANCER_PORT"
	[ "$status" = 0 ]
	result 'sorted((s["name"], s["connections"]) for s in r["servers"]) == [("alpha", 30), ("beta", 30)]'
	[[ $output = *'60 of 60 connections translated, 1 outside address (127.0.0.7)'* ]]
	[[ $output = *'with a probability of 100 %'* ]]
	result 'w["shared_ports"] == 0'
	mv result.json first.json
	asks -c 40 -n 2 "127.0.0.1:$PORT_A"
	"$BUILD/yodel" merge -o merged.json first.json result.json >merged.txt
	mv merged.json result.json
	result 'sorted((s["name"], s["connections"]) for s in r["servers"]) == [("alpha", 70), ("beta", 30)]'
	result 'r["steps"]["alpha"]["count"] == 140 and r["steps"]["beta"]["count"] == 60'
	grep -q 'a fair balancer spreads connections like this with a probability below 0.01 %' merged.txt
}

@test "every header of a balancer names its connection" {
	needs command haproxy
	start_server '"framing": "line", "proxy_protocol": "any", "proxy_from": ["127.0.0.1"]'
	local version
	for version in send-proxy send-proxy-v2; do
		start_haproxy "server a 127.0.0.1:$PORT $version"
		asks --expect-proxy -c 50 -n 4 --messages-per-connection 2 "127.0.0.1:$BALANCER_PORT"
		[ "$status" = 0 ]
		result 'w["headers"] == w["connections"] == 100 and w["translated"] == 0'
	done
	# Without a balancer there is no header.
	stop_yodeld
	start_server '"framing": "line"'
	asks --expect-proxy -c 1 -n 1 "127.0.0.1:$PORT"
	[ "$status" = 2 ]
	[[ $output = *'no PROXY header announces a client'* ]]
}

@test "one header that names another connection is found and named" {
	start_server '"framing": "line", "proxy_protocol": "any", "proxy_from": ["127.0.0.1"]'
	spawn forwarder "$BATS_TEST_DIRNAME/lib/proxy_forwarder.py" "$PORT" 700
	wait_until test -s forwarder.out
	asks --expect-proxy -c 20 -n 50 --messages-per-connection 1 "127.0.0.1:$(<forwarder.out)"
	[ "$status" = 2 ]
	result 'r["messages"]["wrong"] == 1 and r["messages"]["verified"] == 999'
	[[ $output = *'the PROXY header names another client'* ]]
	[[ $output =~ expected\ 127\.0\.0\.1:([0-9]+),\ found\ 127\.0\.0\.1:([0-9]+) ]]
	[ $((BASH_REMATCH[1] ^ 1)) = "${BASH_REMATCH[2]}" ]
}

@test "connections that have the same outside port at the same time are counted" {
	start_server '"framing": "line", "proxy_protocol": "any", "proxy_from": ["127.0.0.1"]'
	spawn forwarder "$BATS_TEST_DIRNAME/lib/proxy_forwarder.py" "$PORT" shared
	wait_until test -s forwarder.out
	asks -c 10 -n 5 --lockstep "127.0.0.1:$(<forwarder.out)"
	[ "$status" = 0 ]
	result 'w["shared_ports"] == w["translated"] == 10'
	[[ $output = *'10 connections had the outside port of another one at the same time'* ]]
	# One after the other.
	asks -c 1 -n 5 --messages-per-connection 1 "127.0.0.1:$(<forwarder.out)"
	result 'w["shared_ports"] == 0 and w["translated"] == 5'
}

@test "an announced client must be the one that the server sees" {
	start_server '"framing": "line", "proxy_protocol": "v2", "proxy_from": ["127.0.0.1"]'
	asks -c 10 -n 4 --proxy-protocol v2 --proxy-source 198.51.100.0/29 "127.0.0.1:$PORT"
	[ "$status" = 0 ]
	result 'w["translated"] == 0 and w["outside_addresses"] == 8 and w["headers"] == 10'
	# This balancer puts a header of its own in front.
	spawn forwarder "$BATS_TEST_DIRNAME/lib/proxy_forwarder.py" "$PORT" 0
	wait_until test -s forwarder.out
	asks -c 1 -n 1 --proxy-protocol v2 --proxy-source 198.51.100.0/29 "127.0.0.1:$(<forwarder.out)"
	[ "$status" != 0 ]
}

@test "an answer that is none of whoami is wrong" {
	start_yodeld_with '"reply": "echo", "framing": "line"'
	asks -c 1 -n 1 "127.0.0.1:$PORT"
	[ "$status" = 2 ]
	[[ $output = *'no answer of whoami'*'expected a line of JSON with instance and client'* ]]
}

# start_host NAME - a network namespace. To run a command there: on NAME COMMAND [ARG...]
start_host()
{
	spawn "$1" unshare -n sleep 600
	has_own()
	{
		[ "$(readlink "/proc/$SPAWNED/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	}
	wait_until has_own
	on "$1" ip link set lo up
}

on()
{
	nsenter -n -t "$(<"$1.pid")" "${@:2}"
}

# connect HOST ADDRESS ROUTER_ADDRESS - a wire to the router, which is the default route.
connect()
{
	on router ip link add "to_$1" type veth peer name wire netns "$(<"$1.pid")"
	on router ip address add "$3/30" dev "to_$1"
	on router ip link set "to_$1" up
	on "$1" ip address add "$2/30" dev wire
	on "$1" ip link set wire up
	on "$1" ip route add default via "$3"
}

@test "a router that translates addresses is recognised, with and without the ports" {
	needs root
	needs command nft
	needs kernel conntrack
	local host
	for host in router client server; do start_host $host; done
	connect client 10.8.1.2 10.8.1.1
	connect server 10.8.2.2 10.8.2.1
	on router sysctl -qw net.ipv4.ip_forward=1
	YODELD_RUN="nsenter -n -t $(<server.pid)" start_yodeld --listen 10.8.2.2:7000=whoami \
		--set listeners[0].framing=line
	ask_server()
	{
		run -0 on client "$BUILD/yodel" --expect whoami --framing line --size 20 --skip-preflight \
			--json result.json -c 30 -n 3 10.8.2.2:7000
	}
	ask_server
	[[ $output = *"the server saw this client's own address and port on all 30 connections"* ]]
	on router nft -f - <<-END
		table ip nat {
			chain post {
				type nat hook postrouting priority 100
				ip saddr 10.8.1.0/30 masquerade
			}
		}
	END
	ask_server
	[[ $output = *'30 of 30 connections translated, 1 outside address (10.8.2.1), port kept on 30'* ]]
	result 'w["translated"] == w["ports_kept"] == 30 and w["shared_ports"] == 0'
	on router nft flush chain ip nat post
	on router nft add rule ip nat post ip saddr 10.8.1.0/30 ip protocol tcp masquerade to :2000-2999
	ask_server
	[[ $output = *'port kept on 0'* ]]
	result 'w["translated"] == 30 and w["ports_kept"] == 0'
}
