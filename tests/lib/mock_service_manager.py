#!/usr/bin/env python3
"""mock_service_manager.py - the service manager's side of sd_notify(3), sd_listen_fds(3)
and the file descriptor store (systemd.service(5)), for tests.

  listen PATH                   receives notifications and prints a line for each datagram:
                                its lines joined by "|", and "+N" for N descriptors
  activate PORT N -- COMMAND    executes COMMAND with N listening sockets of that port on
                                127.0.0.1, in blocking mode
  manage PATH -- COMMAND        starts COMMAND and receives its notifications at PATH, as
                                above; stores its descriptors, and when COMMAND is killed
                                restarts it with them, the last one first, as systemd does
"""
import array
import os
import signal
import socket
import sys

FIRST = 3  # SD_LISTEN_FDS_START


def open_receiver(path):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    return receiver


def receive(receiver):
    """Prints the datagram; returns it as a dictionary, with its descriptors."""
    data, control, _, _ = receiver.recvmsg(65536, socket.CMSG_SPACE(256 * 4))
    descriptors = array.array("i")
    for _, kind, content in control:
        if kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) // 4 * 4])
    lines = data.decode().rstrip("\n").split("\n")
    print("|".join(lines) + (f" +{len(descriptors)}" if descriptors else ""), flush=True)
    return dict(line.partition("=")[::2] for line in lines), list(descriptors)


def listen(path):
    receiver = open_receiver(path)
    while True:
        for fd in receive(receiver)[1]:
            os.close(fd)


def execute(command, descriptors, names):
    """Moves the descriptors to FIRST and up, and executes the command."""
    high = [os.dup2(fd, 500 + i) for i, fd in enumerate(descriptors)]
    os.closerange(FIRST, 500)
    for i, fd in enumerate(high):
        os.dup2(fd, FIRST + i, inheritable=True)
    os.closerange(500, 1000)
    if descriptors:
        os.environ["LISTEN_FDS"] = str(len(descriptors))
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LISTEN_FDNAMES"] = ":".join(names)
    os.execv(command[0], command)


def activate(port, count, command):
    sockets = []
    for _ in range(count):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if count > 1:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(4096)
        sockets.append(listener)
    execute(command, [s.fileno() for s in sockets], ["yodeld.socket"] * count)


def note(state, descriptors, store):
    name = state.get("FDNAME", "stored")
    if "FDSTOREREMOVE" in state:
        for fd in [fd for fd, n in store if n == name]:
            os.close(fd)
        store[:] = [(fd, n) for fd, n in store if n != name]
    for fd in descriptors:
        if "FDSTORE" in state:
            store.insert(0, (fd, name))
        else:
            os.close(fd)


def manage(path, command):
    receiver = open_receiver(path)
    os.environ["NOTIFY_SOCKET"] = path
    store = []
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            execute(command, [fd for fd, _ in store], [n for _, n in store])
        print(f"started {child}", flush=True)
        receiver.settimeout(0.02)
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            try:
                note(*receive(receiver), store)
            except TimeoutError:
                pass
        if os.WIFEXITED(ended[1]):
            sys.exit(os.WEXITSTATUS(ended[1]))


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(sys.argv[2])
    elif sys.argv[1] == "manage":
        manage(sys.argv[2], sys.argv[4:])
    else:
        activate(int(sys.argv[2]), int(sys.argv[3]), sys.argv[5:])
