#!/usr/bin/env bats
# TLS of yodel against servers that are not the project's own.

load lib/helpers
load lib/client
load lib/certificates

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
	"$YODEL" merge -q -o merged.json result.json
	"$YODEL" report merged.json >merged.html
	grep -q 'NOT VERIFIED' merged.html
}
