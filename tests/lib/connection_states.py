#!/usr/bin/env python3
"""connection_states.py PORT LINES FRAMES - connections in every state that must survive the
death of a worker. Prints "ready"; on SIGUSR1 completes each of them and checks every byte.

PORT echoes a stream, LINES answers lines in upper case with a "!", FRAMES echoes frames."""
import signal
import socket
import struct
import sys
import time


def connect(port, receive_buffer=None):
    peer = socket.socket()
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.settimeout(30)
    peer.connect(("127.0.0.1", port))
    return peer


def read_exactly(peer, length):
    data = b""
    while len(data) < length:
        piece = peer.recv(min(65536, length - len(data)))
        if not piece:
            break
        data += piece
    return data


def read_all(peer):
    data = b""
    while piece := peer.recv(65536):
        data += piece
    return data


def fill(peer, data):
    """Sends until nothing is taken for half a second; returns how many bytes were."""
    peer.setblocking(False)
    sent, deadline = 0, time.monotonic() + 0.5
    while sent < len(data) and time.monotonic() < deadline:
        try:
            sent += peer.send(data[sent : sent + 65536])
            deadline = time.monotonic() + 0.5
        except BlockingIOError:
            time.sleep(0.01)
    peer.settimeout(30)
    return sent


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    port, lines, frames = map(int, sys.argv[1:])
    idle = connect(port)
    idle.send(b"first")
    assert read_exactly(idle, 5) == b"first"
    untouched = connect(port)
    partial_line = connect(lines)
    partial_line.send(b"whole\nhalf a li")
    assert read_exactly(partial_line, 7) == b"WHOLE!\n"
    big = bytes(i * 7 % 256 for i in range(300000))
    partial_frame = connect(frames)
    partial_frame.send(struct.pack(">I", len(big)) + big[:150000])
    # The peer does not read: replies are queued, reading is paused, input is postponed.
    pattern = bytes(i * 13 % 251 for i in range(16 * 1024 * 1024))
    slow = connect(port, 4096)
    slow_sent = fill(slow, pattern)
    text = b"".join(b"line %d\n" % i for i in range(300000))
    slow_lines = connect(lines, 4096)
    lines_sent = fill(slow_lines, text)
    # Half-closed with unsent replies.
    half_closed = connect(port, 4096)
    half_sent = fill(half_closed, pattern)
    half_closed.shutdown(socket.SHUT_WR)
    time.sleep(0.3)
    print("ready", flush=True)
    signal.sigwait([signal.SIGUSR1])

    for peer in slow, slow_lines, half_closed:  # or reading takes seconds
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    idle.send(b"second")
    assert read_exactly(idle, 6) == b"second", "idle"
    untouched.send(b"hello")
    assert read_exactly(untouched, 5) == b"hello", "untouched"
    partial_line.send(b"ne\nlast")
    partial_line.shutdown(socket.SHUT_WR)
    assert read_all(partial_line) == b"HALF A LINE!\nLAST!", "partial line"
    partial_frame.send(big[150000:])
    assert read_exactly(partial_frame, 4 + len(big)) == struct.pack(">I", len(big)) + big
    assert read_exactly(slow, slow_sent) == pattern[:slow_sent], "slow"
    slow_lines.shutdown(socket.SHUT_WR)
    whole, _, rest = text[:lines_sent].rpartition(b"\n")
    expected = b"".join(line.upper() + b"!\n" for line in whole.split(b"\n"))
    expected += rest.upper() + b"!" if rest else b""
    assert read_all(slow_lines) == expected, "slow lines"
    assert read_all(half_closed) == pattern[:half_sent], "half-closed"


main()
