#!/usr/bin/env bats
# yodel survey on loopback: its command line, outputs, budget and manual. What it finds out
# about paths is tested by survey.bats.
# shellcheck disable=SC2030,SC2031,SC2153,SC2154 # run sets output and stderr; PORT is of one test

load lib/helpers
load lib/certificates

SCHEMA=$BATS_TEST_DIRNAME/../client/survey.schema.json
MANUAL=$BATS_TEST_DIRNAME/../client/yodel-survey.1

start_witness()
{
	start_yodeld --set instance=far -l 127.0.0.1:0=witness -w 1
}

check_schema() # FILE...
{
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$SCHEMA" "$@"
}

of_survey() # FILE EXPRESSION: s is the survey, row(ID) a row
{
	python3 - "$1" "$2" <<-'END'
		import json, sys
		s = json.load(open(sys.argv[1]))
		def row(id):
		    return next(r for r in s["rows"] if r["id"] == id)
		print(eval(sys.argv[2]))
	END
}

@test "a survey of a witness answers, marks nothing and matches its schema" {
	start_witness
	run -0 "$YODEL" survey -d 15s --idle-max 500ms --repeat 1 --skip source,backends,hops,split_back,reuse,half_close,half_close_back \
		--limits=off -v --json survey.json --html survey.html "127.0.0.1:$PORT"
	[[ ${lines[0]} =~ ^"survey of 127.0.0.1:$PORT: up to 15s, at most "([0-9]+)" connections, "([0-9]+)" at a time"$ ]]
	[ "${BASH_REMATCH[2]}" -le "${BASH_REMATCH[1]}" ]
	[[ $output == *'a yodeld witness, "far"'* ]]
	[[ $output == *'acknowledged_bytes'* ]]
	[ "$(wc -L <<<"$output")" -le 80 ]
	[[ $output != *$'\033'* ]]
	check_schema survey.json
	[ "$(of_survey survey.json '[r["id"] for r in s["rows"] if r["attention"]]')" = '[]' ]
	[ "$(of_survey survey.json 'row("split")["answer"], row("reset")["answer"], row("payload")["answer"], row("idle")["answer"], row("syn")["answer"]')" = \
		"('no', 'passed', 'unchanged', 'alive', 'as sent')" ]
	[ "$(of_survey survey.json 's["connections"] <= s["connections_announced"]')" = True ]
	[ "$(of_survey survey.json 'row("split")["evidence"]["acknowledged_bytes"] == row("split")["evidence"]["received_bytes"] > 10000')" = True ]
	grep -q '<svg' survey.html
	run -1 grep -E 'src=|href="http|@import|url\(' survey.html
}

@test "the schema in the tree is made from the table, and refuses what is not in it" {
	"$YODEL" survey --print-schema >printed.json
	cmp printed.json "$SCHEMA"
	start_witness
	run -0 "$YODEL" survey -q -d 5s --only before --json good.json "127.0.0.1:$PORT"
	check_schema good.json
	python3 - <<-'END'
		import json
		s = json.load(open("good.json"))
		s["rows"][0]["mood"] = 1
		json.dump(s, open("many.json", "w"))
		s = json.load(open("good.json"))
		del s["rows"][0]["certainty"]
		json.dump(s, open("few.json", "w"))
		s = json.load(open("good.json"))
		s["rows"][0]["answer"] = "perhaps"
		json.dump(s, open("other.json", "w"))
	END
	local file
	for file in many few other; do
		run -1 check_schema $file.json
	done
}

@test "--list and the manual name every probe, and the manual every option" {
	local probe option
	run -0 "$YODEL" survey --list
	while read -r probe; do
		grep -q "^\.Ss $probe\$" "$MANUAL" || {
			echo "no section for $probe"
			return 1
		}
	done < <(sed -n 's/^\([a-z_]\+\) .*/\1/p' <<<"$output" | grep -v '^probe$')
	[ "$(grep -c '^[a-z]' <<<"$output")" = 28 ]
	for option in $("$YODEL" survey --help | grep -oE -- '^ .{5}--[a-z0-9-]+|^  -., --[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' | sort -u); do
		grep -qE -- "Fl .?-?${option#--}( |$)" "$MANUAL" || {
			echo "no $option"
			return 1
		}
	done
}

refused() # MESSAGE ARG...
{
	run -64 --separate-stderr "$YODEL" survey "${@:2}"
	[ "$stderr" = "yodel survey: $1" ] || {
		echo "found: $stderr"
		return 1
	}
}

@test "bad usage is one line that says what was expected" {
	refused 'missing operand: expected HOST:PORT (see --help)'
	refused 'found "unix:/tmp/x", expected HOST:PORT: a Unix socket has no path to survey' unix:/tmp/x
	refused 'found "mptcp:127.0.0.1:1", expected HOST:PORT: a survey is of TCP; its row syn tells whether MPTCP passes' mptcp:127.0.0.1:1
	refused 'found "mptcp:127.0.0.1:2", expected HOST:PORT: a survey is of TCP; its row syn tells whether MPTCP passes' 127.0.0.1:1 mptcp:127.0.0.1:2
	refused 'no probe "splt"; did you mean "split"?' --only splt 127.0.0.1:1
	refused 'no probe "weather"; expected one of --list' --skip weather 127.0.0.1:1
	refused '--limits: found "maybe", expected on or off' --limits=maybe 127.0.0.1:1
	refused '--idle-max=10m is longer than -d 2m; expected a longer duration' --idle-max 10m 127.0.0.1:1
	refused '--burst: found "1", expected at least 2' --burst 1 127.0.0.1:1
	refused '--load: found "100ms", expected at least 0.5s' --load=100ms 127.0.0.1:1
	refused '--threshold: found the name "idel", expected a probe of --list, mtu or mss' --threshold 'idel>=3s' 127.0.0.1:1
	refused '--threshold: found "perhaps", expected one of no|yes|unknown' --threshold split=perhaps 127.0.0.1:1
	refused 'found "127.0.0.1:1" twice, expected another second target' 127.0.0.1:1 127.0.0.1:1
	refused '--source-ip: found "::1", expected an address of the target'"'"'s family' --source-ip ::1 127.0.0.1:1
	refused '[::1]:1: has no address of the first target'"'"'s family' 127.0.0.1:1 '[::1]:1'
	refused '-4 and -6 exclude each other' -4 -6 127.0.0.1:1
	refused '127.0.0.1:1: has no IPv6 address' -6 127.0.0.1:1
}

@test "a limit of descriptors of the client is refused, not taken for one of the path" {
	run -71 bash -c 'ulimit -n 100; exec "$@"' - "$YODEL" survey 127.0.0.1:1
	[[ $output == *"--connections=128 needs 160 descriptors; the limit is 100; fix: ulimit -Hn 160, or fewer --connections" ]]
}

@test "without anything that listens it exits with 1 and says why" {
	run -1 "$YODEL" survey -d 10s "127.0.0.1:$(free_port)"
	[[ $output == *'cannot connect: Connection refused'* ]]
	run -1 "$YODEL" survey -d 10s --source-ip 192.0.2.7 "127.0.0.1:$(free_port)"
	[[ $output == *'cannot connect: the source address is not an address of this machine'* ]]
	run -69 "$YODEL" survey -d 10s --ledger "http://127.0.0.1:$(free_port)" 127.0.0.1:1
	run -71 "$YODEL" survey --json /nowhere/file 127.0.0.1:1
}

@test "a threshold that fails, or has no answer, exits with 99" {
	start_witness
	run -0 "$YODEL" survey -d 5s --repeat 1 --only reset,before --threshold reset=passed \
		--threshold before=nothing "127.0.0.1:$PORT"
	[[ $output == *'threshold "reset=passed": passed (found passed)'* ]]
	run -99 "$YODEL" survey -d 5s --repeat 1 --only reset --threshold 'reset=becomes fin' \
		--threshold 'idle>=1s' --json survey.json "127.0.0.1:$PORT"
	[[ $output == *'threshold "reset=becomes fin": FAILED (found passed)'* ]]
	[[ $output == *'threshold "idle>=1s": FAILED (no answer: left out'* ]]
	run -99 --separate-stderr "$YODEL" survey -q -d 5s --repeat 1 --only before \
		--threshold 'idle>=1s' "127.0.0.1:$PORT"
	[ "$output$stderr" = 'yodel survey: FAILED: a threshold was not met' ]
	[ "$(of_survey survey.json 's["exit_status"], [t["passed"] for t in s["thresholds"]]')" = '(99, [False, False])' ]
}

@test "the time binds, and probes without time are listed" {
	start_witness
	local began=${EPOCHREALTIME/./}
	run -0 "$YODEL" survey -d 2s --json survey.json "127.0.0.1:$PORT"
	[ $((${EPOCHREALTIME/./} - began)) -lt 5000000 ]
	[[ $output == *'not enough time'* ]]
	[ "$(of_survey survey.json 'row("concurrent")["reason"].startswith("not enough time")')" = True ]
	check_schema survey.json
}

@test "Ctrl-C prints what is known" {
	start_witness
	spawn survey bash -c 'trap - INT; exec "$@"' _ python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$YODEL" survey -d 60s --idle-max 2s --progress always \
		--json survey.json "127.0.0.1:$PORT"
	wait_until grep -q ': source' survey.log
	kill -INT "$SPAWNED"
	local status=0
	wait "$SPAWNED" || status=$?
	[ "$status" = 0 ]
	grep -q 'Interrupted: this is what is known so far' survey.out
	check_schema survey.json
	[ "$(of_survey survey.json 's["interrupted"], row("reach")["answer"], row("split")["reason"]')" = "(True, 'yes', 'interrupted')" ]
	[ "$(of_survey survey.json 's["took_s"] < 30')" = True ]
}

# Serves /stats once, then accepts and never answers: creates "hangs" when it is asked again.
start_hanging_server()
{
	spawn server python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
body = b"{\"totals\": {}}"
c = s.accept()[0]
c.recv(4096)
c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
c.close()
held = s.accept()[0]
open("hangs", "w").close()
s.accept()'
	wait_until grep -q . server.out
}

@test "Ctrl-C ends the wait for the counters of --ledger" {
	start_witness
	start_hanging_server
	spawn survey python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$YODEL" survey -d 60s --only ledger,before \
		--ledger "http://127.0.0.1:$(<server.out)" --json survey.json "127.0.0.1:$PORT"
	wait_until test -e hangs
	local began=${EPOCHREALTIME/./} status=0
	kill -INT "$SPAWNED"
	wait "$SPAWNED" || status=$?
	[ "$status" = 0 ]
	# The wait itself lasts 5 s.
	[ $((${EPOCHREALTIME/./} - began)) -lt 3000000 ]
	grep -q 'Interrupted: this is what is known so far' survey.out
	[ "$(of_survey survey.json 's["interrupted"], row("before")["answer"], row("ledger")["reason"]')" = "(True, 'nothing', 'interrupted')" ]
}

@test "the time binds while the counters of --ledger do not answer" {
	start_witness
	start_hanging_server
	run -0 "$YODEL" survey -d 4s --only ledger --ledger "http://127.0.0.1:$(<server.out)" \
		--json survey.json "127.0.0.1:$PORT"
	test -e hangs
	[ "$(of_survey survey.json 's["took_s"] < 4.5, row("ledger")["reason"]')" = "(True, 'not enough time')" ]
}

@test "a witness of another version is named, and asked what any server is asked" {
	start_witness
	spawn other python3 "$BATS_TEST_DIRNAME/lib/other_witness.py" "$PORT" 7
	wait_until grep -q . other.out
	run -0 "$YODEL" survey -d 4s --only source "127.0.0.1:$(<other.out)"
	[[ ${output//$'\n'/ } == *'is a witness of version 7; this yodel expects 1: update the older program'* ]]
	[[ $output == *'needs a witness (yodeld: reply "witness"): '* ]]
}

@test "an echo server is surveyed as far as a client can, with no more connections than announced" {
	start_yodeld --set admin.socket="$PWD/socket" -l 127.0.0.1:0=echo -w 1
	run -0 "$YODEL" survey -d 12s --idle-max 500ms --repeat 1 --skip hops,big --limits=off --ledger "unix:$PWD/socket" \
		--json survey.json "127.0.0.1:$PORT"
	[[ $output == *'is an echo server'* ]]
	[[ $output =~ 'connect '[0-9.e-]+' ms, answer '[0-9.e-]+' ms' ]]
	[[ $output == *'needs a witness (yodeld: reply "witness"): '* ]]
	check_schema survey.json
	[ "$(of_survey survey.json 'row("payload")["answer"], row("half_close")["answer"], row("ledger")["reset_passed"]')" = "('unchanged', 'passed', 'yes')" ]
	[ "$(of_survey survey.json 'row("split")["answer"]')" != yes ]
	"$BUILD/yodelctl" -s "$PWD/socket" stats >counters
	python3 - <<-'END'
		import json, re
		s = json.load(open("survey.json"))
		accepted = int(re.search(r"accepted\D*([0-9,]+)", open("counters").read()).group(1).replace(",", ""))
		assert accepted <= s["connections"] <= s["connections_announced"], (accepted, s["connections"])
	END
}

# The failure may take two lines.
fails_with() # TEXT ARG...
{
	run -1 "$YODEL" survey -d 10s --only before "${@:2}" "127.0.0.1:$PORT"
	[[ ${output//$'\n'/ } == *"cannot connect: $1" ]]
}

@test "over TLS all is asked but what counts the kernel's bytes" {
	make_ca ca
	make_certificate far ca localhost
	start_yodeld_with '"reply": "witness", "tls": { "certificate": "far.pem", "key": "far.key" }' -w 1
	run -0 "$YODEL" survey -d 8s --repeat 1 --only split,before,reset,half_close_back,payload \
		--tls --tls-ca ca.pem --tls-name localhost --json survey.json "127.0.0.1:$PORT"
	[ "$(of_survey survey.json 'row("reset")["answer"], row("half_close_back")["answer"], row("payload")["answer"], row("split")["reason"]')" = \
		"('passed', 'passed', 'unchanged', \"with --tls: counts the kernel's bytes, which TLS changes\")" ]
	make_ca other
	fails_with 'the certificate (CN=localhost) was issued by a CA (CN=ca,O=yodel tests) that is not in other.pem' \
		--tls --tls-ca other.pem --tls-name localhost
	fails_with 'the certificate is for localhost, the requested name is far.example' \
		--tls --tls-ca ca.pem --tls-name far.example
	refused '--tls-ca, --tls-name and --tls-insecure require --tls' --tls-insecure 127.0.0.1:1
}

@test "a port that speaks TLS is named without --tls, and one that does not with it" {
	make_ca ca
	make_certificate far ca localhost
	start_yodeld_with '"reply": "witness", "tls": { "certificate": "far.pem", "key": "far.key" }' -w 1
	run -0 --separate-stderr "$YODEL" survey -d 6s --idle-max 500ms --only idle \
		--json survey.json "127.0.0.1:$PORT"
	[[ $output == *'is a server that speaks TLS, surveyed without: use --tls'* ]]
	[ "$stderr" = "yodel survey: 127.0.0.1:$PORT speaks TLS: use --tls, or most questions have no answer" ]
	# It closes when it is spoken to, not for idleness.
	[ "$(of_survey survey.json 'row("idle")["answer"], row("idle")["attention"]')" = "('alive', None)" ]
	stop_yodeld
	start_witness
	fails_with 'received bytes that are not TLS: "{"yodel_witness":1,"id":": leave out --tls' --tls
	stop_yodeld
	start_yodeld -l 127.0.0.1:0=echo -w 1
	fails_with 'the server returns what it receives, without TLS: leave out --tls' --tls
	run -0 "$YODEL" survey -d 5s --only before "127.0.0.1:$PORT"
	[[ $output == *'is an echo server'* ]]
}

@test "over TLS behind a PROXY header all is asked, too" {
	make_ca ca
	make_certificate far ca localhost
	start_yodeld_with '"reply": "witness", "proxy_protocol": "v2", "proxy_from": [ "127.0.0.1" ],
		"tls": { "certificate": "far.pem", "key": "far.key" }' -w 1
	run -0 "$YODEL" survey -d 8s --repeat 1 --only before,reset_back,half_close_back,source --tls --tls-ca ca.pem \
		--tls-name localhost --proxy-protocol v2 --json survey.json "127.0.0.1:$PORT"
	[ "$(of_survey survey.json 'row("before")["answer"], row("reset_back")["answer"], row("half_close_back")["answer"], row("source")["answer"]')" = \
		"('nothing', 'passed', 'passed', 'kept')" ]
}

@test "a reload during a survey is reported, and its connections survive" {
	start_witness
	spawn survey "$YODEL" survey -d 30s --idle-max 1500ms --only idle,source --progress always \
		--json survey.json "127.0.0.1:$PORT"
	# 40 connections follow, 16 a second.
	wait_until grep -q ': source' survey.log
	kill -HUP "$YODELD_PID"
	wait "$SPAWNED"
	[ "$(of_survey survey.json 'row("idle")["answer"], s["disturbed"]')" = \
		"('alive', 'the server was reloaded meanwhile (generation 1, then 2)')" ]
	grep -q '^Disturbed: the server was reloaded meanwhile' survey.out
}

@test "connections that the server ends itself are no finding about the path" {
	local port survey_pid
	port=$(free_port)
	start_yodeld --set instance=far -l "127.0.0.1:$port=witness" -w 1
	spawn survey "$YODEL" survey -d 30s --idle-max 3s --only idle,half_closed,keepalive --progress always \
		--json survey.json "127.0.0.1:$port"
	survey_pid=$SPAWNED
	wait_until grep -q ': idle' survey.log
	stop_yodeld
	start_yodeld --set instance=far -l "127.0.0.1:$port=witness" -w 1
	wait "$survey_pid"
	# Depends on whether the new server accepts before the survey has asked.
	[ "$(of_survey survey.json '"restarted" in s["disturbed"] or "stopped" in s["disturbed"]')" = True ]
	[ "$(of_survey survey.json '[r["answer"] for r in s["rows"] if r["id"] in ("idle", "half_closed", "keepalive") and r["answer"] not in ("alive", None)]')" = '[]' ]
	[ "$(of_survey survey.json '[r["id"] for r in s["rows"] if r["attention"]]')" = '[]' ]
}

@test "yodel compare prints the rows in which two surveys differ" {
	start_witness
	"$YODEL" survey -q -d 5s --repeat 1 --only reset,before --json base.json "127.0.0.1:$PORT"
	run -0 "$YODEL" compare base.json base.json
	[ "$output" = '0 of 27 rows differ' ]
	python3 - <<-'END'
		import json
		s = json.load(open("base.json"))
		r = next(r for r in s["rows"] if r["id"] == "reset")
		r["answer"], r["text"], r["attention"] = "nothing", "nothing arrives", "the server waits"
		json.dump(s, open("new.json", "w"))
	END
	run -0 "$YODEL" compare base.json new.json
	[[ ${lines[0]} == '! reset' && ${lines[2]} == *'new   nothing arrives (seen)' ]]
	[[ $output == *'1 of 27 rows differ'* ]]
	run -99 "$YODEL" compare --fail-worse base.json new.json
	run -66 "$YODEL" compare base.json missing.json
	echo '{"format": "other"}' >other.json
	run -65 "$YODEL" compare base.json other.json
}
