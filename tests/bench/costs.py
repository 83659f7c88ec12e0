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


def compare(servers, case, rounds, seconds):
    what, reply, connections, size, options, bar = case
    loads = {
        name: bench.Load(servers[name], connections, size, options=options)
        for name in ("raw epoll", reply)
    }
    if connections > 1000:  # fewer slices, each of them long enough to reach everyone
        rounds, seconds = max(3, rounds // 2), seconds * 2
    slices = bench.alternate(loads, rounds, seconds)
    for load in loads.values():
        load.stop()
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
