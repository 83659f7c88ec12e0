"""costs.py - CPU time of yodeld per message, compared with a raw epoll server."""
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


def reconnect_and_measure(servers, order, case, rounds, seconds):
    """Slices over new connections; the first server of `order` is connected first."""
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
    names, repetitions = ["raw epoll", reply], 1
    if connections > 1000:
        # With many connections their placement in memory changes the cost by 5 %, and the
        # first to connect is slower: connect several times in alternating order, with
        # fewer slices, each long enough to reach every connection.
        rounds, seconds, repetitions = max(2, rounds // 6), seconds * 2, 6
    slices = {name: [] for name in names}
    for number in range(repetitions):
        order = names if number % 2 == 0 else names[::-1]
        for name, some in reconnect_and_measure(servers, order, case, rounds, seconds).items():
            slices[name] += some
    row = {
        "what": f"CPU per message: yodeld / raw epoll, {what}",
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
