#!/usr/bin/env bats
# run-checks: without sanitizer
# run-checks: alone
#
# yodel --hold: outages of known length, held against a packet capture of the same run.
# shellcheck disable=SC2016,SC2086,SC2153 # fields of awk; words are meant; start_yodeld sets PORT

load lib/helpers
load lib/real_servers
load lib/certificates

# By hand also OUTAGE_CONNECTIONS=100000. Beyond 5,000 the interval grows with the connections, so
# that there are never more than 15,000 messages per second: the packet capture keeps up. Then only
# the connections that send a message in the outage are dark.
CONNECTIONS=${OUTAGE_CONNECTIONS:-${LONG:+5000}}
CONNECTIONS=${CONNECTIONS:-1000}
SCALE=$((CONNECTIONS > 5000 ? (CONNECTIONS + 1499) / 1500 : 1))
INTERVAL_MS=$((100 * SCALE))
DURATION_MS=$((3600 + 4 * INTERVAL_MS))
WORKERS=$((CONNECTIONS / 15000 + 2))

setup_file()
{
	needs root
	needs command tcpdump
	needs command nsenter
}

# With real-time priority of the test, other load on the machine delays nothing that it starts.
# Not for what may use a whole CPU: the kernel then stops it for 50 ms of each second.
take_priority()
{
	chrt --rr --pid 1 $BASHPID
}

# A network of this test alone, in which the client has an address for each connection.
make_network()
{
	spawn network unshare -n sleep 3000
	NETWORK="nsenter -n -t $(<network.pid)"
	is_own_network()
	{
		[ "$(readlink "/proc/$(<network.pid)/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	}
	wait_until is_own_network
	$NETWORK ip link set lo up
	$NETWORK ip route add local 10.98.0.0/15 dev lo
}

in_network()
{
	$NETWORK "$@"
}

# Starts the capture and the client, which goes before the servers: of many connections once they
# are connected, because the servers would accept too late. RUN_PID is the client's.
start_run() # PORT ARG...
{
	local port=$1
	shift
	# Packets with data, and those that open or end a connection: more than half are neither.
	local client="chrt --rr 2" capture='' pace=''
	[ "$SCALE" = 1 ] || client="chrt --other 0" capture="chrt --rr 1" pace="--connect-rate 5000"
	spawn capture $NETWORK $capture tcpdump -i lo -n -B $((65536 * (SCALE > 4 ? 4 : SCALE))) -s 74 \
		--time-stamp-precision=nano -w run.pcap "tcp port $port and (tcp[tcpflags] & \
		(tcp-syn|tcp-fin|tcp-rst) != 0 or ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] & 240) >> 2) != 0)"
	wait_until grep -q 'listening on' capture.log
	spawn run $NETWORK $client "$BUILD/yodel" -q -c "$CONNECTIONS" --source-ip 10.98.0.0/15 \
		$pace --interval ${INTERVAL_MS}ms --hold=250ms --timeout 10s \
		--json run.json "$@" "127.0.0.1:$port"
	RUN_PID=$SPAWNED
	wait_until -t 60 established
	local pid
	for pid in $RUN_PID $(children_of "$RUN_PID"); do
		chrt --rr --pid 2 "$pid"
	done
}

# All connections have both ends, and the messages are on their way. (ss(8) takes seconds for
# 100,000 of them.)
established()
{
	[ "$($NETWORK awk '/^TCP:/ { print $3 }' /proc/net/sockstat)" -ge $((2 * CONNECTIONS)) ]
}

end_run()
{
	wait "$RUN_PID" || true
	kill -INT "$(<capture.pid)"
	wait_until -t 60 has_ended "$(<capture.pid)"
	# The capture has all packets.
	grep -q '^0 packets dropped by kernel' capture.log
}

is_valid()
{
	[ "$(of_result 'r["trust"]["verdict"]')" = valid ]
}

# The run of this function, again while it is not judged valid. Then holds it against its capture:
# all outages are found, none is invented, and 99 % agree within 2 ms. If the client was late in
# three runs, within 2 ms more than the uncertainty that it states.
check_run() # FUNCTION PORT
{
	for _ in 1 2 3; do
		"$1" "$2"
		of_result 'r["trust"]'
		! is_valid || break
	done
	local late=
	is_valid || late=late
	[ "$(of_result 'r["trust"]["verdict"]')" != invalid ] || skip "the machine is too busy for the client"
	python3 "$BATS_TEST_DIRNAME/lib/outages_of_capture.py" run.pcap "$2" run.json $late | tee compared.json
	python3 - <<-'END'
		import json
		c = json.load(open("compared.json"))
		assert c["captured"] > 0 and c["missing"] == 0 and c["invented"] == 0, c
		assert c["close"] >= 0.99 * c["captured"], c
	END
}

of_result() # EXPRESSION - with the result as r
{
	python3 -c 'import json, sys; r = json.load(open("run.json")); print(eval(sys.argv[1]))' "$1"
}

run_with_cut_path() # PORT
{
	start_run "$1" -d ${DURATION_MS}ms
	in_network nft -f - <<-END
		table ip cut {
		  chain input {
		    type filter hook input priority 0
		    tcp dport $1 drop
		  }
		}
	END
	sleep 0.5
	in_network nft delete table ip cut
	end_run
}

@test "a path that drops packets for half a second makes each connection dark" {
	take_priority
	make_network
	YODELD_RUN=$NETWORK start_yodeld -w $WORKERS --listen 127.0.0.1:0
	check_run run_with_cut_path "$PORT"
	if [ "$SCALE" = 1 ]; then
		[ "$(of_result 'r["hold"]["connections"]')" = "$CONNECTIONS" ]
		[ "$(of_result 'min(o["length_ns"] for o in r["outages"])')" -gt 400000000 ]
	fi
	[ "$(of_result 'r["hold"]["lost"], r["hold"]["reconnected"], r["messages"]["wrong"]')" = "(0, 0, 0)" ]
	run -0 "$BUILD/yodel" report --text run.json
	[[ $output =~ [0-9,]+" of "[0-9,]+" connections dark for "[0-9.]+" "m?"s to "[0-9.]+" "m?"s from "[0-9:.]+" UTC; 0 lost; 0 wrong bytes" ]]
}

# HELD is the number of the worker's connections.
run_with_stopped_worker() # PORT
{
	start_run "$1" -d ${DURATION_MS}ms
	local worker
	worker=$(worker_pids | head -n 1)
	# With loopback addresses its connections are those of its descriptors.
	HELD=$(find "/proc/$worker/fd" -lname 'socket:*' | wc -l)
	kill -STOP "$worker"
	sleep 0.6
	kill -CONT "$worker"
	end_run
}

@test "a worker that is stopped makes its connections dark, and no other" {
	take_priority
	make_network
	YODELD_RUN=$NETWORK start_yodeld -w $((WORKERS + 2)) --listen 127.0.0.1:0
	check_run run_with_stopped_worker "$PORT"
	local dark
	dark=$(of_result 'r["hold"]["connections"]')
	echo "$dark dark connections, $HELD sockets of the worker"
	[ "$SCALE" != 1 ] || [ "$dark" -gt $((HELD - 10)) ]
	[ "$dark" -le "$HELD" ]
	[ "$(of_result 'r["hold"]["periods"] == r["hold"]["connections"] and r["hold"]["lost"] == 0')" = True ]
}

start_server() # NUMBER
{
	spawn "server$1" $NETWORK setsid "$YODELD" --set "instance=server$1" --set survive_crashes=false \
		--listen "127.0.0.1:700$1=whoami"
	wait_until grep -q ready "server$1.log"
}

server_3_is_up()
{
	[[ $(grep 'front/s3 is' haproxy.log | tail -n 1) != *DOWN* ]]
}

run_with_killed_server() # PORT
{
	! has_ended "$(<server3.pid)" || start_server 3
	wait_until server_3_is_up
	start_run "$1" -d 7s --warmup 1s -p 1 --expect whoami
	sleep 1.5 # until the warm-up is over
	kill -KILL -- "-$(<server3.pid)"
	end_run
}

@test "one of three servers that is killed behind HAProxy makes a third of them dark" {
	needs command haproxy
	make_network
	local i
	for i in 1 2 3; do
		start_server $i
	done
	cat >haproxy.cfg <<-END
		defaults
		  mode tcp
		  timeout connect 5s
		  timeout client 60s
		  timeout server 60s
		  option redispatch
		  default-server check inter 200ms fall 2
		  # The clients of a server come back to it until its check fails.
		  balance source
		  hash-type map-based
		listen front
		  bind 127.0.0.1:7000
		  maxconn 20000
		  server s1 127.0.0.1:7001
		  server s2 127.0.0.1:7002
		  server s3 127.0.0.1:7003
	END
	spawn haproxy $NETWORK haproxy -db -f haproxy.cfg
	wait_until in_network bash -c ': </dev/tcp/127.0.0.1/7000'
	check_run run_with_killed_server 7000
	of_result 'r["hold"], r["servers"]'
	local served dark
	served=$(of_result 'next(s["connections"] for s in r["servers"] if s["name"] == "server3")')
	dark=$(of_result 'r["hold"]["connections"]')
	[ "$served" -ge $((CONNECTIONS / 6)) ]
	[ "$dark" -le "$served" ]
	[ "$dark" -ge $((served * 9 / 10)) ]
	[ "$(of_result 'r["hold"]["other_server"] == r["hold"]["reconnected"] == r["hold"]["periods"]')" = True ]
	[ "$(of_result 'r["hold"]["lost"], r["messages"]["wrong"]')" = "(0, 0)" ]
}

@test "a connection that is lost and not replaced is counted, and told" {
	start_faulty_server close
	run -1 "$BUILD/yodel" -c 4 -d 2s --interval 50ms --hold --no-reconnect --json run.json \
		"127.0.0.1:$FAULTY_SERVER_PORT"
	[[ $output =~ "1 of 4 connections dark from "[0-9:.]+" UTC; 1 lost; 0 wrong bytes" ]]
	[ "$(of_result '[o["end"] for o in r["outages"]]')" = "['lost']" ]
}

@test "connections that are lost while they are idle are dark from then on" {
	make_ca ca
	make_certificate server ca 127.0.0.1
	cat >server.json <<-END
		{ "workers": 1, "listeners": [
		  { "address": "127.0.0.1:0" },
		  { "address": "127.0.0.1:0", "tls": { "certificate": "server.pem", "key": "server.key" } },
		  { "address": "unix:$PWD/echo.sock" } ] }
	END
	start_yodeld -c server.json
	local i workers runs=(
		"-R 50 127.0.0.1:$PORT"
		"--interval 200ms 127.0.0.1:$PORT"
		"--interval 200ms --tls --tls-ca ca.pem 127.0.0.1:${PORTS[1]}"
		"--interval 200ms unix:$PWD/echo.sock")
	for i in "${!runs[@]}"; do
		spawn "run$i" "$BUILD/yodel" -q -w 1 -c 10 -d 3s --drain 100ms --hold=300ms \
			--json "run$i.json" --json-lines "seconds$i.json" ${runs[i]}
	done
	for i in "${!runs[@]}"; do
		wait_until [ -s "seconds$i.json" ]
	done
	workers=$(worker_pids)
	kill -STOP "$YODELD_PID" # it would replace the worker
	kill -KILL $workers "$YODELD_PID"
	for i in "${!runs[@]}"; do
		wait "$(<"run$i.pid")" || true
		mv "run$i.json" run.json
		echo "${runs[i]}"
		[ "$(of_result 'r["hold"]["open"], r["hold"]["lost"], r["hold"]["connections"]')" = "(10, 0, 10)" ]
	done
}

@test "an outage that lasts to the end of the run is told as such" {
	start_yodeld -w 1 --listen 127.0.0.1:0
	spawn run "$BUILD/yodel" -q -c 3 -d 2s --drain 100ms --interval 50ms --hold --json run.json "127.0.0.1:$PORT"
	sleep 1
	kill -STOP "$(worker_pids)"
	wait "$SPAWNED" || true
	kill -CONT "$(worker_pids)"
	[ "$(of_result 'r["hold"]["open"], r["hold"]["lost"], r["hold"]["connections"]')" = "(3, 0, 3)" ]
}

@test "outages that a late client may have made itself are suspect" {
	start_yodeld -w 1 --listen 127.0.0.1:0
	spawn run "$BUILD/yodel" -q -w 1 -c 4 -d 4s --interval 20ms --hold=100ms --json run.json \
		--json-lines seconds.json "127.0.0.1:$PORT"
	wait_until [ -s seconds.json ]
	local client since
	client=$(children_of "$SPAWNED")
	kill -STOP $client
	since=${EPOCHREALTIME/./}
	is_over() { [ $((${EPOCHREALTIME/./} - since)) -gt 400000 ]; }
	wait_until is_over
	kill -CONT $client
	wait "$SPAWNED" || true
	[ "$(of_result 'r["hold"]["doubtful"] >= 4 and r["hold"]["own_max_ns"] > 200e6')" = True ]
	[ "$(of_result 'r["trust"]["verdict"]')" != valid ]
	[ "$(of_result 'any("which affects the outages" in why and "may not have been longer" in why for why in r["trust"]["reasons"])')" = True ]
}

@test "a run without an outage says so, and --hold needs a schedule" {
	start_yodeld --listen 127.0.0.1:0
	run -0 "$BUILD/yodel" -c 2 -d 500ms --interval 50ms --hold=5s "127.0.0.1:$PORT"
	[[ $output = *"no connection was without an answer for more than 5 s"* ]]
	run -1 "$BUILD/yodel" -c 4 -d 500ms --interval 50ms --hold=5s "127.0.0.1:$PORT" 127.0.0.2:9
	[[ $output = *"no established connection was without an answer for more than 5 s; 2 of 4 never established"* ]]
	run -64 "$BUILD/yodel" -c 2 -d 1s --hold "127.0.0.1:$PORT"
	[[ $output = "yodel: --hold requires --interval or --rate: "* ]]
	run -64 "$BUILD/yodel" -c 2 -d 1s --interval 1s --expect discard --hold "127.0.0.1:$PORT"
	[[ $output = "yodel: --hold requires answers: it cannot be used with --expect discard" ]]
	run -64 "$BUILD/yodel" -c 2 -d 1s --interval 1s --hold=x "127.0.0.1:$PORT"
	[[ $output = 'yodel: --hold: found "x", expected a time, as in 250ms or 30s' ]]
}
