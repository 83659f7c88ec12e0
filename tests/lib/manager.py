#!/usr/bin/env python3
"""manager.py - the service manager's side of sd_notify(3) and sd_listen_fds(3), for tests.

  listen PATH                   receives what is notified, one line for each datagram: its
                                lines joined by "|", and "+N" when N descriptors came along
  activate PORT N -- COMMAND    becomes COMMAND, with N listening sockets of that port on
                                127.0.0.1 passed to it, in blocking mode
"""
import array
import os
import socket
import sys

FIRST = 3  # SD_LISTEN_FDS_START


def listen(path):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    while True:
        data, control, _, _ = receiver.recvmsg(65536, socket.CMSG_SPACE(256 * 4))
        descriptors = array.array("i")
        for _, kind, content in control:
            if kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) // 4 * 4])
        text = data.decode().rstrip("\n").replace("\n", "|")
        print(text + (f" +{len(descriptors)}" if descriptors else ""), flush=True)
        for fd in descriptors:
            os.close(fd)


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
    # Out of the way first, for a number may be one of those wanted.
    moved = [os.dup(listener.fileno()) for listener in sockets]
    high = [os.dup2(fd, 200 + i) for i, fd in enumerate(moved)]
    for listener in sockets:
        listener.close()
    for i, fd in enumerate(high):
        os.dup2(fd, FIRST + i, inheritable=True)
    os.closerange(FIRST + count, 400)
    os.environ["LISTEN_FDS"] = str(count)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(sys.argv[2])
    else:
        activate(int(sys.argv[2]), int(sys.argv[3]), sys.argv[5:])
