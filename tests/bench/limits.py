"""limits.py - the cost of many idle connections, the effect of a client that never reads on
others, and counts that do not depend on the machine's load: memory and system calls."""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import bench

IDLE = 19900  # of the 20,000 descriptors that a process often has
IDLE_FOR_MEMORY = 18000


def room():
    """The number of connections that one process can open, with a margin."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100


def with_idle(rounds, seconds):
    """CPU time per message with many idle connections, and with ten."""
    idle = min(IDLE, room())
    slices = {"10 idle": [], "many idle": []}
    for number in range(4):  # the placement in memory differs from one set to the next
        order = sorted(slices, reverse=number % 2 == 1)
        servers = {name: bench.start_yodeld() for name in order}
        loads = {}
        try:
            for name in order:
                count = idle if name == "many idle" else 10
                loads[name] = bench.Load(servers[name], 10, options=["-i", count])
            for name, some in bench.alternate(loads, max(2, rounds // 2), seconds).items():
                slices[name] += some
        finally:
            for one in (*loads.values(), *servers.values()):
                one.stop()
    ratio = bench.ratio_of(slices, "many idle", "10 idle")
    yield {
        "what": f"CPU per message: {idle:,} idle connections / 10 idle connections",
        "bar": 1.02,
        "value": ratio["ratio"],
        **ratio,
        "us": bench.median(slices["many idle"], "us"),
    }


def never_reading(rounds, seconds):
    """p99 of other clients while one never reads; and the growth of the worker."""
    servers = {
        name: bench.start_yodeld("echo", "--set", "timeouts.stalled_write=0s")
        for name in ("quiet", "stuck")
    }
    loads, stuck = {}, None
    try:
        for name, server in servers.items():
            loads[name] = bench.Load(server, 50, options=["-l"])
        # Large messages touch the worker's own buffer first.
        filling = bench.Load(servers["stuck"], 1, 64 * 1024)
        filling.run(0.5)
        filling.stop()
        before = bench.dirty_memory(servers["stuck"].worker())
        stuck = subprocess.Popen(
            [bench.TESTS / "lib/independent_client.py", "never-read",
             f"127.0.0.1:{servers['stuck'].port}"],
            stdout=subprocess.PIPE, text=True,
        )
        stuck.stdout.readline()
        growth = bench.dirty_memory(servers["stuck"].worker()) - before
        slices = bench.alternate(loads, rounds * 2, seconds)
    finally:
        if stuck:
            stuck.kill()
            stuck.wait()
        for one in (*loads.values(), *servers.values()):
            one.stop()
    ratio = bench.ratio_of(slices, "stuck", "quiet", "p99_us")
    yield {
        "what": "p99 of other clients: with a client that never reads / without",
        "bar": 1.2,
        "value": ratio["ratio"],
        **ratio,
        "p99_us": bench.median(slices["stuck"], "p99_us"),
    }
    yield {
        "what": "memory growth of the worker for a client that never reads, KiB "
                "(max_pending 1 MiB)",
        "bar": 1024 + 64,
        "value": growth / 1024,
    }


def memory():
    """User memory for each idle connection, private or in shared mappings."""
    idle = min(IDLE_FOR_MEMORY, room())
    server = bench.start_yodeld(core=None)
    try:
        before = bench.dirty_memory(server.worker())
        load = bench.Load(server, 1, options=["-i", idle])
        accepted = f"/proc/{server.worker()}/fd"
        bench.wait_for("all accepted", lambda: len(os.listdir(accepted)) > idle)
        value = (bench.dirty_memory(server.worker()) - before) / idle
        load.stop()
    finally:
        server.stop()
    yield {
        "what": f"user memory per connection, {idle:,} idle connections, bytes",
        "bar": 320,
        "value": value,
    }


def count_calls(pid, run):
    """System calls of a process while run() runs, counted by perf, which does not slow it
    down, or else by strace; None without both."""
    if shutil.which("perf"):
        command = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(pid)]
        pattern = r"^(\d+),"
    elif shutil.which("strace"):
        command = ["strace", "-c", "-f", "-p", str(pid)]
        pattern = r"^100\.00 +\S+ +(?:\d+ +)?(\d+) "
    else:
        return None
    counter = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        bench.time.sleep(0.5)
        run()
    finally:
        counter.send_signal(signal.SIGINT)
        text = counter.communicate()[1]
    found = re.search(pattern, text, re.M)
    return int(found[1]) if found else None


def system_calls(seconds):
    for what, options, bar in ("50 connections", [], 2.05), ("pipeline of 16", ["-n", 16], 0.13):
        server = bench.start_yodeld()
        try:
            load = bench.Load(server, 50, options=options)
            rows = []
            calls = count_calls(server.worker(), lambda: rows.append(load.run(seconds)))
            load.stop()
        finally:
            server.stop()
        if calls is not None:
            yield {
                "what": f"system calls per message, {what}",
                "bar": bar,
                "value": calls / rows[0]["messages"],
            }


def instructions():
    if not shutil.which("valgrind"):
        return
    text = subprocess.run([sys.executable, bench.TESTS / "bench/instructions"], check=True,
                          capture_output=True, text=True).stdout
    found = re.search(r"^yodeld: ([0-9.]+) ", text, re.M)
    yield {
        "what": "user-mode instructions per message, 50 connections",
        "bar": 460,
        "value": float(found[1]),
    }
