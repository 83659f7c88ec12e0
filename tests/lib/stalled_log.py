#!/usr/bin/env python3
"""stalled_log.py KIND YODELD [ARG...] - starts yodeld with a log that nobody reads, fills it
until lines are dropped, and checks that the server still does its work.

KIND  stderr  pipe, foreign (a pipe that its user may not open again), socket, terminal (a
              pseudo-terminal that is not read), stopped (one stopped with ^S), fifo (opened
              for reading by this process)
      log.file  file-fifo (a FIFO that was never opened for reading)

Then reads again, and prints the line that counts the dropped lines.
"""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time

SECONDS = int(os.environ.get("SECONDS_MAX", 30))


def check(condition, what):
    if not condition:
        raise SystemExit(f"stalled_log.py: {what}")


def open_log(kind):
    """(descriptor to read from, descriptor for stderr, further arguments)"""
    if kind in ("pipe", "foreign"):
        return (*os.pipe(), [])
    if kind == "socket":
        reader, writer = socket.socketpair()
        return reader.detach(), writer.detach(), []
    if kind in ("terminal", "stopped"):
        master, slave = pty.openpty()
        if kind == "stopped":
            termios.tcflow(slave, termios.TCOOFF)
        return master, slave, []
    os.mkfifo("log.fifo")
    if kind == "file-fifo":
        return None, os.open("stderr", os.O_WRONLY | os.O_CREAT), [
            "--set", f"log.file={os.getcwd()}/log.fifo"]
    reader = os.open("log.fifo", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    return reader, os.open("log.fifo", os.O_WRONLY), []


def talk(port, text):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as s:
        s.sendall(text)
        got = b""
        while len(got) < len(text):
            more = s.recv(65536)
            check(more, "the server closed the connection")
            got += more
        check(got == text, f"found {got!r}, expected {text!r}")


def wait_for(condition, what):
    deadline = time.monotonic() + SECONDS
    while not condition():
        check(time.monotonic() < deadline, f"not within {SECONDS} s: {what}")
        time.sleep(0.02)


def is_asleep_in_write(pid):
    """Whether a process waits for the reader of its log."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        words = file.read().split()
    return words[0] in ("1", "20")  # write, writev of x86-64


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(p) for p in file.read().split()]


def main():
    kind, yodeld, *arguments = sys.argv[1:]
    reader, writer, more = open_log(kind)
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [yodeld, "-v", "-w", "2", "-l", f"127.0.0.1:{port}=echo", *more, *arguments]
    if kind == "foreign":
        os.fchown(writer, 0, 0)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    server = subprocess.Popen(command, stderr=writer, stdin=subprocess.DEVNULL)

    def is_open():
        check(server.poll() is None, "the server has ended")
        try:
            talk(port, b"hello")
        except ConnectionRefusedError:
            return False
        return True

    try:
        wait_for(is_open, "the server starts")
        # One line for each connection and its end, at debug level: 64 KiB are full soon,
        # 208 KiB of a socket too.
        for _ in range(1500):
            talk(port, b"x" * 100)
        # Master: a reload with its lines, then all workers are new ones.
        before = children(server.pid)
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: not set(before) & set(children(server.pid)), "reload")
        for _ in range(200):
            talk(port, b"y" * 100)
        for pid in [server.pid, *children(server.pid)]:
            check(not is_asleep_in_write(pid), f"process {pid} waits in write()")
        check(fcntl.fcntl(writer, fcntl.F_GETFL) == flags, "the flags of stderr changed")
        if kind == "stopped":
            termios.tcflow(writer, termios.TCOON)
        if reader is None:
            reader = os.open("log.fifo", os.O_RDONLY | os.O_NONBLOCK)
        text = b""
        deadline = time.monotonic() + SECONDS
        pattern = re.compile(rb"(\d+) log lines could not be written")
        while not pattern.search(text):
            check(time.monotonic() < deadline, f"no count of dropped lines in {text[-500:]!r}")
            if select.select([reader], [], [], 1)[0]:
                text += os.read(reader, 65536)
            else:
                talk(port, b"z")
        print(pattern.search(text).group().decode())
        # A terminal takes lines in part; a pipe does not.
        for line in [] if kind in ("terminal", "stopped") else re.split(rb"\r?\n", text)[:-1]:
            check(not line or line.count(b"yodeld[") == 1 or b"execut" in line,
                  f"a mixed line: {line!r}")
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    check(server.returncode == 0, f"exit status {server.returncode}")


main()
