#!/usr/bin/env bats
# run-checks: alone
#
# Is what yodel measures the truth? A server that stands still for a known time every known
# period has latencies that can be calculated.
#
# Of messages that are due at any time alike, a part of stall/period is due in a stall, and
# waits for what is left of it: the p-quantile is stall - (1 - p) * period, where that is
# above 0.

# shellcheck disable=SC2046 # quantiles are words

load lib/helpers

STALL=0.4 PERIOD=1

quantiles() # FILE HISTOGRAM - p50 p90 p99 p999 in ms
{
	python3 -c '
import json, sys
h = json.load(open(sys.argv[1]))["latency"][sys.argv[2]]
print(*(h[key + "_ns"] / 1e6 for key in ["p50", "p90", "p99", "p999"]))' "$@"
}

@test "the open loop finds the calculated percentiles of a stalling server within 2 %" {
	start_liar stall --time $STALL --period $PERIOD
	"$YODEL" -q --json open.json -c 20 -R 1000 -d 5s -m hello "127.0.0.1:$LIAR_PORT"
	python3 - $STALL $PERIOD $(quantiles open.json response) <<-'END'
		import sys
		stall, period, p50, p90, p99, p999 = map(float, sys.argv[1:])
		for p, found in [(0.9, p90), (0.99, p99), (0.999, p999)]:
		    exact = 1000 * (stall - (1 - p) * period)
		    print(p, exact, found)
		    assert abs(found - exact) <= 0.02 * exact, (p, exact, found)
		assert p50 < 20, p50
	END
}

@test "the closed loop cannot see the stalls: the lie of coordinated omission" {
	start_liar stall --time $STALL --period $PERIOD
	"$YODEL" -q --json closed.json -c 20 -d 5s -m hello "127.0.0.1:$LIAR_PORT"
	"$YODEL" -q --json open.json -c 20 -R 1000 -d 2s -m hello "127.0.0.1:$LIAR_PORT"
	python3 - $(quantiles closed.json response) $(quantiles open.json response) <<-'END'
		import sys
		closed, opened = [list(map(float, x)) for x in (sys.argv[1:5], sys.argv[5:9])]
		# 40 % of the time nothing is answered; the closed loop calls its p99 fine.
		assert closed[2] < 20 < 300 < opened[2], (closed, opened)
	END
}

@test "what could not be sent in time is sent late and counted from when it was due" {
	start_liar stall --time $STALL --period $PERIOD
	"$YODEL" -q --json late.json -c 2 -R 500 -p 1 -d 3s -m hello "127.0.0.1:$LIAR_PORT"
	python3 - $(quantiles late.json response) $(quantiles late.json service) <<-'END'
		import sys
		response, service = [list(map(float, x)) for x in (sys.argv[1:5], sys.argv[5:9])]
		# One message in flight: those behind it wait on our side, and are counted.
		assert service[1] < 20 < 200 < response[1], (response, service)
	END
}
