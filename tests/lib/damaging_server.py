#!/usr/bin/env python3
"""damaging_server.py - echoes one byte stream per connection, damaged by offset.

Prints its port, then serves until it is terminated. Every --every bytes, from --first on,
a damage: --cut bytes are left out, --add bytes ("#") are inserted. The answers are sent
in segments of --segment bytes, each with TCP_NODELAY.
"""
import argparse
import socket
import threading


def serve(connection, options):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    at, left_out, next_at = 0, 0, options.first
    while data := connection.recv(65536):
        out = bytearray()
        for byte in data:
            if at == next_at:
                out += b"#" * options.add
                left_out = options.cut
                next_at += options.every
            if left_out > 0:
                left_out -= 1
            else:
                out.append(byte)
            at += 1
        for i in range(0, len(out), options.segment):
            connection.sendall(out[i : i + options.segment])
    connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cut", "add"):
        parser.add_argument("--" + name, type=int, default=0)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--every", type=int, default=1 << 60)
    parser.add_argument("--segment", type=int, default=1 << 30)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(
            target=serve, args=(connection, options), daemon=True
        ).start()


if __name__ == "__main__":
    main()
