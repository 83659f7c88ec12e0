#!/usr/bin/env python3
"""tls_client.py - a TLS client by another library's hand, for tests of yodeld.

tls_client.py load HOST:PORT CONNECTIONS [--ca FILE] [--longest BYTES] [--tls 1.2|1.3]
    Opens the connections, then sends messages of random lengths on each and compares what
    comes back (reply echo), until SIGTERM. Then every answer is awaited and every
    connection ended by close_notify. Prints "open N" when all are open, at the end
    "connections N messages M bytes B lost L wrong W truncated T".

tls_client.py say HOST:PORT -t TEXT... [--ca FILE] [--name NAME] [--tls 1.2|1.3] [--alpn NAME]
        [--cert FILE --key FILE] [--first TEXT] [--wait FIFO] [--bytewise] [--end END]
    Sends each TEXT with a newline and prints the line that comes back. --first is sent in
    clear before the handshake. --wait: a line in the FIFO lets it send the next text. --bytewise: one byte in each segment. --end: close (close_notify), cut (FIN
    without it), bad (a record that cannot be opened; prints the alert that comes back).

tls_client.py begin HOST:PORT BYTES FIFO
    Sends so many bytes of a ClientHello (0: none) and prints "begun"; after a line in the FIFO
    it completes the handshake and says "hello", or prints why that failed.
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


class Wire:
    """TLS over a socket, with the records in our hands."""

    def __init__(self, options):
        self.sock = socket.create_connection(options.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(20)
        self.bytewise = getattr(options, "bytewise", False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = make_context(options)
        if getattr(options, "alpn", None):
            context.set_alpn_protocols([options.alpn])
        if getattr(options, "cert", None):
            context.load_cert_chain(options.cert, options.key)
        name = getattr(options, "name", None) or "localhost"
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def flush(self):
        data = self.outgoing.read()
        if self.bytewise:
            for i in range(len(data)):
                self.sock.send(data[i:i + 1])
        elif data:
            self.sock.sendall(data)

    def run(self, function, *arguments):
        """Calls a function of the TLS object until it needs no more bytes."""
        while True:
            try:
                result = function(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            except ssl.SSLError:
                self.flush()  # the alert
                raise

    def line(self):
        text = b""
        while not text.endswith(b"\n"):
            data = self.run(self.tls.read, 65536)
            if not data:
                break
            text += data
        return text.decode(errors="replace").rstrip("\n")


def wait(fifo):
    """Waits for a line, which the test writes."""
    with open(fifo, encoding="ascii") as lines:
        lines.readline()


def end(wire, how):
    if how == "close":
        wire.run(wire.tls.unwrap)
    elif how == "cut":
        wire.sock.shutdown(socket.SHUT_WR)
        while wire.sock.recv(65536):
            pass
    elif how == "bad":
        wire.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        try:
            wire.run(wire.tls.read, 100)
        except ssl.SSLError as error:
            print(error.reason)
    wire.sock.close()


def say(options):
    wire = Wire(options)
    if options.first:
        wire.sock.sendall(options.first.encode().decode("unicode_escape").encode())
    try:
        wire.run(wire.tls.do_handshake)
        for text in options.text:
            if options.wait:
                print("waits", flush=True)
                wait(options.wait)
            wire.run(wire.tls.write, text.encode() + b"\n")
            print(wire.line(), flush=True)
        end(wire, options.end)
    except ssl.SSLError as error:
        print(error.reason)
        return 1
    except OSError as error:
        print(error)
        return 1
    return 0


def begin(options):
    wire = Wire(options)
    try:
        wire.tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = wire.outgoing.read()
    wire.sock.sendall(hello[:options.bytes])
    print("begun", flush=True)
    wait(options.wait)
    try:
        wire.sock.sendall(hello[options.bytes:])
        wire.run(wire.tls.do_handshake)
        wire.run(wire.tls.write, b"hello\n")
        print(wire.line())
        end(wire, "close")
    except OSError as error:
        print("failed:", error)
        return 1
    return 0


def load(options):
    run = Load(options)

    def on_term(*_):
        run.is_ending = True
    signal.signal(signal.SIGTERM, on_term)
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
    command = commands.add_parser("say")
    command.set_defaults(run=say)
    command.add_argument("address", type=address)
    command.add_argument("-t", dest="text", action="append", default=[])
    for name in ("ca", "name", "alpn", "cert", "key", "first"):
        command.add_argument(f"--{name}")
    command.add_argument("--tls", choices=("1.2", "1.3"))
    command.add_argument("--wait", metavar="FIFO")
    command.add_argument("--bytewise", action="store_true")
    command.add_argument("--end", choices=("close", "cut", "bad"), default="close")
    command = commands.add_parser("begin")
    command.set_defaults(run=begin, ca=None, tls=None)
    command.add_argument("address", type=address)
    command.add_argument("bytes", type=int)
    command.add_argument("wait", metavar="FIFO")
    options = parser.parse_args()
    sys.exit(options.run(options))


if __name__ == "__main__":
    main()
