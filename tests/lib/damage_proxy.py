#!/usr/bin/env python3
"""damage_proxy.py SERVER_PORT OFFSET [plain] - a proxy that damages one byte.

Prints its port. Announces each client to the server on 127.0.0.1 by a PROXY header, if not
plain, and flips a bit of the byte at OFFSET of what the server sends to the first client that
gets so far.
"""
import socket
import sys
import threading

server_port, offset = map(int, sys.argv[1:3])
is_plain = sys.argv[3:] == ["plain"]
lock = threading.Lock()
is_done = False


def damage(data, at):
    global is_done
    with lock:
        if is_done or not at <= offset < at + len(data):
            return data
        is_done = True
    data = bytearray(data)
    data[offset - at] ^= 1
    return bytes(data)


def copy(source, to, is_answer):
    at = 0
    try:
        while data := source.recv(65536):
            to.sendall(damage(data, at) if is_answer else data)
            at += len(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client, address):
    server = socket.create_connection(("127.0.0.1", server_port))
    if not is_plain:
        server.sendall(b"PROXY TCP4 %s 127.0.0.1 %d %d\r\n" %
                       (address[0].encode(), address[1], server_port))
    for pair in (client, server, False), (server, client, True):
        threading.Thread(target=copy, args=pair, daemon=True).start()


with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        serve(*listener.accept())
