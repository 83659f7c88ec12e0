#!/usr/bin/env python3
"""independent_client.py - small clients that share no code with yodel, for tests of yodeld.

  ask ADDRESS MESSAGE...   sends each message, waits for the answer, prints it quoted; then
                           half-closes and prints any further bytes. --silent: no answers
  stream ADDRESS           sends --bytes of random messages in segments of --segment bytes,
                           half-closes, and checks every byte of every answer
  never-read ADDRESS       sends until the send blocks, prints "blocked", and "closed" when
                           the server closes the connection
  hold ADDRESS N           opens N connections and holds them; at SIGUSR1 sends a message on
                           each and prints "served A of N, closed C"
  burst ADDRESS N          N connections at once, one message on each; prints the number of
                           each outcome
  reset ADDRESS            sends a message and resets the connection before the answer

ADDRESS is HOST:PORT or [HOST]:PORT. Escapes in a MESSAGE are Python's.
"""
import argparse
import codecs
import random
import resource
import select
import selectors
import signal
import socket
import struct
import sys
import threading
import time

TIMEOUT = 30  # seconds, for any single wait


def parse_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def connect(address, receive_buffer=None):
    host, port = parse_address(address)
    peer = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    peer.settimeout(TIMEOUT)
    if receive_buffer:  # before the handshake, which announces the window
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.connect((host, port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def receive_all(peer):
    pieces = []
    while piece := peer.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def ask(options):
    with connect(options.address) as peer:
        for message in options.message:
            peer.sendall(codecs.escape_decode(message)[0])
            if not options.silent:
                print(repr(peer.recv(65536))[1:], flush=True)
        peer.shutdown(socket.SHUT_WR)
        rest = receive_all(peer)
        if rest:
            print("and then", repr(rest)[1:])


def random_payload(source, framing, options):
    payload = source.randbytes(source.randint(0, options.longest))
    if framing == "line":
        payload = payload.replace(b"\n", b"\r")
    return payload


def answer_to(payload, options):
    kind, _, suffix = options.reply.partition(",suffix=")
    if kind.startswith("fixed="):
        return kind[6:].encode()
    if kind == "discard":
        return None
    return (payload.upper() if kind == "upper" else payload) + suffix.encode()


def frame(payload, framing):
    if framing == "line":
        return payload + b"\n"
    if framing == "length32":
        return struct.pack(">I", len(payload)) + payload
    return payload


def make_conversation(options):
    """The bytes to send, and the bytes that must come back."""
    source = random.Random(options.seed)
    sent, expected = bytearray(), bytearray()
    while len(sent) < options.bytes:
        payload = random_payload(source, options.framing, options)
        answer = answer_to(payload, options)
        sent += frame(payload, options.framing)
        if answer is not None:
            expected += frame(answer, options.framing)
    if options.framing == "stream":
        del sent[options.bytes :]
        del expected[options.bytes :]
    return bytes(sent), bytes(expected)


def send_in_segments(peer, data, segment, seed):
    source = random.Random(seed + 1)
    at = 0
    while at < len(data):
        size = segment or source.choice((1, 2, 3, 7, 1000, 5000))
        peer.sendall(data[at : at + size])
        at += size
    peer.shutdown(socket.SHUT_WR)


def stream(options):
    sent, expected = make_conversation(options)
    with connect(options.address, 4096 if options.read_late else None) as peer:
        writer = threading.Thread(
            target=send_in_segments,
            args=(peer, sent, options.segment, options.seed),
            daemon=True,
        )
        writer.start()
        if options.read_late:
            writer.join()
        received = receive_all(peer)
        writer.join()
    if received != expected:
        same = 0
        for a, b in zip(received, expected):
            if a != b:
                break
            same += 1
        sys.exit(
            f"received {len(received)} bytes, expected {len(expected)}; "
            f"the first {same} are correct, then found {received[same:same + 16]!r}, "
            f"expected {expected[same:same + 16]!r}"
        )
    print(f"{len(sent)} bytes sent, {len(received)} came back, all right")


def never_read(options):
    peer = connect(options.address, 4096)
    peer.settimeout(1)
    total = 0
    try:
        while True:
            total += peer.send(b"x" * 65536)
    except TimeoutError:
        print(f"blocked after {total} bytes", flush=True)
    except ConnectionError:
        print(f"closed after {total} bytes", flush=True)
        return
    watch = select.poll()
    watch.register(peer, select.POLLRDHUP)
    watch.poll(TIMEOUT * 1000)
    print("closed", flush=True)


def connect_or_not(address):
    """None if the server resets the connection before connect() returns."""
    try:
        return connect(address)
    except ConnectionResetError:
        return None


def ask_once(peer):
    if peer is None:
        return "closed"
    try:
        peer.sendall(b"ping")
        return "served" if peer.recv(100) else "closed"
    except OSError:
        return "closed"


def hold(options):
    peers = [connect_or_not(options.address) for _ in range(options.count)]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    print(f"holding {len(peers)}", flush=True)
    while True:
        signal.sigwait([signal.SIGUSR1])
        outcomes = [ask_once(peer) for peer in peers]
        print(
            f"served {outcomes.count('served')} of {len(peers)}, "
            f"closed {outcomes.count('closed')}",
            flush=True,
        )


def burst(options):
    outcome = {"answered": 0, "refused": 0, "reset": 0, "closed": 0, "silent": 0}
    kept = []  # keeps the sockets open: Python closes one without references
    selector = selectors.DefaultSelector()
    for number in range(options.count):
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex(parse_address(options.address))
        selector.register(peer, selectors.EVENT_WRITE, b"message %d" % number)
    deadline = time.monotonic() + options.patience
    while selector.get_map() and time.monotonic() < deadline:
        for key, mask in selector.select(0.1):
            try:
                if mask & selectors.EVENT_WRITE:
                    key.fileobj.send(key.data)
                    selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                    continue
                answer = key.fileobj.recv(4096)
                result = "answered" if answer == key.data.upper() else "closed"
            except ConnectionRefusedError:
                result = "refused"
            except (ConnectionError, BrokenPipeError):
                result = "reset"
            outcome[result] += 1
            selector.unregister(key.fileobj)
            if options.keep and result == "answered":
                kept.append(key.fileobj)
            else:
                key.fileobj.close()
    outcome["silent"] = len(selector.get_map())
    if options.keep:
        time.sleep(max(0, deadline - time.monotonic()))
    print(", ".join(f"{name} {count}" for name, count in outcome.items()), flush=True)


def reset(options):
    peer = connect(options.address)
    peer.sendall(b"x" * options.bytes)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    def add(name, function):
        command = commands.add_parser(name)
        command.add_argument("address")
        command.set_defaults(run=function)
        return command

    command = add("ask", ask)
    command.add_argument("message", nargs="+")
    command.add_argument("--silent", action="store_true")
    command = add("stream", stream)
    command.add_argument("--bytes", type=int, default=300000)
    command.add_argument("--longest", type=int, default=3000, help="of a message")
    command.add_argument("--segment", type=int, default=0, help="0: random sizes")
    command.add_argument("--framing", default="stream")
    command.add_argument("--reply", default="echo")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument(
        "--read-late", action="store_true", help="nothing before the half-close"
    )
    add("never-read", never_read)
    command = add("hold", hold)
    command.add_argument("count", type=int)
    command = add("burst", burst)
    command.add_argument("count", type=int)
    command.add_argument("--patience", type=float, default=60, help="seconds")
    command.add_argument("--keep", action="store_true", help="to the end of --patience")
    command = add("reset", reset)
    command.add_argument("--bytes", type=int, default=1000)
    return parser.parse_args()


if __name__ == "__main__":
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    chosen = parse_arguments()
    chosen.run(chosen)
