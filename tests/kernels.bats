# Kernels of the supported systems (from Linux 4.18 on) and filters of containers: what newer
# kernels have is missing or denied.

load lib/helpers
load lib/admin

DENY=$BATS_TEST_DIRNAME/lib/deny_syscalls.py

# Prints the number of open descriptors of each worker.
worker_descriptors()
{
	local pid
	for pid in $(worker_pids); do open_descriptors "$pid"; done | tr '\n' ' '
}

# Starts, answers, reloads and stops without these system calls.
serves_without() # ERRNO CALLS [upgrade]
{
	echo "$1 $2"
	rm -f control.sock
	YODELD_RUN="$DENY $1 $2" start_yodeld -w 2 --set "admin.socket=$PWD/control.sock" \
		-l 127.0.0.1:0=echo
	for change in reload "${@:3}"; do
		"$BUILD/yodelctl" -s control.sock "$change"
		"$DENY" "$1" "$2" "$YODEL" -q -c 4 -R 1000 -n 20 "127.0.0.1:$PORT"
	done
	# Copies of other slots' sockets would be accept queues that no process serves.
	[ -z "${descriptors-}" ] || [ "$(worker_descriptors)" = "$descriptors" ]
	stop_yodeld
	! grep -E 'denied|cannot|error' yodeld.log
}

@test "runs without each system call that is newer than Linux 4.18" {
	start_yodeld -w 2 --set "admin.socket=$PWD/control.sock" -l 127.0.0.1:0=echo
	"$BUILD/yodelctl" -s control.sock reload
	descriptors=$(worker_descriptors)
	stop_yodeld
	local calls=(close_range epoll_pwait2 landlock_create_ruleset landlock_restrict_self pwritev2)
	local cases=("${calls[@]/#/ENOSYS }" "${calls[@]/#/EPERM }") error call
	# A few of them, others each time; all with LONG=1 (make check-long).
	while read -r error call; do
		serves_without "$error" "$call"
	done < <(printf '%s\n' "${cases[@]}" | shuf -n "$([ -n "${LONG-}" ] && echo 99 || echo 3)")
	# SO_DETACH_REUSEPORT_BPF
	serves_without ENOPROTOOPT setsockopt/2=68 upgrade
}

@test "runs without all system calls that are newer than Linux 4.18" {
	serves_without ENOSYS new upgrade
	serves_without EPERM new upgrade
}

@test "a start without a system call that it needs names it" {
	for call in memfd_create getrandom; do
		run -71 "$DENY" EPERM $call "$YODELD" -l 127.0.0.1:0
		[[ $output == *"$call"*"Operation not permitted"* ]]
	done
}
