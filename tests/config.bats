#!/usr/bin/env bats
# The configuration as operators meet it: each mistake has one line on stderr, exit status
# 78 and nothing on stdout; what is printed can be used; the schema says the same as yodeld.

load lib/helpers

CONF=$BATS_TEST_DIRNAME/../conf

# refuses TEXT MESSAGE - the file x.json with this text; MESSAGE is what follows its name.
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
		printf 'status %s, wanted 78\nfound  %s\nwanted %s\n' "$status" "$stderr" "$message"
		return 1
	fi
}

validate() # SCHEMA FILE...
{
	node "$BATS_TEST_DIRNAME/lib/check_schema.js" "$@"
}

@test "invalid JSON is refused with line, column and what was expected" {
	refuses '' ': nothing in it; an object, { ... }, was wanted'
	refuses '// nothing\n' ': nothing in it; an object, { ... }, was wanted'
	refuses '[]' ':1:1: the file is a list; an object, { ... }, was wanted'
	refuses '{\n  "workers": 2,\n}' ':3:1: a comma before "}"; none was wanted'
	refuses '{ "workers": 2\n  "log": {} }' \
		":2:3: no JSON: '\"log\"' was found; a comma or \"}\" was wanted"
	refuses '{ "workers": 2' \
		':1:15: the file ends inside a value; its closing bracket was wanted'
	refuses '{ "workers": two }' ":1:14: no JSON: invalid token near 'two'"
	refuses '{ workers: 2 }' ":1:3: no JSON: 'workers' was found; a key in double quotes or \"}\" was wanted"
	refuses '{} {}' ":1:4: no JSON: '{' was found; the end of the file was wanted"
	refuses '{ } /* open' ':1:5: a comment that is not closed; "*/" was wanted'
	refuses '{ "user": "a\\u0000" }' ':1:11: a string that holds \u0000; text was wanted'
	refuses '{ /* \n */ # x\n "workers": 0 }' \
		':3:13: "workers" is 0; a whole number from 1 to 256 or "auto" was wanted'
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
		':1:3: unknown key "limits.max_message"; an object for each part of it was wanted'
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
	run -71 "$YODELD" --listen 127.0.0.1:0 --set "log.file=$folder/none/log"
	[[ $output = *': cannot open the log ...0'*'03/none/log: No such file or directory' ]]
}

@test "a duplicate key is refused" {
	refuses '{ "workers": 1,\n  "workers": 2 }' ':2:3: the key "workers" stands here twice'
}

@test "a value of the wrong type or out of range is refused with what was expected" {
	refuses '{ "workers": "many" }' \
		':1:14: "workers" is "many"; a whole number from 1 to 256 or "auto" was wanted'
	refuses '{ "workers": 257 }' \
		':1:14: "workers" is 257; a whole number from 1 to 256 or "auto" was wanted'
	refuses '{ "workers": 2.5 }' \
		':1:14: "workers" is 2.5; a whole number from 1 to 256 or "auto" was wanted'
	refuses '{ "limits": { "max_message": "64kb" } }' \
		':1:30: "limits.max_message" is "64kb"; a size from 1 to 1G (as "64k") was wanted'
	refuses '{ "limits": { "max_pending": "1" } }' \
		':1:30: "limits.max_pending" is "1"; a size from 1k to 1G (as "64k") was wanted'
	refuses '{ "limits": { "max_connections": 0 } }' \
		':1:34: "limits.max_connections" is 0; a count from 1 to 100M (as "10k") or "auto" was wanted'
	refuses '{ "timeouts": { "drain": 30 } }' \
		':1:26: "timeouts.drain" is 30; a duration from 1ms to 1000h (as "30s"; 0 is off) was wanted'
	refuses '{ "timeouts": { "idle": "-1s" } }' \
		':1:25: "timeouts.idle" is "-1s"; a duration from 1ms to 1000h (as "30s"; 0 is off) was wanted'
	refuses '{ "timeouts": { "hung": "499ms" } }' \
		':1:25: "timeouts.hung" is "499ms"; a duration from 0.5s to 1000h (as "30s"; 0 is off) was wanted'
	refuses '{ "cpu_affinity": "yes" }' ':1:19: "cpu_affinity" is "yes"; true or false was wanted'
	refuses '{ "events": { "method": "kqueue" } }' \
		':1:25: "events.method" is "kqueue"; "auto", "epoll", "poll" or "select" was wanted'
	refuses '{ "log": { "level": "loud" } }' \
		':1:21: "log.level" is "loud"; "error", "warn", "info" or "debug" was wanted'
	refuses '{ "log": { "format": null } }' \
		':1:22: "log.format" is null; "text" or "json" was wanted'
	refuses '{ "log": "debug" }' ':1:10: "log" is "debug"; an object was wanted'
	refuses '{ "log": { "file": "x.log" } }' \
		':1:20: "log.file": "x.log" is no absolute path; one from "/" was wanted'
	# shellcheck disable=SC2016 # a key, no variable
	refuses '{ "$schema": 1 }' ':1:14: "$schema" is 1; a string was wanted'
	refuses '{ "user": "no-such-user" }' \
		':1:11: "user": "no-such-user" is no user of this system'
	refuses '{ "group": "no-such-group" }' \
		':1:12: "group": "no-such-group" is no group of this system'
	refuses '{ "admin": { "socket": "control.sock" } }' \
		':1:24: "admin.socket": "control.sock" is no absolute path; one from "/" was wanted'
	refuses '{ "admin": { "address": "localhost" } }' \
		':1:25: "admin.address": "localhost" has no port; "address:port" or "[IPv6 address]:port" was wanted'
	refuses "{ \"admin\": { \"socket\": \"/$(printf '%0109d' 0)\" } }" \
		":1:24: \"admin.socket\": a path of 110 bytes; at most 107, the room of a socket's address, were wanted"
}

@test "an invalid listener is refused with its index" {
	refuses '{ "listeners": [] }' \
		':1:16: "listeners" is an empty list; a list of 1 to 64 objects was wanted'
	refuses '{ "listeners": { "address": "127.0.0.1:1" } }' \
		':1:16: "listeners" is an object; a list of 1 to 64 objects was wanted'
	refuses '{ "listeners": [ "127.0.0.1:1" ] }' \
		':1:18: "listeners[0]" is "127.0.0.1:1"; an object was wanted'
	refuses '{ "listeners": [ { "reply": "echo" } ] }' ':1:18: "listeners[0].address" is missing'
	refuses '{ "listeners": [ { "address": "" } ] }' \
		':1:31: "listeners[0].address" is ""; a string that is not empty was wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1" } ] }' \
		':1:31: "listeners[0].address": "127.0.0.1" has no port; "address:port" or "[IPv6 address]:port" was wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1:70000" } ] }' \
		':1:31: "listeners[0].address": "127.0.0.1:70000": "70000" is no port; a number from 0 to 65535 was wanted'
	refuses '{ "listeners": [ { "address": "::1:80" } ] }' \
		':1:31: "listeners[0].address": "::1:80": an IPv6 address stands in brackets; "[address]:port" was wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "reply": "lower" } ] }' \
		':1:55: "listeners[0].reply": "lower" is not a reply; expected one of echo[,suffix=TEXT], upper[,suffix=TEXT], fixed=TEXT, discard'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "framing": "lines" } ] }' \
		':1:57: "listeners[0].framing" is "lines"; "stream", "line" or "length32" was wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "backlog": 0 } ] }' \
		':1:57: "listeners[0].backlog" is 0; a whole number from 1 to 1048576 was wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "congestion": "new reno" } ] }' \
		':1:60: "listeners[0].congestion": "new reno" is no name of a congestion control; up to 15 letters, digits, "_" and "-" were wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1", "allow": "::1" } ] }' \
		':1:55: "listeners[0].allow" is "::1"; a list of 0 to 1024 strings (as ["a", "b"]) was wanted'
	refuses '{ "listeners": [ { "address": "*:1" },\n { "address": "*:2", "allow": [ "10.0.0.0/40" ] } ] }' \
		':2:33: "listeners[1].allow[0]": "10.0.0.0/40": "40" is no prefix length; a number from 0 to 32 was wanted'
	refuses '{ "listeners": [ { "address": "127.0.0.1:1" }, { "address": "127.0.0.1:1" } ] }' \
		': "listeners[1].address" is "127.0.0.1:1", as "listeners[0].address" is; an address of its own was wanted'
}

@test "a file that cannot be read is refused with the reason" {
	refused 'yodeld: none.json: No such file or directory' -c none.json
	mkdir folder
	refused 'yodeld: folder: Is a directory' -c folder
}

@test "an invalid --set, --listen or --workers is refused like an invalid file" {
	refused 'yodeld: --set: unknown key "limits.max_mesage"; did you mean "limits.max_message"?' \
		--set limits.max_mesage=1k
	refused 'yodeld: --set: "workers"; KEY=VALUE was wanted' --set workers
	refused 'yodeld: --set: "log.level" is "loud"; "error", "warn", "info" or "debug" was wanted' \
		--set log.level=loud
	refused 'yodeld: --set: "limits" is an object; one of its keys was wanted, as "limits.KEY=VALUE"' \
		--set limits=1
	refused 'yodeld: --set: "listeners[1]" is not there; the list has 1, counted from 0' \
		--set 'listeners[1].reply=echo'
	refused 'yodeld: --workers: "workers" is "x"; a whole number from 1 to 256 or "auto" was wanted' \
		--workers x
	refused 'yodeld: --listen: "reply": "lower" is not a reply; expected one of echo[,suffix=TEXT], upper[,suffix=TEXT], fixed=TEXT, discard' \
		--listen 127.0.0.1:1=lower
	refused 'yodeld: --listen: "listeners[1].address" is "127.0.0.1:1", as "listeners[0].address" is; an address of its own was wanted' \
		--listen 127.0.0.1:1 --listen 127.0.0.1:1=echo
	# What is wrong together only: the one that brought the second is named.
	refused 'yodeld: --set: "listeners[1].address" is "127.0.0.1:1", as "listeners[0].address" is; an address of its own was wanted' \
		--listen 127.0.0.1:1 --listen 127.0.0.1:2 --set 'listeners[1].address=127.0.0.1:1'
	refused 'yodeld: --set: "log.syslog" is true and "log.file" is set; one of both was wanted' \
		--listen 127.0.0.1:1 --set log.file=/x --set log.syslog=true
	refused 'yodeld: --set: "group" is set and "user" is not; both were wanted' \
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
	for file in "$CONF"/yodeld.json "$CONF"/examples/*.json; do
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
		if [[ "$output" != "x.json: not valid: "* ]]; then
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
