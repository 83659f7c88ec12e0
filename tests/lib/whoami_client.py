#!/usr/bin/env python3
"""whoami_client.py PORT CONNECTIONS SECONDS - asks a server with the reply whoami and the
framing line, with many messages in flight and a small receive buffer, so that replies are sent
in parts. Each answer must be one whole line of JSON that names the port of its own connection,
and the age of a connection must not decrease. Prints how many answers were right, and exits
with 1 at the first one that is not."""
import json
import selectors
import socket
import sys
import time

IN_FLIGHT = 40


class Connection:
    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.own_port = self.socket.getsockname()[1]
        self.received = b""
        self.asked = self.answered = self.age = 0
        self.workers = set()

    def ask(self):
        more = IN_FLIGHT - (self.asked - self.answered)
        self.socket.sendall(b"?\n" * more)
        self.asked += more

    def check(self, line):
        whoami = json.loads(line)
        assert whoami["client"] == {"address": "127.0.0.1", "port": self.own_port}, line
        assert whoami["connection"]["age_us"] >= self.age, (self.age, line)
        self.age = whoami["connection"]["age_us"]
        self.workers.add((whoami["slot"], whoami["generation"]))
        self.answered += 1

    def read(self):
        data = self.socket.recv(1024)
        assert data, "the server has closed"
        self.received += data
        *lines, self.received = self.received.split(b"\n")
        for line in lines:
            self.check(line)


def main():
    port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    connections = [Connection(port) for _ in range(count)]
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask()
    print("asking", flush=True)
    end = time.monotonic() + seconds
    while any(c.asked > c.answered for c in connections):
        for key, _ in selector.select(10):
            key.data.read()
            if time.monotonic() < end:
                key.data.ask()
    # Nothing may follow the last answer.
    assert not any(c.received for c in connections)
    assert not selector.select(0.2)
    print("answered", sum(c.answered for c in connections))


main()
