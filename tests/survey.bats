#!/usr/bin/env bats
# run-checks: long
# run-checks: without sanitizer
# yodel survey, against paths whose behaviour is known (tests/pathlab). Each path is asked about
# what it does, and the answers must agree with the truth (tests/lib/survey_truth.py). Four surveys
# run at a time, before the tests, which read the verdicts.

load lib/helpers

LAB=$BATS_TEST_DIRNAME/pathlab
TRUTH=$BATS_TEST_DIRNAME/lib/survey_truth.py
export LAB TRUTH
LADDER=reach,idle,half_closed,keepalive,life

# A path for each line: a profile with its settings, and the rows that are asked for.
paths()
{
	cat <<-END
		route | all
		connlimit | reach,concurrent
		connlimit with=reset per=source | concurrent,by_source
		haproxy-max | concurrent
		rate | burst,rate
		nat idle=4 | $LADDER,source,mapping
		nat-random idle=4 | $LADDER,source,mapping
		nat-drop idle=4 | $LADDER
		fw-drop idle=4 | $LADDER
		fw-reset idle=4 | $LADDER
		fw-kill idle=4 | $LADDER
		fw-half half=4 | $LADDER
		haproxy idle=4 | $LADDER,split,reset,reset_back
		nginx idle=4 | $LADDER,split,half_close,half_close_back
		synproxy | reach,source,reset
		buffer | split,split_back,half_close
		rst-pass | split,reset,reset_back
		tproxy | split,source
		nginx-half | half_close,half_close_back,reset,reset_back
		socat | half_close,reset,reset_back
		haproxy-pp | before
		sniff wait=2 | server_first
		nul | payload
		dpi | payload
		alg-ftp | payload,source
		mss | syn,big
		strip | syn
		strip-mptcp | syn
		bleach | syn
		no-ecn-syn | syn
		mtu | big
		blackhole | big
		lb-rr | source,backends
		lb-random | backends
		lb-source | backends
		nat-pool | source,mapping
		nat-ports | source
	END
}

setup_file()
{
	[ -z "$(missing root)$(missing kernel namespaces)$(missing kernel conntrack)" ] || return 0
	cd "$BATS_FILE_TMPDIR" || return 1
	export -f survey
	# shellcheck disable=SC2016 # the inner shell expands
	paths | tr '\n' '\0' | xargs -0 -P 4 -I{} bash -c 'survey "$1"' - {}
}

setup()
{
	needs root
	needs kernel namespaces
	needs kernel conntrack
	cd "$BATS_FILE_TMPDIR" || return 1
}

# The name of the files of a path: "nat idle=4" is nat-idle-4.
name_of() # PATH
{
	echo "${1//[ =]/-}"
}

# Surveys one path. Leaves NAME.verdict, with a line for each row.
survey() # "PATH | ROWS"
{
	local path=${1% | *} rows=${1#* | } profile settings=() setting truth arguments status=0
	local name=${path//[ =]/-}
	profile=${path%% *}
	for setting in ${path#"$profile"}; do
		settings+=(-o "$setting")
	done
	arguments=(-q --json="$name.json" --source-ip=198.18.1.2 --source-ip=198.18.1.3)
	case $rows in
	all) arguments+=(-d 60s --idle-max=6s "--skip=concurrent,by_source,burst,rate") ;;
	*) arguments+=(-d 60s --idle-max=6s --only="$rows") ;;
	esac
	truth=$("$LAB" truth "${settings[@]}" "$profile")
	# shellcheck disable=SC2016 # the inner shell expands
	"$LAB" run -t 100 "${settings[@]}" \
		-s "exec '$YODELD' --listen '*:10000=witness' --set instance=A" \
		-S "exec '$YODELD' --listen '*:10000=witness' --set instance=B" \
		"$profile" -- bash -c 'exec "$0" survey "$@" "$PATHLAB_TARGET" "$PATHLAB_SECOND"' \
		"$YODEL" "${arguments[@]}" >"$name.log" 2>&1 || status=$?
	# 2: the path has changed bytes.
	case $status in
	0 | 2) "$TRUTH" "$truth" "$name.json" >"$name.verdict" || : ;;
	*) echo "wrong: exit status $status: $(tail -n 3 "$name.log")" >"$name.verdict" ;;
	esac
}

# Fails unless each row that was asked of these profiles is right.
agree() # PROFILE...
{
	local profile path rows row name failed=0
	for profile; do
		while IFS='|' read -r path rows; do
			path=${path% }
			[ "${path%% *}" = "$profile" ] || continue
			name=$(name_of "$path")
			! sed "s/^/$path: /" "$name.verdict" | grep ': wrong' || failed=1
			[ "${rows# }" != all ] || continue
			for row in ${rows//,/ }; do
				grep -qx "right $row" "$name.verdict" || {
					echo "$path: $row: $(grep " $row" "$name.verdict")"
					failed=1
				}
			done
		done < <(paths)
	done
	return $failed
}

@test "nothing is marked on a path that changes nothing" {
	agree route
	python3 -c '
import json
rows = json.load(open("route.json"))["rows"]
assert not any(row["attention"] for row in rows), rows
assert sum(row["answer"] is not None for row in rows) >= 20, rows'
}

@test "a survey says when a path forgets an idle connection, and what happens then" {
	agree nat nat-random nat-drop fw-drop fw-reset fw-kill haproxy nginx
}

@test "a survey says how long a half-closed connection lives" {
	agree fw-half
}

@test "a survey finds which host acknowledges bytes, and how much a proxy holds" {
	agree buffer rst-pass tproxy
}

@test "a survey finds what proxies do to half-closes, resets and first bytes" {
	agree nginx-half socat haproxy-pp sniff nul synproxy
}

@test "a survey finds which options, headers and sizes are changed" {
	agree mss strip strip-mptcp bleach no-ecn-syn mtu blackhole
}

@test "a survey finds bytes that are rewritten or cut" {
	agree dpi alg-ftp
}

@test "a survey finds the servers behind a balancer and the addresses of a NAT" {
	agree lb-rr lb-random lb-source nat-pool nat-ports
}

@test "a survey finds limits of connections and of their rate" {
	agree connlimit haproxy-max rate
}
