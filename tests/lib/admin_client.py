#!/usr/bin/env python3
"""admin_client.py - clients of yodeld's admin interface that share no code with it.

  ask ADMIN METHOD TARGET  one request; prints the status on the first line, then the body
  watch ADMIN              polls /stats and /metrics until SIGTERM; each /stats must add up
                           and no counter may decrease; prints the number of polls, or the
                           error and exits 1
  drip ADMIN N             N clients that send a byte of a request now and then, until
                           SIGTERM; prints "dripping" once all have connected
  terminal KEY COMMAND...  runs a command on its own pseudo-terminal. After the first view,
                           KEY is typed (one character), sent (SIGNAL) or "nothing". Prints
                           "restored" if the command restored the terminal, and its status
  views ACT COMMAND...     likewise, but prints the number of views drawn. ACT is typed, or
                           is "resize": changes the size, and types "q" after a redraw
  full_rows COMMAND...     likewise; prints how many rows of the first view fill the
                           terminal, and how many lose their last column
  dumb COMMAND...          runs a command on a dumb terminal and prints its output

ADMIN is the path of a Unix socket, or HOST:PORT.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import termios
import time

TIOCGPTN = 0x80045430  # the terminal's number (ioctl_tty(2)); not in termios
TIMEOUT = 20  # seconds, for any single wait
UNREACHED = (ConnectionError, FileNotFoundError)


def connect(admin_socket):
    if "/" in admin_socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(TIMEOUT)
        peer.connect(admin_socket)
        return peer
    host, _, port = admin_socket.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT)


def ask(admin_socket, method, target):
    """The status and the body; ConnectionError if the response is incomplete."""
    with connect(admin_socket) as peer:
        peer.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        response = b""
        while chunk := peer.recv(65536):
            response += chunk
    head, blank, body = response.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    if not blank or (length and int(length[1]) != len(body) and method != "HEAD"):
        raise ConnectionError("truncated response")
    return int(head.split()[1]), body.decode()


def counters_of_stats(totals):
    closed = totals["connections_closed"]
    counters = {k: v for k, v in totals.items() if isinstance(v, int)}
    del counters["connections_open"]
    counters.update({f"closed {k}": v for k, v in closed.items()})
    return counters


def counters_of_metrics(text):
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    rows = re.findall(r"^(\w+)(\{[^}]*\})? (\S+)$", text, re.M)
    return {n + l: float(v) for n, l, v in rows if kinds[n] == "counter"}


def check_sum(totals):
    ended = sum(totals["connections_closed"].values())
    if totals["connections_accepted"] != totals["connections_open"] + ended:
        sys.exit(f"the counters do not add up: {totals}")


def check_growth(before, now):
    for name, value in before.items():
        if name not in now:
            sys.exit(f"{name} disappeared")
        if now[name] < value:
            sys.exit(f"{name} decreased from {value} to {now[name]}")
    before.update(now)


def watch(admin_socket):
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
    stats, metrics, polls = {}, {}, 0
    while not ends:
        try:
            now = json.loads(ask(admin_socket, "GET", "/stats")[1])
            text = ask(admin_socket, "GET", "/metrics")[1]
        except UNREACHED as error:
            sys.exit(f"cannot connect: {error}")
        for row in [now["totals"], *now["listeners"]]:
            check_sum(row)
        check_growth(stats, counters_of_stats(now["totals"]))
        check_growth(metrics, counters_of_metrics(text))
        polls += 1
    print(polls)


def drip(admin_socket, count):
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
    request = b"GET /stats HTTP/1.1\r\nX: " + b"x" * 100000
    peers = [connect(admin_socket) for _ in range(int(count))]
    print("dripping", flush=True)
    for at in range(len(request)):
        for peer in peers:
            try:
                peer.send(request[at : at + 1])
            except OSError:
                pass
        time.sleep(0.05)
        if ends:
            return


def read_terminal(fd, until, shown=b""):
    """Reads until until(text) is true of the whole text, which begins with `shown`."""
    deadline = time.monotonic() + TIMEOUT
    while not until(shown):
        ready, _, _ = select.select([fd], [], [], 0.1)
        if time.monotonic() > deadline:
            sys.exit(f"timeout after {TIMEOUT} s; output: {shown!r}")
        if not ready:
            continue
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # the command has exited
            break
        if not chunk:
            break
        shown += chunk
    return shown


def drawn(shown):
    return shown.count(b"\x1b[H")


def views(act, *command):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    shown = read_terminal(fd, lambda text: b"SLOT" in text)
    if act == "resize":
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", 50, 132, 0, 0))
        shown = read_terminal(fd, lambda text: drawn(text) > 1, shown)
        act = "q"
    os.write(fd, act.encode())
    shown = read_terminal(fd, lambda text: b"\x1b[?1049l" in text, shown)
    os.waitpid(pid, 0)
    print(drawn(shown))


def full_rows(*command):
    """A row loses its last column if the line is erased to its end afterwards: the cursor
    is still on that column."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    shown = read_terminal(fd, lambda text: b"\x1b[?1049l" in text)
    os.waitpid(pid, 0)
    print(len(re.findall(rb"(?<=[\nHK])[^\x1b\r\n]{80}(?=[\x1b\r])", shown)), end=" ")
    print(len(re.findall(rb"(?<=[\nHK])[^\x1b\r\n]{80}\x1b\[0?[KJ]", shown)))


def dumb(*command):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "dumb"
        os.execvp(command[0], command)
    print(read_terminal(fd, lambda text: False).decode())
    os.waitpid(pid, 0)


def terminal(key, *command):
    saved, notify = os.pipe()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.read(saved, 1)  # wait until the parent has read the terminal's state
        os.execvp(command[0], command)
    # Opened here too: the state of the terminal is lost with its last open descriptor.
    number = fcntl.ioctl(fd, TIOCGPTN, bytes(4))
    os.open(f"/dev/pts/{int.from_bytes(number, sys.byteorder)}", os.O_RDWR | os.O_NOCTTY)
    before = termios.tcgetattr(fd)
    os.write(notify, b".")
    shown = read_terminal(fd, lambda text: b"SLOT" in text)
    if len(key) == 1:
        os.write(fd, key.encode())
    elif key != "nothing":
        os.kill(pid, getattr(signal, key))
    shown = read_terminal(fd, lambda text: b"\x1b[?1049l" in text, shown)
    _, status = os.waitpid(pid, 0)
    restored = termios.tcgetattr(fd) == before
    shows_cursor = shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    print("restored" if restored and shows_cursor else "not restored")
    if os.WIFSIGNALED(status):
        print(signal.Signals(os.WTERMSIG(status)).name)
    else:
        print(os.WEXITSTATUS(status))


def print_answer(admin_socket, method, target):
    try:
        status, body = ask(admin_socket, method, target)
    except UNREACHED as error:
        sys.exit(f"cannot connect: {error}")
    print(status)
    print(body, end="")


{
    "ask": print_answer,
    "watch": watch,
    "drip": drip,
    "terminal": terminal,
    "views": views,
    "dumb": dumb,
    "full_rows": full_rows,
}[sys.argv[1]](*sys.argv[2:])
