"""transports.py - CPU time of yodeld per message on Unix sockets and over MPTCP, compared with a
raw epoll server on the same kind of socket."""
import tempfile

import bench

# what, listener of yodeld, of raw epoll, target of both, at most
CASES = [
    ("on a Unix socket", "unix:{folder}/yodeld", "unix:{folder}/raw", None, 1.05),
    ("over MPTCP", "mptcp:127.0.0.1:0", "mptcp", "mptcp:{port}", 1.05),
]
LOADS = [
    ("1 connection", 1, 64),
    ("50 connections", 50, 64),
    ("16 KiB, 50 connections", 50, 16384),
]


# Without what raw epoll does not have: a filter of system calls, in which each send is
# checked, and descriptors that are shared with another process (the keeper).
BARE = ["--set", "security.seccomp=off", "--set", "survive_crashes=false"]


def start_yodeld(listener, *options):
    command = [bench.BUILD / "yodeld", "-w", 1, "--listen", f"{listener}=echo"]
    command += ["--set", "admin.socket=", *options]
    pattern = r"listening on [^ ]*:(\d+) "
    if listener.startswith("unix:"):
        pattern = r"listening on .*, (1) socket"  # there is no port
    return bench.Server("yodeld", command, pattern, ready=r": ready: ")


def compare(servers, what, bar, load, rounds, seconds):
    """servers: {name: (server, target)}; the first is the base."""
    named, connections, size = load
    base, name = servers
    loads = {}
    for key, (server, target) in servers.items():
        server.port = target
        loads[key] = bench.Load(server, connections, size)
    slices = bench.alternate(loads, rounds, seconds)
    for one in loads.values():
        one.stop()
    row = {
        "what": f"CPU per message {what}, {named}",
        "bar": bar,
        **bench.ratio_of(slices, name, base),
        "base_us": bench.median(slices[base], "us"),
        "yodeld_us": bench.median(slices[name], "us"),
    }
    return {**row, "value": row["ratio"]}


def beside_raw(folder, rounds, seconds):
    for what, listener, raw, target, bar in CASES:
        listener, raw = listener.format(folder=folder), raw.format(folder=folder)
        started = []
        try:
            started.append(bench.Server("raw", [bench.BUILD / "bench/raw_epoll", raw], r"^(\d+)$"))
            started.append(start_yodeld(listener))
            bare = listener if target else listener + "-bare"
            started.append(start_yodeld(bare, *BARE))
            targets = [raw, listener, bare]
            if target:
                targets = [target.format(port=server.port) for server in started]
            pairs = list(zip(started, targets))
            servers = {"raw epoll": pairs[0], "yodeld": pairs[1]}
            for load in LOADS:
                yield compare(servers, f"{what}: yodeld / raw epoll", bar, load, rounds, seconds)
            servers = {"raw epoll": pairs[0], "yodeld": pairs[2]}
            yield compare(
                servers, f"{what}: yodeld without seccomp and survive_crashes / raw epoll", bar,
                LOADS[1], rounds, seconds)
        finally:
            for server in started:
                server.stop()


def plain_peer(rounds, seconds):
    """A peer that does not know MPTCP, at an MPTCP listener and at one of TCP."""
    servers = {}
    try:
        servers["TCP"] = start_yodeld("127.0.0.1:0")
        servers["MPTCP"] = start_yodeld("mptcp:127.0.0.1:0")
        named = {name: (server, str(server.port)) for name, server in servers.items()}
        yield compare(named, "of a plain TCP peer: at an MPTCP listener / at a TCP listener", 1.02,
                      LOADS[1], rounds, seconds)
    finally:
        for server in servers.values():
            server.stop()


def measure(rounds, seconds):
    with tempfile.TemporaryDirectory() as folder:
        yield from beside_raw(folder, rounds, seconds)
    yield from plain_peer(rounds, seconds)
