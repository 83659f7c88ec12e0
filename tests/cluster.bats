#!/usr/bin/env bats
# One load from several ranks under Slurm and Open MPI, which run on this machine alone.
# Their packages start services: `make check-cluster` runs these tests, `make check` does not.
# shellcheck disable=SC2030,SC2031 # each test its own PATH

load lib/helpers
load lib/merged

PACKAGING=$BATS_TEST_DIRNAME/../packaging

# Starts Slurm with one node on this machine, as this user, without system configuration.
start_slurm()
{
	local host control node
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
	# No plugin here uses cgroups, but without this line slurmd detects their version and
	# exits if none are mounted. ("disabled" is unknown before 23.02.)
	echo CgroupPlugin=cgroup/v1 >cgroup.conf
	export SLURM_CONF=$PWD/slurm.conf
	spawn slurmctld slurmctld -D
	spawn slurmd slurmd -D
	is_idle() { [ "$(sinfo -h -o %t)" = idle ]; }
	wait_until -t 60 is_idle
}

@test "the batch script of Slurm: four tasks are four ranks, merged" {
	needs command slurmctld
	needs root
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
	merged_matches '[p["plan"]["rank"] for p in parts] == [0, 1, 2, 3]'
	merged_matches '[p["connections"]["requested"] for p in parts] == [8, 8, 7, 7]'
	merged_matches 'r["messages"]["verified"] == r["messages"]["due"] == 400'
	merged_matches 'len({p["started_at"] for p in parts}) == 1'
}

@test "under Open MPI each process is a rank" {
	PATH=$PATH:/usr/lib64/openmpi/bin # where Fedora has it
	needs command mpirun
	start_yodeld --listen 127.0.0.1:0=upper
	# shellcheck disable=SC2016 # expanded by each process
	mpirun --allow-run-as-root --oversubscribe -n 3 sh -c \
		'exec "$0" -q --json "$OMPI_COMM_WORLD_RANK.json" "$@"' \
		"$YODEL" -c 10 -n 30 --size 1:100 "127.0.0.1:$PORT"
	run -0 "$YODEL" merge -o all.json 0.json 1.json 2.json
	merged_exactly
	merged_matches '[p["connections"]["requested"] for p in parts] == [4, 3, 3]'
	merged_matches 'r["messages"]["verified"] == 300'
}
