#!/usr/bin/env bats
# yodeld speaks TLS: with clients of several libraries, through reloads, upgrades and deaths of
# workers, and with peers that do it wrong.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision
load lib/admin
load lib/certificates

TLS_CLIENT=$BATS_TEST_DIRNAME/lib/tls_client.py
# AddressSanitizer would turn the killer's signals into an exit.
export ASAN_OPTIONS=handle_segv=0:handle_abort=0:${ASAN_OPTIONS-}

KILLER=$BATS_TEST_DIRNAME/lib/killer.py

setup_file()
{
	cd "$BATS_FILE_TMPDIR" || return
	make_ca ca
	make_certificate server ca localhost 127.0.0.1
	make_certificate other ca other.example
	make_certificate client ca somebody
	DAYS=5 make_certificate short ca localhost 127.0.0.1
}

# write_tls KEYS [TLS_KEYS] [TOP_KEYS] - a configuration with one listener at PORT.
write_tls()
{
	cat >yodeld.json <<-END
		{ "workers": ${WORKERS-2}, "listeners": [ { "address": "127.0.0.1:$PORT", $1,
		  "tls": { "certificate": "server.pem", "key": "server.key"${2:+, $2} } } ],
		  "admin": { "socket": "$PWD/admin_socket" }${3:+, $3} }
	END
}

start_tls()
{
	PORT=$(free_port)
	cp "$BATS_FILE_TMPDIR"/*.pem "$BATS_FILE_TMPDIR"/*.key .
	chmod a+r ./*.key
	write_tls "$@"
	start_yodeld -c yodeld.json
}

say()
{
	"$TLS_CLIENT" say "127.0.0.1:$PORT" "$@"
}

totals() # CONDITION on t, a Python expression
{
	"$BATS_TEST_DIRNAME/lib/admin_client.py" ask "$PWD/admin_socket" GET /stats | sed 1d | python3 -c "
import json, sys
t = json.load(sys.stdin)['totals']
closed = t['connections_closed']
assert t['connections_accepted'] == t['connections_open'] + sum(closed.values()), t
assert $1, t"
}

has_closed() # REASON COUNT
{
	totals "closed['$1'] == $2" 2>closed.err
}

loads() # NAME OPTION... - a load that verifies everything and never reconnects
{
	start_load "$1" --tls --tls-ca ca.pem --no-reconnect --ledger "unix:$PWD/admin_socket" \
		"${@:2}" "127.0.0.1:$PORT"
}

@test "clients of three libraries are answered in TLS 1.2 and 1.3" {
	start_tls '"reply": "upper", "framing": "line"'
	local version
	for version in 1.2 1.3; do
		run -0 say --ca ca.pem --tls $version -t hello -t again
		[ "$output" = $'HELLO\nAGAIN' ]
		: >openssl.out
		# shellcheck disable=SC2094 # on purpose: it ends when the answer has come
		(echo hello; wait_until grep -q HELLO openssl.out) |
			timeout 20 openssl s_client -connect "127.0.0.1:$PORT" -CAfile ca.pem \
				-verify_return_error -quiet -no_ign_eof "-tls${version/./_}" \
				>openssl.out 2>openssl.err
		grep -q HELLO openssl.out
		run -0 timeout 30 "$YODEL" --tls --tls-ca ca.pem --tls-min $version \
			--tls-max $version --framing line --expect upper -c 3 -n 100 "127.0.0.1:$PORT"
	done
	for version in TLS_AES_128_GCM_SHA256 TLS_CHACHA20_POLY1305_SHA256; do
		timeout 30 "$YODEL" --tls --tls-ca ca.pem --tls-ciphers $version \
			--framing line --expect upper -c 2 -n 100 "127.0.0.1:$PORT"
	done
	totals 't["tls_handshakes_full"] == t["connections_accepted"] and not t["tls_handshakes_failed"]'
	wait_until has_closed peer_closed 14
}

@test "records of one byte in a segment, and many in one, make the same messages" {
	start_tls '"reply": "echo", "framing": "line"'
	run -0 say --ca ca.pem --bytewise -t "one byte in each segment"
	[ "$output" = "one byte in each segment" ]
	timeout 60 "$YODEL" --tls --tls-ca ca.pem --framing line --expect echo -c 4 -p 64 -n 20000 \
		"127.0.0.1:$PORT"
}

@test "frames of a megabyte to a slow reader come back whole" {
	start_tls '"reply": "echo", "framing": "length32", "max_message": "1M"' "" \
		'"limits": { "max_pending": "256k" }'
	timeout 60 "$YODEL" --tls --tls-ca ca.pem --framing length32 --expect echo -c 4 -p 2 \
		--size 1:1M -n 60 --slow-read 20M "127.0.0.1:$PORT"
}

@test "whoami tells of the handshake and the client's certificate" {
	start_tls '"reply": "whoami", "framing": "line"' \
		'"client_ca": "ca.pem", "client_verify": "optional", "alpn": ["second", "first"]'
	run -0 say --ca ca.pem --name localhost --alpn first --cert client.pem --key client.key -t x
	[[ $output = *'"tls":{"version":"TLS 1.3","suite":"TLS_AES_256_GCM_SHA384","group":"'* ]]
	[[ $output = *'"server_name":"localhost","alpn":"first","resumed":false,"client_certificate":{"verified":true,"subject":"CN=somebody"}}}' ]]
	run -0 say --ca ca.pem --tls 1.2 -t x
	[[ $output = *'"tls":{"version":"TLS 1.2",'*'"resumed":false}}' ]]
}

@test "a name has the certificate that is configured for it" {
	start_tls '"reply": "echo", "framing": "line"' \
		'"sni": [ { "name": "other.example", "certificate": "other.pem", "key": "other.key" } ]'
	run -0 say --ca ca.pem --name other.example -t x
	run -0 say --ca ca.pem --name localhost -t x
	run -1 say --ca ca.pem --name third.example -t x
	[ "$output" = CERTIFICATE_VERIFY_FAILED ]
	wait_until has_closed tls_alert 1
}

@test "connections keep every byte through reloads, scaling, upgrades and deaths of workers" {
	start_tls '"reply": "echo"' "" '"limits": { "max_pending": "256k" }'
	loads fast -c 40 -p 8 --size 1:30000
	loads slow -c 4 -p 32 --size 64k --slow-read 2M
	spawn python "$TLS_CLIENT" load "127.0.0.1:$PORT" 10 --ca ca.pem --tls 1.2
	wait_until grep -q open python.out
	wait_until_load_runs fast
	"$KILLER" "$YODELD_PID" 10
	reload
	"$BUILD/yodelctl" -s admin_socket scale 3
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: generation 3 serves'
	"$KILLER" "$YODELD_PID" 5
	"$BUILD/yodelctl" -s admin_socket scale 1
	kill -TERM "$(<python.pid)"
	wait_until has_ended "$(<python.pid)"
	grep -q 'lost 0 wrong 0 truncated 0' python.out
	end_load fast
	check_load_result fast.json
	never_reconnected fast.json
	end_load slow
	check_load_result slow.json
	totals 'not closed["worker_lost"] and t["bytes_received"] == t["bytes_sent"]'
}

@test "a session is resumed after a reload and an upgrade, also with another certificate" {
	start_tls '"reply": "echo", "framing": "line"'
	# The ticket of TLS 1.3 comes with the first data.
	(echo hello; sleep 0.5) | timeout 20 openssl s_client -connect "127.0.0.1:$PORT" \
		-CAfile ca.pem -sess_out session.pem >first.out 2>&1
	grep -q '^New, TLSv1.3' first.out
	resumes()
	{
		timeout 20 openssl s_client -connect "127.0.0.1:$PORT" -CAfile ca.pem \
			-sess_in session.pem <<<hello >next.out 2>&1
		grep -q '^Reused, TLSv1.3' next.out
	}
	resumes
	cp short.pem server.pem
	cp short.key server.key
	reload
	resumes
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: generation 3 serves'
	resumes
	totals 't["tls_handshakes_resumed"] == 3'
}

# All but the first connections have tickets.
check_resumptions() # RESULT
{
	python3 -c '
import json, sys
tls = json.load(open(sys.argv[1]))["tls"]
assert tls["offered"] == tls["resumed"] >= tls["handshakes"] - 8 > 20, tls' "$1"
}

@test "each session that is offered is resumed, through reloads, scaling and an upgrade" {
	start_tls '"reply": "echo"'
	local version
	for version in 1.2 1.3; do
		start_load $version -c 4 -R 300 --messages-per-connection 2 --size 100 --tls \
			--tls-ca ca.pem --tls-max $version --tls-resume 100 "127.0.0.1:$PORT"
	done
	cp short.pem server.pem
	cp short.key server.key
	reload
	"$BUILD/yodelctl" -s admin_socket scale 3
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: generation 3 serves'
	"$BUILD/yodelctl" -s admin_socket scale 1
	cp "$BATS_FILE_TMPDIR"/server.* .
	reload
	end_load 1.2 1.3
	check_resumptions 1.2.json
	check_resumptions 1.3.json
}

@test "a reload renews the certificate for new connections only, and the log warns of its end" {
	start_tls '"reply": "echo", "framing": "line"'
	mkfifo go
	exec 5<>go
	spawn held "$TLS_CLIENT" say "127.0.0.1:$PORT" --ca ca.pem --wait go -t one -t two
	echo >&5
	wait_until grep -q one held.out
	cp short.pem server.pem
	cp short.key server.key
	reload
	run -0 timeout 20 openssl s_client -connect "127.0.0.1:$PORT" -CAfile ca.pem </dev/null
	openssl x509 -noout -fingerprint <<<"$output" >shown
	openssl x509 -noout -fingerprint -in short.pem | cmp - shown
	echo >&5
	wait "$(<held.pid)"
	grep -q two held.out
	wait_until logged 'certificate: 127.0.0.1:[0-9]+: CN=localhost expires on .* UTC, in [45] days'
	expires_with() # CERTIFICATE
	{
		local end
		end=$(date -d "$(openssl x509 -noout -enddate -in "$1" | cut -d= -f2)" +%s)
		"$BATS_TEST_DIRNAME/lib/admin_client.py" ask "$PWD/admin_socket" GET /metrics |
			grep -qxF "yodeld_tls_certificate_expiry_timestamp_seconds{listener=\"127.0.0.1:$PORT\",name=\"\"} $end"
	}
	expires_with short.pem
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: generation 3 serves'
	expires_with short.pem
	warned_twice()
	{
		[ "$(grep -c 'CN=localhost expires on .*, in [45] days' yodeld.log)" = 2 ]
	}
	wait_until warned_twice
	cp other.pem server.pem
	cp other.key server.key
	reload
	expires_with other.pem
	"$BUILD/yodelctl" -s admin_socket stats | grep -q "line, tls\$"
	"$BUILD/yodelctl" -s admin_socket status | grep -qx "listening on 127.0.0.1:$PORT (tls)"
}

@test "a reload that finds the same paths tells other contents from the same ones" {
	start_tls '"reply": "echo", "framing": "line"' \
		'"client_ca": "ca.pem", "client_verify": "optional"'
	make_ca second
	local same='the same settings as before'
	is_told() # FILE SOURCE - a reload after FILE has become SOURCE
	{
		cp "$2" "$1"
		run -0 "$BUILD/yodelctl" -s admin_socket reload
		[[ $output != *"$same"* ]]
		run -0 "$BUILD/yodelctl" -s admin_socket reload
		[[ $output = *"$same"* ]]
	}
	cat ca.pem second.pem >both.pem
	is_told ca.pem both.pem
	is_told ca.pem second.pem
	cat server.pem "$BATS_FILE_TMPDIR/ca.pem" >chain.pem
	is_told server.pem chain.pem
	cp short.key server.key
	is_told server.pem short.pem
}

@test "files that cannot be used fail start, check, reload and upgrade as a whole" {
	start_tls '"reply": "echo", "framing": "line"'
	cp other.key server.key
	run -78 "$YODELD" --check -c yodeld.json
	[ "${#lines[@]}" = 1 ]
	[[ $output = *"listeners[0].tls: "*"server.key"* ]]
	run -78 "$YODELD" -c yodeld.json
	[ "${#lines[@]}" = 1 ]
	kill -HUP "$YODELD_PID"
	wait_until logged "reload failed, the old configuration stays: .*server.key"
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade refused, this program continues: '
	run -0 say --ca ca.pem -t still
	[ "$output" = still ]
	if [ "$(id -u)" = 0 ]; then
		chmod 600 server.key
		chmod 755 . "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
		run -78 setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$YODELD" --check -c yodeld.json
		[[ $output = *"server.key"*"owner root:"*"mode 0600"* ]]
	fi
	local text
	mkfifo pipe
	for text in '"certificate": "server.pem"' '"key": "server.key"' \
		'"certificate": "pipe", "key": "server.key"' \
		'"client_verify": "require"' '"min_version": "1.3"' '"tickets": false' \
		'"certificate": "other.pem", "key": "other.key", "min_version": "1.3", "max_version": "1.2"' \
		'"certificate": "other.pem", "key": "other.key", "client_verify": "require"' \
		'"certificate": "other.pem", "key": "other.key", "ciphers": "RC4-MD5"' \
		"$(printf '"certificate": "other.pem", "key": "other.key", "sni": [ %s, %s ]' \
			'{ "name": "a.b", "certificate": "other.pem", "key": "other.key" }' \
			'{ "name": "A.b", "certificate": "other.pem", "key": "other.key" }')"; do
		echo "{ \"listeners\": [ { \"address\": \"127.0.0.1:1\", \"tls\": { $text } } ] }" >x.json
		run -78 timeout 20 "$YODELD" --check -c x.json
		[[ $output = "yodeld: x.json: listeners[0].tls"*", expected "* ]]
	done
}

@test "a key that every user of the host can read is named, and a certificate that has expired" {
	start_tls '"reply": "echo", "framing": "line"' '"expiry_warning_days": 7'
	wait_until logged 'every user of this host can read the key .*server.key \(owner .*, mode 06.4\)'
	run -0 "$YODELD" --check -c yodeld.json
	[[ ${lines[0]} = *"can read the key"*"server.key"* ]]
	chmod o-r server.key
	run -0 "$YODELD" --check -c yodeld.json
	[ "$output" = "yodeld.json: the configuration is good" ]
	DAYS=-1 make_certificate old ca localhost
	mv old.pem server.pem
	mv old.key server.key
	chmod o-r server.key
	run -0 "$YODELD" --check -c yodeld.json
	[[ ${lines[0]} = *": CN=localhost expired on "* && ${#lines[@]} = 2 ]]
}

@test "peers that do it wrong are closed with a reason, in words" {
	start_tls '"reply": "echo", "framing": "line"' \
		'"min_version": "1.3", "client_ca": "ca.pem", "client_verify": "require"' \
		'"timeouts": { "handshake": "1s" }'
	local certificate=(--ca ca.pem --cert client.pem --key client.key)
	run -0 say "${certificate[@]}" -t good
	run -1 say --ca ca.pem --tls 1.2 -t x
	run -1 say --ca ca.pem -t x
	run -0 timeout 10 socat -t 5 - "TCP:127.0.0.1:$PORT" <<<$'GET / HTTP/1.1\r\n\r'
	run -0 say "${certificate[@]}" -t x --end cut
	run -0 say "${certificate[@]}" -t x --end bad
	[ "${lines[1]}" = SSLV3_ALERT_BAD_RECORD_MAC ]
	mkfifo go
	exec 5<>go
	spawn silent "$TLS_CLIENT" begin "127.0.0.1:$PORT" 0 go
	spawn half "$TLS_CLIENT" begin "127.0.0.1:$PORT" 100 go
	wait_until has_closed tls_handshake_timeout 2
	wait_until has_closed tls_no_common 1
	wait_until has_closed tls_client_certificate 1
	wait_until has_closed tls_not_tls 1
	wait_until has_closed tls_truncated 1
	wait_until has_closed tls_bad_record 1
	logged 'TLS handshake with 127.0.0.1:[0-9]+ failed: received a plain-text HTTP request'
	logged 'TLS with 127.0.0.1:[0-9]+: bad record: '
	totals 't["tls_handshakes_full"] == 3 and t["tls_handshakes_failed"] == 4'
}

@test "no more handshakes are under way than limits.handshakes allows" {
	WORKERS=1 start_tls '"reply": "echo", "framing": "line"' "" \
		'"limits": { "handshakes": 3 }'
	mkfifo go
	exec 5<>go
	local i
	for i in 1 2 3; do
		spawn "begin$i" "$TLS_CLIENT" begin "127.0.0.1:$PORT" 50 go
	done
	for i in 1 2 3; do wait_until grep -q begun "begin$i.out"; done
	run -1 say --ca ca.pem -t x
	wait_until has_closed handshake_limit 1
	has_said_hello()
	{
		[ "$(cat begin?.out | grep -c hello)" = "$1" ]
	}
	for i in 1 2 3; do
		echo >&5
		wait_until has_said_hello "$i"
	done
	run -0 say --ca ca.pem -t x
}

@test "a death loses the handshakes under way and no other connection" {
	WORKERS=1 start_tls '"reply": "echo", "framing": "line"'
	mkfifo go silent
	exec 5<>go 6<>silent
	spawn silent "$TLS_CLIENT" begin "127.0.0.1:$PORT" 0 silent
	spawn begun "$TLS_CLIENT" begin "127.0.0.1:$PORT" 100 go
	wait_until grep -q begun silent.out
	wait_until grep -q begun begun.out
	wait_until totals 't["tls_bytes_received"] == 100' 2>totals.err
	kill -KILL "$(worker_pids)"
	wait_until has_closed worker_lost 1
	echo >&6
	wait_until grep -q hello silent.out
	echo >&5
	wait_until grep -q failed begun.out
}

@test "a worker that leaves completes its handshakes, then the connections move" {
	start_tls '"reply": "echo", "framing": "line"'
	mkfifo go
	exec 5<>go
	spawn begun "$TLS_CLIENT" begin "127.0.0.1:$PORT" 100 go
	wait_until grep -q begun begun.out
	wait_until totals 't["tls_bytes_received"] == 100' 2>totals.err
	kill -HUP "$YODELD_PID"
	wait_until logged 'reload: generation 2 serves'
	echo >&5
	wait_until grep -q hello begun.out
	wait_until logged '2 workers exited within .*: 1 connections? transferred, 0 drained, 0 forced'
}

@test "a PROXY header comes in clear before the handshake" {
	start_tls '"reply": "whoami", "framing": "line", "proxy_protocol": "v1", "proxy_from": ["127.0.0.1"]'
	run -0 say --ca ca.pem --first 'PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n' -t x
	[[ $output = *'"client":{"address":"192.0.2.7","port":1234}'*'"tls":{"version":"TLS 1.3"'* ]]
	run -1 say --ca ca.pem -t x
	wait_until has_closed proxy_header_invalid 1
}

@test "faults act on application bytes, those of a connection on the socket" {
	start_tls '"reply": "echo", "framing": "line", "faults": [ "delay 5ms every 3", "corrupt 1 bytes every 50" ]'
	run -2 timeout 60 "$YODEL" --tls --tls-ca ca.pem --framing line --expect echo -c 4 -n 400 \
		--ledger "unix:$PWD/admin_socket" "127.0.0.1:$PORT"
	totals 't["faults_injected"]["corrupt"] == 32 and not closed["tls_bad_record"]'
	write_tls '"reply": "echo", "framing": "line", "faults": [ "close at message 2" ]'
	reload
	run say --ca ca.pem -t one -t two
	[ "${lines[*]}" = one ]
	wait_until has_closed fault 1
}

@test "a conversation is played over TLS, through deaths of workers" {
	cp "$BATS_TEST_DIRNAME/../conf/examples/server.talk" .
	start_tls '"reply": "conversation=server.talk"'
	loads talk --conversation server.talk -c 10
	"$KILLER" "$YODELD_PID" 4
	end_load talk
	totals 'not closed["worker_lost"] and not closed["unexpected_message"]'
}

@test "processes with keys in their memory make no core file" {
	needs root
	chmod 755 "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
	chmod 777 .
	umask 022
	touch yodeld.log
	YODELD_RUN="setpriv --reuid=65534 --regid=65534 --clear-groups" \
		start_tls '"reply": "echo", "framing": "line"'
	local pid
	# proc(5): what belongs to a process without core file is root's.
	for pid in $(worker_pids) $(keeper_pids); do
		[ "$(stat -c %u "/proc/$pid/maps")" = 0 ]
	done
	[ "$(stat -c %u "/proc/$YODELD_PID/maps")" = 65534 ]
	run -0 say --ca ca.pem -t x
	# Without TLS a worker has the keys of the last configuration: those of the master.
	mkfifo go
	exec 5<>go
	spawn held "$TLS_CLIENT" say "127.0.0.1:$PORT" --ca ca.pem --wait go -t one -t two
	echo >&5
	wait_until grep -q one held.out
	sed -i '/"tls"/d; s/"line",$/"line" } ],/' yodeld.json
	reload
	wait_until logged '2 workers exited within .*: 1 connections? transferred'
	for pid in $(worker_pids); do
		[ "$(stat -c %u "/proc/$pid/maps")" = 0 ]
	done
	echo >&5
	wait "$(<held.pid)"
	grep -q two held.out
}

@test "a key of root with mode 0640 is renewed by a server of its group" {
	needs root
	chmod 755 "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
	chmod 777 .
	YODELD_RUN="setpriv --reuid=65534 --regid=65534 --clear-groups" \
		start_tls '"reply": "echo", "framing": "line"'
	renew() # MODE
	{
		cp short.pem server.pem
		rm -f server.key
		install -o root -g 65534 -m "$1" short.key server.key
	}
	renew 0600
	kill -HUP "$YODELD_PID"
	wait_until logged 'reload failed, .*server.key \(owner root:.*, mode 0600\) as user '
	renew 0640
	reload
	run -0 say --ca ca.pem -t x
}

@test "keys are updated by either side across a reload and a death" {
	start_tls '"reply": "echo", "framing": "line"'
	mkfifo commands
	exec 5<>commands
	spawn client bash -c "exec openssl s_client -connect 127.0.0.1:$PORT -CAfile ca.pem <commands"
	said()
	{
		[ "$(grep -c "^word" client.out)" = "$1" ]
	}
	# A command of openssl(1), and a line that it sends. K asks for an update of the
	# server's keys as well.
	update_and_say() # COMMAND N
	{
		echo "$1" >&5
		wait_until has_updated "$2"
		echo "word $2" >&5
		wait_until said "$2"
	}
	has_updated()
	{
		[ "$(grep -c KEYUPDATE client.log)" = "$1" ]
	}
	update_and_say K 1
	reload
	update_and_say k 2
	"$KILLER" "$YODELD_PID" 2
	update_and_say K 3
	echo Q >&5
	wait_until has_closed peer_closed 1
	totals 't["tls_handshakes_full"] == 1 and t["connections_moved_in"] >= 2'
}

@test "10,000 connections survive reloads, resizes, upgrades and 50 deaths (LONG)" {
	[ -n "${LONG-}" ] || return 0
	ulimit -n "$(ulimit -Hn)"
	start_tls '"reply": "echo"' "" '"limits": { "handshakes": "20k" }'
	local i sent
	loads many -c 10k --size 1:3000 --interval 4s --connect-timeout 120s
	# A handshake under way would be lost with its worker.
	for i in {1..9}; do wait_until grep -q " [$i-9],[0-9]* of 10,000" many.log; done
	wait_until grep -q '10,000 connections, .* messages/s' many.log
	loads fast -c 20 -p 8 --size 1:30000
	for i in {1..20}; do
		case $i in
		4 | 8 | 12 | 16) cp short.pem server.pem && cp short.key server.key ;;
		6 | 10 | 14 | 18) cp "$BATS_FILE_TMPDIR"/server.* . ;;
		esac
		reload
		[ $((i % 2)) = 1 ] || "$BUILD/yodelctl" -s admin_socket scale $((2 + i % 3))
		if [ $((i % 4)) = 0 ]; then
			kill -USR2 "$YODELD_PID"
			wait_until logged "upgrade: generation $((i + i / 4 + 1)) serves"
		fi
		"$KILLER" "$YODELD_PID" 3 120
	done
	wait_until grep -qE '^(4[5-9]|[5-9][0-9]|[0-9]{3,}) s: 10,000 connections' many.log
	end_load many fast
	sent=$(jq -s 'map(.bytes.sent) | add' many.json fast.json)
	totals "not closed['worker_lost'] and t['bytes_received'] == t['bytes_sent'] == $sent"
}
