#!/usr/bin/env python3
"""tls_client.py - a TLS client by another library's hand, for tests of yodeld.

tls_client.py load HOST:PORT CONNECTIONS [--ca FILE] [--longest BYTES] [--tls 1.2|1.3]
    Opens the connections, then sends messages of random lengths on each and compares what
    comes back (reply echo), until SIGTERM. Then every answer is awaited and every
    connection ended by close_notify. Prints "open N" when all are open, at the end
    "connections N messages M bytes B lost L wrong W truncated T".
"""
import argparse
import random
import select
import signal
import socket
import ssl
import sys
import time


class Connection:
    """One connection in a closed loop: sends a message, awaits its echo."""

    def __init__(self, number, options, context):
        self.number = number
        self.random = random.Random(number)
        self.options = options
        self.sock = socket.create_connection(options.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.sock.setblocking(False)
        self.outgoing = memoryview(b"")
        self.expected = b""  # of the message under way
        self.received = 0
        self.messages = 0
        self.bytes = 0
        self.failure = None

    def begin(self):
        """Chooses the next message."""
        longest = self.options.longest
        length = self.random.choice((1, 64, 1000, 16384, longest))
        length = self.random.randint(1, max(1, min(length, longest)))
        self.expected = self.random.randbytes(length)
        self.outgoing = memoryview(self.expected)
        self.received = 0

    def is_idle(self):
        return self.received == len(self.expected)

    def step(self):
        """Sends and receives what is possible. Sets failure."""
        try:
            self.send()
            self.receive()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError as error:
            self.failure = str(error)

    def send(self):
        try:
            while self.outgoing:
                n = self.sock.send(self.outgoing[:65536])
                self.outgoing = self.outgoing[n:]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass

    def receive(self):
        while not self.is_idle():
            data = self.sock.recv(65536)
            if not data:
                self.failure = "closed by the server"
                return
            end = self.received + len(data)
            if self.expected[self.received:end] != data:
                self.failure = "wrong bytes"
                return
            self.received = end
            self.bytes += len(data)
        self.messages += 1

    def events(self):
        return select.EPOLLIN | (select.EPOLLOUT if self.outgoing else 0)

    def close(self):
        """Ends by close_notify and awaits the server's. True if that came."""
        try:
            self.sock.settimeout(20)
            self.sock.unwrap()
            return True
        except (OSError, ValueError) as error:
            self.failure = f"at the end: {error}"
            return False
        finally:
            self.sock.close()


def make_context(options):
    context = ssl.create_default_context(cafile=options.ca)
    if options.ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.tls:
        version = ssl.TLSVersion.TLSv1_2 if options.tls == "1.2" else ssl.TLSVersion.TLSv1_3
        context.minimum_version = context.maximum_version = version
    return context


class Load:
    def __init__(self, options):
        self.options = options
        self.is_ending = False
        self.failed = []
        context = make_context(options)
        self.connections = [Connection(i, options, context)
                            for i in range(options.connections)]
        self.poll = select.epoll()
        self.by_fd = {}
        for connection in self.connections:
            self.by_fd[connection.sock.fileno()] = connection
            self.poll.register(connection.sock, connection.events())

    def fail(self, connection):
        self.poll.unregister(connection.sock)
        del self.by_fd[connection.sock.fileno()]
        self.failed.append(connection)
        print(f"connection {connection.number}, message {connection.messages}, byte "
              f"{connection.received} of {len(connection.expected)}: "
              f"{connection.failure}", file=sys.stderr, flush=True)

    def advance(self, connection):
        connection.step()
        while connection.is_idle() and not connection.failure and not self.is_ending:
            connection.begin()
            connection.step()
        if connection.failure:
            self.fail(connection)
        else:
            self.poll.modify(connection.sock, connection.events())

    def run(self):
        print(f"open {len(self.connections)}", flush=True)
        for connection in self.connections:
            self.advance(connection)
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            if self.is_ending and deadline is None:
                deadline = time.monotonic() + 30
            if self.is_ending and all(c.is_idle() for c in self.by_fd.values()):
                break
            for fd, _ in self.poll.poll(0.1):
                if fd in self.by_fd:
                    self.advance(self.by_fd[fd])
            if self.options.pause:
                time.sleep(self.options.pause)

    def finish(self):
        wrong = sum(c.failure == "wrong bytes" for c in self.failed)
        lost = len(self.failed) - wrong
        truncated = 0
        for connection in self.by_fd.values():
            if not connection.is_idle():
                lost += 1
            truncated += not connection.close()
        messages = sum(c.messages for c in self.connections)
        data = sum(c.bytes for c in self.connections)
        print(f"connections {len(self.connections)} messages {messages} bytes {data} "
              f"lost {lost} wrong {wrong} truncated {truncated}", flush=True)
        return 0 if lost + wrong + truncated == 0 else 1


def load(options):
    run = Load(options)

    def end(*_):
        run.is_ending = True
    signal.signal(signal.SIGTERM, end)
    run.run()
    return run.finish()


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("load")
    command.set_defaults(run=load)
    command.add_argument("address", type=address)
    command.add_argument("connections", type=int)
    command.add_argument("--ca")
    command.add_argument("--longest", type=int, default=100000)
    command.add_argument("--pause", type=float, default=0)
    command.add_argument("--tls", choices=("1.2", "1.3"))
    options = parser.parse_args()
    sys.exit(options.run(options))


if __name__ == "__main__":
    main()
