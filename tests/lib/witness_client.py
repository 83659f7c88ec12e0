"""witness_client.py - a client of yodeld's reply "witness" (proto/witness/witness.h), written
against the description of the protocol only: `from witness_client import *`."""
import json
import os
import socket
import struct
import time
import zlib

PORT = int(os.environ.get("PORT", "0"))


class Witness:
    """One connection; reads the greeting, unless there is to be none."""

    def __init__(self, port=PORT, greets=True, before=b"", host="127.0.0.1", wrap=None):
        self.socket = socket.create_connection((host, port), timeout=20)
        if wrap:
            self.socket = wrap(self.socket)
        self.received = b""
        self.sent = b""
        self.taken = 0  # bytes of the server that were read
        if before:
            self.socket.sendall(before)
        self.greeting = self.answer() if greets else None

    @property
    def id(self):
        return self.greeting["id"]

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.sent += data
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.received:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(self.received)
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        self.taken += len(line) + 1
        return line

    def answer(self):
        return json.loads(self.line())

    def ask(self, command):
        """Sends a command that is answered; returns the record."""
        self.send(command + "\n")
        answer = self.answer()
        assert answer["answer"] == command.split()[0], answer
        return answer["record"]

    def record_of(self, other):
        return self.ask(f"ask {other.id}")

    def read(self, count):
        while len(self.received) < count:
            data = self.socket.recv(65536)
            if not data:
                break
            self.received += data
        data, self.received = self.received[:count], self.received[count:]
        self.taken += len(data)
        return data

    def rest(self):
        """All until the end of the stream."""
        while data := self.socket.recv(65536):
            self.received += data
        data, self.received = self.received, b""
        return data

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def crc(self):
        return f"{zlib.crc32(self.sent):08x}"


def until(condition):
    """Waits for it; returns what it returned."""
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.01)
    return found


def closed(teller, connection):
    """The record of a connection, once it is closed."""
    return until(lambda: (r := teller.record_of(connection)) and not r["open"] and r)


def events(record):
    return [event["event"] for event in record["events"]]


def event(record, name):
    return next(e for e in record["events"] if e["event"] == name)


def is_reset(call):
    try:
        call()
    except ConnectionResetError:
        return True
    return False
