#!/usr/bin/env bats
# run-checks: long
# run-checks: without sanitizer
# Each example conversation (client/conversations/) with the server it was written for, with
# servers that break the protocol in one place (lib/broken_server.py), and between yodel and
# yodeld. LONG=1: 100,000 passes with each real server.
# shellcheck disable=SC2030,SC2031,SC2153 # each test has its own PORT and status

load lib/helpers
load lib/client
load lib/real_servers
EXAMPLES=$BATS_TEST_DIRNAME/../client/conversations
BROKEN_SERVER=$BATS_TEST_DIRNAME/lib/broken_server.py

# converse NAME PORT [ARG...] - plays the client of the example.
converse()
{
	local file=$EXAMPLES/$1.talk server=127.0.0.1:$2
	shift 2
	run_yodel --conversation "$file" "$@" "$server"
}

# All passes are verified: 3,000, or 100,000.
verifies_all() # NAME PORT [ARG...]
{
	local passes=3000 connections=${CONNECTIONS:-25}
	[ "${LONG-}" != 1 ] || passes=100000
	converse "$@" -c "$connections" -n $((passes / connections)) --timeout 60s
	[ "$status" = 0 ]
	result_matches "m['verified'] == m['sent'] == $passes"
	result_matches "c['established'] == $connections"
}

@test "redis: what is SET comes back by GET" {
	start_real_server redis
	verifies_all redis "$REAL_PORT"
	verifies_all redis "$REAL_PORT" -p 8
}

@test "redis: a value that was SET once comes back by GET" {
	start_real_server redis
	verifies_all redis-get "$REAL_PORT"
	verifies_all redis-get "$REAL_PORT" -p 16
}

@test "memcached: what is set comes back by get" {
	start_real_server memcached
	verifies_all memcached "$REAL_PORT"
}

@test "Postfix: greeting, EHLO with any number of extensions, NOOP, QUIT" {
	start_real_server smtp
	verifies_all smtp "$REAL_PORT"
}

@test "GNU Mailutils: log in by POP3, size and text of a message" {
	start_real_server pop3
	# It sends a message in parts, so that each pass takes 40 ms: Nagle's algorithm waits for
	# the acknowledgement of the first one.
	CONNECTIONS=100 verifies_all pop3 "$REAL_PORT"
}

@test "PostgreSQL: start-up, the result of a simple query" {
	start_real_server postgresql
	verifies_all postgresql "$REAL_PORT"
}

@test "Mosquitto: each PUBLISH with QoS 1 is acknowledged" {
	start_real_server mqtt
	verifies_all mqtt "$REAL_PORT"
}

@test "nginx: requests on a kept connection are answered with the content asked for" {
	start_real_server http
	verifies_all http "$REAL_PORT"
}

@test "NSD: DNS over TCP" {
	start_real_server dns
	verifies_all dns "$REAL_PORT"
}

@test "yodeld: lines, length-prefixed messages and the messages of the tutorials" {
	start_yodeld_with '"reply": "echo", "framing": "line"'
	verifies_all line "$PORT"
	stop_yodeld
	start_yodeld_with '"reply": "echo", "framing": "length32"'
	verifies_all length32 "$PORT"
	stop_yodeld
	start_yodeld_with '"reply": "upper"'
	verifies_all tutorial "$PORT"
}

# Prints the number of the first line of the repeat section that starts with this text.
line_of() # FILE TEXT
{
	TEXT=$2 awk '
	/^--- repeat/ { found = 0 }
	!found && index($0, ENVIRON["TEXT"]) == 1 { found = NR }
	END { print found }' "$1"
}

# Each fault is found in the right line, with the right exit status. All runs are at once:
# some take the timeout.
finds_faults() # PROTOCOL
{
	local file=$EXAMPLES/$1.talk fault port expected line found
	spawn broken_server "$BROKEN_SERVER" "$1"
	wait_until test -s broken_server.out
	while read -r fault port _; do
		spawn "$fault" "$YODEL" --conversation "$file" -c 6 -n 10 -p 1 --timeout 3s \
			--no-reconnect "127.0.0.1:$port"
	done <broken_server.out
	while read -r fault port expected line; do
		found=0
		wait "$(<"$fault.pid")" || found=$?
		line=$(line_of "$file" "$line")
		echo "$1: $fault: expected status $expected and line $line, found status $found and:"
		cat "$fault.out" "$fault.log"
		[ "$found" = "$expected" ]
		[ "$found" = 0 ] || grep -qF "/$1.talk:$line: " "$fault.out"
	done <broken_server.out
	[ "$(wc -l <broken_server.out)" -gt 8 ]
}

@test "broken servers are found, with the line: line" {
	finds_faults line
}

@test "broken servers are found, with the line: length32" {
	finds_faults length32
}

@test "broken servers are found, with the line: tutorial" {
	finds_faults tutorial
}

@test "broken servers are found, with the line: smtp" {
	finds_faults smtp
}

@test "broken servers are found, with the line: pop3" {
	finds_faults pop3
}

@test "broken servers are found, with the line: redis" {
	finds_faults redis
}

@test "broken servers are found, with the line: memcached" {
	finds_faults memcached
}

@test "broken servers are found, with the line: http" {
	finds_faults http
}

@test "broken servers are found, with the line: dns" {
	finds_faults dns
}

@test "broken servers are found, with the line: mqtt" {
	finds_faults mqtt
}

@test "broken servers are found, with the line: postgresql" {
	finds_faults postgresql
}

# Starts yodeld with a listener for each example, and HAProxy before them; sets FRONTENDS, a
# port for each.
start_behind_haproxy() # NAME...
{
	local name listeners=() i=0
	for name; do
		listeners+=("{ \"address\": \"127.0.0.1:0\",
			\"reply\": \"conversation=$EXAMPLES/$name.talk\" }")
	done
	(IFS=, && echo "{ \"listeners\": [ ${listeners[*]} ] }") >yodeld.json
	start_yodeld -c yodeld.json --set "admin.socket=$PWD/admin.sock"
	cat >haproxy.cfg <<-END
		defaults
		    mode tcp
		    timeout connect 60s
		    timeout client 60s
		    timeout server 60s
	END
	FRONTENDS=()
	for name; do
		FRONTENDS+=("$(free_port)")
		printf 'listen %s\n bind 127.0.0.1:%d\n server yodeld 127.0.0.1:%d\n' "$name" \
			"${FRONTENDS[i]}" "${PORTS[i]}" >>haproxy.cfg
		i=$((i + 1))
	done
	spawn haproxy haproxy -db -f haproxy.cfg
	wait_until accepts_or_has_ended "${FRONTENDS[0]}"
}

@test "yodel and yodeld play the same file through HAProxy: the ledgers agree" {
	needs command haproxy
	local names=(dns http length32 line memcached mqtt pop3 postgresql redis redis-get smtp
		tutorial) at # not i: run changes it
	start_behind_haproxy "${names[@]}"
	for ((at = 0; at < ${#names[@]}; at++)); do
		converse "${names[at]}" "${FRONTENDS[at]}" -c 10 -n 50 --timeout 60s \
			--ledger "unix:$PWD/admin.sock"
		[ "$status" = 0 ]
		result_matches 'm["verified"] == 500 and r["ledger"]["consistent"]'
	done
}
