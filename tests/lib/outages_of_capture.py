"""outages_of_capture.py CAPTURE PORT RESULT - holds the outages of a yodel result against a
packet capture of the same run (tcpdump -w, loopback or Ethernet, IPv4).

Each connection of the client has a source address of its own, 10.98.0.0 + 1 + its number, which
a connection that replaces it keeps. A wait for an answer begins with the first segment with new
data, or with the last answer if data is outstanding then; it ends with the next segment with
new data from the port. Waits longer than plan.hold_ns are the outages.

Prints one JSON object: outages of the capture and of the result, those that agree within 2 ms
and within 20 ms at both ends, missing and invented ones.
"""
import collections
import datetime
import json
import mmap
import struct
import sys

FIRST = 10 << 24 | 98 << 16 | 1


class Connection:
    """One socket address of the client, over all its ports."""

    def __init__(self):
        self.next_sent = {}  # by port: sequence number behind the last new data
        self.next_received = {}
        self.outstanding = collections.deque()  # (time, bytes): of the present port
        self.answered_at = 0
        self.since = None  # begin of the wait, over a reconnect
        self.port = None

    def begin(self, at):
        return at if self.since is None else self.since


def packets(path):
    """(time in ns, source, source port, destination port, sequence, flags, payload bytes)"""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    magic = struct.unpack_from("<I", data)[0]
    assert magic == 0xA1B23C4D, "not a capture with nanoseconds"
    link = struct.unpack_from("<I", data, 20)[0]
    assert link == 1, f"link type {link}"
    at = 24
    while at + 16 <= len(data):
        seconds, ns, length, _ = struct.unpack_from("<IIII", data, at)
        at += 16
        ip = at + 14
        if data[at + 12:at + 14] == b"\x08\x00" and data[ip + 9] == 6:
            tcp = ip + (data[ip] & 15) * 4
            total = struct.unpack_from(">H", data, ip + 2)[0]
            source, target = struct.unpack_from(">II", data, ip + 12)
            from_port, to_port, sequence = struct.unpack_from(">HHI", data, tcp)
            header = (data[ip] & 15) * 4 + (data[tcp + 12] >> 4) * 4
            yield (seconds * 10**9 + ns, source, target, from_port, to_port, sequence,
                   data[tcp + 13], total - header)
        at += length


def is_new(table, port, sequence, flags, length):
    """True for data that no earlier segment brought."""
    end = (sequence + length) & 0xFFFFFFFF
    if flags & 2:  # SYN
        table[port] = (sequence + 1) & 0xFFFFFFFF
        return False
    if length == 0:
        return False
    last = table.get(port)
    if last is not None and (end - last) & 0xFFFFFFFF in range(0x80000000, 0x100000000):
        return False
    if last == end:
        return False
    table[port] = end
    return True


def outages_of_capture(path, port, hold_ns):
    connections = collections.defaultdict(Connection)
    found = []
    for at, source, target, from_port, to_port, sequence, flags, length in packets(path):
        if to_port == port:
            number, client_port = source - FIRST, from_port
            connection = connections[number]
            if flags & 2 and not flags & 16 and connection.port != client_port:
                # What the last connection left outstanding waits on.
                if connection.outstanding:
                    connection.since = connection.begin(
                        max(connection.outstanding[0], connection.answered_at))
                connection.outstanding.clear()
                connection.port = client_port
            if is_new(connection.next_sent, client_port, sequence, flags, length):
                connection.outstanding.append(at)
        elif from_port == port:
            number, client_port = target - FIRST, to_port
            connection = connections[number]
            if not is_new(connection.next_received, client_port, sequence, flags, length):
                continue
            if connection.outstanding or connection.since is not None:
                first = connection.outstanding[0] if connection.outstanding else at
                begin = connection.begin(max(first, connection.answered_at))
                if at - begin > hold_ns:
                    found.append((number, begin, at))
            # Each answer is a segment of its own, or several answers came in one.
            if connection.outstanding:
                connection.outstanding.popleft()
            if connection.outstanding and connection.outstanding[0] < at - hold_ns:
                connection.outstanding.clear()
            connection.since = None
            connection.answered_at = at
    return found


def main():
    result = json.load(open(sys.argv[3]))
    started = datetime.datetime.fromisoformat(result["started_at"][:26]).replace(
        tzinfo=datetime.timezone.utc).timestamp() * 1e9
    # Those that end in the warm-up are not measured.
    captured = [outage for outage in outages_of_capture(
        sys.argv[1], int(sys.argv[2]), result["plan"]["hold_ns"]) if outage[2] >= started]
    told = collections.defaultdict(list)
    for outage in result["outages"]:
        if outage["end"] not in ("lost", "open"):
            begin = outage["begin_ns"]
            told[outage["connection"]].append((begin, begin + outage["length_ns"]))
    close = near = missing = 0
    for number, begin, end in captured:
        nearest = min(told[number], default=None,
                      key=lambda o: max(abs(o[0] - begin), abs(o[1] - end)))
        if nearest is None or nearest[0] >= end or nearest[1] <= begin:
            missing += 1
            print(f"missing: connection {number} for {(end - begin) / 1e6} ms", file=sys.stderr)
            continue
        told[number].remove(nearest)
        off = max(abs(nearest[0] - begin), abs(nearest[1] - end))
        close += off <= 2_000_000
        near += off <= 20_000_000
    invented = sum(len(outages) for outages in told.values())
    print(json.dumps({"captured": len(captured), "told": len(result["outages"]),
                      "close": close, "near": near, "missing": missing, "invented": invented,
                      "verdict": result["trust"]["verdict"]}))


main()
