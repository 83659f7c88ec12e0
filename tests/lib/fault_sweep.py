#!/usr/bin/env python3
"""fault_sweep.py [--reload] YODELD FAULTS.SO CALL[:STEP]... - starts yodeld repeatedly; in
run N the Nth of these calls fails (or every STEPth number only), until a run makes fewer
calls than that.

Each start must either serve (answer one message, then exit with 0 at SIGTERM) or exit by
itself with status 71 or 78 and an error on stderr; no process may be killed by a signal or
hang. With --reload the calls fail in the master during a reload, which either succeeds or
fails for lack of memory; the next reload succeeds. Prints a line for each call: how many of
its runs served (and reloaded)."""
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = 30


# The reload changes the configuration from BEFORE to AFTER.
LISTENER = {"address": "127.0.0.1:0", "reply": "upper"}
BEFORE = {"workers": 1, "listeners": [LISTENER], "admin": {"socket": ""}}
AFTER = {
    "workers": 2,
    "listeners": [
        dict(LISTENER, nodelay=False, allow=["127.0.0.0/8", "::1"], deny=["10.0.0.0/8"]),
        {"address": "127.0.0.2:0", "reply": "fixed=\\u00e4", "framing": "line",
         "max_message": "1k", "max_connections_per_address": 7, "balance": "move"},
    ],
    "timeouts": {"idle": "5m", "drain": "1s"},
    "log": {"level": "debug"},
}


class Failed(Exception):
    pass


def read_all(log):
    """Does not move the file offset, which the server shares."""
    return os.pread(log.fileno(), 1 << 20, 0).decode()


def wait_for_ready(server, log):
    """The port, or None if the server has exited."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        ended = server.poll() is not None
        text = read_all(log)
        if ": ready: " in text:
            return int(re.search(r"listening on .*:(\d+) \(", text)[1])
        if ended:
            return None
        time.sleep(0.005)
    raise Failed("neither ready nor exited")


def ask(port):
    """Retries until answered: a worker that failed to serve may have been replaced."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as peer:
                peer.sendall(b"hello")
                if peer.recv(100) == b"HELLO":
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise Failed("no answer")


def wait_for_reload(server, log, number):
    """The text of the outcome of reload `number`, from 1."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        outcomes = re.findall(r"reload(?:: generation| failed| refused).*", read_all(log))
        if len(outcomes) >= number:
            return outcomes[number - 1]
        if server.poll() is not None:
            raise Failed("exited during a reload")
        time.sleep(0.005)
    raise Failed("no outcome of the reload")


def write_config(folder, config):
    with open(os.path.join(folder, "yodeld.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)


def reload_once(server, log, folder):
    """True if the reload in which a call fails succeeded."""
    once = os.path.join(folder, "now")
    after = dict(AFTER, admin={"socket": os.path.join(folder, "s"), "address": "127.0.0.1:0"})
    write_config(folder, after)
    with open(once, "w", encoding="utf-8"):
        server.send_signal(signal.SIGHUP)
        text = wait_for_reload(server, log, 1)
    os.unlink(once)
    is_good = text.startswith("reload: generation")
    if not is_good and not re.search(r"memory|forked|[Cc]annot", text):
        raise Failed(f"reload failed without a valid reason: {text}")
    server.send_signal(signal.SIGHUP)
    if not wait_for_reload(server, log, 2).startswith("reload: generation"):
        raise Failed("the next reload failed, too")
    return is_good


def run_once(yodeld, library, call, number, reloads):
    """(faults that happened, True if it served)"""
    environment = dict(os.environ, LD_PRELOAD=library, FAULTS=f"{call}={number}")
    # When malloc fails, libseccomp 2.5 crashes or builds too narrow a filter.
    seccomp = "off" if call == "malloc" else "on"
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        arguments = ["-w", "1", "-l", "127.0.0.1:0=upper", "--set", "admin.socket="]
        if reloads:
            write_config(folder, BEFORE)
            environment |= {"FAULTS_IN": "parent", "FAULTS_ONCE": os.path.join(folder, "now")}
            arguments = ["-c", "yodeld.json"]
        server = subprocess.Popen(
            [yodeld, *arguments, "--set", f"security.seccomp={seccomp}"],
            env=environment, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)
        try:
            port = wait_for_ready(server, log)
            is_good = port is not None
            if port is not None:
                if reloads:
                    is_good = reload_once(server, log, folder)
                ask(port)
                server.send_signal(signal.SIGTERM)
            status = server.wait(TIMEOUT)
            text = read_all(log)
            if re.search(r"signal|Segmentation|Sanitizer: |runtime error:", text):
                raise Failed("killed by a signal")
            if status not in ((0,) if port is not None else (71, 78)):
                raise Failed(f"status {status}")
            if port is None and not re.search(r"^(yodeld|.*libevent|\[err\])", text, re.M):
                raise Failed("no error on stderr")
        except (Failed, subprocess.TimeoutExpired) as error:
            server.kill()
            sys.exit(f"{call} number {number}: {error}\n{read_all(log)}")
        happened = max(map(int, re.findall(rf"(\d+) {call},", text)), default=1)
        return happened, is_good


def main():
    reloads = sys.argv[1] == "--reload"
    yodeld, library = map(os.path.abspath, sys.argv[1 + reloads:3 + reloads])
    names = sys.argv[3 + reloads:]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for call in names:
            call, _, step = call.partition(":")
            served = runs = 0
            number, step = 1, int(step or 1)
            while True:
                batch = [pool.submit(run_once, yodeld, library, call, number + i * step, reloads)
                         for i in (0, 1)]
                results = [future.result() for future in batch]
                number += 2 * step
                runs += 2
                served += sum(is_served for _, is_served in results)
                if not any(happened for happened, _ in results):
                    break
            print(f"# {call}: {runs} starts, {served} served{' and reloaded' if reloads else ''}")


main()
