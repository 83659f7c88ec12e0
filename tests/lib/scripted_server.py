#!/usr/bin/env python3
"""scripted_server.py MODE - a server that shares no code with yodeld, for `yodel talk`.

Prints its port, then serves a single connection:
  tail     reads until the peer half-closes, answers with the number of bytes, and closes
  slow     answers each read in upper case, a byte at a time
  close    answers the first read with "bye\n" and closes
  reset    resets the connection at the first read
  partial  answers the first read with half a length32 message and closes
"""
import socket
import struct
import sys
import time

mode = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
total = 0
while True:
    data = connection.recv(65536)
    total += len(data)
    if not data:
        break
    if mode == "slow":
        for byte in data.upper():
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
    elif mode == "close":
        connection.sendall(b"bye\n")
        break
    elif mode == "reset":
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        break
    elif mode == "partial":
        connection.sendall(b"\0\0\0\x09half")
        break
if mode == "tail":
    connection.sendall(b"%d bytes\n" % total)
connection.close()
