#!/usr/bin/env bats
# run-checks: long
# Another program takes over while clients use the server: a working program, without a
# lost message; after a broken one the previous program continues.

# shellcheck disable=SC2030,SC2031 # each test has its own PORT
load lib/helpers
load lib/supervision

# A copy of the binary that can be replaced on disk.
start_own_copy() # ARG...
{
	mkdir -p bin
	cp "$YODELD" bin/yodeld
	YODELD=$PWD/bin/yodeld start_yodeld "$@"
}

# Replaces the file of the running program, as a package manager does.
replace_binary() # FILE
{
	cp "$1" bin/new
	mv bin/new bin/yodeld
}

runs_file() # FILE
{
	[ "$(stat -Lc %i "/proc/$YODELD_PID/exe")" = "$(stat -c %i "$1")" ]
}

# Replaces it by a shell script.
replace_with_script() # LINE...
{
	printf '%s\n' '#!/bin/sh' "$@" >script
	chmod +x script
	replace_binary script
}

REFUSED='upgrade refused, this program continues: .*/bin/yodeld --check failed'
RETURNED='upgrade failed, the previous program continues: the new one'

# The child process in which the new program performs its dry run.
dry_run_pid() # WORKERS
{
	comm -13 <(sort <<<"$1") <(worker_pids | sort)
}

dry_run_is_in_progress() # WORKERS
{
	local pid
	pid=$(dry_run_pid "$1")
	# It has executed the new program, and holds the sockets.
	[ -n "$pid" ] && ! [ "/proc/$pid/exe" -ef "/proc/$YODELD_PID/exe" ]
}

# The server's ledger agrees with the client to the last byte.
ledger_holds() # FILE
{
	python3 -c 'import json, sys
ledger = json.load(open(sys.argv[1]))["ledger"]
sys.exit(0 if ledger["consistent"] else str(ledger))' "$1"
}

@test "an upgrade runs the program on disk under the same process id without an error for any peer" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 --size 100:3000 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	for generation in 2 3 4; do
		replace_binary "$YODELD"
		change USR2 "upgrade: generation $generation serves with 2 workers"
		runs_file bin/yodeld
	done
	wait_for_worker_count 2
	[ -z "$(comm -12 <(sort <<<"$before") <(worker_pids | sort))" ]
	reload
	change TTIN 'scale: 3 workers serve'
	change TTOU 'scale: 2 workers serve'
	wait_for_worker_count 2
	end_load churn lasting
	never_reconnected lasting.json
}

@test "an upgrade to a broken program keeps the old one serving and says why" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	cp "$YODELD" not_executable
	chmod -x not_executable
	replace_binary not_executable
	change USR2 'upgrade refused, this program continues: .*: cannot execute it: Permission denied'
	printf '#!/bin/sh\necho "I do not like this file" >&2; exit 78\n' >failing
	chmod +x failing
	replace_binary failing
	change USR2 'upgrade refused, this program continues: .*: I do not like this file'
	# shellcheck disable=SC2016 # expanded by that shell
	printf '#!/bin/sh\nkill -SEGV $$\n' >crashing
	chmod +x crashing
	replace_binary crashing
	change USR2 'upgrade refused, this program continues: .*: signal 11'
	[ "$(worker_pids)" = "$before" ]
	replace_binary "$YODELD"
	change USR2 'upgrade: generation 2 serves'
	wait_for_worker_count 2
	end_load churn
}

@test "an upgrade whose workers die before they are ready falls back to the old program" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	cp bin/yodeld good
	for _ in 1 2; do
		local old
		old=$(stat -c %i bin/yodeld)
		replace_binary "$BUILD/tests/worker_exits_at_start"
		change USR2 'upgrade: returning to the previous program'
		wait_until logged 'upgrade failed, .*its workers exit before they are ready'
		previous_runs()
		{
			[ "$(stat -Lc %i "/proc/$YODELD_PID/exe")" = "$1" ]
		}
		wait_until previous_runs "$old"
		[ "$(times_logged 'cannot execute')" = 0 ]
		wait_for_worker_count 2
		# The next upgrade to a working program succeeds.
		replace_binary good
		change USR2 'upgrade: generation [0-9]+ serves with 2 workers'
		runs_file bin/yodeld
	done
	wait_for_worker_count 2
	end_load churn lasting
	never_reconnected lasting.json
}

@test "a program that exits with 0 without a dry run is refused, whatever it prints" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	start_load churn -c 8 --messages-per-connection 3 --ledger "unix:$PWD/admin_socket" "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	replace_binary "$(type -P true)"
	change USR2 "$REFUSED: exited without completing the dry run: not a yodeld that supports upgrades"
	replace_with_script 'exit 0'
	change USR2 "$REFUSED: exited without completing the dry run: not a yodeld that supports upgrades"
	# A --check without a dry run, and a program that prints the line without one.
	replace_with_script 'unset YODELD_DRY_RUN' "exec $YODELD \"\$@\""
	change USR2 "$REFUSED: exited without completing the dry run: not a yodeld that supports upgrades"
	replace_with_script "$YODELD \"\$@\"" \
		'echo "yodeld 0.1.0 passed the dry run of state 1 of pid 1"'
	change USR2 "$REFUSED: exited without completing the dry run: not a yodeld that supports upgrades"
	[ "$(worker_pids)" = "$before" ]
	# A wrapper that executes yodeld is accepted.
	replace_with_script 'echo wrapped' "exec $YODELD \"\$@\""
	change USR2 'upgrade: generation 2 serves with 2 workers'
	runs_file "$YODELD"
	wait_for_worker_count 2
	end_load churn
	ledger_holds churn.json
}

@test "a program that fails in the dry run is refused with its reason" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	# Another version of the upgrade state, another layout of the ledger.
	replace_binary "$BUILD/tests/state_version_mismatch"
	change USR2 "$REFUSED: upgrade state: version: found [0-9]+, expected 7"
	# Another version of the protocol by which connections move.
	replace_binary "$BUILD/tests/transfer_version_mismatch"
	change USR2 "$REFUSED: upgrade state: header.protocols: found \"channel [0-9]+, transfer [0-9]+\", expected \"channel [0-9]+, transfer 4095\": open connections cannot move"
	replace_binary "$BUILD/tests/ledger_layout_mismatch"
	change USR2 "$REFUSED: upgrade state: ledger: cannot be used"
	replace_binary "$BUILD/tests/upgrade_fails"
	echo 'dry_run crash' >UPGRADE_FAILS
	change USR2 "$REFUSED: (signal 11|AddressSanitizer)"
	echo 'dry_run exit' >UPGRADE_FAILS
	change USR2 "$REFUSED: exited without completing the dry run"
	echo 'dry_run fail' >UPGRADE_FAILS
	change USR2 "$REFUSED: cannot start: Cannot allocate memory"
	[ "$(worker_pids)" = "$before" ]
	rm UPGRADE_FAILS
	change USR2 'upgrade: generation 2 serves with 2 workers'
	runs_file bin/yodeld
	wait_for_worker_count 2
	end_load churn lasting
	never_reconnected lasting.json
}

@test "a program that hangs in the dry run is killed, with its children" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	replace_with_script "sleep 1000 & echo \$! >$PWD/sleeper" 'wait'
	change USR2 "$REFUSED: timed out after 10 s"
	wait_until has_ended "$(<sleeper)"
	# Children left by a successful dry run would also keep the sockets open.
	replace_with_script "if [ \"\$1\" = --check ]; then sleep 1000 & echo \$! >$PWD/sleeper; fi" \
		"exec $YODELD \"\$@\""
	change USR2 'upgrade: generation 2 serves with 2 workers'
	wait_until has_ended "$(<sleeper)"
	wait_for_worker_count 2
	[ -z "$(comm -12 <(sort <<<"$before") <(worker_pids | sort))" ]
	end_load churn
}

@test "scaling during a dry run loses no connection, and the upgrade follows" {
	write_config '"workers": 3'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	replace_binary "$BUILD/tests/upgrade_fails"
	echo 'dry_run hang' >UPGRADE_FAILS
	kill -USR2 "$YODELD_PID"
	wait_until dry_run_is_in_progress "$before"
	change TTOU 'scale: 2 workers serve'
	logged 'upgrade: another change interrupts the dry run'
	# No process has the closed socket open.
	wait_until has_sockets 2
	run -0 "$INDEPENDENT_CLIENT" burst "127.0.0.1:$PORT" 200
	[ "$output" = "answered 200, refused 0, reset 0, closed 0, silent 0" ]
	wait_until dry_run_is_in_progress "$before"
	# A reload interrupts the dry run in the same way.
	reload
	rm UPGRADE_FAILS
	wait_until logged 'upgrade: generation 3 serves with 3 workers'
	runs_file bin/yodeld
	wait_for_worker_count 3
	end_load churn
}

@test "a worker that dies during a dry run does not fail the upgrade" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	local before
	before=$(worker_pids)
	touch LATE
	replace_with_script "while [ -e $PWD/LATE ]; do sleep 0.02; done" "exec $YODELD \"\$@\""
	kill -USR2 "$YODELD_PID"
	wait_until dry_run_is_in_progress "$before"
	kill -KILL "$(head -1 <<<"$before")"
	wait_until logged 'worker [01] \(pid [0-9]+\): serving'
	rm LATE
	wait_until logged 'upgrade: generation 2 serves with 2 workers'
	run ! logged 'upgrade refused'
}

@test "a program file replaced during the dry run gets a dry run of its own" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	local before
	before=$(worker_pids)
	replace_binary "$BUILD/tests/upgrade_fails"
	echo 'dry_run hang' >UPGRADE_FAILS
	kill -USR2 "$YODELD_PID"
	wait_until dry_run_is_in_progress "$before"
	replace_with_script 'exit 0'
	rm UPGRADE_FAILS
	wait_until logged "$REFUSED: exited without completing the dry run"
	logged 'bin/yodeld has changed since the dry run'
	[ "$(worker_pids)" = "$before" ]
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "a dry run ends with the server, stopped or killed" {
	local signal before child
	for signal in TERM KILL; do
		PORT=
		write_config '"workers": 2'
		start_own_copy -c yodeld.json
		before=$(worker_pids)
		cp bin/yodeld good
		replace_binary "$BUILD/tests/upgrade_fails"
		echo 'dry_run hang' >UPGRADE_FAILS
		kill -USR2 "$YODELD_PID"
		wait_until dry_run_is_in_progress "$before"
		child=$(dry_run_pid "$before")
		kill -$signal "$YODELD_PID"
		wait_until has_ended "$YODELD_PID"
		# shellcheck disable=SC2086 # ids are words
		wait_until have_ended "$child" $before
	done
}

@test "a program that fails only in the takeover falls back to the previous one" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	start_load lasting -c 50 -p 4 --ledger "unix:$PWD/admin_socket" "127.0.0.1:$PORT"
	local before descriptors
	before=$(worker_pids)
	descriptors=$(open_descriptors "$YODELD_PID")
	as_many_descriptors() { [ "$(open_descriptors "$YODELD_PID")" -le "$descriptors" ]; }
	replace_binary "$BUILD/tests/upgrade_fails"
	takeover_fails() # HOW REASON
	{
		echo "takeover $1" >UPGRADE_FAILS
		run -1 "$BUILD/yodelctl" -s admin_socket upgrade
		[[ $output = "yodelctl: $RETURNED $2"* ]]
		[ "$(worker_pids)" = "$before" ]
		! runs_file bin/yodeld
	}
	takeover_fails crash 'crashed while starting'
	takeover_fails exit 'exited while starting'
	takeover_fails fail 'cannot start'
	takeover_fails hang 'did not start in time'
	[ "$(times_logged 'cannot execute')" = 0 ]
	rm UPGRADE_FAILS
	wait_until as_many_descriptors
	"$BUILD/yodelctl" -s admin_socket upgrade
	runs_file bin/yodeld
	wait_for_worker_count 2
	wait_until as_many_descriptors
	end_load lasting
	never_reconnected lasting.json
	ledger_holds lasting.json
}

@test "a program that cannot read the state in the takeover falls back to the previous one" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	local before
	before=$(worker_pids)
	cp "$YODELD" good
	# Its dry run passes; then another build takes over, which expects another version.
	# shellcheck disable=SC2016 # expanded by the script
	replace_with_script '[ "$1" != --check ] || exec '"$PWD"'/good "$@"' \
		"exec $BUILD/tests/state_version_mismatch"' "$@"'
	run -1 "$BUILD/yodelctl" -s admin_socket upgrade
	[[ $output = "yodelctl: $RETURNED cannot start"* ]]
	logged 'upgrade state: version: found [0-9]+, expected 7'
	[ "$(worker_pids)" = "$before" ]
	end_load lasting
	never_reconnected lasting.json
}

@test "a new program that hangs is killed by SIGALRM, and its workers answer and exit" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	local before status=0
	before=$(worker_pids)
	# Its dry run passes.
	replace_with_script "[ \"\$1\" != --check ] || exec $YODELD \"\$@\"" 'exec sleep 1000'
	kill -USR2 "$YODELD_PID"
	wait_until logged 'upgrade: executing .*bin/yodeld'
	wait "$YODELD_PID" || status=$?
	[ $status = $((128 + $(kill -l ALRM))) ]
	# shellcheck disable=SC2086 # ids are words
	wait_until have_ended $before
	# The address is free again.
	start_yodeld -c yodeld.json
}

@test "an upgraded server does not remove a socket file that another server owns" {
	write_config '"workers": 1'
	start_own_copy -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	rm admin_socket
	spawn other "$YODELD" -w 1 -l 127.0.0.1:0 --set "admin.socket=$PWD/admin_socket"
	wait_until grep -q ': ready: ' other.log
	change USR2 'upgrade failed, .*: admin: another process listens on .*/admin_socket'
	wait_until logged 'upgrade: returning to the previous program'
	stop_yodeld TERM
	"$BUILD/yodelctl" -s admin_socket status
}

@test "an upgraded server removes its own socket file" {
	write_config '"workers": 1'
	start_own_copy -c yodeld.json --set "admin.socket=$PWD/admin_socket"
	change USR2 'upgrade: generation 2 serves with 1 worker'
	change USR2 'upgrade: generation 3 serves with 1 worker'
	"$BUILD/yodelctl" -s admin_socket reload
	stop_yodeld TERM
	[ ! -e admin_socket ]
}

@test "after a rollback the next upgrade runs the program at the original path" {
	write_config '"workers": 1'
	start_own_copy -c yodeld.json
	mv bin/yodeld bin/yodeld.old
	cp "$BUILD/tests/worker_exits_at_start" bin/yodeld
	change USR2 'upgrade: returning to the previous program'
	wait_until runs_file bin/yodeld.old
	wait_until logged 'upgrade failed, generation 1 continues'
	replace_binary "$BUILD/yodeld"
	change USR2 'upgrade: generation 2 serves'
	runs_file bin/yodeld
}

# Two releases, each with a program and a configuration with its number of workers; "current"
# leads to the first.
make_releases()
{
	local release
	for release in 1 2; do
		mkdir -p releases/$release
		cp "$YODELD" releases/$release/yodeld
		write_config "\"workers\": $release"
		mv yodeld.json releases/$release/y.json
	done
	ln -s releases/1 current
}

# Switches the link to each release in turn; upgrade and reload find it there.
follow_the_link()
{
	local release
	for release in 2 1; do
		ln -sfn releases/$release current
		run -0 "$BUILD/yodelctl" -s "$ROOT/admin_socket" upgrade
		[[ $output = *": $ROOT/current/yodeld (file $ROOT/releases/$release/yodeld), version "* ]]
		logged "upgrade: generation .*: $ROOT/current/yodeld \(file $ROOT/releases/$release/yodeld\)"
		runs_file releases/$release/yodeld
		ln -sfn releases/$((3 - release)) current
		run -0 "$BUILD/yodelctl" -s "$ROOT/admin_socket" reload
		[[ $output = "reload: generation "*" serves with $((3 - release)) worker"*": $ROOT/current/y.json (file $ROOT/releases/$((3 - release))/y.json)"* ]]
		[[ $output != *'the same settings'* ]]
	done
	run -0 "$BUILD/yodelctl" -s "$ROOT/admin_socket" reload
	[[ $output = *"/y.json), the same settings as before"* ]]
	ln -sfn releases/1 current
	run -0 "$BUILD/yodelctl" -s "$ROOT/admin_socket" upgrade
	[[ $output = *", the same file as before"* ]]
	stop_yodeld TERM
	rm current
	ln -s releases/1 current
}

@test "upgrade and reload follow the link by which program and file were named" {
	local ROOT=$PWD options
	make_releases
	options=(-c "$ROOT/current/y.json" --set "admin.socket=$ROOT/admin_socket")
	YODELD=current/yodeld start_yodeld "${options[@]}"
	follow_the_link
	YODELD=$ROOT/current/yodeld start_yodeld "${options[@]}"
	follow_the_link
	# Found in PATH, of which an entry is a link.
	PATH=$ROOT/current:$PATH YODELD=yodeld start_yodeld "${options[@]}"
	follow_the_link
}

@test "upgrade and reload follow the link by which the working directory was entered" {
	local ROOT=$PWD options
	make_releases
	options=(-c y.json --set "admin.socket=$ROOT/admin_socket")
	# shellcheck disable=SC2016 # expanded by the script
	printf '%s\n' '#!/bin/sh' 'cd current' 'exec "$@"' >in_current
	chmod +x in_current
	YODELD_RUN=./in_current YODELD=./yodeld start_yodeld "${options[@]}"
	follow_the_link
	PATH=.:$PATH YODELD_RUN=./in_current YODELD=yodeld start_yodeld "${options[@]}"
	follow_the_link
}

@test "without /proc an upgrade is refused with the reason, and the server continues" {
	needs root
	write_config '"workers": 1'
	# shellcheck disable=SC2016 # expanded by the script
	printf '%s\n' '#!/bin/sh' 'umount -l /proc' 'exec "$@"' >without_proc
	chmod +x without_proc
	YODELD_RUN="unshare --mount ./without_proc" start_yodeld -c yodeld.json \
		--set "admin.socket=$PWD/admin_socket"
	run -1 "$BUILD/yodelctl" -s admin_socket upgrade
	[ "$output" = 'yodelctl: upgrade refused: an upgrade needs /proc, which is not mounted' ]
	"$YODEL" -q "127.0.0.1:$PORT"
}

@test "an upgrade and a reload requested together both happen, one after the other" {
	write_config '"workers": 2'
	start_own_copy -c yodeld.json
	start_load churn -c 8 --messages-per-connection 3 "127.0.0.1:$PORT"
	start_load lasting -c 50 -p 4 "127.0.0.1:$PORT"
	local n
	for n in 1 2 3 4 5; do
		kill -USR2 "$YODELD_PID"
		kill -HUP "$YODELD_PID"
		kill -TTIN "$YODELD_PID"
		done_both()
		{
			[ "$(times_logged ': upgrade: generation [0-9]+ serves')" = "$1" ] &&
				[ "$(times_logged ': reload: generation [0-9]+ serves')" = "$1" ]
		}
		wait_until done_both "$n"
		reload_is_over()
		{
			count_workers_is "$(ss -Hltn "sport = :$PORT" | wc -l)"
		}
		wait_until reload_is_over
	done
	end_load churn lasting
	never_reconnected lasting.json
}

@test "TERM after USR2 stops the server at any stage of the upgrade" {
	local delay
	for delay in 0 0.002 0.005 0.01 0.02; do
		PORT=
		write_config '"workers": 2'
		start_own_copy -c yodeld.json
		kill -USR2 "$YODELD_PID"
		sleep $delay
		kill -TERM "$YODELD_PID"
		wait_until has_ended "$YODELD_PID"
		wait "$YODELD_PID"
	done
}

