#!/usr/bin/env python3
"""conversation_client.py PORT CONNECTIONS [PASSES] - plays the client's side of server.talk on
that many connections, at random cuts, and verifies every byte and the number of each pass.
Without PASSES it goes on until SIGUSR1; then each connection finishes its pass and says QUIT.
Prints "connections N passes M" and exits 1 at the first thing that is not as it must be."""
import random
import select
import signal
import socket
import sys
import time

PAYLOAD = bytes(range(0x40, 0x80))


class Peer:
    """One connection: what it still has to send and to hear. A step is (bytes to send, bytes
    that must come); what follows is sent only when these have come."""

    def __init__(self, port, number):
        self.number, self.passes, self.is_over = number, 0, False
        self.random = random.Random(number)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.steps = [(b"", b"220 ready\r\n"),
                      (b"LOGIN %d\r\n" % number, b"250 welcome\r\n")]
        self.to_send, self.to_hear = b"", b""
        self.next_step()

    def next_step(self):
        if self.steps:
            self.to_send, self.to_hear = self.steps.pop(0)

    def add_pass(self):
        payload = bytes(self.random.choices(PAYLOAD, k=self.random.choice((1, 17, 400, 3000))))
        self.steps += [(b"PUT %d %s\r\n" % (len(payload), payload), b"GOT " + payload + b"\r\n"),
                       (b"NEXT\r\n", b"OK %d\r\n" % self.passes)]
        self.passes += 1
        self.next_step()

    def add_end(self):
        self.steps += [(b"QUIT\r\n", b"221 bye\r\n")]
        self.is_over = True
        self.next_step()

    def is_idle(self):
        return not (self.to_send or self.to_hear or self.steps)

    def send(self):
        piece = self.random.randint(1, len(self.to_send))
        self.to_send = self.to_send[self.socket.send(self.to_send[:piece]):]

    def hear(self):
        data = self.socket.recv(self.random.randint(1, 5000))
        expected = self.to_hear[:len(data)]
        if data != expected or not data:
            sys.exit(f"connection {self.number}, pass {self.passes}: expected {expected[:80]}, "
                     f"found {data[:80]}")
        self.to_hear = self.to_hear[len(data):]
        if not (self.to_hear or self.to_send):
            self.next_step()


def close(peer):
    peer.socket.setblocking(True)
    peer.socket.settimeout(30)
    if peer.socket.recv(1):
        sys.exit(f"connection {peer.number}: found bytes behind the end")
    peer.socket.close()


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    most = int(sys.argv[3]) if len(sys.argv) > 3 else None
    stop = []
    signal.signal(signal.SIGUSR1, lambda *_: stop.append(1))
    peers = {p.socket.fileno(): p for p in (Peer(port, n) for n in range(count))}
    every = list(peers.values())
    poll = select.poll()
    for fd in peers:
        poll.register(fd, select.POLLIN)
    print("playing", flush=True)
    last = time.monotonic()
    while peers:
        for fd, peer in list(peers.items()):
            if peer.is_idle():
                if peer.is_over:
                    poll.unregister(fd)
                    close(peers.pop(fd))
                    continue
                if stop or (most is not None and peer.passes >= most):
                    peer.add_end()
                else:
                    peer.add_pass()
            poll.modify(fd, select.POLLIN | (select.POLLOUT if peer.to_send else 0))
        events = poll.poll(1000)
        if events:
            last = time.monotonic()
        elif time.monotonic() - last > 60:
            waiting = [f"{p.number}: {p.to_hear[:40]}" for p in peers.values() if p.to_hear]
            sys.exit(f"nothing came for 60 s; waiting: {waiting[:5]}")
        for fd, event in events:
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                peers[fd].hear()
            if event & select.POLLOUT and peers[fd].to_send:
                peers[fd].send()
    print(f"connections {count} passes {sum(p.passes for p in every)}")


main()
