#!/usr/bin/env python3
"""proxy_client.py PORT STEP... - a load balancer of which each step is written by hand.

Opens one connection to 127.0.0.1:PORT and does the steps in order:
  v1=TEXT        sends "PROXY TEXT" CR LF
  v2=SOURCE      sends a version 2 header for a client SOURCE (IPv4:PORT) of 192.0.2.1:80
  local          sends a version 2 header with the command LOCAL
  send=TEXT      sends TEXT and a line feed
  raw=TEXT       sends TEXT
  one-by-one     from now on each byte is a segment of its own
  together       from now on what is sent is held until "flush"
  flush          sends what is held in one segment
  read           prints the next line, or "end" or "reset"
  wait=FILE      waits until FILE exists
  made=FILE      creates FILE
  reset          closes with a reset
The connection is closed at the end."""
import os
import socket
import struct
import sys
import time

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Balancer:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.one_by_one = self.was_reset = False
        self.held = None
        self.received = b""

    def send(self, data):
        if self.held is not None:
            self.held += data
            return
        try:
            for piece in [bytes([byte]) for byte in data] if self.one_by_one else [data]:
                self.socket.sendall(piece)
                time.sleep(0.001 * self.one_by_one)
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset = True

    def read(self):
        while b"\n" not in self.received:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return "reset"
            if not data:
                return "reset" if self.was_reset else "end"
            self.received += data
        line, self.received = self.received.split(b"\n", 1)
        return line.decode()

    def step(self, name, value):
        if name == "v1":
            self.send(f"PROXY {value}\r\n".encode())
        elif name == "v2":
            host, port = value.rsplit(":", 1)
            self.send(SIGNATURE + b"\x21\x11" + struct.pack("!H", 12) + socket.inet_aton(host)
                      + socket.inet_aton("192.0.2.1") + struct.pack("!HH", int(port), 80))
        elif name == "local":
            self.send(SIGNATURE + b"\x20\0\0\0")
        elif name in ("send", "raw"):
            self.send(value.encode() + (b"\n" if name == "send" else b""))
        elif name == "one-by-one":
            self.one_by_one = True
        elif name == "together":
            self.held = b""
        elif name == "flush":
            self.socket.sendall(self.held)
            self.held = None
        elif name == "read":
            print(self.read(), flush=True)
        elif name == "wait":
            while not os.path.exists(value):
                time.sleep(0.01)
        elif name == "made":
            with open(value, "w", encoding="utf-8"):
                pass
        elif name == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sys.exit(f"proxy_client.py: unknown step {name}")


def main():
    balancer = Balancer(int(sys.argv[1]))
    for argument in sys.argv[2:]:
        name, _, value = argument.partition("=")
        balancer.step(name, value)
    balancer.socket.close()


main()
