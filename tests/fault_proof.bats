#!/usr/bin/env bats
# run-checks: long
# run-checks: without sanitizer
# The proof of the faults: of each kind yodel finds, under load, each one that the server has
# injected, and nothing else; in text, JSON and HTML. The clients announce fixed addresses, so
# that the decisions on messages and connections are the same in each run: counts by chance may
# be tested without a chance to fail.

# shellcheck disable=SC2030,SC2031,SC2154 # each test has its own PORT; run sets status
load lib/helpers

# With LONG=1: 10,000 faults in all, at least 100 of each kind of replies.
TIMES=1
[ -z "${LONG-}" ] || TIMES=8

# prove "FAULT" KIND MIN [--workers N] [ARG...] - runs yodel with these arguments against a server with that
# list of faults: at least MIN of the kind are injected, and all findings are explained.
prove()
{
	local faults=$1 kind=$2 min=$3 workers=2
	shift 3
	if [ "${1-}" = --workers ]; then
		workers=$2
		shift 2
	fi
	start_yodeld_with '"reply": "echo", "framing": "line", "proxy_protocol": "v1",
		"proxy_from": ["127.0.0.0/8"], "faults": ['"$faults"']' -w "$workers" \
		--set admin.socket="$PWD/control.sock" --set fault_record=1M
	run "$BUILD/yodel" --framing line --expect echo --size 40 --json result.json --html page.html \
		--proxy-protocol v1 --proxy-source 10.0.0.0/8 --ledger "unix:$PWD/control.sock" \
		"$@" "127.0.0.1:$PORT"
	[ "$status" = 1 ] || [ "$status" = 2 ]
	"$BATS_TEST_DIRNAME/lib/admin_client.py" ask "$PWD/control.sock" GET /faults | sed 1d >faults.json
	"$BUILD/yodelctl" -s control.sock stats --json >stats.json
	stop_yodeld
	is_true "f['injected']['$kind'] >= $min"
	is_true 'sum(f["injected"].values()) == f["recorded"] == f["kept"] == x["injected"] == x["recorded"]'
	is_true 'f["injected"] == t["faults_injected"]'
	is_true 'x["findings"] == x["explained"] > 0 == x["unexplained"] == x["unjudged"]'
	[[ $output =~ "injected by the server; the path added no damage" ]]
	grep -q 'injected by the server; the path added no damage' page.html
	total "$faults"
}

# is_true CONDITION - on the result r, its faults x, the reply f to /faults, the totals t
is_true()
{
	python3 -c '
import json, math, sys
r = json.load(open("result.json"))
x = r["ledger"]["faults"]
f = json.load(open("faults.json"))
t = json.load(open("stats.json"))["totals"]
def binomial(n, p, k):
    """Whether k of n lies in the 99 % interval (with a correction for continuity)."""
    return abs(k - n * p) <= 2.576 * math.sqrt(n * p * (1 - p)) + 0.5
assert eval(sys.argv[1]), (sys.argv[1], x, f["injected"], r["messages"], r["connections"])' "$1"
}

total() # FAULTS
{
	[ -z "${LONG-}" ] || python3 -c '
import json, sys
x = json.load(open("result.json"))["ledger"]["faults"]
print("#", sys.argv[1], *(f"{k} {v}" for k, v in x.items() if v))' "$1" >&3
}

# prove_reply "FAULT" KIND - on 3 % of the messages; each has its finding, and the rate is right
prove_reply()
{
	local n=$((200 * TIMES))
	prove "\"$1 on 3%\"" "$2" 100 -c 20 -n $n -p 4 --timeout 2s
	is_true 'x["seen"] == x["injected"]'
	is_true "binomial(t['messages_received'], 0.03, f['injected']['$2'])"
}

@test "each overwritten byte and each flipped bit of a reply is found" {
	prove_reply 'corrupt 1 byte' corrupt
	prove_reply 'corrupt 3 bits' corrupt
}

@test "each truncated reply and each reply with bytes inserted is found" {
	prove_reply 'truncate 2 bytes' truncate
	prove_reply 'insert 3 bytes' insert
}

@test "each reply that is sent twice, and each that is not sent, is found" {
	prove_reply duplicate duplicate
	prove_reply drop drop
}

@test "each reply that is sent after the next one is found" {
	local n=$((300 * TIMES))
	prove '"reorder on 3%"' reorder 100 -c 20 -n $n -p 4 --timeout 2s
	is_true 'x["seen"] == x["injected"]'
}

@test "each reply that is sent on another connection is found" {
	prove_reply swap swap
}

@test "faults of all kinds of replies at once are all explained" {
	local n=$((250 * TIMES))
	prove '"delay normal 2ms 1ms on 20%", "corrupt 1 byte on 3%", "truncate 2 bytes on 3%",
		"insert 3 bytes on 3%", "duplicate on 3%", "drop on 3%", "reorder on 3%", "swap on 3%"' reorder 100 \
		-c 20 -n $n -p 4 --timeout 2s
	is_true 'all(f["injected"][k] >= 100 for k in
		("corrupt", "truncate", "insert", "duplicate", "drop", "reorder", "swap", "delay"))'
	is_true "binomial(20 * $n, 0.2, f['injected']['delay'])"
	is_true "all(binomial(20 * $n, 0.03, f['injected'][k]) for k in
		('corrupt', 'truncate', 'insert', 'duplicate', 'drop'))"
	# The others are behind another fault of the same reply, or at the end of a connection.
	is_true 'x["seen"] > 50 * x["unseen"]'
}

# For a client that gives up after 1 s.
@test "each delay, stall and trickle that is longer than the timeout is found" {
	local n=$((30 * TIMES)) one=(-c 60 -n 20 -R 1800 --timeout 1s)
	prove '"delay 4s on 1%"' delay 10 -c 60 -n $n -R 1800 --timeout 1s
	# Those of connections that are lost already wait behind an earlier one.
	is_true 'x["seen"] > 4 * x["timing"]'
	prove '"stall 4s on 1% of messages"' stall 10 -c 60 -n $n -R 1800 --timeout 1s
	is_true 'x["seen"] > 4 * x["timing"]'
	if [ -n "${LONG-}" ]; then
		prove '"stall at message 10 on 50%"' stall 20 "${one[@]}"
		is_true 'x["seen"] == x["injected"]'
	fi
	prove '"trickle 1 bytes/s at message 10 on 50%"' trickle 20 "${one[@]}"
	is_true 'x["seen"] == x["injected"]'
	prove '"never-read at message 10 on 50%"' never-read 20 "${one[@]}"
	is_true 'x["seen"] == x["injected"]'
}

# prove_end "FAULT" KIND - each connection that the fault ends is found lost, and no other one
prove_end()
{
	prove "\"$1 on 50%\"" "$2" 20 -c $((60 * TIMES)) -n 20 -R $((1800 * TIMES)) \
		--no-reconnect --timeout 5s
	is_true "x['seen'] == x['injected'] == f['injected']['$2'] == x['findings']"
	is_true "binomial(60 * $TIMES, 0.5, f['injected']['$2'])"
}

@test "each close and half-close is found, by message, byte and time" {
	prove_end 'close at message 10' close
	prove_end 'close after 300ms' close
	prove_end 'half-close after 500 bytes' half-close
	[ -n "${LONG-}" ] || return 0
	prove_end 'close after 500 bytes' close
	prove_end 'half-close at message 10' half-close
}

@test "each reset and refused connection is found" {
	prove_end 'reset after 500 bytes' reset
	[ -z "${LONG-}" ] || prove_end 'reset at message 10' reset
	[ -z "${LONG-}" ] || prove_end 'reset after 300ms' reset
	prove '"refuse on 50%"' refuse 20 -c $((60 * TIMES)) -n 4 --no-reconnect
	is_true 'x["seen"] == x["injected"]'
}

@test "faults of the listener are found, and explain what they delay" {
	# Each of three workers records them.
	prove '"never-accept between 600ms and 2s", "stall listener 1600ms after 2600ms",
		"backlog 1 between 5s and 7s", "never-accept between 5s and 7s"' never-accept 6 \
		--workers 3 -c 60 -R 600 -d 7s --messages-per-connection 4 --drain 2s --timeout 1s \
		--connect-timeout 1s
	is_true 'all(f["injected"][k] >= 3 for k in ("never-accept", "stall", "backlog"))'
	# On a busy machine the messages that the stall delays may have waited for an accept before.
	is_true 'x["seen"] + x["timing"] == x["injected"] == 12 and x["seen"] >= 9'
}
