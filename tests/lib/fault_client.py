#!/usr/bin/env python3
"""fault_client.py - a client of yodeld's faults that knows nothing of yodel.

    replies PORT FIRST COUNT MESSAGES
        From COUNT source ports, FIRST and the next ones, sends MESSAGES lines, one after the
        other, and prints what came back: one line for each connection.
    hold PORT LINE...
        Sends the lines on one connection, prints "sent", waits for a line on stdin, and prints
        what has come by then.
    connect PORT
        Prints the seconds until the reply to one line has come.
"""
import socket
import struct
import sys
import time


def connect(port, source=0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Closed by a reset: the port can be used again at once.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.bind(("127.0.0.1", source))
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    return s


def replies(port, first, count, messages):
    for source in range(first, first + count):
        with connect(port, source) as s:
            got = b""
            try:
                s.sendall(b"".join(b"message %06d\n" % i for i in range(messages)))
                s.shutdown(socket.SHUT_WR)
                while data := s.recv(65536):
                    got += data
            except OSError as error:
                got += type(error).__name__.encode()
            print(got)


def hold(port, *lines):
    with connect(port) as s:
        s.sendall("".join(line + "\n" for line in lines).encode())
        print("sent", flush=True)
        sys.stdin.readline()
        print(s.recv(65536).decode().replace("\n", " "))


def time_reply(port):
    begin = time.monotonic()
    with connect(port) as s:
        s.sendall(b"x\n")
        assert s.recv(10) == b"x\n"
    print(time.monotonic() - begin)


if __name__ == "__main__":
    command, port, *rest = sys.argv[1:]
    if command == "replies":
        replies(int(port), *map(int, rest))
    elif command == "hold":
        hold(int(port), *rest)
    else:
        time_reply(int(port))
