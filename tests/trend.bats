#!/usr/bin/env bats
#
# yodel trend: results of many runs over time.
# shellcheck disable=SC2154 # run sets stderr

load lib/helpers

# Results of 30 nights in the folder results, made of one run: 100,000 messages/s, from run
# CHANGE on 82,000; from there on connections are lost.
make_history() # [CHANGE [LATEST_RATE]]
{
	start_yodeld --listen 127.0.0.1:0
	"$YODEL" -q --json run.json --label arch=x86 -c 4 -d 500ms "127.0.0.1:$PORT"
	mkdir -p results
	python3 - "${1:-31}" "${2:-0}" <<-'END'
		import json, random, sys
		random.seed(5)
		change, latest = int(sys.argv[1]), float(sys.argv[2])
		r = json.load(open("run.json"))
		r["trust"] = {"verdict": "valid", "reasons": []}
		for run in range(1, 31):
		    rate = 100000 if run < change else 82000
		    r["rates"]["messages_per_s"] = rate * random.gauss(1, 0.02)
		    r["messages_per_s_interval95"] = {"low": 0, "high": r["rates"]["messages_per_s"] + 1000}
		    r["connections"]["lost"] = 0 if run < change else random.randrange(3, 9)
		    r["started_at"] = "2026-11-%02dT02:00:00.000000000Z" % run
		    if run == 30 and latest:
		        r["rates"]["messages_per_s"] = latest
		        r["messages_per_s_interval95"]["high"] = latest + 1000
		    json.dump(r, open(f"results/{run}.json", "w"))
	END
}

@test "unchanged runs show no change, and the latest is not worse" {
	make_history
	run -0 "$YODEL" trend --fail-worse results
	[[ ${lines[0]} = "30 runs, 2026-11-01 02:00 to 2026-11-30 02:00 (UTC)" ]]
	[[ $output = *"no change"* && $output = *"at most 1 in 200 unchanged figures"* ]]
	if grep -E 'WORSE|better|^.{81}' <<<"$output"; then false; fi
}

@test "what is no file in a folder of results is left out" {
	make_history
	mkfifo results/pipe.json
	mkdir results/folder.json
	run -0 timeout 20 "$YODEL" trend results
	[[ $output == *"results/pipe.json: left out: not a file"* && $output == *"results/folder.json: left out: not a file"* ]]
	[[ $output == *"30 runs, "* ]]
	run -66 "$YODEL" report results/folder.json
	[[ $output == "yodel report: results/folder.json: Is a directory" ]]
}

@test "an interim result is no run" {
	make_history
	python3 -c 'import json; r = json.load(open("results/30.json")); r["running"] = True; json.dump(r, open("results/31.json", "w"))'
	run -0 "$YODEL" trend results
	[[ $output == *"results/31.json: left out: an interim result, its run was going on"* ]]
	[[ $output == *"30 runs, "* ]]
	run -3 "$YODEL" trend -q --fail-worse results
	run -0 "$YODEL" compare results/30.json results/31.json
	[[ $output == *"new run 1 is an interim result: its run was going on"* ]]
}

@test "a change is found with its place, its levels and its file" {
	make_history 21
	run -0 "$YODEL" trend results
	[[ $output =~ "messages/s: "(99|100),[0-9]+" -> "8[123],[0-9]+" (-1"[78].[0-9]" %) from run 21, 2026-11-21 02:00 (results/21.json)" ]]
	[[ $output =~ "connections lost: 0 -> "[3-8]" (-) from run 21" ]]
}

@test "a latest run that is worse by more than noise fails" {
	make_history 31 80000
	run -99 "$YODEL" trend --fail-worse results
	[[ $output =~ "messages/s "+[0-9,]+" "+80,000" "+79,000" "+81,000" "+-[0-9.]+" % WORSE" ]]
	[[ $output =~ "lost "+0" "+0" "+-" "+-" "+-" noise" ]]
	run -0 "$YODEL" trend results
	rm results/30.json
	run -0 "$YODEL" trend --fail-worse results
}

@test "runs are grouped by their labels" {
	make_history
	python3 - <<-'END'
		import json
		for run in range(1, 31):
		    name = f"results/{run}.json"
		    r = json.load(open(name))
		    r["labels"]["arch"] = "arm" if run % 3 == 0 else "x86"
		    r["plan"]["connections"] = 4 if run % 3 else 8
		    json.dump(r, open(name, "w"))
	END
	run -0 "$YODEL" trend --by arch results
	[[ $output = *"arch=x86: 20 runs, "*"arch=arm: 10 runs, "* ]]
	[[ $output != *"plans differ"* && $output != *"labels differ"* ]]
	run -0 "$YODEL" trend results
	[[ $output = *"plans differ:"*"connections: 4 (20 runs), 8 (10 runs)"* ]]
	[[ $output = *"labels differ (--by KEY makes groups of runs):"*"arch: x86 (20 runs), arm (10 runs)" ]]
	run -64 "$YODEL" trend --by none results
	[ "$output" = 'yodel trend: --by: no result has the label "none"' ]
	run -64 "$YODEL" trend --by '' results
}

@test "a latest result that is invalid or damaged fails" {
	make_history
	sed -i 's/"verdict": "valid", "reasons": \[\]/"verdict": "invalid", "reasons": ["busy"]/' results/30.json
	run -3 --separate-stderr "$YODEL" trend -q --fail-worse results
	[[ $stderr = *"yodel trend: results/30.json: cannot judge the latest run: its result was left out" ]]
	run -0 "$YODEL" trend -q results
	: >results/30.json
	touch -d 2026-11-30T03:00Z results/30.json
	run -3 --separate-stderr "$YODEL" trend -q --fail-worse results
	[[ $stderr = *"results/30.json: left out: line 1, "*"results/30.json: cannot judge "* ]]
	# A later run has been judged, or the file is something else.
	touch -d 2026-11-28T03:00Z results/30.json
	ln -s none results/31.json
	touch -h -d 2026-11-28T03:00Z results/31.json
	echo '{ "schema": "yodel.survey/1" }' >results/survey.json
	run -0 --separate-stderr "$YODEL" trend --fail-worse results
	[[ ${lines[0]} = "29 runs, "* && $stderr = *"results/31.json: left out: No such file or directory"* ]]
}

@test "a run counts once" {
	make_history
	cp results/3.json copy.json
	"$YODEL" merge -q -o merged.json results/4.json results/5.json
	python3 -c 'import json; r = json.load(open("merged.json")); r["trust"] = {"verdict": "valid", "reasons": []}; json.dump(r, open("merged.json", "w"))'
	run -0 --separate-stderr "$YODEL" trend results copy.json results/30.json
	[[ ${lines[0]} = "30 runs, "* ]]
	[[ $stderr = *"results/30.json: its run was already added and counts once"* ]]
	[ "$(grep -c 'counts once' <<<"$stderr")" = 2 ]
	run -0 --separate-stderr "$YODEL" trend results merged.json
	[[ ${lines[0]} = "29 runs, "* && $stderr = *"results/4.json: its run"*"results/5.json: its run"* ]]
}

@test "the page of a trend has a chart for each figure that varies, and no external resource" {
	make_history 21
	run -0 "$YODEL" trend -q -o trend.html results
	[ -z "$output" ]
	# The figures of the same run 30 times need no chart.
	[ "$(grep -o '<h3>[^<]*</h3>' trend.html)" = $'<h3>Changes</h3>\n<h3>messages/s</h3>\n<h3>connections lost</h3>\n<h3>Runs</h3>' ]
	[ "$(grep -c '<svg [^>]*role="img"' trend.html)" = 2 ]
	grep -q '<p>The same in all runs: lost 0; .*response mean [0-9.]* [mu]*s; ' trend.html
	if grep 'same in all runs: .*\(messages/s\|connections lost\)' trend.html; then false; fi
	grep -q 'connections lost: 0 -&gt;' trend.html
	[ "$(grep -c '<tr><td>[0-9]*</td><td>2026' trend.html)" = 30 ]
	if grep -E '(src|href)="?(http|//)' trend.html; then false; fi
	needs command chromium
	run -0 node "$BATS_TEST_DIRNAME/lib/browser.js" "file://$PWD/trend.html" --eval "$(are_aligned .chart .axis)"
	[ "$output" = true ]
	run -0 "$YODEL" trend -o - results
	[[ ${lines[0]} = '<!doctype html>' ]]
}

@test "results that cannot be used are named" {
	make_history
	echo '{}' >results/other.json
	python3 - <<-'END'
		import json
		r = json.load(open("results/1.json"))
		r["trust"] = {"verdict": "invalid", "reasons": ["the client was busy"]}
		json.dump(r, open("results/1.json", "w"))
	END
	run -0 --separate-stderr "$YODEL" trend results
	[[ ${lines[0]} = "29 runs, "* ]]
	[[ $stderr = *"results/other.json: left out: "* ]]
	[[ $stderr = *"results/1.json: left out: the result is invalid (the client was busy)"* ]]
	run -0 "$YODEL" trend -q --fail-worse results
	run -65 --separate-stderr "$YODEL" trend results/other.json
	[[ $stderr = "yodel trend: results/other.json: "* ]]
	run -66 --separate-stderr "$YODEL" trend none
	[ "$stderr" = "yodel trend: none: No such file or directory" ]
	run -65 --separate-stderr "$YODEL" trend results/1.json
	[[ $stderr = *"found no valid result, expected at least one" ]]
	run -71 --separate-stderr "$YODEL" trend -o none/page.html results
	[[ $stderr = *"yodel trend: none/page.html: No such file or directory" ]]
}
