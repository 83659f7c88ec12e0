"""outages_of_capture.py CAPTURE PORT RESULT [late] - holds the outages of a yodel result against a
packet capture of the same run (tcpdump -w, loopback or Ethernet, IPv4).

Each connection of the client has a source address of its own, 10.98.0.0 + 1 + its number, which
a connection that replaces it keeps. A wait for an answer begins with the first segment with new
data, or with the last answer if data is outstanding then; it ends with the next segment with
new data from the port. Waits longer than plan.hold_ns are the outages.

One segment may answer several messages, when the server was late. An echo answers as many bytes
as it has; in a run with --expect whoami and -p 1 each answer is that of all outstanding data.

Prints one JSON object: outages of the capture and of the result, those that agree within 2 ms
at both ends, missing and invented ones. Neither is one that is within 2 ms of plan.hold_ns.
If the client was late, the uncertainty that the result states is added to these 2 ms.
"""
import collections
import datetime
import json
import mmap
import struct
import sys

CLOSE_NS = 2_000_000
FIRST = 10 << 24 | 98 << 16 | 1


class Connection:
    """One socket address of the client, over all its ports."""

    def __init__(self):
        self.next_sent = {}  # by port: sequence number behind the last new data
        self.next_received = {}
        self.outstanding = collections.deque()  # [time, bytes without an answer]: of the present port
        self.answered_at = 0
        self.since = None  # begin of the wait, over a reconnect
        self.port = None

    def begin(self, at):
        return at if self.since is None else self.since

    def answer(self, length):
        """So many outstanding bytes are answered."""
        while self.outstanding and length >= self.outstanding[0][1]:
            length -= self.outstanding.popleft()[1]
        if self.outstanding:
            self.outstanding[0][1] -= length


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


def new_bytes(table, port, sequence, flags, length):
    """Those that no earlier segment brought."""
    end = (sequence + length) & 0xFFFFFFFF
    if flags & 2:  # SYN
        table[port] = (sequence + 1) & 0xFFFFFFFF
        return 0
    new = (end - table.get(port, sequence)) & 0xFFFFFFFF
    if length == 0 or new == 0 or new >= 0x80000000:
        return 0
    table[port] = end
    return new


def outages_of_capture(path, port, hold_ns, is_echo):
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
                        max(connection.outstanding[0][0], connection.answered_at))
                connection.outstanding.clear()
                connection.port = client_port
            new = new_bytes(connection.next_sent, client_port, sequence, flags, length)
            if new > 0:
                connection.outstanding.append([at, new])
        elif from_port == port:
            number, client_port = target - FIRST, to_port
            connection = connections[number]
            new = new_bytes(connection.next_received, client_port, sequence, flags, length)
            if new == 0:
                continue
            if connection.outstanding or connection.since is not None:
                first = connection.outstanding[0][0] if connection.outstanding else at
                begin = connection.begin(max(first, connection.answered_at))
                if at - begin > hold_ns:
                    found.append((number, begin, at))
            if is_echo:
                connection.answer(new)
            else:
                connection.outstanding.clear()
            connection.since = None
            connection.answered_at = at
    return found


def main():
    result = json.load(open(sys.argv[3]))
    started = datetime.datetime.fromisoformat(result["started_at"][:26]).replace(
        tzinfo=datetime.timezone.utc).timestamp() * 1e9
    assert result["hold"]["unlisted"] == 0, "the result does not list all outages"
    hold_ns = result["plan"]["hold_ns"]
    close_ns = CLOSE_NS + (result["hold"]["own_max_ns"] if sys.argv[4:] else 0)
    # Those that end in the warm-up are not measured.
    captured = [outage for outage in outages_of_capture(
        sys.argv[1], int(sys.argv[2]), hold_ns - close_ns,
        result["plan"]["expect"] != "whoami") if outage[2] >= started]
    told = collections.defaultdict(list)
    for outage in result["outages"]:
        if outage["end"] not in ("lost", "open"):
            begin = outage["begin_ns"]
            told[outage["connection"]].append((begin, begin + outage["length_ns"]))
    count = close = missing = 0
    for number, begin, end in captured:
        nearest = min(told[number], default=None,
                      key=lambda o: max(abs(o[0] - begin), abs(o[1] - end)))
        if nearest is None or nearest[0] >= end or nearest[1] <= begin:
            if end - begin > hold_ns + close_ns:
                count += 1
                missing += 1
                print(f"missing: connection {number} for {(end - begin) / 1e6} ms", file=sys.stderr)
            continue
        told[number].remove(nearest)
        count += 1
        close += max(abs(nearest[0] - begin), abs(nearest[1] - end)) <= close_ns
    invented = sum(end - begin > hold_ns + close_ns
                   for outages in told.values() for begin, end in outages)
    print(json.dumps({"captured": count, "told": len(result["outages"]), "close": close,
                      "missing": missing, "invented": invented,
                      "verdict": result["trust"]["verdict"]}))


main()
