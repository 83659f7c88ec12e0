"""transports.py - CPU time of yodeld per message on Unix sockets and over MPTCP, compared with a
raw epoll server on the same kind of socket."""
import pathlib
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


def start_raw(listener):
    path = listener.partition("unix:")[2]
    if path:
        pathlib.Path(path).unlink(missing_ok=True)  # of the instance before
    return bench.Server("raw", [bench.BUILD / "bench/raw_epoll", *listener.split()], r"^(\d+)$")


def start_yodeld(listener, *options):
    command = [bench.BUILD / "yodeld", "-w", 1, "--listen", f"{listener}=echo"]
    command += ["--set", "admin.socket=", *options]
    pattern = r"listening on [^ ]*:(\d+) "
    if listener.startswith("unix:"):
        pattern = r"listening on .*, (1) socket"  # there is no port
    return bench.Server("yodeld", command, pattern, ready=r": ready: ")


def compare(what, bar, base, name, load, rounds, seconds):
    """base, name: (function, listener, options) of a server, and where it listens, in which
    {port} is replaced."""
    named, connections, size = load

    def start():
        servers, targets = {}, {"base": base[1], "yodeld": name[1]}
        for key, ((function, *arguments), _) in (("base", base), ("yodeld", name)):
            servers[key] = function(*arguments)
            servers[key].port = targets[key].format(port=servers[key].port)
        return bench.running(servers, lambda key: bench.Load(servers[key], connections, size))
    slices = bench.over_instances(start, rounds, seconds)
    row = {
        "what": f"CPU per message {what}, {named}",
        "bar": bar,
        **bench.ratio_of(slices, "yodeld", "base"),
        "base_us": bench.median(slices["base"], "us"),
        "yodeld_us": bench.median(slices["yodeld"], "us"),
    }
    return {**row, "value": row["ratio"]}


def beside_raw(folder, rounds, seconds):
    for what, listener, raw, target, bar in CASES:
        listener, raw = listener.format(folder=folder), raw.format(folder=folder)
        plain = (start_raw, raw), target or raw
        filtered = (start_raw, f"filtered {raw}"), target or raw
        yodeld = (start_yodeld, listener), target or listener
        bare = (start_yodeld, listener, *BARE), target or listener
        for load in LOADS:
            yield compare(f"{what}: yodeld / raw epoll", bar, plain, yodeld, load, rounds,
                          seconds)
        yield compare(f"{what}: yodeld / raw epoll with a like filter of system calls", bar,
                      filtered, yodeld, LOADS[1], rounds, seconds)
        yield compare(f"{what}: yodeld without seccomp and survive_crashes / raw epoll", bar,
                      plain, bare, LOADS[1], rounds, seconds)


def plain_peer(rounds, seconds):
    """A peer that does not know MPTCP, at an MPTCP listener and at one of TCP."""
    yield compare("of a plain TCP peer: at an MPTCP listener / at a TCP listener", 1.02,
                  ((start_yodeld, "127.0.0.1:0"), "{port}"),
                  ((start_yodeld, "mptcp:127.0.0.1:0"), "{port}"), LOADS[1], rounds, seconds)


def measure(rounds, seconds):
    with tempfile.TemporaryDirectory() as folder:
        yield from beside_raw(folder, rounds, seconds)
    yield from plain_peer(rounds, seconds)
