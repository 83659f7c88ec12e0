# shellcheck shell=bash
# merged.bash - compares a merged result all.json with its parts 0.json, 1.json ...

# True when the Python expression is true for all.json (r) and the results of the ranks
# (parts); rows(h) reads the rows of a histogram independently of yodel's own code.
merged_matches() # EXPRESSION
{
	python3 - "$BATS_TEST_DIRNAME/lib" "$1" <<-'END'
		import collections, glob, json, sys
		sys.path.insert(0, sys.argv[1])
		from check_histograms import decode, percentile
		def rows(latency):
		    return collections.Counter({(a, b): n for a, b, n in decode(latency["hdr"])})
		r = json.load(open("all.json"))
		parts = [json.load(open(name)) for name in sorted(glob.glob("[0-9]*.json"))]
		assert eval(f"({sys.argv[2]})"), f"false: {sys.argv[2]}"
	END
}

# True when the merged result is the sum of its parts, count by count.
merged_exactly()
{
	node "$BATS_TEST_DIRNAME/lib/check_result.js" all.json [0-9]*.json
	merged_matches 'all(r[a][b] == sum(p[a][b] for p in parts) for a, b in (
		("messages", "sent"), ("messages", "verified"), ("messages", "due"),
		("connections", "requested"), ("connections", "established"),
		("bytes", "sent"), ("bytes", "received")))'
	merged_matches 'all(rows(h) == sum((rows(p["latency"][name]) for p in parts),
		collections.Counter()) for name, h in r["latency"].items())'
	merged_matches 'all(h["min_ns"] == min(l) and h["max_ns"] == max(m)
		for name, h in r["latency"].items() if h["count"]
		for l, m in [([p["latency"][name]["min_ns"] for p in parts if p["latency"][name]["count"]],
			[p["latency"][name]["max_ns"] for p in parts])])'
	# The 99th percentile is that of the sum, and each rank keeps its own.
	merged_matches 'r["latency"]["response"]["p99_ns"] == min(r["latency"]["response"]["max_ns"],
		percentile(decode(r["latency"]["response"]["hdr"]), 99))'
	merged_matches '{k["rank"]: (k["p99_ns"], k["messages"]) for k in r["ranks"]} ==
		{p["plan"]["rank"]: (p["latency"]["response"]["p99_ns"],
			{k: v for k, v in p["messages"].items() if k in
			("sent", "verified", "wrong", "lost", "in_flight")}) for p in parts}'
}
