#!/usr/bin/env bats
# run-checks: alone
# One load from several machines: hosts with networks and names of their own (namespaces,
# gone with the process that holds them) under GNU parallel; Slurm and Open MPI here.
# shellcheck disable=SC2030,SC2031,SC2154 # each test its own PATH; run sets stderr

load lib/helpers

PACKAGING=$BATS_TEST_DIRNAME/../packaging
SERVER=10.77.0.1

# True when the Python expression holds of all.json (r) and of the ranks' results (parts);
# rows(h) are the rows of a histogram by a reader that is not ours.
merged_says() # EXPRESSION
{
	python3 - "$BATS_TEST_DIRNAME/lib" "$1" <<-'END'
		import collections, glob, json, sys
		sys.path.insert(0, sys.argv[1])
		from check_histograms import decode, percentile
		def rows(latency):
		    return collections.Counter({(a, b): n for a, b, n in decode(latency["hdr"])})
		r = json.load(open("all.json"))
		parts = [json.load(open(name)) for name in sorted(glob.glob("[0-9]*.json"))]
		assert eval(f"({sys.argv[2]})"), f"not so: {sys.argv[2]}"
	END
}

# What holds of any merged result: it is the sum of its parts, count by count.
merged_exactly()
{
	node "$BATS_TEST_DIRNAME/lib/check_result.js" all.json [0-9]*.json
	merged_says 'all(r[a][b] == sum(p[a][b] for p in parts) for a, b in (
		("messages", "sent"), ("messages", "verified"), ("messages", "due"),
		("connections", "requested"), ("connections", "established"),
		("bytes", "sent"), ("bytes", "received")))'
	merged_says 'all(rows(h) == sum((rows(p["latency"][name]) for p in parts),
		collections.Counter()) for name, h in r["latency"].items())'
	merged_says 'all(h["min_ns"] == min(l) and h["max_ns"] == max(m)
		for name, h in r["latency"].items() if h["count"]
		for l, m in [([p["latency"][name]["min_ns"] for p in parts if p["latency"][name]["count"]],
			[p["latency"][name]["max_ns"] for p in parts])])'
	# The 99th percentile is that of the sum, and each rank keeps its own.
	merged_says 'r["latency"]["response"]["p99_ns"] == min(r["latency"]["response"]["max_ns"],
		percentile(decode(r["latency"]["response"]["hdr"]), 99))'
	merged_says '{k["rank"]: (k["p99_ns"], k["messages"]) for k in r["ranks"]} ==
		{p["plan"]["rank"]: (p["latency"]["response"]["p99_ns"],
			{k: v for k, v in p["messages"].items() if k in
			("sent", "verified", "wrong", "lost", "in_flight")}) for p in parts}'
}

# A machine: a network and a name of its own. Runs there: on NAME COMMAND [ARG...]
start_host() # NAME
{
	spawn "$1" unshare -n -u sleep 600
	has_own()
	{
		[ "$(readlink "/proc/$SPAWNED/ns/net")" != "$(readlink /proc/self/ns/net)" ] &&
			[ "$(readlink "/proc/$SPAWNED/ns/uts")" != "$(readlink /proc/self/ns/uts)" ]
	}
	wait_until has_own
	on "$1" hostname "$1"
	on "$1" ip link set lo up
}

on()
{
	local host=$1
	shift
	nsenter -n -u -t "$(<"$host.pid")" "$@"
}

# The server and three callers, a wire from each of them to it.
start_network()
{
	local i
	[ "$(id -u)" = 0 ] || skip "networks of their own need root"
	start_host server
	on server ip address add $SERVER/32 dev lo
	for i in 0 1 2; do
		start_host "host$i"
		on server ip link add "wire$i" type veth peer name wire netns "$(<"host$i.pid")"
		on server ip address add 10.7.$i.1/30 dev "wire$i"
		on server ip link set "wire$i" up
		on "host$i" ip address add 10.7.$i.2/30 dev wire
		on "host$i" ip link set wire up
		on "host$i" ip route add default via 10.7.$i.1
	done
	YODELD_RUN="nsenter -n -u -t $(<server.pid)" start_yodeld_at \
		'"address": "'$SERVER':0", "reply": "upper", "framing": "line"'
	# What GNU parallel takes for ssh: host NAME, then a command for its shell.
	cat >into <<-'END'
		#!/bin/bash
		while [[ $1 = -* ]]; do shift; done
		host=$1
		shift
		[ "$1" != -- ] || shift
		exec nsenter -n -u -t "$(<"$HOSTS/$host.pid")" bash -c "$*"
	END
	chmod +x into
	export HOSTS=$PWD
}

start_yodeld_at() # KEYS
{
	printf '{ "listeners": [ { %s } ] }\n' "$1" >listener.json
	start_yodeld -c listener.json -w 2 --set "admin.socket=$PWD/control.sock"
}

# The line of the README: each host is one rank, and all begin at one time.
call_from_all() # [ARG...]
{
	# Without $SHELL it guesses one for the far side, and a wrong guess runs nothing at all.
	SHELL=/bin/bash parallel --will-cite --ssh "$PWD/into" -S 1/host0,1/host1,1/host2 -j 1 --workdir "$PWD" \
		"$YODEL" -q --rank '{}/3' --start-at "@$((EPOCHSECONDS + 6))" --json '{}.json' \
		"$@" "$SERVER:$PORT" ::: 0 1 2
}

@test "three hosts under GNU parallel are one load, and their results one result" {
	start_network
	call_from_all -c 91 -R 3k -n 60 --size 1:200 --framing line
	run -0 "$YODEL" merge -o all.json --threshold 'p99<10s' 2.json 0.json 1.json
	[[ $output = *"5,460 sent = 5,460 verified"* && $output = *host2* ]]
	merged_exactly
	merged_says 'r["connections"]["established"] == 91 and r["plan"]["rate"] == 3000'
	merged_says '[p["connections"]["requested"] for p in parts] == [31, 30, 30]'
	merged_says '{k["hostname"] for k in r["ranks"]} == {"host0", "host1", "host2"}'
	# All began at the same moment, a second as it was asked for.
	merged_says 'len({p["started_at"] for p in parts}) == 1 and
		parts[0]["started_at"].endswith(".000000000Z")'
	# The server saw the same: no connection and no message but these.
	"$BUILD/yodelctl" -s control.sock --json stats >stats.json
	merged_says '(lambda t: t["connections_accepted"] == 91 and t["messages_received"] == 5460
		and t["bytes_received"] == r["bytes"]["sent"])(json.load(open("stats.json"))["totals"])'
	run -99 "$YODEL" merge -q --threshold 'p99<1us' 0.json 1.json 2.json
}

four_hundred_are_read()
{
	"$BUILD/yodelctl" -s control.sock --json stats |
		python3 -c 'import json, sys
sys.exit(json.load(sys.stdin)["totals"]["messages_received"] < 400)'
}

@test "packets that are lost on the way from one host are found in its figures" {
	start_network
	call_from_all -c 30 -R 600 -d 4s --framing line --size 64 &
	local calls=$!
	wait_until four_hundred_are_read
	# For half a second it sends to an address that nobody has on that wire.
	on host1 ip neigh replace 10.7.1.1 lladdr 02:00:00:00:00:01 dev wire nud permanent
	sleep 0.5
	on host1 ip neigh del 10.7.1.1 dev wire
	wait $calls
	run -0 "$YODEL" merge -o all.json 0.json 1.json 2.json
	merged_exactly
	merged_says 'r["messages"]["verified"] == r["messages"]["due"] == 2400'
	# GNU parallel chooses which host is which rank.
	merged_says '{p["host"]["hostname"]: p["host"]["retransmits"] > 5 for p in parts} ==
		{"host0": False, "host1": True, "host2": False}'
	merged_says 'next(k["max_ns"] for k in r["ranks"] if k["hostname"] == "host1") > 400e6'
	[[ $output = *"(host1) is "*"were sent again: packets were lost"* ]]
}

@test "packets that are lost on the way back are found in the ledger of the server" {
	start_network
	spawn load on host1 "$YODEL" -c 30 -R 600 -d 3s --framing line --size 64 --json 1.json \
		--ledger "unix:$PWD/control.sock" "$SERVER:$PORT"
	local load=$SPAWNED again
	wait_until four_hundred_are_read
	on server ip neigh replace 10.7.1.2 lladdr 02:00:00:00:00:01 dev wire1 nud permanent
	sleep 0.5
	on server ip neigh del 10.7.1.2 dev wire1
	wait "$load"
	again=$(python3 -c 'import json
print(json.load(open("1.json"))["ledger"]["server"]["retransmits"])')
	[ "$again" -gt 5 ]
	grep -q "the ledgers agree; its host sent $again segments again" load.out
}

# Slurm of one node on this machine, as this user, with nothing of the system's.
start_slurm()
{
	local host control node
	command -v slurmctld >/dev/null || skip "no Slurm"
	[ "$(id -u)" = 0 ] || skip "a slurmd of one's own needs root"
	host=$(hostname -s)
	mkdir state spool
	control=$(free_port)
	node=$(free_port)
	cat >slurm.conf <<-END
		ClusterName=yodel
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$control
		SlurmdPort=$node
		SlurmUser=root
		AuthType=auth/none
		CredType=cred/none
		StateSaveLocation=$PWD/state
		SlurmdSpoolDir=$PWD/spool
		SlurmctldPidFile=$PWD/slurmctld.at
		SlurmdPidFile=$PWD/slurmd.at
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		MpiDefault=none
		ReturnToService=2
		SelectType=select/linear
		SlurmdParameters=config_overrides
		NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
		PartitionName=test Nodes=ALL Default=YES State=UP
	END
	# Nothing here uses cgroups, and yet slurmd would end where none are mounted: left to
	# itself it looks there for their version. ("disabled" is unknown before 23.02.)
	echo CgroupPlugin=cgroup/v1 >cgroup.conf
	export SLURM_CONF=$PWD/slurm.conf
	spawn slurmctld slurmctld -D
	spawn slurmd slurmd -D
	is_idle() { [ "$(sinfo -h -o %t)" = idle ]; }
	wait_until -t 60 is_idle
}

@test "the batch script of Slurm: four tasks are four ranks, merged" {
	start_slurm
	start_yodeld --listen 127.0.0.1:0=upper
	export PATH=$BUILD:$PATH RESULTS=$PWD LEAD=6
	sbatch --ntasks=4 --ntasks-per-node=4 --nodes=1 -o job.out "$PACKAGING/slurm/yodel.sbatch" \
		-c 30 -R 400 -d 1s --size 64 "127.0.0.1:$PORT"
	no_job_is_left() { [ -z "$(squeue -h)" ]; }
	wait_until -t 120 no_job_is_left
	cat job.out
	grep -q 'trust ' job.out
	[ -s all.html ]
	merged_exactly
	merged_says '[p["plan"]["rank"] for p in parts] == [0, 1, 2, 3]'
	merged_says '[p["connections"]["requested"] for p in parts] == [8, 8, 7, 7]'
	merged_says 'r["messages"]["verified"] == r["messages"]["due"] == 400'
	merged_says 'len({p["started_at"] for p in parts}) == 1'
}

@test "under Open MPI each process is a rank" {
	PATH=$PATH:/usr/lib64/openmpi/bin # where Fedora has it
	command -v mpirun >/dev/null || skip "no Open MPI"
	start_yodeld --listen 127.0.0.1:0=upper
	# shellcheck disable=SC2016 # expanded by each process
	mpirun --allow-run-as-root --oversubscribe -n 3 sh -c \
		'exec "$0" -q --json "$OMPI_COMM_WORLD_RANK.json" "$@"' \
		"$YODEL" -c 10 -n 30 --size 1:100 "127.0.0.1:$PORT"
	run -0 "$YODEL" merge -o all.json 0.json 1.json 2.json
	merged_exactly
	merged_says '[p["connections"]["requested"] for p in parts] == [4, 3, 3]'
	merged_says 'r["messages"]["verified"] == 300'
}
