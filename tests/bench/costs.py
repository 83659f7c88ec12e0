"""costs.py - yodeld's CPU for each message, beside a raw epoll server's."""
import bench

# what, reply, connections, bytes, options of the load, at most
CASES = [
    ("echo, 1 connection", "echo", 1, 64, [], 1.05),
    ("echo, 50 connections", "echo", 50, 64, [], 1.05),
    ("echo, 1,000 connections", "echo", 1000, 64, [], 1.05),
    ("echo, 10,000 connections", "echo", 10000, 64, [], 1.05),
    ("echo, 1 KiB, 50 connections", "echo", 50, 1024, [], 1.05),
    ("echo, 16 KiB, 50 connections", "echo", 50, 16384, [], 1.05),
    ("echo, pipeline of 16, 50 connections", "echo", 50, 64, ["-n", 16], 1.05),
    ("upper, 50 connections", "upper", 50, 64, [], 1.05),
    ("upper, 16 KiB, 50 connections", "upper", 50, 16384, [], 1.15),
    ("connect, one message, close", "echo", 50, 64, ["-o"], 1.10),
]


def sitting(servers, order, case, rounds, seconds):
    """Slices of fresh connections; the first of `order` connects first."""
    _, _, connections, size, options, _ = case
    loads = {
        name: bench.Load(servers[name], connections, size, options=options) for name in order
    }
    slices = bench.alternate(loads, rounds, seconds)
    for load in loads.values():
        load.stop()
    return slices


def compare(servers, case, rounds, seconds):
    what, reply, connections, _, _, bar = case
    names, sittings = ["raw epoll", reply], 1
    if connections > 1000:
        # Where the kernel has put so many moves their cost by 5 %, and who connects first
        # pays the more: some sittings, taking turns at that. Fewer slices of each, long
        # enough to reach everyone.
        rounds, seconds, sittings = max(2, rounds // 6), seconds * 2, 6
    slices = {name: [] for name in names}
    for number in range(sittings):
        order = names if number % 2 == 0 else names[::-1]
        for name, some in sitting(servers, order, case, rounds, seconds).items():
            slices[name] += some
    row = {
        "what": f"CPU for each message beside raw epoll: {what}",
        "bar": bar,
        **bench.ratio_of(slices, reply, "raw epoll"),
        "raw_us": bench.median(slices["raw epoll"], "us"),
        "yodeld_us": bench.median(slices[reply], "us"),
        "messages_per_s": bench.median(slices[reply], "messages_per_s"),
    }
    return {**row, "value": row["ratio"]}


def measure(rounds, seconds, build=bench.BUILD):
    servers = {"raw epoll": bench.start_raw()}
    try:
        for reply in "echo", "upper":
            servers[reply] = bench.start_yodeld(reply, build=build)
        for case in CASES:
            yield compare(servers, case, rounds, seconds)
    finally:
        for server in servers.values():
            server.stop()
