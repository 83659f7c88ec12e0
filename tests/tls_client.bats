#!/usr/bin/env bats
# TLS of yodel, against independent servers and yodeld.
# shellcheck disable=SC2153,SC2154 # start_yodeld sets PORT; run sets stderr and stderr_lines

load lib/helpers
load lib/client
load lib/certificates

# tests/install-deps unpacks HAProxy there.
PATH=$PATH:$BATS_TEST_DIRNAME/../build/tools/usr/sbin

# Starts tls_server.py with the certificate NAME; sets TLS_PORT.
start_tls_server() # NAME [OPTION...]
{
	local name=$1
	shift
	spawn server python3 "$BATS_TEST_DIRNAME/lib/tls_server.py" "$name.pem" "$name.key" "$@"
	wait_until grep -q '^[0-9]' server.out
	TLS_PORT=$(head -n 1 server.out)
}

# True if a handshake failed for a reason that matches.
failed_because() # PATTERN
{
	result_matches "any(x['kind'] == 'failure' and '$1' in x['text'] for x in r['tls_counts'])"
}

@test "every byte is verified over both versions of TLS" {
	make_ca ca
	make_certificate server ca localhost 127.0.0.1
	for version in 1.2 1.3; do
		start_tls_server server --version $version
		run_yodel --tls --tls-ca ca.pem -c 10 -n 20 -w 2 --size 1:40000 localhost:"$TLS_PORT"
		[ "$status" -eq 0 ]
		[[ $output == *"verified: chain to a CA of ca.pem"* ]]
		result_matches "m['verified'] == 200 and r['plan']['tls']"
		result_matches "t['tls_handshake']['count'] == 10 == r['tls']['handshakes']"
		result_matches "{'kind': 'version', 'text': 'TLS $version', 'connections': 10} in r['tls_counts']"
		result_matches "r['tls']['record_bytes_sent'] > r['bytes']['sent'] > 0"
		result_matches "r['certificates'][0]['subject'] == 'CN=localhost'"
		result_matches "r['tls']['truncated'] == 0 and c['close']['fin'] == 10"
		end_spawned
	done
}

@test "a certificate that is not valid is refused with the reason in words" {
	make_ca ca
	make_ca other
	make_certificate server ca example.com
	DAYS=-1 make_certificate expired ca localhost
	make_certificate stranger other localhost
	make_self_signed own localhost
	while read -r name reason; do
		start_tls_server "$name"
		run_yodel --tls --tls-ca ca.pem -c 2 localhost:"$TLS_PORT"
		[ "$status" -eq 1 ]
		[[ $output == *"2 failed (2 tls)"* ]]
		[[ $output == *"$reason"* ]]
		failed_because "$reason"
		result_matches "c['failed']['tls'] == 2 and m['sent'] == 0"
		result_matches "any(x['text'].startswith('sent ') for x in r['tls_counts'])"
		end_spawned
	done <<-'END'
		server the certificate is for example.com, the requested name is localhost
		expired expired
		stranger was issued by a CA
		own self-signed
	END
	start_tls_server server
	run_yodel --tls --tls-ca ca.pem --tls-name example.com -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	grep -q 'example.com$' server.out
}

@test "a run that accepts any certificate says so in every report" {
	make_self_signed own example.com
	start_tls_server own
	run_yodel --tls --tls-insecure -c 2 --html page.html localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[[ $output == *"NOT VERIFIED: any certificate was accepted (--tls-insecure)"* ]]
	[[ $output == *"certificates not verified (--tls-insecure)"* ]]
	grep -q 'NOT VERIFIED' page.html
	result_matches "r['plan']['tls_insecure']"
	"$YODEL" compare result.json result.json >compared
	grep -q 'base run 1 accepted any certificate' compared
	jq '.plan.tls = false | .plan.tls_insecure = false | .plan.tls_verification = ""' result.json >plain.json
	"$YODEL" compare plain.json result.json >compared
	grep -qF 'plans differ in tls_verification: base none, new nothing (--tls-insecure)' compared
	"$YODEL" merge -q -o merged.json result.json
	"$YODEL" report merged.json >merged.html
	grep -q 'NOT VERIFIED' merged.html
}

@test "the default CAs are those of SSL_CERT_FILE, and chain files work" {
	make_ca ca
	make_intermediate intermediate ca
	make_certificate server intermediate localhost
	start_tls_server server
	run_yodel --tls -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 1 ]
	failed_because 'is not in'
	SSL_CERT_FILE=$PWD/ca.pem run_yodel --tls -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	result_matches "[x['position'] for x in r['certificates']] == [0, 1]"
}

@test "a pinned certificate is accepted, and no other" {
	local sha256
	make_self_signed own example.com
	make_self_signed other example.com
	sha256=$(openssl x509 -in own.pem -noout -fingerprint -sha256 | sed 's/.*=//')
	start_tls_server own
	run_yodel --tls --tls-pin "$sha256" -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[[ $output == *"verified: fingerprint $sha256, nothing else"* ]]
	end_spawned
	start_tls_server other
	run_yodel --tls --tls-pin "$sha256" -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 1 ]
	result_matches "c['failed']['tls'] == 2 and r['messages']['sent'] == 0"
}

@test "a client certificate is presented, and with a pattern another one on each connection" {
	make_ca ca
	make_certificate server ca localhost
	for i in 0 1 2; do make_certificate "client-$i" ca "client-$i"; done
	start_tls_server server --client-ca ca.pem
	run_yodel --tls --tls-ca ca.pem -c 1 localhost:"$TLS_PORT"
	[ "$status" -eq 1 ]
	result_matches "any('certificate_required' in x['text'] for x in r['tls_counts'])"
	run_yodel --tls --tls-ca ca.pem --tls-cert client-0.pem --tls-key client-0.key -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[ "$(grep -c ' client-0 ' server.out)" -eq 2 ]
	run_yodel --tls --tls-ca ca.pem --tls-cert 'client-{connection}.pem' \
		--tls-key 'client-{connection}.key' -c 6 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[ "$(grep -c ' client-0 ' server.out)" -eq 4 ]
	[ "$(grep -c ' client-1 ' server.out)" -eq 2 ]
	[ "$(grep -c ' client-2 ' server.out)" -eq 2 ]
}

@test "what cannot be done is refused with one line" {
	make_ca ca
	make_certificate client ca me
	make_certificate other ca me
	openssl ec -in client.key -aes128 -passout pass:x -out encrypted.key 2>/dev/null
	while read -r options message; do
		# shellcheck disable=SC2086 # options are words
		run --separate-stderr "$YODEL" ${options//,/ } localhost:1
		[ "$status" -eq 64 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ $stderr == *"$message"* ]] || { echo "$options: $stderr"; false; }
	done <<-'END'
		--tls-ca,ca.pem --tls-ca requires --tls
		--tls,--tls-insecure,--tls-ca,ca.pem --tls-insecure accepts any certificate
		--tls,--tls-key,client.key --tls-key requires --tls-cert
		--tls,--tls-cert,client.pem,--tls-key,encrypted.key encrypted
		--tls,--tls-cert,client.pem,--tls-key,other.key does not belong to
		--tls,--tls-cert,none.pem,--tls-key,none.key none.pem
		--tls,--tls-cert,no-{connection}.pem no-0.pem
		--tls,--tls-ca,none.pem none.pem
		--tls,--tls-ca,client.key client.key
		--tls,--tls-min,1.3,--tls-max,1.2 --tls-min is above --tls-max
		--tls,--tls-min,1.1 found "1.1", expected 1.2 or 1.3
		--tls,--tls-ciphers,RC4-SHA RC4-SHA
		--tls,--tls-groups,P-1 P-1
		--tls,--tls-alpn= names of 1 to 255 bytes
		--tls,--tls-pin,123 64 hexadecimal digits
		--tls,--tls-resume,101 a percentage from 0 to 100
		--tls,--tls-keylog,/nowhere/keys cannot write /nowhere/keys
	END
}

@test "sessions are resumed on the share of connections that was asked for" {
	make_ca ca
	make_certificate server ca localhost
	for version in 1.2 1.3; do
		start_tls_server server --version $version
		run_yodel --tls --tls-ca ca.pem --tls-resume 50 -c 4 -w 1 -n 10 --messages-per-connection 1 \
			--size 100 --threshold 'tls_handshake.p50<10s' --threshold 'tls_resumed.p50<10s' \
			localhost:"$TLS_PORT"
		[ "$status" -eq 0 ]
		result_matches "r['tls']['handshakes'] == 40 == c['established']"
		# The first connections have no ticket yet.
		result_matches "16 <= r['tls']['resumed'] == r['tls']['offered'] <= 20"
		result_matches "t['tls_resumed']['count'] == r['tls']['resumed']"
		result_matches "t['tls_handshake']['count'] == 40 - r['tls']['resumed']"
		[ "$(grep -c ' resumed ' server.out)" -eq "$(python3 -c \
			'import json; print(json.load(open("result.json"))["tls"]["resumed"])')" ]
		end_spawned
	done
}

@test "a session is resumed with the certificate that it was made with" {
	make_ca ca
	make_certificate server ca localhost
	for i in 0 1 2; do make_certificate "client-$i" ca "client-$i"; done
	for version in 1.2 1.3; do
		start_tls_server server --client-ca ca.pem --version $version
		run_yodel --tls --tls-ca ca.pem --tls-resume 100 -c 3 -w 1 -n 10 \
			--messages-per-connection 1 --size 100 --tls-cert 'client-{connection}.pem' \
			--tls-key 'client-{connection}.key' localhost:"$TLS_PORT"
		[ "$status" -eq 0 ]
		result_matches "20 <= r['tls']['resumed'] == r['tls']['offered'] < 30"
		for i in 0 1 2; do
			[ "$(grep -c " client-$i " server.out)" -eq 10 ]
		done
		end_spawned
	done
}

@test "the key log has the secrets of each connection" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server
	run_yodel --tls --tls-ca ca.pem --tls-keylog keys -c 4 -w 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[ "$(grep -cE '^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]{96}$' keys)" -eq 4 ]
	[ "$(stat -c %a keys)" = 600 ]
}

@test "secrets that cannot be written are told once and counted" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server
	run -71 --separate-stderr "$YODEL" --tls --tls-ca ca.pem --tls-keylog /dev/full -c 4 -w 2 \
		--json result.json localhost:"$TLS_PORT"
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *"/dev/full: No space left on device: "*" lines of the key log lost" ]]
	[[ $output == *"key log: "*" lines could not be written"* ]]
	result_matches "m['verified'] == m['sent'] > 0 and r['tls']['lost_keys'] >= 4 * 4"
}

@test "versions, suites, groups and protocols are those that were asked for" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server --alpn h2,echo
	run_yodel --tls --tls-ca ca.pem --tls-max 1.2 --tls-groups P-256 --tls-alpn nothing,echo \
		--tls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305 -c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[[ $output == *"TLS 1.2, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, P-256, echo"* ]]
	run_yodel --tls --tls-ca ca.pem --tls-groups P-384 --tls-ciphers TLS_AES_128_GCM_SHA256 \
		-c 2 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	[[ $output == *"TLS 1.3, TLS_AES_128_GCM_SHA256, P-384"* ]]
	end_spawned
	start_tls_server server --version 1.2
	run_yodel --tls --tls-ca ca.pem --tls-min 1.3 -c 1 localhost:"$TLS_PORT"
	[ "$status" -eq 1 ]
	result_matches "any('protocol_version' in x['text'] for x in r['tls_counts'])"
}

@test "a peer that does not speak TLS, or stops in the handshake, is described" {
	make_ca ca
	make_certificate server ca localhost
	while read -r mode reason; do
		start_tls_server server --mode "$mode"
		run_yodel --tls --tls-ca ca.pem --connect-timeout 500ms -c 2 localhost:"$TLS_PORT"
		[ "$status" -eq 1 ]
		failed_because "$reason" || { echo "$mode"; cat result.json; false; }
		end_spawned
	done <<-'END'
		plain HTTP
		cut closed
		silent no answer in the handshake in time
	END
	result_matches "c['failed']['timeout'] == 2"
}

@test "streams without close_notify and bad records are reported" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server --mode truncate
	run_yodel --tls --tls-ca ca.pem -c 3 -n 2 --size 100 --no-reconnect localhost:"$TLS_PORT"
	[ "$status" -eq 1 ]
	[[ $output == *"truncated: 3 streams ended without close_notify"* ]]
	result_matches "r['tls']['truncated'] == 3"
	end_spawned
	start_tls_server server --mode bad-record
	run_yodel --tls --tls-ca ca.pem -c 3 -n 2 --size 100 --no-reconnect localhost:"$TLS_PORT"
	[ "$status" -eq 1 ]
	[[ $output == *"3 connections ended: bad record from the peer"* ]]
	result_matches "r['tls']['bad_records'] == 3 and m['lost']['tls'] == 3"
}

@test "churn, slow readers, single bytes and half-closes work over TLS" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server
	while read -r options; do
		# shellcheck disable=SC2086 # options are words
		run_yodel --tls --tls-ca ca.pem -c 4 $options localhost:"$TLS_PORT"
		[ "$status" -eq 0 ] || { echo "$options"; false; }
		result_matches "m['verified'] == m['sent'] >= 4 and r['tls']['bad_records'] == 0"
	done <<-'END'
		-n 6 --messages-per-connection 2 --size 1:100
		-d 300ms --lifetime 100ms --size 100
		-n 2 --dribble -m abcdefghijklmnopqrstuvwxyz --lockstep
		-n 2 --slow-read 400k --size 20000
		-n 3 --half-close --size 10000
		-n 3 --close rst --size 10000
		-n 4 -p 4 --size 200k
		-R 2k -d 300ms --size 64
	END
}

@test "a conversation is played over TLS, also if the server speaks first" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server --mode greeting
	printf 'ending lf\nS: welcome\n--- repeat\nC: hello \\{message}\nS: hello \\{message}\n' >greeting.talk
	"$YODEL" check greeting.talk
	run_yodel --tls --tls-ca ca.pem --conversation greeting.talk -c 5 -n 10 localhost:"$TLS_PORT"
	[ "$status" -eq 0 ]
	result_matches "m['verified'] == 50"
}

@test "yodel talk shows what was negotiated, and why a handshake failed" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server
	printf 'one\ntwo\n' >input
	run --separate-stderr "$YODEL" talk --tls --tls-ca ca.pem localhost:"$TLS_PORT" <input
	[ "$status" -eq 0 ]
	[ "$output" = $'one\ntwo' ]
	[[ $stderr == *"TLS 1.3, TLS_AES_256_GCM_SHA384, X25519"* ]]
	[[ $stderr == *"certificate: CN=localhost; for localhost; issued by CN=ca"* ]]
	[[ $stderr == *"verified: chain to a CA of ca.pem"* ]]
	run --separate-stderr "$YODEL" talk --tls --tls-ca ca.pem --tls-name x.org localhost:"$TLS_PORT" <input
	[ "$status" -eq 1 ]
	[[ $stderr == *"the certificate is for localhost, the requested name is x.org"* ]]
	run --separate-stderr "$YODEL" talk --tls --tls-insecure localhost:"$TLS_PORT" <input
	[ "$status" -eq 0 ]
	[[ $stderr == *"NOT VERIFIED"* ]]
}

@test "results of several hosts are merged with their TLS" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_server server
	for rank in 0 1; do
		run_yodel --tls --tls-ca ca.pem --rank $rank/2 -c 4 -n 5 --size 100 localhost:"$TLS_PORT"
		mv result.json $rank.json
	done
	"$YODEL" merge -q -o result.json 0.json 1.json
	result_matches "r['tls']['handshakes'] == 4 and len(r['certificates']) == 1"
	result_matches "{'kind': 'version', 'text': 'TLS 1.3', 'connections': 4} in r['tls_counts']"
	result_matches "t['tls_handshake']['count'] == 4"
}

# Starts yodeld with TLS on a listener and the keys KEYS.
start_tls_yodeld() # KEYS
{
	start_yodeld_with "$1, \"tls\": { \"certificate\": \"$PWD/server.pem\", \"key\": \"$PWD/server.key\" }" \
		-w 2 --set admin.socket="$PWD/control.sock"
}

@test "client and server agree over TLS to the byte, whatever the load" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_yodeld '"reply": "echo"'
	while read -r options; do
		# shellcheck disable=SC2086 # options are words
		run_yodel --tls --tls-ca ca.pem --ledger unix:"$PWD/control.sock" $options localhost:"$PORT"
		[ "$status" -eq 0 ] || { echo "$options"; false; }
		result_matches "r['ledger']['consistent'] and m['verified'] == m['sent'] > 0"
		result_matches "r['ledger']['client']['bytes_sent'] == r['bytes']['sent'] < r['tls']['record_bytes_sent']"
	done <<-'END'
		-c 20 -n 20 --size 1:40000
		-c 20 -d 500ms --messages-per-connection 3 --tls-resume 50
		-c 10 -R 2k -d 500ms --size 64 --tls-max 1.2
	END
	[[ $output == *"client and server agree"* ]]
}

@test "the PROXY header comes before the handshake" {
	make_ca ca
	make_certificate server ca localhost
	start_tls_yodeld '"reply": "echo", "proxy_protocol": "v2", "proxy_from": [ "127.0.0.0/8" ]'
	run_yodel --tls --tls-ca ca.pem --proxy-protocol v2 --proxy-source 10.0.0.0/8 -c 4 -n 5 localhost:"$PORT"
	[ "$status" -eq 0 ]
	# Without a header the ClientHello is refused.
	run_yodel --tls --tls-ca ca.pem -c 1 --no-reconnect localhost:"$PORT"
	[ "$status" -eq 1 ]
}

@test "a handshake that stalls does not hold the end of a run" {
	start_yodeld --listen 127.0.0.1:0=discard
	run -1 timeout 30 "$YODEL" --tls --tls-insecure -c 4 --ramp 200ms --interval 100ms \
		-d 500ms --drain 100ms --connect-timeout 60s "127.0.0.1:$PORT"
	[[ $output == *"FAILED: 4 of 4 connections were not established"* ]]
}

@test "TLS works over a Unix socket" {
	make_ca ca
	make_certificate server ca localhost
	printf '{ "listeners": [ { "address": "unix:%s", "reply": "echo", "tls": { "certificate": "%s", "key": "%s" } } ] }' \
		"$PWD/echo.sock" "$PWD/server.pem" "$PWD/server.key" >unix.json
	start_yodeld -c unix.json -w 1
	run_yodel --tls --tls-ca ca.pem --tls-name localhost -c 4 -n 5 --size 1:20000 unix:"$PWD/echo.sock"
	[ "$status" -eq 0 ]
	result_matches "r['tls']['handshakes'] == 4 and m['verified'] == 20"
}

@test "HAProxy terminates the TLS of yodel, with the header of a balancer before it" {
	needs command haproxy
	make_ca ca
	make_certificate server ca localhost
	cat server.pem server.key >both.pem
	start_yodeld_with '"reply": "echo"' -w 1
	local port
	port=$(free_port)
	spawn_haproxy <<-END
		listen front
		  bind 127.0.0.1:$port accept-proxy ssl crt $PWD/both.pem
		  server back 127.0.0.1:$PORT
	END
	wait_until eval ": </dev/tcp/127.0.0.1/$port"
	run_yodel --tls --tls-ca ca.pem --tls-resume 50 --proxy-protocol v1 -c 10 -n 10 \
		--messages-per-connection 2 --size 1:20000 localhost:"$port"
	[ "$status" -eq 0 ]
	result_matches "m['verified'] == 100 and r['tls']['resumed'] > 0"
}
