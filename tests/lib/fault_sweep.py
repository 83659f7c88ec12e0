#!/usr/bin/env python3
"""fault_sweep.py YODELD FAULTS.SO CALL[:STEP]... - starts yodeld again and again, and lets
the first, second, third ... of these calls fail (or each STEPth of them), one in each run,
until a run is over before its turn comes.

Each start must either serve (one message is asked, then the end is asked for, which must be
0) or end by itself with status 71 or 78 and an error on stderr; nobody may be killed by a
signal, and nobody may hang. Prints a line for each call: how many of its runs served."""
import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 30


class Failed(Exception):
    pass


def read_all(log):
    """Leaves the place where the server writes as it is: it is the server's, too."""
    return os.pread(log.fileno(), 1 << 20, 0).decode()


def wait_for_ready(server, log):
    """The port, or None when the server has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended = server.poll() is not None
        text = read_all(log)
        if ": ready: " in text:
            return int(re.search(r"listening on .*:(\d+) \(", text)[1])
        if ended:
            return None
        time.sleep(0.005)
    raise Failed("neither ready nor gone")


def ask(port):
    """A worker that could not serve one may have been replaced: asks until answered."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
                peer.sendall(b"hello")
                if peer.recv(100) == b"HELLO":
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise Failed("no answer")


def run_once(yodeld, library, call, number):
    """(faults that happened, whether it served)"""
    environment = dict(os.environ, LD_PRELOAD=library, FAULTS=f"{call}={number}")
    # libseccomp 2.5 without memory crashes, or makes a filter that is too narrow.
    seccomp = "off" if call == "malloc" else "on"
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [yodeld, "-w", "1", "-l", "127.0.0.1:0=upper", "--set", "admin.socket=",
             "--set", f"security.seccomp={seccomp}"],
            env=environment, stderr=log, stdin=subprocess.DEVNULL)
        try:
            port = wait_for_ready(server, log)
            if port is not None:
                ask(port)
                server.send_signal(signal.SIGTERM)
            status = server.wait(PATIENCE)
            text = read_all(log)
            if re.search(r"signal|Segmentation|Sanitizer: |runtime error:", text):
                raise Failed("somebody was killed")
            if status not in ((0,) if port is not None else (71, 78)):
                raise Failed(f"status {status}")
            if port is None and not re.search(r"^(yodeld|.*libevent|\[err\])", text, re.M):
                raise Failed("no word of it")
        except (Failed, subprocess.TimeoutExpired) as error:
            server.kill()
            sys.exit(f"{call} number {number}: {error}\n{read_all(log)}")
        happened = max(map(int, re.findall(rf"(\d+) {call},", text)), default=1)
        return happened, port is not None


def main():
    yodeld, library, *names = sys.argv[1:]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for call in names:
            call, _, step = call.partition(":")
            served = runs = 0
            number, step = 1, int(step or 1)
            while True:
                batch = [pool.submit(run_once, yodeld, library, call, number + i * step)
                         for i in (0, 1)]
                results = [future.result() for future in batch]
                number += 2 * step
                runs += 2
                served += sum(is_served for _, is_served in results)
                if not any(happened for happened, _ in results):
                    break
            print(f"# {call}: {runs} starts, {served} served")


main()
