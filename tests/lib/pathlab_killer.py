#!/usr/bin/python3
"""pathlab_killer.py --ready FILE IDLE PORT - resets both ends of each connection to PORT that
has been idle for IDLE seconds: it reads the packets that device m0 passes and forges resets
with the next sequence numbers."""
import pathlib
import select
import socket
import struct
import sys
import time

DEVICE = "m0"
ETH_P_ALL = 3
FIN, SYN, RST, ACK = 1, 2, 4, 16
IPV4, TCP, IP_HEADER, TCP_HEADER = 4, 6, 20, 20
STEP = 0.05  # seconds between two looks at the clock


def checksum(data):
    words = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


class Segment:
    """The header of a TCP segment in an IPv4 packet."""

    def __init__(self, packet):
        ip_bytes = (packet[0] & 15) * 4
        (self.source_port, self.target_port, self.sequence, _, offset,
         self.flags) = struct.unpack("!HHIIBB", packet[ip_bytes:ip_bytes + 14])
        self.source, self.target = packet[12:16], packet[16:20]
        total, = struct.unpack("!H", packet[2:4])
        payload = total - ip_bytes - (offset >> 4) * 4
        self.end = (self.sequence + payload + bool(self.flags & SYN) +
                    bool(self.flags & FIN)) & 0xffffffff

    @property
    def direction(self):
        return (self.source, self.source_port, self.target, self.target_port)

    @property
    def connection(self):
        back = (self.target, self.target_port, self.source, self.source_port)
        return min(self.direction, back)


def read_segment(packet):
    """None unless it is TCP."""
    if len(packet) < IP_HEADER + TCP_HEADER or packet[0] >> 4 != IPV4 or packet[9] != TCP:
        return None
    return Segment(packet)


def is_later(one, other):
    return (one - other) & 0xffffffff < 1 << 31


class Connection:
    def __init__(self):
        self.seen = 0.0
        self.next = {}  # sequence number of each direction

    def take(self, segment):
        self.seen = time.monotonic()
        before = self.next.get(segment.direction, segment.end)
        if is_later(segment.end, before):
            self.next[segment.direction] = segment.end


def send_reset(raw, direction, sequence, acknowledged):
    source, source_port, target, target_port = direction
    tcp = struct.pack("!HHIIBBHHH", source_port, target_port, sequence, acknowledged,
                      (TCP_HEADER // 4) << 4, RST | ACK, 0, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, TCP, TCP_HEADER)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, IP_HEADER + TCP_HEADER, 0, 0, 64, TCP, 0,
                     source, target)
    raw.sendto(ip + tcp, (socket.inet_ntoa(target), 0))


def kill_idle(raw, connections, idle):
    now = time.monotonic()
    for key, connection in list(connections.items()):
        if now - connection.seen <= idle or len(connection.next) < 2:
            continue
        del connections[key]
        (one, one_next), (other, other_next) = connection.next.items()
        send_reset(raw, one, one_next, other_next)
        send_reset(raw, other, other_next, one_next)


def main(ready, idle, port):
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    tap.bind((DEVICE, ETH_P_ALL))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    connections = {}
    pathlib.Path(ready).touch()
    while True:
        if select.select([tap], [], [], STEP)[0]:
            segment = read_segment(tap.recv(65600))
            if segment and port in (segment.source_port, segment.target_port):
                connections.setdefault(segment.connection, Connection()).take(segment)
                if segment.flags & RST:
                    connections.pop(segment.connection, None)
        kill_idle(raw, connections, idle)


_, _, ready_file, idle_text, port_text = sys.argv
main(ready_file, float(idle_text), int(port_text))
