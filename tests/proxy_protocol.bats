#!/usr/bin/env bats
# The PROXY protocol: headers that load balancers send in front of the data of a client.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

BALANCER=$BATS_TEST_DIRNAME/lib/proxy_client.py
# Where tests/install-deps unpacks programs whose packages start a service.
PATH=$PATH:$BATS_TEST_DIRNAME/../build/tools/usr/sbin

# start_server KEYS [ARG...] - a listener that expects headers from 127.0.0.1.
start_server()
{
	local keys=$1
	shift
	start_yodeld_with '"reply": "upper", "framing": "line", "proxy_protocol": "any",
		"proxy_from": ["127.0.0.1"]'"${keys:+, }$keys" \
		--set log.level=debug --set admin.socket="$PWD/control.sock" "$@"
}

# The peer may see the close before it is counted.
has_closed() # REASON COUNT
{
	"$BUILD/yodelctl" -s control.sock stats --json | python3 -c '
import json, sys
closed = json.load(sys.stdin)["totals"]["connections_closed"]
assert closed.get(sys.argv[1], 0) == int(sys.argv[2]), closed' "$@"
}

closed() # REASON COUNT
{
	wait_until has_closed "$@"
}

total() # NAME
{
	"$BUILD/yodelctl" -s control.sock stats --json |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"][sys.argv[1]])' "$1"
}

@test "the client of a header takes the place of the balancer, in both versions" {
	start_server ''
	run -0 "$BALANCER" "$PORT" v1='TCP4 198.51.100.7 192.0.2.1 4000 80' send=hello read
	[ "$output" = HELLO ]
	run -0 "$BALANCER" "$PORT" v1='TCP6 2001:db8::7 2001:db8::1 4000 80' send=hello read
	[ "$output" = HELLO ]
	run -0 "$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read
	[ "$output" = HELLO ]
	closed peer_closed 3
	logged 'connection 198.51.100.7:4000: by PROXY header of 127.0.0.1:'
	logged 'connection \[2001:db8::7\]:4000 closed: peer_closed'
	logged 'connection 198.51.100.8:4001 closed: peer_closed'
	# The header is not the client's data.
	[ "$(total bytes_received)" = 18 ]
}

@test "a header may come byte by byte or with data in one segment" {
	start_server ''
	run -0 "$BALANCER" "$PORT" one-by-one v1='TCP4 198.51.100.7 192.0.2.1 4000 80' send=hello read
	[ "$output" = HELLO ]
	run -0 "$BALANCER" "$PORT" one-by-one v2=198.51.100.8:4001 send=hello read
	[ "$output" = HELLO ]
	run -0 "$BALANCER" "$PORT" together v2=198.51.100.9:4001 send=hello send=again flush read read
	[ "$output" = $'HELLO\nAGAIN' ]
	run -0 "$BALANCER" "$PORT" together v1='UNKNOWN' send=hello flush read
	[ "$output" = HELLO ]
	closed peer_closed 4
}

@test "a peer that is not in proxy_from is refused" {
	start_server ''
	run socat -t 20 - "TCP:127.0.0.1:$PORT,bind=127.0.0.2" <<<$'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nhello'
	[[ $output != *HELLO* ]]
	closed proxy_untrusted 1
	logged "refusing 127.0.0.2:[0-9]+: it is not in proxy_from"
}

@test "a header is never optional" {
	start_server ''
	run -0 "$BALANCER" "$PORT" send=hello read
	[ "$output" = reset ]
	run -0 "$BALANCER" "$PORT" raw='PROXY TCP4 1.2.3.4'
	closed proxy_header_invalid 2
	logged 'found no PROXY header'
	logged 'found the end of the stream inside a PROXY header'
}

@test "a listener accepts the version that it expects alone" {
	start_yodeld_with '"reply": "upper", "framing": "line", "proxy_protocol": "v2", "proxy_from": ["127.0.0.1"]'
	run -0 "$BALANCER" "$PORT" v1='TCP4 198.51.100.7 192.0.2.1 4000 80' send=hello read
	[ "$output" = reset ]
	logged 'found a PROXY v1 header, expected version 2'
	run -0 "$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read
	[ "$output" = HELLO ]
}

@test "a header that does not come, or not as a whole, ends the connection in time" {
	start_server '' --set timeouts.handshake=500ms
	run -0 "$BALANCER" "$PORT" read
	[[ $output = end || $output = reset ]]
	run -0 "$BALANCER" "$PORT" raw='PROXY TCP4 ' read
	[[ $output = end || $output = reset ]]
	closed proxy_header_timeout 2
}

@test "health checks are counted by themselves" {
	start_server ''
	"$BALANCER" "$PORT"
	"$BALANCER" "$PORT" reset
	"$BALANCER" "$PORT" local
	"$BALANCER" "$PORT" local reset
	closed proxy_health_check 4
	[ "$(total connections_accepted)" = 4 ]
}

change_worker() # the one worker dies; its successor has its connection
{
	local worker
	worker=$(worker_pids | without_keepers)
	kill -KILL "$worker"
	wait_until logged "pid $worker\\): killed by SIGKILL: 1 connection recovered in [0-9]+ ms"
}

@test "a conversation begins behind the header, whoever speaks first" {
	local first
	printf '%s\n' 'ending lf' 'S: ready' '--- repeat' 'C: ask \{text: any}' 'S: told \{text}' >server.talk
	printf '%s\n' 'ending lf' 'C: ask \{text: any}' 'S: told \{text}' >client.talk
	for first in server client; do
		printf '{ "listeners": [ { "address": "127.0.0.1:0", "reply": "conversation=%s.talk",
			"proxy_protocol": "any", "proxy_from": ["127.0.0.1"] } ] }' "$first" >listener.json
		start_yodeld -c listener.json --set log.level=debug --set admin.socket="$PWD/control.sock" -w 1
		local greeting=() told=$'told A\ntold B'
		[ "$first" = client ] || { greeting=(read) told=$'ready\n'$told; }
		run -0 "$BALANCER" "$PORT" v1='TCP4 198.51.100.7 192.0.2.1 4000 80' "${greeting[@]}" \
			'send=ask A' read 'send=ask B' read
		[ "$output" = "$told" ]
		run -0 "$BALANCER" "$PORT" one-by-one v2=198.51.100.8:4001 'send=ask A' 'send=ask B' \
			"${greeting[@]}" read read
		[ "$output" = "$told" ]
		run -0 "$BALANCER" "$PORT" together v2=198.51.100.9:4001 'send=ask A' 'send=ask B' flush \
			"${greeting[@]}" read read
		[ "$output" = "$told" ]
		run -0 "$BALANCER" "$PORT" local 'send=ask A' "${greeting[@]}" read 'send=ask B' read
		[ "$output" = "$told" ]
		"$BALANCER" "$PORT" local
		closed proxy_health_check 1
		# Its worker dies within the header, and within a pass.
		spawn "half.$first" "$BALANCER" "$PORT" raw='PROXY TCP4 203.0.113.5 ' made="half.$first.sent" \
			wait="$first.go" raw=$'192.0.2.1 77 80\r\nask ' "${greeting[@]}" made="$first.said" \
			wait="$first.on" 'send=A' read 'send=ask B' read
		wait_until test -e "half.$first.sent"
		change_worker
		touch "$first.go"
		wait_until test -e "$first.said"
		change_worker
		touch "$first.on"
		wait "$(<"half.$first.pid")"
		[ "$(<"half.$first.out")" = "$told" ]
		logged 'connection 203.0.113.5:77 closed: peer_closed'
		closed peer_closed 5
		[ "$(total messages_received)" = 10 ]
		[ "$(total replies_sent)" = 10 ]
		closed worker_lost 0
		stop_yodeld
	done
}

@test "data behind LOCAL is served, also when it comes late" {
	start_server '' --set timeouts.handshake=500ms
	run -0 "$BALANCER" "$PORT" together local send=hello flush read
	[ "$output" = HELLO ]
	run -0 "$BALANCER" "$PORT" local send=hello read
	[ "$output" = HELLO ]
	spawn late "$BALANCER" "$PORT" local wait=go send=hello read
	wait_until_served()
	{
		[ "$(grep -c 'by PROXY header of' "$YODELD_LOG")" = 3 ]
	}
	wait_until wait_until_served
	touch go
	wait_until grep -q HELLO late.out
	closed peer_closed 3
}

@test "lists and limits hold for the client of the header" {
	start_server '"deny": ["198.51.100.0/24"], "max_connections_per_address": 1'
	run -0 "$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read
	[ "$output" = reset ]
	closed denied 1
	spawn first "$BALANCER" "$PORT" v2=203.0.113.1:1 send=hello read wait=go
	wait_until grep -q HELLO first.out
	run -0 "$BALANCER" "$PORT" v2=203.0.113.1:2 send=hello read
	[ "$output" = reset ]
	closed address_limit 1
	run -0 "$BALANCER" "$PORT" v2=203.0.113.2:1 send=hello read
	[ "$output" = HELLO ]
	touch go
	closed peer_closed 2
	run -0 "$BALANCER" "$PORT" v2=203.0.113.1:3 send=hello read
	[ "$output" = HELLO ]
}

@test "limits.handshakes bounds the connections that wait for a header" {
	start_server '' -w 1 --set limits.handshakes=2
	spawn a "$BALANCER" "$PORT" raw=P made=a.sent wait=go
	spawn b "$BALANCER" "$PORT" raw=P made=b.sent wait=go
	wait_until test -e a.sent -a -e b.sent
	is_refused()
	{
		[ "$("$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read)" = reset ]
	}
	wait_until is_refused
	"$BUILD/yodelctl" -s control.sock stats --json | grep -q '"handshake_limit": *[1-9]'
	waits() # COUNT - so many connections, as /stats and /metrics say
	{
		"$BUILD/yodelctl" -s control.sock stats --json | grep -q "\"handshakes_waiting\": $1," &&
			curl -s --unix-socket control.sock http://x/metrics >metrics.txt &&
			grep -qx "yodeld_handshakes_waiting{worker=\"0\"} $1" metrics.txt &&
			grep -qx 'yodeld_handshakes_limit 2' metrics.txt
	}
	waits 2
	touch go
	is_served()
	{
		[ "$("$BALANCER" "$PORT" v2=198.51.100.8:4001 send=hello read)" = HELLO ]
	}
	wait_until is_served
	wait_until waits 0
}

# Two connections: one with half of its header, one that is served.
hold_two()
{
	spawn half "$BALANCER" "$PORT" raw='PROXY TCP4 203.0.113.5 ' made=half.sent wait=go \
		raw=$'192.0.2.1 77 80\r\n' send=hello read wait=end
	spawn whole "$BALANCER" "$PORT" v2=203.0.113.6:78 send=one read wait=go send=two read wait=end
	wait_until grep -q ONE whole.out
	wait_until test -e half.sent
}

both_are_served()
{
	touch go
	wait_until grep -q HELLO half.out
	wait_until grep -q TWO whole.out
	# The addresses of the headers have moved with the connections.
	run -0 "$BALANCER" "$PORT" v2=203.0.113.5:1 send=hello read
	[ "$output" = reset ]
	run -0 "$BALANCER" "$PORT" v2=203.0.113.6:1 send=hello read
	[ "$output" = reset ]
	closed address_limit 2
	touch end
	closed peer_closed 2
	logged 'connection 203.0.113.5:77 closed: peer_closed'
	logged 'connection 203.0.113.6:78 closed: peer_closed'
}

@test "a connection keeps its header or its part of one through a reload" {
	start_server '"max_connections_per_address": 1'
	hold_two
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'generation 2 serves' "$YODELD_LOG"
	wait_until grep -qE '2 connections transferred|[2-9] transferred' "$YODELD_LOG"
	both_are_served
}

@test "a connection keeps its header or its part of one when its worker is killed" {
	start_server '"max_connections_per_address": 1' -w 1
	hold_two
	kill -KILL "$(worker_pids | without_keepers)"
	is_recovered()
	{
		[ "$(total connections_recovered)" = 2 ]
	}
	wait_until is_recovered
	both_are_served
}

# The worker has read the header and a message, or has sent the reply, and dies.
@test "a header is taken again when its worker is killed with it" {
	needs root
	start_server '"max_connections_per_address": 1' -w 1
	local call when worker='' count=0
	serves_anew()
	{
		[ "$(worker_pids | without_keepers)" != "$worker" ] &&
			"$BUILD/yodelctl" -s control.sock status | grep -q '1 of 1 workers serve'
	}
	for call in recvfrom sendto; do
		for when in before after; do
			wait_until serves_anew
			worker=$(worker_pids | without_keepers)
			spawn tracer timeout 30 "$BUILD/tests/kill_at_call" "$worker" "$call" "$when" 1
			wait_until grep -q '^TracerPid:[[:space:]][1-9]' "/proc/$worker/status"
			count=$((count + 1))
			spawn "peer$count" "$BALANCER" "$PORT" together "v2=203.0.113.$count:7" send=hello flush read \
				wait=go send=again read
			wait_until grep -q HELLO "peer$count.out"
		done
	done
	# Each still has its address, once.
	run -0 "$BALANCER" "$PORT" v2=203.0.113.1:1 send=hello read
	[ "$output" = reset ]
	touch go
	for count in 1 2 3 4; do
		wait_until grep -q AGAIN "peer$count.out"
		[ "$(<"peer$count.out")" = $'HELLO\nAGAIN' ]
	done
	[ "$(total bytes_received)" = 48 ]
	[ "$(total replies_sent)" = 8 ]
	closed peer_closed 4
}

@test "proxy_protocol without proxy_from is an error" {
	printf '%s' '{ "listeners": [ { "address": "127.0.0.1:0", "proxy_protocol": "v2" } ] }' >bad.json
	run -78 "$YODELD" -t -c bad.json
	[[ $output = *'listeners[0].proxy_protocol: found "v2" without proxy_from, expected the prefixes'* ]]
	run -78 "$YODELD" -t --set 'listeners=[{"address": "127.0.0.1:0", "proxy_protocol": "v3"}]'
	[[ $output = *'found "v3"'* ]]
}

# start_haproxy SEND - HAProxy in front of yodeld, with this on its server line.
start_haproxy()
{
	BALANCER_PORT=$(free_port)
	spawn_haproxy <<-END
		listen front
		  bind 127.0.0.1:$BALANCER_PORT
		  bind unix@$PWD/front.sock
		  server back 127.0.0.1:$PORT $1
	END
	wait_until eval "printf 'x\n' | socat -t 20 - TCP:127.0.0.1:$BALANCER_PORT | grep -q X"
}

haproxy_announces_its_clients() # SEND
{
	needs command haproxy
	start_server ''
	start_haproxy "$1"
	run -0 socat -t 20 - "TCP:127.0.0.1:$BALANCER_PORT,bind=127.0.0.9:0" <<<hello
	[ "$output" = HELLO ]
	wait_until logged 'connection 127.0.0.9:[0-9]+: by PROXY header of 127.0.0.1:'
	# The address of a client at a Unix socket is unknown.
	run -0 socat -t 20 - "UNIX-CONNECT:front.sock" <<<hello
	[ "$output" = HELLO ]
	run -0 "$BUILD/yodel" -c 5 -n 200 --size 1:3000 --framing line "127.0.0.1:$BALANCER_PORT"
	run ! logged 'closed: proxy_header_invalid'
}

@test "HAProxy announces its clients by version 1" {
	haproxy_announces_its_clients send-proxy
}

@test "HAProxy announces its clients by version 2, with TLVs" {
	haproxy_announces_its_clients 'send-proxy-v2 proxy-v2-options crc32c,unique-id'
}

@test "health checks of HAProxy are counted by themselves" {
	needs command haproxy
	start_server ''
	start_haproxy 'send-proxy-v2 check check-send-proxy inter 50ms'
	has_checks()
	{
		[ "$("$BUILD/yodelctl" -s control.sock stats --json |
			python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"]["connections_closed"].get("proxy_health_check", 0))')" -ge 10 ]
	}
	wait_until has_checks
	run ! logged 'closed: (reset|proxy_header_invalid)'
}

# stat EXPRESSION - of the numbers of l, the first listener, and k, the kernel; prints it
stat()
{
	"$BUILD/yodelctl" -s control.sock stats --json | python3 -c '
import json, sys
s = json.load(sys.stdin)
l, k = s["listeners"][0], s["kernel"]
print(eval(sys.argv[1]))' "$1"
}

stat_is_true()
{
	[ "$(stat "$1")" = True ]
}

@test "handshakes that HAProxy aborts to check the server are no overflows of its queue" {
	needs root
	needs command haproxy
	needs command nsenter
	# The kernel counts for a network namespace: one without other tests.
	spawn network unshare -n sleep 600
	NETWORK="nsenter -n -t $(<network.pid)"
	is_own_network()
	{
		[ "$(readlink "/proc/$(<network.pid)/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	}
	wait_until is_own_network
	$NETWORK ip link set lo up
	YODELD_RUN=$NETWORK start_yodeld_with '"backlog": 2' -w 1 --set admin.socket="$PWD/control.sock"
	# shellcheck disable=SC2086 # words are meant
	spawn_haproxy $NETWORK <<-END
		listen front
		  bind unix@$PWD/front.sock
		  server back 127.0.0.1:$PORT check inter 20ms
	END
	wait_until stat_is_true 'k["handshakes_aborted"] >= 20'
	# The kernel counts them among the drops of the socket.
	stat_is_true 'l["queue_drops"] >= 20 and k["listen_overflows"] == l["queue_overflows"] == 0'
	# Real overflows are counted beside them.
	kill -STOP "$(worker_pids)"
	# shellcheck disable=SC2086
	spawn burst $NETWORK "$INDEPENDENT_CLIENT" burst --patience 60 "127.0.0.1:$PORT" 20
	wait_until stat_is_true 'l["queue_overflows"] >= 10'
	stat_is_true 'l["queue_overflows"] <= k["listen_overflows"] and l["queue_drops"] > l["queue_overflows"]'
	kill -CONT "$(worker_pids)"
	wait "$(<burst.pid)"
}

write_nginx_config() # reads the servers from stdin
{
	local module=usr/lib/nginx/modules/ngx_stream_module.so
	for module in "$BATS_TEST_DIRNAME/../build/tools/$module" "/$module" "/usr/lib64/${module#usr/lib/}"; do
		[ ! -e "$module" ] || break
	done
	local servers
	servers=$(cat)
	cat >nginx.conf <<-END
		load_module $module;
		daemon off; master_process off; pid $PWD/nginx.pid; error_log stderr;
		events { }
		stream { $servers }
	END
}

@test "nginx announces its clients" {
	needs command nginx
	start_server ''
	BALANCER_PORT=$(free_port)
	write_nginx_config <<-END
		server { listen 127.0.0.1:$BALANCER_PORT; proxy_pass 127.0.0.1:$PORT; proxy_protocol on;
			proxy_half_close on; }
	END
	spawn nginx nginx -p "$PWD" -e stderr -c "$PWD/nginx.conf"
	wait_until eval "printf 'x\n' | socat -t 20 - TCP:127.0.0.1:$BALANCER_PORT | grep -q X"
	run -0 socat -t 20 - "TCP:127.0.0.1:$BALANCER_PORT,bind=127.0.0.9:0" <<<hello
	[ "$output" = HELLO ]
	wait_until logged 'connection 127.0.0.9:[0-9]+: by PROXY header of 127.0.0.1:'
	run -0 "$BUILD/yodel" -c 5 -n 200 --size 1:3000 --framing line "127.0.0.1:$BALANCER_PORT"
	run ! logged 'closed: proxy_header_invalid'
}

@test "yodel announces another client for each connection" {
	start_server '"max_connections_per_address": 4'
	run -0 "$BUILD/yodel" -c 100 -n 3 --size 20 --expect upper --framing line --proxy-protocol v2 \
		--proxy-source 203.0.113.0/24 --proxy-tlv authority=example.org --proxy-tlv crc32c \
		--ledger "unix:$PWD/control.sock" "127.0.0.1:$PORT"
	[[ $output = *'client and server agree'* ]]
	[ "$(grep -oE 'connection 203.0.113.[0-9]+:1024: by' "$YODELD_LOG" | sort -u | wc -l)" = 100 ]
	run -0 "$BUILD/yodel" -c 4 -n 3 --size 20 --expect upper --framing line --proxy-protocol v1 \
		--proxy-source 2001:db8::/126 --dribble "127.0.0.1:$PORT"
	logged 'connection \[2001:db8::3\]:1024: by PROXY header'
	run -64 "$BUILD/yodel" --proxy-source 10.0.0.0/8 127.0.0.1:1
	run -64 "$BUILD/yodel" --proxy-protocol v2 --proxy-tlv color=red 127.0.0.1:1
	[[ $output = *'--proxy-tlv: found "color=red", expected crc32c, or alpn'* ]]
}

@test "HAProxy and nginx accept the headers of yodel" {
	needs command haproxy
	needs command nginx
	start_yodeld_with '"reply": "echo"'
	local first second
	first=$(free_port)
	second=$((first + 1))
	spawn_haproxy <<-END
		listen front
		  bind 127.0.0.1:$first accept-proxy
		  tcp-request session reject if !{ src 198.51.100.0/24 }
		  server back 127.0.0.1:$PORT
	END
	write_nginx_config <<-END
		server { listen 127.0.0.1:$second proxy_protocol; set_real_ip_from 127.0.0.1;
			allow 198.51.100.0/24; deny all; proxy_pass 127.0.0.1:$PORT; }
	END
	spawn nginx nginx -p "$PWD" -e stderr -c "$PWD/nginx.conf"
	local version
	for version in v1 v2; do
		wait_until "$BUILD/yodel" -q -c 10 -n 3 --size 20 --expect echo --proxy-protocol $version \
			--proxy-source 198.51.100.0/28 "127.0.0.1:$first"
		wait_until "$BUILD/yodel" -q -c 10 -n 3 --size 20 --expect echo --proxy-protocol $version \
			--proxy-source 198.51.100.0/28 "127.0.0.1:$second"
	done
	# They take the announced address for that of the client.
	run "$BUILD/yodel" -q -c 1 -n 1 --size 20 --expect echo --proxy-protocol v2 --proxy-source 203.0.113.1/32 \
		"127.0.0.1:$first"
	[ "$status" = 1 ]
}

@test "a header that the server sends back is recognised" {
	start_yodeld_with '"reply": "echo", "framing": "line"'
	run -2 "$BUILD/yodel" -c 2 -n 2 --size 20 --expect echo --framing line --proxy-protocol v2 "127.0.0.1:$PORT"
	[[ $output = *'a PROXY v2 header: the balancer sends it, the server does not expect it'* ]]
}
