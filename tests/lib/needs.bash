# shellcheck shell=bash
# needs.bash - requirements of a test on the machine, beyond those of the build.
#
# A test or the setup of its file declares them: `needs WHAT [ARG]`
#   needs root              effective user id 0
#   needs descriptors N     a hard limit of at least N open files
#   needs command NAME      a program in PATH
#   needs python MODULE     a module of the system's Python
#   needs kernel FEATURE    mptcp, memory-controller, cgroup-limits, namespaces, conntrack, netem,
#                           ktls, or
#                           initial-netns (this is the first network namespace, with all its
#                           sysctls)
# Where one is missing, the test is skipped with the reason. tests/run-checks lists these
# tests before it starts. In CI only kernel features may be missing.

# Prints the reason if the machine lacks it, otherwise nothing.
missing() # WHAT [ARG]
{
	case $1 in
	root) [ "$(id -u)" = 0 ] || echo "needs root" ;;
	descriptors)
		local limit
		limit=$(ulimit -Hn)
		[ "$limit" = unlimited ] || [ "$limit" -ge "$2" ] ||
			echo "needs $2 open files, the hard limit is $limit"
		;;
	command) command -v "$2" >/dev/null || echo "needs the program $2" ;;
	python) /usr/bin/python3 -c "import $2" 2>/dev/null || echo "needs the Python module $2" ;;
	kernel) has_kernel_feature "$2" || echo "kernel: $2 not available" ;;
	*) echo "tests/lib/needs.bash: found \"$1\", expected root, descriptors, command, python or kernel" ;;
	esac
}

has_kernel_feature() # FEATURE
{
	case $1 in
	mptcp) [ "$(cat /proc/sys/net/mptcp/enabled 2>/dev/null)" = 1 ] ;;
	memory-controller) grep -qs '\bmemory\b' /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/*/cgroup.controllers ;;
	cgroup-limits) "$(dirname "${BASH_SOURCE[0]}")/in_cgroup" 1000000000 2000 true 2>/dev/null ;;
	namespaces) unshare --mount --net --pid --fork --kill-child true 2>/dev/null ;;
	conntrack) [ -e /proc/sys/net/netfilter/nf_conntrack_max ] ;;
	netem) unshare -n tc qdisc add dev lo root netem delay 1ms 2>/dev/null ;;
	initial-netns) [ -e /proc/sys/net/ipv4/tcp_mem ] ;;
	ktls) grep -qs '\btls\b' /proc/sys/net/ipv4/tcp_available_ulp ;;
	*) return 1 ;;
	esac
}

# Skips the current test, with the reason, if the requirement is not met.
needs() # WHAT [ARG]
{
	local reason
	reason=$(missing "$@")
	[ -z "$reason" ] || skip "$reason"
}

# Prints "FILE: TEST: REASON" for each test in these bats files and C sources that this
# machine will skip.
list_skipped() # FILE...
{
	local file test what argument reason
	# shellcheck disable=SC2016 # an awk program
	awk '
	FNR == 1 { test = "all tests"; in_setup = 0 }
	/^@test "/ { test = $0; sub(/^@test "/, "", test); sub(/" \{$/, "", test) }
	/^(test_[a-z0-9_]+)\(/ { test = $0; sub(/\(.*/, "", test) }
	/^[ \t]+needs (root|descriptors|command|python|kernel)/ {
		print FILENAME "\t" test "\t" $2 "\t" $3
	}
	/^[ \t]+needs_(root|descriptors)\(/ {
		what = $1; sub(/^needs_/, "", what); number = what
		sub(/\(.*/, "", what); sub(/^[^(]*\(/, "", number); sub(/\).*/, "", number)
		print FILENAME "\t" test "\t" what "\t" number
	}' "$@" | while IFS=$'\t' read -r file test what argument; do
		reason=$(missing "$what" "$argument")
		[ -z "$reason" ] || printf '%s: %s: %s\n' "$file" "$test" "$reason"
	done
}
