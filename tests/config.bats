#!/usr/bin/env bats
# Configuration: each error is one line on stderr, with exit status 78 and nothing on stdout;
# a printed configuration can be loaded; the schema and yodeld agree.

load lib/helpers
load lib/certificates

CONF=$BATS_TEST_DIRNAME/../conf

# refuses TEXT MESSAGE - x.json with this text is refused; MESSAGE follows the file name.
refuses()
{
	printf '%b' "$1" >x.json
	refused "yodeld: x.json$2" -c x.json
}

# refused MESSAGE ARG...
refused()
{
	local message=$1
	shift
	run --separate-stderr "$YODELD" --check "$@"
	# shellcheck disable=SC2154 # run sets it
	if [ "$status" != 78 ] || [ "$stderr" != "$message" ] || [ "$output" != "" ]; then
		printf 'status %s, expected 78\nfound    %s\nexpected %s\n' "$status" "$stderr" "$message"
		return 1
	fi
}

validate() # SCHEMA FILE...
{
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$@"
}

@test "invalid JSON is refused with line, column and what was expected" {
	refuses '' ': found nothing, expected an object, { ... }'
	refuses '// nothing\n' ': found nothing, expected an object, { ... }'
	refuses '[]' ':1:1: found a list, expected an object, { ... }'
	refuses '{\n  "workers": 2,\n}' ':3:1: found a comma before "}", expected none'
	refuses '{ "workers": 2\n  "log": {} }' \
		":2:3: not JSON: found '\"log\"', expected a comma or \"}\""
	refuses '{ "workers": 2' \
		':1:15: found the end of the file inside a value, expected its closing bracket'
	refuses '{ "workers": two }' ":1:14: not JSON: invalid token near 'two'"
	refuses '{ workers: 2 }' ":1:3: not JSON: found 'workers', expected a key in double quotes or \"}\""
	refuses '{} {}' ":1:4: not JSON: found '{', expected the end of the file"
	refuses '{ } /* open' ':1:5: found a comment without an end, expected "*/"'
	refuses '{ "user": "a\\u0000" }' ':1:11: found a string that contains \u0000, expected text'
	refuses '{ /* \n */ # x\n "workers": 0 }' \
		':3:13: workers: found 0, expected a whole number from 1 to 256 or "auto"'
}

@test "an unknown key is refused with the nearest known one" {
	refuses '{ "worker": 2 }' ':1:3: unknown key "worker"; did you mean "workers"?'
	refuses '{ "limits": { "max_mesage": "64k" } }' \
		':1:15: unknown key "limits.max_mesage"; did you mean "limits.max_message"?'
	refuses '{ "listeners": [ { "adress": "127.0.0.1:1" } ] }' \
		':1:20: unknown key "listeners[0].adress"; did you mean "listeners[0].address"?'
	refuses '{ "idle": "3s" }' ':1:3: unknown key "idle"; did you mean "timeouts.idle"?'
	refuses '{ "log_level": "warn" }' ':1:3: unknown key "log_level"; did you mean "log.level"?'
	refuses '{ "backlog": 1 }' ':1:3: unknown key "backlog"; did you mean "listeners[].backlog"?'
	refuses '{ "timeout": {} }' ':1:3: unknown key "timeout"; did you mean "timeouts"?'
	refuses '{ "limits.max_message": "1k" }' \
		':1:3: unknown key "limits.max_message"; expected an object for each part of it'
	refuses '{ "colour": "red" }' ':1:3: unknown key "colour"'
}

@test "errors are complete however long the path of the file" {
	local folder
	folder=$PWD/$(printf '%0200d/%0200d/%0200d' 1 2 3)
	mkdir -p "$folder"
	echo '{ "colour": "red" }' >"$folder/server.json"
	run -78 "$YODELD" --check -c "$folder/server.json"
	[[ $output = 'yodeld: ...0'*'03/server.json:1:3: unknown key "colour"' ]]
	run -78 "$YODELD" --check -c "$folder/none"
	[[ $output = 'yodeld: ...0'*'03/none: No such file or directory' ]]
	local option
	for option in --verbose --check; do
		run -71 "$YODELD" --listen 127.0.0.1:0 --set "log.file=$folder/none/log" $option
		[[ $output = *': cannot open the log ...0'*'03/none/log: No such file or directory' ]]
	done
	run -71 "$YODELD" --check --set "log.file=$PWD"
	[[ $output = *"cannot open the log $PWD: Is a directory" ]]
	"$YODELD" --check --set "log.file=$PWD/log"
	[ ! -e log ]
	# A unit makes the folder.
	for folder in /run /var/log; do
		"$YODELD" --check --set "log.file=$folder/no-such-folder.$$/log"
		[ ! -e "$folder/no-such-folder.$$" ]
	done
	run -71 "$YODELD" --listen 127.0.0.1:0 --set "log.file=/var/log/no-such-folder.$$/log"
}

@test "a duplicate key is refused" {
	refuses '{ "workers": 1,\n  "workers": 2 }' ':2:3: duplicate key "workers", expected it once'
}

@test "a value of the wrong type or out of range is refused with what was expected" {
	refuses '{ "workers": "many" }' \
		':1:14: workers: found "many", expected a whole number from 1 to 256 or "auto"'
	refuses '{ "workers": 257 }' \
		':1:14: workers: found 257, expected a whole number from 1 to 256 or "auto"'
	refuses '{ "workers": 2.5 }' \
		':1:14: workers: found 2.5, expected a whole number from 1 to 256 or "auto"'
	refuses '{ "limits": { "max_message": "64kb" } }' \
		':1:30: limits.max_message: found "64kb", expected a size from 1 to 1G (as "64k")'
	refuses '{ "limits": { "max_pending": "1" } }' \
		':1:30: limits.max_pending: found "1", expected a size from 1k to 1G (as "64k")'
	refuses '{ "limits": { "max_connections": 0 } }' \
		':1:34: limits.max_connections: found 0, expected a count from 1 to 100M (as "10k") or "auto"'
	refuses '{ "timeouts": { "drain": 30 } }' \
		':1:26: timeouts.drain: found 30, expected a duration from 1ms to 1000h (as "30s"; 0 is off)'
	refuses '{ "timeouts": { "idle": "-1s" } }' \
		':1:25: timeouts.idle: found "-1s", expected a duration from 1ms to 1000h (as "30s"; 0 is off)'
	refuses '{ "timeouts": { "hung": "499ms" } }' \
		':1:25: timeouts.hung: found "499ms", expected a duration from 0.5s to 1000h (as "30s"; 0 is off)'
	refuses '{ "cpu_affinity": "yes" }' ':1:19: cpu_affinity: found "yes", expected true or false'
	refuses '{ "events": { "method": "kqueue" } }' \
		':1:25: events.method: found "kqueue", expected "auto", "epoll", "poll" or "select"'
	refuses '{ "log": { "level": "loud" } }' \
		':1:21: log.level: found "loud", expected "error", "warn", "info" or "debug"'
	refuses '{ "log": { "format": null } }' \
		':1:22: log.format: found null, expected "text" or "json"'
	refuses '{ "log": "debug" }' ':1:10: log: found "debug", expected an object'
	refuses '{ "log": { "file": "x.log" } }' \
		':1:20: log.file: found "x.log", expected an absolute path'
	# shellcheck disable=SC2016 # a key, no variable
	refuses '{ "$schema": 1 }' ':1:14: $schema: found 1, expected a string'
	refuses '{ "user": "no-such-user" }' \
		':1:11: user: found "no-such-user", expected a user of this system'
	refuses '{ "group": "no-such-group" }' \
		':1:12: group: found "no-such-group", expected a group of this system'
	refuses '{ "admin": { "socket": "control.sock" } }' \
		':1:24: admin.socket: found "control.sock", expected an absolute path'
	refuses '{ "admin": { "address": "localhost" } }' \
		':1:25: admin.address: found "localhost" without a port, expected "address:port" or "[IPv6 address]:port"'
	refuses "{ \"admin\": { \"socket\": \"/$(printf '%0109d' 0)\" } }" \
		":1:24: admin.socket: found a path of 110 bytes, expected at most 107 (the size of a socket address)"
}

@test "an invalid listener is refused with its index" {
	refuses '{ "listeners": [] }' \
		':1:16: listeners: found an empty list, expected a list of 1 to 64 objects'
	refuses '{ "listeners": { "address": "127.0.0.1:1" } }' \
		':1:16: listeners: found an object, expected a list of 1 to 64 objects'
	refuses '{ "listeners": [ "127.0.0.1:1" ] }' \
		':1:18: listeners[0]: found "127.0.0.1:1", expected an object'
	refuses '{ "listeners": [ { "reply": "echo" } ] }' ':1:18: listeners[0].address: missing, expected a string'
	refuses '{ "listeners": [ { "address": "" } ] }' \
		':1:31: listeners[0].address: found "", expected a string that is not empty'
	refuses '{ "listeners": [ { "address": "127.0.0.1" } ] }' \
		':1:31: listeners[0].address: found "127.0.0.1" without a port, expected "address:port" or "[IPv6 address]:port"'
	refuses '{ "listeners": [ { "address": "127.0.0.1:70000" } ] }' \
		':1:31: listeners[0].address: found port "70000" in "127.0.0.1:70000", expected a number from 0 to 65535'
	refuses '{ "listeners": [ { "address": "::1:80" } ] }' \
		':1:31: listeners[0].address: found "::1:80", expected "[address]:port" for an IPv6 address'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "reply": "lower" } ] }' \
		':1:55: listeners[0].reply: found "lower", expected one of echo[,suffix=TEXT], upper[,suffix=TEXT], fixed=TEXT, discard, whoami, witness, conversation=FILE'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "framing": "lines" } ] }' \
		':1:57: listeners[0].framing: found "lines", expected "stream", "line" or "length32"'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "backlog": 0 } ] }' \
		':1:57: listeners[0].backlog: found 0, expected a whole number from 1 to 1048576'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "congestion": "new reno" } ] }' \
		':1:60: listeners[0].congestion: found "new reno", expected the name of a congestion control: up to 15 letters, digits, "_" and "-"'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "allow": "::1" } ] }' \
		':1:55: listeners[0].allow: found "::1", expected a list of 0 to 1024 strings (as ["a", "b"])'
	refuses '{ "listeners": [ { "address": "*:1" },\n { "address": "*:2", "allow": [ "10.0.0.0/40" ] } ] }' \
		':2:33: listeners[1].allow[0]: found prefix length "40" in "10.0.0.0/40", expected a number from 0 to 32'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1" }, { "address": "127.0.0.1:1" } ] }' \
		': listeners[1].address: found "127.0.0.1:1", the address of listeners[0], expected another one'
}

@test "a file that cannot be read is refused with the reason" {
	refused 'yodeld: none.json: No such file or directory' -c none.json
	mkdir folder
	refused 'yodeld: folder: Is a directory' -c folder
}

@test "an invalid --set, --listen or --workers is refused like an invalid file" {
	refused 'yodeld: --set: unknown key "limits.max_mesage"; did you mean "limits.max_message"?' \
		--set limits.max_mesage=1k
	refused 'yodeld: --set: found "workers", expected KEY=VALUE' --set workers
	refused 'yodeld: --set: log.level: found "loud", expected "error", "warn", "info" or "debug"' \
		--set log.level=loud
	refused 'yodeld: --set: limits: is an object, expected one of its keys: limits.KEY=VALUE' \
		--set limits=1
	refused 'yodeld: --set: listeners[1]: not found, expected an index below 1' \
		--set 'listeners[1].reply=echo'
	refused 'yodeld: --workers: workers: found "x", expected a whole number from 1 to 256 or "auto"' \
		--workers x
	refused 'yodeld: --listen: reply: found "lower", expected one of echo[,suffix=TEXT], upper[,suffix=TEXT], fixed=TEXT, discard, whoami, witness, conversation=FILE' \
		--listen 127.0.0.1:1=lower
	refused 'yodeld: --listen: listeners[1].address: found "127.0.0.1:1", the address of listeners[0], expected another one' \
		--listen 127.0.0.1:1 --listen 127.0.0.1:1=echo
	# A conflict between two values: the error names the origin of the second.
	refused 'yodeld: --set: listeners[1].address: found "127.0.0.1:1", the address of listeners[0], expected another one' \
		--listen 127.0.0.1:1 --listen 127.0.0.1:2 --set 'listeners[1].address=127.0.0.1:1'
	refused 'yodeld: --set: log.syslog: found true and a log.file, expected log.file or log.syslog, not both' \
		--listen 127.0.0.1:1 --set log.file=/x --set log.syslog=true
	refused 'yodeld: --set: group: found a group without a user, expected both' \
		--listen 127.0.0.1:1 --set "group=$(id -gn 0)"
}

@test "--set overrides the file, and --listen replaces its listeners" {
	echo '{ "workers": 3, "listeners": [ { "address": "127.0.0.1:1" } ] }' >x.json
	"$YODELD" -c x.json --listen '[::1]:2=echo' --set workers=4 --set listeners[0].backlog=9 \
		--print-config >printed.json
	/usr/bin/python3 - <<-'END'
		import json
		printed = json.load(open("printed.json"))
		assert printed["workers"] == 4
		[listener] = printed["listeners"]
		assert (listener["address"], listener["reply"], listener["backlog"]) == ("[::1]:2", "echo", 9)
	END
}

@test "the output of --print-config passes --check and prints the same again" {
	local file
	cp -r "$CONF/examples" .
	(cd examples && make_self_signed server localhost) # of tls.json
	for file in "$CONF"/yodeld.json examples/*.json; do
		"$YODELD" -c "$file" --print-config >once.json
		"$YODELD" -c once.json --check
		"$YODELD" -c once.json --print-config >twice.json
		cmp once.json twice.json
	done
}

@test "the shipped schema equals the output of --print-schema" {
	"$YODELD" --print-schema >printed.json
	diff "$CONF/yodeld.schema.json" printed.json
}

@test "the schema accepts the shipped file, every example and the output of --print-config" {
	"$YODELD" --print-config >printed.json
	validate "$CONF/yodeld.schema.json" "$CONF"/yodeld.json "$CONF"/examples/*.json printed.json
}

@test "the schema and yodeld refuse the same files" {
	local text count=0
	while read -r text; do
		printf '%s\n' "$text" >x.json
		run "$YODELD" --check -c x.json
		[ "$status" = 78 ]
		run validate "$CONF/yodeld.schema.json" x.json
		if [[ "$output" != "x.json: invalid: "* ]]; then
			echo "the schema accepts $text"
			return 1
		fi
		count=$((count + 1))
	done <<-'END'
		[]
		{ "worker": 2 }
		{ "workers": "many" }
		{ "workers": 257 }
		{ "workers": 2.5 }
		{ "limits": { "max_mesage": 1 } }
		{ "limits": { "max_message": "64kb" } }
		{ "limits": { "max_message": 0 } }
		{ "limits": [] }
		{ "timeouts": { "idle": 30 } }
		{ "timeouts": { "idle": "30" } }
		{ "cpu_affinity": 1 }
		{ "events": { "method": "kqueue" } }
		{ "log": { "file": "x" } }
		{ "listeners": [] }
		{ "listeners": [ { "reply": "echo" } ] }
		{ "listeners": [ { "address": "" } ] }
		{ "listeners": [ { "address": "localhost" } ] }
		{ "listeners": [ { "address": "*:1", "reply": "lower" } ] }
		{ "listeners": [ { "address": "*:1", "reply": "" } ] }
		{ "listeners": [ { "address": "*:1", "framing": "lines" } ] }
		{ "listeners": [ { "address": "*:1", "allow": [ "" ] } ] }
		{ "$schema": 1 }
	END
	[ "$count" = 23 ]
}

@test "a path with a control character is refused" {
	local key
	for key in admin.socket log.file; do
		for name in $'/tmp/a\nb' $'/tmp/a\tb' $'/tmp/a\x7fb' $'/tmp/a\xc2\x85b'; do
			run -78 "$YODELD" --check --set "$key=$name"
			[ "${#lines[@]}" = 1 ]
			[[ $output = *"$key: found a control character (0x"*', byte 7), expected '* ]]
		done
		run -0 "$YODELD" --check --set "$key=/tmp/ä b"
	done
	printf '{ "admin": { "socket": "/tmp/a\\u000ab" } }' >newline.json
	run -78 "$YODELD" --check -c newline.json
	[[ $output = *'newline.json:1:'*'admin.socket: found a control character'* ]]
}
