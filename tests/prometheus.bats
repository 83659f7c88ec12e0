#!/usr/bin/env bats
# run-checks: without sanitizer
# A Prometheus with the shipped rules scrapes a yodeld; the metrics that the rules and the
# dashboard query exist.

load lib/helpers
load lib/certificates
load lib/supervision

SHIPPED=$BATS_TEST_DIRNAME/../packaging/prometheus
CHECK=$BATS_TEST_DIRNAME/check-expressions

setup()
{
	cd "$BATS_TEST_TMPDIR" || return 1
	needs command prometheus
	needs command promtool
}

# Starts a yodeld with two workers and a Prometheus with the shipped configuration (but a
# shorter scrape interval). Sets QUERIES, the address of Prometheus.
start_both()
{
	make_self_signed server localhost
	start_yodeld --workers 2 --set admin.address=127.0.0.1:0 --set "admin.socket=$PWD/admin_socket" \
		--set 'listeners=[{"address": "127.0.0.1:0", "reply": "echo"}, {"address": "127.0.0.1:0",
			"tls": {"certificate": "server.pem", "key": "server.key"}}]'
	local target
	target=$(sed -nE 's|.*admin: http://([^ ]*) .*|\1|p' "$YODELD_LOG")
	cp "$SHIPPED/yodeld.rules.yml" .
	sed "s/: 15s/: 1s/; s/127\.0\.0\.1:9601/$target/" "$SHIPPED/prometheus.yml" >prometheus.yml
	spawn prometheus prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb \
		--web.listen-address=127.0.0.1:0
	wait_until -t 60 grep -q 'ready to receive web requests' prometheus.log
	QUERIES=http://$(sed -nE 's/.*msg="Listening on" address=([^ ]*).*/\1/p' prometheus.log)
	wait_until answers 'up{job="yodeld"}' 1
}

query() # EXPRESSION: prints the values, one per line
{
	promtool query instant "$QUERIES" "$1" | sed -E 's/.*=> ([^ ]*) @.*/\1/'
}

answers() # EXPRESSION VALUE
{
	[ "$(query "$1")" = "$2" ]
}

@test "promtool accepts the rules, their tests and the configuration" {
	run -0 promtool check config "$SHIPPED/prometheus.yml"
	run -0 promtool test rules "$SHIPPED/yodeld.rules.test.yml"
}

@test "each alert fires in a test" {
	local alert
	while read -r alert; do
		grep -A3 -- "- alertname: $alert$" "$SHIPPED/yodeld.rules.test.yml" |
			grep -q exp_alerts || {
			echo "$alert never fires"
			return 1
		}
	done < <(sed -n 's/.*- alert: //p' "$SHIPPED/yodeld.rules.yml")
}

@test "Prometheus has the counts that were sent" {
	start_both
	run -0 "$YODEL" -q -c 100 -n 30 --size 50 "127.0.0.1:$PORT"
	wait_until answers 'sum(yodeld_messages_received_total)' 3000
	wait_until answers 'sum(yodeld_bytes_sent_total)' 150000
	wait_until answers 'sum(yodeld_connections_closed_total{reason="peer_closed"})' 100
	[ "$(query 'sum(yodeld_connections_open)')" = 0 ]
	[ "$(query 'yodeld_workers_serving')" = 2 ]
	[ "$(query 'count(yodeld_messages_received_total)')" = 2 ]
}

@test "the dashboard and the rules query existing metrics only" {
	start_both
	spawn load "$YODEL" -q -c 20 -d 5m --interval 100ms --messages-per-connection 5 "127.0.0.1:$PORT"
	expressions_are_valid()
	{
		"$CHECK" "$QUERIES" "$SHIPPED/yodeld.dashboard.json" >expressions
	}
	wait_until -t 60 expressions_are_valid || { cat expressions; false; }
	# A wrong metric or label name is detected.
	sed 's/yodeld_workers_serving/yodeld_worker_serving/; s/{{reason}}/{{cause}}/' \
		"$SHIPPED/yodeld.dashboard.json" >wrong.json
	run -1 "$CHECK" "$QUERIES" wrong.json
	[[ $output = *'no series: yodeld_worker_serving'*'have no label cause'* ]]
}

@test "the panels of the dashboard have unique ids and do not overlap" {
	python3 - "$SHIPPED/yodeld.dashboard.json" <<-'END'
		import json, sys
		panels = json.load(open(sys.argv[1]))["panels"]
		assert len({p["id"] for p in panels}) == len(panels)
		taken = set()
		for panel in panels:
		    at = panel["gridPos"]
		    cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
		             for y in range(at["y"], at["y"] + at["h"])}
		    assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
		    taken |= cells
	END
}

@test "a crash loop and a failed reload raise alerts in a real Prometheus" {
	start_both
	# The back-off that follows, about 6 s, is longer than a scrape interval.
	kill_until_logged 'failure 8 in a row' "$(worker_pids | head -n 1)"
	crash_loop_is_seen()
	{
		[ -n "$(query 'ALERTS{alertname="YodeldWorkerCrashLoop", alertstate="firing"}')" ]
	}
	wait_until crash_loop_is_seen
	run -1 "$BUILD/yodelctl" -s admin_socket scale 0
	wait_until answers 'ALERTS{alertname="YodeldChangeFailed", alertstate="pending"}' 1
}
