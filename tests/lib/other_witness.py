#!/usr/bin/env python3
"""other_witness.py PORT VERSION - greets as the witness on 127.0.0.1:PORT does, but with
"yodel_witness": VERSION, and says nothing more. Prints the port on which it listens."""
import re
import socket
import sys
import threading

port, version = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("127.0.0.1", port)) as witness:
    line = witness.makefile().readline()
GREETING = re.sub(r'("yodel_witness": ?)\d+', rf"\g<1>{version}", line).encode()


def serve(client):
    with client:
        client.sendall(GREETING)
        while client.recv(1000):
            pass


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
