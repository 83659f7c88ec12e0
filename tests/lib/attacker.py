#!/usr/bin/env python3
"""attacker.py MODE COUNT PORT... - hostile clients of a server on 127.0.0.1, until SIGTERM.

  drip        COUNT connections that announce a message and send a byte now and then
  never-read  COUNT connections that send messages and read no reply
  sip         like never-read, but a byte is read now and then: the zero window reopens
  reset       COUNT at a time: connect, send, reset
  close       COUNT at a time: connect, close
  half-open   SYNs at full rate from addresses that do not answer (root; own network)
  endless     COUNT connections with a message that never ends
  garbage     COUNT connections that send random bytes in segments of random length
  bytes       COUNT connections that send single bytes, each in a segment of its own

Connections are spread over the ports in turn. A connection that the server closes is
reopened. Many connections are divided among several processes, each with its own source
address, so that neither the descriptor limit of one process nor the ports of one address
bound them. Prints "attacking" when all connections are open, and at SIGTERM the totals.
"""
import mmap
import os
import random
import resource
import signal
import socket
import struct
import sys
import time

RESET = struct.pack("ii", 1, 0)
LINES = (b"x" * 1023 + b"\n") * 64
NOISE = random.Random(1)
PROCESS_MAX = 5000  # connections
IP_BIND_ADDRESS_NO_PORT = 24
done = {"connections": 0, "sent": 0}
source = ""  # an address; empty: the kernel's choice


def open_one(port, buffer=0):
    """A connection whose handshake may still be in progress."""
    peer = socket.socket()
    peer.setblocking(False)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    if source:
        peer.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        peer.bind((source, 0))
    peer.connect_ex(("127.0.0.1", port))
    done["connections"] += 1
    return peer


def send_some(peer, data):
    """Bytes sent, 0 if the socket buffer is full, -1 if the connection is closed."""
    try:
        count = peer.send(data)
        done["sent"] += count
        return count
    except BlockingIOError:
        return 0
    except OSError:
        return -1


def drain_some(peer, limit=65536):
    """False when the server has closed the connection."""
    try:
        return bool(peer.recv(limit))
    except BlockingIOError:
        return True
    except OSError:
        return False


def divide(count):
    """Forks processes; returns in each the number of its connections and the function that
    reports them as open. The parent does not return: it prints the totals of all."""
    global source
    processes = -(-count // PROCESS_MAX)
    shares = [(count + number) // processes for number in range(processes)]
    if processes == 1:
        return count, lambda: print("attacking", flush=True)
    read_end, write_end = os.pipe()
    tallies = mmap.mmap(-1, 16 * len(shares))
    pids = []
    for number, share in enumerate(shares):
        pid = os.fork()
        if pid == 0:
            source = f"127.0.1.{number + 1}"
            NOISE.seed(number)
            signal.signal(signal.SIGTERM, lambda *_: save_totals(tallies, number))
            return share, lambda: os.write(write_end, b"x")
        pids.append(pid)

    def print_all_totals(*_):
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        for pid in pids:
            os.waitpid(pid, 0)
        for number in range(len(pids)):
            connections, sent = struct.unpack_from("QQ", tallies, 16 * number)
            done["connections"] += connections
            done["sent"] += sent
        print_totals()

    signal.signal(signal.SIGTERM, print_all_totals)
    os.close(write_end)
    opened = 0
    while opened < len(pids):
        opened += len(os.read(read_end, len(pids))) or sys.exit("a process has exited")
    print("attacking", flush=True)
    while True:
        signal.pause()


def save_totals(tallies, number):
    struct.pack_into("QQ", tallies, 16 * number, done["connections"], done["sent"])
    os._exit(0)


def hold(count, ports, step, buffer=0, pause=0.02, share=1.0):
    """Holds COUNT connections and calls step(peer) for a random share of them in each
    round; one whose step returns False is reopened."""
    count, announce = divide(count)
    peers = []
    for number in range(count):
        peers.append((open_one(ports[number % len(ports)], buffer), ports[number % len(ports)]))
        if number % 100 == 99:
            time.sleep(0.005)
    for peer, _ in peers:
        step(peer)
    announce()
    while True:
        for number in NOISE.sample(range(count), max(1, int(count * share))):
            peer, port = peers[number]
            if not step(peer):
                peer.close()
                peers[number] = (open_one(port, buffer), port)
        time.sleep(pause)


def drip(count, ports):
    started = set()

    def step(peer):
        if peer not in started:
            if send_some(peer, struct.pack(">I", 60000)) == 4:
                started.add(peer)
            return True
        return send_some(peer, b"x") >= 0

    hold(count, ports, step, share=0.01)


def never_read(count, ports):
    hold(count, ports, lambda peer: send_some(peer, LINES) >= 0, buffer=4096)


def sip(count, ports):
    def step(peer):
        return send_some(peer, LINES) >= 0 and drain_some(peer, 1)

    hold(count, ports, step, buffer=4096)


def connect_and_finish(count, ports, finish):
    announced = False
    while True:
        peers = [open_one(NOISE.choice(ports)) for _ in range(count)]
        time.sleep(0.002)
        for peer in peers:
            finish(peer)
            peer.close()
        if not announced:
            print("attacking", flush=True)
            announced = True


def reset_one(peer):
    send_some(peer, b"hello\n")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def endless(count, ports):
    def step(peer):
        return send_some(peer, b"\xff" * 16384) >= 0 and drain_some(peer)

    hold(count, ports, step)


def garbage(count, ports):
    def step(peer):
        return send_some(peer, NOISE.randbytes(NOISE.randint(1, 3000))) >= 0 and drain_some(peer)

    hold(count, ports, step)


def single_bytes(count, ports):
    def step(peer):
        return send_some(peer, NOISE.randbytes(1)) >= 0 and drain_some(peer)

    hold(count, ports, step, pause=0)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def half_open(count, ports):
    """Sends SYNs from random addresses 10.x.y.z, to which this network drops answers."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    to = socket.inet_aton("127.0.0.1")
    print("attacking", flush=True)
    while True:
        for _ in range(count):
            source = bytes([10, NOISE.randrange(256), NOISE.randrange(256), NOISE.randrange(1, 255)])
            port = NOISE.choice(ports)
            tcp = struct.pack(">HHIIBBHHH", NOISE.randrange(1024, 65536), port,
                              NOISE.getrandbits(32), 0, 5 << 4, 2, 65535, 0, 0)
            pseudo = source + to + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(tcp))
            tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64,
                             socket.IPPROTO_TCP, 0, source, to)
            raw.sendto(ip + tcp, ("127.0.0.1", 0))
            done["connections"] += 1
        time.sleep(0.001)


def print_totals(*_):
    print(f"{done['connections']} connections, {done['sent']} bytes", flush=True)
    os._exit(0)


def main():
    mode, count, *ports = sys.argv[1:]
    count, ports = int(count), [int(port) for port in ports]
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    signal.signal(signal.SIGTERM, print_totals)
    {
        "drip": drip,
        "never-read": never_read,
        "sip": sip,
        "reset": lambda c, p: connect_and_finish(c, p, reset_one),
        "close": lambda c, p: connect_and_finish(c, p, lambda peer: None),
        "half-open": half_open,
        "endless": endless,
        "garbage": garbage,
        "bytes": single_bytes,
    }[mode](count, ports)


main()
