"""bench.py - shared by the benchmarks: servers, loads, their CPU time, the machine.

Rates on one machine vary by half, CPU time per message by a few per cent. So CPU time is
compared, with server and client pinned to one core (crossing cores doubles the cost), in
alternating slices over the same connections, so that a disturbance affects both. A figure
is the median of its slices, a ratio the median of the ratios of neighbouring slices.

All processes of a benchmark are in the scheduling class SCHED_BATCH, in which a process that
wakes up does not take the CPU from the one that runs. Otherwise the end that costs a little
more than the other one is interrupted by it at each message, and pays a quarter more for that.

Processes are terminated by pid; all traffic is on loopback.
"""
import contextlib
import os
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
BUILD = TESTS.parent / os.environ.get("B", "build")
CORE = os.cpu_count() - 1


def wait_for(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"bench: timeout after {seconds} s: {what}")
        time.sleep(0.02)
    return found


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for one in found:
        try:
            tasks = os.listdir(f"/proc/{one}/task")
        except FileNotFoundError:
            continue
        for task in tasks:
            try:
                children = pathlib.Path(f"/proc/{one}/task/{task}/children").read_text()
            except FileNotFoundError:
                continue
            found += [int(child) for child in children.split()]
    return found


def cpu_ns(pids):
    """CPU time, user and kernel, of all threads, by the scheduler's own clock."""
    total = 0
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except FileNotFoundError:
            continue
        for task in tasks:
            try:
                text = pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text()
            except FileNotFoundError:
                continue
            total += int(text.split()[0])
    return total


def dirty_memory(pid):
    """Memory that a process has written, in bytes: what it has for itself, and what it
    shares with other processes in mappings that it can write."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        mapping = re.match(r"[0-9a-f]+-[0-9a-f]+ (\S{4}) ", line)
        if mapping:
            is_shared = mapping[1] == "rw-s"
        elif line.startswith("Private_Dirty:") or (
            line.startswith("Shared_Dirty:") and is_shared
        ):
            total += int(line.split()[1]) * 1024
    return total


class Server:
    """A server, pinned to `core` unless that is None. `port` is a number, or a pattern in
    its output. It is ready when `ready` is in its output, or the port accepts."""

    def __init__(self, name, command, port, ready=None, core=CORE, folder=None):
        self.name = name
        self.log = tempfile.TemporaryFile(mode="w+")
        pin = [] if core is None else ["taskset", "-c", str(core)]
        # Opened separately for appending, so that reading does not move the write position.
        with open(f"/proc/self/fd/{self.log.fileno()}", "a") as output:
            self.process = subprocess.Popen(
                pin + [str(word) for word in command], stdout=output, stderr=output,
                cwd=folder,
            )
        found = port if isinstance(port, int) else wait_for(name, lambda: self.search(port))
        self.port = found if isinstance(found, int) else int(found[1])
        if ready:
            wait_for(name, lambda: self.search(ready))
        elif isinstance(port, int):
            wait_for(name, self.answers)

    def answers(self):
        self.search("")  # it may have ended
        probe = subprocess.run(["bash", "-c", f": </dev/tcp/127.0.0.1/{self.port}"],
                               stderr=subprocess.DEVNULL)
        return probe.returncode == 0

    def search(self, pattern):
        self.log.seek(0)
        text = self.log.read()
        if self.process.poll() is not None:
            sys.exit(f"bench: {self.name} exited: {text}")
        return re.search(pattern, text, re.M)

    def pids(self):
        return family(self.process.pid)

    def worker(self):
        """The process that serves: the first child, or the only process."""
        pids = self.pids()
        return pids[1] if len(pids) > 1 else pids[0]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_raw(name="raw_epoll", build=BUILD, core=CORE):
    return Server(name, [build / "bench" / name], r"^(\d+)$", core=core)


def start_yodeld(reply="echo", *options, build=BUILD, core=CORE, workers=1, name="yodeld"):
    command = [build / "yodeld", "-w", workers, "--listen", f"127.0.0.1:0={reply}"]
    command += ["--set", "admin.socket=", *options]
    return Server(name, command, r"listening on [^ ]*:(\d+) ", ready=r": ready: ", core=core)


class Load:
    """round_trips, or another program with its input and output, with persistent
    connections to a server, run in slices."""

    def __init__(self, server, connections=50, size=64, core=CORE, options=(), probe=True,
                 program="round_trips"):
        self.server = server
        command = ["taskset", "-c", str(core), BUILD / "bench" / program]
        command += ["-c", str(connections), "-b", str(size), *map(str, options)]
        self.process = subprocess.Popen(command + [str(server.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit(f"bench: {server.name}: cannot open {connections} connections")
        if probe:
            self.run(0.05)  # the first messages warm up

    def run(self, seconds):
        """One slice: messages, seconds, microseconds of CPU for each message."""
        pids = self.server.pids()
        before = cpu_ns(pids)
        self.begin(seconds)
        words = self.end()
        used = cpu_ns(pids) - before
        messages = int(words[0])
        return {
            "us": used / 1e3 / messages,
            "client_us": int(words[2]) / 1e3 / messages,
            "messages": messages,
            "messages_per_s": messages / float(words[1]),
            "p50_us": int(words[3]) / 1e3,
            "p99_us": int(words[4]) / 1e3,
        }

    def begin(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def end(self):
        """The fields of the outcome of a started slice (see round_trips.c)."""
        words = self.process.stdout.readline().split()
        if len(words) != 5:
            sys.exit(f"bench: {self.server.name}: the load exited")
        return words

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def alternate(loads, rounds, seconds):
    """Slices of each load in turn: {name: [slice]}."""
    slices = {name: [] for name in loads}
    for number in range(rounds):
        for name in sorted(loads, reverse=number % 2 == 1):
            slices[name].append(loads[name].run(seconds))
    return slices


INSTANCES = 3


def over_instances(start, rounds, seconds):
    """As alternate(), a part of the rounds with each of some instances of the servers:
    between two processes of one program the memory that they got makes a difference of
    some per cent. start() is a context manager that gives the loads."""
    slices = {}
    for _ in range(INSTANCES):
        with start() as loads:
            part = alternate(loads, max(1, rounds // INSTANCES), seconds)
        for name, found in part.items():
            slices.setdefault(name, []).extend(found)
    return slices


@contextlib.contextmanager
def running(servers, connect):
    """The loads of some servers by name, until the end of the block. connect(name)
    makes one."""
    loads = {}
    try:
        for name in servers:
            loads[name] = connect(name)
        yield loads
    finally:
        for one in (*loads.values(), *servers.values()):
            one.stop()


def avoid_preemption():
    """Of this process and of all that it starts."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def ratio_of(slices, name, base, key="us"):
    """The median of the ratios of neighbouring slices, and its quartiles."""
    ratios = sorted(a[key] / b[key] for a, b in zip(slices[name], slices[base]))
    quarter = len(ratios) // 4
    return {
        "ratio": statistics.median(ratios),
        "low": ratios[quarter],
        "high": ratios[-1 - quarter],
    }


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def sysctl(name):
    try:
        return pathlib.Path("/proc/sys", name.replace(".", "/")).read_text().strip()
    except OSError:
        return "not known"


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "kernel": platform.release(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cpus": os.cpu_count(),
        "congestion_control": sysctl("net.ipv4.tcp_congestion_control"),
        "load": os.getloadavg()[0],
    }


def describe(host):
    return (f"{host['cpu']}, {host['cpus']} CPUs, Linux {host['kernel']}, "
            f"{host['congestion_control']}, load average {host['load']:.1f}")


def write(name, text):
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name
