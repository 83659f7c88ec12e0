#!/usr/bin/env bats
# The reply "witness": a server that tells what it sees of a connection, and answers late, holds,
# ends or resets as the client asks.

# shellcheck disable=SC2030,SC2031,SC2154 # each test has its own PORT; run sets stderr
load lib/helpers
load lib/supervision
load lib/certificates

export PYTHONPATH=$BATS_TEST_DIRNAME/lib
PATH=$PATH:$BATS_TEST_DIRNAME/../build/tools/usr/sbin

# start_server [KEYS [ARG...]]
start_server()
{
	local keys=${1-}
	shift || :
	start_yodeld_with '"reply": "witness"'"${keys:+, }$keys" --set instance=alpha \
		--set admin.socket="$PWD/control.sock" "$@"
	export PORT
}

# Runs a Python program from stdin with lib/witness_client.py.
client()
{
	python3 -c "from witness_client import *
$(cat)"
}

ctl()
{
	"$BUILD/yodelctl" -s control.sock "$@"
}

closed_for() # REASON - prints the number
{
	ctl stats --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["totals"]["connections_closed"][sys.argv[1]])' "$1"
}

is_closed_for() # REASON NUMBER
{
	[ "$(closed_for "$1")" = "$2" ]
}

@test "the greeting tells what whoami tells, the SYN as it arrived, and an identifier" {
	start_server '' -w 1 --set timeouts.idle=90s
	client <<-'END'
		import ipaddress
		one, other = Witness(), Witness()
		g = one.greeting
		assert g["yodel_witness"] == 1 and g["instance"] == "alpha", g
		assert len(g["id"]) == 32 and int(g["id"], 16) and g["id"] != other.id, g
		assert g["idle_ms"] == 90000 and (g["open"], g["accepted"]) == (1, 1), g
		assert (other.greeting["open"], other.greeting["accepted"]) == (2, 2)
		assert g["socket"]["local"] == {"address": "127.0.0.1", "port": PORT}
		assert g["client"]["port"] == one.socket.getsockname()[1]
		syn = bytes.fromhex(g["syn_headers"])
		assert syn[0] >> 4 == 4 and syn[12:16] == ipaddress.ip_address("127.0.0.1").packed
		assert int.from_bytes(syn[20:22], "big") == one.socket.getsockname()[1], g
		assert g["syn"]["ttl"] == syn[8] and g["tcp"]["snd_mss"] > 0
	END
}

@test "info tells the counts, the sum and the state of TCP of its own connection" {
	start_server
	client <<-'END'
		w = Witness()
		greeting_bytes = w.ask("info")["sent"]
		r = w.ask("info")
		assert r["received"] == len(w.sent) and r["crc32"] == w.crc(), r
		assert r["open"] and r["closed"] is None and r["instance"] == "alpha", r
		assert r["sent"] > greeting_bytes and r["unsent"] == 0 == r["unread"], r
		assert r["tcp"]["state"] == "established" and r["tcp"]["data_segs_in"] >= 2, r
		assert r["tcp"]["bytes_received"] == len(w.sent), r
		assert r["events"] == [] and r["before"] == {"bytes": 0, "hex": ""}, r
		assert w.ask("info")["age_us"] > r["age_us"]
	END
}

@test "ask tells of any connection of the server, open or closed, whichever worker has it" {
	start_server '' -w 3
	client <<-'END'
		import random
		many = [Witness() for _ in range(30)]
		slots = {w.greeting["slot"] for w in many}
		for w in many:
		    assert many[0].record_of(w)["slot"] == w.greeting["slot"]
		assert len(slots) > 1, slots
		for w in many[1:]:
		    w.send("sink\n" + "x" * random.randrange(1, 50000))
		    w.socket.close()
		for w in many[1:]:
		    r = closed(many[0], w)
		    assert r["received"] == len(w.sent) and r["crc32"] == w.crc(), r
		    assert r["closed"] == "peer_closed" and events(r) == ["eof", "closed"], r
		assert many[0].ask("ask " + "0" * 32) is None
		assert many[0].ask("ask " + "f" * 32) is None
	END
}

@test "the ends of a connection are told as they arrived, and come as they were asked for" {
	start_server
	client <<-'END'
		teller, reset, ended = Witness(), Witness(), Witness()
		reset.reset()
		ended.end()
		assert ended.rest() == b""
		r = closed(teller, reset)
		assert r["closed"] == "reset" and events(r) == ["reset", "closed"], r
		r = closed(teller, ended)
		assert r["closed"] == "peer_closed" and events(r) == ["eof", "closed"], r
		w = Witness()
		w.send("fin 100\n")
		assert w.rest() == b""
		w.send("still here")
		w.end()
		r = closed(teller, w)
		assert events(r) == ["fin", "eof", "closed"] and r["received"] == len(w.sent), r
		w = Witness()
		w.send("rst 100\n")
		assert is_reset(w.rest)
		r = closed(teller, w)
		assert events(r) == ["rst", "closed"] and r["closed"] == "witness_reset", r
		assert event(r, "rst")["at_us"] >= 100e3
	END
}

@test "say answers after its time, also when the client has ended its stream" {
	start_server
	client <<-'END'
		teller, w = Witness(), Witness()
		w.send("say 300 7\n")
		w.end()
		said = w.rest()
		assert len(said) == 7, said
		r = closed(teller, w)
		assert events(r) == ["eof", "said", "closed"], r
		assert 300e3 <= event(r, "said")["at_us"] - event(r, "eof")["at_us"] + 50e3, r
		other = Witness()
		other.send("say 0 7\nsay 1 0\ninfo\n")
		other.answer()
	END
}

@test "hold reads nothing, then tells how much its kernel has received" {
	start_server
	client <<-'END'
		import array, fcntl, termios
		w = Witness()
		w.send("hold 1000\n")
		w.socket.setblocking(False)
		end = time.monotonic() + 0.7
		while time.monotonic() < end:
		    try:
		        w.sent += bytes(w.socket.send(bytes(65536)))
		    except BlockingIOError:
		        time.sleep(0.01)
		unacknowledged = array.array("i", [0])
		fcntl.ioctl(w.socket, termios.TIOCOUTQ, unacknowledged)
		acknowledged = len(w.sent) - unacknowledged[0]
		w.socket.settimeout(20)
		answer = w.answer()
		r = answer["record"]
		assert answer["answer"] == "hold" and r["unread"] > 0, answer
		assert r["received"] + r["unread"] == acknowledged == r["tcp"]["bytes_received"], (
		    acknowledged, r)
		assert events(r) == ["held"] and event(r, "held")["at_us"] >= 1000e3, r
		teller = Witness()
		w.send("info\n")
		w.end()
		assert w.rest() == b"", "it discards after a hold"
		r = closed(teller, w)
		assert r["received"] == len(w.sent) and r["crc32"] == w.crc(), r
	END
}

@test "source sends the pattern, and tells meanwhile how much the client's kernel has" {
	start_server '' -w 2
	client <<-'END'
		import array, fcntl, termios
		teller, w = Witness(), Witness()
		before = w.taken
		w.send("source 16777216\n")
		received = array.array("i", [0])
		def is_stalled():
		    last = received[0]
		    time.sleep(0.25)
		    fcntl.ioctl(w.socket, termios.FIONREAD, received)
		    return 0 < last == received[0]
		until(is_stalled)
		r = teller.record_of(w)
		assert r["unsent"] > 0 and r["sent"] + r["unsent"] == before + 16777216, r
		assert r["tcp"]["bytes_acked"] == before + received[0], (r, before, received[0])
		w.send("info\n")
		data = w.read(16777216)
		assert len(data) == 16777216
		r = w.answer()["record"]
		assert events(r) == ["said"] and r["unsent"] == 0, r
		again = Witness()
		again.send("source 100000\n")
		assert again.read(100000) == data[:100000]
	END
}

@test "echo and sink are for ever" {
	start_server
	client <<-'END'
		teller, echo, sink = Witness(), Witness(), Witness()
		echo.send("echo\ninfo\nbad\n")
		assert echo.read(9) == b"info\nbad\n"
		payload = bytes(range(256)) * 4000
		echo.socket.setblocking(True)
		import threading
		thread = threading.Thread(target=echo.send, args=(payload,))
		thread.start()
		assert echo.read(len(payload)) == payload
		thread.join()
		echo.end()
		assert echo.rest() == b""
		sink.send(b"sink\n" + payload + b"info\n")
		sink.end()
		assert sink.rest() == b""
		r = closed(teller, sink)
		assert r["received"] == len(sink.sent) and r["crc32"] == sink.crc(), r
	END
}

@test "keepalive makes the server's kernel send probes, which count at the client" {
	start_server
	client <<-'END'
		def segments(s):
		    return struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 200), 140)
		w = Witness()
		w.ask("keepalive 1")
		before = segments(w.socket)
		until(lambda: segments(w.socket) > before)
		off = w.ask("keepalive 0")
		assert off["open"], off
	END
}

@test "bytes before the first command are kept, and may be anything" {
	start_server
	client <<-'END'
		teller, w = Witness(), Witness()
		w.send("GET / HTTP/1.1\r\n\r\n")
		w.send(bytes(range(256)) + b"\n")
		r = w.ask("info")
		before = w.sent[:-len("info\n")]
		assert r["before"]["bytes"] == len(before), r
		assert bytes.fromhex(r["before"]["hex"]) == before[:256], r
		quiet = Witness()
		quiet.send(b"x" * 200)
		until(lambda: teller.record_of(quiet)["before"]["bytes"] == 200)
		quiet.send("\r\ninfo\r\n")
		assert quiet.answer()["record"]["before"]["bytes"] == 202
	END
}

@test "a line that is no command closes, after the first command or 64 KiB" {
	start_server
	client <<-'END'
		import itertools
		def refused(*lines):
		    w = Witness()
		    for line in lines:
		        w.send(line)
		    try:
		        while w.socket.recv(65536):
		            pass
		    except ConnectionResetError:
		        pass
		    w.socket.close()
		bad = ["help\n", "say 1\n", "say 7200001 1\n", "source 16777217\n", "info \n",
		       "ask 12\n", "x" * 200, b"\0\n"]
		for line in bad:
		    refused("info\n", line)
		refused("x" * 70000)
		print(len(bad) + 1)
	END
	wait_until is_closed_for witness_bad_command 9
}

@test "a flood of commands is answered no faster than the client reads" {
	start_server '' -w 1
	client <<-'END'
		w = Witness()
		w.socket.setblocking(False)
		count, blocked = 0, time.monotonic()
		while time.monotonic() < blocked + 0.5:
		    try:
		        count += w.socket.send(b"info\n" * 1000)
		        blocked = time.monotonic()
		        assert count < 100e6, "the server has not stopped reading"
		    except BlockingIOError:
		        time.sleep(0.01)
		r = Witness().record_of(w)
		assert r["received"] < count and 0 < r["unsent"] < 200000, r
	END
}

@test "a PROXY header comes before the greeting, and is told" {
	start_server '"proxy_protocol": "any", "proxy_from": ["127.0.0.1"]'
	client <<-'END'
		header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n"
		w = Witness(before=header)
		assert w.greeting["client"] == {"address": "192.0.2.7", "port": 4000}, w.greeting
		assert w.ask("info")["received"] == len("info\n")
		piped = Witness(before=header + b"info\nsink\n")
		r = piped.answer()["record"]
		assert r["received"] >= len("info\n") and r["before"]["bytes"] == 0, r
		teller = Witness(before=header)
		assert teller.record_of(piped)["received"] == len("info\nsink\n")
	END
}

@test "a witness speaks TLS, and the ends of the stream are those of TLS" {
	make_ca ca
	make_certificate server ca 127.0.0.1
	start_server '"tls": { "certificate": "'"$PWD"'/server.pem", "key": "'"$PWD"'/server.key" }'
	client <<-'END'
		import ssl
		context = ssl.create_default_context(cafile="ca.pem")
		def tls(end):
		    return context.wrap_socket(end, server_hostname="127.0.0.1")
		teller, w, said, ended = (Witness(wrap=tls) for _ in range(4))
		r = w.ask("info")
		assert r["received"] == len(w.sent) and r["crc32"] == w.crc(), r
		w.send("source 1000000\ninfo\n")
		data = w.read(1000000)
		assert len(data) == 1000000 and events(w.answer()["record"]) == ["said"]
		said.send("say 200 5\nfin 400\n")
		ended.send("fin 100\n")
		assert ended.rest() == b""
		ended.send("more")
		ended.socket.unwrap().close()
		r = closed(teller, ended)
		assert events(r) == ["fin", "eof", "closed"] and r["received"] == len(ended.sent), r
		w.send("hold 300\n" + "x" * 50000)
		assert events(w.answer()["record"]) == ["said", "held"]
		until(lambda: teller.record_of(w)["received"] == len(w.sent))
	END
}

@test "a reload moves the connections with what they still have to do" {
	start_server '' -w 2
	cat >program.py <<-'END'
		from witness_client import *
		import subprocess, sys
		waiting, silent, echo, source = (Witness() for _ in range(4))
		ids = [w.id for w in (waiting, silent, echo, source)]
		source.send("source 16777216\n")
		waiting.send("say 1000 5\n")
		echo.send("echo\none")
		assert echo.read(3) == b"one"
		silent.send("half a line: in")
		subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
		assert waiting.read(5) and not waiting.received
		echo.send("two")
		assert echo.read(3) == b"two"
		silent.send("\ninfo\n")
		r = silent.answer()["record"]
		assert r["generation"] == 2 and r["id"] == silent.id and events(r) == ["moved"], r
		assert r["before"]["bytes"] == 16 and r["crc32"] == silent.crc(), r
		assert len(source.read(16777216)) == 16777216
		r = waiting.record_of(source)
		assert r["generation"] == 2 and events(r) == ["moved", "said"], r
		print("through")
	END
	run -0 python3 program.py "$BUILD/yodelctl" -s control.sock reload
	[ "$output" = through ]
	is_closed_for drained 0
}

@test "the death of a worker moves the connections that it was not processing" {
	start_server '' -w 1
	cat >program.py <<-'END'
		from witness_client import *
		import os, signal, sys
		idle, waiting = Witness(), Witness()
		waiting.send("say 1000 5\n")
		idle.ask("info")
		until(lambda: len(idle.record_of(waiting)["events"]) == 0)
		Witness().ask("info")  # then what idle has asked is done
		os.kill(int(sys.argv[1]), signal.SIGKILL)
		assert len(waiting.read(5)) == 5
		r = idle.ask("info")
		assert events(r) == ["moved"] and r["crc32"] == idle.crc(), r
	END
	python3 program.py "$(worker_pids)"
}

@test "connections that can go nowhere are drained" {
	start_server '' -w 1
	echo '{ "listeners": [ { "address": "127.0.0.1:'"$PORT"'", "reply": "echo" } ] }' >listener.json
	client <<-END
		import subprocess
		w = Witness()
		subprocess.run(["$BUILD/yodelctl", "-s", "control.sock", "reload"], check=True,
		    stdout=subprocess.DEVNULL)
		assert w.rest() == b""
	END
	is_closed_for drained 1
}

@test "a witness that anybody can reach warns at the start; allow and loopback do not" {
	local port
	port=$(free_port)
	start_yodeld --listen "*:$port=witness"
	grep -q "witness.*fix: set allow" yodeld.log
	stop_yodeld
	start_yodeld --listen "127.0.0.1:$port=witness"
	! grep -q 'fix: set allow' yodeld.log || false
	stop_yodeld
	echo '{ "listeners": [ { "address": "*:'"$port"'", "reply": "witness", "allow": [ "127.0.0.1" ] } ] }' >allowed.json
	start_yodeld -c allowed.json
	! grep -q 'fix: set allow' yodeld.log || false
}

@test "a witness refuses faults and framings, with one line" {
	echo '{ "listeners": [ { "address": "127.0.0.1:0", "reply": "witness", "framing": "line" } ] }' >line.json
	run -78 --separate-stderr "$YODELD" --check -c line.json
	[[ $stderr == *'found "line", expected "stream": the commands of a witness are lines'* ]]
	echo '{ "listeners": [ { "address": "127.0.0.1:0", "reply": "witness", "faults": [ "drop every 2" ] } ] }' >faults.json
	run -78 --separate-stderr "$YODELD" --check -c faults.json
	[[ $stderr == *'found a fault on a listener with a witness'* ]]
}
