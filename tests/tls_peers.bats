#!/usr/bin/env bats
# TLS between the programs and those of others: clients, load balancers that terminate TLS,
# encrypt again or pass it through, and peers that misbehave.
# shellcheck disable=SC2154,SC2030,SC2031 # run sets output, status and lines
# shellcheck disable=SC2094 # what a client has written so far decides what it reads next

load lib/helpers
load lib/client
load lib/certificates
load lib/real_servers # for PATH

ATTACKER=$BUILD/tests/tls_attacker

# Starts yodeld with a plain listener and one with TLS, both echo, and further members of
# "tls"; sets PLAIN_PORT and TLS_PORT.
start_tls() # [MEMBERS [ARG...]]
{
	local more=${1-}
	shift || :
	cat >tls.json <<-END
		{ "listeners": [
		  { "address": "127.0.0.1:0", "reply": "echo" },
		  { "address": "127.0.0.1:0", "reply": "echo",
		    "tls": { "certificate": "server.pem", "key": "server.key" ${more:+, $more} } } ] }
	END
	start_yodeld -c tls.json -w 1 --set admin.socket="$PWD/control.sock" "$@"
	PLAIN_PORT=${PORTS[0]}
	TLS_PORT=${PORTS[1]}
}

make_files()
{
	make_ca ca
	make_certificate server ca localhost 127.0.0.1
	cat server.pem server.key >both.pem
}

# A number of the server's totals.
total() # EXPRESSION
{
	curl -s --unix-socket control.sock http://localhost/stats | python3 -c "
import json, sys
t = json.load(sys.stdin)['totals']
closed = t['connections_closed']
print($1)"
}

# True if as many connections were closed for the reason.
closed_as() # REASON COUNT
{
	local found
	found=$(total "closed['$1']")
	[ "$found" = "$2" ] || {
		echo "closed as $1: $found, expected $2" >&2
		return 1
	}
}

all_are_closed()
{
	[ "$(total "t['connections_accepted'] - sum(closed.values())")" = 0 ]
}

# Nothing is left open, and the server still serves.
server_is_well()
{
	wait_until all_are_closed
	run_yodel --tls --tls-ca ca.pem -c 3 -n 3 --expect echo "localhost:$TLS_PORT"
	[ "$status" -eq 0 ]
	wait_until all_are_closed
}

# Sends lines to a command, which shows what comes back, and ends its input with the last
# answer. The output is in NAME.out.
converse() # NAME COMMAND [ARG...]
{
	local name=$1
	shift
	{
		for line in hello 'second line' the-end; do
			echo "$line"
			wait_until grep -q "^$line" "$name.out" || :
		done
	} | timeout 60 "$@" >"$name.out" 2>"$name.log"
	grep -q '^the-end' "$name.out"
}

@test "openssl s_client and gnutls-cli verify the server and get their bytes back" {
	needs command gnutls-cli
	make_files
	start_tls
	for version in 1.2 1.3; do
		: >s_client.out
		converse s_client openssl s_client -connect "127.0.0.1:$TLS_PORT" \
			"-tls${version/./_}" -CAfile ca.pem -verify_return_error \
			-verify_hostname localhost -quiet -no_ign_eof
		: >gnutls.out
		converse gnutls gnutls-cli --x509cafile ca.pem -p "$TLS_PORT" localhost \
			--priority "NORMAL:-VERS-ALL:+VERS-TLS$version"
		grep -q "Description: (TLS$version" gnutls.out
	done
	wait_until closed_as peer_closed 4
	closed_as tls_truncated 0
}

# True when s_client has sent that many KeyUpdates.
has_changed_keys() # COUNT
{
	[ "$(grep -c '^KEYUPDATE' s_client.log)" -ge "$1" ]
}

@test "openssl s_client changes its keys and asks for others" {
	make_files
	start_tls
	: >s_client.out
	: >s_client.log
	# A command of s_client is the first letter of what it reads at a time.
	{
		for i in 1 2 3; do
			echo K # asks for a KeyUpdate in return
			wait_until has_changed_keys $((2 * i - 1))
			echo "line $i"
			wait_until grep -q "^line $i" s_client.out
			echo k # does not ask
			wait_until has_changed_keys $((2 * i))
		done
		echo the-end
		wait_until grep -q '^the-end' s_client.out
		echo Q
	} | timeout 60 openssl s_client -connect "127.0.0.1:$TLS_PORT" -CAfile ca.pem \
		>s_client.out 2>s_client.log
	has_changed_keys 6
	wait_until closed_as peer_closed 1
}

# Paths through a load balancer: what yodel and the balancer need to know.
#   terminate   TLS to the balancer, which forwards plain bytes
#   encrypt     plain bytes to the balancer, TLS behind it, verified
#   again       TLS on both sides, verified on both
#   pass        the balancer forwards bytes that it does not understand
# Runs yodel over the four ports, of which the second takes plain bytes.
check_paths() # PORT PORT PORT [PORT]
{
	local kind port options
	for kind in terminate encrypt again pass; do
		port=${1-}
		shift || break
		options=(--tls --tls-ca ca.pem --tls-resume 50)
		[ "$kind" != encrypt ] || options=()
		run_yodel "${options[@]}" -c 20 -n 30 --messages-per-connection 10 --size 1:20000 \
			"localhost:$port"
		[ "$status" -eq 0 ]
		result_matches "m['verified'] == m['sent'] > 0"
		echo "$kind: verified"
	done
}

@test "HAProxy terminates TLS, encrypts, encrypts again and passes it through" {
	needs command haproxy
	local a b c d
	make_files
	start_tls
	a=$(free_port) b=$((a + 1)) c=$((a + 2)) d=$((a + 3))
	spawn_haproxy <<-END
		    default-server ca-file ca.pem verifyhost localhost
		listen terminate
		    bind 127.0.0.1:$a ssl crt both.pem
		    server s 127.0.0.1:$PLAIN_PORT
		listen encrypt
		    bind 127.0.0.1:$b
		    server s 127.0.0.1:$TLS_PORT ssl verify required sni str(localhost)
		listen again
		    bind 127.0.0.1:$c ssl crt both.pem
		    server s 127.0.0.1:$TLS_PORT ssl verify required sni str(localhost)
		listen pass
		    bind 127.0.0.1:$d
		    server s 127.0.0.1:$TLS_PORT
	END
	for port in $a $b $c $d; do wait_until accepts_or_has_ended "$port"; done
	check_paths "$a" "$b" "$c" "$d"
}

@test "nginx terminates TLS, encrypts, encrypts again and passes it through" {
	needs command nginx
	local a b c d module
	make_files
	start_tls
	a=$(free_port) b=$((a + 1)) c=$((a + 2)) d=$((a + 3))
	for module in "$TOOLS"/usr/lib/nginx/modules /usr/lib64/nginx/modules \
		/usr/lib/nginx/modules; do
		[ ! -f "$module/ngx_stream_module.so" ] || break
	done
	mkdir nginx
	cat >nginx/nginx.conf <<-END
		load_module $module/ngx_stream_module.so;
		daemon off;
		worker_processes 1;
		pid $PWD/nginx/pid;
		error_log stderr;
		events { worker_connections 1024; }
		stream {
		    ssl_certificate $PWD/server.pem;
		    ssl_certificate_key $PWD/server.key;
		    ssl_protocols TLSv1.2 TLSv1.3;
		    proxy_ssl_trusted_certificate $PWD/ca.pem;
		    proxy_ssl_verify on;
		    proxy_ssl_name localhost;
		    proxy_ssl_protocols TLSv1.2 TLSv1.3;
		    server { listen 127.0.0.1:$a ssl; proxy_pass 127.0.0.1:$PLAIN_PORT; }
		    server { listen 127.0.0.1:$b; proxy_ssl on; proxy_pass 127.0.0.1:$TLS_PORT; }
		    server { listen 127.0.0.1:$c ssl; proxy_ssl on; proxy_pass 127.0.0.1:$TLS_PORT; }
		    server { listen 127.0.0.1:$d; proxy_pass 127.0.0.1:$TLS_PORT; }
		}
	END
	[ "$(id -u)" != 0 ] || sed -i '2i user root;' nginx/nginx.conf
	spawn nginx nginx -p "$PWD/nginx" -e stderr -c "$PWD/nginx/nginx.conf"
	for port in $a $b $c $d; do wait_until accepts_or_has_ended "$port"; done
	check_paths "$a" "$b" "$c" "$d"
}

@test "stunnel terminates TLS, encrypts and encrypts again" {
	needs command stunnel
	local a b c
	make_files
	start_tls
	a=$(free_port) b=$((a + 1)) c=$((a + 2))
	cat >stunnel.conf <<-END
		foreground = yes
		pid =
		cert = $PWD/server.pem
		key = $PWD/server.key
		[terminate]
		accept = 127.0.0.1:$a
		connect = 127.0.0.1:$PLAIN_PORT
		[encrypt]
		client = yes
		accept = 127.0.0.1:$b
		connect = 127.0.0.1:$TLS_PORT
		CAfile = $PWD/ca.pem
		verifyChain = yes
		checkHost = localhost
		[again]
		accept = 127.0.0.1:$c
		connect = 127.0.0.1:$b
	END
	spawn stunnel stunnel stunnel.conf
	for port in $a $b $c; do wait_until accepts_or_has_ended "$port"; done
	check_paths "$a" "$b" "$c"
}

# attack_server ATTACK VERSION EXPECTED - the attack on yodeld ends so.
attack_server()
{
	run timeout 60 "$ATTACKER" client "$TLS_PORT" "$1" "$2"
	echo "$1, TLS $2: $output"
	[[ $output == *"$3"* ]]
}

@test "yodeld answers a client that breaks the rules with the right alert" {
	make_files
	start_tls
	for version in 1.3 1.2; do
		while read -r attack alert; do
			attack_server "$attack" $version "1 alert $alert"
		done <<-END
			key-updates unexpected_message
			empty-records unexpected_message
			oversized record_overflow
			overlong record_overflow
			bad-tag bad_record_mac
			change-cipher-spec unexpected_message
			ticket unexpected_message
			two-alerts decode_error
			truncation close_notify
			half-record close_notify
			none close_notify
			bytewise close_notify
		END
	done
	attack_server renegotiation 1.3 "1 alert unexpected_message"
	# The alert no_renegotiation is a warning; the connection ends.
	attack_server renegotiation 1.2 "1 closed"
	closed_as tls_bad_record 18
	closed_as tls_truncated 4
	closed_as peer_closed 4
	server_is_well
}

@test "a handshake may be cut behind each byte, or be answered by an alert at each step" {
	make_files
	start_tls
	for version in 1.3 1.2; do
		attack_server cut $version "connections were cut"
		cut=${lines[-1]%% *}
		[ "$cut" -gt 200 ]
		attack_server alert $version "2 connections were cut"
	done
	server_is_well
	[ "$(grep -c 'Sanitizer' "$YODELD_LOG")" = 0 ]
}

# start_attacking_server ATTACK VERSION - sets ATTACKER_PORT.
start_attacking_server()
{
	spawn attacker "$ATTACKER" server server.pem server.key "$1" "$2"
	wait_until grep -q '^[0-9]' attacker.out
	ATTACKER_PORT=$(head -n 1 attacker.out)
}

@test "yodel says what a server that breaks the rules has done" {
	local rows=4
	[ -z "${LONG-}" ] || rows=99
	make_files
	while read -r version attack reason; do
		start_attacking_server "$attack" "$version"
		run_yodel --tls --tls-ca ca.pem -c 3 -n 2 --timeout 20s \
			"localhost:$ATTACKER_PORT"
		[ "$status" -eq 1 ]
		result_matches "any(x['connections'] >= 3 and '$reason' in x['text'] for x in r['tls_counts'])"
		result_matches "c['lost'] >= 3 and m['verified'] >= 3"
		end_spawned
	done < <(
		head -n $rows <<-END
			1.3 key-updates more than 32 records in a row without data
			1.2 bad-tag forged or damaged
			1.3 oversized a record that is too long
			1.2 two-alerts an alert that is not 2 bytes long
			1.2 empty-records more than 32 records in a row without data
			1.2 oversized a record that is too long
			1.3 bad-tag forged or damaged
			1.3 overlong a record that is too long
			1.3 change-cipher-spec a record of an unexpected type
			1.3 empty-records more than 32 records in a row without data
			1.3 two-alerts an alert that is not 2 bytes long
			1.2 overlong a record that is too long
			1.2 change-cipher-spec a record of an unexpected type
		END
	)
	for attack in truncation half-record; do
		start_attacking_server $attack 1.3
		run_yodel --tls --tls-ca ca.pem -c 3 -n 2 --timeout 20s "localhost:$ATTACKER_PORT"
		[ "$status" -eq 1 ]
		result_matches "r['tls']['truncated'] >= 3 and m['lost']['timeout'] == 0"
		end_spawned
	done
	for version in 1.2 1.3; do
		start_attacking_server bytewise $version
		run_yodel --tls --tls-ca ca.pem -c 3 -n 1 "localhost:$ATTACKER_PORT"
		[ "$status" -eq 0 ]
		end_spawned
	done
}

@test "yodel says where a server cut the handshake, or which alert it sent" {
	local versions=1.3 connections=400 messages="m['sent'] == 0"
	# All of them: behind each byte of what the server sends, in both versions. In the end
	# are tickets, before which the client may have sent.
	[ -z "${LONG-}" ] ||
		versions='1.3 1.2' connections=1200 messages="m['verified'] == m['lost']['timeout'] == 0"
	make_files
	for version in $versions; do
		start_attacking_server cut "$version"
		# A post-quantum key share would make the first message longer.
		run_yodel --tls --tls-ca ca.pem --tls-groups X25519:P-256 -c $connections -n 1 \
			--timeout 20s "localhost:$ATTACKER_PORT"
		[ "$status" -eq 1 ]
		result_matches "c['failed']['tls'] >= 400 and $messages"
		[[ $output == *"closed the connection without an answer to ClientHello"* ]]
		[[ $output == *"closed the connection during the handshake"* ]]
		end_spawned
	done
	for version in 1.2 1.3; do
		start_attacking_server alert $version
		run_yodel --tls --tls-ca ca.pem -c 4 -n 1 --timeout 20s --no-reconnect \
			"localhost:$ATTACKER_PORT"
		[ "$status" -eq 1 ]
		# Of TLS 1.3 the second flight is the ticket, after the handshake.
		result_matches "c['failed']['tls'] >= 2 and m['verified'] == 0"
		[[ $output == *"alert handshake_failure"* ]]
		end_spawned
	done
}

@test "what is not TLS on a port with TLS is named in the log" {
	make_files
	start_tls '' --set log.level=debug
	printf 'GET / HTTP/1.1\r\n\r\n' | timeout 20 socat -t 5 - "TCP:127.0.0.1:$TLS_PORT" >/dev/null || :
	wait_until grep -q 'received a plain-text HTTP request' "$YODELD_LOG"
	head -c 2000 /dev/zero | timeout 20 socat -t 5 - "TCP:127.0.0.1:$TLS_PORT" >/dev/null || :
	wait_until grep -q 'received bytes that are not TLS' "$YODELD_LOG"
	closed_as tls_not_tls 2
	server_is_well
	# And TLS to a plain port.
	run_yodel --tls --tls-ca ca.pem -c 2 --timeout 5s localhost:"$PLAIN_PORT"
	[ "$status" -eq 1 ]
	result_matches "c['failed']['tls'] == 2 and m['sent'] == 0"
	[[ $output == *"the server returns what it receives, without TLS"* ]]
}

# Connects with these options of s_client; the handshake fails. In TLS 1.3 s_client hears of
# it behind its own end of the handshake.
is_refused() # [OPTION...]
{
	timeout 20 openssl s_client -connect "127.0.0.1:$TLS_PORT" "$@" </dev/null \
		>s_client.out 2>&1 || :
}

@test "a client without a valid certificate or with an old version is refused by name" {
	make_files
	make_ca other
	make_certificate client ca client
	make_certificate stranger other client
	make_self_signed own client
	DAYS=-1 make_certificate expired ca client
	start_tls '"client_ca": "ca.pem", "client_verify": "require"' --set log.level=debug
	is_refused
	wait_until grep -q 'failed: the client presented no certificate' "$YODELD_LOG"
	is_refused -cert stranger.pem -key stranger.key
	wait_until grep -q 'was issued by a CA (CN=other,O=yodel tests)' "$YODELD_LOG"
	is_refused -cert own.pem -key own.key
	wait_until grep -q 'the certificate (CN=client) is self-signed and not in' "$YODELD_LOG"
	is_refused -cert expired.pem -key expired.key
	wait_until grep -q 'the certificate (CN=client) expired on' "$YODELD_LOG"
	is_refused -tls1_1 -cipher 'DEFAULT@SECLEVEL=0'
	wait_until grep -q 'the client supports at most TLS 1.1, expected at least TLS 1.2' \
		"$YODELD_LOG"
	# A downgrade that an attacker in between would make (RFC 7507).
	is_refused -tls1_2 -fallback_scsv
	wait_until grep -q 'the client retries with a lower version' "$YODELD_LOG"
	run_yodel --tls --tls-ca ca.pem --tls-cert client.pem --tls-key client.key -c 3 \
		"localhost:$TLS_PORT"
	[ "$status" -eq 0 ]
}
