#!/usr/bin/env bats
# run-checks: without sanitizer
# run-checks: alone
#
# Are yodel's measurements correct? A server that pauses for a known time in every known
# period has latencies that can be calculated.
#
# If messages are due at evenly distributed times, the fraction stall/period is due in a
# stall and waits for its end: the p-quantile is stall - (1 - p) * period, where that is
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
	# Long stalls: 2 % of one exceeds the time that yodel waits for a CPU on a busy machine.
	start_faulty_server stall --time 2 --period 5
	"$YODEL" -q --json open.json -c 20 -R 1000 -d 10s -m hello "127.0.0.1:$FAULTY_SERVER_PORT"
	sed 1d faulty_server.out >pauses
	python3 - <<-'END'
		import datetime, json
		r = json.load(open("open.json"))
		start = datetime.datetime.fromisoformat(r["started_at"][:26] + "+00:00").timestamp()
		pauses = [tuple(map(float, line.split())) for line in open("pauses")]
		found = {k: v / 1e6 for k, v in r["latency"]["response"].items() if k[0] == "p"}
		# The wait of each message, according to the pauses that the server printed.
		due = [start + n / 1000 for n in range(10000)]
		waits = sorted(1000 * max([0] + [e - t for b, e in pauses if b < t < e]) for t in due)
		for part, key in [(900, "p90_ns"), (990, "p99_ns"), (999, "p999_ns")]:
		    exact, nominal = waits[10 * part - 1], 2000 - (1000 - part) * 5
		    print(key, nominal, exact, found[key])
		    assert abs(found[key] - exact) <= 0.02 * exact, (key, exact, found[key])
		    assert abs(exact - nominal) <= 0.2 * nominal, (key, exact, nominal)
		assert found["p50_ns"] < 100, found
	END
}

@test "a closed loop does not see the stalls (coordinated omission)" {
	start_faulty_server stall --time $STALL --period $PERIOD
	"$YODEL" -q --json closed.json -c 1 -d 5s -m hello "127.0.0.1:$FAULTY_SERVER_PORT"
	"$YODEL" -q --json open.json -c 20 -R 1000 -d 2s -m hello "127.0.0.1:$FAULTY_SERVER_PORT"
	python3 - $(quantiles closed.json response) $(quantiles open.json response) <<-'END'
		import sys
		closed, opened = [list(map(float, x)) for x in (sys.argv[1:5], sys.argv[5:9])]
		# The server answers nothing for 40 % of the time; the closed loop still reports
		# a low p99.
		assert closed[2] < 100 < 300 < opened[2], (closed, opened)
	END
}

@test "a message that could not be sent in time is sent late and timed from when it was due" {
	start_faulty_server stall --time $STALL --period $PERIOD
	"$YODEL" -q --json late.json -c 2 -R 500 -p 1 -d 3s -m hello "127.0.0.1:$FAULTY_SERVER_PORT"
	python3 - $(quantiles late.json response) $(quantiles late.json service) <<-'END'
		import sys
		response, service = [list(map(float, x)) for x in (sys.argv[1:5], sys.argv[5:9])]
		# One message in flight: the next ones wait in the client, and the wait counts.
		assert service[1] < 100 < 200 < response[1], (response, service)
	END
}
