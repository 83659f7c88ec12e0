#!/usr/bin/env bats
# yodel talk: a prompt for people, and a pipe for scripts.
# shellcheck disable=SC2154,SC2016 # run sets stderr; another shell expands

load lib/helpers

start_scripted_server() # MODE; sets SCRIPTED_SERVER_PORT
{
	spawn scripted_server "$BATS_TEST_DIRNAME/lib/scripted_server.py" "$1"
	wait_until test -s scripted_server.out
	SCRIPTED_SERVER_PORT=$(<scripted_server.out)
}

@test "each line from a pipe is sent and each answer is printed" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 "$YODEL" talk "127.0.0.1:$PORT" < <(printf 'This is the message.\nin parts\n')
	[ "$output" = $'THIS IS THE MESSAGE.\nIN PARTS' ]
}

@test "a last line without newline is sent too" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 "$YODEL" talk "127.0.0.1:$PORT" < <(printf 'one\ntwo')
	[ "$output" = $'ONE\nTWO' ]
}

@test "without stdin nothing is sent, and without stdout it fails" {
	start_yodeld --listen 127.0.0.1:0=upper
	without_stdin() { timeout 20 "$YODEL" talk "127.0.0.1:$PORT" <&-; }
	run -0 without_stdin
	without_stdout() { echo one | timeout 20 "$YODEL" talk "127.0.0.1:$PORT" >&-; }
	run -71 without_stdout
	# With stdin and stdout closed, a socket must not become descriptor 1.
	without_all() { timeout 20 "$YODEL" --json result.json "127.0.0.1:$PORT" <&- >&- 2>&-; }
	run -71 without_all
	python3 -m json.tool result.json
}

@test "an answer after the end of the input is still read" {
	start_scripted_server tail
	run -0 "$YODEL" talk "127.0.0.1:$SCRIPTED_SERVER_PORT" < <(printf 'abc\ndef\n')
	[ "$output" = "8 bytes" ]
}

@test "a megabyte through a pipe comes back complete" {
	start_yodeld --listen 127.0.0.1:0=echo
	head -c 750000 /dev/urandom | base64 >sent
	run -0 --separate-stderr "$YODEL" talk "127.0.0.1:$PORT" <sent
	"$YODEL" talk "127.0.0.1:$PORT" <sent >came
	cmp sent came
}

@test "an answer is printed as its bytes arrive" {
	start_scripted_server slow
	run -0 "$YODEL" talk "127.0.0.1:$SCRIPTED_SERVER_PORT" < <(printf 'byte by byte\n')
	[ "$output" = "BYTE BY BYTE" ]
}

@test "without newline a line is sent as the tutorials send it" {
	start_yodeld --listen '127.0.0.1:0=upper,suffix=_SB'
	run -0 "$YODEL" talk -n "127.0.0.1:$PORT" < <(printf 'hello\n')
	[ "$output" = "HELLO_SB" ]
}

@test "a framed message is one line on the terminal" {
	start_yodeld_with '"reply": "upper,suffix=!", "framing": "length32"'
	run -0 "$YODEL" talk --framing length32 "127.0.0.1:$PORT" < <(printf 'one\n\ntwo\n')
	[ "$output" = $'ONE!\n!\nTWO!' ]
}

@test "lines are answered with lines" {
	start_yodeld_with '"reply": "fixed=1", "framing": "line"'
	run -0 "$YODEL" talk -f line "127.0.0.1:$PORT" < <(printf 'a\nb\n')
	[ "$output" = $'1\n1' ]
}

@test "escapes in a line become bytes" {
	start_yodeld --listen 127.0.0.1:0=echo
	run -0 "$YODEL" talk -e "127.0.0.1:$PORT" < <(printf '%s\n' 'a\tb\x41')
	[ "$output" = $'a\tbA' ]
}

@test "a peer that closes early is reported and fails" {
	start_scripted_server close
	mkfifo typed
	spawn talk bash -c 'exec "$0" talk "127.0.0.1:$1" <typed' "$YODEL" "$SCRIPTED_SERVER_PORT"
	exec 7>typed
	echo hello >&7
	status=0
	wait "$SPAWNED" || status=$?
	exec 7>&-
	[ "$status" = 1 ]
	grep -q '^bye$' talk.out
	grep -q 'the peer closed the connection' talk.log
}

@test "a peer that closes without a reply may expect TLS" {
	start_yodeld --listen 127.0.0.1:0=discard
	run -0 --separate-stderr "$YODEL" talk "127.0.0.1:$PORT" < <(printf 'a\n')
	[ "$output$stderr" = "yodel talk: the peer closed the connection without a reply; does it expect TLS (--tls)?" ]
	# Nothing was sent that could be answered.
	run -0 --separate-stderr "$YODEL" talk "127.0.0.1:$PORT" </dev/null
	[ -z "$output$stderr" ]
}

@test "a reset is reported and fails" {
	start_scripted_server reset
	run -1 --separate-stderr "$YODEL" talk "127.0.0.1:$SCRIPTED_SERVER_PORT" < <(printf 'a\n')
	[[ $stderr == *"Connection reset by peer"* ]]
}

@test "a message truncated by the peer is reported and fails" {
	start_scripted_server partial
	run -1 --separate-stderr "$YODEL" talk -f length32 "127.0.0.1:$SCRIPTED_SERVER_PORT" \
		< <(printf 'a\n')
	[[ $stderr == *"the peer closed the connection in the middle of a reply"* ]]
}

@test "a refused connection names the address and why" {
	local address
	address=127.0.0.1:$(free_port)
	run -1 --separate-stderr "$YODEL" talk "$address" </dev/null
	[ "$stderr" = "yodel talk: $address: Connection refused" ]
}

@test "a name with one dead and one working address connects without an error" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 --separate-stderr "$YODEL" talk "localhost:$PORT" < <(echo one)
	[ "$output" = ONE ] && [ -z "$stderr" ]
}

@test "bad usage prints one line and exits with 64" {
	run -64 --separate-stderr "$YODEL" talk
	[ "$stderr" = 'yodel talk: missing operand: expected HOST:PORT (see --help)' ]
	run -64 --separate-stderr "$YODEL" talk --framing lines 127.0.0.1:1
	[ "$stderr" = 'yodel talk: --framing: found "lines", expected stream, line or length32' ]
	run -64 --separate-stderr "$YODEL" talk --frmaing line 127.0.0.1:1
	[ "$stderr" = 'yodel talk: unknown option "--frmaing"; did you mean "--framing"?' ]
	run -64 "$YODEL" talk --connect-timeout soon 127.0.0.1:1
}

@test "a person at a terminal sees a prompt, and Ctrl-D ends it" {
	start_yodeld --listen 127.0.0.1:0=upper
	run -0 python3 - "$YODEL" "127.0.0.1:$PORT" <<-'END'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "talk", sys.argv[2]])
		seen = b""
		def until(what):
		    global seen
		    while what not in seen:
		        seen += os.read(fd, 1024)
		until(b"> ")
		os.write(fd, b"hello\n")
		until(b"HELLO\r\n> ")
		os.write(fd, b"\x04")
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}
