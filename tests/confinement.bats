#!/usr/bin/env bats
# Privileges of the processes of a running yodeld, according to /proc.

load lib/helpers

status_of() # PID KEY
{
	awk -v key="$2:" '$1 == key { $1 = ""; print substr($0, 2) }' "/proc/$1/status"
}

all_have() # KEY VALUE
{
	local pid
	for pid in $(worker_pids); do
		if [ "$(status_of "$pid" "$1")" != "$2" ]; then
			echo "worker $pid has $1 $(status_of "$pid" "$1"), not $2" >&2
			return 1
		fi
	done
}

answers()
{
	run "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" hello
	[ "$output" = "'HELLO'" ]
}

@test "workers hold no capability and cannot gain one" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	local set
	for set in CapInh CapPrm CapEff CapAmb; do
		all_have $set 0000000000000000
	done
	[ "$(id -u)" != 0 ] || all_have CapBnd 0000000000000000
	all_have NoNewPrivs 1
	answers
}

@test "workers run under a seccomp filter unless it is off" {
	local mode=2
	! has_sanitizer || mode=0 # it opens files and forks itself
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper
	all_have Seccomp $mode
	stop_yodeld
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper --set security.seccomp=off
	all_have Seccomp 0
	answers
}

@test "the master keeps only the capabilities that it needs" {
	[ "$(id -u)" = 0 ] || return 0
	start_yodeld --workers 1 --listen 127.0.0.1:0=upper
	local effective
	effective=$((16#$(status_of "$YODELD_PID" CapEff)))
	# CAP_NET_RAW 13, CAP_SYS_MODULE 16, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21
	[ $((effective & (1 << 13 | 1 << 16 | 1 << 19 | 1 << 21))) = 0 ]
	[ "$(status_of "$YODELD_PID" CapEff)" = "$(status_of "$YODELD_PID" CapBnd)" ]
}

@test "started as root, workers run as another user with its groups only" {
	[ "$(id -u)" = 0 ] || return 0
	local uid gid
	uid=$(id -u nobody) gid=$(id -g daemon)
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper --set user=nobody \
		--set group=daemon
	all_have Uid "$uid $uid $uid $uid"
	all_have Gid "$gid $gid $gid $gid"
	all_have CapBnd 0000000000000000
	[ "$(status_of "$YODELD_PID" Uid)" = "0 0 0 0" ]
	answers
}

@test "USR1 reopens the log also for workers, which may not open files" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=upper --set log.level=debug \
		--set "log.file=$PWD/yodeld.log"
	PORT=$(sed -nE 's/.*listening on .*:([0-9]+) \(.*/\1/p' yodeld.log)
	mv yodeld.log old
	kill -USR1 "$YODELD_PID"
	wait_until test -e yodeld.log
	a_worker_has_logged()
	{
		"$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" hello
		grep -qE 'worker [01]: connection .* closed: peer_closed' yodeld.log
	}
	wait_until a_worker_has_logged
	run ! grep -q 'killed\|signal' old yodeld.log
}
