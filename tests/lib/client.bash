# shellcheck shell=bash
# client.bash - shared by the bats tests of yodel: `load lib/client`, after lib/helpers.

# Runs yodel; its result is in result.json.
run_yodel() # [ARG...]
{
	run --separate-stderr timeout 120 "$YODEL" --json result.json "$@"
	# shellcheck disable=SC2154 # set by run
	printf '%s\n' "$output" "$stderr"
}

# True when the Python expression is true. Its variables are parts of result.json: r the
# result, m its messages, c its connections, t its latencies.
result_matches() # EXPRESSION
{
	python3 - "$1" <<-'END'
		import json, sys
		r = json.load(open("result.json"))
		m, c, t = r["messages"], r["connections"], r["latency"]
		for one in t.values(): del one["hdr"] # unreadable in the message below
		lost = sum(m["lost"].values())
		assert m["sent"] == m["verified"] + m["wrong"] + lost + m["in_flight"], m
		assert eval(sys.argv[1]), f"false: {sys.argv[1]}: {m} {c} {t}"
	END
}
