#!/usr/bin/env bats
# Each reply and each example configuration with independent clients
# (lib/independent_client.py), and the framings with any segmentation.

load lib/helpers
load lib/certificates

example() # NAME: starts the example, on a free port
{
	sed -E 's/("address": *"[^"]*:)[0-9]+"/\10"/' \
		"$BATS_TEST_DIRNAME/../conf/examples/$1.json" >"$1.json"
	start_yodeld -c "$1.json"
}

ask()
{
	run --separate-stderr "$INDEPENDENT_CLIENT" ask "127.0.0.1:$PORT" "$@"
	[ "$status" = 0 ]
}

@test "echo returns the same bytes" {
	start_yodeld --listen 127.0.0.1:0=echo
	ask 'Hello \x00\xff' 'two'
	[ "$output" = "'Hello \\x00\\xff'
'two'" ]
}

@test "upper converts ASCII letters and nothing else" {
	start_yodeld --listen 127.0.0.1:0=upper
	ask 'This is the message. ' 'z{`\xe9\xc3\xa9'
	[ "$output" = "'THIS IS THE MESSAGE. '
'Z{\`\\xe9\\xc3\\xa9'" ]
}

@test "upper with a suffix adds it to each message" {
	start_yodeld --listen 127.0.0.1:0=upper,suffix=_SB
	ask 'It will be sent ' 'in parts.'
	[ "$output" = "'IT WILL BE SENT _SB'
'IN PARTS._SB'" ]
}

@test "fixed gives the same answer to every message" {
	start_yodeld --listen '127.0.0.1:0=fixed=my server'
	ask 'a' 'something else'
	[ "$output" = "'my server'
'my server'" ]
}

@test "discard answers nothing and closes with FIN" {
	start_yodeld --listen 127.0.0.1:0=discard
	ask --silent 'a' 'b'
	[ "$output" = "" ]
}

@test "each listener of a server has its own reply" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=echo --listen 127.0.0.1:0=upper \
		--listen 127.0.0.1:0=fixed=1
	local answers=("'ab'" "'AB'" "'1'") each # no "i": run changes it
	for each in 0 1 2; do
		PORT=${PORTS[each]} ask ab
		[ "$output" = "${answers[each]}" ]
	done
}

@test "each example configuration answers like the tutorial server that it replaces" {
	example fixed-reply
	ask message
	[ "$output" = "'1'" ]
	stop_yodeld
	example echo
	ask message
	[ "$output" = "'message'" ]
	stop_yodeld
	example upper
	ask message
	[ "$output" = "'MESSAGE'" ]
	stop_yodeld
	example upper-suffix
	ask message
	[ "$output" = "'MESSAGE_SB'" ]
	stop_yodeld
	example greeting
	ask message
	[ "$output" = "'my server'" ]
	stop_yodeld
	example discard
	ask --silent message
	[ "$output" = "" ]
}

@test "every example configuration passes --check" {
	local file
	cp -r "$BATS_TEST_DIRNAME/../conf/examples" .
	(cd examples && make_self_signed server localhost) # of tls.json
	for file in examples/*.json; do
		"$YODELD" --check -c "$file"
	done
}

@test "300,000 random bytes and a half-close: all bytes come back before the FIN" {
	start_yodeld --workers 2 --listen 127.0.0.1:0=echo --listen 127.0.0.1:0=upper
	"$INDEPENDENT_CLIENT" stream "127.0.0.1:${PORTS[0]}" --bytes 300000
	"$INDEPENDENT_CLIENT" stream "127.0.0.1:${PORTS[1]}" --bytes 300000 --reply upper
}

@test "a peer that reads only after its half-close gets every byte" {
	# More than the kernel buffers, less than limits.max_pending.
	start_yodeld --workers 1 --listen 127.0.0.1:0=echo --set limits.max_pending=64M
	"$INDEPENDENT_CLIENT" stream "127.0.0.1:$PORT" --bytes 300000 --read-late
	"$INDEPENDENT_CLIENT" stream "127.0.0.1:$PORT" --bytes 12000000 --read-late
}

@test "300,000 bytes through socat come back before the FIN" {
	start_yodeld --listen 127.0.0.1:0=echo
	head -c 300000 /dev/urandom >sent
	socat -t 20 - "TCP:127.0.0.1:$PORT" <sent >received
	cmp sent received
}

@test "a stream sent one byte at a time is answered byte for byte" {
	start_yodeld --listen 127.0.0.1:0=upper
	"$INDEPENDENT_CLIENT" stream "127.0.0.1:$PORT" --reply upper --segment 1 --bytes 20000
}

framed() # FRAMING REPLY [ARG...]
{
	local framing=$1 reply=$2
	shift 2
	start_yodeld_with "\"reply\": \"$reply\", \"framing\": \"$framing\""
	"$INDEPENDENT_CLIENT" stream "127.0.0.1:$PORT" --framing "$framing" --reply "$reply" "$@"
	stop_yodeld
}

@test "lines split and joined across segments are answered line by line" {
	framed line echo
	framed line upper,suffix=_SB
	framed line fixed=1
	framed line discard
}

@test "length32 messages split and joined across segments are answered one by one" {
	framed length32 echo
	framed length32 upper,suffix=_SB
	framed length32 fixed=1
	framed length32 discard
}

@test "framed messages sent one byte at a time are answered one by one" {
	framed line upper,suffix=_SB --segment 1 --bytes 20000 --longest 100
	framed length32 upper,suffix=_SB --segment 1 --bytes 20000 --longest 100
}

@test "thousands of short messages in one segment are each answered" {
	framed line fixed=1 --segment 100000 --bytes 100000 --longest 3
	framed length32 echo,suffix=_SB --segment 100000 --bytes 100000 --longest 3
}

@test "messages of exactly max_message pass in every framing" {
	framed line upper --longest 65536 --bytes 1000000
	framed length32 upper --longest 65536 --bytes 1000000
}

@test "a last line without newline is answered without newline" {
	start_yodeld_with '"reply": "upper,suffix=!", "framing": "line"'
	printf 'one\ntwo' >sent
	socat -t 20 - "TCP:127.0.0.1:$PORT" <sent >received
	printf 'ONE!\nTWO!' | cmp - received
}
